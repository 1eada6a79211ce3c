/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/listing.h"

static int show(const struct mr_cli *cli, const struct mr_cli_listing *l, const void *settings,
	struct mrf_table answer, const struct mr_cli_view *view)
{
	struct mr_cli_table t;

	mr_cli_table_init(&t, l->columns, l->columns_count);
	t.sort = l->sort;
	l->fill(&t, answer, settings);
	return mr_cli_view_show(cli, view, &t);
}

int mr_cli_list(const struct mr_cli *cli, const struct mr_cli_listing *l, const void *settings,
	const struct mr_cli_view *view)
{
	struct mr_cli_admin admin;
	struct mrf_table answer;
	int code = mr_cli_admin_query(cli, &admin, l->verb, 0, l->body, &answer);

	if (code == MR_EXIT_OK)
		code = show(cli, l, settings, answer, view);
	mr_cli_admin_close(&admin);
	return code;
}

/* The layout of mr_cli_list_settings, under the name that the options want. */
struct settings {
	struct mr_cli_view view;
};

_Static_assert(sizeof(struct settings) == sizeof(struct mr_cli_list_settings), "the same layout");

const struct mr_cli_option mr_cli_list_options[] = {
	MR_CLI_VIEW_OPTIONS,
	{0},
};
