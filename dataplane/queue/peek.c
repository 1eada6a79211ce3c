/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/peek.h"

#include "dataplane/queue/key.h"
#include "dataplane/queue/match.h"

#define LOOKS_MAX      1024u
#define RETURNED_MAX   64u /* entries taken out of one heap and put back */
#define PART_BYTES_MAX 1024u

struct peek {
	struct mr_queues *q;
	struct mr_queue *queue;
	struct mrf_builder *b;
	struct mr_queue_match match;
	uint32_t max;
	uint32_t *rows;
	uint32_t count;
	uint32_t looked;
	uint32_t looks_max;
};

static uint32_t smaller_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t write_message(struct peek *p, struct mr_queue_entry *e)
{
	uint32_t header_bytes = e->header_bytes;
	uint32_t payload_bytes = e->body_bytes - header_bytes;
	uint32_t first_bytes = e->body_bytes;
	const struct mr_queue_chain *chain = mr_entry_body(e);
	const uint8_t *body = mr_entry_body(e);

	if (e->flags & MR_ENTRY_CHAIN) {
		body = chain->first->body;
		first_bytes = chain->first->bytes;
	}
	return mrf_queue_message_row_write(p->b,
		&(struct mrf_queue_message_row){
			.age_ms = (uint32_t)p->q->now_ms - e->born_ms,
			.redelivered = mr_entry_redelivered(e),
			.priority = mr_entry_priority(e),
			.bytes = e->body_bytes,
			.headers = mrf_bytes_n(body, smaller_of(header_bytes, PART_BYTES_MAX)),
			.payload = mrf_bytes_n(body + header_bytes,
				smaller_of(smaller_of(payload_bytes, first_bytes - header_bytes),
					PART_BYTES_MAX)),
		});
}

static bool goes_on(const struct peek *p)
{
	return p->count < p->max && p->looked < p->looks_max && p->match.bytes_left > 0;
}

static void look_at(struct peek *p, struct mr_queue_entry *e)
{
	p->looked++;
	if (mr_queue_matches(p->q, &p->match, e))
		p->rows[p->count++] = write_message(p, e);
}

/* Takes the oldest of those that came back out of its heap; NULL: there is none. */
static struct mr_queue_entry *take_returned(struct peek *p, unsigned rank)
{
	struct mr_queue_times *times = p->queue->times;
	struct mr_queue_entry **plain = mr_queue_returned_of(p->queue, rank);
	struct mr_queue_entry *t = times == NULL ? NULL : times->ready[rank].returned;
	struct mr_queue_entry *e = mr_entry_older(*plain, t);

	if (e != NULL && e == *plain)
		(void)mr_returned_pop(p->q, plain);
	else if (e != NULL)
		mr_returned_remove(p->q, &times->ready[rank].returned, t);
	return e;
}

static void put_returned(struct peek *p, struct mr_queue_entry *e)
{
	struct mr_queue_entry **timed;

	if (!mr_entry_ends(e)) {
		mr_returned_push(p->q, mr_queue_returned_of(p->queue, mr_entry_rank(e)), e);
		return;
	}
	timed = &p->queue->times->ready[mr_entry_rank(e)].returned;
	e->tree.left = e->tree.right = 0;
	*timed = mr_returned_join(p->q, *timed, e);
}

/* Looks at the entries that came back, in the order of their ages. They are put back in their
 * places afterwards. False: there are more. */
static bool peek_returned(struct peek *p, unsigned rank)
{
	struct mr_queue_entry *out[RETURNED_MAX], *e = NULL;
	uint32_t count = 0;

	while (goes_on(p) && count < RETURNED_MAX && (e = take_returned(p, rank)) != NULL) {
		out[count++] = e;
		look_at(p, e);
	}
	while (count > 0)
		put_returned(p, out[--count]);
	return goes_on(p) && e == NULL;
}

static void peek_at(struct peek *p, unsigned rank)
{
	struct mr_queue_entry *e = mr_queue_list_of(p->queue, rank)->head, *next;
	struct mr_queue_entry *t =
		p->queue->times == NULL ? NULL : p->queue->times->ready[rank].list.head;

	if (!peek_returned(p, rank)) {
		p->looks_max = p->looked;
		return;
	}
	while (goes_on(p) && (next = mr_entry_older(e, t)) != NULL) {
		look_at(p, next);
		if (next == e)
			e = e->next;
		else
			t = t->next;
	}
}

/* Looks at messages of keys, one key after the other. */
static void peek_keys(struct peek *p)
{
	struct mr_queue_entry *out[RETURNED_MAX];
	uint32_t count = mr_keys_peek(p->q, p->queue, out, RETURNED_MAX);

	for (uint32_t i = 0; i < count && goes_on(p); i++)
		look_at(p, out[i]);
}

uint32_t mr_queue_peek(struct mr_queues *q, struct mr_queue *queue, struct mrf_table command,
	struct mrf_builder *b, uint32_t max, uint32_t rows[MR_QUEUE_PEEK_MAX], uint32_t *looked)
{
	uint32_t first = mrf_queue_command_match_first(command);
	struct peek p = {
		.q = q,
		.queue = queue,
		.b = b,
		.match = mr_queue_match_of(command),
		.max = max,
		.rows = rows,
		.looks_max = first != 0 ? smaller_of(first, LOOKS_MAX) : LOOKS_MAX,
	};

	for (unsigned level = MR_LEVELS; level-- > 0;)
		if (mr_rank_of_level(level) < mr_queue_ranks(queue))
			peek_at(&p, mr_rank_of_level(level));
	if (queue->keys != NULL)
		peek_keys(&p);
	*looked = p.looked;
	return p.count;
}
