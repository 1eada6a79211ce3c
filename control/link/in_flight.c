/* SPDX-License-Identifier: Apache-2.0 */
#include "control/link/in_flight.h"

#include <errno.h>

/* Keys of the counts: sessions have numbers of their own, which may equal those of peers. */
#define OF_PEER    MR_SHARE_OF(0, 0)
#define OF_SESSION MR_SHARE_OF(1, 0)

int mr_in_flight_init(struct mr_in_flight *f, uint32_t max, uint32_t session_max, uint32_t percent)
{
	f->bound = mr_share_bound(max, percent);
	f->session_max = session_max;
	f->used = 0;
	return mr_shares_init(&f->counts, 2 * max, 2 * max);
}

void mr_in_flight_fini(struct mr_in_flight *f)
{
	mr_shares_fini(&f->counts);
}

int mr_in_flight_take(struct mr_in_flight *f, uint64_t peer, uint64_t session)
{
	if (mr_share_none_left(&f->bound, peer, f->used) ||
		mr_share_take(&f->counts, session, OF_SESSION, 1, f->session_max) != 0)
		return -EBUSY;
	if (mr_share_take(&f->counts, peer, OF_PEER, 1, f->bound.share) != 0) {
		mr_share_give(&f->counts, session, OF_SESSION, 1);
		return -EDQUOT;
	}
	f->used++;
	return 0;
}

void mr_in_flight_give(struct mr_in_flight *f, uint64_t peer, uint64_t session)
{
	mr_share_give(&f->counts, peer, OF_PEER, 1);
	mr_share_give(&f->counts, session, OF_SESSION, 1);
	f->used--;
}
