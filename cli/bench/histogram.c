/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/histogram.h"

/* Returns the largest value of a bucket. */
static uint64_t bucket_end(uint32_t bucket)
{
	uint32_t linear = 1u << MR_HISTOGRAM_LINEAR_BITS;
	uint32_t shift;

	if (bucket < 2 * linear)
		return bucket;
	shift = bucket / linear - 1;
	return (((uint64_t)(bucket % linear + linear) + 1) << shift) - 1;
}

uint64_t mr_histogram_at(const struct mr_histogram *h, double quantile)
{
	double exact = quantile * (double)h->total;
	uint64_t rank = (uint64_t)exact;
	uint64_t seen = 0;

	if (h->total == 0)
		return 0;
	rank += (double)rank < exact; /* the first rank that is not below the quantile */
	rank += rank == 0;
	for (uint32_t i = 0; i < MR_HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (seen >= rank) {
			uint64_t value = bucket_end(i);

			return value < h->max ? value : h->max;
		}
	}
	return h->max;
}

uint64_t mr_histogram_up_to(const struct mr_histogram *h, uint64_t value)
{
	uint64_t count = 0;

	if (value >= h->max)
		return h->total;
	for (uint32_t i = 0; bucket_end(i) <= value; i++)
		count += h->counts[i];
	return count;
}

void mr_histogram_merge(struct mr_histogram *into, const struct mr_histogram *from)
{
	if (from->total == 0)
		return;
	if (into->total == 0 || from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
	into->total += from->total;
	for (uint32_t i = 0; i < MR_HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
}
