/* SPDX-License-Identifier: Apache-2.0 */
/* consumers: the consumers of one queue, as a table; pauses of single ones.
 *
 * Owns      Nothing.
 * Errors    Reported; the functions return exit codes.
 */
#ifndef MILLRACE_CLI_CONSUMERS_H
#define MILLRACE_CLI_CONSUMERS_H

#include "cli/cli.h"
#include "cli/table.h"
#include "cli/view.h"
#include "flatbuf/admin.h"

struct mr_cli_consumers {
	const struct mr_cli *cli;
	const struct mr_cli_view *view;
	const char *queue;
	const char *consumer; /* pause, resume: a tag or a session */
};

/* Makes the table of the consumers in a QueueRow. */
void mr_cli_consumers_table(struct mr_cli_table *t, struct mrf_table queue);
/* Prints them with the names, users and addresses of their clients. */
int mr_cli_consumers_list(const struct mr_cli_consumers *c);
int mr_cli_consumers_pause(const struct mr_cli_consumers *c, bool paused);

#endif
