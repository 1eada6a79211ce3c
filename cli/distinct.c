/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/distinct.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "cli/width.h"

#define BRANCHES_MAX 48u
#define DOTS_BYTES   3u

/* A text with the places where others begin to differ from it. */
struct item {
	const char *text;
	size_t index; /* in the caller's array */
	size_t rank;  /* among the different texts */
	uint16_t count;
	bool continued;            /* the beginning of another text */
	bool many;                 /* more branches than fit below */
	uint16_t at[BRANCHES_MAX]; /* offsets, ascending */
};

struct mr_cli_distinct {
	struct item *items; /* sorted by text */
	size_t count;
};

/* A part of a text from one branch to the next. */
struct edge {
	const char *text;
	size_t bytes;
	size_t width; /* of the whole edge */
	size_t shown; /* columns that it gets */
};

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return strcmp(x->text, y->text);
}

/* Returns how many bytes two texts have in common, in whole characters with their marks. */
static size_t common_bytes(const char *a, const char *b)
{
	size_t at = 0;

	while (a[at] != '\0') {
		size_t width, x = mr_cli_width_first(a + at, &width),
			      y = mr_cli_width_first(b + at, &width);

		if (x != y || memcmp(a + at, b + at, x) != 0)
			break;
		at += x;
	}
	return at;
}

static void mark(struct item *item, size_t offset)
{
	uint16_t i = item->count;

	while (i > 0 && item->at[i - 1] > offset)
		i--;
	item->continued = item->continued || item->text[offset] == '\0';
	if (offset == 0 || item->text[offset] == '\0' || (i > 0 && item->at[i - 1] == offset))
		return;
	item->many = item->many || item->count == BRANCHES_MAX;
	if (item->many)
		return;
	memmove(&item->at[i + 1], &item->at[i], (item->count - i) * sizeof(item->at[0]));
	item->at[i] = (uint16_t)offset;
	item->count++;
}

/* The branches that a text has with those before it, or behind it: each length in common that is
 * less than all nearer ones. */
struct sweep {
	size_t count;
	size_t at[MR_CLI_CELL_BYTES_MAX]; /* ascending */
};

static void sweep_to(struct sweep *s, const char *before, struct item *item)
{
	size_t common = before ? common_bytes(before, item->text) : 0;
	bool equal = before && strcmp(before, item->text) == 0;

	while (s->count > 0 && s->at[s->count - 1] > common)
		s->count--;
	if (before && !equal && (s->count == 0 || s->at[s->count - 1] < common))
		s->at[s->count++] = common;
	for (size_t i = 0; i < s->count; i++)
		mark(item, s->at[i]);
}

static void find_branches(struct mr_cli_distinct *d)
{
	struct sweep *s = mr_cli_must(calloc(1, sizeof(*s)));
	struct item *items = d->items;

	for (size_t i = 0; i < d->count; i++)
		sweep_to(s, i > 0 ? items[i - 1].text : NULL, &items[i]);
	s->count = 0;
	for (size_t i = d->count; i-- > 0;)
		sweep_to(s, i + 1 < d->count ? items[i + 1].text : NULL, &items[i]);
	free(s);
}

struct mr_cli_distinct *mr_cli_distinct_new(char *const *texts, size_t count)
{
	struct mr_cli_distinct *d = mr_cli_must(calloc(1, sizeof(*d)));

	d->items = mr_cli_must(calloc(count + 1, sizeof(*d->items)));
	d->count = count;
	for (size_t i = 0; i < count; i++)
		d->items[i] = (struct item){.text = texts[i], .index = i};
	qsort(d->items, count, sizeof(*d->items), compare_items);
	for (size_t i = 1; i < count; i++)
		d->items[i].rank = d->items[i - 1].rank +
				   (strcmp(d->items[i].text, d->items[i - 1].text) != 0);
	find_branches(d);
	return d;
}

void mr_cli_distinct_free(struct mr_cli_distinct *d)
{
	if (d)
		free(d->items);
	free(d);
}

/* Returns the width of the first `bytes` of a text. */
static size_t width_of(const char *text, size_t bytes)
{
	size_t sum = 0, width;

	for (size_t at = 0; at < bytes; sum += width)
		at += mr_cli_width_first(text + at, &width);
	return sum;
}

/* Splits a text at its branches; each edge gets its first character and an ellipsis, or all.
 * Returns the columns of that. */
static size_t split(const struct item *item, struct edge edges[BRANCHES_MAX + 1])
{
	size_t sum = 0, from = 0;

	for (size_t i = 0; i <= item->count; i++) {
		size_t to = i < item->count ? item->at[i] : strlen(item->text), first;
		struct edge *e = &edges[i];

		*e = (struct edge){.text = item->text + from, .bytes = to - from};
		e->width = width_of(e->text, e->bytes);
		mr_cli_width_first(e->text, &first);
		e->shown = first + 1 < e->width ? first + 1 : e->width;
		sum += e->shown;
		from = to;
	}
	return sum;
}

size_t mr_cli_distinct_width(const struct mr_cli_distinct *d)
{
	struct edge edges[BRANCHES_MAX + 1];
	size_t most = 0;

	for (size_t i = 0; i < d->count; i++) {
		size_t width = d->items[i].many ? mr_cli_width(d->items[i].text)
						: split(&d->items[i], edges);

		most = width > most ? width : most;
	}
	return most;
}

/* Gives an edge up to `columns` more. Returns the rest. */
static size_t widen(struct edge *e, size_t columns)
{
	size_t more = e->width - e->shown < columns ? e->width - e->shown : columns;

	e->shown += more;
	return columns - more;
}

/* Divides the columns: a third to the last edge, the rest to the first ones that can use it. */
static void share_out(struct edge *edges, size_t count, size_t columns)
{
	size_t third = columns / 3;

	columns = columns - third + widen(&edges[count - 1], third);
	for (size_t i = 0; i < count; i++)
		columns = widen(&edges[i], columns);
}

static size_t print_edge(char *out, const struct edge *e, enum mr_cli_elision elision)
{
	char text[MR_CLI_CELL_BYTES_MAX];

	memcpy(text, e->text, e->bytes);
	text[e->bytes] = '\0';
	mr_cli_elide(out, e->bytes + DOTS_BYTES + 1, text, e->shown, elision);
	return strlen(out);
}

/* Ends a text with its number. */
static void number(const struct item *item, size_t width, char *out, size_t out_bytes)
{
	char tag[24];
	size_t tag_width = (size_t)snprintf(tag, sizeof(tag), "~%zu", item->rank + 1);

	*out = '\0';
	if (tag_width < width)
		mr_cli_elide(out, out_bytes, item->text, width - tag_width, MR_CLI_ELIDE_END);
	strncat(out, tag, width < tag_width ? width : tag_width);
}

/* Ways to cut the texts of a column, the best to read first. */
enum way {
	MIDDLE,      /* the middle is left out */
	END,         /* the beginnings */
	BRANCH_ENDS, /* beginning and end of each branch */
	BRANCHES,    /* the beginnings of all branches: these differ */
	WAYS,
};

static void print_edges(const struct item *item, const struct edge *edges, enum way way, char *out)
{
	size_t used = 0;

	for (size_t i = 0; i <= item->count; i++) {
		bool ends = way == BRANCH_ENDS || (i == item->count && !item->continued);

		used += print_edge(
			out + used, &edges[i], ends ? MR_CLI_ELIDE_MIDDLE : MR_CLI_ELIDE_END);
	}
}

static char *cut(const struct item *item, size_t width, enum way way)
{
	size_t out_bytes = strlen(item->text) + (BRANCHES_MAX + 1) * DOTS_BYTES + 32;
	char *out = mr_cli_must(malloc(out_bytes));
	struct edge edges[BRANCHES_MAX + 1];
	size_t least;

	if (way == MIDDLE || way == END || mr_cli_width(item->text) <= width) {
		mr_cli_elide(out, out_bytes, item->text, width,
			way == END ? MR_CLI_ELIDE_END : MR_CLI_ELIDE_MIDDLE);
		return out;
	}
	least = split(item, edges);
	if (item->many || least > width) {
		number(item, width, out, out_bytes);
		return out;
	}
	share_out(edges, item->count + 1u, width - least);
	print_edges(item, edges, way, out);
	return out;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* True if two different texts look alike. */
static bool any_alike(const struct mr_cli_distinct *d, char *const *out)
{
	char **sorted = mr_cli_must(calloc(d->count + 1, sizeof(*sorted)));
	size_t count = 0;
	bool alike = false;

	for (size_t i = 0; i < d->count; i++) {
		if (i == 0 || d->items[i].rank != d->items[i - 1].rank)
			sorted[count++] = out[d->items[i].index];
	}
	qsort(sorted, count, sizeof(*sorted), compare_texts);
	for (size_t i = 1; i < count && !alike; i++)
		alike = strcmp(sorted[i], sorted[i - 1]) == 0;
	free(sorted);
	return alike;
}

void mr_cli_distinct_cut(const struct mr_cli_distinct *d, size_t width, char **out)
{
	for (enum way way = MIDDLE; way < WAYS; way++) {
		for (size_t i = 0; i < d->count; i++) {
			char **to = &out[d->items[i].index];

			if (way > MIDDLE)
				free(*to);
			*to = cut(&d->items[i], width, way);
		}
		if (way + 1 == WAYS || !any_alike(d, out))
			return;
	}
}
