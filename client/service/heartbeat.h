/* SPDX-License-Identifier: Apache-2.0 */
/* heartbeat: heartbeats of clients that serve over shared memory; over UDP the session has its own.
 * It counts unanswered heartbeats instead of time: a program that was busy elsewhere must not take
 * its own silence for the bus's.
 *
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_SERVICE_HEARTBEAT_H
#define MILLRACE_CLIENT_SERVICE_HEARTBEAT_H

#include "client/core/part.h"

/* Sets the interval after a service was opened, closed or lost. */
void mr_heartbeat_set(struct mr_client *c);

/* The bus answered. */
static inline void mr_heartbeat_heard(struct mr_heartbeat *h)
{
	h->unanswered = 0;
}

extern const struct mr_part mr_heartbeat_part;

#endif
