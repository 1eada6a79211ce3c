/* SPDX-License-Identifier: Apache-2.0 */
/* walk: one lookup in the table without a cache: subject in, lists of sinks out.
 *
 * A subject leads to at most one node of each shape, and where that node stands in the hash follows
 * from the shape and the subject's tokens alone. So a walk takes the shapes in the order of their
 * depth, a window at a time: prefetch the slots of all, then read the slots and prefetch the nodes,
 * then compare. The misses of a window overlap, whatever hangs below what; a window is also as far
 * as a walk looks beyond nodes that turn out not to exist.
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

/* Sessions in so many slots are told apart, to leave out what one has beyond limits.copies_max. */
#define MR_WALK_SLOTS (1u << 17)
/* With fewer sinks nobody looks whose they are. */
#define MR_WALK_SINKS_FEW 8u

/* A route has so many bits for each. */
_Static_assert(
	MR_WALK_LISTS_MAX < 1u << 12 && MR_WALK_GROUPS_MAX < 1u << 20, "see struct mr_route");

/* Where a node may be, and then the node. */
struct mr_walk_step {
	struct mr_node_probe probe;
	uint32_t candidate; /* has the key's tag */
	uint32_t node;      /* 0: there is none, or not yet settled */
	uint32_t parent;    /* of a literal or prefix; else `above` has it */
	uint16_t above;     /* the step that leads here */
	uint16_t shape;     /* 0: literal or prefix */
	uint8_t start;      /* the text, in the subject */
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

/* When this group's number was last met, and as which of the route's groups. */
/* What a session has of a route. */
struct mr_walk_seen {
	uint32_t walk;
	uint32_t sinks;
	uint32_t kept; /* of them */
};

struct mr_walk_mark {
	uint32_t walk;
	uint32_t group;
};

/* Who is to see the other workers' subscribers. */
struct mr_walk_far {
	mr_far_visit visit; /* NULL: nobody */
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
	uint32_t sinks; /* of this worker, plain */
	uint32_t far;   /* plain sinks of other workers */
	bool repeats;   /* a session has several of them */
	uint32_t cut;   /* sinks that are left out: their sessions have many others */
	/* scratch */
	const char *subject;
	const struct mr_node_map *map;
	uint32_t number; /* of this walk, for the marks */
	uint32_t list_count;
	uint32_t token_count;
	uint32_t step_count;
	uint32_t expanded; /* steps before this one have their children among the steps */
	uint32_t settled;  /* it is known which of the steps before this one have a node */
	struct mr_walk_step steps[MR_TABLE_VISITS_MAX];
	char spare[MR_SUBJECT_BYTES_MAX +
		   MR_PREFIX_SPARE]; /* the subject, to be hashed by prefixes */
	struct mr_walk_token tokens[MR_SUBJECT_TOKENS_MAX];
	const struct mr_block *lists[MR_WALK_LISTS_MAX];
	/* If some were cut, one behind the last says how many. */
	struct mr_sink_span spans[MR_WALK_LISTS_MAX + 1];
	struct mr_walk_mark marks[MR_TABLE_GROUPS_MAX + 1];
	/* untouched memory unless somebody has very many groups */
	struct mr_route_group groups[MR_WALK_GROUPS_MAX];
	struct mr_walk_members members[MR_WALK_GROUPS_MAX];
	/* untouched unless somebody has very many subscribers */
	struct mr_sink_span kept[MR_WALK_LISTS_MAX];
	struct mr_walk_seen seen[MR_WALK_SLOTS];
};

/* Size and state of a walk in zeroed memory. */
void mr_walk_init(struct mr_walk *w, const struct mr_table *t, unsigned worker);

/* Finds all that matches a well-formed subject; `hash` is the whole subject's. False: the table
 * changed so much meanwhile that the results did not fit; after a quiescent report they will. */
bool mr_walk_run(struct mr_walk *w, const char *subject, size_t bytes, uint64_t hash);

/* Spans that it writes. */
static inline uint32_t mr_walk_spans(const struct mr_walk *w)
{
	return w->span_count + (w->cut > 0);
}

/* Writes the results as a route's arrays; `groups` and `members` are ordered by group. */
void mr_walk_emit(const struct mr_walk *w, struct mr_sink_span *spans,
	struct mr_route_group *groups, struct mr_sink_span *members);

#endif
