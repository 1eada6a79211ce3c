/* SPDX-License-Identifier: Apache-2.0 */
/* stress: the common part of the stress programs: a bound for every wait, cheap random numbers,
 * loud failure.
 *
 * A program is `stress_NAME [COUNT]`: COUNT bounds the work, and so the time. A lost wake-up would
 * hang it; then the alarm ends it with a message that says so.
 */
#ifndef MILLRACE_TESTS_STRESS_STRESS_H
#define MILLRACE_TESTS_STRESS_STRESS_H

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/compiler.h"

#define STRESS_SECONDS_MAX 120u

#define stress_fail(...) (fprintf(stderr, __VA_ARGS__), fprintf(stderr, "\n"), abort())
#define stress_expect(condition, ...)                                                              \
	do {                                                                                       \
		if (!(condition))                                                                  \
			stress_fail(__VA_ARGS__);                                                  \
	} while (0)

static inline void stress_hung(int signal)
{
	static const char text[] = "hung: a wake-up was lost\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
	(void)signal;
	_exit(1);
}

/* Returns the amount of work: from the command line, or `count`. */
static inline uint64_t stress_begin(int argc, char **argv, uint64_t count)
{
	signal(SIGALRM, stress_hung);
	alarm(STRESS_SECONDS_MAX);
	return argc > 1 ? strtoull(argv[1], NULL, 10) : count;
}

static inline pthread_t stress_start(void *(*run)(void *), void *context)
{
	pthread_t thread;

	stress_expect(pthread_create(&thread, NULL, run, context) == 0, "no thread");
	return thread;
}

/* splitmix64: returns the n-th number of a sequence that both sides know. */
static inline uint64_t stress_number(uint64_t n)
{
	n += 0x9e3779b97f4a7c15u;
	n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9u;
	n = (n ^ (n >> 27)) * 0x94d049bb133111ebu;
	return n ^ (n >> 31);
}

/* Sleeps until the doorbell wakes it; at most `ms` unless that is -1. */
static inline void stress_wait(int bell_fd, int ms)
{
	struct pollfd p = {.fd = bell_fd, .events = POLLIN};

	(void)poll(&p, 1, ms);
}

#endif
