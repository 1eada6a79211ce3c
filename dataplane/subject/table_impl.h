/* SPDX-License-Identifier: Apache-2.0 */
/* table_impl: the internals of the table, for the table, its budgets and the router only.
 *
 * Ordering  [table.version] see table.h. A route depends on three versions: that of its whole
 *           subject, that of its first token, and that of all routes. Versions only grow, so an
 *           equal sum means that all three are equal.
 */
#ifndef MILLRACE_SUBJECT_TABLE_IMPL_H
#define MILLRACE_SUBJECT_TABLE_IMPL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/share.h"
#include "dataplane/subject/alias.h"
#include "dataplane/subject/group.h"
#include "dataplane/subject/node.h"
#include "dataplane/subject/record.h"
#include "dataplane/subject/table.h"
#include "dataplane/subject/use.h"

/* More buckets: an unrelated change invalidates fewer routes; 4096 of them take 32 KiB of L2. */
#define MR_TABLE_BUCKETS 4096u

/* The shares of each peer: see budget.h. */
struct mr_table_bounds {
	struct mr_share_bound subscriptions;
	struct mr_share_bound aliases;
	struct mr_share_bound holds;
	struct mr_share_bound nodes;
	struct mr_share_bound shapes; /* starred ones */
	struct mr_share_bound lengths;
	struct mr_share_bound groups;
	struct mr_share_bound groups_at; /* on one pattern */
};

struct mr_table {
	/* w: table writer, r: workers; starts at 1, so that no route has the sum 0 */
	alignas(MR_CACHE_LINE) _Atomic uint64_t version_all; /* [table.version] */
	alignas(MR_CACHE_LINE) _Atomic uint64_t versions[MR_TABLE_BUCKETS];
	struct mr_nodes nodes;
	struct mr_aliases aliases;
	struct rte_rcu_qsbr *qsbr;
	struct mr_table_limits limits;
	/* For each worker, the report of quiescence at which it looked up its oldest held route; 0:
	 * it holds none. w: worker, r: table writer. [table.held] */
	alignas(MR_CACHE_LINE) _Atomic uint64_t held[MR_TABLE_WORKERS_MAX];
	/* writer only */
	struct mr_records records;
	struct mr_uses uses;    /* counts of each owner */
	struct mr_shares peers; /* counts of each peer */
	struct mr_table_bounds bounds;
	const char *refusal; /* see mr_table_refusal */
	struct mr_groups groups;
	struct mr_reclaim reclaim;
	struct mr_block_ops block_ops;
	size_t block_bytes;
	uint32_t subscriptions;
	uint32_t alias_holds;
	uint64_t changes;
};

/* Returns the bytes of the text up to its first dot. */
static inline size_t mr_table_token_bytes(const char *text, size_t bytes)
{
	const char *dot = memchr(text, '.', bytes);

	return dot != NULL ? (size_t)(dot - text) : bytes;
}

static inline uint32_t mr_table_bucket(uint64_t hash)
{
	return (uint32_t)hash & (MR_TABLE_BUCKETS - 1);
}

static inline uint64_t mr_table_version(const struct mr_table *t, uint32_t subject, uint32_t first)
{
	/* [table.version] */
	return atomic_load_explicit(&t->version_all, memory_order_acquire) +
	       atomic_load_explicit(&t->versions[subject], memory_order_acquire) +
	       atomic_load_explicit(&t->versions[first], memory_order_acquire);
}

#endif
