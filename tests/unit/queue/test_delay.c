/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that are pushed with a delay or for a time. */
#include "tests/unit/queue/rig_work.h"

#include <errno.h>

static void push_delayed(const char *text, uint32_t delay_ms, uint32_t ttl_ms)
{
	push_with(text, (struct mrf_push_options){.delay_ms = delay_ms, .ttl_ms = ttl_ms});
}

static void delayed_message_comes_when_it_is_due(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_delayed("late", 500, 0);
	push_delayed("early", 100, 0);
	rig_push_run(&r, q, 1, "now", NULL);
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
	rig_push_run(&r, q, 1, "first", NULL);
	rig_pass(&r, 50);
	rig_push_run(&r, q, 1, "third", NULL);
	rig_consume(&r, "work", 2, 10);
	rig_run(&r);
	rig_expect(&r, 2, "first");
	rig_expect(&r, 2, "second");
	rig_expect(&r, 2, "third");
}

static uint64_t unix_ms(void)
{
	return (uint64_t)((int64_t)(RIG_UNIX_MS + r.now_ms) + r.stepped);
}

static void push_at(const char *text, uint64_t at_ms)
{
	push_with(text, (struct mrf_push_options){.at_ms = at_ms});
}

static void times_that_no_clock_reaches_wait(void **state)
{
	const struct mrf_push_options options[] = {
		{.at_ms = UINT64_MAX},
		{.at_ms = UINT64_MAX, .ttl_ms = UINT32_MAX},
		{.at_ms = UINT64_MAX / 2, .ticket_low = 7},
		{.delay_ms = UINT32_MAX},
		{.delay_ms = UINT32_MAX, .ttl_ms = UINT32_MAX},
	};

	(void)state;
	rig_consume(&r, "work", 2, 10);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(options); i++)
		push_with("x", options[i]);
	rig_pass(&r, 100000);
	r.stepped = 365 * 86400000ll; /* a step of the system's clock */
	rig_pass(&r, 2000);
	r.stepped = -365 * 86400000ll;
	rig_pass(&r, 2000);
	rig_expect_none(&r, 2);
	assert_int_equal(mrf_queue_row_delayed(row()), MR_ARRAY_COUNT(options));
	assert_int_equal(withdraw(0, 7), 0);
}

static void message_for_a_time_of_day_comes_then(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_at("at", unix_ms() + 1500);
	push_at("past", unix_ms() - 1000);
	take("past");
	rig_pass(&r, 1499);
	rig_expect_none(&r, 2);
	rig_pass(&r, 1);
	take("at");
}

static void time_of_day_follows_a_clock_that_steps_forward(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_at("at", unix_ms() + 86400000);
	push_delayed("delayed", 86400000, 0);
	rig_pass(&r, 5000);
	r.stepped += 86400000;
	rig_pass(&r, 1000);
	take("at");
	rig_expect_none(&r, 2);
	rig_pass(&r, 86400000 - 6000);
	take("delayed");
}

static void time_of_day_follows_a_clock_that_steps_back(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_at("a", unix_ms() + 10000);
	rig_pass(&r, 9000);
	r.stepped -= 60000;
	push_at("b", unix_ms() + 2000);
	rig_pass(&r, 1999);
	rig_expect_none(&r, 2);
	rig_pass(&r, 1);
	take("b");
	rig_pass(&r, 58999);
	rig_expect_none(&r, 2);
	rig_pass(&r, 1);
	take("a");
}

/* The wheel of times of day is empty when the clock steps back. */
static void clock_that_stepped_back_counts_for_new_messages(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_at("a", unix_ms() + 1000);
	rig_pass(&r, 1000);
	take("a");
	r.stepped -= 3600000;
	push_at("b", unix_ms() + 500);
	rig_pass(&r, 500);
	take("b");
}

static void time_of_day_after_the_time_to_live_never_comes(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_with("at", (struct mrf_push_options){.at_ms = unix_ms() + 2000, .ttl_ms = 1000});
	rig_pass(&r, 1000);
	assert_int_equal(r.stats.drop_expired, 1);
	push_with("at", (struct mrf_push_options){.at_ms = unix_ms() + 1000, .ttl_ms = 2000});
	rig_pass(&r, 1000);
	rig_expect(&r, 2, "at");
	rig_pass(&r, 1000);
	assert_int_equal(r.stats.drop_expired, 2);
}

static void time_to_live_ends_though_the_clock_steps_back(void **state)
{
	(void)state;
	push_with("at", (struct mrf_push_options){.at_ms = unix_ms() + 1000, .ttl_ms = 2000});
	r.stepped -= 3600000;
	rig_pass(&r, 2000);
	assert_int_equal(r.stats.drop_expired, 1);
	assert_int_equal(mrf_queue_row_delayed(row()), 0);
}

static void age_counts_from_the_end_of_the_delay(void **state)
{
	(void)state;
	r.options.age_max_ms = 1000;
	rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "aging", 1, 0, 0);
	q = r.queue;
	push_delayed("a", 5000, 0);
	rig_pass(&r, 5999);
	assert_int_equal(mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "aging")), 1);
	rig_pass(&r, 1);
	assert_int_equal(mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "aging")), 0);
	assert_int_equal(mrf_queue_row_dead(r.row), 1);
}

static void frozen_time_counts_for_no_delay(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_delayed("delayed", 3000, 0);
	push_at("at", unix_ms() + 3000);
	rig_pass(&r, 1000);
	r.now_ms += 3600000;
	rig_pass(&r, 1000);
	take("at");
	rig_expect_none(&r, 2);
	rig_pass(&r, 1000);
	take("delayed");
}

static void peek_does_not_show_what_is_not_due(void **state)
{
	(void)state;
	push_delayed("later", 1000, 0);
	rig_push_run(&r, q, 1, "now", NULL);
	rig_command(&r, MRF_QUEUE_VERB_PEEK, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(mrf_queue_answer_messages_count(r.table), 1);
}

static void deleted_queue_gives_the_memory_of_delayed_messages_back(void **state)
{
	uint64_t before = mr_slab_bytes(r.store);
	uint32_t other;

	(void)state;
	other = rig_make(&r, "other");
	rig_push(&r, &(struct rig_push){.queue = other, .client = 1, .text = "a"});
	rig_run(&r);
	before = mr_slab_bytes(r.store);
	for (unsigned i = 0; i < 3000; i++)
		push_with(
			"a", (struct mrf_push_options){
				     .delay_ms = 1000 * i + 1, .ticket_low = i + 1, .ttl_ms = 500});
	push_at("b", unix_ms() + 1000);
	rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	rig_run(&r);
	assert_true(mr_slab_bytes(r.store) <= before);
}

/* Tickets. */

static void push_ticket(const char *text, uint32_t delay_ms, uint64_t ticket)
{
	push_with(text, (struct mrf_push_options){.delay_ms = delay_ms,
				.ticket_high = (uint16_t)(ticket >> 32),
				.ticket_low = (uint32_t)ticket});
}

static void cancelled_message_never_comes(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_ticket("a", 500, 0xffff00000001);
	push_ticket("b", 500, 1);
	assert_int_equal(withdraw(1, 0xffff00000001), 0);
	assert_int_equal(r.stats.queue_cancelled, 1);
	assert_int_equal(mrf_queue_row_delayed(row()), 1);
	assert_int_equal(mrf_queue_row_bytes(row()), 1);
	rig_pass(&r, 500);
	rig_expect(&r, 2, "b");
	rig_expect_none(&r, 2);
}

static void ticket_ends_when_the_message_is_due(void **state)
{
	(void)state;
	push_ticket("a", 500, 7);
	rig_pass(&r, 500);
	assert_int_equal(withdraw(1, 7), -ESRCH);
	assert_int_equal(withdraw(1, 8), -ESRCH);
	assert_int_equal(mrf_queue_row_ready(row()), 1);
	push_ticket("a", 500, 7);
	assert_int_equal(withdraw(1, 7), 0);
	assert_int_equal(withdraw(1, 7), -ESRCH);
}

static void copies_with_one_ticket_are_few_and_go_together(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		push_ticket("a", 500, 7);
	assert_int_equal(mrf_queue_row_delayed(row()), 8);
	assert_int_equal(r.stats.refused_push_full, 2);
	assert_int_equal(withdraw(0, 7), 0);
	assert_int_equal(r.count, 8);
	assert_int_equal(mrf_queue_row_delayed(row()), 0);
}

static void ticket_of_another_user_is_refused(void **state)
{
	(void)state;
	r.peer[5] = 5;
	r.peer[6] = 6;
	rig_push(&r,
		&(struct rig_push){.queue = q,
			.client = 5,
			.text = "a",
			.options = &(struct mrf_push_options){.delay_ms = 500, .ticket_low = 7}});
	rig_run(&r);
	assert_int_equal(withdraw(6, 7), -EACCES);
	assert_int_equal(mrf_queue_row_delayed(row()), 1);
	assert_int_equal(withdraw(5, 7), 0);
}

/* Tickets can be guessed: whoever uses a number first takes it away from nobody. */
static void ticket_that_another_user_fills_up_is_free_for_its_own(void **state)
{
	(void)state;
	r.peer[5] = 5;
	r.peer[6] = 6;
	for (unsigned client = 5; client <= 6; client++)
		for (unsigned i = 0; i < 9; i++)
			rig_push(&r, &(struct rig_push){.queue = q,
					     .client = client,
					     .text = "a",
					     .options = &(struct mrf_push_options){
						     .delay_ms = 500, .ticket_low = 7}});
	rig_run(&r);
	assert_int_equal(mrf_queue_row_delayed(row()), 16);
	assert_int_equal(r.stats.refused_push_full, 2);
	assert_int_equal(withdraw(6, 7), 0);
	assert_int_equal(r.count, 8);
	assert_int_equal(mrf_queue_row_delayed(row()), 8);
}

static void many_tickets_are_found_in_any_order(void **state)
{
	uint64_t before, ticket = 0;

	(void)state;
	push_ticket("a", 1000, 1);
	before = mr_slab_bytes(r.store);
	for (unsigned i = 0; i < 20000; i++)
		push_ticket(
			"a", 1000 + i % 3000, (i * 2654435761ull & 0xffffffffffff) | 1ull << 47);
	for (unsigned i = 0; i < 20000; i += 2) {
		ticket = ((19999 - i) * 2654435761ull & 0xffffffffffff) | 1ull << 47;
		assert_int_equal(withdraw(1, ticket), 0);
		assert_int_equal(r.count, 1);
		assert_int_equal(withdraw(1, ticket), -ESRCH);
	}
	assert_int_equal(mrf_queue_row_delayed(row()), 10001);
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.count, 10001);
	rig_run(&r);
	assert_int_equal(withdraw(1, ticket), -ESRCH);
	assert_true(mr_slab_bytes(r.store) <= before);
	push_ticket("b", 1000, ticket);
	assert_int_equal(withdraw(1, ticket), 0);
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
		RIG_TEST(times_that_no_clock_reaches_wait),
		RIG_TEST(message_for_a_time_of_day_comes_then),
		RIG_TEST(time_of_day_follows_a_clock_that_steps_forward),
		RIG_TEST(time_of_day_follows_a_clock_that_steps_back),
		RIG_TEST(clock_that_stepped_back_counts_for_new_messages),
		RIG_TEST(time_of_day_after_the_time_to_live_never_comes),
		RIG_TEST(time_to_live_ends_though_the_clock_steps_back),
		RIG_TEST(age_counts_from_the_end_of_the_delay),
		RIG_TEST(frozen_time_counts_for_no_delay),
		RIG_TEST(peek_does_not_show_what_is_not_due),
		RIG_TEST(deleted_queue_gives_the_memory_of_delayed_messages_back),
		RIG_TEST(cancelled_message_never_comes),
		RIG_TEST(ticket_ends_when_the_message_is_due),
		RIG_TEST(copies_with_one_ticket_are_few_and_go_together),
		RIG_TEST(ticket_of_another_user_is_refused),
		RIG_TEST(ticket_that_another_user_fills_up_is_free_for_its_own),
		RIG_TEST(many_tickets_are_found_in_any_order),
		RIG_TEST(time_to_live_ends_before_and_after_the_delay),
		RIG_TEST(purge_takes_delayed_messages_in_slices),
		RIG_TEST(message_in_hand_at_a_purge_comes_back_with_its_end),
		RIG_TEST(limit_counts_delayed_messages),
		RIG_TEST(many_that_are_due_together_come_in_slices),
		RIG_TEST(delay_and_time_together_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
