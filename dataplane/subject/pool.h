/* SPDX-License-Identifier: Apache-2.0 */
/* pool: items of one size by number, in chunks that never move.
 *
 * A number is half a pointer's size and items have no allocator header: that is most of what keeps
 * a subscription small. Number 0 means none. The lowest 4 bytes of a free item are the pool's.
 *
 * Owns      Its chunks, until fini; chunks are not given back before.
 * Threads   alloc and free: the table writer's thread. at: also readers that got the number through
 *           an acquire load.
 * Errors    alloc returns 0 when all items are in use or there is no memory.
 */
#ifndef MILLRACE_SUBJECT_POOL_H
#define MILLRACE_SUBJECT_POOL_H

#include <stddef.h>
#include <stdint.h>

#define MR_POOL_CHUNK_SHIFT 8
#define MR_POOL_CHUNK_ITEMS (1u << MR_POOL_CHUNK_SHIFT)

struct mr_pool {
	uint8_t **chunks;
	uint32_t item_bytes;
	uint32_t items_max;
	uint32_t fresh; /* never used from here on */
	uint32_t freed; /* head of the list of free items */
	uint32_t used;
	size_t memory_bytes;
};

/* `item_bytes` from 4 on; a chunk is aligned to a cache line. -ENOMEM. */
int mr_pool_init(struct mr_pool *p, uint32_t item_bytes, uint32_t items_max);
void mr_pool_fini(struct mr_pool *p);

/* A zeroed item's number, or 0. */
uint32_t mr_pool_alloc(struct mr_pool *p);
void mr_pool_free(struct mr_pool *p, uint32_t index);

static inline void *mr_pool_at(const struct mr_pool *p, uint32_t index)
{
	return p->chunks[index >> MR_POOL_CHUNK_SHIFT] +
	       (size_t)(index & (MR_POOL_CHUNK_ITEMS - 1)) * p->item_bytes;
}

#endif
