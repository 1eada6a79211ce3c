/* SPDX-License-Identifier: Apache-2.0 */
/* NULL where there must be something: an error with a text, never a crash. */
#include "tests/unit/client/fixture.h"

static struct mr_client *c;
static struct mr_publisher *p;
static struct mr_consumer *k;
static struct mr_queue *q;
static struct mr_message m;
static struct mr_delivery d;
static struct mr_headers h;
static struct mr_push push;
static struct mr_stream *stream;
static struct mr_service *service;
static char memory[64];
static size_t size;
static void *place;

static void on_reply(struct mr_client *client, const struct mr_message *reply, int error, void *arg)
{
	(void)client;
	(void)reply;
	(void)error;
	(void)arg;
}

static void on_call(struct mr_client *client, uint64_t correlation, const struct mr_message *reply,
	bool more, int error, void *arg)
{
	(void)correlation;
	(void)more;
	on_reply(client, reply, error, arg);
}

static void on_work(struct mr_client *client, const struct mr_work *work, void *arg)
{
	(void)work;
	on_reply(client, NULL, 0, arg);
}

static void on_post(struct mr_client *client, void *arg)
{
	on_reply(client, NULL, 0, arg);
}

static void on_timer(struct mr_client *client, struct mr_timer *t, void *arg)
{
	(void)t;
	on_reply(client, NULL, 0, arg);
}

static struct mr_timer *timer;
static const uint64_t token[2] = {1, 2};

#define CALLS(X)                                                                                   \
	X(mr_connect(NULL, NULL, NULL))                                                            \
	X(mr_ping(NULL, 0, NULL, NULL))                                                            \
	X(mr_publish(NULL, "a", "x", 1))                                                           \
	X(mr_publish(c, NULL, "x", 1))                                                             \
	X(mr_publish(c, "a", NULL, 1))                                                             \
	X(mr_publish_with(NULL, "a", NULL, 0, "x", 1))                                             \
	X(mr_publish_with(c, NULL, NULL, 0, "x", 1))                                               \
	X(mr_publish_with(c, "a", NULL, 4, "x", 1))                                                \
	X(mr_publisher_open(NULL, "a", &p))                                                        \
	X(mr_publisher_open(c, NULL, &p))                                                          \
	X(mr_publisher_open(c, "a", NULL))                                                         \
	X(mr_publisher_open_with(NULL, "a", NULL, &p))                                             \
	X(mr_publisher_open_with(c, NULL, NULL, &p))                                               \
	X(mr_publisher_open_with(c, "a", NULL, NULL))                                              \
	X(mr_publisher_send(NULL, "x", 1))                                                         \
	X(mr_publisher_send(p, NULL, 1))                                                           \
	X(mr_publisher_send_batch(NULL, &(struct mr_buffer){"x", 1}, 1))                           \
	X(mr_publisher_send_batch(p, NULL, 1))                                                     \
	X(mr_publisher_send_batch(p, &(struct mr_buffer){NULL, 1}, 1))                             \
	X(mr_publisher_send_with(NULL, NULL, 0, "x", 1))                                           \
	X(mr_publisher_send_with(p, NULL, 1, "x", 1))                                              \
	X(mr_publisher_send_with(p, NULL, 0, NULL, 1))                                             \
	X(mr_publisher_claim(NULL, 1, &place))                                                     \
	X(mr_publisher_claim(p, 1, NULL))                                                          \
	X(mr_publisher_commit(NULL, 1))                                                            \
	X(mr_publisher_claim_batch(NULL, 1, 1, &place, &size))                                     \
	X(mr_publisher_claim_batch(p, 1, 1, NULL, &size))                                          \
	X(mr_publisher_claim_batch(p, 1, 1, &place, NULL))                                         \
	X(mr_publisher_commit_batch(NULL, 1))                                                      \
	X(mr_publisher_request(NULL, "x", 1, 0, on_reply, NULL))                                   \
	X(mr_publisher_request(p, NULL, 1, 0, on_reply, NULL))                                     \
	X(mr_publisher_request(p, "x", 1, 0, NULL, NULL))                                          \
	X(mr_flush(NULL))                                                                          \
	X(mr_drain(NULL, 0))                                                                       \
	X(mr_settle(NULL, 0))                                                                      \
	X(mr_subscribe(NULL, "a", NULL, NULL, NULL, NULL))                                         \
	X(mr_subscribe(c, NULL, NULL, NULL, NULL, NULL))                                           \
	X(mr_unsubscribe(NULL))                                                                    \
	X(mr_process(NULL, 1))                                                                     \
	X(mr_wait(NULL, 0))                                                                        \
	X(mr_fd(NULL))                                                                             \
	X(mr_receive(NULL, &m, 0))                                                                 \
	X(mr_receive(c, NULL, 0))                                                                  \
	X(mr_request(NULL, "a", "x", 1, 0, &m))                                                    \
	X(mr_request(c, NULL, "x", 1, 0, &m))                                                      \
	X(mr_request(c, "a", NULL, 1, 0, &m))                                                      \
	X(mr_request_with(NULL, "a", NULL, 0, "x", 1, 0, &m))                                      \
	X(mr_request_with(c, NULL, NULL, 0, "x", 1, 0, &m))                                        \
	X(mr_request_async(NULL, "a", "x", 1, 0, on_reply, NULL))                                  \
	X(mr_request_async(c, NULL, "x", 1, 0, on_reply, NULL))                                    \
	X(mr_request_async(c, "a", "x", 1, 0, NULL, NULL))                                         \
	X(mr_reply(NULL, token, "x", 1))                                                           \
	X(mr_reply(c, NULL, "x", 1))                                                               \
	X(mr_reply_with(NULL, token, NULL, 0, "x", 1))                                             \
	X(mr_reply_with(c, NULL, NULL, 0, "x", 1))                                                 \
	X(mr_headers_add(NULL, "A", "1"))                                                          \
	X(mr_headers_add(&h, NULL, "1"))                                                           \
	X(mr_headers_add(&h, "A", NULL))                                                           \
	X(mr_queue_open(NULL, "q", NULL, &q))                                                      \
	X(mr_queue_open(c, NULL, NULL, &q))                                                        \
	X(mr_queue_open(c, "q", NULL, NULL))                                                       \
	X(mr_push(NULL, "x", 1))                                                                   \
	X(mr_push(q, NULL, 1))                                                                     \
	X(mr_push_with(NULL, &push, NULL))                                                         \
	X(mr_push_with(q, NULL, NULL))                                                             \
	X(mr_settle_and_push(NULL, NULL, 0, NULL))                                                 \
	X(mr_settle_and_push(&d, NULL, 1, NULL))                                                   \
	X(mr_settle_and_push_async(NULL, NULL, 0, NULL, NULL, NULL))                               \
	X(mr_consume(NULL, "q", NULL, NULL, NULL, &k))                                             \
	X(mr_consume(c, NULL, NULL, NULL, NULL, &k))                                               \
	X(mr_consume(c, "q", NULL, NULL, NULL, NULL))                                              \
	X(mr_consumer_close(NULL))                                                                 \
	X(mr_pull_batch(NULL, &d, 1, 0))                                                           \
	X(mr_pull_batch(k, NULL, 1, 0))                                                            \
	X(mr_consumer_pause(NULL))                                                                 \
	X(mr_consumer_resume(NULL))                                                                \
	X(mr_pull(NULL, &d, 0))                                                                    \
	X(mr_pull(k, NULL, 0))                                                                     \
	X(mr_ack(NULL, 1))                                                                         \
	X(mr_nack(NULL, 1, true, 0))                                                               \
	X(mr_give_back(NULL, 1))                                                                   \
	X(mr_progress(NULL, 1))                                                                    \
	X(mr_serve(NULL, "s", NULL, on_work, NULL, &service))                                      \
	X(mr_serve(c, NULL, NULL, on_work, NULL, &service))                                        \
	X(mr_serve(c, "s", NULL, NULL, NULL, &service))                                            \
	X(mr_serve(c, "s", NULL, on_work, NULL, NULL))                                             \
	X(mr_service_close(NULL))                                                                  \
	X(mr_respond(NULL, 1, "x", 1))                                                             \
	X(mr_respond_with(NULL, 1, false, NULL, 0, "x", 1))                                        \
	X(mr_respond_failed(NULL, 1, true))                                                        \
	X(mr_respond_progress(NULL, 1))                                                            \
	X(mr_call(NULL, "s", "x", 1, NULL, &m))                                                    \
	X(mr_call(c, NULL, "x", 1, NULL, &m))                                                      \
	X(mr_call(c, "s", NULL, 1, NULL, &m))                                                      \
	X(mr_call_async(NULL, "s", "x", 1, NULL, on_call, NULL))                                   \
	X(mr_call_async(c, NULL, "x", 1, NULL, on_call, NULL))                                     \
	X(mr_call_async(c, "s", "x", 1, NULL, NULL, NULL))                                         \
	X(mr_stream_open(NULL, "s", "x", 1, NULL, on_call, NULL, &stream))                         \
	X(mr_stream_open(c, NULL, "x", 1, NULL, on_call, NULL, &stream))                           \
	X(mr_stream_open(c, "s", "x", 1, NULL, NULL, NULL, &stream))                               \
	X(mr_stream_open(c, "s", "x", 1, NULL, on_call, NULL, NULL))                               \
	X(mr_stream_send(NULL, "x", 1, true))                                                      \
	X(mr_headers_addf(NULL, "A", "%d", 1))                                                     \
	X(mr_headers_addf(&h, NULL, "%d", 1))                                                      \
	X(mr_client_drain(NULL, 0))                                                                \
	X(mr_client_post(NULL, on_post, NULL))                                                     \
	X(mr_client_post(c, NULL, NULL))                                                           \
	X(mr_unsubscribe_after(NULL, 1))                                                           \
	X(mr_subscription_drain(NULL))                                                             \
	X(mr_timer_open(NULL, on_timer, NULL, &timer))                                             \
	X(mr_timer_open(c, NULL, NULL, &timer))                                                    \
	X(mr_timer_open(c, on_timer, NULL, NULL))                                                  \
	X(mr_timer_start(NULL, 1, 1))

#define FUNCTION(call)                                                                             \
	if (number-- == 0) {                                                                       \
		*text = #call;                                                                     \
		return call;                                                                       \
	}

/* Makes the call of this number. Its text is NULL behind the last one. */
static int make(unsigned number, const char **text)
{
	*text = NULL;
	CALLS(FUNCTION)
	return 0;
}

static int open_all(void **state)
{
	struct fixture *f;
	int error = setup(state);

	if (error != 0)
		return error;
	f = *state;
	c = f->client;
	mr_headers_init(&h, memory, sizeof(memory));
	return mr_publisher_open(c, "a", &p) | mr_queue_open(c, "q", NULL, &q) |
	       mr_consume(c, "q", NULL, NULL, NULL, &k);
}

static void null_is_an_error_with_a_text_and_never_a_crash(void **state)
{
	struct mr_publisher *kept_p = p;
	struct mr_consumer *kept_k = k;
	struct mr_queue *kept_q = q;
	const char *text;

	(void)state;
	for (unsigned i = 0;; i++) {
		int error;

		/* A text of another call, which must not stand afterwards. */
		assert_int_equal(mr_publish(c, "..", "x", 1), -EINVAL);
		error = make(i, &text);
		if (text == NULL)
			break;
		if (error != -EINVAL)
			fail_msg("%s: %d", text, error);
		if (strstr(mr_error(c), "subject: ") != NULL)
			fail_msg("%s: mr_error tells of another call: %s", text, mr_error(c));
		p = kept_p;
		k = kept_k;
		q = kept_q;
	}
	/* The client works as before. */
	assert_int_equal(mr_publisher_send(p, "x", 1), 0);
	assert_int_equal(mr_push(q, "x", 1), 0);
	assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
}

static void functions_without_error_ignore_null(void **state)
{
	struct mr_client_stats stats = {.published = 1};
	struct mr_header header;
	size_t cursor = 0;

	(void)state;
	mr_close(NULL);
	mr_cork(NULL, true);
	mr_publisher_close(NULL);
	mr_publisher_abort(NULL);
	mr_queue_close(NULL);
	mr_stream_close(NULL);
	mr_headers_init(NULL, memory, sizeof(memory));
	mr_consumer_renew(NULL, true);
	mr_consumer_on_recall(NULL, NULL, NULL);
	mr_service_renew(NULL, true);
	mr_service_on_recall(NULL, NULL, NULL);
	mr_client_stats(NULL, &stats);
	assert_int_equal(stats.published, 0);
	mr_client_stats(c, NULL);
	assert_false(mr_connected(NULL));
	assert_int_equal(mr_body_bytes_max(NULL, "a"), 0);
	assert_int_equal(mr_message_bytes_max(NULL), 0);
	assert_int_equal(mr_queue_unaccepted(NULL), 0);
	assert_int_equal(mr_delivery_attempts(NULL), 0);
	assert_int_equal(mr_consumer_ack_timeout_ms(NULL), 0);
	assert_int_equal(mr_consumer_max_deliver(NULL), 0);
	assert_int_equal(mr_respond_room(NULL, 1), 0);
	assert_string_equal(mr_subscription_pattern(NULL), "");
	assert_int_equal(mr_subscription_count(NULL), 0);
	assert_true(mr_subscription_ended(NULL));
	mr_subscription_on_end(NULL, NULL, NULL);
	mr_client_wake(NULL);
	mr_timer_stop(NULL);
	mr_timer_close(NULL);
	mr_message_free(NULL);
	assert_null(mr_message_dup(NULL));
	assert_null(mr_message_header(NULL, "A", &size));
	assert_null(mr_message_header(&m, NULL, &size));
	assert_null(mr_message_header(&m, "A", NULL));
	assert_false(mr_message_header_next(NULL, &cursor, &header));
	assert_false(mr_message_header_next(&m, NULL, &header));
	assert_false(mr_headers_next(NULL, 0, &cursor, &header));
	assert_false(mr_headers_next("NATS/1.0\r\n\r\n", 12, NULL, &header));
	assert_false(mr_headers_next("NATS/1.0\r\nA: 1\r\n\r\n", 18, &cursor, NULL));
	assert_false(mr_headers_find(NULL, 0, "A", &header));
	assert_false(mr_headers_find("NATS/1.0\r\nA: 1\r\n\r\n", 18, NULL, &header));
	assert_false(mr_headers_find("NATS/1.0\r\nA: 1\r\n\r\n", 18, "A", NULL));
	mr_headers_init(&h, NULL, 64);
	assert_int_equal(mr_headers_add(&h, "A", "1"), -ENOSPC);
}

static void headers_that_fail_are_what_mr_error_tells_of(void **state)
{
	(void)state;
	mr_headers_init(&h, memory, sizeof(memory));
	assert_int_equal(mr_publish(c, "..", "x", 1), -EINVAL);
	assert_int_equal(mr_headers_add(&h, "bad name", "1"), -EINVAL);
	assert_non_null(strstr(mr_error(c), "mr_headers_add: name \"bad name\""));
	assert_string_equal(mr_error(NULL), mr_error(c));
	assert_int_equal(mr_headers_add(&h, "A", "1\r\n"), -EINVAL);
	assert_non_null(strstr(mr_error(c), "the value of A"));
	mr_headers_init(&h, memory, 8);
	assert_int_equal(mr_headers_add(&h, "A", "1"), -ENOSPC);
	assert_non_null(strstr(mr_error(c), "18 bytes are needed, 8 are there"));
	/* The next failure of the client is told of again. */
	assert_int_equal(mr_publish(c, "..", "x", 1), -EINVAL);
	assert_non_null(strstr(mr_error(c), "subject: "));
	assert_non_null(strstr(mr_error(NULL), "mr_headers_add: "));
}

#define OPEN(name) cmocka_unit_test_setup_teardown(name, open_all, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPEN(null_is_an_error_with_a_text_and_never_a_crash),
		OPEN(functions_without_error_ignore_null),
		OPEN(headers_that_fail_are_what_mr_error_tells_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
