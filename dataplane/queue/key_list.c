/* SPDX-License-Identifier: Apache-2.0 */
/* key_list: keys and their entries, for operators. */
#include "dataplane/queue/key.h"
#include "dataplane/queue/work.h"

/* Buckets and records examined for one answer. */
#define LOOKS_MAX  4096u
#define TEXT_BYTES 255u

static bool is_of(
	const struct mr_queues *q, const struct mr_queue *queue, const struct mr_queue_key *k)
{
	return k->hash == mr_key_hash(q, queue, k->key) && k->epoch == queue->keys->epoch;
}

static uint32_t depth_of(const struct mr_queue_key *k)
{
	return k->ready_count + k->out_count;
}

/* Inserts a key into the rows, the one with most entries first. */
static uint32_t insert(
	const struct mr_queue_key **top, uint32_t count, const struct mr_queue_key *k)
{
	uint32_t at = count < MR_KEY_ROWS ? count++ : MR_KEY_ROWS - 1;

	if (at == MR_KEY_ROWS - 1 && top[at] != NULL && depth_of(top[at]) >= depth_of(k))
		return count;
	for (; at > 0 && depth_of(top[at - 1]) < depth_of(k); at--)
		top[at] = top[at - 1];
	top[at] = k;
	return count;
}

/* Returns an entry of the key that is out with its consumer, or NULL. */
static struct mr_queue_entry *entry_out(
	const struct mr_queues *q, const struct mr_queue_key *k, uint32_t *looks)
{
	const struct mr_queue_consumer *c = mr_chunk_of_ref(q, k->consumer);

	for (unsigned renewed = 0; renewed < 2; renewed++)
		for (uint32_t d = c->out[renewed].head; d != MR_QUEUE_NONE && *looks > 0;
			d = q->deliveries[d].next, --*looks) {
			struct mr_queue_entry *e = q->deliveries[d].entry;

			if ((e->flags & MR_ENTRY_TIME) &&
				mr_entry_time(e)->key_at == mr_chunk_ref(q, k))
				return e;
		}
	return NULL;
}

static bool is_in_hand(const struct mr_queue_key *k)
{
	return k->out_count > k->delayed_count;
}

/* Returns the text of the key, as one of its messages has it; empty: not known. */
static struct mrf_string text_of(const struct mr_queues *q, const struct mr_queue *queue,
	const struct mr_queue_key *k, uint32_t *looks)
{
	struct mr_queue_entry *e = mr_entry_of_ref(q, k->returned != 0 ? k->returned : k->head);

	if (e == NULL && is_in_hand(k))
		e = entry_out(q, k, looks);
	return e == NULL ? (struct mrf_string){0} : mr_key_text(queue, e, k->key, TEXT_BYTES);
}

static uint32_t write_key(struct mr_queues *q, const struct mr_queue *queue,
	const struct mr_queue_key *k, struct mrf_builder *b, uint32_t *looks)
{
	const struct mr_queue_consumer *c = is_in_hand(k) ? mr_chunk_of_ref(q, k->consumer) : NULL;
	const struct mr_queue_entry *oldest =
		mr_entry_of_ref(q, k->returned != 0 ? k->returned : k->head);

	return mrf_queue_key_row_write(
		b, &(struct mrf_queue_key_row){
			   .key = k->key,
			   .text = text_of(q, queue, k, looks),
			   .ready = k->ready_count,
			   .unsettled = k->out_count,
			   .delayed = k->delayed_count,
			   .session = c == NULL ? 0 : c->session,
			   .subscription = c == NULL ? 0 : c->subscription,
			   .held_ms = k->out_count > 0 ? (uint32_t)q->now_ms - k->since_ms : 0,
			   .oldest_ms = oldest == NULL ? 0 : (uint32_t)q->now_ms - oldest->born_ms,
		   });
}

uint32_t mr_keys_list(struct mr_queues *q, struct mr_queue *queue, uint32_t *cursor,
	struct mrf_builder *b, uint32_t *rows)
{
	const struct mr_queue_key *top[MR_KEY_ROWS] = {NULL};
	uint32_t count = 0, looks = LOOKS_MAX;

	do {
		const struct mr_queue_key *k = mr_key_table_bucket(q, cursor);

		for (; k != NULL && looks > 0; k = mr_chunk_of_ref(q, k->chain), looks--)
			if (is_of(q, queue, k))
				count = insert(top, count, k);
		looks -= looks > 0;
	} while (*cursor != 0 && looks > 0);
	looks = LOOKS_MAX;
	for (uint32_t i = 0; i < count; i++)
		rows[i] = write_key(q, queue, top[i], b, &looks);
	return count;
}

/* Returns the first key of the queue in a bucket whose oldest ready entry is that old, or NULL. */
static struct mr_queue_key *older_in(const struct mr_queues *q, const struct mr_queue *queue,
	struct mr_queue_key *k, uint64_t older_ms)
{
	for (; k != NULL; k = mr_chunk_of_ref(q, k->chain)) {
		const struct mr_queue_entry *e =
			mr_entry_of_ref(q, k->returned != 0 ? k->returned : k->head);

		if (e != NULL && is_of(q, queue, k) && (uint32_t)q->now_ms - e->born_ms >= older_ms)
			return k;
	}
	return NULL;
}

uint64_t mr_keys_purge_older(
	struct mr_queues *q, struct mr_queue *queue, uint64_t older_ms, uint32_t *cursor)
{
	uint64_t count = 0;

	do {
		uint32_t next = *cursor, again = *cursor;
		struct mr_queue_key *k =
			older_in(q, queue, mr_key_table_bucket(q, &next), older_ms);

		mr_work(q, 1);
		/* The record may go with its last entry: the bucket is read again. */
		for (; k != NULL && mr_work_left(q); count++) {
			struct mr_queue_entry *e =
				mr_entry_of_ref(q, k->returned != 0 ? k->returned : k->head);

			mr_work(q, MR_WORK_BACK + (e->body_bytes >> MR_WORK_LARGE));
			mr_queue_take(q, queue, e);
			mr_queue_done(q, queue, e);
			next = again;
			k = older_in(q, queue, mr_key_table_bucket(q, &next), older_ms);
		}
		if (k != NULL)
			return count; /* the rest of the bucket has its turn later */
		*cursor = next;
	} while (*cursor != 0 && mr_work_left(q));
	return count;
}

/* Adds the ready entries of a key in their order: those that came back leave their heap and return
 * to it. */
static uint32_t peek_key(
	struct mr_queues *q, struct mr_queue_key *k, struct mr_queue_entry **out, uint32_t max)
{
	struct mr_queue_entry *root = mr_entry_of_ref(q, k->returned);
	struct mr_queue_entry *e = mr_entry_of_ref(q, k->head);
	uint32_t count = 0, came_back;

	for (; root != NULL && count < max; count++) {
		out[count] = root;
		mr_returned_remove(q, &root, root);
	}
	for (came_back = count; came_back > 0;) {
		struct mr_queue_entry *back = out[--came_back];

		back->tree.left = back->tree.right = 0;
		mr_entry_time(back)->up = 0;
		root = mr_returned_join(q, root, back);
	}
	k->returned = root == NULL ? 0 : mr_entry_ref(q, root);
	for (; e != NULL && count < max; e = e->next)
		out[count++] = e;
	return count;
}

static uint32_t peek_list(
	struct mr_queues *q, struct mr_key_link *list, struct mr_queue_entry **out, uint32_t max)
{
	uint32_t count = 0, looks = LOOKS_MAX;

	for (struct mr_key_link *l = list->next; l != list && count < max && looks > 0;
		l = l->next, looks--)
		count += peek_key(q, (struct mr_queue_key *)l, out + count, max - count);
	return count;
}

uint32_t mr_keys_peek(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry **out, uint32_t max)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < queue->consumers_count; i++)
		for (unsigned level = 0; level < MR_LEVELS; level++)
			count += peek_list(q, &queue->consumers[i]->keys->lists[level], out + count,
				max - count);
	count += peek_list(q, &queue->keys->loose, out + count, max - count);
	return count + peek_list(q, &queue->keys->held, out + count, max - count);
}

static uint32_t oldest_in(
	const struct mr_queues *q, const struct mr_key_link *list, uint32_t *looks)
{
	uint32_t oldest = 0;

	for (const struct mr_key_link *l = list->next; l != list && *looks > 0;
		l = l->next, --*looks) {
		const struct mr_queue_key *k = (const struct mr_queue_key *)l;
		const struct mr_queue_entry *e =
			mr_entry_of_ref(q, k->returned != 0 ? k->returned : k->head);
		uint32_t age = e == NULL ? 0 : (uint32_t)q->now_ms - e->born_ms;

		oldest = age > oldest ? age : oldest;
	}
	return oldest;
}

uint32_t mr_keys_oldest_ms(const struct mr_queues *q, const struct mr_queue *queue, uint32_t *looks)
{
	uint32_t oldest = oldest_in(q, &queue->keys->loose, looks), age;

	for (uint32_t i = 0; i < queue->consumers_count; i++)
		for (unsigned level = 0; level < MR_LEVELS; level++) {
			age = oldest_in(q, &queue->consumers[i]->keys->lists[level], looks);
			oldest = age > oldest ? age : oldest;
		}
	return oldest;
}
