/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/hold.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/later.h"
#include "dataplane/queue/work.h"

#include <errno.h>

/* Tokens are counted in millionths of a message, as a rate in thousandths a second gives whole ones
 * of these each millisecond. */
#define TOKEN    1000000ull
#define BURST_MS 100u

#define LOOKS_A_STEP 32u /* at consumers, for another one to be the active one */

#define PASSES_ON (MR_HOLD_LEFT | MR_HOLD_OPERATOR | MR_HOLD_ITSELF | MR_HOLD_STALLED)

/* One active consumer */

static bool is_single(const struct mr_queue *queue)
{
	return queue->options.single_active == MRF_SINGLE_ACTIVE_YES && !queue->is_dead;
}

static void set_hold(
	struct mr_queues *q, struct mr_queue_consumer *c, enum mr_consumer_hold hold, bool on)
{
	c->holds = (uint8_t)(on ? c->holds | hold : c->holds & ~hold);
	c->prefetch = c->holds != 0 ? 0 : c->prefetch_asked;
	mr_consumer_update(q, c);
	if (mr_unlikely(c->keys != NULL) && (c->holds & ~(MR_HOLD_RATE | MR_HOLD_BYTES)) != 0)
		mr_key_withdraw(q, c);
}

/* Returns the consumer that came first of those that could take messages; NULL: none. */
static struct mr_queue_consumer *first_able(const struct mr_queue *queue)
{
	struct mr_queue_consumer *first = NULL;

	for (uint32_t i = 0; i < queue->consumers_count; i++) {
		struct mr_queue_consumer *c = queue->consumers[i];

		if (!(c->holds & PASSES_ON) &&
			(first == NULL || (int32_t)(c->arrived - first->arrived) < 0))
			first = c;
	}
	return first;
}

static void stand_by(struct mr_queues *q, struct mr_queue_consumer *c)
{
	c->special &= (uint8_t)~MR_SPECIAL_SOLE;
	set_hold(q, c, MR_HOLD_STANDBY, true);
}

/* Makes another consumer the active one, if there is none or it can pass its part on. */
static void elect(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_consumer *sole = queue->sole, *next;

	if (!is_single(queue))
		return;
	if (sole != NULL && (!(sole->holds & PASSES_ON) || sole->outstanding > 0))
		return;
	mr_work(q, queue->consumers_count / LOOKS_A_STEP);
	next = first_able(queue);
	if (next == NULL)
		return;
	if (sole != NULL)
		stand_by(q, sole);
	queue->sole = next;
	next->special |= MR_SPECIAL_SOLE;
	set_hold(q, next, MR_HOLD_STANDBY, false);
}

void mr_hold_set(
	struct mr_queues *q, struct mr_queue_consumer *c, enum mr_consumer_hold hold, bool on)
{
	set_hold(q, c, hold, on);
	if ((hold & PASSES_ON) && (on ? c->queue->sole == c : !(c->holds & PASSES_ON)))
		elect(q, c->queue);
}

void mr_hold_join(struct mr_queues *q, struct mr_queue_consumer *c)
{
	c->arrived = ++c->queue->arrivals;
	if (!is_single(c->queue))
		return;
	stand_by(q, c);
	elect(q, c->queue);
}

void mr_hold_leave(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (c->tag_bytes > 0)
		mr_slab_release(q->store, c->tag, c->tag_bytes);
	if (c->queue->sole != c)
		return;
	c->queue->sole = NULL;
	elect(q, c->queue);
}

void mr_hold_single_changed(struct mr_queues *q, struct mr_queue *queue)
{
	queue->sole = NULL;
	for (uint32_t i = 0; i < queue->consumers_count; i++) {
		struct mr_queue_consumer *c = queue->consumers[i];

		c->special &= (uint8_t)~MR_SPECIAL_SOLE;
		set_hold(q, c, MR_HOLD_STANDBY, is_single(queue));
		set_hold(q, c, MR_HOLD_STALLED, false);
	}
	elect(q, queue);
}

void mr_hold_timed_out(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (c->special & MR_SPECIAL_SOLE)
		mr_hold_set(q, c, MR_HOLD_STALLED, true);
}

/* Rates */

static uint64_t burst_of(const struct mr_queue_consumer *c)
{
	uint64_t burst = (uint64_t)c->rate * BURST_MS;

	return burst > TOKEN ? burst : TOKEN;
}

static void refill(const struct mr_queues *q, struct mr_queue_consumer *c)
{
	uint64_t passed_ms = q->now_ms - c->tokens_ms, burst = burst_of(c);

	c->tokens_ms = q->now_ms;
	if (passed_ms >= burst / c->rate + 1 || c->tokens + passed_ms * c->rate > burst)
		c->tokens = burst;
	else
		c->tokens += passed_ms * c->rate;
}

/* Holds the consumer until it has a token again. */
static void check_rate(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (c->tokens < TOKEN)
		mr_queue_timer_set(&q->timers, &c->timer,
			q->now_ms + (TOKEN - c->tokens + c->rate - 1) / c->rate);
	if ((c->tokens < TOKEN) != ((c->holds & MR_HOLD_RATE) != 0))
		set_hold(q, c, MR_HOLD_RATE, c->tokens < TOKEN);
}

void mr_hold_on_timer(struct mr_queues *q, struct mr_queue_consumer *c)
{
	refill(q, c);
	check_rate(q, c);
}

static void set_rate(struct mr_queues *q, struct mr_queue_consumer *c, uint32_t rate)
{
	if (rate == c->rate)
		return;
	c->rate = rate;
	c->tokens = burst_of(c);
	c->tokens_ms = q->now_ms;
	c->special =
		(uint8_t)(rate != 0 ? c->special | MR_SPECIAL_RATE : c->special & ~MR_SPECIAL_RATE);
	set_hold(q, c, MR_HOLD_RATE, false);
}

/* Bytes */

static void check_bytes(struct mr_queues *q, struct mr_queue_consumer *c)
{
	bool full = c->bytes_max != 0 && c->bytes_out + c->bytes_overdue >= c->bytes_max;

	if (full != ((c->holds & MR_HOLD_BYTES) != 0))
		set_hold(q, c, MR_HOLD_BYTES, full);
}

/* The deliveries that are out already do not count towards a new limit. */
static void set_bytes(struct mr_queues *q, struct mr_queue_consumer *c, uint32_t bytes_max)
{
	if (bytes_max == 0 || c->bytes_max == 0)
		c->bytes_out = c->bytes_overdue = 0;
	c->bytes_max = bytes_max;
	c->special = (uint8_t)(bytes_max != 0 ? c->special | MR_SPECIAL_BYTES
					      : c->special & ~MR_SPECIAL_BYTES);
	check_bytes(q, c);
}

static void subtract_bytes(struct mr_queue_consumer *c, uint32_t bytes)
{
	c->bytes_out -= bytes < c->bytes_out ? bytes : c->bytes_out;
	if (c->outstanding == 0)
		c->bytes_out = 0;
}

/* All together */

void mr_hold_wish(
	struct mr_queues *q, struct mr_queue_consumer *c, const struct mr_consumer_wish *wish)
{
	mr_hold_set(q, c, MR_HOLD_LEFT, false);
	mr_hold_set(q, c, MR_HOLD_ITSELF, wish->paused);
	set_rate(q, c, wish->rate);
	set_bytes(q, c, wish->prefetch_bytes);
}

int mr_hold_tag(struct mr_queues *q, struct mr_queue_consumer *c, struct mrf_string tag)
{
	uint32_t bytes = tag.bytes < MR_QUEUE_TAG_BYTES_MAX ? tag.bytes : MR_QUEUE_TAG_BYTES_MAX;
	char *own = NULL;

	if (bytes == c->tag_bytes && (bytes == 0 || memcmp(c->tag, tag.data, bytes) == 0))
		return 0;
	if (bytes > 0) {
		own = mr_slab_alloc(q->store, bytes);
		if (own == NULL)
			return -ENOMEM;
		memcpy(own, tag.data, bytes);
	}
	if (c->tag_bytes > 0)
		mr_slab_release(q->store, c->tag, c->tag_bytes);
	c->tag = own;
	c->tag_bytes = (uint8_t)bytes;
	return 0;
}

void mr_hold_delivered(struct mr_queues *q, const struct mr_queue_delivery *d)
{
	struct mr_queue_consumer *c = d->consumer;

	if (c->special & MR_SPECIAL_RATE) {
		refill(q, c);
		c->tokens -= TOKEN < c->tokens ? TOKEN : c->tokens;
		check_rate(q, c);
	}
	if (c->special & MR_SPECIAL_BYTES) {
		c->bytes_out += d->entry->body_bytes;
		check_bytes(q, c);
	}
}

void mr_hold_end_train(struct mr_queues *q, struct mr_queue_consumer *c)
{
	c->train = MR_QUEUE_NONE;
	c->special &= (uint8_t)~MR_SPECIAL_TRAIN;
	mr_consumer_update(q, c);
}

void mr_hold_ended(struct mr_queues *q, const struct mr_queue_delivery *d)
{
	struct mr_queue_consumer *c = d->consumer;

	if (c->train == mr_delivery_index(q, d))
		mr_hold_end_train(q, c);
	if (c->special & MR_SPECIAL_ACKS)
		mr_later_ack_moves(q, d);
	if (c->special & MR_SPECIAL_BYTES) {
		subtract_bytes(c, d->entry->body_bytes);
		check_bytes(q, c);
	}
	if (d->leased && --c->leases == 0)
		c->special &= (uint8_t)~MR_SPECIAL_LEASE;
	if ((c->special & MR_SPECIAL_SOLE) && c->outstanding == 0)
		elect(q, c->queue);
}

void mr_hold_overdue(struct mr_queues *q, const struct mr_queue_delivery *d)
{
	struct mr_queue_consumer *c = d->consumer;

	if (!(c->special & MR_SPECIAL_BYTES))
		return;
	c->bytes_overdue += d->entry->body_bytes;
	check_bytes(q, c);
}

void mr_hold_heard(struct mr_queues *q, struct mr_queue_consumer *c)
{
	c->bytes_overdue = 0;
	check_bytes(q, c);
	if (c->holds & MR_HOLD_STALLED)
		mr_hold_set(q, c, MR_HOLD_STALLED, false);
}

bool mr_hold_is_meant(const struct mr_queue_consumer *c, uint64_t session, struct mrf_string tag)
{
	return (session != 0 && c->session == session) ||
	       (tag.bytes > 0 && tag.bytes == c->tag_bytes &&
		       memcmp(tag.data, c->tag, tag.bytes) == 0);
}

uint32_t mr_hold_operator(struct mr_queues *q, struct mr_queue *queue, uint64_t session,
	struct mrf_string tag, bool paused)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < queue->consumers_count; i++) {
		struct mr_queue_consumer *c = queue->consumers[i];

		if (!mr_hold_is_meant(c, session, tag))
			continue;
		count++;
		set_hold(q, c, MR_HOLD_OPERATOR, paused);
	}
	elect(q, queue); /* one look at all, however many were paused */
	return count;
}

uint8_t mr_hold_state(const struct mr_queue_consumer *c)
{
	if (c->holds & MR_HOLD_OPERATOR)
		return MRF_CONSUMER_STATE_PAUSED;
	if (c->holds & (MR_HOLD_ITSELF | MR_HOLD_LEFT))
		return MRF_CONSUMER_STATE_PAUSED_ITSELF;
	if (c->holds & MR_HOLD_STANDBY)
		return MRF_CONSUMER_STATE_STANDBY;
	if (c->holds & MR_HOLD_STALLED)
		return MRF_CONSUMER_STATE_STALLED;
	if (c->blocked || c->train != MR_QUEUE_NONE)
		return MRF_CONSUMER_STATE_BLOCKED;
	if (c->holds & MR_HOLD_RATE)
		return MRF_CONSUMER_STATE_RATE;
	if ((c->holds & MR_HOLD_BYTES) || c->outstanding + c->overdue >= c->prefetch_asked)
		return MRF_CONSUMER_STATE_FULL;
	return MRF_CONSUMER_STATE_ACTIVE;
}
