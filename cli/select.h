/* SPDX-License-Identifier: Apache-2.0 */
/* select: chooses and orders rows and columns of a table, by expressions of the command line.
 *
 * A column is named by its key in JSON or its title; case does not count, and - equals _.
 *
 *   columns  KEY[,KEY...]
 *   sort     [-]KEY[,[-]KEY...]    with -, the largest first; empty cells are always last
 *   filter   KEY=VALUE  KEY!=VALUE  KEY~REGEX  KEY!~REGEX  KEY>N  KEY>=N  KEY<N  KEY<=N
 *
 * VALUE is a text, yes or no, an id or a number; N a number, with a unit if wanted (human.h); REGEX
 * an extended regular expression (regex(7)), found anywhere in the cell. An empty cell equals
 * the empty VALUE and "-" only, and matches no REGEX and no comparison.
 *
 * Threads   Any.
 * Errors    False, and a text that names the expression, the reason and what is expected.
 */
#ifndef MILLRACE_CLI_SELECT_H
#define MILLRACE_CLI_SELECT_H

#include "cli/table.h"

/* Bytes for a text of error, which may list all columns. */
#define MR_CLI_SELECT_ERROR_BYTES 1024

/* Removes the rows that do not match. */
bool mr_cli_select_filter(
	struct mr_cli_table *t, const char *expression, char error[MR_CLI_SELECT_ERROR_BYTES]);
/* Sorts the rows; equal ones keep their order. */
bool mr_cli_select_sort(
	struct mr_cli_table *t, const char *keys, char error[MR_CLI_SELECT_ERROR_BYTES]);
/* Puts the last row first. */
void mr_cli_select_reverse(struct mr_cli_table *t);
/* Removes the rows behind the first `limit`. */
void mr_cli_select_limit(struct mr_cli_table *t, uint64_t limit);
/* Writes the indices of the named columns. */
bool mr_cli_select_columns(const struct mr_cli_table *t, const char *keys,
	size_t only[MR_CLI_COLUMNS_MAX], size_t *only_count, char error[MR_CLI_SELECT_ERROR_BYTES]);

#endif
