/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a queue group share its messages equally, whatever else is subscribed and
 * published. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "dataplane/worker/stages.h"
#include "dataplane/worker/turns.h"
#include "tests/support/net/rig.h"

#define MEMBERS_MAX 256u

static struct mr_rig r;
static struct mr_rig_local pub, near, far;
static uint32_t got[MEMBERS_MAX]; /* by subscription */

static void open_all(void)
{
	mr_rig_open(&r, 2);
	mr_rig_attach(&r, 0, 0, &pub);
	mr_rig_attach(&r, 0, 1, &near);
	mr_rig_attach(&r, 1, 2, &far);
	memset(got, 0, sizeof(got));
}

static void close_all(void)
{
	close(pub.liveness_fd);
	close(near.liveness_fd);
	close(far.liveness_fd);
	mr_rig_close(&r);
}

/* Joins members from `first` on; every other one is on the other worker if `spread`. */
static void join(
	const char *pattern, const char *group, uint32_t first, uint32_t count, bool spread)
{
	for (uint32_t i = 0; i < count; i++)
		mr_rig_join(
			&r, (spread && i % 2 ? &far : &near)->session, first + i, pattern, group);
}

static void publish(const char *subject, bool promised)
{
	const struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_ORIGIN, .origin.id = 1};
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_PUBLISH, NULL, subject, strlen(subject), "x", 0, 1);

	if (promised)
		mr_message_plan_extra(&plan, &extra);
	mr_rig_push(&pub, &plan, 0);
}

static void take(struct mr_rig_local *c)
{
	struct mr_message_view m;

	while (mr_rig_next(c, &m)) {
		assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
		got[m.header.target]++;
	}
	(void)mr_bytes_release(&c->down);
}

static void rounds(void)
{
	for (unsigned i = 0; i < 3; i++) {
		mr_rig_round(&r, 0);
		mr_rig_round(&r, 1);
		take(&near);
		take(&far);
	}
}

static void assert_shared(uint32_t first, uint32_t count, uint32_t messages)
{
	for (uint32_t i = 0; i < count; i++)
		assert_in_range(got[first + i], messages / count, (messages + count - 1) / count);
}

/* Publishes 120 messages to each of the subjects, in turn. */
static void publish_all(const char *const *subjects, uint32_t count, bool promised)
{
	for (uint32_t i = 0; i < 120; i++) {
		for (uint32_t k = 0; k < count; k++)
			publish(subjects[k], promised);
		rounds();
	}
}

static void groups_on_one_subject_turn_by_themselves(bool spread, bool promised)
{
	static const char *const subjects[] = {"jobs.a"};

	open_all();
	join("jobs.*", "work", 10, 2, spread);
	join("jobs.*", "audit", 20, 2, spread);
	join("jobs.>", "four", 30, 4, spread);
	join("jobs.a", "three", 40, 3, spread);
	join("jobs.a", "one", 50, 1, spread);
	publish_all(subjects, 1, promised);
	assert_shared(10, 2, 120);
	assert_shared(20, 2, 120);
	assert_shared(30, 4, 120);
	assert_shared(40, 3, 120);
	assert_shared(50, 1, 120);
	close_all();
}

static void two_groups_of_two_share_alike(void **state)
{
	(void)state;
	groups_on_one_subject_turn_by_themselves(false, false);
	groups_on_one_subject_turn_by_themselves(false, true);
}

static void groups_spread_over_workers_share_alike(void **state)
{
	(void)state;
	groups_on_one_subject_turn_by_themselves(true, false);
	groups_on_one_subject_turn_by_themselves(true, true);
}

/* Joins so many groups that the route is made anew for each message. */
static void many_groups_share_alike(void **state)
{
	static const char *const subjects[] = {"jobs.a"};
	char group[16];

	(void)state;
	open_all();
	for (uint32_t g = 0; g < 60; g++) {
		snprintf(group, sizeof(group), "g%u", g);
		join("jobs.*", group, 10 + 4 * g, 2 + g % 3, true);
	}
	publish_all(subjects, 1, false);
	for (uint32_t g = 0; g < 60; g++)
		assert_shared(10 + 4 * g, 2 + g % 3, 120);
	close_all();
}

/* Messages of other workers in between take no turn: every member gets its share of each
 * subject. */
static void subjects_in_turn_take_no_turn_of_each_other(void **state)
{
	static const char *const subjects[] = {"jobs.a", "jobs.b"};

	(void)state;
	open_all();
	join("jobs.*", "work", 10, 2, true);
	join("jobs.b", "ofb", 20, 2, true);
	join("jobs.b", "work", 10 + 2, 2, true);
	publish_all(subjects, 2, false);
	assert_shared(20, 2, 120);
	/* Two members have half of a each, four a quarter of b. */
	assert_in_range(got[10], 89, 91);
	assert_in_range(got[11], 89, 91);
	assert_in_range(got[12], 29, 31);
	assert_in_range(got[13], 29, 31);
	close_all();
}

static void subjects_used_once_go_round_the_group(void **state)
{
	enum { MESSAGES = 600 };
	char subject[16];

	(void)state;
	open_all();
	join("jobs.*", "work", 10, 3, true);
	join("jobs.*", "audit", 20, 2, true);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		snprintf(subject, sizeof(subject), "jobs.%u", i);
		publish(subject, false);
		rounds();
	}
	assert_shared(10, 3, MESSAGES);
	assert_shared(20, 2, MESSAGES);
	close_all();
}

/* A table that changes with every message makes routes anew; turns continue. */
static void turns_outlive_changes_of_the_table(void **state)
{
	struct mr_owner owner;

	(void)state;
	open_all();
	join("jobs.*", "work", 10, 2, true);
	owner = (struct mr_owner){0, near.session->slot, near.session->generation};
	for (uint32_t i = 0; i < 60; i++) {
		publish("jobs.a", false);
		rounds();
		mr_rig_join(&r, near.session, 99, "jobs.a", "churn");
		publish("jobs.a", false);
		rounds();
		assert_int_equal(mr_table_unsubscribe(r.table, &owner, 99), 0);
	}
	assert_shared(10, 2, 120);
	close_all();
}

/* Far more pairs than entries: every member gets something, of every subject. */
static void pairs_without_an_entry_share_at_random(void **state)
{
	enum { PAIRS = 4 * MR_TURNS_SETS * MR_TURNS_WAYS, ROUNDS = 40 };
	struct mr_turns *t = aligned_alloc(MR_CACHE_LINE, sizeof(*t));
	uint32_t even = 0;

	(void)state;
	assert_non_null(t);
	memset(t, 0, sizeof(*t));
	mr_turns_init(t, 7);
	for (uint32_t i = 0; i < ROUNDS; i++)
		for (uint64_t pair = 0; pair < PAIRS; pair++) {
			uint64_t hash = (pair + 1) * UINT64_C(0xd6e8feb86659fd93);

			even += (*mr_turns_of(t, hash, 1))++ % 2 == 0;
		}
	assert_in_range(even, ROUNDS * PAIRS / 100 * 45, ROUNDS * PAIRS / 100 * 55);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_groups_of_two_share_alike),
		cmocka_unit_test(groups_spread_over_workers_share_alike),
		cmocka_unit_test(many_groups_share_alike),
		cmocka_unit_test(subjects_in_turn_take_no_turn_of_each_other),
		cmocka_unit_test(subjects_used_once_go_round_the_group),
		cmocka_unit_test(turns_outlive_changes_of_the_table),
		cmocka_unit_test(pairs_without_an_entry_share_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
