/* SPDX-License-Identifier: Apache-2.0 */
/* Tables in the width of a terminal. */
#include "tests/unit/cli/cmocka_all.h"

#include "cli/layout.h"

#define DOTS "\xe2\x80\xa6"

static const struct mr_cli_column columns[] = {
	{"NAME", "name", .least = 6},
	{"STATE", "state", .rank = 1, .good = "up"},
	{"COUNT", "count", .right = true, .unit = MR_CLI_UNIT_COUNT},
	{"BYTES", "bytes", .right = true, .rank = 2, .unit = MR_CLI_UNIT_BYTES},
	{"LOST", "lost", .right = true, .rank = 3, .alarm = true},
	{NULL, "hidden_ms", .right = true, .unit = MR_CLI_UNIT_MS},
	{"AGE", "age_ms", .right = true, .rank = 4, .unit = MR_CLI_UNIT_MS},
};

static void add_row(struct mr_cli_table *t, const char *name, const char *state, uint64_t count)
{
	mr_cli_table_text(t, name, strlen(name));
	mr_cli_table_text(t, state, strlen(state));
	mr_cli_table_count(t, count);
	mr_cli_table_count(t, 2048);
	mr_cli_table_count(t, count % 2);
	mr_cli_table_count(t, 7);
	mr_cli_table_count(t, 61000);
}

/* Prints two rows, and returns the number of dropped columns. */
static size_t print(const struct mr_cli_look *look, char **text)
{
	struct mr_cli_table t;
	size_t bytes, dropped;
	FILE *out = open_memstream(text, &bytes);

	assert_non_null(out);
	mr_cli_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	add_row(&t, "orders.europe.north", "up", 1234567);
	add_row(&t, "b", "down", 2);
	dropped = mr_cli_layout_print(&t, look, 0, mr_cli_table_rows(&t), out);
	fclose(out);
	mr_cli_table_fini(&t);
	return dropped;
}

static void assert_printed(const struct mr_cli_look *look, size_t dropped, const char *expected)
{
	char *text = NULL;

	assert_int_equal(print(look, &text), dropped);
	assert_string_equal(text, expected);
	free(text);
}

static void without_a_limit_all_is_shown(void **state)
{
	(void)state;
	assert_printed(&(struct mr_cli_look){0}, 0,
		"NAME                 STATE    COUNT   BYTES  LOST    AGE\n"
		"orders.europe.north  up     1234567  2.0KiB     1  1m01s\n"
		"b                    down         2  2.0KiB     0  1m01s\n");
}

static void plain_numbers_name_their_unit_in_the_title(void **state)
{
	const size_t only[] = {6, 5, 3};

	(void)state;
	assert_printed(&(struct mr_cli_look){.raw = true, .only = only, .only_count = 3}, 0,
		"AGE-MS  HIDDEN-MS  BYTES\n"
		" 61000          7   2048\n"
		" 61000          7   2048\n");
}

static void counts_are_shortened_before_columns_are_dropped(void **state)
{
	(void)state;
	assert_printed(&(struct mr_cli_look){.width = 54}, 0,
		"NAME                 STATE  COUNT   BYTES  LOST    AGE\n"
		"orders.europe.north  up      1.2M  2.0KiB     1  1m01s\n"
		"b                    down       2  2.0KiB     0  1m01s\n");
}

static void texts_are_cut_down_to_their_least(void **state)
{
	(void)state;
	assert_printed(&(struct mr_cli_look){.width = 45}, 0,
		"NAME        STATE  COUNT   BYTES  LOST    AGE\n"
		"orders" DOTS "rth  up      1.2M  2.0KiB     1  1m01s\n"
		"b           down       2  2.0KiB     0  1m01s\n");
}

static void columns_are_dropped_by_rank(void **state)
{
	(void)state;
	assert_printed(&(struct mr_cli_look){.width = 33}, 2,
		"NAME         STATE  COUNT   BYTES\n"
		"orders." DOTS "rth  up      1.2M  2.0KiB\n"
		"b            down       2  2.0KiB\n");
	assert_printed(&(struct mr_cli_look){.width = 13}, 4,
		"NAME    COUNT\n"
		"orde" DOTS "h   1.2M\n"
		"b           2\n");
}

static void no_line_is_wider_than_the_terminal(void **state)
{
	(void)state;
	for (size_t width = 1; width < 70; width++) {
		char *text = NULL, *line, *rest;

		print(&(struct mr_cli_look){.width = width}, &text);
		for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			assert_true(mr_cli_width(line) <= width);
		free(text);
	}
}

static void chosen_columns_are_cut_and_not_dropped(void **state)
{
	const size_t only[] = {6, 0, 4};

	(void)state;
	assert_printed(&(struct mr_cli_look){.width = 20, .only = only, .only_count = 3}, 0,
		"  AGE  NAME     LOST\n"
		"1m01s  orde" DOTS "th     1\n"
		"1m01s  b           0\n");
}

static void titles_can_be_left_out(void **state)
{
	const size_t only[] = {4, 0};

	(void)state;
	assert_printed(&(struct mr_cli_look){.no_headers = true, .only = only, .only_count = 2}, 0,
		"1  orders.europe.north\n"
		"0  b\n");
}

static void what_is_wrong_is_red(void **state)
{
	const size_t only[] = {1, 4};

	(void)state;
	assert_printed(&(struct mr_cli_look){.colour = true, .only = only, .only_count = 2}, 0,
		"\033[1mSTATE  LOST\033[0m\n"
		"up        \033[31m1\033[0m\n"
		"\033[31mdown\033[0m      0\n");
}

/* Prints two queues whose names differ in the middle, in 30 columns. */
static void assert_names_printed(uint64_t lost, const char *expected)
{
	static const struct mr_cli_column names[] = {
		{"QUEUE", "name", .least = 6, .identifies = true},
		{"READY", "ready", .right = true},
		{"LOST", "lost", .right = true, .rank = 1, .alarm = true},
	};
	static const char *const texts[] = {
		"jobs.department-001.overnight", "jobs.department-002.overnight"};
	struct mr_cli_table t;
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	mr_cli_table_init(&t, names, sizeof(names) / sizeof(names[0]));
	for (unsigned i = 0; i < 2; i++) {
		mr_cli_table_text(&t, texts[i], strlen(texts[i]));
		mr_cli_table_count(&t, i);
		mr_cli_table_count(&t, lost);
	}
	mr_cli_layout_print(&t, &(struct mr_cli_look){.width = 30}, 0, 2, out);
	fclose(out);
	mr_cli_table_fini(&t);
	assert_string_equal(text, expected);
	free(text);
}

static void names_keep_what_tells_them_apart(void **state)
{
	(void)state;
	assert_names_printed(1, "QUEUE              READY  LOST\n"
				"jobs.de" DOTS "-001.ov" DOTS "t      0     1\n"
				"jobs.de" DOTS "-002.ov" DOTS "t      1     1\n");
}

static void columns_without_alarms_go_before_names_are_cut(void **state)
{
	(void)state;
	assert_names_printed(0, "QUEUE                    READY\n"
				"jobs.department-001.ov" DOTS "      0\n"
				"jobs.department-002.ov" DOTS "      1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_limit_all_is_shown),
		cmocka_unit_test(plain_numbers_name_their_unit_in_the_title),
		cmocka_unit_test(counts_are_shortened_before_columns_are_dropped),
		cmocka_unit_test(texts_are_cut_down_to_their_least),
		cmocka_unit_test(columns_are_dropped_by_rank),
		cmocka_unit_test(no_line_is_wider_than_the_terminal),
		cmocka_unit_test(chosen_columns_are_cut_and_not_dropped),
		cmocka_unit_test(titles_can_be_left_out),
		cmocka_unit_test(what_is_wrong_is_red),
		cmocka_unit_test(names_keep_what_tells_them_apart),
		cmocka_unit_test(columns_without_alarms_go_before_names_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
