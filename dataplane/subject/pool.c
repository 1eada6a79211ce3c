/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/pool.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/memory.h"

#define PAGE_BYTES 4096u

static size_t reserved_bytes(const struct mr_pool *p)
{
	return ((size_t)p->items_max + 1) * p->item_bytes;
}

int mr_pool_init(struct mr_pool *p, uint32_t item_bytes, uint32_t items_max, bool huge)
{
	*p = (struct mr_pool){
		.item_bytes = item_bytes, .items_max = items_max, .fresh = 1, .huge = huge};
	p->items = mr_memory_map(reserved_bytes(p), huge);
	return p->items != NULL ? 0 : -ENOMEM;
}

void mr_pool_fini(struct mr_pool *p)
{
	mr_memory_unmap(p->items, reserved_bytes(p));
	*p = (struct mr_pool){0};
}

size_t mr_pool_memory_bytes(const struct mr_pool *p)
{
	return mr_align_up(
		(size_t)p->fresh * p->item_bytes, p->huge ? MR_MEMORY_HUGE_BYTES : PAGE_BYTES);
}

static uint32_t take_item(struct mr_pool *p)
{
	uint32_t index = p->freed;

	if (index != 0)
		memcpy(&p->freed, mr_pool_at(p, index), sizeof(p->freed));
	else if (p->fresh <= p->items_max)
		index = p->fresh++;
	return index;
}

uint32_t mr_pool_alloc(struct mr_pool *p)
{
	uint32_t index = take_item(p);

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
