/* SPDX-License-Identifier: Apache-2.0 */
/* level: priorities beside low, normal and high, and priorities that age.
 *
 * Entries of such levels stand in lists of their own, made with the first of them, so that plain
 * ones pay nothing for them. Ageing moves no entry: within a level the oldest is always the first.
 * So the next entry of the queue is one of ten, and only their ages are compared.
 */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/ttl.h"

static bool prepare(struct mr_queues *q, struct mr_queue *queue)
{
	if (mr_likely(queue->levels != NULL))
		return true;
	queue->levels = mr_slab_alloc(q->store, (uint32_t)sizeof(*queue->levels));
	if (queue->levels == NULL)
		return false;
	memset(queue->levels, 0, sizeof(*queue->levels));
	return true;
}

void mr_level_free(struct mr_queues *q, struct mr_queue *queue)
{
	if (queue->levels != NULL)
		mr_slab_release(q->store, queue->levels, (uint32_t)sizeof(*queue->levels));
	queue->levels = NULL;
}

static unsigned nearest(unsigned level)
{
	return level < 3 ? MRF_PRIORITY_LOW : level < 6 ? MRF_PRIORITY_NORMAL : MRF_PRIORITY_HIGH;
}

void mr_level_place(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	unsigned level = mr_entry_time(e)->level, rank;

	if (level == 0)
		return;
	rank = mr_rank_of_level(level - 1);
	if (rank < MR_QUEUE_PRIORITIES)
		e->priority = rank & 3;
	else
		e->priority = prepare(q, queue) ? MR_ENTRY_LEVEL : nearest(level - 1) & 3;
}

unsigned mr_level_aged(const struct mr_queues *q, const struct mr_queue *queue,
	const struct mr_queue_entry *e, unsigned level)
{
	uint32_t age_ms = (uint32_t)q->now_ms - e->born_ms, aging_ms = queue->options.aging_ms;
	uint32_t steps;

	if (aging_ms == 0 || age_ms < aging_ms)
		return level;
	steps = age_ms / aging_ms;
	return steps < MR_LEVEL_MAX - level ? level + steps : MR_LEVEL_MAX;
}

static struct mr_queue_entry *oldest_of_level(const struct mr_queue *queue, unsigned level)
{
	unsigned rank = mr_rank_of_level(level);

	return rank < mr_queue_ranks(queue) ? mr_queue_oldest(queue, rank) : NULL;
}

struct mr_queue_entry *mr_level_next(const struct mr_queues *q, const struct mr_queue *queue)
{
	struct mr_queue_entry *next = NULL, *e;
	unsigned most = 0, aged;

	for (unsigned level = MR_LEVELS; level-- > 0;) {
		e = oldest_of_level(queue, level);
		if (e == NULL)
			continue;
		aged = mr_level_aged(q, queue, e, level);
		if (next == NULL || aged > most || (aged == most && mr_entry_is_older(e, next))) {
			next = e;
			most = aged;
		}
		if (queue->options.aging_ms == 0)
			break;
	}
	return next;
}

struct mr_queue_entry *mr_level_last(const struct mr_queue *queue)
{
	struct mr_queue_entry *e = NULL;

	for (unsigned level = 0; level < MR_LEVELS && e == NULL; level++)
		e = oldest_of_level(queue, level);
	return e;
}

void mr_level_aging(struct mr_queue *queue, uint32_t aging_ms)
{
	queue->apart_count += (aging_ms != 0) - (uint64_t)(queue->options.aging_ms != 0);
	queue->options.aging_ms = aging_ms;
}

void mr_level_counts(const struct mr_queue *queue, uint64_t by_level[MR_LEVELS])
{
	uint64_t others = 0;

	for (unsigned level = 0; level < MR_LEVELS; level++) {
		by_level[level] = queue->ready_of[mr_rank_of_level(level)];
		others += by_level[level];
	}
	by_level[MR_LEVEL_NORMAL] = queue->ready_count - others;
}
