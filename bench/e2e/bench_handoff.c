/* SPDX-License-Identifier: Apache-2.0 */
/* bench_handoff: measures the slow path of a running bus: how many messages a second one worker
 * hands to control, and how long a sleeping control takes to handle one.
 *
 * Throughput: a client floods the bus with messages of a kind unknown to the worker, which passes
 * them on; control's own counters say how many it received. Latency: pings, each sent after control
 * had time to fall asleep; measured from the client's send to control's handling, and back.
 *
 *   millrace up --poll busy & bench_handoff shm:DIR/attach.sock
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/e2e/bus.h"
#include "bench/micro/support/bench.h"
#include "client/millrace.h"
#include "tests/support/hostile/raw.h"

#define UNKNOWN_KIND 200u
#define BATCH        64u
#define PINGS_MAX    100000u
#define REST_NS      2000000l /* far longer than control spins before it sleeps */

static const char *admin_path(const char *attach)
{
	static char path[128];
	const char *slash = strrchr(attach, '/');

	snprintf(path, sizeof(path), "%.*s/admin.sock", slash != NULL ? (int)(slash - attach) : 1,
		slash != NULL ? attach : ".");
	return path;
}

static uint64_t control_counter(const char *attach, const char *name)
{
	struct bench_counter counter = {.name = name};

	bench_bus_counters(admin_path(attach), &counter, 1);
	return counter.value;
}

static void flood_until(struct mr_raw *c, uint64_t end_ns)
{
	static const char payload[64];

	while (bench_ns() < end_ns) {
		for (unsigned i = 0; i < BATCH; i++)
			bench_check(mr_raw_send(c, UNKNOWN_KIND, 0, NULL, NULL, 0, payload,
					    sizeof(payload)),
				"flood");
		mr_raw_show(c);
	}
}

static void measure_rate(struct bench *b, const char *attach, uint64_t round_ns)
{
	double rate[1000];
	struct mr_raw c;

	bench_check(mr_raw_attach(&c, attach, "bench_handoff"), "attach");
	flood_until(&c, bench_ns() + round_ns / 2);
	for (uint64_t i = 0; i < b->rounds; i++) {
		uint64_t start = bench_ns();
		uint64_t before = control_counter(attach, "handoff_records");

		flood_until(&c, start + round_ns);
		rate[i] = (double)(control_counter(attach, "handoff_records") - before) * 1e9 /
			  (double)(bench_ns() - start);
	}
	bench_report(b, "handed to control", "/s", rate, b->rounds);
	mr_raw_close(&c);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *label, uint64_t *ns, uint64_t count)
{
	qsort(ns, count, sizeof(ns[0]), by_value);
	printf("%-40s p50 %.1f  p90 %.1f  p99 %.1f  max %.1f us  (%llu samples)\n", label,
		(double)ns[count / 2] / 1e3, (double)ns[count * 9 / 10] / 1e3,
		(double)ns[count * 99 / 100] / 1e3, (double)ns[count - 1] / 1e3,
		(unsigned long long)count);
}

static void measure_wake(const char *attach, uint64_t pings)
{
	static uint64_t handled[PINGS_MAX], round[PINGS_MAX];
	struct mr_client *c;
	char address[160];

	snprintf(address, sizeof(address), "shm:%s", attach);
	bench_check(mr_connect(address, NULL, &c), "connect");
	for (uint64_t i = 0; i < pings; i++) {
		struct timespec rest = {.tv_nsec = REST_NS};

		nanosleep(&rest, NULL);
		bench_check(mr_ping(c, 1000, &handled[i], &round[i]), "ping");
	}
	mr_close(c);
	report("asleep to handled", handled, pings);
	report("asleep to handled and back", round, pings);
}

int main(int argc, char **argv)
{
	uint64_t milliseconds = 3000, pings = 500;
	const char *attach;
	struct bench b;
	const struct bench_option options[] = {
		{"milliseconds", &milliseconds, 10, 1000000, "all rounds of the flood together"},
		{"pings", &pings, 1, PINGS_MAX, "of a control that sleeps"},
	};

	if (argc < 2 || strncmp(argv[1], "shm:", 4) != 0) {
		fprintf(stderr, "usage: bench_handoff shm:DIR/attach.sock [options]\n");
		return 2;
	}
	attach = argv[1] + 4;
	argv[1] = argv[0];
	bench_open(&b, "bench_handoff", argc - 1, argv + 1, options, MR_ARRAY_COUNT(options));
	measure_rate(&b, attach, milliseconds * 1000000 / b.rounds);
	bench_close(&b);
	measure_wake(attach, pings);
	return 0;
}
