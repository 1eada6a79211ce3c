/* SPDX-License-Identifier: Apache-2.0 */
/* shape: how many nodes of the trie one subject can lead to.
 *
 * The shape of a trie node is its path with every literal token blotted out: "a.*.b" and "x.*.y"
 * have the same. A subject leads to at most one node of each shape, so bounding the shapes bounds
 * every lookup, whatever a client subscribes to. Short shapes and all-literal ones are few by
 * themselves and always allowed; the others share a budget.
 *
 * Threads   The table writer's thread.
 */
#ifndef MILLRACE_SUBJECT_SHAPE_H
#define MILLRACE_SUBJECT_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/subject/table.h"

#define MR_SHAPE_ROOT 1u

struct mr_shape {
	uint32_t nodes;    /* trie nodes of this shape, retired ones that still wait included */
	uint16_t child[2]; /* by a literal, by a '*' */
	uint16_t parent;
	uint8_t depth;
	bool starred;
};

struct mr_shapes {
	struct mr_shape at[MR_TABLE_SHAPES_MAX + 1]; /* 0: none */
	uint16_t fresh;
	uint16_t freed;
	uint16_t deep; /* taken of the budget */
	uint16_t used;
};

void mr_shapes_init(struct mr_shapes *s);

/* Counts one more node whose shape is the parent's and one token; 0: over budget. */
uint16_t mr_shapes_take(struct mr_shapes *s, uint16_t parent, bool star);

/* One node fewer; to be called once no lookup can be at the node. */
void mr_shapes_drop(struct mr_shapes *s, uint16_t shape);

#endif
