/* SPDX-License-Identifier: Apache-2.0 */
/* faults: what a bad path does to a packet, by chance and yet the same each time: what becomes of a packet depends
 * on the seed, the flow and the packet's number in it alone.
 *
 * Threads   Pure functions.
 * Units     Percent; microseconds.
 */
#ifndef MILLRACE_CLI_BENCH_FAULTS_H
#define MILLRACE_CLI_BENCH_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#define MR_FAULTS_BEHIND_MAX 8u

/* How often, 0 .. 100, and how long. All zero: a good path. */
struct mr_faults {
	double drop;
	double duplicate;
	double reorder;
	double corrupt;
	uint32_t delay_us;
	uint32_t jitter_us; /* 0 to so much on top */
};

struct mr_fault {
	bool drop;
	bool duplicate;
	bool corrupt;
	uint32_t
		behind; /* goes behind so many later ones, up to MR_FAULTS_BEHIND_MAX; 0: in its place */
	uint64_t where; /* a random number, for the bit that is turned */
	uint64_t delay_ns;
};

/* Packet `number` of flow `flow`. */
struct mr_fault mr_fault_of(
	const struct mr_faults *f, uint64_t seed, uint32_t flow, uint64_t number);

#endif
