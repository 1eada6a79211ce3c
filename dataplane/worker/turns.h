/* SPDX-License-Identifier: Apache-2.0 */
/* turns: whose turn it is in each queue group, for each subject by itself. Private to the worker.
 *
 * A shared counter starves members: two groups of two on one subject take a turn each, so the first
 * group sees only even ones. Here each pair of subject and group has a counter, found by a hash with
 * tags. A pair that has none starts at the next turn of its group, so that a group whose subjects
 * are all used once still goes round. A group that has none starts anywhere. A full set gives up
 * one of its entries at random: whoever uses more pairs than there are entries shares at random.
 *
 * Owns      Nothing. Part of its worker.
 * Threads   The worker's lcore.
 * Hot path  All of it: one cache line a group.
 */
#ifndef MILLRACE_WORKER_TURNS_H
#define MILLRACE_WORKER_TURNS_H

#include <stdint.h>

#include "lib/base/compiler.h"

#define MR_TURNS_SETS 1024u /* a power of two */
#define MR_TURNS_WAYS 8u

struct mr_turn {
	uint32_t tag; /* 0: empty */
	uint32_t next;
};

struct mr_turns {
	alignas(MR_CACHE_LINE) struct mr_turn sets[MR_TURNS_SETS][MR_TURNS_WAYS];
	uint64_t random;
};
_Static_assert(MR_TURNS_WAYS * sizeof(struct mr_turn) == MR_CACHE_LINE, "a set is one line");

/* `seed` is not 0. The rest of the memory is zero. */
static inline void mr_turns_init(struct mr_turns *t, uint64_t seed)
{
	t->random = seed;
}

/* Marsaglia's xorshift64. */
static inline uint64_t mr_turns_random(struct mr_turns *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

/* The entry of a key; one that is new is marked by *fresh. */
static inline struct mr_turn *mr_turns_entry(struct mr_turns *t, uint64_t key, bool *fresh)
{
	struct mr_turn *set = t->sets[key >> 54 & (MR_TURNS_SETS - 1)];
	uint32_t tag = (uint32_t)(key >> 22) | 1;
	struct mr_turn *e;

	for (uint32_t i = 0; i < MR_TURNS_WAYS && set[i].tag != 0; i++)
		if (mr_likely(set[i].tag == tag))
			return &set[i];
	*fresh = true;
	e = &set[mr_turns_random(t) % MR_TURNS_WAYS];
	for (uint32_t i = 0; i < MR_TURNS_WAYS; i++)
		if (set[i].tag == 0) {
			e = &set[i];
			break;
		}
	e->tag = tag;
	return e;
}

/* The next turn of a group for a subject, to be counted up by who takes it. Valid until the next call. */
static inline uint32_t *mr_turns_of(struct mr_turns *t, uint64_t subject_hash, uint32_t group)
{
	const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
	bool fresh = false;
	struct mr_turn *pair = mr_turns_entry(t, (subject_hash + group * odd) * odd, &fresh);

	if (mr_unlikely(fresh)) {
		bool new_group = false;
		uint32_t tag = pair->tag;
		struct mr_turn *all = mr_turns_entry(t, group * odd, &new_group);
		uint32_t turn;

		if (new_group)
			all->next = (uint32_t)mr_turns_random(t);
		turn = all->next++;
		/* The group's entry may have taken the pair's place. */
		pair->tag = tag;
		pair->next = turn;
	}
	return &pair->next;
}

#endif
