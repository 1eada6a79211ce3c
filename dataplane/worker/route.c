/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the receivers of each message of the burst, and copies it to this worker's subscribers. The
 * others follow in further.c, queues.c and handoff.c. Measures the turns of sessions. */
#include "dataplane/worker/beyond.h"
#include "dataplane/worker/bound.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/fan.h"
#include "dataplane/worker/frames.h"
#include "dataplane/worker/further.h"
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/promise_deliver.h"
#include "dataplane/worker/queues.h"
#include "dataplane/worker/share.h"

/* A run is split into single messages if its route has more groups. */
#define RUN_GROUPS_MAX 8u

MR_ALWAYS_INLINE const struct mr_route *find_route(
	struct mr_worker *w, const struct mr_session *from, const struct mr_message_view *m)
{
	const struct mr_route *r = NULL;

	if (mr_likely(m->header.target != 0)) {
		if (mr_unlikely(m->subject_bytes != 0)) {
			mr_count(w->stats->drop_bad_message, 1);
			return NULL;
		}
		if (mr_likely(mr_session_holds(from, m->header.target)))
			r = mr_worker_alias(w, m->header.target);
		if (mr_unlikely(r == NULL))
			mr_count(w->stats->drop_bad_alias, 1);
		return r;
	}
	r = mr_worker_subject(w, m->subject, m->subject_bytes);
	if (mr_unlikely(r == NULL))
		mr_count(w->stats->drop_bad_subject, 1);
	return r;
}

/* Publishes to bound queues, which are the only receivers of the route. */
static inline void publish_to_queues(struct mr_worker *w, const struct mr_session *from,
	const struct mr_message_view *m, const struct mr_route *r)
{
	w->round.published++;
	mr_worker_bound_give_all(w, from->id, mr_worker_end_flag(from), r, m);
}

static uint32_t bytes_of(const struct mr_burst_entry *e, uint32_t count)
{
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += e[i].header.bytes;
	return bytes;
}

/* Publishes by a fan-out that may take more than a turn. Returns how many messages it took; 0: they
 * must wait. */
static uint32_t __attribute__((noinline))
publish_large(struct mr_worker *w, const struct mr_burst_entry *e, uint32_t count,
	const struct mr_route *r, const struct mrf_reply_token *token)
{
	struct mr_session *from = e->from;
	struct mr_fan_load l = {.run = e, .view = e->view, .token = token, .from = from->id};
	struct mr_fan_at at = {0};
	struct mr_message_view plain;
	struct mr_stamp stamp;
	bool whole = w->late.forced;

	if (r->asks) {
		plain = mr_message_plain(e->at, e->header);
		if (l.view == NULL)
			l.view = &plain;
		mr_stamp_make(&stamp, w, from);
		l.stamp = mr_stamp_may_have(l.view) ? &stamp : NULL;
	}
	l.count = r->group_count > RUN_GROUPS_MAX || r->asks ? 1 : count;
	l.bytes = bytes_of(e, l.count);
	l.promised = mr_message_is_promised(e->header.flags);
	if (!whole && mr_worker_round_is_over(w))
		return 0;
	whole |= mr_worker_turn_work(w) + mr_fan_work_max(r, &l) <= MR_TURN_WORK;
	if (!whole && !mr_fan_may_be_kept(w, &l, from->peer)) {
		from->message_work = MR_TURN_WORK; /* the next burst takes one message of it */
		return 0;
	}
	w->round.published += l.count;
	mr_fan_count_cut(w, r, &l);
	if (l.promised)
		at.number = ++w->promised_count;
	if (!mr_worker_fan_out(w, r, &l, &at, whole) && !mr_worker_late_fan(w, from, r, &l, &at))
		(void)mr_worker_fan_out(w, r, &l, &at, true);
	return l.count;
}

bool mr_worker_route_fan(struct mr_worker *w, struct mr_session *s, struct mr_fan *f)
{
	uint64_t since = rte_rdtsc(), work;
	uint64_t cycles, most;
	bool done;

	mr_worker_turn_begin(w);
	done = mr_worker_fan_out(w, f->route, &f->load, &f->at, w->late.forced);
	work = mr_worker_turn_work(w);
	w->share.work += work;
	w->share.turns++;
	if (s != NULL) {
		w->share.last = s;
		cycles = rte_rdtsc() - since;
		most = mr_worker_most_cycles(work, f->load.bytes);
		mr_worker_charge(w, s, cycles < most ? cycles : most);
	}
	if (done)
		mr_fan_end(w, f);
	return done;
}

/* True if the route is large, or for bound queues alone. */
static inline bool is_special(const struct mr_route *r)
{
	return r->large || r->queues_only;
}

/* Counts the copying of large messages as work. True: the fan-out may exceed a turn. */
static inline bool is_dear(struct mr_worker *w, const struct mr_route *r, uint32_t bytes)
{
	uint32_t work = r->sinks * (bytes >> MR_FAN_BYTES_SHIFT);

	if (r->large || work >= MR_TURN_WORK)
		return true;
	w->share.turn_work += work;
	return false;
}

MR_ALWAYS_INLINE void publish_by(struct mr_worker *w, struct mr_session *from,
	const struct mr_message_view *m, const struct mr_route *r,
	const struct mrf_reply_token *token)
{
	struct mr_message_plan plan = mr_worker_delivery(r, m, token);
	uint32_t delivered = mr_worker_deliver_own(w, r, &plan);

	if (mr_unlikely(delivered == 0 || r->workers != 0 || r->group_count > 0)) {
		struct mr_message_view copy = *m;

		mr_worker_publish_further(w, from, &copy, r, token, delivered);
	}
}

/* Publishes a message with extra parts: promised, or a fragment. */
static void __attribute__((noinline)) publish_parts(struct mr_worker *w, struct mr_session *from,
	struct mr_message_view m, const struct mr_route *r)
{
	struct mrf_reply_token token = {from->id, m.token.correlation};
	const struct mrf_reply_token *asked =
		m.header.flags & MRF_MESSAGE_FLAG_TOKEN ? &token : NULL;
	struct mr_message_plan plan = mr_worker_delivery(r, &m, asked);
	struct mr_message_extra extra = mr_worker_passed_on(&m);
	uint32_t delivered;

	mr_message_plan_extra(&plan, &extra);
	delivered = mr_message_is_promised(m.header.flags) ? mr_worker_promise_own(w, r, &plan)
							   : mr_worker_deliver_own(w, r, &plan);
	if (delivered == 0 || r->workers != 0 || r->group_count > 0)
		mr_worker_publish_further(w, from, &m, r, asked, delivered);
}

/* Publishes one message that may take more than a turn. False: it must wait. */
static bool publish_dear(
	struct mr_worker *w, const struct mr_burst_entry *e, const struct mr_route *r)
{
	struct mrf_reply_token token = {e->from->id, e->view->token.correlation};
	bool asks = (e->view->header.flags & MRF_MESSAGE_FLAG_TOKEN) != 0;

	return publish_large(w, e, 1, r, asks ? &token : NULL) > 0;
}

/* Routes one publish that has a view. False: it must wait. Out of line, as it needs many registers.
 */
static bool __attribute__((noinline))
publish_viewed(struct mr_worker *w, const struct mr_burst_entry *e)
{
	struct mr_session *from = e->from;
	const struct mr_message_view *m = e->view;
	const struct mr_route *r = find_route(w, from, m);

	if (mr_unlikely(r == NULL)) {
		mr_worker_count_rejected(from);
		return true;
	}
	if (mr_unlikely(is_special(r) || e->header.bytes >= MR_FAN_BYTES_SMALL)) {
		if (r->queues_only && (m->header.flags & MRF_MESSAGE_FLAG_TOKEN) == 0) {
			publish_to_queues(w, from, m, r);
			return true;
		}
		if (is_dear(w, r, e->header.bytes))
			return publish_dear(w, e, r);
	}
	w->round.published++;
	if (mr_likely((m->header.flags & (MRF_MESSAGE_FLAG_TOKEN | MR_MESSAGE_FLAGS_EXTRA)) == 0)) {
		publish_by(w, from, m, r, NULL);
	} else if (m->header.flags & MR_MESSAGE_FLAGS_EXTRA) {
		publish_parts(w, from, *m, r);
	} else {
		struct mrf_reply_token token = {from->id, m->token.correlation};

		publish_by(w, from, m, r, &token);
	}
	return true;
}

static uint32_t __attribute__((noinline)) publish_run_to_queues(struct mr_worker *w,
	const struct mr_burst_entry *e, uint32_t count, const struct mr_route *r)
{
	for (uint32_t i = 0; i < count; i++) {
		struct mr_message_view m = mr_message_plain(e[i].at, e[i].header);

		publish_to_queues(w, e->from, &m, r);
	}
	return count;
}

/* Publishes a run. Returns how many messages it took; 0: they must wait. */
static uint32_t publish_run(struct mr_worker *w, const struct mr_burst_entry *e, uint32_t count)
{
	const struct mr_route *r = NULL;

	if (mr_likely(mr_session_holds(e->from, e->header.target)))
		r = mr_worker_alias(w, e->header.target);
	if (mr_unlikely(r == NULL)) {
		mr_count(w->stats->drop_bad_alias, count);
		mr_count(e->from->stats->rejected, count);
		return count;
	}
	if (mr_unlikely(is_special(r) || e->header.bytes >= MR_FAN_BYTES_SMALL)) {
		if (r->queues_only)
			return publish_run_to_queues(w, e, count, r);
		if (is_dear(w, r, bytes_of(e, count)))
			return publish_large(w, e, count, r, NULL);
	}
	w->round.published += count;
	if (mr_unlikely(mr_message_is_promised(e->header.flags)))
		mr_worker_promise_run_own(w, r, e, count);
	else
		mr_worker_deliver_run_own(w, r, e, count);
	if (mr_likely(r->interest && r->workers == 0 && r->group_count == 0))
		return count;
	for (uint32_t i = 0; i < count; i++) {
		struct mr_message_view m = mr_message_plain(e[i].at, e[i].header);

		mr_worker_publish_further(w, e->from, &m, r, NULL, 0);
	}
	return count;
}

/* Returns the header without the length. */
static inline uint64_t sort_of(const struct mr_burst_entry *e)
{
	uint64_t word;

	memcpy(&word, &e->header, sizeof(word));
	return word >> 16;
}

/* Returns how many entries from `e` on are one run; 0: `e` is not part of a run. */
static inline uint32_t run_of(const struct mr_burst_entry *e, const struct mr_burst_entry *end)
{
	uint64_t sort = sort_of(e);
	uint32_t count = 1;

	if (e->view != NULL || e->header.kind != MRF_MESSAGE_KIND_PUBLISH || e->header.target == 0)
		return 0;
	while (e + count < end && e[count].from == e->from && e[count].view == NULL &&
		sort_of(&e[count]) == sort)
		count++;
	return count;
}

static bool route_viewed(struct mr_worker *w, const struct mr_burst_entry *e);

/* Routes a message without parts that is not part of a run, which is rare: makes a view of it. */
static bool __attribute__((noinline))
route_plain(struct mr_worker *w, const struct mr_burst_entry *e)
{
	struct mr_message_view plain = mr_message_plain(e->at, e->header);
	struct mr_burst_entry viewed = *e;

	viewed.view = &plain;
	return route_viewed(w, &viewed);
}

/* Routes a message that is not for a queue. False: it must wait. */
static bool route_viewed(struct mr_worker *w, const struct mr_burst_entry *e)
{
	if (mr_unlikely(e->view == NULL))
		return route_plain(w, e);
	if (mr_likely(e->header.kind == MRF_MESSAGE_KIND_PUBLISH))
		return publish_viewed(w, e);
	mr_worker_route_other(w, e->from, *e->view);
	return true;
}

/* Routes one message that is not part of a run. */
static inline bool route_one(struct mr_worker *w, const struct mr_burst_entry *e)
{
	if (mr_likely(e->header.kind == MRF_MESSAGE_KIND_PUBLISH) ||
		!mr_worker_is_for_queue(&e->header))
		return route_viewed(w, e);
	mr_worker_queues_entry(w, e);
	return true;
}

/* Passes on adjacent messages of one session for queues; returns how many. They add nothing to the
 * turn's work and leave nothing behind, so the turn's limits need no check between them. */
static inline uint32_t pass_to_queues(
	struct mr_worker *w, const struct mr_burst_entry *first, const struct mr_burst_entry *end)
{
	const struct mr_burst_entry *e = first;

	do
		mr_worker_queues_entry(w, e++);
	while (e < end && e->from == first->from && mr_worker_is_for_queue(&e->header));
	return (uint32_t)(e - first);
}

/* Routes the messages at `e`: a run, adjacent ones for queues, or one. Returns how many; 0: they
 * must wait. */
static inline uint32_t route_some(
	struct mr_worker *w, const struct mr_burst_entry *e, const struct mr_burst_entry *end)
{
	uint32_t run;

	if (e->view != NULL && mr_likely(e->header.kind == MRF_MESSAGE_KIND_PUBLISH))
		return publish_viewed(w, e);
	run = run_of(e, end);
	if (run > 0)
		return publish_run(w, e, run);
	if (mr_worker_is_for_queue(&e->header))
		return pass_to_queues(w, e, end);
	return route_viewed(w, e);
}

/* Bounds the cycles of a turn: the thread may not have run in between. */
static uint64_t __attribute__((noinline)) bound_cycles(const struct mr_burst_entry *first,
	const struct mr_burst_entry *end, uint64_t work, uint64_t cycles)
{
	uint64_t bytes = 0, most;

	for (const struct mr_burst_entry *e = first; e < end; e++)
		bytes += e->header.bytes;
	most = mr_worker_most_cycles(work, bytes);
	return cycles < most ? cycles : most;
}

/* Charges a turn. `*since`: see take_turn. */
static void end_turn(struct mr_worker *w, const struct mr_burst_entry *first,
	const struct mr_burst_entry *end, uint64_t *since)
{
	uint64_t work = mr_worker_turn_work(w), cycles, now;
	uint32_t count = (uint32_t)(end - first);

	mr_worker_turn_end(w, first->from, work, count);
	if (mr_likely(*since == 0))
		return;
	if (mr_worker_turn_is_estimated(w, first->from, work, count)) {
		cycles = (uint64_t)first->from->message_cycles * count;
		mr_worker_charge(w, first->from, cycles);
		*since += cycles;
		return;
	}
	now = rte_rdtsc();
	cycles = now - *since;
	/* The messages have at least their headers. */
	if (mr_unlikely(cycles > mr_worker_most_cycles(work, count * sizeof(first->header))))
		cycles = bound_cycles(first, end, work, cycles);
	mr_worker_charge(w, first->from, cycles);
	mr_worker_turn_measured(first->from, count, cycles);
	*since = now;
}

/* Routes all messages of a session that were taken from behind a waiting publish. */
static const struct mr_burst_entry *take_all(
	struct mr_worker *w, const struct mr_burst_entry *e, const struct mr_burst_entry *end)
{
	const struct mr_session *s = e->from;

	while (e < end && e->from == s)
		(void)route_one(w, e++);
	return e;
}

/* Moves the session's ring back to *e, to be read again later. If messages behind a waiting publish
 * were taken already (beyond.h), those that may pass a publish are routed now, up to an alias
 * release. */
static const struct mr_burst_entry *leave_in_ring(
	struct mr_worker *w, const struct mr_burst_entry *e, const struct mr_burst_entry *end)
{
	struct mr_session *s = e->from;
	const uint8_t *first = e->at;
	bool passing = s->looked_beyond;
	uint64_t back;

	if (passing && mr_worker_ring_is_beyond(s, e->at))
		return take_all(w, e, end);
	back = mr_worker_ring_back(s, first);
	s->up.head -= back;
	s->reread_bytes += (uint32_t)back;
	if (!passing)
		s->beyond = (uint32_t)s->up.head;
	for (; e < end && e->from == s; e++) {
		bool passes = passing && mr_message_passes(e->header);

		if (passes && mr_message_releases_alias(e->at, e->header)) {
			s->beyond =
				(uint32_t)(s->up.head + mr_worker_ring_between(s, first, e->at));
			passes = passing = false;
		}
		if (passes)
			(void)route_one(w, e);
		else
			s->reread_messages++;
	}
	s->looked_beyond = true;
	return e;
}

/* Leaves the rest of a turn for a later one; returns where the next turn begins. */
static const struct mr_burst_entry *__attribute__((noinline))
defer_rest(struct mr_worker *w, const struct mr_burst_entry *e, const struct mr_burst_entry *end)
{
	const struct mr_burst_entry *first = e;
	struct mr_session *s = e->from;

	w->moved = true;
	if (s->remote == NULL) {
		e = leave_in_ring(w, e, end);
	} else {
		while (e < end && e->from == s)
			mr_worker_late_put(w, e++);
	}
	mr_count(w->stats->late, (uint64_t)(e - first));
	return e;
}

/* Routes the adjacent messages of one session; returns where the next session's begin. `*since`:
 * start of this turn, then of the next one, cycles; 0: turns are not measured. */
static const struct mr_burst_entry *take_turn(struct mr_worker *w, const struct mr_burst_entry *e,
	const struct mr_burst_entry *end, uint64_t *since)
{
	const struct mr_burst_entry *first = e;
	const struct mr_router_counters *looked = w->looked;
	struct mr_session *s = e->from;
	bool waits = mr_session_must_wait(w, s);
	uint64_t over;

	mr_worker_turn_begin(w);
	over = w->share.turn_visits + MR_TURN_WORK;
	while (mr_likely(!waits) && e < end && e->from == s) {
		uint32_t took = route_some(w, e, end);

		e += took;
		waits = took == 0 || looked->visits + w->share.turn_work >= over || s->late != NULL;
	}
	end_turn(w, first, e, since);
	if (mr_unlikely(waits) && e < end && e->from == s)
		e = defer_rest(w, e, end);
	return e;
}

void mr_worker_route(struct mr_worker *w)
{
	const struct mr_burst_entry *e = w->burst;
	const struct mr_burst_entry *end = e + w->burst_count;
	uint64_t since = 0;

	w->had_room.from = NULL; /* receivers may become full from here on */
	w->had_room.by_subject = NULL;
	if (e == end)
		return;
	if (mr_unlikely(e->from != w->share.last || e->from != end[-1].from))
		since = rte_rdtsc();
	while (e < end)
		e = take_turn(w, e, end, &since);
}

void mr_worker_route_now(struct mr_worker *w)
{
	mr_worker_route(w);
	w->burst_count = 0;
}

bool mr_worker_route_late(struct mr_worker *w, const struct mr_burst_entry *e)
{
	uint64_t since = rte_rdtsc();
	bool took;

	w->had_room.from = NULL;
	w->had_room.by_subject = NULL;
	mr_worker_turn_begin(w);
	took = run_of(e, e + 1) == 0 ? route_one(w, e) : publish_run(w, e, 1) > 0;
	end_turn(w, e, e + took, &since);
	return took;
}
