/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: on the terminal, and as JSON. */
#include "tests/unit/cli/cmocka_all.h"

#include "cli/layout.h"

static const struct mr_cli_column columns[] = {
	{"NAME", "name", false},
	{"COUNT", "count", true},
	{NULL, "hidden", true},
	{"RATE", NULL, true},
};

static char *print(const struct mr_cli_table *t)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	mr_cli_layout_print(t, &(struct mr_cli_look){0}, 0, mr_cli_table_rows(t), out);
	fclose(out);
	return text;
}

static void add_row(struct mr_cli_table *t, const char *name, uint64_t count, double rate)
{
	mr_cli_table_text(t, name, strlen(name));
	mr_cli_table_count(t, count);
	mr_cli_table_count(t, 9);
	mr_cli_table_real(t, rate);
}

static void assert_printed(struct mr_cli_table *t, const char *expected)
{
	char *text = print(t);

	assert_string_equal(text, expected);
	free(text);
	mr_cli_table_fini(t);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	struct mr_cli_table t;

	(void)state;
	mr_cli_table_init(&t, columns, 4);
	add_row(&t, "a", 1234567, 0.25);
	add_row(&t, "longer", 1, 10);
	assert_printed(&t, "NAME      COUNT  RATE\n"
			   "a       1234567   0.2\n"
			   "longer        1  10.0\n");
}

static void a_table_without_rows_has_its_titles(void **state)
{
	struct mr_cli_table t;

	(void)state;
	mr_cli_table_init(&t, columns, 4);
	assert_printed(&t, "NAME  COUNT  RATE\n");
}

static void width_counts_characters_and_not_bytes(void **state)
{
	struct mr_cli_table t;

	(void)state;
	mr_cli_table_init(&t, columns, 2);
	mr_cli_table_text(&t,
		"gr\xc3\xbc\xc3\x9f"
		"e",
		7);
	mr_cli_table_count(&t, 1);
	assert_printed(&t, "NAME   COUNT\ngr\xc3\xbc\xc3\x9f"
			   "e      1\n");
}

static void names_cannot_steer_the_terminal(void **state)
{
	struct mr_cli_table t;

	(void)state;
	mr_cli_table_init(&t, columns, 1);
	mr_cli_table_text(&t, "\x1b[31m", 5);
	assert_printed(&t, "NAME\n\\x1b[31m\n");
}

static void json_has_lists_but_no_columns_of_the_screen(void **state)
{
	static const struct mr_cli_column some[] = {
		{"ADDRESSES", "addresses"},
		{"STATE", "state", .screen_only = true},
	};
	struct mr_cli_table t;
	json_t *rows, *row;

	(void)state;
	mr_cli_table_init(&t, some, 2);
	mr_cli_table_list(&t, "a,b", 3);
	mr_cli_table_text(&t, "x", 1);
	mr_cli_table_list(&t, "", 0);
	mr_cli_table_none(&t);
	rows = mr_cli_table_json(&t);
	row = json_array_get(rows, 0);
	assert_int_equal(json_object_size(row), 1);
	assert_int_equal(json_array_size(json_object_get(row, "addresses")), 2);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(row, "addresses"), 1)), "b");
	row = json_array_get(rows, 1);
	assert_int_equal(json_array_size(json_object_get(row, "addresses")), 0);
	json_decref(rows);
	mr_cli_table_fini(&t);
}

static void json_rows_have_keys_and_types(void **state)
{
	struct mr_cli_table t;
	json_t *rows, *row;

	(void)state;
	mr_cli_table_init(&t, columns, 4);
	add_row(&t, "a", 5, 0.5);
	mr_cli_table_none(&t);
	mr_cli_table_id(&t, 0x0100000200000003ull);
	mr_cli_table_none(&t);
	mr_cli_table_none(&t);
	rows = mr_cli_table_json(&t);
	assert_int_equal(json_array_size(rows), 2);
	row = json_array_get(rows, 0);
	assert_int_equal(json_object_size(row), 3);
	assert_string_equal(json_string_value(json_object_get(row, "name")), "a");
	assert_int_equal(json_integer_value(json_object_get(row, "count")), 5);
	assert_int_equal(json_integer_value(json_object_get(row, "hidden")), 9);
	row = json_array_get(rows, 1);
	assert_true(json_is_null(json_object_get(row, "name")));
	assert_string_equal(json_string_value(json_object_get(row, "count")), "0x0100000200000003");
	json_decref(rows);
	mr_cli_table_fini(&t);
}

static void no_limit_is_no_number_for_people(void **state)
{
	static const struct mr_cli_column limits[] = {
		{"MAX", "max", .right = true, .unit = MR_CLI_UNIT_BYTES},
		{"AGE", "age", .right = true, .unit = MR_CLI_UNIT_MS},
	};
	struct mr_cli_table t;
	char *text = NULL;
	size_t bytes;
	json_t *rows;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	mr_cli_table_init(&t, limits, 2);
	mr_cli_table_limit(&t, UINT32_MAX, UINT32_MAX);
	mr_cli_table_limit(&t, 0, UINT32_MAX);
	mr_cli_table_print_lines(&t, out);
	fclose(out);
	assert_string_equal(text, "max  no limit\nage  0\n");
	free(text);
	rows = mr_cli_table_json(&t);
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(rows, 0), "max")), UINT32_MAX);
	json_decref(rows);
	assert_printed(&t, "MAX  AGE\n  -  0ms\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(a_table_without_rows_has_its_titles),
		cmocka_unit_test(width_counts_characters_and_not_bytes),
		cmocka_unit_test(names_cannot_steer_the_terminal),
		cmocka_unit_test(json_rows_have_keys_and_types),
		cmocka_unit_test(json_has_lists_but_no_columns_of_the_screen),
		cmocka_unit_test(no_limit_is_no_number_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
