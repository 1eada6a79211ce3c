/* SPDX-License-Identifier: Apache-2.0 */
/* wheel: the entries of a queue that wait for a time, in a hierarchical timing wheel.
 *
 *   level 6   ...   level 2             level 1             level 0
 *                   64 slots of 4 s ─▶  64 slots of 64 ms ─▶  64 slots of 1 ms ─▶ due
 *
 * An entry stands in the slot of its time. When the wheel reaches a slot of a higher level, the
 * entries of the slot move to lower levels. An entry moves at most six times, however many wait.
 * Entries with one time leave in the order in which they were added.
 *
 * Owns      The slots. A node is part of its entry, so a waiting entry needs no further memory.
 * Threads   One: the home worker.
 * Units     Milliseconds of the queues' clock, up to MR_WHEEL_LAST_MS: 139 years.
 */
#ifndef MILLRACE_QUEUE_WHEEL_H
#define MILLRACE_QUEUE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define MR_WHEEL_BITS    6u
#define MR_WHEEL_SLOTS   (1u << MR_WHEEL_BITS)
#define MR_WHEEL_LEVELS  7u
#define MR_WHEEL_LAST_MS ((1ull << (MR_WHEEL_BITS * MR_WHEEL_LEVELS)) - 1)

/* A waiting entry's part. */
struct mr_wheel_node {
	uint64_t due_ms;
	uint32_t prev;  /* number of the node before it in the slot; 0: it is the first */
	uint32_t next;  /* number of the one after it, or its own: the last; 0: in no wheel */
	uint32_t ahead; /* for prefetching: number of one that comes later, or of none any more */
	uint32_t unused;
};

struct mr_wheel_slot {
	uint32_t first; /* numbers; 0: the slot is empty */
	uint32_t last;
};

struct mr_wheel {
	uint8_t *base;   /* node number n is at base + (n - 1) * 16 + offset */
	uint32_t offset; /* offset of the node in its chunk, a multiple of 8 */
	uint64_t now_ms; /* all slots before this time are empty */
	uint64_t count;
	unsigned moving; /* level of the slot whose nodes are moving to lower levels; 0: none */
	uint64_t used[MR_WHEEL_LEVELS]; /* a bit for each slot that is not empty */
	struct mr_wheel_slot slots[MR_WHEEL_LEVELS][MR_WHEEL_SLOTS];
};

void mr_wheel_init(struct mr_wheel *w, uint8_t *base, uint32_t offset, uint64_t now_ms);

static inline bool mr_wheel_has(const struct mr_wheel_node *n)
{
	return n->next != 0;
}

/* Sets an empty wheel to now_ms: nodes that are added later move less, and a clock may have stepped
 * back. */
static inline void mr_wheel_at(struct mr_wheel *w, uint64_t now_ms)
{
	if (w->count > 0 || now_ms == w->now_ms)
		return;
	w->now_ms = now_ms;
	w->moving = 0;
}

/* Adds a node. A time that has passed counts as now, one behind the last as the last. */
void mr_wheel_add(struct mr_wheel *w, struct mr_wheel_node *n, uint64_t due_ms);
/* Takes out a node that is in the wheel. */
void mr_wheel_remove(struct mr_wheel *w, struct mr_wheel_node *n);
/* Takes out and returns the next node that is due at now_ms, or that the wheel has passed. NULL:
 * there is none, or *budget is used up. Each node that leaves or moves to a lower level takes one
 * of *budget. */
struct mr_wheel_node *mr_wheel_pop(struct mr_wheel *w, uint64_t now_ms, uint32_t *budget);
/* Returns the node after `n`, in no order of time; of NULL the first. NULL: there is no further. */
struct mr_wheel_node *mr_wheel_next(const struct mr_wheel *w, const struct mr_wheel_node *n);
/* Takes out all nodes, and returns the number of the first of a chain of them: each node's `next`
 * is the next number, or its own at the end. The chain goes on with `rest`, if that is not 0. */
uint32_t mr_wheel_take_all(struct mr_wheel *w, uint32_t rest, uint64_t now_ms);
/* Returns a time at which mr_wheel_pop has work, no later than the first node's; UINT64_MAX: the
 * wheel is empty. */
uint64_t mr_wheel_due_ms(const struct mr_wheel *w);

#endif
