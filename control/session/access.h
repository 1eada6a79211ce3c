/* SPDX-License-Identifier: Apache-2.0 */
/* access: who is at the other end of a unix socket or of a path, and what the configuration lets it do.
 *
 * Threads   The loop's.
 */
#ifndef MILLRACE_CONTROL_ACCESS_H
#define MILLRACE_CONTROL_ACCESS_H

#include <sys/socket.h>

#include "lib/config/config.h"
#include "flatbuf/wire.h"

#define MR_ACCESS_NAME_MAX 63u

/* Identity at the time of connect. 0 or -errno. */
int mr_access_peer(int socket_fd, struct ucred *out);
/* A pidfd of the process that connected, or -errno. */
int mr_access_peer_pidfd(int socket_fd, const struct ucred *peer);
/* root and the user that the bus runs as. */
bool mr_access_admin(const struct ucred *peer);
/* Those, and whom the configuration names, by user, group or supplementary group. */
bool mr_access_attach(const struct mr_config *c, const struct ucred *peer, int socket_fd);
/* The peer is in a network that is named, or, where none is, in one of the port's own. */
bool mr_access_network(const struct mr_config *c, const struct mrf_network_path *path);
/* Names are for people: short, and without control bytes. */
bool mr_access_name_valid(const char *name, size_t bytes);

#endif
