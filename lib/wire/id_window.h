/* SPDX-License-Identifier: Apache-2.0 */
/* id_window: remembers which message ids of one exactly-once publisher were received
 * (deduplication).
 *
 * Queues and receivers keep one window for each publisher, to recognize what it sends again. Ids
 * are those of `struct mrf_message_origin`, 0 .. UINT64_MAX; they do not wrap. A skipped id was not
 * received and may still arrive, however late, as long as few are missing. A stage of a pipeline
 * needs that: a message that it held when it was stopped or killed arrives when the publisher is a
 * million ids further on.
 *
 *     unknown      │ received but for the gaps     │ one bit for each id            │ none received
 *   ───────────────┼───────────────────────────────┼────────────────────────────────┼──────────▶ id
 *                floor      ▲      ▲   ▲        65,536 at most                     top
 *                          gaps, 500 words of 64 ids at most
 *
 * Owns      Nothing; the memory is the caller's.
 * Threads   One at a time.
 * Hot path  All but init: no allocation, log or system call. look finds a gap in 9 steps; note
 *           visits the words of 64 ids that it skips, at most 1,024.
 */
#ifndef MILLRACE_WIRE_ID_WINDOW_H
#define MILLRACE_WIRE_ID_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define MR_ID_WINDOW_IDS   65536u
#define MR_ID_WINDOW_WORDS (MR_ID_WINDOW_IDS / 64)
#define MR_ID_GAPS_MAX     500u

/* 64 ids behind the window, some of them not received. */
struct mr_id_gap {
	uint64_t word; /* id / 64 of all of them */
	uint64_t missing;
};

struct mr_id_window {
	uint64_t top;                          /* highest received id; 0: none, or only 0 */
	uint64_t received[MR_ID_WINDOW_WORDS]; /* by id modulo MR_ID_WINDOW_IDS */
	uint64_t floor;                        /* ids below it are unknown */
	uint32_t gaps_first;
	uint32_t gaps_count;
	uint32_t gaps_filled;                  /* gaps with nothing missing any more */
	struct mr_id_gap gaps[MR_ID_GAPS_MAX]; /* a ring, in ascending order of word */
};

enum mr_id_sight {
	MR_ID_NEW,
	MR_ID_KNOWN, /* received before */
	MR_ID_OLD,   /* below the floor */
};

/* Starts with no id received. */
void mr_id_window_init(struct mr_id_window *w);

/* Slow paths of the functions below. */
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

/* True if `id`, which is not above the top, has its bit in the window. */
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

/* Enters a received id. An id below the floor is not recorded. */
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
