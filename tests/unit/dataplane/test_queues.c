/* SPDX-License-Identifier: Apache-2.0 */
/* Queues in the real data plane, with control played by the test: workers that sleep, clients that
 * die. */
#include "lib/wire/queue_name.h"
#include "tests/unit/dataplane/plane.h"

#define SUBSCRIPTION 7u

static struct mr_test_plane p;
static struct mr_test_session producer, consumer, other;

static const char *name_at(unsigned home)
{
	static char name[16];

	for (unsigned i = 0;; i++) {
		snprintf(name, sizeof(name), "jobs.%u", i);
		if (mr_queue_home(MRF_QUEUE_KIND_QUEUE, name, strlen(name), p.workers) == home)
			return name;
	}
}

static uint32_t command(unsigned home, enum mrf_queue_verb verb, const struct mr_test_session *s)
{
	struct mrf_queue_command c = {
		.verb = (uint8_t)verb,
		.kind = MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(name_at(home)),
		.session = s->id,
		.subscription = verb == MRF_QUEUE_VERB_CONSUME ? SUBSCRIPTION : 0,
		.prefetch = 4,
	};
	struct mrf_table answer = mr_test_command(&p, home, &c);

	assert_int_equal(mrf_queue_answer_code(answer), 0);
	return mrf_queue_answer_queue(answer);
}

static void push(uint32_t queue, const char *text)
{
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_PUSH, NULL, NULL, 0, text, 0, (uint32_t)strlen(text));

	mr_test_push(&producer, &plan, queue);
	mr_test_flush(&producer);
}

static void ack(struct mr_test_session *s, uint32_t queue, uint64_t tag)
{
	struct mrf_settlement settlement = {.tag = tag};
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_SETTLE, NULL, NULL, 0, &settlement, 0, sizeof(settlement));

	mr_test_push(s, &plan, queue);
	mr_test_flush(s);
}

static uint64_t expect_delivery(struct mr_test_session *s, const char *text, unsigned redelivered)
{
	struct mr_message_view m = mr_test_next(s);

	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_DELIVER);
	assert_int_equal(m.header.target, SUBSCRIPTION);
	assert_int_equal(m.extra.delivery.redelivered, redelivered);
	assert_int_equal(m.payload_bytes, strlen(text));
	assert_memory_equal(m.payload, text, strlen(text));
	return m.extra.delivery.tag;
}

/* Opens a session of each worker, and one more. */
static void open_plane(const char *const *sets)
{
	start(&p, sets);
	mr_test_session_open(&p, &producer, "producer");
	mr_test_session_open(&p, &consumer, "consumer");
	mr_test_session_open(&p, &other, "other");
}

/* All workers sleep when the client dies; nothing else wakes them. */
static void work_of_a_dead_consumer_goes_on_elsewhere(void **state)
{
	static const char *const sets[] = {"workers.count=2", NULL};

	(void)state;
	for (unsigned home = 0; home < 2; home++) {
		uint32_t queue;

		open_plane(sets);
		queue = command(home, MRF_QUEUE_VERB_OPEN, &producer);
		(void)command(home, MRF_QUEUE_VERB_CONSUME, &consumer);
		push(queue, "job");
		(void)expect_delivery(&consumer, "job", 0);
		(void)command(home, MRF_QUEUE_VERB_CONSUME, &other);
		mr_test_session_close(&consumer);
		ack(&other, queue, expect_delivery(&other, "job", 1));
		mr_test_wait_count(&mr_test_worker_stats(&p, home)->queue_acked, 1, "ack");
		assert_int_equal(mr_test_worker_stats(&p, home)->consumers_gone, 1);
		mr_test_session_close(&producer);
		mr_test_session_close(&other);
		mr_test_plane_stop(&p);
	}
}

static void sleeping_worker_wakes_for_a_time_out(void **state)
{
	/* Long enough that the second delivery is acknowledged in time on a busy machine. */
	static const char *const sets[] = {"queues.ack_timeout_ms=1000", NULL};
	uint32_t queue;

	(void)state;
	open_plane(sets);
	queue = command(0, MRF_QUEUE_VERB_OPEN, &producer);
	(void)command(0, MRF_QUEUE_VERB_CONSUME, &consumer);
	push(queue, "job");
	(void)expect_delivery(&consumer, "job", 0);
	ack(&consumer, queue, expect_delivery(&consumer, "job", 1));
	mr_test_wait_count(&mr_test_worker_stats(&p, 0)->queue_acked, 1, "ack");
	assert_true(mr_test_worker_stats(&p, 0)->sleeps > 0);
	mr_test_session_close(&producer);
	mr_test_session_close(&consumer);
	mr_test_session_close(&other);
	mr_test_plane_stop(&p);
}

/* Messages that a client wrote before it died still count. */
static void acks_of_a_client_that_leaves_are_taken_first(void **state)
{
	uint32_t queue;

	(void)state;
	open_plane(NULL);
	queue = command(0, MRF_QUEUE_VERB_OPEN, &producer);
	(void)command(0, MRF_QUEUE_VERB_CONSUME, &consumer);
	push(queue, "job");
	ack(&consumer, queue, expect_delivery(&consumer, "job", 0));
	mr_test_session_close(&consumer);
	mr_test_wait_count(&mr_test_worker_stats(&p, 0)->consumers_gone, 1, "consumer gone");
	assert_int_equal(mr_test_worker_stats(&p, 0)->queue_acked, 1);
	assert_int_equal(mr_test_worker_stats(&p, 0)->queue_redelivered, 0);
	mr_test_session_close(&producer);
	mr_test_session_close(&other);
	mr_test_plane_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_of_a_dead_consumer_goes_on_elsewhere),
		cmocka_unit_test(sleeping_worker_wakes_for_a_time_out),
		cmocka_unit_test(acks_of_a_client_that_leaves_are_taken_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
