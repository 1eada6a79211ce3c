/* SPDX-License-Identifier: Apache-2.0 */
/* pace: when each message of an open loop is to be sent. Times are ticks of the bench's clock.
 *
 * Message i is meant for start + i * gap, whatever became of those before it: a sender that falls behind
 * sends at once what is due, and its delay shows in the latency, which counts from the time meant.
 *
 * Hot path  One division a batch.
 */
#ifndef MILLRACE_CLI_BENCH_PACE_H
#define MILLRACE_CLI_BENCH_PACE_H

#include <stdint.h>

struct mr_bench_pace {
	uint64_t start;
	double gap; /* ticks from one message to the next; 0: everything is always due */
	uint64_t sent;
};

/* `rate` in messages a second, `phase` (0 to 1) of a gap later than `start`. */
static inline void mr_bench_pace_init(
	struct mr_bench_pace *p, uint64_t start, double ticks_per_second, double rate, double phase)
{
	p->gap = ticks_per_second / rate;
	p->start = start + (uint64_t)(phase * p->gap);
	p->sent = 0;
}

/* How many more are due by `now`. */
static inline uint64_t mr_bench_pace_due(const struct mr_bench_pace *p, uint64_t now)
{
	uint64_t due;

	if (now < p->start)
		return 0;
	due = (uint64_t)((double)(now - p->start) / p->gap) + 1;
	return due > p->sent ? due - p->sent : 0;
}

/* The time that the next message is meant for. */
static inline uint64_t mr_bench_pace_next(const struct mr_bench_pace *p)
{
	return p->start + (uint64_t)((double)p->sent * p->gap);
}

/* Takes it. */
static inline uint64_t mr_bench_pace_take(struct mr_bench_pace *p)
{
	uint64_t when = mr_bench_pace_next(p);

	p->sent++;
	return when;
}

#endif
