/* SPDX-License-Identifier: Apache-2.0 */
/* histogram: counts of 64-bit values in log-linear buckets: 128 for each power of two, so that a
 * value read back is at most 0.8 % too large. Values below 256 are exact.
 *
 * Owns      Nothing but the caller's struct. All zero bytes are an empty histogram.
 * Threads   One at a time.
 * Hot path  record: no call, no division.
 */
#ifndef MILLRACE_CLI_BENCH_HISTOGRAM_H
#define MILLRACE_CLI_BENCH_HISTOGRAM_H

#include <stdint.h>

#define MR_HISTOGRAM_LINEAR_BITS 7
#define MR_HISTOGRAM_BUCKETS     ((64 - MR_HISTOGRAM_LINEAR_BITS + 1) << MR_HISTOGRAM_LINEAR_BITS)

struct mr_histogram {
	uint64_t total;
	uint64_t max;
	uint64_t min; /* valid while total > 0 */
	uint64_t counts[MR_HISTOGRAM_BUCKETS];
};

static inline uint32_t mr_histogram_bucket(uint64_t value)
{
	unsigned top = 63 - (unsigned)__builtin_clzll(value | (1u << MR_HISTOGRAM_LINEAR_BITS));
	unsigned shift = top - MR_HISTOGRAM_LINEAR_BITS;

	return (shift << MR_HISTOGRAM_LINEAR_BITS) + (uint32_t)(value >> shift);
}

static inline void mr_histogram_record(struct mr_histogram *h, uint64_t value, uint64_t times)
{
	if (h->total == 0 || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->total += times;
	h->counts[mr_histogram_bucket(value)] += times;
}

/* Returns the upper end of the bucket of the `quantile` (0 to 1); 0 if empty. */
uint64_t mr_histogram_at(const struct mr_histogram *h, double quantile);
/* Returns how many values are at most `value`, to the width of a bucket. */
uint64_t mr_histogram_up_to(const struct mr_histogram *h, uint64_t value);
void mr_histogram_merge(struct mr_histogram *into, const struct mr_histogram *from);

#endif
