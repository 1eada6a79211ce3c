/* SPDX-License-Identifier: Apache-2.0 */
/* gauge: a session's gauges: the bytes that wait for it, and when it last missed a message. */
#include "dataplane/worker/promise.h"

static void gauge_backlog(struct mr_session *s, uint64_t bytes)
{
	uint64_t all = bytes + s->stats->held_bytes;

	mr_gauge(s->stats->backlog_bytes, bytes);
	if (all > s->stats->backlog_bytes_max)
		mr_gauge(s->stats->backlog_bytes_max, all);
}

void mr_worker_gauge(struct mr_worker *w, struct mr_session *s)
{
	gauge_backlog(s, mr_worker_underway_now(s));
	if (mr_likely(s->stats->missed == s->missed_seen))
		return;
	s->missed_seen = s->stats->missed;
	mr_gauge(s->stats->missed_last_ns, mr_worker_now_ns(w));
}
