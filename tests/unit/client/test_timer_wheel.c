/* SPDX-License-Identifier: Apache-2.0 */
/* The timer wheel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/core/timer_wheel.h"

#define MS    1000000ull
#define START (123456789 * MS + 17)

static unsigned expire_all(struct mr_wheel *w, uint64_t now_ns)
{
	unsigned count = 0;
	struct mr_wheel_timer *t;

	while ((t = mr_wheel_expired(w, now_ns)) != NULL) {
		assert_true(t->due_ns <= now_ns);
		assert_false(mr_wheel_timer_is_on(t));
		count++;
	}
	return count;
}

static void never_early_and_at_most_a_tick_late(void **state)
{
	struct mr_wheel w = {0};
	struct mr_wheel_timer t = {0};

	(void)state;
	for (uint64_t due = START; due < START + 3 * MS; due += MS / 7) {
		mr_wheel_add(&w, &t, due, START);
		assert_int_equal(expire_all(&w, due - 1), 0);
		assert_int_equal(expire_all(&w, due + MS), 1);
	}
}

static void one_that_was_taken_away_does_not_expire(void **state)
{
	struct mr_wheel w = {0};
	struct mr_wheel_timer t[3] = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		mr_wheel_add(&w, &t[i], START + MS, START);
	mr_wheel_remove(&w, &t[1]);
	mr_wheel_remove(&w, &t[1]);
	assert_int_equal(expire_all(&w, START + 5 * MS), 2);
	assert_int_equal(w.count, 0);
	assert_int_equal(mr_wheel_due_ns(&w), UINT64_MAX);
}

static void turns_of_the_wheel_are_distinguished(void **state)
{
	struct mr_wheel w = {0};
	struct mr_wheel_timer soon = {0}, later = {0};

	(void)state;
	mr_wheel_add(&w, &soon, START + 5 * MS, START);
	mr_wheel_add(&w, &later, START + 5 * MS + MR_WHEEL_SLOTS * MR_WHEEL_TICK_NS, START);
	assert_int_equal(expire_all(&w, START + 7 * MS), 1);
	assert_int_equal(expire_all(&w, START + 1000 * MS), 0);
	assert_int_equal(expire_all(&w, START + (MR_WHEEL_SLOTS + 7) * MS), 1);
}

static void a_long_sleep_misses_nothing(void **state)
{
	struct mr_wheel w = {0};
	struct mr_wheel_timer t[100] = {0};

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		mr_wheel_add(&w, &t[i], START + i * 77 * MS, START);
	assert_int_equal(expire_all(&w, START + 1000000 * MS), 100);
}

static void overdue_timer_expires_at_the_next_tick(void **state)
{
	struct mr_wheel w = {0};
	struct mr_wheel_timer other = {0}, t = {0};

	(void)state;
	mr_wheel_add(&w, &other, START + 900 * MS, START);
	assert_int_equal(expire_all(&w, START + 10 * MS), 0);
	mr_wheel_add(&w, &t, 0, START + 10 * MS);
	assert_true(mr_wheel_due_ns(&w) <= START + 12 * MS);
	assert_int_equal(expire_all(&w, START + 12 * MS), 1);
}

static void due_is_not_after_the_first_timer(void **state)
{
	struct mr_wheel w = {0};
	struct mr_wheel_timer t[2] = {0};
	uint64_t now = START, looks = 0;

	(void)state;
	mr_wheel_add(&w, &t[0], START + 2500 * MS, START);
	mr_wheel_add(&w, &t[1], START + 2600 * MS, START);
	/* Sleeping as long as it says reaches both, in few steps. */
	for (unsigned left = 2; left > 0; looks++) {
		uint64_t due = mr_wheel_due_ns(&w);

		assert_true(due <= START + 2601 * MS);
		now = due > now ? due : now;
		left -= expire_all(&w, now);
		assert_true(looks < 20);
	}
	assert_in_range(now, START + 2600 * MS, START + 2601 * MS);
}

/* The reference is a list that is searched. */
static void agrees_with_a_simple_list(void **state)
{
	struct mr_wheel w = {0};
	struct mr_wheel_timer t[64] = {0};
	uint64_t now = START;

	(void)state;
	srand(7);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)rand() % 64, late = 0;

		if (mr_wheel_timer_is_on(&t[i]))
			mr_wheel_remove(&w, &t[i]);
		else
			mr_wheel_add(&w, &t[i], now + (uint64_t)(rand() % 3000) * MS / 3, now);
		now += (uint64_t)(rand() % 5000) * 1000;
		expire_all(&w, now);
		for (unsigned n = 0; n < 64; n++)
			late += mr_wheel_timer_is_on(&t[n]) && t[n].due_ns + MS <= now;
		assert_int_equal(late, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_early_and_at_most_a_tick_late),
		cmocka_unit_test(one_that_was_taken_away_does_not_expire),
		cmocka_unit_test(turns_of_the_wheel_are_distinguished),
		cmocka_unit_test(a_long_sleep_misses_nothing),
		cmocka_unit_test(overdue_timer_expires_at_the_next_tick),
		cmocka_unit_test(due_is_not_after_the_first_timer),
		cmocka_unit_test(agrees_with_a_simple_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
