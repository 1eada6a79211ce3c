/* SPDX-License-Identifier: Apache-2.0 */
/* bytes: ring of byte records in memory that two processes share, one producer, one consumer.
 *
 * A record takes a multiple of 8 bytes and never wraps for its users: the data is mapped twice, one
 * mapping behind the other. The users define the format of a record; the ring moves bytes.
 *
 * A position is a 64-bit count of bytes since the ring was made, a multiple of 8 that may wrap.
 * Each side trusts only its own private position. It checks the other side's position when it reads
 * it, so that a hostile peer can spoil only the data and its own progress. After any such read
 *
 *   producer: tail - head_seen <= capacity, consumer: ready <= capacity or MR_BYTES_CORRUPT
 *
 * hold, and no offset computed from them leaves the double mapping.
 *
 * Owns      Nothing. From publish to release a record's bytes are the consumer's to read; before
 *           and after they are the producer's to write.
 * Threads   One thread at a time a side.
 * Ordering  [bytes.data] release of tail in publish -> acquire in readable: the records are
 *           written.
 *           [bytes.room] release of head in release -> acquire in claim: the records were read.
 *           [bytes.sleep] the producer stores tail, then loads asleep; the consumer stores asleep,
 *           then loads tail. All four are seq_cst, so at least one side sees the other's store, and
 *           no record stays unseen while the consumer sleeps.
 * Errors    No room: NULL. A malformed tail: MR_BYTES_CORRUPT. A malformed head reads as a full
 *           ring, so a consumer that lies about it receives nothing more.
 * Hot path  No call, lock, allocation or system call.
 */
#ifndef MILLRACE_RING_BYTES_H
#define MILLRACE_RING_BYTES_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/base/compiler.h"

#define MR_BYTES_ALIGN   8u
#define MR_BYTES_CORRUPT SIZE_MAX

/* The part of a ring that both sides see. All zero bytes is an empty ring. */
struct mr_bytes_shared {
	alignas(MR_CACHE_LINE) _Atomic uint64_t tail; /* w: producer, r: consumer */
	alignas(MR_CACHE_LINE) _Atomic uint64_t head; /* w: consumer, r: producer */
	_Atomic uint32_t wants_bell; /* w: producer waiting for room, r: consumer */
	alignas(MR_CACHE_LINE) _Atomic uint32_t asleep; /* w: consumer; producer, to clear it */
	_Atomic uint32_t closed; /* w: consumer's side, r: producer: nobody reads any more */
};

_Static_assert(sizeof(struct mr_bytes_shared) == 192, "shared between processes");
_Static_assert(offsetof(struct mr_bytes_shared, head) == 64, "shared between processes");
_Static_assert(offsetof(struct mr_bytes_shared, wants_bell) == 72, "shared between processes");
_Static_assert(offsetof(struct mr_bytes_shared, asleep) == 128, "shared between processes");
_Static_assert(offsetof(struct mr_bytes_shared, closed) == 132, "shared between processes");

struct mr_bytes_producer {
	struct mr_bytes_shared *shared;
	/* the ring's own flag, or one flag for all rings of the consumer */
	const _Atomic uint32_t *asleep;
	uint8_t *data;
	uint64_t capacity; /* bytes, a power of two */
	uint64_t tail;     /* where the next record goes */
	uint64_t tail_out; /* the tail as last published */
	uint64_t head_seen;
};

struct mr_bytes_consumer {
	struct mr_bytes_shared *shared;
	const uint8_t *data;
	uint64_t capacity;
	uint64_t head; /* the next record to read */
	uint64_t head_out;
	uint64_t tail_seen;
	uint64_t head_notified; /* position at the last notification for room */
};

/* Reads and checks the consumer's position. [bytes.room] */
static inline void mr_bytes_look(struct mr_bytes_producer *p)
{
	uint64_t head = atomic_load_explicit(&p->shared->head, memory_order_acquire);

	/* Malformed: behind by more than the ring holds, ahead of the pushed records, or inside a
	 * record. */
	if (mr_unlikely(p->tail - head > p->capacity || head % MR_BYTES_ALIGN != 0))
		head = p->tail - p->capacity;
	p->head_seen = head;
}

/* `data` is mapped twice in a row; `capacity` is a power of two >= 4096 bytes. Both inits continue
 * at the shared positions, so that a new owner of a side can go on where the last one stopped.
 * Records that the last owner pushed and did not publish are lost; records that it skipped and did
 * not release are read again. */
static inline void mr_bytes_producer_init(
	struct mr_bytes_producer *p, struct mr_bytes_shared *shared, void *data, uint64_t capacity)
{
	/* [bytes.data] */
	uint64_t tail = atomic_load_explicit(&shared->tail, memory_order_acquire);

	p->shared = shared;
	p->asleep = &shared->asleep;
	p->data = data;
	p->capacity = capacity;
	p->tail = tail & ~(uint64_t)(MR_BYTES_ALIGN - 1);
	p->tail_out = p->tail;
	mr_bytes_look(p);
}

static inline void mr_bytes_consumer_init(struct mr_bytes_consumer *c,
	struct mr_bytes_shared *shared, const void *data, uint64_t capacity)
{
	/* [bytes.room] */
	uint64_t head = atomic_load_explicit(&shared->head, memory_order_acquire);

	c->shared = shared;
	c->data = data;
	c->capacity = capacity;
	c->head = head & ~(uint64_t)(MR_BYTES_ALIGN - 1);
	c->head_out = c->head;
	c->tail_seen = c->head;
	c->head_notified = c->head;
}

/* Returns the free bytes, at least. Reads the consumer's position only when fewer than `wanted` are
 * known to be free. */
static inline uint64_t mr_bytes_room(struct mr_bytes_producer *p, uint64_t wanted)
{
	if (mr_unlikely(wanted > p->capacity - (p->tail - p->head_seen)))
		mr_bytes_look(p);
	return p->capacity - (p->tail - p->head_seen);
}

/* Returns space for a record of `bytes`; NULL: no room, as always for more than the capacity. Takes
 * nothing until push; a second claim returns the same place. */
static inline void *mr_bytes_claim(struct mr_bytes_producer *p, size_t bytes)
{
	if (mr_unlikely(bytes > p->capacity - (p->tail - p->head_seen)) &&
		bytes > mr_bytes_room(p, bytes))
		return NULL;
	return p->data + (p->tail & (p->capacity - 1));
}

/* Takes the claimed record; its size is rounded up to the ring's alignment. */
static inline void mr_bytes_push(struct mr_bytes_producer *p, size_t bytes)
{
	p->tail += mr_align_up(bytes, MR_BYTES_ALIGN);
	assert(p->tail - p->head_seen <= p->capacity);
}

/* Publishes the tail: the consumer sees all that was pushed. True: the consumer sleeps and its
 * doorbell must be rung. */
static inline bool mr_bytes_publish(struct mr_bytes_producer *p)
{
	p->tail_out = p->tail;
	/* [bytes.data] [bytes.sleep] */
	atomic_store_explicit(&p->shared->tail, p->tail, memory_order_seq_cst);
	return atomic_load_explicit(p->asleep, memory_order_seq_cst) != 0;
}

/* Publishes to a consumer that never sleeps. */
static inline void mr_bytes_publish_quiet(struct mr_bytes_producer *p)
{
	p->tail_out = p->tail;
	atomic_store_explicit(&p->shared->tail, p->tail, memory_order_release); /* [bytes.data] */
}

/* Returns the bytes pushed and not yet released by the consumer. A malformed head reads as a full
 * ring. */
static inline uint64_t mr_bytes_backlog(struct mr_bytes_producer *p)
{
	mr_bytes_look(p);
	return p->tail - p->head_seen;
}

/* Tells the consumer whether this producer waits for room and wants to be notified. This is a hint
 * that the consumer may miss: a producer that waits must look again by itself after a bounded time.
 */
static inline void mr_bytes_want_bell(struct mr_bytes_producer *p, bool wanted)
{
	atomic_store_explicit(&p->shared->wants_bell, wanted, memory_order_relaxed);
}

/* Returns the bytes ready to read, or MR_BYTES_CORRUPT. Reads the shared line only when none are
 * known. */
static inline size_t mr_bytes_readable(struct mr_bytes_consumer *c)
{
	uint64_t ready;

	if (c->tail_seen == c->head)
		c->tail_seen = atomic_load_explicit(
			&c->shared->tail, memory_order_acquire); /* [bytes.data] */
	ready = c->tail_seen - c->head;
	if (mr_unlikely(ready > c->capacity || ready % MR_BYTES_ALIGN != 0))
		return MR_BYTES_CORRUPT;
	return ready;
}

/* Like readable, but always reads the shared tail: for a consumer that leaves records in the
 * ring. */
static inline size_t mr_bytes_readable_now(struct mr_bytes_consumer *c)
{
	if (c->tail_seen != c->head)
		c->tail_seen = atomic_load_explicit(
			&c->shared->tail, memory_order_acquire); /* [bytes.data] */
	return mr_bytes_readable(c);
}

/* True if more was published than readable has seen. The last look before sleep of a consumer that
 * leaves records in the ring, in place of mr_bytes_empty. */
static inline bool mr_bytes_grew(const struct mr_bytes_consumer *c)
{
	return atomic_load_explicit(&c->shared->tail, memory_order_seq_cst) !=
	       c->tail_seen; /* [bytes.sleep] */
}

/* Points to the next record; as many bytes as readable returned may be read. */
static inline const uint8_t *mr_bytes_peek(const struct mr_bytes_consumer *c)
{
	return c->data + (c->head & (c->capacity - 1));
}

/* Advances past a record of `bytes`. Its memory stays readable until release. */
static inline void mr_bytes_skip(struct mr_bytes_consumer *c, size_t bytes)
{
	c->head += mr_align_up(bytes, MR_BYTES_ALIGN);
}

/* Returns all skipped records to the producer. True: the producer waits for room and must be
 * notified. That is true at most once for each quarter of the ring, so that a producer that always
 * asks costs its consumer little. */
static inline bool mr_bytes_release(struct mr_bytes_consumer *c)
{
	c->head_out = c->head;
	atomic_store_explicit(&c->shared->head, c->head, memory_order_release); /* [bytes.room] */
	if (mr_likely(atomic_load_explicit(&c->shared->wants_bell, memory_order_relaxed) == 0))
		return false;
	if (c->head - c->head_notified < c->capacity / 4)
		return false;
	c->head_notified = c->head;
	return true;
}

/* True if nothing is left to read. The last look before sleep of a consumer whose flag is not in
 * the ring: it stores that flag seq_cst first. */
static inline bool mr_bytes_empty(const struct mr_bytes_consumer *c)
{
	return atomic_load_explicit(&c->shared->tail, memory_order_seq_cst) ==
	       c->head; /* [bytes.sleep] */
}

/* Announces that the consumer will sleep. False: more was published meanwhile, and it must not. */
static inline bool mr_bytes_sleep(struct mr_bytes_consumer *c)
{
	/* [bytes.sleep] */
	atomic_store_explicit(&c->shared->asleep, 1, memory_order_seq_cst);
	if (mr_bytes_empty(c))
		return true;
	atomic_store_explicit(&c->shared->asleep, 0, memory_order_relaxed);
	return false;
}

static inline void mr_bytes_wake(struct mr_bytes_consumer *c)
{
	atomic_store_explicit(&c->shared->asleep, 0, memory_order_relaxed);
}

#endif
