/* SPDX-License-Identifier: Apache-2.0 */
/* consumer: the consumers of queues: credit, back-pressure of their sessions, time-outs. */
#include <errno.h>

#include "dataplane/queue/engine.h"
#include "dataplane/queue/hold.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/later.h"
#include "dataplane/queue/settle.h"
#include "dataplane/queue/work.h"

#define UNBLOCK_AT_ONCE 256u
/* Deliveries that time out in one millisecond, when a shorter time-out is set. */
#define OVERDUE_A_MS 256u

static bool is_service(const struct mr_queue_consumer *c)
{
	return c->queue->kind == MRF_QUEUE_KIND_SERVICE;
}

struct mr_queue_consumer *mr_consumer_find(struct mr_queue_client *client, uint32_t subscription)
{
	struct mr_queue_consumer *c = client->consumers;

	while (c != NULL && (c->subscription != subscription || c->gone))
		c = c->client_next;
	return c;
}

void mr_consumer_toggle(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (c->ready) {
		mr_policy_remove(c->queue, c);
		if (mr_unlikely(c->keys != NULL))
			mr_key_credit(q, c);
		return;
	}
	mr_policy_add(c->queue, c);
	if (mr_unlikely(c->keys != NULL))
		mr_key_credit(q, c);
	if (c->queue->ready_count > 0 && !c->queue->paused)
		mr_queue_activate(q, c->queue);
}

/* Sets what a request may change. -ENOMEM: nothing was changed. */
static int set_share(
	struct mr_queues *q, struct mr_queue_consumer *c, const struct mr_consumer_wish *wish)
{
	uint32_t prefetch = wish->prefetch, weight = wish->weight;
	int rc = mr_hold_tag(q, c, wish->tag);

	if (rc != 0)
		return rc;
	if (prefetch == 0)
		prefetch = is_service(c) ? 1 : q->c.prefetch;
	c->prefetch_asked = prefetch < MR_QUEUE_PREFETCH_MAX ? prefetch : MR_QUEUE_PREFETCH_MAX;
	c->weight = weight == 0 ? 1 : weight < MR_QUEUE_WEIGHT_MAX ? weight : MR_QUEUE_WEIGHT_MAX;
	c->says_handed = wish->says_handed;
	c->recalls = wish->recalls;
	mr_hold_wish(q, c, wish);
	return 0;
}

void mr_consumer_list(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (c->leaving)
		return;
	c->leaving = true;
	c->leaving_prev = NULL;
	c->leaving_next = q->leaving;
	if (q->leaving != NULL)
		q->leaving->leaving_prev = c;
	q->leaving = c;
}

static void unlink_leaving(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (!c->leaving)
		return;
	if (c->leaving_prev == NULL)
		q->leaving = c->leaving_next;
	else
		c->leaving_prev->leaving_next = c->leaving_next;
	if (c->leaving_next != NULL)
		c->leaving_next->leaving_prev = c->leaving_prev;
	c->leaving = false;
}

/* Handles a repeated request. The same subscription changes its prefetch and weight. Another
 * subscription of the same session to the same service is refused: a worker that sent READY twice.
 */
static int consume_again(struct mr_queues *q, struct mr_queue_client *client,
	struct mr_queue *queue, const struct mr_consumer_wish *wish, bool *done)
{
	struct mr_queue_consumer *c = mr_consumer_find(client, wish->subscription);

	*done = true;
	if (c != NULL) {
		if (c->queue != queue)
			return -EEXIST;
		return set_share(q, c, wish);
	}
	if (queue->kind == MRF_QUEUE_KIND_SERVICE)
		for (c = client->consumers; c != NULL; c = c->client_next)
			if (c->queue == queue && !c->gone)
				return -EEXIST;
	*done = false;
	return 0;
}

static void link_consumer(struct mr_queue_client *client, struct mr_queue_consumer *c)
{
	c->client = client;
	c->client_next = client->consumers;
	client->consumers = c;
	client->services += is_service(c);
}

static void unlink_consumer(struct mr_queue_consumer *c)
{
	struct mr_queue_consumer **at = &c->client->consumers;

	while (*at != c)
		at = &(*at)->client_next;
	*at = c->client_next;
	c->client->services -= is_service(c);
}

int mr_consumer_add(
	struct mr_queues *q, struct mr_queue *queue, const struct mr_consumer_wish *wish)
{
	struct mr_queue_client *client = mr_client_of(q, wish->session);
	struct mr_queue_consumer *c;
	bool done;
	int rc;

	if (client == NULL)
		return -ENOMEM;
	rc = consume_again(q, client, queue, wish, &done);
	if (done)
		return rc;
	rc = mr_limit_consumer(q, queue, client);
	if (rc != 0)
		return rc;
	rc = mr_policy_reserve(q, queue);
	c = rc == 0 ? mr_slab_alloc(q->store, (uint32_t)sizeof(*c)) : NULL;
	if (c == NULL) {
		mr_limit_consumer_gone(q, queue, client);
		return rc != 0 ? rc : -ENOMEM;
	}
	*c = (struct mr_queue_consumer){
		.queue = queue,
		.session = wish->session,
		.subscription = wish->subscription,
		.restart_ms = (uint32_t)q->now_ms,
		.out = {{MR_QUEUE_NONE, MR_QUEUE_NONE}, {MR_QUEUE_NONE, MR_QUEUE_NONE}},
		.train = MR_QUEUE_NONE,
		.ack_at = MR_QUEUE_NONE,
		.timer = {.kind = MR_QUEUE_TIMER_CONSUMER},
	};
	rc = mr_hold_tag(q, c, wish->tag);
	if (rc == 0 && queue->keys != NULL && !mr_key_consumer_new(q, c)) {
		mr_hold_leave(q, c);
		rc = -ENOMEM;
	}
	if (rc != 0) {
		mr_slab_release(q->store, c, (uint32_t)sizeof(*c));
		mr_limit_consumer_gone(q, queue, client);
		return rc;
	}
	link_consumer(client, c);
	client->consumers_count++;
	mr_policy_join(queue, c);
	if (c->keys != NULL)
		mr_key_join(q, queue, c);
	mr_hold_join(q, c);
	(void)set_share(q, c, wish); /* the tag is there already */
	queue->used_ms = q->now_ms;
	queue->wanted = true;
	return 0;
}

static void link_blocked(struct mr_queues *q, struct mr_queue_consumer *c)
{
	c->blocked = true;
	c->blocked_next = NULL;
	c->blocked_prev = q->blocked_tail;
	if (q->blocked_tail == NULL)
		q->blocked = c;
	else
		q->blocked_tail->blocked_next = c;
	q->blocked_tail = c;
}

static void unlink_blocked(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (c->blocked_prev == NULL)
		q->blocked = c->blocked_next;
	else
		c->blocked_prev->blocked_next = c->blocked_next;
	if (c->blocked_next == NULL)
		q->blocked_tail = c->blocked_prev;
	else
		c->blocked_next->blocked_prev = c->blocked_prev;
	c->blocked = false;
}

static void send_disconnect(
	struct mr_queues *q, const struct mr_queue_consumer *c, int code, const char *text)
{
	uint64_t memory[64];
	struct mrf_builder b;
	struct mr_message_plan plan;
	uint32_t body;
	const void *out;
	size_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	body = mrf_disconnect_write(
		&b, &(struct mrf_disconnect){
			    .subscription = c->subscription, .code = code, .text = mrf_str(text)});
	body = mrf_client_message_write(
		&b, &(struct mrf_client_message){
			    .body_type = MRF_CLIENT_BODY_DISCONNECT, .body = body});
	if (mrf_builder_finish(&b, body, &out, &bytes) != 0)
		return;
	plan = mr_message_plan(MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, out, 0, (uint32_t)bytes);
	(void)q->c.ops->send(q->c.arg, c->session, &plan, 0, true);
}

/* Returns when the time-out of a delivery began: with the delivery, or when the deliveries before
 * it were settled. */
static uint32_t began_ms(const struct mr_queue_consumer *c, const struct mr_queue_delivery *d)
{
	return (int32_t)(c->restart_ms - d->sent_ms) > 0 ? c->restart_ms : d->sent_ms;
}

/* Returns the milliseconds until the delivery times out; 0 or less: it has. A leased one begins in
 * the future. */
static int64_t left_ms(const struct mr_queues *q, const struct mr_queue_consumer *c,
	const struct mr_queue_delivery *d)
{
	int32_t age = (int32_t)((uint32_t)q->now_ms - began_ms(c, d));

	return (int64_t)c->queue->options.ack_timeout_ms - age;
}

uint32_t mr_consumer_oldest(const struct mr_queues *q, const struct mr_queue_consumer *c)
{
	uint32_t in_order = c->out[false].head, renewed = c->out[true].head;

	if (mr_likely(renewed == MR_QUEUE_NONE) || in_order == MR_QUEUE_NONE)
		return in_order == MR_QUEUE_NONE ? renewed : in_order;
	return (int32_t)(began_ms(c, &q->deliveries[renewed]) -
			 began_ms(c, &q->deliveries[in_order])) < 0
		       ? renewed
		       : in_order;
}

/* Marks the oldest delivery as handed, if the consumer does not report Handed: once until it is
 * heard again. So a message that kills consumers becomes a dead letter in the end, and those behind
 * it do not. */
static void presume_handed(struct mr_queues *q, struct mr_queue_consumer *c)
{
	uint32_t oldest = mr_consumer_oldest(q, c);

	if (c->says_handed || c->blamed || oldest == MR_QUEUE_NONE)
		return;
	c->blamed = true;
	q->deliveries[oldest].handed = true;
}

static void forget_consumer(struct mr_queues *q, struct mr_queue_consumer *c)
{
	struct mr_queue *queue = c->queue;

	mr_work(q, MR_WORK_REMOVE);
	if (c->blocked)
		unlink_blocked(q, c);
	mr_queue_timer_clear(&q->timers, &c->timer);
	if (c->keys != NULL)
		mr_key_part(q, queue, c);
	mr_policy_leave(queue, c);
	mr_hold_leave(q, c);
	unlink_consumer(c);
	c->client->consumers_count--;
	mr_limit_consumer_gone(q, queue, c->client);
	mr_slab_release(q->store, c, (uint32_t)sizeof(*c));
	queue->used_ms = q->now_ms;
	mr_queue_arm(q, queue);
	mr_limit_idle(q, queue);
}

static bool leaves(const struct mr_queue_consumer *c)
{
	return (c->holds & MR_HOLD_LEFT) != 0;
}

/* Gives deliveries back, as far as the call's work reaches. False: it has more. */
static bool give_all_back(struct mr_queues *q, struct mr_queue_consumer *c)
{
	while (c->outstanding > c->later && mr_work_left(q)) {
		mr_work(q, 1);
		mr_settle_back(q, &q->deliveries[mr_consumer_oldest(q, c)],
			(enum mr_queue_back)c->leaving_why, 0);
	}
	return c->outstanding == 0;
}

/* Goes on with the acks of a consumer, then with its leaving. False: it has more. */
static bool go_on(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (!mr_later_ack_run(q, c) || (leaves(c) && !give_all_back(q, c))) {
		mr_consumer_list(q, c);
		return false;
	}
	unlink_leaving(q, c);
	if (c->gone)
		forget_consumer(q, c);
	return true;
}

static void withdraw_credit(
	struct mr_queues *q, struct mr_queue_consumer *c, enum mr_queue_back why)
{
	if (!leaves(c))
		c->leaving_why = (uint8_t)why;
	mr_hold_set(q, c, MR_HOLD_LEFT, true); /* no more, whatever comes back */
	presume_handed(q, c);
}

void mr_consumer_leave(struct mr_queues *q, struct mr_queue_consumer *c, enum mr_queue_back why)
{
	withdraw_credit(q, c, why);
	(void)go_on(q, c);
}

void mr_consumer_remove(struct mr_queues *q, struct mr_queue_consumer *c, enum mr_queue_back why,
	int code, const char *text)
{
	withdraw_credit(q, c, why);
	if (code != 0)
		send_disconnect(q, c, code, text);
	if (c->blocked)
		unlink_blocked(q, c);
	c->gone = true;
	(void)go_on(q, c);
}

void mr_consumers_leave_run(struct mr_queues *q)
{
	while (q->leaving != NULL && go_on(q, q->leaving))
		;
}

void mr_consumer_block(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (c->blocked)
		return;
	link_blocked(q, c);
	if (q->retry_ms <= q->now_ms)
		q->retry_ms = q->now_ms + 1;
	mr_consumer_update(q, c);
}

/* Tries again the blocked consumers that have waited longest. */
void mr_consumers_unblock(struct mr_queues *q)
{
	struct mr_queue_consumer *last = q->blocked_tail, *c;

	for (unsigned i = 0; i < UNBLOCK_AT_ONCE && (c = q->blocked) != NULL && mr_work_left(q);
		i++) {
		unlink_blocked(q, c);
		if (c->train != MR_QUEUE_NONE && !mr_fragment_train(q, c))
			link_blocked(q, c);
		mr_consumer_update(q, c);
		if (c == last)
			break;
	}
	q->retry_ms = q->now_ms + 1;
}

void mr_consumer_recall(struct mr_queues *q, const struct mr_queue_delivery *d)
{
	struct mr_queue_consumer *c = d->consumer;
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_RECALL, NULL, NULL, 0, NULL, 0, 0);
	struct mr_message_extra extra;

	mr_count(q->c.stats->queue_recalled, 1);
	c->overdue++;
	c->client->overdue = true;
	if (mr_unlikely(c->special != 0))
		mr_hold_overdue(q, d);
	if (!c->recalls)
		return;
	mr_delivery_describe(&extra, mr_delivery_tag(q, d), c->queue, 0, MRF_PRIORITY_NORMAL, 0);
	mr_message_plan_extra(&plan, &extra);
	(void)q->c.ops->send(q->c.arg, c->session, &plan, c->subscription, true);
}

/* Returns the consumer's timed-out deliveries to the queue. It gets no others in their place until
 * it is heard, so a consumer that never acks holds no more messages than its credit. */
void mr_consumer_on_timer(struct mr_queues *q, struct mr_queue_consumer *c)
{
	uint32_t oldest;
	int64_t left;

	while ((oldest = mr_consumer_oldest(q, c)) != MR_QUEUE_NONE) {
		struct mr_queue_delivery *d = &q->deliveries[oldest];

		left = left_ms(q, c, d);
		if (left > 0 || !mr_work_left(q)) {
			mr_queue_timer_set(
				&q->timers, &c->timer, q->now_ms + (left > 0 ? (uint64_t)left : 1));
			break;
		}
		mr_work(q, MR_WORK_SEND);
		if (mr_unlikely(mr_later_is_acked(q, d))) {
			mr_settle_done(q, d);
			continue;
		}
		presume_handed(q, c);
		mr_consumer_recall(q, d);
		if (mr_unlikely(c->special != 0))
			mr_hold_timed_out(q, c);
		mr_settle_back(q, d, MR_BACK_TIMEOUT, 0);
	}
	if (oldest == MR_QUEUE_NONE && c->later > 0) /* link_out counts on a timer that is set */
		mr_queue_timer_set(
			&q->timers, &c->timer, q->now_ms + c->queue->options.ack_timeout_ms);
	if (mr_unlikely(c->holds & MR_HOLD_RATE))
		mr_hold_on_timer(q, c);
}

void mr_consumers_retime(struct mr_queues *q, struct mr_queue *queue)
{
	uint64_t overdue = 0;

	for (uint32_t i = 0; i < queue->consumers_count; i++) {
		struct mr_queue_consumer *c = queue->consumers[i];
		uint32_t oldest = mr_consumer_oldest(q, c);
		int64_t left;
		uint64_t due;

		if (oldest == MR_QUEUE_NONE)
			continue;
		left = left_ms(q, c, &q->deliveries[oldest]);
		due = q->now_ms + (uint64_t)left;
		if (left <= 0) { /* one after the other, so that no round has all of them */
			due = q->now_ms + 1 + overdue / OVERDUE_A_MS;
			overdue += c->outstanding;
		}
		mr_queue_timer_set(&q->timers, &c->timer, due);
	}
}
