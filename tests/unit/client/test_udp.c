/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of sessions over UDP alone. The other files of this folder are built once more for UDP
 * and test the common ones. */
#include <poll.h>

#include "tests/unit/client/fixture.h"

static void addresses_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = {"udp://", "udp://:7400", "udp://host:", "udp://host:0",
		"udp://host:65536", "udp://host:12x", "udp://::1:7400", "udp://[::1",
		"udp://[::1]7400", "udp://host/", "udp:host:7400"};
	struct mr_client *c;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(mr_connect(bad[i], NULL, &c), -EINVAL);
		assert_non_null(strstr(mr_error(NULL), bad[i]));
	}
}

static void missing_responder_is_reported_before_the_time_out(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c;

	bus_kill(&f->bus, "over");
	assert_int_equal(mr_connect(f->bus.address, NULL, &c), -ECONNREFUSED);
	assert_non_null(strstr(mr_error(NULL), "no bus listens there"));
}

static void host_name_is_looked_up_and_its_addresses_are_tried(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c;
	char address[64];

	/* Names resolve only to the loopback's first address. */
	bus_kill(&f->bus, NULL);
	f->bus.udp.host = INADDR_LOOPBACK;
	bus_revive(&f->bus);
	snprintf(address, sizeof(address), "udp://localhost:%u", f->bus.udp.port);
	assert_int_equal(mr_connect(address, NULL, &c), 0);
	mr_close(c);
	assert_int_equal(mr_connect("udp://no.such.host.invalid", NULL, &c), -ECONNREFUSED);
	assert_non_null(strstr(mr_error(NULL), "no such host"));
}

/* Connects once more while that many of each are lost. */
static void connect_through_losses(
	struct fixture *f, unsigned hellos, unsigned retries, unsigned welcomes)
{
	struct mr_client *c;

	bus_lock(&f->bus);
	f->bus.udp.drop_hellos = hellos;
	f->bus.udp.drop_retries = retries;
	f->bus.udp.drop_welcomes = welcomes;
	bus_unlock(&f->bus);
	assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.udp.drop_hellos, 0);
	assert_int_equal(f->bus.udp.drop_retries, 0);
	assert_int_equal(f->bus.udp.drop_welcomes, 0);
	assert_int_equal(f->bus.bad, 0);
	bus_unlock(&f->bus);
	mr_close(c);
}

static void session_opens_whatever_is_lost_on_the_way(void **state)
{
	struct fixture *f = *state;

	/* The first one has no cookie, the second has it. */
	assert_int_equal(f->bus.udp.hellos, 2);
	assert_int_equal(f->bus.udp.welcomes, 1);
	connect_through_losses(f, 1, 0, 0);
	connect_through_losses(f, 0, 1, 0);
	connect_through_losses(f, 0, 0, 1);
	connect_through_losses(f, 1, 1, 1);
}

static void path_that_swallows_large_frames_gets_small_ones(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c;

	bus_lock(&f->bus);
	f->bus.udp.swallow_above = 1300;
	bus_unlock(&f->bus);
	assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
	assert_true(f->bus.udp.hellos_least > 0);
	assert_int_equal(mr_body_bytes_max(c, NULL), 1200 - 24 - 28);
	assert_int_equal(mr_body_bytes_max(c, "four"), 1200 - 24 - 28 - 4);
	mr_close(c);
}

/* Control was away: when it is back, it opens a session for each size, and closes it for the next
 * one. */
static void session_that_opens_late_is_the_one_that_stays(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct mr_client *c;

	for (unsigned held = 4; held <= 5; held++) {
		bus_lock(&f->bus);
		f->bus.udp.hold_hellos = held;
		bus_unlock(&f->bus);
		assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
		assert_int_equal(mr_ping(c, PATIENCE_MS, NULL, NULL), 0);
		mr_client_stats(c, &stats);
		assert_int_equal(stats.reconnects, 0);
		assert_true(mr_body_bytes_max(c, NULL) > 1200);
		mr_close(c);
	}
}

/* Connects a client with frames as on Ethernet. */
static struct mr_client *connect_narrow(struct fixture *f)
{
	struct mr_options options = fixture_options(f);
	struct mr_client *c;

	bus_lock(&f->bus);
	f->bus.udp.frame_bytes_max = 1472;
	bus_unlock(&f->bus);
	assert_int_equal(mr_connect(f->bus.address, &options, &c), 0);
	return c;
}

/* Returns the frames of the second session that the bus has taken. */
static uint64_t frames_taken(struct fixture *f)
{
	uint64_t frames;

	bus_lock(&f->bus);
	frames = f->bus.sessions[1].udp.frames;
	bus_unlock(&f->bus);
	return frames;
}

static void wait_for_frames(struct fixture *f, struct mr_client *c)
{
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;
	struct mr_client_stats stats;

	do {
		mr_client_stats(c, &stats);
		assert_true(now_ms() < give_up_ms);
	} while (frames_taken(f) < stats.frames_sent);
}

static void corked_messages_fill_their_frames(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_narrow(f);
	struct mr_client_stats before, after;
	struct mr_publisher *p;
	char payload[64] = {0};

	assert_int_equal(mr_publisher_open(c, "a", &p), 0);
	mr_client_stats(c, &before);
	mr_cork(c, true);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(mr_publisher_send(p, payload, sizeof(payload)), 0);
	assert_int_equal(mr_drain(c, PATIENCE_MS), 0);
	mr_client_stats(c, &after);
	/* 20 messages of 72 bytes fit 1,448; those sent at 64 KiB end in a frame that is not
	 * full. */
	assert_in_range(after.frames_sent - before.frames_sent, 100, 104);
	wait_for_frames(f, c);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.published, 2000);
	assert_int_equal(f->bus.bad, 0);
	bus_unlock(&f->bus);
	mr_close(c);
}

/* Numbered messages of many sizes. */
struct numbers {
	uint32_t next;
	uint32_t wrong;
};

static uint32_t size_of(uint32_t number)
{
	return 4 + number * 2654435761u % 1401;
}

static void check_number(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct numbers *n = arg;
	uint32_t number;

	(void)c;
	memcpy(&number, m->payload, sizeof(number));
	n->wrong += number != n->next || m->payload_bytes != size_of(number) ||
		    ((const uint8_t *)m->payload)[m->payload_bytes - 1] !=
			    (uint8_t)(m->payload_bytes == 4 ? number >> 24 : number);
	n->next = number + 1;
}

static void messages_of_all_sizes_arrive_in_order(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_narrow(f);
	struct numbers n = {0};
	uint8_t payload[1408];

	assert_int_equal(mr_subscribe(f->client, "n", NULL, check_number, &n, NULL), 0);
	mr_cork(c, true);
	for (uint32_t i = 0; i < 2000; i++) {
		memset(payload, (uint8_t)i, sizeof(payload));
		memcpy(payload, &i, sizeof(i));
		assert_int_equal(mr_publish(c, "n", payload, size_of(i)), 0);
		if (i % 50 == 49) {
			assert_int_equal(mr_flush(c), 0);
			PROCESS_UNTIL(f->client, n.next == i + 1);
		}
	}
	assert_int_equal(n.wrong, 0);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.bad, 0);
	assert_int_equal(f->bus.udp.lost, 0);
	bus_unlock(&f->bus);
	mr_close(c);
}

static void ignore_reply(struct mr_client *c, const struct mr_message *m, int error, void *arg)
{
	(void)c, (void)m, (void)error, (void)arg;
}

static void larger_than_a_frame_is_refused_with_the_limit(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = connect_narrow(f);
	struct mr_publisher *p;
	char payload[1600] = {0}, text[32];
	struct mr_message m;
	size_t max = mr_body_bytes_max(c, "abc");
	void *claimed;

	assert_int_equal(max, 1472 - 24 - 28 - 3);
	snprintf(text, sizeof(text), "%zu bytes", max + 3);
	assert_int_equal(mr_publish(c, "abc", payload, max), 0);
	assert_int_equal(mr_publish(c, "abc", payload, max + 1), -EMSGSIZE);
	assert_non_null(strstr(mr_error(c), text));
	assert_int_equal(mr_request(c, "abc", payload, max + 1, 1, &m), -EMSGSIZE);
	assert_int_equal(mr_publisher_open(c, "abc", &p), 0);
	assert_int_equal(mr_publisher_send(p, payload, max), 0);
	assert_int_equal(mr_publisher_send(p, payload, max + 1), -EMSGSIZE);
	assert_int_equal(mr_publisher_claim(p, max + 1, &claimed), -EMSGSIZE);
	assert_int_equal(
		mr_publisher_request(p, payload, max + 1, 1, ignore_reply, NULL), -EMSGSIZE);
	assert_true(mr_connected(c));
	mr_close(c);
}

static void lost_frames_are_counted_on_both_sides(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct inbox in = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	bus_lock(&f->bus);
	f->bus.udp.drop_frames_in = 1;
	bus_unlock(&f->bus);
	assert_int_equal(mr_publish(f->client, "a", "1", 1), 0);
	assert_int_equal(mr_publish(f->client, "a", "2", 1), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
	assert_string_equal(in.last, "2");
	bus_lock(&f->bus);
	assert_int_equal(f->bus.udp.lost, 1);
	f->bus.udp.drop_frames_out = 1;
	bus_unlock(&f->bus);
	assert_int_equal(mr_publish(f->client, "a", "3", 1), 0);
	/* Until something has arrived after the lost frames. */
	do {
		assert_int_equal(mr_publish(f->client, "a", "4", 1), 0);
		mr_wait(f->client, 20);
		mr_client_stats(f->client, &stats);
	} while (stats.frames_lost == 0);
	assert_int_equal(stats.frames_lost, 1);
}

static void frame_that_comes_twice_is_taken_once(void **state)
{
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct inbox in = {0};

	bus_lock(&f->bus);
	f->bus.udp.twice = true;
	bus_unlock(&f->bus);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
		PROCESS_UNTIL(f->client, in.count == i + 1);
	}
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	assert_int_equal(in.count, 10);
	mr_client_stats(f->client, &stats);
	assert_true(stats.frames_duplicate >= 10);
	assert_int_equal(stats.frames_lost, 0);
}

static void rubbish_from_the_bus_is_counted_and_harms_nothing(void **state)
{
	alignas(8) uint8_t frame[64] = {0};
	struct fixture *f = *state;
	struct mr_client_stats stats;
	struct inbox in = {0};
	uint64_t session;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	mr_client_stats(f->client, &stats);
	session = stats.session;
	bus_lock(&f->bus);
	fake_udp_raw(&f->bus, "short", 5);
	fake_udp_raw(&f->bus, frame, 24); /* version 0 */
	mr_frame_write(frame, session, 1000, 1);
	fake_udp_raw(&f->bus, frame, 24); /* a message only by its header */
	fake_udp_raw(&f->bus, frame, 27); /* no multiple of 8 */
	fake_udp_raw(&f->bus, frame, 32); /* a message of length 0 */
	mr_message_begin(frame + 24, MRF_MESSAGE_KIND_DELIVER, 1, NULL, 0, 0, 100);
	fake_udp_raw(&f->bus, frame, 64); /* one that is longer than its frame */
	mr_message_begin(frame + 24, MRF_MESSAGE_KIND_DELIVER, 1, NULL, 0, 0, 8);
	fake_udp_raw(&f->bus, frame, 64); /* one that is shorter */
	mr_frame_write(frame, session ^ 1, 1000, 1);
	fake_udp_raw(&f->bus, frame, 40); /* another session */
	bus_unlock(&f->bus);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.malformed, 7);
	assert_int_equal(stats.frames_strange, 1);
	assert_int_equal(stats.frames_lost, 0);
	assert_int_equal(stats.session, session);
	assert_int_equal(f->downs, 0);
}

static void gap_is_reported(void **state)
{
	const struct mrf_gap gap = {.missed = 3, .missed_total = 3};
	struct fixture *f = *state;

	bus_lock(&f->bus);
	bus_send(&f->bus, MRF_MESSAGE_KIND_GAP, 0, NULL, "", &gap, sizeof(gap));
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, f->gap_missed == 3);
}

static unsigned heartbeats(struct fixture *f)
{
	unsigned n;

	bus_lock(&f->bus);
	n = f->bus.udp.heartbeats;
	bus_unlock(&f->bus);
	return n;
}

static void client_that_waits_sends_heartbeats(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = {.events = POLLIN};
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;

	PROCESS_UNTIL(f->client, heartbeats(f) >= 2);
	/* One in an event loop that nothing else wakes: */
	p.fd = mr_fd(f->client);
	while (heartbeats(f) < 4) {
		assert_true(now_ms() < give_up_ms);
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		while (mr_process(f->client, 16) > 0)
			continue;
	}
	assert_int_equal(f->downs, 0);
}

static void silence_of_the_bus_ends_the_session(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	bus_lock(&f->bus);
	f->bus.udp.silent = true;
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, f->downs == 1);
	assert_non_null(strstr(f->why, "silent for 1.2 s"));
	bus_lock(&f->bus);
	f->bus.udp.silent = false;
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
}

static void bus_that_has_forgotten_the_session_closes_it_at_once(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_publisher *p;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	bus_lock(&f->bus);
	bus_session_close(&f->bus.sessions[0]);
	bus_unlock(&f->bus);
	assert_int_equal(mr_publisher_send(p, "lost", 4), 0);
	PROCESS_UNTIL(f->client, f->ups == 1);
	assert_int_equal(mr_publisher_send(p, "found", 5), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
	assert_string_equal(in.last, "found");
}

static void client_that_only_publishes_notices_the_end(void **state)
{
	struct fixture *f = *state;
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;

	bus_lock(&f->bus);
	bus_session_close(&f->bus.sessions[0]);
	bus_unlock(&f->bus);
	while (f->downs == 0) {
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
		assert_true(now_ms() < give_up_ms);
	}
	/* This call also makes it reconnect. */
	while (f->ups == 0) {
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
		assert_true(now_ms() < give_up_ms);
	}
}

static void challenge_is_answered_with_the_secret(void **state)
{
	struct fixture *f = *state;
	uint64_t nonce = 0;

	bus_lock(&f->bus);
	f->bus.udp.challenge = 0x1234567890ull;
	bus_unlock(&f->bus);
	do {
		mr_wait(f->client, 20);
		bus_lock(&f->bus);
		nonce = f->bus.udp.proof_nonce;
		bus_unlock(&f->bus);
	} while (nonce == 0);
	assert_int_equal(nonce, 0x1234567890ull);
	assert_int_equal(f->bus.udp.proof_secret, 0x5ec12e7);
	assert_int_equal(f->downs, 0);
}

static void close_sends_what_is_left_and_says_goodbye(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c;
	struct inbox in = {0};
	unsigned closes;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
	mr_cork(c, true);
	assert_int_equal(mr_publish(c, "a", "last", 4), 0);
	mr_close(c);
	PROCESS_UNTIL(f->client, in.count == 1);
	do {
		mr_wait(f->client, 20);
		bus_lock(&f->bus);
		closes = f->bus.udp.closes;
		bus_unlock(&f->bus);
	} while (closes == 0);
	assert_int_equal(closes, 1);
	assert_false(f->bus.sessions[1].open);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_that_make_no_sense_are_refused),
		TEST(missing_responder_is_reported_before_the_time_out),
		TEST(host_name_is_looked_up_and_its_addresses_are_tried),
		TEST(session_opens_whatever_is_lost_on_the_way),
		TEST(path_that_swallows_large_frames_gets_small_ones),
		TEST(session_that_opens_late_is_the_one_that_stays),
		TEST(corked_messages_fill_their_frames),
		TEST(messages_of_all_sizes_arrive_in_order),
		TEST(larger_than_a_frame_is_refused_with_the_limit),
		TEST(lost_frames_are_counted_on_both_sides),
		TEST(frame_that_comes_twice_is_taken_once),
		TEST(rubbish_from_the_bus_is_counted_and_harms_nothing),
		TEST(gap_is_reported),
		TEST(client_that_waits_sends_heartbeats),
		TEST(silence_of_the_bus_ends_the_session),
		TEST(bus_that_has_forgotten_the_session_closes_it_at_once),
		TEST(client_that_only_publishes_notices_the_end),
		TEST(challenge_is_answered_with_the_secret),
		TEST(close_sends_what_is_left_and_says_goodbye),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
