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

#include "dataplane/worker/frames.h"

/* Copies of a message that is larger than the session's frames, in pieces. False: it is not, or it
 * cannot be cut, or there was no room for all of them. */
bool mr_worker_copy_cut(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target);

/* A copy into a session's ring or frame. False: no room. */
MR_ALWAYS_INLINE bool mr_worker_copy(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target)
{
	void *to;

	/* What was missed is told first, so that the receiver sees the gap where it is; and only when
	 * there is room for what comes behind, or the gap would grow again at once. */
	if (mr_unlikely(s->missed_untold > 0) && !mr_worker_tell_gap(w, s, plan->stride))
		return false;
	to = mr_bytes_claim(&s->down, plan->stride);
	if (mr_unlikely(to == NULL)) {
		to = mr_worker_frame_claim(w, s, plan->stride);
		if (to == NULL) {
			/* A copy, so that the plan need not be in memory. */
			struct mr_message_plan copy = *plan;

			return mr_worker_copy_cut(w, s, &copy, target);
		}
	}
	mr_message_write(to, plan, target);
	mr_bytes_push(&s->down, plan->stride);
	s->down_messages++;
	mr_worker_mark_dirty(w, s);
	return true;
}

/* True of a session over UDP that is over, while the table writer has yet to take it out: what is copied to
 * it nobody receives. */
static inline bool mr_worker_is_over(const struct mr_session *s)
{
	return s->remote != NULL &&
	       atomic_load_explicit(&s->remote->end, memory_order_relaxed) != MR_REMOTE_LIVES;
}

/* The session of that worker, or NULL when it is over: of another worker, as far as can be seen from here. */
static inline struct mr_session *mr_worker_find(
	const struct mr_worker *w, unsigned worker, uint32_t slot, uint32_t generation)
{
	const struct mr_directory *d =
		worker == w->index ? &w->directory : &w->peers[worker]->directory;
	struct mr_session *s = mr_directory_find(d, slot, generation);

	return s != NULL && !mr_worker_is_over(s) ? s : NULL;
}

/* What a subscriber gets of a message that came by this route. */
MR_ALWAYS_INLINE struct mr_message_plan mr_worker_delivery(const struct mr_route *r,
	const struct mr_message_view *m, const struct mrf_reply_token *token)
{
	return mr_message_plan(MRF_MESSAGE_KIND_DELIVER, token, r->subject, r->bytes, m->headers,
		m->header_bytes, m->payload_bytes);
}

/* Which extra parts of a Publish its subscribers get. */
static inline struct mr_message_extra mr_worker_passed_on(const struct mr_message_view *m)
{
	struct mr_message_extra extra = m->extra;

	extra.flags &= MRF_MESSAGE_FLAG_FRAGMENT |
		       (extra.origin.publisher != 0 ? MRF_MESSAGE_FLAG_ORIGIN : 0u);
	return extra;
}

/* All pieces of a message go to one member of a group, for as long as the group is what it is. */
static inline uint32_t mr_worker_turn_of(const struct mrf_message_fragment *f)
{
	uint64_t mixed = (f->session ^ (uint64_t)f->message << 20) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(mixed >> 32);
}

/* With less room than this a ring is full for whatever comes next. */
#define MR_FULL_BYTES 1024u

/* True of a local session that just had no room for a message, and has none for any other. */
static inline bool mr_worker_has_no_room(const struct mr_session *s)
{
	return s->remote == NULL &&
	       s->down.capacity - (s->down.tail - s->down.head_seen) < MR_FULL_BYTES;
}

/* To all plain subscribers of this worker; returns how many got it. A session that is full is looked at
 * once for all that it has side by side. */
MR_ALWAYS_INLINE uint32_t mr_worker_deliver_own(
	struct mr_worker *w, const struct mr_route *r, const struct mr_message_plan *plan)
{
	const struct mr_session *full = NULL;
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
			else if (mr_unlikely(s == full))
				mr_worker_missed_many(w, s, 1);
			else if (mr_likely(mr_worker_copy(w, s, plan, sink->sub_id)))
				delivered++;
			else
				full = mr_worker_missed(w, s, plan->stride);
		}
	}
	w->round.delivered += delivered;
	return delivered;
}

/* A run is messages of one session by one alias, with a body and nothing else, that stand one behind
 * the other in the burst: the route is looked up once for all of them, and each subscriber's ring is
 * gone to once. A subscriber gets them in their order; between subscribers there is none. */

/* So far ahead of a copy the ring's lines are asked for: a dozen small messages. */
#define MR_COPY_AHEAD_BYTES 1024u

/* Copies of a run into a session's ring, as many as there is room for; returns how many. */
MR_ALWAYS_INLINE uint32_t mr_worker_copy_run(struct mr_session *s, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count, uint32_t target)
{
	/* On the stack, so that the copies' stores are known not to change the positions. */
	struct mr_bytes_producer down = s->down;
	uint32_t n;

	for (n = 0; n < count; n++) {
		struct mr_message_view m = mr_message_plain(e[n].at, e[n].header);
		struct mr_message_plan plan = mr_worker_delivery(r, &m, NULL);
		void *to = mr_bytes_claim(&down, plan.stride);

		if (mr_unlikely(to == NULL))
			break;
		mr_prefetch_lines_write((uint8_t *)to + MR_COPY_AHEAD_BYTES, plan.stride);
		mr_message_write(to, &plan, target);
		mr_bytes_push(&down, plan.stride);
	}
	s->down = down;
	s->down_messages += n;
	return n;
}

/* True if there is a new frame for the next message of a run, the last one being full. */
static inline bool mr_worker_run_goes_on(struct mr_worker *w, struct mr_session *s,
	const struct mr_route *r, const struct mr_burst_entry *next)
{
	struct mr_message_view m = mr_message_plain(next->at, next->header);
	struct mr_message_plan plan = mr_worker_delivery(r, &m, NULL);

	return s->remote != NULL && mr_worker_frame_claim(w, s, plan.stride) != NULL;
}

/* The same, with what a full ring or frame calls for. */
MR_ALWAYS_INLINE uint32_t mr_worker_deliver_run(struct mr_worker *w, struct mr_session *s,
	const struct mr_route *r, const struct mr_burst_entry *e, uint32_t count, uint32_t target)
{
	uint32_t done = 0, delivered;

	if (mr_likely(s->missed_untold == 0)) {
		do
			done += mr_worker_copy_run(s, r, e + done, count - done, target);
		while (mr_unlikely(done < count) && mr_worker_run_goes_on(w, s, r, e + done));
		if (done > 0)
			mr_worker_mark_dirty(w, s);
	}
	delivered = done;
	for (; mr_unlikely(done < count); done++) {
		struct mr_message_view m = mr_message_plain(e[done].at, e[done].header);
		struct mr_message_plan plan = mr_worker_delivery(r, &m, NULL);

		if (mr_worker_copy(w, s, &plan, target)) {
			delivered++;
		} else if (mr_worker_missed(w, s, plan.stride) != NULL) {
			mr_worker_missed_many(w, s, count - done - 1);
			break;
		}
	}
	return delivered;
}

/* To all plain subscribers of this worker. */
static inline void mr_worker_deliver_run_own(struct mr_worker *w, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count)
{
	const struct mr_session *full = NULL;

	for (uint32_t i = 0; i < r->span_count; i++) {
		const struct mr_sink *sink = r->spans[i].sinks;
		const struct mr_sink *end = sink + r->spans[i].count;

		for (; sink < end; sink++) {
			struct mr_session *s;

			if (mr_unlikely(!mr_sink_live(sink)))
				continue;
			s = mr_directory_find(&w->directory, sink->slot, sink->generation);
			if (mr_unlikely(s == NULL))
				mr_count(w->stats->drop_session_gone, count);
			else if (mr_unlikely(s == full))
				mr_worker_missed_many(w, s, count);
			else
				w->round.delivered +=
					mr_worker_deliver_run(w, s, r, e, count, sink->sub_id);
			if (mr_unlikely(
				    s != NULL && s->missed_untold != 0 && mr_worker_has_no_room(s)))
				full = s;
		}
	}
}

#endif
