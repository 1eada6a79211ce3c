/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/wire/id_window.h"

#include <string.h>

#define ALL  UINT64_MAX /* all 64 ids of a word */
#define NONE UINT32_MAX

void mr_id_window_init(struct mr_id_window *w)
{
	memset(w, 0, sizeof(*w));
}

/* Returns the index of the gap that is number `at` in ascending order. */
static uint32_t place(const struct mr_id_window *w, uint32_t at)
{
	return (w->gaps_first + at) % MR_ID_GAPS_MAX;
}

/* Returns the index of the word's gap, or NONE: the whole word was received, or is unknown. */
static uint32_t find(const struct mr_id_window *w, uint64_t word)
{
	uint32_t from = 0, to = w->gaps_count;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (w->gaps[place(w, middle)].word < word)
			from = middle + 1;
		else
			to = middle;
	}
	return from < w->gaps_count && w->gaps[place(w, from)].word == word ? place(w, from) : NONE;
}

static void squeeze_out_filled(struct mr_id_window *w)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < w->gaps_count; i++) {
		if (w->gaps[place(w, i)].missing != 0)
			w->gaps[place(w, kept++)] = w->gaps[place(w, i)];
	}
	w->gaps_count = kept;
	w->gaps_filled = 0;
}

/* Adds a gap. Without room it drops the oldest one and raises the floor above it. */
static void add(struct mr_id_window *w, uint64_t word, uint64_t missing)
{
	if (w->gaps_count == MR_ID_GAPS_MAX && w->gaps_filled > 0)
		squeeze_out_filled(w);
	if (w->gaps_count == MR_ID_GAPS_MAX) {
		w->floor = (w->gaps[w->gaps_first].word + 1) * 64;
		w->gaps_first = place(w, 1);
		w->gaps_count--;
	}
	w->gaps[place(w, w->gaps_count)] = (struct mr_id_gap){word, missing};
	w->gaps_count++;
}

enum mr_id_sight mr_id_window_look_behind(const struct mr_id_window *w, uint64_t id)
{
	uint32_t at = find(w, id / 64);

	if (id < w->floor)
		return MR_ID_OLD;
	return at != NONE && (w->gaps[at].missing & mr_id_window_bit(id)) ? MR_ID_NEW : MR_ID_KNOWN;
}

void mr_id_window_note_behind(struct mr_id_window *w, uint64_t id)
{
	uint32_t at = find(w, id / 64);

	if (at == NONE || !(w->gaps[at].missing & mr_id_window_bit(id)))
		return;
	w->gaps[at].missing &= ~mr_id_window_bit(id);
	w->gaps_filled += w->gaps[at].missing == 0;
}

/* Restarts far ahead: nothing of the old window is left, and none of the last 65,536 ids was
 * received. */
static void begin_anew(struct mr_id_window *w, uint64_t word)
{
	memset(w->received, 0, sizeof(w->received));
	w->gaps_count = 0;
	w->gaps_filled = 0;
	w->floor = (word - MR_ID_WINDOW_WORDS) * 64;
	add(w, word - MR_ID_WINDOW_WORDS, ALL);
}

/* Moves the window to the word of `id`, which is above that of the top. Words that leave the window
 * incomplete become gaps. */
void mr_id_window_advance(struct mr_id_window *w, uint64_t id)
{
	uint64_t word = id / 64;

	if (word - w->top / 64 > MR_ID_WINDOW_WORDS) {
		begin_anew(w, word);
		return;
	}
	for (uint64_t at = w->top / 64 + 1; at <= word; at++) {
		uint64_t *received = &w->received[at % MR_ID_WINDOW_WORDS];

		if (at >= MR_ID_WINDOW_WORDS && *received != ALL)
			add(w, at - MR_ID_WINDOW_WORDS, ~*received);
		*received = 0;
	}
}
