/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving: callbacks, batches, mr_receive, deferred messages. */
#include "tests/unit/client/fixture.h"

struct sequence {
	uint32_t next;
	unsigned wrong;
};

static void check_sequence(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct sequence *s = arg;
	uint32_t number;

	(void)c;
	memcpy(&number, m->payload, sizeof(number));
	s->wrong += number != s->next;
	s->next = number + 1;
}

static void messages_come_in_order_to_callbacks(void **state)
{
	struct fixture *f = *state;
	struct sequence s = {0};
	struct mr_client_stats stats;
	struct mr_publisher *p;
	uint32_t sent = 0;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, check_sequence, &s, NULL), 0);
	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	mr_cork(f->client, true);
	while (s.next < 100000) {
		while (sent < 100000 && sent - s.next < 1024 &&
			mr_publisher_send(p, &sent, sizeof(sent)) == 0)
			sent++;
		assert_true(mr_wait(f->client, PATIENCE_MS) > 0);
	}
	assert_int_equal(s.wrong, 0);
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.received, 100000);
	assert_int_equal(stats.missed + stats.malformed + stats.unmatched, 0);
}

static void process_handles_at_most_what_it_is_told(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	assert_true(bus_took_all(f));
	assert_int_equal(mr_process(f->client, 3), 3);
	assert_int_equal(in.count, 3);
	assert_int_equal(mr_process(f->client, 0), 0);
	assert_int_equal(mr_process(f->client, 100), 7);
	assert_int_equal(mr_process(f->client, 100), 0);
}

static void receive_returns_messages_one_by_one(void **state)
{
	struct fixture *f = *state;
	struct mr_subscription *s;
	struct mr_message m;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, NULL, NULL, &s), 0);
	assert_int_equal(mr_receive(f->client, &m, 0), -ETIMEDOUT);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(mr_publish(f->client, "a", &i, sizeof(i)), 0);
		if (i % 3 == 0)
			continue;
		for (unsigned j = i % 3 == 1 ? i - 1 : i; j <= i; j++) {
			assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
			assert_memory_equal(m.payload, &j, sizeof(j));
			assert_ptr_equal(m.subscription, s);
		}
	}
	assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
	assert_int_equal(mr_receive(f->client, &m, 1), -ETIMEDOUT);
	assert_int_equal(mr_subscription_count(s), 1000);
}

static void process_hands_out_what_stands_behind_a_message_for_receive(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_message m;

	assert_int_equal(mr_subscribe(f->client, "pull", NULL, NULL, NULL, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "push", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_publish(f->client, "push", "1", 1), 0);
	assert_int_equal(mr_publish(f->client, "pull", "2", 1), 0);
	assert_int_equal(mr_publish(f->client, "push", "3", 1), 0);
	assert_true(bus_took_all(f));
	assert_int_equal(mr_process(f->client, 100), 1);
	assert_string_equal(in.last, "1");
	assert_int_equal(mr_process(f->client, 100), 1);
	assert_string_equal(in.last, "3");
	assert_int_equal(mr_process(f->client, 100), 0);
	assert_int_equal(mr_wait(f->client, -1), 1);
	assert_int_equal(mr_publish(f->client, "pull", "4", 1), 0);
	assert_int_equal(mr_publish(f->client, "push", "5", 1), 0);
	assert_true(bus_took_all(f));
	/* One was handed out, and one waits. */
	assert_int_equal(mr_wait(f->client, -1), 2);
	assert_string_equal(in.last, "5");
	assert_int_equal(mr_receive(f->client, &m, 0), 0);
	assert_memory_equal(m.payload, "2", 1);
	assert_int_equal(mr_receive(f->client, &m, 0), 0);
	assert_memory_equal(m.payload, "4", 1);
	assert_int_equal(mr_receive(f->client, &m, 0), -ETIMEDOUT);
}

static void process_of_release_0_1_stops_in_front_of_what_is_for_receive(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_client *c;
	struct mr_message m;

	assert_int_equal((mr_connect)(f->bus.address, NULL, &c), 0);
	assert_int_equal(mr_subscribe(c, "pull", NULL, NULL, NULL, NULL), 0);
	assert_int_equal(mr_subscribe(c, "push", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_publish(c, "pull", "1", 1), 0);
	assert_int_equal(mr_publish(c, "push", "2", 1), 0);
	assert_int_equal(mr_wait(c, PATIENCE_MS), 1);
	assert_int_equal(mr_process(c, 100), 0);
	assert_int_equal(in.count, 0);
	assert_int_equal(mr_receive(c, &m, 0), 0);
	PROCESS_UNTIL(c, in.count == 1);
	mr_close(c);
}

static void messages_for_receive_beyond_what_can_be_deferred_stay_in_the_ring(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct inbox in = {0};
	struct mr_message m;
	unsigned got = 0;

	assert_int_equal(mr_subscribe(f->client, "pull", NULL, NULL, NULL, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "push", NULL, keep_message, &in, NULL), 0);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(mr_publish(f->client, "pull", &i, sizeof(i)), 0);
	assert_int_equal(mr_publish(f->client, "push", "x", 1), 0);
	assert_true(bus_took_all(f));
	assert_int_equal(mr_process(f->client, 100), 0);
	for (; mr_receive(f->client, &m, 0) == 0; got++)
		assert_memory_equal(m.payload, &got, sizeof(got));
	mr_client_stats(f->client, &stats);
	assert_int_equal(got + stats.missed, 5000);
	PROCESS_UNTIL(f->client, in.count == 1);
#ifndef FIXTURE_UDP
	assert_int_equal(stats.missed, 0);
#endif
}

static void receive_serves_callbacks_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_message m;

	assert_int_equal(mr_subscribe(f->client, "pull", NULL, NULL, NULL, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "push", NULL, keep_message, &in, NULL), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(mr_publish(f->client, "push", "x", 1), 0);
	assert_int_equal(mr_publish(f->client, "pull", "y", 1), 0);
	assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
	assert_int_equal(in.count, 5);
}

static void messages_for_receive_outlast_a_subscribe_in_order(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_message m;

	assert_int_equal(mr_subscribe(f->client, "pull", NULL, NULL, NULL, NULL), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(mr_publish(f->client, "pull", &i, sizeof(i)), 0);
	/* Its answer comes after the five. */
	assert_int_equal(mr_subscribe(f->client, "push", NULL, keep_message, &in, NULL), 0);
	for (unsigned i = 5; i < 10; i++)
		assert_int_equal(mr_publish(f->client, "pull", &i, sizeof(i)), 0);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
		assert_memory_equal(m.payload, &i, sizeof(i));
	}
}

static void more_than_can_be_deferred_is_counted_as_missed(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct mr_message m;
	unsigned got = 0;

	assert_int_equal(mr_subscribe(f->client, "pull", NULL, NULL, NULL, NULL), 0);
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 1000; i++)
			assert_int_equal(mr_publish(f->client, "pull", "x", 1), 0);
		assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	}
	while (mr_receive(f->client, &m, 0) == 0)
		got++;
	mr_client_stats(f->client, &stats);
	assert_int_equal(got, 4096);
	assert_int_equal(stats.missed, 5000 - 4096);
}

static void unsubscribe_stops_deliveries(void **state)
{
	struct fixture *f = *state;
	struct mr_subscription *s;
	struct inbox in = {0}, other = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, &s), 0);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &other, NULL), 0);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	PROCESS_UNTIL(f->client, other.count == 1);
	assert_int_equal(in.count, 1);
	assert_int_equal(mr_unsubscribe(s), 0);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	PROCESS_UNTIL(f->client, other.count == 2);
	assert_int_equal(in.count, 1);
}

static void ids_are_used_again_only_after_a_rest(void **state)
{
	struct fixture *f = *state;
	struct mr_subscription *s;
	struct inbox in = {0};
	uint32_t ids[300];

	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, &s), 0);
		bus_lock(&f->bus);
		ids[i] = f->bus.sessions[0].subscriptions[0].id;
		bus_unlock(&f->bus);
		for (unsigned j = i < 64 ? 0 : i - 64; j < i; j++)
			assert_int_not_equal(ids[i], ids[j]);
		assert_in_range(ids[i], 1, 66);
		assert_int_equal(mr_unsubscribe(s), 0);
	}
}

struct unsubscriber {
	struct mr_subscription *s;
	unsigned count;
};

static void unsubscribe_myself(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct unsubscriber *u = arg;

	(void)c;
	(void)m;
	u->count++;
	assert_int_equal(mr_unsubscribe(u->s), 0);
}

static void subscription_may_end_in_its_own_callback(void **state)
{
	struct fixture *f = *state;
	struct unsubscriber u = {0};
	struct inbox in = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, unsubscribe_myself, &u, &u.s), 0);
	assert_int_equal(mr_subscribe(f->client, "b", NULL, keep_message, &in, NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	assert_int_equal(mr_publish(f->client, "b", "x", 1), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
	assert_int_equal(u.count, 1);
}

struct adder {
	struct inbox added;
	unsigned count;
};

static void subscribe_within(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct adder *a = arg;
	struct mr_message unused;

	(void)m;
	assert_int_equal(mr_process(c, 1), -EDEADLK);
	assert_int_equal(mr_receive(c, &unused, 0), -EDEADLK);
	if (a->count++ == 0)
		assert_int_equal(mr_subscribe(c, "added", NULL, keep_message, &a->added, NULL), 0);
}

static void callback_may_subscribe_and_what_comes_meanwhile_is_kept(void **state)
{
	struct fixture *f = *state;
	struct adder a = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, subscribe_within, &a, NULL), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	PROCESS_UNTIL(f->client, a.count == 5);
	assert_int_equal(mr_publish(f->client, "added", "x", 1), 0);
	PROCESS_UNTIL(f->client, a.added.count == 1);
}

/* Records the batches of a callback for many. */
struct batches {
	struct mr_subscription *subscription;
	struct sequence sequence;
	unsigned calls;
	unsigned messages;
	unsigned largest;
	size_t payload_bytes;
	char subject[16]; /* subject of the last message */
};

static void check_batch(struct mr_client *c, const struct mr_message *first, unsigned count,
	size_t stride, void *arg)
{
	struct batches *b = arg;
	struct mr_message m = *first;

	b->calls++;
	b->messages += count;
	b->largest = count > b->largest ? count : b->largest;
	b->payload_bytes = first->payload_bytes;
	assert_true(count > 0);
	for (unsigned i = 0; i < count; i++) {
		m.payload = (const char *)first->payload + i * stride;
		check_sequence(c, &m, &b->sequence);
	}
	snprintf(b->subject, sizeof(b->subject), "%.*s", (int)first->subject_bytes,
		first->subject + (count - 1) * stride);
}

static void subscribe_batch(struct fixture *f, mr_messages_fn *callback, struct batches *b)
{
	struct mr_subscribe_options options = {.batch = callback};

	assert_int_equal(mr_subscribe(f->client, "a.*", &options, NULL, b, &b->subscription), 0);
}

/* Publishes `count` numbered messages of `bytes`; the bus has taken them. */
static void publish_numbers(
	struct fixture *f, const char *subject, uint32_t first, uint32_t count, size_t bytes)
{
	char payload[64] = {0};

	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = first + i;

		memcpy(payload, &number, sizeof(number));
		assert_int_equal(mr_publish(f->client, subject, payload, bytes), 0);
	}
	assert_true(bus_took_all(f));
}

static void messages_that_are_alike_come_at_once(void **state)
{
	struct fixture *f = *state;
	struct batches b = {0};

	subscribe_batch(f, check_batch, &b);
	publish_numbers(f, "a.x", 0, 50, 8);
	/* Another subject of the same length joins the batch, another size does not. */
	publish_numbers(f, "a.y", 50, 50, 8);
	publish_numbers(f, "a.z", 100, 10, 16);
	assert_int_equal(mr_process(f->client, 30), 30);
	assert_int_equal(b.calls, 1);
	assert_string_equal(b.subject, "a.x");
	assert_int_equal(mr_process(f->client, 1000), 80);
	assert_int_equal(b.calls, 3);
	assert_int_equal(b.largest, 70);
	assert_int_equal(b.messages, 110);
	assert_int_equal(b.sequence.wrong, 0);
	assert_int_equal(b.payload_bytes, 16);
	assert_string_equal(b.subject, "a.z");
	assert_int_equal(mr_subscription_count(b.subscription), 110);
}

static void no_reply(struct mr_client *c, const struct mr_message *reply, int error, void *arg)
{
	(void)c, (void)reply, (void)error, (void)arg;
}

static void a_message_with_other_sections_of_the_same_length_starts_anew(void **state)
{
	struct fixture *f = *state;
	struct batches b = {0};
	uint32_t number = 0;

	subscribe_batch(f, check_batch, &b);
	publish_numbers(f, "a.x", 0, 3, 9);
	publish_numbers(f, "a.xy", 3, 3, 8);
	publish_numbers(f, "a.x", 6, 3, 9);
	assert_int_equal(mr_process(f->client, 1000), 9);
	assert_int_equal(b.calls, 3);
	assert_int_equal(b.sequence.wrong, 0);
	/* A message that wants a reply comes alone. */
	b.sequence.next = 0;
	assert_int_equal(
		mr_request_async(f->client, "a.x", &number, 4, PATIENCE_MS, no_reply, NULL), 0);
	number++;
	assert_int_equal(
		mr_request_async(f->client, "a.x", &number, 4, PATIENCE_MS, no_reply, NULL), 0);
	assert_true(bus_took_all(f));
	assert_int_equal(mr_process(f->client, 1000), 2);
	assert_int_equal(b.calls, 5);
	assert_int_equal(b.sequence.wrong, 0);
}

static void one_callback_or_the_other(void **state)
{
	struct fixture *f = *state;
	struct mr_subscribe_options options = {.batch = check_batch};
	struct batches b = {0};

	assert_int_equal(mr_subscribe(f->client, "a", &options, keep_message, &b, NULL), -EINVAL);
}

static void unsubscribe_on_batch(struct mr_client *c, const struct mr_message *first,
	unsigned count, size_t stride, void *arg)
{
	struct batches *b = arg;

	if (b->calls == 0)
		assert_int_equal(mr_unsubscribe(b->subscription), 0);
	check_batch(c, first, count, stride, arg);
}

static void subscription_may_end_in_its_callback_for_many(void **state)
{
	struct fixture *f = *state;
	struct batches b = {0};
	struct inbox in = {0};

	subscribe_batch(f, unsubscribe_on_batch, &b);
	assert_int_equal(mr_subscribe(f->client, "b", NULL, keep_message, &in, NULL), 0);
	publish_numbers(f, "a.x", 0, 20, 8);
	publish_numbers(f, "a.x", 20, 5, 16);
	assert_int_equal(mr_publish(f->client, "b", "x", 1), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
	assert_int_equal(b.messages, 20);
	assert_int_equal(b.sequence.wrong, 0);
}

static void ping_on_batch(struct mr_client *c, const struct mr_message *first, unsigned count,
	size_t stride, void *arg)
{
	/* Messages received meanwhile are deferred, and given one by one. */
	assert_int_equal(mr_ping(c, -1, NULL, NULL), 0);
	check_batch(c, first, count, stride, arg);
}

static void order_stays_when_a_callback_for_many_waits(void **state)
{
	struct fixture *f = *state;
	struct batches b = {0};

	subscribe_batch(f, ping_on_batch, &b);
	publish_numbers(f, "a.x", 0, 20, 8);
	publish_numbers(f, "a.x", 20, 20, 16);
	publish_numbers(f, "a.x", 40, 20, 8);
	PROCESS_UNTIL(f->client, b.messages == 60);
	assert_int_equal(b.sequence.wrong, 0);
}

static void ping_on_tenth(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct sequence *s = arg;

	check_sequence(c, m, s);
	if (s->next % 10 == 0)
		assert_int_equal(mr_ping(c, -1, NULL, NULL), 0);
}

static void order_stays_when_a_callback_waits_amid_messages_that_are_alike(void **state)
{
	struct fixture *f = *state;
	struct sequence s = {0};

	assert_int_equal(mr_subscribe(f->client, "a.x", NULL, ping_on_tenth, &s, NULL), 0);
	publish_numbers(f, "a.x", 0, 100, 8);
	PROCESS_UNTIL(f->client, s.next == 100);
	assert_int_equal(s.wrong, 0);
}

static void refusal_of_the_bus_comes_with_its_text(void **state)
{
	struct fixture *f = *state;
	struct mr_subscription *s = (void *)1;

	bus_lock(&f->bus);
	f->bus.refuse_control = -ENOSPC;
	bus_unlock(&f->bus);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, NULL, NULL, &s), -ENOSPC);
	assert_null(s);
	assert_non_null(strstr(mr_error(f->client), "not?[2J today"));
}

static void malformed_patterns_and_groups_are_refused(void **state)
{
	struct fixture *f = *state;
	struct mr_subscribe_options bad = {.group = "a b"};
	struct mr_subscribe_options prefix = {.prefix = true, .group = "g"};
	struct inbox in = {0};

	assert_int_equal(mr_subscribe(f->client, "a.>.b", NULL, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(mr_subscribe(f->client, "", NULL, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(mr_subscribe(f->client, "a", &bad, NULL, NULL, NULL), -EINVAL);
	assert_non_null(strstr(mr_error(f->client), "group: "));
	assert_int_equal(mr_subscribe(f->client, "or", &prefix, keep_message, &in, NULL), 0);
	bus_lock(&f->bus);
	assert_true(f->bus.sessions[0].subscriptions[0].prefix);
	assert_string_equal(f->bus.sessions[0].subscriptions[0].group, "g");
	bus_unlock(&f->bus);
	assert_int_equal(mr_publish(f->client, "orders", "x", 1), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(messages_come_in_order_to_callbacks),
		TEST(process_handles_at_most_what_it_is_told),
		TEST(receive_returns_messages_one_by_one),
		TEST(process_hands_out_what_stands_behind_a_message_for_receive),
		TEST(process_of_release_0_1_stops_in_front_of_what_is_for_receive),
		TEST(messages_for_receive_beyond_what_can_be_deferred_stay_in_the_ring),
		TEST(receive_serves_callbacks_meanwhile),
		TEST(messages_for_receive_outlast_a_subscribe_in_order),
		TEST(more_than_can_be_deferred_is_counted_as_missed),
		TEST(unsubscribe_stops_deliveries),
		TEST(ids_are_used_again_only_after_a_rest),
		TEST(subscription_may_end_in_its_own_callback),
		TEST(callback_may_subscribe_and_what_comes_meanwhile_is_kept),
		TEST(messages_that_are_alike_come_at_once),
		TEST(a_message_with_other_sections_of_the_same_length_starts_anew),
		TEST(one_callback_or_the_other),
		TEST(subscription_may_end_in_its_callback_for_many),
		TEST(order_stays_when_a_callback_for_many_waits),
		TEST(order_stays_when_a_callback_waits_amid_messages_that_are_alike),
		TEST(refusal_of_the_bus_comes_with_its_text),
		TEST(malformed_patterns_and_groups_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
