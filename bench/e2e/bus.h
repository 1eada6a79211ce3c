/* SPDX-License-Identifier: Apache-2.0 */
/* bus: reads a running bus's counters through its admin socket.
 *
 * Threads   One at a time.
 * Errors    Every error ends the program, as in all benches.
 */
#ifndef MILLRACE_BENCH_E2E_BUS_H
#define MILLRACE_BENCH_E2E_BUS_H

#include <stddef.h>
#include <stdint.h>

struct bench_counter {
	const char *name;
	uint64_t value; /* sum over all workers and ports that count it */
};

/* Fills in the values, all of one moment. A name unknown to the bus ends the program. */
void bench_bus_counters(const char *admin_path, struct bench_counter *counters, size_t count);

#endif
