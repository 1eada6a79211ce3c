/* SPDX-License-Identifier: Apache-2.0 */
/* session: how a session ends, and how the next one takes its place. Private to the top of client/.
 *
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_SESSION_H
#define MILLRACE_CLIENT_SESSION_H

#include "client/core/part.h"

/* Takes the session down: defers the messages that can be read, fails pending requests, and reports
 * the loss. Not within a callback. */
void mr_session_lose(struct mr_client *c);
/* Takes the session down when its messages are deferred already. */
void mr_session_end(struct mr_client *c);
/* Reconnects by steps. */
void mr_session_step(struct mr_client *c, uint64_t now_ns);

extern const struct mr_part mr_session_part;
extern const struct mr_part mr_session_due_part;

#endif
