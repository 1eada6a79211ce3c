/* SPDX-License-Identifier: Apache-2.0 */
/* bench_mesh: measures the hand-over of a burst of messages to another worker.
 *
 * One thread fills a block with a burst of 64-byte messages and pushes one descriptor for it. The
 * other, on the other CPU, pops it, reads every message and returns its reference to the block.
 * Blocks are plain memory with a reference count, like an mbuf, so that no EAL is needed; taking
 * one from a pool is not measured.
 *
 * Ordering  [mesh.block] release of a reference -> acquire by the owner: the reader is done.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/support/bench.h"
#include "lib/ring/spsc.h"

#define ENTRIES       256u
#define BLOCKS        512u
#define MESSAGE_BYTES 64u
#define MESSAGES_MAX  32u
#define MESSAGES      (1u << 19)
#define POP_MAX       32u

struct block {
	alignas(MR_CACHE_LINE) _Atomic uint32_t references;
	alignas(MR_CACHE_LINE) uint8_t data[MESSAGES_MAX * MESSAGE_BYTES];
};

struct mesh {
	struct mr_spsc ring;
	struct block *blocks;
	uint32_t in_block; /* messages */
	uint8_t message[MESSAGE_BYTES];
};

static void read_block(const struct mr_descriptor *d)
{
	struct block *b = d->buffer;

	for (uint32_t i = 0; i < d->messages; i++) {
		uint64_t sum = 0, words[MESSAGE_BYTES / 8];

		memcpy(words, b->data + (size_t)i * MESSAGE_BYTES, MESSAGE_BYTES);
		for (uint32_t w = 0; w < MR_ARRAY_COUNT(words); w++)
			sum += words[w];
		bench_keep(&sum);
	}
	atomic_fetch_sub_explicit(&b->references, 1, memory_order_release); /* [mesh.block] */
}

static void *receive(void *context)
{
	struct mesh *m = context;

	bench_pin(1);
	for (uint32_t done = 0; done < MESSAGES;) {
		struct mr_descriptor d[POP_MAX];
		uint32_t count = mr_spsc_pop(&m->ring, d, POP_MAX);

		for (uint32_t i = 0; i < count; i++) {
			read_block(&d[i]);
			done += d[i].messages;
		}
		if (count == 0)
			mr_cpu_relax();
	}
	return NULL;
}

static struct block *next_block(struct mesh *m, uint32_t n)
{
	struct block *b = &m->blocks[n % BLOCKS];

	/* [mesh.block] */
	while (atomic_load_explicit(&b->references, memory_order_acquire) != 0)
		mr_cpu_relax();
	return b;
}

static void send(struct mesh *m, uint32_t n)
{
	struct block *b = next_block(m, n);
	struct mr_descriptor d = {.buffer = b, .messages = m->in_block};

	for (uint32_t i = 0; i < m->in_block; i++)
		memcpy(b->data + (size_t)i * MESSAGE_BYTES, m->message, MESSAGE_BYTES);
	atomic_store_explicit(&b->references, 1, memory_order_relaxed);
	while (mr_spsc_push(&m->ring, &d, 1) == 0)
		mr_cpu_relax();
}

static uint64_t run(void *context)
{
	struct mesh *m = context;
	pthread_t thread;
	uint64_t start;

	bench_check(-pthread_create(&thread, NULL, receive, m), "thread");
	start = bench_cycles();
	for (uint32_t n = 0; n < MESSAGES / m->in_block; n++)
		send(m, n);
	pthread_join(thread, NULL);
	return bench_cycles() - start;
}

int main(int argc, char **argv)
{
	static struct mesh m;
	struct bench b;

	bench_open(&b, "bench_mesh", argc, argv, NULL, 0);
	bench_pin(0);
	m.blocks = aligned_alloc(MR_CACHE_LINE, BLOCKS * sizeof(*m.blocks));
	bench_check(m.blocks == NULL ? -ENOMEM : 0, "blocks");
	memset(m.blocks, 0, BLOCKS * sizeof(*m.blocks));
	bench_check(mr_spsc_init(&m.ring, ENTRIES, 0), "ring");
	for (m.in_block = 1; m.in_block <= MESSAGES_MAX; m.in_block *= 2) {
		char label[64];

		snprintf(label, sizeof(label), "bursts of %u, each message", m.in_block);
		bench_measure(&b, label, MESSAGES, run, &m);
		snprintf(label, sizeof(label), "bursts of %u, each descriptor", m.in_block);
		bench_measure(&b, label, MESSAGES / m.in_block, run, &m);
	}
	mr_spsc_fini(&m.ring);
	free(m.blocks);
	bench_close(&b);
	return 0;
}
