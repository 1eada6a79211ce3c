/* SPDX-License-Identifier: Apache-2.0 */
/* Names of queues: valid ones, and their home worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lib/wire/queue_name.h"

static enum mr_subject_fault parse(const char *name)
{
	return mr_queue_name_parse(name, strlen(name));
}

static unsigned home(enum mrf_queue_kind kind, const char *name, unsigned workers)
{
	return mr_queue_home(kind, name, strlen(name), workers);
}

static void names_are_subjects_without_wildcards(void **state)
{
	(void)state;
	assert_int_equal(parse("jobs.raw"), MR_SUBJECT_OK);
	assert_int_equal(parse(""), MR_SUBJECT_EMPTY);
	assert_int_equal(parse("jobs.*"), MR_SUBJECT_WILDCARD);
	assert_int_equal(parse(">"), MR_SUBJECT_WILDCARD);
	assert_int_equal(parse("jobs..raw"), MR_SUBJECT_EMPTY_TOKEN);
	assert_int_equal(parse("a b"), MR_SUBJECT_BAD_BYTE);
	assert_int_equal(parse(".dead"), MR_SUBJECT_EMPTY_TOKEN);
}

static void the_longest_name_leaves_room_for_its_dead_letters(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'q', sizeof(name));
	assert_int_equal(mr_queue_name_parse(name, MR_QUEUE_NAME_BYTES_MAX), MR_SUBJECT_OK);
	assert_int_equal(
		mr_queue_name_parse(name, MR_QUEUE_NAME_BYTES_MAX + 1), MR_SUBJECT_TOO_LONG);
	memcpy(name + MR_QUEUE_NAME_BYTES_MAX, MR_QUEUE_DEAD, MR_QUEUE_DEAD_BYTES);
	assert_int_equal(mr_queue_name_parse(name, MR_SUBJECT_BYTES_MAX), MR_SUBJECT_OK);
}

static void dead_letters_are_known_by_their_suffix(void **state)
{
	(void)state;
	assert_true(mr_queue_name_is_dead("a.dead", 6));
	assert_false(mr_queue_name_is_dead("a.dead", 5));
	assert_false(mr_queue_name_is_dead("dead", 4));
	assert_false(mr_queue_name_is_dead("undead", 6));
	assert_false(mr_queue_name_is_dead(".dead", 5));
}

static void names_of_the_bus_begin_with_mmi(void **state)
{
	(void)state;
	assert_true(mr_queue_name_is_mmi("mmi.service", 11));
	assert_false(mr_queue_name_is_mmi("mmi", 3));
	assert_false(mr_queue_name_is_mmi("mmis.x", 6));
}

static void a_home_is_a_worker_and_dead_letters_live_there_too(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		char name[32], dead[48];

		snprintf(name, sizeof(name), "q%u", i);
		snprintf(dead, sizeof(dead), "%s.dead", name);
		for (unsigned workers = 1; workers <= 32; workers++) {
			unsigned at = home(MRF_QUEUE_KIND_QUEUE, name, workers);

			assert_true(at < workers);
			assert_int_equal(home(MRF_QUEUE_KIND_QUEUE, dead, workers), at);
		}
	}
}

static void homes_are_spread_evenly(void **state)
{
	unsigned queues[4] = {0}, services[4] = {0}, apart = 0;

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "jobs.%u", i);
		queues[home(MRF_QUEUE_KIND_QUEUE, name, 4)]++;
		services[home(MRF_QUEUE_KIND_SERVICE, name, 4)]++;
		apart += home(MRF_QUEUE_KIND_QUEUE, name, 4) !=
			 home(MRF_QUEUE_KIND_SERVICE, name, 4);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_in_range(queues[i], 800, 1200);
		assert_in_range(services[i], 800, 1200);
	}
	assert_in_range(apart, 2000, 4000);
}

static void a_number_gives_its_worker(void **state)
{
	(void)state;
	assert_int_equal(mr_queue_worker(5u << 27 | 77), 5);
	assert_int_equal(mr_queue_worker(UINT32_MAX), 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_subjects_without_wildcards),
		cmocka_unit_test(the_longest_name_leaves_room_for_its_dead_letters),
		cmocka_unit_test(dead_letters_are_known_by_their_suffix),
		cmocka_unit_test(names_of_the_bus_begin_with_mmi),
		cmocka_unit_test(a_home_is_a_worker_and_dead_letters_live_there_too),
		cmocka_unit_test(homes_are_spread_evenly),
		cmocka_unit_test(a_number_gives_its_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
