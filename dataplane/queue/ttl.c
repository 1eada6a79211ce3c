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
 *
 * Entries that wait for a time of day have a second wheel, by the clock of the system. When that
 * clock steps, they follow it.
 */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/dead.h"
#include "dataplane/queue/schedule.h"
#include "dataplane/queue/ticket.h"
#include "dataplane/queue/ttl.h"
#include "dataplane/queue/work.h"

/* The work of an end, beside the step of the wheel. */
#define END_STEPS 4u

/* The clock of the system may step forward: it is looked at again after this time. */
#define CLOCK_STEP_MS 1000u

static struct mr_wheel *wheel_new(
	struct mr_queues *q, uint32_t bytes, uint32_t wheel_offset, uint64_t now_ms)
{
	uint8_t *chunk = mr_slab_alloc(q->store, bytes);

	if (chunk == NULL)
		return NULL;
	memset(chunk, 0, bytes);
	mr_wheel_init((struct mr_wheel *)(chunk + wheel_offset), mr_slab_base(q->store),
		MR_TIME_OFFSET, now_ms);
	return (struct mr_wheel *)(chunk + wheel_offset);
}

bool mr_ttl_prepare(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_wheel *w;

	if (mr_likely(queue->times != NULL))
		return true;
	w = wheel_new(q, (uint32_t)sizeof(*queue->times),
		(uint32_t)offsetof(struct mr_queue_times, wheel), q->now_ms);
	queue->times = w == NULL ? NULL : mr_container_of(w, struct mr_queue_times, wheel);
	return w != NULL;
}

/* Returns Unix time for the wheel, which ends in 2109. A clock may show more. */
static uint64_t wheel_unix_ms(const struct mr_queues *q)
{
	uint64_t unix_ms = mr_ttl_unix_ms(q);

	return unix_ms < MR_WHEEL_LAST_MS ? unix_ms : MR_WHEEL_LAST_MS;
}

bool mr_ttl_prepare_dated(struct mr_queues *q, struct mr_queue *queue)
{
	if (!mr_ttl_prepare(q, queue))
		return false;
	if (mr_unlikely(queue->times->dated == NULL))
		queue->times->dated =
			wheel_new(q, (uint32_t)sizeof(struct mr_wheel), 0, wheel_unix_ms(q));
	return queue->times->dated != NULL;
}

void mr_ttl_free(struct mr_queues *q, struct mr_queue *queue)
{
	if (queue->times == NULL)
		return;
	if (queue->times->dated != NULL)
		mr_slab_release(q->store, queue->times->dated, (uint32_t)sizeof(struct mr_wheel));
	mr_slab_release(q->store, queue->times, (uint32_t)sizeof(*queue->times));
	queue->times = NULL;
}

/* Returns when the wheel by unix time has work, in the time of the queues. */
static uint64_t dated_due_ms(const struct mr_queues *q, const struct mr_wheel *w)
{
	uint64_t due_ms = mr_wheel_due_ms(w), unix_ms = wheel_unix_ms(q);
	uint64_t left_ms = due_ms > unix_ms ? due_ms - unix_ms : 0;

	return q->now_ms + (left_ms < CLOCK_STEP_MS ? left_ms : CLOCK_STEP_MS);
}

uint64_t mr_ttl_due_ms(const struct mr_queues *q, const struct mr_queue *queue)
{
	uint64_t due_ms, dated_ms;

	if (mr_likely(queue->times == NULL))
		return UINT64_MAX;
	due_ms = mr_wheel_due_ms(&queue->times->wheel);
	if (queue->times->dated == NULL || queue->times->dated->count == 0)
		return due_ms;
	dated_ms = dated_due_ms(q, queue->times->dated);
	return dated_ms < due_ms ? dated_ms : due_ms;
}

static void add_to_wheel(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_time *t, uint64_t ms)
{
	struct mr_wheel *w = &queue->times->wheel;

	mr_wheel_at(w, q->now_ms);
	mr_wheel_add(w, &t->node, ms);
	mr_queue_timer_set(&q->timers, &queue->timer, mr_wheel_due_ms(w));
}

static void add_dated(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_time *t, uint64_t unix_ms)
{
	struct mr_wheel *w = queue->times->dated;

	mr_wheel_at(w, wheel_unix_ms(q));
	mr_wheel_add(w, &t->node, unix_ms);
	mr_queue_timer_set(&q->timers, &queue->timer, dated_due_ms(q, w));
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

	if (!t->repeats) {
		queue->delayed_count++;
		queue->times->waiting_count++;
	}
	if (t->ticketed)
		mr_ticket_add(q, queue, e);
	if (t->dated)
		add_dated(q, queue, t, due_ms);
	else
		add_to_wheel(q, queue, t, due_ms < t->ends_ms ? due_ms : t->ends_ms);
}

/* Notes that an entry has left the wheel in which it waited. */
static void end_wait(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_time *t = mr_entry_time(e);

	if (t->ticketed)
		mr_ticket_remove(q, queue, e);
	t->place = MR_TIME_OUT;
	t->dated = false;
	if (t->repeats)
		return;
	queue->delayed_count--;
	queue->times->waiting_count--;
}

void mr_ttl_take_waiting(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_time *t = mr_entry_time(e);

	mr_wheel_remove(t->dated ? queue->times->dated : &queue->times->wheel, &t->node);
	end_wait(q, queue, e);
}

void mr_ttl_take_early(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_time *t = mr_entry_time(e);
	bool dated = t->dated, ticketed = t->ticketed;

	mr_ttl_take_waiting(q, queue, e);
	t->early = true;
	t->dated = dated;
	t->ticketed = ticketed;
}

/* If it is due meanwhile, the wheel gives it out at once. */
void mr_ttl_put_early(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_time *t = mr_entry_time(e);

	t->early = false;
	t->place = MR_TIME_WAIT;
	mr_ttl_wait(q, queue, e);
}

uint32_t mr_ttl_cancel(struct mr_queues *q, struct mr_queue *queue, uint64_t ticket,
	uint32_t account, bool *foreign)
{
	struct mr_queue_entry *e = mr_ticket_find(q, queue, ticket, NULL), *next;
	uint32_t count = 0;

	*foreign = false;
	for (; e != NULL; e = next) {
		next = mr_ticket_find(q, queue, ticket, e);
		if (account != 0 && mr_entry_account(e) != account) {
			*foreign = true;
			continue;
		}
		mr_ttl_take_waiting(q, queue, e);
		if (mr_entry_time(e)->repeats)
			mr_schedule_end(q, queue, e);
		else
			mr_queue_done(q, queue, e);
		count++;
	}
	mr_count(q->c.stats->queue_cancelled, count);
	return count;
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

/* Handles an entry that a wheel gave out: it is due, or its time is over. */
static void wheel_gave(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	bool over = mr_ttl_left(q, e) == 0, repeats = mr_entry_time(e)->repeats;

	if (mr_entry_time(e)->place == MR_TIME_WAIT) {
		end_wait(q, queue, e);
	} else {
		unlink_ready(q, queue, e);
		mr_queue_ready_less(queue, e);
		queue->apart_count--;
	}
	if (repeats)
		mr_schedule_fire(q, queue, e);
	else if (over)
		mr_ttl_end(q, queue, e);
	else
		mr_queue_put(q, queue, e);
	if (over || repeats)
		mr_work(q, END_STEPS);
}

void mr_ttl_expire(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_wheel_node *n;
	uint64_t unix_ms;

	while (queue->times != NULL &&
		(n = mr_wheel_pop(&queue->times->wheel, q->now_ms, &q->work)) != NULL)
		wheel_gave(q, queue, mr_entry_of_node(n));
	if (queue->times == NULL || queue->times->dated == NULL || queue->times->dated->count == 0)
		return;
	unix_ms = wheel_unix_ms(q);
	mr_schedules_clock(q, queue, mr_ttl_unix_ms(q));
	while ((n = mr_wheel_pop(queue->times->dated, unix_ms, &q->work)) != NULL)
		wheel_gave(q, queue, mr_entry_of_node(n));
}

/* The lists and heaps need no visit: all of their entries are in the wheel too. */
void mr_ttl_discard(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_times *t = queue->times;

	if (t == NULL)
		return;
	mr_tickets_free(q, queue);
	mr_schedules_pause(q, queue);
	q->garbage_nodes = mr_wheel_take_all(&t->wheel, q->garbage_nodes, q->now_ms);
	if (t->dated != NULL)
		q->garbage_nodes = mr_wheel_take_all(t->dated, q->garbage_nodes, wheel_unix_ms(q));
	memset(t->ready, 0, sizeof(t->ready));
	queue->delayed_count -= t->waiting_count;
	t->waiting_count = 0;
	mr_schedules_resume(q, queue);
}

void mr_ttl_free_some(struct mr_queues *q)
{
	while (q->garbage_nodes != 0 && mr_work_left(q)) {
		struct mr_queue_entry *e = mr_entry_of_ref(q, q->garbage_nodes);
		uint32_t next = mr_entry_time(e)->node.next;

		mr_work(q, 1);
		q->garbage_nodes = next == q->garbage_nodes ? 0 : next;
		mr_entry_free(q, e);
	}
}
