/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of the subject tables: its items, the memory that it counts, refusals. */
#include "tests/unit/subject/rig.h"

#include "lib/base/memory.h"
#include "dataplane/subject/pool.h"

#define ITEM_BYTES 24
#define ITEMS      1000

static void items_are_zeroed_numbered_and_do_not_move(void **state)
{
	struct mr_pool p;
	uint8_t *at[ITEMS + 1];
	uint8_t zero[ITEM_BYTES] = {0};

	(void)state;
	assert_int_equal(mr_pool_init(&p, ITEM_BYTES, ITEMS, false), 0);
	for (uint32_t i = 1; i <= ITEMS; i++) {
		assert_int_equal(mr_pool_alloc(&p), i);
		at[i] = mr_pool_at(&p, i);
		assert_memory_equal(at[i], zero, ITEM_BYTES);
		memset(at[i], (int)i, ITEM_BYTES);
	}
	assert_int_equal(mr_pool_alloc(&p), 0);
	for (uint32_t i = 1; i <= ITEMS; i++) {
		assert_ptr_equal(mr_pool_at(&p, i), at[i]);
		assert_int_equal(at[i][0], i & 0xff);
		assert_int_equal(at[i][ITEM_BYTES - 1], i & 0xff);
	}
	mr_pool_free(&p, 7);
	mr_pool_free(&p, ITEMS);
	assert_int_equal(p.used, ITEMS - 2);
	assert_int_equal(mr_pool_alloc(&p), ITEMS);
	assert_memory_equal(mr_pool_at(&p, ITEMS), zero, ITEM_BYTES);
	assert_int_equal(mr_pool_alloc(&p), 7);
	assert_int_equal(mr_pool_alloc(&p), 0);
	mr_pool_fini(&p);
}

static void memory_is_counted_as_far_as_it_was_used(void **state)
{
	struct mr_pool p;

	(void)state;
	assert_int_equal(mr_pool_init(&p, 4096, 1u << 20, false), 0);
	assert_in_range(mr_pool_memory_bytes(&p), 0, 4096);
	for (int i = 0; i < 10; i++)
		assert_int_not_equal(mr_pool_alloc(&p), 0);
	assert_int_equal(mr_pool_memory_bytes(&p), 11 * 4096);
	mr_pool_fini(&p);
	assert_int_equal(mr_pool_init(&p, 64, 1u << 20, true), 0);
	assert_int_not_equal(mr_pool_alloc(&p), 0);
	assert_int_equal(mr_pool_memory_bytes(&p), MR_MEMORY_HUGE_BYTES);
	assert_int_equal((uintptr_t)p.items % MR_MEMORY_HUGE_BYTES, 0);
	mr_pool_fini(&p);
}

static void reservation_without_memory_is_refused(void **state)
{
	(void)state;
	assert_null(mr_memory_map(1ull << 62, false));
	mr_memory_unmap(NULL, 1 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_are_zeroed_numbered_and_do_not_move),
		cmocka_unit_test(memory_is_counted_as_far_as_it_was_used),
		cmocka_unit_test(reservation_without_memory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
