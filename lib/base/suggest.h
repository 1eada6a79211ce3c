/* SPDX-License-Identifier: Apache-2.0 */
/* suggest: finds the known word that a mistyped one probably means.
 *
 * The distance is that of Damerau and Levenshtein, as optimal string alignment: insertions,
 * deletions, substitutions and swaps of neighbours each count one. A suggestion needs a distance of
 * at most a third of the mistyped word's length, and at least one is allowed.
 *
 *	struct mr_suggest s = mr_suggest_begin("pubb", 4);
 *	for each known word: mr_suggest_try(&s, word);
 *	if (s.best != NULL) ... "did you mean %s?"
 *
 * Owns      Nothing: `best` is one of the tried texts.
 * Threads   Any.
 */
#ifndef MILLRACE_BASE_SUGGEST_H
#define MILLRACE_BASE_SUGGEST_H

#include <stddef.h>

/* Longer words get no suggestion. */
#define MR_SUGGEST_BYTES_MAX 63

struct mr_suggest {
	const char *word;
	size_t word_bytes;
	const char *best; /* the nearest word so far, the first among equals; NULL: none */
	unsigned best_distance;
};

struct mr_suggest mr_suggest_begin(const char *word, size_t word_bytes);
void mr_suggest_try(struct mr_suggest *s, const char *known);
/* Tries a text of `known_bytes`, which need not end there; `result` becomes best if it is the
 * nearest. */
void mr_suggest_try_as(
	struct mr_suggest *s, const char *known, size_t known_bytes, const char *result);

#endif
