/* SPDX-License-Identifier: Apache-2.0 */
/* table: names, numbers and slots of queues, and the lists of their entries. */
#include <errno.h>

#include "dataplane/queue/about.h"
#include "dataplane/queue/full.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/ttl.h"
#include "dataplane/queue/work.h"

/* One size for all names: each size takes at least a slab of the store. */
#define QUEUE_BYTES ((uint32_t)(sizeof(struct mr_queue) + MR_SUBJECT_BYTES_MAX))

/* Used slots rest while there are fewer than this many, as long as new ones are left. */
#define SLOTS_REST 2048u

static struct mr_queue **chain_of(
	const struct mr_queues *q, unsigned kind, const char *name, uint32_t bytes)
{
	uint64_t hash = mr_hash_pair(&q->name_key, mr_hash_text(&q->name_key, name, bytes), kind);

	return &q->names[hash & q->names_mask];
}

struct mr_queue *mr_queue_by_name(
	const struct mr_queues *q, unsigned kind, const char *name, uint32_t bytes)
{
	struct mr_queue *queue = *chain_of(q, kind, name, bytes);

	while (queue != NULL && (queue->kind != kind || queue->name_bytes != bytes ||
					memcmp(queue->name, name, bytes) != 0))
		queue = queue->hash_next;
	return queue;
}

/* Takes a slot. Used slots rest first: a number has few bits of generation, so it recurs after that
 * many uses of its slot. A message for its former queue may then still be under way. */
static uint32_t slot_take(struct mr_queues *q)
{
	uint32_t index = q->slots_free;

	if (q->slots_free_count < SLOTS_REST && q->slots_fresh < mr_queue_slots_max(&q->c))
		return q->slots_fresh++;
	if (index == MR_QUEUE_NONE)
		return MR_QUEUE_NONE;
	q->slots_free = q->slots[index].next_free;
	q->slots_free_count--;
	return index;
}

/* Appends the slot to the free list. */
static void slot_give_back(struct mr_queues *q, uint32_t index)
{
	q->slots[index].queue = NULL;
	q->slots[index].next_free = MR_QUEUE_NONE;
	if (q->slots_free == MR_QUEUE_NONE)
		q->slots_free = index;
	else
		q->slots[q->slots_last].next_free = index;
	q->slots_last = index;
	q->slots_free_count++;
}

static uint32_t number_of(struct mr_queues *q, uint32_t index)
{
	uint32_t generations = 1u << (27 - q->index_bits);
	uint32_t generation = (q->slots[index].generation + 1) & (generations - 1);

	q->slots[index].generation = generation == 0 ? 1 : generation;
	return (uint32_t)q->c.worker << 27 | q->slots[index].generation << q->index_bits | index;
}

static void link_name(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue **head = chain_of(q, queue->kind, queue->name, queue->name_bytes);

	queue->hash_next = *head;
	*head = queue;
}

static void unlink_name(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue **at = chain_of(q, queue->kind, queue->name, queue->name_bytes);

	while (*at != queue)
		at = &(*at)->hash_next;
	*at = queue->hash_next;
}

int mr_queue_make(struct mr_queues *q, unsigned kind, const char *name, uint32_t bytes,
	const struct mrf_queue_options *options, struct mr_queue **out)
{
	uint32_t index = slot_take(q);
	struct mr_queue *queue;

	if (index == MR_QUEUE_NONE)
		return -ENOSPC;
	queue = mr_slab_alloc(q->store, QUEUE_BYTES);
	if (queue == NULL) {
		slot_give_back(q, index);
		return -ENOMEM;
	}
	*queue = (struct mr_queue){
		.number = number_of(q, index),
		.kind = (uint8_t)kind,
		.is_dead = kind == MRF_QUEUE_KIND_QUEUE && mr_queue_name_is_dead(name, bytes),
		.apart_count = options->aging_ms != 0,
		.options = *options,
		.timer = {.kind = MR_QUEUE_TIMER_QUEUE},
		.used_ms = q->now_ms,
		.delayed_head = MR_QUEUE_NONE,
		.delayed_tail = MR_QUEUE_NONE,
		.purge = {.delayed_head = MR_QUEUE_NONE, .delayed_tail = MR_QUEUE_NONE},
		.name_bytes = bytes,
	};
	memcpy(queue->name, name, bytes);
	if (!mr_keys_wanted(queue)) {
		queue->options.key_from = (struct mrf_string){0};
		if (queue->options.policy == MRF_QUEUE_POLICY_KEY_SHARED) /* dead letters */
			queue->options.policy = MRF_QUEUE_POLICY_ROUND_ROBIN;
	} else if (mr_keys_new(q, queue) != 0) {
		mr_slab_release(q->store, queue, QUEUE_BYTES);
		slot_give_back(q, index);
		return -ENOMEM;
	}
	q->slots[index].queue = queue;
	link_name(q, queue);
	mr_queue_arm(q, queue);
	*out = queue;
	return 0;
}

void mr_queue_forget(struct mr_queues *q, struct mr_queue *queue)
{
	unlink_name(q, queue);
	slot_give_back(q, queue->number & ((1u << q->index_bits) - 1));
}

void mr_queue_release(struct mr_queues *q, struct mr_queue *queue)
{
	mr_policy_fini(q, queue);
	mr_ttl_free(q, queue);
	mr_level_free(q, queue);
	mr_keys_free(q, queue);
	mr_about_free(q, queue);
	mr_slab_release(q->store, queue, QUEUE_BYTES);
}

void mr_queue_activate(struct mr_queues *q, struct mr_queue *queue)
{
	if (queue->active)
		return;
	queue->active = true;
	queue->active_next = NULL;
	queue->active_prev = q->active_tail;
	if (q->active_tail == NULL)
		q->active_head = queue;
	else
		q->active_tail->active_next = queue;
	q->active_tail = queue;
}

void mr_queue_deactivate(struct mr_queues *q, struct mr_queue *queue)
{
	if (!queue->active)
		return;
	queue->active = false;
	if (queue->active_prev == NULL)
		q->active_head = queue->active_next;
	else
		queue->active_prev->active_next = queue->active_next;
	if (queue->active_next == NULL)
		q->active_tail = queue->active_prev;
	else
		queue->active_next->active_prev = queue->active_prev;
}

/* Notes one more ready entry: starts delivery, and sets the timer for its age limit. */
static void note_ready(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, bool oldest)
{
	uint64_t left_ms = oldest ? mr_queue_age_left(q, queue, e) : UINT64_MAX;

	if (mr_unlikely(left_ms != UINT64_MAX))
		mr_queue_timer_set(&q->timers, &queue->timer, q->now_ms + left_ms);
	queue->ready_count++;
	if (mr_unlikely(e->priority != MRF_PRIORITY_NORMAL))
		queue->ready_of[mr_entry_rank(e)]++;
	if (queue->heap_count > 0 && !queue->paused)
		mr_queue_activate(q, queue);
}

/* Puts an entry with a time to its place among those apart. False: its place is with the plain
 * ones. */
static bool put_apart(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	if (mr_entry_time(e)->place == MR_TIME_WAIT) {
		mr_ttl_wait(q, queue, e);
		return true;
	}
	if (mr_entry_time(e)->level != 0)
		mr_level_place(q, queue, e);
	if (mr_key_has(queue, e) && mr_key_put(q, queue, e, false))
		return true;
	if (mr_entry_ends(e))
		mr_ttl_put(q, queue, e);
	else if (e->priority == MR_ENTRY_LEVEL)
		mr_list_push_back(mr_queue_list_of(queue, mr_entry_rank(e)), e);
	else
		return false;
	queue->apart_count++;
	note_ready(q, queue, e, true);
	return true;
}

void mr_queue_put(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_list *list;
	bool oldest;

	e->born_ms = (uint32_t)q->now_ms;
	e->order = ++q->order;
	if (mr_unlikely((e->flags & MR_ENTRY_TIME) != 0) && put_apart(q, queue, e))
		return;
	list = &queue->ready[e->priority];
	oldest = list->head == NULL;
	mr_list_push_back(list, e);
	note_ready(q, queue, e, oldest);
}

/* Puts an entry that came back into the wheel or the record of its key; false: it belongs to
 * neither. */
static bool put_back_apart(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	if (mr_unlikely(mr_entry_time(e)->early)) {
		mr_ttl_put_early(q, queue, e);
		return true;
	}
	return mr_key_has(queue, e) && mr_key_put(q, queue, e, true);
}

void mr_queue_put_back(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	mr_work(q, MR_WORK_BACK);
	if (mr_unlikely((e->flags & MR_ENTRY_TIME) != 0) && put_back_apart(q, queue, e))
		return;
	if (mr_unlikely(mr_entry_ends(e)))
		mr_ttl_put_back(q, queue, e);
	else
		mr_returned_push(q, mr_queue_returned_of(queue, mr_entry_rank(e)), e);
	queue->apart_count++;
	note_ready(q, queue, e, true);
	if (mr_unlikely(mr_full_displaces(queue)) && mr_full_exceeds(queue))
		mr_queue_timer_set(&q->timers, &queue->timer, q->now_ms);
}

bool mr_queue_take_apart(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_entry **returned;
	unsigned rank;

	if (mr_key_stands(e)) {
		queue->apart_count--;
		mr_key_take(q, queue, e);
		return true;
	}
	rank = mr_entry_rank(e);
	returned = mr_queue_returned_of(queue, rank);
	if (mr_entry_ends(e))
		mr_ttl_take(q, queue, e);
	else if (*returned == e)
		(void)mr_returned_pop(q, returned);
	else if (rank >= MR_QUEUE_PRIORITIES)
		(void)mr_list_pop(mr_queue_list_of(queue, rank));
	else
		return false;
	queue->apart_count--;
	return true;
}

void mr_queue_done(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	queue->body_bytes -= e->body_bytes;
	queue->used_ms = q->now_ms;
	if (mr_unlikely((e->flags & MR_ENTRY_TIME) != 0))
		mr_key_leave(q, queue, e);
	mr_entry_free(q, e);
	mr_queue_has_room(q, queue);
	if (mr_unlikely(queue->consumers_count == 0))
		mr_limit_idle(q, queue);
}
