/* SPDX-License-Identifier: Apache-2.0 */
/* Peek shows the messages that were asked for, whatever the queue has, and looks at few of them. */
#include <stdio.h>

#include "tests/unit/queue/rig.h"

static struct rig r;
static uint32_t work;

static int setup(void **state)
{
	(void)state;
	rig_open(&r, NULL);
	work = rig_make(&r, "work");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static void push(const char *headers, const char *text)
{
	rig_push(&r,
		&(struct rig_push){.queue = work, .client = 1, .headers = headers, .text = text});
}

/* Expects these payloads, with a space after each; asks for none again. */
static void expect_peek(const char *expected)
{
	char found[256] = "";

	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PEEK, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 16), 0);
	for (uint32_t i = 0; i < mrf_queue_answer_messages_count(r.table); i++) {
		struct mrf_bytes b =
			mrf_queue_message_row_payload(mrf_queue_answer_messages_at(r.table, i));

		strncat(found, (const char *)b.data, b.bytes < 8 ? b.bytes : 8);
		strcat(found, " ");
	}
	assert_string_equal(found, expected);
	memset(&r.match, 0, sizeof(r.match));
}

static void header_chooses(void **state)
{
	(void)state;
	push("NATS/1.0\r\nKind: fruit\r\n\r\n", "pear");
	push("NATS/1.0\r\nkind:fruit\r\ncolour: red \r\n\r\n", "apple");
	push("NATS/1.0\r\nKind: fruits\r\n\r\n", "basket");
	push(NULL, "nothing");
	r.match.headers = "KIND:fruit\n";
	expect_peek("pear apple ");
	r.match.headers = "kind: fruit\ncolour:red\n";
	expect_peek("apple ");
	r.match.headers = "kind:\n";
	expect_peek("");
	expect_peek("pear apple basket nothing ");
}

static void text_priority_and_age_choose(void **state)
{
	(void)state;
	push("NATS/1.0\r\nx: an old one\r\n\r\n", "first");
	push(NULL, "an old 1");
	rig_pass(&r, 100);
	push(NULL, "an old 2");
	rig_push(&r, &(struct rig_push){.queue = work,
			     .client = 1,
			     .text = "urgent",
			     .flags = MRF_MESSAGE_FLAG_HIGH});
	r.match.text = "old";
	expect_peek("an old 1 an old 2 ");
	r.match.text = "old";
	r.match.older_ms = 100;
	expect_peek("an old 1 ");
	r.match.level = 1 + 7;
	expect_peek("urgent ");
	r.match.first = 2;
	expect_peek("urgent first ");
	assert_int_equal(mrf_queue_answer_looked(r.table), 2);
}

static void it_looks_at_a_thousand_messages_and_says_so(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1024; i++)
		push(NULL, "x");
	push(NULL, "y");
	r.match.text = "y";
	expect_peek("");
	assert_int_equal(mrf_queue_answer_looked(r.table), 1024);
	assert_int_equal(r.count, 1025);
}

static void it_reads_a_quarter_mebibyte(void **state)
{
	static char body[60000];

	(void)state;
	memset(body, 'x', sizeof(body) - 1);
	for (unsigned i = 0; i < 20; i++)
		push(NULL, body);
	r.match.text = "y";
	expect_peek("");
	assert_int_equal(mrf_queue_answer_looked(r.table), 5);
}

static void text_is_found_in_each_fragment(void **state)
{
	static const char *const parts[] = {"aaaa", "bbbb"};
	char body[513] = "";

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		memset(body, parts[i][0], 256);
		body[256] = 0;
		rig_push(&r, &(struct rig_push){.queue = work,
				     .client = 1,
				     .text = body,
				     .flags = MRF_MESSAGE_FLAG_FRAGMENT,
				     .fragment = {.session = rig_session(1),
					     .message = 1,
					     .total_bytes = 512,
					     .offset = i * 256}});
	}
	r.match.text = "bb";
	expect_peek("aaaaaaaa ");
	r.match.text = "c";
	expect_peek("");
}

/* Those that came back stand in a heap, which keeps them. */
static void returned_messages_are_looked_at_and_stay(void **state)
{
	char text[8];
	uint64_t tags[10];

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		snprintf(text, sizeof(text), "m%u", i);
		push(NULL, text);
	}
	rig_consume(&r, "work", 2, 10);
	rig_run(&r);
	for (unsigned i = 0; i < 10; i++) {
		snprintf(text, sizeof(text), "m%u", i);
		tags[i] = rig_expect(&r, 2, text);
	}
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PAUSE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	for (unsigned i = 10; i-- > 0;)
		rig_settle(&r, 2, work, tags[i], MRF_SETTLE_VERB_RETURNED, 0);
	r.match.text = "m7";
	expect_peek("m7 ");
	expect_peek("m0 m1 m2 m3 m4 m5 m6 m7 m8 m9 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(header_chooses),
		RIG_TEST(text_priority_and_age_choose),
		RIG_TEST(it_looks_at_a_thousand_messages_and_says_so),
		RIG_TEST(it_reads_a_quarter_mebibyte),
		RIG_TEST(text_is_found_in_each_fragment),
		RIG_TEST(returned_messages_are_looked_at_and_stay),
	};

	return cmocka_run_group_tests_name("queue-peek", tests, NULL, NULL);
}
