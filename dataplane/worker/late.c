/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/fan.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/backpressure.h"

/* Sessions that a round looks at; it routes something of MR_LATE_SERVES. */
#define LOOKS_MAX 16u

/* Then the message, as it came. */
struct mr_late_message {
	struct mr_late_message *next;
	struct mrf_message_header header;
	uint32_t stride;
	bool promised; /* false also where it says so and came where a promise is none */
};

_Static_assert(sizeof(struct mrf_message_header) == 8, "messages are 8-aligned behind theirs");

/* The worker's, behind the header: a message needs an alignment of 8. */
static uint8_t *message_of(struct mr_late_message *m)
{
	return (uint8_t *)(m + 1);
}

static uint32_t piece_bytes(const struct mr_late_message *m)
{
	return (uint32_t)sizeof(*m) + m->stride;
}

static struct mr_late *take_first(struct mr_worker *w)
{
	struct mr_late *x = w->late.first;

	w->late.first = x->next;
	x->next = NULL;
	w->late.count--;
	return x;
}

static void put_last(struct mr_worker *w, struct mr_late *x)
{
	if (w->late.first == NULL)
		w->late.first = x;
	else
		w->late.last->next = x;
	w->late.last = x;
	w->late.count++;
}

static struct mr_late *late_of(struct mr_worker *w, struct mr_session *s)
{
	struct mr_late *x = s->late;

	if (x != NULL)
		return x;
	x = mr_slab_alloc(w->store, sizeof(*x));
	if (x == NULL)
		return NULL;
	*x = (struct mr_late){.slot = s->slot, .generation = s->generation};
	put_last(w, x);
	s->late = x;
	return x;
}

bool mr_worker_late_fan(struct mr_worker *w, struct mr_session *s, const struct mr_route *r,
	const struct mr_fan_load *l, const struct mr_fan_at *at)
{
	struct mr_late *x = late_of(w, s);

	if (x == NULL)
		return false;
	x->fan = mr_fan_keep(w, r, l, at, s->peer);
	return true;
}

/* A promise of the datagram flow is none, whatever its header in the frame says. */
static bool is_promised(const struct mr_burst_entry *e)
{
	return e->header.kind == MRF_MESSAGE_KIND_PUBLISH &&
	       mr_message_is_promised(e->header.flags);
}

static bool has_room(const struct mr_worker *w, uint32_t bytes)
{
	return w->late.bytes + bytes <= mr_slab_bytes_max(w->store) / 4;
}

/* Datagrams come whether they are read or not. */
static bool has_too_much(const struct mr_session *s)
{
	return s->late != NULL && s->late->bytes > MR_LATE_BYTES;
}

/* What is promised must come, and all else that only the reliable flow brings. */
static bool may_be_dropped(const struct mr_burst_entry *e)
{
	return e->from->remote->flow.memory == NULL ||
	       (e->header.kind == MRF_MESSAGE_KIND_PUBLISH && !is_promised(e));
}

static struct mr_late_message *copy_of(struct mr_worker *w, const struct mr_burst_entry *e)
{
	uint32_t stride = mr_message_stride(e->header.bytes);
	struct mr_late_message *m =
		mr_slab_alloc(w->store, (uint32_t)sizeof(struct mr_late_message) + stride);

	if (m == NULL)
		return NULL;
	*m = (struct mr_late_message){
		.header = e->header, .stride = stride, .promised = is_promised(e)};
	memcpy(message_of(m), e->at, e->header.bytes);
	return m;
}
static void drop_first(struct mr_worker *w, struct mr_late *x)
{
	struct mr_late_message *m = x->first;

	x->first = m->next;
	x->bytes -= piece_bytes(m);
	w->late.bytes -= piece_bytes(m);
	mr_slab_release(w->store, m, piece_bytes(m));
}

/* Parses the message as it was when it was put there. */
static bool look_at(const struct mr_late_message *m, struct mr_message_view *view)
{
	const uint8_t promises = MRF_MESSAGE_FLAG_ORIGIN | MRF_MESSAGE_FLAG_HIGH;
	const uint8_t *at = (const uint8_t *)(m + 1);

	if (!mr_message_parse(at, mr_message_header_load(at), view))
		return false;
	view->header = m->header;
	if (!m->promised)
		view->extra.flags &= (uint8_t)~promises;
	return true;
}

/* False: it has to wait. */
static bool route_deferred(
	struct mr_worker *w, struct mr_session *s, const struct mr_late_message *m)
{
	struct mr_burst_entry e = {.header = m->header, .at = (const uint8_t *)(m + 1), .from = s};
	struct mr_message_view view;

	if (m->header.flags != 0 && !mr_worker_is_bare_promise(m->header)) {
		if (!look_at(m, &view)) {
			mr_count(w->stats->drop_bad_message, 1);
			return true;
		}
		e.view = &view;
	}
	return mr_worker_route_late(w, &e);
}

static bool route_first(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	if (!route_deferred(w, s, x->first))
		return false;
	drop_first(w, x);
	return true;
}

/* A receiver may have become full meanwhile. What a session leaves is not held up. */
static bool may_take_first(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	struct mr_late_message *m = x->first;

	w->passed_gates.from = NULL;
	if (!m->promised || mr_worker_may_take(w, s, message_of(m), m->header) ||
		mr_worker_is_over(s))
		return true;
	mr_worker_count_stall(w, s);
	return false;
}

/* Nothing of it is late any more: its ring is given back, and it is read again. */
static void caught_up(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	s->late = NULL;
	mr_slab_release(w->store, x, sizeof(*x));
	if (s->remote == NULL && !s->consumed) {
		s->consumed = true;
		w->consumed[w->consumed_count++] = s;
	}
	/* It waited for that with its end. */
	if (mr_worker_is_over(s)) {
		w->burst_count = 0; /* routed */
		mr_worker_flow_finish(w, s);
	}
}

static void drop_messages(struct mr_worker *w, struct mr_late *x)
{
	while (x->first != NULL) {
		mr_count(w->stats->drop_session_gone, 1);
		drop_first(w, x);
	}
}

/* Nobody may publish the messages of a session that is gone; a fan-out that was begun goes on. False: nothing is
 * left. */
static bool serve_gone(struct mr_worker *w, struct mr_late *x)
{
	drop_messages(w, x);
	if (x->fan != NULL && mr_worker_mesh_ready(w) && mr_worker_route_fan(w, NULL, x->fan))
		x->fan = NULL;
	return x->fan != NULL;
}

/* As much as a turn has; false: nothing is left. */
static bool serve_deferred(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	uint64_t work = 0;

	atomic_store_explicit(&s->heard, mr_worker_clock(w), memory_order_relaxed);
	if (x->fan != NULL) {
		if (!mr_worker_mesh_ready(w) || !mr_worker_route_fan(w, s, x->fan))
			return true;
		x->fan = NULL;
		work = mr_worker_turn_work(w);
	}
	while (x->first != NULL && x->fan == NULL && work < MR_TURN_WORK &&
		mr_worker_mesh_ready(w) && may_take_first(w, s, x)) {
		if (!route_first(w, s, x))
			break;
		work += mr_worker_turn_work(w) + 1;
		/* Routes of a late message are let go of at once: there may be many. */
		(void)mr_router_forget(w->router);
	}
	return x->first != NULL || x->fan != NULL;
}

/* Looks at one; false: it is done with. */
static bool run_one(struct mr_worker *w, struct mr_late *x, uint32_t *serves)
{
	struct mr_session *s = mr_directory_find(&w->directory, x->slot, x->generation);

	if (s == NULL) {
		(*serves)++;
		if (serve_gone(w, x))
			return true;
		mr_slab_release(w->store, x, sizeof(*x));
		return false;
	}
	if (x->fan == NULL && mr_session_waits(s) && !mr_worker_is_over(s)) {
		mr_worker_count_stall(w, s);
		return true;
	}
	w->moved = true;
	if (w->share.turns > 0 && mr_session_is_ahead(w, s)) {
		w->share.last = NULL; /* somebody waits for the others to be charged */
		return true;
	}
	(*serves)++;
	if (serve_deferred(w, s, x))
		return true;
	caught_up(w, s, x);
	return false;
}

static void __attribute__((noinline)) run_some(struct mr_worker *w)
{
	uint32_t looks = w->late.count < LOOKS_MAX ? w->late.count : LOOKS_MAX;
	uint32_t serves = 0;

	for (; looks > 0 && serves < MR_LATE_SERVES && !mr_worker_round_is_over(w); looks--) {
		struct mr_late *x = take_first(w);

		if (run_one(w, x, &serves))
			put_last(w, x);
	}
	/* While something goes on the worker does not sleep. */
	if (w->fans->used != NULL || looks > 0)
		w->moved = true;
}

void mr_worker_late_run(struct mr_worker *w)
{
	if (mr_unlikely(w->late.count > 0 || w->fans->used != NULL))
		run_some(w);
}

/* All that is late of it, whatever that costs. */
static void force_deferred(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	if (x->fan != NULL)
		(void)mr_worker_route_fan(w, s, x->fan);
	x->fan = NULL;
	while (x->first != NULL)
		(void)route_first(w, s, x);
}

/* There is no room to let it wait, and it may not be lost: its order is kept, and its turn is not. */
static void __attribute__((noinline)) route_now(struct mr_worker *w, const struct mr_burst_entry *e)
{
	bool forced = w->late.forced;

	w->late.forced = true;
	if (e->from->late != NULL)
		force_deferred(w, e->from, e->from->late);
	(void)mr_worker_route_late(w, e);
	w->late.forced = forced;
}

void mr_worker_late_put(struct mr_worker *w, const struct mr_burst_entry *e)
{
	bool optional = may_be_dropped(e);
	struct mr_late_message *m = NULL;
	struct mr_late *x = NULL;

	if (optional && (has_too_much(e->from) || !has_room(w, e->header.bytes))) {
		mr_count(w->stats->drop_late_full, 1);
		return;
	}
	x = late_of(w, e->from);
	if (x != NULL)
		m = copy_of(w, e);
	if (mr_unlikely(m == NULL)) {
		if (optional)
			mr_count(w->stats->drop_late_full, 1);
		else
			route_now(w, e);
		return;
	}
	if (x->first == NULL)
		x->first = m;
	else
		x->last->next = m;
	x->last = m;
	x->bytes += piece_bytes(m);
	w->late.bytes += piece_bytes(m);
}
