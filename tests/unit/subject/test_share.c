/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of peers: a peer with many sessions gets no more than one with few. */
#include "tests/unit/subject/rig.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/share.h"

#define HOST  UINT64_C(0x10a000001)
#define OTHER UINT64_C(0x10a000002)

static const struct mr_table_limits limits = {
	.workers = 1,
	.subscriptions_max = 64,
	.aliases_max = 64,
	.alias_holds_max = 256,
	.nodes_max = 10000,
	.peer_percent = 25,
};

static struct mr_owner session_of(uint64_t peer, uint32_t number)
{
	return (struct mr_owner){.slot = number, .generation = 1, .peer = peer};
}

static int subscribe(
	struct rig *rig, struct mr_owner o, uint32_t sub_id, const char *pattern, const char *group)
{
	return mr_table_subscribe(rig->table, &o, sub_id, MR_SUB_PATTERN, pattern, strlen(pattern),
		group, group != NULL ? strlen(group) : 0);
}

static int unsubscribe(struct rig *rig, struct mr_owner o, uint32_t sub_id)
{
	return mr_table_unsubscribe(rig->table, &o, sub_id);
}

static int alias(struct rig *rig, struct mr_owner o, unsigned subject, uint32_t *number)
{
	char text[16];
	int bytes = snprintf(text, sizeof(text), "s.%u", subject);

	return mr_table_alias_acquire(rig->table, &o, text, (size_t)bytes, number);
}

static void settle(struct rig *rig)
{
	mr_table_reclaim(rig->table);
	rig_quiescent(rig);
	assert_int_equal(mr_table_reclaim(rig->table), 0);
}

static void assert_refused_by(const struct rig *rig, const char *limit)
{
	assert_non_null(strstr(mr_table_refusal(rig->table), limit));
}

static void assert_share_refused(const struct rig *rig, const char *limit)
{
	assert_refused_by(rig, "peers.share_percent");
	assert_refused_by(rig, limit);
}

static void subscriptions_of_all_sessions_of_a_host_count_together(void **state)
{
	struct rig rig;

	(void)state;
	rig_open_limits(&rig, &limits, 0);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(subscribe(&rig, session_of(HOST, i), i, "a.b", NULL), 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 16), 1, "a.b", NULL), -EDQUOT);
	assert_share_refused(&rig, "tables.subscriptions_max");
	/* A repetition is no other subscription. */
	assert_int_equal(subscribe(&rig, session_of(HOST, 3), 3, "a.b", NULL), 0);
	assert_int_equal(subscribe(&rig, session_of(OTHER, 20), 1, "a.b", NULL), 0);
	assert_int_equal(rig_stats(&rig).subscriptions, 17);
	assert_int_equal(unsubscribe(&rig, session_of(HOST, 3), 3), 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 16), 1, "a.b", NULL), 0);
	assert_int_equal(
		mr_table_drop_owner(rig.table, &(struct mr_owner){.slot = 5, .generation = 1}), 1);
	assert_int_equal(subscribe(&rig, session_of(HOST, 17), 1, "a.b", NULL), 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 18), 1, "a.b", NULL), -EDQUOT);
	rig_close(&rig);
}

/* One for each session, and for the rest of all of them 16 times the share of one. */
static void sessions_of_a_host_do_not_multiply_identical_subscriptions(void **state)
{
	struct mr_table_limits many = limits;
	uint32_t made = 0;
	struct rig rig;

	(void)state;
	many.subscriptions_max = 100000;
	many.nodes_max = 1000000;
	many.identical_max = 4;
	rig_open_limits(&rig, &many, 0);
	for (uint32_t session = 0; session < 100; session++)
		for (uint32_t i = 0; i < 4; i++)
			made += subscribe(&rig, session_of(HOST, session), i, "a.>", NULL) == 0;
	assert_int_equal(made, 100 + 16 * 4);
	assert_refused_by(&rig, "16 times tables.identical_per_client_max");
	assert_int_equal(subscribe(&rig, session_of(HOST, 99), 9, "b.>", NULL), 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 99), 10, "b.>", NULL), 0);
	assert_int_equal(subscribe(&rig, session_of(OTHER, 200), 1, "a.>", NULL), 0);
	assert_int_equal(subscribe(&rig, session_of(OTHER, 200), 2, "a.>", NULL), 0);
	/* They are given back one by one, and with their sessions. */
	assert_int_equal(unsubscribe(&rig, session_of(HOST, 0), 0), 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 99), 11, "a.>", NULL), 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 98), 12, "a.>", NULL), -EDQUOT);
	for (uint32_t session = 0; session < 100; session++)
		(void)mr_table_drop_owner(
			rig.table, &(struct mr_owner){.slot = session, .generation = 1});
	settle(&rig);
	made = 0;
	for (uint32_t session = 0; session < 100; session++)
		for (uint32_t i = 0; i < 4; i++)
			made += subscribe(&rig, session_of(HOST, session), i, "a.>", NULL) == 0;
	assert_int_equal(made, 100 + 16 * 4);
	rig_close(&rig);
}

static void the_last_subscriptions_are_for_the_bus_itself(void **state)
{
	struct rig rig;
	uint32_t taken = 0;

	(void)state;
	rig_open_limits(&rig, &limits, 0);
	for (uint64_t peer = HOST; peer < HOST + 8; peer++)
		for (uint32_t i = 0; i < 8; i++, taken++)
			if (subscribe(&rig, session_of(peer, taken), 1, "a.b", NULL) != 0)
				break;
	assert_int_equal(rig_stats(&rig).subscriptions, 60);
	assert_refused_by(&rig, "tables.subscriptions_max");
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(subscribe(&rig, session_of(MR_PEER_OWN, 100), i, "a", NULL), 0);
	assert_int_equal(subscribe(&rig, session_of(MR_PEER_OWN, 100), 4, "a", NULL), -ENOSPC);
	rig_close(&rig);
}

static void a_refused_subscription_takes_nothing(void **state)
{
	struct mr_table_limits few = limits;
	struct rig rig;

	(void)state;
	few.identical_max = 1;
	rig_open_limits(&rig, &few, 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 1), 0, "a.b", NULL), 0);
	for (uint32_t i = 1; i < 100; i++)
		assert_int_equal(subscribe(&rig, session_of(HOST, 1), i, "a.b", NULL), -ENOSPC);
	for (uint32_t i = 1; i < 16; i++)
		assert_int_equal(subscribe(&rig, session_of(HOST, 1 + i), i, "a.b", NULL), 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 50), 1, "a.b", NULL), -EDQUOT);
	rig_close(&rig);
}

static void aliases_of_all_sessions_of_a_host_count_together(void **state)
{
	struct mr_owner first = session_of(HOST, 0);
	struct rig rig;
	uint32_t numbers[16], number;

	(void)state;
	rig_open_limits(&rig, &limits, 0);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(alias(&rig, session_of(HOST, i % 4), i, &numbers[i]), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(alias(&rig, session_of(HOST, 5), 16, &number), -EDQUOT);
	assert_share_refused(&rig, "tables.aliases_max");
	assert_int_equal(rig_stats(&rig).pending_reclaim, 0);
	/* An alias that another session of the host holds costs it nothing more. */
	assert_int_equal(alias(&rig, session_of(HOST, 5), 0, &number), 0);
	assert_int_equal(number, numbers[0]);
	assert_int_equal(alias(&rig, session_of(OTHER, 20), 16, &number), 0);
	/* An alias that another host holds counts for its other users, too. */
	assert_int_equal(alias(&rig, session_of(HOST, 5), 16, &number), -EDQUOT);
	/* Session 5 still holds it. */
	assert_int_equal(mr_table_alias_release(rig.table, &first, numbers[0]), 0);
	assert_int_equal(alias(&rig, session_of(HOST, 5), 16, &number), -EDQUOT);
	assert_int_equal(mr_table_alias_release(rig.table, &first, numbers[4]), 0);
	assert_int_equal(alias(&rig, session_of(HOST, 5), 16, &number), 0);
	for (uint32_t i = 0; i < 8; i++) {
		struct mr_owner o = session_of(i == 7 ? OTHER : HOST, i == 7 ? 20 : i);
		mr_table_drop_owner(rig.table, &o);
	}
	assert_int_equal(rig_stats(&rig).aliases, 0);
	settle(&rig);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(alias(&rig, session_of(HOST, 30), 100 + i, &number), 0);
	rig_close(&rig);
}

static void the_last_aliases_are_for_the_bus_itself(void **state)
{
	struct rig rig;
	uint32_t number;

	(void)state;
	rig_open_limits(&rig, &limits, 0);
	for (uint32_t i = 0; i < 60; i++)
		assert_int_equal(alias(&rig, session_of(HOST + i / 15, i), i, &number), 0);
	assert_int_equal(alias(&rig, session_of(HOST + 9, 61), 60, &number), -ENOSPC);
	assert_refused_by(&rig, "tables.aliases_max");
	assert_int_equal(alias(&rig, session_of(HOST + 9, 61), 59, &number), 0);
	for (uint32_t i = 60; i < 64; i++)
		assert_int_equal(alias(&rig, session_of(MR_PEER_OWN, 70), i, &number), 0);
	assert_int_equal(alias(&rig, session_of(MR_PEER_OWN, 70), 64, &number), -ENOSPC);
	rig_close(&rig);
}

static void holds_of_few_aliases_by_many_sessions_are_bounded(void **state)
{
	struct rig rig;
	uint32_t number;

	(void)state;
	rig_open_limits(&rig, &limits, 0);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(alias(&rig, session_of(HOST, i), 1, &number), 0);
	assert_int_equal(alias(&rig, session_of(HOST, 64), 1, &number), -EDQUOT);
	assert_share_refused(&rig, "hold too many aliases");
	assert_int_equal(alias(&rig, session_of(OTHER, 70), 1, &number), 0);
	rig_close(&rig);
}

static const char *group_name(unsigned number)
{
	static char name[16];

	snprintf(name, sizeof(name), "g%u", number);
	return name;
}

static void groups_on_a_pattern_of_all_sessions_of_a_host_count_together(void **state)
{
	struct mr_table_limits many = limits;
	struct rig rig;

	(void)state;
	many.subscriptions_max = 1000;
	rig_open_limits(&rig, &many, 0);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(subscribe(&rig, session_of(HOST, i), 1, "a.b", group_name(i)), 0);
	for (unsigned i = 16; i < 100; i++)
		assert_int_equal(
			subscribe(&rig, session_of(HOST, i), 1, "a.b", group_name(i)), -EDQUOT);
	assert_share_refused(&rig, "on this pattern");
	assert_int_equal(rig_stats(&rig).groups, 16);
	assert_int_equal(rig_stats(&rig).pending_reclaim, 0);
	/* Another member is no other group; another pattern has its own. */
	assert_int_equal(subscribe(&rig, session_of(HOST, 16), 1, "a.b", group_name(3)), 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 17), 1, "a.c", group_name(16)), 0);
	assert_int_equal(subscribe(&rig, session_of(OTHER, 20), 1, "a.b", group_name(16)), 0);
	assert_int_equal(unsubscribe(&rig, session_of(HOST, 3), 1), 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 18), 1, "a.b", group_name(17)), -EDQUOT);
	assert_int_equal(unsubscribe(&rig, session_of(HOST, 16), 1), 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 18), 1, "a.b", group_name(17)), 0);
	rig_close(&rig);
}

static void the_last_groups_on_a_pattern_are_for_the_bus_itself(void **state)
{
	struct mr_table_limits many = limits;
	struct rig rig;

	(void)state;
	many.subscriptions_max = 1000;
	rig_open_limits(&rig, &many, 0);
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(
			subscribe(&rig, session_of(HOST + i / 15, i), 1, "a.b", group_name(i)), 0);
	assert_int_equal(
		subscribe(&rig, session_of(HOST + 9, 60), 1, "a.b", group_name(60)), -ENOSPC);
	assert_refused_by(&rig, "on this pattern (64)");
	assert_int_equal(subscribe(&rig, session_of(HOST + 9, 60), 1, "a.b", group_name(5)), 0);
	for (unsigned i = 60; i < 64; i++)
		assert_int_equal(
			subscribe(&rig, session_of(MR_PEER_OWN, 100 + i), 1, "a.b", group_name(i)),
			0);
	assert_int_equal(
		subscribe(&rig, session_of(MR_PEER_OWN, 164), 1, "a.b", group_name(64)), -ENOSPC);
	rig_close(&rig);
}

/* Makes as many names as possible, by four hosts on their own patterns. */
static void group_names_of_all_sessions_of_a_host_count_together(void **state)
{
	struct mr_table_limits many = limits;
	struct rig rig;
	char pattern[32];
	unsigned names[5] = {0}, share = 65534 / 4;
	int rc;

	(void)state;
	many.subscriptions_max = 1u << 20;
	many.nodes_max = 1u << 20;
	rig_open_limits(&rig, &many, 0);
	for (unsigned host = 0; host < 5; host++)
		for (unsigned i = 0;; i++, names[host]++) {
			sprintf(pattern, "h%u.p%u", host, i / 8);
			rc = subscribe(&rig, session_of(HOST + host, 1000 * host + i % 100), i,
				pattern, group_name(100000 * host + i));
			if (rc != 0)
				break;
			assert_true(i < share);
			if (host == 0 && i + 1 == share)
				assert_int_equal(
					subscribe(&rig, session_of(HOST, 999), 1, "x", "other"),
					-EDQUOT);
		}
	assert_int_equal(names[0], share);
	assert_int_equal(names[0] + names[1] + names[2] + names[3] + names[4], 65534 - 65534 / 16);
	assert_int_equal(rc, -ENOSPC);
	assert_refused_by(&rig, "65,534");
	assert_int_equal(subscribe(&rig, session_of(MR_PEER_OWN, 9999), 1, "x", "other"), 0);
	assert_int_equal(unsubscribe(&rig, session_of(MR_PEER_OWN, 9999), 1), 0);
	assert_int_equal(unsubscribe(&rig, session_of(HOST, 0), 0), 0);
	settle(&rig);
	assert_int_equal(subscribe(&rig, session_of(HOST, 0), 0, "x", "new"), 0);
	rig_close(&rig);
}

static int subscribe_prefix(struct rig *rig, struct mr_owner o, uint32_t bytes)
{
	char text[MR_SUBJECT_BYTES_MAX];

	memset(text, 'a', sizeof(text));
	return mr_table_subscribe(rig->table, &o, bytes, MR_SUB_PREFIX, text, bytes, NULL, 0);
}

static void prefix_lengths_of_all_sessions_of_a_host_count_together(void **state)
{
	uint32_t share = (MR_SUBJECT_BYTES_MAX + 1) / 4;
	struct mr_table_limits many = limits;
	struct rig rig;

	(void)state;
	many.subscriptions_max = 1000;
	many.lengths_max = 16;
	rig_open_limits(&rig, &many, 0);
	for (uint32_t i = 0; i < share; i++)
		assert_int_equal(subscribe_prefix(&rig, session_of(HOST, i / 8), i), 0);
	assert_int_equal(subscribe_prefix(&rig, session_of(HOST, 90), share), -EDQUOT);
	assert_share_refused(&rig, "different lengths");
	assert_int_equal(subscribe_prefix(&rig, session_of(HOST, 90), 0), 0);
	assert_int_equal(subscribe_prefix(&rig, session_of(OTHER, 91), share), 0);
	assert_int_equal(subscribe_prefix(&rig, session_of(MR_PEER_OWN, 92), share), 0);
	assert_int_equal(unsubscribe(&rig, session_of(HOST, 0), 0), 0);
	assert_int_equal(subscribe_prefix(&rig, session_of(HOST, 90), share), -EDQUOT);
	assert_int_equal(unsubscribe(&rig, session_of(HOST, 0), 1), 0);
	assert_int_equal(subscribe_prefix(&rig, session_of(HOST, 90), share), 0);
	rig_close(&rig);
}

/* Nine literals, then ten tokens whose bits say which of them are '*': a deep shape, and those of
 * its beginnings. */
static void deep_pattern(char *text, unsigned number)
{
	for (unsigned i = 0; i < 20; i++) {
		bool star = i == 19 || (i >= 9 && (number >> (18 - i) & 1));

		*text++ = star ? '*' : 'x';
		*text++ = '.';
	}
	text[-1] = '\0';
}

/* Subscribes one session to patterns until it is refused. */
static int take_shapes(struct rig *rig, uint64_t peer, uint32_t first, uint32_t *patterns)
{
	char text[128];
	int rc;

	for (*patterns = 0;; ++*patterns) {
		deep_pattern(text, (first + *patterns) % 1024);
		rc = subscribe(rig, session_of(peer, first + *patterns), 1, text, NULL);
		if (rc != 0)
			return rc;
	}
}

static void shapes_of_all_sessions_of_a_host_count_together(void **state)
{
	struct mr_table_limits many = limits;
	struct rig rig;
	char text[128];
	uint32_t count, first = 0;
	int rc = 0;

	(void)state;
	many.subscriptions_max = 100000;
	many.nodes_max = 400000;
	rig_open_limits(&rig, &many, 0);
	assert_int_equal(take_shapes(&rig, HOST, 0, &count), -EDQUOT);
	assert_share_refused(&rig, "'*' in too many different places");
	assert_true(count >= 64);
	/* A refusal leaves nothing that waits for a grace period. */
	settle(&rig);
	deep_pattern(text, count);
	assert_int_equal(subscribe(&rig, session_of(HOST, 5000), 1, text, NULL), -EDQUOT);
	assert_int_equal(rig_stats(&rig).pending_reclaim, 0);
	/* A shape that its sessions use already costs it nothing more. */
	deep_pattern(text, 1);
	assert_int_equal(subscribe(&rig, session_of(HOST, 5000), 1, text, NULL), 0);
	for (uint64_t peer = OTHER; rc != -ENOSPC && peer < OTHER + 10; peer++) {
		first += count;
		rc = take_shapes(&rig, peer, first, &count);
		assert_true(count > 0 || rc == -ENOSPC);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_refused_by(&rig, "1,024");
	deep_pattern(text, 1023);
	assert_int_equal(subscribe(&rig, session_of(OTHER + 20, 5001), 1, text, NULL), -ENOSPC);
	assert_int_equal(subscribe(&rig, session_of(MR_PEER_OWN, 5002), 1, text, NULL), 0);
	assert_int_equal(unsubscribe(&rig, session_of(HOST, 0), 1), 0);
	for (uint32_t i = 1; i < 20; i++)
		assert_int_equal(unsubscribe(&rig, session_of(HOST, i), 1), 0);
	settle(&rig);
	deep_pattern(text, 2);
	assert_int_equal(subscribe(&rig, session_of(HOST, 5003), 1, text, NULL), 0);
	rig_close(&rig);
}

static void tokens_of_patterns_of_all_sessions_of_a_host_count_together(void **state)
{
	struct mr_table_limits many = limits;
	struct rig rig;
	char text[64];
	uint32_t i;
	int rc;

	(void)state;
	many.subscriptions_max = 100000;
	rig_open_limits(&rig, &many, 0);
	for (i = 0;; i++) {
		sprintf(text, "p%u.b.c.d.e.f.g.>", i);
		rc = subscribe(&rig, session_of(HOST, i / 10), i, text, NULL);
		if (rc != 0)
			break;
	}
	assert_int_equal(rc, -EDQUOT);
	assert_share_refused(&rig, "too many tokens");
	assert_int_equal(i, 2500 / 7);
	settle(&rig);
	assert_int_equal(subscribe(&rig, session_of(HOST, 8000), 1, text, NULL), -EDQUOT);
	assert_int_equal(rig_stats(&rig).pending_reclaim, 0);
	assert_int_equal(subscribe(&rig, session_of(OTHER, 9000), 1, "a.b.c.>", NULL), 0);
	assert_int_equal(unsubscribe(&rig, session_of(HOST, 0), 0), 0);
	assert_int_equal(subscribe(&rig, session_of(HOST, 0), 0, text, NULL), 0);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subscriptions_of_all_sessions_of_a_host_count_together),
		cmocka_unit_test(sessions_of_a_host_do_not_multiply_identical_subscriptions),
		cmocka_unit_test(the_last_subscriptions_are_for_the_bus_itself),
		cmocka_unit_test(a_refused_subscription_takes_nothing),
		cmocka_unit_test(aliases_of_all_sessions_of_a_host_count_together),
		cmocka_unit_test(the_last_aliases_are_for_the_bus_itself),
		cmocka_unit_test(holds_of_few_aliases_by_many_sessions_are_bounded),
		cmocka_unit_test(groups_on_a_pattern_of_all_sessions_of_a_host_count_together),
		cmocka_unit_test(the_last_groups_on_a_pattern_are_for_the_bus_itself),
		cmocka_unit_test(group_names_of_all_sessions_of_a_host_count_together),
		cmocka_unit_test(prefix_lengths_of_all_sessions_of_a_host_count_together),
		cmocka_unit_test(shapes_of_all_sessions_of_a_host_count_together),
		cmocka_unit_test(tokens_of_patterns_of_all_sessions_of_a_host_count_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
