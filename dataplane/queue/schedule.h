/* SPDX-License-Identifier: Apache-2.0 */
/* schedule: messages that a queue pushes into itself again and again: each period, or at the times
 * of a cron expression.
 *
 * What is copied is a waiting entry of the queue, found by its ticket. It counts against the memory
 * of its producer, and not against the limits of the queue; its copies do. A copy for which there
 * is no room is left out and counted. Of several times that passed unseen one is made up for.
 *
 * Owns      struct mr_queue_schedule, a chunk of the store; and its entry.
 * Threads   One: the home worker.
 * Units     Milliseconds: of the queues' clock for a period, since 1970 UTC for cron.
 */
#ifndef MILLRACE_QUEUE_SCHEDULE_H
#define MILLRACE_QUEUE_SCHEDULE_H

#include "dataplane/queue/engine.h"
#include "dataplane/queue/push.h"
#include "lib/base/cron.h"

#define MR_SCHEDULE_EVERY_MS_MIN 100u
#define MR_SCHEDULES_MAX         4096u /* a worker has at most these */

struct mr_queue_schedule {
	struct mr_queue_schedule *next; /* the queue's */
	struct mr_queue_schedule *prev;
	struct mr_queue_entry *entry;
	uint64_t ticket;
	uint64_t period_ms; /* 0: by `cron` */
	uint64_t due_ms;
	uint64_t planned_ms; /* by cron: the time of day at which due_ms was found */
	uint64_t peer;       /* counted for it */
	uint32_t ttl_ms;
	struct mr_cron cron;
	uint64_t fired;
	uint64_t skipped; /* copies left out */
};

/* Makes a schedule of a checked push, or replaces the one with its ticket: 0, or the StatusCode. */
uint32_t mr_schedule_push(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, const struct mrf_push_options *options,
	const struct mr_push_facts *facts);
/* Puts a copy of an entry, whose wait is over, into the queue, and lets the entry wait again. */
void mr_schedule_fire(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Finds the next times again if the clock of the system has stepped back far, as far as the call's
 * work reaches. The queue has a wheel of times of day. */
void mr_schedules_clock(struct mr_queues *q, struct mr_queue *queue, uint64_t unix_ms);
/* Frees a schedule and its entry, which waits no more. */
void mr_schedule_end(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Ends all of a queue. */
void mr_schedules_end(struct mr_queues *q, struct mr_queue *queue);
/* Take the entries out of the wheels, and put them back. */
void mr_schedules_pause(struct mr_queues *q, struct mr_queue *queue);
void mr_schedules_resume(struct mr_queues *q, struct mr_queue *queue);
/* Returns how many milliseconds are left until it fires. */
uint64_t mr_schedule_left_ms(const struct mr_queues *q, const struct mr_queue_schedule *s);

static inline bool mr_schedules_any(const struct mr_queue *queue)
{
	return queue->times != NULL && queue->times->schedules != NULL;
}

#endif
