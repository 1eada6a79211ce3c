/* SPDX-License-Identifier: Apache-2.0 */
/* Results of lookups, compared with the reference and in corner cases. */
#include "tests/unit/subject/rig.h"

#include <errno.h>
#include <stdio.h>

#define PATTERNS 3000
#define SUBJECTS 2000

struct sub {
	char text[256];
	bool prefix;
	bool live;
	uint16_t worker;
	char group[8]; /* empty: plain */
};

static const char *const words[] = {"a", "b", "cc", "temperature", "x",
	"a-token-that-is-longer-than-a-node-has-room-for", "0", "a*", "\xc3\xbc"};

static void random_text(uint64_t *seed, char *out, bool wildcards)
{
	unsigned tokens = 1 + reference_random(seed) % 5;
	size_t at = 0;

	for (unsigned i = 0; i < tokens; i++) {
		unsigned dice = reference_random(seed) % 12;
		const char *token = words[reference_random(seed) % 9];
		if (wildcards && dice < 3)
			token = "*";
		if (wildcards && dice == 3 && i + 1 == tokens)
			token = ">";
		if (at + strlen(token) + 1 > 250)
			break;
		at += (size_t)sprintf(out + at, "%s%s", i > 0 ? "." : "", token);
	}
}

static void random_sub(uint64_t *seed, struct sub *s)
{
	*s = (struct sub){.worker = reference_random(seed) % 3, .live = true};
	s->prefix = reference_random(seed) % 8 == 0;
	random_text(seed, s->text, !s->prefix);
	if (s->prefix)
		s->text[reference_random(seed) % (strlen(s->text) + 1)] = '\0';
	if (reference_random(seed) % 5 == 0)
		sprintf(s->group, "g%u", reference_random(seed) % 4);
}

static int add(struct rig *rig, const struct sub *s, uint32_t id)
{
	struct mr_owner o = rig_owner(s->worker, id % 50);

	return mr_table_subscribe(rig->table, &o, id, s->prefix ? MR_SUB_PREFIX : MR_SUB_PATTERN,
		s->text, strlen(s->text), s->group, strlen(s->group));
}

static bool matches(const struct sub *s, const char *subject)
{
	if (!s->live)
		return false;
	if (s->prefix)
		return reference_prefix_matches(s->text, strlen(s->text), subject, strlen(subject));
	return reference_pattern_matches(s->text, strlen(s->text), subject, strlen(subject));
}

/* Marks the found sinks; none may be found twice. */
static void collect(const struct mr_sink_span *spans, unsigned count, bool *found)
{
	for (unsigned s = 0; s < count; s++) {
		for (uint32_t i = 0; i < spans[s].count; i++) {
			const struct mr_sink *sink = &spans[s].sinks[i];
			if (!mr_sink_live(sink))
				continue;
			assert_int_equal(sink->slot, sink->sub_id % 50);
			assert_false(found[sink->sub_id]);
			found[sink->sub_id] = true;
		}
	}
}

static void compare_one(struct rig *rig, const struct sub *subs, unsigned count, unsigned worker,
	const char *subject)
{
	static bool found[PATTERNS];
	static bool member[PATTERNS];
	const struct mr_route *route = rig_route(rig, worker, subject);
	uint64_t workers = 0;

	memset(found, 0, sizeof(found));
	memset(member, 0, sizeof(member));
	collect(route->spans, route->span_count, found);
	for (uint32_t g = 0; g < route->group_count; g++) {
		const struct mr_route_group *group = &route->groups[g];
		collect(&route->members[group->span_first], group->span_count, member);
		for (uint32_t other = 0; other < g; other++)
			assert_int_not_equal(group->group, route->groups[other].group);
	}
	for (unsigned i = 0; i < count; i++) {
		bool match = matches(&subs[i], subject);
		bool grouped = subs[i].group[0] != '\0';
		if (match && !grouped && subs[i].worker != worker)
			workers |= UINT64_C(1) << subs[i].worker;
		if (found[i] != (match && !grouped && subs[i].worker == worker) ||
			member[i] != (match && grouped))
			fail_msg("'%s' and '%s' (%s)", subject, subs[i].text,
				match ? "matches" : "does not match");
	}
	/* Two members of one group are never in two of the route's groups. */
	for (uint32_t g = 0; g < route->group_count; g++) {
		struct mr_member m;
		assert_true(mr_route_group_pick(route, g, 0, &m));
		const char *name = subs[m.sub_id].group;
		for (uint32_t turn = 1; turn < 8; turn++) {
			assert_true(mr_route_group_pick(route, g, turn, &m));
			assert_string_equal(subs[m.sub_id].group, name);
			assert_int_equal(m.worker, subs[m.sub_id].worker);
		}
	}
	assert_true(route->workers == workers);
	assert_int_equal(
		route->interest, workers != 0 || route->span_count > 0 || route->group_count > 0);
}

static void compare(struct rig *rig, const struct sub *subs, unsigned count, uint64_t *seed)
{
	char subject[256];

	for (unsigned i = 0; i < SUBJECTS; i++) {
		random_text(seed, subject, false);
		compare_one(rig, subs, count, reference_random(seed) % 3, subject);
		if (i % 16 == 0)
			rig_quiescent(rig);
	}
}

static void lookups_agree_with_the_reference_while_subscriptions_come_and_go(void **state)
{
	static struct sub subs[PATTERNS];
	struct rig rig;
	uint64_t seed = 0x9d2c5680u;
	unsigned count = 0;

	(void)state;
	rig_open_limits(&rig, &(struct mr_table_limits){.workers = 3, .aliases_max = 4}, 512);
	for (unsigned want = 30; want <= PATTERNS; want *= 10) {
		for (; count < want; count++) {
			random_sub(&seed, &subs[count]);
			assert_int_equal(add(&rig, &subs[count], count), 0);
		}
		compare(&rig, subs, count, &seed);
		for (unsigned i = 0; i < count / 3; i++) {
			uint32_t id = reference_random(&seed) % count;
			assert_int_equal(rig_unsub(&rig, subs[id].worker, id % 50, id),
				subs[id].live ? 0 : -ENOENT);
			subs[id].live = false;
		}
		compare(&rig, subs, count, &seed);
		mr_table_reclaim(rig.table);
	}
	rig_close(&rig);
}

static void taking_everything_back_leaves_no_nodes(void **state)
{
	struct rig rig;
	struct sub s;
	uint64_t seed = 77;

	(void)state;
	rig_open(&rig, 3);
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t id = 0; id < 500; id++) {
			random_sub(&seed, &s);
			assert_int_equal(add(&rig, &s, id), 0);
		}
		for (uint16_t worker = 0; worker < 3; worker++) {
			for (uint32_t slot = 0; slot < 50; slot++) {
				struct mr_owner o = rig_owner(worker, slot);
				mr_table_drop_owner(rig.table, &o);
			}
		}
		mr_table_reclaim(rig.table);
		rig_quiescent(&rig);
		assert_int_equal(mr_table_reclaim(rig.table), 0);
		struct mr_table_stats stats = rig_stats(&rig);
		assert_int_equal(stats.subscriptions, 0);
		assert_int_equal(stats.owners, 0);
		assert_int_equal(stats.nodes, 0);
		assert_int_equal(stats.shapes, 1);
		assert_int_equal(stats.groups, 0);
	}
	rig_close(&rig);
}

static void a_tail_needs_one_token_or_more(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "a.>", NULL), 0);
	assert_int_equal(rig_sinks(&rig, 0, "a"), 0);
	assert_int_equal(rig_sinks(&rig, 0, "a.b"), 1);
	assert_int_equal(rig_sinks(&rig, 0, "a.b.c.d"), 1);
	assert_int_equal(rig_sinks(&rig, 0, "b.b"), 0);
	rig_close(&rig);
}

static void a_literal_token_may_contain_a_star(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "a*.b", NULL), 0);
	assert_int_equal(rig_sinks(&rig, 0, "a*.b"), 1);
	assert_int_equal(rig_sinks(&rig, 0, "ax.b"), 0);
	rig_close(&rig);
}

static void a_prefix_ends_anywhere_even_at_nothing(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(rig_prefix(&rig, 0, 0, 1, ""), 0);
	assert_int_equal(rig_prefix(&rig, 0, 0, 2, "or"), 0);
	assert_int_equal(rig_prefix(&rig, 0, 0, 3, "orders."), 0);
	assert_int_equal(rig_sinks(&rig, 0, "x"), 1);
	assert_int_equal(rig_sinks(&rig, 0, "orbit"), 2);
	assert_int_equal(rig_sinks(&rig, 0, "orders"), 2);
	assert_int_equal(rig_sinks(&rig, 0, "orders.eu"), 3);
	assert_int_equal(rig_unsub(&rig, 0, 0, 2), 0);
	assert_int_equal(rig_sinks(&rig, 0, "orders.eu"), 2);
	rig_close(&rig);
}

static void prefixes_of_every_length_are_found(void **state)
{
	struct rig rig;
	char text[256];

	(void)state;
	rig_open(&rig, 1);
	memset(text, 'x', 255);
	text[255] = '\0';
	for (size_t n = 0; n <= 255; n++) {
		struct mr_owner o = rig_owner(0, 0);
		assert_int_equal(mr_table_subscribe(rig.table, &o, (uint32_t)n, MR_SUB_PREFIX, text,
					 n, NULL, 0),
			0);
	}
	assert_int_equal(rig_sinks(&rig, 0, text), 256);
	text[100] = '\0';
	assert_int_equal(rig_sinks(&rig, 0, text), 101);
	rig_close(&rig);
}

static void a_literal_a_pattern_and_a_prefix_of_the_same_text_are_apart(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 1);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "a.b", NULL), 0);
	assert_int_equal(rig_prefix(&rig, 0, 0, 2, "a.b"), 0);
	assert_int_equal(rig_sub(&rig, 0, 0, 3, "a.b.>", NULL), 0);
	assert_int_equal(rig_unsub(&rig, 0, 0, 1), 0);
	assert_int_equal(rig_sinks(&rig, 0, "a.b"), 1);
	assert_true(rig_has_sink(rig_route(&rig, 0, "a.b"), 0, 2));
	assert_int_equal(rig_sinks(&rig, 0, "a.b.c"), 2);
	rig_close(&rig);
}

static void subjects_of_128_tokens_match(void **state)
{
	struct rig rig;
	char subject[256], pattern[256];

	(void)state;
	rig_open(&rig, 1);
	for (unsigned i = 0; i < 128; i++) {
		subject[2 * i] = 'a';
		pattern[2 * i] = i == 64 ? '*' : 'a';
		subject[2 * i + 1] = pattern[2 * i + 1] = i < 127 ? '.' : '\0';
	}
	assert_int_equal(rig_sub(&rig, 0, 0, 1, pattern, NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 0, 2, subject, NULL), 0);
	assert_int_equal(rig_sinks(&rig, 0, subject), 2);
	rig_close(&rig);
}

/* Every combination of '*' and the token itself, token by token: without a bound, each token would
 * double the work. */
static void hostile_patterns_are_refused_before_a_lookup_gets_long(void **state)
{
	struct rig rig;
	unsigned taken = 0, refused = 0;
	uint64_t seed = 5;

	(void)state;
	rig_open(&rig, 1);
	for (uint32_t id = 0; id < 20000; id++) {
		char pattern[64];
		size_t at = 0;
		for (unsigned i = 0; i < 24; i++)
			at += (size_t)sprintf(
				pattern + at, "%s.", reference_random(&seed) % 2 != 0 ? "*" : "a");
		sprintf(pattern + at, "never");
		int rc = rig_sub(&rig, 0, 0, id, pattern, NULL);
		assert_true(rc == 0 || rc == -ENOSPC);
		taken += rc == 0;
		refused += rc == -ENOSPC;
	}
	assert_true(taken > 0 && refused > 0);
	char subject[64];
	for (unsigned i = 0; i < 25; i++) {
		subject[2 * i] = 'a';
		subject[2 * i + 1] = i < 24 ? '.' : '\0';
	}
	assert_int_equal(rig_sinks(&rig, 0, subject), 0);
	const struct mr_router_counters *counters = mr_router_counters(rig.router[0]);
	assert_true(counters->visits_max > 100);
	assert_true(counters->visits_max <= MR_TABLE_VISITS_MAX);
	/* Refused patterns leave nothing behind, and others are not locked out. */
	assert_true(rig_stats(&rig).shapes <= MR_TABLE_SHAPES_MAX);
	assert_int_equal(rig_sub(&rig, 0, 1, 1, "x.*.y.*.z.*.*.>", NULL), 0);
	assert_int_equal(rig_sub(&rig, 0, 1, 2, "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.>", NULL), 0);
	struct mr_owner hostile = rig_owner(0, 0);
	assert_int_equal(mr_table_drop_owner(rig.table, &hostile), taken);
	mr_table_reclaim(rig.table);
	rig_quiescent(&rig);
	assert_int_equal(mr_table_reclaim(rig.table), 0);
	assert_int_equal(rig_sub(&rig, 0, 0, 1, "a.*.a.*.a.*.a.*.a.*.a.*.a.*.a.*", NULL), 0);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups_agree_with_the_reference_while_subscriptions_come_and_go),
		cmocka_unit_test(taking_everything_back_leaves_no_nodes),
		cmocka_unit_test(a_tail_needs_one_token_or_more),
		cmocka_unit_test(a_literal_token_may_contain_a_star),
		cmocka_unit_test(a_prefix_ends_anywhere_even_at_nothing),
		cmocka_unit_test(prefixes_of_every_length_are_found),
		cmocka_unit_test(a_literal_a_pattern_and_a_prefix_of_the_same_text_are_apart),
		cmocka_unit_test(subjects_of_128_tokens_match),
		cmocka_unit_test(hostile_patterns_are_refused_before_a_lookup_gets_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
