/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/promise_deliver.h"

#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"

static uint64_t mark_bytes(const struct mr_session *s, uint32_t high_water)
{
	return mr_worker_capacity(s) * high_water / 100;
}

/* Returns the bytes that may still arrive after the session became full. */
static uint64_t underway_max(const struct mr_worker *w, const struct mr_session *s)
{
	return w->underway_max * (s->copies_max > 1 ? s->copies_max : 1);
}

/* Returns the bytes above which the session is full: its high-water mark, or less if what may still
 * arrive would find no room. */
static uint64_t full_at(const struct mr_worker *w, const struct mr_session *s, uint32_t high_water)
{
	uint64_t room = mr_worker_capacity(s) + w->queued_share;
	uint64_t mark = mark_bytes(s, high_water), need = underway_max(w, s);

	if (mark + need <= room)
		return mark;
	return need < room ? room - need : 0;
}

/* Marks the session full if the promised message that it just got made it so. */
static void check_high_water(
	struct mr_worker *w, struct mr_session *s, uint32_t high_water, const struct mr_route *r)
{
	struct mr_slow_session *x = s->slow;
	uint64_t held = x != NULL ? x->bytes : 0;
	uint64_t used = mr_worker_underway(s) + held;

	if (mr_likely(used <= mark_bytes(s, high_water) &&
		      used + underway_max(w, s) <= mr_worker_capacity(s) + w->queued_share))
		return;
	if (s->passed_over || (x != NULL && x->open_below != 0))
		return;
	if (mr_worker_underway_now(s) + held <= full_at(w, s, high_water))
		return;
	x = mr_worker_slow_session(w, s);
	if (x == NULL)
		return; /* no memory to queue messages either: it misses them, and is told */
	mr_worker_full(w, s, x, r, full_at(w, s, high_water) / 2);
}

/* Counts how many copies one message makes for one session: overlapping subscriptions get one
 * each. */
static void count_copy(struct mr_worker *w, struct mr_session *s)
{
	if (s->copies_of != w->promised_count) {
		s->copies_of = w->promised_count;
		s->copies = 0;
	}
	if (s->copies < UINT8_MAX)
		s->copies++;
	if (s->copies > s->copies_max)
		s->copies_max = s->copies;
}

static bool is_many(const struct mr_route *r)
{
	return r->span_count > 1 || (r->span_count == 1 && r->spans[0].count > 1);
}

uint32_t mr_worker_promise_own(
	struct mr_worker *w, const struct mr_route *r, const struct mr_message_plan *plan)
{
	bool many = is_many(r);
	uint32_t delivered = 0;

	w->promised_count++;
	for (uint32_t i = 0; i < r->span_count; i++) {
		const struct mr_sink *sink = r->spans[i].sinks;
		const struct mr_sink *end = sink + r->spans[i].count;

		for (; sink < end; sink++) {
			uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);
			uint32_t high_water = mr_sink_high_water(flags);
			struct mr_session *s;

			if (flags & MR_SINK_GONE)
				continue;
			s = mr_directory_find(&w->directory, sink->slot, sink->generation);
			if (s == NULL || mr_worker_is_closed(s)) {
				mr_count(w->stats->drop_session_gone, 1);
			} else if (high_water != 0) {
				delivered += mr_worker_promise(w, s, plan, sink->sub_id) !=
					     MR_PROMISE_LOST;
				if (many)
					count_copy(w, s);
				check_high_water(w, s, high_water, r);
			} else if (mr_worker_copy(w, s, plan, sink->sub_id)) {
				delivered++;
			} else {
				mr_worker_missed(w, s, plan->stride);
			}
		}
	}
	w->round.delivered += delivered;
	return delivered;
}

/* Copies as many messages of a run as ring or frames have room for; returns how many. */
static uint32_t copy_run(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count, uint32_t target)
{
	uint32_t done;

	if (mr_unlikely(s->missed_unreported != 0))
		return 0;
	if (s->remote != NULL) {
		if (!mr_session_knows_flow(s) || (s->slow != NULL && s->slow->first != NULL))
			return 0;
		return mr_worker_flow_copy_run(w, s, r, e, count, target);
	}
	done = mr_worker_copy_run(s, r, e, count, target);
	if (done > 0)
		mr_worker_mark_dirty(w, s);
	return done;
}

static uint32_t promise_run(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count, uint32_t target)
{
	uint32_t done = copy_run(w, s, r, e, count, target), delivered;

	for (delivered = done; done < count; done++) {
		struct mr_message_view m = mr_message_plain(e[done].at, e[done].header);
		struct mr_message_plan plan = mr_worker_delivery(r, &m, NULL);

		delivered += mr_worker_promise(w, s, &plan, target) != MR_PROMISE_LOST;
	}
	return delivered;
}

uint32_t mr_worker_promise_sink(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	uint32_t high_water, const struct mr_message_plan *plan, uint32_t sub_id)
{
	uint32_t delivered = mr_worker_promise(w, s, plan, sub_id) != MR_PROMISE_LOST;

	if (is_many(r))
		count_copy(w, s);
	check_high_water(w, s, high_water, r);
	w->round.delivered += delivered;
	return delivered;
}

void mr_worker_promise_run_sink(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	uint32_t high_water, const struct mr_burst_entry *e, uint32_t count, uint32_t sub_id)
{
	w->round.delivered += promise_run(w, s, r, e, count, sub_id);
	if (is_many(r))
		count_copy(w, s);
	check_high_water(w, s, high_water, r);
}

static void run_to_sink(struct mr_worker *w, const struct mr_route *r, const struct mr_sink *sink,
	const struct mr_burst_entry *e, uint32_t count)
{
	uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);
	uint32_t high_water = mr_sink_high_water(flags);
	struct mr_session *s;

	if (flags & MR_SINK_GONE)
		return;
	s = mr_directory_find(&w->directory, sink->slot, sink->generation);
	if (s == NULL || mr_worker_is_closed(s))
		mr_count(w->stats->drop_session_gone, count);
	else if (high_water != 0)
		mr_worker_promise_run_sink(w, s, r, high_water, e, count, sink->sub_id);
	else
		w->round.delivered += mr_worker_deliver_run(w, s, r, e, count, sink->sub_id);
}

void mr_worker_promise_run_own(struct mr_worker *w, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count)
{
	w->promised_count++;
	for (uint32_t i = 0; i < r->span_count; i++)
		for (uint32_t k = 0; k < r->spans[i].count; k++)
			run_to_sink(w, r, &r->spans[i].sinks[k], e, count);
}

bool mr_worker_promise_member(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	uint32_t high_water, const struct mr_message_plan *plan, uint32_t sub_id)
{
	bool delivered;

	if (high_water == 0)
		return mr_worker_copy(w, s, plan, sub_id);
	if (mr_unlikely(s->passed_over))
		return mr_worker_try(w, s, plan, sub_id);
	delivered = mr_worker_promise(w, s, plan, sub_id) != MR_PROMISE_LOST;
	check_high_water(w, s, high_water, r);
	return delivered;
}
