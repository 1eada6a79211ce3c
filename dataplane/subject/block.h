/* SPDX-License-Identifier: Apache-2.0 */
/* block: the sinks of one pattern, apart by worker (plain) and by queue group.
 *
 * A list of blocks hangs at each pattern. Appending fills a block in place; a full one is replaced
 * by a larger copy. Removing marks the sink as gone; a block is replaced by a copy of the living
 * when it is small or half of it is gone: n removals cost O(n), and readers never see a sink move.
 *
 * Owns      A block is the list's until it is unlinked, then the reclaim queue's.
 * Threads   Changes: the table writer's thread. Readers: any worker, between quiescent reports.
 * Ordering  [block.list] release of a link -> acquire of it: the block is complete.
 *           [block.count] release of count -> acquire of it: the sinks below it are written.
 * Errors    add: -ENOMEM, -ENOSPC when the pattern has too many groups; nothing has changed then.
 */
#ifndef MILLRACE_SUBJECT_BLOCK_H
#define MILLRACE_SUBJECT_BLOCK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/subject/reclaim.h"
#include "dataplane/subject/table.h"

struct mr_block;

/* Where a list or its next block begins: the block's address. At the head of a list it may also say
 * that one plain sink is all there is, and whose: a lookup need not touch the block then. */
typedef _Atomic uintptr_t mr_block_link;

/* The sink is alone. The bits above an address say which worker's it is. */
#define MR_BLOCK_LONE         UINT64_C(1)
#define MR_BLOCK_WORKER_SHIFT 48

struct mr_block {
	mr_block_link next; /* [block.list] */
	uint32_t capacity;
	uint32_t gone;
	uint16_t group; /* 0: plain, of `worker`; else members of all workers */
	uint16_t worker;
	_Atomic uint32_t count; /* [block.count] */
	struct mr_sink sinks[];
};

static inline struct mr_block *mr_block_of(uintptr_t link)
{
	if (link & MR_BLOCK_LONE)
		link &= (UINT64_C(1) << MR_BLOCK_WORKER_SHIFT) - 2;
	return (struct mr_block *)link;
}

static inline struct mr_block *mr_block_first(const mr_block_link *link)
{
	return mr_block_of(atomic_load_explicit(link, memory_order_acquire)); /* [block.list] */
}

/* What a list operation needs of the table. */
struct mr_block_ops {
	struct mr_reclaim *reclaim;
	unsigned reclaim_kind;
	/* A sink now stands at another place of its block. */
	void (*moved)(void *arg, const struct mr_sink *sink, uint32_t position);
	void *arg;
	size_t *memory_bytes;
};

/* Appends; `*position` says where in the block of (worker, group) it stands. -ENOSPC: the list has
 * `groups_max` groups or more, and this would be another. */
int mr_block_add(const struct mr_block_ops *ops, mr_block_link *list, const struct mr_owner *owner,
	uint32_t sub_id, uint16_t group, unsigned groups_max, uint32_t *position);

/* True: cached routes must not be used any longer (a block went or was replaced). */
bool mr_block_remove(const struct mr_block_ops *ops, mr_block_link *list, uint16_t worker,
	uint16_t group, uint32_t position);

/* The sink that stands there, which is living. */
struct mr_sink *mr_block_sink(
	mr_block_link *list, uint16_t worker, uint16_t group, uint32_t position);

size_t mr_block_bytes(const struct mr_block *b);

#endif
