/* SPDX-License-Identifier: Apache-2.0 */
/* timer_wheel: timers with a resolution of a millisecond, made for time-outs that are mostly
 * removed before they are due. Adding and removing one costs the same for any number of timers. A
 * timer is at most a millisecond late, and never early. (Hashed timing wheel: Varghese and Lauck,
 * SOSP 1987.)
 *
 * Owns      Nothing: a timer is a member of its object. All zero bytes are an empty wheel.
 * Threads   One at a time.
 * Units     Nanoseconds of a monotonic clock that the caller reads.
 * Hot path  add, remove: constant time. expired: visits the slots that have passed since the last
 *           call.
 */
#ifndef MILLRACE_CLIENT_CORE_TIMER_WHEEL_H
#define MILLRACE_CLIENT_CORE_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MR_WHEEL_SLOTS   1024u
#define MR_WHEEL_TICK_NS 1000000ull

struct mr_wheel_timer {
	struct mr_wheel_timer *next;
	struct mr_wheel_timer **at; /* the pointer that points to it; NULL: not on a wheel */
	uint64_t due_ns;
};

struct mr_wheel {
	struct mr_wheel_timer *slots[MR_WHEEL_SLOTS];
	uint64_t occupied[MR_WHEEL_SLOTS / 64];
	uint64_t tick; /* the first tick that was not looked at in full */
	uint32_t count;
};

static inline uint64_t mr_wheel_tick_of(uint64_t due_ns)
{
	return due_ns / MR_WHEEL_TICK_NS + 1;
}

/* Adds a timer that is on no wheel. `now_ns`: as for expired; used only if the wheel is empty. */
static inline void mr_wheel_add(
	struct mr_wheel *w, struct mr_wheel_timer *t, uint64_t due_ns, uint64_t now_ns)
{
	uint64_t tick = mr_wheel_tick_of(due_ns);
	uint32_t slot;

	/* An empty wheel need not catch up. */
	if (w->count++ == 0)
		w->tick = mr_wheel_tick_of(now_ns);
	/* An overdue timer goes into the slot that is looked at next. */
	if (tick < w->tick)
		tick = w->tick;
	slot = tick % MR_WHEEL_SLOTS;
	t->due_ns = due_ns;
	t->next = w->slots[slot];
	t->at = &w->slots[slot];
	if (t->next != NULL)
		t->next->at = &t->next;
	w->slots[slot] = t;
	w->occupied[slot / 64] |= 1ull << slot % 64;
}

static inline bool mr_wheel_timer_is_on(const struct mr_wheel_timer *t)
{
	return t->at != NULL;
}

/* Does nothing for a timer that is on no wheel. A slot that becomes empty is cleared by the next
 * look at it. */
static inline void mr_wheel_remove(struct mr_wheel *w, struct mr_wheel_timer *t)
{
	if (t->at == NULL)
		return;
	*t->at = t->next;
	if (t->next != NULL)
		t->next->at = t->at;
	t->at = NULL;
	w->count--;
}

/* Removes and returns one timer that is due; NULL: there is none. */
struct mr_wheel_timer *mr_wheel_expired(struct mr_wheel *w, uint64_t now_ns);
/* Returns when to call expired again, at the latest when the first timer is due; UINT64_MAX: no
 * timers. */
uint64_t mr_wheel_due_ns(struct mr_wheel *w);

#endif
