/* SPDX-License-Identifier: Apache-2.0 */
/* in_flight: limits the requests that wait for an answer: in all, of one session, and of one peer.
 *
 * One session or one peer cannot take the whole table, and a part of it is reserved for root and
 * the bus's own user, as lib/base/share.h says.
 *
 * Owns      Its counts; two for each request at most.
 * Threads   The loop's.
 * Errors    take: -EBUSY, the table is full or the session has its maximum. -EDQUOT, the peer has
 *           its share. Nothing changed.
 */
#ifndef MILLRACE_LINK_IN_FLIGHT_H
#define MILLRACE_LINK_IN_FLIGHT_H

#include "lib/base/share.h"

struct mr_in_flight {
	struct mr_shares counts; /* by peer, and by session */
	struct mr_share_bound bound;
	uint32_t session_max;
	uint32_t used;
};

/* `max` requests in all, `session_max` of one session, `percent` of the table for one peer.
 * -ENOMEM, -EIO. */
int mr_in_flight_init(struct mr_in_flight *f, uint32_t max, uint32_t session_max, uint32_t percent);
void mr_in_flight_fini(struct mr_in_flight *f);

/* `session` 0: control's own request, which counts for no session. */
int mr_in_flight_take(struct mr_in_flight *f, uint64_t peer, uint64_t session);
void mr_in_flight_give(struct mr_in_flight *f, uint64_t peer, uint64_t session);

#endif
