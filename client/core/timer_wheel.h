/* SPDX-License-Identifier: Apache-2.0 */
/* wheel: timers of a millisecond, of which most are taken away before they are due: adding and
 * removing one costs the same however many there are. A timer is at most a millisecond late, and
 * never early.
 *
 * Owns      Nothing: timers are part of what they are for. All zero bytes are an empty wheel.
 * Threads   One at a time.
 * Units     Nanoseconds of a monotonic clock that the caller reads.
 * Hot path  add, remove: constant time. expired: the slots that have passed since the last time.
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
	struct mr_wheel_timer **at; /* what points to it; NULL: not on a wheel */
	uint64_t due_ns;
};

struct mr_wheel {
	struct mr_wheel_timer *slots[MR_WHEEL_SLOTS];
	uint64_t occupied[MR_WHEEL_SLOTS / 64];
	uint64_t tick; /* the first one not looked at in full */
	uint32_t count;
};

static inline uint64_t mr_wheel_tick_of(uint64_t due_ns)
{
	return due_ns / MR_WHEEL_TICK_NS + 1;
}

/* The timer is on no wheel. `now_ns` as for expired; it matters to an empty wheel alone. */
static inline void mr_wheel_add(
	struct mr_wheel *w, struct mr_wheel_timer *t, uint64_t due_ns, uint64_t now_ns)
{
	uint64_t tick = mr_wheel_tick_of(due_ns);
	uint32_t slot;

	/* An empty wheel need not catch up. */
	if (w->count++ == 0)
		w->tick = mr_wheel_tick_of(now_ns);
	/* What is overdue goes where it is looked at next. */
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

/* Harmless where it is on no wheel. That its slot may be empty is found out by who looks there. */
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

/* Takes one that is due off the wheel; NULL: there is none. */
struct mr_wheel_timer *mr_wheel_expired(struct mr_wheel *w, uint64_t now_ns);
/* When to look again: not later than the first is due, or UINT64_MAX. */
uint64_t mr_wheel_due_ns(struct mr_wheel *w);

#endif
