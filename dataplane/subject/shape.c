/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/shape.h"

#include <assert.h>
#include <string.h>

void mr_shapes_init(struct mr_shapes *s)
{
	memset(s, 0, sizeof(*s));
	s->at[MR_SHAPE_ROOT].nodes = 1;
	s->fresh = MR_SHAPE_ROOT + 1;
	s->used = 1;
	s->deep_max = MR_TABLE_SHAPES_DEEP;
}

static bool costs_budget(const struct mr_shape *shape)
{
	return shape->starred && shape->depth > MR_TABLE_SHAPE_DEPTH;
}

static void set_child(struct mr_shapes *s, uint16_t parent, bool star, uint16_t child)
{
	uint32_t below = mr_shapes_below(s, parent);
	unsigned shift = star ? 16 : 0;

	below = (below & ~(UINT32_C(0xffff) << shift)) | (uint32_t)child << shift;
	atomic_store_explicit(&s->below[parent], below, memory_order_relaxed);
}

static uint16_t take_slot(struct mr_shapes *s)
{
	uint16_t slot = s->freed;

	if (slot != 0) {
		s->freed = s->at[slot].parent;
		return slot;
	}
	assert(s->fresh <= MR_TABLE_SHAPES_MAX);
	return s->fresh++;
}

static uint16_t create_shape(struct mr_shapes *s, uint16_t parent, bool star)
{
	struct mr_shape shape = {
		.parent = parent,
		.depth = s->at[parent].depth + 1,
		.starred = star || s->at[parent].starred,
	};

	if (costs_budget(&shape)) {
		if (s->deep >= s->deep_max)
			return 0;
		s->deep++;
	}
	uint16_t slot = take_slot(s);
	s->at[slot] = shape;
	set_child(s, parent, star, slot);
	s->used++;
	return slot;
}

uint16_t mr_shapes_take(struct mr_shapes *s, uint16_t parent, bool star)
{
	uint16_t slot = mr_shape_child(mr_shapes_below(s, parent), star);

	if (slot == 0)
		slot = create_shape(s, parent, star);
	if (slot != 0)
		s->at[slot].nodes++;
	return slot;
}

void mr_shapes_drop(struct mr_shapes *s, uint16_t slot)
{
	struct mr_shape *shape = &s->at[slot];

	assert(slot != MR_SHAPE_ROOT && shape->nodes > 0);
	if (--shape->nodes > 0)
		return;
	/* A node is removed before its parent, so an empty shape has no children. */
	assert(mr_shapes_below(s, slot) == 0);
	if (costs_budget(shape))
		s->deep--;
	bool star = mr_shape_child(mr_shapes_below(s, shape->parent), true) == slot;
	set_child(s, shape->parent, star, 0);
	*shape = (struct mr_shape){.parent = s->freed};
	s->freed = slot;
	s->used--;
}
