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

static bool is_older(const struct mr_queue_entry *a, const struct mr_queue_entry *b)
{
	int32_t ms = (int32_t)(a->born_ms - b->born_ms);

	return ms < 0 || (ms == 0 && (int16_t)(a->order - b->order) < 0);
}

static struct mr_queue_entry *merge_heaps(
	struct mr_queues *q, struct mr_queue_entry *a, struct mr_queue_entry *b)
{
	struct mr_queue_entry *root = NULL, *swap;
	uint64_t bits = random_bits(q);
	uint32_t *at = NULL;

	while (a != NULL && b != NULL) {
		if (is_older(b, a)) {
			swap = a;
			a = b;
			b = swap;
		}
		if (at == NULL)
			root = a;
		else
			*at = mr_entry_ref(q, a);
		at = bits & 1 ? &a->tree.left : &a->tree.right;
		bits = bits >> 1 | bits << 63;
		a = mr_entry_of_ref(q, *at);
	}
	a = a != NULL ? a : b;
	if (at == NULL)
		return a;
	*at = a == NULL ? 0 : mr_entry_ref(q, a);
	return root;
}

void mr_returned_push(struct mr_queues *q, struct mr_queue_entry **root, struct mr_queue_entry *e)
{
	e->tree.left = 0;
	e->tree.right = 0;
	*root = merge_heaps(q, *root, e);
}

struct mr_queue_entry *mr_returned_pop(struct mr_queues *q, struct mr_queue_entry **root)
{
	struct mr_queue_entry *e = *root;

	*root = merge_heaps(q, mr_entry_of_ref(q, e->tree.left), mr_entry_of_ref(q, e->tree.right));
	return e;
}

void mr_returned_merge(
	struct mr_queues *q, struct mr_queue_entry **root, struct mr_queue_entry *from)
{
	*root = merge_heaps(q, *root, from);
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
