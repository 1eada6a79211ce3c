/* SPDX-License-Identifier: Apache-2.0 */
/* program: what runs on the simulated machine in one run: producers, consumers, workers of a service, callers,
 * and an operator, all of whom do at random what such programs do, with the real libmillrace.
 *
 *   play    all do what they like, and are killed, frozen, cut off and kicked, for some seconds
 *   settle  the network is well again, everybody ends in good order
 *   drain   one consumer a queue takes all that is left; then the dead letters are read
 *   check   the model says whether all is where it has to be
 */
#ifndef MILLRACE_TESTS_SIM_PROGRAM_H
#define MILLRACE_TESTS_SIM_PROGRAM_H

#include <stdint.h>

/* One run; ends the program if anything is wrong. */
void program_run(uint64_t seed);

/* What was done in all runs so far. */
struct program_counts {
	uint64_t runs;
	uint64_t pushed;
	uint64_t handed;
	uint64_t acked;
	uint64_t calls;
	uint64_t killed;
	uint64_t frozen;
};
extern struct program_counts program_counts;

#endif
