/* SPDX-License-Identifier: Apache-2.0 */
/* ttl: the entries of a queue that are not due yet, and the ready ones that have a time to live
 * (ttl.c).
 *
 * Owns      struct mr_queue_times of a queue.
 * Threads   One: the home worker.
 * Units     Milliseconds of the queues' clock.
 */
#ifndef MILLRACE_QUEUE_TTL_H
#define MILLRACE_QUEUE_TTL_H

#include "dataplane/queue/engine.h"

/* Makes the queue ready for entries with a struct mr_queue_time; false: no memory. */
bool mr_ttl_prepare(struct mr_queues *q, struct mr_queue *queue);
/* Puts a ready entry with a time to live in its place: behind the others of its priority, or by
 * age. */
void mr_ttl_put(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
void mr_ttl_put_back(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Takes a ready entry out of its place. */
void mr_ttl_take(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Ends an entry whose time is over, and that is in no place any more. */
void mr_ttl_end(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Ends the entries whose time is over, and makes those ready that are due, as far as this tick's
 * budget goes. */
void mr_ttl_expire(struct mr_queues *q, struct mr_queue *queue);
/* Returns when mr_ttl_expire has work; UINT64_MAX: never. */
uint64_t mr_ttl_due_ms(const struct mr_queues *q, const struct mr_queue *queue);
/* Returns the time of the system's clock; 0: there is none. */
static inline uint64_t mr_ttl_unix_ms(const struct mr_queues *q)
{
	return q->c.ops->unix_ms == NULL ? 0 : q->c.ops->unix_ms(q->c.arg);
}
/* Makes the queue ready for entries that wait for a time of day; false: no memory. */
bool mr_ttl_prepare_dated(struct mr_queues *q, struct mr_queue *queue);
/* Puts an entry into the wheel until it is due. */
void mr_ttl_wait(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Returns the number of entries that are not due yet. */
static inline uint64_t mr_ttl_waiting(const struct mr_queue *queue)
{
	return queue->times == NULL ? 0 : queue->times->waiting_count;
}
/* Takes a waiting entry out of the wheel, and out of the table of tickets. */
void mr_ttl_take_waiting(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Takes a waiting entry out of the wheel for a delivery before it is due. */
void mr_ttl_take_early(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Lets such an entry wait again: it came back. */
void mr_ttl_put_early(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Removes the waiting entries with the ticket; returns how many. Those of other accounts stay,
 * unless `account` is 0: *foreign. */
uint32_t mr_ttl_cancel(struct mr_queues *q, struct mr_queue *queue, uint64_t ticket,
	uint32_t account, bool *foreign);
/* Hands all of the queue's entries that are in wheels over to be freed, but for those of
 * schedules. */
void mr_ttl_discard(struct mr_queues *q, struct mr_queue *queue);
/* Frees entries that were handed over, as far as the call's work reaches. */
void mr_ttl_free_some(struct mr_queues *q);
void mr_ttl_free(struct mr_queues *q, struct mr_queue *queue);
/* Returns the milliseconds until the entry's time is over; UINT64_MAX: it has no end. */
static inline uint64_t mr_ttl_left(const struct mr_queues *q, struct mr_queue_entry *e)
{
	uint64_t ends_ms;

	if (mr_likely((e->flags & MR_ENTRY_TIME) == 0))
		return UINT64_MAX;
	ends_ms = mr_entry_time(e)->ends_ms;
	return ends_ms == MR_TIME_NEVER ? UINT64_MAX
	       : ends_ms > q->now_ms    ? ends_ms - q->now_ms
					: 0;
}

#endif
