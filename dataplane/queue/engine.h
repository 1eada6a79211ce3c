/* SPDX-License-Identifier: Apache-2.0 */
/* engine: the data structures that the parts of a worker's queues share. Private to
 * dataplane/queue.
 *
 *   client ──has──▶ consumers ──of──▶ queue ──has──▶ entries that are ready, in three lists
 *                      └─has─▶ deliveries ──of──▶ entries that are out
 *                                  ▲────── a delayed entry has a delivery too
 *
 * An entry is in exactly one place: a list or heap of its queue, or one delivery. The tag of a
 * delivery is its number and a serial. A tag from a client is looked up in the table of deliveries
 * and compared, so that no tag leads to memory of another kind.
 *
 * Owns      Entries, queues, consumers, clients and windows are chunks of the store. A part of the
 *           store is reserved for all that is not an entry, so that a full store can be emptied.
 * Threads   One: the home worker.
 * Units     Milliseconds of the caller's clock.
 */
#ifndef MILLRACE_QUEUE_ENGINE_H
#define MILLRACE_QUEUE_ENGINE_H

#include <stdatomic.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "dataplane/queue/entry.h"
#include "dataplane/queue/limit.h"
#include "dataplane/queue/policy.h"
#include "lib/wire/priority.h"
#include "dataplane/queue/queue.h"
#include "dataplane/queue/timer.h"
#include "dataplane/subject/hash.h"
#include "lib/wire/id_window.h"
#include "lib/wire/queue_name.h"
#include "flatbuf/stats.h"

#define MR_QUEUE_NONE            UINT32_MAX
#define MR_QUEUE_PRIORITIES      3u /* plain ones */
#define MR_QUEUE_CONSUMERS_MAX   2048u
#define MR_QUEUE_RANGES          16u /* accepted ranges held for a client until sent */
#define MR_QUEUE_ASSEMBLY_CHAINS 4096u

/* Kinds of struct mr_queue_timer. */
enum mr_queue_timer_kind {
	MR_QUEUE_TIMER_CONSUMER,
	MR_QUEUE_TIMER_DELIVERY,
	MR_QUEUE_TIMER_QUEUE,
};

/* One cache line. */
struct mr_queue_delivery {
	struct mr_queue_entry *entry;       /* NULL: free */
	struct mr_queue_consumer *consumer; /* NULL: delayed */
	struct mr_queue *queue;
	uint32_t serial;  /* second half of the tag; does not recur soon */
	uint32_t prev;    /* in its list: the consumer's, oldest first, or the delayed ones */
	uint32_t next;    /* in the same list, or the free list */
	uint32_t sent_ms; /* low bits of the time of sending, or of the end of the delay */
	struct mr_queue_timer timer; /* end of the delay, or of the caller's wait */
	bool partial;                /* a part of the answer was sent to the caller */
	bool streamed;               /* a part of the request was sent to the worker */
	bool handed;                 /* the consumer said that its program was given it */
	bool renewed;      /* by Progress: an AckUpTo of another delivery does not settle it */
	bool leased;       /* by a Progress with a time; counted in its consumer's `leases` */
	uint8_t later_why; /* enum mr_queue_back, of one that ends later (later.h) */
};
_Static_assert(sizeof(struct mr_queue_delivery) <= MR_CACHE_LINE, "one line");

struct mr_queue_consumer {
	struct mr_queue *queue;
	struct mr_queue_client *client;
	struct mr_queue_consumer *client_next;
	struct mr_queue_consumer *blocked_next;
	struct mr_queue_consumer *blocked_prev;
	uint64_t session;
	uint64_t key; /* the policy's key: the least is chosen */
	uint32_t subscription;
	uint32_t prefetch;
	uint32_t weight;
	uint32_t outstanding;
	uint32_t overdue; /* timed out since it was last heard; count against its credit */
	/* Its deliveries, the earliest time-out at the head: [0] those in order, [1] those renewed
	 * by Progress. */
	struct mr_queue_out {
		uint32_t head;
		uint32_t tail;
	} out[2];
	uint32_t index;   /* index in queue->consumers */
	uint32_t heap_at; /* index in queue->heap */
	uint32_t train;   /* delivery whose fragments are being sent, or MR_QUEUE_NONE */
	uint32_t train_offset;
	uint32_t train_fragment_bytes;
	struct mr_queue_place train_place;
	uint32_t restart_ms;         /* low bits: when an AckUpTo restarted the other time-outs */
	bool recalls;                /* wants Recall messages */
	bool ready;                  /* has credit, and is in the policy's set */
	bool blocked;                /* its session had no room */
	bool says_handed;            /* reports Handed when its program is given a delivery */
	bool blamed;                 /* its oldest delivery was presumed handed already */
	bool failed;                 /* its loss was counted as a failure of its service */
	struct mr_queue_timer timer; /* time-out of the oldest delivery */
	uint64_t delivered;
	uint64_t acked;
	uint64_t redelivered;
	/* While it acks many deliveries, or gives all back, some of them a round. */
	struct mr_queue_consumer *leaving_next;
	struct mr_queue_consumer *leaving_prev;
	uint8_t leaving_why; /* enum mr_queue_back */
	bool leaving;        /* in the list of those that do either */
	bool gone;           /* removed when it has given them back */
	/* Few consumers have the following. `prefetch` is 0 while one of `holds` is set. */
	uint8_t special; /* enum mr_consumer_special (hold.h): look at it with each delivery */
	uint8_t holds;   /* enum mr_consumer_hold */
	uint8_t tag_bytes;
	uint8_t leases; /* deliveries whose time-out is not the queue's */
	uint32_t prefetch_asked;
	uint32_t arrived; /* order of arrival, for a queue with one active consumer */
	uint32_t rate;    /* thousandths of a message a second; 0: no limit */
	uint64_t tokens;  /* its rate allows these, in millionths of a message */
	uint64_t tokens_ms;
	uint32_t bytes_max; /* 0: no limit */
	uint64_t
		bytes_out; /* bodies of its deliveries, timed-out ones included until it is heard */
	uint64_t bytes_overdue; /* part of those that timed out */
	char *tag;
	struct mr_consumer_keys *keys; /* NULL: its queue does not go by keys */
	uint32_t ack_at; /* last of its deliveries in order that are acked; MR_QUEUE_NONE: none */
	uint32_t later;  /* deliveries that it settled, in the worker's list (later.h) */
};

/* Pushes in the queue whose acceptance is withheld until there is room. */
struct mr_queue_withheld {
	struct mr_queue_withheld *next;
	uint64_t session;
	struct mrf_accepted_range range;
	uint32_t counted; /* how many of them mr_limit_withheld counts */
};

struct mr_queue_breaker {
	uint64_t until_ms;   /* end of the open state; half open: time for more probes */
	uint32_t failures;   /* consecutive failures */
	uint32_t probes;     /* let through and undecided, while half open */
	uint32_t passed;     /* probes that succeeded */
	uint32_t probes_max; /* limit of undecided and successful probes together */
	uint8_t state;       /* enum mrf_breaker_state */
};

/* The rest of a purge, or of the removal of its queue (purge.c). */
struct mr_queue_purge {
	struct mr_queue *next; /* list of the queues with such work */
	struct mr_queue_list calls;
	struct mr_queue_entry *calls_returned; /* heap */
	uint32_t delayed_head;                 /* deliveries that were delayed */
	uint32_t delayed_tail;
	uint32_t serial; /* of the youngest of them */
	uint32_t status; /* for the callers */
	bool listed;
	bool removed; /* has no name and no number any more; freed when all is done */
};

/* The entries of a queue that are not due yet, or are ready and have a time to live. Made with the
 * first of them. */
struct mr_queue_times {
	struct mr_wheel wheel;  /* by the ends of their times, or when they are due */
	struct mr_wheel *dated; /* by unix time; NULL: there was none with a time of day */
	struct mr_tickets *tickets;
	struct mr_queue_schedule *schedules;
	uint64_t planned_ms;    /* latest time of day at which cron found a next time */
	uint64_t waiting_count; /* entries that are not due yet, without those of schedules */
	struct {
		struct mr_queue_list list;       /* never out; each knows the one before it */
		struct mr_queue_entry *returned; /* as mr_queue.returned; each knows its parent */
	} ready[MR_QUEUE_RANKS];
};

/* The ready entries, without a time to live, of the levels that are none of low, normal and high.
 * Made with the first of them. */
struct mr_queue_levels {
	struct {
		struct mr_queue_list list;             /* as mr_queue.ready */
		struct mr_queue_entry *returned;       /* as mr_queue.returned */
	} ready[MR_QUEUE_RANKS - MR_QUEUE_PRIORITIES]; /* by rank */
};

struct mr_queue {
	uint32_t number;
	uint8_t kind;
	bool paused;    /* by an operator, until resumed */
	bool is_set;    /* made with options, or edited: not removed for idleness */
	bool active;    /* in the list of queues that may have something to deliver */
	bool is_dead;   /* holds dead letters */
	bool takes_key; /* goes by keys: a push may have one in its headers or its subject */
	struct mr_queue_list ready[MR_QUEUE_PRIORITIES]; /* by enum mrf_priority */
	/* Entries that were delivered and came back, a heap with the oldest on top. All are older
	 * than those in the lists. */
	struct mr_queue_entry *returned[MR_QUEUE_PRIORITIES];
	struct mr_queue_times *times; /* NULL: no entry has had a time to live */
	/* Ready entries that are in no list of `ready`, and one more while priorities age: then
	 * the next entry is not simply the first of a list. */
	uint64_t apart_count;
	uint64_t ready_count;
	uint64_t delayed_count; /* by a nack, in deliveries; or by their pushes, in the wheel */
	uint64_t outstanding_count;
	uint64_t body_bytes; /* bodies of all entries */
	/* policy */
	struct mr_queue_consumer **consumers;
	struct mr_queue_consumer **heap; /* ready consumers, by key */
	uint64_t *ready_bits;            /* ready consumers, by index */
	uint32_t consumers_count;
	uint32_t consumers_room;
	uint32_t heap_count;
	uint32_t cursor; /* round robin: where to look next */
	uint64_t clock;  /* source of keys */
	/* limits */
	struct mrf_queue_options options; /* without zeros: defaults filled in */
	uint32_t edited; /* enum mrf_queue_option: set by an operator or a template */
	struct mr_queue_withheld *withheld_head;
	struct mr_queue_withheld *withheld_tail;
	uint64_t withheld_count;
	uint64_t redriving; /* dead letters still to be moved back */
	bool redrive_waits; /* redrive waits for room */
	/* other */
	struct mr_queue *active_next;
	struct mr_queue *active_prev;
	struct mr_queue *hash_next;
	struct mr_queue *dead; /* queue of its dead letters, or the other way; NULL: none */
	struct mr_queue_window *windows;
	struct mr_queue_breaker breaker;
	struct mr_queue_timer timer; /* age limit and idleness */
	uint64_t used_ms;
	uint64_t maker;             /* session that made it, or 0 */
	uint64_t peer;              /* peer that it counts for */
	struct mr_queue *made_prev; /* list of the maker's queues, while the maker is there */
	struct mr_queue *made_next;
	struct mr_queue *idle_prev; /* list of idle queues: see mr_limit_idle */
	struct mr_queue *idle_next;
	uint64_t idle_ms; /* used_ms at the time of listing */
	bool idle_listed;
	bool wanted;  /* had a consumer, or was opened by others than its maker */
	bool kept;    /* opened or edited by an operator */
	bool counted; /* counts against queues_max; dead letters share the count of their queue */
	uint32_t delayed_head;
	uint32_t delayed_tail;
	uint32_t assemblies; /* messages still being reassembled */
	uint64_t pushed, accepted, refused, duplicates, delivered, acked, redelivered;
	uint64_t dead_count, expired, failures, replies;
	struct mr_queue *bound_next;    /* list of the bound queues that hold promised publishes */
	bool bound_full;                /* in that list */
	struct mr_queue_levels *levels; /* NULL: only low, normal and high were used */
	uint64_t dropped;               /* to make room, when it was full */
	uint64_t ready_of[MR_QUEUE_RANKS]; /* ready entries by rank; not kept for normal ones */
	uint64_t out_bytes;                /* bodies of the entries that are out */
	struct mr_queue_purge purge;
	uint32_t arrivals;              /* order of its newest consumer */
	struct mr_queue_consumer *sole; /* the active consumer, with single_active; NULL: none */
	struct mr_queue_keys *keys;     /* NULL: the policy is another than KeyShared (key.h) */
	struct mr_queue *dead_to;       /* named for its dead letters; NULL: NAME.dead */
	uint32_t dead_from;             /* queues that have named it for theirs */
	bool dead_discards;             /* its dead letters are discarded */
	bool redrives_each;             /* redrive moves its own messages to where they came from */
	char *about;                    /* owner, then description (about.h); NULL: neither */
	uint8_t owner_bytes;
	uint8_t description_bytes;
	uint32_t name_bytes;
	char name[];
};

/* A session that uses queues of this worker. */
struct mr_queue_client {
	uint64_t session;
	struct mr_queue_client *hash_next;
	struct mr_queue_client *all_prev;
	struct mr_queue_client *all_next;
	struct mr_queue_client *dirty_next; /* list of clients with ranges to be sent */
	struct mr_queue_consumer *consumers;
	struct mr_queue_assembly *assemblies;
	uint32_t assemblies_count;
	uint64_t assemblies_bytes; /* received fragments */
	uint64_t peer;
	uint32_t account;             /* account of its peer's use of the store; 0: root's */
	struct mr_queue *queues_made; /* queues made by it that still exist */
	uint32_t made;                /* number of those */
	uint32_t consumers_count;
	uint32_t services;
	uint64_t heartbeat_due_ms; /* when its next heartbeat is sent, if it serves */
	uint32_t windows;          /* publishers first heard of from it that are still remembered */
	uint32_t ranges_count;
	bool knows_memory; /* knows the status NO_MEMORY */
	bool knows_share;  /* knows the status SHARE_USED */
	bool overdue;      /* one of its consumers has overdue deliveries */
	bool dirty;
	uint32_t range_queue[MR_QUEUE_RANGES];
	struct mrf_accepted_range ranges[MR_QUEUE_RANGES];
	struct mr_queue_assembly *assemblies_tail; /* if there are any */
};

struct mr_queue_slot {
	struct mr_queue *queue;
	uint32_t generation; /* generation of the present queue, or of the next one */
	uint32_t next_free;
};

/* The bindings of the queue in one slot. */
struct mr_queue_bound_slot {
	_Atomic uint32_t number; /* the queue's; 0: it has none. w: table writer, r: home worker */
	_Atomic uint32_t count;  /* w: table writer, r: home worker */
	/* The queue that last got all bindings that were asked for, also if it has none any more.
	 * w: table writer, r: home worker */
	_Atomic uint32_t bound;
};

/* Bound queues (bind.c). */
struct mr_queue_bound {
	struct mr_queue_bound_slot *slots;
	_Atomic bool any;         /* a queue was ever bound. w: table writer, r: home worker */
	_Atomic uint32_t changes; /* of bindings. w: table writer, r: home worker */
	uint32_t changes_seen;
	bool is_short;                       /* the flag of the memory is set */
	uint32_t held;                       /* flags that are set */
	struct mr_queue *full;               /* list of the queues whose flag is set */
	uint64_t peers[MR_QUEUE_HELD_PEERS]; /* those whose flag is set; 0: none */
	struct mr_queue *full_tail;
	uint32_t full_count;
	uint32_t look_left; /* full queues that the present look at all has still to see */
};

struct mr_queues {
	struct mr_queues_config c;
	struct mr_slab *store;
	uint64_t store_entries_max; /* no entry is taken above this size of the store */
	uint64_t store_share;       /* limit of one queue, computed in the last run */
	uint64_t now_ms;            /* clock of the queues: the caller's without frozen times */
	uint64_t caller_ms;         /* the caller's clock at the last call */
	uint64_t lost_ms;           /* total of frozen times */
	uint64_t thawed_ms;         /* end of the last frozen time */
	/* tables, mapped at full size and taken as they are touched */
	struct mr_queue_limits limits;
	struct mr_hash_key name_key; /* random, so that nobody can choose names that collide */
	struct mr_queue_slot *slots;
	uint32_t slots_fresh;
	uint32_t slots_free; /* head of the free list, returned first and reused first */
	uint32_t slots_last; /* tail of the free list */
	uint32_t slots_free_count;
	unsigned index_bits;
	struct mr_queue **names; /* hash table */
	uint32_t names_mask;
	struct mr_queue_client **sessions; /* hash table */
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
	uint8_t *scratch; /* buffer for a fragment that is not contiguous */
	/* lists */
	struct mr_queue *active_head;
	struct mr_queue *active_tail;
	struct mr_queue_client *dirty;
	struct mr_queue_client *clients;
	struct mr_queue_client *sweep;     /* next client to be examined */
	struct mr_queue_client *last;      /* last client looked up */
	struct mr_queue_consumer *blocked; /* head of the list of blocked consumers */
	struct mr_queue_consumer *blocked_tail;
	struct mr_queue_entry *garbage; /* entries to be freed, a few at a time */
	struct mr_queue_entry *garbage_tree;
	struct mr_queue_bound bound;
	struct mr_queue_fragment *garbage_fragments;
	struct mr_queue *purging;          /* queues that have a purge to finish */
	struct mr_queue_consumer *leaving; /* consumers that ack many, or give all back */
	uint16_t order;                    /* order of the newest entry */
	uint32_t work;                     /* steps that this call may still take: see work.h */
	uint64_t retry_ms;                 /* when blocked consumers are tried again */
	uint64_t sweep_ms;
	uint64_t random;
	struct mr_key_table *key_table; /* NULL: no queue has gone by keys */
	struct mr_queue_key *key_spare; /* free records for the next keys, until the next tick */
	uint32_t key_spares;
	struct mr_key_link {
		struct mr_key_link *prev;
		struct mr_key_link *next;
	} key_garbage;          /* purged records of keys, with their entries */
	uint32_t garbage_nodes; /* entries that were in wheels: number of the first node, or 0 */
	uint32_t schedules_count;
	uint32_t later_head; /* deliveries that end later (later.h) */
	uint32_t later_tail;
	struct mr_queue_assembly **assemblies; /* chains (fragment.c) */
	char why_text[250];                    /* for `limits.why`, if the text is made */
};

/* Advances the clock of the queues to the caller's, without a time in which the worker was frozen
 * (queue.c). */
void mr_queues_clock(struct mr_queues *q, uint64_t caller_ms);
static inline void mr_queues_at(struct mr_queues *q, uint64_t caller_ms)
{
	if (mr_unlikely(caller_ms != q->caller_ms))
		mr_queues_clock(q, caller_ms);
}

/* One user of a shared resource may have this many times the amount that is left for all. So a
 * later user always finds some, whatever one of them does. */
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

/* Converts between an entry and its 32-bit number in a store of up to 64 GiB; 0: none. */
static inline uint32_t mr_entry_ref(const struct mr_queues *q, const struct mr_queue_entry *e)
{
	return (uint32_t)((uint64_t)((const uint8_t *)e - mr_slab_base(q->store)) / 16) + 1;
}

static inline struct mr_queue_entry *mr_entry_of_ref(const struct mr_queues *q, uint32_t ref)
{
	return ref == 0 ? NULL
			: (struct mr_queue_entry *)(mr_slab_base(q->store) + (ref - 1) * 16ull);
}

/* Returns the bytes that entries may still take. */
static inline uint64_t mr_queue_store_left(const struct mr_queues *q)
{
	uint64_t used = mr_slab_bytes(q->store);

	return used < q->store_entries_max ? q->store_entries_max - used : 0;
}

/* Queues (table.c) */
/* Returns NULL if no queue has the number. */
static inline struct mr_queue *mr_queue_by_number(const struct mr_queues *q, uint32_t number)
{
	uint32_t index = number & ((1u << q->index_bits) - 1);
	struct mr_queue *queue = index < q->slots_fresh ? q->slots[index].queue : NULL;

	return queue != NULL && queue->number == number ? queue : NULL;
}

struct mr_queue *mr_queue_by_name(
	const struct mr_queues *q, unsigned kind, const char *name, uint32_t bytes);
/* Makes a queue. -ENOSPC, -ENOMEM. */
int mr_queue_make(struct mr_queues *q, unsigned kind, const char *name, uint32_t bytes,
	const struct mrf_queue_options *options, struct mr_queue **out);
/* Take the queue out of the tables of names and numbers, and free it: for mr_queue_remove. */
void mr_queue_forget(struct mr_queues *q, struct mr_queue *queue);
void mr_queue_release(struct mr_queues *q, struct mr_queue *queue);
/* True if the queue has consumers, messages or dead letters. */
bool mr_queue_in_use(const struct mr_queue *queue);
/* Puts the queue in the list that run serves, or takes it out. */
void mr_queue_activate(struct mr_queues *q, struct mr_queue *queue);
void mr_queue_deactivate(struct mr_queues *q, struct mr_queue *queue);
/* Sets the timer for the queue's age limit and idleness. */
void mr_queue_arm(struct mr_queues *q, struct mr_queue *queue);
void mr_queue_on_timer(struct mr_queues *q, struct mr_queue *queue);
/* Expires entries that are too old, as far as the call's work reaches. */
void mr_queue_expire(struct mr_queues *q, struct mr_queue *queue);

/* Purge and removal (purge.c) */
/* Removes a queue without consumers, with all its entries. */
void mr_queue_remove(struct mr_queues *q, struct mr_queue *queue);
/* Discards ready entries that are at least that old, as long as there is work left. Returns how
 * many; *cursor: 0 at first and at the end, else where to go on (purge.c). */
uint64_t mr_queue_purge_older(
	struct mr_queues *q, struct mr_queue *queue, uint64_t older_ms, uint32_t *cursor);
/* Removes all ready and delayed entries; returns how many. Callers receive `status`. */
uint64_t mr_queue_empty(struct mr_queues *q, struct mr_queue *queue, uint32_t status);
/* Goes on with what purges and removals have left. */
void mr_purge_run(struct mr_queues *q);
/* True if the delayed delivery belongs to a purge. */
bool mr_purge_has(const struct mr_queue *queue, const struct mr_queue_delivery *d);
/* Notes that a message of the queue is no longer being reassembled. */
void mr_purge_assembled(struct mr_queues *q, struct mr_queue *queue);

/* Returns the number of slots: one for a queue and one for its dead letters. */
static inline uint32_t mr_queue_slots_max(const struct mr_queues_config *c)
{
	return 2 * c->queues_max;
}

static inline uint64_t mr_queue_depth(const struct mr_queue *queue)
{
	return queue->ready_count + queue->delayed_count + queue->outstanding_count;
}

/* Appends a new entry behind all others of its priority. */
void mr_queue_put(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Returns an entry that was out to its place by age. */
void mr_queue_put_back(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);

/* Returned entries (returned.c): a heap by age. */
void mr_returned_push(struct mr_queues *q, struct mr_queue_entry **root, struct mr_queue_entry *e);
/* Merges two heaps of entries with a time, which know their parents; returns the root. */
struct mr_queue_entry *mr_returned_join(
	struct mr_queues *q, struct mr_queue_entry *a, struct mr_queue_entry *b);
/* Takes out any entry of such a heap. */
void mr_returned_remove(
	struct mr_queues *q, struct mr_queue_entry **root, struct mr_queue_entry *e);
struct mr_queue_entry *mr_returned_pop(struct mr_queues *q, struct mr_queue_entry **root);
/* Merges the heap `from` into *root. */
void mr_returned_merge(
	struct mr_queues *q, struct mr_queue_entry **root, struct mr_queue_entry *from);
/* Takes out some entry of *root, cheaper than the oldest. NULL: the top has changed, try again; or
 * the heap is empty. */
struct mr_queue_entry *mr_returned_any(struct mr_queues *q, struct mr_queue_entry **root);

/* Frees an entry that has left the queue, updates body_bytes, and accepts withheld pushes. */
void mr_queue_done(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);

static inline bool mr_queue_has_age_limit(const struct mr_queue *queue)
{
	return queue->options.age_max_ms != 0 && !queue->is_dead;
}

/* Returns the milliseconds until the entry is too old; UINT64_MAX: it has no age limit. */
static inline uint64_t mr_queue_age_left(
	const struct mr_queues *q, const struct mr_queue *queue, const struct mr_queue_entry *e)
{
	uint32_t age, max = queue->options.age_max_ms;

	if (mr_likely(max == 0 || queue->is_dead))
		return UINT64_MAX;
	age = (uint32_t)q->now_ms - e->born_ms;
	return age < max ? max - age : 0;
}

/* Clients (client.c) */
/* Returns the client, and makes it if there is none; NULL: no memory. */
struct mr_queue_client *mr_client_of(struct mr_queues *q, uint64_t session);
struct mr_queue_client *mr_client_look(struct mr_queues *q, uint64_t session);
static inline struct mr_queue_client *mr_client_find(struct mr_queues *q, uint64_t session)
{
	return mr_likely(q->last != NULL && q->last->session == session)
		       ? q->last
		       : mr_client_look(q, session);
}
/* Reports the outcome of a push, together with others of the round. */
void mr_client_accept(struct mr_queues *q, uint64_t session, uint32_t number,
	const struct mrf_accepted_range *range);
void mr_clients_flush(struct mr_queues *q);
/* Examines some clients: closed sessions, silent services, old reassemblies. */
void mr_clients_sweep(struct mr_queues *q);
void mr_client_status(struct mr_queues *q, uint64_t session, uint64_t correlation, uint32_t status);
/* Notes an outcome from the session: its overdue deliveries are forgiven. */
void mr_client_heard(struct mr_queues *q, uint64_t session);

/* Consumers (consumer.c) */
enum mr_queue_back {
	MR_BACK_LOST,     /* the consumer was lost */
	MR_BACK_LEFT,     /* the consumer left in good order */
	MR_BACK_TIMEOUT,  /* the ack time-out */
	MR_BACK_RETURNED, /* the consumer did not work on it */
	MR_BACK_REQUEUE,  /* the consumer worked on it */
	MR_BACK_REJECT,
};
struct mr_consumer_wish;
int mr_consumer_add(
	struct mr_queues *q, struct mr_queue *queue, const struct mr_consumer_wish *wish);
/* Withdraws the consumer's credit, and returns its deliveries to the queue: as far as the call's
 * work reaches, the others in later runs. */
void mr_consumer_leave(struct mr_queues *q, struct mr_queue_consumer *c, enum mr_queue_back why);
/* Does this, and removes the consumer once it has no delivery any more. `code` not 0: sends it a
 * Disconnect. */
void mr_consumer_remove(struct mr_queues *q, struct mr_queue_consumer *c, enum mr_queue_back why,
	int code, const char *text);
/* Lets the consumer have its turn in mr_consumers_leave_run. */
void mr_consumer_list(struct mr_queues *q, struct mr_queue_consumer *c);
/* Goes on with the consumers that ack many, or leave. */
void mr_consumers_leave_run(struct mr_queues *q);
/* Returns a consumer that is not being removed. */
struct mr_queue_consumer *mr_consumer_find(struct mr_queue_client *client, uint32_t subscription);
/* Returns its delivery with the earliest time-out; MR_QUEUE_NONE: it has none. */
uint32_t mr_consumer_oldest(const struct mr_queues *q, const struct mr_queue_consumer *c);
/* Adds the consumer to the policy's set or removes it, because its credit has changed. */
void mr_consumer_toggle(struct mr_queues *q, struct mr_queue_consumer *c);
void mr_consumer_block(struct mr_queues *q, struct mr_queue_consumer *c);
void mr_consumers_unblock(struct mr_queues *q);
void mr_consumer_on_timer(struct mr_queues *q, struct mr_queue_consumer *c);
/* Sets the timers of the queue's consumers by its ack time-out, which has changed. */
void mr_consumers_retime(struct mr_queues *q, struct mr_queue *queue);
/* Counts the delivery as overdue and sends a Recall: the consumer no longer has it, and gets no
 * other in its place until it is heard. */
void mr_consumer_recall(struct mr_queues *q, const struct mr_queue_delivery *d);
/* Restarts the time-out of its remaining deliveries now: the consumer works in order. */
static inline void mr_consumer_restart(const struct mr_queues *q, struct mr_queue_consumer *c)
{
	c->restart_ms = (uint32_t)q->now_ms;
}

static inline bool mr_consumer_has_credit(const struct mr_queue_consumer *c)
{
	return c->outstanding + c->overdue < c->prefetch && !c->blocked &&
	       c->train == MR_QUEUE_NONE;
}

/* Updates the policy if the consumer's credit has changed. */
static inline void mr_consumer_update(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (mr_consumer_has_credit(c) != c->ready)
		mr_consumer_toggle(q, c);
}

/* Bodies of this size fit one message to any session, with all optional parts in the smallest
 * frame. */
#define MR_QUEUE_FITS_ANY 1024u
/* Returns the largest body, a multiple of 8, of one message to the session. */
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
/* Returns NULL if the tag is not a delivery of this session and queue. */
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
/* Fills in the delivery part. Written in words, because it is soon read in words: a wide load waits
 * for narrower stores. */
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
/* Take a delivery out of its consumer's list, which still counts it; and put it back, as the first.
 */
void mr_delivery_unlink(struct mr_queues *q, struct mr_queue_delivery *d);
void mr_delivery_link_first(struct mr_queues *q, struct mr_queue_delivery *d);
/* Ends a delivery: removes it from its consumer or from the delayed ones, and returns its entry. */
struct mr_queue_entry *mr_delivery_end(struct mr_queues *q, struct mr_queue_delivery *d);
/* Delays an entry by `delay_ms`; false: there is no room for another delayed one. */
bool mr_delivery_delay(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, uint32_t delay_ms);
/* Restarts the delivery's time-out, behind the consumer's others. `renewed`: it also leaves their
 * order. */
void mr_delivery_touch(struct mr_queues *q, struct mr_queue_delivery *d, bool renewed);
void mr_delivery_on_timer(struct mr_queues *q, struct mr_queue_delivery *d);
/* Restarts the wait of the delivery's caller: a part or credit was passed on. */
/* Delivers an entry that waits in a wheel, to a consumer with credit. False: it cannot take it. */
bool mr_delivery_early(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer *c,
	struct mr_queue_entry *e);
void mr_delivery_extend(struct mr_queues *q, struct mr_queue_delivery *d);

/* Exactly once (window.c) */
enum mr_window {
	MR_WINDOW_NEW = MR_ID_NEW,
	MR_WINDOW_KNOWN = MR_ID_KNOWN,
	MR_WINDOW_OLD = MR_ID_OLD,
	MR_WINDOW_FULL, /* no place to remember the publisher, or the session has too many */
	MR_WINDOW_NO_MEMORY,
};
int mr_windows_new(struct mr_queues *q);
void mr_windows_free(struct mr_queues *q);
/* Looks a push up. The result for a first push is NEW; the push must be noted if it is taken. */
enum mr_window mr_window_look(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mrf_message_origin *origin);
void mr_window_note(
	struct mr_queues *q, struct mr_queue *queue, const struct mrf_message_origin *origin);
/* Forgets a window of the queue, which has one. */
void mr_window_drop(struct mr_queues *q, struct mr_queue *queue);

/* Fragments (fragment.c) */
/* `options`: of a PushOptions, or with a key found by the bus; NULL: none. */
void mr_fragment_push(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, const struct mrf_push_options *options);
/* Give up reassembly: of a client, as far as the call's work reaches (false: there are more); or of
 * some of its messages, if they are too old or their queue is removed. */
bool mr_fragment_drop_all(struct mr_queues *q, struct mr_queue_client *client);
void mr_fragment_expire(struct mr_queues *q, struct mr_queue_client *client);
/* Sends the remaining fragments of a consumer's delivery; false: no room. */
bool mr_fragment_train(struct mr_queues *q, struct mr_queue_consumer *c);

/* Options changed by an operator (edit.c) */
/* Sets the options in `edits`, bits of enum mrf_queue_option. -EINVAL: some value is not allowed,
 * and nothing was changed; q->limits.why says which. */
int mr_queue_edit(struct mr_queues *q, struct mr_queue *queue, uint32_t edits,
	const struct mrf_queue_options *values);

/* Copies the options in `which`, bits of enum mrf_queue_option. */
void mr_queue_options_set(
	struct mrf_queue_options *o, uint32_t which, const struct mrf_queue_options *values);
/* Returns the template for queues of that name, or NULL (template.c). */
const struct mr_queue_template *mr_queue_template_of(
	const struct mr_queues *q, enum mrf_queue_kind kind, struct mrf_string name);
/* Returns the place of dead letters that the template gives; empty: none. */
struct mrf_string mr_queue_template_dead_letter(
	const struct mr_queues *q, enum mrf_queue_kind kind, struct mrf_string name);
/* Says which option of the template contradicts which of those that were asked for, if the template
 * makes valid options invalid; else returns `why`. The text lasts until the next call. */
const char *mr_queue_template_blame(struct mr_queues *q, enum mrf_queue_kind kind,
	struct mrf_string name, const struct mrf_queue_options *wants, const char *why);
/* Names the template if its place of dead letters is refused; `why` may be NULL: it is not. */
const char *mr_queue_template_blame_dead(
	struct mr_queues *q, enum mrf_queue_kind kind, struct mrf_string name, const char *why);
/* Sets the options that a template gives to a new queue of that name. Returns their bits. */
uint32_t mr_queue_template_apply(const struct mr_queues *q, enum mrf_queue_kind kind,
	struct mrf_string name, struct mrf_queue_options *options);

/* Circuit breaker of a service (breaker.c) */
bool mr_breaker_admits(struct mr_queues *q, struct mr_queue *queue);
/* Notes that an admitted call is in the queue. */
void mr_breaker_enter(struct mr_queue *queue, struct mr_queue_entry *e);
void mr_breaker_passed(struct mr_queue *queue, struct mr_queue_entry *e);
void mr_breaker_failed(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Undoes mr_breaker_enter for a call whose outcome says nothing about the service. */
void mr_breaker_void(struct mr_queue *queue, struct mr_queue_entry *e);
/* Applies changed options: a breaker that never opens is closed, a shorter reset time holds now. */
void mr_breaker_changed(const struct mr_queues *q, struct mr_queue *queue);

/* Services (service.c) */
/* Ends a call without a worker's answer: its caller receives `status`. Takes the entry, which is in
 * no list any more. */
void mr_service_end(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, uint32_t status);
/* Ends a call silently: the caller would take a status for one of its next attempt. */
void mr_service_abandon(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);

/* The order of ready entries uses all of the above. */
#include "dataplane/queue/ready.h"

#endif
