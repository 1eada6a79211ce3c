/* SPDX-License-Identifier: Apache-2.0 */
/* transfer: moves or copies the messages of a queue to another queue, to a file, or from a file.
 *
 * A message leaves its queue when it is safe: when the other queue has accepted it, or when its
 * line is written. If the command or the bus is killed before, it is there still; it may then be in
 * both places.
 *
 * A message keeps its headers, priority, time to live and delay, ticket, and failed attempts;
 * letters from NAME.dead begin anew. The messages that are not due come last.
 *
 * The command is a consumer of the queue. Messages that a filter passes over, and those that are
 * copied, are held until the end and then given back to their places, MR_CLI_HELD_MAX of them at
 * most and for half of the queue's ack time-out.
 *
 * Threads   The main one.
 * Errors    An exit code; errors have been reported.
 */
#ifndef MILLRACE_CLI_TRANSFER_H
#define MILLRACE_CLI_TRANSFER_H

#include "cli/cli.h"
#include "cli/filter.h"

#define MR_CLI_HELD_MAX 60000u

struct mr_cli_transfer {
	const struct mr_cli *cli;
	const char *from; /* queue; NULL: standard input */
	const char *to;   /* queue; NULL: standard output */
	uint64_t count;   /* at most so many messages; 0: all */
	bool json;        /* the summary as JSON */
	const struct mr_cli_filter *filter;
};

int mr_cli_transfer_move(const struct mr_cli_transfer *t);
/* Leaves the messages in their queue. */
int mr_cli_transfer_copy(const struct mr_cli_transfer *t);
int mr_cli_transfer_export(const struct mr_cli_transfer *t);
int mr_cli_transfer_import(const struct mr_cli_transfer *t);

#endif
