/* SPDX-License-Identifier: Apache-2.0 */
/* counters: every counter of the bus with its explanation, as a table. */
#include "cli/listing.h"
#include "cli/verbs.h"
#include "lib/base/compiler.h"

struct settings {
	struct mr_cli_view view;
	bool all;
};

static const struct mr_cli_column counter_columns[] = {
	{"SCOPE", "scope", .rank = 2},
	{"INDEX", "index", .right = true, .rank = 3},
	{"NAME", "name"},
	{"VALUE", "value", .right = true},
	{"WHAT IT COUNTS", "text", .rank = 1, .least = 20, .elision = MR_CLI_ELIDE_END},
};

static void counter_row(struct mr_cli_table *t, struct mrf_table row)
{
	mr_cli_table_string(t, mrf_admin_counter_scope(row));
	mr_cli_table_count(t, mrf_admin_counter_index(row));
	mr_cli_table_string(t, mrf_admin_counter_name(row));
	mr_cli_table_count(t, mrf_admin_counter_value(row));
	mr_cli_table_string(t, mrf_admin_counter_text(row));
}

static void fill_counters(struct mr_cli_table *t, struct mrf_table counters, const void *settings)
{
	const struct settings *set = settings;

	for (uint32_t i = 0; i < mrf_admin_counters_rows_count(counters); i++) {
		struct mrf_table row = mrf_admin_counters_rows_at(counters, i);

		if (set->all || mrf_admin_counter_value(row) != 0)
			counter_row(t, row);
	}
}

static int run_counters(
	const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static const struct mr_cli_listing listing = {
		.verb = MRF_ADMIN_VERB_COUNTERS,
		.body = MRF_ADMIN_BODY_ADMIN_COUNTERS,
		.columns = counter_columns,
		.columns_count = MR_ARRAY_COUNT(counter_columns),
		.fill = fill_counters,
	};
	const struct settings *set = settings;

	(void)w;
	return mr_cli_list(cli, &listing, set, &set->view);
}

static const struct mr_cli_option counter_options[] = {
	{.name = "all",
		.letter = 'a',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, all),
		.help = "list also counters that are zero"},
	MR_CLI_VIEW_OPTIONS,
	{0},
};

const struct mr_cli_verb mr_cli_counters = {
	.name = "counters",
	.summary = "list every counter with its explanation",
	.operands = "",
	.details = "The bus counts each message that it discards in exactly one counter, whose\n"
		   "name says why.",
	.examples =
		"  millrace counters\n"
		"  millrace counters --filter name~^drop_ --sort -value --limit 10\n"
		"  millrace counters --all --json | jq '.[] | select(.name == \"drop_unrouted\")'",
	.options = counter_options,
	.settings_bytes = sizeof(struct settings),
	.run = run_counters,
};
