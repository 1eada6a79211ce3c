/* SPDX-License-Identifier: Apache-2.0 */
/* listing: a verb that asks control once, and prints a table.
 *
 * Threads   The main one.
 * Errors    Exit codes; errors have been reported.
 */
#ifndef MILLRACE_CLI_LISTING_H
#define MILLRACE_CLI_LISTING_H

#include "cli/admin.h"
#include "cli/table.h"

struct mr_cli_listing {
	enum mrf_admin_verb verb;
	enum mrf_admin_body body; /* type of the answer */
	const struct mr_cli_column *columns;
	size_t columns_count;
	/* Adds the rows of the answer; `settings` are the verb's. */
	void (*fill)(struct mr_cli_table *t, struct mrf_table answer, const void *settings);
	/* Makes the JSON output; NULL: from the table. */
	json_t *(*json)(struct mrf_table answer);
};

int mr_cli_list(
	const struct mr_cli *cli, const struct mr_cli_listing *l, const void *settings, bool json);

/* Settings of verbs whose only option is --json. */
struct mr_cli_list_settings {
	bool json;
};
extern const struct mr_cli_option mr_cli_list_options[];

#endif
