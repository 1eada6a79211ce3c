/* SPDX-License-Identifier: Apache-2.0 */
/* stress_table: one writer changes the table under two workers that look up all the time.
 *
 * Every single lookup must hold: a sink subscribed from before to after it is found, with the right
 * numbers; one that was never subscribed is not; a sink belongs to a subscription whose text
 * matches; a released alias stands for nothing or for another well-known subject; a route held over
 * later lookups does not change. Also run it under the thread and address sanitizers.
 *
 *   stress_table [rounds]
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

#include "lib/base/compiler.h"
#include "dataplane/subject/router.h"
#include "dataplane/subject/table.h"
#include "tests/unit/subject/reference.h"

#define WORKERS        2
#define CHURN_SLOTS    64
#define CHURN_TEXTS    12
#define SUBJECTS       8
#define STEADY_SLOT    900u
#define STEADY_SUB     7u
#define GENERATION     5u
#define ROUNDS_DEFAULT 60000u

#define CHECK(ok)                                                                                  \
	do {                                                                                       \
		if (!(ok)) {                                                                       \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #ok);           \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The first four always have a steady subscriber on every worker: by literal, '*', '>', prefix. */
static const char *const subjects[SUBJECTS] = {"steady.literal.x", "star.one.x", "tail.one.two",
	"prefix.one", "churn.a", "churn.b.c", "churn.b.d.e", "nobody.ever"};
static const char *const steady[4] = {"steady.literal.x", "star.*.x", "tail.>", "pre"};
/* Patterns of subscriptions that come and go; sub_id modulo CHURN_TEXTS is the index. */
static const char *const churn[CHURN_TEXTS] = {"steady.literal.x", "star.one.x", "star.*.*",
	"tail.one.>", "prefix.one", "churn.a", "churn.*", "churn.>", "churn.b.*.e", "churn.b.c",
	"churn.*.d.>", "*.b.c"};

struct world {
	struct rte_rcu_qsbr *qsbr;
	struct mr_table *table;
	_Atomic bool stop;
	_Atomic uint64_t lookups[WORKERS];
};

struct worker {
	struct world *world;
	struct mr_router *router;
	unsigned number;
	uint64_t seed;
	uint64_t found_churn;
	uint64_t picked;
	uint64_t aliased;
};

static void check_sink(
	const struct mr_sink *sink, unsigned worker, const char *subject, size_t bytes)
{
	uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);

	CHECK(flags >> MR_SINK_WORKER_SHIFT == worker);
	CHECK(sink->generation == GENERATION);
	if (sink->slot == STEADY_SLOT) {
		CHECK(!(flags & MR_SINK_GONE));
		return;
	}
	CHECK(sink->slot < CHURN_SLOTS);
	const char *text = churn[sink->sub_id % CHURN_TEXTS];
	CHECK(reference_pattern_matches(text, strlen(text), subject, bytes));
}

static void check_plain(struct worker *w, const struct mr_route *route, unsigned subject)
{
	unsigned found = 0;

	for (unsigned s = 0; s < route->span_count; s++) {
		for (uint32_t i = 0; i < route->spans[s].count; i++) {
			const struct mr_sink *sink = &route->spans[s].sinks[i];
			check_sink(sink, w->number, route->subject, route->bytes);
			found += sink->slot == STEADY_SLOT && sink->sub_id == STEADY_SUB + subject;
			w->found_churn += sink->slot != STEADY_SLOT;
		}
	}
	CHECK(found == (subject < 4));
	if (subject < 4)
		CHECK(route->workers == (UINT64_C(1) << (1 - w->number)));
}

/* "steady-group" has one member of each worker on the first four subjects. */
static void check_groups(struct worker *w, const struct mr_route *route, unsigned subject)
{
	unsigned steady_groups = 0;

	for (uint32_t g = 0; g < route->group_count; g++) {
		struct mr_member m;
		if (!mr_route_group_pick(route, g, reference_random(&w->seed), &m))
			continue;
		CHECK(m.worker < WORKERS && m.generation == GENERATION);
		CHECK(m.slot < CHURN_SLOTS || m.slot == STEADY_SLOT);
		steady_groups += m.slot == STEADY_SLOT;
		w->picked++;
	}
	CHECK(steady_groups == (subject < 4));
}

static void check_subject(struct worker *w, unsigned subject, const struct mr_route *route)
{
	CHECK(route != NULL);
	CHECK(route->bytes == strlen(subjects[subject]));
	CHECK(memcmp(route->subject, subjects[subject], route->bytes) == 0);
	check_plain(w, route, subject);
	check_groups(w, route, subject);
	if (subject == SUBJECTS - 1)
		CHECK(!route->interest);
}

static void look_up_alias(struct worker *w)
{
	uint32_t alias = 1 + reference_random(&w->seed) % 4;
	const struct mr_route *route = mr_router_alias(w->router, alias);

	CHECK(!mr_router_full(w->router));
	if (route == NULL)
		return;
	w->aliased++;
	for (unsigned s = 0; s < SUBJECTS; s++) {
		if (route->bytes == strlen(subjects[s]) &&
			memcmp(route->subject, subjects[s], route->bytes) == 0) {
			check_subject(w, s, route);
			return;
		}
	}
	CHECK(!"an alias of a subject that was never given one");
}

/* Looks up one burst between two quiescent reports; checks its first route again at the end. */
static void burst(struct worker *w)
{
	const struct mr_route *held = NULL;
	unsigned held_subject = 0;

	for (int i = 0; i < 16; i++) {
		unsigned s = reference_random(&w->seed) % SUBJECTS;
		enum mr_subject_fault fault;
		const struct mr_route *route =
			mr_router_subject(w->router, subjects[s], strlen(subjects[s]), &fault);
		check_subject(w, s, route);
		if (held == NULL) {
			held = route;
			held_subject = s;
		}
		look_up_alias(w);
	}
	check_subject(w, held_subject, held);
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;
	struct world *world = w->world;

	mr_router_online(w->router);
	for (uint64_t n = 1; !atomic_load_explicit(&world->stop, memory_order_relaxed); n++) {
		burst(w);
		mr_router_quiescent(w->router);
		atomic_store_explicit(&world->lookups[w->number], n, memory_order_relaxed);
		if (n % 64 == 0) {
			mr_router_offline(w->router);
			sched_yield();
			mr_router_online(w->router);
		}
	}
	mr_router_offline(w->router);
	return NULL;
}

static void subscribe_steady(struct world *world)
{
	for (uint16_t worker = 0; worker < WORKERS; worker++) {
		struct mr_owner o = {worker, STEADY_SLOT, GENERATION};
		for (uint32_t i = 0; i < 4; i++) {
			enum mr_sub_kind kind = i == 3 ? MR_SUB_PREFIX : MR_SUB_PATTERN;
			CHECK(mr_table_subscribe(world->table, &o, STEADY_SUB + i, kind, steady[i],
				      strlen(steady[i]), NULL, 0) == 0);
			CHECK(mr_table_subscribe(world->table, &o, STEADY_SUB + 100 + i, kind,
				      steady[i], strlen(steady[i]), "steady-group", 12) == 0);
		}
	}
}

static void change_subscription(struct world *world, uint64_t *seed)
{
	struct mr_owner o = {.worker = reference_random(seed) % WORKERS,
		.slot = reference_random(seed) % CHURN_SLOTS,
		.generation = GENERATION};
	uint32_t sub_id = reference_random(seed) % (4 * CHURN_TEXTS);
	const char *text = churn[sub_id % CHURN_TEXTS];
	const char *group = sub_id / CHURN_TEXTS == 3 ? "churn-group" : "";

	switch (reference_random(seed) % 16) {
	case 0: mr_table_drop_owner(world->table, &o); return;
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
	case 6: mr_table_unsubscribe(world->table, &o, sub_id); return;
	default:
		CHECK(mr_table_subscribe(world->table, &o, sub_id, MR_SUB_PATTERN, text,
			      strlen(text), group, strlen(group)) == 0);
	}
}

static void change_alias(struct world *world, uint64_t *seed)
{
	struct mr_owner o = {.worker = 0, .slot = reference_random(seed) % 4, .generation = 1};
	const char *text = subjects[reference_random(seed) % SUBJECTS];
	uint32_t alias;

	if (reference_random(seed) % 2 != 0)
		mr_table_alias_acquire(world->table, &o, text, strlen(text), &alias);
	else
		mr_table_alias_release(world->table, &o, 1 + reference_random(seed) % 4);
}

static void writer_run(struct world *world, uint32_t rounds)
{
	uint64_t seed = 99;

	for (uint32_t i = 0; i < rounds; i++) {
		change_subscription(world, &seed);
		if (i % 4 == 0)
			change_alias(world, &seed);
		if (i % 8 == 0)
			mr_table_reclaim(world->table);
		if (i % 64 == 0)
			sched_yield();
	}
}

/* Waits until both workers have seen the last state and every retired piece is freed. */
static void settle(struct world *world)
{
	uint64_t patience = 0;

	while (mr_table_reclaim(world->table) > 0) {
		CHECK(++patience < 100000000);
		sched_yield();
	}
}

static void wait_for_lookups(struct world *world)
{
	for (unsigned w = 0; w < WORKERS; w++)
		while (atomic_load_explicit(&world->lookups[w], memory_order_relaxed) == 0)
			sched_yield();
}

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : ROUNDS_DEFAULT;
	struct mr_table_limits limits = {
		.workers = WORKERS, .subscriptions_max = 1u << 16, .aliases_max = 4};
	struct world world = {0};
	struct worker workers[WORKERS] = {0};
	pthread_t threads[WORKERS];

	world.qsbr = aligned_alloc(MR_CACHE_LINE, rte_rcu_qsbr_get_memsize(WORKERS));
	CHECK(world.qsbr != NULL && rte_rcu_qsbr_init(world.qsbr, WORKERS) == 0);
	CHECK(mr_table_new(&limits, world.qsbr, &world.table) == 0);
	subscribe_steady(&world);
	for (unsigned w = 0; w < WORKERS; w++) {
		workers[w] = (struct worker){.world = &world, .number = w, .seed = w + 1};
		CHECK(mr_router_new(world.table, w, 16, &workers[w].router) == 0);
		CHECK(pthread_create(&threads[w], NULL, worker_run, &workers[w]) == 0);
	}
	wait_for_lookups(&world);
	writer_run(&world, rounds);
	settle(&world);
	atomic_store_explicit(&world.stop, true, memory_order_relaxed);
	for (unsigned w = 0; w < WORKERS; w++)
		CHECK(pthread_join(threads[w], NULL) == 0);
	for (unsigned w = 0; w < WORKERS; w++) {
		const struct mr_router_counters *c = mr_router_counters(workers[w].router);
		printf("worker %u: %" PRIu64 " hits, %" PRIu64 " misses, %" PRIu64
		       " invalidated, %" PRIu64 " passing sinks, %" PRIu64 " picks, %" PRIu64
		       " by alias\n",
			w, c->cache_hits, c->cache_misses, c->cache_invalidations,
			workers[w].found_churn, workers[w].picked, workers[w].aliased);
		CHECK(c->cache_misses > 0 && workers[w].found_churn > 0 && workers[w].picked > 0);
		mr_router_free(workers[w].router);
	}
	mr_table_free(world.table);
	free(world.qsbr);
	return 0;
}
