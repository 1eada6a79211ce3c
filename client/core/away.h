/* SPDX-License-Identifier: Apache-2.0 */
/* away: calls while the bus is away: they notice the end of the session and drive the next
 * connection. No message is handed out meanwhile: messages that arrive while the session is
 * restored are deferred.
 *
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_CORE_AWAY_H
#define MILLRACE_CLIENT_CORE_AWAY_H

#include "client/core/state.h"

/* Notices the end of the session and continues with the next session. `wait`: may wait for it. 0:
 * connected; -ENOTCONN; -EDEADLK: a claim is open. */
int mr_away_check(struct mr_client *c, bool wait);
/* Waits for the next connection. Does nothing within callbacks. */
void mr_away_wait(struct mr_client *c, uint64_t timeout_ms);

/* 0: the client may publish; else as mr_away_check. */
static inline int mr_ready(struct mr_client *c, bool wait)
{
	if (mr_likely(c->refuse == 0 && !mr_bus_gone(c)))
		return 0;
	return mr_away_check(c, wait);
}

#endif
