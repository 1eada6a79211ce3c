/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that a queue pushes into itself: each period, or by cron. */
#include "tests/unit/queue/rig_work.h"

#include <errno.h>

#define HEAD  "NATS/1.0\r\n"
#define NIGHT "Millrace-Cron: 0 0 * * *\r\n\r\n"

static void push(unsigned client, const char *text, const char *headers,
	const struct mrf_push_options *options)
{
	static uint64_t id;

	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = client,
			     .text = text,
			     .headers = headers,
			     .id = ++id,
			     .options = options});
	rig_run(&r);
}

static void push_every(const char *text, uint32_t every_ms, uint32_t ticket)
{
	push(1, text, NULL,
		&(struct mrf_push_options){.repeat = MRF_PUSH_REPEAT_EVERY,
			.delay_ms = every_ms,
			.ticket_low = ticket});
}

static void push_cron(const char *text, const char *headers, uint32_t ticket)
{
	push(1, text, headers,
		&(struct mrf_push_options){.repeat = MRF_PUSH_REPEAT_CRON, .ticket_low = ticket});
}

/* Keeps the wheel of times of day from being empty. */
static void push_at_year_2100(void)
{
	push(1, "far", NULL, &(struct mrf_push_options){.at_ms = 4102444800000});
}

static uint32_t schedules(void)
{
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_SCHEDULES, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0),
		0);
	assert_int_equal(mrf_queue_answer_messages_count(r.table), r.count < 16 ? r.count : 16);
	return (uint32_t)r.count;
}

static struct mrf_table schedule(uint32_t index)
{
	assert_true(index < schedules());
	return mrf_queue_answer_messages_at(r.table, index);
}

static void each_period_brings_a_copy(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_every("tick", 1000, 7);
	assert_int_equal(mrf_queue_row_delayed(row()), 0);
	for (unsigned i = 0; i < 3; i++) {
		rig_pass(&r, 999);
		rig_expect_none(&r, 2);
		rig_pass(&r, 1);
		take("tick");
	}
	assert_int_equal(mrf_queue_message_row_fired(schedule(0)), 3);
	assert_int_equal(mrf_queue_message_row_ticket(schedule(0)), 7);
	assert_int_equal(mrf_queue_message_row_every_ms(schedule(0)), 1000);
	assert_int_equal(mrf_queue_message_row_next_ms(schedule(0)), 1000);
}

static void cancelled_schedule_brings_no_more(void **state)
{
	uint64_t before;

	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_every("first", 1000, 8);
	before = mr_slab_bytes(r.store);
	push_every("tick", 1000, 7);
	rig_pass(&r, 1000);
	take("first");
	take("tick");
	assert_int_equal(withdraw(1, 7), 0);
	assert_int_equal(withdraw(1, 7), -ESRCH);
	assert_int_equal(schedules(), 1);
	rig_pass(&r, 1000);
	take("first");
	rig_expect_none(&r, 2);
	assert_true(mr_slab_bytes(r.store) <= before);
}

static void same_ticket_replaces_the_schedule(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_every("old", 1000, 7);
	push_every("new", 1500, 7);
	assert_int_equal(schedules(), 1);
	rig_pass(&r, 1499);
	rig_expect_none(&r, 2);
	rig_pass(&r, 1);
	take("new");
}

static void cron_follows_the_clock_of_the_system(void **state)
{
	(void)state;
	r.stepped = 23 * 3600000 + 59 * 60000; /* a minute before midnight */
	r.stepped -= (int64_t)r.now_ms;
	rig_consume(&r, "work", 2, 10);
	push_cron("night", HEAD NIGHT, 7);
	rig_pass(&r, 59999);
	rig_expect_none(&r, 2);
	rig_pass(&r, 1);
	take("night");
	assert_int_equal(mrf_queue_message_row_next_ms(schedule(0)), 86400000);
	r.stepped += 86400000; /* the next midnight comes sooner */
	rig_pass(&r, 1000);
	take("night");
	r.stepped -= 3600000; /* repeats the hour */
	rig_pass(&r, 3600000 + 1000);
	rig_expect_none(&r, 2);
}

static void clock_beyond_the_wheel_does_no_harm(void **state)
{
	const int64_t year_ms = 365ll * 86400000;

	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_cron("first", HEAD NIGHT, 7);
	r.stepped += 150 * year_ms;
	rig_pass(&r, 1000);
	take("first");
	rig_pass(&r, (uint32_t)mrf_queue_message_row_next_ms(schedule(0)) - 1);
	rig_expect_none(&r, 2);
	rig_pass(&r, 1);
	take("first");
	push_cron("second", HEAD NIGHT, 8);
	r.stepped -= 150 * year_ms;
	assert_int_equal(withdraw(1, 7), 0);
	assert_int_equal(withdraw(1, 8), 0);
	push_cron("third", HEAD NIGHT, 9);
	rig_pass(&r, (uint32_t)mrf_queue_message_row_next_ms(schedule(0)));
	take("third");
	rig_expect_none(&r, 2);
}

/* A clock that was a year ahead for a while. */
static void cron_begins_anew_when_a_wrong_clock_is_set_back(void **state)
{
	const int64_t year_ms = 365ll * 86400000;

	(void)state;
	r.stepped = -(int64_t)r.now_ms;
	rig_consume(&r, "work", 2, 10);
	push_cron("night", HEAD NIGHT, 7);
	push_at_year_2100();
	r.stepped += year_ms;
	rig_pass(&r, 1000);
	take("night"); /* one that passed unseen */
	r.stepped -= year_ms;
	rig_pass(&r, 1000);
	rig_expect_none(&r, 2);
	assert_in_range(mrf_queue_message_row_next_ms(schedule(0)), 1, 86400000);
	rig_pass(&r, 86400000 - 2000);
	take("night");
	rig_pass(&r, 86400000);
	take("night");
	rig_expect_none(&r, 2);
}

static void cron_after_a_step_back_comes_at_its_times(void **state)
{
	(void)state;
	r.stepped = -(int64_t)r.now_ms;
	rig_consume(&r, "work", 2, 10);
	push_at_year_2100();
	r.stepped += 86400000;
	rig_pass(&r, 1000);
	r.stepped -= 86400000;
	push_cron("minute", HEAD "Millrace-Cron: * * * * *\r\n\r\n", 8);
	for (unsigned i = 0; i < 5; i++) {
		rig_pass(&r, i == 0 ? 59000 : 60000);
		take("minute");
		rig_expect_none(&r, 2);
	}
	r.stepped += 3600000; /* forward: within a second, and one for all that passed */
	rig_pass(&r, 1000);
	take("minute");
}

/* Acknowledges all deliveries; returns how many they were. */
static unsigned take_all(void)
{
	unsigned count = 0;
	struct rig_sent *s;

	for (; (s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER)) != NULL; count++) {
		rig_settle(&r, 2, q, s->view.extra.delivery.tag, MRF_SETTLE_VERB_ACK, 0);
		rig_run(&r);
	}
	return count;
}

static void times_that_passed_unseen_bring_one_copy(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_cron("hour", HEAD "millrace-cron: 30 * * * *\r\n\r\n", 8);
	r.now_ms += 5 * 3600000; /* the worker was frozen */
	rig_pass(&r, 1000);
	take("hour");
	rig_expect_none(&r, 2);
	r.stepped += 5 * 3600000;
	rig_pass(&r, 1000);
	take("hour");
	rig_expect_none(&r, 2);
}

/* A worker that is late, but not as late as after a freeze. */
static void periods_that_passed_unseen_bring_one_copy(void **state)
{
	(void)state;
	rig_consume(&r, "work", 2, 10);
	push_every("tick", 100, 7);
	r.now_ms += 450;
	mr_queues_tick(r.queues, r.now_ms);
	rig_run(&r);
	assert_int_equal(take_all(), 1);
	rig_pass(&r, 49);
	assert_int_equal(take_all(), 0);
	rig_pass(&r, 1);
	assert_int_equal(take_all(), 1);
}

static void bad_schedules_are_refused(void **state)
{
	static const struct mrf_push_options bad[] = {
		{.repeat = MRF_PUSH_REPEAT_EVERY, .delay_ms = 1000},
		{.repeat = MRF_PUSH_REPEAT_EVERY, .delay_ms = 99, .ticket_low = 7},
		{.repeat = MRF_PUSH_REPEAT_EVERY, .at_ms = 1, .ticket_low = 7},
		{.repeat = MRF_PUSH_REPEAT_CRON, .ticket_low = 7},
		{.repeat = MRF_PUSH_REPEAT_CRON, .delay_ms = 1000, .ticket_low = 7},
		{.repeat = 4, .ticket_low = 7},
	};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(bad); i++)
		push(1, "a", NULL, &bad[i]);
	push_cron("a", HEAD "Millrace-Cron: 0 0 30 2 *\r\n\r\n", 7);
	push_cron("a", HEAD "Millrace-Cron: x\r\n\r\n", 7);
	push_cron("a", "Millrace-Cron:", 7);
	assert_int_equal(r.stats.drop_bad_message, MR_ARRAY_COUNT(bad) + 3);
	assert_int_equal(schedules(), 0);
	/* The ticket is that of a waiting message. */
	push(1, "a", NULL, &(struct mrf_push_options){.delay_ms = 1000, .ticket_low = 7});
	push_every("a", 1000, 7);
	assert_int_equal(r.stats.drop_bad_message, MR_ARRAY_COUNT(bad) + 4);
	assert_int_equal(mrf_queue_row_delayed(row()), 1);
}

static void full_queue_gets_no_copy(void **state)
{
	(void)state;
	r.options.messages_max = 2;
	rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "small", 1, 0, 0);
	q = r.queue;
	push_every("tick", 100, 7);
	rig_pass(&r, 1000);
	assert_int_equal(mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "small")), 2);
	assert_int_equal(r.stats.drop_scheduled, 8);
	rig_consume(&r, "small", 2, 2);
	rig_run(&r);
	take("tick");
	take("tick");
	rig_pass(&r, 100);
	take("tick");
}

static void purge_leaves_schedules(void **state)
{
	(void)state;
	push_every("tick", 1000, 7);
	push_cron("night", HEAD NIGHT, 8);
	rig_pass(&r, 1500);
	push(1, "later", NULL, &(struct mrf_push_options){.delay_ms = 1000, .ticket_low = 9});
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.count, 2);
	rig_run(&r);
	assert_int_equal(mrf_queue_row_ready(row()), 0);
	assert_int_equal(schedules(), 2);
	rig_pass(&r, 500);
	assert_int_equal(mrf_queue_row_ready(row()), 1);
	assert_int_equal(withdraw(1, 9), -ESRCH);
	assert_int_equal(withdraw(1, 7), 0);
	assert_int_equal(withdraw(1, 8), 0);
}

static void queue_with_a_schedule_is_not_idle(void **state)
{
	(void)state;
	push_cron("night", HEAD NIGHT, 8);
	rig_pass(&r, 40 * 60000);
	assert_int_equal(schedules(), 1);
	assert_int_equal(withdraw(0, 8), 0);
	rig_pass(&r, 40 * 60000);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_SHOW, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0),
		-ENOENT);
}

static void deleted_queue_ends_its_schedules(void **state)
{
	uint32_t work = q;
	uint64_t before;

	(void)state;
	q = rig_make(&r, "other");
	push(1, "a", NULL, NULL);
	before = mr_slab_bytes(r.store);
	q = work;
	for (unsigned i = 1; i < 200; i++)
		push_every("tick", 1000 + i, i);
	push_cron("night", HEAD NIGHT, 1000);
	rig_pass(&r, 1100);
	rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.code, 0);
	rig_run(&r);
	rig_pass(&r, 5000);
	assert_true(mr_slab_bytes(r.store) <= before);
	q = rig_make(&r, "work");
	assert_int_equal(schedules(), 0);
}

static void time_to_live_counts_for_each_copy(void **state)
{
	(void)state;
	push(1, "tick", NULL,
		&(struct mrf_push_options){.repeat = MRF_PUSH_REPEAT_EVERY,
			.delay_ms = 1000,
			.ttl_ms = 300,
			.ticket_low = 7});
	rig_pass(&r, 1299);
	assert_int_equal(mrf_queue_row_ready(row()), 1);
	rig_pass(&r, 1);
	assert_int_equal(mrf_queue_row_ready(row()), 0);
	rig_pass(&r, 1000);
	assert_int_equal(r.stats.drop_expired, 2);
}

static void quarter(struct mr_queues_config *c)
{
	c->peer_percent = 25;
}

static void one_user_has_a_share_of_all_schedules(void **state)
{
	uint32_t made;

	(void)state;
	rig_close(&r);
	rig_open_store(&r, 64u << 20, quarter);
	r.peer[5] = 5;
	r.peer[6] = 6;
	q = rig_make(&r, "work");
	for (unsigned client = 5; client <= 6; client++)
		for (unsigned i = 0; i < 1100; i++)
			push(client, "tick", NULL,
				&(struct mrf_push_options){.repeat = MRF_PUSH_REPEAT_EVERY,
					.delay_ms = 3600000,
					.ticket_low = client * 10000 + i});
	made = schedules();
	assert_int_equal(made, 2 * 1024);
	assert_int_equal(withdraw(6, 50000), -EACCES);
	assert_int_equal(withdraw(5, 50000), 0);
	push(5, "tick", NULL,
		&(struct mrf_push_options){
			.repeat = MRF_PUSH_REPEAT_EVERY, .delay_ms = 3600000, .ticket_low = 1});
	assert_int_equal(schedules(), made);
}

static const struct mrf_push_options hourly = {
	.repeat = MRF_PUSH_REPEAT_EVERY, .delay_ms = 3600000, .ticket_low = 7};

/* Tickets can be guessed: a message or a schedule of another user is not in the way. */
static void same_ticket_of_another_user_is_not_in_the_way(void **state)
{
	(void)state;
	r.peer[5] = 5;
	r.peer[6] = 6;
	push(5, "tick", NULL, &hourly);
	push(6, "in the way", NULL,
		&(struct mrf_push_options){.delay_ms = 3600000, .ticket_low = 7});
	push(5, "tick", NULL, &hourly);
	push(6, "tick", NULL, &hourly); /* it has a message of that ticket itself */
	assert_int_equal(r.stats.drop_bad_message, 1);
	assert_int_equal(schedules(), 1);
	assert_int_equal(withdraw(6, 7), 0);
	push(6, "tick", NULL, &hourly);
	push(5, "tick", NULL, &hourly);
	assert_int_equal(schedules(), 2);
}

/* The store is full before a run has noticed it, so the checks of the push find nothing wrong. */
static void schedule_stays_if_a_new_one_has_no_room(void **state)
{
	static char body[60000];

	(void)state;
	rig_close(&r);
	rig_open_store(&r, 8u << 20, NULL);
	q = rig_make(&r, "work");
	push(1, "tick", NULL, &hourly);
	memset(body, 'x', sizeof(body) - 1);
	while (r.stats.refused_push_memory == 0)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = body});
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = body, .options = &hourly});
	assert_int_equal(r.stats.refused_push_memory, 2);
	assert_int_equal(schedules(), 1);
	assert_int_equal(withdraw(1, 7), 0);
	assert_int_equal(schedules(), 0);
}

static void repeated_push_is_accepted_each_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		rig_push(&r, &(struct rig_push){.queue = q,
				     .client = 1,
				     .text = "tick",
				     .publisher = 9,
				     .id = 1,
				     .options = &(struct mrf_push_options){
					     .repeat = MRF_PUSH_REPEAT_EVERY,
					     .delay_ms = 1000,
					     .ticket_low = 7}});
		rig_run(&r);
		rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_OK);
	}
	assert_int_equal(schedules(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(each_period_brings_a_copy),
		RIG_TEST(cancelled_schedule_brings_no_more),
		RIG_TEST(same_ticket_replaces_the_schedule),
		RIG_TEST(same_ticket_of_another_user_is_not_in_the_way),
		RIG_TEST(schedule_stays_if_a_new_one_has_no_room),
		RIG_TEST(cron_follows_the_clock_of_the_system),
		RIG_TEST(clock_beyond_the_wheel_does_no_harm),
		RIG_TEST(cron_begins_anew_when_a_wrong_clock_is_set_back),
		RIG_TEST(cron_after_a_step_back_comes_at_its_times),
		RIG_TEST(times_that_passed_unseen_bring_one_copy),
		RIG_TEST(periods_that_passed_unseen_bring_one_copy),
		RIG_TEST(bad_schedules_are_refused),
		RIG_TEST(full_queue_gets_no_copy),
		RIG_TEST(purge_leaves_schedules),
		RIG_TEST(queue_with_a_schedule_is_not_idle),
		RIG_TEST(deleted_queue_ends_its_schedules),
		RIG_TEST(time_to_live_counts_for_each_copy),
		RIG_TEST(one_user_has_a_share_of_all_schedules),
		RIG_TEST(repeated_push_is_accepted_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
