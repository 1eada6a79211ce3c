/* SPDX-License-Identifier: Apache-2.0 */
/* pace: the times at which the messages of an open loop are due, in ticks of the bench's clock.
 *
 * Message i is due at start + i * gap, independent of the messages before it. A sender that falls
 * behind sends all due messages at once; the delay shows in the latency, which counts from the due
 * time.
 *
 * Hot path  One division per batch.
 */
#ifndef MILLRACE_CLI_BENCH_PACE_H
#define MILLRACE_CLI_BENCH_PACE_H

#include <stdint.h>

struct mr_bench_pace {
	uint64_t start;
	double gap; /* ticks from one message to the next; 0: everything is always due */
	uint64_t sent;
};

/* Starts a pace of `rate` messages per second; the first is `phase` (0 to 1) of a gap later than
 * `start`. */
static inline void mr_bench_pace_init(
	struct mr_bench_pace *p, uint64_t start, double ticks_per_second, double rate, double phase)
{
	p->gap = ticks_per_second / rate;
	p->start = start + (uint64_t)(phase * p->gap);
	p->sent = 0;
}

/* Returns the number of messages due by `now` and not taken yet. */
static inline uint64_t mr_bench_pace_due(const struct mr_bench_pace *p, uint64_t now)
{
	uint64_t due;

	if (now < p->start)
		return 0;
	due = (uint64_t)((double)(now - p->start) / p->gap) + 1;
	return due > p->sent ? due - p->sent : 0;
}

/* Returns the due time of message `number`, counted from 0. */
static inline uint64_t mr_bench_pace_at(const struct mr_bench_pace *p, uint64_t number)
{
	return p->start + (uint64_t)((double)number * p->gap);
}

/* Returns the due time of the next message. */
static inline uint64_t mr_bench_pace_next(const struct mr_bench_pace *p)
{
	return mr_bench_pace_at(p, p->sent);
}

/* Takes the next message; returns its due time. */
static inline uint64_t mr_bench_pace_take(struct mr_bench_pace *p)
{
	uint64_t when = mr_bench_pace_next(p);

	p->sent++;
	return when;
}

#endif
