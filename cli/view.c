/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/view.h"

#include <string.h>

#include "cli/select.h"
#include "cli/terminal.h"
#include "cli/text.h"

static int fail(const struct mr_cli *cli, const char *option, const char *why)
{
	return mr_cli_fail(cli, MR_EXIT_USAGE, option, why, NULL);
}

bool mr_cli_view_colour(const struct mr_cli *cli, const struct mr_cli_view *view)
{
	if (!view->colour || strcmp(view->colour, "auto") == 0)
		return cli->colour;
	return strcmp(view->colour, "always") == 0;
}

int mr_cli_view_select(
	const struct mr_cli *cli, const struct mr_cli_view *view, struct mr_cli_table *t)
{
	const char *sort = view->sort ? view->sort : t->sort;
	char error[MR_CLI_SELECT_ERROR_BYTES];

	for (unsigned i = 0; i < view->filters.count; i++) {
		if (!mr_cli_select_filter(t, view->filters.at[i], error))
			return fail(cli, "--filter", error);
	}
	if (sort && !mr_cli_select_sort(t, sort, error))
		return fail(cli, "--sort", error);
	if (view->limit > 0)
		mr_cli_select_limit(t, view->limit);
	return MR_EXIT_OK;
}

/* Says what is missing, so that nobody takes a part for the whole. */
static void print_missing(size_t rows, size_t columns, bool colour)
{
	if (rows == 0 && columns == 0)
		return;
	fputs(colour ? "\033[2m" : "", stdout);
	if (rows > 0)
		printf("%zu more row%s%s", rows, rows == 1 ? "" : "s", columns > 0 ? ", " : "");
	if (columns > 0)
		printf("%zu more column%s: --wide", columns, columns == 1 ? "" : "s");
	fputs(colour ? "\033[0m\n" : "\n", stdout);
}

int mr_cli_view_print(const struct mr_cli *cli, const struct mr_cli_view *view,
	const struct mr_cli_table *t, size_t from, size_t to)
{
	size_t only[MR_CLI_COLUMNS_MAX], dropped;
	struct mr_cli_look look = {
		.width = view->wide ? 0 : mr_cli_terminal_size().columns,
		.raw = view->raw,
		.no_headers = view->no_headers,
		.colour = mr_cli_view_colour(cli, view),
	};
	char error[MR_CLI_SELECT_ERROR_BYTES];

	if (view->columns) {
		if (!mr_cli_select_columns(t, view->columns, only, &look.only_count, error))
			return fail(cli, "--columns", error);
		look.only = only;
	}
	dropped = mr_cli_layout_print(t, &look, from, to, stdout);
	if (!view->no_headers)
		print_missing(mr_cli_table_rows(t) - (to - from), dropped, look.colour);
	return MR_EXIT_OK;
}

int mr_cli_view_show(
	const struct mr_cli *cli, const struct mr_cli_view *view, struct mr_cli_table *t)
{
	int code = mr_cli_view_select(cli, view, t);

	if (code == MR_EXIT_OK && view->json)
		mr_cli_text_json_line(mr_cli_table_json(t));
	else if (code == MR_EXIT_OK)
		code = mr_cli_view_print(cli, view, t, 0, mr_cli_table_rows(t));
	mr_cli_table_fini(t);
	return code;
}
