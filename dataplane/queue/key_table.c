/* SPDX-License-Identifier: Apache-2.0 */
/* key_table: the records of keys of all queues of a worker, by linear hashing (Litwin, "Linear
 * Hashing", VLDB 1980).
 *
 * The table grows by one bucket with each record, and shrinks likewise: no push waits for a table
 * to be copied. Buckets are in segments; the first is a part of the table, the others are chunks of
 * the store. The hash has a random key, so nobody can choose keys that share a bucket.
 */
#include <errno.h>
#include <stdlib.h>

#include "dataplane/queue/key.h"

#define SEGMENT_BYTES (MR_KEY_SEGMENT * (uint32_t)sizeof(uint32_t))
/* A bucket for each record; below one record for this many buckets the table shrinks. */
#define SPARSE      4u
#define MERGE_STEPS 5u

int mr_key_table_new(struct mr_queues *q)
{
	struct mr_key_table *t;

	if (q->key_table != NULL)
		return 0;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->buckets = MR_KEY_SEGMENT;
	t->mask = MR_KEY_SEGMENT - 1;
	t->segments[0] = t->first;
	t->base = mr_slab_base(q->store);
	q->key_table = t;
	mr_key_link_init(&q->key_garbage);
	return 0;
}

void mr_key_table_free(struct mr_queues *q)
{
	free(q->key_table);
}

uint64_t mr_key_table_count(const struct mr_queues *q)
{
	return q->key_table == NULL ? 0 : q->key_table->count;
}

static uint32_t *bucket_at(const struct mr_key_table *t, uint32_t at)
{
	return &t->segments[at >> MR_KEY_SEGMENT_BITS][at & (MR_KEY_SEGMENT - 1)];
}

/* Adds a bucket, and moves to it the records of its lower neighbour that belong there. */
void mr_key_table_grow(struct mr_queues *q)
{
	struct mr_key_table *t = q->key_table;
	uint32_t at = t->buckets, segment = at >> MR_KEY_SEGMENT_BITS;
	uint32_t *from;

	if (segment >= MR_KEY_SEGMENTS_MAX)
		return;
	if (t->segments[segment] == NULL) {
		t->segments[segment] = mr_slab_alloc(q->store, SEGMENT_BYTES);
		if (t->segments[segment] == NULL) /* the chains grow */
			return;
	}
	if (at > t->mask)
		t->mask = t->mask * 2 + 1;
	*bucket_at(t, at) = 0;
	from = bucket_at(t, at & (t->mask >> 1));
	t->buckets++;
	while (*from != 0) {
		struct mr_queue_key *k = mr_key_table_record(t, *from);
		uint32_t *to = mr_key_table_bucket_of(t, k->hash);

		if (to != bucket_at(t, at)) {
			from = &k->chain;
			continue;
		}
		*from = k->chain;
		k->chain = *to;
		*to = mr_chunk_ref(q, k);
	}
}

/* Removes the last bucket; its records go back to its lower neighbour. */
static void merge(struct mr_queues *q, struct mr_key_table *t)
{
	uint32_t at = t->buckets - 1;
	uint32_t *from = bucket_at(t, at), *to = bucket_at(t, at & (t->mask >> 1));

	while (*to != 0)
		to = &mr_key_table_record(t, *to)->chain;
	*to = *from;
	t->buckets = at;
	if (at == (t->mask >> 1) + 1)
		t->mask >>= 1;
	if ((at & (MR_KEY_SEGMENT - 1)) == 0) {
		mr_slab_release(q->store, t->segments[at >> MR_KEY_SEGMENT_BITS], SEGMENT_BYTES);
		t->segments[at >> MR_KEY_SEGMENT_BITS] = NULL;
	}
}

void mr_key_table_shrink(struct mr_queues *q)
{
	struct mr_key_table *t = q->key_table;

	for (unsigned i = 0; i < MERGE_STEPS; i++) {
		if (t->buckets == MR_KEY_SEGMENT || t->count * SPARSE >= t->buckets)
			return;
		merge(q, t);
	}
}

struct mr_queue_key *mr_key_table_bucket(const struct mr_queues *q, uint32_t *cursor)
{
	const struct mr_key_table *t = q->key_table;
	uint32_t at = *cursor;

	if (at >= t->buckets) { /* the table has shrunk */
		*cursor = 0;
		return NULL;
	}
	*cursor = at + 1 < t->buckets ? at + 1 : 0;
	return mr_key_table_record(t, *bucket_at(t, at));
}
