/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/walk.h"

#include <assert.h>
#include <string.h>

void mr_walk_init(struct mr_walk *w, const struct mr_table *t, unsigned worker)
{
	w->t = t;
	w->worker = worker;
}

static void add_list(struct mr_walk *w, mr_block_link *link)
{
	const struct mr_block *b =
		atomic_load_explicit(link, memory_order_acquire); /* [block.list] */

	if (b == NULL)
		return;
	assert(w->list_count < MR_WALK_LISTS_MAX);
	__builtin_prefetch(b);
	w->lists[w->list_count++] = b;
}

static void add_probe(struct mr_walk *w, const struct mr_node_map *map, uint32_t parent,
	const char *text, size_t bytes, uint64_t text_hash)
{
	struct mr_walk_probe *probe = &w->probes[w->probe_count++];

	assert(w->probe_count <= MR_WALK_LEVEL_MAX);
	probe->key = mr_node_key(&w->t->nodes, parent, text_hash);
	probe->at = probe->key;
	probe->parent = parent;
	probe->text = text;
	probe->bytes = bytes;
	__builtin_prefetch(&map->slots[probe->key & map->mask]);
}

static void read_slots(struct mr_walk *w, const struct mr_node_map *map)
{
	for (uint32_t i = 0; i < w->probe_count; i++) {
		struct mr_walk_probe *probe = &w->probes[i];
		probe->candidate = mr_node_map_next(map, probe->key, &probe->at);
		if (probe->candidate != 0)
			__builtin_prefetch(mr_node_at(&w->t->nodes, probe->candidate));
	}
}

/* The node a probe leads to, or 0. */
static uint32_t settle(
	struct mr_walk *w, const struct mr_node_map *map, struct mr_walk_probe *probe)
{
	for (uint32_t node = probe->candidate; node != 0;
		node = mr_node_map_next(map, probe->key, &probe->at)) {
		w->visits++;
		if (mr_likely(mr_node_is(mr_node_at(&w->t->nodes, node), probe->key, probe->parent,
			    probe->text, probe->bytes)))
			return node;
	}
	return 0;
}

static void keep_next(struct mr_walk *w, uint32_t node)
{
	assert(w->next_count < MR_WALK_LEVEL_MAX);
	w->next[w->next_count++] = node;
}

/* From the nodes that match the tokens so far to those that match one more. */
static void descend(struct mr_walk *w, const struct mr_node_map *map, const char *text,
	size_t bytes, uint64_t text_hash)
{
	const struct mr_nodes *nodes = &w->t->nodes;
	uint32_t *swap = w->nodes;

	w->probe_count = 0;
	w->next_count = 0;
	for (uint32_t i = 0; i < w->node_count; i++) {
		struct mr_node *node = mr_node_at(nodes, w->nodes[i]);
		add_list(w, &node->tail);
		if (atomic_load_explicit(&node->literals, memory_order_relaxed) != 0)
			add_probe(w, map, w->nodes[i], text, bytes, text_hash);
		uint32_t star =
			atomic_load_explicit(&node->star, memory_order_acquire); /* [node.slot] */
		if (star == 0)
			continue;
		__builtin_prefetch(mr_node_at(nodes, star));
		w->visits++;
		keep_next(w, star);
	}
	read_slots(w, map);
	for (uint32_t i = 0; i < w->probe_count; i++) {
		uint32_t node = settle(w, map, &w->probes[i]);
		if (node != 0)
			keep_next(w, node);
	}
	w->nodes = w->next;
	w->next = swap;
	w->node_count = w->next_count;
}

static unsigned split(struct mr_walk *w, const char *subject, size_t bytes)
{
	size_t start = 0;
	unsigned count = 0;

	for (size_t i = 0; i <= bytes; i++) {
		if (i < bytes && subject[i] != '.')
			continue;
		w->tokens[count++] = (struct mr_walk_token){
			mr_hash_text(&w->t->nodes.hash_key, subject + start, i - start),
			(uint8_t)start, (uint8_t)(i - start)};
		start = i + 1;
	}
	return count;
}

static void walk_trie(
	struct mr_walk *w, const struct mr_node_map *map, const char *subject, size_t bytes)
{
	unsigned tokens = split(w, subject, bytes);

	w->nodes = w->level[0];
	w->next = w->level[1];
	w->nodes[0] = MR_NODE_ROOT;
	w->node_count = 1;
	for (unsigned i = 0; i < tokens && w->node_count > 0; i++)
		descend(w, map, subject + w->tokens[i].start, w->tokens[i].bytes,
			w->tokens[i].hash);
	for (uint32_t i = 0; i < w->node_count; i++)
		add_list(w, &mr_node_at(&w->t->nodes, w->nodes[i])->exact);
}

/* The literal and the prefixes need one probe each, all at once. */
static void probe_flat(struct mr_walk *w, const struct mr_node_map *map, const char *subject,
	size_t bytes, uint64_t hash)
{
	w->probe_count = 0;
	add_probe(w, map, MR_NODE_LITERALS, subject, bytes, hash);
	for (unsigned word = 0; word < 4; word++) {
		uint64_t lengths = atomic_load_explicit(
			&w->t->nodes.prefix_lengths[word], memory_order_relaxed);
		for (; lengths != 0; lengths &= lengths - 1) {
			size_t length = word * 64 + (unsigned)__builtin_ctzll(lengths);
			if (length > bytes)
				return;
			add_probe(w, map, MR_NODE_PREFIXES, subject, length,
				mr_hash_text(&w->t->nodes.hash_key, subject, length));
		}
	}
}

static void take_flat(struct mr_walk *w, const struct mr_node_map *map)
{
	for (uint32_t i = 0; i < w->probe_count; i++) {
		uint32_t node = settle(w, map, &w->probes[i]);
		if (node != 0)
			add_list(w, &mr_node_at(&w->t->nodes, node)->exact);
	}
}

/* Which of the route's groups a group of the table is; a new one if it was not met in this walk. */
static uint32_t group_index(struct mr_walk *w, uint16_t group)
{
	struct mr_walk_mark *mark = &w->marks[group];

	if (mark->walk == w->number)
		return mark->group;
	*mark = (struct mr_walk_mark){w->number, w->group_count};
	w->groups[w->group_count] = (struct mr_route_group){.group = group};
	return w->group_count++;
}

static bool take_block(struct mr_walk *w, const struct mr_block *b)
{
	struct mr_sink_span span = {b->sinks,
		atomic_load_explicit(&b->count, memory_order_acquire)}; /* [block.count] */

	if (b->group == 0 && b->worker != w->worker) {
		w->workers |= UINT64_C(1) << b->worker;
		return true;
	}
	if (b->group == 0) {
		if (w->span_count == MR_WALK_LISTS_MAX)
			return false;
		w->spans[w->span_count++] = span;
		return true;
	}
	if (w->member_count == MR_WALK_GROUPS_MAX)
		return false;
	uint32_t group = group_index(w, b->group);
	w->groups[group].members += span.count;
	w->groups[group].span_count++;
	w->members[w->member_count++] = (struct mr_walk_members){span, group};
	return true;
}

static bool take_lists(struct mr_walk *w)
{
	for (uint32_t i = 0; i < w->list_count; i++) {
		const struct mr_block *b = w->lists[i];
		for (; b != NULL; b = atomic_load_explicit(&b->next, memory_order_acquire))
			if (!take_block(w, b))
				return false;
	}
	return true;
}

static void restart(struct mr_walk *w)
{
	w->workers = 0;
	w->span_count = 0;
	w->group_count = 0;
	w->member_count = 0;
	w->visits = 0;
	w->list_count = 0;
	if (++w->number == 0) {
		memset(w->marks, 0, sizeof(w->marks));
		w->number = 1;
	}
}

bool mr_walk_run(struct mr_walk *w, const char *subject, size_t bytes, uint64_t hash)
{
	const struct mr_node_map *map =
		atomic_load_explicit(&w->t->nodes.map, memory_order_acquire); /* [node.map] */

	restart(w);
	probe_flat(w, map, subject, bytes, hash);
	read_slots(w, map);
	take_flat(w, map);
	walk_trie(w, map, subject, bytes);
	return take_lists(w);
}

/* Counting sort by group: the first pass counted as it gathered. */
static void emit_groups(
	const struct mr_walk *w, struct mr_route_group *groups, struct mr_sink_span *members)
{
	uint32_t first = 0;

	for (uint32_t g = 0; g < w->group_count; g++) {
		groups[g] = w->groups[g];
		groups[g].span_first = first;
		first += groups[g].span_count;
		groups[g].span_count = 0;
	}
	for (uint32_t i = 0; i < w->member_count; i++) {
		struct mr_route_group *group = &groups[w->members[i].group];
		members[group->span_first + group->span_count++] = w->members[i].span;
	}
}

void mr_walk_emit(const struct mr_walk *w, struct mr_sink_span *spans,
	struct mr_route_group *groups, struct mr_sink_span *members)
{
	for (uint32_t i = 0; i < w->span_count; i++)
		spans[i] = w->spans[i];
	if (w->group_count > 0)
		emit_groups(w, groups, members);
}
