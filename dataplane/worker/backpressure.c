/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/backpressure.h"

#include "dataplane/subject/hash.h"

#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/share.h"
#include "dataplane/worker/turns.h"

#include <stdlib.h>

/* Members of a queue group that are looked at before a publisher has to wait. */
#define MEMBERS_MAX MR_GROUP_PROMISE_TRIES_MAX
/* Who waits at the gate of all waits for nobody in particular. */
#define EVERYBODY (UINT64_MAX >> 1)

struct mr_gates *mr_gates_new(uint32_t slots)
{
	size_t bytes = mr_align_up(
		sizeof(struct mr_gates) + slots * sizeof(struct mr_gate), MR_CACHE_LINE);
	struct mr_gates *gates = aligned_alloc(MR_CACHE_LINE, bytes);

	if (gates != NULL)
		memset(gates, 0, bytes);
	return gates;
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

static const struct mr_worker *worker_at(const struct mr_worker *w, unsigned index)
{
	return index == w->index ? w : w->peers[index];
}

static bool any_shut(const struct mr_worker *of)
{
	return atomic_load_explicit(&of->gates->count, memory_order_relaxed) != 0;
}

/* The receiver's side. */

/* The count of times comes behind the gate: who saw the new number sees the gate shut. */
static void mark_full(struct mr_worker *w, struct mr_gate *gate, uint64_t value)
{
	struct mr_gates *gates = w->gates;
	uint64_t was = atomic_load_explicit(&gate->shut, memory_order_relaxed);

	if (was == value)
		return;
	atomic_store_explicit(&gate->shut, value, memory_order_seq_cst);
	/* [backpressure.count] */
	atomic_fetch_add_explicit(&gates->shuts, 1, memory_order_release);
	if (was == 0)
		atomic_fetch_add_explicit(&gates->count, 1, memory_order_relaxed);
}

static void clear_full(struct mr_worker *w, struct mr_gate *gate)
{
	atomic_store_explicit(&gate->shut, 0, memory_order_seq_cst); /* [worker.sleep] */
	atomic_fetch_sub_explicit(&w->gates->count, 1, memory_order_relaxed);
}

static struct mr_gate *gate_of(struct mr_worker *w, const struct mr_waiting *x)
{
	return &w->gates->of[x->slot];
}

static uint64_t id_of(const struct mr_worker *w, const struct mr_waiting *x)
{
	return mr_session_id(w->index, x->slot, x->generation);
}

void mr_worker_full(struct mr_worker *w, struct mr_session *s, struct mr_waiting *x,
	const struct mr_route *r, uint64_t low)
{
	show_subject(s->stats, r);
	mr_gauge(s->stats->full_since_ns, mr_worker_now_ns(w));
	x->level = UINT64_MAX;
	x->since = x->looked = mr_worker_clock(w);
	x->open_below = low > 0 ? low : 1;
	mark_full(w, gate_of(w, x), s->id);
}

/* Workers whose sessions may have waited. */
static void ring_peers(struct mr_worker *w)
{
	for (unsigned i = 0; i < w->workers; i++)
		if (i != w->index)
			w->mesh.to_wake |= 1ull << i;
	w->moved = true;
}

/* A slot may have another tenant by now, whose gate is none of this one's. */
void mr_worker_not_full(struct mr_worker *w, struct mr_session *s, struct mr_waiting *x)
{
	struct mr_gate *gate = gate_of(w, x);
	uint64_t now = atomic_load_explicit(&gate->shut, memory_order_relaxed);

	x->open_below = 0;
	if (s != NULL) {
		mr_gauge(s->stats->full_since_ns, 0);
		s->copies_max = 0;
	}
	if ((now & ~MR_GATE_OVER) != id_of(w, x))
		return;
	if (s != NULL && s->over)
		mark_full(w, gate, id_of(w, x) | MR_GATE_OVER);
	else
		clear_full(w, gate);
	ring_peers(w);
}

void mr_worker_look_at_store(struct mr_worker *w)
{
	uint64_t most = mr_slab_bytes_max(w->store);
	uint64_t left = most - mr_slab_bytes(w->store);
	bool is_shut = mr_worker_store_is_short(w);

	w->held_share = left / 4 < w->held_bytes_max ? left / 4 : w->held_bytes_max;
	if (!is_shut && left < most / 4) {
		mark_full(w, &w->gates->all, EVERYBODY);
	} else if (is_shut && left > most / 2) {
		clear_full(w, &w->gates->all);
		ring_peers(w);
	}
}

/* The publisher's side. */

/* True if no more that is promised may be on its way to that worker now. */
static bool window_full(struct mr_worker *w, unsigned to)
{
	if (mr_likely(w->window.sent[to] - w->window.seen[to] <= MR_UNDERWAY_WINDOW_BYTES))
		return false;
	w->window.seen[to] =
		atomic_load_explicit(&w->peers[to]->windows[w->index].taken, memory_order_relaxed);
	return w->window.sent[to] - w->window.seen[to] > MR_UNDERWAY_WINDOW_BYTES;
}

void mr_worker_window_sent(struct mr_worker *w, uint64_t workers, uint32_t body_bytes)
{
	for (; workers != 0; workers &= workers - 1)
		w->window.sent[__builtin_ctzll(workers)] += body_bytes + MR_UNDERWAY_EACH_BYTES;
}

/* A number alone, which orders nothing. */
void mr_worker_window_tell(struct mr_worker *w, unsigned from)
{
	_Atomic uint64_t *told = &w->windows[from].taken;

	if (w->window.taken == 0)
		return;
	atomic_store_explicit(told,
		atomic_load_explicit(told, memory_order_relaxed) + w->window.taken,
		memory_order_relaxed);
	w->window.taken = 0;
}

/* LATE: its worker has not taken what is on its way there. */
enum member_state { MEMBER_OPEN, MEMBER_LATE, MEMBER_FULL, MEMBER_OVER };

static enum member_state member_state(struct mr_worker *w, const struct mr_member *m)
{
	const struct mr_worker *of = worker_at(w, m->worker);
	uint64_t shut_by, id;

	if (m->high_water == 0)
		return MEMBER_OPEN;
	if (m->worker != w->index && mr_unlikely(window_full(w, m->worker)))
		return MEMBER_LATE;
	if (mr_likely(!any_shut(of)))
		return MEMBER_OPEN;
	id = mr_session_id(m->worker, m->slot, m->generation);
	shut_by = atomic_load_explicit(&of->gates->of[m->slot].shut, memory_order_seq_cst);
	if (shut_by == (id | MR_GATE_OVER))
		return MEMBER_OVER;
	return shut_by == id || mr_gate_is_shut(&of->gates->all, EVERYBODY) ? MEMBER_FULL
									    : MEMBER_OPEN;
}

bool mr_worker_member_full(struct mr_worker *w, const struct mr_member *member)
{
	return member_state(w, member) != MEMBER_OPEN;
}

bool mr_worker_member_over(struct mr_worker *w, const struct mr_member *member)
{
	return member_state(w, member) == MEMBER_OVER;
}

/* What a publisher waits for: MEMBER_OPEN: nothing, as one that is over is waited for by nobody. */
static enum member_state group_state(struct mr_worker *w, const struct mr_route *r, uint32_t group,
	const struct mr_message_view *m, uint64_t *looks)
{
	bool piece = (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0;
	uint32_t *turns = mr_turns_of(w->turns, r->hash, r->groups[group].group);
	uint32_t turn = piece ? mr_worker_turn_of(&m->extra.fragment) : *turns;
	uint32_t members = piece ? 1 : r->groups[group].members;
	uint32_t tries = members < MEMBERS_MAX ? members : MEMBERS_MAX;
	enum member_state least = MEMBER_OVER;
	struct mr_member member;

	for (uint32_t i = 0; i < tries && least != MEMBER_OPEN; i++) {
		enum member_state state = MEMBER_OPEN;

		++*looks;
		if (mr_route_group_pick(r, group, turn + i, &member))
			state = member_state(w, &member);
		least = state < least ? state : least;
	}
	if (least == MEMBER_OPEN || least == MEMBER_OVER)
		return MEMBER_OPEN;
	*turns += tries; /* of a large group others are asked next */
	return least;
}

/* Where a publish has to wait. */
struct stop {
	struct mr_worker *w;
	const struct mr_gate *gate; /* NULL: nowhere */
	uint64_t of;
	uint64_t looks; /* at sinks and members */
};

/* True if one of those subscribers would rather be waited for, and is full. */
static bool find_shut(struct stop *stop, unsigned worker, const struct mr_sink_span *span)
{
	const struct mr_gates *gates = worker_at(stop->w, worker)->gates;
	bool all = mr_gate_is_shut(&gates->all, EVERYBODY);

	stop->looks += span->count;

	for (const struct mr_sink *sink = span->sinks; sink < span->sinks + span->count; sink++) {
		uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);
		uint64_t id = mr_session_id(worker, sink->slot, sink->generation);

		if ((flags & MR_SINK_GONE) || mr_sink_high_water(flags) == 0)
			continue;
		if (!all && !mr_gate_is_shut(&gates->of[sink->slot], id))
			continue;
		stop->gate = all ? &gates->all : &gates->of[sink->slot];
		stop->of = all ? EVERYBODY : id;
		return true;
	}
	return false;
}

static bool see_far(void *arg, unsigned worker, const struct mr_sink_span *span)
{
	struct stop *stop = arg;

	return any_shut(stop->w->peers[worker]) && find_shut(stop, worker, span);
}

/* Times that gates of those workers were shut. */
static uint64_t shuts_of(const struct mr_worker *w, uint64_t workers)
{
	uint64_t shuts = 0;

	for (; workers != 0; workers &= workers - 1)
		/* [backpressure.count] */
		shuts += atomic_load_explicit(
			&w->peers[__builtin_ctzll(workers)]->gates->shuts, memory_order_acquire);
	return shuts;
}

/* Some gate of those workers is shut: is it of this subject's subscribers? A walk tells; that nobody had to
 * be waited for stays true until another gate is shut, or the table changes. */
static void __attribute__((noinline)) look_far(struct stop *stop, const struct mr_route *r)
{
	struct mr_worker *w = stop->w;
	struct mr_far_passed *passed = &w->far_passed[r->hash % MR_FAR_PASSED];
	struct mr_far_passed now = {r->hash, mr_route_version(r), shuts_of(w, r->workers)};

	if (passed->hash == now.hash && passed->version == now.version &&
		passed->shuts == now.shuts)
		return;
	mr_router_far(w->router, r, see_far, stop);
	if (stop->gate == NULL)
		*passed = now;
}

/* The gate of a plain subscriber that the message would have to wait at. */
static void look_at_plain(struct stop *stop, const struct mr_route *r)
{
	struct mr_worker *w = stop->w;
	bool far = false;

	if (r->span_count > 0 && mr_unlikely(any_shut(w)))
		for (uint32_t i = 0; i < r->span_count; i++)
			if (find_shut(stop, w->index, &r->spans[i]))
				return;
	for (uint64_t left = r->workers; left != 0; left &= left - 1)
		far |= any_shut(w->peers[__builtin_ctzll(left)]);
	if (mr_unlikely(far))
		look_far(stop, r);
}

static bool windows_full(struct mr_worker *w, const struct mr_route *r)
{
	for (uint64_t left = r->workers; left != 0; left &= left - 1)
		if (mr_unlikely(window_full(w, (unsigned)__builtin_ctzll(left))))
			return true;
	return false;
}

/* Returns the route of a publish; NULL: it has none. */
static const struct mr_route *route_of(
	struct mr_worker *w, const struct mr_session *s, const struct mr_message_view *m)
{
	if (m->header.target == 0)
		return mr_worker_subject(w, m->subject, m->subject_bytes);
	return mr_session_holds(s, m->header.target) ? mr_worker_alias(w, m->header.target) : NULL;
}

/* `gate`: that at which it is asked next; NULL: any of a queue group's, so it is asked in each round. */
static void pause_publisher(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_gate *gate, uint64_t of)
{
	if (!s->stalled)
		mr_gauge(s->stats->blocked_since_ns, mr_worker_now_ns(w));
	s->stalled = true;
	s->gate = gate;
	s->gate_of = mr_session_generation(of);
	show_subject(s->stats, r);
}

static void resume_publisher(struct mr_session *s)
{
	s->stalled = false;
	s->gate = NULL;
	s->gate_of = 0;
	mr_gauge(s->stats->blocked_since_ns, 0);
	mr_gauge(s->stats->blocked_by, 0);
}

/* False: it has to wait; for a window only until the other worker has made a round, which nobody needs to
 * be told of. */
static bool may_publish_now(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_message_view *m, struct stop *stop)
{
	bool late = false;

	look_at_plain(stop, r);
	if (mr_unlikely(stop->gate != NULL)) {
		pause_publisher(w, s, r, stop->gate, stop->of);
		return false;
	}
	for (uint32_t g = 0; g < r->group_count && !late; g++) {
		enum member_state state = group_state(w, r, g, m, &stop->looks);

		if (mr_unlikely(state == MEMBER_FULL)) {
			pause_publisher(w, s, r, NULL, 0);
			return false;
		}
		late |= state == MEMBER_LATE;
	}
	if (mr_likely(!late && !windows_full(w, r)))
		return true;
	if (mr_unlikely(s->stalled))
		resume_publisher(s);
	return false;
}

static bool check_receivers(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_message_view *m)
{
	struct stop stop = {.w = w};
	bool passes = may_publish_now(w, s, r, m, &stop);

	if (mr_unlikely(stop.looks >= MR_ROUTE_LARGE))
		mr_worker_charge_looks(w, s, stop.looks);
	return passes;
}

bool mr_worker_may_publish(
	struct mr_worker *w, struct mr_session *s, const struct mr_message_view *m)
{
	const struct mr_route *r = route_of(w, s, m);

	if (r != NULL && !check_receivers(w, s, r, m))
		return false;
	if (mr_unlikely(s->stalled))
		resume_publisher(s);
	return true;
}

static bool may_take(struct mr_worker *w, struct mr_session *s, const struct mr_message_view *m)
{
	return mr_worker_may_publish(w, s, m) ||
	       atomic_load_explicit(&s->ends, memory_order_relaxed);
}

/* A bare publish by alias, whose view nobody needs later. */
static bool __attribute__((noinline)) may_take_bare(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, struct mrf_message_header h)
{
	struct mr_message_view m = mr_message_plain(at, h);

	return may_take(w, s, &m);
}

/* True if an earlier message of the burst went to the same subject: one look is enough for all of them. */
static bool is_like_last(
	const struct mr_worker *w, const struct mr_session *s, const struct mr_message_view *m)
{
	const struct mr_burst_entry *last = w->passed_gates.by_subject;

	return last != NULL && last->from == s && last->view->subject_bytes == m->subject_bytes &&
	       m->subject_bytes != 0 && (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) == 0 &&
	       mr_text_equal(last->view->subject, m->subject, m->subject_bytes);
}

bool mr_worker_take_promised(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, uint64_t word)
{
	struct mrf_message_header h = mr_message_header(word);
	const struct mr_message_view *view = NULL;

	if (mr_worker_needs_view(h)) {
		view = mr_worker_take_apart(w, s, w->burst_count, at, h);
		if (mr_unlikely(view == NULL)) {
			mr_count(s->stats->rejected, 1);
			if (s->stalled)
				resume_publisher(s);
			return true;
		}
	}
	if (h.target != 0 || view == NULL) {
		if (!(view != NULL ? may_take(w, s, view) : may_take_bare(w, s, at, h)))
			return false;
		w->passed_gates.from = h.target != 0 ? s : NULL;
		w->passed_gates.target = h.target;
	} else if (!is_like_last(w, s, view)) {
		if (!may_take(w, s, view))
			return false;
		w->passed_gates.by_subject = &w->burst[w->burst_count];
	}
	mr_worker_append(w, s, at, word, view);
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
	/* A copy is made by these. */
	w->views[index].extra.flags &= (uint8_t)~promises;
}

/* 0: nobody alone. */
static uint64_t waited_for(const struct mr_session *s)
{
	uint64_t by = 0;

	if (s->gate != NULL)
		by = atomic_load_explicit(&s->gate->shut, memory_order_relaxed);
	return by == EVERYBODY ? 0 : by & ~MR_GATE_OVER;
}

void mr_worker_count_stall(struct mr_worker *w, struct mr_session *s)
{
	/* What it says meanwhile is not read: it is not silent. */
	atomic_store_explicit(&s->heard, mr_worker_clock(w), memory_order_relaxed);
	if (!s->stalled && s->gate == NULL) {
		mr_count(w->stats->mesh_stalls, 1);
		return;
	}
	mr_count(w->stats->publisher_blocks, 1);
	mr_count(s->stats->blocked_rounds, 1);
	mr_gauge(s->stats->blocked_by, waited_for(s));
}
