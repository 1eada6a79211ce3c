/* SPDX-License-Identifier: Apache-2.0 */
/* purge: empties and removes queues, however much is in them.
 *
 *   mr_queue_empty   lists and heaps of messages ──▶ the worker's garbage, at once
 *                    calls, delayed deliveries ────▶ queue->purge, some of them a round
 *   mr_queue_remove  the name and the number go at once; withheld pushes, windows and messages
 *                    that are being reassembled some of them a round; the last step frees the
 *                    queue
 *
 * The queue is empty for everybody when mr_queue_empty returns. What it had is freed later.
 */
#include "dataplane/queue/dead.h"
#include "dataplane/queue/bind.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/schedule.h"
#include "dataplane/queue/ttl.h"
#include "dataplane/queue/work.h"

static void append_list(struct mr_queue_list *to, struct mr_queue_list *from)
{
	if (from->head == NULL)
		return;
	if (to->head == NULL)
		to->head = from->head;
	else
		to->tail->next = from->head;
	to->tail = from->tail;
	from->head = NULL;
}

/* Calls are kept apart: their callers are told. */
static void detach_calls(struct mr_queues *q, struct mr_queue *queue, unsigned rank)
{
	struct mr_queue_entry **returned = mr_queue_returned_of(queue, rank);

	append_list(&queue->purge.calls, mr_queue_list_of(queue, rank));
	mr_returned_merge(q, &queue->purge.calls_returned, *returned);
	*returned = NULL;
}

static void discard_all(struct mr_queues *q, struct mr_queue *queue, unsigned rank)
{
	struct mr_queue_list *list = mr_queue_list_of(queue, rank);
	struct mr_queue_entry **returned = mr_queue_returned_of(queue, rank);

	mr_returned_merge(q, &q->garbage_tree, *returned);
	*returned = NULL;
	if (list->head == NULL)
		return;
	list->tail->next = q->garbage;
	q->garbage = list->head;
	list->head = NULL;
}

/* Puts the delayed deliveries in front of those of an earlier purge. */
static void detach_delayed(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_purge *p = &queue->purge;
	uint32_t head = queue->delayed_head, tail = queue->delayed_tail;

	if (head == MR_QUEUE_NONE)
		return;
	q->deliveries[tail].next = p->delayed_head;
	if (p->delayed_head != MR_QUEUE_NONE)
		q->deliveries[p->delayed_head].prev = tail;
	else
		p->delayed_tail = tail;
	p->delayed_head = head;
	p->serial = q->serial;
	queue->delayed_head = queue->delayed_tail = MR_QUEUE_NONE;
}

static void list_purge(struct mr_queues *q, struct mr_queue *queue)
{
	if (queue->purge.listed)
		return;
	queue->purge.listed = true;
	queue->purge.next = q->purging;
	q->purging = queue;
}

static void unlist_purge(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue **at = &q->purging;

	while (*at != queue)
		at = &(*at)->purge.next;
	*at = queue->purge.next;
	queue->purge.listed = false;
}

/* Ends a call. The queue has forgotten its bytes. */
static void end_call(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_purge *p = &queue->purge;
	struct mr_queue_entry *e = p->calls.head;

	mr_work(q, 1);
	if (e != NULL)
		(void)mr_list_pop(&p->calls);
	else
		e = mr_returned_pop(q, &p->calls_returned);
	queue->body_bytes += e->body_bytes;
	mr_service_end(q, queue, e, p->status);
}

static void end_delayed(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_entry *e = mr_delivery_end(q, &q->deliveries[queue->purge.delayed_head]);

	mr_work(q, MR_WORK_TIMER + 1);
	if (queue->kind != MRF_QUEUE_KIND_SERVICE) {
		if (e->flags & MR_ENTRY_TIME)
			mr_key_leave(q, queue, e);
		mr_entry_free(q, e);
		return;
	}
	queue->body_bytes += e->body_bytes;
	mr_service_end(q, queue, e, queue->purge.status);
}

bool mr_purge_has(const struct mr_queue *queue, const struct mr_queue_delivery *d)
{
	return queue->purge.delayed_head != MR_QUEUE_NONE &&
	       (int32_t)(d->serial - queue->purge.serial) <= 0;
}

/* True if a removed queue has something left that need not wait. */
static bool has_parts(const struct mr_queue *queue)
{
	return queue->withheld_head != NULL || queue->windows != NULL;
}

/* Goes on as far as the call's work reaches. False: there is more. */
static bool purge_some(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_purge *p = &queue->purge;

	for (;;) {
		bool calls = p->calls.head != NULL || p->calls_returned != NULL;
		bool delayed = p->delayed_head != MR_QUEUE_NONE;

		if (!calls && !delayed && !(p->removed && has_parts(queue)))
			return true;
		if (!mr_work_left(q))
			return false;
		if (calls)
			end_call(q, queue);
		else if (delayed)
			end_delayed(q, queue);
		else if (queue->withheld_head != NULL)
			mr_push_end_withheld(q, queue);
		else
			mr_window_drop(q, queue);
	}
}

/* Goes on with one queue, and frees it if it was removed and nothing is left. False: there is
 * more. A removed queue whose messages are still being reassembled is listed again by the last of
 * them. */
static bool go_on(struct mr_queues *q, struct mr_queue *queue)
{
	if (!purge_some(q, queue)) {
		list_purge(q, queue);
		return false;
	}
	if (queue->purge.listed)
		unlist_purge(q, queue);
	if (queue->purge.removed && queue->assemblies == 0)
		mr_queue_release(q, queue);
	return true;
}

void mr_purge_run(struct mr_queues *q)
{
	while (q->purging != NULL && go_on(q, q->purging))
		;
}

void mr_purge_assembled(struct mr_queues *q, struct mr_queue *queue)
{
	if (queue->purge.removed && queue->assemblies == 0)
		list_purge(q, queue);
}

static uint64_t empty_queue(struct mr_queues *q, struct mr_queue *queue, uint32_t status)
{
	uint64_t count = queue->ready_count + queue->delayed_count;

	queue->purge.status = status;
	detach_delayed(q, queue);
	for (unsigned i = 0; i < mr_queue_ranks(queue); i++)
		if (queue->kind == MRF_QUEUE_KIND_SERVICE)
			detach_calls(q, queue, i);
		else
			discard_all(q, queue, i);
	mr_ttl_discard(q, queue);
	if (queue->keys != NULL)
		mr_keys_discard(q, queue);
	queue->ready_count = queue->delayed_count = 0;
	queue->apart_count = queue->options.aging_ms != 0;
	memset(queue->ready_of, 0, sizeof(queue->ready_of));
	queue->body_bytes = queue->out_bytes;
	return count;
}

uint64_t mr_queue_empty(struct mr_queues *q, struct mr_queue *queue, uint32_t status)
{
	uint64_t count = empty_queue(q, queue, status);

	(void)go_on(q, queue);
	mr_queue_has_room(q, queue);
	mr_limit_idle(q, queue);
	return count;
}

static bool is_older(const struct mr_queues *q, const struct mr_queue_entry *e, uint64_t older_ms)
{
	return e != NULL && (uint32_t)q->now_ms - e->born_ms >= older_ms;
}

static void discard(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	mr_work(q, 1 + (e->body_bytes >> MR_WORK_LARGE));
	mr_queue_take(q, queue, e);
	mr_queue_done(q, queue, e);
}

/* Discards old entries without a key. The oldest of a rank stands first. */
static uint64_t purge_ranks(struct mr_queues *q, struct mr_queue *queue, uint64_t older_ms)
{
	struct mr_queue_entry *e;
	uint64_t count = 0;

	for (unsigned i = 0; i < mr_queue_ranks(queue); i++)
		for (; mr_work_left(q) && is_older(q, e = mr_queue_oldest(queue, i), older_ms);
			count++)
			discard(q, queue, e);
	return count;
}

uint64_t mr_queue_purge_older(
	struct mr_queues *q, struct mr_queue *queue, uint64_t older_ms, uint32_t *cursor)
{
	uint64_t count = purge_ranks(q, queue, older_ms);
	uint32_t at = *cursor > 0 ? *cursor - 1 : 0;

	*cursor = at + 1;
	if (!mr_work_left(q))
		return count;
	if (queue->keys != NULL)
		count += mr_keys_purge_older(q, queue, older_ms, &at);
	else
		at = 0;
	/* A table of keys that goes on from its beginning is at its end. */
	*cursor = at == 0 && mr_work_left(q) ? 0 : at + 1;
	return count;
}

void mr_queue_remove(struct mr_queues *q, struct mr_queue *queue)
{
	mr_work(q, MR_WORK_REMOVE);
	mr_bind_removed(q, queue);
	mr_queue_deactivate(q, queue);
	mr_queue_timer_clear(&q->timers, &queue->timer);
	mr_limit_removed(q, queue);
	mr_dead_part(q, queue);
	mr_dead_unname(q, queue);
	mr_queue_forget(q, queue);
	queue->redriving = 0;
	queue->redrive_waits = false;
	queue->purge.removed = true;
	mr_schedules_end(q, queue);
	(void)empty_queue(q, queue, MRF_STATUS_CODE_NOT_FOUND);
	(void)go_on(q, queue);
}
