/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/memory.h"

#define LINES_FIRST 32u
/* Nodes a line on average before the hash is doubled, so that few lines are ever full. */
#define LINE_FILL 7u

static struct mr_node_map *map_of(const struct mr_nodes *n)
{
	return atomic_load_explicit(&n->map, memory_order_relaxed);
}

static size_t lines_bytes(const struct mr_node_map *map)
{
	return (map->mask + 1) * sizeof(*map->lines);
}

static size_t map_bytes(const struct mr_node_map *map)
{
	return sizeof(*map) + lines_bytes(map);
}

static void map_free(struct mr_node_map *map)
{
	mr_memory_unmap(map->lines, lines_bytes(map));
	free(map);
}

static struct mr_node_map *map_new(struct mr_nodes *n, uint64_t lines)
{
	struct mr_node_map *map = malloc(sizeof(*map));

	if (map == NULL)
		return NULL;
	map->mask = lines - 1;
	map->lines = mr_memory_map(lines_bytes(map), lines_bytes(map) >= MR_MEMORY_HUGE_BYTES);
	if (map->lines == NULL) {
		free(map);
		return NULL;
	}
	n->memory_bytes += map_bytes(map);
	return map;
}

static void tag_set(struct mr_node_line *line, unsigned slot, uint64_t tag)
{
	unsigned shift = slot % 8 * 8;
	uint64_t low = atomic_load_explicit(&line->tags_low, memory_order_relaxed);
	uint32_t high = atomic_load_explicit(&line->tags_high, memory_order_relaxed);

	if (slot < 8)
		atomic_store_explicit(&line->tags_low,
			(low & ~(UINT64_C(0xff) << shift)) | tag << shift, memory_order_relaxed);
	else
		atomic_store_explicit(&line->tags_high,
			(high & ~(UINT32_C(0xff) << shift)) | (uint32_t)tag << shift,
			memory_order_relaxed);
}

static void count_passed(struct mr_node_line *line, bool more)
{
	uint32_t passed = atomic_load_explicit(&line->passed, memory_order_relaxed);

	atomic_store_explicit(&line->passed, more ? passed + 1 : passed - 1, memory_order_relaxed);
}

static void map_put(struct mr_node_map *map, uint64_t key, uint32_t node)
{
	struct mr_node_line *line = mr_node_map_line(map, key);
	uint64_t empty, at = key;

	while ((empty = mr_node_line_match(line, 0)) == 0) {
		count_passed(line, true);
		line = mr_node_map_line(map, ++at);
	}
	unsigned slot = mr_node_line_slot(empty);
	atomic_store_explicit(&line->nodes[slot], node, memory_order_release); /* [node.slot] */
	tag_set(line, slot, mr_node_tag(key));
}

/* Makes room for one more node; may double the hash. */
static int map_ready(struct mr_nodes *n)
{
	struct mr_node_map *old = map_of(n);
	uint64_t lines = old->mask + 1;

	if (n->map_live < lines * LINE_FILL)
		return 0;
	struct mr_node_map *map = map_new(n, 2 * lines);
	if (map == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < lines; i++) {
		struct mr_node_line *line = &old->lines[i];
		uint64_t empty = mr_node_line_match(line, 0);
		for (unsigned slot = 0; slot < MR_NODE_LINE_SLOTS; slot++) {
			if (empty >> (slot % 8 * 8 + slot / 8) & 1)
				continue;
			uint32_t node =
				atomic_load_explicit(&line->nodes[slot], memory_order_relaxed);
			map_put(map, mr_node_at(n, node)->key, node);
		}
	}
	atomic_store_explicit(&n->map, map, memory_order_release); /* [node.map] */
	mr_reclaim_defer(n->reclaim, n->reclaim_memory, (uintptr_t)old);
	return 0;
}

static void map_add(struct mr_nodes *n, uint64_t key, uint32_t node)
{
	map_put(map_of(n), key, node);
	n->map_live++;
}

/* Removes a node from the hash. The slot keeps its number, because a lookup that has read the tag
 * may still read it. */
static void map_remove(struct mr_nodes *n, uint64_t key, uint32_t node)
{
	struct mr_node_map *map = map_of(n);

	n->map_live--;
	for (uint64_t at = key;; at++) {
		struct mr_node_line *line = mr_node_map_line(map, at);
		uint64_t matches = mr_node_line_match(line, mr_node_tag(key));
		for (; matches != 0; matches &= matches - 1) {
			unsigned slot = mr_node_line_slot(matches);
			if (atomic_load_explicit(&line->nodes[slot], memory_order_relaxed) ==
				node) {
				tag_set(line, slot, 0);
				return;
			}
		}
		count_passed(line, false);
	}
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
	rc = mr_pool_init(&n->pool, sizeof(struct mr_node), nodes_max + 1, true);
	if (rc != 0)
		return rc;
	struct mr_node_map *map = map_new(n, LINES_FIRST);
	uint32_t root = mr_pool_alloc(&n->pool);
	if (map == NULL || root == 0) {
		if (map != NULL)
			map_free(map);
		mr_pool_fini(&n->pool);
		return -ENOMEM;
	}
	assert(root == MR_NODE_ROOT);
	n->star_hash = mr_hash_text(&n->hash_key, "*", 1);
	mr_node_at(n, root)->key = MR_NODE_ROOT;
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
	struct mr_block *heads[2] = {mr_block_first(&node->exact)};

	if (node->kind == MR_NODE_TOKEN || node->kind == MR_NODE_STAR)
		heads[1] = mr_block_first(&node->tail);
	for (int i = 0; i < 2; i++) {
		for (struct mr_block *b = heads[i], *after; b != NULL; b = after) {
			after = mr_block_first(&b->next);
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
	map_free(map_of(n));
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
	n->memory_bytes -= map_bytes(map);
	map_free(map);
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

/* Makes a node that no reader can find yet. */
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

static uint64_t prefix_hash(const struct mr_nodes *n, const void *text, size_t bytes)
{
	uint8_t spare[MR_SUBJECT_BYTES_MAX + MR_PREFIX_SPARE] = {0};
	struct mr_prefix_hash p = mr_prefix_hash_begin(&n->hash_key, spare);

	memcpy(spare, text, bytes);
	return mr_prefix_hash_of(&p, bytes);
}

static uint64_t child_key(const struct mr_nodes *n, uint32_t parent, const void *text, size_t bytes)
{
	bool is_node = parent != MR_NODE_LITERALS && parent != MR_NODE_PREFIXES;
	uint64_t parent_key = is_node ? mr_node_at(n, parent)->key : parent;

	return mr_node_key(n, parent_key,
		parent == MR_NODE_PREFIXES ? prefix_hash(n, text, bytes)
					   : mr_hash_text(&n->hash_key, text, bytes));
}

uint32_t mr_nodes_find(const struct mr_nodes *n, uint32_t parent, const void *text, size_t bytes)
{
	uint64_t key = child_key(n, parent, text, bytes);
	struct mr_node_probe probe = mr_node_probe_begin(map_of(n), key);
	uint32_t node;

	while ((node = mr_node_probe_next(map_of(n), &probe)) != 0)
		if (mr_node_is(mr_node_at(n, node), key, parent, text, bytes))
			return node;
	return 0;
}

/* Updates the parent's knowledge of its children, which lets a lookup skip the hash. */
static void tell_parent(struct mr_nodes *n, const struct mr_node *node, uint32_t index, bool more)
{
	if (node->kind == MR_NODE_STAR) {
		struct mr_node *parent = mr_node_at(n, node->parent);
		atomic_store_explicit(
			&parent->star, more ? index : 0, memory_order_release); /* [node.slot] */
	} else if (node->kind == MR_NODE_TOKEN) {
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
	node->key = child_key(n, parent, text, bytes);
	tell_parent(n, node, index, true);
	map_add(n, node->key, index);
	return index;
}

static bool is_bare(const struct mr_node *node)
{
	if (atomic_load_explicit(&node->exact, memory_order_relaxed) != 0)
		return false;
	return node->kind == MR_NODE_FLAT ||
	       (atomic_load_explicit(&node->tail, memory_order_relaxed) == 0 &&
		       atomic_load_explicit(&node->star, memory_order_relaxed) == 0 &&
		       atomic_load_explicit(&node->literals, memory_order_relaxed) == 0);
}

static void unlink_node(struct mr_nodes *n, uint32_t index)
{
	struct mr_node *node = mr_node_at(n, index);

	map_remove(n, node->key, index);
	tell_parent(n, node, index, false);
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
