/* SPDX-License-Identifier: Apache-2.0 */
/* Our bytes against the official implementation: flatc reads what C writes, and the other way
 * round.
 *
 * Environment: FLATC the compiler, SOURCE_DIR the folder of sample.fbs and sample.json.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/flatbuf/cmocka_all.h"
#include "tests/unit/flatbuf/sample_data.h"

struct dir {
	char path[64];
	char file[128]; /* the last one that in_dir() named */
};

static const char *in_dir(struct dir *d, const char *name)
{
	snprintf(d->file, sizeof(d->file), "%s/%s", d->path, name);
	return d->file;
}

static int make_dir(void **state)
{
	struct dir *d = calloc(1, sizeof(*d));
	snprintf(d->path, sizeof(d->path), "/tmp/mr-flatbuf-XXXXXX");
	*state = d;
	return mkdtemp(d->path) ? 0 : -1;
}

static int remove_dir(void **state)
{
	struct dir *d = *state;
	unlink(in_dir(d, "sample.bin"));
	unlink(in_dir(d, "sample.json"));
	int rc = rmdir(d->path);
	free(d);
	return rc;
}

static const char *source(const char *name)
{
	static char path[2][512];
	static unsigned turn;
	char *p = path[turn++ % 2];
	assert_non_null(getenv("SOURCE_DIR"));
	snprintf(p, sizeof(path[0]), "%s/%s", getenv("SOURCE_DIR"), name);
	return p;
}

static void run_flatc(const char *const *args)
{
	int status;
	const char *flatc = getenv("FLATC");
	assert_non_null(flatc);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execv(flatc, (char *const *)args);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void assert_json_files_equal(const char *a_path, const char *b_path)
{
	json_error_t error;
	json_t *a = json_load_file(a_path, 0, &error);
	json_t *b = json_load_file(b_path, 0, &error);
	assert_non_null(a);
	assert_non_null(b);
	assert_true(json_equal(a, b));
	json_decref(a);
	json_decref(b);
}

static void flatc_reads_what_c_writes(void **state)
{
	struct dir *d = *state;
	uint64_t memory[1024];
	struct mrf_builder b;
	const void *out;
	size_t bytes;
	mrf_builder_init(&b, memory, sizeof(memory));
	assert_int_equal(mrf_builder_finish(&b, sample_write(&b), &out, &bytes), 0);
	char bin[128];
	snprintf(bin, sizeof(bin), "%s", in_dir(d, "sample.bin"));
	FILE *f = fopen(bin, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(out, 1, bytes, f), bytes);
	fclose(f);
	run_flatc((const char *[]){"flatc", "--json", "--strict-json", "-o", d->path,
		source("sample.fbs"), "--", bin, NULL});
	assert_json_files_equal(in_dir(d, "sample.json"), source("sample.json"));
}

static void check_scalars(struct mrf_table t)
{
	assert_true(mrf_sample_flag(t));
	assert_false(mrf_sample_yes(t));
	assert_int_equal(mrf_sample_i8(t), INT8_MIN);
	assert_int_equal(mrf_sample_u8(t), UINT8_MAX);
	assert_int_equal(mrf_sample_i16(t), INT16_MIN);
	assert_int_equal(mrf_sample_u16(t), 1);
	assert_int_equal(mrf_sample_i32(t), INT32_MAX);
	assert_int_equal(mrf_sample_u32(t), UINT32_MAX);
	assert_true(mrf_sample_i64(t) == INT64_MAX);
	assert_true(mrf_sample_u64(t) == UINT64_C(81985529216486895));
	assert_true(mrf_sample_f32(t) == 0.5f);
	assert_true(mrf_sample_f64(t) == 10000000000.5);
	assert_int_equal(mrf_sample_colour(t), MRF_COLOUR_BLUE);
	assert_int_equal(mrf_sample_level(t), MRF_LEVEL_LOW);
	assert_true(mrf_sample_flags(t) == (MRF_FLAGS_FAST | MRF_FLAGS_LAST));
	assert_true(mrf_sample_has_maybe(t));
	assert_int_equal(mrf_sample_maybe(t), 0);
	assert_true(mrf_sample_maybe_real(t) == 0.25);
	assert_int_equal(mrf_http_route_port(mrf_sample_route(t)), 80);
}

static void check_vectors(struct mrf_table t)
{
	static const char *const names[] = {"", "a", "abc", "abcd"};
	assert_string_equal(mrf_sample_default(t).data, "gr\xc3\xbcn \"quoted\"");
	assert_int_equal(mrf_sample_blob(t).bytes, 5);
	assert_memory_equal(mrf_sample_blob(t).data, "\x00\x01\xfe\xff\x07", 5);
	assert_int_equal(mrf_sample_names_count(t), 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_string_equal(mrf_sample_names_at(t, i).data, names[i]);
		assert_int_equal(mrf_sample_names_at(t, i).bytes, strlen(names[i]));
	}
	assert_int_equal(mrf_sample_bools_count(t), 3);
	assert_true(mrf_sample_bools_at(t, 0) && mrf_sample_bools_at(t, 2));
	assert_false(mrf_sample_bools_at(t, 1));
	assert_int_equal(mrf_sample_i8s_at(t, 0), -1);
	assert_int_equal(mrf_sample_u16s_at(t, 1), 65535);
	assert_int_equal(mrf_sample_i32s_at(t, 0), INT32_MIN);
	assert_true(mrf_sample_u64s_at(t, 1) == UINT64_C(1311768467463790320));
	assert_true(mrf_sample_f64s_at(t, 1) == -0.125);
	assert_int_equal(mrf_sample_levels_count(t), 2);
	assert_int_equal(mrf_sample_levels_at(t, 0), MRF_LEVEL_HIGH);
}

static void check_structs(struct mrf_table t)
{
	struct mrf_probe probe = mrf_sample_probe(t);
	assert_int_equal(probe.kind, 9);
	assert_true(probe.at.x == 1 && probe.at.y == 2 && probe.at.z == 3);
	assert_true(probe.when == -5);
	assert_int_equal(probe.on, 1);
	assert_int_equal(probe.level, MRF_LEVEL_HIGH);
	assert_true(probe.corners[0].x == 1.5f && probe.corners[1].z == -1.5f);
	assert_int_equal(probe.counts[2], 30);
	assert_int_equal(probe.short_, -7);
	assert_int_equal(mrf_sample_vecs_count(t), 2);
	assert_true(mrf_sample_vecs_at(t, 1).y == -5);
	assert_int_equal(mrf_sample_keys_count(t), 1);
	assert_int_equal(mrf_sample_keys_at(t, 0).id[15], 15);
	assert_int_equal(mrf_sample_keys_at(t, 0).serial, 77);
}

static void check_tables(struct mrf_table t)
{
	assert_int_equal(mrf_leaf_value(mrf_sample_leaf(t)), -3);
	assert_int_equal(mrf_sample_tags_count(t), 2);
	assert_string_equal(mrf_tag_name(mrf_sample_tags_at(t, 0)).data, "one");
	assert_int_equal(mrf_tag_weight(mrf_sample_tags_at(t, 0)), 5);
	assert_string_equal(mrf_tag_name(mrf_sample_tags_at(t, 1)).data, "two");
	assert_int_equal(mrf_tag_weight(mrf_sample_tags_at(t, 1)), -1);
	assert_int_equal(mrf_sample_payload_type(t), MRF_PAYLOAD_MARK);
	assert_string_equal(mrf_tag_name(mrf_sample_payload(t)).data, "marked");
	assert_int_equal(mrf_tag_weight(mrf_sample_payload_as_mark(t)), 6);
	assert_true(mrf_table_is_empty(mrf_sample_payload_as_leaf(t)));
}

static void check_children(struct mrf_table t)
{
	assert_int_equal(mrf_sample_children_count(t), 3);
	struct mrf_table leaf = mrf_sample_children_at(t, 0);
	assert_int_equal(mrf_leaf_value(mrf_sample_payload_as_leaf(leaf)), 11);
	struct mrf_table nothing = mrf_sample_children_at(t, 1);
	assert_int_equal(mrf_sample_payload_type(nothing), MRF_PAYLOAD_NOTHING);
	assert_false(mrf_table_is_empty(mrf_sample_payload(nothing)));
	struct mrf_table empties = mrf_sample_children_at(t, 2);
	assert_true(mrf_sample_has_names(empties) && mrf_sample_names_count(empties) == 0);
	assert_true(mrf_sample_has_blob(empties) && mrf_sample_blob(empties).bytes == 0);
	assert_true(mrf_sample_has_default(empties));
	assert_string_equal(mrf_sample_default(empties).data, "");
}

/* Checks a table in which nothing was set. */
static void check_defaults(struct mrf_table t)
{
	assert_false(mrf_sample_flag(t));
	assert_true(mrf_sample_yes(t) && !mrf_sample_has_yes(t));
	assert_int_equal(mrf_sample_i8(t), -8);
	assert_int_equal(mrf_sample_u16(t), 65535);
	assert_int_equal(mrf_sample_i32(t), INT32_MIN);
	assert_int_equal(mrf_sample_u32(t), 7);
	assert_true(mrf_sample_i64(t) == INT64_MIN);
	assert_true(mrf_sample_u64(t) == INT64_MAX);
	assert_true(mrf_sample_f32(t) == 1.5f);
	assert_true(mrf_sample_f64(t) == -2.25);
	assert_int_equal(mrf_sample_colour(t), MRF_COLOUR_GREEN);
	assert_false(mrf_sample_has_maybe(t) || mrf_sample_has_maybe_real(t));
	assert_false(mrf_sample_has_default(t) || mrf_sample_has_blob(t));
	assert_string_equal(mrf_sample_default(t).data, "");
	assert_int_equal(mrf_sample_blob(t).bytes, 0);
	assert_int_equal(mrf_sample_names_count(t), 0);
	assert_int_equal(mrf_sample_names_at(t, 0).bytes, 0);
	assert_int_equal(mrf_sample_probe(t).when, 0);
	assert_int_equal(mrf_sample_payload_type(t), MRF_PAYLOAD_NONE);
	assert_true(mrf_table_is_empty(mrf_sample_payload(t)));
	assert_true(mrf_table_is_empty(mrf_sample_tags_at(t, 0)));
}

static void check_all(const void *buf, size_t bytes)
{
	struct mrf_table t;
	assert_int_equal(mrf_sample_parse(buf, bytes, &t), 0);
	check_scalars(t);
	check_vectors(t);
	check_structs(t);
	check_tables(t);
	check_children(t);
	assert_true(mrf_sample_has_parent(t));
	check_defaults(mrf_sample_parent(t));
	/* The parent's parent is absent: the empty table. */
	check_defaults(mrf_sample_parent(mrf_sample_parent(t)));
}

static void c_reads_what_flatc_writes(void **state)
{
	struct dir *d = *state;
	static uint8_t buf[4096];
	run_flatc((const char *[]){"flatc", "--binary", "-o", d->path, source("sample.fbs"),
		source("sample.json"), NULL});
	FILE *f = fopen(in_dir(d, "sample.bin"), "rb");
	assert_non_null(f);
	size_t bytes = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	assert_in_range(bytes, 100, sizeof(buf) - 1);
	check_all(buf, bytes);
}

static void c_reads_what_c_writes_at_any_alignment(void **state)
{
	(void)state;
	uint64_t memory[1024];
	static uint8_t copy[8192 + 8];
	struct mrf_builder b;
	const void *out;
	size_t bytes;
	mrf_builder_init(&b, memory, sizeof(memory));
	assert_int_equal(mrf_builder_finish(&b, sample_write(&b), &out, &bytes), 0);
	for (size_t skew = 0; skew < 8; skew++) {
		memcpy(copy + skew, out, bytes);
		check_all(copy + skew, bytes);
	}
}

static void names_are_those_of_the_schema(void **state)
{
	(void)state;
	assert_string_equal(mrf_colour_name(MRF_COLOUR_BLUE), "Blue");
	assert_null(mrf_colour_name(3));
	assert_string_equal(mrf_level_name(MRF_LEVEL_LOW), "Low");
	assert_string_equal(mrf_flags_name(UINT64_C(1) << 63), "Last");
	assert_string_equal(mrf_payload_name(MRF_PAYLOAD_MARK), "Mark");
}

static void members_are_listed_with_their_comments(void **state)
{
	(void)state;
	const struct mrf_member *m = mrf_probe_members;
	assert_int_equal(MRF_PROBE_MEMBERS_COUNT, 8);
	assert_string_equal(m[2].name, "when");
	assert_string_equal(m[2].text, "A member whose \"comment\" is its own, on two lines.");
	assert_int_equal(m[2].offset, offsetof(struct mrf_probe, when));
	assert_int_equal(m[2].bytes, 8);
	assert_string_equal(m[7].name, "short");
	assert_string_equal(m[7].text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(flatc_reads_what_c_writes, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(c_reads_what_flatc_writes, make_dir, remove_dir),
		cmocka_unit_test(c_reads_what_c_writes_at_any_alignment),
		cmocka_unit_test(names_are_those_of_the_schema),
		cmocka_unit_test(members_are_listed_with_their_comments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
