/* SPDX-License-Identifier: Apache-2.0 */
/* faults: the effects of a bad path on packets, random but repeatable. The effect on a packet
 * depends only on the seed, the flow and the packet's number in the flow.
 *
 * Threads   Pure functions.
 * Units     Percent; microseconds.
 */
#ifndef MILLRACE_CLI_BENCH_FAULTS_H
#define MILLRACE_CLI_BENCH_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#define MR_FAULTS_BEHIND_MAX 8u

/* Rates in percent, 0 .. 100, and delays. All zero: a good path. */
struct mr_faults {
	double drop;
	double duplicate;
	double reorder;
	double corrupt;
	uint32_t delay_us;
	uint32_t jitter_us; /* further delay, 0 to this value */
};

struct mr_fault {
	bool drop;
	bool duplicate;
	bool corrupt;
	uint32_t
		/* number of later packets that overtake it, up to MR_FAULTS_BEHIND_MAX; 0: none */
		behind;
	uint64_t where; /* a random number that chooses the bit to flip */
	uint64_t delay_ns;
};

/* Returns the fault of packet `number` of flow `flow`. */
struct mr_fault mr_fault_of(
	const struct mr_faults *f, uint64_t seed, uint32_t flow, uint64_t number);

#endif
