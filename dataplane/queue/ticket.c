/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/ticket.h"

#include "dataplane/queue/schedule.h"
#include "dataplane/queue/ttl.h"

#define CHUNK_BYTES ((uint32_t)(MR_TICKET_CHUNK * sizeof(uint32_t)))

uint64_t mr_entry_ticket(struct mr_queue_entry *e)
{
	return mr_entry_time(e)->repeats ? e->schedule->ticket : e->ticket;
}

static uint64_t hash_of(const struct mr_queues *q, uint64_t ticket)
{
	return mr_hash_pair(&q->name_key, ticket, 0);
}

static uint32_t *bucket(const struct mr_tickets *t, uint32_t index)
{
	return &t->chunks[index / MR_TICKET_CHUNK][index % MR_TICKET_CHUNK];
}

/* Returns the least power of two that is not below the number of buckets. */
static uint32_t round_of(const struct mr_tickets *t)
{
	return t->buckets == 1 ? 1 : 1u << (32 - __builtin_clz(t->buckets - 1));
}

static uint32_t *bucket_of(const struct mr_queues *q, const struct mr_tickets *t, uint64_t ticket)
{
	uint64_t hash = hash_of(q, ticket);
	uint32_t round = round_of(t), index = (uint32_t)(hash & (round - 1));

	return bucket(t, index < t->buckets ? index : index - round / 2);
}

/* Makes room for one more bucket. False: the table has its size, or there is no memory. */
static bool has_chunk(struct mr_queues *q, struct mr_tickets *t)
{
	uint32_t **chunk = &t->chunks[t->buckets / MR_TICKET_CHUNK];

	if (t->buckets == MR_TICKET_CHUNKS_MAX * MR_TICKET_CHUNK)
		return false;
	if (*chunk == NULL) {
		*chunk = mr_slab_alloc(q->store, CHUNK_BYTES);
		if (*chunk != NULL)
			memset(*chunk, 0, CHUNK_BYTES);
	}
	return *chunk != NULL;
}

/* Moves about half of a bucket's entries to a new one. */
static void split(struct mr_queues *q, struct mr_tickets *t)
{
	uint32_t *from, ref;

	if (!has_chunk(q, t))
		return;
	t->buckets++;
	from = bucket(t, t->buckets - 1 - round_of(t) / 2);
	ref = *from;
	*from = 0;
	while (ref != 0) {
		struct mr_queue_entry *e = mr_entry_of_ref(q, ref);
		uint32_t next = mr_entry_time(e)->up, *to = bucket_of(q, t, mr_entry_ticket(e));

		mr_entry_time(e)->up = *to;
		*to = ref;
		ref = next;
	}
}

/* Makes a table of one chunk. */
static bool prepare(struct mr_queues *q, struct mr_queue_times *times)
{
	struct mr_tickets *t = times->tickets;

	if (t != NULL)
		return true;
	t = mr_slab_alloc(q->store, (uint32_t)sizeof(*t));
	if (t == NULL)
		return false;
	memset(t, 0, sizeof(*t));
	if (!has_chunk(q, t)) {
		mr_slab_release(q->store, t, (uint32_t)sizeof(*t));
		return false;
	}
	t->buckets = MR_TICKET_CHUNK;
	times->tickets = t;
	return true;
}

struct mr_queue_entry *mr_ticket_find(const struct mr_queues *q, const struct mr_queue *queue,
	uint64_t ticket, struct mr_queue_entry *last)
{
	const struct mr_tickets *t = queue->times == NULL ? NULL : queue->times->tickets;
	struct mr_queue_entry *e;

	if (t == NULL)
		return NULL;
	e = mr_entry_of_ref(q, last != NULL ? mr_entry_time(last)->up : *bucket_of(q, t, ticket));
	while (e != NULL && mr_entry_ticket(e) != ticket)
		e = mr_entry_of_ref(q, mr_entry_time(e)->up);
	return e;
}

uint32_t mr_ticket_admit(
	struct mr_queues *q, struct mr_queue *queue, uint64_t ticket, uint32_t account)
{
	struct mr_queue_entry *e = NULL;
	unsigned copies = 0;

	if (!mr_ttl_prepare(q, queue) || !prepare(q, queue->times))
		return MRF_STATUS_CODE_NO_MEMORY;
	while ((e = mr_ticket_find(q, queue, ticket, e)) != NULL)
		copies += mr_entry_account(e) == account;
	return copies < MR_TICKET_COPIES_MAX ? MRF_STATUS_CODE_OK : MRF_STATUS_CODE_OVERLOADED;
}

void mr_ticket_add(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_tickets *t;
	uint32_t *to;

	/* A purge between the first and the last fragment may have freed the table. */
	if (!prepare(q, queue->times)) {
		mr_entry_time(e)->ticketed = false;
		return;
	}
	t = queue->times->tickets;
	if (++t->count > t->buckets)
		split(q, t);
	to = bucket_of(q, t, mr_entry_ticket(e));
	mr_entry_time(e)->up = *to;
	*to = mr_entry_ref(q, e);
}

void mr_ticket_remove(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_tickets *t = queue->times->tickets;
	uint32_t *at = bucket_of(q, t, mr_entry_ticket(e)), ref = mr_entry_ref(q, e);

	while (*at != ref)
		at = &mr_entry_time(mr_entry_of_ref(q, *at))->up;
	*at = mr_entry_time(e)->up;
	mr_entry_time(e)->up = 0;
	mr_entry_time(e)->ticketed = false;
	if (--t->count == 0 && t->buckets > MR_TICKET_CHUNK)
		mr_tickets_free(q, queue);
}

void mr_tickets_free(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_tickets *t = queue->times == NULL ? NULL : queue->times->tickets;

	if (t == NULL)
		return;
	for (uint32_t i = 0; i < MR_TICKET_CHUNKS_MAX && t->chunks[i] != NULL; i++)
		mr_slab_release(q->store, t->chunks[i], CHUNK_BYTES);
	mr_slab_release(q->store, t, (uint32_t)sizeof(*t));
	queue->times->tickets = NULL;
}
