/* SPDX-License-Identifier: Apache-2.0 */
/* policy: the choice of the next consumer. Round robin and random choose by index, over a bit for
 * each consumer; the other policies take the least key of a heap:
 *
 *   least recently used   time of the last delivery
 *   least outstanding     number of outstanding deliveries, then time of the last delivery
 *   weighted              virtual time, advancing by 1 / weight with each delivery
 */
#include <errno.h>

#include "dataplane/queue/engine.h"

#define STRIDE (1u << 24)

static bool by_place(const struct mr_queue *queue)
{
	return queue->options.policy == MRF_QUEUE_POLICY_ROUND_ROBIN ||
	       queue->options.policy == MRF_QUEUE_POLICY_RANDOM ||
	       queue->options.policy == MRF_QUEUE_POLICY_KEY_SHARED;
}

static void heap_place(struct mr_queue *queue, uint32_t at, struct mr_queue_consumer *c)
{
	queue->heap[at] = c;
	c->heap_at = at;
}

static uint32_t heap_up(struct mr_queue *queue, uint32_t at, struct mr_queue_consumer *c)
{
	for (; at > 0 && queue->heap[(at - 1) / 2]->key > c->key; at = (at - 1) / 2)
		heap_place(queue, at, queue->heap[(at - 1) / 2]);
	heap_place(queue, at, c);
	return at;
}

static void heap_down(struct mr_queue *queue, uint32_t at, struct mr_queue_consumer *c)
{
	for (uint32_t child; (child = at * 2 + 1) < queue->heap_count; at = child) {
		if (child + 1 < queue->heap_count &&
			queue->heap[child + 1]->key < queue->heap[child]->key)
			child++;
		if (queue->heap[child]->key >= c->key)
			break;
		heap_place(queue, at, queue->heap[child]);
	}
	heap_place(queue, at, c);
}

static uint64_t outstanding_key(struct mr_queue *queue, const struct mr_queue_consumer *c)
{
	return (uint64_t)c->outstanding << 40 | (++queue->clock & ((1ull << 40) - 1));
}

/* Sets the key of a consumer that becomes ready: it starts where the others are. */
static void set_key(struct mr_queue *queue, struct mr_queue_consumer *c)
{
	if (queue->options.policy == MRF_QUEUE_POLICY_LEAST_OUTSTANDING)
		c->key = outstanding_key(queue, c);
	else if (queue->options.policy == MRF_QUEUE_POLICY_WEIGHTED && c->key < queue->clock)
		c->key = queue->clock;
	else if (c->key == 0)
		c->key = ++queue->clock;
}

void mr_policy_add(struct mr_queue *queue, struct mr_queue_consumer *c)
{
	c->ready = true;
	queue->heap_count++;
	if (by_place(queue)) {
		queue->ready_bits[c->index / 64] |= 1ull << (c->index % 64);
		return;
	}
	set_key(queue, c);
	heap_up(queue, queue->heap_count - 1, c);
}

void mr_policy_remove(struct mr_queue *queue, struct mr_queue_consumer *c)
{
	struct mr_queue_consumer *last;

	c->ready = false;
	queue->heap_count--;
	if (by_place(queue)) {
		queue->ready_bits[c->index / 64] &= ~(1ull << (c->index % 64));
		return;
	}
	last = queue->heap[queue->heap_count];
	if (last != c)
		heap_down(queue, heap_up(queue, c->heap_at, last), last);
}

/* Returns the first ready index from `from` on, wrapping around; there is one. */
static uint32_t next_place(const struct mr_queue *queue, uint32_t from)
{
	uint32_t words = (queue->consumers_count + 63) / 64;
	uint32_t word = from / 64;
	uint64_t bits = queue->ready_bits[word] & (~0ull << (from % 64));

	while (bits == 0) {
		word = word + 1 == words ? 0 : word + 1;
		bits = queue->ready_bits[word];
	}
	return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

/* Tries random indexes until one is ready; after 16 misses, the next ready one. */
static uint32_t random_place(struct mr_queues *q, const struct mr_queue *queue)
{
	uint32_t at = 0;

	for (unsigned tries = 0; tries < 16; tries++) {
		q->random ^= q->random << 13;
		q->random ^= q->random >> 7;
		q->random ^= q->random << 17;
		at = (uint32_t)((q->random >> 32) * queue->consumers_count >> 32);
		if (queue->ready_bits[at / 64] >> (at % 64) & 1)
			return at;
	}
	return next_place(queue, at);
}

struct mr_queue_consumer *mr_policy_choose(struct mr_queues *q, struct mr_queue *queue)
{
	if (queue->heap_count == 0)
		return NULL;
	if (!by_place(queue))
		return queue->heap[0];
	if (queue->options.policy == MRF_QUEUE_POLICY_RANDOM)
		return queue->consumers[random_place(q, queue)];
	if (queue->cursor >= queue->consumers_count)
		queue->cursor = 0;
	return queue->consumers[next_place(queue, queue->cursor)];
}

void mr_policy_used(struct mr_queue *queue, struct mr_queue_consumer *c)
{
	switch (queue->options.policy) {
	case MRF_QUEUE_POLICY_KEY_SHARED: /* messages without a key */
	case MRF_QUEUE_POLICY_ROUND_ROBIN: queue->cursor = c->index + 1; return;
	case MRF_QUEUE_POLICY_RANDOM: return;
	case MRF_QUEUE_POLICY_LEAST_OUTSTANDING: c->key = outstanding_key(queue, c); break;
	case MRF_QUEUE_POLICY_WEIGHTED:
		queue->clock = c->key;
		c->key += STRIDE / c->weight;
		break;
	default: c->key = ++queue->clock; break;
	}
	if (c->ready)
		heap_down(queue, c->heap_at, c);
}

void mr_policy_settled(struct mr_queue *queue, struct mr_queue_consumer *c)
{
	if (queue->options.policy != MRF_QUEUE_POLICY_LEAST_OUTSTANDING)
		return;
	c->key = outstanding_key(queue, c);
	heap_down(queue, heap_up(queue, c->heap_at, c), c);
}

/* The three arrays are one chunk: consumers, heap, bits. */
static uint32_t arrays_bytes(uint32_t room)
{
	return room * 2 * (uint32_t)sizeof(struct mr_queue_consumer *) +
	       (room + 63) / 64 * (uint32_t)sizeof(uint64_t);
}

int mr_policy_reserve(struct mr_queues *q, struct mr_queue *queue)
{
	uint32_t room = queue->consumers_room == 0 ? 4 : queue->consumers_room * 2;
	struct mr_queue_consumer **consumers, **heap;
	uint64_t *bits;

	if (queue->consumers_count < queue->consumers_room)
		return 0;
	if (room > MR_QUEUE_CONSUMERS_MAX)
		return -ENOSPC;
	consumers = mr_slab_alloc(q->store, arrays_bytes(room));
	if (consumers == NULL)
		return -ENOMEM;
	memset(consumers, 0, arrays_bytes(room));
	heap = consumers + room;
	bits = (uint64_t *)(heap + room);
	if (queue->consumers_room > 0) {
		memcpy(consumers, queue->consumers, queue->consumers_count * sizeof(*consumers));
		memcpy(heap, queue->heap, queue->consumers_count * sizeof(*heap));
		memcpy(bits, queue->ready_bits, (queue->consumers_count + 63) / 64 * sizeof(*bits));
	}
	mr_policy_fini(q, queue);
	queue->consumers = consumers;
	queue->heap = heap;
	queue->ready_bits = bits;
	queue->consumers_room = room;
	return 0;
}

void mr_policy_fini(struct mr_queues *q, struct mr_queue *queue)
{
	if (queue->consumers_room > 0)
		mr_slab_release(q->store, queue->consumers, arrays_bytes(queue->consumers_room));
	queue->consumers_room = 0;
}

void mr_policy_join(struct mr_queue *queue, struct mr_queue_consumer *c)
{
	c->index = queue->consumers_count++;
	queue->consumers[c->index] = c;
}

/* Removes a consumer; the last one takes its index. */
void mr_policy_leave(struct mr_queue *queue, struct mr_queue_consumer *c)
{
	struct mr_queue_consumer *last = queue->consumers[queue->consumers_count - 1];
	bool ready = last->ready;

	assert(!c->ready);
	if (ready)
		mr_policy_remove(queue, last);
	queue->consumers[c->index] = last;
	last->index = c->index;
	queue->consumers_count--;
	if (ready)
		mr_policy_add(queue, last);
}

/* The keys of one policy mean nothing to another: all consumers start anew. */
void mr_policy_change(struct mr_queue *queue, uint8_t policy)
{
	uint32_t words = (queue->consumers_count + 63) / 64;

	if (policy == queue->options.policy)
		return;
	queue->options.policy = policy;
	queue->clock = 0;
	queue->heap_count = 0;
	for (uint32_t i = 0; i < words; i++)
		queue->ready_bits[i] = 0;
	for (uint32_t i = 0; i < queue->consumers_count; i++) {
		queue->consumers[i]->key = 0;
		if (queue->consumers[i]->ready)
			mr_policy_add(queue, queue->consumers[i]);
	}
}
