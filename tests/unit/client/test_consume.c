/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers: pull and callbacks, settlements, credit, reconnections. */
#include "tests/unit/client/fixture_queue.h"

static void deliveries_are_acked_in_batches_when_the_callback_returns(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 64};
	struct mr_consumer *k;
	struct work w = {0};

	fill(f, 1000);
	assert_int_equal(mr_consume(f->client, "jobs", &options, on_delivery, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 1000);
	assert_string_equal(w.last, "999");
	SETTLED(f, acked, 1000);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.bad_tags, 0);
	/* One message acknowledges at most half of the prefetch. */
	assert_true(f->bus.queues.settlements <= 1000 / 2);
	assert_int_equal(fake_queue_depth(&f->bus, "jobs"), 0);
	bus_unlock(&f->bus);
	assert_int_equal(mr_consumer_close(k), 0);
}

static void delivery_nacked_in_its_callback_is_not_acked(void **state)
{
	struct fixture *f = *state;
	struct work w = {.nack_first = 3};
	struct mr_consumer *k;

	fill(f, 10);
	assert_int_equal(mr_consume(f->client, "jobs", NULL, on_delivery, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 13);
	SETTLED(f, acked, 10);
	assert_int_equal(w.redelivered, 3);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.requeued, 3);
	assert_int_equal(f->bus.queues.bad_tags, 0);
	bus_unlock(&f->bus);
}

static void rejected_deliveries_do_not_come_again(void **state)
{
	struct fixture *f = *state;
	struct work w = {.nack_first = 10, .reject = true};
	struct mr_consumer *k;

	fill(f, 10);
	assert_int_equal(mr_consume(f->client, "jobs", NULL, on_delivery, &w, &k), 0);
	SETTLED(f, rejected, 10);
	assert_int_equal(w.count, 10);
}

static void redelivery_is_reported_with_handed(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 4, .manual = true};
	struct mr_consumer *k;
	struct mr_delivery d;
	uint64_t before;

	fill(f, 4);
	assert_int_equal(mr_consume(f->client, "jobs", &options, NULL, NULL, &k), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
		assert_int_equal(mr_nack(k, d.tag, true, 0), 0);
		assert_int_equal(mr_flush(f->client), 0);
	}
	SETTLED(f, requeued, 4);
	bus_lock(&f->bus);
	before = f->bus.queues.handed;
	bus_unlock(&f->bus);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
		assert_int_equal(d.redelivered, 1);
	}
	SETTLED(f, handed, before + 4);
}

static void closed_client_gives_back_its_deliveries(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 4, .manual = true};
	struct mr_consumer *k;
	struct mr_delivery d;
	uint64_t give_up_ms = now_ms() + PATIENCE_MS, left = 0;

	fill(f, 4);
	assert_int_equal(mr_consume(f->client, "jobs", &options, NULL, NULL, &k), 0);
	assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
	mr_close(f->client);
	f->client = NULL;
	while (left == 0 && now_ms() < give_up_ms) {
		bus_lock(&f->bus);
		left = f->bus.queues.left;
		bus_unlock(&f->bus);
	}
	assert_int_equal(left, 1);
}

static void manual_deliveries_are_settled_later_and_once(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 4, .manual = true};
	struct mr_consumer *k;
	struct work w = {0};

	fill(f, 8);
	assert_int_equal(mr_consume(f->client, "jobs", &options, on_delivery, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 4);
	assert_int_equal(mr_ack(k, w.tags[2]), 0);
	assert_int_equal(mr_ack(k, w.tags[2]), -ENOENT);
	assert_int_equal(mr_ack(k, 12345), -ENOENT);
	assert_int_equal(mr_ack(k, 0), -ENOENT);
	assert_int_equal(mr_ack(k, UINT64_MAX), -ENOENT);
	assert_int_equal(mr_nack(k, w.tags[0], true, 5), 0);
	PROCESS_UNTIL(f->client, w.count == 6);
	assert_int_equal(w.redelivered, 1);
	SETTLED(f, acked, 1);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.requeued, 1);
	assert_int_equal(f->bus.queues.bad_tags, 0);
	bus_unlock(&f->bus);
}

static void nack_with_an_error_says_it_to_a_bus_that_knows_it(void **state)
{
	struct fixture *f = *state;
	char text[600], longest[600] = "NATS/1.0\r\nMillrace-Error: ";
	struct mr_consumer *k;
	struct work w = {0};
	struct mr_consume_options options = {.prefetch = 4, .manual = true};

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memset(longest + strlen(longest), 'x', 260);
	strcat(longest, "\r\n\r\n");
	fill(f, 4);
	assert_int_equal(mr_consume(f->client, "jobs", &options, on_delivery, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 4);
	assert_int_equal(mr_ack(k, w.tags[0]), 0);
	assert_int_equal(mr_nack_error(k, w.tags[1], true, 50, "no\r\nhost"), 0);
	assert_int_equal(mr_nack_error(k, w.tags[1], true, 50, "again"), -ENOENT);
	SETTLED(f, requeued, 1);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.acked, 1); /* in order */
	assert_string_equal(f->bus.queues.error, "NATS/1.0\r\nMillrace-Error: no  host\r\n\r\n");
	assert_int_equal(f->bus.queues.settlement.delay_ms, 50);
	bus_unlock(&f->bus);
	assert_int_equal(mr_nack_error(k, w.tags[2], false, 0, text), 0);
	SETTLED(f, rejected, 1);
	bus_lock(&f->bus);
	assert_string_equal(f->bus.queues.error, longest);
	assert_int_equal(f->bus.queues.bad_tags, 0);
	bus_unlock(&f->bus);
	assert_int_equal(mr_nack_error(NULL, 1, true, 0, "x"), -EINVAL);
}

static void nack_with_an_error_is_a_nack_to_an_older_bus(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 4, .manual = true};
	struct mr_consumer *k;
	struct work w = {0};

	bus_lock(&f->bus);
	f->bus.queues.older = true;
	bus_unlock(&f->bus);
	fill(f, 1);
	assert_int_equal(mr_consume(f->client, "jobs", &options, on_delivery, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 1);
	assert_int_equal(mr_nack_error(k, w.tags[0], false, 0, "no host"), 0);
	SETTLED(f, rejected, 1);
	bus_lock(&f->bus);
	assert_string_equal(f->bus.queues.error, "");
	bus_unlock(&f->bus);
}

static void retry_delay_is_marked_as_one_for_queues_without_a_back_off(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 4, .manual = true};
	struct mr_consumer *k;
	struct work w = {0};

	fill(f, 2);
	assert_int_equal(mr_consume(f->client, "jobs", &options, on_delivery, &w, &k), 0);
	mr_consumer_retry_delay(k, 30);
	PROCESS_UNTIL(f->client, w.count == 2);
	assert_int_equal(mr_nack(k, w.tags[0], true, 0), 0);
	SETTLED(f, requeued, 1);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.settlement.delay_ms, 30);
	assert_int_equal(f->bus.queues.settlement.fallback, 1);
	bus_unlock(&f->bus);
	assert_int_equal(mr_nack(k, w.tags[1], true, 7), 0);
	SETTLED(f, requeued, 2);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.settlement.delay_ms, 7);
	assert_int_equal(f->bus.queues.settlement.fallback, 0);
	bus_unlock(&f->bus);
}

static void pulling_gets_one_at_a_time_and_acks_the_one_before(void **state)
{
	struct fixture *f = *state;
	struct mr_delivery d;
	struct mr_consumer *k;
	char text[16];

	fill(f, 100);
	assert_int_equal(mr_consume(f->client, "jobs", NULL, NULL, NULL, &k), 0);
	for (unsigned i = 0; i < 100; i++) {
		int bytes = snprintf(text, sizeof(text), "%u", i);

		assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
		assert_int_equal(d.message.payload_bytes, bytes);
		assert_memory_equal(d.message.payload, text, (size_t)bytes);
	}
	assert_int_equal(mr_pull(k, &d, 1), -ETIMEDOUT);
	SETTLED(f, acked, 100);
	assert_int_equal(mr_consumer_close(k), 0);
}

/* Calls that wait for something else receive deliveries meanwhile. */
static void pulled_deliveries_that_came_in_other_calls_are_kept_in_order(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 20};
	struct mr_consumer *k, *other;
	struct mr_delivery d;
	char text[16];

	fill(f, 20);
	assert_int_equal(mr_consume(f->client, "jobs", &options, NULL, NULL, &k), 0);
	assert_int_equal(mr_consume(f->client, "none", &options, NULL, NULL, &other), 0);
	for (unsigned i = 0; i < 20; i++) {
		int bytes = snprintf(text, sizeof(text), "%u", i);

		if (i % 3 == 0)
			assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
		if (i % 5 == 0)
			assert_int_equal(mr_pull(other, &d, 1), -ETIMEDOUT);
		assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
		assert_memory_equal(d.message.payload, text, (size_t)bytes);
	}
	assert_int_equal(mr_nack(k, d.tag, true, 0), 0);
	assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
	assert_int_equal(d.redelivered, 1);
}

/* True while the one message is delivered and not settled. */
static bool k_waits(struct fixture *f)
{
	bool waits = false;

	bus_lock(&f->bus);
	for (uint32_t i = 0; i < FAKE_MESSAGES_MAX && !waits; i++)
		waits = f->bus.queues.queues[0].messages[i].record != NULL &&
			f->bus.queues.queues[0].messages[i].holder != 0 &&
			f->bus.queues.queues[0].messages[i].redelivered == 2;
	bus_unlock(&f->bus);
	return waits;
}

/* A nack is an attempt; a delivery returned by closing its consumer is none. */
static void attempts_are_distinguished_from_other_deliveries(void **state)
{
	struct fixture *f = *state;

	for (unsigned manual = 0; manual < 2; manual++) {
		struct mr_consume_options options = {.manual = manual == 1};
		struct mr_consumer *k;
		struct mr_delivery d;

		fill(f, 1);
		assert_int_equal(mr_consume(f->client, "jobs", &options, NULL, NULL, &k), 0);
		assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
		assert_int_equal(mr_delivery_attempts(&d), 0);
		assert_int_equal(mr_nack(k, d.tag, true, 0), 0);
		assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
		assert_int_equal(d.redelivered, 1);
		assert_int_equal(mr_delivery_attempts(&d), 1);
		assert_int_equal(mr_nack(k, d.tag, true, 0), 0);
		PROCESS_UNTIL(f->client, k_waits(f));
		assert_int_equal(mr_consumer_close(k), 0);
		assert_int_equal(mr_consume(f->client, "jobs", &options, NULL, NULL, &k), 0);
		assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
		assert_int_equal(d.redelivered, 3);
		assert_int_equal(mr_delivery_attempts(&d), 2);
		assert_int_equal(mr_ack(k, d.tag), 0);
		assert_int_equal(mr_consumer_close(k), 0);
	}
}

static void priority_and_redelivery_are_delivered(void **state)
{
	struct fixture *f = *state;
	struct mr_push push = {.payload = "x", .bytes = 1, .priority = MR_PRIORITY_HIGH};
	struct mr_push_options exactly = {.promise = MR_EXACTLY_ONCE, .publisher = "p"};
	struct mr_delivery d;
	struct mr_consumer *k;
	struct mr_queue *q;
	uint64_t id;

	assert_int_equal(mr_queue_open(f->client, "jobs", &exactly, &q), 0);
	assert_int_equal(mr_push_with(q, &push, &id), 0);
	assert_int_equal(mr_consume(f->client, "jobs", NULL, NULL, NULL, &k), 0);
	assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
	assert_int_equal(d.priority, MR_PRIORITY_HIGH);
	assert_int_equal(d.id, id);
	assert_true(d.publisher != 0);
	assert_int_equal(d.redelivered, 0);
	bus_lock(&f->bus);
	f->bus.odd_priority = 200;
	bus_unlock(&f->bus);
	assert_int_equal(mr_push_with(q, &push, &id), 0);
	assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
	assert_int_equal(d.priority, MR_PRIORITY_NORMAL);
	assert_int_equal(mr_delivery_priority(&d), 4);
	push.priority = (enum mr_priority)7;
	assert_int_equal(mr_push_with(q, &push, &id), -EINVAL);
}

static void levels_without_a_name_are_delivered(void **state)
{
	static const struct {
		uint8_t wire;
		enum mr_priority side;
		unsigned level;
	} all[] = {{16, MR_PRIORITY_LOW, 0}, {19, MR_PRIORITY_LOW, 3}, {21, MR_PRIORITY_HIGH, 5},
		{25, MR_PRIORITY_HIGH, 9}, {1, MR_PRIORITY_HIGH, 7}, {2, MR_PRIORITY_LOW, 1},
		{26, MR_PRIORITY_NORMAL, 4}};
	struct fixture *f = *state;
	struct mr_consumer *k;
	struct mr_delivery d;
	struct mr_queue *q;

	assert_int_equal(mr_queue_open(f->client, "jobs", NULL, &q), 0);
	assert_int_equal(mr_consume(f->client, "jobs", NULL, NULL, NULL, &k), 0);
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bus_lock(&f->bus);
		f->bus.odd_priority = all[i].wire;
		bus_unlock(&f->bus);
		assert_int_equal(mr_push(q, "x", 1), 0);
		assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
		assert_int_equal(d.priority, all[i].side);
		assert_int_equal(mr_delivery_priority(&d), all[i].level);
	}
	assert_int_equal(mr_delivery_priority(NULL), 4);
}

static void after_reconnection_consumers_go_on_and_old_tags_are_unknown(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 4, .manual = true};
	struct mr_consumer *k;
	struct work w = {0};
	uint64_t old;

	fill(f, 4);
	assert_int_equal(mr_consume(f->client, "jobs", &options, on_delivery, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 4);
	old = w.tags[0];
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	assert_int_equal(mr_ack(k, old), -ENOENT);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	PROCESS_UNTIL(f->client, w.count == 8);
	assert_int_equal(w.redelivered, 4);
	assert_int_equal(mr_ack(k, old), -ENOENT);
	for (unsigned i = 4; i < 8; i++)
		assert_int_equal(mr_ack(k, w.tags[i]), 0);
	SETTLED(f, acked, 4);
}

static void a_consumer_that_the_bus_ended_comes_back(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 2, .manual = true};
	struct mr_consumer *k;
	struct work w = {0};

	fill(f, 2);
	assert_int_equal(mr_consume(f->client, "jobs", &options, on_delivery, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 2);
	bus_lock(&f->bus);
	fake_queue_disconnect(&f->bus, "jobs");
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, w.count == 4);
	assert_int_equal(mr_ack(k, w.tags[0]), -ENOENT);
	assert_int_equal(mr_ack(k, w.tags[2]), 0);
	assert_int_equal(mr_ack(k, w.tags[3]), 0);
	SETTLED(f, acked, 2);
}

static void close_within_the_callback(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	struct work *w = arg;

	(void)c;
	w->count++;
	assert_int_equal(mr_consumer_close(d->consumer), 0);
}

static void a_consumer_may_be_closed_in_its_callback(void **state)
{
	struct fixture *f = *state;
	struct mr_consumer *k;
	struct work w = {0}, rest = {0};

	fill(f, 10);
	assert_int_equal(mr_consume(f->client, "jobs", NULL, close_within_the_callback, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 1);
	assert_int_equal(mr_consume(f->client, "jobs", NULL, on_delivery, &rest, &k), 0);
	PROCESS_UNTIL(f->client, rest.count == 10);
	assert_int_equal(w.count, 1);
}

static void let_go(struct fixture *f, bool go)
{
	bus_lock(&f->bus);
	f->bus.stalled = !go;
	f->bus.udp.hold_reliable = !go;
	bus_unlock(&f->bus);
}

static void count_one(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	(void)c;
	(void)d;
	++*(unsigned *)arg;
}

/* Makes a client whose `count` deliveries have arrived, and which has no room to send. */
static struct mr_client *stuck(struct fixture *f, unsigned count, struct mr_options options,
	unsigned *handed_out, struct mr_consumer **k)
{
	const struct mr_consume_options how = {.prefetch = 200};
	const struct mr_publisher_options promised = {.promise = MR_AT_LEAST_ONCE};
	static const char thousand[1000];
	struct mr_publisher *p;
	struct mr_client *c;
	uint64_t out = 0;

	fill(f, count);
	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	assert_int_equal(mr_publisher_open_with(c, "a", &promised, &p), 0);
	assert_int_equal(mr_consume(c, "jobs", &how, count_one, handed_out, k), 0);
	for (uint64_t until = now_ms() + PATIENCE_MS; out < count;) {
		assert_true(now_ms() < until);
		bus_lock(&f->bus);
		out = f->bus.queues.queues[0].serial;
		bus_unlock(&f->bus);
	}
	let_go(f, false);
	while (mr_publisher_send(p, thousand, sizeof(thousand)) == 0)
		continue;
	while (mr_publisher_send(p, NULL, 0) == 0)
		continue;
	return c;
}

static void acks_that_find_no_room_wait_in_one_row(void **state)
{
	const struct mr_options options = {.request_timeout_ms = PATIENCE_MS};
	struct fixture *f = *state;
	struct mr_consumer *k;
	unsigned count = 0;
	struct mr_client *c = stuck(f, 150, options, &count, &k);
	uint64_t settlements, until = now_ms() + PATIENCE_MS;

	while (count < 150) {
		assert_true(now_ms() < until);
		assert_true(mr_process(c, 1) >= 0);
	}
	let_go(f, true);
	for (uint64_t acked = 0; acked < 150;) {
		assert_true(now_ms() < until);
		assert_true(mr_wait(c, 1) >= 0);
		bus_lock(&f->bus);
		acked = f->bus.queues.acked;
		settlements = f->bus.queues.settlements;
		bus_unlock(&f->bus);
	}
	assert_true(settlements < 150);
	mr_close(c);
}

static void a_consumer_that_can_say_nothing_may_be_closed(void **state)
{
	const struct mr_options options = {.request_timeout_ms = 1000};
	struct fixture *f = *state;
	struct mr_consumer *k;
	unsigned count = 0;
	struct mr_client *c = stuck(f, 20, options, &count, &k);

	assert_int_equal(mr_consumer_close(k), -ETIMEDOUT);
	assert_true(mr_process(c, 1) >= 0);
	let_go(f, true);
	assert_true(mr_process(c, 1) >= 0);
	mr_close(c);
}

static void close_it(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	(void)m;
	assert_int_equal(mr_consumer_close(arg), 0);
}

static void a_consumer_may_be_closed_while_it_is_pulled(void **state)
{
	struct fixture *f = *state;
	struct mr_consumer *k;
	struct mr_delivery d;

	assert_int_equal(mr_consume(f->client, "jobs", NULL, NULL, NULL, &k), 0);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, close_it, k, NULL), 0);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	assert_int_equal(mr_pull(k, &d, PATIENCE_MS), -ENOENT);
}

static void ask_and_count(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	on_delivery(c, d, arg);
	/* Its answer stands behind the other deliveries, which are deferred. */
	assert_int_equal(mr_ping(c, -1, NULL, NULL), 0);
}

static void deliveries_deferred_within_a_callback_are_handed_out_by_process(void **state)
{
	struct mr_consume_options options = {.prefetch = 64};
	struct fixture *f = *state;
	struct work w = {0};
	struct mr_consumer *k;
	struct mr_message m;

	fill(f, 10);
	assert_int_equal(mr_consume(f->client, "jobs", &options, ask_and_count, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count >= 1);
	while (mr_process(f->client, 1) > 0)
		continue;
	assert_int_equal(w.count, 10);
	assert_int_equal(mr_receive(f->client, &m, 0), -ETIMEDOUT);
	SETTLED(f, acked, 10);
}

static void push_on(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	(void)c;
	assert_int_equal(mr_push(arg, d->message.payload, d->message.payload_bytes), 0);
}

static void a_stage_pushes_on_from_its_callback(void **state)
{
	struct fixture *f = *state;
	struct mr_consumer *k, *last;
	struct mr_queue *q;
	struct work w = {0};

	fill(f, 200);
	assert_int_equal(mr_queue_open(f->client, "done", NULL, &q), 0);
	assert_int_equal(mr_consume(f->client, "done", NULL, on_delivery, &w, &last), 0);
	assert_int_equal(mr_consume(f->client, "jobs", NULL, push_on, q, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 200);
	SETTLED(f, acked, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(attempts_are_distinguished_from_other_deliveries),
		TEST(deliveries_are_acked_in_batches_when_the_callback_returns),
		TEST(delivery_nacked_in_its_callback_is_not_acked),
		TEST(rejected_deliveries_do_not_come_again),
		TEST(redelivery_is_reported_with_handed),
		TEST(closed_client_gives_back_its_deliveries),
		TEST(manual_deliveries_are_settled_later_and_once),
		TEST(nack_with_an_error_says_it_to_a_bus_that_knows_it),
		TEST(nack_with_an_error_is_a_nack_to_an_older_bus),
		TEST(retry_delay_is_marked_as_one_for_queues_without_a_back_off),
		TEST(pulling_gets_one_at_a_time_and_acks_the_one_before),
		TEST(pulled_deliveries_that_came_in_other_calls_are_kept_in_order),
		TEST(priority_and_redelivery_are_delivered),
		TEST(levels_without_a_name_are_delivered),
		TEST(after_reconnection_consumers_go_on_and_old_tags_are_unknown),
		TEST(a_consumer_that_the_bus_ended_comes_back),
		TEST(a_consumer_may_be_closed_in_its_callback),
		TEST(acks_that_find_no_room_wait_in_one_row),
		TEST(a_consumer_that_can_say_nothing_may_be_closed),
		TEST(a_consumer_may_be_closed_while_it_is_pulled),
		TEST(a_stage_pushes_on_from_its_callback),
		TEST(deliveries_deferred_within_a_callback_are_handed_out_by_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
