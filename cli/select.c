/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/select.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SORT_KEYS_MAX 8u
#define VALUE_BYTES   1024

enum operator{
	EQUAL,
	NOT_EQUAL,
	MATCH,
	NO_MATCH,
	ABOVE,
	AT_LEAST,
	BELOW,
	AT_MOST,
};

/* An expression as it was understood. */
struct filter {
	size_t column;
	enum operator operator;
	const char *value;
	double number;
	bool is_number; /* the value is a number in the column's unit */
	regex_t regex;
};

static bool report(char error[MR_CLI_SELECT_ERROR_BYTES], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool report(char error[MR_CLI_SELECT_ERROR_BYTES], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, MR_CLI_SELECT_ERROR_BYTES, format, args);
	va_end(args);
	return false;
}

static bool same_name(const char *name, const char *text, size_t bytes)
{
	if (!name || strlen(name) != bytes)
		return false;
	for (size_t i = 0; i < bytes; i++) {
		int a = tolower((unsigned char)name[i]), b = tolower((unsigned char)text[i]);

		if ((a == '-' ? '_' : a) != (b == '-' ? '_' : b))
			return false;
	}
	return true;
}

/* Lists the columns of the screen by their keys, for a text of error. */
static bool report_column(const struct mr_cli_table *t, const char *text, size_t bytes,
	char error[MR_CLI_SELECT_ERROR_BYTES])
{
	size_t used = (size_t)snprintf(error, MR_CLI_SELECT_ERROR_BYTES,
		"'%.*s' is no column; expected one of", (int)(bytes < 64 ? bytes : 64), text);

	for (size_t c = 0; c < t->columns_count && used < MR_CLI_SELECT_ERROR_BYTES; c++) {
		if (t->columns[c].title && t->columns[c].key)
			used += (size_t)snprintf(error + used, MR_CLI_SELECT_ERROR_BYTES - used,
				" %s", t->columns[c].key);
	}
	return false;
}

/* Keys come before titles: a title may be another column's key. */
static bool find_column(const struct mr_cli_table *t, const char *text, size_t bytes,
	size_t *column, char error[MR_CLI_SELECT_ERROR_BYTES])
{
	for (unsigned titles = 0; titles < 2; titles++) {
		for (size_t c = 0; c < t->columns_count; c++) {
			const struct mr_cli_column *at = &t->columns[c];

			if (same_name(titles ? at->title : at->key, text, bytes)) {
				*column = c;
				return true;
			}
		}
	}
	return report_column(t, text, bytes, error);
}

static double number_of(const struct mr_cli_cell *cell)
{
	return cell->type == MR_CLI_CELL_REAL ? cell->real : (double)cell->count;
}

static bool is_text(const struct mr_cli_cell *cell)
{
	return cell->type == MR_CLI_CELL_TEXT || cell->type == MR_CLI_CELL_LIST ||
	       cell->type == MR_CLI_CELL_COUNTS;
}

/* Finds the operator. Returns its bytes; 0: there is none. */
static size_t parse_operator(const char *text, enum operator* operator, size_t * name_bytes)
{
	static const struct {
		const char *text;
		enum operator operator;
	} operators[] = {{"!=", NOT_EQUAL}, {"!~", NO_MATCH}, {">=", AT_LEAST}, {"<=", AT_MOST},
		{"=", EQUAL}, {"~", MATCH}, {">", ABOVE}, {"<", BELOW}};

	*name_bytes = strcspn(text, "=~<>!");
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		size_t bytes = strlen(operators[i].text);

		if (strncmp(text + *name_bytes, operators[i].text, bytes) == 0) {
			*operator= operators[i].operator;
			return bytes;
		}
	}
	return 0;
}

static bool compile(struct filter *f, const char *expression, char error[MR_CLI_SELECT_ERROR_BYTES])
{
	char why[128];
	int rc = regcomp(&f->regex, f->value, REG_EXTENDED | REG_NOSUB);

	if (rc == 0)
		return true;
	regerror(rc, &f->regex, why, sizeof(why));
	return report(error, "'%s': not a regular expression: %s", expression, why);
}

static bool parse(const struct mr_cli_table *t, const char *expression, struct filter *f,
	char error[MR_CLI_SELECT_ERROR_BYTES])
{
	size_t name_bytes, bytes = parse_operator(expression, &f->operator, & name_bytes);

	if (bytes == 0 || name_bytes == 0)
		return report(error,
			"'%s': expected KEY=VALUE, KEY!=VALUE, KEY~REGEX, KEY!~REGEX, KEY>N, "
			"KEY>=N, KEY<N or KEY<=N",
			expression);
	if (!find_column(t, expression, name_bytes, &f->column, error))
		return false;
	f->value = expression + name_bytes + bytes;
	f->is_number = mr_cli_human_parse(f->value, t->columns[f->column].unit, &f->number);
	if (f->operator== MATCH || f->operator== NO_MATCH)
		return compile(f, expression, error);
	if (f->operator>= ABOVE && !f->is_number)
		return report(error, "'%s': '%s' is not a number", expression, f->value);
	return true;
}

static bool equals(const struct filter *f, const struct mr_cli_cell *cell)
{
	char *end;

	switch (cell->type) {
	case MR_CLI_CELL_NONE: return *f->value == '\0' || strcmp(f->value, "-") == 0;
	case MR_CLI_CELL_TEXT:
	case MR_CLI_CELL_LIST:
	case MR_CLI_CELL_COUNTS:
		return strlen(f->value) == cell->text_bytes &&
		       memcmp(f->value, cell->text, cell->text_bytes) == 0;
	case MR_CLI_CELL_BOOL:
		return strcmp(f->value, cell->count ? "yes" : "no") == 0 ||
		       strcmp(f->value, cell->count ? "true" : "false") == 0;
	case MR_CLI_CELL_ID: return strtoull(f->value, &end, 0) == cell->count && *end == '\0';
	case MR_CLI_CELL_COUNT:
	case MR_CLI_CELL_REAL: return f->is_number && number_of(cell) == f->number;
	}
	return false;
}

static bool has_match(const struct filter *f, const struct mr_cli_cell *cell)
{
	char text[MR_CLI_CELL_BYTES_MAX];

	if (cell->type == MR_CLI_CELL_NONE)
		return false;
	if (is_text(cell))
		return regexec(&f->regex, cell->text, 0, NULL, 0) == 0;
	mr_cli_cell_show(cell, MR_CLI_UNIT_NONE, true, false, text, sizeof(text));
	return regexec(&f->regex, text, 0, NULL, 0) == 0;
}

static bool compares(const struct filter *f, const struct mr_cli_cell *cell)
{
	double value = number_of(cell);

	if (cell->type == MR_CLI_CELL_NONE || is_text(cell))
		return false;
	switch (f->operator) {
	case ABOVE: return value > f->number;
	case AT_LEAST: return value >= f->number;
	case BELOW: return value < f->number;
	default: return value <= f->number;
	}
}

static bool passes(const struct filter *f, const struct mr_cli_cell *cell)
{
	switch (f->operator) {
	case EQUAL: return equals(f, cell);
	case NOT_EQUAL: return !equals(f, cell);
	case MATCH: return has_match(f, cell);
	case NO_MATCH: return !has_match(f, cell);
	default: return compares(f, cell);
	}
}

static void free_row(const struct mr_cli_table *t, struct mr_cli_cell *row)
{
	for (size_t c = 0; c < t->columns_count; c++)
		free(row[c].text);
}

bool mr_cli_select_filter(
	struct mr_cli_table *t, const char *expression, char error[MR_CLI_SELECT_ERROR_BYTES])
{
	size_t kept = 0, rows = mr_cli_table_rows(t),
	       row_bytes = t->columns_count * sizeof(*t->cells);
	struct filter f;

	if (!parse(t, expression, &f, error))
		return false;
	for (size_t i = 0; i < rows; i++) {
		struct mr_cli_cell *row = &t->cells[i * t->columns_count];

		if (!passes(&f, &row[f.column]))
			free_row(t, row);
		else
			memmove(&t->cells[kept++ * t->columns_count], row, row_bytes);
	}
	t->cells_count = kept * t->columns_count;
	if (f.operator== MATCH || f.operator== NO_MATCH)
		regfree(&f.regex);
	return true;
}

void mr_cli_select_limit(struct mr_cli_table *t, uint64_t limit)
{
	size_t rows = mr_cli_table_rows(t);

	for (size_t i = (size_t)limit; i < rows; i++)
		free_row(t, &t->cells[i * t->columns_count]);
	if (limit < rows)
		t->cells_count = (size_t)limit * t->columns_count;
}

struct sort_key {
	size_t column;
	bool descending;
};

struct sorting {
	const struct mr_cli_table *t;
	struct sort_key keys[SORT_KEYS_MAX];
	size_t keys_count;
};

static int compare_texts(const struct mr_cli_cell *a, const struct mr_cli_cell *b)
{
	size_t bytes = a->text_bytes < b->text_bytes ? a->text_bytes : b->text_bytes;
	int order = bytes ? memcmp(a->text, b->text, bytes) : 0;

	return order ? order : (a->text_bytes > b->text_bytes) - (a->text_bytes < b->text_bytes);
}

static int compare_cells(const struct mr_cli_cell *a, const struct mr_cli_cell *b, bool descending)
{
	int order;

	if (a->type == MR_CLI_CELL_NONE || b->type == MR_CLI_CELL_NONE)
		return (a->type == MR_CLI_CELL_NONE) - (b->type == MR_CLI_CELL_NONE);
	if (is_text(a) && is_text(b))
		order = compare_texts(a, b);
	else if (a->type == MR_CLI_CELL_REAL || b->type == MR_CLI_CELL_REAL)
		order = (number_of(a) > number_of(b)) - (number_of(a) < number_of(b));
	else
		order = (a->count > b->count) - (a->count < b->count);
	return descending ? -order : order;
}

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct sorting *s = arg;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	for (size_t i = 0; i < s->keys_count; i++) {
		const struct mr_cli_cell *cells = &s->t->cells[s->keys[i].column];
		int order = compare_cells(&cells[x * s->t->columns_count],
			&cells[y * s->t->columns_count], s->keys[i].descending);

		if (order != 0)
			return order;
	}
	return (x > y) - (x < y);
}

static void reorder(struct mr_cli_table *t, const size_t *rows, size_t count)
{
	size_t row_cells = t->columns_count;
	struct mr_cli_cell *cells = mr_cli_must(calloc(count * row_cells + 1, sizeof(*cells)));

	for (size_t i = 0; i < count; i++)
		memcpy(&cells[i * row_cells], &t->cells[rows[i] * row_cells],
			row_cells * sizeof(*cells));
	free(t->cells);
	t->cells = cells;
	t->cells_capacity = count * row_cells + 1;
}

void mr_cli_select_reverse(struct mr_cli_table *t)
{
	size_t count = mr_cli_table_rows(t);
	size_t *rows = mr_cli_must(calloc(count + 1, sizeof(*rows)));

	for (size_t i = 0; i < count; i++)
		rows[i] = count - 1 - i;
	reorder(t, rows, count);
	free(rows);
}

/* Takes the next of some names with commas between them. False: there is none. */
static bool next_name(const char **at, const char **name, size_t *bytes)
{
	if (!*at)
		return false;
	*name = *at;
	*bytes = strcspn(*at, ",");
	*at = (*at)[*bytes] == ',' ? *at + *bytes + 1 : NULL;
	return true;
}

bool mr_cli_select_sort(
	struct mr_cli_table *t, const char *keys, char error[MR_CLI_SELECT_ERROR_BYTES])
{
	struct sorting s = {.t = t};
	size_t count = mr_cli_table_rows(t), bytes;
	const char *at = keys, *name;
	size_t *rows;

	while (next_name(&at, &name, &bytes)) {
		bool descending = bytes > 0 && *name == '-';

		if (s.keys_count == SORT_KEYS_MAX)
			return report(error, "'%s': more than %u columns", keys, SORT_KEYS_MAX);
		if (!find_column(t, name + descending, bytes - descending,
			    &s.keys[s.keys_count].column, error))
			return false;
		s.keys[s.keys_count++].descending = descending;
	}
	rows = mr_cli_must(calloc(count + 1, sizeof(*rows)));
	for (size_t i = 0; i < count; i++)
		rows[i] = i;
	qsort_r(rows, count, sizeof(*rows), compare_rows, &s);
	reorder(t, rows, count);
	free(rows);
	return true;
}

bool mr_cli_select_columns(const struct mr_cli_table *t, const char *keys,
	size_t only[MR_CLI_COLUMNS_MAX], size_t *only_count, char error[MR_CLI_SELECT_ERROR_BYTES])
{
	const char *at = keys, *name;
	size_t bytes;

	*only_count = 0;
	while (next_name(&at, &name, &bytes)) {
		if (*only_count == MR_CLI_COLUMNS_MAX)
			return report(error, "more than %u columns", MR_CLI_COLUMNS_MAX);
		if (!find_column(t, name, bytes, &only[*only_count], error))
			return false;
		++*only_count;
	}
	return true;
}
