/* SPDX-License-Identifier: Apache-2.0 */
/* late: keeps late messages and unfinished fan-outs, by session (share.h). */
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/fan.h"
#include "dataplane/worker/flows.h"
#include "dataplane/worker/backpressure.h"

/* A late message; the message's bytes follow, as they came. */
struct mr_late_message {
	struct mr_late_message *next;
	struct mrf_message_header header;
	uint32_t stride;
	bool promised; /* false for publishes of the datagram flow, whatever their flags say */
	bool counted;  /* in its peer's share */
};

_Static_assert(sizeof(struct mrf_message_header) == 8, "messages are 8-aligned behind theirs");

/* Returns the message's bytes, 8-aligned. */
static uint8_t *message_of(struct mr_late_message *m)
{
	return (uint8_t *)(m + 1);
}

static uint32_t piece_bytes(const struct mr_late_message *m)
{
	return (uint32_t)sizeof(*m) + m->stride;
}

void mr_worker_late_list(struct mr_worker *w, struct mr_late *x)
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
	*x = (struct mr_late){.slot = s->slot, .generation = s->generation, .peer = s->peer};
	mr_worker_late_list(w, x);
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

/* True for a promised publish. Of the datagram flow none is promised: the entry's header says so,
 * but not the header in the frame. */
static bool is_promised(const struct mr_burst_entry *e)
{
	return e->header.kind == MRF_MESSAGE_KIND_PUBLISH &&
	       mr_message_is_promised(e->header.flags);
}

static uint64_t late_bytes_max(const struct mr_worker *w)
{
	return mr_slab_bytes_max(w->store) / 4;
}

int mr_worker_late_init(struct mr_worker *w, uint32_t percent, uint32_t peers_max)
{
	w->late.share_bytes = mr_share_bound(late_bytes_max(w), percent > 0 ? percent : 100).share;
	return mr_shares_init(&w->late.shares, peers_max, peers_max);
}

static bool has_room(const struct mr_worker *w, uint32_t bytes)
{
	return w->late.bytes + bytes <= late_bytes_max(w);
}

/* True if the session has used up its room for late messages: no back-pressure stops datagrams. */
static bool has_too_much(const struct mr_session *s)
{
	return s->late != NULL && s->late->bytes > MR_LATE_BYTES;
}

/* True if the message may be dropped: it is a best-effort publish, or its session has no reliable
 * flow. */
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

/* Copies a message that may be dropped, within the share of its peer. */
static struct mr_late_message *copy_within_share(
	struct mr_worker *w, const struct mr_burst_entry *e)
{
	struct mr_late_message *m = copy_of(w, e);

	if (m == NULL)
		return NULL;
	m->counted = mr_share_take(&w->late.shares, e->from->peer, 0, piece_bytes(m),
			     w->late.share_bytes) == 0;
	if (m->counted)
		return m;
	mr_slab_release(w->store, m, piece_bytes(m));
	return NULL;
}

void mr_worker_late_drop_first(struct mr_worker *w, struct mr_late *x)
{
	struct mr_late_message *m = x->first;

	x->first = m->next;
	x->bytes -= piece_bytes(m);
	w->late.bytes -= piece_bytes(m);
	if (m->counted)
		mr_share_give(&w->late.shares, x->peer, 0, piece_bytes(m));
	mr_slab_release(w->store, m, piece_bytes(m));
}

/* Parses a late message. It keeps the header and the promise that its entry had. */
static bool parse_late(const struct mr_late_message *m, struct mr_message_view *view)
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

/* Routes a late message; false if it has to wait. */
static bool route_message(
	struct mr_worker *w, struct mr_session *s, const struct mr_late_message *m)
{
	struct mr_burst_entry e = {.header = m->header, .at = (const uint8_t *)(m + 1), .from = s};
	struct mr_message_view view;

	if (m->header.flags != 0 && !mr_worker_is_bare_promise(m->header)) {
		if (!parse_late(m, &view)) {
			mr_count(w->stats->drop_bad_message, 1);
			return true;
		}
		e.view = &view;
	}
	return mr_worker_route_late(w, &e);
}

bool mr_worker_late_route_first(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	if (!route_message(w, s, x->first))
		return false;
	mr_worker_late_drop_first(w, x);
	return true;
}

/* A receiver may have become full meanwhile. The messages of a closing session do not wait. */
bool mr_worker_late_may_route_first(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	struct mr_late_message *m = x->first;
	struct mr_message_view view;

	if (!m->promised || !mr_message_parse(message_of(m), m->header, &view) ||
		mr_worker_may_publish(w, s, &view) || mr_worker_is_closed(s) ||
		atomic_load_explicit(&s->ends, memory_order_relaxed))
		return true;
	mr_worker_count_pause(w, s);
	return false;
}

/* Routes all late messages of a session now, whatever that costs. */
static void route_all(struct mr_worker *w, struct mr_session *s, struct mr_late *x)
{
	if (x->fan != NULL)
		(void)mr_worker_route_fan(w, s, x->fan);
	x->fan = NULL;
	while (x->first != NULL)
		(void)mr_worker_late_route_first(w, s, x);
}

/* Routes a message that has no room to wait and must not be lost. All late messages of its session
 * go first, so the order is kept; the bounds of turns are not. */
static void __attribute__((noinline)) route_now(struct mr_worker *w, const struct mr_burst_entry *e)
{
	bool forced = w->late.forced;

	w->late.forced = true;
	if (e->from->late != NULL)
		route_all(w, e->from, e->from->late);
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
		m = optional ? copy_within_share(w, e) : copy_of(w, e);
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
