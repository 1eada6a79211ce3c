/* SPDX-License-Identifier: Apache-2.0 */
/* full: a new message of a full queue takes the place of an old one: the oldest of the lowest
 * priority that is ready. That one is discarded, or becomes a dead letter.
 *
 *   push ─▶ full? ─▶ mr_full_enter ─▶ put
 *                        └──▶ the oldest of the lowest priority leaves; it may be the new one
 *
 * The limits are exact: the old one leaves before the new one is put. A large new one that needs
 * the room of many gets it as far as the round's work goes (work.h). A queue whose limits were
 * lowered gets back to them a slice a tick, and does not grow meanwhile.
 */
#include "dataplane/queue/full.h"

#include "dataplane/queue/dead.h"
#include "dataplane/queue/work.h"

/* Time until dead letters that had no room are asked again. */
#define RETRY_MS 1000u

static bool is_over(const struct mr_queue *queue, uint64_t more_bytes)
{
	const struct mrf_queue_options *o = &queue->options;

	return mr_queue_depth(queue) >= o->messages_max ||
	       (o->bytes_max != 0 && queue->body_bytes + more_bytes > o->bytes_max);
}

static unsigned level_of(struct mr_queue_entry *e)
{
	if ((e->flags & MR_ENTRY_TIME) && mr_entry_time(e)->level != 0)
		return mr_entry_time(e)->level - 1u;
	return mr_level_of_rank(e->priority);
}

static bool may_leave(struct mr_queues *q, struct mr_queue *queue, const struct mr_queue_entry *e)
{
	return queue->options.when_full != MRF_QUEUE_FULL_DEAD_LETTER ||
	       mr_dead_has_room(q, queue, e);
}

void mr_full_drop(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	mr_work(q, 1);
	queue->dropped++;
	mr_count(q->c.stats->drop_queue_full, 1);
	mr_queue_done(q, queue, e);
}

/* Sends away an entry that is in no list, and that body_bytes counts. */
static void leave(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	if (queue->options.when_full != MRF_QUEUE_FULL_DEAD_LETTER) {
		mr_full_drop(q, queue, e);
		return;
	}
	mr_dead_letter(q, queue, e, "full");
}

enum mr_full mr_full_enter(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	bool shrinks = mr_full_exceeds(queue);
	uint64_t freed_bytes = 0;

	if (!mr_full_displaces(queue))
		return MR_FULL_NONE;
	for (unsigned left = 0; is_over(queue, e->body_bytes); left++) {
		struct mr_queue_entry *last = mr_level_last(queue);

		if (shrinks && left > 0 && freed_bytes >= e->body_bytes)
			break;
		if (last == NULL || (left > 0 && !mr_work_left(q)))
			return MR_FULL_NONE;
		if (level_of(last) > level_of(e))
			last = e;
		if (!may_leave(q, queue, last))
			return MR_FULL_NONE;
		freed_bytes += last->body_bytes;
		if (last == e)
			queue->body_bytes += e->body_bytes;
		else
			mr_queue_take(q, queue, last);
		leave(q, queue, last);
		if (last == e)
			return MR_FULL_LEFT;
	}
	return MR_FULL_ROOM;
}

void mr_full_trim(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_entry *e;

	while (mr_full_displaces(queue) && mr_full_exceeds(queue) && mr_work_left(q) &&
		(e = mr_level_last(queue)) != NULL && may_leave(q, queue, e)) {
		mr_queue_take(q, queue, e);
		leave(q, queue, e);
	}
}

uint64_t mr_full_due_ms(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_entry *e;

	if (!mr_full_displaces(queue) || !mr_full_exceeds(queue))
		return UINT64_MAX;
	e = mr_level_last(queue);
	if (e == NULL)
		return UINT64_MAX;
	return may_leave(q, queue, e) ? q->now_ms : q->now_ms + RETRY_MS;
}
