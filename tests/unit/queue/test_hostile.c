/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile use of queues: forged tags, exhausted tables, large clean-ups. */
#include <errno.h>
#include <stdio.h>

#include "tests/unit/queue/rig.h"

static struct rig r;

static int setup(void **state)
{
	(void)state;
	rig_open(&r, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static uint64_t deliver_one(uint32_t *q)
{
	*q = rig_make(&r, "work");
	rig_consume(&r, "work", 2, 1);
	rig_push(&r, &(struct rig_push){.queue = *q, .client = 1, .text = "x"});
	rig_run(&r);
	return rig_expect(&r, 2, "x");
}

static void second_ack_is_ignored(void **state)
{
	uint32_t q;
	uint64_t tag = deliver_one(&q);

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(r.stats.queue_acked, 1);
	assert_int_equal(r.stats.bad_tags, 9);
}

/* The next delivery uses the same place of the table. */
static void old_tag_does_not_settle_the_next_delivery(void **state)
{
	uint32_t q;
	uint64_t tag = deliver_one(&q), next;

	(void)state;
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK, 0);
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "y"});
	rig_run(&r);
	next = rig_expect(&r, 2, "y");
	assert_int_equal(next >> 32, tag >> 32);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK_UP_TO, 0);
	assert_int_equal(r.stats.queue_acked, 1);
	assert_int_equal(r.stats.bad_tags, 1);
}

static void tags_of_others_and_guesses_are_ignored(void **state)
{
	uint32_t q;
	uint64_t tag = deliver_one(&q);
	uint64_t tries = 0;

	(void)state;
	rig_settle(&r, 3, q, tag, MRF_SETTLE_VERB_ACK, 0);
	rig_settle(&r, 2, q ^ 1, tag, MRF_SETTLE_VERB_ACK, 0);
	rig_settle(&r, 2, 0, tag, MRF_SETTLE_VERB_ACK, 0);
	rig_settle(&r, 2, q, 0, MRF_SETTLE_VERB_ACK, 0);
	rig_settle(&r, 2, q, UINT64_MAX, MRF_SETTLE_VERB_ACK, 0);
	rig_settle(&r, 2, q, tag, (enum mrf_settle_verb)77, 0);
	for (unsigned bit = 0; bit < 64; bit++, tries++)
		rig_settle(&r, 2, q, tag ^ 1ull << bit, MRF_SETTLE_VERB_REJECT, 0);
	assert_int_equal(r.stats.bad_tags, 6 + tries);
	assert_int_equal(r.stats.queue_acked + r.stats.queue_dead, 0);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(r.stats.queue_acked, 1);
}

static void delay_without_end_is_a_long_delay(void **state)
{
	uint32_t q;
	uint64_t tag = deliver_one(&q);

	(void)state;
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_REQUEUE, UINT32_MAX);
	rig_pass(&r, 100000);
	assert_int_equal(mrf_queue_row_delayed(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 1);
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(mrf_queue_row_delayed(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 0);
}

static void settle_of_odd_length_is_refused(void **state)
{
	uint8_t bytes[40] = {0};
	struct mr_message_view m = {.header = {.kind = MRF_MESSAGE_KIND_SETTLE}, .payload = bytes};

	(void)state;
	for (uint32_t n = 0; n <= sizeof(bytes); n++) {
		m.payload_bytes = n;
		mr_queues_settle(r.queues, rig_session(2), &m, r.now_ms);
	}
	assert_int_equal(r.stats.drop_bad_message, sizeof(bytes) + 1 - 2);
	assert_int_equal(r.stats.bad_tags, 3);
}

static void unknown_queues_are_refused(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	for (unsigned bit = 0; bit < 32; bit++)
		rig_push(&r, &(struct rig_push){
				     .queue = q ^ 1u << bit, .client = 1, .text = "x", .id = 1});
	rig_push(&r, &(struct rig_push){.queue = UINT32_MAX, .client = 1, .text = "x"});
	rig_push(&r, &(struct rig_push){.queue = 0, .client = 1, .text = "x"});
	assert_int_equal(r.stats.refused_push_unknown, 34);
	assert_int_equal(r.stats.pushed, 0);
}

static void session_with_a_publisher_a_push_leaves_room_for_others(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	for (uint64_t publisher = 1; publisher <= 1000; publisher++) {
		rig_push(&r, &(struct rig_push){.queue = q,
				     .client = 1,
				     .text = "x",
				     .publisher = publisher << 44,
				     .id = 1});
		rig_pass(&r, 10);
	}
	assert_int_equal(r.stats.pushed, r.c.publishers_max - 1);
	assert_int_equal(r.stats.refused_push_full, 1000 - r.stats.pushed);
	rig_push(&r,
		&(struct rig_push){.queue = q, .client = 3, .text = "x", .publisher = 5, .id = 1});
	rig_run(&r);
	rig_expect_accepted(&r, 3, 1, 1, MRF_STATUS_CODE_OK);
}

static void session_that_opens_a_million_queues_gets_a_few(void **state)
{
	char name[32];
	unsigned made = 0;
	uint64_t bytes;

	(void)state;
	bytes = mr_slab_bytes(r.store);
	for (unsigned i = 0; i < 1000000; i++) {
		sprintf(name, "queue.%u", i);
		made += rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name, 5, 0, 0) ==
			0;
	}
	assert_int_equal(made, 16);
	assert_int_equal(r.code, -ENOSPC);
	assert_int_equal(r.stats.refused_queue_room, 1000000 - 16);
	assert_true(mr_slab_bytes(r.store) <= bytes + (512u << 10));
	/* Others are not affected, and it may go on when some are settled. */
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "other", 6, 0, 0), 0);
	rig_pass(&r, 10001);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "again", 5, 0, 0), 0);
}

static void all_sessions_together_make_no_more_than_there_is_room_for(void **state)
{
	char name[32];
	unsigned made = 0;

	(void)state;
	for (unsigned client = 1; client < 10; client++)
		for (unsigned i = 0; i < 20; i++) {
			sprintf(name, "queue.%u.%u", client, i);
			made += rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name,
					client, 0, 0) == 0;
		}
	assert_int_equal(made, 64);
}

static void session_that_consumes_a_million_times_gets_a_few(void **state)
{
	unsigned made = 0;

	(void)state;
	rig_make(&r, "work");
	for (uint32_t i = 1; i < 10000; i++)
		made += rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, "work", 5, i,
				1) == 0;
	assert_int_equal(made, 16);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, "work", 6, 1, 1), 0);
}

static void subscription_of_one_queue_is_none_of_another(void **state)
{
	(void)state;
	rig_make(&r, "one");
	rig_make(&r, "two");
	rig_consume(&r, "one", 2, 1);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, "two", 2, 7, 1),
		-EEXIST);
	assert_int_equal(r.stats.refused_consumer_again, 1);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, "two", 2, 0, 1),
		-EINVAL);
}

static void options_and_names_that_make_no_sense_are_refused(void **state)
{
	char name[252] = {0};

	(void)state;
	r.options.policy = 77;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "a", 1, 0, 0), -EINVAL);
	r.options.when_full = 77;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "a", 1, 0, 0), -EINVAL);
	r.options.messages_max = UINT64_MAX;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "a", 1, 0, 0), -EINVAL);
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_OPEN, (enum mrf_queue_kind)9, "a", 1, 0, 0),
		-EINVAL);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "", 1, 0, 0), -EINVAL);
	memset(name, 'n', sizeof(name) - 1);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name, 1, 0, 0), -EINVAL);
	name[250] = '\0';
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name, 1, 0, 0), 0);
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "a.*", 1, 0, 0),
		-EINVAL);
	assert_int_equal(
		rig_command(&r, (enum mrf_queue_verb)99, MRF_QUEUE_KIND_QUEUE, "a", 1, 0, 0),
		-EINVAL);
}

static void consumer_that_delays_everything_stops_no_other(void **state)
{
	uint32_t q, other;
	unsigned delayed = 0;

	(void)state;
	teardown(NULL);
	rig_open_store(
		&r, 4u << 20, NULL); /* few deliveries, so that half of them is soon reached */
	r.options.max_deliver = 60000;
	q = rig_make(&r, "work");
	other = rig_make(&r, "other");
	rig_consume(&r, "work", 2, 1000);
	for (unsigned i = 0; i < 20000; i++)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "x"});
	for (unsigned round = 0; round < 40; round++) {
		struct rig_sent *s;

		(void)mr_queues_run(r.queues, r.now_ms);
		for (; (s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER)) != NULL; delayed++)
			rig_settle(&r, 2, q, s->view.extra.delivery.tag, MRF_SETTLE_VERB_REQUEUE,
				UINT32_MAX);
		rig_sent_forget(&r);
	}
	assert_true(delayed > 10000);
	rig_consume(&r, "other", 3, 10);
	rig_push(&r, &(struct rig_push){.queue = other, .client = 1, .text = "x"});
	rig_run(&r);
	rig_expect(&r, 3, "x");
}

static void fill(uint32_t queue, unsigned client, const char *text)
{
	uint64_t pushed;

	do {
		pushed = r.stats.pushed;
		rig_push(&r, &(struct rig_push){.queue = queue, .client = client, .text = text});
		rig_run(&r);
	} while (r.stats.pushed > pushed);
}

static void queue_without_consumers_leaves_room_for_others(void **state)
{
	char text[1025] = {0};
	uint32_t q, other;

	(void)state;
	teardown(NULL);
	rig_open_store(&r, 16u << 20, NULL);
	memset(text, 'x', 1024);
	q = rig_make(&r, "work");
	other = rig_make(&r, "other");
	fill(q, 1, text);
	assert_true(r.stats.pushed > 11000);
	assert_int_equal(r.stats.refused_push_memory, 1);
	for (unsigned i = 0; i < 1000; i++)
		rig_push(&r,
			&(struct rig_push){.queue = other, .client = 3, .text = text, .id = 1 + i});
	assert_int_equal(r.stats.refused_push_memory, 1);
	fill(q, 1, text);
	assert_int_equal(r.stats.refused_push_memory, 2);
}

static void consumers_that_never_settle_leave_deliveries_to_others(void **state)
{
	uint32_t q, other;

	(void)state;
	teardown(NULL);
	rig_open_store(&r, 4u << 20, NULL); /* 16,384 deliveries */
	q = rig_make(&r, "work");
	other = rig_make(&r, "other");
	for (unsigned i = 1; i <= 8; i++)
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE,
					 "work", 2, i, 65535),
			0);
	for (unsigned i = 0; i < 30000; i++)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "x"});
	for (unsigned i = 0; i < 40; i++) {
		(void)mr_queues_run(r.queues, r.now_ms);
		rig_sent_forget(&r);
	}
	rig_consume(&r, "other", 3, 10);
	for (unsigned i = 0; i < 10; i++)
		rig_push(&r, &(struct rig_push){.queue = other, .client = 1, .text = "y"});
	(void)mr_queues_run(r.queues, r.now_ms);
	for (unsigned i = 0; i < 10; i++)
		rig_expect(&r, 3, "y");
}

/* Other queues have their turn meanwhile. */
static void deliveries_of_a_dead_consumer_go_back_in_parts(void **state)
{
	uint32_t q = rig_make(&r, "work");
	uint64_t back;

	(void)state;
	rig_consume(&r, "work", 2, 65535);
	for (unsigned i = 0; i < 30000; i++)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "x"});
	for (unsigned i = 0; i < 40; i++)
		(void)mr_queues_run(r.queues, r.now_ms);
	rig_sent_forget(&r);
	r.gone[2] = true;
	mr_queues_tick(r.queues, r.now_ms += 20);
	(void)mr_queues_run(r.queues, r.now_ms);
	back = mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work"));
	assert_true(back > 0 && back < 10000);
	rig_pass(&r, 20);
	assert_int_equal(mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 30000);
	assert_int_equal(r.stats.consumers_gone, 1);
}

static void needlessly_small_fragments_are_refused(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		rig_push(&r, &(struct rig_push){
				     .queue = q,
				     .client = 1,
				     .text = "x",
				     .id = 1 + i,
				     .flags = MRF_MESSAGE_FLAG_FRAGMENT,
				     .fragment = {.session = rig_session(1),
					     .message = i,
					     .total_bytes = 10000},
			     });
	rig_run(&r);
	rig_expect_accepted(&r, 1, 1, 100, MRF_STATUS_CODE_BAD);
	assert_int_equal(mrf_queue_row_refused(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 100);
}

static void answers_to_lists_are_bounded_and_complete(void **state)
{
	char name[240];
	uint32_t cursor = 0, seen = 0;

	(void)state;
	memset(name, 'n', sizeof(name));
	for (unsigned i = 0; i < 60; i++) {
		sprintf(name + sizeof(name) - 8, "%u", i);
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name, 0, 0, 0);
		assert_int_equal(r.code, 0);
	}
	do {
		/* The rig passes its last argument as the cursor. */
		rig_command(&r, MRF_QUEUE_VERB_LIST, MRF_QUEUE_KIND_QUEUE, "", 0, 0, cursor);
		seen += mrf_queue_answer_rows_count(r.table);
		assert_true(r.count == 0 || r.count > cursor);
		cursor = (uint32_t)r.count;
	} while (cursor != 0);
	assert_int_equal(seen, 60);
	rig_command(&r, MRF_QUEUE_VERB_LIST, MRF_QUEUE_KIND_QUEUE, "", 0, 0, UINT32_MAX);
	assert_int_equal(mrf_queue_answer_rows_count(r.table), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(second_ack_is_ignored),
		RIG_TEST(old_tag_does_not_settle_the_next_delivery),
		RIG_TEST(tags_of_others_and_guesses_are_ignored),
		RIG_TEST(delay_without_end_is_a_long_delay),
		RIG_TEST(settle_of_odd_length_is_refused),
		RIG_TEST(unknown_queues_are_refused),
		RIG_TEST(session_with_a_publisher_a_push_leaves_room_for_others),
		RIG_TEST(session_that_opens_a_million_queues_gets_a_few),
		RIG_TEST(all_sessions_together_make_no_more_than_there_is_room_for),
		RIG_TEST(session_that_consumes_a_million_times_gets_a_few),
		RIG_TEST(subscription_of_one_queue_is_none_of_another),
		RIG_TEST(options_and_names_that_make_no_sense_are_refused),
		RIG_TEST(consumer_that_delays_everything_stops_no_other),
		RIG_TEST(queue_without_consumers_leaves_room_for_others),
		RIG_TEST(consumers_that_never_settle_leave_deliveries_to_others),
		RIG_TEST(deliveries_of_a_dead_consumer_go_back_in_parts),
		RIG_TEST(needlessly_small_fragments_are_refused),
		RIG_TEST(answers_to_lists_are_bounded_and_complete),
	};

	return cmocka_run_group_tests_name("queue-hostile", tests, NULL, NULL);
}
