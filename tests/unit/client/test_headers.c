/* SPDX-License-Identifier: Apache-2.0 */
/* Header blocks: building, reading, malformed ones, default names. */
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
	/* A space in a name is malformed: the line is skipped. */
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

/* Each truncation is in memory of its own size, so that a sanitizer sees a step too far. */
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

/* Unreadable lines do not hide the lines after them. */
static void odd_lines_are_skipped(void **state)
{
	static const char *const odd[] = {
		" continued", "no colon", ": 2", "B : 2", "", "a b: c", "\t"};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct mr_header h;
		char block[128];
		int bytes = snprintf(
			block, sizeof(block), "NATS/1.0\r\nA: 1\r\n%s\r\nB: 2\r\n", odd[i]);

		assert_true(mr_headers_find(block, (size_t)bytes, "B", &h));
		assert_true(is(h.value, h.value_bytes, "2"));
		/* Nor does an unterminated line. */
		assert_true(mr_headers_find(block, (size_t)bytes - 2, "B", &h));
		assert_true(is(h.value, h.value_bytes, "2"));
	}
}

static const struct {
	const char *block;
	size_t bytes; /* 0: up to the NUL */
	bool fine;
} blocks[] = {
	{"NATS/1.0\r\n\r\n", 0, true},
	{"NATS/1.0 503 no responders\r\n\r\n", 0, true},
	{"NATS/1.0\r\nA: 1\r\nb-\xc3\xa4:\r\nC:  x : y \t\r\n\r\n", 0, true},
	{"NATS/1.0\r\nA: 1\r\n continued\r\n\r\n", 0, false},
	{"NATS/1.0\r\nA: 1\r\nno colon\r\n\r\n", 0, false},
	{"NATS/1.0\r\nB : 2\r\n\r\n", 0, false},
	{"NATS/1.0\r\n: 2\r\n\r\n", 0, false},
	{"NATS/1.0\r\nA: 1\r\nB: 2\r\n", 0, false},
	{"NATS/1.0\r\nA: 1\nB: 2\r\n\r\n", 0, false},
	{"NATS/1.0\r\nA: 1\rB: 2\r\n\r\n", 0, false},
	{"NATS/1.0\r\nA: 1\r\r\n\r\n", 0, false},
	{"NATS/1.0\r\n\r\nA: 1\r\n\r\n", 0, false},
	{"NATS/1.0\r\nA: 1\r\n\r\nx", 0, false},
	{"NATS/1.0x\r\nA: 1\r\n\r\n", 0, false},
	{"NATS/1.1\r\nA: 1\r\n\r\n", 0, false},
	{"nats/1.0\r\nA: 1\r\n\r\n", 0, false},
	{"NATS/1.0\nA: 1\n\nxx", 0, false},
	{"NATS/1.0\r\nA: 1\0002\r\n\r\n", 20, false},
	{"NATS/1.0\r\n\r", 0, false},
	{"\r\n\r\n", 0, false},
};

/* Sending refuses exactly what a reader would not read; every way to send checks the same. */
static void blocks_that_readers_would_not_read_are_refused(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p;
	const uint64_t token[2] = {1, 2};

	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		size_t bytes = blocks[i].bytes > 0 ? blocks[i].bytes : strlen(blocks[i].block);
		int expected = blocks[i].fine ? 0 : -EINVAL;
		/* A sanitizer sees a step too far. */
		char *block = malloc(bytes);

		memcpy(block, blocks[i].block, bytes);
		assert_int_equal(mr_publish_with(f->client, "a", block, bytes, "x", 1), expected);
		assert_int_equal(mr_publisher_send_with(p, block, bytes, "x", 1), expected);
		assert_int_equal(mr_reply_with(f->client, token, block, bytes, "x", 1), expected);
		free(block);
	}
}

static void formatted_values_are_added_whole_or_not_at_all(void **state)
{
	static const char expected[] = "NATS/1.0\r\nattempt: 7\r\nname: a b\r\n\r\n";
	/* A sanitizer sees a step too far. */
	char *memory = malloc(sizeof(expected) - 1);
	struct mr_headers h;

	(void)state;
	/* Exactly the room that is needed. */
	mr_headers_init(&h, memory, sizeof(expected) - 1);
	assert_int_equal(mr_headers_addf(&h, "attempt", "%d", 7), 0);
	assert_int_equal(mr_headers_addf(&h, "name", "%s %s", "a", "bc"), -ENOSPC);
	assert_int_equal(mr_headers_addf(&h, "a:b", "x"), -EINVAL);
	assert_int_equal(mr_headers_addf(&h, "x", "a%cb", '\n'), -EINVAL);
	assert_int_equal(mr_headers_addf(&h, "x", "a%cb", '\r'), -EINVAL);
	assert_int_equal(mr_headers_addf(&h, "x", "a%cb", 0), -EINVAL);
	assert_memory_equal(h.data, "NATS/1.0\r\nattempt: 7\r\n\r\n", h.bytes);
	assert_int_equal(mr_headers_addf(&h, "name", "%s %s", "a", "b"), 0);
	assert_int_equal(h.bytes, sizeof(expected) - 1);
	assert_memory_equal(h.data, expected, h.bytes);
	free(memory);
}

static void formatted_value_that_fits_nowhere_leaves_an_empty_block(void **state)
{
	char memory[14];
	struct mr_headers h;

	(void)state;
	for (size_t room = 0; room <= sizeof(memory); room++) {
		mr_headers_init(&h, memory, room);
		assert_int_equal(mr_headers_addf(&h, "name", "%d", 1), -ENOSPC);
		assert_int_equal(h.bytes, 0);
	}
}

static void read_headers(struct mr_client *c, const struct mr_message *m, void *arg)
{
	unsigned *count = arg;
	struct mr_header h;
	size_t bytes, cursor = 0;

	(void)c;
	assert_memory_equal(mr_message_header(m, "TRACE", &bytes), "first", 5);
	assert_int_equal(bytes, 5);
	assert_non_null(mr_message_header(m, "trace", NULL));
	assert_null(mr_message_header(m, "other", &bytes));
	assert_int_equal(bytes, 0);
	while (mr_message_header_next(m, &cursor, &h))
		++*count;
}

static void read_none(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct mr_header h;
	size_t cursor = 0;

	(void)c;
	assert_null(mr_message_header(m, "trace", NULL));
	assert_false(mr_message_header_next(m, &cursor, &h));
	++*(unsigned *)arg;
}

static void headers_of_a_message_are_read(void **state)
{
	struct fixture *f = *state;
	unsigned headers = 0, bare = 0;
	char memory[128];
	struct mr_headers h;

	mr_headers_init(&h, memory, sizeof(memory));
	assert_int_equal(mr_headers_addf(&h, "Trace", "%s", "first"), 0);
	assert_int_equal(mr_headers_add(&h, "trace", "second"), 0);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, read_headers, &headers, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "b", NULL, read_none, &bare, NULL), 0);
	assert_int_equal(mr_publish_with(f->client, "a", h.data, h.bytes, "x", 1), 0);
	assert_int_equal(mr_publish(f->client, "b", "x", 1), 0);
	PROCESS_UNTIL(f->client, headers == 2 && bare == 1);
}

/* The library returns its own name. */
static void default_name_is_made_valid(void **state)
{
	static const struct {
		const char *from, *to;
	} names[] = {{"plain", "plain"}, {"", "_"}, {"tab\there", "tab_here"}, {"\x7f\x01", "__"},
		{"\xc3\xa4\xff\xc3", "\xc3\xa4__"}, {"\xed\xa0\x80", "___"}, {"\xc2\x85x", "_x"},
		{"0123456789012345678901234567890123456789012345678901234567890123456789",
			"012345678901234567890123456789012345678901234567890123456789012"},
		{"01234567890123456789012345678901234567890123456789012345678901\xc3\xa4",
			"01234567890123456789012345678901234567890123456789012345678901"}};
	struct fixture *f = *state;
	char *before = program_invocation_short_name;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char name[128];
		struct mr_client *c;

		snprintf(name, sizeof(name), "%s", names[i].from);
		program_invocation_short_name = name;
		assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
		bus_lock(&f->bus);
		assert_string_equal(f->bus.last_name, names[i].to);
		bus_unlock(&f->bus);
		mr_close(c);
	}
	program_invocation_short_name = before;
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
		cmocka_unit_test(odd_lines_are_skipped),
		cmocka_unit_test(formatted_values_are_added_whole_or_not_at_all),
		cmocka_unit_test(formatted_value_that_fits_nowhere_leaves_an_empty_block),
		TEST(headers_of_a_message_are_read),
		TEST(blocks_that_readers_would_not_read_are_refused),
		TEST(default_name_is_made_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
