/* SPDX-License-Identifier: Apache-2.0 */
/* ready: the ready entries of a queue in their order, and how the next one is found and taken.
 *
 *   level 9 ... 7 high ... 4 normal ... 1 low ... 0   each: heap of returned ones, then the list
 *
 * Low, normal and high stand in the queue itself; the other levels in struct mr_queue_levels, and
 * entries with a time to live in struct mr_queue_times. Private to dataplane/queue, and included by
 * engine.h.
 *
 * Owns      Nothing.
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_READY_H
#define MILLRACE_QUEUE_READY_H

#include "dataplane/queue/engine.h"

static inline bool mr_entry_is_older(const struct mr_queue_entry *a, const struct mr_queue_entry *b)
{
	int32_t ms = (int32_t)(a->born_ms - b->born_ms);

	return ms < 0 || (ms == 0 && (int16_t)(a->order - b->order) < 0);
}

/* Returns the older of two entries; NULL: there is none. */
static inline struct mr_queue_entry *mr_entry_older(
	struct mr_queue_entry *a, struct mr_queue_entry *b)
{
	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	return mr_entry_is_older(b, a) ? b : a;
}

/* Priorities (level.c). A rank is an index for each of the ten levels: those of enum mrf_priority
 * are its values, the others follow. */
static inline unsigned mr_entry_rank(struct mr_queue_entry *e)
{
	return mr_likely(e->priority != MR_ENTRY_LEVEL)
		       ? e->priority
		       : mr_rank_of_level(mr_entry_time(e)->level - 1u);
}

/* Returns the priority as in Delivery. */
static inline uint8_t mr_entry_priority(struct mr_queue_entry *e)
{
	return e->priority != MR_ENTRY_LEVEL ? e->priority
					     : mr_priority_of_level(mr_entry_time(e)->level - 1u);
}

/* Returns the number of ranks that the queue's entries may have. */
static inline unsigned mr_queue_ranks(const struct mr_queue *queue)
{
	return queue->levels == NULL ? MR_QUEUE_PRIORITIES : MR_QUEUE_RANKS;
}

/* Return the list and the heap of a rank's entries without a time to live. */
static inline struct mr_queue_list *mr_queue_list_of(struct mr_queue *queue, unsigned rank)
{
	return rank < MR_QUEUE_PRIORITIES ? &queue->ready[rank]
					  : &queue->levels->ready[rank - MR_QUEUE_PRIORITIES].list;
}

static inline struct mr_queue_entry **mr_queue_returned_of(struct mr_queue *queue, unsigned rank)
{
	return rank < MR_QUEUE_PRIORITIES
		       ? &queue->returned[rank]
		       : &queue->levels->ready[rank - MR_QUEUE_PRIORITIES].returned;
}

/* Gives an entry that will be put into the queue its `priority`, by the level that was given with
 * its push. Without memory for levels it is the nearest of low, normal and high. */
void mr_level_place(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Returns the next entry of a queue that has levels or lets priorities age. */
struct mr_queue_entry *mr_level_next(const struct mr_queues *q, const struct mr_queue *queue);
/* Returns the level that an entry of a level has reached by its age. */
unsigned mr_level_aged(const struct mr_queues *q, const struct mr_queue *queue,
	const struct mr_queue_entry *e, unsigned level);
/* Returns the oldest ready entry of the lowest priority, or NULL. */
struct mr_queue_entry *mr_level_last(const struct mr_queue *queue);
/* Applies a changed option `aging`. */
void mr_level_aging(struct mr_queue *queue, uint32_t aging_ms);
/* Counts the ready entries of each level. */
void mr_level_counts(const struct mr_queue *queue, uint64_t by_level[MR_LEVELS]);
void mr_level_free(struct mr_queues *q, struct mr_queue *queue);

/* Returns the oldest ready entry of a rank below mr_queue_ranks, or NULL. */
static inline struct mr_queue_entry *mr_queue_oldest(const struct mr_queue *queue, unsigned rank)
{
	struct mr_queue_entry *e, *t;

	if (rank < MR_QUEUE_PRIORITIES) {
		e = queue->returned[rank];
		e = e != NULL ? e : queue->ready[rank].head;
	} else {
		e = queue->levels->ready[rank - MR_QUEUE_PRIORITIES].returned;
		e = e != NULL ? e : queue->levels->ready[rank - MR_QUEUE_PRIORITIES].list.head;
	}
	if (mr_likely(queue->times == NULL))
		return e;
	t = queue->times->ready[rank].returned;
	return mr_entry_older(e, t != NULL ? t : queue->times->ready[rank].list.head);
}

/* Returns the next entry to be delivered, or NULL; does not take it out. */
static inline struct mr_queue_entry *mr_queue_next(
	const struct mr_queues *q, const struct mr_queue *queue)
{
	struct mr_queue_entry *e;

	if (mr_unlikely(queue->apart_count > 0)) {
		if (queue->levels != NULL || queue->options.aging_ms != 0)
			return mr_level_next(q, queue);
		e = mr_queue_oldest(queue, MRF_PRIORITY_HIGH);
		if (e == NULL)
			e = mr_queue_oldest(queue, MRF_PRIORITY_NORMAL);
		return e != NULL ? e : mr_queue_oldest(queue, MRF_PRIORITY_LOW);
	}
	e = queue->ready[MRF_PRIORITY_HIGH].head;
	if (e == NULL)
		e = queue->ready[MRF_PRIORITY_NORMAL].head;
	if (e == NULL)
		e = queue->ready[MRF_PRIORITY_LOW].head;
	return e;
}

/* Takes out the oldest entry of its priority if it is in no list of `ready`; false: it is in one
 * (table.c). */
bool mr_queue_take_apart(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);

/* Counts one ready entry less. */
static inline void mr_queue_ready_less(struct mr_queue *queue, struct mr_queue_entry *e)
{
	queue->ready_count--;
	if (mr_unlikely(e->priority != MRF_PRIORITY_NORMAL))
		queue->ready_of[mr_entry_rank(e)]--;
}

/* Takes out the entry that mr_queue_next or mr_queue_oldest returned. body_bytes still counts
 * it. */
static inline void mr_queue_take(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	mr_queue_ready_less(queue, e);
	if (mr_unlikely(queue->apart_count > 0) && mr_queue_take_apart(q, queue, e))
		return;
	(void)mr_list_pop(&queue->ready[e->priority]);
}

#endif
