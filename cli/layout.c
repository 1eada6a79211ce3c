/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/layout.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/distinct.h"
#include "lib/base/compiler.h"

#define GAP         2u /* blanks between two columns */
#define TITLE_BYTES 48
#define LEAST_WIDTH 3u /* width of a text that is cut though it should not be */

static const char bold[] = "\033[1m";
static const char red[] = "\033[31m";
static const char plain[] = "\033[0m";

/* A column as it will be printed. */
struct place {
	size_t column;
	size_t width;
	size_t wanted; /* width of its longest text */
	bool text;     /* has texts, which can be cut */
	char title[TITLE_BYTES];
	size_t apart;                     /* least width that tells the texts apart; 0: any */
	char **texts;                     /* one for each row, or NULL */
	struct mr_cli_distinct *distinct; /* made from texts */
	char **cut;                       /* the texts as they are printed; NULL: put() cuts them */
};

struct layout {
	const struct mr_cli_table *t;
	const struct mr_cli_look *look;
	size_t from, to; /* rows */
	bool compact;
	struct place places[MR_CLI_COLUMNS_MAX];
	size_t count;
};

static const struct mr_cli_column *column_of(const struct layout *l, const struct place *p)
{
	return &l->t->columns[p->column];
}

static const struct mr_cli_cell *cell_of(const struct layout *l, const struct place *p, size_t row)
{
	return &l->t->cells[row * l->t->columns_count + p->column];
}

static void show(
	const struct layout *l, const struct place *p, size_t row, char out[MR_CLI_CELL_BYTES_MAX])
{
	mr_cli_cell_show(cell_of(l, p, row), column_of(l, p)->unit, l->look->raw, l->compact, out,
		MR_CLI_CELL_BYTES_MAX);
}

/* Makes a title from the key if there is none. Times without units name theirs. */
static void set_title(const struct layout *l, struct place *p)
{
	const struct mr_cli_column *c = column_of(l, p);
	const char *from = c->title ? c->title : c->key;
	bool ms = l->look->raw && c->unit == MR_CLI_UNIT_MS && c->title;

	snprintf(p->title, sizeof(p->title), "%s%s", from, ms ? "-MS" : "");
	for (char *at = p->title; !c->title && *at; at++)
		*at = *at == '_' ? '-' : (char)toupper((unsigned char)*at);
}

static void add(struct layout *l, size_t column)
{
	struct place *p = &l->places[l->count++];

	*p = (struct place){.column = column};
	set_title(l, p);
}

static void choose(struct layout *l)
{
	for (size_t i = 0; l->look->only && i < l->look->only_count; i++)
		add(l, l->look->only[i]);
	for (size_t c = 0; !l->look->only && c < l->t->columns_count; c++) {
		if (l->t->columns[c].title)
			add(l, c);
	}
}

/* Sets the widths that the columns would like to have. */
static void measure(struct layout *l)
{
	char text[MR_CLI_CELL_BYTES_MAX];

	for (struct place *p = l->places; p < l->places + l->count; p++) {
		p->width = l->look->no_headers ? 0 : mr_cli_width(p->title);
		p->text = false;
		for (size_t row = l->from; row < l->to; row++) {
			enum mr_cli_cell_type type = cell_of(l, p, row)->type;
			size_t width;

			show(l, p, row, text);
			width = mr_cli_width(text);
			p->width = width > p->width ? width : p->width;
			p->text |= type == MR_CLI_CELL_TEXT || type == MR_CLI_CELL_LIST ||
				   type == MR_CLI_CELL_COUNTS;
		}
		p->wanted = p->width;
	}
}

static void compare_texts(struct layout *l, struct place *p)
{
	char text[MR_CLI_CELL_BYTES_MAX];

	if (p->distinct)
		return;
	p->texts = mr_cli_must(calloc(l->to - l->from + 1, sizeof(*p->texts)));
	for (size_t row = l->from; row < l->to; row++) {
		show(l, p, row, text);
		p->texts[row - l->from] = mr_cli_must(strdup(text));
	}
	p->distinct = mr_cli_distinct_new(p->texts, l->to - l->from);
}

static void free_texts(const struct layout *l, char **texts)
{
	for (size_t i = 0; texts && i < l->to - l->from; i++)
		free(texts[i]);
	free(texts);
}

static void free_place(const struct layout *l, struct place *p)
{
	mr_cli_distinct_free(p->distinct);
	free_texts(l, p->texts);
	free_texts(l, p->cut);
}

/* Returns the least width of a column before others are dropped for it. */
static size_t least(const struct layout *l, const struct place *p)
{
	size_t least = column_of(l, p)->least, title = mr_cli_width(p->title);

	least = p->apart > least && least > 0 ? p->apart : least;
	if (least == 0 || !p->text || least > p->width)
		return p->width;
	if (!l->look->no_headers && title > least)
		least = title;
	return least < p->width ? least : p->width;
}

static size_t total(const struct layout *l, bool at_least)
{
	size_t sum = l->count ? (l->count - 1) * GAP : 0;

	for (const struct place *p = l->places; p < l->places + l->count; p++)
		sum += at_least ? least(l, p) : p->width;
	return sum;
}

static bool is_wrong(
	const struct mr_cli_column *column, const struct mr_cli_cell *cell, const char *shown)
{
	if (cell->type == MR_CLI_CELL_NONE)
		return false;
	if (column->good)
		return strcmp(shown, column->good) != 0;
	return column->alarm && (cell->count > 0 || cell->real > 0);
}

/* True for a column that would be red where something is wrong, and nothing is. */
static bool is_quiet(const struct layout *l, const struct place *p)
{
	const struct mr_cli_column *c = column_of(l, p);
	char text[MR_CLI_CELL_BYTES_MAX];

	for (size_t row = l->from; row < l->to; row++) {
		show(l, p, row, text);
		if (is_wrong(c, cell_of(l, p, row), text))
			return false;
	}
	return c->alarm || c->good;
}

/* Removes the column with the highest rank, of equals the last, among all or the quiet ones. False
 * if all must stay. */
static bool drop(struct layout *l, bool quiet)
{
	struct place *worst = NULL;

	for (struct place *p = l->places; p < l->places + l->count; p++) {
		uint8_t rank = column_of(l, p)->rank;

		if (rank > 0 && (!worst || rank >= column_of(l, worst)->rank) &&
			(!quiet || is_quiet(l, p)))
			worst = p;
	}
	if (!worst)
		return false;
	free_place(l, worst);
	l->count--;
	memmove(worst, worst + 1, (size_t)(l->places + l->count - worst) * sizeof(*worst));
	return true;
}

/* Takes one column of width from the widest text that is wider than allowed. */
static bool cut_one(struct layout *l, bool below_least)
{
	struct place *widest = NULL;

	for (struct place *p = l->places; p < l->places + l->count; p++) {
		size_t low = below_least ? (p->text ? LEAST_WIDTH : p->width) : least(l, p);

		if (p->width > low && (!widest || p->width > widest->width))
			widest = p;
	}
	if (widest)
		widest->width--;
	return widest != NULL;
}

static bool identifies(const struct layout *l, const struct place *p)
{
	return p->text && column_of(l, p)->identifies;
}

/* True if a text that tells rows apart would be cut. */
static bool cuts_names(const struct layout *l)
{
	bool any = false;

	for (const struct place *p = l->places; p < l->places + l->count; p++)
		any |= identifies(l, p);
	return any && total(l, false) > l->look->width;
}

/* Drops columns until the others have their least widths, and columns without news for the names
 * of the rows. */
static void drop_columns(struct layout *l)
{
	for (struct place *p = l->places; p < l->places + l->count; p++) {
		if (identifies(l, p)) {
			compare_texts(l, p);
			p->apart = mr_cli_distinct_width(p->distinct);
		}
	}
	while (total(l, true) > l->look->width && drop(l, false))
		continue;
	while (cuts_names(l) && drop(l, true))
		continue;
}

/* Cuts the texts of columns that are too narrow for them, so that different ones stay different. */
static void cut_texts(struct layout *l)
{
	for (struct place *p = l->places; p < l->places + l->count; p++) {
		if (!p->text || p->width >= p->wanted ||
			column_of(l, p)->elision != MR_CLI_ELIDE_MIDDLE)
			continue;
		compare_texts(l, p);
		p->cut = mr_cli_must(calloc(l->to - l->from + 1, sizeof(*p->cut)));
		mr_cli_distinct_cut(p->distinct, p->width, p->cut);
	}
}

static size_t fit(struct layout *l)
{
	size_t width = l->look->width, chosen = l->count;

	measure(l);
	if (width == 0 || total(l, false) <= width)
		return 0;
	l->compact = true;
	measure(l);
	if (!l->look->only)
		drop_columns(l);
	while (total(l, false) > width && cut_one(l, false))
		continue;
	while (total(l, false) > width && cut_one(l, true))
		continue;
	cut_texts(l);
	return chosen - l->count;
}

/* Prints a cell or a title, padded unless it ends the line. *room is the rest of the line. */
static void put(const struct layout *l, const struct place *p, const char *text, const char *colour,
	size_t *room, FILE *out)
{
	const struct mr_cli_column *c = column_of(l, p);
	bool last = p == l->places + l->count - 1;
	size_t width = p->width < *room ? p->width : *room;
	char shown[MR_CLI_CELL_BYTES_MAX + 4];
	size_t used = mr_cli_elide(shown, sizeof(shown), text, width, c->elision);
	size_t pad = width - used, gap = last ? 0 : GAP;

	if (gap > *room - width)
		gap = *room - width;
	*room -= width + gap;
	if (c->right)
		fprintf(out, "%*s", (int)pad, "");
	fprintf(out, "%s%s%s", colour ? colour : "", shown, colour ? plain : "");
	fprintf(out, "%*s", (int)((c->right || last ? 0 : pad) + gap), "");
}

static void print_titles(const struct layout *l, FILE *out)
{
	size_t room = l->look->width ? l->look->width : SIZE_MAX;

	fputs(l->look->colour ? bold : "", out);
	for (size_t i = 0; i < l->count; i++)
		put(l, &l->places[i], l->places[i].title, NULL, &room, out);
	fputs(l->look->colour ? plain : "", out);
	fputc('\n', out);
}

static void print_row(const struct layout *l, size_t row, FILE *out)
{
	size_t room = l->look->width ? l->look->width : SIZE_MAX;
	char text[MR_CLI_CELL_BYTES_MAX];

	for (size_t i = 0; i < l->count; i++) {
		const struct place *p = &l->places[i];
		bool wrong;

		show(l, p, row, text);
		wrong = l->look->colour && is_wrong(column_of(l, p), cell_of(l, p, row), text);
		put(l, p, p->cut ? p->cut[row - l->from] : text, wrong ? red : NULL, &room, out);
	}
	fputc('\n', out);
}

size_t mr_cli_layout_print(const struct mr_cli_table *t, const struct mr_cli_look *look,
	size_t from, size_t to, FILE *out)
{
	struct layout l = {.t = t, .look = look, .from = from, .to = to};
	size_t dropped;

	assert(from <= to && to <= mr_cli_table_rows(t));
	choose(&l);
	dropped = fit(&l);
	if (!look->no_headers)
		print_titles(&l, out);
	for (size_t row = from; row < to; row++)
		print_row(&l, row, out);
	for (size_t i = 0; i < l.count; i++)
		free_place(&l, &l.places[i]);
	return dropped;
}
