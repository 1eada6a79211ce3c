/* SPDX-License-Identifier: Apache-2.0 */
/* Ten levels of priority: a higher one first, the older first within one, and ageing. */
#include <stdio.h>

#include "lib/wire/priority.h"
#include "tests/unit/queue/rig_work.h"

static void push(const char *text, unsigned level)
{
	push_with(text, (struct mrf_push_options){.priority = (uint8_t)(1 + level)});
}

static void push_flags(const char *text, unsigned flags)
{
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = text, .flags = flags});
	rig_run(&r);
}

static uint64_t consume_one(const char *text)
{
	uint64_t tag = rig_expect(&r, 2, text);

	rig_expect_none(&r, 2);
	return tag;
}

/* Expects the messages one by one, and acks them. */
static void expect_order(const char *const *texts, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		settle(consume_one(texts[i]), MRF_SETTLE_VERB_ACK, 0);
}
#define EXPECT_ORDER(...)                                                                          \
	do {                                                                                       \
		static const char *const texts[] = {__VA_ARGS__};                                  \
		expect_order(texts, MR_ARRAY_COUNT(texts));                                        \
	} while (0)

static void set_aging(uint32_t aging_ms)
{
	r.options.aging_ms = aging_ms;
	edit(MRF_QUEUE_OPTION_AGING);
}

static uint64_t ready(unsigned level)
{
	struct mrf_table work = row();

	assert_int_equal(mrf_queue_row_ready_by_level_count(work), MR_LEVELS);
	return mrf_queue_row_ready_by_level_at(work, level);
}

static void names_are_levels(void **state)
{
	(void)state;
	for (unsigned level = 0; level < MR_LEVELS; level++) {
		assert_int_equal(mr_level_of_rank(mr_rank_of_level(level)), level);
		assert_int_equal(mr_level_of_priority(mr_priority_of_level(level)), level);
		assert_int_equal(mr_level_of_priority(MR_PRIORITY_LEVEL + level), level);
	}
	assert_int_equal(mr_level_of_priority(MRF_PRIORITY_HIGH), 7);
	assert_int_equal(mr_level_of_priority(MRF_PRIORITY_LOW), 1);
	assert_int_equal(mr_level_of_priority(3), MR_LEVEL_NORMAL);
	assert_int_equal(mr_level_of_priority(26), MR_LEVEL_NORMAL);
	assert_int_equal(mr_level_of_priority(255), MR_LEVEL_NORMAL);
}

static void higher_goes_first_and_older_within_a_level(void **state)
{
	char text[10][2][8];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned level = 0; level < MR_LEVELS; level++) {
			snprintf(text[level][i], sizeof(text[level][i]), "%u-%u", level, i);
			push(text[level][i], level);
		}
	push_flags("normal", 0);
	push_flags("high", MRF_MESSAGE_FLAG_HIGH);
	push_flags("low", MRF_MESSAGE_FLAG_LOW);
	assert_int_equal(ready(0), 2);
	assert_int_equal(ready(4), 3);
	assert_int_equal(ready(7), 3);
	assert_int_equal(ready(1), 3);
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	for (unsigned level = MR_LEVELS; level-- > 0;) {
		for (unsigned i = 0; i < 2; i++) {
			struct rig_sent *d = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);

			assert_memory_equal(d->body, text[level][i], 3);
			assert_int_equal(
				d->view.extra.delivery.priority, mr_priority_of_level(level));
			settle(d->view.extra.delivery.tag, MRF_SETTLE_VERB_ACK, 0);
		}
		if (level == 7)
			EXPECT_ORDER("high");
		if (level == 4)
			EXPECT_ORDER("normal");
		if (level == 1)
			EXPECT_ORDER("low");
	}
	rig_expect_none(&r, 2);
	for (unsigned level = 0; level < MR_LEVELS; level++)
		assert_int_equal(ready(level), 0);
}

static void returned_message_keeps_its_place(void **state)
{
	uint64_t tags[3];

	(void)state;
	rig_consume(&r, "work", 2, 3);
	push("a", 8);
	push("b", 8);
	push("c", 6);
	tags[0] = rig_expect(&r, 2, "a");
	tags[1] = rig_expect(&r, 2, "b");
	tags[2] = rig_expect(&r, 2, "c");
	push("d", 8);
	push("e", 9);
	rig_settle(&r, 2, q, tags[2], MRF_SETTLE_VERB_REQUEUE, 0);
	rig_settle(&r, 2, q, tags[1], MRF_SETTLE_VERB_REQUEUE, 0);
	rig_settle(&r, 2, q, tags[0], MRF_SETTLE_VERB_REQUEUE, 0);
	assert_int_equal(ready(8), 3);
	rig_run(&r);
	settle(rig_expect(&r, 2, "e"), MRF_SETTLE_VERB_ACK, 0);
	settle(rig_expect(&r, 2, "a"), MRF_SETTLE_VERB_ACK, 0);
	settle(rig_expect(&r, 2, "b"), MRF_SETTLE_VERB_ACK, 0);
	settle(rig_expect(&r, 2, "d"), MRF_SETTLE_VERB_ACK, 0);
	settle(rig_expect(&r, 2, "c"), MRF_SETTLE_VERB_ACK, 0);
	rig_expect_none(&r, 2);
}

static void nack_delay_and_time_to_live_keep_it(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 1);
	push_with("a", (struct mrf_push_options){.priority = 1 + 9, .ttl_ms = 1000});
	settle(consume_one("a"), MRF_SETTLE_VERB_REQUEUE, 100);
	push("b", 8);
	push_with("c", (struct mrf_push_options){.priority = 1 + 9, .delay_ms = 50});
	push_with("d", (struct mrf_push_options){.priority = 1 + 9, .ttl_ms = 20});
	rig_pass(&r, 60);
	assert_int_equal(ready(9), 1);
	rig_pass(&r, 60);
	settle(consume_one("b"), MRF_SETTLE_VERB_ACK, 0);
	EXPECT_ORDER("a", "c");
	assert_int_equal(r.stats.drop_expired, 1);
}

static void dead_letter_keeps_it_and_redrive_too(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 1);
	push("a", 2);
	settle(consume_one("a"), MRF_SETTLE_VERB_REJECT, 0);
	push("b", 3);
	settle(consume_one("b"), MRF_SETTLE_VERB_REJECT, 0);
	push("c", 8);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PEEK, MRF_QUEUE_KIND_QUEUE, "work.dead", 0, 0, 0),
		0);
	assert_int_equal(mrf_queue_message_row_priority(mrf_queue_answer_messages_at(r.table, 0)),
		MR_PRIORITY_LEVEL + 3);
	assert_int_equal(mrf_queue_message_row_priority(mrf_queue_answer_messages_at(r.table, 1)),
		MR_PRIORITY_LEVEL + 2);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_REDRIVE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	rig_run(&r);
	EXPECT_ORDER("c", "b", "a");
}

static void peek_shows_the_order(void **state)
{
	static const uint8_t levels[] = {9, 7, 5, 4, 1, 0};

	(void)state;
	push("e", 1);
	push("f", 0);
	push("d", 4);
	push("b", 7);
	push("a", 9);
	push("c", 5);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PEEK, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	assert_int_equal(mrf_queue_answer_messages_count(r.table), 6);
	for (unsigned i = 0; i < 6; i++) {
		struct mrf_table row = mrf_queue_answer_messages_at(r.table, i);

		assert_int_equal(
			mr_level_of_priority(mrf_queue_message_row_priority(row)), levels[i]);
		assert_int_equal(mrf_queue_message_row_payload(row).data[0], 'a' + i);
	}
}

static void purge_and_age_limit_reach_all_levels(void **state)
{
	(void)state;
	for (unsigned level = 0; level < MR_LEVELS; level++)
		push("x", level);
	push_with("y", (struct mrf_push_options){.priority = 1 + 9, .ttl_ms = 1000});
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	assert_int_equal(r.count, 11);
	rig_run(&r);
	for (unsigned level = 0; level < MR_LEVELS; level++)
		assert_int_equal(ready(level), 0);
	r.edits = MRF_QUEUE_OPTION_AGE_MAX;
	r.options.age_max_ms = 100;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	for (unsigned level = 0; level < MR_LEVELS; level++)
		push("x", level);
	rig_pass(&r, 101);
	assert_int_equal(mrf_queue_row_ready(row()), 0);
	assert_int_equal(mrf_queue_row_dead_ready(r.row), 10);
}

static void without_aging_the_lowest_waits(void **state)
{
	(void)state;
	push("low", 0);
	rig_pass(&r, 100000);
	push("new", 1);
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	EXPECT_ORDER("new", "low");
}

static void aging_raises_one_level_each_time(void **state)
{
	(void)state;
	set_aging(1000);
	push("low", 0);
	rig_pass(&r, 2999);
	push("3", 3); /* still before it: low counts as 2 */
	rig_pass(&r, 1);
	push("4", 4); /* before both: low counts as 3, and is older than the other */
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	EXPECT_ORDER("4", "low", "3");
}

/* After 9 times the option only older messages go before it, whatever comes. */
static void aging_bounds_the_wait_of_the_lowest(void **state)
{
	(void)state;
	set_aging(100);
	push("before", 9);
	push("low", 0);
	for (unsigned i = 0; i < 10; i++) {
		rig_pass(&r, 89);
		push("urgent", 9);
	}
	rig_pass(&r, 10);
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	EXPECT_ORDER("before", "low");
}

static void aging_counts_for_named_priorities(void **state)
{
	(void)state;
	set_aging(1000);
	push_flags("low", MRF_MESSAGE_FLAG_LOW);
	rig_pass(&r, 3000);
	push_flags("normal", 0);
	push_flags("high", MRF_MESSAGE_FLAG_HIGH);
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	settle(consume_one("high"), MRF_SETTLE_VERB_ACK, 0);
	settle(consume_one("low"), MRF_SETTLE_VERB_ACK, 0);
	set_aging(0);
	EXPECT_ORDER("normal");
}

static void aging_may_be_switched_on_and_off(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		push_flags("low", MRF_MESSAGE_FLAG_LOW);
		set_aging(i % 2 == 0 ? 10 : 0);
		rig_pass(&r, 1000);
		push_flags("high", MRF_MESSAGE_FLAG_HIGH);
		rig_consume(&r, "work", 2, 1);
		rig_run(&r);
		if (i % 2 == 0)
			EXPECT_ORDER("low", "high");
		else
			EXPECT_ORDER("high", "low");
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE,
					 "work", 2, 7, 0),
			0);
	}
}

static void malformed_priorities_are_refused(void **state)
{
	const struct mrf_push_options beyond = {.priority = 11}, both = {.priority = 3};

	(void)state;
	rig_push(&r, &(struct rig_push){
			     .queue = q, .client = 1, .text = "a", .id = 1, .options = &beyond});
	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = 1,
			     .text = "b",
			     .id = 2,
			     .flags = MRF_MESSAGE_FLAG_HIGH,
			     .options = &both});
	rig_run(&r);
	rig_expect_accepted(&r, 1, 1, 2, MRF_STATUS_CODE_BAD);
	assert_int_equal(mrf_queue_row_ready(row()), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_levels),
		RIG_TEST(higher_goes_first_and_older_within_a_level),
		RIG_TEST(returned_message_keeps_its_place),
		RIG_TEST(nack_delay_and_time_to_live_keep_it),
		RIG_TEST(dead_letter_keeps_it_and_redrive_too),
		RIG_TEST(peek_shows_the_order),
		RIG_TEST(purge_and_age_limit_reach_all_levels),
		RIG_TEST(without_aging_the_lowest_waits),
		RIG_TEST(aging_raises_one_level_each_time),
		RIG_TEST(aging_bounds_the_wait_of_the_lowest),
		RIG_TEST(aging_counts_for_named_priorities),
		RIG_TEST(aging_may_be_switched_on_and_off),
		RIG_TEST(malformed_priorities_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
