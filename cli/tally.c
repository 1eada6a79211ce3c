/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tally.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS (2 * MR_CLI_TALLY_SUBJECTS)

struct mr_cli_tally *mr_cli_tally_new(bool keep_last)
{
	struct mr_cli_tally *t = calloc(1, sizeof(*t));

	if (t != NULL)
		t->keep_last = keep_last;
	return t;
}

void mr_cli_tally_free(struct mr_cli_tally *t)
{
	for (uint32_t i = 0; t != NULL && i < t->count; i++) {
		free(t->rows[i].subject);
		free(t->rows[i].memory);
	}
	free(t);
}

/* FNV-1a. */
static uint32_t hash(const char *text, size_t bytes)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ (uint8_t)text[i]) * 16777619u;
	return h;
}

/* Returns the row of a subject, a new one if needed; NULL: there is no room. */
static struct mr_cli_tally_row *row_of(struct mr_cli_tally *t, const char *subject, size_t bytes)
{
	uint32_t slot = hash(subject, bytes) % SLOTS;
	struct mr_cli_tally_row *r;

	for (; t->index[slot] != 0; slot = (slot + 1) % SLOTS) {
		r = &t->rows[t->index[slot] - 1];
		if (strlen(r->subject) == bytes && memcmp(r->subject, subject, bytes) == 0)
			return r;
	}
	if (t->count == MR_CLI_TALLY_SUBJECTS)
		return NULL;
	r = &t->rows[t->count];
	r->subject = strndup(subject, bytes);
	if (r->subject == NULL)
		return NULL;
	t->index[slot] = ++t->count;
	return r;
}

static void keep(struct mr_cli_tally_row *r, const struct mr_message *m)
{
	char *memory = malloc(m->header_bytes + m->payload_bytes + 1);

	if (memory == NULL)
		return;
	free(r->memory);
	r->memory = memory;
	r->last = *m;
	if (m->header_bytes > 0)
		memcpy(memory, m->headers, m->header_bytes);
	if (m->payload_bytes > 0)
		memcpy(memory + m->header_bytes, m->payload, m->payload_bytes);
	r->last.subject = r->subject;
	r->last.headers = m->header_bytes > 0 ? memory : NULL;
	r->last.payload = memory + m->header_bytes;
}

void mr_cli_tally_add(struct mr_cli_tally *t, const struct mr_message *m)
{
	struct mr_cli_tally_row *r = row_of(t, m->subject, m->subject_bytes);

	t->messages++;
	t->bytes += m->payload_bytes;
	if (r == NULL) {
		t->others++;
		return;
	}
	r->messages++;
	r->bytes += m->payload_bytes;
	if (t->keep_last)
		keep(r, m);
}

static int compare(const void *a, const void *b)
{
	const struct mr_cli_tally_row *x = a, *y = b;

	if (x->messages != y->messages)
		return x->messages > y->messages ? -1 : 1;
	return strcmp(x->subject, y->subject);
}

void mr_cli_tally_sort(struct mr_cli_tally *t)
{
	qsort(t->rows, t->count, sizeof(t->rows[0]), compare);
	memset(t->index, 0, sizeof(t->index));
	for (uint32_t i = 0; i < t->count; i++) {
		uint32_t slot = hash(t->rows[i].subject, strlen(t->rows[i].subject)) % SLOTS;

		while (t->index[slot] != 0)
			slot = (slot + 1) % SLOTS;
		t->index[slot] = i + 1;
	}
}
