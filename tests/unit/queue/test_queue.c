/* SPDX-License-Identifier: Apache-2.0 */
/* Queues: delivery, acknowledgement, prefetch, priorities, full and closed sessions. */
#include <errno.h>

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

static void push(uint32_t queue, const char *text)
{
	rig_push(&r, &(struct rig_push){.queue = queue, .client = 1, .text = text});
}

static void message_goes_to_one_consumer_and_is_acked(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct mrf_table row;

	(void)state;
	rig_consume(&r, "work", 2, 0);
	rig_consume(&r, "work", 3, 0);
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "one", .id = 5});
	rig_run(&r);
	rig_expect_accepted(&r, 1, 5, 1, MRF_STATUS_CODE_OK);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "one"), MRF_SETTLE_VERB_ACK, 0);
	rig_expect_none(&r, 3);
	row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work");
	assert_int_equal(mrf_queue_row_ready(row) + mrf_queue_row_outstanding(row), 0);
	assert_int_equal(mrf_queue_row_bytes(row), 0);
	assert_int_equal(mrf_queue_row_acked(row), 1);
	assert_int_equal(mrf_queue_row_consumers(row), 2);
	assert_int_equal(r.stats.pushed, 1);
	assert_int_equal(r.stats.queue_delivered, 1);
	assert_int_equal(r.stats.queue_acked, 1);
}

static void accepted_ids_come_in_ranges(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	for (uint64_t id = 10; id < 20; id++)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "x", .id = id});
	rig_run(&r);
	rig_expect_accepted(&r, 1, 10, 10, MRF_STATUS_CODE_OK);
}

static void prefetch_bounds_what_is_out(void **state)
{
	uint32_t q = rig_make(&r, "work");
	uint64_t tag;

	(void)state;
	rig_consume(&r, "work", 2, 2);
	push(q, "a");
	push(q, "b");
	push(q, "c");
	rig_run(&r);
	tag = rig_expect(&r, 2, "a");
	rig_expect(&r, 2, "b");
	rig_expect_none(&r, 2);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK, 0);
	rig_run(&r);
	rig_expect(&r, 2, "c");
}

static void ack_up_to_settles_all_before(void **state)
{
	uint32_t q = rig_make(&r, "work");
	uint64_t tag = 0;

	(void)state;
	rig_consume(&r, "work", 2, 4);
	for (unsigned i = 0; i < 6; i++)
		push(q, "x");
	rig_run(&r);
	for (unsigned i = 0; i < 3; i++)
		tag = rig_expect(&r, 2, "x");
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK_UP_TO, 0);
	assert_int_equal(r.stats.queue_acked, 3);
	rig_run(&r);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), 3);
}

static void full_session_is_tried_again(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 4);
	r.full[2] = true;
	push(q, "x");
	rig_run(&r);
	rig_expect_none(&r, 2);
	r.full[2] = false;
	rig_pass(&r, 2);
	rig_expect(&r, 2, "x");
}

static void full_session_delays_no_other(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 100);
	rig_consume(&r, "work", 3, 100);
	r.full[2] = true;
	for (unsigned i = 0; i < 50; i++)
		push(q, "x");
	rig_run(&r);
	assert_int_equal(rig_count(&r, 3, MRF_MESSAGE_KIND_DELIVER), 50);
}

static void priorities_go_before_and_behind(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_push(
		&r, &(struct rig_push){
			    .queue = q, .client = 1, .text = "low", .flags = MRF_MESSAGE_FLAG_LOW});
	push(q, "normal");
	rig_push(&r,
		&(struct rig_push){
			.queue = q, .client = 1, .text = "high", .flags = MRF_MESSAGE_FLAG_HIGH});
	rig_consume(&r, "work", 2, 10);
	rig_run(&r);
	rig_expect(&r, 2, "high");
	rig_expect(&r, 2, "normal");
	rig_expect(&r, 2, "low");
}

static void undelivered_message_comes_again_as_new(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct rig_sent *s;

	(void)state;
	rig_consume(&r, "work", 2, 10);
	push(q, "x");
	rig_run(&r);
	mr_queues_undelivered(r.queues, rig_expect(&r, 2, "x"), r.now_ms);
	rig_pass(&r, 2);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	assert_int_equal(s->view.extra.delivery.redelivered, 0);
}

static void cancelled_consumer_gives_back_in_order(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 10);
	push(q, "a");
	push(q, "b");
	push(q, "c");
	rig_run(&r);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work", 2, 7, 0), 0);
	rig_consume(&r, "work", 3, 10);
	rig_run(&r);
	rig_expect(&r, 3, "a");
	rig_expect(&r, 3, "b");
	rig_expect(&r, 3, "c");
	assert_int_equal(r.stats.queue_redelivered, 3);
}

static void consumer_of_a_dead_session_is_found(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 10);
	push(q, "a");
	rig_run(&r);
	rig_expect(&r, 2, "a");
	rig_consume(&r, "work", 3, 10);
	r.gone[2] = true;
	rig_pass(&r, 100);
	rig_expect(&r, 3, "a");
	assert_int_equal(r.stats.consumers_gone, 1);
}

static void opening_again_gives_the_same_number(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	assert_int_equal(rig_make(&r, "work"), q);
	assert_int_not_equal(rig_make(&r, "other"), q);
	assert_int_not_equal(rig_make_service(&r, "work"), q);
}

static void other_options_are_refused(void **state)
{
	(void)state;
	r.options.max_deliver = 9;
	rig_make(&r, "work");
	r.options.max_deliver = 8;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0),
		-EEXIST);
	assert_int_equal(r.stats.refused_queue_differs, 1);
	assert_int_equal(r.stats.refused_consumer_again, 0);
	r.options.max_deliver = 9;
	rig_make(&r, "work");
	assert_int_equal(r.stats.refused_queue_differs, 1);
}

static void idle_queue_is_removed_and_its_number_is_not_good_again(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_pass(&r, 10001);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_SHOW, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0),
		-ENOENT);
	assert_int_not_equal(rig_make(&r, "work"), q);
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "x", .id = 1});
	rig_run(&r);
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_NOT_FOUND);
	assert_int_equal(r.stats.refused_push_unknown, 1);
}

static void many_slots(struct mr_queues_config *c)
{
	c->queues_max = 1u << 20; /* six bits of generation */
}

static void number_of_a_queue_that_was_deleted_rests(void **state)
{
	uint32_t first;

	(void)state;
	rig_close(&r);
	rig_open(&r, many_slots);
	first = rig_make(&r, "work");
	for (unsigned i = 0; i < 100000; i++) {
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE,
					 "work", 0, 0, 0),
			0);
		assert_int_not_equal(rig_make(&r, "work"), first);
	}
}

static void queue_in_use_is_not_idle(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	push(q, "x");
	rig_make(&r, "pulled");
	rig_consume(&r, "pulled", 2, 1);
	rig_pass(&r, 30000);
	assert_int_equal(rig_make(&r, "work"), q);
	rig_show(&r, MRF_QUEUE_KIND_QUEUE, "pulled");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(message_goes_to_one_consumer_and_is_acked),
		RIG_TEST(accepted_ids_come_in_ranges),
		RIG_TEST(prefetch_bounds_what_is_out),
		RIG_TEST(ack_up_to_settles_all_before),
		RIG_TEST(full_session_is_tried_again),
		RIG_TEST(full_session_delays_no_other),
		RIG_TEST(priorities_go_before_and_behind),
		RIG_TEST(undelivered_message_comes_again_as_new),
		RIG_TEST(cancelled_consumer_gives_back_in_order),
		RIG_TEST(consumer_of_a_dead_session_is_found),
		RIG_TEST(opening_again_gives_the_same_number),
		RIG_TEST(other_options_are_refused),
		RIG_TEST(idle_queue_is_removed_and_its_number_is_not_good_again),
		RIG_TEST(number_of_a_queue_that_was_deleted_rests),
		RIG_TEST(queue_in_use_is_not_idle),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
