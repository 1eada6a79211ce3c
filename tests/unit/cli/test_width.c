/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of texts on a terminal, and texts cut to fit. */
#include "tests/unit/cli/cmocka_all.h"

#include "cli/width.h"

#define COMBINED "e\xcc\x81"                            /* e, and an acute accent */
#define WIDE     "\xe6\xb3\xa8\xe6\x96\x87"             /* two ideographs */
#define HANGUL   "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab" /* a syllable of three letters */
#define EMOJI    "\xf0\x9f\x90\xb0"
#define DOTS     "\xe2\x80\xa6"

static void assert_elided(const char *text, size_t width, enum mr_cli_elision how,
	const char *expected, size_t expected_width)
{
	char out[64];

	assert_int_equal(mr_cli_elide(out, sizeof(out), text, width, how), expected_width);
	assert_string_equal(out, expected);
	assert_int_equal(mr_cli_width(out), expected_width);
}

static void marks_take_no_column_and_wide_characters_two(void **state)
{
	(void)state;
	assert_int_equal(mr_cli_width(""), 0);
	assert_int_equal(mr_cli_width("orders.eu"), 9);
	assert_int_equal(mr_cli_width("gr\xc3\xbc\xc3\x9f"
				      "e"),
		5);
	assert_int_equal(mr_cli_width(COMBINED "x"), 2);
	assert_int_equal(mr_cli_width(WIDE), 4);
	assert_int_equal(mr_cli_width(HANGUL), 2);
	assert_int_equal(mr_cli_width(EMOJI), 2);
	assert_int_equal(mr_cli_width(DOTS), 1);
}

static void malformed_bytes_take_a_column_each(void **state)
{
	(void)state;
	assert_int_equal(mr_cli_width("a\xff\xe6\xb3"), 4);
}

static void what_fits_is_not_cut(void **state)
{
	(void)state;
	assert_elided("orders", 6, MR_CLI_ELIDE_MIDDLE, "orders", 6);
	assert_elided(WIDE, 4, MR_CLI_ELIDE_END, WIDE, 4);
	assert_elided("", 3, MR_CLI_ELIDE_END, "", 0);
}

static void a_cut_text_keeps_its_beginning_and_its_end(void **state)
{
	(void)state;
	assert_elided("abcdefghijkl", 7, MR_CLI_ELIDE_MIDDLE, "abcd" DOTS "kl", 7);
	assert_elided("abcdefghijkl", 7, MR_CLI_ELIDE_END, "abcdef" DOTS, 7);
	assert_elided("abcdefghijkl", 2, MR_CLI_ELIDE_MIDDLE, "a" DOTS, 2);
	assert_elided("abcdefghijkl", 1, MR_CLI_ELIDE_MIDDLE, DOTS, 1);
	assert_elided("abcdefghijkl", 0, MR_CLI_ELIDE_MIDDLE, "", 0);
}

static void characters_are_not_divided(void **state)
{
	(void)state;
	/* Only one column of the second ideograph would fit. */
	assert_elided(WIDE WIDE, 4, MR_CLI_ELIDE_END, "\xe6\xb3\xa8" DOTS, 3);
	assert_elided(COMBINED COMBINED COMBINED, 2, MR_CLI_ELIDE_END, COMBINED DOTS, 2);
	/* The end does not begin with a mark that belonged to another letter. */
	assert_elided("abcdef" COMBINED "x", 4, MR_CLI_ELIDE_MIDDLE, "ab" DOTS "x", 4);
}

static void memory_that_is_too_small_cuts_without_dots(void **state)
{
	char out[4];

	(void)state;
	assert_int_equal(mr_cli_elide(out, sizeof(out), "abcdef", 5, MR_CLI_ELIDE_END), 5);
	assert_string_equal(out, "abc");
}

static void lines_end_before_blanks(void **state)
{
	(void)state;
	assert_int_equal(mr_cli_wrap("one two three", 13), 13);
	assert_int_equal(mr_cli_wrap("one two three", 12), 7);
	assert_int_equal(mr_cli_wrap("one two three", 7), 7);
	assert_int_equal(mr_cli_wrap("one two three", 6), 3);
	assert_int_equal(mr_cli_wrap("seventeen two", 4), 9);
	assert_int_equal(mr_cli_wrap("", 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_take_no_column_and_wide_characters_two),
		cmocka_unit_test(malformed_bytes_take_a_column_each),
		cmocka_unit_test(what_fits_is_not_cut),
		cmocka_unit_test(a_cut_text_keeps_its_beginning_and_its_end),
		cmocka_unit_test(characters_are_not_divided),
		cmocka_unit_test(memory_that_is_too_small_cuts_without_dots),
		cmocka_unit_test(lines_end_before_blanks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
