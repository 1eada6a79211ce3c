/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/gate.h"

#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/turns.h"

/* Members of a queue group that are looked at before a publisher has to wait. */
#define MEMBERS_MAX 8u
/* Sessions looked at for one to name. */
#define NAMES_MAX 16u

/* A gate is of a subject's hash, or of a member of queue groups. */
static uint64_t member_key(uint32_t slot, uint32_t generation)
{
	uint64_t key = ((uint64_t)slot << 32 | generation) * UINT64_C(0x9e3779b97f4a7c15);

	return key ^ key >> 32;
}

static uint32_t bucket_of(uint64_t key)
{
	return (uint32_t)key & (MR_GATES - 1);
}

static uint32_t tag_of(uint64_t key)
{
	return (uint32_t)(key >> 32) | 1;
}

static void show_subject(struct mrf_session_stats *stats, const struct mr_route *r)
{
	uint64_t words[5] = {0};

	memcpy(words, r->subject, r->bytes < sizeof(words) ? r->bytes : sizeof(words));
	mr_gauge(stats->slow_subject_0, words[0]);
	mr_gauge(stats->slow_subject_1, words[1]);
	mr_gauge(stats->slow_subject_2, words[2]);
	mr_gauge(stats->slow_subject_3, words[3]);
	mr_gauge(stats->slow_subject_4, words[4]);
}

/* NULL: it is open for that key. */
static const struct mr_gate *shut_gate(const struct mr_worker *of, uint64_t key)
{
	const struct mr_gate *gate = &of->gates[bucket_of(key)];

	return mr_gate_is_shut(gate, tag_of(key)) ? gate : NULL;
}

static const struct mr_worker *worker_at(const struct mr_worker *w, unsigned index)
{
	return index == w->index ? w : w->peers[index];
}

/* The receiver's side. */

static void shut(struct mr_worker *w, struct mr_session *s, struct mr_waiting *x, uint64_t key)
{
	uint32_t bucket = bucket_of(key), tag = tag_of(key);
	struct mr_gate *gate = &w->gates[bucket];
	uint64_t bit = 1ull << bucket % 64;

	if (!(x->gates[bucket / 64] & bit)) {
		x->gates[bucket / 64] |= bit;
		if (gate->holds++ > 0 &&
			atomic_load_explicit(&gate->tag, memory_order_relaxed) != tag)
			tag = MR_GATE_ANY;
	} else if (atomic_load_explicit(&gate->tag, memory_order_relaxed) != tag) {
		tag = MR_GATE_ANY;
	}
	atomic_store_explicit(&gate->by, s->id, memory_order_relaxed);
	atomic_store_explicit(&gate->tag, tag, memory_order_seq_cst);
}

static bool over(uint64_t used, uint64_t capacity, uint32_t water)
{
	return used * 100 > capacity * water;
}

static void fill_up(struct mr_worker *w, struct mr_session *s, struct mr_waiting *x, uint32_t water)
{
	uint64_t low = mr_worker_capacity(s) * water / 200;

	if (x->open_below == 0)
		mr_gauge(s->stats->full_since_ns, mr_worker_now_ns(w));
	if (x->open_below == 0 || low < x->open_below)
		x->open_below = low > 0 ? low : 1;
}

/* After a promised message went to a session that rather waits: shuts the gate if that made it
 * full. */
static void look_at_water(struct mr_worker *w, struct mr_session *s, uint32_t water, uint64_t key,
	const struct mr_route *r)
{
	uint64_t capacity = mr_worker_capacity(s);
	struct mr_waiting *x = s->waiting;
	uint64_t held = x != NULL ? x->bytes : 0;

	if (mr_likely((x == NULL || x->open_below == 0) &&
		      !over(mr_worker_underway(s) + held, capacity, water)))
		return;
	if ((x == NULL || x->open_below == 0) &&
		!over(mr_worker_underway_now(s) + held, capacity, water))
		return;
	x = mr_worker_waiting(w, s);
	if (x == NULL)
		return; /* there is no memory to hold anything either: it is missed, and told */
	if (x->open_below == 0)
		show_subject(s->stats, r);
	fill_up(w, s, x, water);
	shut(w, s, x, key);
}

/* Workers whose sessions may have waited. */
static void ring_peers(struct mr_worker *w)
{
	for (unsigned i = 0; i < w->workers; i++)
		if (i != w->index)
			w->mesh.rung |= 1ull << i;
	w->moved = true;
}

/* It stays shut for another: which one, for those who ask whom they wait for. */
static bool name_another(struct mr_worker *w, struct mr_gate *gate, uint32_t bucket)
{
	const struct mr_waiting *x = w->waiting.first;

	for (uint32_t i = 0; i < NAMES_MAX && x != NULL; i++, x = x->next)
		if (x->gates[bucket / 64] >> bucket % 64 & 1) {
			atomic_store_explicit(&gate->by,
				mr_session_id(w->index, x->slot, x->generation),
				memory_order_relaxed);
			return true;
		}
	return false;
}

/* True if it opened, or if those who wait at it are to know that they wait for another. */
static bool let_go(struct mr_worker *w, uint32_t bucket)
{
	struct mr_gate *gate = &w->gates[bucket];

	if (--gate->holds > 0)
		return name_another(w, gate, bucket);
	atomic_store_explicit(&gate->tag, 0, memory_order_seq_cst); /* [worker.sleep] */
	return true;
}

void mr_worker_not_full(struct mr_worker *w, struct mr_session *s, struct mr_waiting *x)
{
	bool opened = false;

	if (s != NULL)
		mr_gauge(s->stats->full_since_ns, 0);
	x->open_below = 0;
	for (uint32_t i = 0; i < MR_ARRAY_COUNT(x->gates); i++)
		for (; x->gates[i] != 0; x->gates[i] &= x->gates[i] - 1)
			opened |= let_go(w, i * 64 + (uint32_t)__builtin_ctzll(x->gates[i]));
	if (opened)
		ring_peers(w);
}

uint32_t mr_worker_promise_own(
	struct mr_worker *w, const struct mr_route *r, const struct mr_message_plan *plan)
{
	uint32_t delivered = 0;

	for (uint32_t i = 0; i < r->span_count; i++) {
		const struct mr_sink *sink = r->spans[i].sinks;
		const struct mr_sink *end = sink + r->spans[i].count;

		for (; sink < end; sink++) {
			uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);
			uint32_t water = mr_sink_water(flags);
			struct mr_session *s;

			if (flags & MR_SINK_GONE)
				continue;
			s = mr_directory_find(&w->directory, sink->slot, sink->generation);
			if (s == NULL || mr_worker_is_over(s)) {
				mr_count(w->stats->drop_session_gone, 1);
			} else if (water != 0) {
				delivered += mr_worker_promise(w, s, plan, sink->sub_id) !=
					     MR_PROMISE_LOST;
				look_at_water(w, s, water, r->hash, r);
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

/* As many as ring or frames have room for now. */
static uint32_t copy_run(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count, uint32_t target)
{
	uint32_t done;

	if (mr_unlikely(s->missed_untold != 0))
		return 0;
	if (s->remote != NULL) {
		if (!mr_session_speaks_reliably(s) ||
			(s->waiting != NULL && s->waiting->first != NULL))
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

static void run_to_sink(struct mr_worker *w, const struct mr_route *r, const struct mr_sink *sink,
	const struct mr_burst_entry *e, uint32_t count)
{
	uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);
	uint32_t water = mr_sink_water(flags);
	struct mr_session *s;

	if (flags & MR_SINK_GONE)
		return;
	s = mr_directory_find(&w->directory, sink->slot, sink->generation);
	if (s == NULL || mr_worker_is_over(s)) {
		mr_count(w->stats->drop_session_gone, count);
	} else if (water != 0) {
		w->round.delivered += promise_run(w, s, r, e, count, sink->sub_id);
		look_at_water(w, s, water, r->hash, r);
	} else {
		w->round.delivered += mr_worker_deliver_run(w, s, r, e, count, sink->sub_id);
	}
}

void mr_worker_promise_run_own(struct mr_worker *w, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count)
{
	for (uint32_t i = 0; i < r->span_count; i++)
		for (uint32_t k = 0; k < r->spans[i].count; k++)
			run_to_sink(w, r, &r->spans[i].sinks[k], e, count);
}

bool mr_worker_promise_member(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	uint32_t water, const struct mr_message_plan *plan, uint32_t sub_id)
{
	bool delivered;

	if (water == 0)
		return mr_worker_copy(w, s, plan, sub_id);
	delivered = mr_worker_promise(w, s, plan, sub_id) != MR_PROMISE_LOST;
	look_at_water(w, s, water, member_key(s->slot, s->generation), r);
	return delivered;
}

/* The publisher's side. */

bool mr_worker_member_full(const struct mr_worker *w, const struct mr_member *member)
{
	return member->water != 0 && shut_gate(worker_at(w, member->worker),
					     member_key(member->slot, member->generation)) != NULL;
}

static bool group_full(struct mr_worker *w, const struct mr_route *r, uint32_t group,
	const struct mr_message_view *m)
{
	bool piece = (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0;
	uint32_t *turns = mr_turns_of(w->turns, r->hash, r->groups[group].group);
	uint32_t turn = piece ? mr_worker_turn_of(&m->extra.fragment) : *turns;
	uint32_t members = piece ? 1 : r->groups[group].members;
	uint32_t tries = members < MEMBERS_MAX ? members : MEMBERS_MAX;
	struct mr_member member;

	for (uint32_t i = 0; i < tries; i++)
		if (!mr_route_group_pick(r, group, turn + i, &member) ||
			!mr_worker_member_full(w, &member))
			return false;
	*turns += tries; /* of a large group others are asked next */
	return true;
}

/* The gate of a plain subscriber that the message would have to wait at. */
static const struct mr_gate *plain_gate(struct mr_worker *w, const struct mr_route *r)
{
	uint64_t key = r->hash;
	const struct mr_gate *gate = NULL;

	if (r->span_count > 0)
		gate = shut_gate(w, key);
	for (uint64_t left = r->workers; left != 0 && gate == NULL; left &= left - 1)
		gate = shut_gate(worker_at(w, (unsigned)__builtin_ctzll(left)), key);
	return gate;
}

/* A publish as it would be routed; NULL: it would not be. The subject is copied, as it may change. */
static const struct mr_route *route_of(
	struct mr_worker *w, const struct mr_session *s, const struct mr_message_view *m)
{
	char subject[MR_SUBJECT_BYTES_MAX + 1];

	if (m->header.target != 0)
		return mr_session_holds(s, m->header.target) ? mr_worker_alias(w, m->header.target)
							     : NULL;
	memcpy(subject, m->subject, m->subject_bytes);
	return mr_worker_subject(w, subject, m->subject_bytes);
}

/* `gate`: that at which it is asked next; NULL: any of a queue group's, so it is asked in each round. */
static void stall(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_gate *gate)
{
	if (!s->stalled)
		mr_gauge(s->stats->blocked_since_ns, mr_worker_now_ns(w));
	s->stalled = true;
	s->gate = gate;
	s->gate_tag = tag_of(r->hash);
	show_subject(s->stats, r);
}

static void go_on(struct mr_session *s)
{
	s->stalled = false;
	s->gate = NULL;
	mr_gauge(s->stats->blocked_since_ns, 0);
	mr_gauge(s->stats->blocked_by, 0);
}

/* False: it has to wait. */
static bool pass(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_message_view *m)
{
	const struct mr_gate *gate = plain_gate(w, r);

	if (mr_unlikely(gate != NULL)) {
		stall(w, s, r, gate);
		return false;
	}
	for (uint32_t g = 0; g < r->group_count; g++)
		if (mr_unlikely(group_full(w, r, g, m))) {
			stall(w, s, r, NULL);
			return false;
		}
	return true;
}

bool mr_worker_gates_pass(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, struct mrf_message_header h)
{
	const struct mr_route *r = NULL;
	struct mr_message_view m;

	/* What makes no sense is refused by who takes it. */
	if (mr_message_parse(at, h, &m))
		r = route_of(w, s, &m);
	if (r != NULL && !pass(w, s, r, &m))
		return false;
	if (mr_unlikely(s->stalled))
		go_on(s);
	w->passed_gates.from = h.target != 0 ? s : NULL;
	w->passed_gates.target = h.target;
	return true;
}

void mr_worker_keep_unpromised(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, struct mrf_message_header h)
{
	const uint8_t promises = MRF_MESSAGE_FLAG_ORIGIN | MRF_MESSAGE_FLAG_HIGH;
	uint32_t index = w->burst_count;

	if (mr_worker_is_bare_promise(h))
		h.flags = 0;
	mr_worker_keep(w, s, at, h);
	if (w->burst_count == index || w->burst[index].view == NULL)
		return;
	/* It was taken apart by what it says; from here on it is as others. */
	w->burst[index].header.flags &= (uint8_t)~promises;
	w->views[index].header.flags &= (uint8_t)~promises;
}

void mr_worker_count_stall(struct mr_worker *w, struct mr_session *s)
{
	mr_count(w->stats->publisher_blocks, 1);
	mr_count(s->stats->blocked_rounds, 1);
	/* What it says meanwhile is not read: it is not silent. */
	atomic_store_explicit(&s->heard, mr_worker_clock(w), memory_order_relaxed);
	if (s->gate != NULL)
		mr_gauge(s->stats->blocked_by,
			atomic_load_explicit(&s->gate->by, memory_order_relaxed));
}
