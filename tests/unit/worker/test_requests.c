/* SPDX-License-Identifier: Apache-2.0 */
/* Requests whose responder closes with them in its ring. */
#include <unistd.h>

#include "tests/unit/worker/cmocka_all.h"

#include "tests/support/net/rig.h"

static struct mr_rig r;
static struct mr_rig_local asker, responder, other;

static void open_all(unsigned responder_worker)
{
	mr_rig_open(&r, 2);
	mr_rig_attach(&r, 0, 0, &asker);
	mr_rig_attach(&r, responder_worker, 1, &responder);
	mr_rig_attach(&r, 0, 2, &other);
	mr_rig_subscribe(&r, responder.session, 3, "help");
}

static void close_all(void)
{
	close(asker.liveness_fd);
	close(responder.liveness_fd);
	close(other.liveness_fd);
	mr_rig_close(&r);
}

static void rounds(void)
{
	for (unsigned i = 0; i < 4; i++) {
		mr_rig_round(&r, 0);
		mr_rig_round(&r, 1);
	}
}

static void ask(uint64_t correlation)
{
	struct mrf_reply_token token = {.correlation = correlation};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, &token, "help", 4, "me", 0, 2);

	mr_rig_push(&asker, &plan, 0);
	rounds();
}

/* Does the table writer's part when the client is closed. */
static void responder_dies(void)
{
	struct mr_session *s = responder.session;
	struct mr_owner owner = {(uint16_t)mr_session_worker(s->id), s->slot, s->generation};

	mr_table_drop_subscriptions(r.table, &owner);
	atomic_store_explicit(&s->gone, true, memory_order_release);
	rounds();
}

static void assert_nobody_there(uint64_t correlation)
{
	struct mr_message_view m;

	assert_true(mr_rig_next(&asker, &m));
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_STATUS);
	assert_int_equal(m.header.target, MRF_STATUS_CODE_NO_RESPONDERS);
	assert_int_equal(m.token.correlation, correlation);
}

static void assert_silence(void)
{
	struct mr_message_view m;

	assert_false(mr_rig_next(&asker, &m));
}

static void unread_requests_of_the_dead_end_as_nobody_there(unsigned worker)
{
	open_all(worker);
	ask(7);
	ask(8);
	assert_silence();
	responder_dies();
	assert_nobody_there(7);
	assert_nobody_there(8);
	assert_silence();
	rounds();
	assert_silence();
	assert_int_equal(r.stats[worker].requests_bereft, 2);
	close_all();
}

static void unread_requests_end_as_no_responders(void **state)
{
	(void)state;
	unread_requests_of_the_dead_end_as_nobody_there(0);
}

static void unread_requests_end_as_no_responders_at_another_worker(void **state)
{
	(void)state;
	unread_requests_of_the_dead_end_as_nobody_there(1);
}

static void request_that_another_may_answer_goes_on(void **state)
{
	(void)state;
	open_all(0);
	mr_rig_subscribe(&r, other.session, 4, "help");
	ask(7);
	responder_dies();
	assert_silence();
	close_all();
}

static void request_that_was_read_is_the_readers(void **state)
{
	struct mr_message_view m;

	(void)state;
	open_all(0);
	ask(7);
	assert_true(mr_rig_next(&responder, &m));
	mr_bytes_release(&responder.down);
	responder_dies();
	assert_silence();
	close_all();
}

static void nonsense_in_the_ring_of_the_dead_does_no_harm(void **state)
{
	(void)state;
	open_all(0);
	ask(7);
	ask(8);
	memset((void *)(uintptr_t)mr_bytes_peek(&responder.down), 0xff, 16);
	responder_dies();
	assert_silence();
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unread_requests_end_as_no_responders),
		cmocka_unit_test(unread_requests_end_as_no_responders_at_another_worker),
		cmocka_unit_test(request_that_another_may_answer_goes_on),
		cmocka_unit_test(request_that_was_read_is_the_readers),
		cmocka_unit_test(nonsense_in_the_ring_of_the_dead_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
