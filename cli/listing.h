/* SPDX-License-Identifier: Apache-2.0 */
/* listing: a verb that asks control once, and prints a table.
 *
 * Threads   The main one.
 * Errors    Exit codes; errors have been reported.
 */
#ifndef MILLRACE_CLI_LISTING_H
#define MILLRACE_CLI_LISTING_H

#include "cli/admin.h"
#include "cli/view.h"

struct mr_cli_listing {
	enum mrf_admin_verb verb;
	enum mrf_admin_body body; /* type of the answer */
	const struct mr_cli_column *columns;
	size_t columns_count;
	/* Adds the rows of the answer; `settings` are the verb's. */
	void (*fill)(struct mr_cli_table *t, struct mrf_table answer, const void *settings);
	const char *sort; /* order without --sort; NULL: control's */
};

int mr_cli_list(const struct mr_cli *cli, const struct mr_cli_listing *l, const void *settings,
	const struct mr_cli_view *view);

/* Settings of verbs that have the options of a list and no others. */
struct mr_cli_list_settings {
	struct mr_cli_view view;
};
extern const struct mr_cli_option mr_cli_list_options[];

#endif
