/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of a column that stay different when they are cut. */
#include "tests/unit/cli/cmocka_all.h"

#include <stdio.h>

#include "cli/distinct.h"
#include "cli/width.h"
#include "lib/base/compiler.h"

#define DOTS  "\xe2\x80\xa6"
#define TEXTS 100

/* From this width on, 100 texts stay different whatever they are: an ellipsis, ~ and 3 digits. */
#define WIDTH_MIN 5

static uint64_t seed = 1;

static unsigned random_below(unsigned limit)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % limit;
}

static void expect_cut(char *const *texts, size_t count, size_t width, const char *const *expected)
{
	struct mr_cli_distinct *d = mr_cli_distinct_new(texts, count);
	char *out[16];

	mr_cli_distinct_cut(d, width, out);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(out[i], expected[i]);
		free(out[i]);
	}
	mr_cli_distinct_free(d);
}

static void texts_that_differ_at_their_ends_are_cut_in_the_middle(void **state)
{
	char *texts[] = {"orders.europe.north", "orders.europe.south"};
	const char *const expected[] = {"orders" DOTS "rth", "orders" DOTS "uth"};

	(void)state;
	expect_cut(texts, 2, 10, expected);
}

static void texts_keep_the_part_in_which_they_differ(void **state)
{
	char *texts[] = {"jobs.department-001.priority.overnight",
		"jobs.department-002.priority.overnight", "jobs.department-110.priority.overnight",
		"jobs.department-001.priority.overnight", "jobs"};
	const char *const expected[] = {"jobs.dep" DOTS "-001." DOTS "t",
		"jobs.dep" DOTS "-002." DOTS "t", "jobs.dep" DOTS "t-110" DOTS "t",
		"jobs.dep" DOTS "-001." DOTS "t", "jobs"};

	(void)state;
	expect_cut(texts, 5, 16, expected);
}

static void marks_and_wide_characters_are_not_divided(void **state)
{
	char *texts[] = {"warehouse.e\xcc\x81.temperature", "warehouse.e.temperature",
		"warehouse.\xe6\xb3\xa8.temperature", "warehouse.\xe6\x96\x87.temperature"};
	const char *const expected[] = {"wareh" DOTS "e.e\xcc\x81." DOTS "e",
		"wareh" DOTS "e.e." DOTS "e", "ware" DOTS "e.\xe6\xb3\xa8." DOTS "e",
		"ware" DOTS "e.\xe6\x96\x87." DOTS "e"};

	(void)state;
	expect_cut(texts, 4, 12, expected);
}

static void without_room_for_the_differences_texts_have_numbers(void **state)
{
	char *texts[] = {"a.long.b.long.c.long", "a.long.b.long.d.long", "a.long.e.long.c.long",
		"f.long.b.long.c.long"};
	const char *const expected[] = {
		"a." DOTS "~1", "a." DOTS "~2", "a." DOTS "e" DOTS, "f.l" DOTS "g"};

	(void)state;
	expect_cut(texts, 4, 5, expected);
}

/* Makes texts that differ in few places: one of some tokens at each of `depth` levels. */
static void make_texts(char *texts[TEXTS], unsigned depth)
{
	static const char *const tokens[] = {"order", "\xe6\xb3\xa8\xe6\x96\x87", "e\xcc\x81l", "a",
		"b", "department-1", "department-2", "department-22", "r\xc3\xbcstig", ""};

	for (size_t i = 0; i < TEXTS; i++) {
		char text[256] = "";

		for (unsigned n = 0; n < depth; n++) {
			strcat(text, tokens[random_below(MR_ARRAY_COUNT(tokens))]);
			strcat(text, random_below(8) ? "." : "");
		}
		texts[i] = strdup(text);
		assert_non_null(texts[i]);
	}
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t count_different(char **texts)
{
	char *sorted[TEXTS];
	size_t different = 1;

	memcpy(sorted, texts, sizeof(sorted));
	qsort(sorted, TEXTS, sizeof(*sorted), compare_texts);
	for (size_t i = 1; i < TEXTS; i++)
		different += strcmp(sorted[i], sorted[i - 1]) != 0;
	return different;
}

static void expect_different(
	const struct mr_cli_distinct *d, char *texts[TEXTS], size_t different, size_t width)
{
	size_t least = mr_cli_distinct_width(d);
	char *out[TEXTS];

	mr_cli_distinct_cut(d, width, out);
	assert_int_equal(count_different(out), different);
	for (size_t i = 0; i < TEXTS; i++) {
		assert_true(mr_cli_width(out[i]) <= width);
		if (mr_cli_width(texts[i]) <= width)
			assert_string_equal(out[i], texts[i]);
		if (width >= least)
			assert_null(strchr(out[i], '~'));
		free(out[i]);
	}
}

static void different_texts_stay_different_in_any_width(void **state)
{
	char *texts[TEXTS];

	(void)state;
	for (unsigned round = 0; round < 24; round++) {
		struct mr_cli_distinct *d;

		make_texts(texts, 1 + round / 2);
		d = mr_cli_distinct_new(texts, TEXTS);
		for (size_t width = WIDTH_MIN; width < 60; width += 1 + width / 12)
			expect_different(d, texts, count_different(texts), width);
		mr_cli_distinct_free(d);
		for (size_t i = 0; i < TEXTS; i++)
			free(texts[i]);
	}
}

/* Each text has one branch more than the one before. */
static void texts_with_many_branches_stay_different(void **state)
{
	char *texts[TEXTS];
	struct mr_cli_distinct *d;

	(void)state;
	for (size_t i = 0; i < TEXTS; i++) {
		texts[i] = calloc(1, TEXTS + 1);
		assert_non_null(texts[i]);
		memset(texts[i], 'x', i);
	}
	d = mr_cli_distinct_new(texts, TEXTS);
	for (size_t width = WIDTH_MIN; width < TEXTS; width += 7)
		expect_different(d, texts, count_different(texts), width);
	mr_cli_distinct_free(d);
	for (size_t i = 0; i < TEXTS; i++)
		free(texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_that_differ_at_their_ends_are_cut_in_the_middle),
		cmocka_unit_test(texts_keep_the_part_in_which_they_differ),
		cmocka_unit_test(marks_and_wide_characters_are_not_divided),
		cmocka_unit_test(without_room_for_the_differences_texts_have_numbers),
		cmocka_unit_test(different_texts_stay_different_in_any_width),
		cmocka_unit_test(texts_with_many_branches_stay_different),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
