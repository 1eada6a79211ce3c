/* SPDX-License-Identifier: Apache-2.0 */
/* Header blocks: from words of the command line, and as JSON and text. */
#include "tests/unit/cli/cmocka_all.h"

#include <errno.h>

#include "cli/headers.h"

struct fixture {
	char memory[256];
	struct mr_headers headers;
	const char *bad;
};

static int make(struct fixture *f, const char *first, const char *second)
{
	struct mr_cli_words words = {.at = {first, second}, .count = second ? 2 : 1};

	mr_headers_init(&f->headers, f->memory, sizeof(f->memory));
	return mr_cli_headers_make(&f->headers, &words, &f->bad);
}

static void words_become_a_block_that_reads_back(void **state)
{
	struct mr_header header;
	struct fixture f;

	(void)state;
	assert_int_equal(make(&f, "trace:abc", "Via: a:b"), 0);
	assert_true(mr_headers_find(f.headers.data, f.headers.bytes, "via", &header));
	assert_int_equal(header.value_bytes, 3);
	assert_memory_equal(header.value, "a:b", 3);
	assert_true(mr_headers_find(f.headers.data, f.headers.bytes, "trace", &header));
}

static void words_that_are_no_headers_are_named(void **state)
{
	static const char *const bad[] = {"", "novalue", ":x", "a b:c", "a:b\nc"};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(make(&f, "good:1", bad[i]), -EINVAL);
		assert_ptr_equal(f.bad, bad[i]);
	}
}

static void more_than_fits_is_refused(void **state)
{
	char large[300];
	struct fixture f;

	(void)state;
	memset(large, 'v', sizeof(large));
	memcpy(large, "n:", 2);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(make(&f, large, NULL), -ENOSPC);
}

static void json_gathers_values_of_a_repeated_name(void **state)
{
	struct fixture f;
	json_t *o, *values;

	(void)state;
	assert_int_equal(make(&f, "a:1", "a:2"), 0);
	o = mr_cli_headers_json(f.headers.data, f.headers.bytes);
	values = json_object_get(o, "a");
	assert_int_equal(json_array_size(values), 2);
	assert_string_equal(json_string_value(json_array_get(values, 1)), "2");
	json_decref(o);
}

static void long_values_are_not_truncated(void **state)
{
	char block[4096] = "NATS/1.0\r\nA: ";
	size_t bytes = strlen(block);
	json_t *o;

	(void)state;
	memset(block + bytes, 0xff, 1000);
	memcpy(block + bytes + 1000, "\r\n\r\n", 4);
	o = mr_cli_headers_json(block, bytes + 1004);
	assert_int_equal(strlen(json_string_value(json_object_get(o, "A"))), 4000);
	json_decref(o);
}

static void headers_are_printed_in_brackets(void **state)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	struct fixture f;

	(void)state;
	assert_int_equal(make(&f, "a:1", "b:2"), 0);
	mr_cli_headers_print(out, f.headers.data, f.headers.bytes);
	mr_cli_headers_print(out, "garbage", 7);
	fclose(out);
	assert_string_equal(text, "[a: 1, b: 2] ");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_become_a_block_that_reads_back),
		cmocka_unit_test(words_that_are_no_headers_are_named),
		cmocka_unit_test(more_than_fits_is_refused),
		cmocka_unit_test(json_gathers_values_of_a_repeated_name),
		cmocka_unit_test(long_values_are_not_truncated),
		cmocka_unit_test(headers_are_printed_in_brackets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
