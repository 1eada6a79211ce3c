/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/block.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "dataplane/subject/router.h"

/* Blocks of up to this many sinks are copied at each removal, so that the turns of small groups
 * stay fair and small patterns stay compact. */
#define COPY_SINKS_MAX 32u

static uint32_t count_of(const struct mr_block *b)
{
	return atomic_load_explicit(&b->count, memory_order_relaxed);
}

static size_t bytes_for(uint32_t capacity)
{
	return sizeof(struct mr_block) + capacity * sizeof(struct mr_sink);
}

size_t mr_block_bytes(const struct mr_block *b)
{
	return bytes_for(b->capacity);
}

/* Returns the link to the block of (worker, group), or the list's last link. *groups: group blocks
 * before it. */
static mr_block_link *find_block(
	mr_block_link *list, uint16_t worker, uint16_t group, unsigned *groups)
{
	mr_block_link *link = list;
	struct mr_block *b;

	*groups = 0;
	for (; (b = mr_block_first(link)) != NULL; link = &b->next) {
		if (b->group == group && (group != 0 || b->worker == worker))
			break;
		*groups += b->group != 0;
	}
	return link;
}

static struct mr_block *block_new(
	const struct mr_block_ops *ops, uint16_t worker, uint16_t group, uint32_t capacity)
{
	struct mr_block *b = malloc(bytes_for(capacity));

	if (b == NULL)
		return NULL;
	atomic_init(&b->next, 0);
	atomic_init(&b->count, 0);
	atomic_init(&b->asks, 0);
	b->capacity = capacity;
	b->gone = 0;
	b->group = group;
	b->worker = group == 0 ? worker : 0;
	*ops->memory_bytes += bytes_for(capacity);
	return b;
}

static bool asks(const struct mr_block *b)
{
	return atomic_load_explicit(&b->asks, memory_order_relaxed) != 0;
}

static void append_sink(struct mr_block *b, const struct mr_block_new_sink *new)
{
	uint32_t at = count_of(b);
	struct mr_sink *sink = &b->sinks[at];

	sink->slot = new->owner->slot;
	sink->generation = new->owner->generation;
	sink->sub_id = new->sub_id;
	atomic_store_explicit(&sink->flags,
		(uint32_t) new->owner->worker << MR_SINK_WORKER_SHIFT | new->flags,
		memory_order_relaxed);
	if (new->flags & MR_SINK_ASKS)
		atomic_store_explicit(&b->asks, 1, memory_order_relaxed);
	atomic_store_explicit(&b->count, at + 1, memory_order_release); /* [block.count] */
}

/* Copies the live sinks, and reports each that moved. */
static void copy_live(
	const struct mr_block_ops *ops, struct mr_block *to, const struct mr_block *from)
{
	for (uint32_t i = 0; i < count_of(from); i++) {
		const struct mr_sink *sink = &from->sinks[i];
		if (!mr_sink_live(sink))
			continue;
		uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);
		uint32_t at = count_of(to);
		struct mr_owner owner = {.worker = (uint16_t)(flags >> MR_SINK_WORKER_SHIFT),
			.slot = sink->slot,
			.generation = sink->generation};
		append_sink(to, &(struct mr_block_new_sink){&owner, sink->sub_id,
					flags & ((1u << MR_SINK_WORKER_SHIFT) - 1)});
		if (at != i)
			ops->moved(ops->arg, &to->sinks[at], at);
	}
}

/* Replaces the block that `link` leads to by `fresh`, or by the following block if NULL. */
static void replace_block(
	const struct mr_block_ops *ops, mr_block_link *link, struct mr_block *fresh)
{
	struct mr_block *old = mr_block_first(link);
	uintptr_t after = atomic_load_explicit(&old->next, memory_order_relaxed);

	if (fresh != NULL)
		atomic_store_explicit(&fresh->next, after, memory_order_relaxed);
	atomic_store_explicit(link, fresh != NULL ? (uintptr_t)fresh : after,
		memory_order_release); /* [block.list] */
	mr_reclaim_defer(ops->reclaim, ops->reclaim_kind, (uintptr_t)old);
}

static int append_larger(
	const struct mr_block_ops *ops, mr_block_link *link, const struct mr_block_new_sink *sink)
{
	struct mr_block *old = mr_block_first(link);
	struct mr_block *fresh = block_new(ops, old->worker, old->group, 2 * old->capacity);

	if (fresh == NULL)
		return -ENOMEM;
	copy_live(ops, fresh, old);
	append_sink(fresh, sink);
	replace_block(ops, link, fresh);
	return 0;
}

/* Notes at the head that one plain sink is the whole list. A block of capacity 1 never changes in
 * place. */
static void mark_lone(mr_block_link *list)
{
	struct mr_block *b = mr_block_first(list);
	uintptr_t link = (uintptr_t)b;

	if (b == NULL)
		return;
	if (b->group == 0 && b->capacity == 1 && link >> MR_BLOCK_WORKER_SHIFT == 0 &&
		atomic_load_explicit(&b->next, memory_order_relaxed) == 0)
		link |= MR_BLOCK_LONE | (asks(b) ? MR_BLOCK_ASKS : 0) |
			(uintptr_t)b->worker << MR_BLOCK_WORKER_SHIFT;
	if (link != atomic_load_explicit(list, memory_order_relaxed))
		atomic_store_explicit(list, link, memory_order_release); /* [block.list] */
}

int mr_block_add(const struct mr_block_ops *ops, mr_block_link *list,
	const struct mr_block_new_sink *sink, uint16_t group, unsigned groups_max,
	uint32_t *position)
{
	uint16_t worker = sink->owner->worker;
	unsigned groups;
	mr_block_link *link = find_block(list, worker, group, &groups);
	struct mr_block *b = mr_block_first(link);
	int rc = 0;

	if (b == NULL) {
		if (group != 0 && groups >= groups_max)
			return -ENOSPC;
		b = block_new(ops, worker, group, 1);
		if (b == NULL)
			return -ENOMEM;
		append_sink(b, sink);
		atomic_store_explicit(link, (uintptr_t)b, memory_order_release); /* [block.list] */
	} else if (count_of(b) < b->capacity) {
		append_sink(b, sink);
	} else {
		rc = append_larger(ops, link, sink);
		b = mr_block_first(link);
	}
	*position = count_of(b) - 1;
	mark_lone(list);
	return rc;
}

struct mr_sink *mr_block_sink(
	mr_block_link *list, uint16_t worker, uint16_t group, uint32_t position)
{
	unsigned groups;
	struct mr_block *b = mr_block_first(find_block(list, worker, group, &groups));

	assert(b != NULL && position < count_of(b) && mr_sink_live(&b->sinks[position]));
	return &b->sinks[position];
}

/* Replaces a block by a copy without dead sinks. False: no memory, which does no harm. */
static bool compact_block(const struct mr_block_ops *ops, mr_block_link *link, uint32_t live)
{
	struct mr_block *old = mr_block_first(link);
	struct mr_block *fresh = block_new(ops, old->worker, old->group, live);

	if (fresh == NULL)
		return false;
	copy_live(ops, fresh, old);
	replace_block(ops, link, fresh);
	return true;
}

bool mr_block_remove(const struct mr_block_ops *ops, mr_block_link *list, uint16_t worker,
	uint16_t group, uint32_t position)
{
	unsigned groups;
	mr_block_link *link = find_block(list, worker, group, &groups);
	struct mr_block *b = mr_block_first(link);

	assert(b != NULL && position < count_of(b) && mr_sink_live(&b->sinks[position]));
	atomic_fetch_or_explicit(&b->sinks[position].flags, MR_SINK_GONE, memory_order_relaxed);
	b->gone++;
	uint32_t live = count_of(b) - b->gone;
	if (live == 0) {
		replace_block(ops, link, NULL);
		mark_lone(list);
		return true;
	}
	if (count_of(b) > COPY_SINKS_MAX && b->gone <= live)
		return false;
	bool compacted = compact_block(ops, link, live);
	mark_lone(list);
	return compacted;
}
