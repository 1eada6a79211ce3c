/* SPDX-License-Identifier: Apache-2.0 */
/* block: the sinks of one pattern, grouped by worker (plain) and by queue group.
 *
 * Each pattern has a list of blocks. Appending fills a block in place; a full one is replaced by a
 * larger copy. Removal marks the sink as gone; a block that is small or half gone is replaced by a
 * copy of the live sinks. So n removals cost O(n), and readers never see a sink move.
 *
 * Owns      A block belongs to the list until it is unlinked, then to the reclaim queue.
 * Threads   Changes: the table writer's thread. Readers: any worker, between quiescent reports.
 * Ordering  [block.list] release of a link -> acquire of it: the block is complete.
 *           [block.count] release of count -> acquire of it: the sinks below it are written.
 * Errors    add: -ENOMEM; -ENOSPC when the pattern has too many groups. Nothing has changed then.
 */
#ifndef MILLRACE_SUBJECT_BLOCK_H
#define MILLRACE_SUBJECT_BLOCK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/subject/reclaim.h"
#include "dataplane/subject/table.h"

struct mr_block;

/* The address of a list's first block, or of the next one. The head of a list can also say that one
 * plain sink is the whole list, and its worker: a lookup then need not touch the block. */
typedef _Atomic uintptr_t mr_block_link;

/* The list is one sink. The bits above an address name its worker. */
#define MR_BLOCK_LONE UINT64_C(1)
/* With MR_BLOCK_LONE: that sink asks for a stamp. */
#define MR_BLOCK_ASKS         UINT64_C(2)
#define MR_BLOCK_WORKER_SHIFT 48

struct mr_block {
	mr_block_link next; /* [block.list] */
	uint32_t capacity;
	uint32_t gone;
	uint16_t group; /* 0: plain sinks of `worker`; else the group's members of all workers */
	uint16_t worker;
	_Atomic uint32_t asks;  /* a sink asks for a stamp, or did; [block.count] */
	_Atomic uint32_t count; /* [block.count] */
	struct mr_sink sinks[];
};

static inline struct mr_block *mr_block_of(uintptr_t link)
{
	if (link & MR_BLOCK_LONE)
		link &= (UINT64_C(1) << MR_BLOCK_WORKER_SHIFT) - 1 - MR_BLOCK_LONE - MR_BLOCK_ASKS;
	return (struct mr_block *)link;
}

static inline struct mr_block *mr_block_first(const mr_block_link *link)
{
	return mr_block_of(atomic_load_explicit(link, memory_order_acquire)); /* [block.list] */
}

/* The context of a list operation: the table's reclaim queue, callback and memory count. */
struct mr_block_ops {
	struct mr_reclaim *reclaim;
	unsigned reclaim_kind;
	/* Called when a sink has moved to another position in a copied block. */
	void (*moved)(void *arg, const struct mr_sink *sink, uint32_t position);
	void *arg;
	size_t *memory_bytes;
};

/* A sink to be appended. */
struct mr_block_new_sink {
	const struct mr_owner *owner;
	uint32_t sub_id;
	uint32_t flags; /* as in struct mr_sink, without the worker */
};

/* Appends a sink. `*position`: its place in the block of (worker, group). -ENOSPC: the list has
 * `groups_max` groups or more, and this would be another. */
int mr_block_add(const struct mr_block_ops *ops, mr_block_link *list,
	const struct mr_block_new_sink *sink, uint16_t group, unsigned groups_max,
	uint32_t *position);

/* Removes a sink. True: a block was removed or replaced, so cached routes are invalid. */
bool mr_block_remove(const struct mr_block_ops *ops, mr_block_link *list, uint16_t worker,
	uint16_t group, uint32_t position);

/* Returns the sink at that position; it must be live. */
struct mr_sink *mr_block_sink(
	mr_block_link *list, uint16_t worker, uint16_t group, uint32_t position);

size_t mr_block_bytes(const struct mr_block *b);

#endif
