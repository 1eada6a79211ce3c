/* SPDX-License-Identifier: Apache-2.0 */
/* The byte ring: records, wrap, corrupt positions, sleeping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/ring/bytes.h"
#include "tests/unit/ring/doubled.h"

#define CAPACITY 4096u
/* Twenty records of 8 bytes before the positions wrap. */
#define NEAR_WRAP (UINT64_MAX - 20 * 8 + 1)

struct fixture {
	struct mr_bytes_shared shared;
	struct mr_bytes_producer p;
	struct mr_bytes_consumer c;
	uint8_t *data;
};

static void start_at(struct fixture *f, uint64_t position)
{
	memset(&f->shared, 0, sizeof(f->shared));
	atomic_init(&f->shared.tail, position);
	atomic_init(&f->shared.head, position);
	mr_bytes_producer_init(&f->p, &f->shared, f->data, CAPACITY);
	mr_bytes_consumer_init(&f->c, &f->shared, f->data, CAPACITY);
}

static int setup(void **state)
{
	static struct fixture f;

	f.data = doubled_map(CAPACITY);
	if (f.data == NULL)
		return -1;
	start_at(&f, NEAR_WRAP);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	doubled_unmap(f->data, CAPACITY);
	return 0;
}

static bool push_filled(struct fixture *f, size_t bytes, uint8_t fill)
{
	void *to = mr_bytes_claim(&f->p, bytes);

	if (to == NULL)
		return false;
	memset(to, fill, bytes);
	mr_bytes_push(&f->p, bytes);
	return true;
}

static void expect_filled(struct fixture *f, size_t bytes, uint8_t fill)
{
	const uint8_t *at = mr_bytes_peek(&f->c);

	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(at[i], fill);
	mr_bytes_skip(&f->c, bytes);
}

static void new_ring_has_nothing_to_read_and_all_its_room(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mr_bytes_readable(&f->c), 0);
	assert_true(mr_bytes_empty(&f->c));
	assert_int_equal(mr_bytes_backlog(&f->p), 0);
	assert_non_null(mr_bytes_claim(&f->p, CAPACITY));
}

static void pushed_record_is_seen_only_after_publish(void **state)
{
	struct fixture *f = *state;

	assert_true(push_filled(f, 24, 0xa5));
	assert_int_equal(mr_bytes_readable(&f->c), 0);
	assert_false(mr_bytes_publish(&f->p));
	assert_int_equal(mr_bytes_readable(&f->c), 24);
	expect_filled(f, 24, 0xa5);
	assert_int_equal(mr_bytes_readable(&f->c), 0);
}

static void quiet_publish_shows_as_much_as_publish(void **state)
{
	struct fixture *f = *state;

	assert_true(push_filled(f, 16, 1));
	mr_bytes_publish_quiet(&f->p);
	assert_int_equal(mr_bytes_readable(&f->c), 16);
}

static void claiming_again_gives_the_same_place(void **state)
{
	struct fixture *f = *state;
	void *first = mr_bytes_claim(&f->p, 8);

	assert_ptr_equal(mr_bytes_claim(&f->p, 800), first);
	assert_int_equal(mr_bytes_backlog(&f->p), 0);
}

static void record_of_any_length_takes_a_multiple_of_eight(void **state)
{
	struct fixture *f = *state;

	for (size_t bytes = 1; bytes <= 65; bytes++) {
		assert_true(push_filled(f, bytes, (uint8_t)bytes));
		mr_bytes_publish_quiet(&f->p);
		assert_int_equal(mr_bytes_readable(&f->c), (bytes + 7) / 8 * 8);
		expect_filled(f, bytes, (uint8_t)bytes);
		mr_bytes_release(&f->c);
	}
}

static void claim_beyond_the_room_is_refused_and_changes_nothing(void **state)
{
	struct fixture *f = *state;

	assert_true(push_filled(f, CAPACITY - 16, 7));
	mr_bytes_publish_quiet(&f->p);
	assert_null(mr_bytes_claim(&f->p, 17));
	assert_null(mr_bytes_claim(&f->p, CAPACITY + 1));
	assert_null(mr_bytes_claim(&f->p, SIZE_MAX));
	assert_non_null(mr_bytes_claim(&f->p, 16));
	assert_int_equal(mr_bytes_readable(&f->c), CAPACITY - 16);
	expect_filled(f, CAPACITY - 16, 7);
}

static void room_is_looked_for_only_when_it_is_wanted(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mr_bytes_room(&f->p, 0), CAPACITY);
	assert_true(push_filled(f, CAPACITY - 16, 7));
	mr_bytes_publish_quiet(&f->p);
	assert_int_equal(mr_bytes_room(&f->p, 17), 16);
	assert_int_equal(mr_bytes_readable(&f->c), CAPACITY - 16);
	expect_filled(f, CAPACITY - 16, 7);
	mr_bytes_release(&f->c);
	assert_int_equal(mr_bytes_room(&f->p, 16), 16);
	assert_int_equal(mr_bytes_room(&f->p, 17), CAPACITY);
}

static void full_ring_takes_a_record_again_only_after_release(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < CAPACITY / 8; i++)
		assert_true(push_filled(f, 8, (uint8_t)i));
	mr_bytes_publish_quiet(&f->p);
	assert_false(push_filled(f, 8, 0));
	assert_int_equal(mr_bytes_readable(&f->c), CAPACITY);
	expect_filled(f, 8, 0);
	assert_false(push_filled(f, 8, 0));
	mr_bytes_release(&f->c);
	assert_true(push_filled(f, 8, 0xee));
	for (unsigned i = 1; i < CAPACITY / 8; i++)
		expect_filled(f, 8, (uint8_t)i);
	mr_bytes_publish_quiet(&f->p);
	assert_int_equal(mr_bytes_readable(&f->c), 8);
	expect_filled(f, 8, 0xee);
}

/* 4096 is no multiple of 24: the record's start visits every place, also the seam. */
static void record_across_the_seam_reads_straight_on(void **state)
{
	struct fixture *f = *state;
	unsigned across = 0;

	for (unsigned i = 0; i < 3 * CAPACITY / 24; i++) {
		assert_true(push_filled(f, 24, (uint8_t)(i + 1)));
		mr_bytes_publish_quiet(&f->p);
		assert_int_equal(mr_bytes_readable(&f->c), 24);
		across += mr_bytes_peek(&f->c) + 24 > f->data + CAPACITY;
		expect_filled(f, 24, (uint8_t)(i + 1));
		mr_bytes_release(&f->c);
	}
	assert_true(across >= 2);
}

static void positions_wrap_past_two_to_the_64(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 100; i++) {
		assert_true(push_filled(f, 40, (uint8_t)i));
		mr_bytes_publish_quiet(&f->p);
		assert_int_equal(mr_bytes_backlog(&f->p), 40);
		assert_int_equal(mr_bytes_readable(&f->c), 40);
		expect_filled(f, 40, (uint8_t)i);
		mr_bytes_release(&f->c);
		assert_int_equal(mr_bytes_backlog(&f->p), 0);
	}
	assert_true(atomic_load(&f->shared.tail) < NEAR_WRAP);
}

static void full_ring_stays_full_while_its_positions_wrap(void **state)
{
	struct fixture *f = *state;

	assert_true(push_filled(f, CAPACITY, 3));
	mr_bytes_publish_quiet(&f->p);
	assert_true(f->p.tail < f->c.head);
	assert_int_equal(mr_bytes_readable(&f->c), CAPACITY);
	assert_null(mr_bytes_claim(&f->p, 1));
}

static void tail_beyond_the_capacity_is_corrupt(void **state)
{
	static const uint64_t jumps[] = {
		CAPACITY + 8, CAPACITY * 2, 1ull << 32, 1ull << 63, UINT64_MAX - 7};
	struct fixture *f = *state;

	for (size_t i = 0; i < MR_ARRAY_COUNT(jumps); i++) {
		start_at(f, NEAR_WRAP);
		atomic_store(&f->shared.tail, NEAR_WRAP + jumps[i]);
		assert_true(mr_bytes_readable(&f->c) == MR_BYTES_CORRUPT);
		/* The ring stays corrupt: a peer that corrects itself has lied before. */
		atomic_store(&f->shared.tail, NEAR_WRAP);
		assert_true(mr_bytes_readable(&f->c) == MR_BYTES_CORRUPT);
	}
}

static void tail_between_two_records_is_corrupt(void **state)
{
	struct fixture *f = *state;

	for (uint64_t off = 1; off < 8; off++) {
		start_at(f, NEAR_WRAP);
		atomic_store(&f->shared.tail, NEAR_WRAP + 64 + off);
		assert_true(mr_bytes_readable(&f->c) == MR_BYTES_CORRUPT);
	}
}

static void corrupt_ring_never_lets_its_consumer_sleep(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->shared.tail, NEAR_WRAP - 8);
	assert_false(mr_bytes_sleep(&f->c));
	assert_true(mr_bytes_readable(&f->c) == MR_BYTES_CORRUPT);
}

/* Whatever head is, a granted claim lies within both mappings and the ring's room. */
static void head_that_lies_is_a_full_ring(void **state)
{
	static const uint64_t lies[] = {8, 64, 4088, CAPACITY, CAPACITY + 8, 1ull << 40, 1ull << 63,
		UINT64_MAX - 7, UINT64_MAX - CAPACITY + 1 - 8, 1, 3, UINT64_MAX};
	struct fixture *f = *state;

	for (size_t i = 0; i < MR_ARRAY_COUNT(lies); i++) {
		start_at(f, NEAR_WRAP);
		assert_true(push_filled(f, CAPACITY, 1));
		/* Ahead of the tail, behind by more than the ring, or misaligned. */
		atomic_store(&f->shared.head, f->p.tail + lies[i]);
		if (lies[i] >= UINT64_MAX - CAPACITY + 1 && lies[i] % 8 == 0)
			/* A possible head. */
			continue;
		assert_null(mr_bytes_claim(&f->p, 1));
		assert_int_equal(mr_bytes_backlog(&f->p), CAPACITY);
	}
}

static void head_between_two_records_never_lets_push_pass_the_capacity(void **state)
{
	struct fixture *f = *state;

	assert_true(push_filled(f, CAPACITY, 1));
	mr_bytes_publish_quiet(&f->p);
	atomic_store(&f->shared.head, NEAR_WRAP + 12);
	assert_null(mr_bytes_claim(&f->p, 12));
	atomic_store(&f->shared.head, NEAR_WRAP + 16);
	assert_non_null(mr_bytes_claim(&f->p, 12));
}

static void honest_head_after_a_lie_gives_room_again(void **state)
{
	struct fixture *f = *state;

	assert_true(push_filled(f, CAPACITY, 1));
	atomic_store(&f->shared.head, f->p.tail + 8);
	assert_null(mr_bytes_claim(&f->p, 8));
	atomic_store(&f->shared.head, f->p.tail - 64);
	assert_non_null(mr_bytes_claim(&f->p, CAPACITY - 64));
	assert_null(mr_bytes_claim(&f->p, CAPACITY - 63));
}

static void publish_asks_for_a_wake_only_while_the_consumer_sleeps(void **state)
{
	struct fixture *f = *state;

	assert_true(push_filled(f, 8, 1));
	assert_false(mr_bytes_publish(&f->p));
	assert_int_equal(mr_bytes_readable(&f->c), 8);
	mr_bytes_skip(&f->c, 8);
	assert_true(mr_bytes_sleep(&f->c));
	assert_true(push_filled(f, 8, 2));
	assert_true(mr_bytes_publish(&f->p));
	mr_bytes_wake(&f->c);
	assert_true(push_filled(f, 8, 3));
	assert_false(mr_bytes_publish(&f->p));
}

static void consumer_with_something_to_read_must_not_sleep(void **state)
{
	struct fixture *f = *state;

	assert_true(push_filled(f, 8, 1));
	mr_bytes_publish(&f->p);
	assert_false(mr_bytes_empty(&f->c));
	assert_false(mr_bytes_sleep(&f->c));
	/* The consumer announced its sleep and took that back: no wake. */
	assert_false(mr_bytes_publish(&f->p));
}

static void skipped_record_does_not_keep_the_consumer_awake(void **state)
{
	struct fixture *f = *state;

	assert_true(push_filled(f, 8, 1));
	mr_bytes_publish(&f->p);
	assert_int_equal(mr_bytes_readable(&f->c), 8);
	mr_bytes_skip(&f->c, 8);
	assert_true(mr_bytes_empty(&f->c));
	assert_true(mr_bytes_sleep(&f->c));
}

static void flag_outside_the_ring_tells_the_producer_too(void **state)
{
	struct fixture *f = *state;
	_Atomic uint32_t asleep = 0;

	f->p.asleep = &asleep;
	assert_false(mr_bytes_publish(&f->p));
	atomic_store(&asleep, 1);
	assert_true(mr_bytes_publish(&f->p));
	atomic_store(&asleep, 0);
	atomic_store(&f->shared.asleep, 1);
	assert_false(mr_bytes_publish(&f->p));
}

static void release_wakes_a_waiting_producer_once_a_quarter(void **state)
{
	struct fixture *f = *state;
	unsigned rung = 0;

	mr_bytes_want_bell(&f->p, true);
	for (unsigned i = 0; i < 4 * CAPACITY / 64; i++) {
		assert_true(push_filled(f, 64, 1));
		mr_bytes_publish_quiet(&f->p);
		assert_int_equal(mr_bytes_readable(&f->c), 64);
		mr_bytes_skip(&f->c, 64);
		rung += mr_bytes_release(&f->c);
	}
	assert_int_equal(rung, 16);
}

static void release_wakes_no_producer_when_none_waits(void **state)
{
	struct fixture *f = *state;

	mr_bytes_want_bell(&f->p, true);
	mr_bytes_want_bell(&f->p, false);
	assert_true(push_filled(f, CAPACITY, 1));
	mr_bytes_publish_quiet(&f->p);
	assert_int_equal(mr_bytes_readable(&f->c), CAPACITY);
	mr_bytes_skip(&f->c, CAPACITY);
	assert_false(mr_bytes_release(&f->c));
}

static void new_consumer_goes_on_at_the_first_record_not_released(void **state)
{
	struct fixture *f = *state;

	assert_true(push_filled(f, 8, 1) && push_filled(f, 8, 2) && push_filled(f, 8, 3));
	mr_bytes_publish(&f->p);
	assert_int_equal(mr_bytes_readable(&f->c), 24);
	expect_filled(f, 8, 1);
	mr_bytes_release(&f->c);
	/* Read and not released: it comes again. */
	expect_filled(f, 8, 2);
	mr_bytes_consumer_init(&f->c, &f->shared, f->data, CAPACITY);
	assert_int_equal(mr_bytes_readable(&f->c), 16);
	expect_filled(f, 8, 2);
	expect_filled(f, 8, 3);
}

static void new_producer_goes_on_behind_the_last_record_published(void **state)
{
	struct fixture *f = *state;

	assert_true(push_filled(f, CAPACITY - 8, 1));
	mr_bytes_publish(&f->p);
	assert_true(push_filled(f, 8, 2)); /* never published */
	mr_bytes_producer_init(&f->p, &f->shared, f->data, CAPACITY);
	assert_true(push_filled(f, 8, 3));
	mr_bytes_publish(&f->p);
	assert_false(push_filled(f, 8, 4));
	assert_int_equal(mr_bytes_readable(&f->c), CAPACITY);
	expect_filled(f, CAPACITY - 8, 1);
	expect_filled(f, 8, 3);
}

static void new_producer_on_spoilt_positions_finds_a_full_ring(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->shared.tail, 5);
	atomic_store(&f->shared.head, 1ull << 40);
	mr_bytes_producer_init(&f->p, &f->shared, f->data, CAPACITY);
	assert_null(mr_bytes_claim(&f->p, 1));
	assert_int_equal(mr_bytes_backlog(&f->p), CAPACITY);
}

static void new_consumer_on_spoilt_positions_finds_a_corrupt_ring(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->shared.tail, 1ull << 40);
	atomic_store(&f->shared.head, 5);
	mr_bytes_consumer_init(&f->c, &f->shared, f->data, CAPACITY);
	assert_true(mr_bytes_readable(&f->c) == MR_BYTES_CORRUPT);
	assert_true((uintptr_t)mr_bytes_peek(&f->c) % 8 == 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(new_ring_has_nothing_to_read_and_all_its_room),
		T(pushed_record_is_seen_only_after_publish),
		T(quiet_publish_shows_as_much_as_publish),
		T(claiming_again_gives_the_same_place),
		T(record_of_any_length_takes_a_multiple_of_eight),
		T(claim_beyond_the_room_is_refused_and_changes_nothing),
		T(room_is_looked_for_only_when_it_is_wanted),
		T(full_ring_takes_a_record_again_only_after_release),
		T(record_across_the_seam_reads_straight_on),
		T(positions_wrap_past_two_to_the_64),
		T(full_ring_stays_full_while_its_positions_wrap),
		T(tail_beyond_the_capacity_is_corrupt),
		T(tail_between_two_records_is_corrupt),
		T(corrupt_ring_never_lets_its_consumer_sleep),
		T(head_that_lies_is_a_full_ring),
		T(head_between_two_records_never_lets_push_pass_the_capacity),
		T(honest_head_after_a_lie_gives_room_again),
		T(publish_asks_for_a_wake_only_while_the_consumer_sleeps),
		T(consumer_with_something_to_read_must_not_sleep),
		T(skipped_record_does_not_keep_the_consumer_awake),
		T(flag_outside_the_ring_tells_the_producer_too),
		T(release_wakes_a_waiting_producer_once_a_quarter),
		T(release_wakes_no_producer_when_none_waits),
		T(new_consumer_goes_on_at_the_first_record_not_released),
		T(new_producer_goes_on_behind_the_last_record_published),
		T(new_producer_on_spoilt_positions_finds_a_full_ring),
		T(new_consumer_on_spoilt_positions_finds_a_corrupt_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
