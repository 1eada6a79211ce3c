/* SPDX-License-Identifier: Apache-2.0 */
/* Large promised messages: fragmented among those of others, accepted at the first fragment, and
 * retransmitted in a session with smaller frames. */
#include "tests/unit/client/fixture.h"

#define WHOLE_BYTES (1u << 20)

static void stall(struct fixture *f, bool on)
{
	bus_lock(&f->bus);
	f->bus.stalled = on;
	bus_unlock(&f->bus);
}

static uint8_t *pattern(size_t bytes, uint8_t seed)
{
	uint8_t *p = malloc(bytes);

	assert_non_null(p);
	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)(i * 7 + (i >> 8) + seed);
	return p;
}

/* For messages with that pattern: how many arrived, and how many of these unchanged. */
struct got {
	uint8_t seed;
	size_t bytes;
	unsigned count;
	unsigned same;
};

static void on_message(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct got *g = arg;
	uint8_t *expected = pattern(g->bytes, g->seed);

	(void)c;
	g->count++;
	g->same += m->payload_bytes == g->bytes && memcmp(m->payload, expected, g->bytes) == 0;
	free(expected);
}

static struct mr_client *connect_wide(struct fixture *f)
{
	struct mr_options options = fixture_options(f);
	struct mr_client *c;

	bus_lock(&f->bus);
	f->bus.whole_bytes_max = WHOLE_BYTES;
	f->bus.down_bytes = 4 * WHOLE_BYTES;
	bus_unlock(&f->bus);
	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	return c;
}

static struct mr_publisher *exactly_once(struct mr_client *c, const char *subject)
{
	const struct mr_publisher_options options = {.promise = MR_EXACTLY_ONCE};
	struct mr_publisher *p;

	assert_int_equal(mr_publisher_open_with(c, subject, &options, &p), 0);
	return p;
}

static void send_one(struct mr_publisher *p, const struct got *g)
{
	uint8_t *payload = pattern(g->bytes, g->seed);

	assert_int_equal(mr_publisher_send(p, payload, g->bytes), 0);
	free(payload);
}

#ifndef FIXTURE_UDP
static void fragments_of_interleaved_messages_are_not_mixed_up(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_wide(f);
	struct got a = {.seed = 1, .bytes = 400000}, b = {.seed = 2, .bytes = 400000};
	struct got other = {.seed = 3, .bytes = 100000};
	struct mr_publisher *pa = exactly_once(c, "a"), *pb = exactly_once(c, "b");
	uint8_t *payload = pattern(other.bytes, other.seed);

	assert_int_equal(mr_subscribe(c, "a", NULL, on_message, &a, NULL), 0);
	assert_int_equal(mr_subscribe(c, "b", NULL, on_message, &b, NULL), 0);
	assert_int_equal(mr_subscribe(c, "other", NULL, on_message, &other, NULL), 0);
	/* Neither fits the rest of the ring: both wait half-written, and a third goes in
	 * between. */
	stall(f, true);
	send_one(pa, &a);
	send_one(pb, &b);
	stall(f, false);
	assert_int_equal(mr_publish(c, "other", payload, other.bytes), 0);
	assert_int_equal(mr_settle(c, PATIENCE_MS), 0);
	PROCESS_UNTIL(c, a.count == 1 && b.count == 1 && other.count == 1);
	assert_int_equal(a.same + b.same + other.same, 3);
	free(payload);
	mr_close(c);
}

static void on_outcome(struct mr_client *c, uint64_t id, int error, void *arg)
{
	(void)c;
	(void)id;
	assert_int_equal(error, 0);
	++*(unsigned *)arg;
}

/* The queue accepted it in an earlier session, and the answer was lost. */
static void duplicate_push_ends_with_its_first_fragment(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_wide(f);
	unsigned outcomes = 0;
	struct mr_push_options options = {
		.promise = MR_EXACTLY_ONCE, .on_outcome = on_outcome, .arg = &outcomes};
	uint8_t *payload = pattern(WHOLE_BYTES, 0);
	struct mr_push push = {.payload = payload, .bytes = WHOLE_BYTES};
	struct mr_queue *q;

	bus_lock(&f->bus);
	f->bus.queues.known_at_first = true;
	bus_unlock(&f->bus);
	assert_int_equal(mr_queue_open(c, "jobs", &options, &q), 0);
	stall(f, true);
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(outcomes, 0);
	stall(f, false);
	assert_int_equal(mr_settle(c, PATIENCE_MS), 0);
	assert_int_equal(outcomes, 1);
	assert_int_equal(mr_queue_unaccepted(q), 0);
	/* The next message is whole. */
	bus_lock(&f->bus);
	f->bus.queues.known_at_first = false;
	bus_unlock(&f->bus);
	push.bytes = 1000;
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(c, PATIENCE_MS), 0);
	assert_int_equal(outcomes, 2);
	free(payload);
	mr_close(c);
}
#endif

#ifdef FIXTURE_RELIABLE
static void lose_session_for_one_of_smaller_frames(struct fixture *f)
{
	bus_kill(&f->bus, NULL);
	bus_lock(&f->bus);
	f->bus.udp.frame_bytes_max = 1200;
	f->bus.stalled = false;
	bus_unlock(&f->bus);
	bus_revive(&f->bus);
}

static void expect_all_in_the_next_session(
	struct fixture *f, struct mr_client *c, struct got *g, unsigned count)
{
	struct mr_client_stats stats;

	lose_session_for_one_of_smaller_frames(f);
	assert_int_equal(mr_settle(c, PATIENCE_MS), 0);
	PROCESS_UNTIL(c, g->count >= count);
	assert_int_equal(g->count, count);
	assert_int_equal(g->same, count);
	mr_client_stats(c, &stats);
	assert_int_equal(stats.reconnects, 1);
}

static void messages_in_the_ring_are_fragmented_when_frames_are_smaller(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_wide(f);
	/* One by one: in a frame of 1,472 bytes, and in none of 1,200. */
	struct got g = {.seed = 5, .bytes = 1300};
	struct mr_publisher *p = exactly_once(c, "a");

	assert_int_equal(mr_subscribe(c, "a", NULL, on_message, &g, NULL), 0);
	stall(f, true);
	for (unsigned i = 0; i < 20; i++)
		send_one(p, &g);
	expect_all_in_the_next_session(f, c, &g, 20);
	mr_close(c);
}

static void fragments_are_refragmented_when_frames_are_smaller(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_wide(f);
	struct got g = {.seed = 6, .bytes = 30011};
	struct mr_publisher *p = exactly_once(c, "a");

	assert_int_equal(mr_subscribe(c, "a", NULL, on_message, &g, NULL), 0);
	stall(f, true);
	for (unsigned i = 0; i < 3; i++)
		send_one(p, &g);
	expect_all_in_the_next_session(f, c, &g, 3);
	mr_close(c);
}

static void too_large_a_message_is_refused_if_the_bus_takes_no_fragments(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_wide(f);
	struct got g = {.seed = 7, .bytes = 1300};
	struct got small = {.seed = 8, .bytes = 300};
	struct mr_publisher *p = exactly_once(c, "a"), *q = exactly_once(c, "b");

	assert_int_equal(mr_subscribe(c, "b", NULL, on_message, &small, NULL), 0);
	stall(f, true);
	send_one(p, &g);
	send_one(q, &small);
	bus_lock(&f->bus);
	f->bus.whole_bytes_max = 0;
	bus_unlock(&f->bus);
	lose_session_for_one_of_smaller_frames(f);
	assert_int_equal(mr_settle(c, PATIENCE_MS), -EMSGSIZE);
	PROCESS_UNTIL(c, small.count >= 1);
	assert_int_equal(small.same, 1);
	mr_close(c);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef FIXTURE_UDP
		TEST(fragments_of_interleaved_messages_are_not_mixed_up),
		TEST(duplicate_push_ends_with_its_first_fragment),
#endif
#ifdef FIXTURE_RELIABLE
		TEST(messages_in_the_ring_are_fragmented_when_frames_are_smaller),
		TEST(fragments_are_refragmented_when_frames_are_smaller),
		TEST(too_large_a_message_is_refused_if_the_bus_takes_no_fragments),
#endif
	};

	return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
