/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

#define CELL_BYTES_MAX 1100 /* the longest subject with every byte escaped, and some room */

static void *must(void *memory)
{
	if (!memory) {
		fputs("millrace: out of memory\n", stderr);
		exit(1);
	}
	return memory;
}

void mr_cli_table_init(
	struct mr_cli_table *t, const struct mr_cli_column *columns, size_t columns_count)
{
	*t = (struct mr_cli_table){.columns = columns, .columns_count = columns_count};
}

void mr_cli_table_fini(struct mr_cli_table *t)
{
	for (size_t i = 0; i < t->cells_count; i++)
		free(t->cells[i].text);
	free(t->cells);
}

static struct mr_cli_cell *add(struct mr_cli_table *t, enum mr_cli_cell_type type)
{
	struct mr_cli_cell *cell;

	if (t->cells_count == t->cells_capacity) {
		t->cells_capacity = t->cells_capacity ? t->cells_capacity * 2 : 64;
		t->cells = must(reallocarray(t->cells, t->cells_capacity, sizeof(*t->cells)));
	}
	cell = &t->cells[t->cells_count++];
	*cell = (struct mr_cli_cell){.type = type};
	return cell;
}

void mr_cli_table_none(struct mr_cli_table *t)
{
	add(t, MR_CLI_CELL_NONE);
}

void mr_cli_table_text(struct mr_cli_table *t, const char *text, size_t bytes)
{
	struct mr_cli_cell *cell = add(t, MR_CLI_CELL_TEXT);

	cell->text = must(malloc(bytes + 1));
	if (bytes)
		memcpy(cell->text, text, bytes);
	cell->text[bytes] = '\0';
	cell->text_bytes = bytes;
}

void mr_cli_table_string(struct mr_cli_table *t, struct mrf_string text)
{
	mr_cli_table_text(t, text.data, text.bytes);
}

void mr_cli_table_bool(struct mr_cli_table *t, bool value)
{
	add(t, MR_CLI_CELL_BOOL)->count = value;
}

void mr_cli_table_count(struct mr_cli_table *t, uint64_t value)
{
	add(t, MR_CLI_CELL_COUNT)->count = value;
}

void mr_cli_table_id(struct mr_cli_table *t, uint64_t value)
{
	add(t, MR_CLI_CELL_ID)->count = value;
}

void mr_cli_table_real(struct mr_cli_table *t, double value)
{
	add(t, MR_CLI_CELL_REAL)->real = value;
}

static void cell_show(const struct mr_cli_cell *cell, char *out, size_t out_bytes)
{
	switch (cell->type) {
	case MR_CLI_CELL_NONE: snprintf(out, out_bytes, "-"); break;
	case MR_CLI_CELL_TEXT:
		mr_cli_text_escape(out, out_bytes, cell->text, cell->text_bytes);
		break;
	case MR_CLI_CELL_COUNT: snprintf(out, out_bytes, "%" PRIu64, cell->count); break;
	case MR_CLI_CELL_ID: snprintf(out, out_bytes, "0x%016" PRIx64, cell->count); break;
	case MR_CLI_CELL_REAL: snprintf(out, out_bytes, "%.1f", cell->real); break;
	case MR_CLI_CELL_BOOL: snprintf(out, out_bytes, cell->count ? "yes" : "no"); break;
	}
}

/* Counts characters, not bytes; for names and subjects this is close to the width in columns. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static size_t column_width(const struct mr_cli_table *t, size_t column)
{
	size_t width = width_of(t->columns[column].title);
	char text[CELL_BYTES_MAX];

	for (size_t i = column; i < t->cells_count; i += t->columns_count) {
		cell_show(&t->cells[i], text, sizeof(text));
		if (width_of(text) > width)
			width = width_of(text);
	}
	return width;
}

static void print_padded(
	FILE *out, const char *text, size_t width, const struct mr_cli_column *column, bool last)
{
	int pad = (int)(width - width_of(text));

	if (column->right)
		fprintf(out, "%*s%s", pad, "", text);
	else
		fprintf(out, "%s%*s", text, last ? 0 : pad, "");
	fputs(last ? "\n" : "  ", out);
}

/* Prints a row; `cells` NULL: the titles. */
static void print_row(const struct mr_cli_table *t, const struct mr_cli_cell *cells,
	const size_t *widths, size_t last, FILE *out)
{
	char text[CELL_BYTES_MAX];

	for (size_t c = 0; c <= last; c++) {
		if (!t->columns[c].title)
			continue;
		if (cells)
			cell_show(&cells[c], text, sizeof(text));
		else
			snprintf(text, sizeof(text), "%s", t->columns[c].title);
		print_padded(out, text, widths[c], &t->columns[c], c == last);
	}
}

void mr_cli_table_print(const struct mr_cli_table *t, FILE *out, bool colour)
{
	size_t widths[64] = {0};
	size_t last = 0;

	assert(t->columns_count <= 64 && t->cells_count % t->columns_count == 0);
	for (size_t c = 0; c < t->columns_count; c++) {
		if (!t->columns[c].title)
			continue;
		widths[c] = column_width(t, c);
		last = c;
	}
	fputs(colour ? "\033[1m" : "", out);
	print_row(t, NULL, widths, last, out);
	fputs(colour ? "\033[0m" : "", out);
	for (size_t i = 0; i < t->cells_count; i += t->columns_count)
		print_row(t, &t->cells[i], widths, last, out);
}

void mr_cli_table_print_lines(const struct mr_cli_table *t, FILE *out)
{
	char text[CELL_BYTES_MAX];
	size_t width = 0;

	for (size_t c = 0; c < t->columns_count; c++) {
		if (t->columns[c].key && width_of(t->columns[c].key) > width)
			width = width_of(t->columns[c].key);
	}
	for (size_t i = 0; i < t->cells_count; i++) {
		const char *key = t->columns[i % t->columns_count].key;

		if (!key)
			continue;
		cell_show(&t->cells[i], text, sizeof(text));
		fprintf(out, "%-*s  %s\n", (int)width, key, text);
	}
}

static void set_cell(json_t *row, const char *key, const struct mr_cli_cell *cell)
{
	char text[32];

	switch (cell->type) {
	case MR_CLI_CELL_NONE: json_object_set_new(row, key, json_null()); break;
	case MR_CLI_CELL_TEXT: mr_cli_text_json(row, key, cell->text, cell->text_bytes); break;
	case MR_CLI_CELL_COUNT:
		json_object_set_new(row, key, json_integer((json_int_t)cell->count));
		break;
	case MR_CLI_CELL_ID:
		cell_show(cell, text, sizeof(text));
		json_object_set_new(row, key, json_string(text));
		break;
	case MR_CLI_CELL_REAL: json_object_set_new(row, key, json_real(cell->real)); break;
	case MR_CLI_CELL_BOOL: json_object_set_new(row, key, json_boolean(cell->count)); break;
	}
}

json_t *mr_cli_table_json(const struct mr_cli_table *t)
{
	json_t *rows = must(json_array());

	assert(t->cells_count % t->columns_count == 0);
	for (size_t i = 0; i < t->cells_count; i += t->columns_count) {
		json_t *row = must(json_object());

		for (size_t c = 0; c < t->columns_count; c++) {
			if (t->columns[c].key)
				set_cell(row, t->columns[c].key, &t->cells[i + c]);
		}
		json_array_append_new(rows, row);
	}
	return rows;
}

void mr_cli_table_show(struct mr_cli_table *t, bool colour, bool json)
{
	if (json)
		mr_cli_text_json_line(mr_cli_table_json(t));
	else
		mr_cli_table_print(t, stdout, colour);
	mr_cli_table_fini(t);
}
