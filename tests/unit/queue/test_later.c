/* SPDX-License-Identifier: Apache-2.0 */
/* Settlements that are more than a round's work: what was settled stays settled, whatever happens
 * before its turn comes. */
#include "tests/unit/queue/rig.h"

#define MANY 3000u /* more than the messages that one round settles */

static struct rig r;
static uint32_t queue;
static uint64_t tags[MANY];

static void settle_all(enum mrf_settle_verb verb, uint32_t delay_ms)
{
	static struct mrf_settlement all[MANY];
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_SETTLE, .target = queue},
		.payload = (const uint8_t *)all,
		.payload_bytes = sizeof(all),
	};

	for (unsigned i = 0; i < MANY; i++)
		all[i] = (struct mrf_settlement){
			.tag = tags[i], .delay_ms = delay_ms, .verb = (uint8_t)verb};
	mr_queues_settle(r.queues, rig_session(1), &m, r.now_ms);
}

static uint64_t field(const char *name, uint64_t (*of)(struct mrf_table))
{
	return of(rig_show(&r, MRF_QUEUE_KIND_QUEUE, name));
}

static uint64_t ready(const char *name)
{
	return field(name, mrf_queue_row_ready);
}

static uint64_t outstanding(const char *name)
{
	return field(name, mrf_queue_row_outstanding);
}

/* Consumer 1 has them all. */
static int setup(void **state)
{
	(void)state;
	rig_open(&r, NULL);
	queue = rig_make(&r, "work");
	for (unsigned i = 0; i < MANY; i++)
		rig_push(&r, &(struct rig_push){.queue = queue, .client = 2, .text = "x"});
	rig_consume(&r, "work", 1, MANY);
	rig_run(&r);
	for (unsigned i = 0; i < MANY; i++)
		tags[i] = rig_expect(&r, 1, "x");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static void ack_all(void)
{
	rig_settle(&r, 1, queue, tags[MANY - 1], MRF_SETTLE_VERB_ACK_UP_TO, 0);
	assert_true(outstanding("work") > 0); /* the rest has its turn */
}

static void acks_of_more_than_a_round_are_all_done(void **state)
{
	(void)state;
	ack_all();
	rig_run(&r);
	assert_int_equal(outstanding("work"), 0);
	assert_int_equal(r.stats.queue_acked, MANY);
}

static void acked_messages_do_not_come_back_when_their_consumer_is_lost(void **state)
{
	(void)state;
	ack_all();
	r.gone[1] = true;
	rig_pass(&r, 200);
	assert_int_equal(r.stats.queue_acked, MANY);
	assert_int_equal(ready("work"), 0);
}

static void acked_messages_do_not_come_back_when_their_consumer_leaves(void **state)
{
	(void)state;
	rig_settle(&r, 1, queue, tags[MANY - 2], MRF_SETTLE_VERB_ACK_UP_TO, 0);
	rig_settle(&r, 1, queue, tags[MANY - 1], MRF_SETTLE_VERB_LEAVE, 0);
	rig_run(&r);
	assert_int_equal(r.stats.queue_acked, MANY - 1);
	assert_int_equal(ready("work"), 1);
}

static void acked_messages_do_not_time_out(void **state)
{
	(void)state;
	ack_all();
	r.now_ms += 5000;
	mr_queues_tick(r.queues, r.now_ms);
	rig_run(&r);
	assert_int_equal(r.stats.queue_acked, MANY);
	assert_int_equal(r.stats.queue_recalled, 0);
}

static void tag_that_an_ack_covers_names_nothing(void **state)
{
	(void)state;
	ack_all();
	rig_settle(&r, 1, queue, tags[MANY - 1], MRF_SETTLE_VERB_REQUEUE, 0);
	rig_settle(&r, 1, queue, tags[MANY - 2], MRF_SETTLE_VERB_REJECT, 0);
	rig_settle(&r, 1, queue, tags[MANY - 3], MRF_SETTLE_VERB_ACK_UP_TO, 0);
	rig_run(&r);
	assert_int_equal(r.stats.queue_acked, MANY);
	assert_int_equal(r.stats.queue_dead, 0);
	assert_int_equal(r.stats.bad_tags, 3);
}

static void second_ack_of_a_covered_tag_ends_it_once(void **state)
{
	(void)state;
	ack_all();
	for (unsigned i = 1; i <= 500; i++)
		rig_settle(&r, 1, queue, tags[MANY - i], MRF_SETTLE_VERB_ACK, 0);
	rig_run(&r);
	assert_int_equal(r.stats.queue_acked, MANY);
	assert_int_equal(outstanding("work"), 0);
}

static void later_ack_up_to_covers_more(void **state)
{
	(void)state;
	rig_settle(&r, 1, queue, tags[1500], MRF_SETTLE_VERB_ACK_UP_TO, 0);
	rig_settle(&r, 1, queue, tags[2500], MRF_SETTLE_VERB_ACK_UP_TO, 0);
	rig_run(&r);
	assert_int_equal(r.stats.queue_acked, 2501);
	assert_int_equal(outstanding("work"), MANY - 2501);
}

static void rejected_messages_do_not_come_back_when_their_consumer_is_lost(void **state)
{
	(void)state;
	settle_all(MRF_SETTLE_VERB_REJECT, 0);
	assert_true(outstanding("work") > 0);
	r.gone[1] = true;
	rig_pass(&r, 200);
	assert_int_equal(ready("work"), 0);
	assert_int_equal(r.stats.queue_dead, MANY);
	assert_int_equal(ready("work.dead"), MANY);
	assert_int_equal(r.stats.consumers_gone, 1);
}

static void second_settlement_of_a_rejected_message_is_unknown(void **state)
{
	(void)state;
	settle_all(MRF_SETTLE_VERB_REJECT, 0);
	settle_all(MRF_SETTLE_VERB_ACK, 0);
	rig_pass(&r, 5000);
	assert_int_equal(r.stats.queue_acked, 0);
	assert_int_equal(r.stats.queue_dead, MANY);
	assert_int_equal(r.stats.bad_tags, MANY);
}

static void messages_given_back_keep_their_order_and_delay(void **state)
{
	(void)state;
	settle_all(MRF_SETTLE_VERB_REQUEUE, 700);
	rig_pass(&r, 600);
	assert_int_equal(ready("work"), 0);
	assert_int_equal(outstanding("work"), 0);
	rig_expect_none(&r, 1);
	rig_pass(&r, 200);
	assert_int_equal(outstanding("work"), MANY);
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_DELIVER), MANY);
}

/* The consumer's timer fires while all that it has waits for its turn. */
static void delivery_behind_settled_ones_times_out(void **state)
{
	(void)state;
	rig_pass(&r, 900);
	settle_all(MRF_SETTLE_VERB_REJECT, 0);
	r.now_ms += 200;
	mr_queues_tick(r.queues, r.now_ms);
	assert_true(outstanding("work") > 0);
	rig_push(&r, &(struct rig_push){.queue = queue, .client = 2, .text = "new"});
	(void)mr_queues_run(r.queues, r.now_ms);
	rig_run(&r);
	(void)rig_expect(&r, 1, "new");
	assert_int_equal(outstanding("work"), 1);
	rig_pass(&r, 900);
	assert_int_equal(r.stats.queue_recalled, 0);
	rig_pass(&r, 200);
	assert_int_equal(r.stats.queue_recalled, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(acks_of_more_than_a_round_are_all_done),
		RIG_TEST(acked_messages_do_not_come_back_when_their_consumer_is_lost),
		RIG_TEST(acked_messages_do_not_come_back_when_their_consumer_leaves),
		RIG_TEST(acked_messages_do_not_time_out),
		RIG_TEST(tag_that_an_ack_covers_names_nothing),
		RIG_TEST(second_ack_of_a_covered_tag_ends_it_once),
		RIG_TEST(later_ack_up_to_covers_more),
		RIG_TEST(rejected_messages_do_not_come_back_when_their_consumer_is_lost),
		RIG_TEST(second_settlement_of_a_rejected_message_is_unknown),
		RIG_TEST(messages_given_back_keep_their_order_and_delay),
		RIG_TEST(delivery_behind_settled_ones_times_out),
	};

	return cmocka_run_group_tests_name("queue-later", tests, NULL, NULL);
}
