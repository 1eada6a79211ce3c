/* SPDX-License-Identifier: Apache-2.0 */
/* Accepted and refused buffers; an accepted buffer can be read to the last byte.
 *
 * Buffers lie against inaccessible pages, before and after, so that a read outside ends the test
 * with or without a sanitizer.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/unit/flatbuf/cmocka_all.h"
#include "tests/unit/flatbuf/evolution.h"
#include "tests/unit/flatbuf/sample_data.h"

#define ROOM 16384

static uint8_t *room; /* ROOM bytes between two inaccessible ranges */
static uint64_t memory[1024];
static uint64_t sum;

static int make_room(void **state)
{
	(void)state;
	uint8_t *p = mmap(NULL, 3 * ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -1;
	room = p + ROOM;
	return mprotect(room, ROOM, PROT_READ | PROT_WRITE);
}

static int drop_room(void **state)
{
	(void)state;
	return munmap(room - ROOM, 3 * ROOM);
}

/* Parses the bytes right before the inaccessible page and right after one; reads all if
 * accepted. */
static bool parse_and_walk(const uint8_t *data, size_t bytes)
{
	struct mrf_table t;
	memcpy(room, data, bytes);
	bool accepted = mrf_sample_parse(room, bytes, &t) == 0;
	if (accepted)
		sum += sample_walk(t);
	memcpy(room + ROOM - bytes, data, bytes);
	assert_int_equal(mrf_sample_parse(room + ROOM - bytes, bytes, &t), accepted ? 0 : -EBADMSG);
	if (accepted)
		sum += sample_walk(t);
	else
		assert_true(mrf_table_is_empty(t));
	return accepted;
}

static size_t make_sample(uint8_t *out_data)
{
	struct mrf_builder b;
	const void *out;
	size_t bytes;
	mrf_builder_init(&b, memory, sizeof(memory));
	assert_int_equal(mrf_builder_finish(&b, sample_write(&b), &out, &bytes), 0);
	memcpy(out_data, out, bytes);
	return bytes;
}

static void truncated_buffers_are_never_read_past_their_end(void **state)
{
	(void)state;
	static uint8_t data[8192];
	size_t bytes = make_sample(data), refused = 0;
	assert_true(parse_and_walk(data, bytes));
	for (size_t n = 0; n < bytes; n++)
		refused += !parse_and_walk(data, n);
	/* The first thing written, a tag's name, ends in at most 4 bytes that are not needed. */
	assert_in_range(refused, bytes - 4, bytes);
}

static void changed_bytes_are_never_followed_outside(void **state)
{
	(void)state;
	static uint8_t data[8192];
	size_t bytes = make_sample(data), refused = 0;
	for (size_t i = 0; i < bytes; i++) {
		uint8_t old = data[i];
		for (int bit = 0; bit < 8; bit++) {
			data[i] = (uint8_t)(old ^ (1u << bit));
			refused += !parse_and_walk(data, bytes);
		}
		for (unsigned value = 0; value < 256; value += 51) {
			data[i] = (uint8_t)value;
			refused += !parse_and_walk(data, bytes);
		}
		data[i] = old;
	}
	assert_true(refused > bytes);
	assert_true(parse_and_walk(data, bytes));
}

static void extreme_offsets_and_lengths_are_never_followed_outside(void **state)
{
	(void)state;
	static uint8_t data[8192];
	size_t bytes = make_sample(data);
	const uint32_t extremes[] = {0, 1, 4, (uint32_t)bytes, (uint32_t)bytes - 1,
		(uint32_t)bytes - 4, INT32_MAX, (uint32_t)INT32_MAX + 1, UINT32_MAX, UINT32_MAX - 3,
		UINT32_MAX / 4, UINT32_MAX / 8 + 1};
	for (size_t i = 0; i + 4 <= bytes; i++) {
		uint32_t old;
		memcpy(&old, data + i, 4);
		for (size_t j = 0; j < sizeof(extremes) / sizeof(extremes[0]); j++) {
			memcpy(data + i, &extremes[j], 4);
			parse_and_walk(data, bytes);
		}
		memcpy(data + i, &old, 4);
	}
	assert_true(parse_and_walk(data, bytes));
}

static void nothing_and_noise_are_refused(void **state)
{
	(void)state;
	struct mrf_table t;
	static uint8_t noise[256];
	assert_int_equal(mrf_leaf_parse(NULL, 0, &t), -EBADMSG);
	assert_int_equal(mrf_leaf_parse(noise, 0, &t), -EBADMSG);
	assert_int_equal(mrf_leaf_parse(noise, sizeof(noise), &t), -EBADMSG);
	memset(noise, 0xff, sizeof(noise));
	assert_int_equal(mrf_leaf_parse(noise, sizeof(noise), &t), -EBADMSG);
	assert_int_equal(mrf_leaf_value(t), 0);
}

static int parse_chain(uint32_t depth)
{
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	size_t bytes;
	struct mrf_sample v = mrf_sample_defaults();
	mrf_builder_init(&b, memory, sizeof(memory));
	for (uint32_t i = 0; i < depth; i++)
		v.parent = mrf_sample_write(&b, &v);
	assert_int_equal(mrf_builder_finish(&b, v.parent, &out, &bytes), 0);
	return mrf_sample_parse(out, bytes, &t);
}

static void tables_may_nest_64_deep_and_no_deeper(void **state)
{
	(void)state;
	assert_int_equal(parse_chain(64), 0);
	assert_int_equal(parse_chain(65), -EBADMSG);
}

/* Each level refers `width` times to the one below it. */
static int parse_shared(uint32_t depth, uint32_t width)
{
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	size_t bytes;
	uint32_t children[64];
	struct mrf_sample v = mrf_sample_defaults();
	mrf_builder_init(&b, memory, sizeof(memory));
	uint32_t level = mrf_sample_write(&b, &v);
	for (uint32_t i = 0; i < depth; i++) {
		for (uint32_t j = 0; j < width; j++)
			children[j] = level;
		v.children = children, v.children_count = width;
		level = mrf_sample_write(&b, &v);
	}
	assert_int_equal(mrf_builder_finish(&b, level, &out, &bytes), 0);
	return mrf_sample_parse(out, bytes, &t);
}

static void shared_tables_are_read_unless_they_multiply(void **state)
{
	(void)state;
	assert_int_equal(parse_shared(1, 64), 0);
	assert_int_equal(parse_shared(60, 2), -EBADMSG);
}

static void file_identifier_is_asked_of_the_root_type_only(void **state)
{
	(void)state;
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	size_t bytes;
	mrf_builder_init(&b, memory, sizeof(memory));
	uint32_t leaf = mrf_leaf_write(&b, &(struct mrf_leaf){.value = 8});
	assert_int_equal(mrf_builder_finish(&b, leaf, &out, &bytes), 0);
	assert_int_equal(mrf_sample_parse(out, bytes, &t), -EBADMSG);
	assert_int_equal(mrf_leaf_parse(out, bytes, &t), 0);
	assert_int_equal(mrf_leaf_value(t), 8);
	static uint8_t data[8192];
	bytes = make_sample(data);
	assert_memory_equal(data + 4, "SMPL", 4);
	data[4] = 's';
	assert_false(parse_and_walk(data, bytes));
}

/* Builds a table of only the given fields, as no generated writer would. */
static int parse_raw(const struct mr_fb_type *type, uint32_t id, uint8_t value)
{
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	size_t bytes;
	uint32_t at[64] = {0};
	mrf_builder_init(&b, memory, sizeof(memory));
	uint32_t begin = mr_fb_table_begin(&b);
	mr_fb_put_inline(&b, &at[id], &value, 1, 1);
	uint32_t root = mr_fb_table_end(&b, begin, at, 64);
	assert_int_equal(mrf_builder_finish(&b, root, &out, &bytes), 0);
	return mr_fb_verify(out, bytes, type, NULL, &t);
}

static void missing_required_values_are_refused(void **state)
{
	(void)state;
	enum { PAYLOAD_TYPE = 32, TAG_UNKNOWN = 5 };
	assert_int_equal(parse_raw(&mr_fb_type_tag, TAG_UNKNOWN, 1), -EBADMSG);
	assert_int_equal(parse_raw(&mr_fb_type_leaf, TAG_UNKNOWN, 1), 0);
	assert_int_equal(parse_raw(&mr_fb_type_sample, PAYLOAD_TYPE, MRF_PAYLOAD_LEAF), -EBADMSG);
	assert_int_equal(parse_raw(&mr_fb_type_sample, PAYLOAD_TYPE, MRF_PAYLOAD_NONE), 0);
	assert_int_equal(parse_raw(&mr_fb_type_sample, PAYLOAD_TYPE, 200), 0);
}

static void field_of_too_few_bytes_is_refused(void **state)
{
	(void)state;
	/* `value` is 4 bytes; the table has 1 of them. */
	assert_int_equal(parse_raw(&mr_fb_type_leaf, 0, 1), -EBADMSG);
}

static void string_without_its_nul_is_refused(void **state)
{
	(void)state;
	static uint8_t data[8192];
	size_t bytes = make_sample(data);
	uint8_t *name = memmem(data, bytes, "marked", 7);
	assert_non_null(name);
	name[6] = 'x';
	assert_false(parse_and_walk(data, bytes));
}

static void any_byte_is_a_bool(void **state)
{
	(void)state;
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	size_t bytes;
	uint32_t at[1] = {0};
	uint8_t two = 2;
	mrf_builder_init(&b, memory, sizeof(memory));
	uint32_t begin = mr_fb_table_begin(&b);
	mr_fb_put_inline(&b, &at[0], &two, 1, 1);
	uint32_t root = mr_fb_table_end(&b, begin, at, 1);
	assert_int_equal(mrf_builder_finish(&b, root, &out, &bytes), 0);
	assert_int_equal(mr_fb_verify(out, bytes, &mr_fb_type_sample, NULL, &t), 0);
	assert_true(mrf_sample_flag(t) == true);
}

static size_t write_new(struct mrf_builder *b, uint8_t type, uint32_t choice, const void **out)
{
	static const struct mrf_string labels[] = {{"x", 1}, {"y", 1}};
	size_t bytes;
	struct mrf_record_new v = mrf_record_new_defaults();
	uint32_t first = mrf_first_write(b, &(struct mrf_first){.value = 4});
	v.id = 9;
	v.name = mrf_str("new");
	v.choice_type = type;
	v.choice = choice;
	v.limit = 99;
	v.labels = labels, v.labels_count = 2;
	v.firsts = &first, v.firsts_count = 1;
	assert_int_equal(mrf_builder_finish(b, mrf_record_new_write(b, &v), out, &bytes), 0);
	return bytes;
}

static void old_reader_takes_what_it_knows_of_a_newer_buffer(void **state)
{
	(void)state;
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	mrf_builder_init(&b, memory, sizeof(memory));
	uint32_t second = mrf_second_new_write(
		&b, &(struct mrf_second_new){.text = mrf_str("both"), .extra = 5});
	size_t bytes = write_new(&b, MRF_CHOICE_NEW_SECOND_NEW, second, &out);
	assert_int_equal(mrf_record_old_parse(out, bytes, &t), 0);
	assert_int_equal(mrf_record_old_id(t), 9);
	assert_string_equal(mrf_record_old_name(t).data, "new");
	assert_false(mrf_record_old_has_gone(t));
	assert_string_equal(mrf_second_text(mrf_record_old_choice_as_second(t)).data, "both");
}

/* The other fields of the table stand before the struct, behind it, or not at all. */
static void new_reader_takes_the_members_that_an_older_struct_has(void **state)
{
	const struct mrf_counts_old counts = {.one = 1, .two = 2};
	const struct mrf_report_old reports[] = {
		{.worker = 7, .cpu = 8, .counts = &counts, .silent = 9},
		{.worker = 7, .cpu = -1, .counts = &counts},
		{.cpu = -1, .counts = &counts},
		{.cpu = -1},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
		struct mrf_builder b;
		struct mrf_table t;
		const void *out;
		size_t bytes;
		bool has = reports[i].counts != NULL;
		mrf_builder_init(&b, memory, sizeof(memory));
		uint32_t root = mrf_report_old_write(&b, &reports[i]);
		assert_int_equal(mrf_builder_finish(&b, root, &out, &bytes), 0);
		assert_int_equal(mrf_report_new_parse(out, bytes, &t), 0);
		struct mrf_counts_new read = mrf_report_new_counts(t);
		assert_int_equal(mrf_report_new_counts_bytes(t), has ? sizeof(counts) : 0);
		assert_int_equal(read.one, has ? 1 : 0);
		assert_int_equal(read.two, has ? 2 : 0);
		assert_int_equal(read.three, 0);
		assert_int_equal(read.four, 0);
		assert_int_equal(mrf_report_new_worker(t), reports[i].worker);
	}
}

static void old_reader_takes_the_members_that_it_knows_of_a_newer_struct(void **state)
{
	const struct mrf_counts_new counts = {.one = 1, .two = 2, .three = 3, .four = 4};
	const struct mrf_report_new v = {.worker = 7, .cpu = 8, .counts = &counts, .silent = 9};
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	size_t bytes;
	(void)state;
	mrf_builder_init(&b, memory, sizeof(memory));
	assert_int_equal(mrf_builder_finish(&b, mrf_report_new_write(&b, &v), &out, &bytes), 0);
	assert_int_equal(mrf_report_old_parse(out, bytes, &t), 0);
	assert_int_equal(mrf_report_old_counts_bytes(t), sizeof(struct mrf_counts_old));
	assert_int_equal(mrf_report_old_counts(t).two, 2);
	assert_int_equal(mrf_report_old_silent(t), 9);
}

static void old_reader_sees_the_type_but_not_the_body_of_a_newer_member(void **state)
{
	(void)state;
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	mrf_builder_init(&b, memory, sizeof(memory));
	uint32_t third = mrf_third_write(&b, &(struct mrf_third){.value = 5});
	size_t bytes = write_new(&b, MRF_CHOICE_NEW_THIRD, third, &out);
	assert_int_equal(mrf_record_old_parse(out, bytes, &t), 0);
	assert_int_equal(mrf_record_old_choice_type(t), MRF_CHOICE_NEW_THIRD);
	assert_null(mrf_choice_old_name(mrf_record_old_choice_type(t)));
	assert_true(mrf_record_old_has_choice(t));
	assert_true(mrf_table_is_empty(mrf_record_old_choice(t)));
	assert_int_equal(mrf_record_old_id(t), 9);
}

static void new_reader_gets_defaults_from_an_older_buffer(void **state)
{
	(void)state;
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	size_t bytes;
	mrf_builder_init(&b, memory, sizeof(memory));
	struct mrf_record_old v = {.id = 3, .name = mrf_str("old"), .gone = 77};
	v.choice_type = MRF_CHOICE_OLD_SECOND;
	v.choice = mrf_second_write(&b, &(struct mrf_second){.text = mrf_str("kept")});
	assert_int_equal(mrf_builder_finish(&b, mrf_record_old_write(&b, &v), &out, &bytes), 0);
	assert_int_equal(mrf_record_new_parse(out, bytes, &t), 0);
	assert_int_equal(mrf_record_new_id(t), 3);
	assert_string_equal(mrf_record_new_name(t).data, "old");
	struct mrf_table second = mrf_record_new_choice_as_second_new(t);
	assert_string_equal(mrf_second_new_text(second).data, "kept");
	assert_int_equal(mrf_second_new_extra(second), 0);
	assert_int_equal(mrf_record_new_limit(t), 12);
	assert_int_equal(mrf_record_new_labels_count(t), 0);
	assert_int_equal(mrf_record_new_firsts_count(t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated_buffers_are_never_read_past_their_end),
		cmocka_unit_test(changed_bytes_are_never_followed_outside),
		cmocka_unit_test(extreme_offsets_and_lengths_are_never_followed_outside),
		cmocka_unit_test(nothing_and_noise_are_refused),
		cmocka_unit_test(tables_may_nest_64_deep_and_no_deeper),
		cmocka_unit_test(shared_tables_are_read_unless_they_multiply),
		cmocka_unit_test(file_identifier_is_asked_of_the_root_type_only),
		cmocka_unit_test(missing_required_values_are_refused),
		cmocka_unit_test(field_of_too_few_bytes_is_refused),
		cmocka_unit_test(string_without_its_nul_is_refused),
		cmocka_unit_test(any_byte_is_a_bool),
		cmocka_unit_test(old_reader_takes_what_it_knows_of_a_newer_buffer),
		cmocka_unit_test(new_reader_takes_the_members_that_an_older_struct_has),
		cmocka_unit_test(old_reader_takes_the_members_that_it_knows_of_a_newer_struct),
		cmocka_unit_test(old_reader_sees_the_type_but_not_the_body_of_a_newer_member),
		cmocka_unit_test(new_reader_gets_defaults_from_an_older_buffer),
	};
	return cmocka_run_group_tests(tests, make_room, drop_room);
}
