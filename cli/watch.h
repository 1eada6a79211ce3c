/* SPDX-License-Identifier: Apache-2.0 */
/* watch: readings at an interval, and what changed from each to the next, until told to stop.
 *
 * On a terminal the figures are refreshed in place; elsewhere each reading is a block of its own.
 *
 * Threads   The main one.
 * Errors    An exit code; what went wrong was told. A bus that is away for ten readings is given
 *           up.
 */
#ifndef MILLRACE_CLI_WATCH_H
#define MILLRACE_CLI_WATCH_H

#include "cli/admin.h"

struct mr_cli_watch {
	uint64_t interval_ms;
	uint64_t count; /* stop after so many; 0: never */
	/* Takes a reading through `a`, which is not open yet and closed afterwards. 0 or -errno. */
	int (*take)(const struct mr_cli_watch *w, struct mr_cli_admin *a);
	/* Shows the last reading beside the one before it; `in_place`: over what was there. */
	void (*show)(const struct mr_cli_watch *w, bool in_place);
	const struct mr_cli *cli;
	void *arg;
};

/* Until interrupted, or nobody reads it. */
int mr_cli_watch(const struct mr_cli_watch *w);

/* "millrace ADDRESS  DATE  ", and the screen cleared before it if in place. */
void mr_cli_watch_head(const struct mr_cli *cli, bool in_place);

/* Counters of a restarted data plane begin again: what is less than before is all new. */
static inline double mr_cli_rate(uint64_t now, uint64_t before, double seconds)
{
	return seconds > 0 ? (double)(now >= before ? now - before : now) / seconds : 0;
}

#endif
