/* SPDX-License-Identifier: Apache-2.0 */
/* renew: extends the ack time-out of deliveries that are held for long.
 *
 *   waits in the ring, or in a list of this library ──┐
 *   in the program's hand, which reports progress ────┼──▶ Progress, four times per ack time-out
 *   in hand of a consumer that renews by itself ──────┘
 *
 *   bus ──▶ Recall: the delivery was taken back ──▶ its ack does not count ──▶ Released
 *
 *   handed out, with auto_renew ──▶ Progress with a time (a lease), before the callback runs
 *
 * A consumer whose deliveries the library acks needs none of this: its AckUpTo restarts the
 * time-out of all deliveries that it still has.
 */
#include <stdlib.h>

#include "client/core/control_request.h"
#include "client/core/deferred.h"
#include "client/core/error.h"
#include "client/core/part.h"
#include "client/core/wait.h"
#include "client/queue/consumer.h"

#define PARTS   4u /* renewals within a delivery's ack time-out */
#define BUSY_NS (10 * MR_NS_PER_MS)

void mr_renew_opened(struct mr_consumer *k, const struct mr_control_answer *a)
{
	struct mr_client *c = k->client;

	k->ack_timeout_ms = a->ack_timeout_ms;
	k->max_deliver = a->max_deliver;
	k->renew_ns = MR_NEVER_NS;
	if (!k->manual || k->ack_timeout_ms == 0)
		return;
	k->renew_ns = mr_now_ns() + k->ack_timeout_ms * MR_NS_PER_MS / PARTS;
	if (k->renew_ns < c->renew_ns)
		c->renew_ns = k->renew_ns;
	mr_housekeep_by(c, k->renew_ns);
	if (c->depth == 0)
		mr_timer_by(c, k->renew_ns);
}

static void report_progress(struct mr_consumer *k, uint64_t bus_tag)
{
	mr_consumer_settle(k, bus_tag, MRF_SETTLE_VERB_PROGRESS, 0);
}

/* The library starts no thread, and nothing is sent while a callback does not return. So it asks
 * for all the time before. */
void mr_renew_lease(struct mr_consumer *k, uint64_t bus_tag)
{
	if (k->renew_max_ms <= k->ack_timeout_ms)
		return;
	k->progressed = true;
	mr_consumer_settle(k, bus_tag, MRF_SETTLE_VERB_PROGRESS, k->renew_max_ms);
	mr_consumer_flush(k);
}

static bool is_delivery_of(const struct mr_consumer *k, const struct mr_message_view *m)
{
	const unsigned flags = m->header.flags;

	return m->header.kind == MRF_MESSAGE_KIND_DELIVER && m->header.target == k->base.id &&
	       (flags & MRF_MESSAGE_FLAG_DELIVERY) != 0 &&
	       ((flags & MRF_MESSAGE_FLAG_FRAGMENT) == 0 || m->extra.fragment.offset == 0);
}

/* Reports progress of messages in the ring that nobody has read yet. It takes none. */
static void renew_ring(struct mr_consumer *k)
{
	struct mr_bytes_consumer *down = &k->client->down;
	size_t ready = k->client->state == MR_STATE_LOST ? 0 : mr_bytes_readable(down);
	struct mr_message_view m;

	if (ready == MR_BYTES_CORRUPT)
		return;
	for (size_t at = 0; at < ready; at += mr_message_stride(m.header.bytes)) {
		const uint8_t *record = down->data + ((down->head + at) & (down->capacity - 1));

		m.header = mr_message_header_load(record);
		if (!mr_message_fits(&m.header, ready - at))
			return;
		if (m.header.kind == MRF_MESSAGE_KIND_DELIVER &&
			(m.header.flags & MRF_MESSAGE_FLAG_DELIVERY) != 0 &&
			mr_message_parse(record, m.header, &m) && is_delivery_of(k, &m))
			report_progress(k, m.extra.delivery.tag);
	}
}

static void renew_list(struct mr_consumer *k, struct mr_deferred *a)
{
	struct mr_message_view m;

	for (; a != NULL; a = a->next) {
		if (a->subscription == k->base.id && mr_deferred_parse(k->client, a, &m) &&
			m.header.kind == MRF_MESSAGE_KIND_DELIVER)
			report_progress(k, m.extra.delivery.tag);
	}
}

/* Those of the program only if it wants that. */
static void renew_in_hand(struct mr_consumer *k)
{
	for (uint32_t i = 0; i < k->unsettled_room; i++) {
		const struct mr_unsettled *u = &k->unsettled[i];

		if (u->serial != 0 && !u->recalled && (k->renews || u->handed_over))
			mr_consumer_settle(k, u->tag, MRF_SETTLE_VERB_PROGRESS, k->renew_max_ms);
	}
}

void mr_renew_step(struct mr_consumer *k, uint64_t now_ns)
{
	if (now_ns < k->renew_ns || k->queue == 0)
		return;
	mr_consumer_flush(k);
	/* Earlier settlements were not sent: the ring is full. */
	if (k->settlements_count > 0) {
		k->renew_ns = now_ns + BUSY_NS;
		return;
	}
	k->renew_ns = now_ns + k->ack_timeout_ms * MR_NS_PER_MS / PARTS;
	if (k->fifo_count > 0)
		renew_list(k, k->fifo_first);
	if (k->base.deferred > 0)
		renew_list(k, k->client->deferred.first);
	renew_ring(k);
	if (k->renews || k->handed_over > 0)
		renew_in_hand(k);
	mr_consumer_flush(k);
}

static void renew_all(struct mr_client *c, uint64_t now_ns)
{
	if (now_ns < c->renew_ns)
		return;
	c->renew_ns = MR_NEVER_NS;
	for (uint32_t i = 0; i < c->subscriptions_top; i++) {
		struct mr_consumer *k = (struct mr_consumer *)c->subscriptions[i];

		if (k == NULL || !k->base.consumes || k->queue == 0 || k->renew_ns == 0)
			continue;
		mr_renew_step(k, now_ns);
		if (k->renew_ns < c->renew_ns)
			c->renew_ns = k->renew_ns;
	}
}

/* Calls of the program. */

int mr_progress(struct mr_consumer *k, uint64_t tag)
{
	uint64_t bus_tag = tag;

	if (k == NULL)
		return mr_fail(NULL, -EINVAL, "mr_progress: the consumer is NULL");
	if (k->manual ? !mr_consumer_tag(k, tag, false, &bus_tag) : tag == 0 || tag != k->current)
		return mr_fail(k->client, -ENOENT, "no delivery in hand has this tag");
	k->progressed = true;
	mr_consumer_settle(k, bus_tag, MRF_SETTLE_VERB_PROGRESS, k->renew_max_ms);
	mr_consumer_flush(k);
	return 0;
}

void mr_consumer_renew(struct mr_consumer *k, bool on)
{
	if (k != NULL)
		k->renews = on;
}

void mr_consumer_on_recall(struct mr_consumer *k, mr_recall_fn *fn, void *arg)
{
	if (k == NULL)
		return;
	k->on_recall = fn;
	k->recall_arg = arg;
}

unsigned mr_consumer_ack_timeout_ms(const struct mr_consumer *k)
{
	return k != NULL ? k->ack_timeout_ms : 0;
}

unsigned mr_consumer_max_deliver(const struct mr_consumer *k)
{
	return k != NULL ? k->max_deliver : 0;
}

/* Recalls. */

static void released(struct mr_consumer *k, uint64_t bus_tag)
{
	mr_consumer_settle(k, bus_tag, MRF_SETTLE_VERB_RELEASED, 0);
}

static void report_recall(struct mr_consumer *k, uint64_t tag)
{
	struct mr_client *c = k->client;

	c->depth++;
	k->on_recall(c, tag, k->recall_arg);
	c->depth--;
}

/* Recalls a delivery in the program's hand. If the program has a recall callback, the slot is freed
 * at once; else the bus hears of it when the program settles the delivery. */
static bool recall_in_hand(struct mr_consumer *k, uint64_t bus_tag)
{
	uint32_t id = k->base.id;
	uint64_t tag, unused;
	uint32_t slot = 0;

	while (slot < k->unsettled_room &&
		(k->unsettled[slot].serial == 0 || k->unsettled[slot].tag != bus_tag))
		slot++;
	if (slot == k->unsettled_room)
		return false;
	k->unsettled[slot].recalled = true;
	tag = k->unsettled[slot].serial << MR_UNSETTLED_SLOT_BITS | slot;
	if (k->on_recalled != NULL)
		k->on_recalled(k, tag);
	/* The work of one that was handed over is done. */
	if (k->on_recall == NULL || k->unsettled[slot].handed_over)
		return true;
	report_recall(k, tag);
	if (k->client->subscriptions[id] == &k->base)
		(void)mr_consumer_tag(k, tag, true, &unused);
	return true;
}

static bool recall_current(struct mr_consumer *k, uint64_t bus_tag)
{
	if (k->manual || k->current != bus_tag)
		return false;
	k->current = 0;
	released(k, bus_tag);
	return true;
}

void mr_renew_recalled(struct mr_client *c, const struct mr_message_view *m)
{
	struct mr_subscription *s = mr_subscription_find(c, m->header.target);
	struct mr_consumer *k = s != NULL && s->consumes ? (struct mr_consumer *)s : NULL;
	uint64_t bus_tag = m->extra.delivery.tag;

	if (k == NULL || (m->header.flags & MRF_MESSAGE_FLAG_DELIVERY) == 0) {
		c->unmatched++;
		return;
	}
	if (recall_in_hand(k, bus_tag) || recall_current(k, bus_tag))
		return;
	if (mr_consumer_drop_waiting(k, bus_tag) || mr_deferred_drop(c, k->base.id, bus_tag)) {
		released(k, bus_tag);
		return;
	}
	/* The delivery was settled meanwhile, and the bus ignores this; or some of its fragments
	 * are still to come. */
	c->unmatched++;
	released(k, bus_tag);
}

static uint64_t due_ns(const struct mr_client *c)
{
	return c->renew_ns;
}

const struct mr_part mr_renew_part = {.due_ns = due_ns, .step = renew_all};
