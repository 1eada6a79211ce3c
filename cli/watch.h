/* SPDX-License-Identifier: Apache-2.0 */
/* watch: takes readings at an interval and shows the changes between them, until it is stopped.
 *
 * On a terminal the values are updated in place, also when its size changes; elsewhere each reading
 * is printed as a block. A verb may take keys from the terminal.
 *
 * Threads   The main one.
 * Errors    An exit code; errors have been reported. Gives up after ten failed readings in a row.
 */
#ifndef MILLRACE_CLI_WATCH_H
#define MILLRACE_CLI_WATCH_H

#include "cli/admin.h"
#include "cli/view.h"

/* Keys that are no characters. */
enum mr_cli_key {
	MR_CLI_KEY_PAGE_UP = 256,
	MR_CLI_KEY_PAGE_DOWN,
	MR_CLI_KEY_HOME,
	MR_CLI_KEY_END,
	MR_CLI_KEY_OTHER,
};

struct mr_cli_watch {
	uint64_t interval_ms;
	uint64_t count; /* stop after this many; 0: never */
	/* Takes a reading through `a`, which it opens; the caller closes it. Returns 0 or
	 * -errno. */
	int (*take)(const struct mr_cli_watch *w, struct mr_cli_admin *a);
	/* Shows the last reading beside the one before; `in_place`: over the previous output. It
	 * may be called again for the same reading. Returns an exit code; all but 0 end it. */
	int (*show)(const struct mr_cli_watch *w, bool in_place);
	/* Acts on a key of the terminal; the reading is shown again. False ends it. NULL: keys are
	 * left alone. */
	bool (*key)(const struct mr_cli_watch *w, int key);
	const struct mr_cli *cli;
	void *arg;
};

/* Runs until interrupted, or until nobody reads the output. */
int mr_cli_watch(const struct mr_cli_watch *w);

/* Prints the date, `text` and the address of the bus, cut to the terminal, after clearing the
 * screen if `in_place`. */
void mr_cli_watch_head(const struct mr_cli *cli, bool in_place, const char *text);

/* Shows a table under a head with `text`, for a verb with one table. Selects the rows, which stay
 * in the table. On a screen prints only those that fit. */
int mr_cli_watch_show(const struct mr_cli_watch *w, bool in_place, const char *text,
	const struct mr_cli_view *view, struct mr_cli_table *t);

/* Returns the key that a terminal's bytes begin with; *taken gets its bytes. */
int mr_cli_watch_key(const char *bytes, size_t count, size_t *taken);

/* Returns a rate. After a restart of the data plane counters begin at 0: a smaller value counts
 * fully. */
static inline double mr_cli_rate(uint64_t now, uint64_t before, double seconds)
{
	return seconds > 0 ? (double)(now >= before ? now - before : now) / seconds : 0;
}

#endif
