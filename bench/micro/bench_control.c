/* SPDX-License-Identifier: Apache-2.0 */
/* Measures control with a worker that this program plays. Latency: a ping that finds control
 * asleep, until control handles it and until its answer returns. Throughput: messages of unknown
 * kinds that control takes from one hand-off ring in a second. */
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "bench/micro/support/bench.h"
#include "tests/unit/control/fake.h"

#define SESSION 1u

static struct fake fake;
static uint64_t pings = 2000, messages = 2000000, pause_us = 300;

/* CLOCK_MONOTONIC on both sides; reports latencies in cycles. */
static double cycles(const struct bench *b, uint64_t ns)
{
	return (double)ns * b->cycles_per_ns;
}

/* Waits until control sleeps: it spins a little after each message. */
static void wait_asleep(void)
{
	struct mr_bytes_shared *shared = fake.workers[0].to_control.shared;
	uint64_t until = bench_ns() + pause_us * 1000;

	while (bench_ns() < until ||
		atomic_load_explicit(&shared->asleep, memory_order_relaxed) == 0)
		poll(NULL, 0, 1);
}

static void ping_asleep(struct bench *b)
{
	static double handled[100000], back[100000];

	for (uint64_t i = 0; i < pings; i++) {
		uint64_t session, sent;
		uint32_t correlation;
		struct mrf_table t;

		wait_asleep();
		sent = bench_ns();
		fake_hand_ping(&fake, 0, SESSION, (uint32_t)i);
		t = fake_take(&fake, 0, &session, &correlation);
		back[i] = cycles(b, bench_ns() - sent);
		handled[i] =
			cycles(b, mrf_pong_handled_ns(mrf_client_message_body_as_pong(t)) - sent);
	}
	bench_report_latency(b, "control asleep: until handled", handled, pings);
	bench_report_latency(b, "control asleep: until answered", back, pings);
}

/* Returns the cycles until control has taken all. The worker yields while the ring is full, as a
 * later burst would find room. */
static uint64_t drain(void *unused)
{
	struct mr_bytes_producer *p = &fake.workers[0].to_control;
	uint8_t payload[64] = {0};
	uint64_t start = bench_cycles();

	(void)unused;
	for (uint64_t i = 0; i < messages; i++) {
		while (!fake_hand(&fake, 0, MRF_HANDOFF_REASON_UNKNOWN_KIND, SESSION, 200, 0,
			payload, sizeof(payload))) {
			fake_flush(&fake, 0);
			mr_cpu_relax();
		}
		if (i % 32 == 31)
			fake_flush(&fake, 0);
	}
	fake_flush(&fake, 0);
	while (mr_bytes_backlog(p) > 0)
		mr_cpu_relax();
	return bench_cycles() - start;
}

int main(int argc, char **argv)
{
	const struct bench_option options[] = {
		{"pings", &pings, 1, 100000, "pings that find control asleep"},
		{"pause-us", &pause_us, 0, 1000000, "rest between pings, at least"},
		{"messages", &messages, 1, UINT32_MAX, "messages a round through the ring"},
	};
	struct bench b;

	signal(SIGPIPE, SIG_IGN);
	bench_open(&b, "handoff", argc, argv, options, MR_ARRAY_COUNT(options));
	fake_init(&fake);
	fake_control_start(&fake);
	fake_dataplane_open(&fake, 1);
	fake_greet(&fake);
	ping_asleep(&b);
	bench_measure(&b, "messages of unknown kinds, 64 bytes", messages, drain, NULL);
	fake_fini(&fake);
	bench_close(&b);
	return 0;
}
