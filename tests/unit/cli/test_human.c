/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with units. */
#include "tests/unit/cli/cmocka_all.h"

#include "cli/human.h"

typedef void format(char out[MR_CLI_HUMAN_BYTES], double value);

static void assert_shown(format *f, double value, const char *expected)
{
	char text[MR_CLI_HUMAN_BYTES];

	f(text, value);
	assert_string_equal(text, expected);
}

static void bytes_have_three_digits_and_a_unit(void **state)
{
	(void)state;
	assert_shown(mr_cli_human_bytes, 0, "0B");
	assert_shown(mr_cli_human_bytes, 1023, "1023B");
	assert_shown(mr_cli_human_bytes, 1024, "1.0KiB");
	assert_shown(mr_cli_human_bytes, 1536, "1.5KiB");
	assert_shown(mr_cli_human_bytes, 10240, "10KiB");
	assert_shown(mr_cli_human_bytes, 1048575, "1.0MiB");
	assert_shown(mr_cli_human_bytes, 5e12, "4.5TiB");
	assert_shown(mr_cli_human_bytes, 5e16, "45475TiB");
}

static void counts_are_exact_to_five_digits(void **state)
{
	(void)state;
	assert_shown(mr_cli_human_count, 99999, "99999");
	assert_shown(mr_cli_human_count, 100000, "100k");
	assert_shown(mr_cli_human_count, 999999, "1.0M");
	assert_shown(mr_cli_human_count, 12345678, "12M");
	assert_shown(mr_cli_human_count, 1.5e12, "1.5T");
}

static void times_have_two_units(void **state)
{
	(void)state;
	assert_shown(mr_cli_human_ms, 0, "0ms");
	assert_shown(mr_cli_human_ms, 250, "250ms");
	assert_shown(mr_cli_human_ms, 1500, "1.5s");
	assert_shown(mr_cli_human_ms, 59999, "0m59s");
	assert_shown(mr_cli_human_ms, 61000, "1m01s");
	assert_shown(mr_cli_human_ms, 3723000, "1h02m");
	assert_shown(mr_cli_human_ms, 90000000, "1d01h");
}

static void assert_parsed(const char *text, enum mr_cli_unit unit, double expected)
{
	double value;

	assert_true(mr_cli_human_parse(text, unit, &value));
	assert_true(value == expected);
}

static void typed_numbers_may_have_units(void **state)
{
	(void)state;
	assert_parsed("0", MR_CLI_UNIT_NONE, 0);
	assert_parsed("1.5", MR_CLI_UNIT_COUNT, 1.5);
	assert_parsed("2k", MR_CLI_UNIT_COUNT, 2000);
	assert_parsed("1KiB", MR_CLI_UNIT_BYTES, 1024);
	assert_parsed("2Mi", MR_CLI_UNIT_BYTES, 2 << 20);
	assert_parsed("3MB", MR_CLI_UNIT_BYTES, 3e6);
	assert_parsed("12B", MR_CLI_UNIT_BYTES, 12);
	assert_parsed("2T", MR_CLI_UNIT_COUNT, 2e12);
	assert_parsed("1.5s", MR_CLI_UNIT_MS, 1500);
	assert_parsed("500us", MR_CLI_UNIT_MS, 0.5);
	assert_parsed("250ms", MR_CLI_UNIT_SECONDS, 0.25);
	assert_parsed("2k", MR_CLI_UNIT_MS, 2000);
	assert_parsed("2m", MR_CLI_UNIT_SECONDS, 120);
	assert_parsed("1d", MR_CLI_UNIT_SECONDS, 86400);
	assert_parsed("100", MR_CLI_UNIT_MS, 100);
}

static void other_words_are_no_numbers(void **state)
{
	static const char *const words[] = {"", "x", "-1", "+1", "nan", "inf", "0x10", "1x", "1 k",
		"1kk", "1e999", "1KiBx", "."};
	double value;

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_false(mr_cli_human_parse(words[i], MR_CLI_UNIT_BYTES, &value));
	assert_false(mr_cli_human_parse("1s", MR_CLI_UNIT_BYTES, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_have_three_digits_and_a_unit),
		cmocka_unit_test(counts_are_exact_to_five_digits),
		cmocka_unit_test(times_have_two_units),
		cmocka_unit_test(typed_numbers_may_have_units),
		cmocka_unit_test(other_words_are_no_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
