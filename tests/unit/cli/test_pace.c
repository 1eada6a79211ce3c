/* SPDX-License-Identifier: Apache-2.0 */
/* The pace of a bench's publisher. */
#include "tests/unit/cli/cmocka_all.h"

#include "cli/bench/pace.h"

static void nothing_is_due_before_the_start(void **state)
{
	struct mr_bench_pace p;

	(void)state;
	mr_bench_pace_init(&p, 1000, 1e9, 1e6, 0);
	assert_int_equal(mr_bench_pace_due(&p, 999), 0);
	assert_int_equal(mr_bench_pace_due(&p, 1000), 1);
}

static void messages_fall_due_at_the_rate(void **state)
{
	struct mr_bench_pace p;

	(void)state;
	mr_bench_pace_init(&p, 0, 1e9, 1e6, 0); /* one every 1000 ticks */
	assert_int_equal(mr_bench_pace_due(&p, 9999), 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(mr_bench_pace_take(&p), i * 1000);
	assert_int_equal(mr_bench_pace_due(&p, 9999), 0);
	assert_int_equal(mr_bench_pace_due(&p, 10000), 1);
}

static void late_messages_keep_the_time_they_were_meant_for(void **state)
{
	struct mr_bench_pace p;

	(void)state;
	mr_bench_pace_init(&p, 500, 1e9, 1e6, 0);
	assert_int_equal(mr_bench_pace_take(&p), 500);
	/* After a long pause all missed sends are due at once, each with its own time. */
	assert_int_equal(mr_bench_pace_due(&p, 500 + 5000), 5);
	assert_int_equal(mr_bench_pace_take(&p), 1500);
	assert_int_equal(mr_bench_pace_take(&p), 2500);
}

static void a_phase_delays_the_start_by_a_part_of_the_gap(void **state)
{
	struct mr_bench_pace p;

	(void)state;
	mr_bench_pace_init(&p, 0, 1e9, 1e6, 0.5);
	assert_int_equal(mr_bench_pace_due(&p, 499), 0);
	assert_int_equal(mr_bench_pace_take(&p), 500);
}

static void a_rate_beyond_the_clock_is_kept_on_average(void **state)
{
	struct mr_bench_pace p;

	(void)state;
	mr_bench_pace_init(&p, 0, 1e6, 3e6, 0); /* three for each tick */
	for (unsigned i = 0; i < 3000; i++)
		mr_bench_pace_take(&p);
	assert_in_range(mr_bench_pace_due(&p, 1001), 3, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_due_before_the_start),
		cmocka_unit_test(messages_fall_due_at_the_rate),
		cmocka_unit_test(late_messages_keep_the_time_they_were_meant_for),
		cmocka_unit_test(a_phase_delays_the_start_by_a_part_of_the_gap),
		cmocka_unit_test(a_rate_beyond_the_clock_is_kept_on_average),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
