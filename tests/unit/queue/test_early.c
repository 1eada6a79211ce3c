/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that an operator takes before they are due, and what is told of deliveries. */
#include "tests/unit/queue/rig_work.h"

#include <errno.h>

/* Asks for messages that are not due, for the consumer 2; returns how many came. */
static uint64_t early(uint32_t count)
{
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_DELIVER_EARLY, MRF_QUEUE_KIND_QUEUE, "work",
				 2, 0, count),
		0);
	return r.count;
}

/* Asks about a delivery; returns its row. */
static struct mrf_table details(uint64_t tag)
{
	r.tag = tag;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DETAILS, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0), 0);
	r.tag = 0;
	return mrf_queue_answer_messages_count(r.table) == 0
		       ? (struct mrf_table){0}
		       : mrf_queue_answer_messages_at(r.table, 0);
}

static uint64_t waiting(void)
{
	return mrf_queue_row_delayed(row());
}

static void push_late(const char *text)
{
	push_with(text, (struct mrf_push_options){.delay_ms = 5000, .ticket_low = 7});
}

static void message_that_is_not_due_is_delivered_early_and_told_of(void **state)
{
	struct mrf_table t;

	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_late("late");
	rig_pass(&r, 1000);
	rig_expect_none(&r, 2);
	assert_int_equal(early(10), 1);
	assert_int_equal(waiting(), 0);
	t = details(rig_expect(&r, 2, "late"));
	assert_int_equal(mrf_queue_message_row_delay_ms(t), 4000);
	assert_int_equal(mrf_queue_message_row_ttl_ms(t), 0);
	assert_int_equal(mrf_queue_message_row_at_ms(t), 0);
	assert_int_equal(mrf_queue_message_row_ticket(t), 7);
	assert_int_equal(early(10), 0);
}

static void early_message_that_comes_back_waits_again(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_late("late");
	rig_pass(&r, 1000);
	assert_int_equal(early(10), 1);
	settle(rig_expect(&r, 2, "late"), MRF_SETTLE_VERB_RETURNED, 0);
	assert_int_equal(waiting(), 1);
	rig_pass(&r, 3999);
	rig_expect_none(&r, 2);
	rig_pass(&r, 1);
	take("late");
	assert_int_equal(waiting(), 0);
}

static void early_message_keeps_its_ticket_and_its_date(void **state)
{
	struct mrf_table t;

	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_with("at",
		(struct mrf_push_options){.at_ms = RIG_UNIX_MS + r.now_ms + 9000, .ticket_low = 8});
	assert_int_equal(early(10), 1);
	t = details(r.sent[r.sent_count - 1].view.extra.delivery.tag);
	assert_int_equal(mrf_queue_message_row_at_ms(t), RIG_UNIX_MS + r.now_ms + 9000);
	assert_int_equal(mrf_queue_message_row_delay_ms(t), 0);
	assert_int_equal(withdraw(0, 8), -ESRCH);
	settle(rig_expect(&r, 2, "at"), MRF_SETTLE_VERB_RETURNED, 0);
	assert_int_equal(withdraw(0, 8), 0);
	assert_int_equal(waiting(), 0);
}

static void early_message_that_was_due_meanwhile_comes_at_once(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_with("late", (struct mrf_push_options){.delay_ms = 100});
	assert_int_equal(early(10), 1);
	rig_pass(&r, 200);
	settle(rig_expect(&r, 2, "late"), MRF_SETTLE_VERB_RETURNED, 0);
	rig_pass(&r, 1);
	take("late");
}

static void rejected_early_message_is_a_dead_letter_at_once(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_late("late");
	assert_int_equal(early(10), 1);
	settle(rig_expect(&r, 2, "late"), MRF_SETTLE_VERB_REJECT, 0);
	assert_int_equal(waiting(), 0);
	assert_int_equal(mrf_queue_row_dead_ready(row()), 1);
}

static void acknowledged_early_message_leaves_no_memory(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_late("late");
	assert_int_equal(early(10), 1);
	take("late");
	assert_int_equal(waiting(), 0);
	assert_int_equal(mrf_queue_row_bytes(row()), 0);
}

static void early_deliveries_are_bounded_by_credit_and_count(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 4);
	for (unsigned i = 0; i < 6; i++)
		push_with("late", (struct mrf_push_options){.delay_ms = 5000});
	assert_int_equal(early(3), 3);
	assert_int_equal(early(3), 1);
	assert_int_equal(early(3), 0);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER), 4);
	assert_int_equal(waiting(), 2);
}

static void only_waiting_messages_are_delivered_early(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	rig_command(&r, MRF_QUEUE_VERB_PAUSE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	push_with("ready", (struct mrf_push_options){.ttl_ms = 60000});
	push_with("again",
		(struct mrf_push_options){
			.repeat = MRF_PUSH_REPEAT_EVERY, .delay_ms = 60000, .ticket_low = 9});
	push_late("late");
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_DELIVER_EARLY, MRF_QUEUE_KIND_QUEUE, "work",
				 2, 0, 10),
		-EBUSY);
	rig_command(&r, MRF_QUEUE_VERB_RESUME, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	rig_run(&r);
	assert_int_equal(early(10), 1);
	rig_expect(&r, 2, "ready");
	rig_expect(&r, 2, "late");
	rig_expect_none(&r, 2);
}

static void all_waiting_messages_are_found_wherever_their_times_are(void **state)
{
	uint64_t all = 0;

	(void)state;
	rig_consume(&r, "work", 2, 1000);
	for (uint32_t i = 0; i < 200; i++)
		push_with("late", (struct mrf_push_options){.delay_ms = 1 + i * i * 997});
	rig_pass(&r, 1000);
	all = rig_count(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	for (uint64_t some = 1; some > 0; all += some)
		some = early(64);
	assert_int_equal(all, 200);
	assert_int_equal(waiting(), 0);
}

static void foreign_consumers_and_deliveries_are_refused(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_late("late");
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_DELIVER_EARLY, MRF_QUEUE_KIND_QUEUE, "work",
				 3, 0, 10),
		-ESRCH);
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_DELIVER_EARLY, MRF_QUEUE_KIND_QUEUE, "none",
				 2, 0, 10),
		-ENOENT);
	assert_int_equal(mrf_queue_message_row_tag(details(UINT64_MAX)), 0);
}

static void rest_of_a_time_to_live_is_told(void **state)
{
	uint64_t tag;

	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_with("short", (struct mrf_push_options){.ttl_ms = 700});
	rig_pass(&r, 300);
	tag = rig_expect(&r, 2, "short");
	assert_int_equal(mrf_queue_message_row_tag(details(tag)), tag);
	assert_int_equal(mrf_queue_message_row_ttl_ms(details(tag)), 400);
	rig_push_run(&r, q, 1, "plain", NULL);
	assert_int_equal(mrf_queue_message_row_tag(details(rig_expect(&r, 2, "plain"))), 0);
}

static struct mrf_push_options restored(uint32_t attempts)
{
	return (struct mrf_push_options){
		.repeat = MRF_PUSH_REPEAT_RESTORED, .ticket_low = attempts};
}

/* The rig's max_deliver is 3. */
static void attempts_of_elsewhere_count(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_with("twice", restored(2));
	push_with("more", restored(UINT32_MAX));
	settle(rig_expect(&r, 2, "twice"), MRF_SETTLE_VERB_REQUEUE, 0);
	settle(rig_expect(&r, 2, "more"), MRF_SETTLE_VERB_REQUEUE, 0);
	rig_expect_none(&r, 2);
	assert_int_equal(mrf_queue_row_dead_ready(row()), 2);
}

static void restored_messages_do_not_wait(void **state)
{
	struct mrf_push_options bad[] = {restored(1), restored(1), restored(1)};

	(void)state;
	bad[0].delay_ms = 10;
	bad[1].at_ms = RIG_UNIX_MS * 2;
	bad[2].ticket_high = 1;
	for (unsigned i = 0; i < 3; i++) {
		rig_push(&r, &(struct rig_push){.queue = q,
				     .client = 1,
				     .text = "x",
				     .id = i + 1,
				     .options = &bad[i]});
		rig_run(&r);
		rig_expect_accepted(&r, 1, i + 1, 1, MRF_STATUS_CODE_BAD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(message_that_is_not_due_is_delivered_early_and_told_of),
		RIG_TEST(early_message_that_comes_back_waits_again),
		RIG_TEST(early_message_keeps_its_ticket_and_its_date),
		RIG_TEST(early_message_that_was_due_meanwhile_comes_at_once),
		RIG_TEST(rejected_early_message_is_a_dead_letter_at_once),
		RIG_TEST(acknowledged_early_message_leaves_no_memory),
		RIG_TEST(early_deliveries_are_bounded_by_credit_and_count),
		RIG_TEST(only_waiting_messages_are_delivered_early),
		RIG_TEST(all_waiting_messages_are_found_wherever_their_times_are),
		RIG_TEST(foreign_consumers_and_deliveries_are_refused),
		RIG_TEST(rest_of_a_time_to_live_is_told),
		RIG_TEST(attempts_of_elsewhere_count),
		RIG_TEST(restored_messages_do_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
