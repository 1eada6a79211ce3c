/* SPDX-License-Identifier: Apache-2.0 */
/* program: the programs of a run: producers, consumers, workers of a service, callers and an
 * operator. They act at random, as such programs do, with the real libmillrace.
 *
 *   play    all act at random, and are killed, frozen, cut off and kicked, for some seconds
 *   settle  the network works again, all end in good order
 *   drain   one consumer for each queue takes all that is left; then the dead letters are read
 *   check   the model checks that each message is where it must be
 */
#ifndef MILLRACE_TESTS_SIM_PROGRAM_H
#define MILLRACE_TESTS_SIM_PROGRAM_H

#include <stdint.h>

/* Makes one run, and returns the hash of its trace; a fault ends the program. */
uint64_t program_run(uint64_t seed);

/* Totals of all runs so far. */
struct program_counts {
	uint64_t runs;
	uint64_t pushed;
	uint64_t handed;
	uint64_t acked;
	uint64_t calls;
	uint64_t killed;
	uint64_t frozen;
	uint64_t edited;
	uint64_t ended;     /* messages, by their time to live */
	uint64_t published; /* to subjects */
	uint64_t bound;     /* queues, to patterns */
};
extern struct program_counts program_counts;

#endif
