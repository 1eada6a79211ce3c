/* SPDX-License-Identifier: Apache-2.0 */
/* Hellos of clients over UDP, as workers hand them to a real millrace-control. */
#include "tests/unit/control/fake.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define NONCE   0x1122334455667788ull
#define SECRET  0x99aabbccddeeff00ull
#define SESSION mr_session_id(1, 300, 77)

static struct fake fake;

static int set_up(void **state)
{
	(void)state;
	fake_init(&fake);
	fake_control_start_with(&fake, "access.networks=10.0.0.0/8");
	fake_dataplane_open(&fake, 2);
	fake_greet(&fake);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_fini(&fake);
	return 0;
}

/* From 10.0.x.y: each number is another host. */
static struct fake_hello hello_of(uint32_t number)
{
	uint8_t peer[16] = {[10] = 0xff,
		[11] = 0xff,
		[12] = 10,
		[14] = (uint8_t)(number >> 8),
		[15] = (uint8_t)number};
	struct fake_hello h = {
		.path = {.peer_mac = 0x020000000002,
			.peer_udp_port = 40000,
			.local_udp_port = 7400},
		.nonce = NONCE + number,
		.frame_bytes = 1400,
		.version = 1,
		.name = "far away",
	};

	memcpy(&h.path.peer_0, peer, sizeof(peer));
	return h;
}

static void hand(unsigned worker, const struct fake_hello *h)
{
	assert_true(fake_hand_hello(&fake, worker, h));
	fake_flush(&fake, worker);
}

/* Waits until everything handed over before has been looked at. */
static void settle(unsigned worker)
{
	struct fake_taken t;

	fake_hand_ping(&fake, worker, mr_session_id(worker, 1, 1), 1);
	fake_take_any(&fake, worker, &t);
	assert_int_equal(mrf_client_message_body_type(t.message), MRF_CLIENT_BODY_PONG);
}

static uint64_t expect_question(const struct fake_hello *h, unsigned worker)
{
	struct mrf_table m = fake_next(&fake);
	struct mrf_table t = mrf_link_message_body_as_link_open_remote(m);
	struct mrf_network_path path = mrf_link_open_remote_path(t);

	assert_false(mrf_table_is_empty(t));
	assert_int_equal(mrf_link_open_remote_worker(t), worker);
	assert_memory_equal(&path, &h->path, sizeof(path));
	assert_int_equal(mrf_link_open_remote_nonce(t), h->nonce);
	assert_int_equal(mrf_link_open_remote_frame_bytes(t), h->frame_bytes);
	assert_string_equal(mrf_link_open_remote_name(t).data, h->name);
	return mrf_link_message_id(m);
}

static void answer(uint64_t id)
{
	struct mrf_link_session_opened v = {.session = SESSION,
		.worker = 1,
		.secret = SECRET,
		.frame_bytes = 1384,
		.credit = 5};
	struct mrf_builder b;
	uint64_t memory[32];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_answer(&fake, id, &b, MRF_LINK_BODY_LINK_SESSION_OPENED,
		mrf_link_session_opened_write(&b, &v), NULL, 0);
}

static void expect_welcome(uint64_t nonce)
{
	struct fake_taken taken;
	struct mrf_table t;

	fake_take_any(&fake, 1, &taken);
	t = mrf_client_message_body_as_welcome(taken.message);
	assert_int_equal(taken.header.reason, MRF_HANDOFF_REASON_WELCOME);
	assert_int_equal(taken.header.session, SESSION);
	assert_int_equal(mrf_welcome_nonce(t), nonce);
	assert_int_equal(mrf_welcome_session(t), SESSION);
	assert_int_equal(mrf_welcome_secret(t), SECRET);
	assert_int_equal(mrf_welcome_worker(t), 1);
	assert_int_equal(mrf_welcome_frame_bytes(t), 1384);
	assert_int_equal(mrf_welcome_heartbeat_ms(t), 2500);
	assert_int_equal(mrf_welcome_missed_max(t), 3);
	assert_int_equal(mrf_welcome_credit(t), 5);
	assert_int_equal(mrf_welcome_message_bytes_max(t), 1048576);
	assert_true(mrf_welcome_server_version(t).bytes > 0);
}

static void expect_refusal(unsigned worker, const struct fake_hello *h, int code, const char *text)
{
	struct fake_taken taken;
	struct mrf_table t;

	fake_take_any(&fake, worker, &taken);
	t = mrf_client_message_body_as_refusal(taken.message);
	assert_int_equal(taken.header.reason, MRF_HANDOFF_REASON_REFUSE);
	assert_int_equal(taken.header.session, 0);
	assert_memory_equal(&taken.path, &h->path, sizeof(taken.path));
	assert_int_equal(mrf_refusal_nonce(t), h->nonce);
	assert_int_equal(mrf_refusal_code(t), code);
	assert_non_null(strstr(mrf_refusal_text(t).data, text));
}

static void a_good_hello_is_welcomed_by_the_worker_of_its_session(void **state)
{
	struct fake_hello h = hello_of(1);

	(void)state;
	hand(0, &h);
	answer(expect_question(&h, 0));
	expect_welcome(h.nonce);
	assert_int_equal(fake_counter(&fake, "control", "hello_welcomed"), 1);
}

static void repeats_of_an_open_question_are_not_asked_again(void **state)
{
	struct fake_hello h = hello_of(1), other = hello_of(2);
	uint64_t id;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		hand(1, &h);
	id = expect_question(&h, 1);
	/* Another router on the way does not make another client. */
	h.path.peer_mac++;
	hand(1, &h);
	settle(1);
	assert_int_equal(fake_counter(&fake, "control", "hello_waiting"), 10);
	hand(1, &other);
	answer(expect_question(&other, 1));
	expect_welcome(other.nonce);
	answer(id);
	expect_welcome(h.nonce);
	/* The Welcome was lost: the next hello causes the same request, and gets the same
	 * answer. */
	hand(1, &h);
	answer(expect_question(&h, 1));
	expect_welcome(h.nonce);
}

static void hellos_that_are_refused_get_a_reason(void **state)
{
	static const char too_long[65] =
		"a123456789b123456789c123456789d123456789e123456789f12345678"
		"9g123";
	struct fake_hello h = hello_of(7);

	(void)state;
	h.version = 2;
	hand(0, &h);
	expect_refusal(0, &h, -EPROTO, "version 1");
	h = hello_of(8);
	h.name = too_long;
	hand(1, &h);
	expect_refusal(1, &h, -EINVAL, "name");
	h.name = "a\nb";
	hand(1, &h);
	expect_refusal(1, &h, -EINVAL, "name");
	h = hello_of(9);
	h.path.peer_1 ^= 1ull << 32; /* 11.0.0.9 */
	hand(0, &h);
	expect_refusal(0, &h, -EACCES, "access.networks");
	assert_int_equal(fake_counter(&fake, "control", "hello_refused"), 4);
	assert_int_equal(fake_counter(&fake, "control", "link_requests"), 0);
}

static void refusals_of_the_data_plane_reach_the_client(void **state)
{
	struct fake_hello h = hello_of(1);

	(void)state;
	hand(0, &h);
	fake_answer_result(&fake, expect_question(&h, 0), -ENOSPC, "no room for you");
	expect_refusal(0, &h, -ENOSPC, "no room for you");
	assert_int_equal(fake_counter(&fake, "control", "hello_refused_full"), 1);
	/* Its place is free for the next attempt. */
	hand(0, &h);
	answer(expect_question(&h, 0));
	expect_welcome(h.nonce);
}

static void nonsense_is_counted_and_answered_if_it_can_be(void **state)
{
	struct fake_hello h = hello_of(1);
	struct mrf_hello_head head = {.nonce = h.nonce};
	uint8_t payload[64] = {0};

	(void)state;
	/* Too short for a nonce; no nonce; not a hello at all. */
	assert_true(fake_hand_hello_bytes(
		&fake, 0, &h.path, MRF_MESSAGE_KIND_HELLO, &head, sizeof(head) - 8));
	assert_true(fake_hand_hello_bytes(
		&fake, 0, &h.path, MRF_MESSAGE_KIND_HELLO, payload, sizeof(payload)));
	assert_true(fake_hand_hello_bytes(
		&fake, 0, &h.path, MRF_MESSAGE_KIND_PUBLISH, payload, sizeof(payload)));
	h.nonce = 0;
	hand(0, &h);
	settle(0);
	assert_int_equal(fake_counter(&fake, "control", "hello_malformed"), 4);
	/* A nonce, and then no hello. */
	h.nonce = head.nonce;
	memcpy(payload, &head, sizeof(head));
	assert_true(fake_hand_hello_bytes(
		&fake, 0, &h.path, MRF_MESSAGE_KIND_HELLO, payload, sizeof(payload)));
	fake_flush(&fake, 0);
	expect_refusal(0, &h, -EBADMSG, "not a hello");
	assert_true(fake_hand_hello_bytes(
		&fake, 0, &h.path, MRF_MESSAGE_KIND_HELLO, payload, sizeof(head)));
	fake_flush(&fake, 0);
	expect_refusal(0, &h, -EBADMSG, "not a hello");
	assert_int_equal(fake_counter(&fake, "control", "link_requests"), 0);
}

static void records_that_end_early_do_no_harm(void **state)
{
	static const uint8_t zeros[64];

	(void)state;
	/* A record of a hello without room for a path. */
	assert_true(fake_hand(
		&fake, 0, MRF_HANDOFF_REASON_HELLO, 0, MRF_MESSAGE_KIND_HELLO, 0, zeros, 24));
	fake_flush(&fake, 0);
	settle(0);
	assert_int_equal(fake_counter(&fake, "control", "hello_malformed"), 1);
}

static void a_flood_is_bounded_and_leaves_room_for_clients(void **state)
{
	enum { FLOOD = 6000 };
	struct mrf_unsubscribe_request v = {.subscription = 9};
	struct mrf_builder b;
	uint64_t memory[64];
	unsigned asked = 0;

	(void)state;
	for (uint32_t i = 0; i < FLOOD; i++) {
		struct fake_hello h = hello_of(i);

		while (!fake_hand_hello(&fake, i % 2, &h))
			fake_flush(&fake, i % 2);
		fake_flush(&fake, i % 2);
	}
	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_client(&fake, 0, mr_session_id(0, 3, 9), 1, &b,
		MRF_CLIENT_BODY_UNSUBSCRIBE_REQUEST, mrf_unsubscribe_request_write(&b, &v));
	while (mrf_link_message_body_type(fake_next(&fake)) != MRF_LINK_BODY_LINK_UNSUBSCRIBE)
		asked++;
	assert_in_range(asked, 500, 1024);
	settle(1);
	assert_int_equal(fake_counter(&fake, "control", "hello_received"), FLOOD);
	assert_true(fake_counter(&fake, "control", "hello_waiting") >= FLOOD - 1024);
}

static void questions_end_with_the_data_plane(void **state)
{
	struct fake_hello h = hello_of(1);

	(void)state;
	hand(0, &h);
	(void)expect_question(&h, 0);
	fake_dataplane_close(&fake);
	fake_dataplane_open(&fake, 2);
	fake_greet(&fake);
	hand(0, &h);
	answer(expect_question(&h, 0));
	expect_welcome(h.nonce);
}

static void a_new_control_takes_up_where_the_old_one_was(void **state)
{
	struct fake_hello h = hello_of(1);

	(void)state;
	hand(0, &h);
	(void)expect_question(&h, 0);
	assert_int_equal(fake_control_end(&fake, SIGKILL), -SIGKILL);
	fake_control_start_with(&fake, "access.networks=10.0.0.0/8");
	fake_greet(&fake);
	hand(0, &h);
	answer(expect_question(&h, 0));
	expect_welcome(h.nonce);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_good_hello_is_welcomed_by_the_worker_of_its_session),
		TEST(repeats_of_an_open_question_are_not_asked_again),
		TEST(hellos_that_are_refused_get_a_reason),
		TEST(refusals_of_the_data_plane_reach_the_client),
		TEST(nonsense_is_counted_and_answered_if_it_can_be),
		TEST(records_that_end_early_do_no_harm),
		TEST(a_flood_is_bounded_and_leaves_room_for_clients),
		TEST(questions_end_with_the_data_plane),
		TEST(a_new_control_takes_up_where_the_old_one_was),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
