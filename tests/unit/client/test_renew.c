/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers: deliveries are renewed while they wait or are worked on, and may be recalled. */
#include "tests/unit/client/fixture_queue.h"

/* Each is renewed four times within the queue's time-out, as long as the client is processed. */
static void deliveries_that_wait_for_a_pull_are_renewed(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 4, .manual = true};
	struct mr_delivery d;
	struct mr_consumer *k;

	fill(f, 4);
	set_ack_timeout(f, 40);
	assert_int_equal(mr_consume(f->client, "jobs", &options, NULL, NULL, &k), 0);
	assert_int_equal(mr_consumer_ack_timeout_ms(k), 40);
	assert_int_equal(mr_consumer_max_deliver(k), 5);
	SETTLED_AT_LEAST(f, progressed, 8);
	assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
	assert_int_equal(mr_ack(k, d.tag), 0);
	SETTLED(f, acked, 1);
}

/* A slow program leaves the other deliveries in the ring. */
static void slow(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	uint64_t end_ms = now_ms() + 30;

	while (now_ms() < end_ms)
		;
	assert_int_equal(mr_ack(d->consumer, d->tag), 0);
	on_delivery(c, d, arg);
}

static void deliveries_in_the_ring_behind_a_slow_callback_are_renewed(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 8, .manual = true};
	struct mr_consumer *k;
	struct work w = {0};

	fill(f, 8);
	set_ack_timeout(f, 80);
	assert_int_equal(mr_consume(f->client, "jobs", &options, slow, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 8);
	SETTLED(f, acked, 8);
	/* Renewed after each: 7 + 6 + 5 ... */
	SETTLED_AT_LEAST(f, progressed, 14);
	assert_int_equal(peek(f, &f->bus.queues.bad_tags), 0);
}

static void acks_of_slow_callbacks_do_not_gather(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 64};
	struct mr_consumer *k;

	fill(f, 8);
	assert_int_equal(mr_consume(f->client, "jobs", &options, NULL, NULL, &k), 0);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t end_ms = now_ms() + 30;
		struct mr_delivery d;

		assert_int_equal(mr_pull(k, &d, PATIENCE_MS), 0);
		while (now_ms() < end_ms)
			;
	}
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	SETTLED(f, acked, 7);
	SETTLED_AT_LEAST(f, settlements, 5);
}

static void a_program_reports_progress_and_a_consumer_may_by_itself(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 2, .manual = true};
	struct mr_consumer *k;
	struct work w = {0};

	fill(f, 2);
	set_ack_timeout(f, 40);
	assert_int_equal(mr_consume(f->client, "jobs", &options, on_delivery, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 2);
	assert_int_equal(mr_progress(k, w.tags[0]), 0);
	assert_int_equal(mr_progress(k, 12345), -ENOENT);
	SETTLED(f, progressed, 1);
	mr_consumer_renew(k, true);
	SETTLED_AT_LEAST(f, progressed, 6);
	assert_int_equal(mr_ack(k, w.tags[0]), 0);
	assert_int_equal(mr_progress(k, w.tags[0]), -ENOENT);
}

struct recalled {
	unsigned count;
	uint64_t tag;
};

static void on_recall(struct mr_client *c, uint64_t tag, void *arg)
{
	struct recalled *r = arg;

	(void)c;
	r->count++;
	r->tag = tag;
}

static void recall(struct fixture *f)
{
	bus_lock(&f->bus);
	fake_queue_recall(&f->bus, "jobs");
	bus_unlock(&f->bus);
}

static void recalled_delivery_is_reported_and_cannot_be_settled(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 1, .manual = true};
	struct recalled r = {0};
	struct mr_consumer *k;
	struct work w = {0};

	fill(f, 2);
	assert_int_equal(mr_consume(f->client, "jobs", &options, on_delivery, &w, &k), 0);
	mr_consumer_on_recall(k, on_recall, &r);
	PROCESS_UNTIL(f->client, w.count == 1);
	recall(f);
	PROCESS_UNTIL(f->client, r.count == 1);
	assert_int_equal(r.tag, w.tags[0]);
	assert_int_equal(mr_ack(k, w.tags[0]), -ENOENT);
	SETTLED(f, released, 1);
}

/* Its credit is free when the program has settled it. */
static void consumer_without_recalls_finds_out_when_settling(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 1, .manual = true};
	struct mr_consumer *k;
	struct work w = {0};

	fill(f, 1);
	assert_int_equal(mr_consume(f->client, "jobs", &options, on_delivery, &w, &k), 0);
	PROCESS_UNTIL(f->client, w.count == 1);
	recall(f);
	PROCESS_UNTIL(f->client, mr_progress(k, w.tags[0]) == -ENOENT);
	assert_int_equal(peek(f, &f->bus.queues.released), 0);
	assert_int_equal(mr_ack(k, w.tags[0]), -ENOENT);
	SETTLED(f, released, 1);
}

static void deliveries_that_wait_for_a_pull_are_recalled(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {.prefetch = 2, .manual = true};
	struct mr_delivery d;
	struct mr_consumer *k;

	fill(f, 2);
	assert_int_equal(mr_consume(f->client, "jobs", &options, NULL, NULL, &k), 0);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	recall(f);
	SETTLED(f, released, 2);
	assert_int_equal(mr_pull(k, &d, 1), -ETIMEDOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(deliveries_that_wait_for_a_pull_are_renewed),
		TEST(deliveries_in_the_ring_behind_a_slow_callback_are_renewed),
		TEST(acks_of_slow_callbacks_do_not_gather),
		TEST(a_program_reports_progress_and_a_consumer_may_by_itself),
		TEST(recalled_delivery_is_reported_and_cannot_be_settled),
		TEST(consumer_without_recalls_finds_out_when_settling),
		TEST(deliveries_that_wait_for_a_pull_are_recalled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
