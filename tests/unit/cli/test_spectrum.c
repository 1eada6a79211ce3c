/* SPDX-License-Identifier: Apache-2.0 */
/* The spectrum of latencies: times in a few characters, sums of intervals. */
#include "tests/unit/cli/cmocka_all.h"

#include "cli/bench/spectrum.h"

static void assert_time(uint64_t ns, const char *expected)
{
	char text[MR_SPECTRUM_TIME_BYTES];

	mr_spectrum_time(text, ns);
	assert_string_equal(text, expected);
}

static void times_have_the_unit_that_fits(void **state)
{
	(void)state;
	assert_time(0, "0.0us");
	assert_time(12345, "12.3us");
	assert_time(999949, "999.9us");
	assert_time(999951, "1.00ms");
	assert_time(1234567, "1.23ms");
	assert_time(999994999, "999.99ms");
	assert_time(999996000, "1.00s");
	assert_time(12340000000, "12.34s");
}

static void intervals_add_up_to_the_total(void **state)
{
	struct mr_probe_tally *total = calloc(1, sizeof(*total));
	struct mr_probe_tally *t = calloc(1, sizeof(*t));

	(void)state;
	assert_non_null(total);
	assert_non_null(t);
	*t = (struct mr_probe_tally){.probes = 10,
		.received = 2,
		.lost = 3,
		.late = 4,
		.duplicates = 5,
		.corrupt = 6,
		.own_delay_ns_max = 70};
	mr_histogram_record(&t->latencies, 100, 2);
	mr_probe_tally_add(total, t);
	t->own_delay_ns_max = 60;
	mr_probe_tally_add(total, t);
	assert_int_equal(total->probes, 20);
	assert_int_equal(total->received, 4);
	assert_int_equal(total->lost, 6);
	assert_int_equal(total->late, 8);
	assert_int_equal(total->duplicates, 10);
	assert_int_equal(total->corrupt, 12);
	assert_int_equal(total->own_delay_ns_max, 70);
	assert_int_equal(total->latencies.total, 4);
	free(total);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_have_the_unit_that_fits),
		cmocka_unit_test(intervals_add_up_to_the_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
