/* SPDX-License-Identifier: Apache-2.0 */
/* table: rows of typed cells, printed as aligned columns for people or as JSON for programs.
 *
 *   mr_cli_table_init(&t, columns, MR_ARRAY_COUNT(columns));
 *   mr_cli_table_text(&t, "a", 1), mr_cli_table_count(&t, 3);   (one cell a column, row by row)
 *   mr_cli_table_print(&t, stdout, json);
 *   mr_cli_table_fini(&t);
 *
 * Owns      Its cells and copies of their texts.
 * Errors    Out of memory ends the program.
 */
#ifndef MILLRACE_CLI_TABLE_H
#define MILLRACE_CLI_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flatbuf/runtime/read.h"

struct mr_cli_column {
	const char *title; /* NULL: in JSON only */
	const char *key;   /* key in JSON; NULL: not in JSON */
	bool right;        /* aligned right */
};

enum mr_cli_cell_type {
	MR_CLI_CELL_NONE,
	MR_CLI_CELL_TEXT,
	MR_CLI_CELL_COUNT,
	MR_CLI_CELL_ID,
	MR_CLI_CELL_REAL,
	MR_CLI_CELL_BOOL,
};

struct mr_cli_cell {
	enum mr_cli_cell_type type;
	char *text; /* unescaped */
	size_t text_bytes;
	uint64_t count;
	double real;
};

struct mr_cli_table {
	const struct mr_cli_column *columns;
	size_t columns_count;
	struct mr_cli_cell *cells;
	size_t cells_count;
	size_t cells_capacity;
};

void mr_cli_table_init(
	struct mr_cli_table *t, const struct mr_cli_column *columns, size_t columns_count);
void mr_cli_table_fini(struct mr_cli_table *t);

/* Adds an empty cell: "-" for people, null in JSON. */
void mr_cli_table_none(struct mr_cli_table *t);
void mr_cli_table_text(struct mr_cli_table *t, const char *text, size_t bytes);
void mr_cli_table_string(struct mr_cli_table *t, struct mrf_string text);
void mr_cli_table_count(struct mr_cli_table *t, uint64_t value);
/* Adds "yes" or "no"; true or false in JSON. */
void mr_cli_table_bool(struct mr_cli_table *t, bool value);
/* Adds a 64-bit id: 0x and 16 digits. In JSON it is a string too: JSON numbers are not exact above
 * 2^53. */
void mr_cli_table_id(struct mr_cli_table *t, uint64_t value);
/* Adds a number with one decimal place for people. */
void mr_cli_table_real(struct mr_cli_table *t, double value);

/* Prints aligned columns under a line of titles. */
void mr_cli_table_print(const struct mr_cli_table *t, FILE *out, bool colour);
/* Prints each row as lines of key and value, for tables with too many columns for a terminal. */
void mr_cli_table_print_lines(const struct mr_cli_table *t, FILE *out);
/* Returns an array with one object for each row. */
json_t *mr_cli_table_json(const struct mr_cli_table *t);
/* Prints columns or JSON on standard output, and frees the table. */
void mr_cli_table_show(struct mr_cli_table *t, bool colour, bool json);

#endif
