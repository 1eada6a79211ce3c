/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/later.h"

#include "dataplane/queue/hold.h"
#include "dataplane/queue/settle.h"
#include "dataplane/queue/work.h"

/* Takes the delivery out of its consumer's list, and out of sight. */
static void take_out(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue_consumer *c = d->consumer;

	if (c->special & MR_SPECIAL_ACKS)
		mr_later_ack_moves(q, d);
	if (c->train == mr_delivery_index(q, d))
		mr_hold_end_train(q, c);
	mr_delivery_unlink(q, d);
	mr_queue_timer_clear(&q->timers, &d->timer);
	d->serial = ++q->serial;
}

void mr_later(
	struct mr_queues *q, struct mr_queue_delivery *d, enum mr_queue_back why, uint32_t delay_ms)
{
	uint32_t index = mr_delivery_index(q, d);

	take_out(q, d);
	d->consumer->later++;
	d->later_why = (uint8_t)why;
	d->sent_ms = delay_ms;
	d->prev = q->later_tail;
	d->next = MR_QUEUE_NONE;
	if (q->later_tail == MR_QUEUE_NONE)
		q->later_head = index;
	else
		q->deliveries[q->later_tail].next = index;
	q->later_tail = index;
}

static void end_first(struct mr_queues *q)
{
	struct mr_queue_delivery *d = &q->deliveries[q->later_head];

	q->later_head = d->next;
	if (q->later_head == MR_QUEUE_NONE)
		q->later_tail = MR_QUEUE_NONE;
	d->consumer->later--;
	mr_delivery_link_first(q, d);
	mr_settle_back(q, d, (enum mr_queue_back)d->later_why, d->sent_ms);
}

void mr_later_run(struct mr_queues *q)
{
	while (q->later_head != MR_QUEUE_NONE && mr_work_left(q)) {
		mr_work(q, 1);
		end_first(q);
	}
}

/* Serials rise along the list of deliveries in order. Those of a service may not: a part of an
 * answer moves one to the end. */
bool mr_later_is_acked(const struct mr_queues *q, const struct mr_queue_delivery *d)
{
	const struct mr_queue_consumer *c = d->consumer;

	return c->ack_at != MR_QUEUE_NONE && !d->renewed &&
	       d->queue->kind == MRF_QUEUE_KIND_QUEUE &&
	       (int32_t)(d->serial - q->deliveries[c->ack_at].serial) <= 0;
}

static void set_ack_at(struct mr_queue_consumer *c, uint32_t index)
{
	c->ack_at = index;
	c->special = (uint8_t)(index != MR_QUEUE_NONE ? c->special | MR_SPECIAL_ACKS
						      : c->special & ~MR_SPECIAL_ACKS);
}

void mr_later_ack_moves(struct mr_queues *q, const struct mr_queue_delivery *d)
{
	if (d->consumer->ack_at == mr_delivery_index(q, d))
		set_ack_at(d->consumer, d->prev);
}

bool mr_later_ack_run(struct mr_queues *q, struct mr_queue_consumer *c)
{
	while (c->ack_at != MR_QUEUE_NONE) {
		if (!mr_work_left(q))
			return false;
		mr_work(q, 1);
		mr_settle_acknowledge(q, &q->deliveries[c->out[false].head]);
	}
	return true;
}

void mr_later_ack(struct mr_queues *q, struct mr_queue_delivery *last)
{
	struct mr_queue_consumer *c = last->consumer;
	uint32_t index = mr_delivery_index(q, last);
	uint32_t at;

	if (mr_unlikely(c->ack_at != MR_QUEUE_NONE)) { /* others have to come first */
		if (last->queue->kind == MRF_QUEUE_KIND_QUEUE)
			set_ack_at(c, index);
		else
			mr_settle_acknowledge(q, last);
		return;
	}
	do {
		if (mr_unlikely(!mr_work_left(q))) {
			set_ack_at(c, index);
			mr_consumer_list(q, c);
			return;
		}
		mr_work(q, 1);
		at = c->out[false].head;
		if (mr_likely(q->deliveries[at].next != MR_QUEUE_NONE))
			mr_prefetch(q->deliveries[q->deliveries[at].next].entry);
		mr_settle_acknowledge(q, &q->deliveries[at]);
	} while (at != index);
}
