/* SPDX-License-Identifier: Apache-2.0 */
/* The library's own acks name the last delivery of a row (AckUpTo), so one settlement does for a
 * burst. They go out when processing ends, and when half of the prefetch waits, so that the bus
 * always has a consumer to deliver to. */
#include "client/queue/consumer.h"

#include <stdlib.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/ring_out.h"
#include "client/queue/handover.h"
#include "client/subscribe/subscribe.h"
#include "lib/wire/priority.h"

#define UNSETTLED_MAX 65536u
#define SLOT_BITS     MR_UNSETTLED_SLOT_BITS
#define SLOT_MASK     (UNSETTLED_MAX - 1)
#define NONE          UINT32_MAX
#define ROW_NS        (20 * MR_NS_PER_MS) /* longest time for which a row of acks waits */
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

void mr_consumers_flush(struct mr_client *c)
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
bool mr_consumer_settlements_room(struct mr_consumer *k)
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
	mr_consumer_settle_as(
		k, &(struct mrf_settlement){
			   .tag = bus_tag, .delay_ms = delay_ms, .verb = (uint8_t)verb});
}

void mr_consumer_settle_as(struct mr_consumer *k, const struct mrf_settlement *s)
{
	/* Without memory the bus finds out by its ack time-out. */
	if (!mr_consumer_settlements_room(k))
		return;
	close_row(k);
	if (!mr_consumer_settlements_room(k))
		return;
	if (s->tag == k->handed_tag)
		k->handed_tag = 0;
	k->settlements[k->settlements_count++] = *s;
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
		/* After a leased delivery the time-out of the others begins anew. */
		mr_consumer_settle(k, bus_tag,
			k->renew_max_ms != 0 ? MRF_SETTLE_VERB_ACK_UP_TO : MRF_SETTLE_VERB_ACK, 0);
		return;
	}
	k->acked_to = bus_tag;
	mark_dirty(k);
	if (++k->acked >= k->batch || mr_unlikely(k->handed_again))
		flush(k);
	else if (row_is_old(k))
		mr_consumer_flush(k);
}

void mr_consumer_ack_current(struct mr_consumer *k)
{
	if (!k->manual && k->current != 0)
		ack_row(k, k->current);
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
	u->handed_over = false;
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

static struct mr_unsettled *find_unsettled(const struct mr_consumer *k, uint64_t tag)
{
	uint32_t slot = (uint32_t)(tag & SLOT_MASK);
	struct mr_unsettled *u = slot < k->unsettled_room ? &k->unsettled[slot] : NULL;

	return u != NULL && u->serial != 0 && u->serial == tag >> SLOT_BITS ? u : NULL;
}

bool mr_consumer_is_handed_over(const struct mr_consumer *k, uint64_t tag)
{
	const struct mr_unsettled *u = find_unsettled(k, tag);

	return u != NULL && u->handed_over;
}

bool mr_consumer_hand_over(struct mr_consumer *k, uint64_t tag)
{
	struct mr_unsettled *u = find_unsettled(k, tag);

	if (u == NULL || u->recalled)
		return false;
	u->handed_over = true;
	k->handed_over++;
	return true;
}

void mr_consumer_take_back(struct mr_consumer *k, uint64_t tag)
{
	struct mr_unsettled *u = find_unsettled(k, tag);

	if (u == NULL)
		return;
	u->handed_over = false;
	k->handed_over--;
}

bool mr_consumer_end_handover(struct mr_consumer *k, uint64_t tag, uint64_t *bus_tag)
{
	k->handed_over--;
	return mr_consumer_tag(k, tag, true, bus_tag);
}

/* Programs may use it as an index: so a level without a name is high or low. */
static enum mr_priority priority_of_level(uint8_t priority)
{
	unsigned level = mr_level_of_priority(priority);

	return level == MR_LEVEL_NORMAL  ? MR_PRIORITY_NORMAL
	       : level > MR_LEVEL_NORMAL ? MR_PRIORITY_HIGH
					 : MR_PRIORITY_LOW;
}

static inline enum mr_priority priority_of(uint8_t priority)
{
	return mr_likely(priority <= MR_PRIORITY_LOW) ? (enum mr_priority)priority
						      : priority_of_level(priority);
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
		.priority = priority_of(m->extra.delivery.priority),
		.publisher = m->extra.origin.publisher,
		.id = m->extra.origin.id,
	};
}

void mr_consumer_send_back(struct mr_consumer *k, const struct mr_message_view *m)
{
	k->client->missed++;
	mr_consumer_settle(k, m->extra.delivery.tag, MRF_SETTLE_VERB_RETURNED, 100);
}

MR_ALWAYS_INLINE bool prepare(
	struct mr_consumer *k, const struct mr_message_view *m, struct mr_delivery *out)
{
	uint64_t bus_tag = m->extra.delivery.tag;

	delivery_fill(out, k, m, k->manual ? unsettled_add(k, bus_tag) : bus_tag);
	if (mr_unlikely(out->tag == 0)) {
		mr_consumer_send_back(k, m);
		return false;
	}
	k->base.count++;
	k->client->received++;
	k->current = bus_tag;
	k->spared = m->extra.delivery.spared;
	k->priority = m->extra.delivery.priority;
	before_hand_out(k, m);
	if (mr_unlikely(k->renew_max_ms != 0))
		mr_renew_lease(k, bus_tag);
	return true;
}

bool mr_consumer_prepare(
	struct mr_consumer *k, const struct mr_message_view *m, struct mr_delivery *out)
{
	return prepare(k, m, out);
}

MR_ALWAYS_INLINE void hand_out(struct mr_consumer *k, const struct mr_message_view *m)
{
	uint64_t bus_tag = m->extra.delivery.tag;
	struct mr_client *c = k->client;
	uint32_t id = k->base.id;
	struct mr_delivery d;

	if (mr_unlikely(!prepare(k, m, &d)))
		return;
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

void mr_consumer_hand_out(struct mr_consumer *k, const struct mr_message_view *m)
{
	hand_out(k, m);
}

unsigned mr_consumer_take(struct mr_consumer *k, const uint8_t *at, const struct mr_message_view *m,
	struct mr_deferred *whole)
{
	struct mr_client *c = k->client;
	bool kept;

	if (mr_consumer_is_pulled(k))
		return mr_consumer_take_pulled(k, at, m, whole);
	if (mr_likely(c->depth == 0 && k->base.deferred == 0)) {
		hand_out(k, m);
		if (mr_unlikely(whole != NULL))
			free(whole);
		return 1;
	}
	kept = whole != NULL ? mr_deferred_keep(c, whole)
			     : mr_deferred_push(c, at, m->header.bytes, k->base.id);
	if (!kept)
		mr_consumer_send_back(k, m);
	return 0;
}

/* Closing. */

void mr_consumer_forget(struct mr_consumer *k)
{
	if (k->handed_over > 0)
		mr_handovers_consumer_gone(k);
	k->current = 0;
	k->acked = 0;
	k->handed_tag = 0;
	k->handed_again = false;
	k->settlements_count = 0;
	mark_clean(k);
	mr_consumer_drop_pulled(k);
	k->unsettled_free = NONE;
	for (uint32_t i = k->unsettled_room; i-- > 0;) {
		k->unsettled[i] = (struct mr_unsettled){.next_free = k->unsettled_free};
		k->unsettled_free = i;
	}
}

void mr_consumer_free(struct mr_consumer *k)
{
	/* Deliveries may have been handed out while it was being closed. */
	mr_consumer_forget(k);
	mr_consumer_drop_batch(k);
	free(k->settlements);
	free(k->unsettled);
	free(k);
}

int mr_consumer_close(struct mr_consumer *k)
{
	struct mr_client *c;
	int error;

	if (k == NULL)
		return mr_fail(NULL, -EINVAL, "mr_consumer_close: the consumer is NULL");
	c = k->client;
	if (c->refuse == -EDEADLK)
		return mr_ring_out_refused(c);
	if (mr_consumer_is_pulled(k))
		mr_consumer_ack_current(k);
	flush(k);
	mark_clean(k);
	if (c->pull_from == k)
		c->pull_from = NULL;
	error = mr_subscription_end(c, k->base.id, k->queue);
	mr_consumer_free(k);
	return error;
}
