/* SPDX-License-Identifier: Apache-2.0 */
/* node: where patterns, literals and byte prefixes hang, found by one hash over (parent, text).
 *
 * A literal pattern or a byte prefix is one node with its whole text, below a parent that is only a
 * number. A pattern with wildcards is a path of trie nodes, one a token; a '*' is its parent's one
 * star child, a '>' is the tail list of the node before it.
 *
 * Owns      Its nodes; a retired one is the reclaim queue's until mr_nodes_release.
 * Threads   Changes: the table writer's thread. mr_nodes_probe, mr_node_*: workers too.
 * Ordering  [node.slot] release of a slot of the hash, or of a star child -> acquire of it: the
 * node is complete, and never changes its name. [node.map] release of a rebuilt hash -> acquire of
 * it: its slots are written. Errors    0 for no node: limit, shape budget, or no memory (`*rc` says
 * which).
 */
#ifndef MILLRACE_SUBJECT_NODE_H
#define MILLRACE_SUBJECT_NODE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/compiler.h"
#include "dataplane/subject/block.h"
#include "dataplane/subject/hash.h"
#include "dataplane/subject/pool.h"
#include "dataplane/subject/shape.h"

/* Parents that are no nodes. */
#define MR_NODE_LITERALS 0u
#define MR_NODE_PREFIXES UINT32_MAX
/* The trie's root. */
#define MR_NODE_ROOT 1u

#define MR_NODE_TOKEN_NEAR 24
#define MR_NODE_TEXT_NEAR  40

enum mr_node_kind { MR_NODE_FREE, MR_NODE_FLAT, MR_NODE_TOKEN, MR_NODE_STAR };

/* One cache line: a visit is one miss. */
struct mr_node {
	uint64_t key; /* hash of (parent, text) */
	mr_block_link exact;
	uint32_t parent;
	uint8_t kind;
	uint8_t bytes;
	uint16_t shape;
	union {
		struct { /* MR_NODE_TOKEN, MR_NODE_STAR */
			mr_block_link tail;
			_Atomic uint32_t star;
			_Atomic uint32_t literals; /* token children */
			union {
				char near[MR_NODE_TOKEN_NEAR];
				char *far;
			} token;
		};
		union { /* MR_NODE_FLAT */
			char near[MR_NODE_TEXT_NEAR];
			char *far;
		} flat;
	};
};
_Static_assert(sizeof(struct mr_node) == MR_CACHE_LINE, "a node is one cache line");

/* Slots: a tag (the key's high half) over a node's number; 0 is empty. */
struct mr_node_map {
	uint64_t mask;
	_Atomic uint64_t slots[];
};

struct mr_nodes {
	/* read by workers */
	struct mr_pool pool;
	struct mr_hash_key hash_key;
	_Atomic(struct mr_node_map *) map;  /* [node.map] */
	_Atomic uint64_t prefix_lengths[4]; /* bit n: there is a prefix of n bytes (0..255) */
	/* writer only */
	uint32_t prefixes_of[MR_SUBJECT_BYTES_MAX + 1];
	uint64_t map_filled; /* live slots and tombstones */
	uint64_t map_live;
	struct mr_shapes shapes;
	struct mr_reclaim *reclaim;
	unsigned reclaim_node;
	unsigned reclaim_memory;
	size_t memory_bytes;
};

int mr_nodes_init(struct mr_nodes *n, uint32_t nodes_max, struct mr_reclaim *reclaim,
	unsigned reclaim_node, unsigned reclaim_memory);
void mr_nodes_fini(struct mr_nodes *n);

/* What the reclaim queue calls when a node, or a hash, is past its grace. */
void mr_nodes_release(struct mr_nodes *n, uint32_t node);
void mr_nodes_release_map(struct mr_nodes *n, struct mr_node_map *map);

/* The child with that text, made if there is none; `kind` MR_NODE_FLAT or MR_NODE_TOKEN. */
uint32_t mr_nodes_child(struct mr_nodes *n, uint32_t parent, enum mr_node_kind kind,
	const void *text, size_t bytes, int *rc);
uint32_t mr_nodes_star(struct mr_nodes *n, uint32_t parent, int *rc);

/* Without making anything; 0: there is none. */
uint32_t mr_nodes_find(const struct mr_nodes *n, uint32_t parent, const void *text, size_t bytes);

/* Retires the node if nothing hangs at it, and then its parents. */
void mr_nodes_prune(struct mr_nodes *n, uint32_t node);

/* Writes the pattern or prefix that the node and `tail` stand for, without terminating it. */
size_t mr_nodes_text(
	const struct mr_nodes *n, uint32_t node, bool tail, char out[static MR_SUBJECT_BYTES_MAX]);

static inline struct mr_node *mr_node_at(const struct mr_nodes *n, uint32_t node)
{
	return mr_pool_at(&n->pool, node);
}

static inline const char *mr_node_name(const struct mr_node *node)
{
	if (node->kind == MR_NODE_FLAT)
		return node->bytes <= MR_NODE_TEXT_NEAR ? node->flat.near : node->flat.far;
	return node->bytes <= MR_NODE_TOKEN_NEAR ? node->token.near : node->token.far;
}

static inline uint64_t mr_node_key(const struct mr_nodes *n, uint32_t parent, uint64_t text_hash)
{
	return mr_hash_fold(text_hash ^ n->hash_key.word[1],
		(parent * UINT64_C(0x9e3779b97f4a7c15)) ^ n->hash_key.word[2]);
}

/* The next node whose tag is the key's, from slot `*at` on; 0: none. */
static inline uint32_t mr_node_map_next(const struct mr_node_map *map, uint64_t key, uint64_t *at)
{
	uint64_t slot;

	for (;; ++*at) {
		slot = atomic_load_explicit(
			&map->slots[*at & map->mask], memory_order_acquire); /* [node.slot] */
		if (slot == 0)
			return 0;
		if (slot >> 32 == key >> 32 && (uint32_t)slot != 0)
			break;
	}
	++*at;
	return (uint32_t)slot;
}

static inline bool mr_node_is(
	const struct mr_node *node, uint64_t key, uint32_t parent, const void *text, size_t bytes)
{
	return node->key == key && node->parent == parent && node->bytes == bytes &&
	       mr_text_equal(mr_node_name(node), text, bytes);
}

#endif
