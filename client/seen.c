/* SPDX-License-Identifier: Apache-2.0 */
/* seen: for each publisher a bit for each of its last 65,536 numbers. The least recently heard of
 * publishers is forgotten when there are too many. */
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"

#define WINDOW         65536u
#define WORDS          (WINDOW / 64)
#define PUBLISHERS_MAX 64u

struct window {
	uint64_t publisher;
	uint64_t highest; /* number seen */
	uint64_t used;    /* turn when it was last looked at */
	uint64_t *bits;   /* by number modulo WINDOW */
};

struct mr_seen {
	uint64_t turn;
	unsigned count;
	unsigned last;
	struct window windows[PUBLISHERS_MAX];
};

struct mr_seen *mr_seen_new(void)
{
	return calloc(1, sizeof(struct mr_seen));
}

void mr_seen_free(struct mr_seen *s)
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < s->count; i++)
		free(s->windows[i].bits);
	free(s);
}

static struct window *least_recent(struct mr_seen *s)
{
	struct window *least = &s->windows[0];

	for (unsigned i = 1; i < s->count; i++) {
		if (s->windows[i].used < least->used)
			least = &s->windows[i];
	}
	return least;
}

static struct window *window_new(struct mr_seen *s, uint64_t publisher, uint64_t id)
{
	struct window *w = s->count < PUBLISHERS_MAX ? &s->windows[s->count] : least_recent(s);

	if (w->bits == NULL) {
		w->bits = malloc(WORDS * sizeof(*w->bits));
		if (w->bits == NULL)
			return NULL;
		s->count++;
	}
	memset(w->bits, 0, WORDS * sizeof(*w->bits));
	w->publisher = publisher;
	w->highest = id;
	return w;
}

static struct window *window_of(struct mr_seen *s, uint64_t publisher, uint64_t id)
{
	struct window *w = NULL;

	if (s->last < s->count && s->windows[s->last].publisher == publisher)
		w = &s->windows[s->last];
	for (unsigned i = 0; i < s->count && w == NULL; i++) {
		if (s->windows[i].publisher == publisher)
			w = &s->windows[i];
	}
	if (w == NULL)
		w = window_new(s, publisher, id);
	if (w == NULL)
		return NULL;
	s->last = (unsigned)(w - s->windows);
	w->used = ++s->turn;
	return w;
}

/* Numbers that were skipped were not seen. */
static void slide(struct window *w, uint64_t id)
{
	if (id - w->highest >= WINDOW) {
		memset(w->bits, 0, WORDS * sizeof(*w->bits));
	} else {
		for (uint64_t n = w->highest + 1; n != id + 1; n++)
			w->bits[n % WINDOW / 64] &= ~(1ull << n % 64);
	}
	w->highest = id;
}

bool mr_seen_first(struct mr_seen *s, uint64_t publisher, uint64_t id)
{
	struct window *w = window_of(s, publisher, id);
	uint64_t bit = 1ull << id % 64;

	/* Without memory to tell, twice is better than never. */
	if (w == NULL)
		return true;
	if (id > w->highest)
		slide(w, id);
	if (w->highest - id >= WINDOW)
		return false;
	if (w->bits[id % WINDOW / 64] & bit)
		return false;
	w->bits[id % WINDOW / 64] |= bit;
	return true;
}
