/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/backpressure.h"

#include <stdlib.h>

#include "dataplane/subject/hash.h"
#include "dataplane/worker/bound.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/share.h"
#include "dataplane/worker/turns.h"

/* Members of a queue group that are checked before a publisher is paused. */
#define MEMBERS_MAX MR_GROUP_PROMISE_TRIES_MAX
/* Stands in the flag of all sessions instead of a session id. */
#define EVERYBODY (UINT64_MAX >> 1)

struct mr_full_flags *mr_full_flags_new(uint32_t slots)
{
	size_t bytes = mr_align_up(
		sizeof(struct mr_full_flags) + slots * sizeof(struct mr_full_flag), MR_CACHE_LINE);
	struct mr_full_flags *full = aligned_alloc(MR_CACHE_LINE, bytes);

	if (full != NULL)
		memset(full, 0, bytes);
	return full;
}

static void gauge_subject(struct mrf_session_stats *stats, const struct mr_route *r)
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

static bool any_full(const struct mr_worker *of)
{
	return atomic_load_explicit(&of->full->count, memory_order_relaxed) != 0;
}

/* The receiver's side. */

/* Raises `sets` after the flag: a worker that sees the new count sees the flag set. */
static void mark_full(struct mr_worker *w, struct mr_full_flag *flag, uint64_t value)
{
	struct mr_full_flags *full = w->full;
	uint64_t was = atomic_load_explicit(&flag->session, memory_order_relaxed);

	if (was == value)
		return;
	atomic_store_explicit(&flag->session, value, memory_order_seq_cst);
	/* [backpressure.count] */
	atomic_fetch_add_explicit(&full->sets, 1, memory_order_release);
	if (was == 0)
		atomic_fetch_add_explicit(&full->count, 1, memory_order_relaxed);
}

static void clear_full(struct mr_worker *w, struct mr_full_flag *flag)
{
	atomic_store_explicit(&flag->session, 0, memory_order_seq_cst); /* [worker.sleep] */
	atomic_fetch_sub_explicit(&w->full->count, 1, memory_order_relaxed);
}

static struct mr_full_flag *flag_of(struct mr_worker *w, const struct mr_slow_session *x)
{
	return &w->full->of[x->slot];
}

static uint64_t id_of(const struct mr_worker *w, const struct mr_slow_session *x)
{
	return mr_session_id(w->index, x->slot, x->generation);
}

void mr_worker_full(struct mr_worker *w, struct mr_session *s, struct mr_slow_session *x,
	const struct mr_route *r, uint64_t low)
{
	gauge_subject(s->stats, r);
	mr_gauge(s->stats->full_since_ns, mr_worker_now_ns(w));
	x->level = UINT64_MAX;
	x->since = x->looked = mr_worker_clock(w);
	x->open_below = low > 0 ? low : 1;
	mark_full(w, flag_of(w, x), s->id);
}

void mr_worker_wake_peers(struct mr_worker *w)
{
	for (unsigned i = 0; i < w->workers; i++)
		if (i != w->index)
			w->mesh.to_wake |= 1ull << i;
	w->moved = true;
}

/* The slot may belong to another session by now: then its flag is left alone. */
void mr_worker_not_full(struct mr_worker *w, struct mr_session *s, struct mr_slow_session *x)
{
	struct mr_full_flag *flag = flag_of(w, x);
	uint64_t now = atomic_load_explicit(&flag->session, memory_order_relaxed);

	x->open_below = 0;
	if (s != NULL) {
		mr_gauge(s->stats->full_since_ns, 0);
		s->copies_max = 0;
	}
	if ((now & ~MR_FULL_FLAG_PASSED_OVER) != id_of(w, x))
		return;
	if (s != NULL && s->passed_over)
		mark_full(w, flag, id_of(w, x) | MR_FULL_FLAG_PASSED_OVER);
	else
		clear_full(w, flag);
	mr_worker_wake_peers(w);
}

void mr_worker_check_store(struct mr_worker *w)
{
	uint64_t most = mr_slab_bytes_max(w->store);
	uint64_t left = most - mr_slab_bytes(w->store);
	bool is_short = mr_worker_store_is_short(w);

	w->queued_share = left / 4 < w->held_bytes_max ? left / 4 : w->held_bytes_max;
	if (!is_short && left < most / 4) {
		mark_full(w, &w->full->all, EVERYBODY);
	} else if (is_short && left > most / 2) {
		clear_full(w, &w->full->all);
		mr_worker_wake_peers(w);
	}
}

/* The publisher's side. */

bool mr_worker_window_full(struct mr_worker *w, unsigned to)
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

/* A plain counter: it orders nothing else. */
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

/* LATE: the window to the member's worker is used up. */
enum member_state { MEMBER_OPEN, MEMBER_LATE, MEMBER_FULL, MEMBER_PASSED_OVER };

static enum member_state member_state(struct mr_worker *w, const struct mr_member *m)
{
	const struct mr_worker *of = worker_at(w, m->worker);
	uint64_t shut_by, id;

	if (m->high_water == 0)
		return MEMBER_OPEN;
	if (m->worker != w->index && mr_unlikely(mr_worker_window_full(w, m->worker)))
		return MEMBER_LATE;
	if (mr_likely(!any_full(of)))
		return MEMBER_OPEN;
	id = mr_session_id(m->worker, m->slot, m->generation);
	shut_by = atomic_load_explicit(&of->full->of[m->slot].session, memory_order_seq_cst);
	if (shut_by == (id | MR_FULL_FLAG_PASSED_OVER))
		return MEMBER_PASSED_OVER;
	return shut_by == id || mr_full_flag_is(&of->full->all, EVERYBODY) ? MEMBER_FULL
									   : MEMBER_OPEN;
}

bool mr_worker_member_full(struct mr_worker *w, const struct mr_member *member)
{
	return member_state(w, member) != MEMBER_OPEN;
}

bool mr_worker_member_passed_over(struct mr_worker *w, const struct mr_member *member)
{
	return member_state(w, member) == MEMBER_PASSED_OVER;
}

/* Returns the best state of the group's members. If all are passed over, MEMBER_OPEN: nobody waits
 * for them. */
static enum member_state group_state(struct mr_worker *w, const struct mr_route *r, uint32_t group,
	const struct mr_message_view *m, uint64_t *looks)
{
	bool piece = (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0;
	uint32_t *turns = mr_turns_of(w->turns, r->hash, r->groups[group].group);
	uint32_t turn = piece ? mr_worker_turn_of(&m->extra.fragment) : *turns;
	uint32_t members = piece ? 1 : r->groups[group].members;
	uint32_t tries = members < MEMBERS_MAX ? members : MEMBERS_MAX;
	enum member_state least = MEMBER_PASSED_OVER;
	struct mr_member member;

	for (uint32_t i = 0; i < tries && least != MEMBER_OPEN; i++) {
		enum member_state state = MEMBER_OPEN;

		++*looks;
		if (mr_route_group_pick(r, group, turn + i, &member))
			state = member_state(w, &member);
		least = state < least ? state : least;
	}
	if (least == MEMBER_OPEN || least == MEMBER_PASSED_OVER)
		return MEMBER_OPEN;
	*turns += tries; /* the next check of a large group looks at other members */
	return least;
}

/* The receiver that a publish must wait for. */
struct stop {
	struct mr_worker *w;
	const struct mr_full_flag *flag; /* NULL: none */
	uint64_t session;
	uint64_t looks; /* sinks and members that were checked */
};

/* True if one of these subscribers blocks and is full. */
static bool find_full(struct stop *stop, unsigned worker, const struct mr_sink_span *span)
{
	const struct mr_full_flags *full = worker_at(stop->w, worker)->full;
	bool all = mr_full_flag_is(&full->all, EVERYBODY);

	stop->looks += span->count;

	for (const struct mr_sink *sink = span->sinks; sink < span->sinks + span->count; sink++) {
		uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);
		uint64_t id = mr_session_id(worker, sink->slot, sink->generation);

		if ((flags & MR_SINK_GONE) || mr_sink_high_water(flags) == 0)
			continue;
		if (!all && !mr_full_flag_is(&full->of[sink->slot], id))
			continue;
		stop->flag = all ? &full->all : &full->of[sink->slot];
		stop->session = all ? EVERYBODY : id;
		return true;
	}
	return false;
}

static bool see_far(void *arg, unsigned worker, const struct mr_sink_span *span)
{
	struct stop *stop = arg;

	return any_full(stop->w->peers[worker]) && find_full(stop, worker, span);
}

/* Returns how many times flags of these workers were set. */
static uint64_t sets_of(const struct mr_worker *w, uint64_t workers)
{
	uint64_t sets = 0;

	for (; workers != 0; workers &= workers - 1)
		/* [backpressure.count] */
		sets += atomic_load_explicit(
			&w->peers[__builtin_ctzll(workers)]->full->sets, memory_order_acquire);
	return sets;
}

/* A flag of another worker is set: walks the table to find out if it is of a subscriber of this
 * subject. A negative result stays valid until another flag is set or the table changes. */
static void __attribute__((noinline)) look_at_far(struct stop *stop, const struct mr_route *r)
{
	struct mr_worker *w = stop->w;
	struct mr_far_ready *ready = &w->far_ready[r->hash % MR_FAR_READY];
	struct mr_far_ready now = {r->hash, mr_route_version(r), sets_of(w, r->workers)};

	if (ready->hash == now.hash && ready->version == now.version && ready->sets == now.sets)
		return;
	mr_router_far(w->router, r, see_far, stop);
	if (stop->flag == NULL)
		*ready = now;
}

/* Looks for a full plain subscriber. */
static void look_at_plain(struct stop *stop, const struct mr_route *r)
{
	struct mr_worker *w = stop->w;
	bool far = false;

	if (r->span_count > 0 && mr_unlikely(any_full(w)))
		for (uint32_t i = 0; i < r->span_count; i++)
			if (find_full(stop, w->index, &r->spans[i]))
				return;
	for (uint64_t left = r->workers; left != 0; left &= left - 1)
		far |= any_full(w->peers[__builtin_ctzll(left)]);
	if (mr_unlikely(far))
		look_at_far(stop, r);
}

static bool windows_full(struct mr_worker *w, const struct mr_route *r)
{
	for (uint64_t left = r->workers; left != 0; left &= left - 1)
		if (mr_unlikely(mr_worker_window_full(w, (unsigned)__builtin_ctzll(left))))
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

/* `flag`: the receiver to wait for; NULL: any member of a queue group, so each round checks
 * again. */
static void pause_publisher(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_full_flag *flag, uint64_t of)
{
	if (!s->paused)
		mr_gauge(s->stats->blocked_since_ns, mr_worker_now_ns(w));
	s->paused = true;
	s->paused_by = flag;
	s->paused_by_generation = mr_session_generation(of);
	gauge_subject(s->stats, r);
}

static void resume_publisher(struct mr_session *s)
{
	s->paused = false;
	s->paused_by = NULL;
	s->paused_by_generation = 0;
	mr_gauge(s->stats->blocked_since_ns, 0);
	mr_gauge(s->stats->blocked_by, 0);
}

/* Returns whether the queue group, or the bound queue, takes a promised publish of `s`. FULL: sets
 * the flag to wait for, if there is just one. */
static enum member_state look_at_group(struct stop *stop, const struct mr_session *s,
	const struct mr_route *r, uint32_t group, const struct mr_message_view *m)
{
	if (mr_likely(!mr_route_group_is_queue(&r->groups[group])))
		return group_state(stop->w, r, group, m, &stop->looks);
	stop->looks++;
	switch (mr_worker_bound_look(stop->w, s->peer, r, group, &stop->flag, &stop->session)) {
	case MR_BOUND_HELD: return MEMBER_FULL;
	case MR_BOUND_LATE: return MEMBER_LATE;
	default: return MEMBER_OPEN;
	}
}

/* False: the publish must wait. If only a window is used up the session is not paused: the other
 * worker's next round makes room. */
static bool may_publish_now(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_message_view *m, struct stop *stop)
{
	bool late = false;

	look_at_plain(stop, r);
	if (mr_unlikely(stop->flag != NULL)) {
		pause_publisher(w, s, r, stop->flag, stop->session);
		return false;
	}
	for (uint32_t g = 0; g < r->group_count && !late; g++) {
		enum member_state state = look_at_group(stop, s, r, g, m);

		if (mr_unlikely(state == MEMBER_FULL)) {
			pause_publisher(w, s, r, stop->flag, stop->session);
			return false;
		}
		late |= state == MEMBER_LATE;
	}
	if (mr_likely(!late && !windows_full(w, r)))
		return true;
	if (mr_unlikely(s->paused))
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
	if (mr_unlikely(s->paused))
		resume_publisher(s);
	return true;
}

static bool may_take(struct mr_worker *w, struct mr_session *s, const struct mr_message_view *m)
{
	return mr_worker_may_publish(w, s, m) ||
	       atomic_load_explicit(&s->ends, memory_order_relaxed);
}

/* A bare publish needs a view here only. */
static bool __attribute__((noinline)) may_take_bare(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, struct mrf_message_header h)
{
	struct mr_message_view m = mr_message_plain(at, h);

	return may_take(w, s, &m);
}

/* True if an earlier message of the burst had the same subject: one check is enough for all of
 * them. */
static bool is_like_last(
	const struct mr_worker *w, const struct mr_session *s, const struct mr_message_view *m)
{
	const struct mr_burst_entry *last = w->had_room.by_subject;

	return last != NULL && last->from == s && last->view->subject_bytes == m->subject_bytes &&
	       m->subject_bytes != 0 && (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) == 0 &&
	       mr_text_equal(last->view->subject, m->subject, m->subject_bytes);
}

bool mr_worker_take_promised(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, uint64_t word)
{
	struct mrf_message_header h = mr_message_header_of(word);
	const struct mr_message_view *view = NULL;

	if (mr_worker_needs_view(h)) {
		view = mr_worker_take_apart(w, s, w->burst_count, at, h);
		if (mr_unlikely(view == NULL)) {
			mr_count(s->stats->rejected, 1);
			if (s->paused)
				resume_publisher(s);
			return true;
		}
	}
	if (h.target != 0 || view == NULL) {
		if (!(view != NULL ? may_take(w, s, view) : may_take_bare(w, s, at, h)))
			return false;
		w->had_room.from = h.target != 0 ? s : NULL;
		w->had_room.target = h.target;
	} else if (!is_like_last(w, s, view)) {
		if (!may_take(w, s, view))
			return false;
		w->had_room.by_subject = &w->burst[w->burst_count];
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
	/* Its parts were read by these flags; from here on it is best effort. */
	w->burst[index].header.flags &= (uint8_t)~promises;
	w->views[index].header.flags &= (uint8_t)~promises;
	/* Copies are made by these flags. */
	w->views[index].extra.flags &= (uint8_t)~promises;
}

/* Returns the session that the publisher waits for; 0: not exactly one. */
static uint64_t waited_for(const struct mr_session *s)
{
	uint64_t by = 0;

	if (s->paused_by != NULL)
		by = atomic_load_explicit(&s->paused_by->session, memory_order_relaxed);
	return by == EVERYBODY || (by & MR_BOUND_FLAG) ? 0 : by & ~MR_FULL_FLAG_PASSED_OVER;
}

/* The receiver may be full still but have ended its subscription. So a paused publisher checks its
 * route again about every millisecond, each time that this bit of the clock changes. */
#define RECHECK_BIT 21u

static void recheck_in_time(struct mr_session *s, uint64_t before, uint64_t now)
{
	if ((before ^ now) >> RECHECK_BIT != 0)
		s->paused_by = NULL;
}

void mr_worker_count_pause(struct mr_worker *w, struct mr_session *s)
{
	uint64_t before = atomic_load_explicit(&s->heard, memory_order_relaxed);
	uint64_t now = mr_worker_clock(w);

	/* Its ring is not read: that must not count as silence. */
	atomic_store_explicit(&s->heard, now, memory_order_relaxed);
	if (!s->paused && s->paused_by == NULL) {
		mr_count(w->stats->mesh_stalls, 1);
		return;
	}
	mr_count(w->stats->publisher_blocks, 1);
	mr_count(s->stats->blocked_rounds, 1);
	mr_gauge(s->stats->blocked_by, waited_for(s));
	recheck_in_time(s, before, now);
}
