/* SPDX-License-Identifier: Apache-2.0 */
/* Services: workers, heartbeats, calls, circuit breaker. */
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

static uint32_t serve(unsigned client)
{
	uint32_t q = rig_make_service(&r, "echo");

	rig_serve(&r, "echo", client, 0);
	return q;
}

static void call(uint32_t q, uint64_t correlation, unsigned flags)
{
	rig_push(&r, &(struct rig_push){.queue = q,
			     .client = 1,
			     .text = "ask",
			     .correlation = correlation,
			     .flags = flags});
	rig_run(&r);
}

static void reply_settles_the_call_and_reaches_the_caller(void **state)
{
	uint32_t q = serve(2);
	struct rig_sent *s;
	uint64_t tag;

	(void)state;
	call(q, 77, 0);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	tag = s->view.extra.delivery.tag;
	assert_int_equal(s->target, 7);
	assert_int_equal(s->view.token.session, tag);
	assert_int_equal(s->view.token.correlation, 77);
	rig_reply(&r, 2, q, tag, false, "answer");
	s = rig_take(&r, 1, MRF_MESSAGE_KIND_REPLY);
	assert_non_null(s);
	assert_int_equal(s->view.token.correlation, 77);
	assert_int_equal(s->view.token.session, 0);
	assert_int_equal(s->view.extra.delivery.queue, q);
	assert_memory_equal(s->view.payload, "answer", 6);
	rig_reply(&r, 2, q, tag, false, "again");
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_REPLY), 0);
	assert_int_equal(r.stats.bad_tags, 1);
}

static void worker_has_one_call_at_a_time_and_the_one_idle_longest_is_next(void **state)
{
	uint32_t q = serve(2);
	uint64_t tags[2];

	(void)state;
	rig_serve(&r, "echo", 3, 0);
	call(q, 1, 0);
	call(q, 2, 0);
	call(q, 3, 0);
	tags[0] = rig_expect(&r, 2, "ask");
	tags[1] = rig_expect(&r, 3, "ask");
	rig_expect_none(&r, 2);
	rig_reply(&r, 3, q, tags[1], false, "a");
	rig_run(&r);
	tags[1] = rig_expect(&r, 3, "ask");
	rig_reply(&r, 3, q, tags[1], false, "a");
	rig_reply(&r, 2, q, tags[0], false, "a");
	call(q, 4, 0); /* 2 got its last call before 3 did */
	rig_expect(&r, 2, "ask");
}

static void partial_replies_come_before_the_final_one(void **state)
{
	uint32_t q = serve(2);
	struct rig_sent *s;
	uint64_t tag;

	(void)state;
	call(q, 5, 0);
	tag = rig_expect(&r, 2, "ask");
	/* Each one gives the worker more time. */
	for (unsigned i = 0; i < 4; i++) {
		rig_pass(&r, 600);
		rig_reply(&r, 2, q, tag, true, "part");
	}
	rig_reply(&r, 2, q, tag, false, "end");
	for (unsigned i = 0; i < 5; i++) {
		s = rig_take(&r, 1, MRF_MESSAGE_KIND_REPLY);
		assert_non_null(s);
		assert_int_equal((s->view.header.flags & MRF_MESSAGE_FLAG_MORE) != 0, i < 4);
	}
}

static void another_workers_call_cannot_be_answered(void **state)
{
	uint32_t q = serve(2);
	uint64_t tag;

	(void)state;
	call(q, 5, 0);
	tag = rig_expect(&r, 2, "ask");
	rig_reply(&r, 3, q, tag, false, "forged");
	rig_reply(&r, 2, q + 1, tag, false, "astray");
	rig_reply(&r, 2, q, tag + 1, false, "guessed");
	rig_reply(&r, 2, q, tag + (1ull << 32), false, "guessed");
	rig_reply(&r, 2, q, UINT64_MAX, false, "guessed");
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_REPLY), 0);
	assert_int_equal(r.stats.bad_tags, 5);
}

static void call_waits_for_a_worker_and_expires(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");

	(void)state;
	call(q, 1, 0);
	rig_pass(&r, 3000);
	call(q, 2, 0);
	rig_pass(&r, 2000);
	rig_expect_status(&r, 1, 1, MRF_STATUS_CODE_EXPIRED);
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_STATUS), 0);
	rig_serve(&r, "echo", 2, 0);
	rig_run(&r);
	rig_expect(&r, 2, "ask");
}

static void call_of_a_closed_client_is_dropped(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");

	(void)state;
	call(q, 1, 0);
	r.gone[1] = true;
	rig_serve(&r, "echo", 2, 0);
	rig_run(&r);
	rig_expect_none(&r, 2);
	assert_int_equal(mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_SERVICE, "echo")), 0);
}

static void call_of_a_dead_worker_goes_to_another(void **state)
{
	uint32_t q = serve(2);
	uint64_t tag;

	(void)state;
	call(q, 1, 0);
	rig_expect(&r, 2, "ask");
	rig_serve(&r, "echo", 3, 0);
	r.gone[2] = true;
	rig_pass(&r, 100);
	tag = rig_expect(&r, 3, "ask");
	rig_reply(&r, 3, q, tag, false, "a");
	assert_non_null(rig_take(&r, 1, MRF_MESSAGE_KIND_REPLY));
}

static void retries_are_bounded(void **state)
{
	uint32_t q = serve(2);

	(void)state;
	call(q, 1, 0);
	for (unsigned worker = 2; worker < 5; worker++) {
		rig_expect(&r, worker, "ask");
		rig_serve(&r, "echo", worker + 1, 0);
		r.gone[worker] = true;
		rig_pass(&r, 100);
	}
	rig_expect_none(&r, 5);
	rig_expect_status(&r, 1, 1, MRF_STATUS_CODE_WORKER_LOST);
}

static void call_that_must_not_be_repeated_is_not(void **state)
{
	uint32_t q;

	(void)state;
	r.options.not_idempotent = true;
	q = rig_make_service(&r, "echo");
	rig_serve(&r, "echo", 2, 0);
	call(q, 1, 0);
	rig_expect(&r, 2, "ask");
	rig_serve(&r, "echo", 3, 0);
	r.gone[2] = true;
	rig_pass(&r, 100);
	rig_expect_none(&r, 3);
	rig_expect_status(&r, 1, 1, MRF_STATUS_CODE_WORKER_LOST);
}

static void call_that_was_answered_in_part_is_not_repeated(void **state)
{
	uint32_t q = serve(2);

	(void)state;
	call(q, 1, 0);
	rig_reply(&r, 2, q, rig_expect(&r, 2, "ask"), true, "part");
	rig_serve(&r, "echo", 3, 0);
	r.gone[2] = true;
	rig_pass(&r, 100);
	rig_expect_none(&r, 3);
	rig_expect_status(&r, 1, 1, MRF_STATUS_CODE_WORKER_LOST);
}

static void call_that_is_given_up_is_reported(void **state)
{
	uint32_t q = serve(2);

	(void)state;
	call(q, 1, 0);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "ask"), MRF_SETTLE_VERB_REJECT, 0);
	rig_expect_status(&r, 1, 1, MRF_STATUS_CODE_FAILED);
	call(q, 2, 0);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "ask"), MRF_SETTLE_VERB_REQUEUE, 0);
	rig_run(&r);
	rig_expect(&r, 2, "ask");
}

static void slow_worker_is_timed_out(void **state)
{
	uint32_t q = serve(2);

	(void)state;
	call(q, 1, 0);
	rig_expect(&r, 2, "ask");
	rig_serve(&r, "echo", 3, 0);
	rig_pass(&r, 1000);
	rig_expect(&r, 3, "ask");
	/* Both are overdue: no worker is left, and the call expires. */
	rig_pass(&r, 1000);
	rig_pass(&r, 5000);
	rig_expect_status(&r, 1, 1, MRF_STATUS_CODE_EXPIRED);
}

static void silent_worker_is_disconnected(void **state)
{
	uint32_t q = serve(2);
	struct mrf_table message, body;
	struct rig_sent *s;

	(void)state;
	r.heard_ms[2] = r.now_ms;
	call(q, 1, 0);
	rig_expect(&r, 2, "ask");
	rig_serve(&r, "echo", 3, 0);
	rig_pass(&r, 290);
	rig_expect_none(&r, 3);
	rig_pass(&r, 50);
	rig_expect(&r, 3, "ask");
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_CONTROL);
	assert_non_null(s);
	assert_int_equal(s->target, 0);
	assert_int_equal(
		mrf_client_message_parse(s->view.payload, s->view.payload_bytes, &message), 0);
	body = mrf_client_message_body_as_disconnect(message);
	assert_int_equal(mrf_disconnect_subscription(body), 7);
	assert_int_equal(r.stats.consumers_silent, 1);
}

static void worker_of_a_service_gets_heartbeats(void **state)
{
	(void)state;
	serve(2);
	r.heard_ms[2] = UINT64_MAX / 2;
	rig_sent_forget(&r);
	rig_pass(&r, 1000); /* ten heartbeats */
	assert_in_range(rig_count(&r, 2, MRF_MESSAGE_KIND_BEAT), 9, 11);
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_BEAT), 0);
}

static void ready_twice_is_refused(void **state)
{
	(void)state;
	serve(2);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_SERVICE, "echo", 2, 8, 1),
		-EEXIST);
	assert_int_equal(r.stats.refused_consumer_again, 1);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_SERVICE, "echo", 2, 7, 5),
		0);
	assert_int_equal(r.stats.refused_consumer_again, 1);
	assert_int_equal(mrf_queue_row_consumers(rig_show(&r, MRF_QUEUE_KIND_SERVICE, "echo")), 1);
	assert_int_equal(mrf_queue_row_credit(rig_show(&r, MRF_QUEUE_KIND_SERVICE, "echo")), 5);
}

static void failed_call(uint32_t q, uint64_t correlation)
{
	call(q, correlation, 0);
	rig_settle(&r, 2, q, rig_expect(&r, 2, "ask"), MRF_SETTLE_VERB_REJECT, 0);
	rig_expect_status(&r, 1, correlation, MRF_STATUS_CODE_FAILED);
	rig_run(&r);
}

static void circuit_opens_after_failures_and_closes_after_a_probe(void **state)
{
	uint32_t q = serve(2);

	(void)state;
	failed_call(q, 1);
	failed_call(q, 2);
	failed_call(q, 3);
	call(q, 4, 0);
	rig_expect_status(&r, 1, 4, MRF_STATUS_CODE_CIRCUIT_OPEN);
	assert_int_equal(r.stats.refused_circuit, 1);
	rig_pass(&r, 500);
	call(q, 5, 0); /* the probe */
	call(q, 6, 0);
	rig_expect_status(&r, 1, 6, MRF_STATUS_CODE_CIRCUIT_OPEN);
	rig_reply(&r, 2, q, rig_expect(&r, 2, "ask"), false, "well");
	call(q, 7, 0);
	rig_expect(&r, 2, "ask");
	assert_int_equal(mrf_queue_row_breaker(rig_show(&r, MRF_QUEUE_KIND_SERVICE, "echo")),
		MRF_BREAKER_STATE_CLOSED);
}

static void circuit_opens_anew_when_the_probe_fails(void **state)
{
	uint32_t q = serve(2);

	(void)state;
	for (uint64_t i = 1; i < 4; i++)
		failed_call(q, i);
	rig_pass(&r, 500);
	failed_call(q, 5);
	call(q, 6, 0);
	rig_expect_status(&r, 1, 6, MRF_STATUS_CODE_CIRCUIT_OPEN);
	rig_pass(&r, 500);
	call(q, 7, 0);
	rig_expect(&r, 2, "ask");
}

static void requests_that_their_callers_do_not_finish_open_no_circuit(void **state)
{
	uint32_t q = serve(2);

	(void)state;
	for (uint64_t i = 1; i < 10; i++) {
		call(q, i, MRF_MESSAGE_FLAG_MORE);
		rig_settle(&r, 2, q, rig_expect(&r, 2, "ask"), MRF_SETTLE_VERB_REJECT, 0);
		rig_run(&r);
		rig_expect_status(&r, 1, i, MRF_STATUS_CODE_FAILED);
	}
	call(q, 10, 0);
	rig_expect(&r, 2, "ask");
}

static void probe_that_never_came_to_a_worker_decides_nothing(void **state)
{
	uint32_t q = serve(2);

	(void)state;
	for (uint64_t i = 1; i < 4; i++)
		failed_call(q, i);
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_SERVICE, "echo", 2, 7, 0);
	rig_pass(&r, 500);
	call(q, 5, 0);
	call(q, 6, 0);
	rig_expect_status(&r, 1, 6, MRF_STATUS_CODE_CIRCUIT_OPEN);
	rig_pass(&r, 5000);
	rig_expect_status(&r, 1, 5, MRF_STATUS_CODE_EXPIRED);
	call(q, 7, 0);
	assert_int_equal(rig_count(&r, 1, MRF_MESSAGE_KIND_STATUS), 0);
}

static void success_between_failures_keeps_the_circuit_closed(void **state)
{
	uint32_t q = serve(2);

	(void)state;
	for (uint64_t i = 1; i < 10; i += 3) {
		failed_call(q, i);
		failed_call(q, i + 1);
		call(q, i + 2, 0);
		rig_reply(&r, 2, q, rig_expect(&r, 2, "ask"), false, "a");
	}
	call(q, 20, 0);
	rig_expect(&r, 2, "ask");
}

static void streaming_request_goes_to_its_worker_part_by_part(void **state)
{
	uint32_t q = serve(2);
	struct rig_sent *s;
	uint64_t tag;

	(void)state;
	call(q, 9, MRF_MESSAGE_FLAG_MORE);
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	assert_true(s->view.header.flags & MRF_MESSAGE_FLAG_MORE);
	tag = s->view.extra.delivery.tag;
	rig_part(&r, 2, MRF_MESSAGE_KIND_CREDIT, q, tag, false, "\x40\0\0\0\0\0\0\0");
	s = rig_take(&r, 1, MRF_MESSAGE_KIND_CREDIT);
	assert_non_null(s);
	assert_int_equal(s->view.extra.delivery.tag, tag);
	assert_int_equal(s->view.token.correlation, 9);
	rig_part(&r, 1, MRF_MESSAGE_KIND_PART, q, tag, true, "part");
	s = rig_take(&r, 2, MRF_MESSAGE_KIND_PART);
	assert_non_null(s);
	assert_int_equal(s->target, 7);
	assert_int_equal(s->view.extra.delivery.tag, tag);
	rig_part(&r, 3, MRF_MESSAGE_KIND_PART, q, tag, true, "forged");
	rig_part(&r, 2, MRF_MESSAGE_KIND_PART, q, tag, true, "wrong way");
	assert_int_equal(r.stats.bad_tags, 2);
	rig_part(&r, 1, MRF_MESSAGE_KIND_PART, q, tag, false, "last");
	assert_non_null(rig_take(&r, 2, MRF_MESSAGE_KIND_PART));
	rig_part(&r, 1, MRF_MESSAGE_KIND_PART, q, tag, false, "too many");
	assert_int_equal(r.stats.bad_tags, 3);
	rig_part(&r, 1, MRF_MESSAGE_KIND_CREDIT, q, tag, false, "grant");
	assert_non_null(rig_take(&r, 2, MRF_MESSAGE_KIND_CREDIT));
}

static void request_with_delivered_parts_is_not_repeated(void **state)
{
	uint32_t q = serve(2);

	(void)state;
	call(q, 9, MRF_MESSAGE_FLAG_MORE);
	rig_part(&r, 1, MRF_MESSAGE_KIND_PART, q, rig_expect(&r, 2, "ask"), true, "part");
	rig_serve(&r, "echo", 3, 0);
	r.gone[2] = true;
	rig_pass(&r, 100);
	rig_expect_none(&r, 3);
	rig_expect_status(&r, 1, 9, MRF_STATUS_CODE_WORKER_LOST);
}

static void purged_and_deleted_calls_are_reported(void **state)
{
	uint32_t q = rig_make_service(&r, "echo");

	(void)state;
	call(q, 1, 0);
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_SERVICE, "echo", 0, 0, 0);
	assert_int_equal(r.count, 1);
	rig_expect_status(&r, 1, 1, MRF_STATUS_CODE_FAILED);
	call(q, 2, 0);
	rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_SERVICE, "echo", 0, 0, 0);
	rig_expect_status(&r, 1, 2, MRF_STATUS_CODE_NOT_FOUND);
	call(q, 3, 0);
	rig_expect_status(&r, 1, 3, MRF_STATUS_CODE_NOT_FOUND);
}

static void push_without_a_token_is_no_call(void **state)
{
	uint32_t s = rig_make_service(&r, "echo"), q = rig_make(&r, "work");

	(void)state;
	rig_push(&r, &(struct rig_push){.queue = s, .client = 1, .text = "x", .id = 1});
	rig_run(&r);
	rig_expect_accepted(&r, 1, 1, 1, MRF_STATUS_CODE_BAD);
	call(q, 3, 0);
	rig_expect_status(&r, 1, 3, MRF_STATUS_CODE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(reply_settles_the_call_and_reaches_the_caller),
		RIG_TEST(worker_has_one_call_at_a_time_and_the_one_idle_longest_is_next),
		RIG_TEST(partial_replies_come_before_the_final_one),
		RIG_TEST(another_workers_call_cannot_be_answered),
		RIG_TEST(call_waits_for_a_worker_and_expires),
		RIG_TEST(call_of_a_closed_client_is_dropped),
		RIG_TEST(call_of_a_dead_worker_goes_to_another),
		RIG_TEST(retries_are_bounded),
		RIG_TEST(call_that_must_not_be_repeated_is_not),
		RIG_TEST(call_that_was_answered_in_part_is_not_repeated),
		RIG_TEST(call_that_is_given_up_is_reported),
		RIG_TEST(slow_worker_is_timed_out),
		RIG_TEST(silent_worker_is_disconnected),
		RIG_TEST(worker_of_a_service_gets_heartbeats),
		RIG_TEST(ready_twice_is_refused),
		RIG_TEST(circuit_opens_after_failures_and_closes_after_a_probe),
		RIG_TEST(circuit_opens_anew_when_the_probe_fails),
		RIG_TEST(requests_that_their_callers_do_not_finish_open_no_circuit),
		RIG_TEST(probe_that_never_came_to_a_worker_decides_nothing),
		RIG_TEST(success_between_failures_keeps_the_circuit_closed),
		RIG_TEST(streaming_request_goes_to_its_worker_part_by_part),
		RIG_TEST(request_with_delivered_parts_is_not_repeated),
		RIG_TEST(purged_and_deleted_calls_are_reported),
		RIG_TEST(push_without_a_token_is_no_call),
	};

	return cmocka_run_group_tests_name("queue-service", tests, NULL, NULL);
}
