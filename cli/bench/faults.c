/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/faults.h"

/* Splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static bool happens(uint64_t *state, double percent)
{
	return (double)(next(state) >> 11) < percent / 100 * (double)(1ull << 53);
}

struct mr_fault mr_fault_of(
	const struct mr_faults *f, uint64_t seed, uint32_t flow, uint64_t number)
{
	uint64_t state = seed;
	struct mr_fault out = {0};

	state = next(&state) ^ flow;
	state = next(&state) ^ number;
	/* Every fault draws its number in any case, so that one fault does not change the
	 * others. */
	out.drop = happens(&state, f->drop);
	out.duplicate = happens(&state, f->duplicate);
	out.corrupt = happens(&state, f->corrupt);
	if (happens(&state, f->reorder))
		out.behind = 1 + (uint32_t)(next(&state) % MR_FAULTS_BEHIND_MAX);
	out.where = next(&state);
	out.delay_ns = (f->delay_us + next(&state) % (f->jitter_us + 1ull)) * 1000;
	return out;
}
