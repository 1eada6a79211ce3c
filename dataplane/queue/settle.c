/* SPDX-License-Identifier: Apache-2.0 */
/* settle: settlements of consumers, and what becomes of a delivery that comes back. */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/dead.h"
#include "dataplane/queue/hold.h"
#include "dataplane/queue/later.h"
#include "dataplane/queue/lines.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/retry.h"
#include "dataplane/queue/settle.h"
#include "dataplane/queue/ttl.h"
#include "dataplane/queue/work.h"

/* A Settle with a larger header block has no error text. */
#define ERROR_BLOCK_BYTES_MAX 1024u

void mr_settle_done(struct mr_queues *q, struct mr_queue_delivery *d)
{
	struct mr_queue *queue = d->queue;
	struct mr_queue_entry *e;

	d->consumer->acked++;
	queue->acked++;
	mr_count(q->c.stats->queue_acked, 1);
	e = mr_delivery_end(q, d);
	mr_queue_done(q, queue, e);
}

static void requeue_entry(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, uint32_t delay_ms)
{
	if (delay_ms != 0 && mr_queue_age_left(q, queue, e) != 0 && mr_ttl_left(q, e) != 0) {
		if (mr_delivery_delay(q, queue, e, delay_ms))
			return;
		mr_count(q->c.stats->queue_undelayed, 1);
	}
	mr_queue_put_back(q, queue, e);
}

/* Handles a returned message of a queue. Returned dead letters are delivered again without limit,
 * or discarded. `counted`: a failed attempt, which the back-off of the queue delays. */
static void back_of_queue(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	enum mr_queue_back why, uint32_t delay_ms, bool counted)
{
	if (delay_ms == 0 && counted)
		delay_ms = mr_retry_delay_ms(q, queue, e->attempts);
	if (queue->is_dead && why == MR_BACK_REJECT)
		mr_queue_done(q, queue, e);
	else if (why == MR_BACK_REJECT)
		mr_dead_letter(q, queue, e, "rejected");
	else if (e->attempts >= queue->options.max_deliver && !queue->is_dead)
		mr_dead_letter(q, queue, e, "max-deliver");
	else
		requeue_entry(q, queue, e, delay_ms);
}

/* True if a failure counts against the service. A request that its caller did not complete, or no
 * longer waits for, does not count; otherwise any caller could open the circuit for all. */
static bool blames_service(struct mr_queues *q, struct mr_queue_entry *e, enum mr_queue_back why)
{
	if (why == MR_BACK_LOST)
		return true;
	return !(e->flags & MR_ENTRY_MORE) && q->c.ops->lives(q->c.arg, mr_entry_call(e)->session);
}

/* True if the delivery counts as an attempt. A delivery that did not reach the program, or was
 * returned on purpose, does not. */
static bool counts_as_attempt(const struct mr_queue_delivery *d, enum mr_queue_back why)
{
	if (why == MR_BACK_LEFT || why == MR_BACK_RETURNED)
		return false;
	return d->handed || why == MR_BACK_REQUEUE || why == MR_BACK_REJECT;
}

static void count_attempt(struct mr_queue_entry *e, bool counted)
{
	if (counted)
		e->attempts += e->attempts < UINT16_MAX;
	else
		e->spared += e->spared < MR_ENTRY_SPARED_MAX;
}

/* True if the return is a failure of the service. A lost worker is one failure, however many calls
 * it had. */
static bool is_failure(const struct mr_queue_delivery *d, enum mr_queue_back why, bool counted)
{
	struct mr_queue_consumer *c = d->consumer;
	bool first = !c->failed || (d->entry->flags & MR_ENTRY_PROBE);

	if (why != MR_BACK_LOST)
		return counted;
	c->failed |= counted;
	return counted && first;
}

/* True if another worker may have the call. If a worker may have begun it, only when a repetition
 * does no harm. */
static bool may_repeat(const struct mr_queue *queue, enum mr_queue_back why)
{
	return why == MR_BACK_REQUEUE || why == MR_BACK_RETURNED || !queue->options.not_idempotent;
}

/* Gives a returned call to another worker if possible, else tells its caller the outcome. */
static void back_of_service(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	enum mr_queue_back why, uint32_t delay_ms, bool begun)
{
	const uint32_t status[] = {
		[MR_BACK_LOST] = MRF_STATUS_CODE_WORKER_LOST,
		[MR_BACK_LEFT] = MRF_STATUS_CODE_WORKER_LOST,
		[MR_BACK_TIMEOUT] = MRF_STATUS_CODE_EXPIRED,
		[MR_BACK_RETURNED] = MRF_STATUS_CODE_FAILED,
		[MR_BACK_REQUEUE] = MRF_STATUS_CODE_FAILED,
		[MR_BACK_REJECT] = MRF_STATUS_CODE_FAILED,
	};

	if (!begun && why != MR_BACK_REJECT && e->attempts < queue->options.max_deliver &&
		may_repeat(queue, why))
		requeue_entry(q, queue, e, delay_ms);
	else
		mr_service_end(q, queue, e, status[why]);
}

static void tell_breaker(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	enum mr_queue_back why, bool failure)
{
	queue->failures += failure;
	if (failure && blames_service(q, e, why))
		mr_breaker_failed(q, queue, e);
	else
		mr_breaker_void(queue, e);
}

void mr_settle_back(
	struct mr_queues *q, struct mr_queue_delivery *d, enum mr_queue_back why, uint32_t delay_ms)
{
	struct mr_queue *queue = d->queue;
	bool begun = d->partial || d->streamed;
	bool counted = counts_as_attempt(d, why);
	bool failure = is_failure(d, why, counted);
	struct mr_queue_entry *e = mr_delivery_end(q, d);

	count_attempt(e, counted);
	if (queue->kind == MRF_QUEUE_KIND_SERVICE) {
		tell_breaker(q, queue, e, why, failure);
		back_of_service(q, queue, e, why, delay_ms, begun);
	} else {
		back_of_queue(q, queue, e, why, delay_ms, counted);
	}
}

void mr_settle_acknowledge(struct mr_queues *q, struct mr_queue_delivery *d)
{
	if (d->queue->kind == MRF_QUEUE_KIND_SERVICE)
		mr_settle_back(q, d, MR_BACK_REJECT, 0);
	else
		mr_settle_done(q, d);
}

/* A renewed delivery is out of order and is acked alone. */
static void acknowledge_up_to(struct mr_queues *q, struct mr_queue_delivery *last)
{
	mr_consumer_restart(q, last->consumer);
	if (mr_unlikely(last->renewed))
		mr_settle_acknowledge(q, last);
	else
		mr_later_ack(q, last);
}

/* Ends a delivery whose message comes back or becomes a dead letter: now, if there is work left
 * until the next run. */
static void back_in_turn(
	struct mr_queues *q, struct mr_queue_delivery *d, enum mr_queue_back why, uint32_t delay_ms)
{
	if (mr_unlikely(!mr_work_left(q))) {
		mr_later(q, d, why, delay_ms);
		return;
	}
	mr_work(q, 1);
	mr_settle_back(q, d, why, delay_ms);
}

static void delivery_progress(struct mr_queues *q, struct mr_queue_delivery *d, uint32_t lease_ms)
{
	if (mr_unlikely(lease_ms > d->queue->options.ack_timeout_ms))
		mr_delivery_lease(q, d, lease_ms);
	else
		mr_delivery_touch(q, d, true);
}

/* Counts a settlement of an unknown tag. A consumer that leaves still receives deliveries until its
 * Leave arrives, and returns them: that is normal. An ack means work that another consumer will do
 * again. */
static void count_unknown(struct mr_queues *q, const struct mrf_settlement *s)
{
	bool gives_back = s->verb == MRF_SETTLE_VERB_REQUEUE || s->verb == MRF_SETTLE_VERB_HANDED ||
			  s->verb == MRF_SETTLE_VERB_LEAVE || s->verb == MRF_SETTLE_VERB_RETURNED ||
			  s->verb == MRF_SETTLE_VERB_PROGRESS;

	if (gives_back && mr_delivery_by_tag(q, s->tag) == NULL)
		mr_count(q->c.stats->late_settlements, 1);
	else /* another session's, or an ack that came too late */
		mr_count(q->c.stats->bad_tags, 1);
}

/* True if the delivery was acked already, and is not ended yet. Another ack may end it. */
static inline bool is_over(const struct mr_queues *q, const struct mr_queue_delivery *d,
	const struct mrf_settlement *s)
{
	return mr_likely(s->verb == MRF_SETTLE_VERB_ACK || d->consumer->special == 0)
		       ? false
		       : mr_later_is_acked(q, d);
}

/* Returns the delay that the consumer asks for; 0: that of the queue. */
static uint32_t delay_of(const struct mr_queue *queue, const struct mrf_settlement *s)
{
	return s->fallback != 0 && queue->options.retry_min_ms != 0 ? 0 : s->delay_ms;
}

static void settle_delivery(
	struct mr_queues *q, uint64_t session, uint32_t number, const struct mrf_settlement *s)
{
	struct mr_queue_delivery *d;

	if (mr_unlikely(s->verb == MRF_SETTLE_VERB_RELEASED))
		return; /* only shows that the consumer was heard */
	d = mr_delivery_find(q, s->tag, session, number);
	if (mr_unlikely(d == NULL || is_over(q, d, s))) {
		count_unknown(q, s);
		return;
	}
	switch (s->verb) {
	case MRF_SETTLE_VERB_ACK: mr_settle_acknowledge(q, d); break;
	case MRF_SETTLE_VERB_ACK_UP_TO: acknowledge_up_to(q, d); break;
	case MRF_SETTLE_VERB_REQUEUE:
		back_in_turn(q, d, MR_BACK_REQUEUE, delay_of(d->queue, s));
		break;
	case MRF_SETTLE_VERB_REJECT: back_in_turn(q, d, MR_BACK_REJECT, 0); break;
	case MRF_SETTLE_VERB_HANDED: d->handed = true; break;
	case MRF_SETTLE_VERB_LEAVE: mr_consumer_leave(q, d->consumer, MR_BACK_LEFT); break;
	case MRF_SETTLE_VERB_RETURNED: back_in_turn(q, d, MR_BACK_RETURNED, s->delay_ms); break;
	case MRF_SETTLE_VERB_PROGRESS: delivery_progress(q, d, s->delay_ms); break;
	default: mr_count(q->c.stats->bad_tags, 1); break;
	}
}

/* Keeps the error text of a failed attempt with its message. It costs memory, so not where the
 * share of the queue is used up. */
static void keep_error(struct mr_queues *q, struct mr_queue_delivery *d, struct mrf_string text)
{
	struct mr_queue *queue = d->queue;
	struct mr_queue_entry *e = d->entry;
	uint64_t body_bytes = e->body_bytes;

	mr_work(q, MR_WORK_DEAD + (e->body_bytes >> MR_WORK_LARGE));
	if (mr_push_share_used_up(q, queue) ||
		!mr_lines_error(q, &e, (const uint8_t *)text.data, text.bytes)) {
		mr_count(q->c.stats->queue_errors_lost, 1);
		return;
	}
	queue->body_bytes += e->body_bytes - body_bytes;
	d->entry = e;
}

/* Takes the error text of a Settle with a header block: it belongs to its only settlement. */
static void take_error(struct mr_queues *q, uint64_t session, const struct mr_message_view *m)
{
	struct mrf_settlement s;
	struct mr_queue_delivery *d;
	struct mrf_string text;

	if (m->payload_bytes != sizeof(s) || m->header_bytes > ERROR_BLOCK_BYTES_MAX)
		return;
	memcpy(&s, m->payload, sizeof(s));
	d = mr_delivery_find(q, s.tag, session, m->header.target);
	if (d == NULL || d->queue->kind != MRF_QUEUE_KIND_QUEUE || is_over(q, d, &s) ||
		(s.verb != MRF_SETTLE_VERB_REQUEUE && s.verb != MRF_SETTLE_VERB_REJECT))
		return;
	text = mr_lines_value((const char *)m->headers, m->header_bytes, MR_LINE_ERROR);
	if (text.bytes > 0)
		keep_error(q, d, text);
}

void mr_queues_settle(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms)
{
	struct mrf_settlement s;

	mr_queues_at(q, now_ms);
	if (m->payload_bytes == 0 || m->payload_bytes % sizeof(s) != 0) {
		mr_count(q->c.stats->drop_bad_message, 1);
		return;
	}
	if (mr_unlikely(m->header_bytes != 0))
		take_error(q, session, m);
	for (uint32_t at = 0; at < m->payload_bytes; at += (uint32_t)sizeof(s)) {
		memcpy(&s, m->payload + at, sizeof(s));
		/* Handed and Progress are not outcomes. */
		if (s.verb != MRF_SETTLE_VERB_HANDED && s.verb != MRF_SETTLE_VERB_PROGRESS)
			mr_client_heard(q, session);
		settle_delivery(q, session, m->header.target, &s);
	}
}

void mr_queues_undelivered(struct mr_queues *q, uint64_t tag, uint64_t now_ms)
{
	struct mr_queue_delivery *d = mr_delivery_by_tag(q, tag);
	struct mr_queue_consumer *c;
	struct mr_queue *queue;
	struct mr_queue_entry *e;

	mr_queues_at(q, now_ms);
	if (d == NULL || mr_later_is_acked(q, d))
		return;
	c = d->consumer;
	queue = d->queue;
	mr_consumer_block(q, c);
	e = mr_delivery_end(q, d);
	mr_queue_put_back(q, queue, e);
}
