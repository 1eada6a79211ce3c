/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/listing.h"

#include "cli/text.h"

static void show(const struct mr_cli *cli, const struct mr_cli_listing *l, const void *settings,
	struct mrf_table answer, bool json)
{
	struct mr_cli_table t;

	if (json && l->json) {
		mr_cli_text_json_line(l->json(answer));
		return;
	}
	mr_cli_table_init(&t, l->columns, l->columns_count);
	l->fill(&t, answer, settings);
	mr_cli_table_show(&t, cli->colour, json);
}

int mr_cli_list(
	const struct mr_cli *cli, const struct mr_cli_listing *l, const void *settings, bool json)
{
	struct mr_cli_admin admin;
	struct mrf_table answer;
	int code = mr_cli_admin_query(cli, &admin, l->verb, 0, l->body, &answer);

	if (code == MR_EXIT_OK)
		show(cli, l, settings, answer, json);
	mr_cli_admin_close(&admin);
	return code;
}

const struct mr_cli_option mr_cli_list_options[] = {
	{.name = "json",
		.letter = 'j',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct mr_cli_list_settings, json),
		.help = "print a JSON array of objects"},
	{0},
};
