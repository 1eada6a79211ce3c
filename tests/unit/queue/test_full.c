/* SPDX-License-Identifier: Apache-2.0 */
/* Full queues that make room by old messages, whose limits are exact, and that shrink in slices. */
#include <stdio.h>

#include "lib/wire/priority.h"
#include "tests/unit/queue/rig.h"

static struct rig r;
static uint32_t q;
static uint64_t depth_max, bytes_max;

static int setup(void **state)
{
	(void)state;
	rig_open_store(&r, 256u << 20, NULL);
	depth_max = bytes_max = UINT64_MAX;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static void make(uint8_t when_full, uint64_t messages, uint64_t bytes)
{
	r.options.when_full = when_full;
	r.options.messages_max = messages;
	r.options.bytes_max = bytes;
	q = rig_make(&r, "work");
	depth_max = messages != 0 ? messages : UINT64_MAX;
	bytes_max = bytes != 0 ? bytes : UINT64_MAX;
}

static struct mrf_table row(void)
{
	return rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work");
}

static uint64_t depth(void)
{
	struct mrf_table t = row();

	return mrf_queue_row_ready(t) + mrf_queue_row_delayed(t) + mrf_queue_row_outstanding(t);
}

static void expect_within_limits(void)
{
	assert_true(depth() <= depth_max);
	assert_true(mrf_queue_row_bytes(row()) <= bytes_max);
}

static uint64_t next_id;

static void push_promised(const char *text, unsigned level)
{
	const struct mrf_push_options options = {.priority = (uint8_t)(1 + level)};

	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = 1,
			     .text = text,
			     .publisher = 77,
			     .id = ++next_id,
			     .options = level != MR_LEVEL_NORMAL ? &options : NULL});
	rig_run(&r);
	expect_within_limits();
}

static void push(const char *text)
{
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = text});
	expect_within_limits();
}

static void edit(uint32_t edits, struct mrf_queue_options values)
{
	r.edits = edits;
	r.options = values;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
}

static void expect_content(const char *name, const char *letters)
{
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PEEK, MRF_QUEUE_KIND_QUEUE, name, 0, 0, 0), 0);
	assert_int_equal(mrf_queue_answer_messages_count(r.table), strlen(letters));
	for (uint32_t i = 0; letters[i] != '\0'; i++) {
		struct mrf_table m = mrf_queue_answer_messages_at(r.table, i);

		assert_int_equal(mrf_queue_message_row_payload(m).data[0], letters[i]);
	}
}

static void oldest_is_dropped_and_counted(void **state)
{
	static const char *const texts[] = {"a", "b", "c", "d", "e"};

	(void)state;
	next_id = 0;
	make(MRF_QUEUE_FULL_DROP_OLDEST, 3, 0);
	for (unsigned i = 0; i < 5; i++)
		push_promised(texts[i], MR_LEVEL_NORMAL);
	for (unsigned i = 0; i < 5; i++)
		rig_expect_accepted(&r, 1, i + 1, 1, MRF_STATUS_CODE_OK);
	expect_content("work", "cde");
	assert_int_equal(r.stats.drop_queue_full, 2);
	assert_int_equal(mrf_queue_row_dropped(row()), 2);
	assert_int_equal(mrf_queue_row_accepted(row()), 5);
	assert_int_equal(mrf_queue_row_refused(row()), 0);
	/* A duplicate displaces nothing, not even one of a message that was dropped. */
	next_id = 0;
	push_promised("a", MR_LEVEL_NORMAL);
	expect_content("work", "cde");
	assert_int_equal(mrf_queue_row_duplicates(row()), 1);
}

static void lowest_priority_leaves_first_also_the_new_one(void **state)
{
	(void)state;
	make(MRF_QUEUE_FULL_DROP_OLDEST, 3, 0);
	push_promised("h", 9);
	push_promised("m", 5);
	push_promised("l", 0);
	push_promised("i", 9);
	expect_content("work", "him");
	push_promised("x", 3); /* lower than all that wait */
	expect_content("work", "him");
	push_promised("n", 5);
	expect_content("work", "hin");
	assert_int_equal(mrf_queue_row_dropped(row()), 3);
	assert_int_equal(mrf_queue_row_accepted(row()), 6);
	assert_int_equal(mrf_queue_row_refused(row()), 0);
}

static void one_in_hand_is_never_dropped(void **state)
{
	uint64_t tag;

	(void)state;
	next_id = 0;
	make(MRF_QUEUE_FULL_DROP_OLDEST, 2, 0);
	rig_consume(&r, "work", 2, 2);
	push_promised("a", MR_LEVEL_NORMAL);
	push_promised("b", MR_LEVEL_NORMAL);
	tag = rig_expect(&r, 2, "a");
	rig_expect(&r, 2, "b");
	push_promised("c", MR_LEVEL_NORMAL); /* nothing waits: there is nothing to drop */
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_OK);
	rig_expect_accepted(&r, 1, 2, 1, MRF_STATUS_CODE_OK);
	rig_expect_accepted(&r, 1, 3, 1, MRF_STATUS_CODE_OVERLOADED);
	assert_int_equal(r.stats.drop_queue_full, 0);
	assert_int_equal(r.stats.refused_push_full, 1);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK, 0);
	rig_run(&r);
	push_promised("d", MR_LEVEL_NORMAL);
	rig_expect(&r, 2, "d");
}

static void bytes_are_a_limit_too(void **state)
{
	(void)state;
	make(MRF_QUEUE_FULL_DROP_OLDEST, 100, 10);
	push("aaaa");
	push("bbb");
	push("ccc");
	push("dd");
	expect_content("work", "bcd");
	push("eeeeeeeeee");
	expect_content("work", "e");
	push("fffffffffff"); /* larger than the limit: refused, and drops nothing */
	expect_content("work", "e");
	assert_int_equal(r.stats.drop_queue_full, 4);
}

static void dead_letters_take_them_with_the_reason(void **state)
{
	struct mrf_table m;
	char headers[256] = "";

	(void)state;
	make(MRF_QUEUE_FULL_DEAD_LETTER, 2, 0);
	push("a");
	push("b");
	push("c");
	push_promised("x", 0);
	expect_content("work", "bc");
	expect_content("work.dead", "ax");
	m = mrf_queue_answer_messages_at(r.table, 0);
	memcpy(headers, mrf_queue_message_row_headers(m).data,
		mrf_queue_message_row_headers(m).bytes);
	assert_non_null(strstr(headers, "Millrace-Dead-Reason: full\r\n"));
	assert_int_equal(mrf_queue_row_dead(row()), 2);
	assert_int_equal(mrf_queue_row_dropped(row()), 0);
	assert_int_equal(r.stats.drop_queue_full, 0);
	/* They come back only as room comes. */
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_REDRIVE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	rig_run(&r);
	expect_content("work", "bc");
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "b"), MRF_SETTLE_VERB_ACK, 0);
	rig_run(&r);
	rig_expect(&r, 2, "c");
	expect_content("work", "a");
}

/* Pushes one half of a message in two fragments. */
static void push_half(uint32_t message, uint32_t offset, uint64_t id)
{
	static char text[257];

	memset(text, 'f', 256);
	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = 3,
			     .text = text,
			     .id = id,
			     .flags = MRF_MESSAGE_FLAG_FRAGMENT,
			     .fragment = {.session = rig_session(3),
				     .message = message,
				     .total_bytes = 512,
				     .offset = offset}});
	rig_run(&r);
}

static void message_in_fragments_keeps_to_the_limit(void **state)
{
	static const uint8_t policies[] = {MRF_QUEUE_FULL_REFUSE, MRF_QUEUE_FULL_DROP_OLDEST};

	(void)state;
	make(MRF_QUEUE_FULL_REFUSE, 2, 0);
	for (unsigned i = 0; i < 2; i++) {
		edit(MRF_QUEUE_OPTION_WHEN_FULL,
			(struct mrf_queue_options){.when_full = policies[i]});
		push("a");
		push_half(i, 0, i + 1); /* there was room for it then */
		push("b");
		push_half(i, 256, i + 1);
		expect_within_limits();
		expect_content("work", i == 0 ? "ab" : "bf");
		rig_expect_accepted(
			&r, 3, i + 1, 1, i == 0 ? MRF_STATUS_CODE_OVERLOADED : MRF_STATUS_CODE_OK);
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work",
					 0, 0, 0),
			0);
		rig_run(&r);
	}
}

static void publish(const char *text, uint64_t id)
{
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_PUSH,
			.flags = id != 0 ? MRF_MESSAGE_FLAG_ORIGIN : 0,
			.target = q},
		.extra.origin.id = id,
		.subject = (const uint8_t *)"orders",
		.subject_bytes = 6,
		.headers = (const uint8_t *)text,
		.payload = (const uint8_t *)text,
		.payload_bytes = (uint32_t)strlen(text),
	};

	mr_queues_publish(r.queues, rig_session(1), &m, r.now_ms);
	rig_run(&r);
	expect_within_limits();
}

static void bound_queue_keeps_to_the_limit(void **state)
{
	uint64_t tag;

	(void)state;
	make(MRF_QUEUE_FULL_DROP_OLDEST, 2, 0);
	mr_queues_bind(r.queues, q, 1);
	publish("a", 0);
	publish("b", 1);
	publish("c", 2);
	publish("d", 0);
	expect_content("work", "cd");
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], 0); /* full, but nobody waits */
	assert_int_equal(r.stats.drop_queue_full, 2);
	assert_int_equal(r.stats.drop_bound_full, 0);
	rig_consume(&r, "work", 2, 2);
	rig_run(&r);
	tag = rig_expect(&r, 2, "c");
	rig_expect(&r, 2, "d");
	publish("e", 0); /* nothing waits: a plain publish is not taken */
	assert_int_equal(r.stats.drop_bound_full, 1);
	publish("f", 3); /* and a promised one, under way, is dropped; the next ones wait */
	assert_int_equal(r.stats.drop_queue_full, 3);
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], q);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK, 0);
	rig_run(&r);
	assert_int_equal(r.held[MR_QUEUE_HELD_QUEUE], 0);
	publish("g", 4);
	rig_expect(&r, 2, "g");
}

/* Fills the queue with messages, and lowers its limit to 1000. Returns the most that left in one
 * tick. */
static uint64_t lower_limit(uint32_t many, uint8_t when_full, uint64_t *ticks)
{
	uint64_t most = 0, before, left;

	make(MRF_QUEUE_FULL_REFUSE, many, 0);
	for (uint32_t i = 0; i < many; i++)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "0123456789"});
	assert_int_equal(depth(), many);
	edit(MRF_QUEUE_OPTION_WHEN_FULL | MRF_QUEUE_OPTION_MESSAGES_MAX,
		(struct mrf_queue_options){.when_full = when_full, .messages_max = 1000});
	assert_int_equal(depth(), many);
	for (*ticks = 0; depth() > 1000 && *ticks < many; (*ticks)++, r.now_ms++) {
		before = depth();
		mr_queues_tick(r.queues, r.now_ms);
		left = before - depth();
		most = left > most ? left : most;
		rig_run(&r);
	}
	assert_int_equal(depth(), 1000);
	return most;
}

static void lowered_limit_is_reached_in_slices(void **state)
{
	uint64_t ticks;

	(void)state;
	assert_in_range(lower_limit(1000000, MRF_QUEUE_FULL_DROP_OLDEST, &ticks), 1, 2048);
	assert_in_range(ticks, 400, 1000);
	assert_int_equal(r.stats.drop_queue_full, 999000);
}

static void lowered_limit_makes_dead_letters_in_slices(void **state)
{
	uint64_t ticks;

	(void)state;
	assert_in_range(lower_limit(50000, MRF_QUEUE_FULL_DEAD_LETTER, &ticks), 1, 512);
	assert_int_equal(mrf_queue_row_dead_ready(row()), 49000);
	assert_int_equal(r.stats.drop_queue_full, 0);
}

static void queue_does_not_grow_while_it_shrinks(void **state)
{
	uint64_t before;

	(void)state;
	make(MRF_QUEUE_FULL_REFUSE, 10000, 0);
	for (uint32_t i = 0; i < 10000; i++)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "0123456789"});
	edit(MRF_QUEUE_OPTION_WHEN_FULL | MRF_QUEUE_OPTION_MESSAGES_MAX,
		(struct mrf_queue_options){
			.when_full = MRF_QUEUE_FULL_DROP_OLDEST, .messages_max = 10});
	for (unsigned i = 0; i < 20; i++) {
		before = depth();
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "new"});
		assert_int_equal(depth(), before);
	}
	rig_pass(&r, 10);
	assert_int_equal(depth(), 10);
	expect_content("work", "nnnnnnnnnn");
}

static void returned_messages_beyond_a_lowered_limit_leave(void **state)
{
	(void)state;
	make(MRF_QUEUE_FULL_DROP_OLDEST, 10, 0);
	rig_consume(&r, "work", 2, 10);
	for (unsigned i = 0; i < 10; i++)
		push("a");
	rig_run(&r);
	edit(MRF_QUEUE_OPTION_MESSAGES_MAX, (struct mrf_queue_options){.messages_max = 3});
	rig_pass(&r, 5);
	assert_int_equal(depth(), 10); /* all in hand */
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work", 2, 7, 0), 0);
	rig_pass(&r, 5);
	assert_int_equal(depth(), 3);
	assert_int_equal(r.stats.drop_queue_full, 7);
}

static void pushes_that_wait_are_accepted_when_the_policy_changes(void **state)
{
	(void)state;
	next_id = 0;
	make(MRF_QUEUE_FULL_WAIT, 8, 0);
	depth_max = 9; /* a window, an eighth, beyond the limit */
	for (unsigned i = 0; i < 9; i++)
		push_promised("a", MR_LEVEL_NORMAL);
	rig_sent_forget(&r);
	edit(MRF_QUEUE_OPTION_WHEN_FULL,
		(struct mrf_queue_options){.when_full = MRF_QUEUE_FULL_DROP_OLDEST});
	rig_pass(&r, 5);
	rig_expect_accepted(&r, 1, 9, 1, MRF_STATUS_CODE_OK);
	assert_int_equal(depth(), 8);
}

/* One large message cannot make a tick long: it is refused when the work is used up, and the room
 * that was made stays. */
static void large_message_displaces_many_in_several_attempts(void **state)
{
	static char large[200001];
	unsigned attempts = 0;

	(void)state;
	make(MRF_QUEUE_FULL_DROP_OLDEST, 1000000, 60000);
	for (unsigned i = 0; i < 60000; i++)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "x"});
	assert_int_equal(mrf_queue_row_bytes(row()), 60000);
	memset(large, 'y', 50000);
	while (mrf_queue_row_bytes(row()) != 60000 - mrf_queue_row_dropped(row()) + 50000) {
		uint64_t before = mrf_queue_row_dropped(row());

		rig_pass(&r, 1);
		mr_queues_tick(r.queues, r.now_ms);
		push(large);
		assert_true(mrf_queue_row_dropped(row()) - before <= 1025);
		assert_true(++attempts < 100);
	}
	assert_in_range(attempts, 40, 60);
	assert_int_equal(r.stats.drop_queue_full, 50000);
}

static void services_wait_or_refuse(void **state)
{
	(void)state;
	r.options.when_full = MRF_QUEUE_FULL_DROP_OLDEST;
	assert_int_not_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_SERVICE, "echo", 1, 0, 0), 0);
	rig_make_service(&r, "echo");
	r.edits = MRF_QUEUE_OPTION_WHEN_FULL;
	r.options.when_full = MRF_QUEUE_FULL_DEAD_LETTER;
	assert_int_not_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_SERVICE, "echo", 0, 0, 0), 0);
}

/* Its delay ends when it becomes a dead letter, also if it keeps its place in memory. */
static void delayed_message_that_finds_no_room_is_a_dead_letter_at_once(void **state)
{
	const struct mrf_push_options later = {.delay_ms = 60000, .priority = 1};
	static char text[513];

	(void)state;
	make(MRF_QUEUE_FULL_DEAD_LETTER, 1, 0);
	push("first");
	memset(text, 'x', 512);
	for (uint32_t offset = 0; offset <= 512; offset += 512)
		rig_push(&r,
			&(struct rig_push){.queue = q,
				.client = 1,
				.text = text,
				.fragment = {.message = 3, .total_bytes = 1024, .offset = offset},
				.flags = MRF_MESSAGE_FLAG_FRAGMENT,
				.options = &later});
	rig_run(&r);
	expect_within_limits();
	assert_int_equal(mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work.dead")), 1);
	assert_int_equal(mrf_queue_row_delayed(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work.dead")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(oldest_is_dropped_and_counted),
		RIG_TEST(lowest_priority_leaves_first_also_the_new_one),
		RIG_TEST(one_in_hand_is_never_dropped),
		RIG_TEST(bytes_are_a_limit_too),
		RIG_TEST(dead_letters_take_them_with_the_reason),
		RIG_TEST(message_in_fragments_keeps_to_the_limit),
		RIG_TEST(bound_queue_keeps_to_the_limit),
		RIG_TEST(lowered_limit_is_reached_in_slices),
		RIG_TEST(lowered_limit_makes_dead_letters_in_slices),
		RIG_TEST(queue_does_not_grow_while_it_shrinks),
		RIG_TEST(returned_messages_beyond_a_lowered_limit_leave),
		RIG_TEST(pushes_that_wait_are_accepted_when_the_policy_changes),
		RIG_TEST(large_message_displaces_many_in_several_attempts),
		RIG_TEST(services_wait_or_refuse),
		RIG_TEST(delayed_message_that_finds_no_room_is_a_dead_letter_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
