/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the time of this process, in nanoseconds. */
#ifndef MILLRACE_CLIENT_CORE_CLOCK_H
#define MILLRACE_CLIENT_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define MR_NEVER_NS  UINT64_MAX
#define MR_NS_PER_MS 1000000ull

static inline uint64_t mr_clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static inline uint64_t mr_now_ns(void)
{
	return mr_clock_ns(CLOCK_MONOTONIC);
}

#endif
