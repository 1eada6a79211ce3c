/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/use.h"

#include <assert.h>
#include <errno.h>

#define KIND_SHIFT 30

static struct mr_use *use_at(const struct mr_uses *u, uint32_t use)
{
	return mr_pool_at(&u->pool, use);
}

static uint64_t hash_of(const struct mr_uses *u, uint32_t owner, uint32_t id)
{
	return mr_hash_pair(u->hash_key, (uint64_t)owner << 32 | id, UINT32_MAX);
}

static uint32_t *chain_of(void *arg, uint32_t use)
{
	return &use_at(arg, use)->chain;
}

static uint64_t item_hash(void *arg, uint32_t use)
{
	const struct mr_use *x = use_at(arg, use);

	return hash_of(arg, x->owner, x->id);
}

int mr_uses_init(struct mr_uses *u, uint32_t uses_max, const struct mr_hash_key *hash_key)
{
	*u = (struct mr_uses){.hash_key = hash_key};
	if (mr_pool_init(&u->pool, sizeof(struct mr_use), uses_max, false) != 0 ||
		mr_index_init(&u->index, chain_of, item_hash, u) != 0) {
		mr_uses_fini(u);
		return -ENOMEM;
	}
	return 0;
}

void mr_uses_fini(struct mr_uses *u)
{
	mr_index_fini(&u->index);
	mr_pool_fini(&u->pool);
}

static uint32_t find_use(const struct mr_uses *u, uint32_t owner, uint32_t id)
{
	uint32_t at = mr_index_first(&u->index, hash_of(u, owner, id));

	while (at != 0 && (use_at(u, at)->owner != owner || use_at(u, at)->id != id))
		at = use_at(u, at)->chain;
	return at;
}

static uint32_t id_of(enum mr_use_kind kind, uint32_t id)
{
	assert(id < UINT32_C(1) << KIND_SHIFT);
	return (uint32_t)kind << KIND_SHIFT | id;
}

uint32_t mr_uses_count(const struct mr_uses *u, uint32_t owner, enum mr_use_kind kind, uint32_t id)
{
	uint32_t at = find_use(u, owner, id_of(kind, id));

	return at != 0 ? use_at(u, at)->count : 0;
}

uint32_t mr_uses_add(struct mr_uses *u, uint32_t owner, enum mr_use_kind kind, uint32_t id)
{
	uint32_t at = find_use(u, owner, id_of(kind, id));

	if (at != 0)
		return ++use_at(u, at)->count;
	at = mr_pool_alloc(&u->pool);
	if (at == 0)
		return 0;
	*use_at(u, at) = (struct mr_use){.owner = owner, .id = id_of(kind, id), .count = 1};
	mr_index_add(&u->index, at);
	return 1;
}

uint32_t mr_uses_drop(struct mr_uses *u, uint32_t owner, enum mr_use_kind kind, uint32_t id)
{
	uint32_t at = find_use(u, owner, id_of(kind, id));

	assert(at != 0);
	if (--use_at(u, at)->count > 0)
		return use_at(u, at)->count;
	mr_index_remove(&u->index, at);
	mr_pool_free(&u->pool, at);
	return 0;
}

size_t mr_uses_memory_bytes(const struct mr_uses *u)
{
	return mr_pool_memory_bytes(&u->pool) + mr_index_memory_bytes(&u->index);
}
