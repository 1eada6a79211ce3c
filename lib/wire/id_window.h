/* SPDX-License-Identifier: Apache-2.0 */
/* id_window: which message ids of one publisher came.
 *
 * What a publisher that promises exactly once sends again is known by it: queues and receivers keep
 * one for each publisher. Ids are those of `struct mrf_message_origin`, 0 .. UINT64_MAX; they do
 * not wrap. An id that was skipped did not come, and may yet: however late, as long as it is one of
 * few. A stage of a pipeline is why: what it had in hand when it was stopped or killed comes when
 * the publisher is a million ids further on.
 *
 *     nobody knows │ all came but for the gaps     │ a bit for each id              │ none came
 *   ───────────────┼───────────────────────────────┼────────────────────────────────┼──────────▶ id
 *                floor      ▲      ▲   ▲        65,536 at most                     top
 *                          gaps, 500 words of 64 ids at most
 *
 * Owns      Nothing; the memory is the caller's.
 * Threads   One at a time.
 * Hot path  All but init: no allocation, log or system call. A look finds a gap in 9 steps; a note
 *           goes through the words of 64 ids that it skips, at most 1,024.
 */
#ifndef MILLRACE_WIRE_ID_WINDOW_H
#define MILLRACE_WIRE_ID_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define MR_ID_WINDOW_IDS   65536u
#define MR_ID_WINDOW_WORDS (MR_ID_WINDOW_IDS / 64)
#define MR_ID_GAPS_MAX     500u

/* 64 ids behind the window, of which some did not come. */
struct mr_id_gap {
	uint64_t word; /* id / 64 of each */
	uint64_t missing;
};

struct mr_id_window {
	uint64_t top;                          /* the highest that came; 0: none did, or 0 itself */
	uint64_t received[MR_ID_WINDOW_WORDS]; /* by id modulo MR_ID_WINDOW_IDS */
	uint64_t floor;                        /* of ids below it nobody knows */
	uint32_t gaps_first;
	uint32_t gaps_count;
	uint32_t gaps_filled;                  /* of which nothing is missing any more */
	struct mr_id_gap gaps[MR_ID_GAPS_MAX]; /* a ring, by ascending word */
};

enum mr_id_sight {
	MR_ID_NEW,
	MR_ID_KNOWN, /* it came */
	MR_ID_OLD,   /* below the floor */
};

/* Nothing came. */
void mr_id_window_init(struct mr_id_window *w);

/* For the functions below. */
enum mr_id_sight mr_id_window_look_behind(const struct mr_id_window *w, uint64_t id);
void mr_id_window_note_behind(struct mr_id_window *w, uint64_t id);
void mr_id_window_advance(struct mr_id_window *w, uint64_t id);

static inline uint64_t mr_id_window_bit(uint64_t id)
{
	return 1ull << id % 64;
}

static inline uint64_t mr_id_window_slot(uint64_t id)
{
	return id / 64 % MR_ID_WINDOW_WORDS;
}

/* Whether `id`, which is not above the top, has its bit in the window. */
static inline bool mr_id_window_holds(const struct mr_id_window *w, uint64_t id)
{
	return w->top / 64 - id / 64 < MR_ID_WINDOW_WORDS;
}

static inline enum mr_id_sight mr_id_window_look(const struct mr_id_window *w, uint64_t id)
{
	if (id > w->top)
		return MR_ID_NEW;
	if (!mr_id_window_holds(w, id))
		return mr_id_window_look_behind(w, id);
	return w->received[mr_id_window_slot(id)] & mr_id_window_bit(id) ? MR_ID_KNOWN : MR_ID_NEW;
}

/* It came. One below the floor leaves no trace. */
static inline void mr_id_window_note(struct mr_id_window *w, uint64_t id)
{
	if (id > w->top) {
		if (id / 64 != w->top / 64)
			mr_id_window_advance(w, id);
		w->top = id;
	} else if (!mr_id_window_holds(w, id)) {
		mr_id_window_note_behind(w, id);
		return;
	}
	w->received[mr_id_window_slot(id)] |= mr_id_window_bit(id);
}

#endif
