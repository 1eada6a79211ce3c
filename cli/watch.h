/* SPDX-License-Identifier: Apache-2.0 */
/* watch: takes readings at an interval and shows the changes between them, until it is stopped.
 *
 * On a terminal the values are updated in place; elsewhere each reading is printed as a block.
 *
 * Threads   The main one.
 * Errors    An exit code; errors have been reported. Gives up after ten failed readings in a row.
 */
#ifndef MILLRACE_CLI_WATCH_H
#define MILLRACE_CLI_WATCH_H

#include "cli/admin.h"

struct mr_cli_watch {
	uint64_t interval_ms;
	uint64_t count; /* stop after this many; 0: never */
	/* Takes a reading through `a`, which it opens; the caller closes it. Returns 0 or
	 * -errno. */
	int (*take)(const struct mr_cli_watch *w, struct mr_cli_admin *a);
	/* Shows the last reading beside the one before; `in_place`: over the previous output. */
	void (*show)(const struct mr_cli_watch *w, bool in_place);
	const struct mr_cli *cli;
	void *arg;
};

/* Runs until interrupted, or until nobody reads the output. */
int mr_cli_watch(const struct mr_cli_watch *w);

/* Prints "millrace ADDRESS DATE ", after clearing the screen if `in_place`. */
void mr_cli_watch_head(const struct mr_cli *cli, bool in_place);

/* Returns a rate. After a restart of the data plane counters begin at 0: a smaller value counts
 * fully. */
static inline double mr_cli_rate(uint64_t now, uint64_t before, double seconds)
{
	return seconds > 0 ? (double)(now >= before ? now - before : now) / seconds : 0;
}

#endif
