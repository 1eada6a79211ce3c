/* SPDX-License-Identifier: Apache-2.0 */
/* group: names of queue groups as numbers, so that a lookup compares numbers.
 *
 * Owns      The names. A number is reused only after mr_groups_release, after a grace period.
 * Threads   The table writer's thread.
 */
#ifndef MILLRACE_SUBJECT_GROUP_H
#define MILLRACE_SUBJECT_GROUP_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/subject/hash.h"
#include "dataplane/subject/index.h"
#include "dataplane/subject/pool.h"
#include "dataplane/subject/reclaim.h"
#include "lib/wire/subject.h"

struct mr_group {
	uint32_t subscriptions;
	uint32_t chain;
	uint8_t bytes;
	char name[MR_GROUP_BYTES_MAX];
};

struct mr_groups {
	struct mr_pool pool;
	struct mr_index index;
	const struct mr_hash_key *hash_key;
	struct mr_reclaim *reclaim;
	unsigned reclaim_kind;
};

int mr_groups_init(struct mr_groups *g, const struct mr_hash_key *hash_key,
	struct mr_reclaim *reclaim, unsigned reclaim_kind);
void mr_groups_fini(struct mr_groups *g);

/* Returns the number of the name; 0: no such group. */
uint16_t mr_groups_find(const struct mr_groups *g, const void *name, size_t bytes);

/* Count one subscription more, or less. take returns 0 when there is no room for another name. */
uint16_t mr_groups_take(struct mr_groups *g, const void *name, size_t bytes);
void mr_groups_drop(struct mr_groups *g, uint16_t group);

/* Called by the reclaim queue when a number's grace period is over. */
void mr_groups_release(struct mr_groups *g, uint16_t group);

static inline struct mr_group *mr_group_at(const struct mr_groups *g, uint32_t group)
{
	return mr_pool_at(&g->pool, group);
}

#endif
