/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/compiler.h"

static uint32_t chunk_count(const struct mr_pool *p)
{
	return (p->items_max >> MR_POOL_CHUNK_SHIFT) + 1;
}

int mr_pool_init(struct mr_pool *p, uint32_t item_bytes, uint32_t items_max)
{
	*p = (struct mr_pool){.item_bytes = item_bytes, .items_max = items_max, .fresh = 1};
	p->chunks = calloc(chunk_count(p), sizeof(*p->chunks));
	if (p->chunks == NULL)
		return -ENOMEM;
	p->memory_bytes = chunk_count(p) * sizeof(*p->chunks);
	return 0;
}

void mr_pool_fini(struct mr_pool *p)
{
	if (p->chunks == NULL)
		return;
	for (uint32_t i = 0; i < chunk_count(p); i++)
		free(p->chunks[i]);
	free(p->chunks);
	*p = (struct mr_pool){0};
}

static int chunk_ready(struct mr_pool *p, uint32_t chunk)
{
	if (p->chunks[chunk] != NULL)
		return 0;
	size_t bytes = mr_align_up((uint64_t)MR_POOL_CHUNK_ITEMS * p->item_bytes, MR_CACHE_LINE);
	p->chunks[chunk] = aligned_alloc(MR_CACHE_LINE, bytes);
	if (p->chunks[chunk] == NULL)
		return -ENOMEM;
	p->memory_bytes += bytes;
	return 0;
}

static uint32_t take(struct mr_pool *p)
{
	uint32_t index = p->freed;

	if (index != 0) {
		memcpy(&p->freed, mr_pool_at(p, index), sizeof(p->freed));
		return index;
	}
	if (p->fresh > p->items_max || chunk_ready(p, p->fresh >> MR_POOL_CHUNK_SHIFT) != 0)
		return 0;
	return p->fresh++;
}

uint32_t mr_pool_alloc(struct mr_pool *p)
{
	uint32_t index = take(p);

	if (index == 0)
		return 0;
	memset(mr_pool_at(p, index), 0, p->item_bytes);
	p->used++;
	return index;
}

void mr_pool_free(struct mr_pool *p, uint32_t index)
{
	assert(index != 0 && index < p->fresh);
	memset(mr_pool_at(p, index), 0, p->item_bytes);
	memcpy(mr_pool_at(p, index), &p->freed, sizeof(p->freed));
	p->freed = index;
	p->used--;
}
