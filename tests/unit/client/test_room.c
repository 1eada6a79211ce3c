/* SPDX-License-Identifier: Apache-2.0 */
/* Full rings of shared memory: the publisher waits, the subscriber misses messages. */
#include "tests/unit/client/fixture.h"

static void a_full_batch_is_shown_in_spite_of_the_cork(void **state)
{
	struct fixture *f = *state;
	char payload[1000] = {0};

	mr_cork(f->client, true);
	bus_lock(&f->bus);
	f->bus.stalled = true;
	bus_unlock(&f->bus);
	for (unsigned i = 0; i < 70; i++)
		assert_int_equal(mr_publish(f->client, "a", payload, sizeof(payload)), 0);
	bus_lock(&f->bus);
	assert_true(mr_bytes_readable(&f->bus.sessions[0].up) >= 64 << 10);
	f->bus.stalled = false;
	bus_unlock(&f->bus);
}

static void full_ring_gives_eagain_to_a_publisher_and_takes_again_later(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p;
	char payload[1000] = {0};
	unsigned sent = 0;
	void *claimed;

	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	bus_lock(&f->bus);
	f->bus.stalled = true;
	bus_unlock(&f->bus);
	while (mr_publisher_send(p, payload, sizeof(payload)) == 0)
		sent++;
	assert_true(sent >= 250);
	assert_int_equal(mr_publisher_send(p, payload, sizeof(payload)), -EAGAIN);
	assert_int_equal(mr_publisher_claim(p, sizeof(payload), &claimed), -EAGAIN);
	bus_lock(&f->bus);
	f->bus.stalled = false;
	bus_unlock(&f->bus);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	assert_int_equal(mr_publisher_send(p, payload, sizeof(payload)), 0);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.published, sent + 1);
	bus_unlock(&f->bus);
}

static void batch_takes_what_fits(void **state)
{
	struct fixture *f = *state;
	static char payload[8192];
	struct mr_buffer buffers[64];
	struct mr_publisher *p;
	int taken;

	for (unsigned i = 0; i < 64; i++)
		buffers[i] = (struct mr_buffer){payload, sizeof(payload)};
	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	bus_lock(&f->bus);
	f->bus.stalled = true;
	bus_unlock(&f->bus);
	taken = mr_publisher_send_batch(p, buffers, 64);
	assert_in_range(taken, 30, 32);
	assert_int_equal(mr_publisher_send_batch(p, buffers, 64), 0);
	bus_lock(&f->bus);
	f->bus.stalled = false;
	bus_unlock(&f->bus);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	assert_true(mr_publisher_send_batch(p, buffers, 8) == 8);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.published, (unsigned)taken + 8);
	bus_unlock(&f->bus);
}

static void claimed_batch_is_as_large_as_the_room(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p;
	size_t stride;
	void *first;
	int got;

	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	bus_lock(&f->bus);
	f->bus.stalled = true;
	bus_unlock(&f->bus);
	got = mr_publisher_claim_batch(p, 1000, UINT32_MAX, &first, &stride);
	assert_in_range(got, 250, 260);
	memset(first, 0, (size_t)(got - 1) * stride + 1000);
	assert_int_equal(mr_publisher_commit_batch(p, (unsigned)got), 0);
	assert_int_equal(mr_publisher_claim_batch(p, 1000, 1, &first, &stride), 0);
	/* None is open. */
	assert_int_equal(mr_publisher_send(p, "x", 100000), -EMSGSIZE);
	bus_lock(&f->bus);
	f->bus.stalled = false;
	bus_unlock(&f->bus);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	assert_int_equal(mr_publisher_claim_batch(p, 1000, 7, &first, &stride), 7);
	mr_publisher_abort(p);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.published, (unsigned)got);
	bus_unlock(&f->bus);
}

static void publish_waits_for_room_and_loses_nothing(void **state)
{
	struct fixture *f = *state;
	char payload[4000] = {0};

	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(mr_publish(f->client, "a", payload, sizeof(payload)), 0);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.published, 2000);
	bus_unlock(&f->bus);
}

static void publish_to_a_stuck_bus_times_out(void **state)
{
	struct fixture *f = *state;
	struct mr_options options = {.request_timeout_ms = 20};
	char payload[60000] = {0};
	struct mr_client *c;
	int error = 0;

	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	bus_lock(&f->bus);
	f->bus.stalled = true;
	bus_unlock(&f->bus);
	for (unsigned i = 0; i < 10 && error == 0; i++)
		error = mr_publish(c, "a", payload, sizeof(payload));
	assert_int_equal(error, -ETIMEDOUT);
	assert_int_equal(mr_drain(c, 20), -ETIMEDOUT);
	bus_lock(&f->bus);
	f->bus.stalled = false;
	bus_unlock(&f->bus);
	assert_int_equal(mr_drain(c, PATIENCE_MS), 0);
	mr_close(c);
}

static void a_slow_client_hears_how_many_it_missed(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	static char payload[60000];
	struct inbox in = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(mr_publish(f->client, "a", payload, sizeof(payload)), 0);
	assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	PROCESS_UNTIL(f->client, in.count > 0);
	/* The bus sends the Gap as soon as it looks again. */
	assert_int_equal(mr_publish(f->client, "b", "x", 1), 0);
	PROCESS_UNTIL(f->client, in.count + f->gap_missed == 10);
	assert_true(f->gap_missed >= 6);
	assert_int_equal(f->gap_total, f->gap_missed);
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.missed, f->gap_missed);
}

static void publish_that_waits_for_room_notices_death(void **state)
{
	struct fixture *f = *state;
	static char payload[60000];
	struct mr_client_stats stats;

	bus_lock(&f->bus);
	f->bus.stalled = true;
	bus_unlock(&f->bus);
	bus_kill(&f->bus, NULL);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(mr_publish(f->client, "a", payload, sizeof(payload)), 0);
	assert_false(mr_connected(f->client));
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.kept + stats.lost, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_batch_is_shown_in_spite_of_the_cork),
		TEST(full_ring_gives_eagain_to_a_publisher_and_takes_again_later),
		TEST(batch_takes_what_fits),
		TEST(claimed_batch_is_as_large_as_the_room),
		TEST(publish_waits_for_room_and_loses_nothing),
		TEST(publish_to_a_stuck_bus_times_out),
		TEST(a_slow_client_hears_how_many_it_missed),
		TEST(publish_that_waits_for_room_notices_death),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
