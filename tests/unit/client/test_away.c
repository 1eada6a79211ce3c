/* SPDX-License-Identifier: Apache-2.0 */
/* A client that only publishes, while the bus disappears and comes back. */
#include "tests/unit/client/fixture.h"

static struct mr_client_stats stats_of(struct mr_client *c)
{
	struct mr_client_stats stats;

	mr_client_stats(c, &stats);
	return stats;
}

static uint64_t published(struct fixture *f)
{
	uint64_t n;

	bus_lock(&f->bus);
	n = f->bus.published;
	bus_unlock(&f->bus);
	return n;
}

static void wait_published(struct fixture *f, uint64_t n)
{
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;

	while (published(f) < n)
		assert_true(now_ms() < give_up_ms);
	assert_int_equal(published(f), n);
}

static void restart(struct fixture *f)
{
	bus_kill(&f->bus, "the bus is shutting down");
	bus_revive(&f->bus);
}

static struct mr_client *client_with(struct fixture *f, enum mr_when_away when, size_t bytes)
{
	struct mr_options options = fixture_options(f);
	struct mr_client *c;

	options.when_away = when;
	options.away_bytes_max = bytes;
	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	return c;
}

static void client_that_only_publishes_notices_and_reconnects(void **state)
{
	struct fixture *f = *state;

	restart(f);
	assert_false(mr_connected(f->client));
	for (unsigned i = 0; i < 600; i++)
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	wait_published(f, 600);
	assert_int_equal(f->downs, 1);
	assert_string_equal(f->why, "the bus is shutting down");
	assert_int_equal(f->ups, 1);
	assert_int_equal(stats_of(f->client).kept, 0);
	assert_int_equal(stats_of(f->client).lost, 0);
}

static void a_publisher_handle_does_the_same(void **state)
{
	const struct mr_buffer two[] = {{"y", 1}, {"z", 1}};
	struct fixture *f = *state;
	struct mr_publisher *p;

	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	restart(f);
	assert_int_equal(mr_publisher_send(p, "x", 1), 0);
	assert_int_equal(mr_publisher_send_batch(p, two, 2), 2);
	assert_int_equal(mr_publisher_send_with(p, NULL, 0, "x", 1), 0);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	assert_int_equal(mr_publisher_send(p, "x", 1), 0);
	wait_published(f, 5);
}

/* Nothing is closed and no message sent: the kernel writes one word. */
static void death_of_the_worker_is_seen_by_the_next_publish(void **state)
{
	struct fixture *f = *state;

	bus_lock(&f->bus);
	atomic_store(&f->bus.page->owner, MR_WORKER_PAGE_GONE);
	f->bus.refuse_attach = -EBUSY;
	bus_unlock(&f->bus);
	assert_false(mr_connected(f->client));
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	assert_int_equal(f->downs, 1);
	assert_int_equal(published(f), 0);
	bus_lock(&f->bus);
	atomic_store(&f->bus.page->owner, 0);
	f->bus.refuse_attach = 0;
	bus_unlock(&f->bus);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	wait_published(f, 1);
}

static void kept_publishes_go_out_in_their_order_before_all_others(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	bus_kill(&f->bus, NULL);
	for (char c = '0'; c < '9'; c++)
		assert_int_equal(mr_publish(f->client, "a", &c, 1), 0);
	bus_revive(&f->bus);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	assert_int_equal(mr_publish(f->client, "a", "9", 1), 0);
	for (unsigned i = 0; i < 10; i++) {
		char expected[2] = {(char)('0' + i), '\0'};

		while (in.count == i)
			mr_process(f->client, 1);
		assert_string_equal(in.last, expected);
	}
}

static void call_without_room_fails(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = client_with(f, MR_AWAY_KEEP, 1000);
	char payload[300] = {0};
	int error = 0;
	unsigned kept;

	bus_kill(&f->bus, NULL);
	for (kept = 0; error == 0; kept += error == 0)
		error = mr_publish(c, "a", payload, sizeof(payload));
	assert_int_equal(error, -ENOTCONN);
	assert_int_equal(kept, stats_of(c).kept);
	assert_in_range(kept, 1, 3);
	assert_int_equal(stats_of(c).lost, 0);
	mr_close(c);
}

static void the_oldest_makes_room_where_that_is_wanted(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = client_with(f, MR_AWAY_DROP_OLDEST, 1000);
	char payload[300] = {0};

	bus_kill(&f->bus, NULL);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(mr_publish(c, "a", payload, sizeof(payload)), 0);
	assert_int_equal(stats_of(c).lost + stats_of(c).kept, 10);
	assert_in_range(stats_of(c).kept, 1, 3);
	/* One that never had room. */
	assert_int_equal(mr_publish(c, "a", payload, 0), 0);
	f->downs = f->ups = 0;
	bus_revive(&f->bus);
	assert_int_equal(mr_drain(c, PATIENCE_MS), 0);
	assert_int_equal(f->ups, 1);
	assert_non_null(strstr(mr_error(c), "publishes were lost"));
	mr_close(c);
}

static void nothing_is_kept_where_that_is_wanted(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = client_with(f, MR_AWAY_FAIL, 0);

	bus_kill(&f->bus, NULL);
	assert_int_equal(mr_publish(c, "a", "x", 1), -ENOTCONN);
	bus_revive(&f->bus);
	/* Calls alone make it reconnect. */
	for (uint64_t give_up_ms = now_ms() + PATIENCE_MS; mr_publish(c, "a", "x", 1) != 0;)
		assert_true(now_ms() < give_up_ms);
	wait_published(f, 1);
	mr_close(c);
}

static void stall(struct fixture *f, bool on)
{
	bus_lock(&f->bus);
	f->bus.stalled = on;
	bus_unlock(&f->bus);
}

/* Makes a client of a bus that is back and reads nothing, with more messages kept than its ring
 * holds. */
static struct mr_client *client_of_a_deaf_bus(struct fixture *f, unsigned count)
{
	struct mr_options options = fixture_options(f);
	char payload[1000] = {0};
	struct mr_client *c;

	options.request_timeout_ms = 50;
	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	bus_kill(&f->bus, NULL);
	stall(f, true);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(mr_publish(c, "a", payload, sizeof(payload)), 0);
	f->downs = f->ups = 0;
	bus_revive(&f->bus);
	for (uint64_t give_up_ms = now_ms() + PATIENCE_MS; f->ups == 0;) {
		assert_true(now_ms() < give_up_ms);
		mr_process(c, 1);
	}
	return c;
}

/* Each of them would wait for 50 ms, and be lost. */
static void messages_that_a_bus_does_not_read_are_kept(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = client_of_a_deaf_bus(f, 900);
	uint64_t give_up_ms, begun_ms = now_ms();
	struct mr_publisher *p;
	int error;

	assert_true(mr_connected(c));
	assert_in_range(stats_of(c).kept, 100, 899);
	assert_int_equal(mr_publish(c, "a", "x", 1), -ETIMEDOUT);
	assert_int_equal(mr_drain(c, 50), -ETIMEDOUT);
	assert_int_equal(stats_of(c).lost, 0);
	assert_true(now_ms() - begun_ms < stats_of(c).kept * 50);
	stall(f, false);
	give_up_ms = now_ms() + PATIENCE_MS;
	while ((error = mr_publisher_open(c, "a", &p)) == -ETIMEDOUT)
		assert_true(now_ms() < give_up_ms);
	assert_int_equal(error, 0);
	assert_int_equal(mr_drain(c, PATIENCE_MS), 0);
	assert_int_equal(stats_of(c).kept, 0);
	assert_int_equal(stats_of(c).lost, 0);
	wait_published(f, 900);
	mr_close(c);
}

static void nothing_overtakes_unacknowledged_messages(void **state)
{
	const struct mr_buffer two[] = {{"y", 1}, {"z", 1}};
	struct fixture *f = *state;
	struct mr_client *c = client_with(f, MR_AWAY_KEEP, 8 << 20);
	struct mr_publisher *p;
	char payload[1000] = {0};
	void *at;
	int rc;

	assert_int_equal(mr_publisher_open(c, "a", &p), 0);
	bus_kill(&f->bus, NULL);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(mr_publish(c, "a", payload, sizeof(payload)), 0);
	bus_revive(&f->bus);
	while (!mr_connected(c))
		mr_process(c, 1);
	while ((rc = mr_publisher_send_batch(p, two, 2)) == 0)
		continue;
	assert_int_equal(stats_of(c).kept, 0);
	assert_in_range(rc, 1, 2);
	while ((rc = mr_publisher_claim(p, 1, &at)) == -EAGAIN)
		mr_flush(c);
	assert_int_equal(rc, 0);
	mr_publisher_abort(p);
	assert_int_equal(mr_drain(c, PATIENCE_MS), 0);
	assert_int_equal(stats_of(c).lost, 0);
	mr_close(c);
}

struct reviver {
	struct fixture *f;
	pthread_t thread;
};

static void *revive_later(void *arg)
{
	struct reviver *r = arg;
	uint64_t at_ms = now_ms() + 300;

	while (now_ms() < at_ms)
		continue;
	bus_revive(&r->f->bus);
	return NULL;
}

static void client_with_wait_waits_for_the_bus(void **state)
{
	struct fixture *f = *state;
	struct mr_options options = fixture_options(f);
	struct reviver r = {.f = f};
	struct mr_client *c;

	options.when_away = MR_AWAY_WAIT;
	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	bus_kill(&f->bus, NULL);
	assert_int_equal(pthread_create(&r.thread, NULL, revive_later, &r), 0);
	assert_int_equal(mr_publish(c, "a", "x", 1), 0);
	assert_true(mr_connected(c));
	assert_int_equal(stats_of(c).kept, 0);
	pthread_join(r.thread, NULL);
	wait_published(f, 1);
	mr_close(c);
}

static void messages_that_the_bus_had_not_taken_count_as_lost(void **state)
{
	struct fixture *f = *state;

	bus_lock(&f->bus);
	f->bus.stalled = true;
	bus_unlock(&f->bus);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	assert_int_equal(stats_of(f->client).lost, 3);
}

static void client_that_only_requests_reconnects_too(void **state)
{
	struct fixture *f = *state;
	struct mr_message m;

	restart(f);
	assert_int_equal(mr_request(f->client, "nobody", "x", 1, -1, &m), -EHOSTUNREACH);
	restart(f);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	restart(f);
	assert_int_equal(mr_subscribe(f->client, "b", NULL, NULL, NULL, NULL), 0);
	assert_int_equal(f->ups, 3);
}

static void answer(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)arg;
	assert_int_equal(mr_reply(c, m->reply_token, "y", 1), 0);
}

/* The next request releases the reply that was handed out last. */
static void client_that_got_a_reply_reconnects_too(void **state)
{
	struct fixture *f = *state;
	struct mr_message m;

	assert_int_equal(mr_subscribe(f->client, "echo", NULL, answer, NULL, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(mr_request(f->client, "echo", "x", 1, -1, &m), 0);
		assert_memory_equal(m.payload, "y", 1);
		restart(f);
	}
	assert_int_equal(mr_request(f->client, "echo", "x", 1, -1, &m), 0);
	assert_int_equal(f->ups, 3);
}

static struct mr_publisher *closed_when_lost;

static void close_publisher(struct mr_client *c, bool connected, int error, void *arg)
{
	(void)c;
	(void)error;
	(void)arg;
	if (!connected && closed_when_lost != NULL)
		mr_publisher_close(closed_when_lost);
	closed_when_lost = connected ? closed_when_lost : NULL;
}

/* For the sanitizers: the publish that notices the loss goes on after it. */
static void a_publisher_may_be_closed_by_its_own_publish(void **state)
{
	struct fixture *f = *state;
	struct mr_options options = fixture_options(f);
	struct mr_publisher *p;
	struct mr_client *c;

	options.on_state = close_publisher;
	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	assert_int_equal(mr_publisher_open(c, "a", &p), 0);
	closed_when_lost = p;
	restart(f);
	assert_int_equal(mr_publisher_send(p, "x", 1), 0);
	assert_null(closed_when_lost);
	assert_int_equal(mr_drain(c, PATIENCE_MS), 0);
	wait_published(f, 1);
	mr_close(c);
}

static void a_message_that_was_received_stays_readable(void **state)
{
	struct fixture *f = *state;
	struct mr_message m;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, NULL, NULL, NULL), 0);
	assert_int_equal(mr_publish(f->client, "a", "held", 4), 0);
	assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
	restart(f);
	assert_int_equal(mr_publish(f->client, "a", m.payload, m.payload_bytes), 0);
	assert_memory_equal(m.payload, "held", 4);
	PROCESS_UNTIL(f->client, f->ups == 1);
	assert_int_equal(mr_receive(f->client, &m, PATIENCE_MS), 0);
	assert_memory_equal(m.payload, "held", 4);
}

static void close_waits_for_unacknowledged_messages(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = client_with(f, MR_AWAY_KEEP, 0);

	restart(f);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(mr_publish(c, "a", "x", 1), 0);
	mr_close(c);
	wait_published(f, 100);
}

static void publish_in_a_callback_is_kept(
	struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct fixture *f = arg;

	(void)m;
	restart(f);
	assert_int_equal(mr_publish(c, "b", "x", 1), 0);
	assert_int_equal(f->downs, 0);
}

static void callbacks_may_publish_meanwhile(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		mr_subscribe(f->client, "a", NULL, publish_in_a_callback_is_kept, f, NULL), 0);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	PROCESS_UNTIL(f->client, f->ups == 1);
	wait_published(f, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(client_that_only_publishes_notices_and_reconnects),
		TEST(a_publisher_handle_does_the_same),
		TEST(death_of_the_worker_is_seen_by_the_next_publish),
		TEST(kept_publishes_go_out_in_their_order_before_all_others),
		TEST(call_without_room_fails),
		TEST(the_oldest_makes_room_where_that_is_wanted),
		TEST(nothing_is_kept_where_that_is_wanted),
		TEST(messages_that_a_bus_does_not_read_are_kept),
		TEST(nothing_overtakes_unacknowledged_messages),
		TEST(client_with_wait_waits_for_the_bus),
		TEST(messages_that_the_bus_had_not_taken_count_as_lost),
		TEST(client_that_only_requests_reconnects_too),
		TEST(client_that_got_a_reply_reconnects_too),
		TEST(a_publisher_may_be_closed_by_its_own_publish),
		TEST(a_message_that_was_received_stays_readable),
		TEST(close_waits_for_unacknowledged_messages),
		TEST(callbacks_may_publish_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
