/* SPDX-License-Identifier: Apache-2.0 */
/* table: rows of typed cells, for people (layout.h) or as JSON for programs.
 *
 *   mr_cli_table_init(&t, columns, MR_ARRAY_COUNT(columns));
 *   mr_cli_table_text(&t, "a", 1), mr_cli_table_count(&t, 3);   (one cell a column, row by row)
 *   mr_cli_view_show(cli, &view, &t);                            (view.h; frees the table)
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

#include "cli/human.h"
#include "cli/width.h"
#include "flatbuf/runtime/read.h"

struct mr_cli_column {
	const char *title; /* NULL: shown only if --columns names its key */
	const char *key;   /* key in JSON, and name for --columns, --sort and --filter */
	bool right;        /* aligned right */
	bool screen_only;  /* not in JSON, though it has a key */
	/* The column with the highest rank is dropped first where the room is short. 0: stays. */
	uint8_t rank;
	/* A text may be cut to this width. 0: it is not cut as long as columns can be dropped. */
	uint8_t least;
	enum mr_cli_elision elision;
	bool identifies; /* its texts tell the rows apart, and get the room for that */
	enum mr_cli_unit unit;
	bool alarm;       /* a number above 0 is wrong */
	const char *good; /* any other text is wrong; NULL: none is */
	/* Title above this and the next columns in a list of lines; NULL: none. */
	const char *section;
};

/* Upper limit of a table's columns. */
#define MR_CLI_COLUMNS_MAX 256

enum mr_cli_cell_type {
	MR_CLI_CELL_NONE,
	MR_CLI_CELL_TEXT,
	MR_CLI_CELL_COUNT,
	MR_CLI_CELL_ID,
	MR_CLI_CELL_REAL,
	MR_CLI_CELL_BOOL,
	MR_CLI_CELL_LIST,   /* a text, whose parts are separated by commas; in JSON an array */
	MR_CLI_CELL_COUNTS, /* a text, name=number,...; in JSON an object */
};

struct mr_cli_cell {
	enum mr_cli_cell_type type;
	char *text; /* unescaped */
	size_t text_bytes;
	uint64_t count;
	double real;
	bool no_limit; /* `count` stands for no limit: "-" in a table, "no limit" in lines */
};

struct mr_cli_table {
	const struct mr_cli_column *columns;
	size_t columns_count;
	struct mr_cli_cell *cells;
	size_t cells_count;
	size_t cells_capacity;
	const char *sort; /* order of the rows without --sort, as its value; NULL: as they came */
};

/* Returns memory that was allocated, or ends the program if there was none: for a list and what it
 * is made of. */
void *mr_cli_must(void *memory);

void mr_cli_table_init(
	struct mr_cli_table *t, const struct mr_cli_column *columns, size_t columns_count);
void mr_cli_table_fini(struct mr_cli_table *t);

/* Adds an empty cell: "-" for people, null in JSON. */
void mr_cli_table_none(struct mr_cli_table *t);
void mr_cli_table_text(struct mr_cli_table *t, const char *text, size_t bytes);
void mr_cli_table_string(struct mr_cli_table *t, struct mrf_string text);
void mr_cli_table_count(struct mr_cli_table *t, uint64_t value);
/* Adds a limit; the value `none` stands for no limit. JSON has the value in any case. */
void mr_cli_table_limit(struct mr_cli_table *t, uint64_t value, uint64_t none);
/* Adds "yes" or "no"; true or false in JSON. */
void mr_cli_table_bool(struct mr_cli_table *t, bool value);
/* Adds a 64-bit id: 0x and 16 digits. In JSON it is a string too: JSON numbers are not exact above
 * 2^53. */
void mr_cli_table_id(struct mr_cli_table *t, uint64_t value);
/* Adds a number with one decimal place for people. */
void mr_cli_table_real(struct mr_cli_table *t, double value);

/* Adds a text of parts with commas between them. */
void mr_cli_table_list(struct mr_cli_table *t, const char *text, size_t bytes);
/* Adds a text of parts NAME=NUMBER with commas between them. */
void mr_cli_table_counts(struct mr_cli_table *t, const char *text, size_t bytes);

/* Bytes for the text of any cell: the longest subject with every byte escaped, and some room. */
#define MR_CLI_CELL_BYTES_MAX 1100
/* Formats a cell; a long text is cut. `raw`: numbers without units; `compact`: counts shortened. */
void mr_cli_cell_show(const struct mr_cli_cell *cell, enum mr_cli_unit unit, bool raw, bool compact,
	char *out, size_t out_bytes);

/* Returns the number of rows. */
size_t mr_cli_table_rows(const struct mr_cli_table *t);
/* Prints each row as lines of key and value, in sections, for tables with too many columns for a
 * terminal. */
void mr_cli_table_print_lines(const struct mr_cli_table *t, FILE *out);
/* Returns an array with one object for each row. */
json_t *mr_cli_table_json(const struct mr_cli_table *t);

#endif
