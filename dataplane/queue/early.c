/* SPDX-License-Identifier: Apache-2.0 */
/* early: lets an operator take the messages of a queue that are not due, and tells what a delivery
 * does not: the rest of the time to live, and the time until the message is due. */
#include <errno.h>

#include "dataplane/queue/command.h"
#include "dataplane/queue/hold.h"
#include "dataplane/queue/ttl.h"
#include "dataplane/queue/work.h"

/* Deliveries of one command, and entries that it looks at. */
#define EARLY_MAX 64u
#define LOOKS_MAX 4096u

static struct mr_queue_consumer *consumer_of(
	const struct mr_queue_request *r, const struct mr_queue *queue)
{
	uint64_t session = mrf_queue_command_session(r->command);
	struct mrf_string tag = mrf_queue_command_tag(r->command);

	for (uint32_t i = 0; i < queue->consumers_count; i++)
		if (mr_hold_is_meant(queue->consumers[i], session, tag))
			return queue->consumers[i];
	return NULL;
}

static bool has_credit(const struct mr_queue_consumer *c)
{
	return c->outstanding + c->overdue < c->prefetch && !c->blocked &&
	       c->train == MR_QUEUE_NONE;
}

static bool may_go(const struct mr_queues *q, struct mr_queue_entry *e)
{
	const struct mr_queue_time *t = mr_entry_time(e);

	return t->place == MR_TIME_WAIT && !t->repeats && mr_ttl_left(q, e) != 0;
}

/* Delivers waiting entries of one wheel, at most `max` with those delivered before. */
static void deliver_from(struct mr_queue_request *r, struct mr_queue *queue,
	struct mr_queue_consumer *c, const struct mr_wheel *w, uint32_t max)
{
	struct mr_wheel_node *n = mr_wheel_next(w, NULL), *next;

	for (; n != NULL && r->looks > 0 && r->answer.count < max && has_credit(c); n = next) {
		struct mr_queue_entry *e = mr_entry_of_node(n);

		next = mr_wheel_next(w, n);
		r->looks--;
		if (!may_go(r->q, e))
			continue;
		if (!mr_delivery_early(r->q, queue, c, e))
			return;
		r->answer.count++;
	}
}

int mr_request_early(struct mr_queue_request *r)
{
	uint32_t max = mrf_queue_command_count(r->command);
	struct mr_queue *queue = mr_request_queue(r);
	struct mr_queue_consumer *c = queue == NULL ? NULL : consumer_of(r, queue);

	if (queue == NULL)
		return -ENOENT;
	if (c == NULL || queue->paused) {
		r->q->limits.why = c == NULL ? "it has no such consumer" : "it is paused";
		return c == NULL ? -ESRCH : -EBUSY;
	}
	r->answer.queue = queue->number;
	r->looks = LOOKS_MAX;
	if (max == 0 || max > EARLY_MAX)
		max = EARLY_MAX;
	if (mr_ttl_waiting(queue) == 0)
		return 0;
	deliver_from(r, queue, c, &queue->times->wheel, max);
	if (queue->times->dated != NULL)
		deliver_from(r, queue, c, queue->times->dated, max);
	return 0;
}

static uint64_t rest_of(uint64_t end_ms, uint64_t now_ms)
{
	return end_ms > now_ms ? end_ms - now_ms : 1;
}

static uint32_t write_details(struct mr_queue_request *r, struct mr_queue_entry *e, uint64_t tag)
{
	const struct mr_queue_time *t;
	/* 0 would say that the age is not known. */
	struct mrf_queue_message_row row = {
		.tag = tag, .age_ms = ((uint32_t)r->q->now_ms - e->born_ms) | 1u};

	if ((e->flags & MR_ENTRY_TIME) == 0)
		return mrf_queue_message_row_write(r->b, &row);
	t = mr_entry_time(e);
	if (t->ends_ms != MR_TIME_NEVER)
		row.ttl_ms = rest_of(t->ends_ms, r->q->now_ms);
	if (t->early && t->dated)
		row.at_ms = t->node.due_ms;
	else if (t->early)
		row.delay_ms = rest_of(t->node.due_ms, r->q->now_ms);
	if (t->early && t->ticketed)
		row.ticket = e->ticket;
	return mrf_queue_message_row_write(r->b, &row);
}

int mr_request_details(struct mr_queue_request *r)
{
	uint32_t count = mrf_queue_command_tags_count(r->command);
	bool ages = mrf_queue_command_match_older_ms(r->command) != 0;
	struct mr_queue *queue = mr_request_queue(r);

	if (queue == NULL)
		return -ENOENT;
	r->answer.queue = queue->number;
	for (uint32_t i = 0; i < count && i < MR_QUEUE_PEEK_MAX; i++) {
		uint64_t tag = mrf_queue_command_tags_at(r->command, i);
		struct mr_queue_delivery *d = mr_delivery_by_tag(r->q, tag);

		if (d == NULL || d->queue != queue ||
			(!ages && (d->entry->flags & MR_ENTRY_TIME) == 0))
			continue;
		r->messages[r->answer.messages_count++] = write_details(r, d->entry, tag);
	}
	return 0;
}
