/* SPDX-License-Identifier: Apache-2.0 */
/* key: queues with the policy KeyShared: the messages of one key go to one consumer, in order.
 *
 *   put ─▶ record of the key: its ready entries, oldest first ─▶ list of its consumer ─▶ out
 *            ▲                                                                            │
 *            └──────── came back, in its place by age ◀───────────────────────────────────┘
 *
 * A record exists while its key has entries that are ready or unsettled. The key may go on while
 * fewer than in_flight_per_key of them are unsettled and none is delayed. It then stands in the
 * list of one consumer: the one that has its unsettled entries, or else the key's home. A table of
 * MR_KEY_HOMES places tells the home of a key by its hash. So a consumer that joins or leaves moves
 * few keys, and moves a key only when nothing of it is unsettled.
 *
 * A consumer that takes nothing for MR_KEY_PATIENCE_MS, while keys wait for it and others have
 * credit, is set aside: its keys go to the others.
 *
 * Priorities order keys by the entry that each would deliver next. The entries of one key keep
 * their order, whatever their priorities. Entries without a key stand in the queue's lists.
 *
 * Owns      Records, and the table of records but for its first part, are chunks of the store.
 * Threads   One: the home worker.
 * Units     Milliseconds of the queues' clock.
 */
#ifndef MILLRACE_QUEUE_KEY_H
#define MILLRACE_QUEUE_KEY_H

#include "dataplane/queue/engine.h"
#include "lib/wire/queue_key.h"

#define MR_KEY_HOMES       MR_QUEUE_CONSUMERS_MAX
#define MR_KEY_PATIENCE_MS 1000u
#define MR_KEY_SPARES_MAX  64u

enum mr_key_state {
	MR_KEY_IDLE,  /* in no list: no entry is ready */
	MR_KEY_HELD,  /* in keys->held: its ready entries wait for unsettled ones */
	MR_KEY_WAITS, /* in the list of a consumer, or in keys->loose */
};

/* The record of a key. One cache line. */
struct mr_queue_key {
	struct mr_key_link link; /* first; in the list that its state says, or `next` of a spare */
	uint64_t key;
	uint64_t hash;     /* mr_key_hash: tells the key and its queue */
	uint32_t chain;    /* ref of the next record in its bucket, or 0 */
	uint32_t consumer; /* ref of the consumer in whose list it is, or that has it */
	uint32_t head;     /* ready entries that were never out, oldest first; refs */
	uint32_t tail;
	uint32_t returned; /* ref of the oldest that came back, top of a heap */
	uint32_t ready_count;
	uint32_t since_ms;     /* when the first of its unsettled entries went out */
	uint8_t out_count;     /* entries that are not ready: delivered, delayed, or on their way */
	uint8_t delayed_count; /* those of them that a nack has delayed */
	uint8_t state : 2;     /* enum mr_key_state */
	uint8_t level : 4;     /* the level of the list in which it waits */
	uint8_t epoch;         /* that of its queue's keys; another one: purged since */
};
_Static_assert(sizeof(struct mr_queue_key) == MR_CACHE_LINE, "one line");

/* A consumer's part. */
struct mr_consumer_keys {
	struct mr_key_link lists[MR_LEVELS]; /* keys that wait for it, by level of priority */
	uint32_t used;                       /* a bit for each list that may have keys */
	uint64_t took_ms;  /* when it last took a key, or when the first came into a list */
	uint64_t aside_ms; /* when it was set aside */
	uint16_t homes;   /* places in keys->home; 0: it is aside, or they are still to be shared */
	uint16_t part;    /* places that it is to have, while they are shared out */
	bool aside;       /* has no homes, because it took nothing */
	bool was_blocked; /* its session had no room then */
};

struct mr_queue_keys {
	uint64_t count;       /* records */
	uint64_t out_count;   /* those with unsettled entries */
	uint64_t ready_count; /* entries that are ready in them */
	uint64_t held_count;  /* keys with ready entries that wait for an unsettled one */
	uint64_t moved;       /* keys that went from one consumer's list to another's */
	uint64_t look_ms;     /* when consumers that take nothing are looked for */
	uint32_t active;      /* consumers that are not set aside */
	uint32_t cursor;      /* consumer index where to look next */
	uint8_t epoch;        /* purges so far, low bits */
	uint64_t loosened_ms; /* when all waiting keys were last told to look for their homes */
	bool stale;           /* homes have changed since */
	bool plain_turn;      /* the next entry is one without a key, if there is one */
	uint8_t token;        /* the token of the subject that is the key, from 1; 0: a header is */
	uint32_t header_bytes;
	const char *header;               /* its name, in `from` */
	char from[MR_QUEUE_KEY_FROM_MAX]; /* the option, as given */
	struct mr_key_link held;          /* keys that wait for an unsettled entry */
	struct mr_key_link loose;         /* keys whose home is to be found */
	struct mr_wheel wheel;            /* ready entries with a time to live or an age limit */
	uint64_t can[MR_QUEUE_CONSUMERS_MAX /
		     64];            /* consumers with credit for which keys may wait */
	uint16_t home[MR_KEY_HOMES]; /* index of a consumer */
	bool uneven;                 /* consumers came or went: the next run shares the homes out */
	bool moves;                  /* and waiting keys look for theirs */
};

/* Makes the queue's keys; its options have the policy. -ENOMEM. */
int mr_keys_new(struct mr_queues *q, struct mr_queue *queue);
/* Frees them; the queue has no entries. */
void mr_keys_free(struct mr_queues *q, struct mr_queue *queue);
/* Hands all ready entries over to be freed, at once, however many. */
void mr_keys_discard(struct mr_queues *q, struct mr_queue *queue);

/* True if the entry is to go by its key. */
static inline bool mr_key_has(const struct mr_queue *queue, struct mr_queue_entry *e)
{
	return (e->flags & MR_ENTRY_TIME) && queue->keys != NULL && mr_entry_time(e)->key != 0;
}

/* True if the entry is ready in the record of its key. */
static inline bool mr_key_stands(struct mr_queue_entry *e)
{
	return (e->flags & MR_ENTRY_TIME) && (mr_entry_time(e)->place == MR_TIME_KEY_LIST ||
						     mr_entry_time(e)->place == MR_TIME_KEY_HEAP);
}

/* Joins a new entry to the record of its key, and makes the record. False: no memory. */
bool mr_key_attach(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Charges the account of an entry that is to go by its key for the record. */
void mr_key_charge(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Attaches the entry of a push, and charges its account for the record. */
bool mr_key_admit(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Puts an entry into the record of its key: behind the others, or by age. Without memory for a
 * record it is delayed for a moment. False: that failed too. */
bool mr_key_put(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, bool came_back);
/* Admits and puts the entry of a push with a key and no other option. `hash`: mr_key_hash of the
 * key. `bucket`: of the hash. False: no memory for the record; the entry is in no list. */
bool mr_key_push(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	uint64_t hash, uint32_t *bucket);
/* Takes a ready entry out of the record; it is unsettled then. The caller counts. */
void mr_key_take(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Notes that an entry has left the queue. */
void mr_key_leave(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Notes the beginning (1) or the end (-1) of a delay by a nack. */
void mr_key_delayed(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, int by);
/* Returns the next entry to be delivered, of a key or without one, and its consumer; or NULL. For
 * all cases: see mr_key_next. */
struct mr_queue_entry *mr_key_next_rare(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer **consumer);
/* Ends entries by their times, as far as this tick's budget goes; sets consumers aside. */
void mr_keys_on_timer(struct mr_queues *q, struct mr_queue *queue);
/* Returns when mr_keys_on_timer has work. */
uint64_t mr_keys_due_ms(const struct mr_queue *queue);
/* True if the queue is to go by keys, by its options. */
static inline bool mr_keys_wanted(const struct mr_queue *queue)
{
	return queue->options.policy == MRF_QUEUE_POLICY_KEY_SHARED &&
	       queue->kind == MRF_QUEUE_KIND_QUEUE && !queue->is_dead;
}

/* True if keys are to be moved to their homes now. */
static inline bool mr_keys_are_loose(const struct mr_queue *queue)
{
	return queue->keys->active > 0 && queue->keys->loose.next != &queue->keys->loose;
}

/* Notes that the consumer was given an entry. */
static inline void mr_key_took(const struct mr_queues *q, struct mr_queue_consumer *c)
{
	c->keys->took_ms = q->now_ms;
}

/* Releases the spare records. */
void mr_keys_free_spares(struct mr_queues *q);
/* Frees some purged records and their entries. */
void mr_keys_free_some(struct mr_queues *q);
bool mr_keys_has_garbage(const struct mr_queues *q);
/* Moves keys to their homes, after a consumer has left or was set aside, until `floor` of the
 * call's work is left. */
void mr_key_run_loose(struct mr_queues *q, struct mr_queue *queue, uint32_t floor);

/* Makes or frees the keys of a queue without entries, for a change of its policy. False: no
 * memory. */
bool mr_key_policy(struct mr_queues *q, struct mr_queue *queue, uint8_t policy);
/* Checks the options of keys among all. NULL: they are good. */
const char *mr_key_options_check(const struct mrf_queue_options *o, unsigned kind);

/* Lists (key_list.c) */
#define MR_KEY_ROWS 32u
/* Writes the rows of the keys with most entries, at most MR_KEY_ROWS, that are in the part of the
 * table from *cursor on. Returns how many; *cursor: the next part, 0 at the end. */
uint32_t mr_keys_list(struct mr_queues *q, struct mr_queue *queue, uint32_t *cursor,
	struct mrf_builder *b, uint32_t *rows);
/* Discards ready entries that are at least that old, of the keys from *cursor of their table on,
 * while there is work left. Returns how many; *cursor: where to go on, 0 behind the last if work is
 * left. */
uint64_t mr_keys_purge_older(
	struct mr_queues *q, struct mr_queue *queue, uint64_t older_ms, uint32_t *cursor);
/* Finds up to `max` ready entries, key by key. */
uint32_t mr_keys_peek(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry **out, uint32_t max);
/* Returns the age of the oldest ready entry of the keys that may go on, as far as *looks allows.
 * The others have older ones that are unsettled. */
uint32_t mr_keys_oldest_ms(
	const struct mr_queues *q, const struct mr_queue *queue, uint32_t *looks);

/* Consumers (key_home.c) */
/* Makes a consumer's part; false: no memory. */
bool mr_key_consumer_new(struct mr_queues *q, struct mr_queue_consumer *c);
/* After the policy has given it an index. */
void mr_key_join(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer *c);
/* Before the policy forgets the consumer, which has no deliveries. */
void mr_key_part(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer *c);
/* Notes that the consumer takes no more; it may leave. */
void mr_key_withdraw(struct mr_queues *q, struct mr_queue_consumer *c);
/* Notes that the consumer has credit now, or has none. */
void mr_key_credit(struct mr_queues *q, struct mr_queue_consumer *c);
/* Shares the homes out evenly, after consumers have come or gone. */
void mr_key_share_out(struct mr_queues *q, struct mr_queue *queue);
/* Returns the consumer that a key with nothing unsettled goes to; NULL: there is none. */
static inline struct mr_queue_consumer *mr_key_home(
	const struct mr_queue *queue, const struct mr_queue_key *k)
{
	const struct mr_queue_keys *keys = queue->keys;

	return mr_likely(keys->active > 0) ? queue->consumers[keys->home[k->hash % MR_KEY_HOMES]]
					   : NULL;
}
/* True if keys wait for the consumer. */
bool mr_key_waits_for(const struct mr_queue_consumer *c);
/* Makes the queue look, in a while, whether the consumer has taken a key. */
void mr_key_look_later(struct mr_queues *q, struct mr_queue *queue);
/* Sets aside those that have taken nothing for long. */
void mr_key_look(struct mr_queues *q, struct mr_queue *queue);

/* Table of records (key_table.c) */
#define MR_KEY_SEGMENT_BITS 12u
#define MR_KEY_SEGMENT      (1u << MR_KEY_SEGMENT_BITS)
#define MR_KEY_SEGMENTS_MAX 4096u
struct mr_key_table {
	uint64_t count;
	uint32_t buckets; /* in use */
	uint32_t mask;    /* covers the level that is being reached */
	uint8_t *base;    /* start of the store */
	uint32_t *segments[MR_KEY_SEGMENTS_MAX];
	uint32_t first[MR_KEY_SEGMENT];
};

int mr_key_table_new(struct mr_queues *q);
void mr_key_table_free(struct mr_queues *q);
/* A record is told by its hash alone: that two keys share one is as likely as that two random
 * numbers of 64 bits are equal, and would only order them like one key. */
static inline uint64_t mr_key_hash(
	const struct mr_queues *q, const struct mr_queue *queue, uint64_t key)
{
	return mr_hash_pair(&q->name_key, key, queue->number);
}
/* Returns the bucket of a hash: the number of its first record is there. */
static inline uint32_t *mr_key_table_bucket_of(const struct mr_key_table *t, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash >> 32) & t->mask;

	if (at >= t->buckets)
		at &= t->mask >> 1;
	return &t->segments[at >> MR_KEY_SEGMENT_BITS][at & (MR_KEY_SEGMENT - 1)];
}

static inline struct mr_queue_key *mr_key_table_record(const struct mr_key_table *t, uint32_t ref)
{
	return ref == 0 ? NULL : (struct mr_queue_key *)(t->base + (ref - 1) * 16ull);
}

/* Fetches the first record of a bucket that is searched soon. An empty one has the start of the
 * store for it: an address without a page would cost a search for one. */
static inline void mr_key_fetch_record(const struct mr_queues *q, const uint32_t *bucket)
{
	mr_prefetch(q->key_table->base + (*bucket - (*bucket != 0)) * 16ull);
}

/* Returns the record in the chain of a bucket, or NULL. */
static inline struct mr_queue_key *mr_key_table_find_at(
	const struct mr_key_table *t, const uint32_t *bucket, uint64_t hash)
{
	struct mr_queue_key *k = mr_key_table_record(t, *bucket);

	while (k != NULL && k->hash != hash)
		k = mr_key_table_record(t, k->chain);
	return k;
}

static inline struct mr_queue_key *mr_key_table_find(const struct mr_queues *q, uint64_t hash)
{
	const struct mr_key_table *t = q->key_table;

	return mr_key_table_find_at(t, mr_key_table_bucket_of(t, hash), hash);
}
/* Add a bucket if there are more records than buckets; take some away if there are few records. */
void mr_key_table_grow(struct mr_queues *q);
void mr_key_table_shrink(struct mr_queues *q);
/* Adds a record whose hash is set, and which its bucket does not have. `ref`: mr_chunk_ref of
 * it. */
static inline void mr_key_table_add(
	struct mr_queues *q, uint32_t *bucket, struct mr_queue_key *k, uint32_t ref)
{
	struct mr_key_table *t = q->key_table;

	if (mr_unlikely(++t->count > t->buckets)) {
		mr_key_table_grow(q);
		bucket = mr_key_table_bucket_of(t, k->hash);
	}
	k->chain = *bucket;
	*bucket = ref;
}

static inline void mr_key_table_remove(struct mr_queues *q, struct mr_queue_key *k)
{
	struct mr_key_table *t = q->key_table;
	uint32_t ref = (uint32_t)((uint64_t)((const uint8_t *)k - t->base) / 16) + 1;
	uint32_t *at = mr_key_table_bucket_of(t, k->hash);

	while (mr_unlikely(*at != ref))
		at = &mr_key_table_record(t, *at)->chain;
	*at = k->chain;
	t->count--;
	if (mr_unlikely(t->buckets > MR_KEY_SEGMENT))
		mr_key_table_shrink(q);
}
/* Returns the first record of a bucket; *cursor advances, to 0 behind the last. */
struct mr_queue_key *mr_key_table_bucket(const struct mr_queues *q, uint32_t *cursor);
/* Returns the number of records, purged ones included. */
uint64_t mr_key_table_count(const struct mr_queues *q);

/* Keys of messages (key_from.c) */
/* Checks the option key_from. NULL: it is good; else what was expected. */
const char *mr_key_from_check(struct mrf_string text);
/* Sets the queue's; the text is good, or empty. */
void mr_key_from_set(struct mr_queue *queue, struct mrf_string text);
/* Returns the value of a header in a block; empty: it has none. Names are compared without regard
 * to case. */
struct mrf_string mr_key_header(
	const uint8_t *block, uint32_t bytes, const char *name, uint32_t name_bytes);
/* Returns the text of the entry's key; empty: its headers do not tell, or it is longer. */
struct mrf_string mr_key_text(
	const struct mr_queue *queue, struct mr_queue_entry *e, uint64_t key, uint32_t bytes_max);
/* Returns the key of a message; 0: it has none. */
uint64_t mr_key_of(const struct mr_queue *queue, const struct mr_message_view *m);

/* Conversion of a chunk of the store to its number; 0: none. */
static inline uint32_t mr_chunk_ref(const struct mr_queues *q, const void *chunk)
{
	return mr_entry_ref(q, chunk);
}

static inline void *mr_chunk_of_ref(const struct mr_queues *q, uint32_t ref)
{
	return mr_entry_of_ref(q, ref);
}

static inline void mr_key_link_init(struct mr_key_link *l)
{
	l->prev = l->next = l;
}

static inline bool mr_key_link_empty(const struct mr_key_link *l)
{
	return l->next == l;
}

static inline void mr_key_unlink(struct mr_key_link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
}

static inline void mr_key_link_behind(struct mr_key_link *list, struct mr_key_link *l)
{
	l->prev = list->prev;
	l->next = list;
	list->prev->next = l;
	list->prev = l;
}

/* The next entry */
/* Does what mr_chunk_of_ref does without a call: the wheel knows the start of the store. */
static inline void *mr_key_at_ref(const struct mr_queue_keys *keys, uint32_t ref)
{
	return ref == 0 ? NULL : keys->wheel.base + (ref - 1) * 16ull;
}

/* Returns the oldest ready entry of the key, or NULL. */
static inline struct mr_queue_entry *mr_key_oldest(
	const struct mr_queue_keys *keys, const struct mr_queue_key *k)
{
	return mr_key_at_ref(keys, k->returned != 0 ? k->returned : k->head);
}

#define MR_KEY_FEW 64u /* their bits are one word */

/* Returns the index of the next consumer with a bit, from the cursor on, of at most MR_KEY_FEW;
 * MR_QUEUE_NONE: none has one. */
static inline uint32_t mr_key_next_of_few(const struct mr_queue_keys *keys)
{
	uint64_t bits = keys->can[0], from;

	if (bits == 0)
		return MR_QUEUE_NONE;
	from = keys->cursor < MR_KEY_FEW ? bits & (~0ull << keys->cursor) : 0;
	return (uint32_t)__builtin_ctzll(from != 0 ? from : bits);
}

/* Fetches what the key behind this one in its list needs when its turn comes: its record was
 * fetched in the turn before. */
static inline void mr_key_fetch_next(const struct mr_queue_keys *keys,
	const struct mr_queue_consumer *c, const struct mr_queue_key *k)
{
	const struct mr_queue_key *next = (const struct mr_queue_key *)k->link.next;
	const uint8_t *e;

	if (&next->link == &c->keys->lists[k->level] || next->head == 0)
		return;
	e = keys->wheel.base + (next->head - 1) * 16ull;
	mr_prefetch(next->link.next);
	mr_prefetch(e);
	mr_prefetch(e + MR_CACHE_LINE);
	mr_prefetch(e + (size_t)2 * MR_CACHE_LINE);
}

/* Returns the next entry to be delivered, of a key or without one, and its consumer; or NULL. Here
 * for keys alone, with few consumers and without aging. */
static inline struct mr_queue_entry *mr_key_next(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer **consumer)
{
	struct mr_queue_keys *keys = queue->keys;
	const struct mr_queue_key *k;
	const struct mr_key_link *list;
	struct mr_queue_consumer *c;
	uint32_t at;

	if (mr_unlikely(queue->consumers_count > MR_KEY_FEW || queue->options.aging_ms != 0 ||
			queue->ready_count > keys->ready_count))
		return mr_key_next_rare(q, queue, consumer);
	at = mr_key_next_of_few(keys);
	if (at == MR_QUEUE_NONE)
		return NULL;
	c = queue->consumers[at];
	if (mr_unlikely(c->keys->used == 0))
		return mr_key_next_rare(q, queue, consumer);
	list = &c->keys->lists[31u - (unsigned)__builtin_clz(c->keys->used)];
	if (mr_unlikely(list->next == list))
		return mr_key_next_rare(q, queue, consumer);
	k = (const struct mr_queue_key *)list->next;
	mr_key_fetch_next(keys, c, k);
	*consumer = c;
	keys->cursor = at + 1;
	return mr_key_oldest(keys, k);
}

/* Does what mr_key_take does, faster for the only entry of a key with nothing unsettled. */
static inline void mr_key_take_next(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	struct mr_queue_keys *keys = queue->keys;
	struct mr_queue_time *t = mr_entry_time(e);
	struct mr_queue_key *k =
		(struct mr_queue_key *)(keys->wheel.base + (t->key_at - 1) * 16ull);

	if (k->ready_count != 1 || k->out_count != 0 || t->place != MR_TIME_KEY_LIST ||
		mr_unlikely(k->state != MR_KEY_WAITS || k->epoch != keys->epoch ||
			    mr_wheel_has(&t->node))) {
		mr_key_take(q, queue, e);
		return;
	}
	mr_key_unlink(&k->link);
	t->place = MR_TIME_OUT;
	k->head = 0;
	k->tail = 0;
	k->ready_count = 0;
	k->since_ms = (uint32_t)q->now_ms;
	k->out_count = 1;
	k->state = MR_KEY_IDLE;
	keys->ready_count--;
	keys->out_count++;
}

/* Moves all of `from` behind those of `to`. */
static inline void mr_key_link_splice(struct mr_key_link *to, struct mr_key_link *from)
{
	if (mr_key_link_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	mr_key_link_init(from);
}

#endif
