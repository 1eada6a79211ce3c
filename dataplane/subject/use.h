/* SPDX-License-Identifier: Apache-2.0 */
/* use: counts what each owner uses of the table: subscriptions to one pattern, shapes, prefix
 * lengths.
 *
 * A count exists while it is above 0. The table bounds the counts, because each adds to the work of
 * others: a sink is a copy of every message, a shape or a length is a step of every walk.
 *
 * Owns      Its counts.
 * Threads   The table writer's thread. Workers never read it.
 * Errors    add returns 0 when there is no memory, and nothing has changed then.
 */
#ifndef MILLRACE_SUBJECT_USE_H
#define MILLRACE_SUBJECT_USE_H

#include <stdint.h>

#include "dataplane/subject/hash.h"
#include "dataplane/subject/index.h"
#include "dataplane/subject/pool.h"

enum mr_use_kind {
	MR_USE_PATTERN, /* subscriptions to one pattern or prefix, in any queue group */
	MR_USE_SHAPE,   /* nodes of one starred shape on the paths of the owner's patterns */
	MR_USE_LENGTH,  /* prefixes of one length */
};

struct mr_use {
	uint32_t owner;
	uint32_t id; /* the kind in the upper two bits */
	uint32_t chain;
	uint32_t count;
};

struct mr_uses {
	struct mr_pool pool;
	struct mr_index index;
	const struct mr_hash_key *hash_key;
};

int mr_uses_init(struct mr_uses *u, uint32_t uses_max, const struct mr_hash_key *hash_key);
void mr_uses_fini(struct mr_uses *u);

/* `id` below 2^30. */
uint32_t mr_uses_count(const struct mr_uses *u, uint32_t owner, enum mr_use_kind kind, uint32_t id);
/* Counts one more; returns the new count. */
uint32_t mr_uses_add(struct mr_uses *u, uint32_t owner, enum mr_use_kind kind, uint32_t id);
/* Counts one less; returns the new count. */
uint32_t mr_uses_drop(struct mr_uses *u, uint32_t owner, enum mr_use_kind kind, uint32_t id);

size_t mr_uses_memory_bytes(const struct mr_uses *u);

#endif
