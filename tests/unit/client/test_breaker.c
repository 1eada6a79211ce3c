/* SPDX-License-Identifier: Apache-2.0 */
/* The circuit breaker of a service's calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/service/breaker.h"

#define MS 1000000ull

static const struct mr_breaker_rule rule = {.failures = 3, .reset_ms = 100};

static void fail_times(struct mr_breaker *b, unsigned times, uint64_t now_ns)
{
	for (unsigned i = 0; i < times; i++)
		mr_breaker_failure(b, now_ns, &rule);
}

static void opens_after_so_many_failures_in_a_row(void **state)
{
	struct mr_breaker b = {0};
	bool probe;

	(void)state;
	fail_times(&b, 2, MS);
	assert_true(mr_breaker_allows(&b, MS, &probe));
	fail_times(&b, 1, MS);
	assert_false(mr_breaker_allows(&b, MS, &probe));
	assert_false(mr_breaker_allows(&b, 101 * MS - 1, &probe));
}

static void a_success_between_starts_the_count_anew(void **state)
{
	struct mr_breaker b = {0};
	bool probe;

	(void)state;
	fail_times(&b, 2, MS);
	mr_breaker_success(&b);
	fail_times(&b, 2, MS);
	assert_true(mr_breaker_allows(&b, MS, &probe));
	assert_false(probe);
}

static void half_open_lets_one_through(void **state)
{
	struct mr_breaker b = {0};
	bool probe;

	(void)state;
	fail_times(&b, 3, 0);
	assert_true(mr_breaker_allows(&b, 100 * MS, &probe));
	assert_true(probe);
	assert_false(mr_breaker_allows(&b, 100 * MS, &probe));
	assert_false(probe);
}

static void a_probe_without_outcome_makes_room_for_another(void **state)
{
	struct mr_breaker b = {0};
	bool probe;

	(void)state;
	fail_times(&b, 3, 0);
	assert_true(mr_breaker_allows(&b, 100 * MS, &probe));
	assert_false(mr_breaker_allows(&b, 200 * MS - 1, &probe));
	assert_true(mr_breaker_allows(&b, 200 * MS, &probe));
	assert_true(probe);
	assert_false(mr_breaker_allows(&b, 200 * MS, &probe));
}

static void a_good_probe_closes(void **state)
{
	struct mr_breaker b = {0};
	bool probe;

	(void)state;
	fail_times(&b, 3, 0);
	mr_breaker_allows(&b, 100 * MS, &probe);
	mr_breaker_success(&b);
	assert_true(mr_breaker_is_closed(&b));
	fail_times(&b, 2, 100 * MS);
	assert_true(mr_breaker_is_closed(&b));
}

static void a_bad_probe_opens_again_at_once(void **state)
{
	struct mr_breaker b = {0};
	bool probe;

	(void)state;
	fail_times(&b, 3, 0);
	mr_breaker_allows(&b, 100 * MS, &probe);
	fail_times(&b, 1, 150 * MS);
	assert_false(mr_breaker_allows(&b, 249 * MS, &probe));
	assert_true(mr_breaker_allows(&b, 250 * MS, &probe));
}

static void an_abandoned_probe_leaves_the_decision_to_the_next(void **state)
{
	struct mr_breaker b = {0};
	bool probe;

	(void)state;
	fail_times(&b, 3, 0);
	mr_breaker_allows(&b, 100 * MS, &probe);
	mr_breaker_abandon(&b);
	assert_true(mr_breaker_allows(&b, 100 * MS, &probe));
	assert_true(probe);
}

static void late_failures_do_not_keep_it_open(void **state)
{
	struct mr_breaker b = {0};
	bool probe;

	(void)state;
	fail_times(&b, 3, 0);
	/* These were under way when it opened. */
	fail_times(&b, 10, 99 * MS);
	assert_true(mr_breaker_allows(&b, 100 * MS, &probe));
}

static void one_that_never_opens_counts_nothing(void **state)
{
	const struct mr_breaker_rule never = {.failures = UINT32_MAX, .reset_ms = 1};
	struct mr_breaker b = {0};
	bool probe;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		mr_breaker_failure(&b, 0, &never);
	assert_true(mr_breaker_allows(&b, 0, &probe));
}

static void backoff_doubles_with_jitter_up_to_a_minute(void **state)
{
	(void)state;
	assert_int_equal(mr_backoff_ns(100, 1, 0), 50 * MS);
	assert_in_range(mr_backoff_ns(100, 1, UINT32_MAX), 149 * MS, 150 * MS);
	assert_int_equal(mr_backoff_ns(100, 3, 0), 200 * MS);
	assert_int_equal(mr_backoff_ns(100, 1, 1u << 31), 100 * MS);
	assert_int_equal(mr_backoff_ns(100, 60, 0), 30000 * MS);
	assert_int_equal(mr_backoff_ns(UINT32_MAX, 2, 0), 30000 * MS);
	assert_in_range(mr_backoff_ns(60000, 40, UINT32_MAX), 89999 * MS, 90000 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_after_so_many_failures_in_a_row),
		cmocka_unit_test(a_success_between_starts_the_count_anew),
		cmocka_unit_test(half_open_lets_one_through),
		cmocka_unit_test(a_probe_without_outcome_makes_room_for_another),
		cmocka_unit_test(a_good_probe_closes),
		cmocka_unit_test(a_bad_probe_opens_again_at_once),
		cmocka_unit_test(an_abandoned_probe_leaves_the_decision_to_the_next),
		cmocka_unit_test(late_failures_do_not_keep_it_open),
		cmocka_unit_test(one_that_never_opens_counts_nothing),
		cmocka_unit_test(backoff_doubles_with_jitter_up_to_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
