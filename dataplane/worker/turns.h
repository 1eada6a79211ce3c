/* SPDX-License-Identifier: Apache-2.0 */
/* turns: the next member of each queue group, for each subject separately. Private to the worker.
 *
 * One shared counter would starve members: with two groups of two on one subject each group takes
 * every second number, so the first group would see even ones only. So each pair of subject and
 * group has a counter, in a set-associative table with tags. A new pair starts at the next turn of
 * its group; so a group whose subjects are all used once still goes round. A new group starts at a
 * random turn. A full set replaces a random entry: with more pairs than entries, members are chosen
 * at random.
 *
 * Owns      Nothing: it is part of its worker.
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

/* `seed`: not 0. The caller has zeroed the memory. */
static inline void mr_turns_init(struct mr_turns *t, uint64_t seed)
{
	t->random = seed;
}

/* Returns the next random number (xorshift64: Marsaglia 2003). */
static inline uint64_t mr_turns_random(struct mr_turns *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

/* Returns the entry of a key; sets *fresh if it is new. */
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

/* Returns the next turn of a group for a subject; the caller increments it. Valid until the next
 * call. */
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
		/* The group's entry may have replaced the pair's. */
		pair->tag = tag;
		pair->next = turn;
	}
	return &pair->next;
}

#endif
