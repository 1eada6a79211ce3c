/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/index.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define BUCKETS_FIRST 64u

int mr_index_init(struct mr_index *x, uint32_t *(*next)(void *arg, uint32_t item),
	uint64_t (*hash)(void *arg, uint32_t item), void *arg)
{
	*x = (struct mr_index){.next = next, .hash = hash, .arg = arg};
	x->buckets = calloc(BUCKETS_FIRST, sizeof(*x->buckets));
	if (x->buckets == NULL)
		return -ENOMEM;
	x->mask = BUCKETS_FIRST - 1;
	return 0;
}

void mr_index_fini(struct mr_index *x)
{
	free(x->buckets);
	x->buckets = NULL;
}

static void index_put(struct mr_index *x, uint32_t item)
{
	uint32_t *bucket = &x->buckets[x->hash(x->arg, item) & x->mask];

	*x->next(x->arg, item) = *bucket;
	*bucket = item;
}

static void index_grow(struct mr_index *x)
{
	uint32_t *old = x->buckets;
	uint32_t old_count = x->mask + 1;
	uint32_t *bigger = NULL;

	if (x->mask < UINT32_MAX / 2)
		bigger = calloc(2 * (size_t)old_count, sizeof(*bigger));
	if (bigger == NULL)
		return;
	x->buckets = bigger;
	x->mask = 2 * old_count - 1;
	for (uint32_t b = 0; b < old_count; b++) {
		for (uint32_t item = old[b], after; item != 0; item = after) {
			after = *x->next(x->arg, item);
			index_put(x, item);
		}
	}
	free(old);
}

void mr_index_add(struct mr_index *x, uint32_t item)
{
	if (x->count > x->mask)
		index_grow(x);
	index_put(x, item);
	x->count++;
}

void mr_index_remove(struct mr_index *x, uint32_t item)
{
	uint32_t *at = &x->buckets[x->hash(x->arg, item) & x->mask];

	while (*at != item) {
		assert(*at != 0);
		at = x->next(x->arg, *at);
	}
	*at = *x->next(x->arg, item);
	x->count--;
}

size_t mr_index_memory_bytes(const struct mr_index *x)
{
	return ((size_t)x->mask + 1) * sizeof(*x->buckets);
}
