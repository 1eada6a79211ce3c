/* SPDX-License-Identifier: Apache-2.0 */
/* A redelivered message has its place by its age, and the oldest is known wherever it is. */
#include <stdio.h>

#include "tests/unit/queue/rig.h"

#define MANY 5000u

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

static void push_text(uint32_t q, const char *text, unsigned flags)
{
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = text, .flags = flags});
	rig_run(&r);
}

static void push(uint32_t q, unsigned count)
{
	for (unsigned i = 1; i <= count; i++) {
		char text[8];

		snprintf(text, sizeof(text), "%u", i);
		push_text(q, text, 0);
	}
}

static void expect_all(unsigned client, unsigned count)
{
	rig_run(&r);
	for (unsigned i = 1; i <= count; i++) {
		char text[8];

		snprintf(text, sizeof(text), "%u", i);
		rig_expect(&r, client, text);
	}
}

static struct mrf_table show(void)
{
	return rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work");
}

static void pause(bool paused)
{
	rig_command(&r, paused ? MRF_QUEUE_VERB_PAUSE : MRF_QUEUE_VERB_RESUME, MRF_QUEUE_KIND_QUEUE,
		"work", 0, 0, 0);
}

/* Takes four of six; stores their tags. */
static uint32_t hold(uint64_t tags[4])
{
	uint32_t q = rig_make(&r, "work");

	push(q, 6);
	rig_consume(&r, "work", 2, 4);
	rig_run(&r);
	for (unsigned i = 0; i < 4; i++) {
		const char text[2] = {(char)('1' + i), '\0'};

		tags[i] = rig_expect(&r, 2, text);
	}
	return q;
}

static void timed_out_deliveries_come_again_in_order(void **state)
{
	uint64_t tags[4];

	(void)state;
	hold(tags);
	rig_pass(&r, 1000);
	rig_consume(&r, "work", 3, 6);
	expect_all(3, 6);
}

static void requeued_messages_come_again_in_order(void **state)
{
	uint64_t tags[4];
	uint32_t q = hold(tags);

	(void)state;
	pause(true);
	for (unsigned i = 0; i < 4; i++)
		rig_settle(&r, 2, q, tags[i], MRF_SETTLE_VERB_REQUEUE, 0);
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work", 2, 7, 0);
	pause(false);
	rig_consume(&r, "work", 3, 6);
	expect_all(3, 6);
}

static void delayed_messages_come_again_in_order(void **state)
{
	const unsigned order[] = {2, 0, 3, 1};
	uint64_t tags[4];
	uint32_t q = hold(tags);

	(void)state;
	pause(true);
	for (unsigned i = 0; i < 4; i++)
		rig_settle(&r, 2, q, tags[order[i]], MRF_SETTLE_VERB_REQUEUE, 50 + i);
	rig_pass(&r, 100);
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work", 2, 7, 0);
	pause(false);
	rig_consume(&r, "work", 3, 6);
	expect_all(3, 6);
}

static void peek_shows_the_order_and_does_not_change_it(void **state)
{
	uint64_t tags[4];
	uint32_t q = hold(tags);
	struct mrf_bytes payload;

	(void)state;
	pause(true);
	for (unsigned i = 4; i-- > 0;)
		rig_settle(&r, 2, q, tags[i], MRF_SETTLE_VERB_REQUEUE, 0);
	for (unsigned turn = 0; turn < 2; turn++) {
		rig_command(&r, MRF_QUEUE_VERB_PEEK, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 16);
		assert_int_equal(mrf_queue_answer_messages_count(r.table), 6);
		for (unsigned i = 0; i < 6; i++) {
			payload = mrf_queue_message_row_payload(
				mrf_queue_answer_messages_at(r.table, i));
			assert_int_equal(payload.data[0], '1' + i);
		}
	}
}

static void priority_goes_before_age(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	push_text(q, "low", MRF_MESSAGE_FLAG_LOW);
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	pause(true);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "low"), MRF_SETTLE_VERB_REQUEUE, 0);
	push_text(q, "normal", 0);
	push_text(q, "high", MRF_MESSAGE_FLAG_HIGH);
	pause(false);
	rig_consume(&r, "work", 2, 3);
	rig_run(&r);
	rig_expect(&r, 2, "high");
	rig_expect(&r, 2, "normal");
	rig_expect(&r, 2, "low");
}

/* The most that are possible, given back in random order. */
static void many_come_again_in_order(void **state)
{
	static uint64_t tags[MANY];
	uint32_t q = rig_make(&r, "work"), x = 12345;
	char text[8];

	(void)state;
	rig_consume(&r, "work", 2, MANY);
	push(q, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "%u", i + 1);
		tags[i] = rig_expect(&r, 2, text);
	}
	pause(true);
	for (unsigned i = MANY; i > 0; i--) {
		unsigned at = (x = x * 1664525u + 1013904223u) % i;
		uint64_t tag = tags[at];

		tags[at] = tags[i - 1];
		rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_RETURNED, i % 3);
	}
	rig_pass(&r, 100);
	pause(false);
	expect_all(2, MANY);
}

static void old_one_dies_behind_a_younger_that_was_given_back_after_it(void **state)
{
	uint64_t old, young;
	uint32_t q;

	(void)state;
	r.options.age_max_ms = 500;
	q = rig_make(&r, "work");
	push_text(q, "old", 0);
	rig_pass(&r, 400);
	push_text(q, "young", 0);
	rig_consume(&r, "work", 2, 2);
	rig_run(&r);
	old = rig_expect(&r, 2, "old");
	young = rig_expect(&r, 2, "young");
	pause(true);
	rig_settle(&r, 2, q, old, MRF_SETTLE_VERB_REQUEUE, 0);
	rig_settle(&r, 2, q, young, MRF_SETTLE_VERB_REQUEUE, 0);
	assert_int_equal(mrf_queue_row_oldest_ms(show()), 400);
	rig_pass(&r, 100);
	assert_int_equal(mrf_queue_row_expired(show()), 1);
	assert_int_equal(mrf_queue_row_oldest_ms(show()), 100);
}

static void old_one_dies_within_its_delay(void **state)
{
	uint32_t q;

	(void)state;
	r.options.age_max_ms = 500;
	q = rig_make(&r, "work");
	push_text(q, "old", 0);
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "old"), MRF_SETTLE_VERB_REQUEUE, 3000);
	rig_pass(&r, 499);
	assert_int_equal(mrf_queue_row_expired(show()), 0);
	assert_int_equal(mrf_queue_row_oldest_ms(show()), 499);
	rig_pass(&r, 1);
	assert_int_equal(mrf_queue_row_expired(show()), 1);
	assert_int_equal(mrf_queue_row_delayed(show()), 0);
}

/* A consumer may have got it after a younger one. */
static void oldest_is_known_while_it_is_out(void **state)
{
	uint64_t tags[4];
	uint32_t q = hold(tags);

	(void)state;
	rig_pass(&r, 100);
	push_text(q, "7", 0);
	rig_consume(&r, "work", 3, 5);
	rig_run(&r);
	rig_settle(&r, 2, q, tags[0], MRF_SETTLE_VERB_REQUEUE, 0);
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work", 2, 7, 0);
	rig_run(&r);
	assert_int_equal(mrf_queue_row_oldest_ms(show()), 100);
}

static void purge_takes_what_came_back_too(void **state)
{
	uint64_t tags[4];
	uint32_t q = hold(tags);
	uint64_t empty = mr_slab_bytes(r.store);

	(void)state;
	pause(true);
	for (unsigned i = 0; i < 4; i++)
		rig_settle(&r, 2, q, tags[i], MRF_SETTLE_VERB_REQUEUE, 0);
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.count, 6);
	rig_run(&r);
	assert_int_equal(mrf_queue_row_ready(show()), 0);
	assert_int_equal(mrf_queue_row_bytes(show()), 0);
	assert_true(mr_slab_bytes(r.store) <= empty);
	pause(false);
	rig_run(&r);
	rig_expect_none(&r, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(timed_out_deliveries_come_again_in_order),
		RIG_TEST(requeued_messages_come_again_in_order),
		RIG_TEST(delayed_messages_come_again_in_order),
		RIG_TEST(peek_shows_the_order_and_does_not_change_it),
		RIG_TEST(priority_goes_before_age),
		RIG_TEST(many_come_again_in_order),
		RIG_TEST(old_one_dies_behind_a_younger_that_was_given_back_after_it),
		RIG_TEST(old_one_dies_within_its_delay),
		RIG_TEST(oldest_is_known_while_it_is_out),
		RIG_TEST(purge_takes_what_came_back_too),
	};

	return cmocka_run_group_tests_name("queue-order", tests, NULL, NULL);
}
