/* SPDX-License-Identifier: Apache-2.0 */
/* index: chains of pool items by hash; its user compares the items.
 *
 * Each item holds the number of the next one in its chain. The index grows by itself; without
 * memory it keeps its size, and chains become longer.
 *
 * Owns      Its buckets.
 * Threads   The table writer's thread.
 */
#ifndef MILLRACE_SUBJECT_INDEX_H
#define MILLRACE_SUBJECT_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct mr_index {
	uint32_t *buckets;
	uint32_t mask;
	uint32_t count;
	uint32_t *(*next)(void *arg, uint32_t item); /* the item's chain field */
	uint64_t (*hash)(void *arg, uint32_t item);
	void *arg;
};

int mr_index_init(struct mr_index *x, uint32_t *(*next)(void *arg, uint32_t item),
	uint64_t (*hash)(void *arg, uint32_t item), void *arg);
void mr_index_fini(struct mr_index *x);

void mr_index_add(struct mr_index *x, uint32_t item);
void mr_index_remove(struct mr_index *x, uint32_t item);

/* Returns the first candidate for a hash, 0: none. The others follow by `next`. */
static inline uint32_t mr_index_first(const struct mr_index *x, uint64_t hash)
{
	return x->buckets[hash & x->mask];
}

size_t mr_index_memory_bytes(const struct mr_index *x);

#endif
