/* SPDX-License-Identifier: Apache-2.0 */
/* Options and arguments of the command line. */
#include "tests/unit/cli/cmocka_all.h"

#include <errno.h>

#include "cli/args.h"

struct settings {
	bool flag;
	bool other;
	const char *text;
	const char *choice;
	uint64_t count;
	double real;
	struct mr_cli_words words;
	uint64_t wait_ms;
	double seconds;
	uint64_t bytes;
};

static const struct mr_cli_option options[] = {
	{.name = "flag",
		.letter = 'f',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, flag)},
	{.name = "other",
		.letter = 'o',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, other)},
	{.name = "text",
		.letter = 't',
		.type = MR_CLI_TEXT,
		.value = "T",
		.offset = offsetof(struct settings, text)},
	{.name = "choice",
		.type = MR_CLI_TEXT,
		.value = "C",
		.offset = offsetof(struct settings, choice),
		.choices = "busy|adaptive"},
	{.name = "count",
		.letter = 'n',
		.type = MR_CLI_COUNT,
		.value = "N",
		.offset = offsetof(struct settings, count),
		.min = 1,
		.max = 1e6},
	{.name = "real",
		.type = MR_CLI_REAL,
		.value = "R",
		.offset = offsetof(struct settings, real),
		.min = 0,
		.max = 1e7},
	{.name = "word",
		.letter = 'H',
		.type = MR_CLI_WORDS,
		.value = "W",
		.offset = offsetof(struct settings, words)},
	{.name = "wait",
		.letter = 'w',
		.type = MR_CLI_MS,
		.value = "TIME",
		.offset = offsetof(struct settings, wait_ms),
		.min = 10,
		.max = 86400000},
	{.name = "seconds",
		.type = MR_CLI_S,
		.value = "TIME",
		.offset = offsetof(struct settings, seconds),
		.min = 0.05,
		.max = 3600},
	{.name = "size",
		.type = MR_CLI_BYTES,
		.value = "SIZE",
		.offset = offsetof(struct settings, bytes),
		.min = 16,
		.max = 1 << 20},
	{0},
};

struct common {
	const char *server;
};

static const struct mr_cli_option common_options[] = {
	{.name = "server", .letter = 's', .type = MR_CLI_TEXT, .value = "A"},
	{0},
};

struct fixture {
	struct settings settings;
	struct common common;
	struct mr_cli_words operands;
	char error[256];
};

static int parse(struct fixture *f, char *const *argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	*f = (struct fixture){0};
	return mr_cli_args_parse(argc, argv, options, &f->settings, common_options, &f->common,
		&f->operands, f->error, sizeof(f->error));
}

#define PARSE(f, ...) parse(f, (char *const[]){__VA_ARGS__, NULL})

static void options_stand_anywhere_among_operands(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "a", "--flag", "b", "-n", "5", "c"), 0);
	assert_true(f.settings.flag);
	assert_int_equal(f.settings.count, 5);
	assert_int_equal(f.operands.count, 3);
	assert_string_equal(f.operands.at[2], "c");
}

static void all_spellings_of_a_value_are_the_same(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "--text", "x", "--server=y", "-n7"), 0);
	assert_string_equal(f.settings.text, "x");
	assert_string_equal(f.common.server, "y");
	assert_int_equal(f.settings.count, 7);
}

static void letters_of_flags_can_be_joined(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "-fon3"), 0);
	assert_true(f.settings.flag && f.settings.other);
	assert_int_equal(f.settings.count, 3);
}

static void two_dashes_end_the_options(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "--", "--flag", "-n"), 0);
	assert_false(f.settings.flag);
	assert_int_equal(f.operands.count, 2);
}

static void one_dash_is_an_operand(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "-"), 0);
	assert_string_equal(f.operands.at[0], "-");
}

static void suffixes_multiply(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "--count", "20k", "--real", "1.5M"), 0);
	assert_int_equal(f.settings.count, 20000);
	assert_true(f.settings.real == 1500000.0);
}

static void durations_and_sizes_take_units(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "-w1.5s", "--seconds", "250ms", "--size", "16KiB"), 0);
	assert_int_equal(f.settings.wait_ms, 1500);
	assert_true(f.settings.seconds == 0.25);
	assert_int_equal(f.settings.bytes, 16384);
}

static void plain_numbers_keep_their_unit(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "-w", "500", "--seconds", "0.5", "--size", "1k"), 0);
	assert_int_equal(f.settings.wait_ms, 500);
	assert_true(f.settings.seconds == 0.5);
	assert_int_equal(f.settings.bytes, 1000);
}

static void durations_out_of_range_name_the_limits(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "--wait", "2d"), -EINVAL);
	assert_string_equal(f.error, "--wait: '2d' is not a number from 10 to 86400000, in ms, "
				     "or a time such as 500ms, 2s or 1m");
	assert_int_equal(PARSE(&f, "--wait", "5us"), -EINVAL);
	assert_int_equal(PARSE(&f, "--seconds", "2h"), -EINVAL);
	assert_int_equal(PARSE(&f, "--size", "2MiB"), -EINVAL);
}

static void mistyped_options_and_choices_get_a_suggestion(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "--cuont=3"), -EINVAL);
	assert_string_equal(f.error, "--cuont=3: no such option; did you mean --count?");
	assert_int_equal(PARSE(&f, "-flag"), -EINVAL);
	assert_string_equal(f.error, "-flag: no such option; did you mean --flag?");
	assert_int_equal(PARSE(&f, "--choice", "adaptiv"), -EINVAL);
	assert_string_equal(f.error, "--choice: 'adaptiv' is not one of busy|adaptive; "
				     "did you mean 'adaptive'?");
	assert_int_equal(PARSE(&f, "--frobnicate"), -EINVAL);
	assert_string_equal(f.error, "--frobnicate: no such option");
}

static void words_gather_in_order(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "-H", "a:1", "--word=b:2"), 0);
	assert_int_equal(f.settings.words.count, 2);
	assert_string_equal(f.settings.words.at[1], "b:2");
}

static void assert_refused(struct fixture *f, int rc, const char *said)
{
	assert_int_equal(rc, -EINVAL);
	if (!strstr(f->error, said))
		fail_msg("'%s' does not say '%s'", f->error, said);
}

static void unknown_options_are_named(void **state)
{
	struct fixture f;

	(void)state;
	assert_refused(&f, PARSE(&f, "--bogus"), "--bogus");
	assert_refused(&f, PARSE(&f, "-fx"), "-x");
	assert_refused(&f, PARSE(&f, "--fla"), "--fla");
}

static void missing_and_needless_values_are_refused(void **state)
{
	struct fixture f;

	(void)state;
	assert_refused(&f, PARSE(&f, "--text"), "missing");
	assert_refused(&f, PARSE(&f, "-n"), "missing");
	assert_refused(&f, PARSE(&f, "--flag=yes"), "no value");
}

static void numbers_that_are_none_are_refused(void **state)
{
	static char *const bad[] = {"", "x", "5x", "-5", "+5", " 5", "0", "1000001", "2M", "5kk",
		"99999999999999999999", "18446744073709551615k", "0x10", "1e3"};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(&f, PARSE(&f, "--count", bad[i]), "from 1 to 1000000");
}

static void reals_that_are_none_are_refused(void **state)
{
	static char *const bad[] = {"", "x", "nan", "inf", "-1", "1e99", "1.5.5", "11M"};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(&f, PARSE(&f, "--real", bad[i]), "--real");
}

static void choices_are_taken_whole(void **state)
{
	static char *const bad[] = {"", "bus", "busyy", "adaptive|busy", "|"};
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "--choice", "adaptive"), 0);
	assert_int_equal(PARSE(&f, "--choice", "busy"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(&f, PARSE(&f, "--choice", bad[i]), "busy|adaptive");
}

static void words_beyond_the_bound_are_refused(void **state)
{
	char *argv[MR_CLI_WORDS_MAX + 2];
	struct fixture f;

	(void)state;
	for (unsigned i = 0; i <= MR_CLI_WORDS_MAX; i++)
		argv[i] = "w";
	argv[MR_CLI_WORDS_MAX + 1] = NULL;
	assert_refused(&f, parse(&f, argv), "too many");
}

static void cpu_lists_have_numbers_and_ranges(void **state)
{
	int cpus[8];

	(void)state;
	assert_int_equal(mr_cli_args_cpus("3", cpus, 8), 1);
	assert_int_equal(cpus[0], 3);
	assert_int_equal(mr_cli_args_cpus("0,2-4,7", cpus, 8), 5);
	assert_int_equal(cpus[1], 2);
	assert_int_equal(cpus[3], 4);
	assert_int_equal(cpus[4], 7);
}

static void malformed_cpu_lists_are_refused(void **state)
{
	static const char *const bad[] = {
		"", ",", "1,", "1-", "-1", "4-2", "1 2", "a", "0-8", "5000", "1,,2"};
	int cpus[8];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(mr_cli_args_cpus(bad[i], cpus, 8), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_anywhere_among_operands),
		cmocka_unit_test(all_spellings_of_a_value_are_the_same),
		cmocka_unit_test(letters_of_flags_can_be_joined),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(one_dash_is_an_operand),
		cmocka_unit_test(suffixes_multiply),
		cmocka_unit_test(durations_and_sizes_take_units),
		cmocka_unit_test(plain_numbers_keep_their_unit),
		cmocka_unit_test(durations_out_of_range_name_the_limits),
		cmocka_unit_test(mistyped_options_and_choices_get_a_suggestion),
		cmocka_unit_test(words_gather_in_order),
		cmocka_unit_test(unknown_options_are_named),
		cmocka_unit_test(missing_and_needless_values_are_refused),
		cmocka_unit_test(numbers_that_are_none_are_refused),
		cmocka_unit_test(reals_that_are_none_are_refused),
		cmocka_unit_test(choices_are_taken_whole),
		cmocka_unit_test(words_beyond_the_bound_are_refused),
		cmocka_unit_test(cpu_lists_have_numbers_and_ranges),
		cmocka_unit_test(malformed_cpu_lists_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
