/* SPDX-License-Identifier: Apache-2.0 */
/* budget: what an owner may take of the table, and what its peer may with all of its owners.
 *
 * An owner keeps within the limits of one client. A peer (lib/base/share.h), which may have many
 * sessions, keeps within its share of each kind. An item that several owners of a peer use counts once
 * for the peer.
 *
 * Owns      The table's `uses` and `peers`, which hold the counts.
 * Threads   The table writer's thread.
 * Errors    -ENOSPC: a limit of the owner or of the table; -EDQUOT: the peer has its share;
 *           mr_table_refusal names the limit of both. -ENOMEM. Nothing has changed then.
 * Bounds    Constant time, and a step for each token of a pattern with '*'.
 */
#ifndef MILLRACE_SUBJECT_BUDGET_H
#define MILLRACE_SUBJECT_BUDGET_H

#include "dataplane/subject/table_impl.h"

/* The limits, nodes and groups are there already. -ENOMEM, -EIO. */
int mr_budget_init(struct mr_table *t);
void mr_budget_fini(struct mr_table *t);

int mr_budget_subscription_take(struct mr_table *t, uint64_t peer);
void mr_budget_subscription_give(struct mr_table *t, uint64_t peer);

/* Tells before the path of a pattern, or a literal or prefix, is made whether it may be. */
int mr_budget_path_check(
	struct mr_table *t, const struct mr_record *rec, const char *text, size_t bytes, bool wild);
/* See struct mr_shapes. */
uint16_t mr_budget_shapes_deep(const struct mr_table *t, uint64_t peer);

/* What a subscription adds to the work of others: its record says where it hangs. */
int mr_budget_take(struct mr_table *t, const struct mr_record *rec);
void mr_budget_give(struct mr_table *t, const struct mr_record *rec);

/* Tells before an alias is made whether it may be; `number` 0: one that is to be made. The caller has set
 * the refusal of a full table. */
int mr_budget_alias_check(struct mr_table *t, uint64_t peer, uint32_t number);
/* One more hold of an alias. */
int mr_budget_alias_take(struct mr_table *t, uint64_t peer, uint32_t number);
void mr_budget_alias_give(struct mr_table *t, uint64_t peer, uint32_t number);

/* Tells before a group is made whether it may be; 0: one that is to be made. The record knows its place. */
int mr_budget_group_check(struct mr_table *t, const struct mr_record *rec, uint16_t group);
/* One more subscription in the record's group. */
int mr_budget_group_take(struct mr_table *t, const struct mr_record *rec);
void mr_budget_group_give(struct mr_table *t, const struct mr_record *rec);
/* Groups on one pattern up to which that peer may add another. */
unsigned mr_budget_groups_at(const struct mr_table *t, uint64_t peer);

size_t mr_budget_memory_bytes(const struct mr_table *t);

#endif
