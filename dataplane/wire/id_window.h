/* SPDX-License-Identifier: Apache-2.0 */
/* id_window: which of the last 65,536 message ids of one publisher came.
 *
 * What a publisher that promises exactly once sends again is known by it: queues and receivers keep
 * one for each publisher. Ids are those of `struct mrf_message_origin`, 0 .. UINT64_MAX; they do
 * not wrap. An id that was skipped did not come, and may yet.
 *
 * Owns      Nothing; the memory is the caller's.
 * Threads   One at a time.
 * Hot path  All but init: no allocation, log or system call. A note clears the bits of the ids it
 *           skips, at most 8 KiB.
 */
#ifndef MILLRACE_WIRE_ID_WINDOW_H
#define MILLRACE_WIRE_ID_WINDOW_H

#include <stdint.h>
#include <string.h>

#define MR_ID_WINDOW_IDS 65536u

struct mr_id_window {
	uint64_t top;                         /* the highest that came; 0: none did, or 0 itself */
	uint64_t came[MR_ID_WINDOW_IDS / 64]; /* by id modulo MR_ID_WINDOW_IDS */
};

enum mr_id_sight {
	MR_ID_NEW,
	MR_ID_KNOWN, /* it came */
	MR_ID_OLD,   /* behind the window: nobody knows */
};

/* Nothing came. */
static inline void mr_id_window_init(struct mr_id_window *w)
{
	memset(w, 0, sizeof(*w));
}

static inline uint64_t mr_id_window_bit(uint64_t id)
{
	return 1ull << id % 64;
}

static inline uint64_t mr_id_window_word(uint64_t id)
{
	return id % MR_ID_WINDOW_IDS / 64;
}

static inline enum mr_id_sight mr_id_window_look(const struct mr_id_window *w, uint64_t id)
{
	if (id > w->top)
		return MR_ID_NEW;
	if (w->top - id >= MR_ID_WINDOW_IDS)
		return MR_ID_OLD;
	return w->came[mr_id_window_word(id)] & mr_id_window_bit(id) ? MR_ID_KNOWN : MR_ID_NEW;
}

/* Ids up to `id`, which is above the top, are in the window from now on, and none of them came. */
static inline void mr_id_window_advance(struct mr_id_window *w, uint64_t id)
{
	if (id - w->top >= MR_ID_WINDOW_IDS)
		memset(w->came, 0, sizeof(w->came));
	else
		for (uint64_t at = w->top + 1; at != id + 1; at++)
			w->came[mr_id_window_word(at)] &= ~mr_id_window_bit(at);
	w->top = id;
}

/* It came. One behind the window leaves no trace: its bit is that of a later id. */
static inline void mr_id_window_note(struct mr_id_window *w, uint64_t id)
{
	if (id > w->top)
		mr_id_window_advance(w, id);
	else if (w->top - id >= MR_ID_WINDOW_IDS)
		return;
	w->came[mr_id_window_word(id)] |= mr_id_window_bit(id);
}

#endif
