/* SPDX-License-Identifier: Apache-2.0 */
/* transfer: moves the messages of a queue to another queue, to a file, or from a file.
 *
 * A message leaves its queue when it is safe: when the other queue has accepted it, or when its
 * line is written. If the command or the bus is killed before, it is there still; it may then be in
 * both places.
 *
 * Threads   The main one.
 * Errors    An exit code; errors have been reported.
 */
#ifndef MILLRACE_CLI_TRANSFER_H
#define MILLRACE_CLI_TRANSFER_H

#include "cli/cli.h"

struct mr_cli_transfer {
	const struct mr_cli *cli;
	const char *from; /* queue; NULL: standard input */
	const char *to;   /* queue; NULL: standard output */
	uint64_t count;   /* at most so many messages; 0: all */
	bool json;        /* the summary as JSON */
};

int mr_cli_transfer_move(const struct mr_cli_transfer *t);
int mr_cli_transfer_export(const struct mr_cli_transfer *t);
int mr_cli_transfer_import(const struct mr_cli_transfer *t);

#endif
