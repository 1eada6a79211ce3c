/* SPDX-License-Identifier: Apache-2.0 */
/* bench_relay: the yardstick. One thread publishes and receives. Another copies messages from one
 * byte ring to N others through an alias table: no checks, no features, only the parts that nothing
 * could leave out.
 *
 * Rings and sizes are those of a local client. Both threads spin. At most `window` messages are in
 * flight, so that the down rings never fill.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/support/bench.h"
#include "lib/channel/channel.h"
#include "lib/wire/message.h"

#define UP_BYTES        (1u << 20)
#define DOWN_BYTES      (4u << 20)
#define SUBSCRIBERS_MAX 64u
#define ALIASES         16u
#define ALIAS           11u

struct sinks {
	uint32_t count;
	struct mr_bytes_producer *rings[SUBSCRIBERS_MAX];
};

struct relay {
	struct mr_channel channels[SUBSCRIBERS_MAX];
	uint64_t subscribers, size, batch, window;
	uint32_t stride;
	/* the relay's */
	alignas(MR_CACHE_LINE) struct mr_bytes_consumer in;
	struct mr_bytes_producer out[SUBSCRIBERS_MAX];
	struct sinks aliases[ALIASES];
	/* the other thread's */
	alignas(MR_CACHE_LINE) struct mr_bytes_producer publish;
	struct mr_bytes_consumer receive[SUBSCRIBERS_MAX];
	uint64_t published;
	uint64_t received[SUBSCRIBERS_MAX];
	uint64_t wrong;
	uint8_t payload[MR_BODY_BYTES_MAX];
	/* w: relay, r: the other thread, between rounds */
	alignas(MR_CACHE_LINE) _Atomic uint64_t busy_cycles;
	_Atomic uint64_t relayed;
	_Atomic bool stop;
};

/* Relays one burst; returns the messages moved. */
static uint64_t relay_burst(struct relay *r)
{
	size_t ready = mr_bytes_readable(&r->in);
	const struct sinks *dirty = NULL;
	uint64_t moved = 0;

	while (ready > 0 && moved < r->batch) {
		const uint8_t *from = mr_bytes_peek(&r->in);
		struct mrf_message_header h = mr_message_header_load(from);
		uint32_t stride = mr_message_stride(h.bytes);
		const struct sinks *sinks = &r->aliases[h.target];

		for (uint32_t i = 0; i < sinks->count; i++) {
			void *to = mr_bytes_claim(sinks->rings[i], stride);

			if (mr_unlikely(to == NULL))
				abort(); /* The window keeps the rings from filling. */
			memcpy(to, from, stride);
			mr_bytes_push(sinks->rings[i], stride);
		}
		dirty = sinks;
		mr_bytes_skip(&r->in, stride);
		ready -= stride;
		moved++;
	}
	if (moved == 0)
		return 0;
	for (uint32_t i = 0; i < dirty->count; i++)
		mr_bytes_publish_quiet(dirty->rings[i]);
	(void)mr_bytes_release(&r->in);
	return moved;
}

static void *relay_main(void *context)
{
	struct relay *r = context;
	uint64_t busy = 0, relayed = 0;

	bench_pin(1);
	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		uint64_t start = bench_cycles();
		uint64_t moved = relay_burst(r);

		if (moved == 0) {
			mr_cpu_relax();
			continue;
		}
		busy += bench_cycles() - start;
		relayed += moved;
		atomic_store_explicit(&r->busy_cycles, busy, memory_order_relaxed);
		atomic_store_explicit(&r->relayed, relayed, memory_order_relaxed);
	}
	return NULL;
}

static void publish_batch(struct relay *r)
{
	struct mrf_message_header h = {
		.bytes = (uint16_t)(sizeof(h) + r->size),
		.kind = MRF_MESSAGE_KIND_PUBLISH,
		.target = ALIAS,
	};

	for (uint64_t i = 0; i < r->batch; i++) {
		uint8_t *to = mr_bytes_claim(&r->publish, r->stride);

		if (to == NULL)
			break;
		memcpy(to, &h, sizeof(h));
		memcpy(to + sizeof(h), &r->published, sizeof(r->published));
		memcpy(to + sizeof(h) + 8, r->payload, r->size - 8);
		mr_bytes_push(&r->publish, r->stride);
		r->published++;
	}
	mr_bytes_publish_quiet(&r->publish);
}

static void receive_all(struct relay *r, uint64_t i)
{
	struct mr_bytes_consumer *c = &r->receive[i];
	size_t ready = mr_bytes_readable(c);

	if (ready == 0)
		return;
	while (ready > 0) {
		const uint8_t *at = mr_bytes_peek(c);
		uint32_t stride = mr_message_stride(mr_message_header_load(at).bytes);
		uint64_t number;

		memcpy(&number, at + sizeof(struct mrf_message_header), sizeof(number));
		r->wrong += number != r->received[i];
		r->received[i]++;
		mr_bytes_skip(c, stride);
		ready -= stride;
	}
	(void)mr_bytes_release(c);
}

static uint64_t slowest(const struct relay *r)
{
	uint64_t least = r->received[0];

	for (uint64_t i = 1; i < r->subscribers; i++)
		least = r->received[i] < least ? r->received[i] : least;
	return least;
}

static void run_until(struct relay *r, uint64_t end_ns)
{
	do {
		for (unsigned i = 0; i < 64; i++) {
			if (r->published - slowest(r) + r->batch <= r->window)
				publish_batch(r);
			for (uint64_t s = 0; s < r->subscribers; s++)
				receive_all(r, s);
		}
	} while (bench_ns() < end_ns);
}

struct totals {
	uint64_t ns, received, busy, relayed;
};

static struct totals totals_now(struct relay *r)
{
	return (struct totals){
		.ns = bench_ns(),
		.received = slowest(r),
		.busy = atomic_load_explicit(&r->busy_cycles, memory_order_relaxed),
		.relayed = atomic_load_explicit(&r->relayed, memory_order_relaxed),
	};
}

static void measure(struct bench *b, struct relay *r, uint64_t round_ns)
{
	double rate[1000], deliveries[1000], cycles[1000];
	size_t moved = 0;

	run_until(r, bench_ns() + round_ns / 2);
	for (uint64_t i = 0; i < b->rounds; i++) {
		struct totals t0 = totals_now(r), t1;

		run_until(r, t0.ns + round_ns);
		t1 = totals_now(r);
		rate[i] = (double)(t1.received - t0.received) * 1e9 / (double)(t1.ns - t0.ns);
		deliveries[i] = rate[i] * (double)r->subscribers;
		/* On a busy machine the relay may not have run at all. */
		if (t1.relayed > t0.relayed)
			cycles[moved++] =
				(double)(t1.busy - t0.busy) / (double)(t1.relayed - t0.relayed);
	}
	bench_report(b, "messages", "/s", rate, b->rounds);
	bench_report(b, "deliveries", "/s", deliveries, b->rounds);
	if (moved > 0)
		bench_report_cycles(b, "relay busy, each message", cycles, moved);
}

static void open_rings(struct relay *r)
{
	static const struct mr_worker_page page;
	struct sinks *sinks = &r->aliases[ALIAS];

	for (uint64_t i = 0; i < r->subscribers; i++) {
		struct mr_bytes_consumer in;
		struct mr_bytes_producer publish;

		bench_check(
			mr_channel_new(&r->channels[i], "relay", UP_BYTES, DOWN_BYTES), "channel");
		mr_channel_worker_side(&r->channels[i], &in, &r->out[i]);
		mr_channel_peer_side(&r->channels[i], &page, &publish, &r->receive[i]);
		if (i == 0) {
			r->in = in;
			r->publish = publish;
		}
		sinks->rings[sinks->count++] = &r->out[i];
	}
}

int main(int argc, char **argv)
{
	struct relay *r = aligned_alloc(MR_CACHE_LINE, sizeof(*r));
	uint64_t milliseconds = 2000;
	struct bench b;
	pthread_t thread;

	bench_check(r == NULL ? -ENOMEM : 0, "relay");
	memset(r, 0, sizeof(*r));
	r->subscribers = 1;
	r->size = 64;
	r->batch = 32;
	r->window = 32768;
	const struct bench_option options[] = {
		{"subscribers", &r->subscribers, 1, SUBSCRIBERS_MAX, "rings that get a copy"},
		{"size", &r->size, 8, 60000, "bytes of payload"},
		{"batch", &r->batch, 1, 1024, "messages published, and relayed, at a time"},
		{"window", &r->window, 1, 1u << 20, "messages in flight at most"},
		{"milliseconds", &milliseconds, 10, 1000000, "all rounds together"},
	};
	bench_open(&b, "bench_relay", argc, argv, options, MR_ARRAY_COUNT(options));
	r->stride = mr_message_stride((uint32_t)(sizeof(struct mrf_message_header) + r->size));
	if (r->window > DOWN_BYTES / r->stride)
		r->window = DOWN_BYTES / r->stride;
	if (r->batch > r->window)
		r->batch = r->window;
	open_rings(r);
	bench_pin(0);
	bench_check(-pthread_create(&thread, NULL, relay_main, r), "thread");
	measure(&b, r, milliseconds * 1000000 / b.rounds);
	atomic_store_explicit(&r->stop, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	bench_close(&b);
	for (uint64_t i = 0; i < r->subscribers; i++)
		mr_channel_close(&r->channels[i]);
	if (r->wrong > 0)
		bench_check(-EBADMSG, "messages out of order");
	free(r);
	return 0;
}
