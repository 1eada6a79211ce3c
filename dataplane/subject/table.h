/* SPDX-License-Identifier: Apache-2.0 */
/* table: who gets a copy of which subject, for all workers; and the short aliases of subjects.
 *
 * One thread changes it, workers read it through a router each (router.h). Literal patterns and
 * byte prefixes lie flat in one hash; patterns with wildcards are a trie over the same hash.
 *
 * Owns      mr_table_new allocates, mr_table_free frees all of it: routers first. The QSBR variable
 *           is the caller's, sized for at least `workers` threads, and outlives the table.
 * Threads   Every function here: the table writer's thread only.
 * Ordering  [table.version] release of a version in a change -> acquire in the router: a router that
 *           has seen the number has seen the change.
 *           [table.grace] what is unlinked is freed once every registered worker has reported
 *           quiescence after the version was raised.
 *           [table.held] a worker that keeps a route over such reports says so before the next one,
 *           release -> acquire: who has seen the report sees what is held.
 * Errors    0 or -errno. A refused change leaves the table as it was.
 * Bounds    A lookup visits at most MR_TABLE_VISITS_MAX
 * nodes, whatever is subscribed: for each *shape* (which tokens of a pattern are wildcards) a
 * subject leads to one node at most, and shapes are bounded. Every shape of up to
 * MR_TABLE_SHAPE_DEPTH tokens is always allowed; of longer ones with a '*' the table takes
 * MR_TABLE_SHAPES_DEEP.
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

/* Shapes up to this many tokens are free; 2^(depth+1)-1 of them exist. */
#define MR_TABLE_SHAPE_DEPTH 8
/* Longer prefixes of patterns that contain a '*', counted by shape. */
#define MR_TABLE_SHAPES_DEEP 1024
#define MR_TABLE_SHAPES_MAX                                                                        \
	((2u << MR_TABLE_SHAPE_DEPTH) - 1 + (MR_SUBJECT_TOKENS_MAX - MR_TABLE_SHAPE_DEPTH) +       \
		MR_TABLE_SHAPES_DEEP)
/* Nodes of the trie, the literal, and a prefix of every length. */
#define MR_TABLE_VISITS_MAX (MR_TABLE_SHAPES_MAX + 1 + (MR_SUBJECT_BYTES_MAX + 1))

/* A zero asks for the default in brackets. */
struct mr_table_limits {
	unsigned workers;           /* 1..64; no default */
	uint32_t subscriptions_max; /* [1 048 576] */
	uint32_t aliases_max;       /* [65 536] */
	uint32_t nodes_max;         /* [4 * subscriptions_max + 1024]; long patterns cost nodes */
	uint32_t alias_holds_max;   /* [16 * aliases_max], over all owners */
	/* of one owner */
	uint32_t
		copies_max; /* of one message for one session: subscriptions beyond are left out [no limit] */
	uint32_t identical_max; /* subscriptions at one pattern, of any group [no limit] */
	uint32_t shapes_max;    /* starred shapes on the paths of its patterns [no limit] */
	uint32_t lengths_max;   /* lengths of its prefixes [no limit] */
	/* of each of the tables, for one peer: see base/share.h */
	uint32_t peer_percent; /* 1..100 [100] */
};

/* A session: `slot` is its index on its worker, `generation` tells its slot's tenants apart. `peer` is
 * heeded when it takes something, and is the same each time (base/share.h). */
struct mr_owner {
	uint16_t worker;
	uint32_t slot;
	uint32_t generation;
	uint64_t peer;
};

/* Set in a sink's flags once its subscription is gone; such a sink is to be skipped. */
#define MR_SINK_GONE 1u
/* Its water, a byte: see mr_table_water. */
#define MR_SINK_WATER_SHIFT 8
/* The worker that owns the sink's session: flags >> MR_SINK_WORKER_SHIFT. */
#define MR_SINK_WORKER_SHIFT 16
/* Highest water: the whole of a ring or log. */
#define MR_WATER_MAX 100u

/* One subscription of one session, as a worker sees it. `sub_id` is the client's own number. */
struct mr_sink {
	uint32_t slot;
	uint32_t generation;
	uint32_t sub_id;
	_Atomic uint32_t flags; /* w: table writer, r: workers */
};

/* See mr_table_water. */
static inline uint32_t mr_sink_water(uint32_t flags)
{
	return flags >> MR_SINK_WATER_SHIFT & 0xff;
}

enum mr_sub_kind { MR_SUB_PATTERN, MR_SUB_PREFIX };

/* Valid during the visit. */
struct mr_table_row {
	struct mr_owner owner;
	uint32_t sub_id;
	enum mr_sub_kind kind;
	const char *text;
	size_t text_bytes;
	const char *group; /* NULL and 0: no group */
	size_t group_bytes;
	uint8_t water;
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
	uint64_t leaked; /* no memory to queue a retired piece: it stays allocated until the end */
	uint64_t changes;
	uint64_t memory_bytes; /* asked of the allocator, retired pieces included */
};

/* -EINVAL: no workers, too many, or too few threads in `qsbr`; -ENOMEM. */
int mr_table_new(
	const struct mr_table_limits *limits, struct rte_rcu_qsbr *qsbr, struct mr_table **out);
void mr_table_free(struct mr_table *t);

/* `group_bytes` 0: a plain subscription. The same again from the same owner with the same sub_id is
 * 0 and changes nothing; -EEXIST: that sub_id means something else; -EINVAL: malformed text or
 * group, unknown worker; -ENOSPC: a limit, -EDQUOT: the peer's share, which mr_table_refusal names;
 * -ENOMEM. */
int mr_table_subscribe(struct mr_table *t, const struct mr_owner *o, uint32_t sub_id,
	enum mr_sub_kind kind, const void *text, size_t bytes, const void *group,
	size_t group_bytes);

/* Which limit the last -ENOSPC or -EDQUOT was, for a message to a client. */
const char *mr_table_refusal(const struct mr_table *t);

/* What becomes of promised messages for a subscription whose session is full. 0, as it is at first: they are
 * dropped, as others are; 1 .. MR_WATER_MAX: they hold their publishers up from so many percent on.
 * -ENOENT: the owner has no such subscription; -EINVAL: more than that. */
int mr_table_water(struct mr_table *t, const struct mr_owner *o, uint32_t sub_id, uint8_t water);

/* True of a subscription in a queue group. */
bool mr_table_is_member(const struct mr_table *t, const struct mr_owner *o, uint32_t sub_id);

/* -ENOENT: the owner has no such subscription. */
int mr_table_unsubscribe(struct mr_table *t, const struct mr_owner *o, uint32_t sub_id);

/* Removes a session's subscriptions and alias holds; returns how many there were of both. */
unsigned mr_table_drop_owner(struct mr_table *t, const struct mr_owner *o);
/* Its subscriptions alone: what it published by alias may be under way yet. */
unsigned mr_table_drop_subscriptions(struct mr_table *t, const struct mr_owner *o);

/* A subject's alias, 1..aliases_max, the same for everybody; an owner holds it once however often
 * it asks. An alias that nobody holds is given out again only after grace, oldest first.
 * -EINVAL: malformed subject, unknown worker; -ENOSPC, -EDQUOT: as for mr_table_subscribe; -ENOMEM. */
int mr_table_alias_acquire(struct mr_table *t, const struct mr_owner *o, const void *subject,
	size_t bytes, uint32_t *alias);

/* -ENOENT: the owner does not hold it. */
int mr_table_alias_release(struct mr_table *t, const struct mr_owner *o, uint32_t alias);

/* True if every worker has reported quiescence since the token was taken (rte_rcu_qsbr_start), and holds no
 * route that it looked up before (mr_router_hold). */
bool mr_table_passed(const struct mr_table *t, uint64_t token);

/* Frees what every worker has passed; never blocks. Returns how many pieces still wait. To be
 * called now and then, also while nothing changes; changes call it themselves when much is waiting.
 */
unsigned mr_table_reclaim(struct mr_table *t);

/* Every subscription in no particular order, until `visit` says false. It must not change `t`. */
void mr_table_each(
	struct mr_table *t, bool (*visit)(void *arg, const struct mr_table_row *row), void *arg);

void mr_table_stats_get(const struct mr_table *t, struct mr_table_stats *out);

#endif
