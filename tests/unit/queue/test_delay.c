/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that are pushed with a delay or for a time. */
#include "tests/unit/queue/rig.h"

static struct rig r;
static uint32_t q;

static int setup(void **state)
{
	(void)state;
	rig_open(&r, NULL);
	q = rig_make(&r, "work");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static void push(const char *text, const struct mrf_push_options *options)
{
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = text, .options = options});
	rig_run(&r);
}

static void push_delayed(const char *text, uint32_t delay_ms, uint32_t ttl_ms)
{
	push(text, &(struct mrf_push_options){.delay_ms = delay_ms, .ttl_ms = ttl_ms});
}

static struct mrf_table row(void)
{
	return rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work");
}

static void delayed_message_comes_when_it_is_due(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_delayed("late", 500, 0);
	push_delayed("early", 100, 0);
	push("now", NULL);
	rig_expect(&r, 2, "now");
	rig_pass(&r, 99);
	rig_expect_none(&r, 2);
	assert_int_equal(mrf_queue_row_delayed(row()), 2);
	rig_pass(&r, 1);
	rig_expect(&r, 2, "early");
	rig_pass(&r, 399);
	rig_expect_none(&r, 2);
	rig_pass(&r, 1);
	rig_expect(&r, 2, "late");
	assert_int_equal(mrf_queue_row_delayed(row()), 0);
	assert_int_equal(mrf_queue_row_outstanding(row()), 3);
}

static void place_in_the_queue_counts_from_the_time_it_is_due(void **state)
{
	(void)state;
	push_delayed("second", 100, 0);
	rig_pass(&r, 50);
	push("first", NULL);
	rig_pass(&r, 50);
	push("third", NULL);
	rig_consume(&r, "work", 2, 10);
	rig_run(&r);
	rig_expect(&r, 2, "first");
	rig_expect(&r, 2, "second");
	rig_expect(&r, 2, "third");
}

static uint64_t unix_now;

static uint64_t unix_ms(void *arg)
{
	(void)arg;
	return unix_now;
}

static void time_of_day_is_converted_once(void **state)
{
	struct mr_queue_ops own;

	(void)state;
	rig_close(&r);
	rig_open(&r, NULL);
	own = *r.c.ops;
	own.unix_ms = unix_ms;
	mr_queues_free(r.queues);
	r.c.ops = &own;
	assert_int_equal(mr_queues_new(&r.c, r.store, &r.queues), 0);
	q = rig_make(&r, "work");
	rig_consume(&r, "work", 2, 10);
	unix_now = 1790000000000;
	push("at", &(struct mrf_push_options){.at_ms = unix_now + 1000});
	push("past", &(struct mrf_push_options){.at_ms = unix_now - 1000});
	rig_settle(&r, 2, q, rig_expect(&r, 2, "past"), MRF_SETTLE_VERB_ACK, 0);
	unix_now += 3600000; /* the clock steps */
	rig_pass(&r, 999);
	rig_expect_none(&r, 2);
	rig_pass(&r, 1);
	rig_expect(&r, 2, "at");
}

static void time_to_live_ends_before_and_after_the_delay(void **state)
{
	(void)state;
	push_delayed("never", 200, 100);
	push_delayed("some time", 200, 300);
	rig_pass(&r, 100);
	assert_int_equal(r.stats.drop_expired, 1);
	rig_pass(&r, 100);
	assert_int_equal(mrf_queue_row_ready(row()), 1);
	rig_pass(&r, 100);
	assert_int_equal(r.stats.drop_expired, 2);
	assert_int_equal(mrf_queue_row_ready(row()), 0);
	assert_int_equal(mrf_queue_row_bytes(row()), 0);
}

static void purge_takes_delayed_messages_in_slices(void **state)
{
	uint64_t before, least;

	(void)state;
	push_delayed("first", 1, 0);
	rig_consume(&r, "work", 2, 1);
	rig_pass(&r, 1);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "first"), MRF_SETTLE_VERB_ACK, 0);
	rig_run(&r);
	before = r.stats.store_bytes;
	for (unsigned i = 0; i < 5000; i++)
		push_delayed("a", 1000 + i, 0);
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.count, 5000);
	assert_int_equal(mrf_queue_row_delayed(row()), 0);
	least = r.stats.store_bytes;
	assert_true(mr_queues_run(r.queues, r.now_ms));
	assert_true(r.stats.store_bytes > before && r.stats.store_bytes <= least);
	rig_run(&r);
	assert_int_equal(r.stats.store_bytes, before);
	push_delayed("b", 100, 0);
	rig_pass(&r, 100);
	rig_expect(&r, 2, "b");
}

static void message_in_hand_at_a_purge_comes_back_with_its_end(void **state)
{
	uint64_t tag;

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push_delayed("a", 0, 500);
	tag = rig_expect(&r, 2, "a");
	push_delayed("b", 100, 0);
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.count, 1);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_REQUEUE, 0);
	rig_run(&r);
	(void)rig_expect(&r, 2, "a");
	rig_pass(&r, 500);
	assert_int_equal(r.stats.drop_expired, 1);
}

static void limit_counts_delayed_messages(void **state)
{
	(void)state;
	r.options.messages_max = 2;
	r.options.when_full = MRF_QUEUE_FULL_REFUSE;
	rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "small", 1, 0, 0);
	q = r.queue;
	push_delayed("a", 1000, 0);
	push_delayed("b", 1000, 0);
	push_delayed("c", 1000, 0);
	assert_int_equal(r.stats.refused_push_full, 1);
}

static void many_that_are_due_together_come_in_slices(void **state)
{
	uint64_t ready = 0, most = 0, now;

	(void)state;
	for (unsigned i = 0; i < 20000; i++)
		push_delayed("a", 1000, 0);
	rig_pass(&r, 999);
	r.now_ms++;
	for (unsigned i = 0; i < 100 && ready < 20000; i++, r.now_ms++) {
		mr_queues_tick(r.queues, r.now_ms);
		rig_run(&r);
		now = mrf_queue_row_ready(row());
		most = now - ready > most ? now - ready : most;
		ready = now;
	}
	assert_int_equal(ready, 20000);
	assert_true(most <= 2048);
}

static void delay_and_time_together_are_refused(void **state)
{
	const struct mrf_push_options both = {.delay_ms = 1, .at_ms = 1};

	(void)state;
	rig_push(&r, &(struct rig_push){
			     .queue = q, .client = 1, .text = "a", .id = 1, .options = &both});
	rig_run(&r);
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(delayed_message_comes_when_it_is_due),
		RIG_TEST(place_in_the_queue_counts_from_the_time_it_is_due),
		RIG_TEST(time_of_day_is_converted_once),
		RIG_TEST(time_to_live_ends_before_and_after_the_delay),
		RIG_TEST(purge_takes_delayed_messages_in_slices),
		RIG_TEST(message_in_hand_at_a_purge_comes_back_with_its_end),
		RIG_TEST(limit_counts_delayed_messages),
		RIG_TEST(many_that_are_due_together_come_in_slices),
		RIG_TEST(delay_and_time_together_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
