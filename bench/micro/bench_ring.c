/* SPDX-License-Identifier: Apache-2.0 */
/* bench_ring: measures the move of one record or descriptor through a ring, for bursts of 1 to 64.
 *
 * "own": one thread pushes a burst and pops it; that measures the instructions. "between": two
 * threads spin on two CPUs; that includes the way of the cache lines. Records have 72 bytes, the
 * smallest usual message.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "bench/micro/support/bench.h"
#include "lib/channel/channel.h"
#include "lib/ring/spsc.h"

#define RECORD_BYTES 72u
#define RECORDS      (1u << 18)
#define BURST_MAX    64u
#define SPSC_ENTRIES 1024u

struct rings {
	struct mr_channel channel;
	alignas(MR_CACHE_LINE) struct mr_bytes_producer in;
	alignas(MR_CACHE_LINE) struct mr_bytes_consumer out;
	struct mr_spsc spsc;
	uint32_t burst;
	uint8_t record[RECORD_BYTES];
};

static uint32_t push_bytes(struct rings *r, uint32_t count)
{
	uint32_t done = 0;

	for (; done < count; done++) {
		void *to = mr_bytes_claim(&r->in, RECORD_BYTES);

		if (to == NULL)
			break;
		memcpy(to, r->record, RECORD_BYTES);
		mr_bytes_push(&r->in, RECORD_BYTES);
	}
	if (done > 0)
		bench_keep((void *)(uintptr_t)mr_bytes_publish(&r->in));
	return done;
}

static uint32_t pop_bytes(struct rings *r, uint32_t count)
{
	size_t ready = mr_bytes_readable(&r->out) / RECORD_BYTES;
	uint32_t done = 0;

	for (; done < ready && done < count; done++) {
		uint8_t copy[RECORD_BYTES];

		memcpy(copy, mr_bytes_peek(&r->out), RECORD_BYTES);
		bench_keep(copy);
		mr_bytes_skip(&r->out, RECORD_BYTES);
	}
	if (done > 0)
		(void)mr_bytes_release(&r->out);
	return done;
}

static uint32_t push_spsc(struct rings *r, uint32_t count)
{
	static const struct mr_descriptor from[BURST_MAX];

	return mr_spsc_push(&r->spsc, from, count);
}

static uint32_t pop_spsc(struct rings *r, uint32_t count)
{
	struct mr_descriptor to[BURST_MAX];

	count = mr_spsc_pop(&r->spsc, to, count);
	bench_keep(to);
	return count;
}

static inline uint64_t own(struct rings *r, uint32_t (*push)(struct rings *r, uint32_t count),
	uint32_t (*pop)(struct rings *r, uint32_t count))
{
	uint64_t start = bench_cycles();

	for (uint32_t done = 0; done < RECORDS; done += r->burst) {
		push(r, r->burst);
		pop(r, r->burst);
	}
	return bench_cycles() - start;
}

static uint64_t own_bytes(void *context)
{
	return own(context, push_bytes, pop_bytes);
}

static uint64_t own_spsc(void *context)
{
	return own(context, push_spsc, pop_spsc);
}

static inline void *drain(struct rings *r, uint32_t (*pop)(struct rings *r, uint32_t count))
{
	bench_pin(1);
	for (uint32_t done = 0; done < RECORDS;) {
		uint32_t count = pop(r, r->burst);

		done += count;
		if (count == 0)
			mr_cpu_relax();
	}
	return NULL;
}

static void *drain_bytes(void *context)
{
	return drain(context, pop_bytes);
}

static void *drain_spsc(void *context)
{
	return drain(context, pop_spsc);
}

static inline uint64_t between(struct rings *r, uint32_t (*push)(struct rings *r, uint32_t count),
	void *(*consumer)(void *))
{
	pthread_t thread;
	uint64_t start;

	bench_check(-pthread_create(&thread, NULL, consumer, r), "thread");
	start = bench_cycles();
	for (uint32_t done = 0; done < RECORDS;) {
		uint32_t count = push(r, r->burst < RECORDS - done ? r->burst : RECORDS - done);

		done += count;
		if (count == 0)
			mr_cpu_relax();
	}
	pthread_join(thread, NULL);
	return bench_cycles() - start;
}

static uint64_t between_bytes(void *context)
{
	return between(context, push_bytes, drain_bytes);
}

static uint64_t between_spsc(void *context)
{
	return between(context, push_spsc, drain_spsc);
}

static void measure(
	struct bench *b, struct rings *r, const char *name, uint64_t (*run)(void *context))
{
	char label[64];

	for (r->burst = 1; r->burst <= BURST_MAX; r->burst *= 2) {
		snprintf(label, sizeof(label), "%s, bursts of %u", name, r->burst);
		bench_measure(b, label, RECORDS, run, r);
	}
}

int main(int argc, char **argv)
{
	static struct mr_worker_page page;
	static struct rings r;
	struct mr_bytes_producer down_in;
	struct mr_bytes_consumer down;
	struct bench b;

	bench_open(&b, "bench_ring", argc, argv, NULL, 0);
	bench_check(mr_channel_new(&r.channel, "bench", 1u << 20, 1u << 20), "channel");
	mr_channel_worker_side(&r.channel, &r.out, &down_in);
	mr_channel_peer_side(&r.channel, &page, &r.in, &down);
	bench_check(mr_spsc_init(&r.spsc, SPSC_ENTRIES, 0), "ring");
	bench_pin(0);
	measure(&b, &r, "bytes, own", own_bytes);
	measure(&b, &r, "spsc, own", own_spsc);
	measure(&b, &r, "bytes, between", between_bytes);
	measure(&b, &r, "spsc, between", between_spsc);
	mr_spsc_fini(&r.spsc);
	mr_channel_close(&r.channel);
	bench_close(&b);
	return 0;
}
