/* SPDX-License-Identifier: Apache-2.0 */
/* Promises of the table to its writer: idempotence, limits, listing, reclamation, bounded time and
 * memory with very many subscriptions. */
#include "tests/unit/subject/rig.h"

#include <errno.h>
#include <stdio.h>

#define MANY 100000u

static void the_same_subscription_again_changes_nothing(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(rig_sub(&rig, 0, 1, 7, "a.*", "g"), 0);
	uint64_t changes = rig_stats(&rig).changes;
	assert_int_equal(rig_sub(&rig, 0, 1, 7, "a.*", "g"), 0);
	assert_int_equal(rig_stats(&rig).changes, changes);
	assert_int_equal(rig_stats(&rig).subscriptions, 1);
	rig_close(&rig);
}

static void a_sub_id_cannot_mean_something_else(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(rig_sub(&rig, 0, 1, 7, "a.b", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 8, "a.c", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 7, "a.c", NULL), -EEXIST);
	assert_int_equal(rig_sub(&rig, 0, 1, 7, "a.x", NULL), -EEXIST);
	assert_int_equal(rig_sub(&rig, 0, 1, 7, "a.>", NULL), -EEXIST);
	assert_int_equal(rig_sub(&rig, 0, 1, 7, "a.b", "g"), -EEXIST);
	assert_int_equal(rig_prefix(&rig, 0, 1, 7, "a.b"), -EEXIST);
	assert_int_equal(rig_sinks(&rig, 0, "a.b"), 1);
	rig_close(&rig);
}

static void open_shares(struct rig *rig, uint32_t identical, uint32_t shapes, uint32_t lengths)
{
	rig_open_limits(rig,
		&(struct mr_table_limits){.workers = 1,
			.aliases_max = 64,
			.identical_max = identical,
			.shapes_max = shapes,
			.lengths_max = lengths},
		0);
}

static void assert_refused(struct rig *rig, int rc, const char *key)
{
	assert_int_equal(rc, -ENOSPC);
	assert_non_null(strstr(mr_table_refusal(rig->table), key));
}

static void one_owner_has_some_subscriptions_to_a_pattern_and_no_more(void **state)
{
	struct rig rig;

	(void)state;
	open_shares(&rig, 3, 0, 0);
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(rig_sub(&rig, 0, 1, id, "a.>", id == 3 ? "g" : NULL), 0);
	assert_refused(&rig, rig_sub(&rig, 0, 1, 4, "a.>", NULL), "identical_per_client_max");
	assert_refused(&rig, rig_sub(&rig, 0, 1, 4, "a.>", "h"), "identical_per_client_max");
	assert_int_equal(rig_stats(&rig).groups, 1);
	/* A repetition is granted; another pattern or another owner is not affected. */
	assert_int_equal(rig_sub(&rig, 0, 1, 2, "a.>", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 5, "a", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 2, 4, "a.>", NULL), 0);
	assert_int_equal(rig_unsub(&rig, 0, 1, 1), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 4, "a.>", NULL), 0);
	assert_refused(&rig, rig_sub(&rig, 0, 1, 6, "a.>", NULL), "identical_per_client_max");
	rig_close(&rig);
}

static void one_owner_has_a_budget_of_shapes_that_it_gets_back(void **state)
{
	struct mr_owner o = rig_owner(0, 1);
	struct rig rig;

	(void)state;
	open_shares(&rig, 0, 3, 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 1, "*.a.b", NULL), 0);
	/* Patterns with '*' at the same places, and without any. */
	assert_int_equal(rig_sub(&rig, 0, 1, 2, "*.c.d", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 3, "*.e.>", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 4, "a.b.c.d.>", NULL), 0);
	assert_refused(&rig, rig_sub(&rig, 0, 1, 5, "a.*", NULL), "shapes_per_client_max");
	assert_refused(&rig, rig_sub(&rig, 0, 1, 5, "*.a.b.*.c", NULL), "shapes_per_client_max");
	assert_int_equal(rig_sub(&rig, 0, 2, 5, "a.*", NULL), 0);
	assert_int_equal(rig_unsub(&rig, 0, 1, 1), 0);
	assert_refused(&rig, rig_sub(&rig, 0, 1, 5, "a.*", NULL), "shapes_per_client_max");
	assert_int_equal(rig_unsub(&rig, 0, 1, 2), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 5, "a.*", NULL), 0);
	assert_int_equal(mr_table_drop_owner(rig.table, &o), 3);
	assert_int_equal(rig_sub(&rig, 0, 1, 6, "a.*.*.*", NULL), 0);
	assert_refused(&rig, rig_sub(&rig, 0, 1, 7, "*", NULL), "shapes_per_client_max");
	rig_close(&rig);
}

static void one_owner_has_a_budget_of_prefix_lengths(void **state)
{
	struct rig rig;

	(void)state;
	open_shares(&rig, 0, 0, 2);
	assert_int_equal(rig_prefix(&rig, 0, 1, 1, "a"), 0);
	assert_int_equal(rig_prefix(&rig, 0, 1, 2, "ab"), 0);
	assert_int_equal(rig_prefix(&rig, 0, 1, 3, "b"), 0);
	assert_refused(&rig, rig_prefix(&rig, 0, 1, 4, "abc"), "prefix_lengths_per_client_max");
	assert_int_equal(rig_unsub(&rig, 0, 1, 1), 0);
	assert_refused(&rig, rig_prefix(&rig, 0, 1, 4, "abc"), "prefix_lengths_per_client_max");
	assert_int_equal(rig_unsub(&rig, 0, 1, 3), 0);
	assert_int_equal(rig_prefix(&rig, 0, 1, 4, "abc"), 0);
	assert_int_equal(rig_sinks(&rig, 0, "abcd"), 2);
	rig_close(&rig);
}

/* Texts of all lengths, so that each end of a word of the hash occurs. */
static void a_prefix_of_any_length_is_found(void **state)
{
	char text[MR_SUBJECT_BYTES_MAX + 1];
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	memset(text, 'q', sizeof(text));
	for (uint32_t bytes = MR_SUBJECT_BYTES_MAX; bytes > 0; bytes--) {
		text[bytes] = 0;
		assert_int_equal(rig_prefix(&rig, 0, 1, bytes, text), 0);
	}
	for (uint32_t bytes = 1; bytes <= MR_SUBJECT_BYTES_MAX; bytes++) {
		text[bytes - 1] = 'q';
		text[bytes] = 0;
		assert_int_equal(rig_sinks(&rig, 0, text), bytes);
		text[bytes - 1] = 'r';
		text[bytes] = 0;
		assert_int_equal(rig_sinks(&rig, 0, text), bytes - 1);
		rig_quiescent(&rig);
		text[bytes - 1] = 'q';
	}
	rig_close(&rig);
}

struct waters {
	uint8_t of[8]; /* by sub_id */
};

static bool note_water(void *arg, const struct mr_table_row *row)
{
	((struct waters *)arg)->of[row->sub_id] = row->high_water;
	return true;
}

/* Blocks of sinks are copied as others come and leave. */
static void a_subscription_keeps_its_water_while_others_come_and_go(void **state)
{
	struct rig rig;
	struct mr_owner o = rig_owner(0, 1);
	enum mr_subject_fault fault;
	const struct mr_route *r;
	struct waters waters = {0};

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(rig_sub(&rig, 0, 1, 1, "a", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 2, "a", NULL), 0);
	assert_int_equal(mr_table_high_water(rig.table, &o, 2, 75), 0);
	for (uint32_t id = 3; id < 8; id++)
		assert_int_equal(rig_sub(&rig, 0, 1, id, "a", NULL), 0);
	assert_int_equal(mr_table_high_water(rig.table, &o, 7, 100), 0);
	assert_int_equal(rig_unsub(&rig, 0, 1, 1), 0);
	assert_int_equal(rig_unsub(&rig, 0, 1, 5), 0);
	mr_table_each(rig.table, note_water, &waters);
	assert_int_equal(waters.of[2], 75);
	assert_int_equal(waters.of[3], 0);
	assert_int_equal(waters.of[7], 100);
	r = mr_router_subject(rig.router[0], "a", 1, &fault);
	assert_non_null(r);
	for (uint32_t i = 0; i < r->spans[0].count; i++) {
		const struct mr_sink *sink = &r->spans[0].sinks[i];

		assert_int_equal(
			mr_sink_high_water(atomic_load(&sink->flags)), waters.of[sink->sub_id]);
	}
	assert_int_equal(mr_table_high_water(rig.table, &o, 7, 0), 0);
	mr_table_each(rig.table, note_water, &waters);
	assert_int_equal(waters.of[7], 0);
	assert_int_equal(mr_table_high_water(rig.table, &o, 1, 50), -ENOENT);
	assert_int_equal(mr_table_high_water(rig.table, &o, 2, 101), -EINVAL);
	rig_close(&rig);
}

static void sub_ids_of_owners_are_apart(void **state)
{
	struct rig rig;
	struct mr_owner later = rig_owner(0, 1);

	(void)state;
	rig_open(&rig, 2);
	later.generation++;
	assert_int_equal(rig_sub(&rig, 0, 1, 7, "a", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 2, 7, "a", NULL), 0);
	assert_int_equal(rig_sub(&rig, 1, 1, 7, "a", NULL), 0);
	assert_int_equal(
		mr_table_subscribe(rig.table, &later, 7, MR_SUB_PATTERN, "a", 1, NULL, 0), 0);
	assert_int_equal(rig_sinks(&rig, 0, "a"), 3);
	assert_int_equal(rig_unsub(&rig, 0, 1, 7), 0);
	assert_int_equal(rig_unsub(&rig, 0, 1, 7), -ENOENT);
	assert_int_equal(rig_sinks(&rig, 0, "a"), 2);
	assert_int_equal(rig_sinks(&rig, 1, "a"), 1);
	rig_close(&rig);
}

static void malformed_requests_are_refused_whole(void **state)
{
	struct rig rig;
	struct mr_owner stranger = {.worker = 1};

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "a..b", NULL), -EINVAL);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "a.>.b", NULL), -EINVAL);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "a", "g*"), -EINVAL);
	assert_int_equal(rig_prefix(&rig, 0, 0, 1, "a b"), -EINVAL);
	assert_int_equal(
		mr_table_subscribe(rig.table, &stranger, 1, MR_SUB_PATTERN, "a", 1, NULL, 0),
		-EINVAL);
	assert_int_equal(rig_stats(&rig).owners, 0);
	assert_int_equal(rig_stats(&rig).nodes, 0);
	rig_close(&rig);
}

static void limits_refuse_and_leave_the_table_as_it_was(void **state)
{
	struct rig rig;

	(void)state;
	rig_open_limits(&rig,
		&(struct mr_table_limits){
			.workers = 1, .subscriptions_max = 3, .nodes_max = 5, .aliases_max = 2},
		0);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "a.b.c.d.e.f.*", NULL), -ENOSPC);
	assert_int_equal(rig_stats(&rig).subscriptions, 0);
	mr_table_reclaim(rig.table);
	rig_quiescent(&rig);
	mr_table_reclaim(rig.table);
	assert_int_equal(rig_stats(&rig).nodes, 0);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "a", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 0, 2, "a", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 1, "b.*.c.>", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 2, "a", NULL), -ENOSPC);
	assert_int_equal(rig_sub(&rig, 0, 1, 1, "b.*.c.>", NULL), 0);
	assert_int_equal(rig_unsub(&rig, 0, 0, 2), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 2, "a", NULL), 0);
	rig_close(&rig);
}

static void a_pattern_takes_a_bounded_number_of_groups(void **state)
{
	struct rig rig;
	char name[16];

	(void)state;
	rig_open(&rig, 1);
	for (uint32_t i = 0; i < MR_TABLE_GROUPS_PER_PATTERN; i++) {
		sprintf(name, "g%u", i);
		assert_int_equal(rig_sub(&rig, 0, 0, i, "a.b", name), 0);
	}
	assert_int_equal(rig_sub(&rig, 0, 0, 1000, "a.b", "one-more"), -ENOSPC);
	assert_int_equal(rig_sub(&rig, 0, 0, 1001, "a.b", "g5"), 0);
	assert_int_equal(rig_sub(&rig, 0, 0, 1002, "a.c", "one-more"), 0);
	assert_int_equal(rig_route(&rig, 0, "a.b")->group_count, MR_TABLE_GROUPS_PER_PATTERN);
	rig_close(&rig);
}

static void bad_limits_are_refused(void **state)
{
	struct rte_rcu_qsbr *qsbr = rig_qsbr_new(2);
	struct mr_table *t;

	(void)state;
	assert_int_equal(mr_table_new(&(struct mr_table_limits){0}, qsbr, &t), -EINVAL);
	assert_int_equal(mr_table_new(&(struct mr_table_limits){.workers = 3}, qsbr, &t), -EINVAL);
	assert_int_equal(mr_table_new(&(struct mr_table_limits){.workers = 65}, qsbr, &t), -EINVAL);
	free(qsbr);
}

static void dropping_an_owner_takes_all_it_had_and_nothing_else(void **state)
{
	struct rig rig;
	struct mr_owner o = rig_owner(0, 1);
	uint32_t alias;

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(mr_table_drop_owner(rig.table, &o), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 1, "a.b", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 2, "a.*", "g"), 0);
	assert_int_equal(rig_prefix(&rig, 0, 1, 3, "a"), 0);
	assert_int_equal(rig_sub(&rig, 0, 2, 1, "a.b", NULL), 0);
	assert_int_equal(mr_table_alias_acquire(rig.table, &o, "a.b", 3, &alias), 0);
	assert_int_equal(mr_table_drop_subscriptions(rig.table, &o), 3);
	assert_int_equal(mr_table_drop_subscriptions(rig.table, &o), 0);
	assert_int_equal(rig_stats(&rig).aliases, 1);
	assert_int_equal(mr_table_drop_owner(rig.table, &o), 1);
	const struct mr_route *route = rig_route(&rig, 0, "a.b");
	assert_int_equal(rig_live_count(route), 1);
	assert_int_equal(route->group_count, 0);
	assert_true(rig_has_sink(route, 2, 1));
	assert_int_equal(rig_stats(&rig).aliases, 0);
	assert_int_equal(rig_stats(&rig).owners, 1);
	rig_close(&rig);
}

struct listing {
	unsigned rows;
	unsigned known;
	unsigned stop_after;
};

static bool is_row(const struct mr_table_row *row, uint32_t slot, uint32_t sub_id,
	enum mr_sub_kind kind, const char *text, const char *group)
{
	return row->owner.slot == slot && row->owner.generation == slot + 1000 &&
	       row->sub_id == sub_id && row->kind == kind && row->text_bytes == strlen(text) &&
	       memcmp(row->text, text, row->text_bytes) == 0 && row->group_bytes == strlen(group) &&
	       (row->group_bytes == 0 || memcmp(row->group, group, row->group_bytes) == 0);
}

static bool visit_row(void *arg, const struct mr_table_row *row)
{
	struct listing *l = arg;

	l->rows++;
	l->known += is_row(row, 1, 1, MR_SUB_PATTERN, "orders.eu", "") ||
		    is_row(row, 1, 2, MR_SUB_PATTERN, "orders.*.>", "work") ||
		    is_row(row, 2, 1, MR_SUB_PATTERN, "*", "") ||
		    is_row(row, 2, 2, MR_SUB_PATTERN, ">", "") ||
		    is_row(row, 2, 3, MR_SUB_PREFIX, "", "") ||
		    is_row(row, 2, 4, MR_SUB_PREFIX, "ord", "") ||
		    is_row(row, 3, 1, MR_SUB_PATTERN, "a.token-of-more-than-24-bytes-in-the-trie.*",
			    "");
	return l->rows != l->stop_after;
}

static void the_listing_says_what_was_asked_for(void **state)
{
	struct rig rig;
	struct listing l = {0}, short_one = {.stop_after = 2};

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(rig_sub(&rig, 0, 1, 1, "orders.eu", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 2, "orders.*.>", "work"), 0);
	assert_int_equal(rig_sub(&rig, 0, 2, 1, "*", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 2, 2, ">", NULL), 0);
	assert_int_equal(rig_prefix(&rig, 0, 2, 3, ""), 0);
	assert_int_equal(rig_prefix(&rig, 0, 2, 4, "ord"), 0);
	assert_int_equal(
		rig_sub(&rig, 0, 3, 1, "a.token-of-more-than-24-bytes-in-the-trie.*", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 3, 2, "gone", NULL), 0);
	assert_int_equal(rig_unsub(&rig, 0, 3, 2), 0);
	mr_table_each(rig.table, visit_row, &l);
	assert_int_equal(l.rows, 7);
	assert_int_equal(l.known, 7);
	mr_table_each(rig.table, visit_row, &short_one);
	assert_int_equal(short_one.rows, 2);
	rig_close(&rig);
}

static void nothing_is_freed_before_every_worker_was_quiescent(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 2);
	assert_int_equal(rig_sub(&rig, 0, 1, 1, "a.b", NULL), 0);
	const struct mr_route *held = rig_route(&rig, 0, "a.b");
	assert_int_equal(rig_unsub(&rig, 0, 1, 1), 0);
	assert_true(mr_table_reclaim(rig.table) > 0);
	mr_router_quiescent(rig.router[1]);
	assert_true(mr_table_reclaim(rig.table) > 0);
	/* The route is readable, and says that its one subscriber is closed. */
	assert_int_equal(held->span_count, 1);
	assert_int_equal(held->spans[0].sinks[0].slot, 1);
	assert_int_equal(rig_live_count(held), 0);
	mr_router_quiescent(rig.router[0]);
	assert_int_equal(mr_table_reclaim(rig.table), 0);
	rig_close(&rig);
}

static void a_sleeping_worker_does_not_hold_up_reclamation(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 2);
	assert_int_equal(rig_sub(&rig, 0, 1, 1, "a.b", NULL), 0);
	assert_int_equal(rig_sinks(&rig, 0, "a.b"), 1);
	mr_router_offline(rig.router[0]);
	assert_int_equal(rig_unsub(&rig, 0, 1, 1), 0);
	mr_table_reclaim(rig.table);
	mr_router_quiescent(rig.router[1]);
	assert_int_equal(mr_table_reclaim(rig.table), 0);
	mr_router_online(rig.router[0]);
	assert_false(rig_route(&rig, 0, "a.b")->interest);
	rig_close(&rig);
}

/* Quadratic work would take minutes here. */
static void very_many_subscribers_of_one_subject_come_and_go(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(rig_sub(&rig, 0, i, 1, "a.b", NULL), 0);
	assert_int_equal(rig_sinks(&rig, 0, "a.b"), MANY);
	assert_int_equal(rig_route(&rig, 0, "a.b")->span_count, 1);
	for (uint32_t i = 0; i < MANY; i += 2)
		assert_int_equal(rig_unsub(&rig, 0, i, 1), 0);
	assert_int_equal(rig_sinks(&rig, 0, "a.b"), MANY / 2);
	assert_false(rig_has_sink(rig_route(&rig, 0, "a.b"), 40, 1));
	assert_true(rig_has_sink(rig_route(&rig, 0, "a.b"), 41, 1));
	for (uint32_t i = 1; i < MANY; i += 2) {
		assert_int_equal(rig_unsub(&rig, 0, i, 1), 0);
		if (i % 1000 == 1) {
			mr_router_quiescent(rig.router[0]);
			mr_table_reclaim(rig.table);
		}
	}
	mr_router_quiescent(rig.router[0]);
	assert_false(rig_route(&rig, 0, "a.b")->interest);
	rig_close(&rig);
}

static void very_many_subscriptions_of_one_session_come_and_go(void **state)
{
	struct rig rig;
	struct mr_owner o = rig_owner(0, 1);
	char text[64];

	(void)state;
	rig_open(&rig, 1);
	for (uint32_t i = 0; i < MANY; i++) {
		sprintf(text, "site.%u.device.%u%s", i % 100, i, i % 3 == 0 ? ".*" : "");
		assert_int_equal(rig_sub(&rig, 0, 1, i, text, i % 7 == 0 ? "g" : NULL), 0);
	}
	assert_int_equal(rig_sinks(&rig, 0, "site.1.device.1"), 1);
	assert_int_equal(rig_sinks(&rig, 0, "site.3.device.3.x"), 1);
	assert_int_equal(mr_table_drop_owner(rig.table, &o), MANY);
	assert_false(rig_route(&rig, 0, "site.1.device.1")->interest);
	mr_table_reclaim(rig.table);
	mr_router_quiescent(rig.router[0]);
	assert_int_equal(mr_table_reclaim(rig.table), 0);
	assert_int_equal(rig_stats(&rig).nodes, 0);
	assert_int_equal(rig_stats(&rig).leaked, 0);
	rig_close(&rig);
}

static void churn_does_not_grow_the_table(void **state)
{
	struct rig rig;
	uint64_t settled = 0;
	char text[64];

	(void)state;
	rig_open(&rig, 1);
	for (uint32_t i = 0; i < 200000; i++) {
		sprintf(text, "inbox.%u.*", i);
		assert_int_equal(rig_sub(&rig, 0, 1, i, text, NULL), 0);
		if (i >= 100)
			assert_int_equal(rig_unsub(&rig, 0, 1, i - 100), 0);
		if (i % 64 == 0) {
			mr_router_quiescent(rig.router[0]);
			mr_table_reclaim(rig.table);
		}
		if (i == 20000)
			settled = rig_stats(&rig).memory_bytes;
	}
	assert_true(rig_stats(&rig).memory_bytes <= settled + settled / 4);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_subscription_again_changes_nothing),
		cmocka_unit_test(a_sub_id_cannot_mean_something_else),
		cmocka_unit_test(one_owner_has_some_subscriptions_to_a_pattern_and_no_more),
		cmocka_unit_test(one_owner_has_a_budget_of_shapes_that_it_gets_back),
		cmocka_unit_test(one_owner_has_a_budget_of_prefix_lengths),
		cmocka_unit_test(a_prefix_of_any_length_is_found),
		cmocka_unit_test(a_subscription_keeps_its_water_while_others_come_and_go),
		cmocka_unit_test(sub_ids_of_owners_are_apart),
		cmocka_unit_test(malformed_requests_are_refused_whole),
		cmocka_unit_test(limits_refuse_and_leave_the_table_as_it_was),
		cmocka_unit_test(a_pattern_takes_a_bounded_number_of_groups),
		cmocka_unit_test(bad_limits_are_refused),
		cmocka_unit_test(dropping_an_owner_takes_all_it_had_and_nothing_else),
		cmocka_unit_test(the_listing_says_what_was_asked_for),
		cmocka_unit_test(nothing_is_freed_before_every_worker_was_quiescent),
		cmocka_unit_test(a_sleeping_worker_does_not_hold_up_reclamation),
		cmocka_unit_test(very_many_subscribers_of_one_subject_come_and_go),
		cmocka_unit_test(very_many_subscriptions_of_one_session_come_and_go),
		cmocka_unit_test(churn_does_not_grow_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
