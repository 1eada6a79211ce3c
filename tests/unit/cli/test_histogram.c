/* SPDX-License-Identifier: Apache-2.0 */
/* Latency histograms: buckets, percentiles, merging. */
#include "tests/unit/cli/cmocka_all.h"

#include "cli/bench/histogram.h"

static struct mr_histogram *new_histogram(void)
{
	struct mr_histogram *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	return h;
}

static void empty_histogram_has_no_percentiles(void **state)
{
	struct mr_histogram *h = new_histogram();

	(void)state;
	assert_int_equal(mr_histogram_at(h, 0.5), 0);
	assert_int_equal(mr_histogram_at(h, 1), 0);
	free(h);
}

static void small_values_are_exact(void **state)
{
	struct mr_histogram *h = new_histogram();

	(void)state;
	for (uint64_t v = 1; v <= 200; v++)
		mr_histogram_record(h, v, 1);
	assert_int_equal(mr_histogram_at(h, 0), 1);
	assert_int_equal(mr_histogram_at(h, 0.5), 100);
	assert_int_equal(mr_histogram_at(h, 0.99), 198);
	assert_int_equal(mr_histogram_at(h, 1), 200);
	assert_int_equal(h->min, 1);
	free(h);
}

static void any_value_reads_back_within_a_hundredth(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (uint64_t step = 0; step < 3; step++) {
			uint64_t value = (1ull << bit) + step * ((1ull << bit) / 3);
			struct mr_histogram *h = new_histogram();
			uint64_t read;

			mr_histogram_record(h, value, 10);
			/* Keeps max from clamping the result. */
			mr_histogram_record(h, UINT64_MAX, 1);
			read = mr_histogram_at(h, 0.5);
			assert_true(read >= value);
			assert_true(read - value <= value / 100);
			free(h);
		}
	}
}

static void buckets_follow_the_order_of_values(void **state)
{
	uint32_t before = 0;

	(void)state;
	for (uint64_t value = 0; value < 1000000; value += 1 + value / 500) {
		uint32_t bucket = mr_histogram_bucket(value);

		assert_true(bucket == before || bucket > before);
		assert_true(bucket < MR_HISTOGRAM_BUCKETS);
		before = bucket;
	}
	assert_true(mr_histogram_bucket(UINT64_MAX) == MR_HISTOGRAM_BUCKETS - 1);
}

static void no_percentile_exceeds_the_maximum(void **state)
{
	struct mr_histogram *h = new_histogram();

	(void)state;
	mr_histogram_record(h, 1000001, 5);
	assert_int_equal(mr_histogram_at(h, 0.999), 1000001);
	free(h);
}

static void merging_adds_counts_and_keeps_the_extremes(void **state)
{
	struct mr_histogram *a = new_histogram(), *b = new_histogram();

	(void)state;
	mr_histogram_record(a, 10, 3);
	mr_histogram_record(b, 5, 1);
	mr_histogram_record(b, 200, 2);
	mr_histogram_merge(a, b);
	assert_int_equal(a->total, 6);
	assert_int_equal(a->min, 5);
	assert_int_equal(a->max, 200);
	assert_int_equal(mr_histogram_at(a, 0.5), 10);
	free(a);
	free(b);
}

static void merging_nothing_changes_nothing(void **state)
{
	struct mr_histogram *a = new_histogram(), *b = new_histogram();

	(void)state;
	mr_histogram_record(a, 10, 3);
	mr_histogram_merge(a, b);
	assert_int_equal(a->total, 3);
	assert_int_equal(a->min, 10);
	free(a);
	free(b);
}

static void values_up_to_a_bound_are_counted(void **state)
{
	struct mr_histogram *h = new_histogram();

	(void)state;
	assert_int_equal(mr_histogram_up_to(h, 1000), 0);
	mr_histogram_record(h, 10, 3);
	mr_histogram_record(h, 100, 2);
	mr_histogram_record(h, 1000000, 1);
	assert_int_equal(mr_histogram_up_to(h, 9), 0);
	assert_int_equal(mr_histogram_up_to(h, 10), 3);
	assert_int_equal(mr_histogram_up_to(h, 99), 3);
	assert_int_equal(mr_histogram_up_to(h, 100), 5);
	assert_int_equal(mr_histogram_up_to(h, 990000), 5);
	assert_int_equal(mr_histogram_up_to(h, 1000000), 6);
	assert_int_equal(mr_histogram_up_to(h, UINT64_MAX), 6);
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_histogram_has_no_percentiles),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(any_value_reads_back_within_a_hundredth),
		cmocka_unit_test(buckets_follow_the_order_of_values),
		cmocka_unit_test(no_percentile_exceeds_the_maximum),
		cmocka_unit_test(merging_adds_counts_and_keeps_the_extremes),
		cmocka_unit_test(merging_nothing_changes_nothing),
		cmocka_unit_test(values_up_to_a_bound_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
