/* SPDX-License-Identifier: Apache-2.0 */
/* bench_fanout: measures the cost of a copy of a message, for each ring it goes to.
 *
 * Copies a burst of 32 messages into each of 1, 4, 16 and 64 rings of 4 MiB, message by message as
 * a worker does, and publishes the tails. The same thread empties the rings; that is not timed. The
 * copies walk through the whole memory of every ring.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/support/bench.h"
#include "lib/channel/channel.h"
#include "lib/wire/message.h"

#define RINGS_MAX  64u
#define BURST      32u
#define BURSTS     4096u
#define UP_BYTES   MR_CHANNEL_RING_BYTES_MIN
#define RING_BYTES (4u << 20)

struct fanout {
	struct mr_channel channels[RINGS_MAX];
	struct mr_bytes_producer out[RINGS_MAX];
	struct mr_bytes_consumer in[RINGS_MAX];
	uint32_t rings;
	uint64_t size;
	alignas(8) uint8_t message[MR_MESSAGE_BYTES_MAX];
	uint32_t bytes;
};

static void copy_burst(struct fanout *f)
{
	for (uint32_t n = 0; n < BURST; n++)
		for (uint32_t i = 0; i < f->rings; i++) {
			void *to = mr_bytes_claim(&f->out[i], f->bytes);

			if (to == NULL)
				abort(); /* The rings are emptied after each burst. */
			memcpy(to, f->message, f->bytes);
			mr_bytes_push(&f->out[i], f->bytes);
		}
	for (uint32_t i = 0; i < f->rings; i++)
		bench_keep((void *)(uintptr_t)mr_bytes_publish(&f->out[i]));
}

static void empty(struct fanout *f)
{
	for (uint32_t i = 0; i < f->rings; i++) {
		mr_bytes_skip(&f->in[i], mr_bytes_readable(&f->in[i]));
		(void)mr_bytes_release(&f->in[i]);
	}
}

static uint64_t run(void *context)
{
	struct fanout *f = context;
	uint64_t total = 0;

	for (uint32_t n = 0; n < BURSTS / f->rings; n++) {
		uint64_t start = bench_cycles();

		copy_burst(f);
		total += bench_cycles() - start;
		empty(f);
	}
	return total;
}

static void open_rings(struct fanout *f)
{
	static const struct mr_worker_page page;

	for (uint32_t i = 0; i < RINGS_MAX; i++) {
		struct mr_bytes_consumer up;
		struct mr_bytes_producer up_in;

		bench_check(
			mr_channel_new(&f->channels[i], "bench", UP_BYTES, RING_BYTES), "channel");
		mr_channel_worker_side(&f->channels[i], &up, &f->out[i]);
		mr_channel_peer_side(&f->channels[i], &page, &up_in, &f->in[i]);
	}
}

int main(int argc, char **argv)
{
	static struct fanout f = {.size = 64};
	const struct bench_option options[] = {
		{"size", &f.size, 0, MR_BODY_BYTES_MAX, "bytes of payload"},
	};
	struct bench b;

	bench_open(&b, "bench_fanout", argc, argv, options, MR_ARRAY_COUNT(options));
	bench_pin(0);
	open_rings(&f);
	(void)mr_message_begin(
		f.message, MRF_MESSAGE_KIND_DELIVER, 1, NULL, 0, 0, (uint32_t)f.size);
	f.bytes = mr_message_bytes(false, 0, 0, (uint32_t)f.size);
	for (f.rings = 1; f.rings <= RINGS_MAX; f.rings *= 4) {
		uint64_t messages = (uint64_t)(BURSTS / f.rings) * BURST;
		char label[64];

		snprintf(label, sizeof(label), "%u rings, each copy", f.rings);
		bench_measure(&b, label, messages * f.rings, run, &f);
		snprintf(label, sizeof(label), "%u rings, each message", f.rings);
		bench_measure(&b, label, messages, run, &f);
	}
	for (uint32_t i = 0; i < RINGS_MAX; i++)
		mr_channel_close(&f.channels[i]);
	bench_close(&b);
	return 0;
}
