/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a queue change while it has messages: ready, delayed, and out with consumers. */
#include <errno.h>
#include <stdio.h>

#include "tests/unit/queue/rig.h"

#define IDLE_MS 10001u

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

static int edit_kind(enum mrf_queue_kind kind, const char *name, uint32_t edits,
	const struct mrf_queue_options *values)
{
	int rc;

	r.options = *values;
	r.edits = edits;
	rc = rig_command(&r, MRF_QUEUE_VERB_EDIT, kind, name, 0, 0, 0);
	r.edits = 0;
	return rc;
}

static int edit(const char *name, uint32_t edits, struct mrf_queue_options values)
{
	return edit_kind(MRF_QUEUE_KIND_QUEUE, name, edits, &values);
}

static void must_edit(const char *name, uint32_t edits, struct mrf_queue_options values)
{
	assert_int_equal(edit(name, edits, values), 0);
}

static struct mrf_table show(const char *name)
{
	return rig_show(&r, MRF_QUEUE_KIND_QUEUE, name);
}

/* Pushes promised messages with the ids `first` .. `last`, whose texts are their ids. */
static void push(uint32_t q, unsigned client, uint64_t first, uint64_t last)
{
	char text[24];

	for (uint64_t id = first; id <= last; id++) {
		snprintf(text, sizeof(text), "%u", (unsigned)id);
		rig_push(&r,
			&(struct rig_push){.queue = q, .client = client, .text = text, .id = id});
	}
	rig_run(&r);
}

/* Pushes such messages, and expects this outcome for all of them. */
static void push_gets(uint32_t q, uint64_t first, uint64_t last, enum mrf_status_code outcome)
{
	push(q, 1, first, last);
	rig_expect_accepted(&r, 1, first, (uint32_t)(last - first + 1), outcome);
}

/* Expects this message at client 2, which acks it. */
static void ack(uint32_t q, const char *text)
{
	rig_settle(&r, 2, q, rig_expect(&r, 2, text), MRF_SETTLE_VERB_ACK, 0);
}

static void limit_messages(uint64_t messages_max)
{
	must_edit("work", MRF_QUEUE_OPTION_MESSAGES_MAX,
		(struct mrf_queue_options){.messages_max = messages_max});
}

static uint32_t make_limited(uint64_t messages_max, uint8_t when_full)
{
	r.options.messages_max = messages_max;
	r.options.when_full = when_full;
	return rig_make(&r, "work");
}

static void lowered_limit_drops_nothing_and_refuses_more(void **state)
{
	uint32_t q = make_limited(100, MRF_QUEUE_FULL_REFUSE);

	(void)state;
	push_gets(q, 1, 6, MRF_STATUS_CODE_OK);
	limit_messages(2);
	assert_int_equal(mrf_queue_row_ready(show("work")), 6);
	push_gets(q, 7, 7, MRF_STATUS_CODE_OVERLOADED);
	rig_consume(&r, "work", 2, 10);
	rig_run(&r);
	for (unsigned id = 1; id <= 6; id++) {
		char text[8];

		snprintf(text, sizeof(text), "%u", id);
		ack(q, text);
	}
	push_gets(q, 8, 8, MRF_STATUS_CODE_OK);
}

static void lowered_limit_counts_messages_that_are_out_and_delayed(void **state)
{
	uint32_t q = make_limited(100, MRF_QUEUE_FULL_REFUSE);
	uint64_t out;

	(void)state;
	rig_consume(&r, "work", 2, 2);
	push_gets(q, 1, 2, MRF_STATUS_CODE_OK);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "1"), MRF_SETTLE_VERB_REQUEUE, 500);
	out = rig_expect(&r, 2, "2");
	limit_messages(1);
	push_gets(q, 3, 3, MRF_STATUS_CODE_OVERLOADED);
	rig_settle(&r, 2, q, out, MRF_SETTLE_VERB_ACK, 0);
	push_gets(q, 4, 4, MRF_STATUS_CODE_OVERLOADED); /* the delayed one still fills it */
	rig_pass(&r, 501);
	ack(q, "1");
	push_gets(q, 5, 5, MRF_STATUS_CODE_OK);
}

static void lowered_limit_makes_producers_wait_within_the_new_window(void **state)
{
	uint32_t q = make_limited(64, MRF_QUEUE_FULL_WAIT);

	(void)state;
	push_gets(q, 1, 6, MRF_STATUS_CODE_OK);
	limit_messages(2);
	/* Far beyond the limit: the client's own two, whatever window it opened with. */
	push(q, 1, 7, 9);
	rig_expect_accepted(&r, 1, 9, 1, MRF_STATUS_CODE_OVERLOADED);
	assert_int_equal(mrf_queue_row_ready(show("work")), 8);
	assert_int_equal(r.stats.pushes_waiting, 2);
}

static void raised_limit_accepts_the_pushes_that_waited(void **state)
{
	uint32_t q = make_limited(2, MRF_QUEUE_FULL_WAIT);

	(void)state;
	push(q, 1, 1, 4);
	rig_expect_accepted(&r, 1, 1, 2, MRF_STATUS_CODE_OK);
	assert_int_equal(r.stats.pushes_waiting, 2);
	limit_messages(3);
	rig_run(&r);
	rig_expect_accepted(&r, 1, 3, 1, MRF_STATUS_CODE_OK);
	limit_messages(30);
	rig_run(&r);
	rig_expect_accepted(&r, 1, 4, 1, MRF_STATUS_CODE_OK);
	assert_int_equal(r.stats.pushes_waiting, 0);
}

static void large_queues(struct mr_queues_config *c)
{
	c->window = 1024;
}

/* Ranges that do not join: two clients take turns. */
static void raised_limit_accepts_waiting_pushes_in_slices(void **state)
{
	uint32_t q;
	uint64_t waiting;

	(void)state;
	rig_close(&r);
	rig_open(&r, large_queues);
	q = make_limited(20000, MRF_QUEUE_FULL_WAIT);
	for (uint64_t id = 1; id <= 11000; id++) {
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "x", .id = id});
		rig_push(&r, &(struct rig_push){.queue = q, .client = 2, .text = "x", .id = id});
	}
	waiting = r.stats.pushes_waiting;
	assert_true(waiting >= 1500);
	limit_messages(1000000);
	assert_true(r.stats.pushes_waiting < waiting);
	assert_true(r.stats.pushes_waiting >= waiting - 1024);
	rig_pass(&r, 5);
	assert_int_equal(r.stats.pushes_waiting, 0);
}

static void bytes_limit_can_be_set_and_taken_away(void **state)
{
	uint32_t q = make_limited(100, MRF_QUEUE_FULL_REFUSE);

	(void)state;
	push(q, 1, 10, 14); /* two bytes each */
	rig_expect_accepted(&r, 1, 10, 5, MRF_STATUS_CODE_OK);
	must_edit("work", MRF_QUEUE_OPTION_BYTES_MAX, (struct mrf_queue_options){.bytes_max = 4});
	assert_int_equal(mrf_queue_row_bytes(show("work")), 10);
	push_gets(q, 15, 15, MRF_STATUS_CODE_OVERLOADED);
	must_edit("work", MRF_QUEUE_OPTION_BYTES_MAX, (struct mrf_queue_options){0});
	push_gets(q, 16, 16, MRF_STATUS_CODE_OK);
}

static void queue_that_refuses_from_now_on_keeps_the_pushes_that_wait(void **state)
{
	uint32_t q = make_limited(2, MRF_QUEUE_FULL_WAIT);

	(void)state;
	push(q, 1, 1, 3);
	rig_expect_accepted(&r, 1, 1, 2, MRF_STATUS_CODE_OK);
	must_edit("work", MRF_QUEUE_OPTION_WHEN_FULL,
		(struct mrf_queue_options){.when_full = MRF_QUEUE_FULL_REFUSE});
	push_gets(q, 4, 4, MRF_STATUS_CODE_OVERLOADED);
	rig_consume(&r, "work", 2, 10);
	rig_run(&r);
	ack(q, "1");
	rig_run(&r);
	rig_expect_accepted(&r, 1, 3, 1, MRF_STATUS_CODE_OK);
}

static void age_limit_holds_for_messages_that_wait_already(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	push(q, 1, 1, 3);
	rig_pass(&r, 300);
	push(q, 1, 4, 4);
	must_edit("work", MRF_QUEUE_OPTION_AGE_MAX, (struct mrf_queue_options){.age_max_ms = 200});
	rig_pass(&r, 2);
	assert_int_equal(mrf_queue_row_expired(show("work")), 3);
	assert_int_equal(mrf_queue_row_ready(r.row), 1);
	must_edit("work", MRF_QUEUE_OPTION_AGE_MAX, (struct mrf_queue_options){0});
	rig_pass(&r, 1000);
	assert_int_equal(mrf_queue_row_ready(show("work")), 1);
}

static void age_limit_of_delayed_and_delivered_messages_holds_when_they_come_back(void **state)
{
	uint32_t q = rig_make(&r, "work");
	uint64_t out;

	(void)state;
	rig_consume(&r, "work", 2, 2);
	push(q, 1, 1, 2);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "1"), MRF_SETTLE_VERB_REQUEUE, 300);
	out = rig_expect(&r, 2, "2");
	must_edit("work", MRF_QUEUE_OPTION_AGE_MAX, (struct mrf_queue_options){.age_max_ms = 100});
	rig_pass(&r, 200);
	assert_int_equal(mrf_queue_row_expired(show("work")), 0);
	assert_int_equal(mrf_queue_row_delayed(r.row), 1);
	rig_settle(&r, 2, q, out, MRF_SETTLE_VERB_REQUEUE, 0);
	rig_pass(&r, 200);
	assert_int_equal(mrf_queue_row_expired(show("work")), 2);
}

static void delay_goes_on_when_the_age_limit_that_would_end_it_is_raised(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 3);
	must_edit("work", MRF_QUEUE_OPTION_AGE_MAX, (struct mrf_queue_options){.age_max_ms = 100});
	push(q, 1, 1, 2);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "1"), MRF_SETTLE_VERB_REQUEUE, 300);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "2"), MRF_SETTLE_VERB_REQUEUE, 900);
	rig_pass(&r, 50);
	must_edit("work", MRF_QUEUE_OPTION_AGE_MAX, (struct mrf_queue_options){.age_max_ms = 600});
	rig_pass(&r, 200);
	assert_int_equal(mrf_queue_row_delayed(show("work")), 2);
	rig_expect_none(&r, 2);
	rig_pass(&r, 100);
	(void)rig_expect(&r, 2, "1");
	assert_int_equal(mrf_queue_row_expired(show("work")), 0);
	rig_pass(&r, 300);
	rig_expect_none(&r, 2);
	assert_int_equal(mrf_queue_row_expired(show("work")), 1);
}

static void shorter_ack_timeout_holds_for_deliveries_that_are_out(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 2);
	push(q, 1, 1, 1);
	rig_pass(&r, 300);
	push(q, 1, 2, 2);
	(void)rig_expect(&r, 2, "1");
	(void)rig_expect(&r, 2, "2");
	must_edit("work", MRF_QUEUE_OPTION_ACK_TIMEOUT,
		(struct mrf_queue_options){.ack_timeout_ms = 200});
	rig_consume(&r, "work", 3, 10);
	rig_pass(&r, 2);
	(void)rig_expect(&r, 3, "1");
	rig_expect_none(&r, 3);
	rig_pass(&r, 200);
	(void)rig_expect(&r, 3, "2");
}

static void longer_ack_timeout_holds_for_deliveries_that_are_out(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, 1, 1, 1);
	(void)rig_expect(&r, 2, "1");
	rig_consume(&r, "work", 3, 1);
	rig_pass(&r, 900);
	must_edit("work", MRF_QUEUE_OPTION_ACK_TIMEOUT,
		(struct mrf_queue_options){.ack_timeout_ms = 3000});
	rig_pass(&r, 1900);
	rig_expect_none(&r, 3);
	rig_pass(&r, 300);
	(void)rig_expect(&r, 3, "1");
}

static void large_prefetch(struct mr_queues_config *c)
{
	c->queue.ack_timeout_ms = 60000;
	c->queue.max_deliver = 100;
}

/* 8 consumers with 1,000 deliveries each: no millisecond returns more than two times 1,024. */
static void deliveries_that_a_shorter_ack_timeout_ends_return_in_slices(void **state)
{
	uint64_t out, before = 8000;
	uint32_t q;

	(void)state;
	rig_close(&r);
	rig_open(&r, large_prefetch);
	q = rig_make(&r, "work");
	for (unsigned i = 0; i < 8; i++)
		rig_consume(&r, "work", 2 + i, 1000);
	for (unsigned i = 0; i < 8000; i++) {
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "x"});
		if (i % 64 == 0)
			rig_run(&r);
	}
	rig_run(&r);
	assert_int_equal(mrf_queue_row_outstanding(show("work")), 8000);
	rig_pass(&r, 100);
	must_edit("work", MRF_QUEUE_OPTION_ACK_TIMEOUT,
		(struct mrf_queue_options){.ack_timeout_ms = 50});
	for (unsigned ms = 0; ms < 40 && before > 0; ms++) {
		rig_pass(&r, 1);
		out = mrf_queue_row_outstanding(show("work"));
		assert_true(before - out <= 1024);
		before = out;
	}
	assert_int_equal(before, 0);
}

static void fewer_attempts_end_a_message_when_it_fails_again(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, 1, 1, 1);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "1"), MRF_SETTLE_VERB_REQUEUE, 0);
	rig_run(&r);
	must_edit(
		"work", MRF_QUEUE_OPTION_MAX_DELIVER, (struct mrf_queue_options){.max_deliver = 1});
	/* The message is out with one failed attempt, and is not taken away from its consumer. */
	assert_int_equal(mrf_queue_row_dead(show("work")), 0);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "1"), MRF_SETTLE_VERB_REQUEUE, 0);
	assert_int_equal(mrf_queue_row_dead(show("work")), 1);
}

static void more_attempts_hold_for_messages_that_had_some(void **state)
{
	uint32_t q = rig_make(&r, "work");

	(void)state;
	rig_consume(&r, "work", 2, 1);
	push(q, 1, 1, 1);
	must_edit(
		"work", MRF_QUEUE_OPTION_MAX_DELIVER, (struct mrf_queue_options){.max_deliver = 9});
	for (unsigned i = 0; i < 8; i++) {
		rig_settle(&r, 2, q, rig_expect(&r, 2, "1"), MRF_SETTLE_VERB_REQUEUE, 0);
		rig_run(&r);
	}
	assert_int_equal(mrf_queue_row_dead(show("work")), 0);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "1"), MRF_SETTLE_VERB_REQUEUE, 0);
	assert_int_equal(mrf_queue_row_dead(show("work")), 1);
}

/* Each policy after each other one, with two ready consumers, one without credit, and one whose
 * credit is used up: all messages arrive. */
static void policy_can_be_changed_with_consumers_in_every_state(void **state)
{
	uint32_t q = rig_make(&r, "work");
	unsigned got = 0;
	uint64_t id = 1;

	(void)state;
	for (unsigned client = 2; client < 6; client++)
		rig_consume(&r, "work", client, client == 5 ? 1 : 4);
	r.full[4] = true;
	for (unsigned step = 0; step < 25; step++, id += 3) {
		uint8_t policy = (uint8_t)(step * 2 % 5 + 1);

		must_edit("work", MRF_QUEUE_OPTION_POLICY,
			(struct mrf_queue_options){.policy = policy});
		push(q, 1, id, id + 2);
		for (unsigned client = 2; client < 6; client++) {
			struct rig_sent *s;

			while ((s = rig_take(&r, client, MRF_MESSAGE_KIND_DELIVER)) != NULL) {
				got++;
				rig_settle(&r, client, q, s->view.extra.delivery.tag,
					MRF_SETTLE_VERB_ACK, 0);
			}
		}
		rig_run(&r);
	}
	assert_int_equal(mrf_queue_row_acked(show("work")), got);
	assert_int_equal(got + mrf_queue_row_ready(r.row) + mrf_queue_row_outstanding(r.row), 75);
	assert_true(got >= 70);
}

static void weighted_policy_after_another_one_shares_by_weight(void **state)
{
	uint32_t q = rig_make(&r, "work");
	unsigned got[4] = {0};

	(void)state;
	rig_consume(&r, "work", 2, 100); /* the rig's weight is its prefetch */
	rig_consume(&r, "work", 3, 300);
	push(q, 1, 1, 7);
	must_edit("work", MRF_QUEUE_OPTION_POLICY,
		(struct mrf_queue_options){.policy = MRF_QUEUE_POLICY_WEIGHTED});
	rig_sent_forget(&r);
	push(q, 1, 8, 47);
	for (unsigned client = 2; client < 4; client++)
		got[client] = rig_count(&r, client, MRF_MESSAGE_KIND_DELIVER);
	assert_in_range(got[2], 9, 11);
	assert_in_range(got[3], 29, 31);
}

static int edit_service(uint32_t edits, struct mrf_queue_options values)
{
	return edit_kind(MRF_QUEUE_KIND_SERVICE, "echo", edits, &values);
}

static void call(uint32_t q, uint64_t correlation)
{
	rig_push(&r, &(struct rig_push){
			     .queue = q, .client = 1, .text = "call", .correlation = correlation});
	rig_run(&r);
}

static void fail_call(uint32_t q, uint64_t correlation)
{
	call(q, correlation);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "call"), MRF_SETTLE_VERB_REJECT, 0);
	rig_run(&r);
	(void)rig_take(&r, 1, MRF_MESSAGE_KIND_STATUS);
}

static unsigned breaker(void)
{
	return mrf_queue_row_breaker(rig_show(&r, MRF_QUEUE_KIND_SERVICE, "echo"));
}

static void breaker_opens_after_as_many_failures_as_were_set(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");

	(void)state;
	rig_serve(&r, "echo", 2, 1);
	fail_call(q, 1);
	fail_call(q, 2);
	assert_int_equal(breaker(), MRF_BREAKER_STATE_CLOSED);
	assert_int_equal(edit_service(MRF_QUEUE_OPTION_BREAKER_FAILURES,
				 (struct mrf_queue_options){.breaker_failures = 1}),
		0);
	fail_call(q, 3);
	assert_int_equal(breaker(), MRF_BREAKER_STATE_OPEN);
}

static void open_breaker_follows_a_shorter_reset_time_and_never(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");

	(void)state;
	rig_serve(&r, "echo", 2, 1);
	for (unsigned i = 1; i <= 3; i++)
		fail_call(q, i);
	assert_int_equal(breaker(), MRF_BREAKER_STATE_OPEN);
	assert_int_equal(edit_service(MRF_QUEUE_OPTION_BREAKER_RESET,
				 (struct mrf_queue_options){.breaker_reset_ms = 20}),
		0);
	rig_pass(&r, 21);
	call(q, 4);
	assert_int_equal(breaker(), MRF_BREAKER_STATE_HALF_OPEN);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "call"), MRF_SETTLE_VERB_REJECT, 0);
	assert_int_equal(breaker(), MRF_BREAKER_STATE_OPEN);
	assert_int_equal(edit_service(MRF_QUEUE_OPTION_BREAKER_FAILURES,
				 (struct mrf_queue_options){.breaker_failures = UINT16_MAX}),
		0);
	assert_int_equal(breaker(), MRF_BREAKER_STATE_CLOSED);
	for (unsigned i = 5; i <= 9; i++)
		fail_call(q, i);
	assert_int_equal(breaker(), MRF_BREAKER_STATE_CLOSED);
}

static const char *refusal(void)
{
	assert_int_equal(r.code, -EINVAL);
	return mrf_queue_answer_text(r.table).data;
}

static void refused_edit_names_its_reason_and_changes_nothing(void **state)
{
	uint32_t q = rig_make(&r, "work");
	struct mrf_queue_options before = {0};

	(void)state;
	before.max_deliver = mrf_queue_options_max_deliver(mrf_queue_row_options(show("work")));
	(void)edit("work", MRF_QUEUE_OPTION_MAX_DELIVER | MRF_QUEUE_OPTION_ACK_TIMEOUT,
		(struct mrf_queue_options){.max_deliver = 9, .ack_timeout_ms = 1});
	assert_string_equal(refusal(), "ack_timeout: expected 10ms to 24h");
	(void)edit("work", MRF_QUEUE_OPTION_BREAKER_PROBES,
		(struct mrf_queue_options){.breaker_probes = 1});
	assert_string_equal(refusal(), "only services have a circuit breaker");
	(void)edit("work", 0, (struct mrf_queue_options){0});
	assert_string_equal(refusal(), "this bus cannot change such an option");
	(void)edit("work", MRF_QUEUE_OPTION_NOT_IDEMPOTENT,
		(struct mrf_queue_options){.not_idempotent = true});
	assert_string_equal(refusal(), "this bus cannot change such an option");
	(void)edit("work", MRF_QUEUE_OPTION_WHEN_FULL, (struct mrf_queue_options){.when_full = 99});
	assert_string_equal(
		refusal(), "when_full: expected wait, refuse, drop-oldest or dead-letter");
	assert_int_equal(edit("none", MRF_QUEUE_OPTION_MAX_DELIVER,
				 (struct mrf_queue_options){.max_deliver = 1}),
		-ENOENT);
	assert_int_equal(mrf_queue_options_max_deliver(mrf_queue_row_options(show("work"))),
		before.max_deliver);
	assert_int_equal(mrf_queue_row_edited(r.row), 0);
	rig_consume(&r, "work", 2, 1);
	push(q, 1, 1, 1);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "1"), MRF_SETTLE_VERB_REJECT, 0);
	(void)edit("work.dead", MRF_QUEUE_OPTION_AGE_MAX, (struct mrf_queue_options){0});
	assert_string_equal(refusal(), "dead letters have no options: edit their queue");
}

static void edited_queue_is_kept_until_it_is_deleted(void **state)
{
	(void)state;
	rig_make(&r, "work");
	must_edit(
		"work", MRF_QUEUE_OPTION_MAX_DELIVER, (struct mrf_queue_options){.max_deliver = 7});
	rig_pass(&r, 3 * IDLE_MS);
	assert_int_equal(mrf_queue_row_edited(show("work")), MRF_QUEUE_OPTION_MAX_DELIVER);
	assert_int_equal(mrf_queue_options_max_deliver(mrf_queue_row_options(r.row)), 7);
}

/* Room for other queues is not made at the cost of an operator's word. */
static void edited_queue_is_not_displaced_by_new_ones(void **state)
{
	(void)state;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "work", 1, 0, 0), 0);
	must_edit(
		"work", MRF_QUEUE_OPTION_MAX_DELIVER, (struct mrf_queue_options){.max_deliver = 7});
	rig_pass(&r, 2000);
	for (unsigned i = 0; i < 80; i++) {
		char name[16];

		snprintf(name, sizeof(name), "other-%u", i);
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name, 2 + i / 10, 0, 0);
	}
	assert_int_equal(mrf_queue_options_max_deliver(mrf_queue_row_options(show("work"))), 7);
}

/* The program has its options in its code: it goes on as it did, and learns those that hold. */
static void client_that_asks_for_the_former_options_gets_the_edited_ones(void **state)
{
	(void)state;
	r.options = (struct mrf_queue_options){.max_deliver = 4, .ack_timeout_ms = 500};
	rig_make(&r, "work");
	must_edit(
		"work", MRF_QUEUE_OPTION_MAX_DELIVER, (struct mrf_queue_options){.max_deliver = 7});
	r.options = (struct mrf_queue_options){.max_deliver = 4, .ack_timeout_ms = 500};
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "work", 1, 0, 0), 0);
	assert_int_equal(mrf_queue_answer_max_deliver(r.table), 7);
	r.options = (struct mrf_queue_options){.max_deliver = 4, .ack_timeout_ms = 600};
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "work", 1, 0, 0),
		-EEXIST);
	assert_int_equal(mrf_queue_options_max_deliver(mrf_queue_row_options(show("work"))), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(lowered_limit_drops_nothing_and_refuses_more),
		RIG_TEST(lowered_limit_counts_messages_that_are_out_and_delayed),
		RIG_TEST(lowered_limit_makes_producers_wait_within_the_new_window),
		RIG_TEST(raised_limit_accepts_the_pushes_that_waited),
		RIG_TEST(raised_limit_accepts_waiting_pushes_in_slices),
		RIG_TEST(bytes_limit_can_be_set_and_taken_away),
		RIG_TEST(queue_that_refuses_from_now_on_keeps_the_pushes_that_wait),
		RIG_TEST(age_limit_holds_for_messages_that_wait_already),
		RIG_TEST(age_limit_of_delayed_and_delivered_messages_holds_when_they_come_back),
		RIG_TEST(delay_goes_on_when_the_age_limit_that_would_end_it_is_raised),
		RIG_TEST(shorter_ack_timeout_holds_for_deliveries_that_are_out),
		RIG_TEST(longer_ack_timeout_holds_for_deliveries_that_are_out),
		RIG_TEST(deliveries_that_a_shorter_ack_timeout_ends_return_in_slices),
		RIG_TEST(fewer_attempts_end_a_message_when_it_fails_again),
		RIG_TEST(more_attempts_hold_for_messages_that_had_some),
		RIG_TEST(policy_can_be_changed_with_consumers_in_every_state),
		RIG_TEST(weighted_policy_after_another_one_shares_by_weight),
		RIG_TEST(breaker_opens_after_as_many_failures_as_were_set),
		RIG_TEST(open_breaker_follows_a_shorter_reset_time_and_never),
		RIG_TEST(refused_edit_names_its_reason_and_changes_nothing),
		RIG_TEST(edited_queue_is_kept_until_it_is_deleted),
		RIG_TEST(edited_queue_is_not_displaced_by_new_ones),
		RIG_TEST(client_that_asks_for_the_former_options_gets_the_edited_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
