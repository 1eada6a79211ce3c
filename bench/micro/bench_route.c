/* SPDX-License-Identifier: Apache-2.0 */
/* bench_route: measures a lookup, and the memory of a subscription.
 *
 * Prints, for each kind of lookup, nanoseconds and cycles an operation as percentiles over batches,
 * after a warm-up. Asserts nothing about time.
 *
 *   bench_route [--subscriptions N] [--subjects N] [--batches N] [--raw]
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_rcu_qsbr.h>

#include "lib/base/compiler.h"
#include "dataplane/subject/router.h"
#include "dataplane/subject/table.h"

#define BATCH_LOOKUPS 256
#define SUBJECT_BYTES 64

struct options {
	uint32_t subscriptions;
	uint32_t subjects;
	uint32_t batches;
	bool raw;
};

struct bench {
	struct options o;
	struct rte_rcu_qsbr *qsbr;
	struct mr_table *table;
	struct mr_router *router;
	char (*subjects)[SUBJECT_BYTES];
	uint8_t *bytes;
	uint32_t *aliases;
	/* Keeps the lookups from being optimised away, and shows that they found something. */
	uint64_t found;
	double ns_per_cycle;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_route: %s\n", what);
	exit(1);
}

static uint32_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

static double clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void calibrate(struct bench *b)
{
	double start = clock_ns();
	uint64_t cycles = rte_rdtsc();

	while (clock_ns() - start < 5e7)
		;
	b->ns_per_cycle = (clock_ns() - start) / (double)(rte_rdtsc() - cycles);
}

/* Six patterns of ten are literals, two have '*', one has '>', and one of another worker has
 * both. */
static size_t pattern_text(uint32_t i, char *out, size_t room)
{
	unsigned site = i % 997, device = i / 7;

	switch (i % 10) {
	case 6: return (size_t)snprintf(out, room, "plant.%u.*.%u", site, device);
	case 7: return (size_t)snprintf(out, room, "plant.%u.device%u.*", site, device);
	case 8: return (size_t)snprintf(out, room, "plant.%u.device%u.>", site, device);
	case 9: return (size_t)snprintf(out, room, "plant.*.device%u.>", device);
	default: return (size_t)snprintf(out, room, "plant.%u.device%u.t%u", site, device, i);
	}
}

static void subscribe_all(struct bench *b)
{
	char text[SUBJECT_BYTES];

	for (uint32_t i = 0; i < b->o.subscriptions; i++) {
		struct mr_owner o = {.worker = i % 10 == 9, .slot = i % 1000, .generation = 1};
		size_t bytes = pattern_text(i, text, sizeof(text));
		if (mr_table_subscribe(b->table, &o, i, MR_SUB_PATTERN, text, bytes, NULL, 0) != 0)
			die("subscribe failed");
		if (i % 1024 == 0)
			mr_table_reclaim(b->table);
	}
	while (mr_table_reclaim(b->table) > 0)
		;
}

/* A quarter of the subjects match a literal; the others match wildcards or nothing. */
static void make_subjects(struct bench *b)
{
	uint64_t seed = 42;

	b->subjects = calloc(b->o.subjects, sizeof(*b->subjects));
	b->bytes = calloc(b->o.subjects, 1);
	b->aliases = calloc(b->o.subjects, sizeof(*b->aliases));
	if (b->subjects == NULL || b->bytes == NULL || b->aliases == NULL)
		die("no memory");
	for (uint32_t i = 0; i < b->o.subjects; i++) {
		uint32_t n = next_random(&seed) % b->o.subscriptions;
		if (n % 10 > 5 || i % 4 != 0)
			snprintf(b->subjects[i], SUBJECT_BYTES, "plant.%u.device%u.v%u", n % 997,
				n / 7, i);
		else
			pattern_text(n, b->subjects[i], SUBJECT_BYTES);
		b->bytes[i] = (uint8_t)strlen(b->subjects[i]);
	}
}

static void open_all(struct bench *b, uint32_t cache_entries)
{
	struct mr_table_limits limits = {.workers = 2,
		.subscriptions_max = b->o.subscriptions,
		.aliases_max = b->o.subjects};

	b->qsbr = aligned_alloc(MR_CACHE_LINE, rte_rcu_qsbr_get_memsize(2));
	if (b->qsbr == NULL || rte_rcu_qsbr_init(b->qsbr, 2) != 0 ||
		mr_table_new(&limits, b->qsbr, &b->table) != 0 ||
		mr_router_new(b->table, 0, cache_entries, &b->router) != 0)
		die("cannot set up");
}

static void close_all(struct bench *b)
{
	mr_router_free(b->router);
	mr_table_free(b->table);
	free(b->qsbr);
}

static void lookup_subject(struct bench *b, uint32_t i)
{
	enum mr_subject_fault fault;
	const struct mr_route *route =
		mr_router_subject(b->router, b->subjects[i], b->bytes[i], &fault);

	b->found += route->interest;
}

static void lookup_alias(struct bench *b, uint32_t i)
{
	b->found += mr_router_alias(b->router, b->aliases[i])->interest;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void report(const struct bench *b, const char *name, uint32_t subjects, uint64_t *cycles)
{
	static const double at[] = {0.0, 0.5, 0.9, 0.99};

	if (b->o.raw) {
		printf("# raw %s, cycles a batch of %d:", name, BATCH_LOOKUPS);
		for (uint32_t i = 0; i < b->o.batches; i++)
			printf(" %" PRIu64, cycles[i]);
		printf("\n");
	}
	qsort(cycles, b->o.batches, sizeof(*cycles), compare_u64);
	printf("%-34s %8u ", name, subjects);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(at); i++) {
		uint64_t batch = cycles[(uint32_t)(at[i] * b->o.batches)];
		double each = (double)batch / BATCH_LOOKUPS;
		printf(" %7.1f/%-7.1f", each * b->ns_per_cycle, each);
	}
	printf("\n");
}

/* Times batches over subjects in a scattered order, with `quiescent` between batches as in a
 * worker's loop. */
static void measure(struct bench *b, const char *name, uint32_t subjects,
	void (*lookup)(struct bench *b, uint32_t i))
{
	uint64_t *cycles = calloc(b->o.batches, sizeof(*cycles));
	uint32_t order[BATCH_LOOKUPS];
	uint64_t seed = 7, interested = 0;

	if (cycles == NULL)
		die("no memory");
	for (uint32_t n = 0; n < 2 * b->o.batches; n++) {
		for (int i = 0; i < BATCH_LOOKUPS; i++)
			order[i] = next_random(&seed) % subjects;
		/* Looks up every subject once as a warm-up. */
		for (uint32_t i = 0; n == 0 && i < subjects; i++) {
			lookup(b, i);
			mr_router_quiescent(b->router);
		}
		if (n == b->o.batches)
			interested = b->found;
		uint64_t start = rte_rdtsc_precise();
		for (int i = 0; i < BATCH_LOOKUPS; i++)
			lookup(b, order[i]);
		uint64_t end = rte_rdtsc_precise();
		mr_router_quiescent(b->router);
		if (n >= b->o.batches)
			cycles[n - b->o.batches] = end - start;
	}
	report(b, name, subjects, cycles);
	if (b->found == interested)
		die("no lookup found anybody: nothing was measured");
	free(cycles);
}

static void measure_cached(struct bench *b)
{
	struct mr_owner o = {.slot = 1, .generation = 1};

	open_all(b, MR_ROUTER_CACHE_DEFAULT);
	subscribe_all(b);
	for (uint32_t i = 0; i < b->o.subjects; i++)
		if (mr_table_alias_acquire(
			    b->table, &o, b->subjects[i], b->bytes[i], &b->aliases[i]) != 0)
			die("no alias");
	mr_router_online(b->router);
	measure(b, "alias", 64, lookup_alias);
	measure(b, "alias", 1024, lookup_alias);
	measure(b, "cached subject", 64, lookup_subject);
	measure(b, "cached subject", 1024, lookup_subject);
	close_all(b);
}

/* With the smallest cache, nearly every lookup parses, walks and fills. */
static void measure_missed(struct bench *b)
{
	open_all(b, 4);
	subscribe_all(b);
	mr_router_online(b->router);
	measure(b, "miss: walk and fill", b->o.subjects, lookup_subject);
	const struct mr_router_counters *c = mr_router_counters(b->router);
	printf("  misses %.2f %%, nodes visited %.2f a walk, %" PRIu64 " at most\n",
		100.0 * (double)c->cache_misses / (double)(c->cache_misses + c->cache_hits),
		(double)c->visits / (double)c->cache_misses, c->visits_max);
	close_all(b);
}

/* Measures the worst that one client can do to others' misses: patterns of every shape that the
 * table accepts. All of them lead one step on, and none matches. */
static void measure_hostile(struct bench *b)
{
	uint32_t count = b->o.subjects < 4096 ? b->o.subjects : 4096;
	struct mr_owner o = {.slot = 1, .generation = 1};
	uint64_t seed = 3;

	open_all(b, 4);
	for (uint32_t id = 0; id < 20000; id++) {
		char text[SUBJECT_BYTES];
		uint32_t stars = next_random(&seed);
		size_t at = 0;
		for (int i = 0; i < 24; i++)
			at += (size_t)snprintf(
				text + at, sizeof(text) - at, "%s.", stars >> i & 1 ? "*" : "a");
		at += (size_t)snprintf(text + at, sizeof(text) - at, "no");
		mr_table_subscribe(b->table, &o, id, MR_SUB_PATTERN, text, at, NULL, 0);
	}
	if (mr_table_subscribe(b->table, &o, 20000, MR_SUB_PATTERN, "a.>", 3, NULL, 0) != 0)
		die("subscribe failed");
	for (uint32_t i = 0; i < count; i++) {
		for (int k = 0; k < 24; k++)
			memcpy(b->subjects[i] + 2 * (size_t)k, "a.", 2);
		b->bytes[i] =
			48 + (uint8_t)snprintf(b->subjects[i] + 48, SUBJECT_BYTES - 48, "x%u", i);
	}
	mr_router_online(b->router);
	measure(b, "miss among hostile patterns", count, lookup_subject);
	printf("  %" PRIu64 " nodes visited at most, bound %u\n",
		mr_router_counters(b->router)->visits_max, MR_TABLE_VISITS_MAX);
	close_all(b);
}

/* Resident memory of this process, from the kernel; 0: not known. */
static uint64_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	uint64_t size = 0, resident = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%" SCNu64 " %" SCNu64, &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void weigh(struct bench *b)
{
	struct mr_table_stats empty, full;
	uint64_t before, after;

	open_all(b, 4);
	before = resident_bytes();
	mr_table_stats_get(b->table, &empty);
	subscribe_all(b);
	after = resident_bytes();
	mr_table_stats_get(b->table, &full);
	printf("memory: %" PRIu32 " subscriptions, %" PRIu32 " nodes, %" PRIu32 " shapes: "
	       "own count %.1f, resident %.1f bytes a subscription\n",
		full.subscriptions, full.nodes, full.shapes,
		(double)(full.memory_bytes - empty.memory_bytes) / full.subscriptions,
		((double)after - (double)before) / full.subscriptions);
	close_all(b);
}

static void usage(void)
{
	printf("usage: bench_route [--subscriptions N] [--subjects N] [--batches N] [--raw]\n");
}

static struct options parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{"subscriptions", required_argument, NULL, 's'},
		{"subjects", required_argument, NULL, 'n'},
		{"batches", required_argument, NULL, 'b'},
		{"raw", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct options o = {.subscriptions = 100000, .subjects = 50000, .batches = 2000};

	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (c) {
		case 's': o.subscriptions = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'n': o.subjects = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'b': o.batches = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'r': o.raw = true; break;
		case 'h': usage(); exit(0);
		default: usage(); exit(2);
		}
	}
	if (o.subscriptions < 100 || o.subjects < 1024 || o.batches < 10)
		die("at least 100 subscriptions, 1024 subjects, 10 batches");
	return o;
}

static void print_machine(const struct bench *b)
{
	struct utsname u = {0};
	char line[256] = "";
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "model name", 10) == 0)
			break;
	if (f != NULL)
		fclose(f);
	uname(&u);
	line[strcspn(line, "\n")] = '\0';
	const char *model = strchr(line, ':');
	printf("# %s, %s %s, TSC %.2f GHz\n", model != NULL ? model + 2 : "unknown CPU", u.sysname,
		u.release, 1.0 / b->ns_per_cycle);
}

int main(int argc, char **argv)
{
	struct bench b = {.o = parse_options(argc, argv)};

	calibrate(&b);
	print_machine(&b);
	printf("# %" PRIu32 " subscriptions, batches of %d lookups, %" PRIu32
	       " to warm up and %" PRIu32 " that count\n",
		b.o.subscriptions, BATCH_LOOKUPS, b.o.batches, b.o.batches);
	make_subjects(&b);
	printf("%-34s %8s  %-15s %-15s %-15s %-15s\n", "ns/cycles a lookup", "subjects", "min",
		"p50", "p90", "p99");
	measure_cached(&b);
	measure_missed(&b);
	weigh(&b);
	/* Comes last, as it overwrites the subjects. */
	measure_hostile(&b);
	free(b.subjects);
	free(b.bytes);
	free(b.aliases);
	return 0;
}
