/* SPDX-License-Identifier: Apache-2.0 */
/* table: the subscriptions of all workers, by subject; and the short aliases of subjects.
 *
 * One thread changes the table; each worker reads it through a router of its own (router.h).
 * Literal patterns and byte prefixes are flat in one hash; patterns with wildcards are a trie over
 * the same hash.
 *
 * Owns      mr_table_new allocates everything, mr_table_free frees it; free the routers first. The
 *           QSBR variable is the caller's, has room for at least `workers` threads, and outlives
 *           the table.
 * Threads   Every function here: the table writer's thread only.
 * Ordering  [table.version] release of a version in a change -> acquire in the router: a router
 *           that sees the number sees the change.
 *           [table.grace] an unlinked piece is freed once every registered worker has reported
 *           quiescence after the version was raised.
 *           [table.held] a worker that keeps a route over such reports publishes that before the
 *           next one, release -> acquire: a thread that sees the report sees which routes are held.
 * Errors    0 or -errno. A refused change leaves the table as it was.
 * Bounds    A lookup visits at most MR_TABLE_VISITS_MAX nodes, whatever is subscribed. A subject
 *           leads to at most one node of each *shape* (the positions of the wildcards in a
 *           pattern), and shapes are bounded. Shapes of up to MR_TABLE_SHAPE_DEPTH tokens are
 *           always allowed; of longer ones with a '*' the table takes MR_TABLE_SHAPES_DEEP.
 */
#ifndef MILLRACE_SUBJECT_TABLE_H
#define MILLRACE_SUBJECT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/wire/subject.h"

struct rte_rcu_qsbr;
struct mr_table;

#define MR_TABLE_WORKERS_MAX 64

/* Names of queue groups in use in one table. */
#define MR_TABLE_GROUPS_MAX 65534
/* Queue groups on one pattern or prefix. */
#define MR_TABLE_GROUPS_PER_PATTERN 64

/* Shapes of up to this many tokens are free; 2^(depth+1)-1 of them exist. */
#define MR_TABLE_SHAPE_DEPTH 8
/* Limit of the longer shapes that contain a '*'. */
#define MR_TABLE_SHAPES_DEEP 1024
#define MR_TABLE_SHAPES_MAX                                                                        \
	((2u << MR_TABLE_SHAPE_DEPTH) - 1 + (MR_SUBJECT_TOKENS_MAX - MR_TABLE_SHAPE_DEPTH) +       \
		MR_TABLE_SHAPES_DEEP)
/* Nodes of the trie, the literal, and a prefix of each length. */
#define MR_TABLE_VISITS_MAX (MR_TABLE_SHAPES_MAX + 1 + (MR_SUBJECT_BYTES_MAX + 1))

/* A zero selects the default in brackets. */
struct mr_table_limits {
	unsigned workers;           /* 1..64; no default */
	uint32_t subscriptions_max; /* [1 048 576] */
	uint32_t aliases_max;       /* [65 536] */
	uint32_t nodes_max;         /* [4 * subscriptions_max + 1024]; long patterns cost nodes */
	uint32_t alias_holds_max;   /* [16 * aliases_max], over all owners */
	/* for one owner */
	/* copies of one message for one session; further subscriptions get none [no limit] */
	uint32_t copies_max;
	uint32_t identical_max; /* subscriptions to one pattern, in any group [no limit] */
	uint32_t shapes_max;    /* starred shapes on the paths of its patterns [no limit] */
	uint32_t lengths_max;   /* different lengths of its prefixes [no limit] */
	/* part of each table for one peer: see lib/base/share.h */
	uint32_t peer_percent; /* 1..100 [100] */
};

/* The slot of an owner that is a queue of that worker; `generation` is the queue's number. */
#define MR_OWNER_QUEUE UINT32_MAX

/* A session, or a bound queue. `slot` is its index on its worker; `generation` distinguishes the
 * sessions that have had the slot. `peer` is used when the session takes an item, and is the same
 * each time (lib/base/share.h).
 *
 * The subscriptions of a queue are its bindings. They form a queue group of their own, whose only
 * member is the queue. So a message goes into the queue once, however many bindings match. */
struct mr_owner {
	uint16_t worker;
	uint32_t slot;
	uint32_t generation;
	uint64_t peer;
};

/* Set in a sink's flags once its subscription is gone; readers skip such a sink. */
#define MR_SINK_GONE 1u
/* The subscription asks when the bus took a message, who sent it. Set when it is made. */
#define MR_SINK_TIME   2u
#define MR_SINK_SENDER 4u
#define MR_SINK_ASKS   (MR_SINK_TIME | MR_SINK_SENDER)
/* Its high-water mark, one byte: see mr_table_high_water. */
#define MR_SINK_HIGH_WATER_SHIFT 8
/* The worker that owns the sink's session: flags >> MR_SINK_WORKER_SHIFT. */
#define MR_SINK_WORKER_SHIFT 16
/* Largest high-water mark, in percent: the whole ring or log. */
#define MR_HIGH_WATER_MAX 100u

/* One subscription of one session, in the form that workers read. `sub_id` is the client's own
 * number. */
struct mr_sink {
	uint32_t slot;
	uint32_t generation;
	uint32_t sub_id;
	_Atomic uint32_t flags; /* w: table writer, r: workers */
};

/* Returns the sink's high-water mark in percent: see mr_table_high_water. */
static inline uint32_t mr_sink_high_water(uint32_t flags)
{
	return flags >> MR_SINK_HIGH_WATER_SHIFT & 0xff;
}

enum mr_sub_kind { MR_SUB_PATTERN, MR_SUB_PREFIX };

/* Valid during the visit only. */
struct mr_table_row {
	struct mr_owner owner;
	uint32_t sub_id;
	enum mr_sub_kind kind;
	const char *text;
	size_t text_bytes;
	const char *group; /* NULL and 0: no group, or that of a queue */
	size_t group_bytes;
	uint8_t high_water;
	uint8_t asks; /* subset of MR_SINK_ASKS */
};

struct mr_table_stats {
	uint32_t subscriptions;
	uint32_t owners;
	uint32_t nodes;
	uint32_t shapes;
	uint32_t groups;
	uint32_t aliases;
	uint32_t alias_holds;
	uint32_t pending_reclaim;
	uint64_t reclaimed;
	uint64_t leaked; /* retired pieces not queued for want of memory; they stay allocated */
	uint64_t changes;
	uint64_t memory_bytes; /* requested from the allocator, retired pieces included */
};

/* -EINVAL: no workers, too many, or a `qsbr` for too few threads; -ENOMEM. */
int mr_table_new(
	const struct mr_table_limits *limits, struct rte_rcu_qsbr *qsbr, struct mr_table **out);
void mr_table_free(struct mr_table *t);

/* Adds a subscription; `group_bytes` 0: without a group. 0, also if the owner repeats the same
 * subscription. -EEXIST: its sub_id names another subscription; -EINVAL: malformed text or group,
 * unknown worker; -ENOSPC: a limit, -EDQUOT: the peer's share, both named by mr_table_refusal;
 * -ENOMEM. */
int mr_table_subscribe(struct mr_table *t, const struct mr_owner *o, uint32_t sub_id,
	enum mr_sub_kind kind, const void *text, size_t bytes, const void *group,
	size_t group_bytes);

/* Likewise, for a subscription that asks for stamps: `row->asks`. Its high-water mark is not read.
 * A repeated subscription keeps what it asked for first. */
int mr_table_subscribe_row(struct mr_table *t, const struct mr_table_row *row);

/* Names the limit of the last -ENOSPC or -EDQUOT, in words for a client. */
const char *mr_table_refusal(const struct mr_table *t);

/* Sets the high-water mark of a subscription, in percent of the session's ring or log. Above a mark
 * of 1 .. MR_HIGH_WATER_MAX, promised messages pause their publishers (back-pressure). 0, the
 * default: a full session misses promised messages like others. -ENOENT: the owner has no such
 * subscription; -EINVAL: above MR_HIGH_WATER_MAX. */
int mr_table_high_water(
	struct mr_table *t, const struct mr_owner *o, uint32_t sub_id, uint8_t high_water);

/* True if the subscription is in a queue group. */
bool mr_table_is_member(const struct mr_table *t, const struct mr_owner *o, uint32_t sub_id);

/* Removes a subscription. -ENOENT: the owner has no such subscription. */
int mr_table_unsubscribe(struct mr_table *t, const struct mr_owner *o, uint32_t sub_id);

/* Removes a session's subscriptions and alias holds; returns the number of both together. */
unsigned mr_table_drop_owner(struct mr_table *t, const struct mr_owner *o);
/* Removes its subscriptions only: messages published by alias may still be under way. */
unsigned mr_table_drop_subscriptions(struct mr_table *t, const struct mr_owner *o);

/* Returns the alias of a subject, 1..aliases_max, the same for all owners. An owner holds it once,
 * however often it asks. An alias without holders is reused only after a grace period, oldest
 * first. -EINVAL: malformed subject, unknown worker; -ENOSPC, -EDQUOT: as for mr_table_subscribe;
 * -ENOMEM. */
int mr_table_alias_acquire(struct mr_table *t, const struct mr_owner *o, const void *subject,
	size_t bytes, uint32_t *alias);

/* Gives up a hold. -ENOENT: the owner does not hold the alias. */
int mr_table_alias_release(struct mr_table *t, const struct mr_owner *o, uint32_t alias);

/* True if every worker has reported quiescence since the token was taken (rte_rcu_qsbr_start), and
 * holds no route that it looked up before (mr_router_hold). */
bool mr_table_passed(const struct mr_table *t, uint64_t token);

/* Frees the pieces whose grace period is over; never blocks. Returns how many still wait. Call it
 * now and then, also while nothing changes; changes call it themselves when much is waiting. */
unsigned mr_table_reclaim(struct mr_table *t);

/* Visits every subscription in no particular order, until `visit` returns false. `visit` must not
 * change `t`. */
void mr_table_each(
	struct mr_table *t, bool (*visit)(void *arg, const struct mr_table_row *row), void *arg);

void mr_table_stats_get(const struct mr_table *t, struct mr_table_stats *out);

#endif
