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

struct mr_block {
	_Atomic(struct mr_block *) next; /* [block.list] */
	uint32_t capacity;
	uint32_t gone;
	uint16_t group; /* 0: plain, of `worker`; else members of all workers */
	uint16_t worker;
	_Atomic uint32_t count; /* [block.count] */
	struct mr_sink sinks[];
};

/* Where a list or its next block begins. */
typedef _Atomic(struct mr_block *) mr_block_link;

/* What a list operation needs of the table. */
struct mr_block_ops {
	struct mr_reclaim *reclaim;
	unsigned reclaim_kind;
	/* A sink now stands at another place of its block. */
	void (*moved)(void *arg, const struct mr_sink *sink, uint32_t position);
	void *arg;
	size_t *memory_bytes;
};

/* Appends; `*position` says where in the block of (worker, group) it stands. */
int mr_block_add(const struct mr_block_ops *ops, mr_block_link *list, const struct mr_owner *owner,
	uint32_t sub_id, uint16_t group, uint32_t *position);

/* True: cached routes must not be used any longer (a block went or was replaced). */
bool mr_block_remove(const struct mr_block_ops *ops, mr_block_link *list, uint16_t worker,
	uint16_t group, uint32_t position);

size_t mr_block_bytes(const struct mr_block *b);

#endif
