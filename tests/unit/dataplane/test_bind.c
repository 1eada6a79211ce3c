/* SPDX-License-Identifier: Apache-2.0 */
/* Bound queues in the real data plane, with control played by the test: promised publishes that
 * wait for a full queue, on its worker and on another one. */
#include "lib/wire/queue_name.h"
#include "tests/unit/dataplane/plane.h"

#define SUBSCRIPTION 7u
#define MESSAGES_MAX 20u
#define NAME         "jobs"
/* More than may be under way: a window of 256 KiB between two workers. */
#define COUNT 6000u

static struct mr_test_plane p;
static struct mr_test_session near, far, consumer;
static uint32_t queue;

static unsigned home(void)
{
	return mr_queue_home(MRF_QUEUE_KIND_QUEUE, NAME, strlen(NAME), p.workers);
}

/* Control's commands have no options here, so the limit comes from the configuration. */
static struct mrf_table command(enum mrf_queue_verb verb, const struct mr_test_session *s)
{
	struct mrf_queue_command c = {
		.verb = (uint8_t)verb,
		.kind = MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(NAME),
		.session = s != NULL ? s->id : 0,
		.subscription = verb == MRF_QUEUE_VERB_CONSUME ? SUBSCRIPTION : 0,
		.prefetch = 64,
	};
	struct mrf_table answer = mr_test_command(&p, home(), &c);

	assert_int_equal(mrf_queue_answer_code(answer), 0);
	return answer;
}

/* Opens a plane of two workers, a session of the queue's worker and one of the other. */
static int setup(void **state)
{
	static const char *const sets[] = {"workers.count=2", "queues.messages_max=20", NULL};

	(void)state;
	start(&p, sets);
	mr_test_session_open(&p, &near, "near");
	mr_test_session_open(&p, &far, "far");
	assert_int_not_equal(near.worker, far.worker);
	if (near.worker != home()) {
		struct mr_test_session s = near;

		near = far;
		far = s;
	}
	mr_test_session_open(&p, &consumer, "consumer");
	queue = mrf_queue_answer_queue(command(MRF_QUEUE_VERB_OPEN, NULL));
	assert_int_equal(mr_test_bind(&p, queue, NAME, "s.*"), 1);
	assert_int_equal(mr_test_bind(&p, queue, NAME, "s.a"), 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mr_test_session_close(&near);
	mr_test_session_close(&far);
	mr_test_session_close(&consumer);
	mr_test_plane_stop(&p);
	return 0;
}

static uint64_t ready(void)
{
	return mrf_queue_row_ready(mrf_queue_answer_rows_at(command(MRF_QUEUE_VERB_SHOW, NULL), 0));
}

/* Promises COUNT small numbers; they fit the session's ring. */
static void promise_all(struct mr_test_session *s, const char *subject)
{
	for (uint64_t i = 1; i <= COUNT; i++)
		assert_true(mr_test_promise(s, subject, 0, i, &i, sizeof(i)));
	mr_test_flush(s);
}

/* Waits until the publisher is held, and its worker sleeps meanwhile. */
static void expect_held(const struct mr_test_session *s)
{
	uint64_t until = 0;

	mr_test_wait_count(
		&mr_test_session_stats(&p, s)->blocked_rounds, 1, "the publisher is held");
	while (atomic_load_explicit(&s->page->asleep, memory_order_relaxed) == 0)
		mr_test_yield(&until, "the publisher's worker sleeps");
	assert_true(ready() >= MESSAGES_MAX);
	assert_true(ready() < COUNT);
	assert_int_equal(mr_test_session_stats(&p, s)->blocked_by, 0);
}

/* Takes and acks all COUNT messages, in their order. */
static void consume_all(void)
{
	(void)command(MRF_QUEUE_VERB_CONSUME, &consumer);
	for (uint64_t i = 1; i <= COUNT; i++) {
		struct mr_message_view m = mr_test_next(&consumer);
		struct mrf_settlement ack = {.tag = m.extra.delivery.tag};
		struct mr_message_plan plan = mr_message_plan(
			MRF_MESSAGE_KIND_SETTLE, NULL, NULL, 0, &ack, 0, sizeof(ack));
		uint64_t number;

		assert_int_equal(m.payload_bytes, sizeof(number));
		memcpy(&number, m.payload, sizeof(number));
		assert_int_equal(number, i);
		mr_test_push(&consumer, &plan, queue);
		mr_test_flush(&consumer);
	}
}

static void expect_nothing_dropped(void)
{
	for (unsigned i = 0; i < p.workers; i++) {
		const struct mrf_worker_stats *stats = mr_test_worker_stats(&p, i);

		assert_int_equal(stats->drop_bound_full + stats->drop_bound_memory +
					 stats->drop_bound_gone + stats->drop_mesh_full,
			0);
	}
	assert_int_equal(mr_test_worker_stats(&p, home())->bound, COUNT);
}

static void promised_publishes_wait_for_a_full_queue_of_their_worker(void **state)
{
	(void)state;
	promise_all(&near, "s.a");
	expect_held(&near);
	consume_all();
	expect_nothing_dropped();
}

static void promised_publishes_wait_for_a_full_queue_of_another_worker(void **state)
{
	(void)state;
	promise_all(&far, "s.a");
	expect_held(&far);
	consume_all();
	expect_nothing_dropped();
}

/* The publisher's subject is bound no more, though the queue stays full. */
static void unbind_resumes_a_held_publisher(void **state)
{
	struct mr_test_session *const sessions[] = {&near, &far};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct mr_test_session *s = sessions[i];

		promise_all(s, "s.a");
		expect_held(s);
		assert_int_equal(mr_test_unbind(&p, NAME, "s.a"), 1);
		assert_int_equal(mr_test_unbind(&p, NAME, "s.*"), 0);
		mr_test_wait_count(
			&mr_test_session_stats(&p, s)->rx_messages, COUNT, "all are taken");
		assert_true(ready() < COUNT);
		assert_int_equal(mr_test_bind(&p, queue, NAME, "s.*"), 1);
		assert_int_equal(mr_test_bind(&p, queue, NAME, "s.a"), 2);
		(void)command(MRF_QUEUE_VERB_PURGE, NULL);
	}
}

static void other_publishes_are_not_held(void **state)
{
	(void)state;
	subscribe(&p, &consumer, 1, "other", NULL);
	promise_all(&near, "s.a");
	expect_held(&near);
	for (unsigned i = 0; i < 2; i++) {
		mr_test_promise(&far, "other", 0, 1 + i, "text", 4);
		mr_test_flush(&far);
		expect(&consumer, MRF_MESSAGE_KIND_DELIVER, 1, "other", "text");
	}
	/* A plain one behind a full queue is dropped for it. */
	publish(&far, "s.b", "text");
	mr_test_wait_count(&mr_test_worker_stats(&p, home())->drop_bound_full, 1, "dropped");
}

static void malformed_bindings_are_refused(void **state)
{
	(void)state;
	assert_int_equal(mr_test_bind(&p, queue, NAME, "a..b"), -EINVAL);
	assert_int_equal(mr_test_bind(&p, queue, "", "a"), -EINVAL);
	assert_int_equal(mr_test_bind(&p, UINT32_MAX, NAME, "a"), -EINVAL);
	assert_int_equal(mr_test_unbind(&p, "nobody", "a"), -ENOENT);
	assert_int_equal(mr_test_unbind(&p, NAME, "a"), -ENOENT);
	/* The queue is bound anew under another number: the old bindings go. */
	assert_int_equal(mr_test_bind(&p, queue ^ 1u << 20, NAME, "a"), 1);
	assert_int_equal(mr_test_unbind(&p, NAME, NULL), 0);
}

static void one_queue_has_256_bindings(void **state)
{
	char pattern[32];

	(void)state;
	for (int i = 2; i < 256; i++) {
		snprintf(pattern, sizeof(pattern), "p.%d", i);
		assert_int_equal(mr_test_bind(&p, queue, NAME, pattern), i + 1);
	}
	assert_int_equal(mr_test_bind(&p, queue, NAME, "one.more"), -ENOSPC);
	assert_int_equal(mr_test_bind(&p, queue, NAME, "p.2"), 256);
	assert_int_equal(mr_test_unbind(&p, NAME, NULL), 0);
}

#define PLANE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLANE_TEST(promised_publishes_wait_for_a_full_queue_of_their_worker),
		PLANE_TEST(promised_publishes_wait_for_a_full_queue_of_another_worker),
		PLANE_TEST(unbind_resumes_a_held_publisher),
		PLANE_TEST(other_publishes_are_not_held),
		PLANE_TEST(malformed_bindings_are_refused),
		PLANE_TEST(one_queue_has_256_bindings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
