/* SPDX-License-Identifier: Apache-2.0 */
/* The deduplication window of ids: order, gaps, ids that are too old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "lib/wire/id_window.h"

#define IDS MR_ID_WINDOW_IDS

static struct mr_id_window w;

static int setup(void **state)
{
	(void)state;
	mr_id_window_init(&w);
	return 0;
}

/* Notes a new id, as owners of windows do. */
static enum mr_id_sight take(uint64_t id)
{
	enum mr_id_sight sight = mr_id_window_look(&w, id);

	if (sight == MR_ID_NEW)
		mr_id_window_note(&w, id);
	return sight;
}

static void id_is_new_once(void **state)
{
	(void)state;
	assert_int_equal(take(100), MR_ID_NEW);
	assert_int_equal(take(100), MR_ID_KNOWN);
	assert_int_equal(take(100), MR_ID_KNOWN);
}

static void looking_alone_leaves_it_new(void **state)
{
	(void)state;
	assert_int_equal(mr_id_window_look(&w, 100), MR_ID_NEW);
	assert_int_equal(mr_id_window_look(&w, 100), MR_ID_NEW);
	assert_int_equal(mr_id_window_look(&w, 99), MR_ID_NEW);
}

static void zero_is_an_id_like_others(void **state)
{
	(void)state;
	assert_int_equal(take(0), MR_ID_NEW);
	assert_int_equal(take(0), MR_ID_KNOWN);
	assert_int_equal(take(1), MR_ID_NEW);
	assert_int_equal(take(0), MR_ID_KNOWN);
}

static void skipped_ids_may_come_late_and_once(void **state)
{
	(void)state;
	assert_int_equal(take(1), MR_ID_NEW);
	assert_int_equal(take(200), MR_ID_NEW);
	for (uint64_t id = 199; id > 1; id--)
		assert_int_equal(take(id), MR_ID_NEW);
	for (uint64_t id = 1; id <= 200; id++)
		assert_int_equal(take(id), MR_ID_KNOWN);
}

static void ids_behind_the_window_are_known_or_new_as_they_came(void **state)
{
	(void)state;
	assert_int_equal(take(5), MR_ID_NEW);
	assert_int_equal(take(IDS), MR_ID_NEW);
	assert_int_equal(take(IDS + 64), MR_ID_NEW); /* 0 to 127 leave the window */
	assert_int_equal(take(5), MR_ID_KNOWN);
	assert_int_equal(take(6), MR_ID_NEW);
	assert_int_equal(take(6), MR_ID_KNOWN);
	assert_int_equal(take(128), MR_ID_NEW); /* the oldest of the window */
	assert_int_equal(take(128), MR_ID_KNOWN);
	assert_int_equal(take(127), MR_ID_NEW); /* the youngest behind it */
	assert_int_equal(take(127), MR_ID_KNOWN);
}

/* Messages that a stage of a pipeline had while others passed on a million. */
static void few_that_are_missing_may_come_however_late(void **state)
{
	const uint64_t last = 1000000;

	(void)state;
	for (uint64_t id = 1; id <= last; id++)
		if (id % 16384 > 7)
			assert_int_equal(take(id), MR_ID_NEW);
	for (uint64_t id = 1; id <= last; id += 97)
		assert_int_equal(
			mr_id_window_look(&w, id), id % 16384 > 7 ? MR_ID_KNOWN : MR_ID_NEW);
	for (unsigned round = 0; round < 2; round++)
		for (uint64_t id = 16384; id <= last; id += id % 16384 == 7 ? 16384 - 7 : 1)
			assert_int_equal(take(id), round == 0 ? MR_ID_NEW : MR_ID_KNOWN);
}

/* One of each 64 never arrives: the oldest gap makes room for the next. */
static void with_more_gaps_than_are_remembered_the_oldest_ids_are_too_old(void **state)
{
	const uint64_t words = MR_ID_WINDOW_WORDS + MR_ID_GAPS_MAX;

	(void)state;
	for (uint64_t id = 0; id < words * 64; id++)
		if (id % 64 != 3)
			assert_int_equal(take(id), MR_ID_NEW);
	assert_int_equal(mr_id_window_look(&w, 3), MR_ID_NEW);
	assert_int_equal(mr_id_window_look(&w, 2), MR_ID_KNOWN);
	assert_int_equal(take(words * 64), MR_ID_NEW);
	assert_int_equal(take(3), MR_ID_OLD);
	assert_int_equal(take(63), MR_ID_OLD);
	mr_id_window_note(&w, 3);
	assert_int_equal(take(3), MR_ID_OLD);
	assert_int_equal(take(64 + 3), MR_ID_NEW);
	assert_int_equal(take(64 + 3), MR_ID_KNOWN);
	assert_int_equal(take(64 + 4), MR_ID_KNOWN);
}

/* Filled gaps make room before any open one is given up. */
static void filled_gaps_make_room_for_others(void **state)
{
	const uint64_t words = MR_ID_WINDOW_WORDS + 8 * MR_ID_GAPS_MAX;

	(void)state;
	for (uint64_t id = 0; id < words * 64; id++) {
		if (id % 64 == 3)
			continue;
		assert_int_equal(take(id), MR_ID_NEW);
		/* 100 words behind the window each is filled but the first. */
		if (id % 64 == 63 && id / 64 > MR_ID_WINDOW_WORDS + 100)
			assert_int_equal(
				take(id - 60 - (MR_ID_WINDOW_WORDS + 100) * 64), MR_ID_NEW);
	}
	assert_int_equal(take(3), MR_ID_NEW);
	assert_int_equal(take(3), MR_ID_KNOWN);
	assert_int_equal(take(2), MR_ID_KNOWN);
}

/* Ids a window further on use the bits again. */
static void an_id_is_not_known_by_the_one_a_window_before(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 3 * (uint64_t)IDS; id++)
		assert_int_equal(take(id), MR_ID_NEW);
	for (uint64_t id = 3 * (uint64_t)IDS; id > 2 * (uint64_t)IDS; id--)
		assert_int_equal(take(id), MR_ID_KNOWN);
	for (uint64_t id = 2 * (uint64_t)IDS; id > 0; id--)
		assert_int_equal(take(id), MR_ID_KNOWN);
}

static void noting_an_id_behind_the_window_makes_no_other_known(void **state)
{
	(void)state;
	assert_int_equal(take(1000), MR_ID_NEW);
	assert_int_equal(take(66000), MR_ID_NEW);
	mr_id_window_note(&w, 1);
	assert_int_equal(take(1), MR_ID_KNOWN);
	assert_int_equal(take(1 + IDS), MR_ID_NEW);
}

static void fill(uint64_t first, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(take(first + i), MR_ID_NEW);
}

/* Expects all ids of the window but `top`, and those in [kept_from, kept_to), to be new. */
static void expect_only(uint64_t top, uint64_t kept_from, uint64_t kept_to)
{
	for (uint64_t i = 0; i < IDS; i++) {
		uint64_t id = top - i;
		bool kept = id == top || (id >= kept_from && id < kept_to);

		assert_int_equal(mr_id_window_look(&w, id), kept ? MR_ID_KNOWN : MR_ID_NEW);
	}
}

static void jump_within_the_window_forgets_what_falls_out_of_it(void **state)
{
	(void)state;
	fill(1, IDS);
	assert_int_equal(take(IDS + 1000), MR_ID_NEW);
	expect_only(IDS + 1000, 1001, IDS + 1);
}

static void jump_by_all_but_one_of_the_window_keeps_one(void **state)
{
	(void)state;
	fill(1, IDS);
	assert_int_equal(take(2 * (uint64_t)IDS - 1), MR_ID_NEW);
	expect_only(2 * (uint64_t)IDS - 1, IDS, IDS + 1);
}

static void jump_beyond_the_window_makes_all_before_too_old(void **state)
{
	static const uint64_t jumps[] = {IDS, IDS + 1, 10 * (uint64_t)IDS + 3, UINT64_MAX / 2};

	(void)state;
	for (unsigned i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		mr_id_window_init(&w);
		fill(1, IDS);
		assert_int_equal(take(IDS + jumps[i]), MR_ID_NEW);
		expect_only(IDS + jumps[i], 0, 0);
		assert_int_equal(take(IDS), jumps[i] <= IDS + 1 ? MR_ID_KNOWN : MR_ID_OLD);
	}
}

static void highest_ids_neither_wrap_nor_touch_low_ones(void **state)
{
	(void)state;
	assert_int_equal(take(UINT64_MAX - 70000), MR_ID_NEW);
	assert_int_equal(take(UINT64_MAX - 1), MR_ID_NEW);
	assert_int_equal(take(UINT64_MAX), MR_ID_NEW);
	assert_int_equal(take(UINT64_MAX), MR_ID_KNOWN);
	assert_int_equal(take(UINT64_MAX - 1), MR_ID_KNOWN);
	assert_int_equal(take(UINT64_MAX - (IDS - 1)), MR_ID_NEW);
	assert_int_equal(take(UINT64_MAX - (IDS - 1)), MR_ID_KNOWN);
	assert_int_equal(take(UINT64_MAX - IDS - 64), MR_ID_OLD);
	assert_int_equal(take(0), MR_ID_OLD);
	assert_int_equal(take(1), MR_ID_OLD);
}

/* The reference is a set of all received ids. */
static void window_knows_received_ids_in_any_order(void **state)
{
	static bool came[2000000];
	uint64_t seed = 5, top = 0, olds = 0, late_count = 0;

	(void)state;
	for (;;) {
		enum mr_id_sight sight;
		uint64_t id;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		id = (top > 110000 ? top - 110000 : 0) + (seed >> 33) % 110300;
		if (id >= sizeof(came))
			break;
		sight = take(id);
		if (sight == MR_ID_OLD) {
			assert_true(id + IDS <= top);
			olds++;
			continue;
		}
		assert_int_equal(sight, came[id] ? MR_ID_KNOWN : MR_ID_NEW);
		late_count += !came[id] && id + IDS <= top;
		came[id] = true;
		top = id > top ? id : top;
	}
	assert_true(olds > 100000);
	assert_true(late_count > 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(id_is_new_once, setup),
		cmocka_unit_test_setup(looking_alone_leaves_it_new, setup),
		cmocka_unit_test_setup(zero_is_an_id_like_others, setup),
		cmocka_unit_test_setup(skipped_ids_may_come_late_and_once, setup),
		cmocka_unit_test_setup(ids_behind_the_window_are_known_or_new_as_they_came, setup),
		cmocka_unit_test_setup(few_that_are_missing_may_come_however_late, setup),
		cmocka_unit_test_setup(
			with_more_gaps_than_are_remembered_the_oldest_ids_are_too_old, setup),
		cmocka_unit_test_setup(filled_gaps_make_room_for_others, setup),
		cmocka_unit_test_setup(noting_an_id_behind_the_window_makes_no_other_known, setup),
		cmocka_unit_test_setup(an_id_is_not_known_by_the_one_a_window_before, setup),
		cmocka_unit_test_setup(jump_within_the_window_forgets_what_falls_out_of_it, setup),
		cmocka_unit_test_setup(jump_by_all_but_one_of_the_window_keeps_one, setup),
		cmocka_unit_test_setup(jump_beyond_the_window_makes_all_before_too_old, setup),
		cmocka_unit_test_setup(highest_ids_neither_wrap_nor_touch_low_ones, setup),
		cmocka_unit_test_setup(window_knows_received_ids_in_any_order, setup),
	};

	return cmocka_run_group_tests_name("id_window", tests, NULL, NULL);
}
