/* SPDX-License-Identifier: Apache-2.0 */
/* Filters, sort keys and columns of the command line. */
#include "tests/unit/cli/cmocka_all.h"

#include "cli/select.h"

#define FORMS     "KEY=VALUE, KEY!=VALUE, KEY~REGEX, KEY!~REGEX, KEY>N, KEY>=N, KEY<N or KEY<=N"
#define NO_COLUMN " is no column; expected one of name rx_messages backlog_bytes session paused in"

static const struct mr_cli_column columns[] = {
	{"NAME", "name"},
	{"IN", "rx_messages", .right = true, .unit = MR_CLI_UNIT_COUNT},
	{"BACKLOG", "backlog_bytes", .right = true, .unit = MR_CLI_UNIT_BYTES},
	{"SESSION", "session"},
	{"PAUSED", "paused"},
	{"RATE", "in", .right = true},
	{NULL, "oldest_ms", .unit = MR_CLI_UNIT_MS},
};

static void add_row(struct mr_cli_table *t, const char *name, uint64_t value)
{
	mr_cli_table_text(t, name, strlen(name));
	mr_cli_table_count(t, value);
	mr_cli_table_count(t, value * 1024);
	mr_cli_table_id(t, value + 16);
	mr_cli_table_bool(t, value > 2);
	if (value == 2)
		mr_cli_table_none(t);
	else
		mr_cli_table_real(t, (double)value / 2);
	mr_cli_table_count(t, value * 1000);
}

static void fill(struct mr_cli_table *t)
{
	mr_cli_table_init(t, columns, sizeof(columns) / sizeof(columns[0]));
	add_row(t, "b", 2);
	add_row(t, "a", 3);
	add_row(t, "orders.eu", 1);
	add_row(t, "c", 3);
}

/* Compares the names of the rows, in their order, and frees the table. */
static void assert_names(struct mr_cli_table *t, const char *expected)
{
	char names[256] = "";

	for (size_t i = 0; i < mr_cli_table_rows(t); i++)
		strcat(strcat(names, i ? " " : ""), t->cells[i * t->columns_count].text);
	assert_string_equal(names, expected);
	mr_cli_table_fini(t);
}

static void assert_filtered(const char *expression, const char *expected)
{
	char error[MR_CLI_SELECT_ERROR_BYTES];
	struct mr_cli_table t;

	fill(&t);
	assert_true(mr_cli_select_filter(&t, expression, error));
	assert_names(&t, expected);
}

static void assert_refused(bool (*select)(struct mr_cli_table *t, const char *text, char *error),
	const char *text, const char *expected)
{
	char error[MR_CLI_SELECT_ERROR_BYTES] = "";
	struct mr_cli_table t;

	fill(&t);
	assert_false(select(&t, text, error));
	assert_string_equal(error, expected);
	assert_int_equal(mr_cli_table_rows(&t), 4);
	mr_cli_table_fini(&t);
}

static void filters_compare_texts_numbers_ids_and_flags(void **state)
{
	(void)state;
	assert_filtered("name=a", "a");
	assert_filtered("name!=a", "b orders.eu c");
	assert_filtered("name=", "");
	assert_filtered("rx_messages=3", "a c");
	assert_filtered("rx_messages=3x", "");
	assert_filtered("session=0x11", "orders.eu");
	assert_filtered("session=17", "orders.eu");
	assert_filtered("paused=yes", "a c");
	assert_filtered("paused=false", "b orders.eu");
}

static void filters_compare_with_units(void **state)
{
	(void)state;
	assert_filtered("backlog_bytes>=2KiB", "b a c");
	assert_filtered("backlog_bytes<2KiB", "orders.eu");
	assert_filtered("rx_messages>2", "a c");
	assert_filtered("rx_messages<=2", "b orders.eu");
	assert_filtered("oldest_ms>2s", "a c");
}

static void filters_find_expressions(void **state)
{
	(void)state;
	assert_filtered("name~^[a-c]$", "b a c");
	assert_filtered("name!~eu", "b a c");
	assert_filtered("session~12$", "b");
	assert_filtered("rx_messages~^[12]$", "b orders.eu");
}

static void empty_cells_match_nothing_but_emptiness(void **state)
{
	(void)state;
	assert_filtered("rate=-", "b");
	assert_filtered("rate=", "b");
	assert_filtered("rate<100", "a orders.eu c");
	assert_filtered("rate~.", "a orders.eu c");
}

static void columns_are_found_by_key_and_by_title(void **state)
{
	(void)state;
	assert_filtered("NAME=a", "a");
	assert_filtered("Backlog-Bytes>2k", "b a c");
	/* `in` is a key, and IN another column's title. */
	assert_filtered("in=1.5", "a c");
	assert_filtered("OLDEST_MS=1000", "orders.eu");
}

static void wrong_filters_say_what_is_expected(void **state)
{
	(void)state;
	assert_refused(mr_cli_select_filter, "name", "'name': expected " FORMS);
	assert_refused(mr_cli_select_filter, "=a", "'=a': expected " FORMS);
	assert_refused(mr_cli_select_filter, "size>1", "'size'" NO_COLUMN);
	assert_refused(mr_cli_select_filter, "in>many", "'in>many': 'many' is not a number");
	assert_refused(mr_cli_select_filter, "name~(",
		"'name~(': not a regular expression: Unmatched ( or \\(");
}

static void assert_sorted(const char *keys, const char *expected)
{
	char error[MR_CLI_SELECT_ERROR_BYTES];
	struct mr_cli_table t;

	fill(&t);
	assert_true(mr_cli_select_sort(&t, keys, error));
	assert_names(&t, expected);
}

static void rows_are_sorted_by_several_keys(void **state)
{
	(void)state;
	assert_sorted("name", "a b c orders.eu");
	assert_sorted("-name", "orders.eu c b a");
	assert_sorted("rx_messages", "orders.eu b a c");
	assert_sorted("-rx_messages,-name", "c a b orders.eu");
	assert_sorted("-session", "a c b orders.eu");
	assert_sorted("paused,name", "b orders.eu a c");
}

static void empty_cells_are_last_in_both_directions(void **state)
{
	(void)state;
	assert_sorted("rate", "orders.eu a c b");
	assert_sorted("-rate", "a c orders.eu b");
}

static void wrong_sort_keys_are_refused(void **state)
{
	(void)state;
	assert_refused(mr_cli_select_sort, "size", "'size'" NO_COLUMN);
	assert_refused(mr_cli_select_sort, "", "''" NO_COLUMN);
	assert_refused(mr_cli_select_sort, "in,in,in,in,in,in,in,in,in",
		"'in,in,in,in,in,in,in,in,in': more than 8 columns");
}

static void the_first_rows_remain(void **state)
{
	struct mr_cli_table t;

	(void)state;
	fill(&t);
	mr_cli_select_limit(&t, 9);
	assert_int_equal(mr_cli_table_rows(&t), 4);
	mr_cli_select_reverse(&t);
	mr_cli_select_limit(&t, 2);
	assert_names(&t, "c orders.eu");
}

static void columns_are_chosen_in_any_order(void **state)
{
	char error[MR_CLI_SELECT_ERROR_BYTES];
	size_t only[MR_CLI_COLUMNS_MAX], count;
	struct mr_cli_table t;

	(void)state;
	fill(&t);
	assert_true(mr_cli_select_columns(&t, "oldest-ms,name,name", only, &count, error));
	assert_int_equal(count, 3);
	assert_int_equal(only[0], 6);
	assert_int_equal(only[1], 0);
	assert_false(mr_cli_select_columns(&t, "name,", only, &count, error));
	assert_non_null(strstr(error, "'' is no column"));
	mr_cli_table_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_compare_texts_numbers_ids_and_flags),
		cmocka_unit_test(filters_compare_with_units),
		cmocka_unit_test(filters_find_expressions),
		cmocka_unit_test(empty_cells_match_nothing_but_emptiness),
		cmocka_unit_test(columns_are_found_by_key_and_by_title),
		cmocka_unit_test(wrong_filters_say_what_is_expected),
		cmocka_unit_test(rows_are_sorted_by_several_keys),
		cmocka_unit_test(empty_cells_are_last_in_both_directions),
		cmocka_unit_test(wrong_sort_keys_are_refused),
		cmocka_unit_test(the_first_rows_remain),
		cmocka_unit_test(columns_are_chosen_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
