/* SPDX-License-Identifier: Apache-2.0 */
/* budget: limits how much of the table one owner, and one peer with all its owners, may take.
 *
 * An owner keeps within the limits of one client. A peer (lib/base/share.h), which may have many
 * sessions, keeps within its share of each kind. An item that several owners of a peer use counts
 * once for the peer.
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

/* Call it after the limits, nodes and groups are set up. -ENOMEM, -EIO. */
int mr_budget_init(struct mr_table *t);
void mr_budget_fini(struct mr_table *t);

int mr_budget_subscription_take(struct mr_table *t, uint64_t peer);
void mr_budget_subscription_give(struct mr_table *t, uint64_t peer);

/* Checks, before the path of a pattern, or a literal or prefix, is made, that it is within the
 * limits. */
int mr_budget_path_check(
	struct mr_table *t, const struct mr_record *rec, const char *text, size_t bytes, bool wild);
/* Returns how many deep shapes there may be when that peer adds another: see struct mr_shapes. */
uint16_t mr_budget_shapes_deep(const struct mr_table *t, uint64_t peer);

/* Count and uncount the cost of a subscription for others. Its record names its node. */
int mr_budget_take(struct mr_table *t, const struct mr_record *rec);
void mr_budget_give(struct mr_table *t, const struct mr_record *rec);

/* Checks, before a hold is taken, that it is within the limits; `number` 0: a new alias. The caller
 * has set the refusal for a full table. */
int mr_budget_alias_check(struct mr_table *t, uint64_t peer, uint32_t number);
/* Count and uncount one hold of an alias. */
int mr_budget_alias_take(struct mr_table *t, uint64_t peer, uint32_t number);
void mr_budget_alias_give(struct mr_table *t, uint64_t peer, uint32_t number);

/* Checks, before a group is joined, that it is within the limits; `group` 0: a new name. The record
 * names its node. */
int mr_budget_group_check(struct mr_table *t, const struct mr_record *rec, uint16_t group);
/* Count and uncount one subscription in the record's group. */
int mr_budget_group_take(struct mr_table *t, const struct mr_record *rec);
void mr_budget_group_give(struct mr_table *t, const struct mr_record *rec);
/* Returns how many groups one pattern may have when that peer adds another. */
unsigned mr_budget_groups_at(const struct mr_table *t, uint64_t peer);

size_t mr_budget_memory_bytes(const struct mr_table *t);

#endif
