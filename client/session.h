/* SPDX-License-Identifier: Apache-2.0 */
/* session: how a session ends, and how the next one takes its place. Private to the top of client/.
 *
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_SESSION_H
#define MILLRACE_CLIENT_SESSION_H

#include "client/core/part.h"

/* Takes the session down: defers what can be read, fails what is pending, reports it. Not within a
 * callback. */
void mr_session_lose(struct mr_client *c);
/* Does the same when all that can be read was deferred already. */
void mr_session_end(struct mr_client *c);
/* Reconnects by steps. */
void mr_session_step(struct mr_client *c, uint64_t now_ns);

extern const struct mr_part mr_session_part;

#endif
