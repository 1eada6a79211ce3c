/* SPDX-License-Identifier: Apache-2.0 */
/* The verification of a bench's messages: order, losses, duplicates, content. */
#include "tests/unit/cli/cmocka_all.h"

#include "cli/bench/verify.h"

#define SIZES_MAX 100

static const struct mr_bench_stamp stamp = {((uint64_t)3 << 48) | 12345, 0xabcdef0123456789ull};

static void filled_payload_is_intact_at_any_size_and_alignment(void **state)
{
	uint8_t memory[SIZES_MAX + 8];

	(void)state;
	for (size_t bytes = MR_BENCH_STAMP_BYTES; bytes <= SIZES_MAX; bytes++) {
		for (size_t at = 0; at < 8; at++) {
			mr_bench_fill(memory + at, bytes, stamp, true);
			assert_true(mr_bench_is_intact(memory + at, bytes));
		}
	}
}

static void any_flipped_bit_is_found(void **state)
{
	uint8_t memory[45];

	(void)state;
	mr_bench_fill(memory, sizeof(memory), stamp, true);
	for (size_t bit = 0; bit < sizeof(memory) * 8; bit++) {
		memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(mr_bench_is_intact(memory, sizeof(memory)));
		memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(mr_bench_is_intact(memory, sizeof(memory)));
}

static void filling_writes_nothing_beyond_the_size(void **state)
{
	uint8_t memory[64];

	(void)state;
	for (size_t bytes = MR_BENCH_STAMP_BYTES; bytes < sizeof(memory); bytes++) {
		memset(memory, 0x5a, sizeof(memory));
		mr_bench_fill(memory, bytes, stamp, true);
		for (size_t i = bytes; i < sizeof(memory); i++)
			assert_int_equal(memory[i], 0x5a);
	}
}

#define ROW_STRIDE 72
#define ROW_COUNT  20

static void row_ends_where_it_is_damaged_or_another_begins(void **state)
{
	static const size_t sizes[] = {16, 17, 40, 64, 71};
	uint8_t memory[ROW_COUNT * ROW_STRIDE];

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(*sizes); i++) {
		size_t bytes = sizes[i / 2];
		bool full = i % 2 == 0;

		mr_bench_fill_row(memory, ROW_STRIDE, ROW_COUNT, bytes, stamp, full);
		assert_int_equal(
			mr_bench_row(memory, ROW_STRIDE, ROW_COUNT, bytes, full), ROW_COUNT);
		/* A sequence, a time stamp, the last byte. */
		memory[3 * ROW_STRIDE] ^= 1;
		assert_int_equal(mr_bench_row(memory, ROW_STRIDE, ROW_COUNT, bytes, full), 3);
		memory[3 * ROW_STRIDE] ^= 1;
		memory[4 * ROW_STRIDE + 15] ^= 0x80;
		assert_int_equal(mr_bench_row(memory, ROW_STRIDE, ROW_COUNT, bytes, full), 4);
		memory[4 * ROW_STRIDE + 15] ^= 0x80;
		memory[5 * ROW_STRIDE + bytes - 1] ^= 0x80;
		assert_int_equal(mr_bench_row(memory, ROW_STRIDE, ROW_COUNT, bytes, full),
			full || bytes == 16 ? 5 : ROW_COUNT);
	}
}

static void damaged_first_message_is_no_row(void **state)
{
	uint8_t memory[64];

	(void)state;
	mr_bench_fill_row(memory, 64, 1, 64, stamp, true);
	memory[30] ^= 1;
	assert_int_equal(mr_bench_row(memory, 64, 1, 64, true), 0);
}

static void stamp_has_publisher_and_sequence(void **state)
{
	(void)state;
	assert_int_equal(mr_bench_publisher_of(stamp), 3);
	assert_int_equal(mr_bench_sequence_of(stamp), 12345);
	assert_int_equal(mr_bench_who(3, 12345), stamp.who);
}

static struct mr_bench_flow take(const uint64_t *sequences, size_t count)
{
	struct mr_bench_flow f = {0};

	for (size_t i = 0; i < count; i++)
		mr_bench_flow_take(&f, sequences[i], 1);
	return f;
}

#define TAKE(...)                                                                                  \
	take((const uint64_t[]){__VA_ARGS__},                                                      \
		sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void assert_flow(const struct mr_bench_flow *f, uint64_t next, uint64_t received,
	uint64_t duplicates, uint64_t reordered)
{
	assert_int_equal(f->next, next);
	assert_int_equal(mr_bench_flow_received(f), received);
	assert_int_equal(f->duplicates, duplicates);
	assert_int_equal(f->reordered, reordered);
}

static void flow_in_order_misses_nothing(void **state)
{
	struct mr_bench_flow f = TAKE(0, 1, 2, 3);

	(void)state;
	assert_flow(&f, 4, 4, 0, 0);
}

static void rows_count_each_of_their_sequences(void **state)
{
	struct mr_bench_flow f = {0};

	(void)state;
	mr_bench_flow_take(&f, 0, 10);
	mr_bench_flow_take(&f, 15, 10);
	assert_flow(&f, 25, 20, 0, 0);
	/* Three were missing, two were not. */
	mr_bench_flow_take(&f, 12, 5);
	assert_flow(&f, 25, 23, 2, 3);
	assert_int_equal(f.missing, 2);
}

static void jumped_sequences_are_missing(void **state)
{
	struct mr_bench_flow f = TAKE(0, 5, 6);

	(void)state;
	assert_flow(&f, 7, 3, 0, 0);
	assert_int_equal(f.missing, 4);
}

static void the_first_messages_can_be_missing(void **state)
{
	struct mr_bench_flow f = TAKE(2);

	(void)state;
	assert_flow(&f, 3, 1, 0, 0);
}

static void seen_again_is_a_duplicate(void **state)
{
	struct mr_bench_flow f = TAKE(0, 1, 1, 0, 2);

	(void)state;
	assert_flow(&f, 3, 3, 2, 0);
}

static void late_messages_fill_their_hole_and_count_as_reordered(void **state)
{
	struct mr_bench_flow f = TAKE(0, 10, 5, 1, 9, 4, 6);

	(void)state;
	assert_flow(&f, 11, 7, 0, 5);
	assert_int_equal(f.missing, 4);
}

static void a_late_message_that_comes_twice_is_a_duplicate(void **state)
{
	struct mr_bench_flow f = TAKE(0, 3, 1, 1, 2, 2);

	(void)state;
	assert_flow(&f, 4, 4, 2, 2);
	assert_int_equal(f.holes_count, 0);
}

static void holes_beyond_what_is_remembered_stay_missing(void **state)
{
	struct mr_bench_flow f = {0};
	uint64_t count = MR_BENCH_HOLES_MAX + 10;

	(void)state;
	for (uint64_t i = 0; i < count; i++)
		mr_bench_flow_take(&f, 2 * i + 1, 1);
	assert_flow(&f, 2 * count, count, 0, 0);
	mr_bench_flow_take(&f, 0, 1); /* forgotten long ago */
	assert_int_equal(mr_bench_flow_received(&f), count);
	assert_int_equal(f.duplicates + f.reordered, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filled_payload_is_intact_at_any_size_and_alignment),
		cmocka_unit_test(any_flipped_bit_is_found),
		cmocka_unit_test(filling_writes_nothing_beyond_the_size),
		cmocka_unit_test(row_ends_where_it_is_damaged_or_another_begins),
		cmocka_unit_test(damaged_first_message_is_no_row),
		cmocka_unit_test(stamp_has_publisher_and_sequence),
		cmocka_unit_test(flow_in_order_misses_nothing),
		cmocka_unit_test(rows_count_each_of_their_sequences),
		cmocka_unit_test(jumped_sequences_are_missing),
		cmocka_unit_test(the_first_messages_can_be_missing),
		cmocka_unit_test(seen_again_is_a_duplicate),
		cmocka_unit_test(late_messages_fill_their_hole_and_count_as_reordered),
		cmocka_unit_test(a_late_message_that_comes_twice_is_a_duplicate),
		cmocka_unit_test(holes_beyond_what_is_remembered_stay_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
