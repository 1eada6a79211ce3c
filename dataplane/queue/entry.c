/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/work.h"

/* Fragments of one message that are freed with it; the others some of them a round. */
#define FRAGMENTS_AT_ONCE 64u

/* Returns the bytes of the store's chunk that holds the entry. */
static inline uint32_t chunk_bytes(unsigned flags, uint32_t body_bytes)
{
	return mr_entry_prefix(flags) +
	       (flags & MR_ENTRY_CHAIN ? (uint32_t)sizeof(struct mr_queue_chain) : body_bytes);
}

void mr_entry_charge(struct mr_queues *q, struct mr_queue_entry *e, uint32_t bytes)
{
	if (mr_likely((e->flags & MR_ENTRY_OWNED) == 0))
		return;
	bytes = mr_slab_chunk_bytes(q->store, bytes);
	mr_entry_owner(e)->bytes += bytes;
	mr_share_add(&q->limits.accounts, mr_entry_owner(e)->account, bytes);
}

static void set_owner(struct mr_queues *q, struct mr_queue_entry *e, uint32_t account)
{
	*mr_entry_owner(e) = (struct mr_queue_owner){.account = account};
	mr_entry_charge(q, e, chunk_bytes(e->flags, e->body_bytes));
}

struct mr_queue_entry *mr_entry_new(struct mr_queues *q, uint32_t account, unsigned flags,
	const struct mrf_message_origin *origin, uint32_t header_bytes, uint32_t body_bytes)
{
	struct mr_queue_entry *e = NULL;

	flags = account != 0 ? flags | MR_ENTRY_OWNED : flags & ~MR_ENTRY_OWNED;
	if (mr_likely(!mr_queue_full(q)))
		e = mr_slab_alloc_for(q->store, chunk_bytes(flags, body_bytes), account);
	if (mr_unlikely(e == NULL))
		return NULL;
	e->next = NULL;
	e->body_bytes = body_bytes;
	e->born_ms = (uint32_t)q->now_ms;
	e->header_bytes = (uint16_t)header_bytes;
	e->attempts = 0;
	e->flags = (uint8_t)flags;
	e->priority = MRF_PRIORITY_NORMAL;
	e->spared = 0;
	e->order = 0;
	if (flags & MR_ENTRY_ORIGIN)
		*mr_entry_origin(e) = *origin;
	if (mr_unlikely((flags & MR_ENTRY_TIME) != 0))
		*mr_entry_time(e) = (struct mr_queue_time){.ends_ms = MR_TIME_NEVER};
	if (flags & MR_ENTRY_CHAIN)
		*(struct mr_queue_chain *)mr_entry_body(e) = (struct mr_queue_chain){0};
	if (mr_unlikely(account != 0))
		set_owner(q, e, account);
	return e;
}

uint32_t mr_entry_refusal(
	const struct mr_queues *q, uint32_t account, unsigned flags, uint32_t body_bytes)
{
	uint32_t bytes = chunk_bytes(flags | MR_ENTRY_OWNED, body_bytes);

	return account != 0 && mr_slab_owner_full(q->store, bytes, account)
		       ? MRF_STATUS_CODE_SHARE_USED
		       : MRF_STATUS_CODE_NO_MEMORY;
}

/* Releases fragments of a list, at most `max`; returns the rest. */
static struct mr_queue_fragment *release_fragments(
	struct mr_queues *q, struct mr_queue_fragment *p, uint32_t max)
{
	struct mr_queue_fragment *next;

	for (; p != NULL && max > 0; p = next, max--) {
		next = p->next;
		mr_slab_release(q->store, p, (uint32_t)sizeof(*p) + p->bytes);
	}
	return p;
}

static void free_chain(struct mr_queues *q, struct mr_queue_chain *chain)
{
	struct mr_queue_fragment *rest = release_fragments(q, chain->first, FRAGMENTS_AT_ONCE);

	if (mr_likely(rest == NULL))
		return;
	chain->last->next = q->garbage_fragments;
	q->garbage_fragments = rest;
}

void mr_entry_free_fragments(struct mr_queues *q)
{
	uint32_t max = q->work;

	if (q->garbage_fragments == NULL)
		return;
	mr_work(q, max);
	q->garbage_fragments = release_fragments(q, q->garbage_fragments, max);
}

/* Frees the chain of fragments, and takes the entry off its account. */
static void __attribute__((noinline)) free_parts(struct mr_queues *q, struct mr_queue_entry *e)
{
	if (e->flags & MR_ENTRY_OWNED)
		mr_share_less(
			&q->limits.accounts, mr_entry_owner(e)->account, mr_entry_owner(e)->bytes);
	if (e->flags & MR_ENTRY_CHAIN)
		free_chain(q, mr_entry_body(e));
}

void mr_entry_free(struct mr_queues *q, struct mr_queue_entry *e)
{
	if (mr_unlikely((e->flags & (MR_ENTRY_OWNED | MR_ENTRY_CHAIN)) != 0))
		free_parts(q, e);
	mr_slab_release(q->store, e, chunk_bytes(e->flags, e->body_bytes));
}

bool mr_entry_append(
	struct mr_queues *q, struct mr_queue_entry *e, const void *body, uint32_t bytes)
{
	struct mr_queue_chain *chain = mr_entry_body(e);
	struct mr_queue_fragment *p = NULL;

	if (!mr_queue_full(q))
		p = mr_slab_alloc_for(q->store, (uint32_t)sizeof(*p) + bytes, mr_entry_account(e));
	if (p == NULL)
		return false;
	*p = (struct mr_queue_fragment){.bytes = bytes};
	memcpy(p->body, body, bytes);
	if (chain->last == NULL)
		chain->first = p;
	else
		chain->last->next = p;
	chain->last = p;
	e->body_bytes += bytes;
	mr_entry_charge(q, e, (uint32_t)sizeof(*p) + bytes);
	return true;
}

struct mr_queue_fragment *mr_entry_first_replace(
	struct mr_queues *q, struct mr_queue_entry *e, uint32_t bytes)
{
	struct mr_queue_chain *chain = mr_entry_body(e);
	struct mr_queue_fragment *p =
		mr_slab_alloc_for(q->store, (uint32_t)sizeof(*p) + bytes, mr_entry_account(e));

	if (p == NULL)
		return NULL;
	*p = (struct mr_queue_fragment){.next = chain->first->next, .bytes = bytes};
	if (chain->last == chain->first)
		chain->last = p;
	chain->first = p;
	mr_entry_charge(q, e, (uint32_t)sizeof(*p) + bytes);
	return p;
}

void mr_entry_fragment_release(
	struct mr_queues *q, struct mr_queue_entry *e, struct mr_queue_fragment *p)
{
	uint32_t bytes = (uint32_t)sizeof(*p) + p->bytes;

	if (e->flags & MR_ENTRY_OWNED) {
		uint32_t fragment_chunk = mr_slab_chunk_bytes(q->store, bytes);

		mr_entry_owner(e)->bytes -= fragment_chunk;
		mr_share_less(&q->limits.accounts, mr_entry_owner(e)->account, fragment_chunk);
	}
	mr_slab_release(q->store, p, bytes);
}

const uint8_t *mr_entry_slice(struct mr_queues *q, struct mr_queue_entry *e,
	struct mr_queue_place *place, uint32_t offset, uint32_t bytes)
{
	const struct mr_queue_chain *chain = mr_entry_body(e);
	const struct mr_queue_fragment *p;
	uint32_t copied = 0;

	assert(offset + bytes <= e->body_bytes && bytes <= MR_BODY_BYTES_MAX);
	if (!(e->flags & MR_ENTRY_CHAIN))
		return (const uint8_t *)mr_entry_body(e) + offset;
	if (place->fragment == NULL)
		*place = (struct mr_queue_place){.fragment = chain->first};
	while (offset - place->offset >= place->fragment->bytes && place->fragment->next != NULL) {
		place->offset += place->fragment->bytes;
		place->fragment = place->fragment->next;
	}
	p = place->fragment;
	offset -= place->offset;
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
