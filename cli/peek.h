/* SPDX-License-Identifier: Apache-2.0 */
/* peek: shows the first messages of a queue, or the first that a filter chooses; all stay in it.
 *
 * Threads   The main one.
 * Errors    An exit code; errors have been reported.
 */
#ifndef MILLRACE_CLI_PEEK_H
#define MILLRACE_CLI_PEEK_H

#include "cli/filter.h"
#include "cli/view.h"

/* Bytes of a payload shown in a table. */
#define MR_CLI_EXCERPT_BYTES 64u

struct mr_cli_peek {
	const struct mr_cli *cli;
	const char *queue;
	uint64_t count;
	const struct mr_cli_view *view;
	const struct mr_cli_filter *filter;
};

int mr_cli_peek(const struct mr_cli_peek *p);

#endif
