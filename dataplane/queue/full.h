/* SPDX-License-Identifier: Apache-2.0 */
/* full: queues that make room for a new message by an old one (full.c).
 *
 * Owns      Nothing.
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_FULL_H
#define MILLRACE_QUEUE_FULL_H

#include "dataplane/queue/engine.h"

enum mr_full {
	MR_FULL_ROOM, /* there is room now: put the entry */
	MR_FULL_LEFT, /* the new entry itself was the one to leave; it is gone */
	MR_FULL_NONE, /* no room: all others are in hand or not due, dead letters have none, or the
		       * round's work is done */
};

/* True if the queue's waiting messages make room for new ones. */
static inline bool mr_full_displaces(const struct mr_queue *queue)
{
	return queue->options.when_full >= MRF_QUEUE_FULL_DROP_OLDEST;
}

/* True if a push to the full queue may find room in this way. */
static inline bool mr_full_may_displace(const struct mr_queue *queue)
{
	return mr_full_displaces(queue) && queue->ready_count > 0;
}

/* True if the queue holds more than its limits: they were lowered. */
static inline bool mr_full_exceeds(const struct mr_queue *queue)
{
	const struct mrf_queue_options *o = &queue->options;

	return mr_queue_depth(queue) > o->messages_max ||
	       (o->bytes_max != 0 && queue->body_bytes > o->bytes_max);
}

/* Makes room in a full queue for a complete entry that is not in it. */
enum mr_full mr_full_enter(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Discards an entry that is in no list, and that body_bytes counts. */
void mr_full_drop(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Brings the queue back to its limits, as far as this tick's work goes. */
void mr_full_trim(struct mr_queues *q, struct mr_queue *queue);
/* Returns when mr_full_trim has work; UINT64_MAX: never. */
uint64_t mr_full_due_ms(struct mr_queues *q, struct mr_queue *queue);

#endif
