/* SPDX-License-Identifier: Apache-2.0 */
/* walk: one lookup in the table without a cache: subject in, lists of sinks out.
 *
 * A subject leads to at most one node of each shape. The place of that node in the hash follows
 * from the shape and the subject's tokens alone. So a walk takes the shapes in order of depth, a
 * window at a time: prefetch the slots of all, then read the slots and prefetch the nodes, then
 * compare. The cache misses of a window overlap, even of a node and its children; a walk speculates
 * at most one window beyond nodes that turn out not to exist.
 *
 * Owns      A walk is scratch memory for the worst case, reused by each lookup of one router.
 * Threads   The worker's.
 * Hot path  No allocation; nodes visited are bounded by MR_TABLE_VISITS_MAX.
 */
#ifndef MILLRACE_SUBJECT_WALK_H
#define MILLRACE_SUBJECT_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/subject/router.h"
#include "dataplane/subject/table_impl.h"

/* A node adds its tail or its exact list, never both. */
#define MR_WALK_LISTS_MAX  MR_TABLE_VISITS_MAX
#define MR_WALK_GROUPS_MAX (MR_WALK_LISTS_MAX * MR_TABLE_GROUPS_PER_PATTERN)

/* Sessions in this many slots are distinguished, to leave out sinks beyond limits.copies_max. */
#define MR_WALK_SLOTS (1u << 17)
/* With fewer sinks their sessions are not examined. */
#define MR_WALK_SINKS_FEW 8u

/* The widths of the bit fields of struct mr_route. */
_Static_assert(
	MR_WALK_LISTS_MAX < 1u << 12 && MR_WALK_GROUPS_MAX < 1u << 18, "see struct mr_route");

/* The possible place of a node, then the node. */
struct mr_walk_step {
	struct mr_node_probe probe;
	uint32_t candidate; /* node whose tag matches the key */
	uint32_t node;      /* 0: no node, or not yet settled */
	uint32_t parent;    /* parent of a literal or prefix; else the step `above` has it */
	uint16_t above;     /* the step that leads here */
	uint16_t shape;     /* 0: literal or prefix */
	uint8_t start;      /* the text's place in the subject */
	uint8_t bytes;
	uint8_t depth; /* tokens so far */
	bool star;
};

struct mr_walk_token {
	uint64_t hash;
	uint8_t start;
	uint8_t bytes;
};

/* A block of one group's members. */
struct mr_walk_members {
	struct mr_sink_span span;
	uint32_t group; /* index in `groups` */
};

/* The sinks that one session has in a route. */
struct mr_walk_seen {
	uint32_t walk;
	uint32_t sinks; /* copies for its sinks */
	uint32_t kept;  /* copies for those not left out */
};

/* The walk that last met this group's number, and the group's index in the route. */
struct mr_walk_mark {
	uint32_t walk;
	uint32_t group;
};

/* The visitor of the other workers' subscribers. */
struct mr_walk_far {
	mr_far_visit visit; /* NULL: none */
	void *arg;
	bool enough;
};

struct mr_walk {
	const struct mr_table *t;
	unsigned worker;
	struct mr_walk_far see;
	/* results */
	uint64_t workers;
	uint32_t span_count;
	uint32_t group_count;
	uint32_t member_count;
	uint32_t visits;
	uint32_t sinks; /* plain sinks of this worker */
	uint32_t far;   /* plain sinks of other workers */
	bool repeats;   /* a session has several sinks */
	bool asks;      /* a sink asks for a stamp */
	uint32_t cut;   /* sinks left out because their sessions have many others */
	/* scratch */
	const char *subject;
	const struct mr_node_map *map;
	uint32_t number; /* number of this walk, for the marks */
	uint32_t list_count;
	uint32_t token_count;
	uint32_t step_count;
	uint32_t expanded; /* steps before this one have their children among the steps */
	uint32_t settled;  /* the nodes of the steps before this one are known */
	struct mr_walk_step steps[MR_TABLE_VISITS_MAX];
	char spare[MR_SUBJECT_BYTES_MAX +
		   MR_PREFIX_SPARE]; /* copy of the subject for hashing its prefixes */
	struct mr_walk_token tokens[MR_SUBJECT_TOKENS_MAX];
	const struct mr_block *lists[MR_WALK_LISTS_MAX];
	/* If sinks were left out, one more span at the end holds their number. */
	struct mr_sink_span spans[MR_WALK_LISTS_MAX + 1];
	struct mr_walk_mark marks[MR_TABLE_GROUPS_MAX + 1];
	/* untouched memory unless a subject has very many groups */
	struct mr_route_group groups[MR_WALK_GROUPS_MAX];
	struct mr_walk_members members[MR_WALK_GROUPS_MAX];
	/* untouched memory unless a subject has very many subscribers */
	struct mr_sink_span kept[MR_WALK_LISTS_MAX];
	struct mr_walk_seen seen[MR_WALK_SLOTS];
};

/* Initializes a walk in zeroed memory. */
void mr_walk_init(struct mr_walk *w, const struct mr_table *t, unsigned worker);

/* Finds all that matches a well-formed subject; `hash` is that of the whole subject. False: the
 * table changed so much meanwhile that the results did not fit; after a quiescent report they will.
 */
bool mr_walk_run(struct mr_walk *w, const char *subject, size_t bytes, uint64_t hash);

/* Returns the number of spans that emit writes. */
static inline uint32_t mr_walk_spans(const struct mr_walk *w)
{
	return w->span_count + (w->cut > 0);
}

/* Writes the results as a route's arrays; `groups` and `members` are ordered by group. */
void mr_walk_emit(const struct mr_walk *w, struct mr_sink_span *spans,
	struct mr_route_group *groups, struct mr_sink_span *members);

#endif
