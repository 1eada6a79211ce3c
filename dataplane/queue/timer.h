/* SPDX-License-Identifier: Apache-2.0 */
/* timer: a heap of timers, ordered by time.
 *
 * A timer is embedded in its owner, and is set too early rather than moved often: the owner's
 * function checks whether the time has come, and sets the timer again if not.
 *
 * Owns      The heap: room for `max` timers, taken as it is touched.
 * Threads   One.
 * Units     Milliseconds.
 */
#ifndef MILLRACE_QUEUE_TIMER_H
#define MILLRACE_QUEUE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct mr_queue_timer {
	uint64_t due_ms;
	uint32_t at;   /* index in the heap, from 1; 0: not set */
	uint32_t kind; /* kind of owner, for the owner's use */
};

struct mr_queue_timers {
	struct mr_queue_timer **heap; /* from index 1 */
	uint32_t count;
	uint32_t max;
};

/* Makes a heap for `max` timers. -ENOMEM. */
int mr_queue_timers_init(struct mr_queue_timers *t, uint32_t max);
void mr_queue_timers_fini(struct mr_queue_timers *t);

/* Sets the timer, or makes it earlier; never later. */
void mr_queue_timer_set(struct mr_queue_timers *t, struct mr_queue_timer *timer, uint64_t due_ms);
void mr_queue_timer_clear(struct mr_queue_timers *t, struct mr_queue_timer *timer);
/* Takes out the first timer that is due; NULL: none. */
struct mr_queue_timer *mr_queue_timers_pop(struct mr_queue_timers *t, uint64_t now_ms);
/* Returns the time of the first timer; UINT64_MAX: none is set. */
static inline uint64_t mr_queue_timers_due(const struct mr_queue_timers *t)
{
	return t->count == 0 ? UINT64_MAX : t->heap[1]->due_ms;
}

#endif
