/* SPDX-License-Identifier: Apache-2.0 */
/* entry: a message in a queue, and the parts behind its header. Private to dataplane/queue.
 *
 *   entry | origin | call or time | owner | body, or the chain of its fragments
 *
 * Owns      An entry, and each fragment of its chain, is a chunk of the store.
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_ENTRY_H
#define MILLRACE_QUEUE_ENTRY_H

#include "dataplane/queue/queue.h"
#include "dataplane/queue/wheel.h"

/* The parts behind an entry's header, in this order; and its flags. */
#define MR_ENTRY_ORIGIN 1u  /* struct mrf_message_origin */
#define MR_ENTRY_CALL   2u  /* struct mr_queue_call: the caller */
#define MR_ENTRY_CHAIN  4u  /* struct mr_queue_chain in place of the body */
#define MR_ENTRY_MORE   8u  /* parts of the request will follow */
#define MR_ENTRY_PROBE  16u /* probe of a half-open circuit */
#define MR_ENTRY_OWNED  32u /* struct mr_queue_owner: the account that it counts in */
/* struct mr_queue_time. Behind it there is room for an origin, whether it has one or not: so the
 * nodes of a wheel have one place in their entries. Never with a call. */
#define MR_ENTRY_TIME 64u
#define MR_ENTRY_TOLD 128u /* lines with names of the bus in its header block are the bus's */

/* `priority` of an entry whose level is none of low, normal and high: its time has it. */
#define MR_ENTRY_LEVEL 3u

/* A message, followed by the parts that the flags name and by the body: header block, payload. */
struct mr_queue_entry {
	union {
		struct mr_queue_entry *next; /* in its list */
		struct {
			uint32_t left; /* heap of returned entries: refs of the children, or 0 */
			uint32_t right;
		} tree;
		uint64_t ticket;                    /* waits, and is in the table of tickets */
		struct mr_queue_schedule *schedule; /* waits, and is what a schedule copies */
	};
	uint32_t body_bytes;
	uint32_t born_ms; /* low bits of the time when the queue received it */
	uint16_t header_bytes;
	uint16_t attempts; /* failed delivery attempts; saturates */
	uint8_t flags;
	uint8_t priority : 2; /* enum mrf_priority, or MR_ENTRY_LEVEL */
	uint8_t spared : 6;   /* deliveries that came back and were no attempts; saturates */
	uint16_t order; /* order within one millisecond, which has fewer than 32,768 entries */
};
_Static_assert(sizeof(struct mr_queue_entry) == 24, "64 bytes with origin, call and rounding");

/* The caller, and how long it waits. */
struct mr_queue_call {
	struct mrf_reply_token token;
	uint32_t wait_ms;  /* from the push or the last partial answer; 0: not said */
	uint32_t until_ms; /* low bits of the end of the wait */
};

enum mr_queue_time_place {
	MR_TIME_OUT,      /* neither: delivered, delayed, or without an end */
	MR_TIME_LIST,     /* the list of those that were never out */
	MR_TIME_HEAP,     /* the heap of those that came back */
	MR_TIME_WAIT,     /* only the wheel, or on the way there: not due yet */
	MR_TIME_KEY_LIST, /* the record of its key: never out */
	MR_TIME_KEY_HEAP, /* the same: came back */
};

#define MR_TIME_NEVER UINT64_MAX

/* The time to live of an entry, and its place among the ready ones that have one (ttl.c). */
struct mr_queue_time {
	struct mr_wheel_node
		node;      /* in the queue's wheel while the entry is ready or not due yet */
	uint64_t ends_ms;  /* MR_TIME_NEVER: no limit, an entry as others */
	uint32_t up;       /* ref of the entry before it in the list, above it, or behind it in the
			  table of tickets; 0: none */
	uint8_t place;     /* enum mr_queue_time_place */
	uint8_t level;     /* 0: not given; else 1 + level, as in PushOptions */
	bool dated : 1;    /* waits for a time of day: in the wheel by unix time */
	bool ticketed : 1; /* is in the table of tickets */
	bool repeats : 1;  /* is what a schedule copies */
	bool early : 1;    /* delivered before it was due: waits again if it comes back */
	uint8_t reserved;
	uint64_t key;    /* 0: none (key.c) */
	uint32_t key_at; /* ref of its record; 0: it is in none */
	uint32_t reserved32;
};

/* In front of the body: the account and the bytes counted in it. Root's entries have none. */
struct mr_queue_owner {
	uint32_t account; /* mr_limit_account */
	uint32_t bytes;
};

/* The wait of the caller, in the word of a call's Push that is the session in other tokens. */
#define MR_CALL_WAIT_MS(word) ((uint32_t)(word) <= INT32_MAX ? (uint32_t)(word) : 0)
#define MR_CALL_WAIT_WORKER   (1ull << 32) /* the caller also waits for a first worker */

/* A fragment of the body of a message that was received in fragments. */
struct mr_queue_fragment {
	struct mr_queue_fragment *next;
	uint32_t bytes;
	uint32_t reserved;
	uint8_t body[];
};

/* A position in a chain: the fragment last looked at, and its offset in the body. {NULL}: from the
 * start. */
struct mr_queue_place {
	const struct mr_queue_fragment *fragment;
	uint32_t offset;
};

struct mr_queue_chain {
	struct mr_queue_fragment *first;
	struct mr_queue_fragment *last;
	uint64_t session; /* session of the received fragments */
	uint32_t message;
	uint32_t fragment_bytes; /* length of all fragments but the last */
};

struct mr_queue_list {
	struct mr_queue_entry *head;
	struct mr_queue_entry *tail;
};

/* Bytes in front of the body for all values of the flags. A table, because each message needs it
 * several times. */
#define MR_PREFIX(flags)                                                                           \
	(sizeof(struct mr_queue_entry) +                                                           \
		((flags) & (MR_ENTRY_ORIGIN | MR_ENTRY_TIME) ? sizeof(struct mrf_message_origin)   \
							     : 0) +                                \
		((flags)&MR_ENTRY_TIME ? sizeof(struct mr_queue_time) : 0) +                       \
		((flags)&MR_ENTRY_CALL ? sizeof(struct mr_queue_call) : 0) +                       \
		((flags)&MR_ENTRY_OWNED ? sizeof(struct mr_queue_owner) : 0))
#define MR_PREFIX_4(flags)                                                                         \
	MR_PREFIX(flags), MR_PREFIX((flags) + 1u), MR_PREFIX((flags) + 2u), MR_PREFIX((flags) + 3u)
#define MR_PREFIX_16(flags)                                                                        \
	MR_PREFIX_4(flags), MR_PREFIX_4((flags) + 4u), MR_PREFIX_4((flags) + 8u),                  \
		MR_PREFIX_4((flags) + 12u)

static inline uint32_t mr_entry_prefix(unsigned flags)
{
	static const uint8_t bytes[128] = {MR_PREFIX_16(0u), MR_PREFIX_16(16u), MR_PREFIX_16(32u),
		MR_PREFIX_16(48u), MR_PREFIX_16(64u), MR_PREFIX_16(80u), MR_PREFIX_16(96u),
		MR_PREFIX_16(112u)};

	return bytes[flags & 127];
}

#define MR_ENTRY_SPARED_MAX 63u

/* Returns the number of deliveries that came back, as on the wire; `spared` of them were no
 * attempts. */
static inline uint16_t mr_entry_redelivered(const struct mr_queue_entry *e)
{
	uint32_t sum = (uint32_t)e->attempts + e->spared;

	return sum < UINT16_MAX ? (uint16_t)sum : UINT16_MAX;
}

static inline struct mrf_message_origin *mr_entry_origin(struct mr_queue_entry *e)
{
	return (struct mrf_message_origin *)(e + 1);
}

static inline struct mrf_reply_token *mr_entry_call(struct mr_queue_entry *e)
{
	return (struct mrf_reply_token *)((uint8_t *)e +
					  mr_entry_prefix(e->flags & MR_ENTRY_ORIGIN));
}

static inline struct mr_queue_call *mr_entry_caller(struct mr_queue_entry *e)
{
	return (struct mr_queue_call *)mr_entry_call(e);
}

/* Offset of the time in its entry. */
#define MR_TIME_OFFSET                                                                             \
	((uint32_t)(sizeof(struct mr_queue_entry) + sizeof(struct mrf_message_origin)))

static inline struct mr_queue_time *mr_entry_time(struct mr_queue_entry *e)
{
	return (struct mr_queue_time *)((uint8_t *)e + MR_TIME_OFFSET);
}

static inline struct mr_queue_entry *mr_entry_of_node(struct mr_wheel_node *n)
{
	return (struct mr_queue_entry *)((uint8_t *)n - MR_TIME_OFFSET);
}

/* Gives a copy of an entry the priority of the original; both have the same parts. */
static inline void mr_entry_priority_copy(struct mr_queue_entry *to, struct mr_queue_entry *from)
{
	to->priority = from->priority;
	if (from->flags & MR_ENTRY_TIME)
		mr_entry_time(to)->level = mr_entry_time(from)->level;
}

/* True if the entry has a time to live. */
static inline bool mr_entry_ends(struct mr_queue_entry *e)
{
	return (e->flags & MR_ENTRY_TIME) && mr_entry_time(e)->ends_ms != MR_TIME_NEVER;
}

/* Returns the body, or the struct mr_queue_chain. */
static inline void *mr_entry_body(struct mr_queue_entry *e)
{
	return (uint8_t *)e + mr_entry_prefix(e->flags);
}

static inline struct mr_queue_owner *mr_entry_owner(struct mr_queue_entry *e)
{
	return (struct mr_queue_owner *)mr_entry_body(e) - 1;
}

static inline uint32_t mr_entry_account(struct mr_queue_entry *e)
{
	return e->flags & MR_ENTRY_OWNED ? mr_entry_owner(e)->account : 0;
}

/* Makes an entry with an empty body of body_bytes, or an empty chain; NULL: no memory. `account`:
 * the account that it counts in. The caller of this function fills in mr_entry_caller. A time is
 * one without an end. */
struct mr_queue_entry *mr_entry_new(struct mr_queues *q, uint32_t account, unsigned flags,
	const struct mrf_message_origin *origin, uint32_t header_bytes, uint32_t body_bytes);
/* Returns the StatusCode for an entry that could not be made: its account has its slabs of the
 * store, or there is no memory. */
uint32_t mr_entry_refusal(
	const struct mr_queues *q, uint32_t account, unsigned flags, uint32_t body_bytes);
void mr_entry_free(struct mr_queues *q, struct mr_queue_entry *e);
/* Goes on with the fragments of freed messages, as far as the call's work reaches. */
void mr_entry_free_fragments(struct mr_queues *q);
/* Counts as many bytes more in the entry's account, until it is freed. */
void mr_entry_charge(struct mr_queues *q, struct mr_queue_entry *e, uint32_t bytes);
/* Appends a copy of a fragment to the chain. False: no memory. */
bool mr_entry_append(
	struct mr_queues *q, struct mr_queue_entry *e, const void *body, uint32_t bytes);
/* Makes a new first fragment of `bytes` in place of the old one. The old one stays readable until
 * it is released with mr_entry_fragment_release. NULL: no memory. */
struct mr_queue_fragment *mr_entry_first_replace(
	struct mr_queues *q, struct mr_queue_entry *e, uint32_t bytes);
void mr_entry_fragment_release(
	struct mr_queues *q, struct mr_queue_entry *e, struct mr_queue_fragment *p);
/* Returns `bytes` of the body from `offset` on, contiguous; valid until the next call. `place`
 * starts as {NULL}, and offsets must ascend. */
const uint8_t *mr_entry_slice(struct mr_queues *q, struct mr_queue_entry *e,
	struct mr_queue_place *place, uint32_t offset, uint32_t bytes);

static inline void mr_list_push_back(struct mr_queue_list *l, struct mr_queue_entry *e)
{
	e->next = NULL;
	if (l->head == NULL)
		l->head = e;
	else
		l->tail->next = e;
	l->tail = e;
}

static inline struct mr_queue_entry *mr_list_pop(struct mr_queue_list *l)
{
	struct mr_queue_entry *e = l->head;

	l->head = e->next;
	return e;
}

#endif
