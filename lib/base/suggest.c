/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/suggest.h"

#include <string.h>

struct mr_suggest mr_suggest_begin(const char *word, size_t word_bytes)
{
	unsigned allowed = (unsigned)(word_bytes / 3);

	return (struct mr_suggest){
		.word = word,
		.word_bytes = word_bytes,
		/* one more than is allowed: a suggestion must be nearer */
		.best_distance = (allowed > 0 ? allowed : 1) + 1,
	};
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Fills row `i` of the table of distances from the two rows above it. */
static void fill_row(unsigned *row, const unsigned *above, const unsigned *above2, const char *a,
	size_t i, const char *b, size_t b_bytes)
{
	row[0] = (unsigned)i;
	for (size_t j = 1; j <= b_bytes; j++) {
		unsigned differs = a[i - 1] != b[j - 1];

		row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + differs);
		if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
			row[j] = least(row[j], above2[j - 2] + 1);
	}
}

static unsigned distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	unsigned rows[3][MR_SUGGEST_BYTES_MAX + 1] = {{0}};

	for (size_t j = 0; j <= b_bytes; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_bytes; i++)
		fill_row(rows[i % 3], rows[(i + 2) % 3], rows[(i + 1) % 3], a, i, b, b_bytes);
	return rows[a_bytes % 3][b_bytes];
}

void mr_suggest_try_as(
	struct mr_suggest *s, const char *known, size_t known_bytes, const char *result)
{
	unsigned d;

	if (s->word_bytes == 0 || s->word_bytes > MR_SUGGEST_BYTES_MAX || known_bytes == 0 ||
		known_bytes > MR_SUGGEST_BYTES_MAX)
		return;
	d = distance(s->word, s->word_bytes, known, known_bytes);
	if (d >= s->best_distance)
		return;
	s->best_distance = d;
	s->best = result;
}

void mr_suggest_try(struct mr_suggest *s, const char *known)
{
	mr_suggest_try_as(s, known, strlen(known), known);
}
