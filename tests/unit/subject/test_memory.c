/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator fails, at each allocation in turn. The linker puts the functions below in front of
 * malloc, calloc, aligned_alloc and mr_memory_map. */
#include "tests/unit/subject/rig.h"

#include "lib/base/memory.h"

#include <errno.h>
#include <stdio.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void *__real_mr_memory_map(size_t bytes, bool huge);
void *__wrap_mr_memory_map(size_t bytes, bool huge);

/* Allocations that succeed before one fails; negative: all do. */
static int allowed = -1;

static bool refused(void)
{
	return allowed >= 0 && allowed-- == 0;
}

void *__wrap_malloc(size_t bytes)
{
	return refused() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return refused() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return refused() ? NULL : __real_aligned_alloc(align, bytes);
}

void *__wrap_mr_memory_map(size_t bytes, bool huge)
{
	return refused() ? NULL : __real_mr_memory_map(bytes, huge);
}

static void a_table_that_cannot_be_made_leaves_nothing_behind(void **state)
{
	struct rte_rcu_qsbr *qsbr = rig_qsbr_new(1);
	struct mr_table_limits limits = {.workers = 1, .aliases_max = 4};
	struct mr_table *t = NULL;
	int failures = 0, rc;

	(void)state;
	do {
		allowed = failures;
		rc = mr_table_new(&limits, qsbr, &t);
		allowed = -1;
		assert_true(rc == 0 || rc == -ENOMEM);
		failures += rc != 0;
	} while (rc != 0);
	assert_true(failures >= 8);
	mr_table_free(t);
	free(qsbr);
}

static void assert_same(const struct mr_table_stats *a, const struct mr_table_stats *b)
{
	assert_int_equal(a->subscriptions, b->subscriptions);
	assert_int_equal(a->owners, b->owners);
	assert_int_equal(a->groups, b->groups);
}

/* Subscribes with the n-th allocation failing, for n from 0 on, until none is left to fail. A
 * failure may be harmless; then the subscription is removed and tried with the next n. */
static unsigned subscribe_stubbornly(
	struct rig *rig, uint32_t id, const char *text, const char *group)
{
	unsigned failures = 0;

	for (int n = 0;; n++) {
		struct mr_table_stats before = rig_stats(rig), after;
		allowed = n;
		int rc = rig_sub(rig, 0, id, id, text, group);
		bool all_succeeded = allowed >= 0;
		allowed = -1;
		if (rc == 0 && all_succeeded)
			return failures;
		assert_false(all_succeeded);
		assert_true(rc == 0 || rc == -ENOMEM);
		if (rc == 0)
			assert_int_equal(rig_unsub(rig, 0, id, id), 0);
		failures += rc != 0;
		after = rig_stats(rig);
		assert_same(&before, &after);
	}
}

static void a_subscription_without_memory_changes_nothing(void **state)
{
	struct rig rig;
	char text[128];
	unsigned failures = 0;

	(void)state;
	rig_open(&rig, 1);
	for (uint32_t i = 0; i < 1500; i++) {
		sprintf(text, "%s.node%u.%s", i % 2 != 0 ? "*" : "a", i,
			i % 3 != 0 ? "x" : "a-token-that-is-longer-than-a-node-has-room-for");
		failures += subscribe_stubbornly(&rig, i, text, i % 5 == 0 ? "group" : NULL);
		mr_router_quiescent(rig.router[0]);
		mr_table_reclaim(rig.table);
	}
	assert_true(failures >= 1500);
	assert_int_equal(rig_stats(&rig).subscriptions, 1500);
	assert_int_equal(rig_sinks(&rig, 0, "a.node2.x"), 1);
	for (uint32_t i = 0; i < 1500; i++)
		assert_int_equal(rig_unsub(&rig, 0, i, i), 0);
	mr_table_reclaim(rig.table);
	mr_router_quiescent(rig.router[0]);
	mr_table_reclaim(rig.table);
	assert_int_equal(rig_stats(&rig).nodes, 0);
	assert_int_equal(rig_stats(&rig).shapes, 1);
	rig_close(&rig);
}

static void an_unsubscription_succeeds_without_memory(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(rig_sub(&rig, 0, i, i, "a.b", NULL), 0);
	for (uint32_t i = 0; i < 40; i++) {
		allowed = 0;
		int rc = rig_unsub(&rig, 0, i, i);
		allowed = -1;
		assert_int_equal(rc, 0);
		assert_int_equal(rig_sinks(&rig, 0, "a.b"), 39 - i);
	}
	assert_false(rig_route(&rig, 0, "a.b")->interest);
	rig_close(&rig);
}

static void an_alias_without_memory_is_refused(void **state)
{
	struct rig rig;
	struct mr_owner o = rig_owner(0, 1);
	uint32_t alias;
	int failures = 0, rc;

	(void)state;
	rig_open(&rig, 1);
	do {
		allowed = failures;
		rc = mr_table_alias_acquire(rig.table, &o, "a.b", 3, &alias);
		allowed = -1;
		assert_true(rc == 0 || rc == -ENOMEM);
		failures += rc != 0;
	} while (rc != 0);
	assert_true(failures >= 1);
	assert_int_equal(rig_stats(&rig).aliases, 1);
	assert_int_equal(rig_stats(&rig).alias_holds, 1);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_that_cannot_be_made_leaves_nothing_behind),
		cmocka_unit_test(a_subscription_without_memory_changes_nothing),
		cmocka_unit_test(an_unsubscription_succeeds_without_memory),
		cmocka_unit_test(an_alias_without_memory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
