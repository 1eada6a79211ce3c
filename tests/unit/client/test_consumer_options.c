/* SPDX-License-Identifier: Apache-2.0 */
/* Options of consumers: tag, rate, bytes, exclusive, pauses, batches, leases. */
#include "tests/unit/client/fixture_queue.h"

static void wait_until(struct fixture *f, const uint64_t *field, uint64_t wanted)
{
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;

	while (peek(f, field) < wanted && now_ms() < give_up_ms)
		mr_wait(f->client, 1);
	assert_int_equal(peek(f, field), wanted);
}

static bool is_paused(struct fixture *f)
{
	bool paused;

	bus_lock(&f->bus);
	paused = f->bus.queues.consume.paused;
	bus_unlock(&f->bus);
	return paused;
}

static void options_stand_in_the_request(void **state)
{
	struct fixture *f = *state;
	struct mr_consume_options options = {
		.tag = "mailer", .rate = 2.5, .prefetch_bytes = 4096, .exclusive = true};
	struct mr_consumer *k;

	assert_int_equal(mr_consume(f->client, "jobs", &options, NULL, NULL, &k), 0);
	bus_lock(&f->bus);
	assert_string_equal(f->bus.queues.consume.tag, "mailer");
	assert_int_equal(f->bus.queues.consume.rate, 2500);
	assert_int_equal(f->bus.queues.consume.prefetch_bytes, 4096);
	assert_int_equal(f->bus.queues.consume.single_active, MR_SINGLE_ACTIVE_YES);
	assert_false(f->bus.queues.consume.paused);
	bus_unlock(&f->bus);
}

static int consume_code(struct fixture *f, const struct mr_consume_options *options)
{
	struct mr_consumer *k;

	return mr_consume(f->client, "jobs", options, NULL, NULL, &k);
}

static void malformed_options_are_refused(void **state)
{
	struct fixture *f = *state;
	char tag[66];
	const struct mr_consume_options bad[] = {
		{.tag = tag},
		{.tag = "two\nlines"},
		{.tag = "caf\xc3\xa9"},
		{.rate = -1},
		{.rate = 0.0001},
		{.rate = 1e7},
		{.rate = __builtin_nan("")},
		{.renew_max_ms = 86400001},
		{.reserved = {0, 1}},
		{.queue = {.single_active = 3}},
		{.queue = {.in_flight_per_key = 251}},
	};

	memset(tag, 'x', 65);
	tag[65] = '\0';
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(consume_code(f, &bad[i]), -EINVAL);
	tag[64] = '\0';
	assert_int_equal(consume_code(f, &bad[0]), 0);
}

static void older_bus_is_not_asked_in_vain(void **state)
{
	struct fixture *f = *state;
	const struct mr_consume_options all[] = {
		{.rate = 1},
		{.prefetch_bytes = 1},
		{.exclusive = true},
		{.queue = {.single_active = MR_SINGLE_ACTIVE_YES}},
		{.auto_renew = true},
	};
	const struct mr_consume_options tag = {.tag = "shown only"};
	struct mr_consumer *k;

	bus_lock(&f->bus);
	f->bus.queues.older = true;
	bus_unlock(&f->bus);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_int_equal(consume_code(f, &all[i]), -EOPNOTSUPP);
		assert_non_null(strstr(mr_error(f->client), "the bus is older"));
	}
	assert_int_equal(mr_consume(f->client, "jobs", &tag, NULL, NULL, &k), 0);
	assert_int_equal(mr_consumer_pause(k), -EOPNOTSUPP);
}

static void pause_repeats_the_request_and_outlives_a_reconnection(void **state)
{
	struct fixture *f = *state;
	struct mr_consumer *k;

	assert_int_equal(mr_consume(f->client, "jobs", NULL, NULL, NULL, &k), 0);
	assert_int_equal(mr_consumer_resume(k), 0); /* nothing to do */
	assert_int_equal(mr_consumer_pause(k), 0);
	assert_true(is_paused(f));
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.consume.count, 2);
	f->bus.queues.consume.paused = false;
	bus_unlock(&f->bus);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	PROCESS_UNTIL(f->client, is_paused(f));
	assert_int_equal(mr_consumer_resume(k), 0);
	assert_false(is_paused(f));
}

static void pause_once(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	unsigned *count = arg;

	(void)c;
	if (++*count == 1)
		assert_int_equal(mr_consumer_pause(d->consumer), 0);
}

static void consumer_may_pause_itself_in_its_callback(void **state)
{
	struct fixture *f = *state;
	struct mr_consumer *k;
	unsigned count = 0;

	fill(f, 3);
	assert_int_equal(mr_consume(f->client, "jobs", NULL, pause_once, &count, &k), 0);
	PROCESS_UNTIL(f->client, count == 3); /* the bus had sent these already */
	assert_true(is_paused(f));
}

static void batch_is_full_or_what_came_in_time(void **state)
{
	struct fixture *f = *state;
	const struct mr_consume_options options = {.prefetch = 8, .manual = true};
	struct mr_consumer *k;
	struct mr_delivery d[8];

	fill(f, 7);
	assert_int_equal(mr_consume(f->client, "jobs", &options, NULL, NULL, &k), 0);
	assert_int_equal(mr_pull_batch(k, d, 5, PATIENCE_MS), 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(d[i].message.payload_bytes, 1);
		assert_int_equal(*(const char *)d[i].message.payload, '0' + (int)i);
		assert_ptr_equal(d[i].consumer, k);
		assert_int_equal(mr_ack(k, d[i].tag), 0);
	}
	assert_int_equal(mr_pull_batch(k, d, 5, 50), 2);
	assert_int_equal(*(const char *)d[1].message.payload, '6');
	assert_int_equal(mr_nack(k, d[0].tag, false, 0), 0);
	assert_int_equal(mr_ack(k, d[1].tag), 0);
	assert_int_equal(mr_pull_batch(k, d, 5, 0), -ETIMEDOUT);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	wait_until(f, &f->bus.queues.acked, 6);
	assert_int_equal(peek(f, &f->bus.queues.rejected), 1);
}

static void batch_does_not_wait_for_more_than_the_prefetch(void **state)
{
	struct fixture *f = *state;
	const struct mr_consume_options options = {.prefetch = 3, .manual = true};
	struct mr_consumer *k;
	struct mr_delivery d[8];

	fill(f, 8);
	assert_int_equal(mr_consume(f->client, "jobs", &options, NULL, NULL, &k), 0);
	assert_int_equal(mr_pull_batch(k, d, 8, -1), 3);
}

static void batch_needs_a_manual_consumer_without_callback(void **state)
{
	struct fixture *f = *state;
	const struct mr_consume_options manual = {.manual = true};
	struct mr_consumer *k;
	struct mr_delivery d;
	unsigned count;

	assert_int_equal(mr_consume(f->client, "jobs", NULL, NULL, NULL, &k), 0);
	assert_int_equal(mr_pull_batch(k, &d, 1, 0), -EINVAL);
	assert_int_equal(mr_consume(f->client, "more", &manual, pause_once, &count, &k), 0);
	assert_int_equal(mr_pull_batch(k, &d, 1, 0), -EINVAL);
	assert_int_equal(mr_consume(f->client, "most", &manual, NULL, NULL, &k), 0);
	assert_int_equal(mr_pull_batch(k, &d, 0, 0), -EINVAL);
}

static void look(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	struct fixture *f = arg;
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;

	(void)c;
	(void)d;
	/* The client is not processed here, and the bus has the request all the same. */
	while (peek(f, &f->bus.queues.progressed) == 0 && now_ms() < give_up_ms)
		;
	assert_int_equal(peek(f, &f->bus.queues.progressed), 1);
	assert_int_equal(peek(f, &f->bus.queues.acked), 0);
}

static void lease_is_asked_for_before_the_callback(void **state)
{
	struct fixture *f = *state;
	const struct mr_consume_options options = {.auto_renew = true, .renew_max_ms = 60000};
	struct mr_consumer *k;

	fill(f, 1);
	bus_lock(&f->bus);
	f->bus.queues.ack_timeout_ms = 1000;
	bus_unlock(&f->bus);
	assert_int_equal(mr_consume(f->client, "jobs", &options, look, f, &k), 0);
	wait_until(f, &f->bus.queues.acked, 1);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.lease_ms, 60000);
	bus_unlock(&f->bus);
}

static void nothing(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	(void)c;
	(void)d;
	(void)arg;
}

static void lease_within_the_time_out_is_not_asked_for(void **state)
{
	struct fixture *f = *state;
	const struct mr_consume_options options = {.auto_renew = true, .renew_max_ms = 1000};
	struct mr_consumer *k;

	fill(f, 3);
	bus_lock(&f->bus);
	f->bus.queues.ack_timeout_ms = 30000;
	bus_unlock(&f->bus);
	assert_int_equal(mr_consume(f->client, "jobs", &options, nothing, NULL, &k), 0);
	wait_until(f, &f->bus.queues.acked, 3);
	assert_int_equal(peek(f, &f->bus.queues.progressed), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(options_stand_in_the_request),
		TEST(malformed_options_are_refused),
		TEST(older_bus_is_not_asked_in_vain),
		TEST(pause_repeats_the_request_and_outlives_a_reconnection),
		TEST(consumer_may_pause_itself_in_its_callback),
		TEST(batch_is_full_or_what_came_in_time),
		TEST(batch_does_not_wait_for_more_than_the_prefetch),
		TEST(batch_needs_a_manual_consumer_without_callback),
		TEST(lease_is_asked_for_before_the_callback),
		TEST(lease_within_the_time_out_is_not_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
