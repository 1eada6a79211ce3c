/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/promise.h"

#include "lib/base/stats.h"

#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/fragment.h"

/* Bounds of a round: sessions serviced, bytes sent to each, messages dropped of a closed one. */
#define LOOKS_MAX       16u
#define RUN_BYTES       65536u
#define FORGET_MESSAGES 256u
/* A full session that reads 1/READS of its ring or log within block_ms_max is not passed over. */
#define READS 256u
/* A longer time between two checks of a full session does not count against it. */
#define LOOK_GAP_MS 500u

/* The header of a queued message; the message follows as it will stand in ring or frame. */
struct mr_queued {
	struct mr_queued *next;
	uint32_t stride;
	uint32_t is_answer; /* its memory is that of w->answers, not of w->store */
};

_Static_assert(sizeof(struct mr_queued) % MR_MESSAGE_ALIGN == 0, "a message is behind it");
_Static_assert(
	sizeof(struct mr_queued) + MR_MESSAGE_BYTES_MAX <= MR_SLAB_CHUNK_BYTES_MAX, "one chunk");

static uint32_t chunk_bytes(const struct mr_queued *h)
{
	return (uint32_t)sizeof(*h) + h->stride;
}

int mr_answers_init(struct mr_answers *a, uint64_t bytes_max, uint32_t percent, uint32_t peers_max)
{
	int error = mr_slab_new(bytes_max, &a->store);

	if (error != 0)
		return error;
	a->bound = mr_share_bound(mr_slab_bytes_max(a->store), percent > 0 ? percent : 100);
	/* A peer may have slabs and no bytes: see lib/base/slab.h. */
	peers_max += mr_slab_count_max(a->store);
	mr_slab_owners(a->store, &a->shares, a->bound.share);
	return mr_shares_init(&a->shares, peers_max, peers_max);
}

void mr_answers_fini(struct mr_answers *a)
{
	mr_shares_fini(&a->shares);
	if (a->store != NULL)
		mr_slab_free(a->store);
}

/* A session over UDP without a reliable flow has its open frame only. */
uint64_t mr_worker_capacity(const struct mr_session *s)
{
	return s->remote == NULL || s->remote->flow.memory == NULL
		       ? s->down.capacity
		       : mr_flow_capacity(&s->remote->flow);
}

uint64_t mr_worker_underway(const struct mr_session *s)
{
	if (s->remote == NULL)
		return s->down.tail - s->down.head_seen;
	return mr_session_knows_flow(s) ? mr_flow_backlog(&s->remote->flow) : 0;
}

uint64_t mr_worker_underway_now(struct mr_session *s)
{
	return s->remote == NULL ? mr_bytes_backlog(&s->down) : mr_worker_underway(s);
}

static struct mr_slow_session *take_first(struct mr_worker *w)
{
	struct mr_slow_session *x = w->slow.first;

	w->slow.first = x->next;
	x->next = NULL;
	w->slow.count--;
	return x;
}

static void put_last(struct mr_worker *w, struct mr_slow_session *x)
{
	if (w->slow.first == NULL)
		w->slow.first = x;
	else
		w->slow.last->next = x;
	w->slow.last = x;
	w->slow.count++;
}

struct mr_slow_session *mr_worker_slow_session(struct mr_worker *w, struct mr_session *s)
{
	struct mr_slow_session *x = s->slow;

	if (x != NULL)
		return x;
	x = mr_slab_alloc(w->store, sizeof(*x));
	if (x == NULL)
		return NULL;
	*x = (struct mr_slow_session){
		.slot = s->slot, .generation = s->generation, .peer = s->peer};
	put_last(w, x);
	s->slow = x;
	return x;
}

static void gauge_queued(const struct mr_session *s, const struct mr_slow_session *x)
{
	mr_gauge(s->stats->held_messages, x->messages);
	mr_gauge(s->stats->held_bytes, x->bytes);
}

/* True of a promised publish. */
static bool is_publish(const struct mr_message_plan *plan)
{
	return (plan->header >> 16 & 0xff) == MRF_MESSAGE_KIND_DELIVER &&
	       (plan->header >> 24 & MRF_MESSAGE_FLAG_DELIVERY) == 0;
}

/* One session may take at most as much of a store as it leaves to all, so that sessions that never
 * read leave room to others. */
static bool leaves_enough(const struct mr_slab *store, uint64_t bytes)
{
	return bytes <= mr_slab_bytes_max(store) - mr_slab_bytes(store);
}

/* Takes memory for a promised publish: back-pressure bounds how many come. */
static struct mr_queued *new_publish(
	struct mr_worker *w, const struct mr_slow_session *x, uint32_t bytes)
{
	uint64_t queued = x->bytes - x->answer_bytes;

	return leaves_enough(w->store, queued + bytes) ? mr_slab_alloc(w->store, bytes) : NULL;
}

/* Takes memory for an answer or a delivery. */
static struct mr_queued *new_answer(
	struct mr_worker *w, const struct mr_slow_session *x, uint32_t bytes)
{
	struct mr_answers *a = &w->answers;
	struct mr_queued *h;

	if (x->bytes + bytes > w->held_bytes_max ||
		!leaves_enough(a->store, x->answer_bytes + bytes) ||
		mr_share_none_left(&a->bound, x->peer, mr_slab_bytes(a->store)) ||
		mr_share_take(&a->shares, x->peer, 0, bytes, a->bound.share) != 0)
		return NULL;
	h = mr_slab_alloc_for(a->store, bytes, mr_share_number(&a->shares, x->peer, 0));
	if (h == NULL)
		mr_share_give(&a->shares, x->peer, 0, bytes);
	return h;
}

static void free_queued(struct mr_worker *w, const struct mr_slow_session *x, struct mr_queued *h)
{
	uint32_t bytes = chunk_bytes(h);

	if (h->is_answer) {
		mr_share_give(&w->answers.shares, x->peer, 0, bytes);
		mr_slab_release(w->answers.store, h, bytes);
	} else {
		mr_slab_release(w->store, h, bytes);
	}
}

static bool append_queued(struct mr_worker *w, struct mr_slow_session *x,
	const struct mr_message_plan *plan, uint32_t target, bool is_answer)
{
	uint32_t bytes = (uint32_t)sizeof(struct mr_queued) + plan->stride;
	struct mr_queued *h = is_answer ? new_answer(w, x, bytes) : new_publish(w, x, bytes);
	uint8_t *message;

	if (h == NULL)
		return false;
	*h = (struct mr_queued){.stride = plan->stride, .is_answer = is_answer};
	message = (uint8_t *)(h + 1);
	/* The padding must not show old memory. */
	memset(message + plan->stride - MR_MESSAGE_ALIGN, 0, MR_MESSAGE_ALIGN);
	mr_message_write(message, plan, target);
	if (x->first == NULL)
		x->first = h;
	else
		x->last->next = h;
	x->last = h;
	x->bytes += h->stride;
	x->answer_bytes += is_answer ? h->stride : 0;
	x->messages++;
	mr_worker_check_store(w);
	return true;
}

static struct mrf_gap gap_of(const struct mr_session *s)
{
	return (struct mrf_gap){.missed = s->missed_unreported & ~MR_SESSION_QUEUED,
		.missed_total = s->stats->missed};
}

static struct mr_message_plan plan_of(const struct mrf_gap *gap)
{
	return mr_message_plan(MRF_MESSAGE_KIND_GAP, NULL, NULL, 0, gap, 0, sizeof(*gap));
}

/* Queues the Gap message for what was missed so far, before the next message, in the memory of that
 * one: answers that find no room must not cost a promised publish its Gap. */
static bool append_gap(
	struct mr_worker *w, struct mr_session *s, struct mr_slow_session *x, bool before_answer)
{
	struct mrf_gap gap = gap_of(s);
	struct mr_message_plan plan = plan_of(&gap);

	if (gap.missed == 0)
		return true;
	if (!append_queued(w, x, &plan, 0, before_answer))
		return false;
	s->missed_unreported &= MR_SESSION_QUEUED;
	return true;
}

/* Frames may have become smaller since it was queued. */
static bool never_fits(const struct mr_session *s, uint32_t stride)
{
	return s->remote != NULL && stride > MR_FRAME_ROOM(s->remote->frame_bytes);
}

static enum mr_promise lose_message(struct mr_session *s, uint64_t *why)
{
	s->missed_unreported++;
	mr_count(s->stats->missed, 1);
	mr_count(*why, 1);
	return MR_PROMISE_LOST;
}

static enum mr_promise __attribute__((noinline)) queue_message(struct mr_worker *w,
	struct mr_session *s, const struct mr_message_plan *plan, uint32_t target)
{
	bool is_answer = !is_publish(plan);
	struct mr_slow_session *x;

	if (never_fits(s, plan->stride))
		return lose_message(s, &w->stats->drop_too_large);
	x = mr_worker_slow_session(w, s);
	if (x == NULL || !append_gap(w, s, x, is_answer) ||
		!append_queued(w, x, plan, target, is_answer))
		return lose_message(s, &w->stats->drop_held_full);
	/* The two flows of a session over UDP do not wait for each other. */
	if (!mr_session_knows_flow(s))
		s->missed_unreported |= MR_SESSION_QUEUED;
	mr_count(w->stats->held, 1);
	gauge_queued(s, x);
	return MR_PROMISE_QUEUED;
}

static bool flow_copy(struct mr_worker *w, struct mr_session *s, const struct mr_message_plan *plan,
	uint32_t target)
{
	void *to = mr_worker_flow_claim(w, s, plan->stride);

	if (to == NULL)
		return false;
	mr_message_write(to, plan, target);
	mr_worker_flow_push(w, s, plan->stride);
	return true;
}

/* Copies into the reliable flow. A gap of either flow is told first, as in a ring. */
static bool flow_try(struct mr_worker *w, struct mr_session *s, const struct mr_message_plan *plan,
	uint32_t target)
{
	struct mrf_gap gap = gap_of(s);
	struct mr_message_plan told = plan_of(&gap);

	if (mr_unlikely(s->slow != NULL && s->slow->first != NULL))
		return false;
	if (mr_unlikely(s->missed_unreported != 0)) {
		if (!flow_copy(w, s, &told, 0))
			return false;
		s->missed_unreported = 0;
	}
	return flow_copy(w, s, plan, target);
}

static bool try_one(struct mr_worker *w, struct mr_session *s, const struct mr_message_plan *plan,
	uint32_t target)
{
	return mr_session_knows_flow(s) ? flow_try(w, s, plan, target)
					: mr_worker_copy(w, s, plan, target);
}

static enum mr_promise promise_one(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target)
{
	if (mr_likely(try_one(w, s, plan, target)))
		return MR_PROMISE_SENT;
	if (mr_unlikely(s->passed_over) && is_publish(plan))
		return lose_message(s, &w->stats->drop_block_over);
	return queue_message(w, s, plan, target);
}

/* Sends a message larger than the session's frames as fragments; returns the worst result of
 * one. */
static enum mr_promise __attribute__((noinline)) promise_fragments(struct mr_worker *w,
	struct mr_session *s, const struct mr_message_plan *plan, uint32_t target)
{
	enum mr_promise worst = MR_PROMISE_SENT;
	struct mr_message_plan fragment;
	struct mr_fragments p;

	if (!mr_fragments_begin(&p, w, s, plan))
		return lose_message(s, &w->stats->drop_too_large);
	while (worst != MR_PROMISE_LOST && mr_fragments_next(&p, &fragment)) {
		enum mr_promise one = promise_one(w, s, &fragment, target);

		if (one > worst)
			worst = one;
	}
	return worst;
}

/* Fragments that find no room are queued, not refused: to send all of them again later would
 * deliver some twice. A message that cannot be fragmented counts as sent, too: it would never be
 * taken, and its queue handles deliveries that are not settled. */
static bool try_fragments(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target)
{
	if (s->slow != NULL && s->slow->first != NULL)
		return false;
	(void)promise_fragments(w, s, plan, target);
	return true;
}

bool mr_worker_try(struct mr_worker *w, struct mr_session *s, const struct mr_message_plan *plan,
	uint32_t target)
{
	return mr_unlikely(mr_worker_needs_fragments(s, plan->stride))
		       ? try_fragments(w, s, plan, target)
		       : try_one(w, s, plan, target);
}

enum mr_promise mr_worker_promise(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target)
{
	return mr_unlikely(mr_worker_needs_fragments(s, plan->stride))
		       ? promise_fragments(w, s, plan, target)
		       : promise_one(w, s, plan, target);
}

static enum mr_promise promise_own(
	struct mr_worker *w, uint64_t session, const struct mr_message_plan *plan, uint32_t target)
{
	struct mr_session *s = mr_directory_find(
		&w->directory, mr_session_slot(session), mr_session_generation(session));

	if (s != NULL && !mr_worker_is_closed(s))
		return mr_worker_promise(w, s, plan, target);
	mr_count(w->stats->drop_session_gone, 1);
	return MR_PROMISE_LOST;
}

void mr_worker_promise_to(
	struct mr_worker *w, uint64_t session, const struct mr_message_plan *plan, uint32_t target)
{
	unsigned to = mr_session_worker(session);

	if (to == w->index) {
		(void)promise_own(w, session, plan, target);
	} else if (to >= w->workers) {
		mr_count(w->stats->drop_session_gone, 1);
	} else {
		mr_worker_mesh_to_session(w, session, plan, target);
	}
}

/* Copies a queued message into the ring or a frame. False: no room. */
static bool send_queued(struct mr_worker *w, struct mr_session *s, const struct mr_queued *h)
{
	bool reliably = mr_session_knows_flow(s);
	void *to = reliably ? mr_worker_flow_claim(w, s, h->stride)
			    : mr_bytes_claim(&s->down, h->stride);

	if (to == NULL && !reliably)
		to = mr_worker_frame_claim(w, s, h->stride);
	if (to == NULL)
		return false;
	memcpy(to, h + 1, h->stride);
	if (reliably) {
		mr_worker_flow_push(w, s, h->stride);
	} else {
		mr_bytes_push(&s->down, h->stride);
		s->down_messages++;
		mr_worker_mark_dirty(w, s);
	}
	return true;
}

static void drop_first(struct mr_worker *w, struct mr_slow_session *x)
{
	struct mr_queued *h = x->first;

	x->first = h->next;
	x->bytes -= h->stride;
	x->answer_bytes -= h->is_answer ? h->stride : 0;
	x->messages--;
	free_queued(w, x, h);
}

/* Sends what is queued, up to RUN_BYTES and as far as there is room. */
static void send_all_queued(struct mr_worker *w, struct mr_session *s, struct mr_slow_session *x)
{
	uint32_t bytes = 0;

	while (x->first != NULL && bytes < RUN_BYTES) {
		if (mr_unlikely(never_fits(s, x->first->stride)))
			(void)lose_message(s, &w->stats->drop_too_large);
		else if (!send_queued(w, s, x->first))
			break;
		bytes += x->first->stride;
		drop_first(w, x);
	}
	if (bytes == 0)
		return;
	w->moved = true;
	if (x->first == NULL)
		s->missed_unreported &= ~MR_SESSION_QUEUED;
	gauge_queued(s, x);
}

/* Drops messages of a closed session, some a round. True: none is left. */
static bool clear_up(struct mr_worker *w, struct mr_slow_session *x)
{
	for (uint32_t i = 0; i < FORGET_MESSAGES && x->first != NULL; i++) {
		drop_first(w, x);
		mr_count(w->stats->drop_session_gone, 1);
	}
	w->moved = true;
	return x->first == NULL;
}

/* True if a full session did not read for block_ms_max. A slow reader is waited for. */
static bool full_too_long(struct mr_worker *w, const struct mr_session *s,
	struct mr_slow_session *x, uint64_t waiting_bytes)
{
	uint64_t now = mr_worker_clock(w), gap = now - x->looked;

	/* A time without checks, as when the whole machine stood still, does not count. */
	if ((int64_t)gap > 0 && gap > w->tsc_hz / 1000 * LOOK_GAP_MS)
		x->since += gap;
	x->looked = now;
	if (x->level == UINT64_MAX || waiting_bytes > x->level) {
		x->level = waiting_bytes;
	} else if (x->level - waiting_bytes >= mr_worker_capacity(s) / READS) {
		x->level = waiting_bytes;
		x->since = now;
	}
	return w->block_cycles_max != 0 && (int64_t)(now - x->since) > 0 &&
	       now - x->since >= w->block_cycles_max;
}

/* Passes the session over, until it has caught up or the table writer has closed it. */
static void give_up(struct mr_worker *w, struct mr_session *s, struct mr_slow_session *x)
{
	s->passed_over = true;
	mr_count(w->stats->blocks_over, 1);
	x->level = x->open_below;
	mr_worker_not_full(w, s, x);
	mr_gauge(s->stats->full_since_ns, mr_worker_now_ns(w) | MR_FULL_PASSED_OVER);
	if (!w->block_expels)
		return;
	/* [session.full_too_long] */
	atomic_store_explicit(&s->full_too_long, true, memory_order_release);
	mr_bell_ring(w->writer_bell_fd);
}

static void catch_up(struct mr_worker *w, struct mr_session *s, struct mr_slow_session *x)
{
	s->passed_over = false;
	mr_worker_not_full(w, s, x);
}

static void check_level(struct mr_worker *w, struct mr_session *s, struct mr_slow_session *x)
{
	uint64_t waiting_bytes = mr_worker_underway_now(s) + x->bytes;

	if (s->passed_over) {
		if (waiting_bytes <= x->level)
			catch_up(w, s, x);
	} else if (x->open_below != 0) {
		if (waiting_bytes <= x->open_below)
			mr_worker_not_full(w, s, x);
		else if (mr_unlikely(full_too_long(w, s, x, waiting_bytes)))
			give_up(w, s, x);
	}
}

/* Services a session that is not closed. True: its record can be freed. */
static bool service_session(struct mr_worker *w, struct mr_session *s, struct mr_slow_session *x)
{
	if (x->first != NULL)
		send_all_queued(w, s, x);
	check_level(w, s, x);
	if (x->first != NULL || x->open_below != 0 || s->passed_over)
		return false;
	s->slow = NULL;
	return true;
}

static bool service_record(struct mr_worker *w, struct mr_slow_session *x)
{
	struct mr_session *s = NULL;

	if (!x->gone)
		s = mr_directory_find(&w->directory, x->slot, x->generation);
	if (mr_likely(s != NULL && !mr_worker_is_closed(s)))
		return service_session(w, s, x);
	if (!x->gone) {
		x->gone = true;
		mr_worker_not_full(w, NULL, x);
		if (s != NULL)
			s->slow = NULL;
	}
	return clear_up(w, x);
}

static void __attribute__((noinline)) service_some(struct mr_worker *w)
{
	uint32_t looks = w->slow.count < LOOKS_MAX ? w->slow.count : LOOKS_MAX;
	bool looked = looks > 0;

	for (; looks > 0; looks--) {
		struct mr_slow_session *x = take_first(w);

		if (service_record(w, x))
			mr_slab_release(w->store, x, sizeof(*x));
		else
			put_last(w, x);
	}
	/* Other users of the store may have released memory, too. */
	if (looked || mr_worker_store_is_short(w))
		mr_worker_check_store(w);
}

void mr_worker_slow_sessions_run(struct mr_worker *w)
{
	if (mr_unlikely(w->slow.count > 0 || mr_worker_store_is_short(w)))
		service_some(w);
}
