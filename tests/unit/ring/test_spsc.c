/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of descriptors: order, bursts, wrap, done. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/ring/spsc.h"

#define ENTRIES 8u

static struct mr_descriptor numbered(uint32_t n)
{
	return (struct mr_descriptor){.buffer = (void *)(uintptr_t)(n + 1),
		.offset = n,
		.bytes = n * 3,
		.messages = n * 5,
		.source = n * 7,
		.tag = n * 11};
}

static void expect_numbered(const struct mr_descriptor *d, uint32_t n)
{
	struct mr_descriptor want = numbered(n);

	assert_memory_equal(d, &want, sizeof(want));
}

static uint32_t push_numbers(struct mr_spsc *r, uint32_t first, uint32_t count)
{
	struct mr_descriptor d[64];

	for (uint32_t i = 0; i < count; i++)
		d[i] = numbered(first + i);
	return mr_spsc_push(r, d, count);
}

/* A pop may give fewer than there are, but never none. */
static void expect_numbers(struct mr_spsc *r, uint32_t first, uint32_t count)
{
	struct mr_descriptor d[64];

	for (uint32_t got = 0; got < count;) {
		uint32_t n = mr_spsc_pop(r, &d[got], count - got);

		assert_in_range(n, 1, count - got);
		got += n;
	}
	for (uint32_t i = 0; i < count; i++)
		expect_numbered(&d[i], first + i);
}

static int setup(void **state)
{
	static struct mr_spsc r;

	*state = &r;
	return mr_spsc_init(&r, ENTRIES, UINT32_MAX - 3);
}

static int teardown(void **state)
{
	mr_spsc_fini(*state);
	return 0;
}

static void sizes_that_are_no_power_of_two_are_refused(void **state)
{
	static const uint32_t sizes[] = {0, 1, 3, 6, 1000, (1u << 30) + 1, 1u << 31, UINT32_MAX};
	struct mr_spsc r;

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_COUNT(sizes); i++)
		assert_int_equal(mr_spsc_init(&r, sizes[i], 0), -EINVAL);
}

static void smallest_ring_holds_two(void **state)
{
	struct mr_spsc r;

	(void)state;
	assert_int_equal(mr_spsc_init(&r, 2, UINT32_MAX), 0);
	assert_int_equal(push_numbers(&r, 0, 3), 2);
	expect_numbers(&r, 0, 2);
	mr_spsc_fini(&r);
}

static void pop_from_empty_ring_moves_nothing(void **state)
{
	struct mr_spsc *r = *state;
	struct mr_descriptor d = numbered(42);

	assert_true(mr_spsc_empty(r));
	assert_int_equal(mr_spsc_pop(r, &d, 1), 0);
	expect_numbered(&d, 42);
}

static void push_to_full_ring_moves_nothing(void **state)
{
	struct mr_spsc *r = *state;

	assert_int_equal(push_numbers(r, 0, ENTRIES), ENTRIES);
	assert_int_equal(mr_spsc_room(r, 1), 0);
	assert_int_equal(push_numbers(r, 100, 1), 0);
	expect_numbers(r, 0, ENTRIES);
	assert_true(mr_spsc_empty(r));
}

static void push_beyond_the_room_moves_what_fits(void **state)
{
	struct mr_spsc *r = *state;

	assert_int_equal(push_numbers(r, 0, 5), 5);
	assert_int_equal(push_numbers(r, 5, 5), 3);
	expect_numbers(r, 0, ENTRIES);
}

static void pop_of_more_than_there_is_moves_what_there_is(void **state)
{
	struct mr_spsc *r = *state;
	struct mr_descriptor d[ENTRIES];

	assert_int_equal(push_numbers(r, 0, 3), 3);
	assert_int_equal(mr_spsc_pop(r, d, ENTRIES), 3);
	for (uint32_t i = 0; i < 3; i++)
		expect_numbered(&d[i], i);
}

static void pushing_or_popping_none_moves_nothing(void **state)
{
	struct mr_spsc *r = *state;

	assert_int_equal(mr_spsc_push(r, NULL, 0), 0);
	assert_int_equal(mr_spsc_pop(r, NULL, 0), 0);
	assert_int_equal(push_numbers(r, 0, 1), 1);
	assert_int_equal(mr_spsc_pop(r, NULL, 0), 0);
	expect_numbers(r, 0, 1);
}

static void room_comes_back_as_descriptors_are_popped(void **state)
{
	struct mr_spsc *r = *state;

	assert_int_equal(mr_spsc_room(r, ENTRIES), ENTRIES);
	assert_int_equal(push_numbers(r, 0, ENTRIES), ENTRIES);
	expect_numbers(r, 0, 2);
	assert_int_equal(mr_spsc_room(r, 1), 2);
	assert_int_equal(push_numbers(r, ENTRIES, 5), 2);
	expect_numbers(r, 2, ENTRIES);
}

/* The indices wrap within the first laps, at every offset of the slots. */
static void popped_descriptors_are_done_when_the_consumer_says_so(void **state)
{
	struct mr_spsc *r = *state;
	struct mr_descriptor d[3] = {{0}};
	uint32_t tail;

	assert_int_equal(mr_spsc_push(r, d, 2), 2);
	tail = mr_spsc_tail(r);
	assert_int_equal(mr_spsc_push(r, d, 1), 1);
	assert_false(mr_spsc_is_done(r, tail));
	assert_int_equal(mr_spsc_pop(r, d, 2), 2);
	assert_false(mr_spsc_is_done(r, tail));
	mr_spsc_done(r);
	assert_true(mr_spsc_is_done(r, tail));
	assert_false(mr_spsc_is_done(r, mr_spsc_tail(r)));
	assert_int_equal(mr_spsc_pop(r, d, 1), 1);
	mr_spsc_done(r);
	assert_true(mr_spsc_is_done(r, mr_spsc_tail(r)));
}

static void order_holds_over_many_laps_and_the_wrap_of_the_indices(void **state)
{
	struct mr_spsc *r = *state;
	uint32_t in = 0, out = 0;

	for (uint32_t step = 0; step < 1000; step++) {
		uint32_t ready;

		in += push_numbers(r, in, step % (ENTRIES + 3));
		ready = in - out;
		assert_true(ready <= ENTRIES);
		if (ready > step % 5)
			ready = step % 5;
		while (ready > 0) {
			struct mr_descriptor d[ENTRIES];
			uint32_t n = mr_spsc_pop(r, d, ready);

			assert_true(n > 0 && n <= ready);
			for (uint32_t i = 0; i < n; i++)
				expect_numbered(&d[i], out++);
			ready -= n;
		}
	}
	assert_true(in > 20 * ENTRIES);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_that_are_no_power_of_two_are_refused),
		cmocka_unit_test(smallest_ring_holds_two),
		T(pop_from_empty_ring_moves_nothing),
		T(push_to_full_ring_moves_nothing),
		T(push_beyond_the_room_moves_what_fits),
		T(pop_of_more_than_there_is_moves_what_there_is),
		T(pushing_or_popping_none_moves_nothing),
		T(room_comes_back_as_descriptors_are_popped),
		T(popped_descriptors_are_done_when_the_consumer_says_so),
		T(order_holds_over_many_laps_and_the_wrap_of_the_indices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
