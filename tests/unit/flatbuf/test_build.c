/* SPDX-License-Identifier: Apache-2.0 */
/* Promises of the builder beside its bytes: bounds, errors, alignment. */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/flatbuf/cmocka_all.h"
#include "tests/unit/flatbuf/sample_data.h"

static size_t sample_bytes(void)
{
	static uint64_t memory[1024];
	struct mrf_builder b;
	const void *out;
	size_t bytes;
	mrf_builder_init(&b, memory, sizeof(memory));
	assert_int_equal(mrf_builder_finish(&b, sample_write(&b), &out, &bytes), 0);
	return bytes;
}

static void fixed_builder_takes_exactly_what_fits(void **state)
{
	(void)state;
	size_t need = sample_bytes();
	for (size_t capacity = 0; capacity <= need; capacity += 8) {
		struct mrf_builder b;
		const void *out = NULL;
		size_t bytes;
		uint8_t *memory = malloc(capacity ? capacity : 1);
		mrf_builder_init(&b, memory, capacity);
		int rc = mrf_builder_finish(&b, sample_write(&b), &out, &bytes);
		assert_int_equal(rc, capacity < need ? -ENOSPC : 0);
		if (capacity == need)
			assert_ptr_equal(out, memory);
		free(memory);
	}
}

static void failed_builder_stays_failed_until_reset(void **state)
{
	(void)state;
	uint64_t memory[8];
	struct mrf_builder b;
	const void *out;
	size_t bytes;
	mrf_builder_init(&b, memory, sizeof(memory));
	assert_int_equal(sample_write(&b), 0);
	uint32_t small = mrf_leaf_write(&b, &(struct mrf_leaf){.value = 1});
	assert_int_equal(small, 0);
	assert_int_equal(mrf_builder_finish(&b, small, &out, &bytes), -ENOSPC);
	mrf_builder_reset(&b);
	small = mrf_leaf_write(&b, &(struct mrf_leaf){.value = 1});
	assert_int_equal(mrf_builder_finish(&b, small, &out, &bytes), 0);
}

static void growing_builder_stops_at_its_bound(void **state)
{
	(void)state;
	size_t need = sample_bytes();
	struct mrf_builder b;
	const void *out;
	size_t bytes;
	assert_int_equal(mrf_builder_grow_init(&b, need - 8), 0);
	assert_int_equal(mrf_builder_finish(&b, sample_write(&b), &out, &bytes), -ENOSPC);
	mrf_builder_fini(&b);
	assert_int_equal(mrf_builder_grow_init(&b, need), 0);
	assert_int_equal(mrf_builder_finish(&b, sample_write(&b), &out, &bytes), 0);
	assert_int_equal(bytes, need);
	mrf_builder_fini(&b);
	assert_int_equal(mrf_builder_grow_init(&b, 8), -EINVAL);
}

static void growing_and_fixed_builders_write_the_same_bytes(void **state)
{
	(void)state;
	uint64_t memory[1024];
	struct mrf_builder fixed, growing;
	const void *a, *b;
	size_t a_bytes, b_bytes;
	mrf_builder_init(&fixed, memory, sizeof(memory));
	assert_int_equal(mrf_builder_grow_init(&growing, 1 << 20), 0);
	assert_int_equal(mrf_builder_finish(&fixed, sample_write(&fixed), &a, &a_bytes), 0);
	assert_int_equal(mrf_builder_finish(&growing, sample_write(&growing), &b, &b_bytes), 0);
	assert_int_equal(a_bytes, b_bytes);
	assert_memory_equal(a, b, a_bytes);
	mrf_builder_fini(&growing);
}

static void growing_builder_keeps_what_it_wrote(void **state)
{
	(void)state;
	enum { LEAVES = 5000 };
	static uint32_t tags[LEAVES];
	struct mrf_builder b;
	const void *out;
	size_t bytes;
	assert_int_equal(mrf_builder_grow_init(&b, 1 << 20), 0);
	for (int i = 0; i < LEAVES; i++)
		tags[i] = mrf_tag_write(
			&b, &(struct mrf_tag){.name = mrf_str("x"), .weight = (int16_t)i});
	struct mrf_sample v = mrf_sample_defaults();
	v.tags = tags, v.tags_count = LEAVES;
	assert_int_equal(mrf_builder_finish(&b, mrf_sample_write(&b, &v), &out, &bytes), 0);
	struct mrf_table t;
	assert_int_equal(mrf_sample_parse(out, bytes, &t), 0);
	for (uint32_t i = 0; i < LEAVES; i++)
		assert_int_equal(mrf_tag_weight(mrf_sample_tags_at(t, i)), i);
	mrf_builder_fini(&b);
}

static size_t finish_leaves(uint32_t count)
{
	static uint64_t memory[1024];
	uint32_t children[64];
	struct mrf_builder b;
	const void *out;
	size_t bytes;
	struct mrf_sample v = mrf_sample_defaults();
	mrf_builder_init(&b, memory, sizeof(memory));
	for (uint32_t i = 0; i < count; i++)
		children[i] = mrf_sample_write(&b, &v);
	v.children = children, v.children_count = count;
	assert_int_equal(mrf_builder_finish(&b, mrf_sample_write(&b, &v), &out, &bytes), 0);
	return bytes;
}

static void tables_of_one_shape_share_a_vtable(void **state)
{
	(void)state;
	/* An offset in the vector and one to the vtable: nothing else remains of an empty table. */
	assert_int_equal(finish_leaves(40) - finish_leaves(20), 20 * 8);
}

static void values_are_aligned_in_the_buffer_at_any_memory(void **state)
{
	(void)state;
	static const uint64_t wide[] = {1, 2, 3};
	uint64_t memory[64];
	for (size_t skew = 0; skew < 8; skew++) {
		struct mrf_builder b;
		struct mrf_table t;
		const void *out;
		size_t bytes;
		struct mrf_sample v = mrf_sample_defaults();
		mrf_builder_init(&b, (uint8_t *)memory + skew, sizeof(memory) - 8);
		v.default_ = mrf_str_n("abcdefg", (uint32_t)skew);
		v.u64s = wide, v.u64s_count = 3;
		v.f64 = 4;
		uint32_t root = mrf_sample_write(&b, &v);
		assert_int_equal(mrf_builder_finish(&b, root, &out, &bytes), 0);
		assert_int_equal((uintptr_t)out % 8, 0);
		assert_int_equal(bytes % 8, 0);
		assert_int_equal(mrf_sample_parse(out, bytes, &t), 0);
		assert_int_equal(mr_fb_element(t, 24, 0, 8) % 8, 0);
		assert_int_equal(mrf_sample_u64s_at(t, 2), 3);
		assert_int_equal(mr_fb_slot(t, 11) % 8, 0);
		assert_true(mrf_sample_f64(t) == 4);
	}
}

static int error_of(void (*write)(struct mrf_builder *b))
{
	uint64_t memory[512];
	struct mrf_builder b;
	const void *out;
	size_t bytes;
	mrf_builder_init(&b, memory, sizeof(memory));
	write(&b);
	return mrf_builder_finish(&b, mrf_leaf_write(&b, &(struct mrf_leaf){0}), &out, &bytes);
}

static void write_tag_without_name(struct mrf_builder *b)
{
	mrf_tag_write(b, &(struct mrf_tag){.weight = 1});
}

static void write_count_without_data(struct mrf_builder *b)
{
	mrf_sample_write(b, &(struct mrf_sample){.u64s_count = 3});
}

static void write_string_count_without_data(struct mrf_builder *b)
{
	struct mrf_string bad = {NULL, 3};
	mrf_sample_write(b, &(struct mrf_sample){.names = &bad, .names_count = 1});
}

static void write_null_reference_in_vector(struct mrf_builder *b)
{
	uint32_t none = 0;
	mrf_sample_write(b, &(struct mrf_sample){.tags = &none, .tags_count = 1});
}

static void write_reference_from_nowhere(struct mrf_builder *b)
{
	mrf_sample_write(b, &(struct mrf_sample){.leaf = 100000});
}

static void write_union_type_without_value(struct mrf_builder *b)
{
	mrf_sample_write(b, &(struct mrf_sample){.payload_type = MRF_PAYLOAD_LEAF});
}

static void write_union_value_without_type(struct mrf_builder *b)
{
	uint32_t leaf = mrf_leaf_write(b, &(struct mrf_leaf){.value = 1});
	mrf_sample_write(b, &(struct mrf_sample){.payload = leaf});
}

static void mistakes_fail_the_builder(void **state)
{
	(void)state;
	assert_int_equal(error_of(write_tag_without_name), -EINVAL);
	assert_int_equal(error_of(write_count_without_data), -EINVAL);
	assert_int_equal(error_of(write_string_count_without_data), -EINVAL);
	assert_int_equal(error_of(write_null_reference_in_vector), -EINVAL);
	assert_int_equal(error_of(write_reference_from_nowhere), -EINVAL);
	assert_int_equal(error_of(write_union_type_without_value), -EINVAL);
	assert_int_equal(error_of(write_union_value_without_type), -EINVAL);
}

static void finish_without_a_root_fails(void **state)
{
	(void)state;
	uint64_t memory[16];
	struct mrf_builder b;
	const void *out;
	size_t bytes;
	mrf_builder_init(&b, memory, sizeof(memory));
	assert_int_equal(mrf_builder_finish(&b, 0, &out, &bytes), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_builder_takes_exactly_what_fits),
		cmocka_unit_test(failed_builder_stays_failed_until_reset),
		cmocka_unit_test(growing_builder_stops_at_its_bound),
		cmocka_unit_test(growing_and_fixed_builders_write_the_same_bytes),
		cmocka_unit_test(growing_builder_keeps_what_it_wrote),
		cmocka_unit_test(tables_of_one_shape_share_a_vtable),
		cmocka_unit_test(values_are_aligned_in_the_buffer_at_any_memory),
		cmocka_unit_test(mistakes_fail_the_builder),
		cmocka_unit_test(finish_without_a_root_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
