/* SPDX-License-Identifier: Apache-2.0 */
/* shape: bounds the number of trie nodes that one subject can lead to.
 *
 * The shape of a trie node is its path without the text of its literal tokens: "a.*.b" and "x.*.y"
 * have the same shape. A subject leads to at most one node of each shape, so a bound on shapes
 * bounds every lookup, whatever a client subscribes to. Short shapes and all-literal ones are few
 * by themselves and always allowed; the others share a budget.
 *
 * Threads   Changes: the table writer's thread. mr_shapes_below: workers too.
 * Ordering  A lookup that has seen a version has seen the shapes that led to it [table.version].
 *           While shapes change during a lookup, it may find one in two places, and miss one that
 *           is now empty.
 */
#ifndef MILLRACE_SUBJECT_SHAPE_H
#define MILLRACE_SUBJECT_SHAPE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/subject/table.h"

#define MR_SHAPE_ROOT 1u

struct mr_shape {
	uint32_t nodes; /* trie nodes of this shape, including retired ones not yet released */
	uint16_t parent;
	uint8_t depth;
	bool starred;
};

struct mr_shapes {
	/* w: table writer, r: workers; low half: the child for a literal, high half: the child for
	 * '*' */
	_Atomic uint32_t below[MR_TABLE_SHAPES_MAX + 1];
	/* writer only */
	struct mr_shape at[MR_TABLE_SHAPES_MAX + 1]; /* 0: none */
	uint16_t fresh;
	uint16_t freed;
	uint16_t deep;     /* shapes counted against the budget */
	uint16_t deep_max; /* limit of `deep` for the peer that is served now */
	uint16_t used;
};

void mr_shapes_init(struct mr_shapes *s);

/* Counts one more node; its shape is that of the parent and one token. 0: over budget. */
uint16_t mr_shapes_take(struct mr_shapes *s, uint16_t parent, bool star);

/* Counts one node less; call it once no lookup can be at the node. */
void mr_shapes_drop(struct mr_shapes *s, uint16_t shape);

/* Returns both children in one word: see mr_shape_child. */
static inline uint32_t mr_shapes_below(const struct mr_shapes *s, uint16_t shape)
{
	return atomic_load_explicit(&s->below[shape], memory_order_relaxed);
}

/* Returns the shape after one more token; 0: no node has it. */
static inline uint16_t mr_shape_child(uint32_t below, bool star)
{
	return (uint16_t)(below >> (star ? 16 : 0));
}

#endif
