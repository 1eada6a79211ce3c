/* SPDX-License-Identifier: Apache-2.0 */
/* call_table: the table of calls, in chunks that do not move. Freed places are reused last in,
 * first out. */
#include <stdlib.h>

#include "client/core/error.h"
#include "client/core/timer_wheel.h"
#include "client/service/call.h"

#define INDEX_MASK   (MR_CALL_BIT - 1)
#define SERIAL_SHIFT 24u
/* A place keeps the memory of its request up to this size. */
#define REQUEST_KEPT_BYTES 4096u
_Static_assert(MR_CALLS_MAX <= MR_CALL_BIT, "an index fits its bits");

struct mr_call *mr_call_at(const struct mr_calls *s, uint32_t index)
{
	return &s->chunks[index / MR_CALL_CHUNK][index % MR_CALL_CHUNK];
}

int mr_calls_need(struct mr_client *c)
{
	if (mr_likely(c->calls != NULL))
		return 0;
	c->calls = calloc(1, sizeof(*c->calls));
	return c->calls != NULL ? 0 : mr_fail(c, -ENOMEM, NULL);
}

static int table_grow(struct mr_client *c)
{
	struct mr_calls *s = c->calls;
	uint32_t at = s->top / MR_CALL_CHUNK;
	uint32_t room = s->chunks_room == 0 ? 16 : 2 * s->chunks_room;
	struct mr_call **chunks;

	if (s->top >= MR_CALLS_MAX)
		return mr_fail(c, -ENOSPC, "too many calls wait for replies");
	if (at == s->chunks_room) {
		chunks = realloc(s->chunks, room * sizeof(struct mr_call *));
		if (chunks == NULL)
			return mr_fail(c, -ENOMEM, NULL);
		s->chunks = chunks;
		s->chunks_room = room;
	}
	s->chunks[at] = calloc(MR_CALL_CHUNK, sizeof(struct mr_call));
	if (s->chunks[at] == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	s->top += MR_CALL_CHUNK;
	for (uint32_t i = s->top; i-- > s->top - MR_CALL_CHUNK;) {
		struct mr_call *r = mr_call_at(s, i);

		r->index = i;
		r->next_free = s->free;
		s->free = r;
	}
	return 0;
}

int mr_call_new(struct mr_client *c, struct mr_call **out)
{
	struct mr_calls *s = c->calls;
	struct mr_call *r;
	int error;

	if (mr_unlikely(s->free == NULL)) {
		error = table_grow(c);
		if (error != 0)
			return error;
	}
	r = s->free;
	s->free = r->next_free;
	r->correlation = ++s->serial << SERIAL_SHIFT | MR_CALL_BIT | r->index;
	r->tag = 0;
	r->tries = 0;
	r->credit = 0;
	r->taken = 0;
	r->probe = false;
	r->reopened = false;
	*out = r;
	return 0;
}

void mr_call_free(struct mr_client *c, struct mr_call *r)
{
	struct mr_calls *s = c->calls;

	mr_wheel_remove(&s->wheel, &r->timer);
	if (mr_unlikely(r->stream != NULL))
		r->stream->call = NULL;
	r->state = MR_CALL_FREE;
	r->correlation = 0;
	if (mr_unlikely(r->room > REQUEST_KEPT_BYTES)) {
		free(r->request);
		r->request = NULL;
		r->room = 0;
	}
	r->next_free = s->free;
	s->free = r;
}

struct mr_call *mr_call_find(const struct mr_client *c, uint64_t correlation)
{
	uint32_t index = (uint32_t)correlation & INDEX_MASK;
	struct mr_call *r;

	if (c->calls == NULL || index >= c->calls->top)
		return NULL;
	r = mr_call_at(c->calls, index);
	return r->correlation == correlation ? r : NULL;
}

bool mr_call_is_sync(const struct mr_client *c, uint64_t correlation)
{
	const struct mr_call *r = mr_call_find(c, correlation);

	return r != NULL && r->callback == NULL;
}

void mr_call_free_all(struct mr_client *c)
{
	if (c->calls == NULL)
		return;
	for (uint32_t i = 0; i < c->calls->top; i++)
		free(mr_call_at(c->calls, i)->request);
	for (uint32_t i = 0; i < c->calls->top / MR_CALL_CHUNK; i++)
		free(c->calls->chunks[i]);
	free(c->calls->chunks);
	mr_stubs_free(c);
	mr_streams_free(c);
	free(c->calls);
}
