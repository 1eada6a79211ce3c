/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

void *mr_cli_must(void *memory)
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
	assert(columns_count > 0 && columns_count <= MR_CLI_COLUMNS_MAX);
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
		t->cells =
			mr_cli_must(reallocarray(t->cells, t->cells_capacity, sizeof(*t->cells)));
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

	cell->text = mr_cli_must(malloc(bytes + 1));
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

void mr_cli_table_limit(struct mr_cli_table *t, uint64_t value, uint64_t none)
{
	struct mr_cli_cell *cell = add(t, MR_CLI_CELL_COUNT);

	cell->count = value;
	cell->no_limit = value == none;
}

void mr_cli_table_id(struct mr_cli_table *t, uint64_t value)
{
	add(t, MR_CLI_CELL_ID)->count = value;
}

void mr_cli_table_real(struct mr_cli_table *t, double value)
{
	add(t, MR_CLI_CELL_REAL)->real = value;
}

void mr_cli_table_list(struct mr_cli_table *t, const char *text, size_t bytes)
{
	mr_cli_table_text(t, text, bytes);
	t->cells[t->cells_count - 1].type = MR_CLI_CELL_LIST;
}

void mr_cli_table_counts(struct mr_cli_table *t, const char *text, size_t bytes)
{
	mr_cli_table_text(t, text, bytes);
	t->cells[t->cells_count - 1].type = MR_CLI_CELL_COUNTS;
}

static void show_number(const struct mr_cli_cell *cell, enum mr_cli_unit unit, bool raw,
	bool compact, char *out, size_t out_bytes)
{
	bool real = cell->type == MR_CLI_CELL_REAL;
	double value = real ? cell->real : (double)cell->count;
	char text[MR_CLI_HUMAN_BYTES];

	if (cell->no_limit)
		snprintf(text, sizeof(text), "-");
	else if (!raw && unit == MR_CLI_UNIT_BYTES)
		mr_cli_human_bytes(text, value);
	else if (!raw && unit == MR_CLI_UNIT_MS)
		mr_cli_human_ms(text, value);
	else if (!raw && unit == MR_CLI_UNIT_SECONDS && !real && cell->count < 60)
		snprintf(text, sizeof(text), "%" PRIu64 "s", cell->count);
	else if (!raw && unit == MR_CLI_UNIT_SECONDS)
		mr_cli_human_ms(text, value * 1000);
	else if (!raw && unit == MR_CLI_UNIT_COUNT && compact && value >= 99999.5)
		mr_cli_human_count(text, value);
	else if (real)
		snprintf(text, sizeof(text), "%.1f", value);
	else
		snprintf(text, sizeof(text), "%" PRIu64, cell->count);
	snprintf(out, out_bytes, "%s", text);
}

void mr_cli_cell_show(const struct mr_cli_cell *cell, enum mr_cli_unit unit, bool raw, bool compact,
	char *out, size_t out_bytes)
{
	switch (cell->type) {
	case MR_CLI_CELL_NONE: snprintf(out, out_bytes, "-"); break;
	case MR_CLI_CELL_TEXT:
	case MR_CLI_CELL_LIST:
	case MR_CLI_CELL_COUNTS:
		mr_cli_text_escape(out, out_bytes, cell->text, cell->text_bytes);
		break;
	case MR_CLI_CELL_COUNT:
	case MR_CLI_CELL_REAL: show_number(cell, unit, raw, compact, out, out_bytes); break;
	case MR_CLI_CELL_ID: snprintf(out, out_bytes, "0x%016" PRIx64, cell->count); break;
	case MR_CLI_CELL_BOOL: snprintf(out, out_bytes, cell->count ? "yes" : "no"); break;
	}
}

size_t mr_cli_table_rows(const struct mr_cli_table *t)
{
	assert(t->cells_count % t->columns_count == 0);
	return t->cells_count / t->columns_count;
}

static bool in_json(const struct mr_cli_column *column)
{
	return column->key && !column->screen_only;
}

void mr_cli_table_print_lines(const struct mr_cli_table *t, FILE *out)
{
	char text[MR_CLI_CELL_BYTES_MAX];
	size_t width = 0;

	for (size_t c = 0; c < t->columns_count; c++) {
		if (in_json(&t->columns[c]) && strlen(t->columns[c].key) > width)
			width = strlen(t->columns[c].key);
	}
	for (size_t i = 0; i < t->cells_count; i++) {
		const struct mr_cli_column *column = &t->columns[i % t->columns_count];

		if (!in_json(column))
			continue;
		if (column->section)
			fprintf(out, "\n%s\n", column->section);
		mr_cli_cell_show(&t->cells[i], MR_CLI_UNIT_NONE, true, false, text, sizeof(text));
		fprintf(out, "%-*s  %s\n", (int)width, column->key,
			t->cells[i].no_limit ? "no limit" : text);
	}
}

static json_t *list_json(const char *text)
{
	json_t *list = mr_cli_must(json_array());

	while (*text) {
		size_t bytes = strcspn(text, ",");

		json_array_append_new(list, json_stringn_nocheck(text, bytes));
		text += bytes + (text[bytes] == ',');
	}
	return list;
}

static json_t *counts_json(const char *text)
{
	json_t *counts = mr_cli_must(json_object());
	char name[128];

	while (*text) {
		size_t bytes = strcspn(text, ","), name_bytes = strcspn(text, "=,");

		snprintf(name, sizeof(name), "%.*s", (int)name_bytes, text);
		if (name_bytes < bytes)
			json_object_set_new(counts, name,
				json_integer(
					(json_int_t)strtoull(text + name_bytes + 1, NULL, 10)));
		text += bytes + (text[bytes] == ',');
	}
	return counts;
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
		snprintf(text, sizeof(text), "0x%016" PRIx64, cell->count);
		json_object_set_new(row, key, json_string(text));
		break;
	case MR_CLI_CELL_REAL: json_object_set_new(row, key, json_real(cell->real)); break;
	case MR_CLI_CELL_BOOL: json_object_set_new(row, key, json_boolean(cell->count)); break;
	case MR_CLI_CELL_LIST: json_object_set_new(row, key, list_json(cell->text)); break;
	case MR_CLI_CELL_COUNTS: json_object_set_new(row, key, counts_json(cell->text)); break;
	}
}

json_t *mr_cli_table_json(const struct mr_cli_table *t)
{
	json_t *rows = mr_cli_must(json_array());

	assert(t->cells_count % t->columns_count == 0);
	for (size_t i = 0; i < t->cells_count; i += t->columns_count) {
		json_t *row = mr_cli_must(json_object());

		for (size_t c = 0; c < t->columns_count; c++) {
			if (in_json(&t->columns[c]))
				set_cell(row, t->columns[c].key, &t->cells[i + c]);
		}
		json_array_append_new(rows, row);
	}
	return rows;
}
