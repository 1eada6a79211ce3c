/* SPDX-License-Identifier: Apache-2.0 */
/* Time limits that must not contradict each other: of deliveries, of calls, of callers. */
#include <errno.h>

#include "tests/unit/queue/rig.h"

#define ACK_MS      1000u
#define WAIT_WORKER (1ull << 32)

static struct rig r;

static int setup(void **state)
{
	(void)state;
	rig_open(&r, NULL);
	r.recalls = true;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static void push(uint32_t q, const char *text)
{
	rig_push_run(&r, q, 1, text, NULL);
}

static void call(uint32_t q, uint64_t correlation, uint64_t patience)
{
	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = 1,
			     .text = "ask",
			     .correlation = correlation,
			     .patience = patience});
	rig_run(&r);
}

static void assert_recalled(unsigned client, uint64_t tag)
{
	struct rig_sent *s = rig_take(&r, client, MRF_MESSAGE_KIND_RECALL);

	assert_non_null(s);
	assert_int_equal(s->view.extra.delivery.tag, tag);
	assert_int_equal(s->target, 7);
}

static void progress_begins_the_time_of_a_delivery_anew(void **state)
{
	uint32_t q = rig_make(&r, "jobs");
	uint64_t tag;

	(void)state;
	rig_consume(&r, "jobs", 2, 1);
	push(q, "a");
	tag = rig_expect(&r, 2, "a");
	for (unsigned i = 0; i < 10; i++) {
		rig_pass(&r, ACK_MS - 1);
		rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_PROGRESS, 0);
	}
	rig_consume(&r, "jobs", 3, 1);
	rig_pass(&r, ACK_MS - 1);
	rig_expect_none(&r, 3);
	rig_pass(&r, 1);
	rig_expect(&r, 3, "a");
	assert_recalled(2, tag);
	assert_int_equal(r.stats.queue_recalled, 1);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_PROGRESS, 0);
	assert_int_equal(r.stats.late_settlements, 1);
}

static void progress_of_one_does_not_hold_another(void **state)
{
	uint32_t q = rig_make(&r, "jobs");
	uint64_t a;

	(void)state;
	rig_consume(&r, "jobs", 2, 2);
	push(q, "a");
	push(q, "b");
	a = rig_expect(&r, 2, "a");
	rig_expect(&r, 2, "b");
	rig_pass(&r, ACK_MS / 2);
	rig_settle(&r, 2, q, a, MRF_SETTLE_VERB_PROGRESS, 0);
	rig_consume(&r, "jobs", 3, 2);
	rig_pass(&r, ACK_MS / 2);
	rig_expect(&r, 3, "b");
	rig_expect_none(&r, 3);
}

static void ack_up_to_begins_the_time_of_what_is_left_anew(void **state)
{
	uint32_t q = rig_make(&r, "jobs");
	uint64_t tags[4];

	(void)state;
	rig_consume(&r, "jobs", 2, 4);
	for (unsigned i = 0; i < 4; i++) {
		push(q, "job");
		tags[i] = rig_expect(&r, 2, "job");
	}
	rig_consume(&r, "jobs", 3, 4);
	for (unsigned i = 0; i < 4; i++) {
		rig_pass(&r, ACK_MS - 1);
		rig_settle(&r, 2, q, tags[i], MRF_SETTLE_VERB_ACK_UP_TO, 0);
	}
	rig_expect_none(&r, 3);
	assert_int_equal(r.stats.queue_acked, 4);
	assert_int_equal(r.stats.queue_redelivered, 0);
}

static void ack_up_to_leaves_what_was_renewed(void **state)
{
	uint32_t q = rig_make(&r, "jobs");
	uint64_t a, b, c;

	(void)state;
	rig_consume(&r, "jobs", 2, 4);
	push(q, "a");
	push(q, "b");
	push(q, "c");
	a = rig_expect(&r, 2, "a");
	b = rig_expect(&r, 2, "b");
	c = rig_expect(&r, 2, "c");
	rig_settle(&r, 2, q, a, MRF_SETTLE_VERB_PROGRESS, 0);
	rig_settle(&r, 2, q, c, MRF_SETTLE_VERB_PROGRESS, 0);
	/* The new message is behind deliveries that are in progress. */
	rig_pass(&r, 1);
	push(q, "d");
	rig_settle(&r, 2, q, b, MRF_SETTLE_VERB_ACK_UP_TO, 0);
	assert_int_equal(r.stats.queue_acked, 1);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "d"), MRF_SETTLE_VERB_ACK_UP_TO, 0);
	assert_int_equal(r.stats.queue_acked, 2);
	rig_settle(&r, 2, q, a, MRF_SETTLE_VERB_ACK_UP_TO, 0);
	assert_int_equal(r.stats.queue_acked, 3);
	rig_settle(&r, 2, q, c, MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(r.stats.queue_acked, 4);
	assert_int_equal(r.stats.bad_tags, 0);
}

/* Each times out by its own time, in whichever list it is. */
static void renewed_delivery_times_out_by_its_own_time(void **state)
{
	uint32_t q = rig_make(&r, "jobs");
	uint64_t a;

	(void)state;
	rig_consume(&r, "jobs", 2, 2);
	push(q, "a");
	a = rig_expect(&r, 2, "a");
	rig_pass(&r, ACK_MS / 2);
	rig_settle(&r, 2, q, a, MRF_SETTLE_VERB_PROGRESS, 0);
	rig_pass(&r, ACK_MS / 4);
	push(q, "b");
	rig_expect(&r, 2, "b");
	rig_consume(&r, "jobs", 3, 2);
	rig_pass(&r, 3 * ACK_MS / 4 - 1);
	rig_expect_none(&r, 3);
	rig_pass(&r, 1);
	rig_expect(&r, 3, "a");
	rig_pass(&r, ACK_MS / 4 - 1);
	rig_expect_none(&r, 3);
	rig_pass(&r, 1);
	rig_expect(&r, 3, "b");
}

static void consumer_that_later_asks_for_recalls_gets_them(void **state)
{
	uint32_t q = rig_make(&r, "jobs");

	(void)state;
	r.recalls = false;
	rig_consume(&r, "jobs", 2, 1);
	r.recalls = true;
	rig_consume(&r, "jobs", 2, 1);
	push(q, "a");
	rig_pass(&r, ACK_MS);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_RECALL), 1);
}

static void consumer_that_did_not_ask_for_recalls_gets_none(void **state)
{
	uint32_t q = rig_make(&r, "jobs");

	(void)state;
	r.recalls = false;
	rig_consume(&r, "jobs", 2, 1);
	push(q, "a");
	rig_pass(&r, ACK_MS);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_RECALL), 0);
}

static void released_frees_the_credit_of_a_recall(void **state)
{
	uint32_t q = rig_make(&r, "jobs");
	uint64_t tag;

	(void)state;
	rig_consume(&r, "jobs", 2, 1);
	push(q, "a");
	tag = rig_expect(&r, 2, "a");
	rig_pass(&r, ACK_MS);
	rig_expect_none(&r, 2);
	rig_settle_run(&r, 2, q, tag, MRF_SETTLE_VERB_RELEASED, 0);
	rig_expect(&r, 2, "a");
	assert_int_equal(r.stats.bad_tags, 0);
}

static void call_whose_caller_gave_up_goes_to_no_worker(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");

	(void)state;
	call(q, 1, 300 | WAIT_WORKER);
	call(q, 2, 900 | WAIT_WORKER);
	rig_pass(&r, 300);
	rig_serve(&r, "echo", 2, 2);
	rig_run(&r);
	assert_int_equal(rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER)->view.token.correlation, 2);
	rig_expect_none(&r, 2);
	/* A status would be taken for one of the next try. */
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_STATUS), 0);
	assert_int_equal(r.stats.calls_abandoned, 1);
}

static void call_is_taken_back_when_its_caller_gives_up(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");
	uint64_t tag;

	(void)state;
	rig_serve(&r, "echo", 2, 1);
	call(q, 1, 300);
	tag = rig_expect(&r, 2, "ask");
	rig_pass(&r, 299);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_RECALL), 0);
	rig_pass(&r, 1);
	assert_recalled(2, tag);
	rig_reply(&r, 2, q, tag, false, "late");
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_REPLY), 0);
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_STATUS), 0);
}

static void retry_is_never_worked_on_beside_the_try_before(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");
	uint64_t tag;

	(void)state;
	rig_serve(&r, "echo", 2, 1);
	rig_serve(&r, "echo", 3, 1);
	for (unsigned try = 0; try < 3; try++) {
		unsigned worker = 2 + try % 2;

		call(q, 1, 300);
		tag = rig_expect(&r, worker, "ask");
		rig_pass(&r, 300);
		assert_recalled(worker, tag);
		rig_settle(&r, worker, q, tag, MRF_SETTLE_VERB_RELEASED, 0);
		rig_pass(&r, 50);
	}
	assert_int_equal(
		mrf_queue_row_outstanding(rig_show(&r, MRF_QUEUE_KIND_SERVICE, "echo")), 0);
}

static void impatient_callers_do_not_open_the_circuit(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");

	(void)state;
	rig_serve(&r, "echo", 2, 64);
	for (unsigned i = 0; i < 20; i++)
		call(q, 1 + i, 1);
	rig_pass(&r, 10);
	assert_int_equal(mrf_queue_row_breaker(rig_show(&r, MRF_QUEUE_KIND_SERVICE, "echo")),
		MRF_BREAKER_STATE_CLOSED);
	assert_int_equal(mrf_queue_row_failures(r.row), 0);
}

static void partial_reply_renews_the_patience_of_the_caller(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");
	uint64_t tag;

	(void)state;
	rig_serve(&r, "echo", 2, 1);
	call(q, 1, 300);
	tag = rig_expect(&r, 2, "ask");
	for (unsigned i = 0; i < 10; i++) {
		rig_pass(&r, 299);
		rig_reply(&r, 2, q, tag, true, "part");
	}
	rig_reply(&r, 2, q, tag, false, "end");
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_REPLY), 11);
}

/* 5 s is the age limit of this service. */
static void patience_of_the_caller_goes_before_the_age_of_the_service(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");

	(void)state;
	call(q, 1, 8000 | WAIT_WORKER);
	rig_pass(&r, 7000);
	rig_serve(&r, "echo", 2, 1);
	rig_run(&r);
	rig_expect(&r, 2, "ask");
}

static void call_to_a_service_without_workers_ends_at_once(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");

	(void)state;
	call(q, 1, 300);
	rig_expect_status(&r, 1, 1, MRF_STATUS_CODE_NO_RESPONDERS);
	assert_int_equal(r.stats.refused_unserved, 1);
	rig_serve(&r, "echo", 2, 1);
	call(q, 2, 300);
	rig_expect(&r, 2, "ask");
}

static void opening_a_service_without_workers_makes_none(void **state)
{
	(void)state;
	r.served = true;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_SERVICE, "none", 1, 0, 0),
		-EHOSTUNREACH);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_SHOW, MRF_QUEUE_KIND_SERVICE, "none", 0, 0, 0),
		-ENOENT);
	r.served = false;
	rig_make_service(&r, "none");
	r.served = true;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_SERVICE, "none", 1, 0, 0),
		-EHOSTUNREACH);
	r.served = false;
	rig_serve(&r, "none", 2, 1);
	r.served = true;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_SERVICE, "none", 1, 0, 0), 0);
}

static void opening_tells_the_time_and_tries_of_a_delivery(void **state)
{
	(void)state;
	rig_make(&r, "jobs");
	assert_int_equal(mrf_queue_answer_ack_timeout_ms(r.table), ACK_MS);
	assert_int_equal(mrf_queue_answer_max_deliver(r.table), 3);
}

/* Nothing runs for that long, as when a container is paused. */
static void freeze(uint64_t ms)
{
	r.now_ms += ms;
	mr_queues_tick(r.queues, r.now_ms);
	rig_run(&r);
}

static void time_in_which_the_bus_stood_still_makes_nothing_time_out(void **state)
{
	uint32_t q = rig_make(&r, "jobs");
	uint64_t tag;

	(void)state;
	rig_consume(&r, "jobs", 2, 1);
	push(q, "a");
	tag = rig_expect(&r, 2, "a");
	rig_pass(&r, ACK_MS / 2);
	freeze(60000);
	assert_true(mr_queues_lost_ms(r.queues) >= 60000 - ACK_MS);
	assert_int_equal(r.stats.queue_freezes, 1);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_RECALL), 0);
	rig_settle(&r, 2, q, tag, MRF_SETTLE_VERB_ACK, 0);
	assert_int_equal(r.stats.queue_acked, 1);
	/* From then on time runs as always. */
	push(q, "b");
	tag = rig_expect(&r, 2, "b");
	rig_pass(&r, ACK_MS - 1);
	assert_int_equal(rig_count(&r, 2, MRF_MESSAGE_KIND_RECALL), 0);
	rig_pass(&r, 1);
	assert_recalled(2, tag);
}

static void time_in_which_the_bus_stood_still_silences_no_worker(void **state)
{
	(void)state;
	rig_make_service(&r, "echo");
	rig_serve(&r, "echo", 2, 1);
	r.heard_ms[2] = r.now_ms;
	rig_pass(&r, 200);
	freeze(60000);
	rig_pass(&r, 250);
	assert_int_equal(r.stats.consumers_silent, 0);
	r.heard_ms[2] = r.now_ms; /* its heartbeat, as soon as it runs */
	rig_pass(&r, 290);
	assert_int_equal(r.stats.consumers_silent, 0);
	rig_pass(&r, 50);
	assert_int_equal(r.stats.consumers_silent, 1);
}

/* The first event after the freeze need not be the tick. */
static void push_right_after_a_freeze_is_not_too_old(void **state)
{
	uint32_t q;

	(void)state;
	rig_make(&r, "others");
	rig_consume(&r, "others", 3, 1);
	r.options.age_max_ms = 500;
	q = rig_make(&r, "jobs");
	push(q, "a");
	rig_pass(&r, 100);
	r.now_ms += 60000;
	push(q, "b");
	mr_queues_tick(r.queues, r.now_ms);
	rig_consume(&r, "jobs", 2, 2);
	rig_run(&r);
	rig_expect(&r, 2, "a");
	rig_expect(&r, 2, "b");
	assert_int_equal(r.stats.queue_dead, 0);
}

static void long_idleness_is_no_freeze(void **state)
{
	(void)state;
	rig_make(&r, "jobs");
	rig_pass(&r, 9000);
	assert_int_equal(r.stats.queue_freezes, 0);
	assert_int_equal(mr_queues_lost_ms(r.queues), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(progress_begins_the_time_of_a_delivery_anew),
		RIG_TEST(progress_of_one_does_not_hold_another),
		RIG_TEST(ack_up_to_begins_the_time_of_what_is_left_anew),
		RIG_TEST(ack_up_to_leaves_what_was_renewed),
		RIG_TEST(renewed_delivery_times_out_by_its_own_time),
		RIG_TEST(consumer_that_later_asks_for_recalls_gets_them),
		RIG_TEST(consumer_that_did_not_ask_for_recalls_gets_none),
		RIG_TEST(released_frees_the_credit_of_a_recall),
		RIG_TEST(call_whose_caller_gave_up_goes_to_no_worker),
		RIG_TEST(call_is_taken_back_when_its_caller_gives_up),
		RIG_TEST(retry_is_never_worked_on_beside_the_try_before),
		RIG_TEST(impatient_callers_do_not_open_the_circuit),
		RIG_TEST(partial_reply_renews_the_patience_of_the_caller),
		RIG_TEST(patience_of_the_caller_goes_before_the_age_of_the_service),
		RIG_TEST(call_to_a_service_without_workers_ends_at_once),
		RIG_TEST(opening_a_service_without_workers_makes_none),
		RIG_TEST(opening_tells_the_time_and_tries_of_a_delivery),
		RIG_TEST(time_in_which_the_bus_stood_still_makes_nothing_time_out),
		RIG_TEST(time_in_which_the_bus_stood_still_silences_no_worker),
		RIG_TEST(push_right_after_a_freeze_is_not_too_old),
		RIG_TEST(long_idleness_is_no_freeze),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
