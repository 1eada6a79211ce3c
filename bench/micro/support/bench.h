/* SPDX-License-Identifier: Apache-2.0 */
/* bench: the common part of the micro-benchmarks: options, warm-up, rounds, report.
 *
 * A benchmark is opened, measures any number of things, and is closed. A measurement is a set of
 * samples, one a round; the report gives median, minimum, maximum and, with --raw, all. The
 * machine, its clock and the parameters come first, so that no figure is without them.
 *
 * Threads   One; threads that a benchmark starts report through their own atomics.
 * Units     Cycles of the time-stamp counter, which need not be the core's.
 * Errors    A wrong option or a failed set-up ends the program with status 2.
 */
#ifndef MILLRACE_BENCH_MICRO_SUPPORT_BENCH_H
#define MILLRACE_BENCH_MICRO_SUPPORT_BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <jansson.h>

#include "lib/base/compiler.h"

struct bench_option {
	const char *name; /* "size" for --size */
	uint64_t *value;  /* holds the default; NULL: the option is a text */
	uint64_t min;
	uint64_t max;
	const char *help;
	const char **text; /* holds the default, or NULL: none */
};

struct bench {
	bool json;
	bool raw;
	uint64_t rounds;
	double cycles_per_ns;
	json_t *out;
	json_t *results;
};

static inline uint64_t bench_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t bench_cycles(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	return bench_ns();
#endif
}

/* Makes the compiler believe that memory at `p` is read and written. */
static inline void bench_keep(const void *p)
{
	__asm__ __volatile__("" : : "r"(p) : "memory");
}

/* Reads the options common to all (--rounds, --json, --raw, --help) and those given, and prints the
 * machine and the parameters. */
void bench_open(struct bench *b, const char *name, int argc, char **argv,
	const struct bench_option *options, size_t options_count);
void bench_close(struct bench *b);

/* Runs `run` once to warm up and then once a round; it does `operations` and returns their cycles.
 * Reports cycles and nanoseconds for each operation. */
void bench_measure(struct bench *b, const char *label, uint64_t operations,
	uint64_t (*run)(void *context), void *context);

/* Reports samples taken by the caller; sorts them. */
void bench_report(
	struct bench *b, const char *label, const char *unit, double *samples, size_t count);
/* Reports such samples in cycles and in nanoseconds. */
void bench_report_cycles(struct bench *b, const char *label, double *samples, size_t count);
/* Reports the distribution of many single events, in cycles: percentiles, not rounds. */
void bench_report_latency(struct bench *b, const char *label, double *cycles, size_t count);

/* Pins the thread to one of the allowed CPUs, counted round from the first. */
void bench_pin(unsigned index);
unsigned bench_cpus(void);

/* Ends the program if `error` is a negative errno. */
void bench_check(int error, const char *what);

#endif
