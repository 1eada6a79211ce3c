/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the processor's cheapest clock, in ticks, and the length of a tick.
 *
 * A system call for the time of each message would cost more than the message. The counters used
 * here have a constant rate and agree on all cores of a machine that is fit for measuring.
 */
#ifndef MILLRACE_CLI_BENCH_CLOCK_H
#define MILLRACE_CLI_BENCH_CLOCK_H

#include <stdint.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "cli/cli.h"

static inline uint64_t mr_bench_ticks(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	return mr_cli_now_ns();
#endif
}

struct mr_bench_clock {
	uint64_t ticks;
	uint64_t ns;
	double ticks_per_ns;
};

/* Notes the values of both clocks. */
void mr_bench_clock_start(struct mr_bench_clock *c);
/* Computes the rate since start. A longer time gives a better rate: 20 ms give 0.01 %. */
void mr_bench_clock_calibrate(struct mr_bench_clock *c);

#endif
