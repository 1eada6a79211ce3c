/* SPDX-License-Identifier: Apache-2.0 */
#include "client/subscribe/dedup.h"

#include <stdlib.h>

#include "lib/wire/id_window.h"

#define PUBLISHERS_MAX 64u

struct window {
	uint64_t publisher;
	uint64_t used; /* turn of the last look at it */
	struct mr_id_window *ids;
};

struct mr_dedup {
	uint64_t turn;
	unsigned count;
	unsigned last;
	struct window windows[PUBLISHERS_MAX];
};

struct mr_dedup *mr_dedup_new(void)
{
	return calloc(1, sizeof(struct mr_dedup));
}

void mr_dedup_free(struct mr_dedup *s)
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < s->count; i++)
		free(s->windows[i].ids);
	free(s);
}

static struct window *least_recent(struct mr_dedup *s)
{
	struct window *least = &s->windows[0];

	for (unsigned i = 1; i < s->count; i++) {
		if (s->windows[i].used < least->used)
			least = &s->windows[i];
	}
	return least;
}

static struct window *window_new(struct mr_dedup *s, uint64_t publisher)
{
	struct window *w = s->count < PUBLISHERS_MAX ? &s->windows[s->count] : least_recent(s);

	if (w->ids == NULL) {
		w->ids = malloc(sizeof(*w->ids));
		if (w->ids == NULL)
			return NULL;
		s->count++;
	}
	mr_id_window_init(w->ids);
	w->publisher = publisher;
	return w;
}

static struct window *window_of(struct mr_dedup *s, uint64_t publisher)
{
	struct window *w = NULL;

	if (s->last < s->count && s->windows[s->last].publisher == publisher)
		w = &s->windows[s->last];
	for (unsigned i = 0; i < s->count && w == NULL; i++) {
		if (s->windows[i].publisher == publisher)
			w = &s->windows[i];
	}
	if (w == NULL)
		w = window_new(s, publisher);
	if (w == NULL)
		return NULL;
	s->last = (unsigned)(w - s->windows);
	w->used = ++s->turn;
	return w;
}

bool mr_dedup_first(struct mr_dedup *s, uint64_t publisher, uint64_t id)
{
	struct window *w = window_of(s, publisher);

	/* Without memory to tell, a duplicate is better than a loss. */
	if (w == NULL)
		return true;
	if (mr_id_window_look(w->ids, id) != MR_ID_NEW)
		return false;
	mr_id_window_note(w->ids, id);
	return true;
}
