/* SPDX-License-Identifier: Apache-2.0 */
/* Promises to a worker: the route cache, the life of a route, groups and aliases. */
#include "tests/unit/subject/rig.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/compiler.h"

static struct mr_router_counters counters(const struct rig *rig)
{
	return *mr_router_counters(rig->router[0]);
}

/* Looks the subject up; true if the cache had it. */
static bool hits(struct rig *rig, const char *subject)
{
	uint64_t before = counters(rig).cache_hits;

	rig_route(rig, 0, subject);
	return counters(rig).cache_hits == before + 1;
}

static void a_second_lookup_is_a_hit_even_without_subscribers(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "a.b", NULL), 0);
	assert_false(hits(&rig, "a.b"));
	assert_true(hits(&rig, "a.b"));
	assert_false(hits(&rig, "x.y"));
	assert_true(hits(&rig, "x.y"));
	assert_false(rig_route(&rig, 0, "x.y")->interest);
	rig_close(&rig);
}

static void the_last_subject_is_not_taken_for_another(void **state)
{
	static const char *const subjects[] = {
		"orders.created", "orders.create", "orders.creates", "orders.creatad", "borders.x"};
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, subjects[0], NULL), 0);
	for (unsigned n = 0; n < 3; n++) {
		for (unsigned i = 0; i < MR_ARRAY_COUNT(subjects); i++) {
			rig_route(&rig, 0, subjects[0]);
			assert_int_equal(rig_route(&rig, 0, subjects[0])->span_count, 1);
			assert_int_equal(rig_route(&rig, 0, subjects[i])->span_count, i == 0);
		}
	}
	assert_int_equal(rig_unsub(&rig, 0, 0, 1), 0);
	assert_int_equal(rig_route(&rig, 0, subjects[0])->span_count, 0);
	rig_close(&rig);
}

/* A change may share a bucket with one subject, but hardly with one of twenty at a time. */
static unsigned still_cached_after(struct rig *rig, const char *pattern, uint32_t sub_id)
{
	char subject[32];
	unsigned cached = 0;

	for (int i = 0; i < 20; i++) {
		sprintf(subject, "t%d.x%d", i, i);
		rig_route(rig, 0, subject);
	}
	assert_int_equal(rig_sub(rig, 0, 0, sub_id, pattern, NULL), 0);
	for (int i = 0; i < 20; i++) {
		sprintf(subject, "t%d.x%d", i, i);
		cached += hits(rig, subject);
	}
	return cached;
}

static void an_unrelated_change_leaves_routes_cached(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	assert_true(still_cached_after(&rig, "other.literal", 1) >= 18);
	assert_true(still_cached_after(&rig, "other.*", 2) >= 18);
	assert_true(still_cached_after(&rig, "t3.x3", 3) >= 17);
	assert_true(still_cached_after(&rig, "t3.>", 4) >= 17);
	assert_int_equal(rig_sinks(&rig, 0, "t3.x3"), 2);
	assert_int_equal(still_cached_after(&rig, "*.x3", 5), 0);
	assert_int_equal(still_cached_after(&rig, ">", 6), 0);
	assert_int_equal(rig_sinks(&rig, 0, "t3.x3"), 4);
	assert_int_equal(rig_sinks(&rig, 0, "t4.x4"), 1);
	rig_close(&rig);
}

static void a_cached_route_notices_what_concerns_it(void **state)
{
	static const char *const patterns[] = {"a.b", "a.*", "a.>", "*.b", "*.*", ">"};
	struct rig rig;

	(void)state;
	rig_open(&rig, 2);
	for (uint32_t i = 0; i < 6; i++) {
		assert_int_equal(rig_sinks(&rig, 0, "a.b"), i);
		assert_int_equal(rig_sub(&rig, 0, 0, i, patterns[i], NULL), 0);
	}
	assert_int_equal(rig_prefix(&rig, 0, 0, 6, "a."), 0);
	assert_int_equal(rig_sinks(&rig, 0, "a.b"), 7);
	assert_true(rig_route(&rig, 0, "a.b")->workers == 0);
	assert_int_equal(rig_sub(&rig, 1, 0, 0, "a.*", NULL), 0);
	assert_true(rig_route(&rig, 0, "a.b")->workers == 2);
	assert_true(rig_route(&rig, 1, "a.b")->workers == 1);
	assert_int_equal(rig_unsub(&rig, 1, 0, 0), 0);
	assert_true(rig_route(&rig, 0, "a.b")->workers == 0);
	for (uint32_t i = 0; i < 7; i++) {
		assert_int_equal(rig_unsub(&rig, 0, 0, i), 0);
		assert_int_equal(rig_sinks(&rig, 0, "a.b"), 6 - i);
	}
	assert_false(rig_route(&rig, 0, "a.b")->interest);
	rig_close(&rig);
}

static void malformed_subjects_are_named_counted_and_not_kept(void **state)
{
	struct rig rig;
	enum mr_subject_fault fault = MR_SUBJECT_OK;
	static char long_one[70000];

	(void)state;
	rig_open(&rig, 1);
	for (int i = 0; i < 2; i++) {
		assert_null(mr_router_subject(rig.router[0], "a..b", 4, &fault));
		assert_int_equal(fault, MR_SUBJECT_EMPTY_TOKEN);
		assert_null(mr_router_subject(rig.router[0], "a.*", 3, &fault));
		assert_int_equal(fault, MR_SUBJECT_WILDCARD);
		assert_null(mr_router_subject(rig.router[0], "", 0, &fault));
		assert_int_equal(fault, MR_SUBJECT_EMPTY);
	}
	memset(long_one, 'x', sizeof(long_one));
	/* 256 + 1 would be 1 if the length were truncated to a byte. */
	rig_route(&rig, 0, "x");
	assert_null(mr_router_subject(rig.router[0], long_one, 257, &fault));
	assert_null(mr_router_subject(rig.router[0], long_one, sizeof(long_one), &fault));
	assert_int_equal(fault, MR_SUBJECT_TOO_LONG);
	assert_int_equal(counters(&rig).malformed, 8);
	assert_false(mr_router_full(rig.router[0]));
	rig_close(&rig);
}

static struct mr_owner queue_owner(uint16_t worker, uint32_t number)
{
	return (struct mr_owner){.worker = worker, .slot = MR_OWNER_QUEUE, .generation = number};
}

static void bind_queue(struct rig *rig, const struct mr_owner *o, uint32_t id, const char *pattern)
{
	assert_int_equal(mr_table_subscribe(rig->table, o, id, MR_SUB_PATTERN, pattern,
				 strlen(pattern), NULL, 0),
		0);
}

/* Returns the route's group that is this queue. */
static uint32_t group_of_queue(const struct mr_route *route, uint32_t number)
{
	struct mr_member m;

	for (uint32_t g = 0; g < route->group_count; g++)
		if (mr_route_group_is_queue(&route->groups[g]) &&
			mr_route_group_pick(route, g, 0, &m) && m.generation == number)
			return g;
	return UINT32_MAX;
}

static void bindings_of_a_queue_are_one_group_of_its_own(void **state)
{
	const struct mr_owner jobs = queue_owner(1, 77), audit = queue_owner(1, 78);
	const struct mr_route *route;
	struct mr_member m;
	struct rig rig;

	(void)state;
	rig_open(&rig, 2);
	bind_queue(&rig, &jobs, 1, "a.b");
	bind_queue(&rig, &jobs, 2, "a.*");
	bind_queue(&rig, &jobs, 3, ">");
	bind_queue(&rig, &audit, 1, "a.b");
	assert_int_equal(rig_sub(&rig, 0, 5, 1, "a.b", "workers"), 0);
	route = rig_route(&rig, 0, "a.b");
	assert_int_equal(route->group_count, 3);
	assert_int_equal(route->workers, 0);
	assert_true(route->interest);
	assert_int_not_equal(group_of_queue(route, 77), UINT32_MAX);
	assert_int_not_equal(group_of_queue(route, 78), UINT32_MAX);
	for (uint32_t turn = 0; turn < 4; turn++) {
		assert_true(mr_route_group_pick(route, group_of_queue(route, 77), turn, &m));
		assert_int_equal(m.slot, MR_OWNER_QUEUE);
		assert_int_equal(m.worker, 1);
	}
	assert_int_equal(mr_table_unsubscribe(rig.table, &jobs, 1), 0);
	assert_int_equal(mr_table_unsubscribe(rig.table, &jobs, 2), 0);
	assert_int_not_equal(group_of_queue(rig_route(&rig, 0, "a.b"), 77), UINT32_MAX);
	assert_int_equal(mr_table_unsubscribe(rig.table, &jobs, 3), 0);
	assert_int_equal(group_of_queue(rig_route(&rig, 0, "a.b"), 77), UINT32_MAX);
	assert_int_equal(rig_route(&rig, 0, "a.b")->group_count, 2);
	rig_close(&rig);
}

static void only_a_route_to_nothing_but_bound_queues_says_so(void **state)
{
	const struct mr_owner jobs = queue_owner(1, 77), audit = queue_owner(0, 78);
	struct rig rig;

	(void)state;
	rig_open(&rig, 2);
	assert_false(rig_route(&rig, 0, "a.b")->queues_only);
	bind_queue(&rig, &jobs, 1, "a.b");
	bind_queue(&rig, &audit, 1, "a.*");
	assert_true(rig_route(&rig, 0, "a.b")->queues_only);
	assert_int_equal(rig_sub(&rig, 0, 5, 1, "a.b", "workers"), 0);
	assert_false(rig_route(&rig, 0, "a.b")->queues_only);
	assert_int_equal(rig_unsub(&rig, 0, 5, 1), 0);
	assert_int_equal(rig_sub(&rig, 0, 5, 2, "a.b", NULL), 0);
	assert_false(rig_route(&rig, 0, "a.b")->queues_only);
	assert_false(rig_route(&rig, 1, "a.b")->queues_only);
	assert_int_equal(rig_unsub(&rig, 0, 5, 2), 0);
	assert_true(rig_route(&rig, 0, "a.b")->queues_only);
	rig_close(&rig);
}

/* A session that knew the bytes of a queue's group could join it. */
static void no_client_joins_the_group_of_a_queue(void **state)
{
	const struct mr_owner jobs = queue_owner(0, 0x41424344);
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	bind_queue(&rig, &jobs, 1, "a");
	assert_int_equal(rig_sub(&rig, 0, 5, 1, "a",
				 "\x01"
				 "DCBA"),
		-EINVAL);
	assert_int_equal(rig_sub(&rig, 0, 5, 1, "a", "DCBA"), 0);
	assert_int_equal(rig_route(&rig, 0, "a")->group_count, 2);
	rig_close(&rig);
}

static void groups_of_one_name_are_one_group(void **state)
{
	struct rig rig;
	unsigned seen[4] = {0};
	struct mr_member m;

	(void)state;
	rig_open(&rig, 2);
	assert_int_equal(rig_sub(&rig, 0, 0, 0, "a.b", "work"), 0);
	assert_int_equal(rig_sub(&rig, 1, 1, 1, "a.*", "work"), 0);
	assert_int_equal(rig_sub(&rig, 1, 2, 2, ">", "work"), 0);
	struct mr_owner o = rig_owner(0, 3);
	assert_int_equal(mr_table_subscribe(rig.table, &o, 3, MR_SUB_PREFIX, "a", 1, "work", 4), 0);
	assert_int_equal(rig_sub(&rig, 0, 5, 5, "a.b", "audit"), 0);
	const struct mr_route *route = rig_route(&rig, 0, "a.b");
	assert_int_equal(route->group_count, 2);
	assert_true(route->interest);
	assert_true(route->workers == 0);
	uint32_t work = route->groups[0].members == 4 ? 0 : 1;
	assert_int_equal(route->groups[work].members, 4);
	for (uint32_t turn = 0; turn < 40; turn++) {
		assert_true(mr_route_group_pick(route, work, turn, &m));
		assert_int_equal(m.slot, m.sub_id);
		assert_int_equal(m.generation, m.slot + 1000);
		assert_int_equal(m.worker, m.slot == 1 || m.slot == 2);
		seen[m.slot]++;
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(seen[i], 10);
	assert_true(mr_route_group_pick(route, 1 - work, 77, &m));
	assert_int_equal(m.slot, 5);
	rig_close(&rig);
}

static void a_member_that_left_is_not_picked(void **state)
{
	struct rig rig;
	struct mr_member m;

	(void)state;
	rig_open(&rig, 1);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(rig_sub(&rig, 0, i, i, i % 2 != 0 ? "a.b" : "a.*", "g"), 0);
	const struct mr_route *held = rig_route(&rig, 0, "a.b");
	for (uint32_t i = 0; i < 99; i++)
		assert_int_equal(rig_unsub(&rig, 0, i, i), 0);
	for (uint32_t turn = 0; turn < 200; turn++) {
		assert_true(mr_route_group_pick(rig_route(&rig, 0, "a.b"), 0, turn, &m));
		assert_int_equal(m.slot, 99);
	}
	/* The old route still has all its members, most of them in retired blocks. */
	assert_int_equal(held->groups[0].members, 100);
	assert_int_equal(rig_unsub(&rig, 0, 99, 99), 0);
	assert_int_equal(rig_route(&rig, 0, "a.b")->group_count, 0);
	rig_close(&rig);
}

static void routes_too_large_for_the_cache_are_right_all_the_same(void **state)
{
	struct rig rig;
	char pattern[64], name[8];
	uint32_t id = 0;

	(void)state;
	rig_open(&rig, 1);
	for (unsigned mask = 0; mask < 64; mask++) {
		size_t at = 0;
		for (unsigned i = 0; i < 6; i++)
			at += (size_t)sprintf(
				pattern + at, "%s%s", i > 0 ? "." : "", mask >> i & 1 ? "*" : "x");
		assert_int_equal(rig_sub(&rig, 0, 0, id++, pattern, NULL), 0);
		sprintf(name, "g%u", mask % 20);
		assert_int_equal(rig_sub(&rig, 0, 0, id++, pattern, name), 0);
	}
	const struct mr_route *first = rig_route(&rig, 0, "x.x.x.x.x.x");
	const struct mr_route *second = rig_route(&rig, 0, "x.x.x.x.x.y");
	assert_int_equal(rig_live_count(first), 64);
	assert_int_equal(rig_live_count(second), 32);
	assert_int_equal(first->group_count, 20);
	assert_int_equal(second->group_count, 20);
	uint32_t members = 0;
	for (uint32_t g = 0; g < first->group_count; g++)
		members += first->groups[g].members;
	assert_int_equal(members, 64);
	assert_int_equal(counters(&rig).overflows, 2);
	rig_close(&rig);
}

static void routes_stay_until_the_quiescent_report(void **state)
{
	static const struct mr_route *held[3000];
	struct rig rig;
	char subject[32];

	(void)state;
	rig_open_limits(&rig, &(struct mr_table_limits){.workers = 1, .aliases_max = 4}, 16);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "t.7", NULL), 0);
	for (int i = 0; i < 3000; i++) {
		sprintf(subject, "t.%d", i);
		held[i] = rig_route(&rig, 0, subject);
	}
	/* A change affects later lookups, not held routes. */
	assert_int_equal(rig_sub(&rig, 0, 0, 2, "t.*", NULL), 0);
	assert_int_equal(rig_sinks(&rig, 0, "t.7"), 2);
	for (int i = 0; i < 3000; i++) {
		sprintf(subject, "t.%d", i);
		assert_int_equal(held[i]->bytes, strlen(subject));
		assert_memory_equal(held[i]->subject, subject, held[i]->bytes);
		assert_int_equal(rig_live_count(held[i]), i == 7);
	}
	assert_true(counters(&rig).spills > 2900);
	mr_router_quiescent(rig.router[0]);
	rig_route(&rig, 0, "t.5");
	assert_true(hits(&rig, "t.5"));
	rig_close(&rig);
}

/* Holds routes until there is no room for the one of `subject`. */
static void fill_up(struct rig *rig, char subject[32])
{
	enum mr_subject_fault fault = MR_SUBJECT_EMPTY;
	const struct mr_route *route;
	int held = 0;

	do {
		sprintf(subject, "t.%d", held++);
		route = mr_router_subject(rig->router[0], subject, strlen(subject), &fault);
	} while (route != NULL && held < 1000000);
	assert_null(route);
	assert_int_equal(fault, MR_SUBJECT_OK);
	assert_true(mr_router_full(rig->router[0]));
	assert_true(held > 1000);
}

static void too_many_held_routes_are_refused_until_quiescence(void **state)
{
	struct rig rig;
	char subject[32];

	(void)state;
	rig_open_limits(&rig, &(struct mr_table_limits){.workers = 1, .aliases_max = 4}, 4);
	fill_up(&rig, subject);
	assert_int_equal(counters(&rig).full, 1);
	mr_router_quiescent(rig.router[0]);
	assert_false(mr_router_full(rig.router[0]));
	rig_route(&rig, 0, subject);
	rig_close(&rig);
}

static void forgotten_routes_leave_room_without_a_report(void **state)
{
	struct rig rig;
	char subject[32];
	uint64_t token;

	(void)state;
	rig_open_limits(&rig, &(struct mr_table_limits){.workers = 1, .aliases_max = 4}, 4);
	assert_false(mr_router_forget(rig.router[0]));
	fill_up(&rig, subject);
	token = rte_rcu_qsbr_start(rig.qsbr);
	assert_true(mr_router_forget(rig.router[0]));
	assert_false(mr_router_full(rig.router[0]));
	rig_route(&rig, 0, subject);
	assert_int_equal(rte_rcu_qsbr_check(rig.qsbr, token, false), 0);
	assert_false(mr_router_forget(rig.router[0]));
	rig_close(&rig);
}

static void the_cache_evicts_the_longest_unused(void **state)
{
	struct rig rig;
	char subject[32];

	(void)state;
	rig_open_limits(&rig, &(struct mr_table_limits){.workers = 1, .aliases_max = 4}, 4);
	for (int i = 0; i < 4; i++) {
		sprintf(subject, "t.%d", i);
		rig_route(&rig, 0, subject);
		mr_router_quiescent(rig.router[0]);
	}
	assert_true(hits(&rig, "t.0"));
	mr_router_quiescent(rig.router[0]);
	rig_route(&rig, 0, "new");
	assert_int_equal(counters(&rig).cache_evictions, 1);
	mr_router_quiescent(rig.router[0]);
	assert_true(hits(&rig, "t.0"));
	assert_true(hits(&rig, "t.2"));
	assert_false(hits(&rig, "t.1"));
	rig_close(&rig);
}

static void bad_router_parameters_are_refused(void **state)
{
	struct rig rig;
	struct mr_router *r;

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(mr_router_new(rig.table, 1, 0, &r), -EINVAL);
	assert_int_equal(mr_router_new(rig.table, 0, 3, &r), -EINVAL);
	assert_int_equal(mr_router_new(rig.table, 0, 2, &r), -EINVAL);
	assert_int_equal(mr_router_new(rig.table, 0, 2 * MR_ROUTER_CACHE_MAX, &r), -EINVAL);
	rig_close(&rig);
}

static uint32_t acquire(struct rig *rig, uint32_t slot, const char *subject)
{
	struct mr_owner o = rig_owner(0, slot);
	uint32_t alias = 0;

	assert_int_equal(
		mr_table_alias_acquire(rig->table, &o, subject, strlen(subject), &alias), 0);
	return alias;
}

static int give_back(struct rig *rig, uint32_t slot, uint32_t alias)
{
	struct mr_owner o = rig_owner(0, slot);

	return mr_table_alias_release(rig->table, &o, alias);
}

static void an_alias_routes_like_its_subject(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 2);
	uint32_t alias = acquire(&rig, 1, "a.b");
	const struct mr_route *route = mr_router_alias(rig.router[0], alias);
	assert_non_null(route);
	assert_int_equal(route->bytes, 3);
	assert_memory_equal(route->subject, "a.b", 3);
	assert_false(route->interest);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "a.*", NULL), 0);
	assert_int_equal(rig_sub(&rig, 1, 0, 1, "*.b", NULL), 0);
	mr_router_quiescent(rig.router[0]);
	route = mr_router_alias(rig.router[0], alias);
	assert_true(rig_has_sink(route, 0, 1));
	assert_true(route->workers == 2);
	uint64_t before = counters(&rig).alias_hits;
	assert_ptr_equal(mr_router_alias(rig.router[0], alias), route);
	assert_int_equal(counters(&rig).alias_hits, before + 1);
	rig_close(&rig);
}

static void an_alias_with_a_large_route_is_right(void **state)
{
	static const char *const patterns[] = {"a.b", "a.*", "a.>", "*.b", "*.*", ">"};
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	uint32_t alias = acquire(&rig, 1, "a.b");
	for (uint32_t i = 0; i < 6; i++) {
		assert_int_equal(rig_sub(&rig, 0, 0, i, patterns[i], NULL), 0);
		assert_int_equal(rig_live_count(mr_router_alias(rig.router[0], alias)), i + 1);
		if (i % 2 == 0)
			mr_router_quiescent(rig.router[0]);
		assert_int_equal(rig_live_count(mr_router_alias(rig.router[0], alias)), i + 1);
	}
	rig_close(&rig);
}

static void unknown_aliases_route_nowhere(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	assert_null(mr_router_alias(rig.router[0], 0));
	assert_null(mr_router_alias(rig.router[0], 1));
	assert_null(mr_router_alias(rig.router[0], 64));
	assert_null(mr_router_alias(rig.router[0], 65));
	assert_null(mr_router_alias(rig.router[0], UINT32_MAX));
	assert_int_equal(counters(&rig).alias_unknown, 5);
	assert_false(mr_router_full(rig.router[0]));
	rig_close(&rig);
}

static void a_subject_has_one_alias_while_anybody_holds_it(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	uint32_t alias = acquire(&rig, 1, "a.b");
	assert_int_equal(alias, 1);
	assert_int_equal(acquire(&rig, 1, "a.b"), alias);
	assert_int_equal(acquire(&rig, 2, "a.b"), alias);
	assert_int_not_equal(acquire(&rig, 2, "a.c"), alias);
	assert_int_equal(rig_stats(&rig).alias_holds, 3);
	/* Acquired twice, held once. */
	assert_int_equal(give_back(&rig, 1, alias), 0);
	assert_int_equal(give_back(&rig, 1, alias), -ENOENT);
	assert_non_null(mr_router_alias(rig.router[0], alias));
	assert_int_equal(give_back(&rig, 2, alias), 0);
	assert_null(mr_router_alias(rig.router[0], alias));
	rig_close(&rig);
}

static void an_alias_is_reused_after_grace_and_as_late_as_possible(void **state)
{
	struct rig rig;
	struct mr_owner o = rig_owner(0, 1);
	uint32_t alias;

	(void)state;
	rig_open_limits(&rig, &(struct mr_table_limits){.workers = 1, .aliases_max = 3}, 0);
	assert_int_equal(acquire(&rig, 1, "a"), 1);
	assert_int_equal(acquire(&rig, 1, "b"), 2);
	assert_int_equal(rig_sub(&rig, 0, 7, 7, "a", NULL), 0);
	assert_true(mr_router_alias(rig.router[0], 1)->interest);
	assert_int_equal(give_back(&rig, 1, 2), 0);
	assert_int_equal(give_back(&rig, 1, 1), 0);
	assert_int_equal(acquire(&rig, 1, "c"), 3);
	assert_int_equal(mr_table_alias_acquire(rig.table, &o, "d", 1, &alias), -ENOSPC);
	mr_table_reclaim(rig.table);
	assert_int_equal(mr_table_alias_acquire(rig.table, &o, "d", 1, &alias), -ENOSPC);
	mr_router_quiescent(rig.router[0]);
	assert_int_equal(mr_table_reclaim(rig.table), 0);
	assert_int_equal(acquire(&rig, 1, "d"), 2);
	assert_int_equal(acquire(&rig, 1, "e"), 1);
	/* The worker remembered alias 1 for another subject. */
	const struct mr_route *route = mr_router_alias(rig.router[0], 1);
	assert_memory_equal(route->subject, "e", 1);
	assert_false(route->interest);
	rig_close(&rig);
}

static void malformed_alias_requests_and_too_many_holds_are_refused(void **state)
{
	struct rig rig;
	struct mr_owner o = rig_owner(0, 1), other = rig_owner(0, 2);
	uint32_t alias;

	(void)state;
	rig_open_limits(&rig,
		&(struct mr_table_limits){.workers = 1, .aliases_max = 4, .alias_holds_max = 2}, 0);
	assert_int_equal(mr_table_alias_acquire(rig.table, &o, "a.*", 3, &alias), -EINVAL);
	assert_int_equal(mr_table_alias_acquire(rig.table, &o, "a", 1, &alias), 0);
	assert_int_equal(mr_table_alias_acquire(rig.table, &o, "b", 1, &alias), 0);
	assert_int_equal(mr_table_alias_acquire(rig.table, &other, "a", 1, &alias), -ENOSPC);
	assert_int_equal(mr_table_alias_acquire(rig.table, &o, "a", 1, &alias), 0);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_lookup_is_a_hit_even_without_subscribers),
		cmocka_unit_test(an_unrelated_change_leaves_routes_cached),
		cmocka_unit_test(a_cached_route_notices_what_concerns_it),
		cmocka_unit_test(malformed_subjects_are_named_counted_and_not_kept),
		cmocka_unit_test(groups_of_one_name_are_one_group),
		cmocka_unit_test(bindings_of_a_queue_are_one_group_of_its_own),
		cmocka_unit_test(only_a_route_to_nothing_but_bound_queues_says_so),
		cmocka_unit_test(the_last_subject_is_not_taken_for_another),
		cmocka_unit_test(no_client_joins_the_group_of_a_queue),
		cmocka_unit_test(a_member_that_left_is_not_picked),
		cmocka_unit_test(routes_too_large_for_the_cache_are_right_all_the_same),
		cmocka_unit_test(routes_stay_until_the_quiescent_report),
		cmocka_unit_test(too_many_held_routes_are_refused_until_quiescence),
		cmocka_unit_test(forgotten_routes_leave_room_without_a_report),
		cmocka_unit_test(the_cache_evicts_the_longest_unused),
		cmocka_unit_test(bad_router_parameters_are_refused),
		cmocka_unit_test(an_alias_routes_like_its_subject),
		cmocka_unit_test(an_alias_with_a_large_route_is_right),
		cmocka_unit_test(unknown_aliases_route_nowhere),
		cmocka_unit_test(a_subject_has_one_alias_while_anybody_holds_it),
		cmocka_unit_test(an_alias_is_reused_after_grace_and_as_late_as_possible),
		cmocka_unit_test(malformed_alias_requests_and_too_many_holds_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
