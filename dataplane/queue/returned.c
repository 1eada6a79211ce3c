/* SPDX-License-Identifier: Apache-2.0 */
/* returned: the entries that were delivered and came back, by age, in a randomized meldable heap
 * (Gambin and Malinowski, 1998).
 *
 * A merge goes down one path, and a random bit at each node chooses the side: about log2(n) steps
 * whatever the shape. A client that chooses the order of returns cannot choose the bits. The
 * children of an entry are two numbers of 32 bits in place of its list pointer, so an entry is no
 * larger for this.
 */
#include "dataplane/queue/engine.h"

/* xorshift64 */
static uint64_t random_bits(struct mr_queues *q)
{
	q->random ^= q->random << 13;
	q->random ^= q->random >> 7;
	q->random ^= q->random << 17;
	return q->random;
}

/* Links an entry to its parent, or makes it the root. */
MR_ALWAYS_INLINE void link_child(struct mr_queues *q, struct mr_queue_entry *e,
	const struct mr_queue_entry *parent, uint32_t *at, bool knows_parent)
{
	if (at != NULL)
		*at = e == NULL ? 0 : mr_entry_ref(q, e);
	if (knows_parent && e != NULL)
		mr_entry_time(e)->up = parent == NULL ? 0 : mr_entry_ref(q, parent);
}

MR_ALWAYS_INLINE struct mr_queue_entry *merge_heaps(
	struct mr_queues *q, struct mr_queue_entry *a, struct mr_queue_entry *b, bool know_parents)
{
	struct mr_queue_entry *root = NULL, *parent = NULL, *swap;
	uint64_t bits = random_bits(q);
	uint32_t *at = NULL;

	while (a != NULL && b != NULL) {
		if (mr_entry_is_older(b, a)) {
			swap = a;
			a = b;
			b = swap;
		}
		link_child(q, a, parent, at, know_parents);
		root = root != NULL ? root : a;
		parent = a;
		at = bits & 1 ? &a->tree.left : &a->tree.right;
		bits = bits >> 1 | bits << 63;
		a = mr_entry_of_ref(q, *at);
	}
	a = a != NULL ? a : b;
	link_child(q, a, parent, at, know_parents);
	return root != NULL ? root : a;
}

void mr_returned_push(struct mr_queues *q, struct mr_queue_entry **root, struct mr_queue_entry *e)
{
	e->tree.left = 0;
	e->tree.right = 0;
	*root = merge_heaps(q, *root, e, false);
}

struct mr_queue_entry *mr_returned_pop(struct mr_queues *q, struct mr_queue_entry **root)
{
	struct mr_queue_entry *e = *root;

	*root = merge_heaps(
		q, mr_entry_of_ref(q, e->tree.left), mr_entry_of_ref(q, e->tree.right), false);
	return e;
}

void mr_returned_merge(
	struct mr_queues *q, struct mr_queue_entry **root, struct mr_queue_entry *from)
{
	*root = merge_heaps(q, *root, from, false);
}

struct mr_queue_entry *mr_returned_join(
	struct mr_queues *q, struct mr_queue_entry *a, struct mr_queue_entry *b)
{
	return merge_heaps(q, a, b, true);
}

void mr_returned_remove(struct mr_queues *q, struct mr_queue_entry **root, struct mr_queue_entry *e)
{
	struct mr_queue_entry *parent = mr_entry_of_ref(q, mr_entry_time(e)->up);
	struct mr_queue_entry *rest = mr_returned_join(
		q, mr_entry_of_ref(q, e->tree.left), mr_entry_of_ref(q, e->tree.right));
	uint32_t *at;

	if (parent == NULL) {
		*root = rest;
		return;
	}
	at = parent->tree.left == mr_entry_ref(q, e) ? &parent->tree.left : &parent->tree.right;
	link_child(q, rest, parent, at, true);
}

/* Rotates right for each left child until there is none: each node moves at most once. */
struct mr_queue_entry *mr_returned_any(struct mr_queues *q, struct mr_queue_entry **root)
{
	struct mr_queue_entry *e = *root;
	struct mr_queue_entry *left = mr_entry_of_ref(q, e->tree.left);

	if (left == NULL) {
		*root = mr_entry_of_ref(q, e->tree.right);
		return e;
	}
	e->tree.left = left->tree.right;
	left->tree.right = mr_entry_ref(q, e);
	*root = left;
	return NULL;
}
