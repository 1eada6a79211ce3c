/* SPDX-License-Identifier: Apache-2.0 */
/* pool: items of one size by number, in one reserved stretch of memory that never moves.
 *
 * A number is half the size of a pointer, and items have no allocator header: that keeps a
 * subscription small. Number 0 means none. The lowest 4 bytes of a free item belong to the pool.
 *
 * Owns      Its memory, until fini; pages once in use are not returned before.
 * Threads   alloc and free: the table writer's thread. at: also readers that got the number through
 *           an acquire load.
 * Errors    alloc returns 0 when all items are in use.
 */
#ifndef MILLRACE_SUBJECT_POOL_H
#define MILLRACE_SUBJECT_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mr_pool {
	uint8_t *items;
	uint32_t item_bytes;
	uint32_t items_max;
	uint32_t fresh; /* first item never used */
	uint32_t freed; /* head of the list of free items */
	uint32_t used;
	bool huge;
};

/* `item_bytes` from 4 up. `huge` asks for 2 MiB pages: worth their waste if readers access items at
 * random. -ENOMEM. */
int mr_pool_init(struct mr_pool *p, uint32_t item_bytes, uint32_t items_max, bool huge);
void mr_pool_fini(struct mr_pool *p);

/* Returns the number of a zeroed item, or 0. */
uint32_t mr_pool_alloc(struct mr_pool *p);
void mr_pool_free(struct mr_pool *p, uint32_t index);
/* Returns the resident memory, in whole pages. */
size_t mr_pool_memory_bytes(const struct mr_pool *p);

static inline void *mr_pool_at(const struct mr_pool *p, uint32_t index)
{
	return p->items + (size_t)index * p->item_bytes;
}

#endif
