/* SPDX-License-Identifier: Apache-2.0 */
/* spsc: bounded ring of 32-byte descriptors, one producer, one consumer, one process.
 *
 * The mesh has one ring for each ordered pair of workers.
 *
 * Owns      The slots. The buffer of a descriptor belongs to the ring from a counted push until its
 *           counted pop.
 * Threads   push, room: the producer only. pop, done: the consumer only. empty: anyone, as a hint.
 *           tail, is_done: anyone.
 * Ordering  [spsc.slot] release of tail in push -> acquire in pop: the slots are written.
 *           [spsc.room] release of head in pop -> acquire in push: the slots were read.
 *           [spsc.sleep] like [bytes.sleep]: the producer's store of tail and the consumer's last
 *           look before it sleeps are seq_cst.
 *           [spsc.done] release of done in done -> acquire in is_done: the consumer has not only
 *           taken all that was pushed before, it has finished processing it.
 * Units     Counts of descriptors.
 * Errors    push and pop return how many moved; a short count is back-pressure, not an error.
 * Hot path  No call, lock, allocation or system call.
 */
#ifndef MILLRACE_RING_SPSC_H
#define MILLRACE_RING_SPSC_H

#include <stdatomic.h>
#include <stdbool.h>

#include "lib/base/compiler.h"

struct mr_descriptor {
	void *buffer;      /* struct rte_mbuf; the receiver gets one reference to it */
	uint32_t offset;   /* from the start of the buffer's data */
	uint32_t bytes;    /* length of the mesh records from there on */
	uint32_t messages; /* number of messages in them */
	uint32_t source;   /* worker that sent it */
	uint64_t tag;      /* the users' own: the mesh stores the kind of the buffer here */
};

_Static_assert(sizeof(struct mr_descriptor) == 32, "two a cache line");

struct mr_spsc {
	/* read-only after init */
	alignas(MR_CACHE_LINE) struct mr_descriptor *slots;
	uint32_t mask;
	/* producer's line */
	alignas(MR_CACHE_LINE) _Atomic uint32_t tail; /* w: producer, r: consumer */
	uint32_t head_seen;                           /* producer's stale copy of head */
	/* consumer's line */
	alignas(MR_CACHE_LINE) _Atomic uint32_t head; /* w: consumer, r: producer */
	uint32_t tail_seen;                           /* consumer's stale copy of tail */
	_Atomic uint32_t done;                        /* w: consumer, r: anyone; see mr_spsc_done */
};

/* `entries`: power of two, 2 .. 2^30. `first`: index to start at; near the wrap in tests, else 0.
 * -EINVAL, -ENOMEM. */
int mr_spsc_init(struct mr_spsc *r, uint32_t entries, uint32_t first);
void mr_spsc_fini(struct mr_spsc *r);

/* Returns the number of descriptors that push would take now, at least. Reads the consumer's
 * position only when fewer than `wanted` are known to fit. */
static inline uint32_t mr_spsc_room(struct mr_spsc *r, uint32_t wanted)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint32_t room = r->mask + 1 - (tail - r->head_seen);

	if (room < wanted) {
		r->head_seen =
			atomic_load_explicit(&r->head, memory_order_acquire); /* [spsc.room] */
		room = r->mask + 1 - (tail - r->head_seen);
	}
	return room;
}

static inline uint32_t mr_spsc_push(
	struct mr_spsc *r, const struct mr_descriptor *from, uint32_t count)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint32_t room = mr_spsc_room(r, count);

	if (count > room)
		count = room;
	if (count == 0)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		r->slots[(tail + i) & r->mask] = from[i];
	/* [spsc.slot] [spsc.sleep] */
	atomic_store_explicit(&r->tail, tail + count, memory_order_seq_cst);
	return count;
}

static inline uint32_t mr_spsc_pop(struct mr_spsc *r, struct mr_descriptor *to, uint32_t count)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint32_t ready = r->tail_seen - head;

	if (ready == 0) {
		r->tail_seen =
			atomic_load_explicit(&r->tail, memory_order_acquire); /* [spsc.slot] */
		ready = r->tail_seen - head;
	}
	if (count > ready)
		count = ready;
	if (count == 0)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		to[i] = r->slots[(head + i) & r->mask];
	atomic_store_explicit(&r->head, head + count, memory_order_release); /* [spsc.room] */
	return count;
}

/* Marks all descriptors popped so far as finished. */
static inline void mr_spsc_done(struct mr_spsc *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	atomic_store_explicit(&r->done, head, memory_order_release); /* [spsc.done] */
}

/* Returns the position of the next push. mr_spsc_is_done waits for all descriptors before it. */
static inline uint32_t mr_spsc_tail(const struct mr_spsc *r)
{
	return atomic_load_explicit(&r->tail, memory_order_acquire); /* [spsc.slot] */
}

/* True if the consumer has finished all descriptors pushed before the tail was `tail`. */
static inline bool mr_spsc_is_done(const struct mr_spsc *r, uint32_t tail)
{
	uint32_t done = atomic_load_explicit(&r->done, memory_order_acquire); /* [spsc.done] */

	return (int32_t)(done - tail) >= 0;
}

/* True if the ring is empty. The consumer's last look before it sleeps; it stores its flag seq_cst
 * first. */
static inline bool mr_spsc_empty(struct mr_spsc *r)
{
	return atomic_load_explicit(&r->tail, memory_order_seq_cst) == /* [spsc.sleep] */
	       atomic_load_explicit(&r->head, memory_order_relaxed);
}

#endif
