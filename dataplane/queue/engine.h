/* SPDX-License-Identifier: Apache-2.0 */
/* engine: what the parts of the queues of one worker share. Private to dataplane/queue.
 *
 *   client ──has──▶ consumers ──of──▶ queue ──has──▶ entries that are ready, in three lists
 *                      └─has─▶ deliveries ──of──▶ entries that are out
 *                                  ▲────── those that wait for a delay stand in a delivery too
 *
 * An entry is in exactly one place: one of its queue's lists, or one delivery. A delivery has a
 * number and a serial, and the two together are the tag: what a client names is looked up in the
 * table of deliveries and compared, so that no tag leads to memory that is something else.
 *
 * Owns      Entries, queues, consumers, clients and windows are pieces of the store; of which a
 *           share is kept for all that is not an entry, so that a full store can be emptied.
 * Threads   One: the home worker.
 * Units     Milliseconds of the caller's clock.
 */
#ifndef MILLRACE_QUEUE_ENGINE_H
#define MILLRACE_QUEUE_ENGINE_H

#include <string.h>

#include "lib/base/compiler.h"
#include "dataplane/queue/entry.h"
#include "dataplane/queue/limit.h"
#include "dataplane/queue/queue.h"
#include "dataplane/queue/timer.h"
#include "dataplane/subject/hash.h"
#include "lib/wire/id_window.h"
#include "flatbuf/stats.h"

#define MR_QUEUE_NONE          UINT32_MAX
#define MR_QUEUE_PRIORITIES    3u
#define MR_QUEUE_CONSUMERS_MAX 2048u
#define MR_QUEUE_PREFETCH_MAX  65535u
#define MR_QUEUE_RANGES        16u /* of accepted pushes, that a client may have before they are sent */

/* Of struct mr_queue_timer. */
enum mr_queue_timer_kind {
	MR_QUEUE_TIMER_CONSUMER,
	MR_QUEUE_TIMER_DELIVERY,
	MR_QUEUE_TIMER_QUEUE,
};

/* One cache line. */
struct mr_queue_delivery {
	struct mr_queue_entry *entry;       /* NULL: free */
	struct mr_queue_consumer *consumer; /* NULL: waits for its delay */
	struct mr_queue *queue;
	uint32_t serial;  /* of the tag; never the same for long */
	uint32_t prev;    /* of the consumer's, oldest first, or of the queue's that are delayed */
	uint32_t next;    /* the same, or the next that is free */
	uint32_t sent_ms; /* low bits */
	struct mr_queue_timer timer; /* of the delay; of a call in hand: until its caller waits */
	bool partial;                /* a part of the answer went to the caller */
	bool streamed;               /* a part of the request went to the worker */
	bool handed;                 /* the consumer said that the program is given it */
	bool renewed;                /* progress was said of it: no AckUpTo of another settles it */
};
_Static_assert(sizeof(struct mr_queue_delivery) <= MR_CACHE_LINE, "one line");

struct mr_queue_consumer {
	struct mr_queue *queue;
	struct mr_queue_client *client;
	struct mr_queue_consumer *client_next;
	struct mr_queue_consumer *blocked_next;
	struct mr_queue_consumer *blocked_prev;
	uint64_t session;
	uint64_t key; /* of the policy: the least is chosen */
	uint32_t subscription;
	uint32_t prefetch;
	uint32_t weight;
	uint32_t outstanding;
	uint32_t overdue; /* timed out, nothing heard since: credit that it does not get */
	/* Its deliveries, the one whose time began first at the head: those in order, and those that were renewed. */
	struct mr_queue_out {
		uint32_t head;
		uint32_t tail;
	} out[2];
	uint32_t index;   /* in queue->consumers */
	uint32_t heap_at; /* in queue->heap */
	uint32_t train;   /* delivery whose fragments are on their way, or MR_QUEUE_NONE */
	uint32_t train_offset;
	uint32_t train_fragment_bytes;
	struct mr_queue_place train_place;
	uint32_t restart_ms; /* low bits: when an AckUpTo began the time of the rest anew */
	bool recalls;        /* is told what is taken back */
	bool ready;          /* has credit, and the policy knows */
	bool blocked;        /* its session had no room */
	bool says_handed;    /* what it does not say, its program was not given */
	bool blamed;         /* one that does not say: the oldest was taken for the one in hand */
	bool failed;         /* its end was counted as a failure of its service */
	struct mr_queue_timer timer; /* of the oldest delivery */
	uint64_t delivered;
	uint64_t acked;
	uint64_t redelivered;
};

/* Pushes that the queue has and whose acceptance waits for room. */
struct mr_queue_withheld {
	struct mr_queue_withheld *next;
	uint64_t session;
	struct mrf_accepted_range range;
	uint32_t counted; /* of them, in mr_limit_withheld */
};

struct mr_queue_breaker {
	uint64_t until_ms;   /* open until; half open: until more probes are let through */
	uint32_t failures;   /* in a row */
	uint32_t probes;     /* let through and not decided, while half open */
	uint32_t passed;     /* probes that came well */
	uint32_t probes_max; /* to be let through, with those that passed */
	uint8_t state;       /* enum mrf_breaker_state */
};

struct mr_queue {
	uint32_t number;
	uint8_t kind;
	bool paused;  /* by an operator, until he takes it back */
	bool is_set;  /* somebody said what it is to be like: that is not forgotten for idleness */
	bool active;  /* in the list of those that may have something to deliver */
	bool is_dead; /* holds dead letters */
	struct mr_queue_list ready[MR_QUEUE_PRIORITIES]; /* by enum mrf_priority */
	/* What was delivered and came back, the oldest on top: all of it is older than what is in the lists. */
	struct mr_queue_entry *returned[MR_QUEUE_PRIORITIES];
	uint64_t returned_count; /* of ready_count */
	uint64_t ready_count;
	uint64_t delayed_count;
	uint64_t outstanding_count;
	uint64_t body_bytes; /* of all of them */
	/* policy */
	struct mr_queue_consumer **consumers;
	struct mr_queue_consumer **heap; /* those that are ready, by key */
	uint64_t *ready_bits;            /* those that are ready, by index */
	uint32_t consumers_count;
	uint32_t consumers_room;
	uint32_t heap_count;
	uint32_t cursor; /* round robin: where to look next */
	uint64_t clock;  /* of keys */
	/* limits */
	struct mrf_queue_options options; /* complete */
	struct mr_queue_withheld *withheld_head;
	struct mr_queue_withheld *withheld_tail;
	uint64_t withheld_count;
	uint64_t redriving; /* dead letters still to be moved back */
	bool redrive_waits; /* until there is room for them */
	/* others */
	struct mr_queue *active_next;
	struct mr_queue *active_prev;
	struct mr_queue *hash_next;
	struct mr_queue *dead; /* the queue of its dead letters, or back; NULL: none yet */
	struct mr_queue_window *windows;
	struct mr_queue_breaker breaker;
	struct mr_queue_timer timer; /* of age and of idleness */
	uint64_t used_ms;
	uint64_t maker;             /* session that made it, or 0 */
	uint64_t peer;              /* that it is counted for */
	struct mr_queue *made_prev; /* of the same maker, while that is there */
	struct mr_queue *made_next;
	struct mr_queue *idle_prev; /* see mr_limit_idle */
	struct mr_queue *idle_next;
	uint64_t idle_ms; /* used_ms when it was listed */
	bool idle_listed;
	bool wanted;  /* had a consumer, or was opened by others than its maker */
	bool kept;    /* an operator opened it */
	bool counted; /* it has a place of queues_max; dead letters have that of their queue */
	uint32_t delayed_head;
	uint32_t assemblies; /* messages of which not all fragments came */
	uint64_t pushed, accepted, refused, duplicates, delivered, acked, redelivered;
	uint64_t dead_count, expired, failures, replies;
	uint32_t name_bytes;
	char name[];
};

/* A session that has to do with queues of this worker. */
struct mr_queue_client {
	uint64_t session;
	struct mr_queue_client *hash_next;
	struct mr_queue_client *all_prev;
	struct mr_queue_client *all_next;
	struct mr_queue_client *dirty_next; /* has ranges to be sent */
	struct mr_queue_consumer *consumers;
	struct mr_queue_assembly *assemblies; /* oldest first */
	uint32_t assemblies_count;
	uint64_t assemblies_bytes; /* of pieces that came */
	uint64_t peer;
	uint32_t account;             /* of what its peer has of the store; 0: root's */
	struct mr_queue *queues_made; /* that are still there */
	uint32_t made;                /* of them */
	uint32_t consumers_count;
	uint32_t services;
	uint64_t heartbeat_due_ms; /* when it is told next that the bus lives, if it serves */
	uint32_t windows;          /* publishers first heard of from it, and not forgotten */
	uint32_t ranges_count;
	bool knows_memory; /* from a full queue */
	bool knows_share;  /* from the memory of all queues */
	bool overdue;      /* one of its consumers has overdue deliveries */
	bool dirty;
	uint32_t range_queue[MR_QUEUE_RANGES];
	struct mrf_accepted_range ranges[MR_QUEUE_RANGES];
};

struct mr_queue_slot {
	struct mr_queue *queue;
	uint32_t generation; /* of the queue that is there, or that will be */
	uint32_t next_free;
};

struct mr_queues {
	struct mr_queues_config c;
	struct mr_slab *store;
	uint64_t store_entries_max; /* bytes of the store beyond which no entry is taken */
	uint64_t store_share;       /* of one queue, as of the last run */
	uint64_t now_ms;    /* of the queues: the caller's without the time in which nobody ran */
	uint64_t caller_ms; /* as it was last */
	uint64_t lost_ms;   /* between the two */
	uint64_t thawed_ms; /* when time went on after it had last stood still */
	/* tables, mapped whole and taken as they are touched */
	struct mr_queue_limits limits;
	struct mr_hash_key name_key; /* random: nobody can choose names that collide */
	struct mr_queue_slot *slots;
	uint32_t slots_fresh;
	uint32_t slots_free; /* given back first: taken first */
	uint32_t slots_last; /* given back last */
	uint32_t slots_free_count;
	unsigned index_bits;
	struct mr_queue **names; /* hash */
	uint32_t names_mask;
	struct mr_queue_client **sessions; /* hash */
	uint32_t clients_count;
	uint32_t sessions_mask;
	struct mr_queue_delivery *deliveries;
	uint32_t deliveries_max;
	uint32_t deliveries_fresh;
	uint32_t deliveries_free;
	uint32_t deliveries_used;
	uint32_t deliveries_delayed;
	uint32_t serial;
	struct mr_queue_timers timers;
	struct mr_queue_windows *windows;
	uint8_t *scratch; /* a fragment that does not stand in a row */
	/* lists */
	struct mr_queue *active_head;
	struct mr_queue *active_tail;
	struct mr_queue_client *dirty;
	struct mr_queue_client *clients;
	struct mr_queue_client *sweep;     /* next to be looked at */
	struct mr_queue_client *last;      /* that was looked up */
	struct mr_queue_consumer *blocked; /* the first of them */
	struct mr_queue_consumer *blocked_tail;
	struct mr_queue_entry *garbage; /* to be freed a few at a time */
	struct mr_queue_entry *garbage_tree;
	uint16_t order;    /* of the last entry */
	uint64_t retry_ms; /* when those that are blocked are tried again */
	uint64_t sweep_ms;
	uint64_t random;
};

/* The caller's clock has gone on: the queues' too, but for a time in which nobody ran (queue.c). */
void mr_queues_clock(struct mr_queues *q, uint64_t caller_ms);
static inline void mr_queues_at(struct mr_queues *q, uint64_t caller_ms)
{
	if (mr_unlikely(caller_ms != q->caller_ms))
		mr_queues_clock(q, caller_ms);
}

/* Of what many share, each may have so many times what is left: so there is something left for who comes
 * later, whatever one of them does. */
#define MR_QUEUE_SHARE 4u

static inline bool mr_share_used_up(uint64_t has, uint64_t left)
{
	return has >= left * MR_QUEUE_SHARE;
}

/* Entries */
static inline bool mr_queue_full(const struct mr_queues *q)
{
	return mr_slab_bytes(q->store) >= q->store_entries_max;
}

/* 32 bits for a piece of a store of up to 64 GiB; 0: none. */
static inline uint32_t mr_entry_ref(const struct mr_queues *q, const struct mr_queue_entry *e)
{
	return (uint32_t)(((const uint8_t *)e - mr_slab_base(q->store)) / 16) + 1;
}

static inline struct mr_queue_entry *mr_entry_of_ref(const struct mr_queues *q, uint32_t ref)
{
	return ref == 0 ? NULL
			: (struct mr_queue_entry *)(mr_slab_base(q->store) + (ref - 1) * 16ull);
}

/* Bytes that entries may still take. */
static inline uint64_t mr_queue_store_left(const struct mr_queues *q)
{
	uint64_t used = mr_slab_bytes(q->store);

	return used < q->store_entries_max ? q->store_entries_max - used : 0;
}

/* Queues (table.c) */
/* NULL: no queue has it, or none any more. */
static inline struct mr_queue *mr_queue_by_number(const struct mr_queues *q, uint32_t number)
{
	uint32_t index = number & ((1u << q->index_bits) - 1);
	struct mr_queue *queue = index < q->slots_fresh ? q->slots[index].queue : NULL;

	return queue != NULL && queue->number == number ? queue : NULL;
}

struct mr_queue *mr_queue_by_name(
	const struct mr_queues *q, unsigned kind, const char *name, uint32_t bytes);
/* -ENOSPC, -ENOMEM. */
int mr_queue_make(struct mr_queues *q, unsigned kind, const char *name, uint32_t bytes,
	const struct mrf_queue_options *options, struct mr_queue **out);
/* With all that is in it; it has no consumers. */
void mr_queue_remove(struct mr_queues *q, struct mr_queue *queue);
/* It has consumers or messages, or dead letters. */
bool mr_queue_in_use(const struct mr_queue *queue);
/* Takes all that is ready or delayed out of it; returns how many. Who called is told the status. */
uint64_t mr_queue_empty(struct mr_queues *q, struct mr_queue *queue, uint32_t status);
/* Something may be to be delivered: run looks at it. */
void mr_queue_activate(struct mr_queues *q, struct mr_queue *queue);
void mr_queue_deactivate(struct mr_queues *q, struct mr_queue *queue);
/* Sets the timer that the state of the queue wants. */
void mr_queue_arm(struct mr_queues *q, struct mr_queue *queue);
void mr_queue_on_timer(struct mr_queues *q, struct mr_queue *queue);
/* At most `max` of those that have waited too long. */
void mr_queue_expire(struct mr_queues *q, struct mr_queue *queue, unsigned max);

/* A queue and its dead letters for each place. */
static inline uint32_t mr_queue_slots_max(const struct mr_queues_config *c)
{
	return 2 * c->queues_max;
}

static inline uint64_t mr_queue_depth(const struct mr_queue *queue)
{
	return queue->ready_count + queue->delayed_count + queue->outstanding_count;
}

/* New in the queue: behind all others of its priority. */
void mr_queue_put(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* It was out, and is where it was. */
void mr_queue_put_back(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);

/* What came back (returned.c): a heap by age. */
void mr_returned_push(struct mr_queues *q, struct mr_queue_entry **root, struct mr_queue_entry *e);
struct mr_queue_entry *mr_returned_pop(struct mr_queues *q, struct mr_queue_entry **root);
/* All of `from` goes to *root. */
void mr_returned_merge(
	struct mr_queues *q, struct mr_queue_entry **root, struct mr_queue_entry *from);
/* Some entry of *root, cheaper than the oldest; NULL: what is at the top changed, try again, or nothing is left. */
struct mr_queue_entry *mr_returned_any(struct mr_queues *q, struct mr_queue_entry **root);

/* The oldest of a priority that is ready, or NULL. */
static inline struct mr_queue_entry *mr_queue_oldest(
	const struct mr_queue *queue, unsigned priority)
{
	struct mr_queue_entry *e = queue->returned[priority];

	return e != NULL ? e : queue->ready[priority].head;
}

/* The next to be delivered, or NULL; it stays. */
static inline struct mr_queue_entry *mr_queue_next(const struct mr_queue *queue)
{
	struct mr_queue_entry *e;

	if (mr_unlikely(queue->returned_count > 0)) {
		e = mr_queue_oldest(queue, MRF_PRIORITY_HIGH);
		if (e == NULL)
			e = mr_queue_oldest(queue, MRF_PRIORITY_NORMAL);
		return e != NULL ? e : mr_queue_oldest(queue, MRF_PRIORITY_LOW);
	}
	e = queue->ready[MRF_PRIORITY_HIGH].head;
	if (e == NULL)
		e = queue->ready[MRF_PRIORITY_NORMAL].head;
	if (e == NULL)
		e = queue->ready[MRF_PRIORITY_LOW].head;
	return e;
}

/* Takes out what mr_queue_next or mr_queue_oldest returned. It is still counted in body_bytes. */
static inline void mr_queue_take(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	queue->ready_count--;
	if (mr_unlikely(queue->returned_count > 0) && queue->returned[e->priority] == e) {
		(void)mr_returned_pop(q, &queue->returned[e->priority]);
		queue->returned_count--;
		return;
	}
	(void)mr_list_pop(&queue->ready[e->priority]);
}

/* The entry has left the queue: depth and bytes were or are now less. Frees it, and accepts what
 * waited. */
void mr_queue_done(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);

/* Milliseconds until it is too old; UINT64_MAX: it does not get old. */
static inline uint64_t mr_queue_age_left(
	const struct mr_queues *q, const struct mr_queue *queue, const struct mr_queue_entry *e)
{
	uint32_t age, max = queue->options.age_max_ms;

	if (mr_likely(max == 0 || queue->is_dead))
		return UINT64_MAX;
	age = (uint32_t)q->now_ms - e->born_ms;
	return age < max ? max - age : 0;
}

/* Something has left the queue, or its dead letters: what waits for that goes on. */
static inline void mr_queue_has_room(struct mr_queues *q, struct mr_queue *queue);

/* Pushes (push.c) */
/* Whether the client may put so many bytes more into the store: 0, or the StatusCode. */
static inline uint32_t mr_push_memory(
	const struct mr_queues *q, const struct mr_queue_client *client, uint32_t bytes)
{
	if (mr_unlikely(client == NULL))
		return MRF_STATUS_CODE_NO_MEMORY;
	return mr_likely(client->account == 0) ? (uint32_t)MRF_STATUS_CODE_OK
					       : mr_limit_memory(q, client, bytes);
}
/* It and its dead letters together have all of the store that one may have. */
bool mr_push_share_used_up(const struct mr_queues *q, const struct mr_queue *queue);
/* Pushes that a producer who opens the queue now may have open. */
uint32_t mr_push_window(const struct mr_queues *q, const struct mr_queue *queue);
/* A message with such a body is beyond the limits of the queue. */
bool mr_push_is_full(const struct mr_queue *queue, uint64_t body_bytes);
void mr_push_release_withheld(struct mr_queues *q, struct mr_queue *queue);
void mr_push_drop_withheld(struct mr_queues *q, struct mr_queue *queue);
/* All of it came: limits, window, list, acceptance. Takes the entry. */
void mr_push_finish(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	struct mr_queue_entry *e, const struct mrf_message_origin *origin);
/* What a push is, as far as that needs looking at the queue. */
struct mr_push_facts {
	const struct mrf_message_origin *origin; /* NULL: it is not promised */
	unsigned entry_flags;
	bool known; /* it is there already */
};
/* Form, window, limits, circuit: 0, or the StatusCode to refuse with. */
uint32_t mr_push_check(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, uint64_t body_bytes, struct mr_push_facts *facts);
/* Of a push that was checked; NULL: no memory. */
struct mr_queue_entry *mr_push_entry(struct mr_queues *q, uint64_t session,
	const struct mr_message_view *m, unsigned flags, uint32_t body_bytes);
void mr_push_known(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mrf_message_origin *origin);
void mr_push_refuse(struct mr_queues *q, uint64_t session, struct mr_queue *queue, uint32_t number,
	const struct mr_message_view *m, uint32_t status);

/* Clients (client.c) */
/* Makes it if there is none; NULL: no memory. */
struct mr_queue_client *mr_client_of(struct mr_queues *q, uint64_t session);
struct mr_queue_client *mr_client_look(struct mr_queues *q, uint64_t session);
static inline struct mr_queue_client *mr_client_find(struct mr_queues *q, uint64_t session)
{
	return mr_likely(q->last != NULL && q->last->session == session)
		       ? q->last
		       : mr_client_look(q, session);
}
/* Tells what became of a push, with others of the round. */
void mr_client_accept(struct mr_queues *q, uint64_t session, uint32_t number,
	const struct mrf_accepted_range *range);
void mr_clients_flush(struct mr_queues *q);
/* Looks at some clients: are they there, are they heard. */
void mr_clients_sweep(struct mr_queues *q);
void mr_client_status(struct mr_queues *q, uint64_t session, uint64_t correlation, uint32_t status);
/* Something good came of it: what was overdue is forgiven. */
void mr_client_heard(struct mr_queues *q, uint64_t session);

/* Consumers (consumer.c) */
enum mr_queue_back {
	MR_BACK_LOST,     /* the consumer is gone */
	MR_BACK_LEFT,     /* the consumer left in good order */
	MR_BACK_TIMEOUT,  /* it took too long */
	MR_BACK_RETURNED, /* it says that it did not work on it */
	MR_BACK_REQUEUE,  /* it says that it did */
	MR_BACK_REJECT,
};
struct mr_consumer_wish {
	uint64_t session;
	uint32_t subscription;
	uint32_t prefetch;
	uint32_t weight;
	bool recalls;
	bool says_handed;
};
int mr_consumer_add(
	struct mr_queues *q, struct mr_queue *queue, const struct mr_consumer_wish *wish);
/* It gets no more, and what it had out goes back, at most *budget; true: all of it. */
bool mr_consumer_give_back(
	struct mr_queues *q, struct mr_queue_consumer *c, enum mr_queue_back why, uint32_t *budget);
/* What it had out goes back. `code` not 0: it is told so in a Disconnect. */
void mr_consumer_remove(struct mr_queues *q, struct mr_queue_consumer *c, enum mr_queue_back why,
	int code, const char *text);
struct mr_queue_consumer *mr_consumer_find(struct mr_queue_client *client, uint32_t subscription);
/* Its delivery whose time began first; MR_QUEUE_NONE: it has none. */
uint32_t mr_consumer_oldest(const struct mr_queues *q, const struct mr_queue_consumer *c);
/* Its credit is, or is no more, what the policy was told. */
void mr_consumer_toggle(struct mr_queues *q, struct mr_queue_consumer *c);
void mr_consumer_block(struct mr_queues *q, struct mr_queue_consumer *c);
void mr_consumers_unblock(struct mr_queues *q);
void mr_consumer_on_timer(struct mr_queues *q, struct mr_queue_consumer *c);
/* It is told that the delivery is its no more, and gets no other in its place before it is heard. */
void mr_consumer_recall(struct mr_queues *q, const struct mr_queue_delivery *d);
/* It works in order: the time of what it still has begins now. */
static inline void mr_consumer_restart(const struct mr_queues *q, struct mr_queue_consumer *c)
{
	c->restart_ms = (uint32_t)q->now_ms;
}

static inline bool mr_consumer_has_credit(const struct mr_queue_consumer *c)
{
	return c->outstanding + c->overdue < c->prefetch && !c->blocked &&
	       c->train == MR_QUEUE_NONE;
}

/* Its credit may have changed. */
static inline void mr_consumer_update(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (mr_consumer_has_credit(c) != c->ready)
		mr_consumer_toggle(q, c);
}

/* Policy (policy.c): which of those that are ready is next. */
/* Room for one more consumer: -ENOSPC, -ENOMEM. */
int mr_policy_reserve(struct mr_queues *q, struct mr_queue *queue);
void mr_policy_fini(struct mr_queues *q, struct mr_queue *queue);
void mr_policy_join(struct mr_queue *queue, struct mr_queue_consumer *c);
void mr_policy_leave(struct mr_queue *queue, struct mr_queue_consumer *c);
void mr_policy_add(struct mr_queue *queue, struct mr_queue_consumer *c);
void mr_policy_remove(struct mr_queue *queue, struct mr_queue_consumer *c);
struct mr_queue_consumer *mr_policy_choose(struct mr_queues *q, struct mr_queue *queue);
/* It was given one, and is ready still. */
void mr_policy_used(struct mr_queue *queue, struct mr_queue_consumer *c);
/* It has one less out, and was ready before. */
void mr_policy_settled(struct mr_queue *queue, struct mr_queue_consumer *c);

/* Bodies so long fit any session's messages, in the smallest frame and with all that may stand before them. */
#define MR_QUEUE_FITS_ANY 1024u
/* The most of a body that one message to the session may have, a multiple of 8. */
static inline uint32_t mr_queue_body_room(const struct mr_queues *q, uint64_t session)
{
	const uint32_t parts =
		(uint32_t)(sizeof(struct mrf_message_header) + sizeof(struct mrf_reply_token) +
			   sizeof(struct mrf_message_origin) + sizeof(struct mrf_message_delivery) +
			   sizeof(struct mrf_message_fragment) +
			   sizeof(struct mrf_message_sections));
	uint32_t room = q->c.ops->room(q->c.arg, session);

	if (room < mr_message_stride(parts) + MR_QUEUE_FITS_ANY)
		return MR_QUEUE_FITS_ANY;
	return (room - parts) & ~(MR_MESSAGE_ALIGN - 1);
}

/* Deliveries (deliver.c) */
/* NULL: the tag is none of this session's. */
struct mr_queue_delivery *mr_delivery_find(
	struct mr_queues *q, uint64_t tag, uint64_t session, uint32_t number);
struct mr_queue_delivery *mr_delivery_by_tag(struct mr_queues *q, uint64_t tag);
static inline uint32_t mr_delivery_index(
	const struct mr_queues *q, const struct mr_queue_delivery *d)
{
	return (uint32_t)(d - q->deliveries);
}
static inline uint64_t mr_delivery_tag(const struct mr_queues *q, const struct mr_queue_delivery *d)
{
	return (uint64_t)mr_delivery_index(q, d) << 32 | d->serial;
}
/* Written in words, as it is read in words soon after: a wider load of narrower stores waits for
 * them. */
static inline void mr_delivery_describe(struct mr_message_extra *extra, uint64_t tag,
	const struct mr_queue *queue, uint16_t redelivered, uint8_t priority, uint8_t spared)
{
	const uint64_t words[2] = {tag, queue->number | (uint64_t)redelivered << 32 |
						(uint64_t)priority << 48 | (uint64_t)spared << 56};

	_Static_assert(offsetof(struct mrf_message_delivery, redelivered) == 12 &&
			       offsetof(struct mrf_message_delivery, priority) == 14 &&
			       offsetof(struct mrf_message_delivery, spared) == 15,
		"wire");
	extra->flags = MRF_MESSAGE_FLAG_DELIVERY;
	memcpy(&extra->delivery, words, sizeof(extra->delivery));
}
/* Takes the entry out of the delivery, and the delivery from its consumer or from the delayed. */
struct mr_queue_entry *mr_delivery_end(struct mr_queues *q, struct mr_queue_delivery *d);
/* Waits for `delay_ms`; false: there is no place for it. */
bool mr_delivery_delay(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, uint32_t delay_ms);
/* Something came of it: its time begins anew, behind the consumer's others. `renewed`: out of their order, too. */
void mr_delivery_touch(struct mr_queues *q, struct mr_queue_delivery *d, bool renewed);
void mr_delivery_on_timer(struct mr_queues *q, struct mr_queue_delivery *d);
/* Its caller has heard something, and waits as long again. */
void mr_delivery_extend(struct mr_queues *q, struct mr_queue_delivery *d);

/* Settling (settle.c) */
void mr_settle_done(struct mr_queues *q, struct mr_queue_delivery *d);
void mr_settle_back(struct mr_queues *q, struct mr_queue_delivery *d, enum mr_queue_back why,
	uint32_t delay_ms);

/* Exactly once (window.c) */
enum mr_window {
	MR_WINDOW_NEW = MR_ID_NEW,
	MR_WINDOW_KNOWN = MR_ID_KNOWN,
	MR_WINDOW_OLD = MR_ID_OLD,
	MR_WINDOW_FULL, /* no room to remember the publisher, or none for another of this session */
};
int mr_windows_new(struct mr_queues *q);
void mr_windows_free(struct mr_queues *q);
/* What is known of the push; the first time it is NEW, and must be noted if it is taken. */
enum mr_window mr_window_look(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mrf_message_origin *origin);
void mr_window_note(
	struct mr_queues *q, struct mr_queue *queue, const struct mrf_message_origin *origin);
void mr_windows_drop(struct mr_queues *q, struct mr_queue *queue);

static inline void mr_queue_has_room(struct mr_queues *q, struct mr_queue *queue)
{
	if (mr_unlikely(queue->withheld_head != NULL))
		mr_push_release_withheld(q, queue);
	if (mr_unlikely(queue->redrive_waits)) {
		queue->redrive_waits = false;
		mr_queue_activate(q, queue);
	}
}

/* Dead letters (dead.c) */
/* The queue of its dead letters; NULL: there is no memory for one. */
struct mr_queue *mr_dead_of(struct mr_queues *q, struct mr_queue *queue);
/* They are its own from here on. */
void mr_dead_join(struct mr_queues *q, struct mr_queue *queue, struct mr_queue *dead);
/* The queue, or its dead letters, goes: the other stays alone, or goes with it if it is dead letters that nobody needs.
 */
void mr_dead_part(struct mr_queues *q, struct mr_queue *queue);
void mr_dead_letter(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, const char *reason);
/* Moves at most `max` of those that are to be moved back; returns how many. */
uint32_t mr_dead_redrive(struct mr_queues *q, struct mr_queue *queue, uint32_t max);

/* Fragments (fragment.c) */
void mr_fragment_push(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m);
/* Gives up what did not become complete: of a client, of all that are for a queue, or that are too
 * old. */
void mr_fragment_drop_all(struct mr_queues *q, struct mr_queue_client *client);
void mr_fragment_drop_queue(struct mr_queues *q, struct mr_queue *queue);
void mr_fragment_expire(struct mr_queues *q, struct mr_queue_client *client);
/* Sends what is left of a consumer's train; false: no room. */
bool mr_fragment_train(struct mr_queues *q, struct mr_queue_consumer *c);

/* Circuit of a service (breaker.c) */
bool mr_breaker_admits(struct mr_queues *q, struct mr_queue *queue);
/* It was admitted and is in the queue now. */
void mr_breaker_enter(struct mr_queue *queue, struct mr_queue_entry *e);
void mr_breaker_passed(struct mr_queue *queue, struct mr_queue_entry *e);
void mr_breaker_failed(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Neither: it never came to a worker. */
void mr_breaker_void(struct mr_queue *queue, struct mr_queue_entry *e);

/* Services (service.c) */
/* A call ends without an answer of a worker. Takes the entry, which is in no list any more. */
void mr_service_end(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, uint32_t status);
/* The same where nobody waits for a word of it: a status would be taken for one of the next try. */
void mr_service_abandon(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);

#endif
