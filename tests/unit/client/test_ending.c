/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions that end by themselves: after a number of messages, or drained. */
#include "tests/unit/client/fixture.h"

struct ended {
	unsigned count;
	bool free;
};

static void on_end(struct mr_client *c, struct mr_subscription *s, void *arg)
{
	struct ended *e = arg;

	assert_int_equal(mr_process(c, 1), -EDEADLK);
	assert_true(mr_subscription_ended(s));
	e->count++;
	if (e->free)
		assert_int_equal(mr_unsubscribe(s), 0);
}

static struct mr_subscription *subscribe(
	struct fixture *f, const char *pattern, mr_message_fn *callback, void *arg)
{
	struct mr_subscription *s;

	assert_int_equal(mr_subscribe(f->client, pattern, NULL, callback, arg, &s), 0);
	return s;
}

static void publish(struct fixture *f, const char *subject, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(mr_publish(f->client, subject, "x", 1), 0);
	/* The frames of earlier sessions cannot be told from those of this one. */
	assert_true(f->downs == 0 ? bus_took_all(f) : mr_drain(f->client, PATIENCE_MS) == 0);
}

static uint64_t unsubscribes(struct fixture *f)
{
	uint64_t count;

	bus_lock(&f->bus);
	count = f->bus.unsubscribes;
	bus_unlock(&f->bus);
	return count;
}

/* A message to itself: what was published before it has arrived, but for frames that were lost. */
static void let_all_arrive(struct fixture *f)
{
	struct inbox in = {0};
	struct mr_subscription *s = subscribe(f, "mark", keep_message, &in);

	assert_int_equal(mr_publish(f->client, "mark", "x", 1), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
	assert_int_equal(mr_unsubscribe(s), 0);
}

static void subscription_ends_after_its_number_exactly(void **state)
{
	struct fixture *f = *state;
	struct ended e = {0};
	struct inbox in = {0};
	struct mr_subscription *s = subscribe(f, "a", keep_message, &in);

	mr_subscription_on_end(s, on_end, &e);
	publish(f, "a", 2);
	PROCESS_UNTIL(f->client, in.count == 2);
	assert_int_equal(mr_unsubscribe_after(s, 5), 0);
	assert_false(mr_subscription_ended(s));
	publish(f, "a", 10);
	/* Without a bound: the end ends a wait. */
	while (e.count == 0)
		mr_wait(f->client, -1);
	let_all_arrive(f);
	assert_int_equal(in.count, 5);
	assert_int_equal(e.count, 1);
	assert_int_equal(mr_subscription_count(s), 5);
	PROCESS_UNTIL(f->client, unsubscribes(f) >= 2);
	assert_int_equal(mr_unsubscribe_after(s, 9), -ENOENT);
	assert_int_equal(mr_unsubscribe(s), 0);
	assert_int_equal(unsubscribes(f), 2);
}

static void number_that_is_reached_already_ends_at_once(void **state)
{
	struct fixture *f = *state;
	struct ended e = {.free = true};
	struct inbox in = {0};
	struct mr_subscription *s = subscribe(f, "a", keep_message, &in);

	publish(f, "a", 3);
	PROCESS_UNTIL(f->client, in.count == 3);
	mr_subscription_on_end(s, on_end, &e);
	assert_int_equal(mr_unsubscribe_after(s, 3), 0);
	assert_true(mr_subscription_ended(s));
	PROCESS_UNTIL(f->client, e.count == 1);
	publish(f, "a", 1);
	let_all_arrive(f);
	assert_int_equal(in.count, 3);
}

static void count_batch(struct mr_client *c, const struct mr_message *first, unsigned count,
	size_t stride, void *arg)
{
	(void)c;
	(void)first;
	(void)stride;
	*(unsigned *)arg += count;
}

static void batches_end_at_the_number(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;
	const struct mr_subscribe_options options = {.batch = count_batch};
	struct mr_subscription *s;

	assert_int_equal(mr_subscribe(f->client, "a", &options, NULL, &count, &s), 0);
	assert_int_equal(mr_unsubscribe_after(s, 7), 0);
	publish(f, "a", 20);
	PROCESS_UNTIL(f->client, mr_subscription_ended(s));
	let_all_arrive(f);
	assert_int_equal(count, 7);
}

static void pulled_messages_end_at_the_number(void **state)
{
	struct fixture *f = *state;
	struct mr_subscription *s = subscribe(f, "a", NULL, NULL);
	struct mr_message m;

	assert_int_equal(mr_unsubscribe_after(s, 3), 0);
	publish(f, "a", 5);
	/* Some of them are deferred. */
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
		assert_ptr_equal(m.subscription, s);
		assert_memory_equal(m.payload, "x", 1);
	}
	assert_int_equal(mr_receive(f->client, &m, 10), -ETIMEDOUT);
	assert_true(mr_subscription_ended(s));
}

static void ping_once(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)m;
	(void)arg;
	assert_int_equal(mr_ping(c, -1, NULL, NULL), 0);
}

static void deferred_messages_end_at_the_number(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_subscription *s = subscribe(f, "b", keep_message, &in);

	subscribe(f, "a", ping_once, NULL);
	assert_int_equal(mr_unsubscribe_after(s, 2), 0);
	mr_cork(f->client, true);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(mr_publish(f->client, "b", "x", 1), 0);
	mr_cork(f->client, false);
	assert_true(bus_took_all(f));
	PROCESS_UNTIL(f->client, mr_subscription_ended(s));
	let_all_arrive(f);
	assert_int_equal(in.count, 2);
}

static void number_holds_over_reconnections(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_subscription *s = subscribe(f, "a", keep_message, &in);

	assert_int_equal(mr_unsubscribe_after(s, 5), 0);
	publish(f, "a", 3);
	PROCESS_UNTIL(f->client, in.count == 3);
	for (unsigned i = 1; i <= 2; i++) {
		bus_kill(&f->bus, NULL);
		PROCESS_UNTIL(f->client, f->downs == i);
		bus_revive(&f->bus);
		PROCESS_UNTIL(f->client, f->ups == i);
		publish(f, "a", 10);
		PROCESS_UNTIL(f->client, in.count >= 5);
		let_all_arrive(f);
		assert_int_equal(in.count, 5);
	}
	assert_true(mr_subscription_ended(s));
}

static void unsubscribe_itself(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	++*(unsigned *)arg;
	assert_int_equal(mr_unsubscribe(m->subscription), 0);
}

static void callback_of_the_last_message_may_unsubscribe(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;
	struct mr_subscription *s = subscribe(f, "a", unsubscribe_itself, &count);

	assert_int_equal(mr_unsubscribe_after(s, 1), 0);
	publish(f, "a", 3);
	PROCESS_UNTIL(f->client, count == 1);
	let_all_arrive(f);
	assert_int_equal(count, 1);
}

static void drained_subscription_hands_out_the_rest_and_ends(void **state)
{
	struct fixture *f = *state;
	struct ended e = {0};
	struct inbox in = {0};
	struct mr_subscription *s = subscribe(f, "a", keep_message, &in);

	mr_subscription_on_end(s, on_end, &e);
	publish(f, "a", 10);
	assert_int_equal(mr_subscription_drain(s), 0);
	assert_int_equal(mr_subscription_drain(s), 0);
	assert_false(mr_subscription_ended(s));
	while (e.count == 0)
		mr_wait(f->client, -1);
	assert_int_equal(in.count, 10);
	assert_int_equal(unsubscribes(f), 1);
	publish(f, "a", 1);
	let_all_arrive(f);
	assert_int_equal(in.count, 10);
	assert_int_equal(e.count, 1);
	assert_int_equal(mr_unsubscribe(s), 0);
}

static void drained_messages_are_received(void **state)
{
	struct fixture *f = *state;
	struct ended e = {0};
	struct mr_subscription *s = subscribe(f, "a", NULL, NULL);
	struct mr_message m;

	mr_subscription_on_end(s, on_end, &e);
	publish(f, "a", 4);
	assert_int_equal(mr_subscription_drain(s), 0);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(e.count, 0);
		assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
	}
	PROCESS_UNTIL(f->client, e.count == 1);
}

static void lost_connection_ends_a_drain(void **state)
{
	struct fixture *f = *state;
	struct ended e = {0}, away = {0};
	struct inbox in = {0};
	struct mr_subscription *s = subscribe(f, "a", keep_message, &in);
	struct mr_subscription *t = subscribe(f, "a", keep_message, &in);

	mr_subscription_on_end(s, on_end, &e);
	mr_subscription_on_end(t, on_end, &away);
	bus_lock(&f->bus);
	f->bus.ignore_control = 1000;
	bus_unlock(&f->bus);
	assert_int_equal(mr_subscription_drain(s), 0);
	mr_wait(f->client, 20);
	assert_int_equal(e.count, 0);
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	assert_int_equal(mr_subscription_drain(t), 0);
	PROCESS_UNTIL(f->client, e.count == 1 && away.count == 1);
	bus_lock(&f->bus);
	f->bus.ignore_control = 0;
	bus_unlock(&f->bus);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	publish(f, "a", 1);
	let_all_arrive(f);
	assert_int_equal(in.count, 0);
}

static void draining_subscription_may_be_unsubscribed(void **state)
{
	struct fixture *f = *state;
	struct ended e = {0};
	struct inbox in = {0};
	struct mr_subscription *s = subscribe(f, "a", keep_message, &in);

	mr_subscription_on_end(s, on_end, &e);
	assert_int_equal(mr_subscription_drain(s), 0);
	mr_process(f->client, 1);
	assert_int_equal(mr_unsubscribe(s), 0);
	let_all_arrive(f);
	assert_int_equal(e.count, 0);
	assert_int_equal(mr_subscription_drain(NULL), -EINVAL);
	assert_int_equal(mr_unsubscribe_after(NULL, 1), -EINVAL);
	assert_true(mr_subscription_ended(NULL));
}

static void client_drain_ends_all_subscriptions(void **state)
{
	struct fixture *f = *state;
	struct ended e = {0};
	struct inbox in = {0};

	for (unsigned i = 0; i < 100; i++)
		mr_subscription_on_end(subscribe(f, "a", keep_message, &in), on_end, &e);
	publish(f, "a", 3);
	assert_int_equal(mr_publish(f->client, "b", "x", 1), 0);
	assert_int_equal(mr_client_drain(f->client, PATIENCE_MS), 0);
	assert_int_equal(e.count, 100);
	assert_int_equal(in.count, 300);
	publish(f, "a", 1);
	let_all_arrive(f);
	assert_int_equal(in.count, 300);
	/* There is nothing left to do. */
	assert_int_equal(mr_client_drain(f->client, PATIENCE_MS), 0);
	assert_int_equal(mr_client_drain(NULL, 1), -EINVAL);
}

static void client_drain_leaves_messages_to_receive(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_message m;

	subscribe(f, "a", NULL, NULL);
	subscribe(f, "b", keep_message, &in);
	publish(f, "a", 2);
	publish(f, "b", 2);
	assert_int_equal(mr_client_drain(f->client, PATIENCE_MS), 0);
	assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
	assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
	assert_int_equal(mr_receive(f->client, &m, 10), -ETIMEDOUT);
	assert_int_equal(in.count, 2);
}

static void client_drain_ends_after_its_time(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};

	subscribe(f, "a", keep_message, &in);
	bus_lock(&f->bus);
	f->bus.ignore_control = 1000;
	bus_unlock(&f->bus);
	assert_int_equal(mr_client_drain(f->client, 20), -ETIMEDOUT);
	bus_lock(&f->bus);
	f->bus.ignore_control = 0;
	bus_unlock(&f->bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(subscription_ends_after_its_number_exactly),
		TEST(number_that_is_reached_already_ends_at_once),
		TEST(batches_end_at_the_number),
		TEST(pulled_messages_end_at_the_number),
		TEST(deferred_messages_end_at_the_number),
		TEST(number_holds_over_reconnections),
		TEST(callback_of_the_last_message_may_unsubscribe),
		TEST(drained_subscription_hands_out_the_rest_and_ends),
		TEST(drained_messages_are_received),
		TEST(lost_connection_ends_a_drain),
		TEST(draining_subscription_may_be_unsubscribed),
		TEST(client_drain_ends_all_subscriptions),
		TEST(client_drain_leaves_messages_to_receive),
		TEST(client_drain_ends_after_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
