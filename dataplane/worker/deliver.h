/* SPDX-License-Identifier: Apache-2.0 */
/* deliver: copies of a message into the rings of this worker's sessions. Private to the worker.
 *
 * Inline: the copy is most of what a worker does, and route and mesh both end here.
 *
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_DELIVER_H
#define MILLRACE_WORKER_DELIVER_H

#include "dataplane/worker/stages.h"

/* A copy into a session's ring. False: no room. */
MR_ALWAYS_INLINE bool mr_worker_copy(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target)
{
	void *to;

	/* What was missed is told first, so that the receiver sees the gap where it is; and only when
	 * there is room for what comes behind, or the gap would grow again at once. */
	if (mr_unlikely(s->missed_untold > 0) && !mr_worker_tell_gap(w, s, plan->stride))
		return false;
	to = mr_bytes_claim(&s->down, plan->stride);
	if (mr_unlikely(to == NULL))
		return false;
	mr_message_write(to, plan, target);
	mr_bytes_push(&s->down, plan->stride);
	s->down_messages++;
	mr_worker_mark_dirty(w, s);
	return true;
}

/* What a subscriber gets of a message that came by this route. */
MR_ALWAYS_INLINE struct mr_message_plan mr_worker_delivery(const struct mr_route *r,
	const struct mr_message_view *m, const struct mrf_reply_token *token)
{
	return mr_message_plan(MRF_MESSAGE_KIND_DELIVER, token, r->subject, r->bytes, m->headers,
		m->header_bytes, m->payload_bytes);
}

/* To all plain subscribers of this worker; returns how many got it. */
MR_ALWAYS_INLINE uint32_t mr_worker_deliver_own(
	struct mr_worker *w, const struct mr_route *r, const struct mr_message_plan *plan)
{
	uint32_t delivered = 0;

	for (uint32_t i = 0; i < r->span_count; i++) {
		const struct mr_sink *sink = r->spans[i].sinks;
		const struct mr_sink *end = sink + r->spans[i].count;

		for (; sink < end; sink++) {
			struct mr_session *s;

			if (mr_unlikely(!mr_sink_live(sink)))
				continue;
			s = mr_directory_find(&w->directory, sink->slot, sink->generation);
			if (mr_unlikely(s == NULL))
				mr_count(w->stats->drop_session_gone, 1);
			else if (mr_likely(mr_worker_copy(w, s, plan, sink->sub_id)))
				delivered++;
			else
				mr_worker_missed(w, s);
		}
	}
	w->round.delivered += delivered;
	return delivered;
}

#endif
