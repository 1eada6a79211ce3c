/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/engine.h"

/* Bytes of the piece of the store in which it stands. */
static uint32_t entry_bytes(const struct mr_queue_entry *e)
{
	return mr_entry_prefix(e->flags) + (e->flags & MR_ENTRY_CHAIN
							   ? (uint32_t)sizeof(struct mr_queue_chain)
							   : e->body_bytes);
}

struct mr_queue_entry *mr_entry_new(struct mr_queues *q, unsigned flags,
	const struct mrf_message_origin *origin, const struct mrf_reply_token *call,
	uint32_t header_bytes, uint32_t body_bytes)
{
	struct mr_queue_entry head = {
		.body_bytes = body_bytes,
		.born_ms = (uint32_t)q->now_ms,
		.header_bytes = (uint16_t)header_bytes,
		.flags = (uint8_t)flags,
	};
	struct mr_queue_entry *e;

	if (mr_unlikely(mr_queue_full(q)))
		return NULL;
	e = mr_store_alloc(q->store, entry_bytes(&head));
	if (mr_unlikely(e == NULL))
		return NULL;
	*e = head;
	if (flags & MR_ENTRY_ORIGIN)
		*mr_entry_origin(e) = *origin;
	if (flags & MR_ENTRY_CALL)
		*mr_entry_call(e) = *call;
	if (flags & MR_ENTRY_CHAIN)
		*(struct mr_queue_chain *)mr_entry_body(e) = (struct mr_queue_chain){0};
	return e;
}

void mr_entry_free(struct mr_queues *q, struct mr_queue_entry *e)
{
	if (mr_unlikely((e->flags & MR_ENTRY_CHAIN) != 0)) {
		struct mr_queue_chain *chain = mr_entry_body(e);
		struct mr_queue_piece *next;

		for (struct mr_queue_piece *p = chain->first; p != NULL; p = next) {
			next = p->next;
			mr_store_release(q->store, p, (uint32_t)sizeof(*p) + p->bytes);
		}
	}
	mr_store_release(q->store, e, entry_bytes(e));
}

bool mr_entry_append(
	struct mr_queues *q, struct mr_queue_entry *e, const void *body, uint32_t bytes)
{
	struct mr_queue_chain *chain = mr_entry_body(e);
	struct mr_queue_piece *p = NULL;

	if (!mr_queue_full(q))
		p = mr_store_alloc(q->store, (uint32_t)sizeof(*p) + bytes);
	if (p == NULL)
		return false;
	*p = (struct mr_queue_piece){.bytes = bytes};
	memcpy(p->body, body, bytes);
	if (chain->last == NULL)
		chain->first = p;
	else
		chain->last->next = p;
	chain->last = p;
	e->body_bytes += bytes;
	return true;
}

const uint8_t *mr_entry_slice(
	struct mr_queues *q, struct mr_queue_entry *e, uint32_t offset, uint32_t bytes)
{
	const struct mr_queue_chain *chain = mr_entry_body(e);
	const struct mr_queue_piece *p;
	uint32_t copied = 0;

	assert(offset + bytes <= e->body_bytes && bytes <= MR_BODY_BYTES_MAX);
	if (!(e->flags & MR_ENTRY_CHAIN))
		return (const uint8_t *)mr_entry_body(e) + offset;
	for (p = chain->first; offset >= p->bytes && p->next != NULL; p = p->next)
		offset -= p->bytes;
	if (offset + bytes <= p->bytes)
		return p->body + offset;
	for (; copied < bytes; p = p->next, offset = 0) {
		uint32_t part =
			p->bytes - offset < bytes - copied ? p->bytes - offset : bytes - copied;

		memcpy(q->scratch + copied, p->body + offset, part);
		copied += part;
	}
	return q->scratch;
}
