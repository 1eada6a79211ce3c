/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/group.h"

#include <errno.h>

#include "dataplane/subject/table.h"

static uint32_t *item_chain(void *arg, uint32_t group)
{
	return &mr_group_at(arg, group)->chain;
}

static uint64_t item_hash(void *arg, uint32_t group)
{
	const struct mr_groups *g = arg;
	const struct mr_group *item = mr_group_at(g, group);

	return mr_hash_text(g->hash_key, item->name, item->bytes);
}

int mr_groups_init(struct mr_groups *g, const struct mr_hash_key *hash_key,
	struct mr_reclaim *reclaim, unsigned reclaim_kind)
{
	*g = (struct mr_groups){
		.hash_key = hash_key, .reclaim = reclaim, .reclaim_kind = reclaim_kind};
	if (mr_pool_init(&g->pool, sizeof(struct mr_group), MR_TABLE_GROUPS_MAX, false) != 0 ||
		mr_index_init(&g->index, item_chain, item_hash, g) != 0) {
		mr_groups_fini(g);
		return -ENOMEM;
	}
	return 0;
}

void mr_groups_fini(struct mr_groups *g)
{
	mr_index_fini(&g->index);
	mr_pool_fini(&g->pool);
}

uint16_t mr_groups_find(const struct mr_groups *g, const void *name, size_t bytes)
{
	uint32_t at = mr_index_first(&g->index, mr_hash_text(g->hash_key, name, bytes));

	for (; at != 0; at = mr_group_at(g, at)->chain) {
		const struct mr_group *group = mr_group_at(g, at);
		if (group->bytes == bytes && mr_text_equal(group->name, name, bytes))
			break;
	}
	return (uint16_t)at;
}

uint16_t mr_groups_take(struct mr_groups *g, const void *name, size_t bytes)
{
	uint32_t at = mr_groups_find(g, name, bytes);

	if (at == 0) {
		at = mr_pool_alloc(&g->pool);
		if (at == 0)
			return 0;
		struct mr_group *group = mr_group_at(g, at);
		group->bytes = (uint8_t)bytes;
		memcpy(group->name, name, bytes);
		mr_index_add(&g->index, at);
	}
	mr_group_at(g, at)->subscriptions++;
	return (uint16_t)at;
}

void mr_groups_drop(struct mr_groups *g, uint16_t group)
{
	if (--mr_group_at(g, group)->subscriptions > 0)
		return;
	mr_index_remove(&g->index, group);
	mr_reclaim_defer(g->reclaim, g->reclaim_kind, group);
}

void mr_groups_release(struct mr_groups *g, uint16_t group)
{
	mr_pool_free(&g->pool, group);
}
