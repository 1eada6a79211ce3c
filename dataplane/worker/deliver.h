/* SPDX-License-Identifier: Apache-2.0 */
/* deliver: copies messages into the rings and frames of this worker's sessions. Private to the
 * worker.
 *
 * Inline: copying is most of a worker's work. Route and mesh both use it.
 *
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_DELIVER_H
#define MILLRACE_WORKER_DELIVER_H

#include "dataplane/worker/frames.h"

/* Copies a message that is larger than the session's frames, in fragments. False: it is not larger,
 * it cannot be fragmented, or there was no room for all fragments. */
bool mr_worker_copy_fragments(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target);

/* Copies a message into a session's ring or frame. False: no room. */
MR_ALWAYS_INLINE bool mr_worker_copy(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target)
{
	void *to;

	/* A pending Gap message goes first, so that the receiver sees the gap in its place. It goes
	 * only if the next message has room behind it, or the gap would grow again at once. */
	if (mr_unlikely(s->missed_unreported > 0) && !mr_worker_tell_gap(w, s, plan->stride))
		return false;
	to = mr_bytes_claim(&s->down, plan->stride);
	if (mr_unlikely(to == NULL)) {
		to = mr_worker_frame_claim(w, s, plan->stride);
		if (to == NULL) {
			/* A copy, so that the compiler can keep the plan in registers. */
			struct mr_message_plan copy = *plan;

			return mr_worker_copy_fragments(w, s, &copy, target);
		}
	}
	mr_message_write(to, plan, target);
	mr_bytes_push(&s->down, plan->stride);
	s->down_messages++;
	mr_worker_mark_dirty(w, s);
	return true;
}

/* True if the session over UDP is closed, but the table writer has not removed it yet: nobody
 * receives messages copied to it. */
static inline bool mr_worker_is_closed(const struct mr_session *s)
{
	return s->remote != NULL &&
	       atomic_load_explicit(&s->remote->end, memory_order_relaxed) != MR_REMOTE_LIVES;
}

/* Returns a session of any worker, or NULL if it is closed. Another worker's session may close at
 * any time. */
static inline struct mr_session *mr_worker_find(
	const struct mr_worker *w, unsigned worker, uint32_t slot, uint32_t generation)
{
	const struct mr_directory *d =
		worker == w->index ? &w->directory : &w->peers[worker]->directory;
	struct mr_session *s = mr_directory_find(d, slot, generation);

	return s != NULL && !mr_worker_is_closed(s) ? s : NULL;
}

/* Plans the Deliver message that a subscriber gets for a message of this route. */
MR_ALWAYS_INLINE struct mr_message_plan mr_worker_delivery(const struct mr_route *r,
	const struct mr_message_view *m, const struct mrf_reply_token *token)
{
	return mr_message_plan(MRF_MESSAGE_KIND_DELIVER, token, r->subject, r->bytes, m->headers,
		m->header_bytes, m->payload_bytes);
}

/* Returns the extra parts of a Publish that its subscribers get. */
static inline struct mr_message_extra mr_worker_passed_on(const struct mr_message_view *m)
{
	struct mr_message_extra extra = m->extra;

	extra.flags &= MRF_MESSAGE_FLAG_FRAGMENT |
		       (extra.origin.publisher != 0 ? MRF_MESSAGE_FLAG_ORIGIN : 0u);
	return extra;
}

/* Returns the turn of a fragment's message: all its fragments go to one member of a group while the
 * group does not change. */
static inline uint32_t mr_worker_turn_of(const struct mrf_message_fragment *f)
{
	uint64_t mixed = (f->session ^ (uint64_t)f->message << 20) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(mixed >> 32);
}

/* A ring with less room than this counts as full for any message. */
#define MR_FULL_BYTES 1024u

/* True if a local session that just had no room for a message has none for any other. */
static inline bool mr_worker_has_no_room(const struct mr_session *s)
{
	return s->remote == NULL &&
	       s->down.capacity - (s->down.tail - s->down.head_seen) < MR_FULL_BYTES;
}

/* Delivers to all plain subscribers of this worker; returns how many got the message. Of a full
 * session, consecutive subscriptions are tried once. */
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

/* A run is consecutive messages of a burst, of one session and by one alias, that are bodies only.
 * Their route is looked up once, and each subscriber's ring is visited once. A subscriber gets them
 * in their order; there is no order between subscribers. */

/* The ring's lines are prefetched this far ahead of a copy: a dozen small messages. */
#define MR_COPY_AHEAD_BYTES 1024u

/* Copies messages of a run into a session's ring; returns how many had room. */
MR_ALWAYS_INLINE uint32_t mr_worker_copy_run(struct mr_session *s, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count, uint32_t target)
{
	/* A local copy: the compiler knows that the copies' stores do not change its positions. */
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

/* True if a new frame was opened for the next message of a run. */
static inline bool mr_worker_run_goes_on(struct mr_worker *w, struct mr_session *s,
	const struct mr_route *r, const struct mr_burst_entry *next)
{
	struct mr_message_view m = mr_message_plain(next->at, next->header);
	struct mr_message_plan plan = mr_worker_delivery(r, &m, NULL);

	return s->remote != NULL && mr_worker_frame_claim(w, s, plan.stride) != NULL;
}

/* Copies a run to a session, opening new frames, and counts the messages without room as missed;
 * returns how many were delivered. */
MR_ALWAYS_INLINE uint32_t mr_worker_deliver_run(struct mr_worker *w, struct mr_session *s,
	const struct mr_route *r, const struct mr_burst_entry *e, uint32_t count, uint32_t target)
{
	uint32_t done = 0, delivered;

	if (mr_likely(s->missed_unreported == 0)) {
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

/* Delivers a run to all plain subscribers of this worker. */
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
			if (mr_unlikely(s != NULL && s->missed_unreported != 0 &&
					mr_worker_has_no_room(s)))
				full = s;
		}
	}
}

#endif
