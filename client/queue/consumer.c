/* SPDX-License-Identifier: Apache-2.0 */
/* The library's own acks name the last delivery of a row (AckUpTo), so one settlement does for a
 * burst. They go out when processing ends, and when half of the prefetch waits, so that the bus
 * always has a consumer to deliver to. */
#include "client/queue/consumer.h"

#include <stdlib.h>
#include <string.h>

#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/core/names.h"
#include "client/core/ring_out.h"
#include "client/core/wait.h"
#include "client/queue/queue.h"
#include "client/subscribe/subscribe.h"

#define PREFETCH_DEFAULT 10u
#define PREFETCH_MAX     65535u
#define UNSETTLED_MAX    65536u
#define SLOT_BITS        MR_UNSETTLED_SLOT_BITS
#define SLOT_MASK        (UNSETTLED_MAX - 1)
#define NONE             UINT32_MAX
#define REOPEN_NS        (1000 * MR_NS_PER_MS)
#define ROW_NS           (20 * MR_NS_PER_MS) /* longest time for which a row of acks waits */
_Static_assert(UNSETTLED_MAX == 1u << SLOT_BITS, "a slot fits its bits");

/* Settling. */

static uint32_t settle_bytes(uint32_t count)
{
	return mr_message_bytes(false, 0, 0, count * (uint32_t)sizeof(struct mrf_settlement));
}

/* Writes one message of up to MR_SETTLEMENTS_MAX settlements. False: no room now. */
static bool flush_some(struct mr_consumer *k)
{
	uint32_t count = k->settlements_count;
	uint32_t bytes = 0;
	uint8_t *to;

	if (count > MR_SETTLEMENTS_MAX)
		count = MR_SETTLEMENTS_MAX;
	bytes = count * (uint32_t)sizeof(*k->settlements);
	to = mr_ring_promised_room(k->client, settle_bytes(count));
	if (to == NULL)
		return false;
	to = mr_message_begin(to, MRF_MESSAGE_KIND_SETTLE, k->queue, NULL, 0, 0, bytes);
	memcpy(to, k->settlements, bytes);
	mr_ring_promised_pushed(k->client, settle_bytes(count));
	k->settlements_count -= count;
	if (k->settlements_count > 0)
		memmove(k->settlements, k->settlements + count,
			k->settlements_count * sizeof(*k->settlements));
	return true;
}

/* Puts the gathered acks behind the earlier settlements. */
static void close_row(struct mr_consumer *k)
{
	if (k->acked == 0)
		return;
	k->acked = 0;
	/* The ack makes its Handed unnecessary. */
	if (k->settlements_count > 0 && k->handed_tag != 0 &&
		k->settlements[k->settlements_count - 1].tag == k->handed_tag)
		k->settlements_count--;
	k->handed_tag = 0;
	k->handed_again = false;
	/* The ack replaces an earlier one that was not sent yet. */
	if (k->settlements_count > 0 &&
		k->settlements[k->settlements_count - 1].verb == MRF_SETTLE_VERB_ACK_UP_TO)
		k->settlements_count--;
	k->settlements[k->settlements_count++] =
		(struct mrf_settlement){.tag = k->acked_to, .verb = MRF_SETTLE_VERB_ACK_UP_TO};
}

static bool flush(struct mr_consumer *k)
{
	bool going = k->client->refuse == 0 && k->queue != 0;

	close_row(k);
	while (going && k->settlements_count > 0)
		going = flush_some(k);
	return k->settlements_count == 0;
}

void mr_consumer_flush(struct mr_consumer *k)
{
	(void)flush(k);
	mr_ring_out_publish_rest(k->client);
}

static void flush_all(struct mr_client *c)
{
	struct mr_consumer **at = &c->dirty;

	while (*at != NULL) {
		struct mr_consumer *k = *at;

		if (!flush(k)) {
			at = &k->dirty_next;
			continue;
		}
		*at = k->dirty_next;
		k->dirty = false;
	}
}

static inline void mark_dirty(struct mr_consumer *k)
{
	if (k->dirty)
		return;
	k->dirty = true;
	k->dirty_next = k->client->dirty;
	k->client->dirty = k;
}

static void mark_clean(struct mr_consumer *k)
{
	struct mr_consumer **at = &k->client->dirty;

	while (*at != NULL && *at != k)
		at = &(*at)->dirty_next;
	if (*at == k)
		*at = k->dirty_next;
	k->dirty = false;
}

/* Makes room, and always leaves one place free for a row. */
static bool settlements_room(struct mr_consumer *k)
{
	uint32_t room = k->settlements_room == 0 ? MR_SETTLEMENTS_MAX : 2 * k->settlements_room;
	struct mrf_settlement *grown;

	if (k->settlements_count + 2 <= k->settlements_room)
		return true;
	flush(k);
	if (k->settlements_count + 2 <= k->settlements_room)
		return true;
	grown = realloc(k->settlements, room * sizeof(*grown));
	if (grown == NULL)
		return false;
	k->settlements = grown;
	k->settlements_room = room;
	return true;
}

void mr_consumer_settle(
	struct mr_consumer *k, uint64_t bus_tag, enum mrf_settle_verb verb, uint32_t delay_ms)
{
	/* Without memory the bus finds out by its ack time-out. */
	if (!settlements_room(k))
		return;
	close_row(k);
	if (!settlements_room(k))
		return;
	if (bus_tag == k->handed_tag)
		k->handed_tag = 0;
	k->settlements[k->settlements_count++] = (struct mrf_settlement){
		.tag = bus_tag, .delay_ms = delay_ms, .verb = (uint8_t)verb};
	mark_dirty(k);
	if (k->settlements_count >= k->batch)
		flush(k);
}

/* True if the row must go out now: a slow callback must not hold back earlier acks, whose time-out
 * runs. */
static inline bool row_is_old(struct mr_consumer *k)
{
	uint64_t now_ns = mr_clock_ns(CLOCK_MONOTONIC_COARSE);

	if (mr_likely(now_ns - k->acked_ns < ROW_NS))
		return false;
	k->acked_ns = now_ns;
	return true;
}

static inline void ack_row(struct mr_consumer *k, uint64_t bus_tag)
{
	if (mr_unlikely(k->progressed)) {
		k->progressed = false;
		mr_consumer_settle(k, bus_tag, MRF_SETTLE_VERB_ACK, 0);
		return;
	}
	k->acked_to = bus_tag;
	mark_dirty(k);
	if (++k->acked >= k->batch || mr_unlikely(k->handed_again))
		flush(k);
	else if (row_is_old(k))
		mr_consumer_flush(k);
}

/* Handing out. */

/* Tells the bus which delivery the program is given next. Over UDP a new delivery's Handed waits
 * for the next frame. */
static void report_handed(struct mr_consumer *k, uint64_t bus_tag, bool again)
{
	mr_consumer_settle(k, bus_tag, MRF_SETTLE_VERB_HANDED, 0);
	k->handed_tag = bus_tag;
	k->handed_again = again;
	if (again || k->client->udp == NULL)
		flush(k);
	if (again)
		mr_ring_out_publish_rest(k->client);
}

static inline void before_hand_out(struct mr_consumer *k, const struct mr_message_view *m)
{
	bool again = m->extra.delivery.redelivered > 0;

	if (mr_unlikely(again || k->handed_tag == 0))
		report_handed(k, m->extra.delivery.tag, again);
}

static bool unsettled_grow(struct mr_consumer *k)
{
	uint32_t room = k->unsettled_room == 0 ? 16 : 2 * k->unsettled_room;
	struct mr_unsettled *grown;

	if (room > UNSETTLED_MAX)
		return false;
	grown = realloc(k->unsettled, room * sizeof(*grown));
	if (grown == NULL)
		return false;
	for (uint32_t i = room; i-- > k->unsettled_room;) {
		grown[i] = (struct mr_unsettled){.next_free = k->unsettled_free};
		k->unsettled_free = i;
	}
	k->unsettled = grown;
	k->unsettled_room = room;
	return true;
}

/* Returns the tag to hand out; 0: no memory. */
static uint64_t unsettled_add(struct mr_consumer *k, uint64_t bus_tag)
{
	struct mr_unsettled *u;
	uint32_t slot;

	if (mr_unlikely(k->unsettled_free == NONE) && !unsettled_grow(k))
		return 0;
	slot = k->unsettled_free;
	u = &k->unsettled[slot];
	k->unsettled_free = u->next_free;
	u->tag = bus_tag;
	u->serial = ++k->unsettled_serial;
	u->recalled = false;
	return u->serial << SLOT_BITS | slot;
}

bool mr_consumer_tag(struct mr_consumer *k, uint64_t tag, bool settled, uint64_t *bus_tag)
{
	uint32_t slot = (uint32_t)(tag & SLOT_MASK);
	struct mr_unsettled *u;

	if (slot >= k->unsettled_room)
		return false;
	u = &k->unsettled[slot];
	if (u->serial == 0 || u->serial != tag >> SLOT_BITS)
		return false;
	*bus_tag = u->tag;
	if (!settled)
		return !u->recalled;
	u->serial = 0;
	u->next_free = k->unsettled_free;
	k->unsettled_free = slot;
	if (mr_likely(!u->recalled))
		return true;
	mr_consumer_settle(k, u->tag, MRF_SETTLE_VERB_RELEASED, 0);
	return false;
}

static inline void delivery_fill(
	struct mr_delivery *d, struct mr_consumer *k, const struct mr_message_view *m, uint64_t tag)
{
	*d = (struct mr_delivery){
		.message =
			{
				.subject = "",
				.headers = m->header_bytes > 0 ? (const char *)m->headers : NULL,
				.header_bytes = m->header_bytes,
				.payload = m->payload,
				.payload_bytes = m->payload_bytes,
			},
		.consumer = k,
		.tag = tag,
		.redelivered = m->extra.delivery.redelivered,
		.priority = (enum mr_priority)m->extra.delivery.priority,
		.publisher = m->extra.origin.publisher,
		.id = m->extra.origin.id,
	};
}

/* Gives a message that cannot be handed out back to the bus. */
static void send_back(struct mr_consumer *k, const struct mr_message_view *m)
{
	k->client->missed++;
	mr_consumer_settle(k, m->extra.delivery.tag, MRF_SETTLE_VERB_RETURNED, 100);
}

void mr_consumer_hand_out(struct mr_consumer *k, const struct mr_message_view *m)
{
	uint64_t bus_tag = m->extra.delivery.tag;
	struct mr_client *c = k->client;
	uint32_t id = k->base.id;
	struct mr_delivery d;

	delivery_fill(&d, k, m, k->manual ? unsettled_add(k, bus_tag) : bus_tag);
	if (mr_unlikely(d.tag == 0)) {
		send_back(k, m);
		return;
	}
	k->base.count++;
	c->received++;
	k->current = bus_tag;
	k->spared = m->extra.delivery.spared;
	before_hand_out(k, m);
	c->depth++;
	if (k->hook != NULL)
		k->hook(k, &d, m);
	else
		k->callback(c, &d, k->arg);
	c->depth--;
	/* The callback may have closed the consumer, or settled the delivery. */
	if (mr_unlikely(c->subscriptions[id] != &k->base))
		return;
	if (!k->manual && k->current == bus_tag)
		ack_row(k, bus_tag);
	else if (k->manual)
		mr_renew_step(k, mr_clock_ns(CLOCK_MONOTONIC_COARSE));
	k->current = 0;
	k->progressed = false;
}

static bool is_pulled(const struct mr_consumer *k)
{
	return k->callback == NULL && k->hook == NULL;
}

/* Appends a delivery for mr_pull. Deliveries beyond what the bus was asked for are refused. */
static bool fifo_push(struct mr_consumer *k, struct mr_deferred *a)
{
	if (a == NULL || k->fifo_count > 2 * PREFETCH_MAX) {
		free(a);
		return false;
	}
	*k->fifo_end = a;
	k->fifo_end = &a->next;
	k->fifo_count++;
	return true;
}

static struct mr_deferred *fifo_pop(struct mr_consumer *k)
{
	struct mr_deferred *a = k->fifo_first;

	if (a == NULL)
		return NULL;
	k->fifo_first = a->next;
	if (k->fifo_first == NULL)
		k->fifo_end = &k->fifo_first;
	k->fifo_count--;
	return a;
}

bool mr_consumer_drop_waiting(struct mr_consumer *k, uint64_t bus_tag)
{
	struct mr_message_view m;

	for (struct mr_deferred **at = &k->fifo_first; *at != NULL; at = &(*at)->next) {
		struct mr_deferred *a = *at;

		if (!mr_deferred_parse(k->client, a, &m) || m.extra.delivery.tag != bus_tag)
			continue;
		*at = a->next;
		if (a->next == NULL)
			k->fifo_end = at;
		k->fifo_count--;
		free(a);
		return true;
	}
	return false;
}

static void pull_out(struct mr_consumer *k, const struct mr_message_view *m)
{
	uint64_t bus_tag = m->extra.delivery.tag;
	struct mr_client *c = k->client;

	delivery_fill(c->pull_out, k, m, k->manual ? unsettled_add(k, bus_tag) : bus_tag);
	if (c->pull_out->tag == 0) {
		send_back(k, m);
		return;
	}
	k->base.count++;
	c->received++;
	k->current = bus_tag;
	k->spared = m->extra.delivery.spared;
	before_hand_out(k, m);
	c->pulled = true;
}

/* Hands a delivery to mr_pull at once if it waits for one of this consumer; else queues it. */
static unsigned take_pulled(struct mr_consumer *k, const uint8_t *at,
	const struct mr_message_view *m, struct mr_deferred *whole)
{
	struct mr_client *c = k->client;

	if (whole == NULL && c->pull_from == k && c->depth == 0 && !c->pulled &&
		k->fifo_count == 0) {
		pull_out(k, m);
		return 1;
	}
	if (whole == NULL)
		whole = mr_deferred_new(at, m->header.bytes, k->base.id);
	if (fifo_push(k, whole))
		return 1;
	send_back(k, m);
	return 0;
}

unsigned mr_consumer_take(struct mr_consumer *k, const uint8_t *at, const struct mr_message_view *m,
	struct mr_deferred *whole)
{
	struct mr_client *c = k->client;
	bool kept;

	if (is_pulled(k))
		return take_pulled(k, at, m, whole);
	if (mr_likely(c->depth == 0 && k->base.deferred == 0)) {
		mr_consumer_hand_out(k, m);
		free(whole);
		return 1;
	}
	kept = whole != NULL ? mr_deferred_keep(c, whole)
			     : mr_deferred_push(c, at, m->header.bytes, k->base.id);
	if (!kept)
		send_back(k, m);
	return 0;
}

/* Opening. */

uint32_t mr_consumer_encode(const struct mr_consumer *k, uint8_t *to, uint32_t room)
{
	struct mrf_consume_request request = {
		.subscription = k->base.id,
		.kind = k->service ? MRF_QUEUE_KIND_SERVICE : MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(k->name),
		.prefetch = k->prefetch,
		.weight = k->weight,
		.says_handed = true,
		.recalls = true,
	};
	uint8_t memory[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	request.options = mr_queue_options_write(&b, &k->options);
	return mr_control_request_encode(&b, MRF_CLIENT_BODY_CONSUME_REQUEST,
		mrf_consume_request_write(&b, &request), to, room);
}

int mr_consumer_opened(struct mr_consumer *k, const struct mr_control_answer *a)
{
	k->queue = a->code == 0 ? a->queue : 0;
	if (k->queue != 0) {
		k->heartbeat_ms = a->heartbeat_ms;
		k->missed_max = a->missed_max;
		k->reopen_ns = 0;
		mr_renew_opened(k, a);
		if (k->on_change != NULL)
			k->on_change(k);
		return 0;
	}
	if (a->code != -ENOTCONN) {
		k->reopen_ns = mr_now_ns() + REOPEN_NS;
		k->client->consumers_to_reopen = true;
		mr_housekeep_by(k->client, k->reopen_ns);
	}
	return a->code != 0 ? a->code : -EPROTO;
}

static int check(struct mr_client *c, const char *name, const struct mr_consume_options *options)
{
	const char *fault = mr_name_subject_fault(name, strlen(name));

	if (fault != NULL)
		return mr_failf(c, -EINVAL, "queue: %s", fault);
	if (options->prefetch > PREFETCH_MAX)
		return mr_failf(c, -EINVAL, "prefetch: at most %u", PREFETCH_MAX);
	return 0;
}

int mr_consumer_new(struct mr_client *c, bool service, const char *name,
	const struct mr_consume_options *options, struct mr_consumer **out)
{
	struct mr_consumer *k;
	uint32_t prefetch;
	int error;

	*out = NULL;
	if (c->refuse != 0)
		return mr_ring_out_refused(c);
	error = check(c, name, options);
	if (error != 0)
		return error;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	prefetch = options->prefetch != 0 ? options->prefetch : service ? 1 : PREFETCH_DEFAULT;
	k->base.client = c;
	k->base.consumes = true;
	k->client = c;
	k->service = service;
	k->manual = options->manual;
	k->prefetch = options->prefetch;
	k->weight = options->weight;
	k->batch = prefetch / 2 > MR_SETTLEMENTS_MAX ? MR_SETTLEMENTS_MAX : prefetch / 2;
	if (k->batch == 0)
		k->batch = 1;
	k->options = options->queue;
	k->unsettled_free = NONE;
	k->fifo_end = &k->fifo_first;
	memcpy(k->name, name, strlen(name) + 1);
	/* The first place is for a row of acks. */
	if (!settlements_room(k)) {
		free(k);
		return mr_fail(c, -ENOMEM, NULL);
	}
	*out = k;
	return 0;
}

void mr_consumer_free(struct mr_consumer *k)
{
	struct mr_deferred *a;

	/* Deliveries may have been handed out while it was being closed. */
	mark_clean(k);
	while ((a = fifo_pop(k)) != NULL)
		free(a);
	free(k->settlements);
	free(k->unsettled);
	free(k);
}

int mr_consumer_open(struct mr_consumer *k)
{
	struct mr_client *c = k->client;
	uint8_t body[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mr_control_ask ask = {.body = body, .timeout_ms = -1};
	struct mr_control_answer found;
	int error;

	if (mr_subscription_id_take(c, &k->base.id) != 0) {
		mr_consumer_free(k);
		return mr_fail(c, -ENOMEM, NULL);
	}
	/* The first delivery may arrive before the answer. */
	c->subscriptions[k->base.id] = &k->base;
	ask.bytes = mr_consumer_encode(k, body, sizeof(body));
	error = mr_control_request_wait(c, &ask, &found);
	if (error == 0 && mr_consumer_opened(k, &found) != 0)
		error = mr_fail(c, -EPROTO, "the bus answered without a queue");
	if (error == 0)
		return 0;
	c->subscriptions[k->base.id] = NULL;
	mr_deferred_forget(c, k->base.id);
	if (error != -ETIMEDOUT)
		mr_subscription_id_give_back(c, k->base.id);
	mark_clean(k);
	mr_consumer_free(k);
	return error;
}

int mr_consume(struct mr_client *c, const char *queue, const struct mr_consume_options *options,
	mr_delivery_fn *callback, void *arg, struct mr_consumer **out)
{
	static const struct mr_consume_options none;
	struct mr_consumer *k;
	int error;

	*out = NULL;
	error = mr_consumer_new(c, false, queue, options != NULL ? options : &none, &k);
	if (error != 0)
		return error;
	k->callback = callback;
	k->arg = arg;
	/* A callback may run before this returns. */
	*out = k;
	error = mr_consumer_open(k);
	if (error != 0)
		*out = NULL;
	return error;
}

int mr_consumer_close(struct mr_consumer *k)
{
	struct mr_client *c = k->client;
	uint32_t queue = k->queue, id = k->base.id;
	int error;

	if (c->refuse == -EBUSY)
		return mr_ring_out_refused(c);
	if (!k->manual && k->current != 0 && is_pulled(k))
		ack_row(k, k->current);
	flush(k);
	mark_clean(k);
	if (c->pull_from == k)
		c->pull_from = NULL;
	error = mr_subscription_end(c, id, queue);
	mr_consumer_free(k);
	return error;
}

/* Pulling. */

static bool pull_kept(struct mr_consumer *k)
{
	struct mr_client *c = k->client;
	struct mr_deferred *a = fifo_pop(k);
	struct mr_message_view m;

	if (a == NULL)
		return false;
	mr_deferred_free_out(c);
	c->deferred_out = a;
	if (mr_deferred_parse(c, a, &m))
		pull_out(k, &m);
	return true;
}

static int pull_wait(struct mr_consumer *k, struct mr_wait_limit *p)
{
	struct mr_client *c = k->client;
	int error = 0;

	while (!c->pulled && error == 0) {
		bool was_lost = c->state == MR_STATE_LOST;

		/* A callback has closed it. */
		if (c->pull_from != k)
			return mr_fail(c, -ENOENT, "the consumer was closed");
		if (pull_kept(k))
			continue;
		mr_receive_some(c, MR_WAIT_MESSAGES_MAX, false);
		/* A message for mr_receive is in the way. */
		if (!c->pulled && c->blocked)
			mr_receive_some(c, MR_WAIT_MESSAGES_MAX, true);
		if (c->pulled || c->pull_from != k || k->fifo_count > 0)
			continue;
		if (c->state == MR_STATE_LOST && (!was_lost || c->options.no_reconnect))
			return mr_ring_out_refused(c);
		error = mr_pause(c, p);
	}
	return error == -ETIMEDOUT && c->state != MR_STATE_UP ? mr_ring_out_refused(c) : error;
}

int mr_pull(struct mr_consumer *k, struct mr_delivery *out, int timeout_ms)
{
	struct mr_client *c = k->client;
	struct mr_wait_limit p;
	const bool *outer;
	int error;

	if (!is_pulled(k))
		return mr_fail(c, -EINVAL, "the consumer has a callback");
	error = mr_begin(c, false);
	if (error != 0)
		return error;
	if (!k->manual && k->current != 0)
		ack_row(k, k->current);
	k->current = 0;
	k->progressed = false;
	mr_renew_step(k, mr_clock_ns(CLOCK_MONOTONIC_COARSE));
	mr_wait_limit_init(&p, c, timeout_ms);
	outer = c->until;
	c->pulled = false;
	c->pull_from = k;
	c->pull_out = out;
	c->until = &c->pulled;
	error = pull_wait(k, &p);
	c->until = outer;
	c->hold = c->pulled;
	/* Acks gather while there is more to pull. */
	c->pulling = c->pulled && c->pull_from == k &&
		     (k->fifo_count > 0 || mr_bytes_readable(&c->down) != 0);
	c->pull_from = NULL;
	mr_end(c);
	c->pulling = false;
	return error == -ETIMEDOUT || error == -EINTR ? mr_fail(c, error, NULL) : error;
}

/* Lost sessions, and consumers that the bus has closed. */

static void consumer_lost(struct mr_consumer *k)
{
	struct mr_deferred *a;

	k->queue = 0;
	k->current = 0;
	k->acked = 0;
	k->handed_tag = 0;
	k->handed_again = false;
	k->settlements_count = 0;
	k->reopen_ns = 0;
	mark_clean(k);
	while ((a = fifo_pop(k)) != NULL)
		free(a);
	mr_deferred_forget(k->client, k->base.id);
	k->base.deferred = 0;
	k->unsettled_free = NONE;
	for (uint32_t i = k->unsettled_room; i-- > 0;) {
		k->unsettled[i] = (struct mr_unsettled){.next_free = k->unsettled_free};
		k->unsettled_free = i;
	}
	if (k->on_change != NULL)
		k->on_change(k);
}

static void consumers_lost(struct mr_client *c)
{
	for (uint32_t i = 0; i < c->subscriptions_top; i++) {
		if (c->subscriptions[i] != NULL && c->subscriptions[i]->consumes)
			consumer_lost((struct mr_consumer *)c->subscriptions[i]);
	}
}

void mr_consumer_disconnected(struct mr_client *c, uint32_t subscription)
{
	struct mr_subscription *s = mr_subscription_find(c, subscription);

	if (s == NULL || !s->consumes) {
		c->unmatched++;
		return;
	}
	consumer_lost((struct mr_consumer *)s);
	((struct mr_consumer *)s)->reopen_ns = 1;
	c->consumers_to_reopen = true;
	mr_housekeep_by(c, 0);
}

static void reopened(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct mr_subscription *s = mr_subscription_find(c, object);

	(void)arg;
	if (s != NULL && s->consumes)
		mr_consumer_opened((struct mr_consumer *)s, a);
}

static void reopen(struct mr_consumer *k)
{
	struct mr_control_request *request =
		mr_control_request_new(k->client, reopened, NULL, k->base.id);

	if (request == NULL)
		return;
	k->reopen_ns = 0;
	request->bytes = mr_consumer_encode(k, request->body, sizeof(request->body));
	mr_control_request_send(k->client, request, MR_NEVER_NS);
}

static void open_lost(struct mr_client *c, uint64_t now_ns)
{
	if (!c->consumers_to_reopen || c->refuse != 0)
		return;
	c->consumers_to_reopen = false;
	for (uint32_t i = 0; i < c->subscriptions_top; i++) {
		struct mr_consumer *k = (struct mr_consumer *)c->subscriptions[i];

		if (k == NULL || !k->base.consumes || k->reopen_ns == 0)
			continue;
		if (k->reopen_ns <= now_ns)
			reopen(k);
		if (k->reopen_ns == 0)
			continue;
		c->consumers_to_reopen = true;
		mr_housekeep_by(c, k->reopen_ns);
	}
}

/* Settlements that found no room are tried again soon. */
static uint64_t due_ns(const struct mr_client *c)
{
	if (mr_likely(c->dirty == NULL) || c->refuse != 0)
		return MR_NEVER_NS;
	return mr_now_ns() + MR_NS_PER_MS;
}

const struct mr_part mr_consumer_part = {
	.due_ns = due_ns,
	.step = open_lost,
	.flush = flush_all,
	.lost = consumers_lost,
};
