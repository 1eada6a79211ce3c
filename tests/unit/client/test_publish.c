/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing: aliases, sizes, publishers, refused arguments. */
#include "tests/unit/client/fixture.h"

static struct mr_subscription *listen_on(struct fixture *f, const char *pattern, struct inbox *in)
{
	struct mr_subscription *s;

	assert_int_equal(mr_subscribe(f->client, pattern, NULL, keep_message, in, &s), 0);
	return s;
}

static void published_message_reaches_the_subscriber_whole(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_subscription *s = listen_on(f, "orders.>", &in);

	assert_int_equal(mr_publish(f->client, "orders.eu", "hello", 5), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
	assert_string_equal(in.last, "hello");
	assert_string_equal(in.subject, "orders.eu");
	assert_ptr_equal(in.message.subscription, s);
	assert_false(in.message.wants_reply);
	assert_null(in.message.headers);
	assert_int_equal(mr_subscription_count(s), 1);
	assert_string_equal(mr_subscription_pattern(s), "orders.>");
}

static void empty_payload_is_a_message(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};

	listen_on(f, "a", &in);
	assert_int_equal(mr_publish(f->client, "a", NULL, 0), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
	assert_int_equal(in.message.payload_bytes, 0);
}

static void check_largest(struct mr_client *c, const struct mr_message *m, void *arg)
{
	const uint8_t *p = m->payload;

	assert_int_equal(m->payload_bytes, mr_body_bytes_max(c, "big"));
	for (size_t i = 0; i < m->payload_bytes; i++)
		assert_int_equal(p[i], (uint8_t)(i * 7));
	++*(unsigned *)arg;
}

static void largest_payload_passes_and_one_byte_more_is_refused(void **state)
{
	struct fixture *f = *state;
	static uint8_t payload[MR_BODY_BYTES + 1];
	unsigned count = 0;
	size_t max;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	assert_int_equal(mr_subscribe(f->client, "big", NULL, check_largest, &count, NULL), 0);
	max = mr_body_bytes_max(f->client, "big");
	assert_int_equal(mr_publish(f->client, "big", payload, max), 0);
	assert_int_equal(mr_publish(f->client, "big", payload, max + 1), -EMSGSIZE);
	PROCESS_UNTIL(f->client, count == 1);
}

static void malformed_subjects_are_refused_with_a_reason(void **state)
{
	struct fixture *f = *state;
	char longest[258];

	memset(longest, 'a', sizeof(longest));
	longest[256] = '\0';
	assert_int_equal(mr_publish(f->client, "", "x", 1), -EINVAL);
	assert_int_equal(mr_publish(f->client, "a..b", "x", 1), -EINVAL);
	assert_int_equal(mr_publish(f->client, "a.*", "x", 1), -EINVAL);
	assert_int_equal(mr_publish(f->client, longest, "x", 1), -EINVAL);
	assert_non_null(strstr(mr_error(f->client), "subject: "));
	assert_int_equal(mr_publish_with(f->client, "a", "junk: 1\r\n\r\n", 11, "x", 1), -EINVAL);
}

static void headers_pass_through_untouched(void **state)
{
	struct fixture *f = *state;
	struct mr_message m;
	struct mr_headers h;
	struct mr_header found;
	char memory[128];

	assert_int_equal(mr_subscribe(f->client, "a", NULL, NULL, NULL, NULL), 0);
	mr_headers_init(&h, memory, sizeof(memory));
	assert_int_equal(mr_headers_add(&h, "trace", "abc"), 0);
	assert_int_equal(mr_publish_with(f->client, "a", h.data, h.bytes, "body", 4), 0);
	assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
	assert_int_equal(m.header_bytes, h.bytes);
	assert_memory_equal(m.headers, h.data, h.bytes);
	assert_true(mr_headers_find(m.headers, m.header_bytes, "Trace", &found));
	assert_int_equal(found.value_bytes, 3);
	assert_memory_equal(m.payload, "body", 4);
}

static void publisher_sends_by_alias(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p, *same;
	struct inbox in = {0};

	listen_on(f, "a.b", &in);
	assert_int_equal(mr_publisher_open(f->client, "a.b", &p), 0);
	assert_int_equal(mr_publisher_open(f->client, "a.b", &same), 0);
	assert_int_equal(mr_publisher_send(p, "one", 3), 0);
	assert_int_equal(mr_publisher_send(same, "two", 3), 0);
	PROCESS_UNTIL(f->client, in.count == 2);
	assert_string_equal(in.last, "two");
	assert_string_equal(in.subject, "a.b");
	mr_publisher_close(p);
	assert_int_equal(mr_publisher_send(same, "three", 5), 0);
	PROCESS_UNTIL(f->client, in.count == 3);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.releases, 0);
	bus_unlock(&f->bus);
	mr_publisher_close(same);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.releases, 1);
	bus_unlock(&f->bus);
}

static void claim_commits_in_place_and_abort_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p;
	struct inbox in = {0};
	void *payload;

	listen_on(f, "a", &in);
	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	assert_int_equal(mr_publisher_claim(p, 100, &payload), 0);
	memcpy(payload, "never", 5);
	mr_publisher_abort(p);
	assert_int_equal(mr_publisher_claim(p, 100, &payload), 0);
	memcpy(payload, "claimed", 7);
	assert_int_equal(mr_publisher_commit(p, 101), -EINVAL);
	assert_int_equal(mr_publisher_commit(p, 7), 0);
	assert_int_equal(mr_publisher_commit(p, 7), -EINVAL);
	PROCESS_UNTIL(f->client, in.count == 1);
	assert_string_equal(in.last, "claimed");
}

static void other_calls_are_refused_while_a_claim_is_open(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p;
	struct mr_message m;
	void *payload;

	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	assert_int_equal(mr_publisher_claim(p, 8, &payload), 0);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), -EDEADLK);
	assert_int_equal(mr_publisher_send(p, "x", 1), -EDEADLK);
	assert_int_equal(mr_publisher_claim(p, 8, &payload), -EDEADLK);
	assert_int_equal(mr_process(f->client, 1), -EDEADLK);
	assert_int_equal(mr_wait(f->client, 0), -EDEADLK);
	assert_int_equal(mr_receive(f->client, &m, 0), -EDEADLK);
	assert_int_equal(mr_request(f->client, "a", "x", 1, 0, &m), -EDEADLK);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, NULL, NULL, NULL), -EDEADLK);
	assert_int_equal(mr_flush(f->client), -EDEADLK);
	mr_publisher_abort(p);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
}

static void corked_messages_stay_until_flushed(void **state)
{
	struct fixture *f = *state;

	mr_cork(f->client, true);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.published, 0);
	assert_int_equal(mr_bytes_readable(&f->bus.sessions[0].up), 0);
	bus_unlock(&f->bus);
	assert_int_equal(mr_flush(f->client), 0);
	assert_true(bus_took_all(f));
	bus_lock(&f->bus);
	assert_int_equal(f->bus.published, 100);
	bus_unlock(&f->bus);
}

static void commit_filled_batch(struct mr_publisher *p, unsigned claimed, unsigned committed)
{
	size_t stride;
	void *first;
	char text[8];

	assert_int_equal(mr_publisher_claim_batch(p, 3, claimed, &first, &stride), claimed);
	assert_true(stride >= 3);
	for (unsigned i = 0; i < claimed; i++) {
		snprintf(text, sizeof(text), "%03u", i);
		memcpy((char *)first + i * stride, text, 3);
	}
	assert_int_equal(mr_publisher_commit_batch(p, committed), 0);
}

static void claimed_batch_arrives_in_order_as_far_as_it_was_committed(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct mr_publisher *p;
	struct inbox in = {0};

	listen_on(f, "a", &in);
	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	commit_filled_batch(p, 100, 70);
	PROCESS_UNTIL(f->client, in.count == 70);
	assert_string_equal(in.last, "069");
	commit_filled_batch(p, 1, 1);
	commit_filled_batch(p, 5, 0);
	PROCESS_UNTIL(f->client, in.count == 71);
	assert_string_equal(in.last, "000");
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.published, 71);
}

static void batch_of_the_largest_and_of_empty_messages(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p;
	struct inbox in = {0};
	size_t max = mr_body_bytes_max(f->client, "a"), stride;
	void *first;

	listen_on(f, "a", &in);
	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	assert_int_equal(mr_publisher_claim_batch(p, max + 1, 1, &first, &stride), -EMSGSIZE);
	assert_int_equal(mr_publisher_claim_batch(p, SIZE_MAX, 1, &first, &stride), -EMSGSIZE);
	assert_int_equal(mr_publisher_claim_batch(p, 8, 0, &first, &stride), 0);
	assert_int_equal(mr_publisher_claim_batch(p, max, 2, &first, &stride), 2);
	memset(first, 'x', max);
	memset((char *)first + stride, 'y', max);
	assert_int_equal(mr_publisher_commit_batch(p, 2), 0);
	PROCESS_UNTIL(f->client, in.count == 2);
	assert_int_equal(in.message.payload_bytes, max);
	assert_int_equal(in.last[0], 'y');
	assert_int_equal(mr_publisher_claim_batch(p, 0, 3, &first, &stride), 3);
	assert_int_equal(mr_publisher_commit_batch(p, 3), 0);
	PROCESS_UNTIL(f->client, in.count == 5);
	assert_int_equal(in.message.payload_bytes, 0);
}

static void claims_of_one_and_of_a_batch_are_not_mixed(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p;
	size_t stride;
	void *place;

	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	assert_int_equal(mr_publisher_commit_batch(p, 1), -EINVAL);
	assert_int_equal(mr_publisher_claim_batch(p, 8, 4, &place, &stride), 4);
	assert_int_equal(mr_publisher_claim_batch(p, 8, 4, &place, &stride), -EDEADLK);
	assert_int_equal(mr_publisher_claim(p, 8, &place), -EDEADLK);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), -EDEADLK);
	assert_int_equal(mr_publisher_commit(p, 8), -EINVAL);
	assert_int_equal(mr_publisher_commit_batch(p, 5), -EINVAL);
	mr_publisher_abort(p);
	assert_int_equal(mr_publisher_commit_batch(p, 4), -EINVAL);
	assert_int_equal(mr_publisher_claim(p, 8, &place), 0);
	assert_int_equal(mr_publisher_commit_batch(p, 1), -EINVAL);
	mr_publisher_abort(p);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
}

static void messages_published_before_close_arrive(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c;
	struct inbox in = {0};

	listen_on(f, "a", &in);
	assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
	mr_cork(c, true);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(mr_publish(c, "a", "x", 1), 0);
	mr_close(c);
	PROCESS_UNTIL(f->client, in.count == 100);
}

static void publisher_that_promises_does_so_by_every_call(void **state)
{
	const struct mr_publisher_options promise = {.promise = MR_AT_LEAST_ONCE};
	const struct mr_buffer more[2] = {{"b", 1}, {"c", 1}};
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_publisher *p;
	size_t stride;
	void *at;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_publisher_open_with(f->client, "a", &promise, &p), 0);
	assert_int_equal(mr_publisher_send(p, "a", 1), 0);
	assert_int_equal(mr_publisher_send_batch(p, more, 2), 2);
	assert_int_equal(mr_publisher_claim(p, 1, &at), 0);
	memcpy(at, "d", 1);
	assert_int_equal(mr_publisher_commit(p, 1), 0);
	assert_int_equal(mr_publisher_claim_batch(p, 1, 2, &at, &stride), 2);
	memcpy(at, "e", 1);
	memcpy((uint8_t *)at + stride, "f", 1);
	assert_int_equal(mr_publisher_commit_batch(p, 2), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	PROCESS_UNTIL(f->client, in.count == 6);
	assert_string_equal(in.last, "f");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(published_message_reaches_the_subscriber_whole),
		TEST(empty_payload_is_a_message),
		TEST(largest_payload_passes_and_one_byte_more_is_refused),
		TEST(malformed_subjects_are_refused_with_a_reason),
		TEST(headers_pass_through_untouched),
		TEST(publisher_sends_by_alias),
		TEST(claim_commits_in_place_and_abort_leaves_nothing),
		TEST(other_calls_are_refused_while_a_claim_is_open),
		TEST(corked_messages_stay_until_flushed),
		TEST(claimed_batch_arrives_in_order_as_far_as_it_was_committed),
		TEST(batch_of_the_largest_and_of_empty_messages),
		TEST(claims_of_one_and_of_a_batch_are_not_mixed),
		TEST(messages_published_before_close_arrive),
		TEST(publisher_that_promises_does_so_by_every_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
