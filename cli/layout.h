/* SPDX-License-Identifier: Apache-2.0 */
/* layout: prints a table as aligned columns, in the width of a terminal.
 *
 * Where the room is short, counts are shortened first, then columns are dropped by rank, then texts
 * are cut. Columns that tell of something wrong go before the names of rows are cut, if nothing is
 * wrong. Different texts of a column stay different (distinct.h). No line is wider than the
 * terminal.
 *
 * Threads   Any.
 * Errors    None.
 */
#ifndef MILLRACE_CLI_LAYOUT_H
#define MILLRACE_CLI_LAYOUT_H

#include "cli/table.h"

struct mr_cli_look {
	size_t width; /* columns of the terminal; 0: unlimited */
	const size_t
		*only; /* indices of the columns to show, in this order; NULL: those with a title */
	size_t only_count;
	bool raw;        /* numbers without units */
	bool no_headers; /* no line of titles */
	bool colour;
};

/* Prints the titles and the rows `from` to `to` (without `to`). Returns the number of columns that
 * were dropped for want of room. */
size_t mr_cli_layout_print(const struct mr_cli_table *t, const struct mr_cli_look *look,
	size_t from, size_t to, FILE *out);

#endif
