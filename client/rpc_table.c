/* SPDX-License-Identifier: Apache-2.0 */
/* The table of calls: places that stay where they are, in chunks, and are used again the last first. */
#include <stdlib.h>

#include "client/rpc.h"

#define INDEX_MASK   (MR_RPC_BIT - 1)
#define SERIAL_SHIFT 24u
/* A request's memory stays with its place if it is no larger. */
#define REQUEST_KEPT_BYTES 4096u
_Static_assert(MR_RPCS_MAX <= MR_RPC_BIT, "an index fits its bits");

struct mr_rpc *mr_rpc_at(const struct mr_rpcs *s, uint32_t index)
{
	return &s->chunks[index / MR_RPC_CHUNK][index % MR_RPC_CHUNK];
}

int mr_rpcs_need(struct mr_client *c)
{
	if (mr_likely(c->rpcs != NULL))
		return 0;
	c->rpcs = calloc(1, sizeof(*c->rpcs));
	return c->rpcs != NULL ? 0 : mr_fail(c, -ENOMEM, NULL);
}

static int grow(struct mr_client *c)
{
	struct mr_rpcs *s = c->rpcs;
	uint32_t at = s->top / MR_RPC_CHUNK;
	uint32_t room = s->chunks_room == 0 ? 16 : 2 * s->chunks_room;
	struct mr_rpc **chunks;

	if (s->top >= MR_RPCS_MAX)
		return mr_fail(c, -ENOSPC, "too many calls wait for replies");
	if (at == s->chunks_room) {
		chunks = realloc(s->chunks, room * sizeof(struct mr_rpc *));
		if (chunks == NULL)
			return mr_fail(c, -ENOMEM, NULL);
		s->chunks = chunks;
		s->chunks_room = room;
	}
	s->chunks[at] = calloc(MR_RPC_CHUNK, sizeof(struct mr_rpc));
	if (s->chunks[at] == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	s->top += MR_RPC_CHUNK;
	for (uint32_t i = s->top; i-- > s->top - MR_RPC_CHUNK;) {
		struct mr_rpc *r = mr_rpc_at(s, i);

		r->index = i;
		r->next_free = s->free;
		s->free = r;
	}
	return 0;
}

int mr_rpc_new(struct mr_client *c, struct mr_rpc **out)
{
	struct mr_rpcs *s = c->rpcs;
	struct mr_rpc *r;
	int error;

	if (mr_unlikely(s->free == NULL)) {
		error = grow(c);
		if (error != 0)
			return error;
	}
	r = s->free;
	s->free = r->next_free;
	r->correlation = ++s->serial << SERIAL_SHIFT | MR_RPC_BIT | r->index;
	r->tag = 0;
	r->tries = 0;
	r->credit = 0;
	r->taken = 0;
	r->probe = false;
	r->reopened = false;
	*out = r;
	return 0;
}

void mr_rpc_free(struct mr_client *c, struct mr_rpc *r)
{
	struct mr_rpcs *s = c->rpcs;

	mr_wheel_remove(&s->wheel, &r->timer);
	if (mr_unlikely(r->stream != NULL))
		r->stream->rpc = NULL;
	r->state = MR_RPC_FREE;
	r->correlation = 0;
	if (mr_unlikely(r->room > REQUEST_KEPT_BYTES)) {
		free(r->request);
		r->request = NULL;
		r->room = 0;
	}
	r->next_free = s->free;
	s->free = r;
}

struct mr_rpc *mr_rpc_find(const struct mr_client *c, uint64_t correlation)
{
	uint32_t index = (uint32_t)correlation & INDEX_MASK;
	struct mr_rpc *r;

	if (c->rpcs == NULL || index >= c->rpcs->top)
		return NULL;
	r = mr_rpc_at(c->rpcs, index);
	return r->correlation == correlation ? r : NULL;
}

bool mr_rpc_is_sync(const struct mr_client *c, uint64_t correlation)
{
	const struct mr_rpc *r = mr_rpc_find(c, correlation);

	return r != NULL && r->callback == NULL;
}

void mr_rpc_free_all(struct mr_client *c)
{
	if (c->rpcs == NULL)
		return;
	for (uint32_t i = 0; i < c->rpcs->top; i++)
		free(mr_rpc_at(c->rpcs, i)->request);
	for (uint32_t i = 0; i < c->rpcs->top / MR_RPC_CHUNK; i++)
		free(c->rpcs->chunks[i]);
	free(c->rpcs->chunks);
	mr_callees_free(c);
	mr_streams_free(c);
	free(c->rpcs);
}
