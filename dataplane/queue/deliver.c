/* SPDX-License-Identifier: Apache-2.0 */
/* deliver: the table of deliveries, and the run that gives ready entries to consumers. */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/bind.h"
#include "dataplane/queue/dead.h"
#include "dataplane/queue/hold.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/later.h"
#include "dataplane/queue/settle.h"
#include "dataplane/queue/ttl.h"
#include "dataplane/queue/work.h"

/* Steps of one queue, before the next has its turn. Redrive takes at most half of them. */
#define QUEUE_STEPS 256u
/* When a timer looks again for a delivery that is being purged. */
#define PURGED_MS 1000u
/* A delay with more left than this is over: its timer was handled late. */
#define DELAY_MS_MAX (UINT32_MAX - (1u << 28))

static uint32_t take_free(struct mr_queues *q)
{
	uint32_t index = q->deliveries_free;

	if (mr_likely(index != MR_QUEUE_NONE)) {
		q->deliveries_free = q->deliveries[index].next;
		return index;
	}
	return q->deliveries_fresh < q->deliveries_max ? q->deliveries_fresh++ : MR_QUEUE_NONE;
}

static void give_free(struct mr_queues *q, struct mr_queue_delivery *d)
{
	d->entry = NULL;
	q->deliveries_used--;
	d->next = q->deliveries_free;
	q->deliveries_free = mr_delivery_index(q, d);
}

/* Makes a delivery; NULL: the table is full. */
static struct mr_queue_delivery *delivery_new(struct mr_queues *q, struct mr_queue *queue,
	struct mr_queue_consumer *c, struct mr_queue_entry *e)
{
	uint32_t index = take_free(q);
	struct mr_queue_delivery *d = &q->deliveries[index];

	if (mr_unlikely(index == MR_QUEUE_NONE))
		return NULL;
	q->deliveries_used++;
	d->entry = e;
	d->consumer = c;
	d->queue = queue;
	d->serial = ++q->serial;
	d->prev = MR_QUEUE_NONE;
	d->next = MR_QUEUE_NONE;
	d->sent_ms = (uint32_t)q->now_ms;
	d->timer.kind = MR_QUEUE_TIMER_DELIVERY; /* not set, as after mapping and clearing */
	d->partial = false;
	d->streamed = false;
	d->handed = false;
	d->renewed = false;
	d->leased = false;
	return d;
}

struct mr_queue_delivery *mr_delivery_by_tag(struct mr_queues *q, uint64_t tag)
{
	uint32_t index = (uint32_t)(tag >> 32);
	struct mr_queue_delivery *d = &q->deliveries[index];

	if (index >= q->deliveries_fresh || d->entry == NULL || d->consumer == NULL ||
		d->serial != (uint32_t)tag)
		return NULL;
	return d;
}

struct mr_queue_delivery *mr_delivery_find(
	struct mr_queues *q, uint64_t tag, uint64_t session, uint32_t number)
{
	struct mr_queue_delivery *d = mr_delivery_by_tag(q, tag);

	return d != NULL && d->consumer->session == session && d->queue->number == number ? d
											  : NULL;
}

static inline void link_out(struct mr_queues *q, struct mr_queue_delivery *d, bool renewed)
{
	struct mr_queue_consumer *c = d->consumer;
	struct mr_queue_out *out = &c->out[renewed];
	uint32_t index = mr_delivery_index(q, d);

	d->prev = out->tail;
	if (c->outstanding == 0)
		mr_queue_timer_set(
			&q->timers, &c->timer, q->now_ms + d->queue->options.ack_timeout_ms);
	if (out->tail == MR_QUEUE_NONE)
		out->head = index;
	else
		q->deliveries[out->tail].next = index;
	out->tail = index;
	c->outstanding++;
	d->queue->outstanding_count++;
	d->queue->out_bytes += d->entry->body_bytes;
}

static void unlink_from(
	struct mr_queues *q, struct mr_queue_delivery *d, uint32_t *head, uint32_t *tail)
{
	if (d->prev == MR_QUEUE_NONE)
		*head = d->next;
	else
		q->deliveries[d->prev].next = d->next;
	if (d->next != MR_QUEUE_NONE)
		q->deliveries[d->next].prev = d->prev;
	else
		*tail = d->prev;
}

void mr_delivery_unlink(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue_out *out = &d->consumer->out[d->renewed];

	unlink_from(q, d, &out->head, &out->tail);
}

void mr_delivery_link_first(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue_out *out = &d->consumer->out[d->renewed];
	uint32_t index = mr_delivery_index(q, d);

	d->prev = MR_QUEUE_NONE;
	d->next = out->head;
	if (out->head == MR_QUEUE_NONE)
		out->tail = index;
	else
		q->deliveries[out->head].prev = index;
	out->head = index;
}

static void end_out(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue_consumer *c = d->consumer;
	struct mr_queue_out *out = &c->out[d->renewed];

	unlink_from(q, d, &out->head, &out->tail);
	c->outstanding--;
	d->queue->outstanding_count--;
	d->queue->out_bytes -= d->entry->body_bytes;
	if (mr_likely(c->ready))
		mr_policy_settled(d->queue, c);
	else
		mr_consumer_update(q, c);
	if (mr_unlikely(c->special != 0))
		mr_hold_ended(q, d);
}

/* A purge has taken the delayed deliveries out of the queue's list and count. */
static void __attribute__((noinline)) end_delayed(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue *queue = d->queue;

	q->deliveries_delayed--;
	if (mr_unlikely(mr_purge_has(queue, d))) {
		unlink_from(q, d, &queue->purge.delayed_head, &queue->purge.delayed_tail);
		return;
	}
	unlink_from(q, d, &queue->delayed_head, &queue->delayed_tail);
	queue->delayed_count--;
}

struct mr_queue_entry *mr_delivery_end(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue_entry *e = d->entry;

	if (mr_likely(d->consumer != NULL)) {
		end_out(q, d);
	} else {
		end_delayed(q, d);
		if (e->flags & MR_ENTRY_TIME)
			mr_key_delayed(q, d->queue, e, -1);
	}
	if (d->timer.at != 0)
		mr_queue_timer_clear(&q->timers, &d->timer);
	give_free(q, d);
	return e;
}

/* Moves the last of the renewed deliveries before those that time out later: leased ones, which are
 * few. */
static void sort_renewed(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue_out *out = &d->consumer->out[true];
	uint32_t at = d->prev, index = mr_delivery_index(q, d);

	while (at != MR_QUEUE_NONE && (int32_t)(q->deliveries[at].sent_ms - d->sent_ms) > 0)
		at = q->deliveries[at].prev;
	if (at == d->prev)
		return;
	unlink_from(q, d, &out->head, &out->tail);
	d->prev = at;
	d->next = at == MR_QUEUE_NONE ? out->head : q->deliveries[at].next;
	q->deliveries[d->next].prev = index;
	if (at == MR_QUEUE_NONE)
		out->head = index;
	else
		q->deliveries[at].next = index;
}

void mr_delivery_touch(struct mr_queues *q, struct mr_queue_delivery *d, bool renewed)
{
	struct mr_queue_consumer *c = d->consumer;

	if (mr_unlikely(c->special & MR_SPECIAL_ACKS))
		mr_later_ack_moves(q, d);
	mr_delivery_unlink(q, d);
	c->outstanding--;
	d->queue->outstanding_count--;
	d->queue->out_bytes -= d->entry->body_bytes;
	d->renewed = renewed;
	d->next = MR_QUEUE_NONE;
	d->sent_ms = (uint32_t)q->now_ms;
	link_out(q, d, renewed);
	if (mr_unlikely(c->leases > 0))
		sort_renewed(q, d);
}

void mr_delivery_lease(struct mr_queues *q, struct mr_queue_delivery *d, uint32_t lease_ms)
{
	struct mr_queue_consumer *c = d->consumer;

	if (lease_ms > MR_QUEUE_LEASE_MS_MAX)
		lease_ms = MR_QUEUE_LEASE_MS_MAX;
	mr_delivery_touch(q, d, true);
	if (!d->leased && c->leases == MR_QUEUE_LEASES_MAX)
		return;
	c->leases += !d->leased;
	c->special |= MR_SPECIAL_LEASE;
	d->leased = true;
	d->sent_ms = (uint32_t)q->now_ms + lease_ms - d->queue->options.ack_timeout_ms;
	sort_renewed(q, d);
}

/* Returns the milliseconds until the entry reaches the age limit or the end of its time. */
static uint64_t left_of(
	const struct mr_queues *q, const struct mr_queue *queue, struct mr_queue_entry *e)
{
	uint64_t age_left = mr_queue_age_left(q, queue, e), ttl_left = mr_ttl_left(q, e);

	return age_left < ttl_left ? age_left : ttl_left;
}

bool mr_delivery_delay(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, uint32_t delay_ms)
{
	struct mr_queue_delivery *d;
	uint32_t max = q->deliveries_max / 2;
	uint64_t left_ms;

	/* At most half of the deliveries are delayed ones, so that a consumer that delays
	 * everything stops nobody. */
	if (q->deliveries_delayed >= max ||
		mr_share_used_up(
			queue->delayed_count - mr_ttl_waiting(queue), max - q->deliveries_delayed))
		return false;
	d = delivery_new(q, queue, NULL, e);
	if (d == NULL)
		return false;
	left_ms = left_of(q, queue, e);
	if (left_ms == 0) /* too old already: waits for room among the dead letters */
		left_ms = delay_ms;
	d->next = queue->delayed_head;
	if (d->next != MR_QUEUE_NONE)
		q->deliveries[d->next].prev = mr_delivery_index(q, d);
	else
		queue->delayed_tail = mr_delivery_index(q, d);
	queue->delayed_head = mr_delivery_index(q, d);
	queue->delayed_count++;
	q->deliveries_delayed++;
	d->sent_ms += delay_ms;
	/* The entry may reach its age limit, or the end of its time, earlier. */
	mr_queue_timer_set(
		&q->timers, &d->timer, q->now_ms + (delay_ms < left_ms ? delay_ms : left_ms));
	if (e->flags & MR_ENTRY_TIME)
		mr_key_delayed(q, queue, e, 1);
	return true;
}

/* Sets the timer for the end of the caller's wait; set early and checked when it fires. */
static void set_caller_timer(struct mr_queues *q, struct mr_queue_delivery *d)
{
	const struct mr_queue_call *call = mr_entry_caller(d->entry);

	if (call->wait_ms != 0)
		mr_queue_timer_set(
			&q->timers, &d->timer, q->now_ms + (call->until_ms - (uint32_t)q->now_ms));
}

void mr_delivery_extend(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue_call *call = mr_entry_caller(d->entry);

	call->until_ms = (uint32_t)q->now_ms + call->wait_ms;
}

static bool caller_gave_up(const struct mr_queues *q, struct mr_queue_entry *e)
{
	const struct mr_queue_call *call = mr_entry_caller(e);

	return call->wait_ms != 0 && (int32_t)((uint32_t)q->now_ms - call->until_ms) >= 0;
}

/* Ends a call in hand if its caller has stopped waiting: its worker need not continue. */
static void caller_timer(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue *queue = d->queue;

	if (!caller_gave_up(q, d->entry)) {
		set_caller_timer(q, d);
		return;
	}
	mr_consumer_recall(q, d);
	queue->expired++;
	mr_service_abandon(q, queue, mr_delivery_end(q, d));
}

/* Puts a delayed entry back, unless its timer was set for an age limit that no longer holds. */
static void delay_timer(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue *queue = d->queue;
	uint64_t left_ms = left_of(q, queue, d->entry);
	uint32_t delay_ms = d->sent_ms - (uint32_t)q->now_ms;

	if (mr_unlikely(mr_purge_has(queue, d))) {
		mr_queue_timer_set(&q->timers, &d->timer, q->now_ms + PURGED_MS);
		return;
	}
	if (left_ms == 0 || delay_ms == 0 || delay_ms > DELAY_MS_MAX)
		mr_queue_put_back(q, queue, mr_delivery_end(q, d));
	else
		mr_queue_timer_set(&q->timers, &d->timer,
			q->now_ms + (delay_ms < left_ms ? delay_ms : left_ms));
}

/* Sets the timer for the end of the entry's time, or of its caller's wait. */
static void set_end_timer(struct mr_queues *q, struct mr_queue_delivery *d)
{
	if (d->entry->flags & MR_ENTRY_CALL)
		set_caller_timer(q, d);
	else if (mr_entry_ends(d->entry))
		mr_queue_timer_set(&q->timers, &d->timer, mr_entry_time(d->entry)->ends_ms);
}

/* Takes back a message in hand whose time is over. */
static void end_in_hand(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue *queue = d->queue;

	if (mr_later_is_acked(q, d)) {
		mr_settle_done(q, d);
		return;
	}
	mr_consumer_recall(q, d);
	mr_ttl_end(q, queue, mr_delivery_end(q, d));
}

/* Handles the end of a delay, of an entry's time, or of a caller's wait. */
void mr_delivery_on_timer(struct mr_queues *q, struct mr_queue_delivery *d)
{
	if (d->consumer != NULL && (d->entry->flags & MR_ENTRY_CALL))
		caller_timer(q, d);
	else if (d->consumer != NULL)
		end_in_hand(q, d);
	else
		delay_timer(q, d);
}

static inline void set_extra(struct mr_message_extra *extra, const struct mr_queue *queue,
	struct mr_queue_entry *e, uint64_t tag)
{
	mr_delivery_describe(extra, tag, queue, mr_entry_redelivered(e), e->priority, e->spared);
	if (e->flags & MR_ENTRY_ORIGIN) {
		extra->flags |= MRF_MESSAGE_FLAG_ORIGIN;
		extra->origin = *mr_entry_origin(e);
	}
	if (mr_likely((e->flags & (MR_ENTRY_MORE | MR_ENTRY_TIME)) == 0))
		return;
	if (e->flags & MR_ENTRY_MORE)
		extra->flags |= MRF_MESSAGE_FLAG_MORE;
	if (e->priority == MR_ENTRY_LEVEL)
		extra->delivery.priority = mr_entry_priority(e);
}

MR_ALWAYS_INLINE bool send_whole(struct mr_queues *q, const struct mr_queue_delivery *d,
	const struct mr_queue_consumer *c, struct mr_queue_entry *e)
{
	uint64_t tag = mr_delivery_tag(q, d);
	bool call = (e->flags & MR_ENTRY_CALL) != 0;
	struct mrf_reply_token token = {tag, call ? mr_entry_call(e)->correlation : 0};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_DELIVER, call ? &token : NULL, NULL, 0,
			mr_entry_body(e), e->header_bytes, e->body_bytes - e->header_bytes);
	struct mr_message_extra extra;

	set_extra(&extra, c->queue, e, tag);
	mr_message_plan_extra(&plan, &extra);
	return q->c.ops->send(q->c.arg, c->session, &plan, c->subscription, false);
}

/* Returns the fragment part. A message that was pushed whole gets the delivery's own numbers. */
static struct mrf_message_fragment fragment_of(
	const struct mr_queue_delivery *d, struct mr_queue_entry *e, uint64_t tag)
{
	const struct mr_queue_chain *chain = mr_entry_body(e);
	bool fragmented = (e->flags & MR_ENTRY_CHAIN) != 0;

	return (struct mrf_message_fragment){
		.session = fragmented && chain->session != 0 ? chain->session : tag,
		.message = fragmented && chain->session != 0 ? chain->message : d->serial,
		.total_bytes = e->body_bytes,
	};
}

/* Sends the remaining fragments of one message, all to one consumer, with nothing between them. */
bool mr_fragment_train(struct mr_queues *q, struct mr_queue_consumer *c)
{
	struct mr_queue_delivery *d = &q->deliveries[c->train];
	struct mr_queue_entry *e = d->entry;
	uint64_t tag = mr_delivery_tag(q, d);
	struct mrf_message_fragment fragment = fragment_of(d, e, tag);
	struct mrf_reply_token token = {.session = tag};
	struct mr_message_extra extra;

	set_extra(&extra, d->queue, e, tag);
	extra.flags |= MRF_MESSAGE_FLAG_FRAGMENT;
	if (e->flags & MR_ENTRY_CALL)
		token.correlation = mr_entry_call(e)->correlation;
	while (c->train_offset < e->body_bytes) {
		uint32_t left = e->body_bytes - c->train_offset;
		uint32_t bytes = left < c->train_fragment_bytes ? left : c->train_fragment_bytes;
		uint32_t header_bytes = c->train_offset == 0 ? e->header_bytes : 0;
		const uint8_t *body = mr_entry_slice(q, e, &c->train_place, c->train_offset, bytes);
		struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_DELIVER,
			e->flags & MR_ENTRY_CALL ? &token : NULL, NULL, 0, body, header_bytes,
			bytes - header_bytes);

		fragment.offset = c->train_offset;
		extra.fragment = fragment;
		mr_message_plan_extra(&plan, &extra);
		if (!q->c.ops->send(q->c.arg, c->session, &plan, c->subscription, false))
			return false;
		c->train_offset += bytes;
	}
	c->train = MR_QUEUE_NONE;
	c->special &= (uint8_t)~MR_SPECIAL_TRAIN;
	return true;
}

static void count_delivery(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer *c, bool again)
{
	queue->delivered++;
	c->delivered++;
	mr_count(q->c.stats->queue_delivered, 1);
	if (mr_unlikely(again)) {
		queue->redelivered++;
		c->redelivered++;
		mr_count(q->c.stats->queue_redelivered, 1);
	}
}

/* Returns the fragment size for the session; 0: the message goes whole. */
static uint32_t fragment_bytes_for(struct mr_queues *q, uint64_t session, struct mr_queue_entry *e)
{
	const struct mr_queue_chain *chain = mr_entry_body(e);
	bool fragmented = (e->flags & MR_ENTRY_CHAIN) != 0;
	uint32_t most;

	if (mr_likely(!fragmented && e->body_bytes <= MR_QUEUE_FITS_ANY))
		return 0;
	mr_work(q, e->body_bytes >> MR_WORK_LARGE);
	most = mr_queue_body_room(q, session);
	if (fragmented)
		return chain->fragment_bytes < most ? chain->fragment_bytes : most;
	return e->body_bytes <= most ? 0 : most;
}

/* Removes a message whose header block exceeds one fragment. To wait would stop all messages behind
 * it. */
static bool bury_oversized(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	if (queue->is_dead)
		return false;
	mr_queue_take(q, queue, e);
	if (queue->kind == MRF_QUEUE_KIND_SERVICE)
		mr_service_end(q, queue, e, MRF_STATUS_CODE_FAILED);
	else
		mr_dead_letter(q, queue, e, "headers-too-large");
	return true;
}

static void begin_train(struct mr_queues *q, struct mr_queue_consumer *c,
	const struct mr_queue_delivery *d, uint32_t fragment_bytes)
{
	c->train = mr_delivery_index(q, d);
	c->special |= MR_SPECIAL_TRAIN;
	c->train_offset = 0;
	c->train_fragment_bytes = fragment_bytes;
	c->train_place = (struct mr_queue_place){0};
	if (!mr_fragment_train(q, c))
		mr_consumer_block(q, c);
}

/* Takes the next entry out, as mr_queue_take. `by_keys`: it is likely to have a key. True: it has,
 * and the policy has no part in it. */
MR_ALWAYS_INLINE bool take_next(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, bool by_keys)
{
	if (!by_keys || mr_unlikely(!mr_key_stands(e))) {
		mr_queue_take(q, queue, e);
		return false;
	}
	mr_queue_ready_less(queue, e);
	queue->apart_count--;
	mr_key_take_next(q, queue, e);
	return true;
}

/* Delivers the next entry of the queue. False: the consumer cannot take it now. */
MR_ALWAYS_INLINE bool deliver_entry(struct mr_queues *q, struct mr_queue *queue,
	struct mr_queue_consumer *c, struct mr_queue_entry *e, bool by_keys)
{
	uint32_t fragment_bytes = fragment_bytes_for(q, c->session, e);
	struct mr_queue_delivery *d = NULL;
	bool keyed;

	if (mr_unlikely(fragment_bytes != 0 && e->header_bytes > fragment_bytes))
		return bury_oversized(q, queue, e);
	if (mr_likely(!mr_share_used_up(c->outstanding, q->deliveries_max - q->deliveries_used)))
		d = delivery_new(q, queue, c, e);
	if (mr_unlikely(d == NULL)) /* the consumer, or all together, have too many unsettled */
		return false;
	if (mr_likely(fragment_bytes == 0) && !send_whole(q, d, c, e)) {
		give_free(q, d);
		return false;
	}
	keyed = take_next(q, queue, e, by_keys);
	link_out(q, d, false);
	if (e->flags & (MR_ENTRY_CALL | MR_ENTRY_TIME))
		set_end_timer(q, d);
	count_delivery(q, queue, c, (e->attempts | e->spared) != 0);
	if (!keyed)
		mr_policy_used(queue, c);
	if (mr_unlikely(c->special != 0))
		mr_hold_delivered(q, d);
	if (mr_unlikely(fragment_bytes != 0))
		begin_train(q, c, d, fragment_bytes);
	mr_consumer_update(q, c);
	return true;
}

bool mr_delivery_early(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer *c,
	struct mr_queue_entry *e)
{
	uint32_t fragment_bytes = fragment_bytes_for(q, c->session, e);
	struct mr_queue_delivery *d = NULL;

	if (fragment_bytes != 0 && e->header_bytes > fragment_bytes)
		return false;
	if (!mr_share_used_up(c->outstanding, q->deliveries_max - q->deliveries_used))
		d = delivery_new(q, queue, c, e);
	if (d == NULL)
		return false;
	if (fragment_bytes == 0 && !send_whole(q, d, c, e)) {
		give_free(q, d);
		return false;
	}
	mr_ttl_take_early(q, queue, e);
	link_out(q, d, false);
	set_end_timer(q, d);
	count_delivery(q, queue, c, (e->attempts | e->spared) != 0);
	if (c->ready)
		mr_policy_settled(queue, c);
	if (c->special != 0)
		mr_hold_delivered(q, d);
	if (fragment_bytes != 0)
		begin_train(q, c, d, fragment_bytes);
	mr_consumer_update(q, c);
	return true;
}

/* True if the entry is too old. A call with a caller's wait expires by that, any other entry by the
 * age limit. */
static bool too_old(
	const struct mr_queues *q, const struct mr_queue *queue, struct mr_queue_entry *e)
{
	if ((e->flags & MR_ENTRY_CALL) && mr_entry_caller(e)->wait_ms != 0)
		return caller_gave_up(q, e);
	return mr_queue_age_left(q, queue, e) == 0;
}

static void expire_entry(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	mr_queue_take(q, queue, e);
	if (mr_ttl_left(q, e) == 0) {
		mr_ttl_end(q, queue, e);
		return;
	}
	queue->expired++;
	if ((e->flags & MR_ENTRY_CALL) && caller_gave_up(q, e))
		mr_service_abandon(q, queue, e);
	else if (queue->kind == MRF_QUEUE_KIND_SERVICE)
		mr_service_end(q, queue, e, MRF_STATUS_CODE_EXPIRED);
	else
		mr_dead_letter(q, queue, e, "expired");
}

void mr_queue_expire(struct mr_queues *q, struct mr_queue *queue)
{
	/* A call is too old, too, when its caller no longer waits. */
	if (!mr_queue_has_age_limit(queue) && queue->kind != MRF_QUEUE_KIND_SERVICE)
		return;
	for (unsigned i = 0; i < mr_queue_ranks(queue); i++) {
		struct mr_queue_entry *e;

		while (mr_work_left(q) && (e = mr_queue_oldest(queue, i)) != NULL &&
			too_old(q, queue, e)) {
			mr_work(q, 1);
			expire_entry(q, queue, e);
		}
	}
}

/* Removes an entry that nobody waits for any more; true: it did. */
static inline bool drop_unwanted(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	if (mr_likely((e->flags & (MR_ENTRY_CALL | MR_ENTRY_TIME)) == 0 &&
		      queue->options.age_max_ms == 0))
		return false;
	if (mr_unlikely(too_old(q, queue, e) || mr_ttl_left(q, e) == 0)) {
		expire_entry(q, queue, e);
		return true;
	}
	if ((e->flags & MR_ENTRY_CALL) && !q->c.ops->lives(q->c.arg, mr_entry_call(e)->session)) {
		mr_queue_take(q, queue, e);
		mr_service_abandon(q, queue, e);
		return true;
	}
	return false;
}

/* True if an entry of a queue that goes by keys may have reached an end. */
static inline bool may_be_unwanted(const struct mr_queue *queue, struct mr_queue_entry *e)
{
	return (e->flags & MR_ENTRY_TIME) == 0 || queue->options.age_max_ms != 0 ||
	       mr_entry_time(e)->ends_ms != MR_TIME_NEVER;
}

/* Delivers from a queue that goes by keys. */
static void __attribute__((noinline))
run_keys(struct mr_queues *q, struct mr_queue *queue, uint32_t floor)
{
	struct mr_queue_consumer *c;
	struct mr_queue_entry *e;

	if (mr_unlikely(queue->keys->uneven))
		mr_key_share_out(q, queue);
	mr_key_run_loose(q, queue, floor + (q->work - floor) / 2);
	while (q->work > floor && !queue->paused && (e = mr_key_next(q, queue, &c)) != NULL) {
		q->work--;
		if (mr_unlikely(may_be_unwanted(queue, e)) && drop_unwanted(q, queue, e))
			continue;
		if (mr_likely(deliver_entry(q, queue, c, e, true)))
			mr_key_took(q, c);
		else
			mr_consumer_block(q, c);
	}
}

/* Delivers from one queue. The queue stays active if it has more to deliver. */
static void run_queue(struct mr_queues *q, struct mr_queue *queue)
{
	uint32_t floor = q->work > QUEUE_STEPS ? q->work - QUEUE_STEPS : 0;
	struct mr_queue_entry *e;
	struct mr_queue_consumer *c;

	mr_work(q, 1);
	if (mr_unlikely(queue->redriving > 0 && !queue->redrive_waits))
		mr_dead_redrive(q, queue, floor + (q->work - floor) / 2);
	if (mr_unlikely(queue->keys != NULL))
		run_keys(q, queue, floor);
	while (q->work > floor && !queue->paused && (e = mr_queue_next(q, queue)) != NULL &&
		(c = mr_policy_choose(q, queue)) != NULL) {
		q->work--;
		mr_prefetch(e->next); /* no address, without harm, if the entry is in no list */
		if (!drop_unwanted(q, queue, e) && !deliver_entry(q, queue, c, e, false))
			mr_consumer_block(q, c);
	}
	mr_queue_deactivate(q, queue);
	if (q->work <= floor || (queue->redriving > 0 && !queue->redrive_waits) ||
		(queue->keys != NULL && mr_keys_are_loose(queue)))
		mr_queue_activate(q, queue); /* behind the others */
}

static void free_garbage(struct mr_queues *q)
{
	mr_ttl_free_some(q);
	mr_keys_free_some(q);
	while (q->garbage != NULL && mr_work_left(q)) {
		struct mr_queue_entry *e = q->garbage;

		mr_work(q, 1);
		q->garbage = e->next;
		mr_entry_free(q, e);
	}
	while (q->garbage_tree != NULL && mr_work_left(q)) {
		struct mr_queue_entry *e = mr_returned_any(q, &q->garbage_tree);

		mr_work(q, 1);
		if (e != NULL)
			mr_entry_free(q, e);
	}
}

static bool has_rest(const struct mr_queues *q)
{
	return q->garbage != NULL || q->garbage_tree != NULL || q->garbage_nodes != 0 ||
	       q->garbage_fragments != NULL || q->purging != NULL || q->leaving != NULL ||
	       q->later_head != MR_QUEUE_NONE || mr_keys_has_garbage(q);
}

/* Goes on with what was too much for one call. */
static void clean_up(struct mr_queues *q)
{
	q->work = MR_WORK_CLEAN;
	mr_later_run(q);
	mr_consumers_leave_run(q);
	mr_purge_run(q);
	mr_entry_free_fragments(q);
	free_garbage(q);
}

bool mr_queues_run(struct mr_queues *q, uint64_t now_ms)
{
	mr_queues_at(q, now_ms);
	q->work = MR_WORK_RUN;
	if (q->blocked != NULL && q->now_ms >= q->retry_ms)
		mr_consumers_unblock(q);
	while (q->active_head != NULL && mr_work_left(q))
		run_queue(q, q->active_head);
	if (mr_unlikely(has_rest(q)))
		clean_up(q);
	mr_clients_flush(q);
	if (mr_unlikely(atomic_load_explicit(&q->bound.any, memory_order_relaxed)))
		mr_bind_run(q);
	mr_gauge(q->c.stats->store_bytes, mr_slab_bytes(q->store));
	mr_gauge(q->c.stats->store_bytes_max, q->store_entries_max);
	q->store_share = mr_queue_store_left(q) * MR_QUEUE_SHARE;
	q->work = MR_WORK_MESSAGES;
	return q->active_head != NULL || has_rest(q) || q->bound.look_left > 0;
}
