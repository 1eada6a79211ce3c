/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fixture.h"

static bool is(const char *text, size_t bytes, const char *expected)
{
	return bytes == strlen(expected) && memcmp(text, expected, bytes) == 0;
}

static void block_is_written_as_the_format_says(void **state)
{
	struct mr_headers h;
	char memory[64];

	(void)state;
	mr_headers_init(&h, memory, sizeof(memory));
	assert_int_equal(h.bytes, 0);
	assert_int_equal(mr_headers_add(&h, "A", "1"), 0);
	assert_int_equal(mr_headers_add(&h, "Bee", ""), 0);
	assert_true(is(h.data, h.bytes, "NATS/1.0\r\nA: 1\r\nBee: \r\n\r\n"));
}

static void block_that_is_full_stays_as_it_was(void **state)
{
	static const char whole[] = "NATS/1.0\r\nA: 1\r\n\r\n";
	char memory[sizeof(whole) - 1 + 5];
	struct mr_headers h;

	(void)state;
	mr_headers_init(&h, memory, sizeof(whole) - 2);
	assert_int_equal(mr_headers_add(&h, "A", "1"), -ENOSPC);
	assert_int_equal(h.bytes, 0);
	mr_headers_init(&h, memory, sizeof(memory));
	assert_int_equal(mr_headers_add(&h, "A", "1"), 0);
	assert_int_equal(mr_headers_add(&h, "B", "2"), -ENOSPC);
	assert_true(is(h.data, h.bytes, whole));
}

static void names_and_values_that_would_break_the_block_are_refused(void **state)
{
	struct mr_headers h;
	char memory[64];

	(void)state;
	mr_headers_init(&h, memory, sizeof(memory));
	assert_int_equal(mr_headers_add(&h, "", "1"), -EINVAL);
	assert_int_equal(mr_headers_add(&h, "a:b", "1"), -EINVAL);
	assert_int_equal(mr_headers_add(&h, "a b", "1"), -EINVAL);
	assert_int_equal(mr_headers_add(&h, "a\n", "1"), -EINVAL);
	assert_int_equal(mr_headers_add(&h, "a", "1\r\nb: 2"), -EINVAL);
	assert_int_equal(h.bytes, 0);
}

static void iteration_gives_every_header_once(void **state)
{
	static const char block[] =
		"NATS/1.0 503 none\r\nA:1\r\nb :x\r\nB: two words \r\nA: 3\r\n\r\n";
	struct mr_header h;
	size_t cursor = 0;

	(void)state;
	assert_true(mr_headers_next(block, sizeof(block) - 1, &cursor, &h));
	assert_true(is(h.name, h.name_bytes, "A") && is(h.value, h.value_bytes, "1"));
	/* A space in a name makes no sense. */
	assert_false(mr_headers_next(block, sizeof(block) - 1, &cursor, &h));
	assert_true(mr_headers_next(block, sizeof(block) - 1, &cursor, &h));
	assert_true(is(h.name, h.name_bytes, "B") && is(h.value, h.value_bytes, "two words"));
	assert_true(mr_headers_next(block, sizeof(block) - 1, &cursor, &h));
	assert_true(is(h.value, h.value_bytes, "3"));
	assert_false(mr_headers_next(block, sizeof(block) - 1, &cursor, &h));
}

static void header_is_found_without_regard_to_case(void **state)
{
	static const char block[] = "NATS/1.0\r\nTrace: 1\r\ntrace: 2\r\n\r\n";
	struct mr_header h;

	(void)state;
	assert_true(mr_headers_find(block, sizeof(block) - 1, "TRACE", &h));
	assert_true(is(h.value, h.value_bytes, "1"));
	assert_false(mr_headers_find(block, sizeof(block) - 1, "trac", &h));
	assert_false(mr_headers_find(NULL, 0, "trace", &h));
}

/* Each cut is in memory of its own size, so that a sanitizer sees a step too far. */
static void truncated_blocks_are_read_within_their_bounds(void **state)
{
	static const char block[] = "NATS/1.0\r\nTrace: 1\r\nB: 2\r\n\r\n";

	(void)state;
	for (size_t bytes = 1; bytes < sizeof(block); bytes++) {
		char *cut = malloc(bytes);
		unsigned count = 0;
		size_t cursor = 0;
		struct mr_header h;

		memcpy(cut, block, bytes);
		while (mr_headers_next(cut, bytes, &cursor, &h))
			count++;
		assert_true(count <= 2);
		assert_true(cursor <= bytes);
		free(cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block_is_written_as_the_format_says),
		cmocka_unit_test(block_that_is_full_stays_as_it_was),
		cmocka_unit_test(names_and_values_that_would_break_the_block_are_refused),
		cmocka_unit_test(iteration_gives_every_header_once),
		cmocka_unit_test(header_is_found_without_regard_to_case),
		cmocka_unit_test(truncated_blocks_are_read_within_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
