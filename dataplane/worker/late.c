/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/gate.h"
#include "dataplane/worker/share.h"

/* Sessions that a round looks at; it routes something of MR_LATE_SERVES. */
#define LOOKS_MAX 16u

/* Then the message, as it came. */
struct mr_late_message {
	struct mr_late_message *next;
	struct mrf_message_header header;
	uint32_t stride;
	bool unpromised; /* it came where a promise is none */
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
	x = mr_store_alloc(w->store, sizeof(*x));
	if (x == NULL)
		return NULL;
	*x = (struct mr_late){.slot = s->slot, .generation = s->generation};
	put_last(w, x);
	s->late = x;
	return x;
}

/* A promise of the datagram flow is none, whatever its header in the frame says. */
static bool is_unpromised(const struct mr_burst_entry *e)
{
	return e->header.kind == MRF_MESSAGE_KIND_PUBLISH &&
	       !mr_message_is_promised(e->header.flags) &&
	       mr_message_is_promised(mr_message_header_load(e->at).flags);
}

static bool has_room(const struct mr_worker *w, uint32_t bytes)
{
	return w->late.bytes + bytes <= mr_store_bytes_max(w->store) / 4;
}

/* Datagrams come whether they are read or not. */
static bool has_too_much(const struct mr_session *s)
{
	return s->remote != NULL && s->late != NULL && s->late->bytes > MR_LATE_BYTES;
}

bool mr_worker_late_put(struct mr_worker *w, const struct mr_burst_entry *e)
{
	uint32_t stride = mr_message_stride(e->header.bytes);
	struct mr_late_message *m;
	struct mr_late *x;

	if (!has_room(w, stride))
		return false;
	if (mr_unlikely(has_too_much(e->from))) {
		mr_count(w->stats->drop_late_full, 1);
		return true;
	}
	x = late_of(w, e->from);
	m = x != NULL ? mr_store_alloc(w->store, (uint32_t)sizeof(*m) + stride) : NULL;
	if (m == NULL)
		return false;
	*m = (struct mr_late_message){.header = e->header,
		.stride = stride,
		.unpromised = e->from->remote != NULL && is_unpromised(e)};
	memcpy(message_of(m), e->at, e->header.bytes);
	if (!m->unpromised)
		memcpy(message_of(m), &e->header, sizeof(e->header));
	if (x->first == NULL)
		x->first = m;
	else
		x->last->next = m;
	x->last = m;
	x->bytes += stride;
	w->late.bytes += stride;
	mr_count(w->stats->late, 1);
	return true;
}

static void drop_first(struct mr_worker *w, struct mr_late *x)
{
	struct mr_late_message *m = x->first;

	x->first = m->next;
	x->bytes -= m->stride;
	w->late.bytes -= m->stride;
	mr_store_release(w->store, m, piece_bytes(m));
}

/* A burst of one. */
static void route_first(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	struct mr_late_message *m = x->first;

	w->burst_count = 0;
	if (m->unpromised)
		mr_worker_keep_unpromised(
			w, s, message_of(m), mr_message_header_load(message_of(m)));
	else
		mr_worker_keep(w, s, message_of(m), m->header);
	if (w->burst_count > 0)
		mr_worker_route_late(w);
	w->burst_count = 0;
	drop_first(w, x);
}

/* Nothing of it is late any more: its ring is given back, and it is read again. */
static void caught_up(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	s->late = NULL;
	mr_store_release(w->store, x, sizeof(*x));
	if (s->remote == NULL && !s->consumed) {
		s->consumed = true;
		w->consumed[w->consumed_count++] = s;
	}
}

/* The session is gone; its messages have nobody who may publish them. */
static void forget(struct mr_worker *w, struct mr_late *x)
{
	while (x->first != NULL) {
		mr_count(w->stats->drop_session_gone, 1);
		drop_first(w, x);
	}
	mr_store_release(w->store, x, sizeof(*x));
}

/* As much as a turn has; false: nothing is left. */
static bool serve(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	uint32_t work = 0;

	atomic_store_explicit(&s->heard, mr_worker_clock(w), memory_order_relaxed);
	while (x->first != NULL && work < MR_TURN_WORK && mr_worker_mesh_ready(w)) {
		route_first(w, s, x);
		work += w->share.turn_work + 1;
		/* Routes of a late message are let go of at once: there may be many. */
		(void)mr_router_forget(w->router);
	}
	return x->first != NULL;
}

void mr_worker_late_run(struct mr_worker *w)
{
	uint32_t looks = w->late.count < LOOKS_MAX ? w->late.count : LOOKS_MAX;
	uint32_t serves = 0;

	for (; looks > 0 && serves < MR_LATE_SERVES && !mr_worker_round_is_over(w); looks--) {
		struct mr_late *x = take_first(w);
		struct mr_session *s = mr_directory_find(&w->directory, x->slot, x->generation);

		w->moved = true;
		if (s == NULL) {
			forget(w, x);
			continue;
		}
		if (w->share.turns == 0 || !mr_session_is_ahead(w, s)) {
			serves++;
			if (!serve(w, s, x)) {
				caught_up(w, s, x);
				continue;
			}
		} else {
			w->share.last = NULL; /* somebody waits for the others to be charged */
		}
		put_last(w, x);
	}
	/* While something is late the worker does not sleep. */
	if (w->late.count > 0)
		w->moved = true;
}

static void unlink_late(struct mr_worker *w, struct mr_late *x)
{
	struct mr_late **at = &w->late.first, *before = NULL;

	for (; *at != x; at = &(*at)->next)
		before = *at;
	*at = x->next;
	if (w->late.last == x)
		w->late.last = before;
	w->late.count--;
}

void mr_worker_late_finish(struct mr_worker *w, struct mr_session *s)
{
	struct mr_late *x = s->late;

	if (x == NULL)
		return;
	mr_worker_route_now(w); /* what is in the burst is of others, or goes behind */
	while (x->first != NULL)
		route_first(w, s, x);
	unlink_late(w, x);
	s->late = NULL;
	mr_store_release(w->store, x, sizeof(*x));
}
