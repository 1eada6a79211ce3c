/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/walk.h"

#include <assert.h>
#include <string.h>

/* Steps in flight: enough to hide a cache miss, few enough for the processor's miss buffers. */
#define WINDOW_STEPS 32u
/* Index of the step for the trie's root. */
#define ROOT_STEP 0u

void mr_walk_init(struct mr_walk *w, const struct mr_table *t, unsigned worker)
{
	w->t = t;
	w->worker = worker;
}

static void see_far(struct mr_walk *w, unsigned worker, const struct mr_sink *sinks, uint32_t count)
{
	struct mr_sink_span span = {sinks, count};

	w->workers |= UINT64_C(1) << worker;
	if (mr_unlikely(w->see.visit != NULL) && !w->see.enough)
		w->see.enough = w->see.visit(w->see.arg, worker, &span);
}

/* Takes a list of one sink without touching its block. */
static void take_lone(struct mr_walk *w, uintptr_t link)
{
	unsigned worker = (unsigned)(link >> MR_BLOCK_WORKER_SHIFT);

	w->asks |= (link & MR_BLOCK_ASKS) != 0;
	if (worker == w->worker) {
		w->spans[w->span_count++] = (struct mr_sink_span){mr_block_of(link)->sinks, 1};
		w->sinks++;
	} else {
		see_far(w, worker, mr_block_of(link)->sinks, 1);
		w->far++;
	}
}

static void add_list(struct mr_walk *w, mr_block_link *list)
{
	uintptr_t link = atomic_load_explicit(list, memory_order_acquire); /* [block.list] */

	if (link == 0)
		return;
	assert(w->list_count + w->span_count < MR_WALK_LISTS_MAX);
	if (link & MR_BLOCK_LONE) {
		take_lone(w, link);
		return;
	}
	__builtin_prefetch(mr_block_of(link));
	w->lists[w->list_count++] = mr_block_of(link);
}

/* Returns a new step; NULL: no room, because the table changed during the walk. */
static struct mr_walk_step *add_step(struct mr_walk *w, uint64_t key)
{
	if (mr_unlikely(w->step_count == MR_TABLE_VISITS_MAX))
		return NULL;
	struct mr_walk_step *step = &w->steps[w->step_count++];
	__builtin_prefetch(mr_node_map_line(w->map, key));
	step->probe.key = key;
	step->node = 0;
	return step;
}

static bool add_flat(struct mr_walk *w, uint32_t parent, size_t bytes, uint64_t hash)
{
	struct mr_walk_step *step = add_step(w, mr_node_key(&w->t->nodes, parent, hash));

	if (step == NULL)
		return false;
	step->parent = parent;
	step->shape = 0;
	step->start = 0;
	step->bytes = (uint8_t)bytes;
	step->star = false;
	return true;
}

/* Adds steps for the prefixes of all lengths in use. */
static bool add_prefixes(struct mr_walk *w, size_t bytes)
{
	const struct mr_nodes *nodes = &w->t->nodes;
	struct mr_prefix_hash p = mr_prefix_hash_begin(&nodes->hash_key, w->spare);
	bool copied = false;

	for (unsigned word = 0; word < 4; word++) {
		uint64_t lengths =
			atomic_load_explicit(&nodes->prefix_lengths[word], memory_order_relaxed);
		for (; lengths != 0; lengths &= lengths - 1) {
			size_t length = word * 64 + (unsigned)__builtin_ctzll(lengths);
			if (length > bytes)
				return true;
			if (!copied)
				memcpy(w->spare, w->subject, bytes);
			copied = true;
			if (!add_flat(w, MR_NODE_PREFIXES, length, mr_prefix_hash_of(&p, length)))
				return false;
		}
	}
	return true;
}

static bool add_flats(struct mr_walk *w, size_t bytes, uint64_t hash)
{
	return add_flat(w, MR_NODE_LITERALS, bytes, hash) && add_prefixes(w, bytes);
}

static struct mr_walk_step *add_child(struct mr_walk *w, uint32_t above, uint16_t shape, bool star)
{
	const struct mr_walk_step *from = &w->steps[above];
	const struct mr_walk_token *token = &w->tokens[from->depth];
	const struct mr_nodes *nodes = &w->t->nodes;
	struct mr_walk_step *step = add_step(
		w, mr_node_key(nodes, from->probe.key, star ? nodes->star_hash : token->hash));

	if (step == NULL)
		return NULL;
	step->above = (uint16_t)above;
	step->shape = shape;
	step->start = token->start;
	step->bytes = token->bytes;
	step->depth = from->depth + 1;
	step->star = star;
	return step;
}

static uint32_t star_of(const struct mr_walk *w, uint32_t node)
{
	return atomic_load_explicit(
		&mr_node_at(&w->t->nodes, node)->star, memory_order_acquire); /* [node.slot] */
}

/* Adds the shapes one token below an unsettled step: its children may exist. */
static bool guess_children(struct mr_walk *w, uint32_t index)
{
	uint32_t below = mr_shapes_below(&w->t->nodes.shapes, w->steps[index].shape);
	uint16_t literal = mr_shape_child(below, false), star = mr_shape_child(below, true);

	return (literal == 0 || add_child(w, index, literal, false) != NULL) &&
	       (star == 0 || add_child(w, index, star, true) != NULL);
}

/* Adds the children of an existing node. */
static bool add_children(struct mr_walk *w, uint32_t index)
{
	const struct mr_nodes *nodes = &w->t->nodes;
	uint32_t node = w->steps[index].node;
	uint32_t below = mr_shapes_below(&nodes->shapes, w->steps[index].shape);
	uint32_t star = star_of(w, node);

	if (atomic_load_explicit(&mr_node_at(nodes, node)->literals, memory_order_relaxed) != 0 &&
		add_child(w, index, mr_shape_child(below, false), false) == NULL)
		return false;
	if (star == 0)
		return true;
	struct mr_walk_step *step = add_child(w, index, mr_shape_child(below, true), true);
	if (step == NULL)
		return false;
	__builtin_prefetch(mr_node_at(nodes, star));
	step->node = star;
	return true;
}

static bool expand_step(struct mr_walk *w, uint32_t index)
{
	const struct mr_walk_step *step = &w->steps[index];

	if (step->shape == 0 || step->depth == w->token_count)
		return true;
	if (index >= w->settled)
		return guess_children(w, index);
	return step->node == 0 || add_children(w, index);
}

static bool expand_window(struct mr_walk *w)
{
	for (; w->expanded < w->step_count && w->step_count - w->settled < WINDOW_STEPS;
		w->expanded++)
		if (!expand_step(w, w->expanded))
			return false;
	return true;
}

static void read_slots(struct mr_walk *w)
{
	for (uint32_t i = w->settled; i < w->step_count; i++) {
		struct mr_walk_step *step = &w->steps[i];
		if (step->node != 0)
			continue;
		step->probe = mr_node_probe_begin(w->map, step->probe.key);
		step->candidate = mr_node_probe_next(w->map, &step->probe);
		__builtin_prefetch(mr_node_at(&w->t->nodes, step->candidate));
	}
}

static uint32_t find_named(struct mr_walk *w, struct mr_walk_step *step, uint32_t parent)
{
	const char *text = w->subject + step->start;
	uint32_t node = step->candidate;

	for (; node != 0; node = mr_node_probe_next(w->map, &step->probe)) {
		w->visits++;
		if (mr_likely(mr_node_is(mr_node_at(&w->t->nodes, node), step->probe.key, parent,
			    text, step->bytes)))
			break;
	}
	return node;
}

/* Returns the node that a step leads to, or 0. */
static uint32_t find_node(struct mr_walk *w, struct mr_walk_step *step)
{
	if (step->shape == 0)
		return find_named(w, step, step->parent);
	uint32_t parent = w->steps[step->above].node;
	if (parent == 0)
		return 0;
	if (!step->star)
		return find_named(w, step, parent);
	return star_of(w, parent);
}

static void settle_steps(struct mr_walk *w)
{
	for (; w->settled < w->step_count; w->settled++) {
		struct mr_walk_step *step = &w->steps[w->settled];
		if (step->node == 0 && (step->star || step->candidate != 0))
			step->node = find_node(w, step);
		if (step->node == 0)
			continue;
		w->visits += step->star;
		struct mr_node *node = mr_node_at(&w->t->nodes, step->node);
		bool whole = step->shape == 0 || step->depth == w->token_count;
		add_list(w, whole ? &node->exact : &node->tail);
	}
}

static void split_tokens(struct mr_walk *w, size_t bytes)
{
	const char *subject = w->subject;
	size_t start = 0;

	w->token_count = 0;
	for (size_t i = 0; i <= bytes; i++) {
		if (i < bytes && subject[i] != '.')
			continue;
		w->tokens[w->token_count++] = (struct mr_walk_token){
			mr_hash_text(&w->t->nodes.hash_key, subject + start, i - start),
			(uint8_t)start, (uint8_t)(i - start)};
		start = i + 1;
	}
}

/* Adds the root, the only step that is settled from the start. */
static void add_root(struct mr_walk *w)
{
	w->steps[ROOT_STEP] = (struct mr_walk_step){
		.probe.key = MR_NODE_ROOT, .node = MR_NODE_ROOT, .shape = MR_SHAPE_ROOT};
	w->step_count = 1;
	w->settled = 1;
	w->expanded = 0;
	add_list(w, &mr_node_at(&w->t->nodes, MR_NODE_ROOT)->tail);
}

static bool take_steps(struct mr_walk *w, size_t bytes, uint64_t hash)
{
	add_root(w);
	if (!add_flats(w, bytes, hash))
		return false;
	split_tokens(w, bytes);
	do {
		if (!expand_window(w))
			return false;
		read_slots(w);
		settle_steps(w);
	} while (w->expanded < w->step_count);
	return true;
}

/* Returns the route's index of a group of the table; a new one if this walk has not met it yet. */
static uint32_t group_index(struct mr_walk *w, uint16_t group, bool queue)
{
	struct mr_walk_mark *mark = &w->marks[group];

	if (mark->walk == w->number)
		return mark->group;
	*mark = (struct mr_walk_mark){w->number, w->group_count};
	w->groups[w->group_count] =
		(struct mr_route_group){.group = group | (queue ? MR_ROUTE_GROUP_QUEUE : 0)};
	return w->group_count++;
}

static bool take_block(struct mr_walk *w, const struct mr_block *b)
{
	struct mr_sink_span span = {b->sinks,
		atomic_load_explicit(&b->count, memory_order_acquire)}; /* [block.count] */

	w->asks |= atomic_load_explicit(&b->asks, memory_order_relaxed) != 0;
	if (b->group == 0 && b->worker != w->worker) {
		see_far(w, b->worker, b->sinks, span.count);
		w->far += span.count;
		return true;
	}
	if (b->group == 0) {
		if (w->span_count == MR_WALK_LISTS_MAX)
			return false;
		w->spans[w->span_count++] = span;
		w->sinks += span.count;
		return true;
	}
	if (w->member_count == MR_WALK_GROUPS_MAX)
		return false;
	uint32_t group =
		group_index(w, b->group, span.count > 0 && b->sinks[0].slot == MR_OWNER_QUEUE);
	w->groups[group].members += span.count;
	w->groups[group].span_count++;
	w->members[w->member_count++] = (struct mr_walk_members){span, group};
	return true;
}

static bool take_lists(struct mr_walk *w)
{
	for (uint32_t i = 0; i < w->list_count; i++) {
		const struct mr_block *b = w->lists[i];
		for (; b != NULL; b = mr_block_first(&b->next))
			if (!take_block(w, b))
				return false;
	}
	return true;
}

static bool is_live(const struct mr_sink *sink)
{
	return (atomic_load_explicit(&sink->flags, memory_order_relaxed) & MR_SINK_GONE) == 0;
}

/* Returns the number of copies that one for the sink counts as: a stamped one takes as long as
 * three. */
static uint32_t copies_of(const struct mr_sink *sink)
{
	uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);

	return flags & MR_SINK_ASKS ? 3 : 1;
}

/* Returns the count of the sink's session; NULL: the session is not distinguished from others. */
static struct mr_walk_seen *seen_of(struct mr_walk *w, const struct mr_sink *sink)
{
	struct mr_walk_seen *seen;

	if (sink->slot >= MR_WALK_SLOTS)
		return NULL;
	seen = &w->seen[sink->slot];
	if (seen->walk != w->number)
		*seen = (struct mr_walk_seen){.walk = w->number};
	return seen;
}

/* Counts the copies for each session; returns the largest count. */
static uint32_t count_sessions(struct mr_walk *w)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < w->span_count; i++)
		for (uint32_t k = 0; k < w->spans[i].count; k++) {
			struct mr_walk_seen *seen = seen_of(w, &w->spans[i].sinks[k]);

			if (seen == NULL || !is_live(&w->spans[i].sinks[k]))
				continue;
			seen->sinks += copies_of(&w->spans[i].sinks[k]);
			most = seen->sinks > most ? seen->sinks : most;
		}
	return most;
}

/* A session gets one copy, whatever that counts as. */
static bool is_kept(struct mr_walk *w, const struct mr_sink *sink)
{
	struct mr_walk_seen *seen = seen_of(w, sink);

	if (seen == NULL || !is_live(sink))
		return true;
	if (seen->kept > 0 && seen->kept + copies_of(sink) > w->t->limits.copies_max)
		return false;
	seen->kept += copies_of(sink);
	return true;
}

/* Keeps the parts of a span that are not left out; false: too many parts. */
static bool keep_span(struct mr_walk *w, const struct mr_sink_span *span, uint32_t *count)
{
	bool open = false;

	for (uint32_t k = 0; k < span->count; k++) {
		if (!is_kept(w, &span->sinks[k])) {
			w->cut++;
			open = false;
			continue;
		}
		if (!open) {
			if (*count == MR_WALK_LISTS_MAX)
				return false;
			w->kept[(*count)++] = (struct mr_sink_span){&span->sinks[k], 0};
			open = true;
		}
		w->kept[*count - 1].count++;
	}
	return true;
}

/* Leaves out the sinks of a session beyond copies_max: one session's subscriptions must not slow
 * others down. */
static void look_at_sessions(struct mr_walk *w)
{
	uint32_t most = count_sessions(w), count = 0;

	w->repeats = most > 1;
	if (most <= w->t->limits.copies_max)
		return;
	for (uint32_t i = 0; i < w->span_count; i++)
		if (!keep_span(w, &w->spans[i], &count)) {
			w->cut = 0;
			return;
		}
	memcpy(w->spans, w->kept, count * sizeof(w->kept[0]));
	w->span_count = count;
	w->sinks -= w->cut;
	w->spans[count] = (struct mr_sink_span){NULL, w->cut};
}

static void restart_walk(struct mr_walk *w)
{
	w->workers = 0;
	w->span_count = 0;
	w->group_count = 0;
	w->member_count = 0;
	w->visits = 0;
	w->sinks = 0;
	w->far = 0;
	w->cut = 0;
	w->repeats = false;
	w->asks = false;
	w->list_count = 0;
	if (++w->number == 0) {
		memset(w->marks, 0, sizeof(w->marks));
		memset(w->seen, 0, sizeof(w->seen));
		w->number = 1;
	}
}

bool mr_walk_run(struct mr_walk *w, const char *subject, size_t bytes, uint64_t hash)
{
	restart_walk(w);
	w->subject = subject;
	w->map = atomic_load_explicit(&w->t->nodes.map, memory_order_acquire); /* [node.map] */
	if (!take_steps(w, bytes, hash) || !take_lists(w))
		return false;
	if (mr_unlikely(w->sinks >= MR_WALK_SINKS_FEW))
		look_at_sessions(w);
	return true;
}

/* Sorts by group (counting sort): the first pass counted while it gathered. */
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
	for (uint32_t i = 0; i < mr_walk_spans(w); i++)
		spans[i] = w->spans[i];
	if (w->group_count > 0)
		emit_groups(w, groups, members);
}
