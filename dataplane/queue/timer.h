/* SPDX-License-Identifier: Apache-2.0 */
/* timer: things that are to happen later, in a heap by time.
 *
 * A timer stands in what it is for, and is set early rather than moved often: whoever is called
 * looks whether it is time indeed, and sets it again.
 *
 * Owns      The heap: room for as many as were asked for, taken as it is touched.
 * Threads   One.
 * Units     Milliseconds.
 */
#ifndef MILLRACE_QUEUE_TIMER_H
#define MILLRACE_QUEUE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct mr_queue_timer {
	uint64_t due_ms;
	uint32_t at;   /* place in the heap, from 1 on; 0: not set */
	uint32_t kind; /* the owner's */
};

struct mr_queue_timers {
	struct mr_queue_timer **heap; /* from 1 on */
	uint32_t count;
	uint32_t max;
};

/* -ENOMEM. */
int mr_queue_timers_init(struct mr_queue_timers *t, uint32_t max);
void mr_queue_timers_fini(struct mr_queue_timers *t);

/* Sets it, or makes it earlier; never later. */
void mr_queue_timer_set(struct mr_queue_timers *t, struct mr_queue_timer *timer, uint64_t due_ms);
void mr_queue_timer_clear(struct mr_queue_timers *t, struct mr_queue_timer *timer);
/* Takes out the first that is due; NULL: none. */
struct mr_queue_timer *mr_queue_timers_pop(struct mr_queue_timers *t, uint64_t now_ms);
/* UINT64_MAX: none is set. */
static inline uint64_t mr_queue_timers_due(const struct mr_queue_timers *t)
{
	return t->count == 0 ? UINT64_MAX : t->heap[1]->due_ms;
}

#endif
