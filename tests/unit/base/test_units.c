/* SPDX-License-Identifier: Apache-2.0 */
/* Durations and sizes with units. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "lib/base/units.h"

static uint64_t duration_ms(const char *text)
{
	uint64_t out = UINT64_MAX;

	assert_int_equal(mr_units_duration(text, MR_UNITS_MS, &out), 0);
	return out;
}

static uint64_t size(const char *text)
{
	uint64_t out = UINT64_MAX;

	assert_int_equal(mr_units_size(text, 1, &out), 0);
	return out;
}

static void number_without_unit_counts_the_base_unit(void **state)
{
	uint64_t out;

	(void)state;
	assert_int_equal(duration_ms("0"), 0);
	assert_int_equal(duration_ms("1500"), 1500);
	assert_int_equal(size("64"), 64);
	assert_int_equal(mr_units_size("64", 1u << 20, &out), 0);
	assert_int_equal(out, 64);
}

static void units_multiply(void **state)
{
	(void)state;
	assert_int_equal(duration_ms("500ms"), 500);
	assert_int_equal(duration_ms("1s"), 1000);
	assert_int_equal(duration_ms("1.5 s"), 1500);
	assert_int_equal(duration_ms("2m"), 120000);
	assert_int_equal(duration_ms("2min"), 120000);
	assert_int_equal(duration_ms("3000us"), 3);
	assert_int_equal(duration_ms("1h"), 3600000);
	assert_int_equal(duration_ms("1d"), 86400000);
	assert_int_equal(size("16KiB"), 16384);
	assert_int_equal(size("1M"), 1000000);
	assert_int_equal(size("1MB"), 1000000);
	assert_int_equal(size("0.5MiB"), 524288);
	assert_int_equal(size("2 GiB"), 2147483648);
	assert_int_equal(size("3TB"), 3000000000000);
	assert_int_equal(size("1Ti"), 1099511627776);
}

static void a_base_of_mebibytes_counts_them(void **state)
{
	uint64_t out;

	(void)state;
	assert_int_equal(mr_units_size("2GiB", 1u << 20, &out), 0);
	assert_int_equal(out, 2048);
	assert_int_equal(mr_units_size("1M", 1u << 20, &out), -ERANGE);
}

static void texts_that_are_no_number_with_a_unit_are_refused(void **state)
{
	static const char *const bad[] = {"", "ms", "-1s", "+1", "1x", "1 ", "1  s", "1s2", ".",
		"1.", "1.2.3", "0x10", "1e3", "inf", " 1", "1S", "1234567890123456789"};
	uint64_t out;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (mr_units_duration(bad[i], MR_UNITS_MS, &out) != -EINVAL)
			fail_msg("'%s' was accepted", bad[i]);
	}
	assert_int_equal(mr_units_size("1s", 1, &out), -EINVAL);
	assert_int_equal(mr_units_duration("1KiB", MR_UNITS_MS, &out), -EINVAL);
}

static void what_is_not_a_whole_number_of_base_units_is_refused(void **state)
{
	uint64_t out;

	(void)state;
	assert_int_equal(mr_units_duration("1500us", MR_UNITS_MS, &out), -ERANGE);
	assert_int_equal(mr_units_duration("0.5", MR_UNITS_MS, &out), -ERANGE);
	assert_int_equal(mr_units_duration("999999999d", MR_UNITS_MS, &out), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_without_unit_counts_the_base_unit),
		cmocka_unit_test(units_multiply),
		cmocka_unit_test(a_base_of_mebibytes_counts_them),
		cmocka_unit_test(texts_that_are_no_number_with_a_unit_are_refused),
		cmocka_unit_test(what_is_not_a_whole_number_of_base_units_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
