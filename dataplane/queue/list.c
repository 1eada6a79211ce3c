/* SPDX-License-Identifier: Apache-2.0 */
/* list: the rows of queues and of their consumers, for operators. */
#include <errno.h>

#include "dataplane/queue/about.h"
#include "dataplane/queue/bind.h"
#include "dataplane/queue/command.h"
#include "dataplane/queue/dead.h"
#include "dataplane/queue/hold.h"
#include "dataplane/queue/key.h"

/* An answer is one message of at most MR_BODY_BYTES_MAX; this limit keeps it within that. */
#define CONSUMER_ROWS_MAX 256u
/* Slots and consumers visited for one page of a list. */
#define LIST_SLOTS_MAX     8192u
#define LIST_CONSUMERS_MAX 4096u

static uint32_t write_consumers(
	struct mr_queue_request *r, const struct mr_queue *queue, uint32_t *rows)
{
	uint32_t count = 0;

	for (; count < queue->consumers_count && count < CONSUMER_ROWS_MAX; count++) {
		const struct mr_queue_consumer *c = queue->consumers[count];

		rows[count] = mrf_queue_consumer_row_write(
			r->b, &(struct mrf_queue_consumer_row){
				      .session = c->session,
				      .subscription = c->subscription,
				      .prefetch = c->prefetch_asked,
				      .weight = c->weight,
				      .outstanding = c->outstanding,
				      .delivered = c->delivered,
				      .acked = c->acked,
				      .redelivered = c->redelivered,
				      .tag = mrf_str_n(c->tag, c->tag_bytes),
				      .state = mr_hold_state(c),
				      .rate = c->rate,
				      .prefetch_bytes = c->bytes_max,
				      .outstanding_bytes = c->bytes_out,
			      });
	}
	return count;
}

static uint64_t credit_of(const struct mr_queue *queue)
{
	uint64_t credit = 0;

	for (uint32_t i = 0; i < queue->consumers_count; i++) {
		const struct mr_queue_consumer *c = queue->consumers[i];

		if (c->prefetch > c->outstanding + c->overdue)
			credit += c->prefetch - c->outstanding - c->overdue;
	}
	return credit;
}

static uint32_t age_of(const struct mr_queues *q, const struct mr_queue_entry *e)
{
	return e == NULL ? 0 : (uint32_t)q->now_ms - e->born_ms;
}

/* Returns the age of the oldest delivery in the list from `at` on, as far as the request may still
 * look. */
static uint32_t oldest_out(struct mr_queue_request *r, uint32_t at)
{
	uint32_t oldest = 0;

	for (; at != MR_QUEUE_NONE && r->looks > 0; at = r->q->deliveries[at].next, r->looks--) {
		uint32_t age = age_of(r->q, r->q->deliveries[at].entry);

		oldest = age > oldest ? age : oldest;
	}
	return oldest;
}

static uint32_t larger_of(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t oldest_ms(struct mr_queue_request *r, const struct mr_queue *queue)
{
	uint32_t oldest = 0;

	for (unsigned i = 0; i < mr_queue_ranks(queue); i++)
		oldest = larger_of(oldest, age_of(r->q, mr_queue_oldest(queue, i)));
	if (queue->keys != NULL)
		oldest = larger_of(oldest, mr_keys_oldest_ms(r->q, queue, &r->looks));
	oldest = larger_of(oldest, oldest_out(r, queue->delayed_head));
	for (uint32_t i = 0; i < queue->consumers_count; i++)
		for (unsigned renewed = 0; renewed < 2; renewed++)
			oldest = larger_of(
				oldest, oldest_out(r, queue->consumers[i]->out[renewed].head));
	return oldest;
}

/* Counts the dead letters of NAME.dead, and all messages of a queue that is named for them. */
static uint64_t dead_ready(const struct mr_queue *queue)
{
	uint64_t count = queue->dead_to == NULL ? 0 : queue->dead_to->ready_count;

	return queue->is_dead || queue->dead == NULL ? count : count + queue->dead->ready_count;
}

static uint32_t write_row(struct mr_queue_request *r, const struct mr_queue *queue, bool consumers)
{
	uint32_t rows[CONSUMER_ROWS_MAX];
	uint32_t rows_count = consumers ? write_consumers(r, queue, rows) : 0;
	uint64_t by_level[MR_LEVELS];

	mr_level_counts(queue, by_level);
	return mrf_queue_row_write(
		r->b, &(struct mrf_queue_row){
			      .queue = queue->number,
			      .kind = queue->kind,
			      .name = mrf_str_n(queue->name, queue->name_bytes),
			      .worker = r->q->c.worker,
			      .options = mrf_queue_options_write(r->b, &queue->options),
			      .paused = queue->paused,
			      .ready = queue->ready_count,
			      .delayed = queue->delayed_count,
			      .outstanding = queue->outstanding_count,
			      .bytes = queue->body_bytes,
			      .oldest_ms = oldest_ms(r, queue),
			      .consumers = queue->consumers_count,
			      .credit = credit_of(queue),
			      .pushed = queue->pushed,
			      .accepted = queue->accepted,
			      .refused = queue->refused,
			      .duplicates = queue->duplicates,
			      .delivered = queue->delivered,
			      .acked = queue->acked,
			      .redelivered = queue->redelivered,
			      .dead = queue->dead_count,
			      .dropped = queue->dropped,
			      .expired = queue->expired,
			      .dead_ready = dead_ready(queue),
			      .breaker = queue->breaker.state,
			      .failures = queue->failures,
			      .replies = queue->replies,
			      .consumer_rows = rows,
			      .consumer_rows_count = rows_count,
			      .edited = queue->edited,
			      .bindings = mr_bind_count(r->q, queue),
			      .ready_by_level = by_level,
			      .ready_by_level_count = consumers ? MR_LEVELS : 0,
			      .keys = queue->keys == NULL ? 0 : queue->keys->count,
			      .keys_held = queue->keys == NULL ? 0 : queue->keys->held_count,
			      .keys_moved = queue->keys == NULL ? 0 : queue->keys->moved,
			      .dead_letter = mr_dead_name_of(queue),
			      .owner = mr_about_of(queue).owner,
			      .description = mr_about_of(queue).description,
		      });
}

int mr_request_row(struct mr_queue_request *r, const struct mr_queue *queue)
{
	r->answer.queue = queue->number;
	r->rows[0] = write_row(r, queue, true);
	r->answer.rows_count = 1;
	return 0;
}

int mr_request_show(struct mr_queue_request *r)
{
	const struct mr_queue *queue = mr_request_queue(r);

	return queue == NULL ? -ENOENT : mr_request_row(r, queue);
}

int mr_request_list(struct mr_queue_request *r)
{
	struct mr_queues *q = r->q;
	uint32_t first = mrf_queue_command_cursor(r->command), consumers = 0;

	for (uint32_t index = first; index < q->slots_fresh; index++) {
		const struct mr_queue *queue = q->slots[index].queue;

		if (r->answer.rows_count == MR_LIST_ROWS_MAX || index - first == LIST_SLOTS_MAX ||
			consumers >= LIST_CONSUMERS_MAX) {
			r->answer.count = index;
			break;
		}
		if (queue == NULL || queue->kind != r->kind)
			continue;
		consumers += queue->consumers_count;
		r->rows[r->answer.rows_count++] = write_row(r, queue, false);
	}
	return 0;
}
