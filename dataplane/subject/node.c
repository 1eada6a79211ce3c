/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SLOTS_FIRST 256u
/* Of ten slots so many may be filled before the hash is rebuilt. */
#define FILL_TENTHS 6u
/* A slot whose node went: keeps probes going; node number 0 matches nothing. */
#define TOMBSTONE (UINT64_C(0xffffffff) << 32)

static struct mr_node_map *map_of(const struct mr_nodes *n)
{
	return atomic_load_explicit(&n->map, memory_order_relaxed);
}

static size_t map_bytes(uint64_t slots)
{
	return sizeof(struct mr_node_map) + slots * sizeof(uint64_t);
}

static struct mr_node_map *map_new(struct mr_nodes *n, uint64_t slots)
{
	struct mr_node_map *map = calloc(1, map_bytes(slots));

	if (map == NULL)
		return NULL;
	map->mask = slots - 1;
	n->memory_bytes += map_bytes(slots);
	return map;
}

static void map_put(struct mr_node_map *map, uint64_t key, uint32_t node)
{
	uint64_t at = key;

	while (atomic_load_explicit(&map->slots[at & map->mask], memory_order_relaxed) != 0)
		at++;
	atomic_store_explicit(&map->slots[at & map->mask], (key >> 32) << 32 | node,
		memory_order_release); /* [node.slot] */
}

/* Room for one more; a rebuilt hash is at most 3/10 full and has no tombstones. */
static int map_ready(struct mr_nodes *n)
{
	struct mr_node_map *old = map_of(n);
	uint64_t slots = SLOTS_FIRST;

	if ((n->map_filled + 1) * 10 <= (old->mask + 1) * FILL_TENTHS)
		return 0;
	while ((n->map_live + 1) * 10 > slots * FILL_TENTHS / 2)
		slots *= 2;
	/* Most of a full hash is alive: doubling is enough. */
	if (slots > 2 * (old->mask + 1))
		slots = 2 * (old->mask + 1);
	struct mr_node_map *map = map_new(n, slots);
	if (map == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i <= old->mask; i++) {
		uint64_t slot = atomic_load_explicit(&old->slots[i], memory_order_relaxed);
		if ((uint32_t)slot != 0)
			map_put(map, mr_node_at(n, (uint32_t)slot)->key, (uint32_t)slot);
	}
	n->map_filled = n->map_live;
	atomic_store_explicit(&n->map, map, memory_order_release); /* [node.map] */
	mr_reclaim_defer(n->reclaim, n->reclaim_memory, (uintptr_t)old);
	return 0;
}

static void map_add(struct mr_nodes *n, uint64_t key, uint32_t node)
{
	map_put(map_of(n), key, node);
	n->map_filled++;
	n->map_live++;
}

static void map_remove(struct mr_nodes *n, uint64_t key, uint32_t node)
{
	struct mr_node_map *map = map_of(n);
	uint64_t at = key;

	while (mr_node_map_next(map, key, &at) != node)
		;
	atomic_store_explicit(&map->slots[(at - 1) & map->mask], TOMBSTONE, memory_order_release);
	n->map_live--;
}

int mr_nodes_init(struct mr_nodes *n, uint32_t nodes_max, struct mr_reclaim *reclaim,
	unsigned reclaim_node, unsigned reclaim_memory)
{
	int rc;

	memset(n, 0, sizeof(*n));
	n->reclaim = reclaim;
	n->reclaim_node = reclaim_node;
	n->reclaim_memory = reclaim_memory;
	mr_shapes_init(&n->shapes);
	if (getrandom(&n->hash_key, sizeof(n->hash_key), 0) != sizeof(n->hash_key))
		return -EIO;
	rc = mr_pool_init(&n->pool, sizeof(struct mr_node), nodes_max + 1);
	if (rc != 0)
		return rc;
	struct mr_node_map *map = map_new(n, SLOTS_FIRST);
	uint32_t root = mr_pool_alloc(&n->pool);
	if (map == NULL || root == 0) {
		free(map);
		mr_pool_fini(&n->pool);
		return -ENOMEM;
	}
	assert(root == MR_NODE_ROOT);
	mr_node_at(n, root)->kind = MR_NODE_STAR;
	mr_node_at(n, root)->shape = MR_SHAPE_ROOT;
	atomic_init(&n->map, map);
	return 0;
}

static bool name_is_far(const struct mr_node *node)
{
	if (node->kind == MR_NODE_FLAT)
		return node->bytes > MR_NODE_TEXT_NEAR;
	return node->kind == MR_NODE_TOKEN && node->bytes > MR_NODE_TOKEN_NEAR;
}

static void free_lists(struct mr_node *node)
{
	struct mr_block *heads[2] = {atomic_load_explicit(&node->exact, memory_order_relaxed)};

	if (node->kind == MR_NODE_TOKEN || node->kind == MR_NODE_STAR)
		heads[1] = atomic_load_explicit(&node->tail, memory_order_relaxed);
	for (int i = 0; i < 2; i++) {
		for (struct mr_block *b = heads[i], *after; b != NULL; b = after) {
			after = atomic_load_explicit(&b->next, memory_order_relaxed);
			free(b);
		}
	}
}

void mr_nodes_fini(struct mr_nodes *n)
{
	for (uint32_t i = MR_NODE_ROOT; i < n->pool.fresh; i++) {
		struct mr_node *node = mr_node_at(n, i);
		if (node->kind == MR_NODE_FREE)
			continue;
		free_lists(node);
		if (name_is_far(node))
			free((void *)(uintptr_t)mr_node_name(node));
	}
	free(map_of(n));
	mr_pool_fini(&n->pool);
}

void mr_nodes_release(struct mr_nodes *n, uint32_t index)
{
	struct mr_node *node = mr_node_at(n, index);

	if (name_is_far(node)) {
		free((void *)(uintptr_t)mr_node_name(node));
		n->memory_bytes -= node->bytes;
	}
	if (node->kind != MR_NODE_FLAT)
		mr_shapes_drop(&n->shapes, node->shape);
	mr_pool_free(&n->pool, index);
}

void mr_nodes_release_map(struct mr_nodes *n, struct mr_node_map *map)
{
	n->memory_bytes -= map_bytes(map->mask + 1);
	free(map);
}

static int name_set(struct mr_nodes *n, struct mr_node *node, const void *text, size_t bytes)
{
	char *far = NULL;

	node->bytes = (uint8_t)bytes;
	if (name_is_far(node)) {
		far = malloc(bytes);
		if (far == NULL)
			return -ENOMEM;
		n->memory_bytes += bytes;
		if (node->kind == MR_NODE_FLAT)
			node->flat.far = far;
		else
			node->token.far = far;
	}
	if (bytes > 0)
		memcpy((void *)(uintptr_t)mr_node_name(node), text, bytes);
	return 0;
}

/* A node that nobody can find yet. */
static uint32_t node_new(struct mr_nodes *n, uint32_t parent, enum mr_node_kind kind,
	const void *text, size_t bytes, int *rc)
{
	uint32_t index = mr_pool_alloc(&n->pool);

	*rc = n->pool.used >= n->pool.items_max ? -ENOSPC : -ENOMEM;
	if (index == 0)
		return 0;
	struct mr_node *node = mr_node_at(n, index);
	node->kind = kind;
	node->parent = parent;
	*rc = name_set(n, node, text, bytes);
	if (*rc != 0)
		goto free_node;
	if (kind == MR_NODE_FLAT)
		return index;
	*rc = -ENOSPC;
	node->shape =
		mr_shapes_take(&n->shapes, mr_node_at(n, parent)->shape, kind == MR_NODE_STAR);
	if (node->shape == 0)
		goto free_name;
	*rc = 0;
	return index;
free_name:
	if (name_is_far(node)) {
		free(node->token.far);
		n->memory_bytes -= bytes;
	}
free_node:
	mr_pool_free(&n->pool, index);
	return 0;
}

uint32_t mr_nodes_find(const struct mr_nodes *n, uint32_t parent, const void *text, size_t bytes)
{
	uint64_t key = mr_node_key(n, parent, mr_hash_text(&n->hash_key, text, bytes));
	uint64_t at = key;
	uint32_t node;

	while ((node = mr_node_map_next(map_of(n), key, &at)) != 0)
		if (mr_node_is(mr_node_at(n, node), key, parent, text, bytes))
			return node;
	return 0;
}

/* What the parent knows of its children lets a lookup skip the hash. */
static void count_child(struct mr_nodes *n, const struct mr_node *node, bool more)
{
	if (node->kind == MR_NODE_TOKEN) {
		struct mr_node *parent = mr_node_at(n, node->parent);
		uint32_t literals = atomic_load_explicit(&parent->literals, memory_order_relaxed);
		atomic_store_explicit(&parent->literals, more ? literals + 1 : literals - 1,
			memory_order_relaxed);
	} else if (node->parent == MR_NODE_PREFIXES) {
		uint32_t *count = &n->prefixes_of[node->bytes];
		_Atomic uint64_t *word = &n->prefix_lengths[node->bytes / 64];
		uint64_t bit = UINT64_C(1) << node->bytes % 64;
		uint64_t bits = atomic_load_explicit(word, memory_order_relaxed);
		*count += more ? 1 : (uint32_t)-1;
		atomic_store_explicit(
			word, *count > 0 ? bits | bit : bits & ~bit, memory_order_relaxed);
	}
}

uint32_t mr_nodes_child(struct mr_nodes *n, uint32_t parent, enum mr_node_kind kind,
	const void *text, size_t bytes, int *rc)
{
	uint32_t index = mr_nodes_find(n, parent, text, bytes);

	if (index != 0)
		return index;
	*rc = map_ready(n);
	if (*rc != 0)
		return 0;
	index = node_new(n, parent, kind, text, bytes, rc);
	if (index == 0)
		return 0;
	struct mr_node *node = mr_node_at(n, index);
	node->key = mr_node_key(n, parent, mr_hash_text(&n->hash_key, text, bytes));
	count_child(n, node, true);
	map_add(n, node->key, index);
	return index;
}

uint32_t mr_nodes_star(struct mr_nodes *n, uint32_t parent, int *rc)
{
	struct mr_node *above = mr_node_at(n, parent);
	uint32_t index = atomic_load_explicit(&above->star, memory_order_relaxed);

	if (index != 0)
		return index;
	index = node_new(n, parent, MR_NODE_STAR, "*", 1, rc);
	if (index != 0)
		atomic_store_explicit(&above->star, index, memory_order_release); /* [node.slot] */
	return index;
}

static bool is_bare(const struct mr_node *node)
{
	if (atomic_load_explicit(&node->exact, memory_order_relaxed) != NULL)
		return false;
	return node->kind == MR_NODE_FLAT ||
	       (atomic_load_explicit(&node->tail, memory_order_relaxed) == NULL &&
		       atomic_load_explicit(&node->star, memory_order_relaxed) == 0 &&
		       atomic_load_explicit(&node->literals, memory_order_relaxed) == 0);
}

static void unlink_node(struct mr_nodes *n, uint32_t index)
{
	struct mr_node *node = mr_node_at(n, index);

	if (node->kind == MR_NODE_STAR) {
		struct mr_node *parent = mr_node_at(n, node->parent);
		atomic_store_explicit(&parent->star, 0, memory_order_release);
	} else {
		map_remove(n, node->key, index);
		count_child(n, node, false);
	}
	mr_reclaim_defer(n->reclaim, n->reclaim_node, index);
}

void mr_nodes_prune(struct mr_nodes *n, uint32_t index)
{
	while (index != MR_NODE_ROOT) {
		struct mr_node *node = mr_node_at(n, index);
		uint32_t parent = node->parent;
		bool flat = node->kind == MR_NODE_FLAT;
		if (!is_bare(node))
			return;
		unlink_node(n, index);
		if (flat)
			return;
		index = parent;
	}
}

size_t mr_nodes_text(
	const struct mr_nodes *n, uint32_t index, bool tail, char out[static MR_SUBJECT_BYTES_MAX])
{
	const struct mr_node *node = mr_node_at(n, index);
	size_t at = MR_SUBJECT_BYTES_MAX;

	if (node->kind == MR_NODE_FLAT) {
		memcpy(out, mr_node_name(node), node->bytes);
		return node->bytes;
	}
	if (tail)
		out[--at] = '>';
	for (; index != MR_NODE_ROOT; index = node->parent) {
		node = mr_node_at(n, index);
		if (at < MR_SUBJECT_BYTES_MAX)
			out[--at] = '.';
		at -= node->bytes;
		memcpy(out + at, mr_node_name(node), node->bytes);
	}
	memmove(out, out + at, MR_SUBJECT_BYTES_MAX - at);
	return MR_SUBJECT_BYTES_MAX - at;
}
