/* SPDX-License-Identifier: Apache-2.0 */
/* Delivery attempts: only a delivery that reached a program and came to nothing counts as one. */
#include <stdio.h>

#include "tests/unit/queue/rig.h"

static struct rig r;

static int setup(void **state)
{
	(void)state;
	rig_open(&r, NULL); /* max_deliver 3 */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	r.says_handed = false;
	return 0;
}

static void push(uint32_t q, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char text[8];

		snprintf(text, sizeof(text), "%u", i);
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = text});
	}
	rig_run(&r);
}

static uint64_t dead(void)
{
	return mrf_queue_row_dead_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work"));
}

static void lose(unsigned client)
{
	r.gone[client] = true;
	rig_pass(&r, 100);
	rig_sent_forget(&r);
}

static void cancel(unsigned client)
{
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work", client, 7, 0);
	rig_sent_forget(&r);
}

static void consumer_that_leaves_in_good_order_uses_up_no_attempt(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	push(q, 20);
	for (unsigned i = 0; i < 10; i++) {
		rig_consume(&r, "work", 2, 10);
		rig_run(&r);
		assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), 10);
		cancel(2);
	}
	assert_int_equal(dead(), 0);
}

/* A consumer needs this to know the number of the next attempt. */
static void deliveries_that_were_no_attempts_are_counted_as_spared(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	push(q, 1);
	for (unsigned i = 0; i < 3; i++) {
		rig_consume(&r, "work", 2, 1);
		rig_run(&r);
		cancel(2);
	}
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	rig_settle_run(&r, 2, q, rig_expect(&r, 2, "0"), MRF_SETTLE_VERB_REQUEUE, 0);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	assert_int_equal(s->view.extra.delivery.redelivered, 4);
	assert_int_equal(s->view.extra.delivery.spared, 3);
}

static void leave_gives_back_all_that_a_consumer_has(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	push(q, 5);
	for (unsigned i = 0; i < 10; i++) {
		rig_consume(&r, "work", 2 + i, 5);
		rig_run(&r);
		rig_settle(&r, 2 + i, q, rig_expect(&r, 2 + i, "0"), MRF_SETTLE_VERB_LEAVE, 0);
		rig_sent_forget(&r);
		rig_run(&r);
		rig_expect_none(&r, 2 + i);
		lose(2 + i);
	}
	assert_int_equal(dead(), 0);
	assert_int_equal(mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 5);
}

/* A message that kills its consumers ends, and those behind it do not. */
static void oldest_delivery_of_a_silent_consumer_counts_as_attempt(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	push(q, 10);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(dead(), 0);
		rig_consume(&r, "work", 2 + i, 10);
		rig_run(&r);
		lose(2 + i);
	}
	assert_int_equal(dead(), 1);
	rig_consume(&r, "work", 8, 10);
	rig_run(&r);
	rig_expect(&r, 8, "1");
}

static void delivery_not_handed_out_is_no_attempt_when_its_consumer_dies(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	push(q, 10);
	r.says_handed = true;
	for (unsigned i = 0; i < 10; i++) {
		rig_consume(&r, "work", 2 + i, 10);
		rig_run(&r);
		lose(2 + i);
	}
	assert_int_equal(dead(), 0);
}

static void handed_out_delivery_is_an_attempt_when_its_consumer_dies(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	push(q, 10);
	r.says_handed = true;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(dead(), 0);
		rig_consume(&r, "work", 2 + i, 10);
		rig_run(&r);
		for (char text[2] = "0"; text[0] < '4'; text[0]++)
			(void)rig_expect(&r, 2 + i, text);
		rig_settle(&r, 2 + i, q, rig_expect(&r, 2 + i, "4"), MRF_SETTLE_VERB_HANDED, 0);
		lose(2 + i);
	}
	assert_int_equal(dead(), 1);
}

static void time_out_before_hand_out_is_no_attempt(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	push(q, 5);
	r.says_handed = true;
	for (unsigned i = 0; i < 3; i++) {
		rig_consume(&r, "work", 2 + i, 5);
		rig_run(&r);
		rig_settle(&r, 2 + i, q, rig_expect(&r, 2 + i, "0"), MRF_SETTLE_VERB_HANDED, 0);
		rig_pass(&r, 1000); /* ack_timeout_ms */
		cancel(2 + i);
	}
	assert_int_equal(dead(), 1);
	assert_int_equal(mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work")), 4);
}

static void returned_delivery_is_not_counted_and_comes_again(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	push(q, 1);
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	for (unsigned i = 0; i < 10; i++)
		rig_settle_run(&r, 2, q, rig_expect(&r, 2, "0"), MRF_SETTLE_VERB_RETURNED, 0);
	rig_expect(&r, 2, "0");
	assert_int_equal(dead(), 0);
}

static void handed_of_another_session_is_refused(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	push(q, 1);
	rig_consume(&r, "work", 2, 1);
	rig_run(&r);
	rig_settle(&r, 3, q, rig_expect(&r, 2, "0"), MRF_SETTLE_VERB_HANDED, 0);
	rig_settle(&r, 3, q, 77, MRF_SETTLE_VERB_LEAVE, 0);
	assert_int_equal(r.stats.bad_tags, 1);
	assert_int_equal(r.stats.late_settlements, 1);
}

/* Services. */

static uint32_t called(unsigned count)
{
	uint32_t q;

	r.options.breaker_failures = 3;
	q = rig_make_service(&r, "echo");
	rig_serve(&r, "echo", 2, 10);
	for (unsigned i = 0; i < count; i++)
		rig_push(&r, &(struct rig_push){
				     .queue = q, .client = 1, .text = "x", .correlation = i + 1});
	rig_run(&r);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), count);
	return q;
}

static struct mrf_table service(void)
{
	return rig_show(&r, MRF_QUEUE_KIND_SERVICE, "echo");
}

static void worker_that_leaves_with_calls_is_no_failure(void **state)
{
	(void)state;
	called(10);
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_SERVICE, "echo", 2, 7, 0);
	assert_int_equal(mrf_queue_row_breaker(service()), MRF_BREAKER_STATE_CLOSED);
	assert_int_equal(mrf_queue_row_failures(service()), 0);
	assert_int_equal(mrf_queue_row_ready(service()), 10);
}

static void worker_that_dies_with_calls_is_one_failure(void **state)
{
	uint32_t q;

	(void)state;
	r.says_handed = true;
	q = called(10);
	for (unsigned i = 0; i < 10; i++)
		rig_settle(&r, 2, q, rig_expect(&r, 2, "x"), MRF_SETTLE_VERB_HANDED, 0);
	lose(2);
	assert_int_equal(mrf_queue_row_failures(service()), 1);
	assert_int_equal(mrf_queue_row_breaker(service()), MRF_BREAKER_STATE_CLOSED);
	assert_int_equal(mrf_queue_row_ready(service()), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(deliveries_that_were_no_attempts_are_counted_as_spared),
		RIG_TEST(consumer_that_leaves_in_good_order_uses_up_no_attempt),
		RIG_TEST(leave_gives_back_all_that_a_consumer_has),
		RIG_TEST(oldest_delivery_of_a_silent_consumer_counts_as_attempt),
		RIG_TEST(delivery_not_handed_out_is_no_attempt_when_its_consumer_dies),
		RIG_TEST(handed_out_delivery_is_an_attempt_when_its_consumer_dies),
		RIG_TEST(time_out_before_hand_out_is_no_attempt),
		RIG_TEST(returned_delivery_is_not_counted_and_comes_again),
		RIG_TEST(handed_of_another_session_is_refused),
		RIG_TEST(worker_that_leaves_with_calls_is_no_failure),
		RIG_TEST(worker_that_dies_with_calls_is_one_failure),
	};

	return cmocka_run_group_tests_name("queue-attempts", tests, NULL, NULL);
}
