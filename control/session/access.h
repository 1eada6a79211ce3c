/* SPDX-License-Identifier: Apache-2.0 */
/* access: who is at the other end of a unix socket, and what the configuration lets it do.
 *
 * Threads   The loop's.
 */
#ifndef MILLRACE_CONTROL_ACCESS_H
#define MILLRACE_CONTROL_ACCESS_H

#include <sys/socket.h>

#include "control/config/config.h"

/* Identity at the time of connect. 0 or -errno. */
int mr_access_peer(int socket_fd, struct ucred *out);
/* root and the user that the bus runs as. */
bool mr_access_admin(const struct ucred *peer);
/* Those, and whom the configuration names, by user, group or supplementary group. */
bool mr_access_attach(const struct mr_config *c, const struct ucred *peer, int socket_fd);

#endif
