/* SPDX-License-Identifier: Apache-2.0 */
/* node: the places of patterns, literals and byte prefixes, found by one hash over (parent, text).
 *
 * A literal pattern or a byte prefix is one node with its whole text, below a parent that is only a
 * number. A pattern with wildcards is a path of trie nodes, one a token. A parent also knows the
 * child for '*' directly; a '>' is the tail list of the node before it. A node's key is computed
 * from its parent's key and its own text. So the place of a path in the hash is known before the
 * nodes on the way are read.
 *
 * Owns      Its nodes; a retired one belongs to the reclaim queue until mr_nodes_release.
 * Threads   Changes: the table writer's thread. mr_nodes_probe, mr_node_*: workers too.
 * Ordering  [node.slot] release of a slot of the hash, or of a star child -> acquire of it: the
 *           node is complete, and never changes its name.
 *           [node.map] release of a rebuilt hash -> acquire of it: its slots are written.
 * Errors    0 for no node: limit, shape budget, or no memory (`*rc` says which).
 */
#ifndef MILLRACE_SUBJECT_NODE_H
#define MILLRACE_SUBJECT_NODE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compiler.h"
#include "dataplane/subject/block.h"
#include "dataplane/subject/hash.h"
#include "dataplane/subject/pool.h"
#include "dataplane/subject/shape.h"

/* Parents that are not nodes; their numbers serve as keys, as the root's does. */
#define MR_NODE_LITERALS 0u
#define MR_NODE_PREFIXES UINT32_MAX
/* The trie's root. */
#define MR_NODE_ROOT 1u

#define MR_NODE_TOKEN_NEAR 24
#define MR_NODE_TEXT_NEAR  40

enum mr_node_kind { MR_NODE_FREE, MR_NODE_FLAT, MR_NODE_TOKEN, MR_NODE_STAR };

/* One cache line, so a visit costs one cache miss. */
struct mr_node {
	uint64_t key; /* hash of (key of the parent, text) */
	mr_block_link exact;
	uint32_t parent;
	uint8_t kind;
	uint8_t bytes;
	uint16_t shape;
	union {
		struct { /* MR_NODE_TOKEN, MR_NODE_STAR */
			mr_block_link tail;
			_Atomic uint32_t literals; /* number of children for a token */
			_Atomic uint32_t star;     /* the child for '*' */
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

#define MR_NODE_LINE_SLOTS 12

/* One cache line of the hash. A node is in the line that its key selects or, after full lines, in a
 * later one. */
struct mr_node_line {
	_Atomic uint64_t tags_low; /* one byte a slot, from its node's key; 0: empty */
	_Atomic uint32_t tags_high;
	_Atomic uint32_t passed; /* nodes that are in later lines because this one was full */
	_Atomic uint32_t nodes[MR_NODE_LINE_SLOTS];
};
_Static_assert(sizeof(struct mr_node_line) == MR_CACHE_LINE, "a look into the hash is one line");

struct mr_node_map {
	struct mr_node_line *lines;
	uint64_t mask;
};

/* A search in the hash. */
struct mr_node_probe {
	uint64_t key;
	uint64_t matches; /* slots of the line whose tag matches the key */
	uint64_t passed;  /* lines searched before this one */
};

struct mr_nodes {
	/* read by workers */
	struct mr_pool pool;
	struct mr_hash_key hash_key;
	_Atomic(struct mr_node_map *) map;  /* [node.map] */
	_Atomic uint64_t prefix_lengths[4]; /* bit n: there is a prefix of n bytes (0..255) */
	uint64_t star_hash;                 /* hash of "*" */
	struct mr_shapes shapes;
	/* writer only */
	uint32_t prefixes_of[MR_SUBJECT_BYTES_MAX + 1];
	uint64_t map_live;
	struct mr_reclaim *reclaim;
	unsigned reclaim_node;
	unsigned reclaim_memory;
	size_t memory_bytes;
};

int mr_nodes_init(struct mr_nodes *n, uint32_t nodes_max, struct mr_reclaim *reclaim,
	unsigned reclaim_node, unsigned reclaim_memory);
void mr_nodes_fini(struct mr_nodes *n);

/* Called by the reclaim queue when the grace period of a node, or of a hash, is over. */
void mr_nodes_release(struct mr_nodes *n, uint32_t node);
void mr_nodes_release_map(struct mr_nodes *n, struct mr_node_map *map);

/* Returns the child with that text, and makes it if there is none. MR_NODE_STAR goes with the text
 * "*". */
uint32_t mr_nodes_child(struct mr_nodes *n, uint32_t parent, enum mr_node_kind kind,
	const void *text, size_t bytes, int *rc);

/* Returns the child with that text, or 0; makes nothing. */
uint32_t mr_nodes_find(const struct mr_nodes *n, uint32_t parent, const void *text, size_t bytes);

/* Retires the node if it is empty, then its parents likewise. */
void mr_nodes_prune(struct mr_nodes *n, uint32_t node);

/* Writes the pattern or prefix that the node and `tail` stand for, not terminated; returns its
 * bytes. */
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

static inline uint64_t mr_node_key(
	const struct mr_nodes *n, uint64_t parent_key, uint64_t text_hash)
{
	return mr_hash_fold(text_hash ^ n->hash_key.word[1], parent_key ^ n->hash_key.word[2]);
}

static inline uint64_t mr_node_tag(uint64_t key)
{
	uint64_t tag = key >> 56;

	return tag != 0 ? tag : 1;
}

static inline struct mr_node_line *mr_node_map_line(const struct mr_node_map *map, uint64_t at)
{
	return &map->lines[at & map->mask];
}

/* Sets the top bit of each byte that is zero, and no other. */
static inline uint64_t mr_zero_bytes(uint64_t bytes)
{
	const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);

	return ~(((bytes & low) + low) | bytes | low);
}

/* Returns the slots with that tag. Bit 8s: slot s of the first eight; bit 8s + 1: slot 8 + s. */
static inline uint64_t mr_node_line_match(const struct mr_node_line *line, uint64_t tag)
{
	uint64_t tags = tag * UINT64_C(0x0101010101010101);
	uint64_t low = atomic_load_explicit(&line->tags_low, memory_order_relaxed);
	uint64_t high = atomic_load_explicit(&line->tags_high, memory_order_relaxed);

	return mr_zero_bytes(low ^ tags) >> 7 |
	       (mr_zero_bytes(high ^ tags) & UINT64_C(0x80808080)) >> 6;
}

static inline unsigned mr_node_line_slot(uint64_t match)
{
	unsigned bit = (unsigned)__builtin_ctzll(match);

	return bit / 8 + bit % 8 * 8;
}

static inline struct mr_node_probe mr_node_probe_begin(const struct mr_node_map *map, uint64_t key)
{
	return (struct mr_node_probe){
		key, mr_node_line_match(mr_node_map_line(map, key), mr_node_tag(key)), 0};
}

/* Returns the next node that may have the key; 0: none. Without a branch for most keys, because
 * whether a node exists cannot be predicted. */
static inline uint32_t mr_node_probe_next(const struct mr_node_map *map, struct mr_node_probe *p)
{
	struct mr_node_line *line = mr_node_map_line(map, p->key + p->passed);
	uint64_t matches = p->matches;

	while (mr_unlikely((matches == 0) &
			   (atomic_load_explicit(&line->passed, memory_order_relaxed) != 0))) {
		if (p->passed == map->mask)
			return 0;
		line = mr_node_map_line(map, p->key + ++p->passed);
		matches = mr_node_line_match(line, mr_node_tag(p->key));
	}
	/* Without a match slot 7 is read and its value ignored. */
	uint32_t node =
		atomic_load_explicit(&line->nodes[mr_node_line_slot(matches | UINT64_C(1) << 56)],
			memory_order_acquire); /* [node.slot] */
	p->matches = matches & (matches - 1);
	return matches != 0 ? node : 0;
}

static inline bool mr_node_is(
	const struct mr_node *node, uint64_t key, uint32_t parent, const void *text, size_t bytes)
{
	return node->key == key && node->parent == parent && node->bytes == bytes &&
	       mr_text_equal(mr_node_name(node), text, bytes);
}

#endif
