/* SPDX-License-Identifier: Apache-2.0 */
/* ttl: the entries that are not due yet, and the ready ones that have a time to live.
 *
 *   mr_ttl_wait ─────▶ wheel: not due yet ─────────────────────▶ ready
 *   mr_ttl_put ──────▶ list: never out, the youngest last ──┬──▶ mr_ttl_take: the oldest first
 *   mr_ttl_put_back ─▶ heap: came back, the oldest on top ──┤
 *                      wheel: all of them, by their ends ───┴──▶ mr_ttl_expire: wherever they stand
 *
 * They stand apart from the queue's other entries, because one whose time is over leaves from
 * behind others: so each knows its neighbour or parent. The older of the two first entries is the
 * queue's next. The wheel, 4 KB, is made with the queue's first entry that needs it.
 */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/ttl.h"
#include "dataplane/queue/work.h"

/* The work of an end, beside the step of the wheel. */
#define END_STEPS 4u

static struct mr_queue_times *times_new(struct mr_queues *q)
{
	struct mr_queue_times *t = mr_slab_alloc(q->store, (uint32_t)sizeof(*t));

	if (t == NULL)
		return NULL;
	memset(t, 0, sizeof(*t));
	mr_wheel_init(&t->wheel, mr_slab_base(q->store), MR_TIME_OFFSET, q->now_ms);
	return t;
}

bool mr_ttl_prepare(struct mr_queues *q, struct mr_queue *queue)
{
	if (mr_unlikely(queue->times == NULL))
		queue->times = times_new(q);
	return queue->times != NULL;
}

void mr_ttl_free(struct mr_queues *q, struct mr_queue *queue)
{
	if (queue->times != NULL)
		mr_slab_release(q->store, queue->times, (uint32_t)sizeof(*queue->times));
	queue->times = NULL;
}

static void add_to_wheel(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_time *t, uint64_t ms)
{
	struct mr_wheel *w = &queue->times->wheel;

	mr_wheel_at(w, q->now_ms);
	mr_wheel_add(w, &t->node, ms);
	mr_queue_timer_set(&q->timers, &queue->timer, mr_wheel_due_ms(w));
}

void mr_ttl_put(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_list *list = &queue->times->ready[mr_entry_rank(e)].list;
	struct mr_queue_time *t = mr_entry_time(e);

	t->place = MR_TIME_LIST;
	t->up = list->head == NULL ? 0 : mr_entry_ref(q, list->tail);
	mr_list_push_back(list, e);
	add_to_wheel(q, queue, t, t->ends_ms);
}

void mr_ttl_put_back(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_entry **root = &queue->times->ready[mr_entry_rank(e)].returned;
	struct mr_queue_time *t = mr_entry_time(e);

	t->place = MR_TIME_HEAP;
	e->tree.left = 0;
	e->tree.right = 0;
	*root = mr_returned_join(q, *root, e);
	add_to_wheel(q, queue, t, t->ends_ms);
}

void mr_ttl_wait(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_time *t = mr_entry_time(e);
	uint64_t due_ms = t->node.due_ms;

	queue->delayed_count++;
	queue->times->waiting_count++;
	add_to_wheel(q, queue, t, due_ms < t->ends_ms ? due_ms : t->ends_ms);
}

static void unlink_listed(struct mr_queues *q, struct mr_queue_list *list, struct mr_queue_entry *e)
{
	struct mr_queue_entry *before = mr_entry_of_ref(q, mr_entry_time(e)->up);

	if (before == NULL)
		list->head = e->next;
	else
		before->next = e->next;
	if (e->next == NULL)
		list->tail = before;
	else
		mr_entry_time(e->next)->up = mr_entry_time(e)->up;
}

/* Takes the entry out of its list or heap. */
static void unlink_ready(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_time *t = mr_entry_time(e);

	if (t->place == MR_TIME_LIST)
		unlink_listed(q, &queue->times->ready[mr_entry_rank(e)].list, e);
	else
		mr_returned_remove(q, &queue->times->ready[mr_entry_rank(e)].returned, e);
	t->place = MR_TIME_OUT;
}

void mr_ttl_take(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	unlink_ready(q, queue, e);
	mr_wheel_remove(&queue->times->wheel, &mr_entry_time(e)->node);
}

void mr_ttl_end(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	queue->expired++;
	if (queue->options.when_expired == MRF_QUEUE_EXPIRED_DEAD_LETTER) {
		mr_dead_letter(q, queue, e, "expired");
		return;
	}
	mr_count(q->c.stats->drop_expired, 1);
	mr_queue_done(q, queue, e);
}

/* Handles an entry that the wheel gave out: it is due, or its time is over. */
static void wheel_gave(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	bool over = mr_ttl_left(q, e) == 0;

	if (mr_entry_time(e)->place == MR_TIME_WAIT) {
		mr_entry_time(e)->place = MR_TIME_OUT;
		queue->delayed_count--;
		queue->times->waiting_count--;
	} else {
		unlink_ready(q, queue, e);
		mr_queue_ready_less(queue, e);
		queue->apart_count--;
	}
	if (over)
		mr_ttl_end(q, queue, e);
	else
		mr_queue_put(q, queue, e);
	if (over)
		mr_work(q, END_STEPS);
}

void mr_ttl_expire(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_wheel_node *n;

	while (queue->times != NULL &&
		(n = mr_wheel_pop(&queue->times->wheel, q->now_ms, &q->work)) != NULL)
		wheel_gave(q, queue, mr_entry_of_node(n));
}

/* Without memory for another wheel: moves the entries into the list of garbage one by one. */
static void discard_one_by_one(struct mr_queues *q, struct mr_queue_times *t)
{
	struct mr_wheel_node *n;

	while ((n = mr_wheel_any(&t->wheel)) != NULL) {
		struct mr_queue_entry *e = mr_entry_of_node(n);

		e->next = q->garbage;
		q->garbage = e;
	}
	memset(t->ready, 0, sizeof(t->ready));
	t->waiting_count = 0;
}

/* The lists and heaps need no visit: all of their entries are in the wheel too. The queue keeps a
 * wheel, because entries that are out may come back. */
void mr_ttl_discard(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_times *old = queue->times, *fresh;

	queue->delayed_count -= mr_ttl_waiting(queue);
	if (old == NULL || old->wheel.count == 0)
		return;
	fresh = times_new(q);
	if (fresh == NULL) {
		discard_one_by_one(q, old);
		return;
	}
	old->next = q->garbage_times;
	q->garbage_times = old;
	queue->times = fresh;
}

void mr_ttl_free_some(struct mr_queues *q)
{
	struct mr_queue_times *t;

	while ((t = q->garbage_times) != NULL && mr_work_left(q)) {
		struct mr_wheel_node *n = mr_wheel_any(&t->wheel);

		mr_work(q, 1);
		if (n != NULL) {
			mr_entry_free(q, mr_entry_of_node(n));
			continue;
		}
		q->garbage_times = t->next;
		mr_slab_release(q->store, t, (uint32_t)sizeof(*t));
	}
}
