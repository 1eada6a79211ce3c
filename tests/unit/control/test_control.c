/* SPDX-License-Identifier: Apache-2.0 */
/* millrace-control as a process, between clients and a data plane that the test plays. */
#include "tests/unit/control/fake.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SESSION 0x0000000300000009ull /* worker 0 */

static struct fake fake;

static int set_up(void **state)
{
	(void)state;
	fake_init(&fake);
	fake_control_start(&fake);
	return 0;
}

static int set_up_both(void **state)
{
	(void)set_up(state);
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

/* Answers the next open-session request, with descriptors that the client can tell apart. */
static void open_session(const char *name, uint64_t session)
{
	struct mrf_link_session_opened v = {.session = session, .worker = 1};
	struct mrf_table m = fake_next(&fake);
	struct mrf_table t = mrf_link_message_body_as_link_open_session(m);
	int fds[MR_CHANNEL_FDS];
	struct mrf_builder b;
	uint64_t memory[32];

	assert_string_equal(mrf_link_open_session_name(t).data, name);
	assert_int_equal(mrf_link_open_session_uid(t), geteuid());
	assert_int_equal(mrf_link_open_session_pid(t), getpid());
	for (unsigned i = 0; i < MR_CHANNEL_FDS; i++)
		fds[i] = eventfd(i + 1, EFD_CLOEXEC | EFD_NONBLOCK);
	mrf_builder_init(&b, memory, sizeof(memory));
	fake_answer(&fake, mrf_link_message_id(m), &b, MRF_LINK_BODY_LINK_SESSION_OPENED,
		mrf_link_session_opened_write(&b, &v), fds, MR_CHANNEL_FDS);
	for (unsigned i = 0; i < MR_CHANNEL_FDS; i++)
		close(fds[i]);
}

static void expect_attached(int fd, uint64_t session)
{
	int fds[MR_CHANNEL_FDS];
	unsigned count;
	struct mrf_table t = fake_attach_receive(&fake, fd, fds, &count);

	assert_int_equal(mrf_attach_response_code(t), 0);
	assert_int_equal(mrf_attach_response_session(t), session);
	assert_int_equal(mrf_attach_response_worker(t), 1);
	assert_int_equal(mrf_attach_response_message_bytes_max(t), MR_MESSAGE_BYTES_MAX);
	assert_int_equal(mrf_attach_response_whole_bytes_max(t), 1 << 20);
	assert_int_equal(count, MR_CHANNEL_FDS);
	for (unsigned i = 0; i < count; i++) {
		uint64_t value;

		assert_int_equal(read(fds[i], &value, sizeof(value)), sizeof(value));
		assert_int_equal(value, i + 1);
		close(fds[i]);
	}
	fake_expect_eof(fd);
	close(fd);
}

static void expect_refused(int fd, int code, const char *text)
{
	int fds[MR_CHANNEL_FDS];
	unsigned count;
	struct mrf_table t = fake_attach_receive(&fake, fd, fds, &count);

	assert_int_equal(mrf_attach_response_code(t), code);
	assert_non_null(strstr(mrf_attach_response_text(t).data, text));
	assert_int_equal(count, 0);
	fake_expect_eof(fd);
	close(fd);
}

static void attach(const char *name, uint64_t session)
{
	int fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);

	fake_attach_send(fd, 1, name);
	open_session(name, session);
	expect_attached(fd, session);
}

static void attach_passes_the_session_on(void **state)
{
	(void)state;
	attach("one", 0x0100000500000007ull);
	attach("", 2);
	assert_int_equal(fake_counter(&fake, "control", "attach_accepted"), 2);
}

static void attach_waits_for_a_data_plane_that_comes(void **state)
{
	int fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);

	(void)state;
	fake_attach_send(fd, 1, "early");
	/* Admin answers come in the loop's order, so the request has been seen after this. */
	assert_int_equal(fake_counter(&fake, "control", "attach_connections"), 1);
	fake_dataplane_open(&fake, 1);
	fake_greet(&fake);
	open_session("early", 9);
	expect_attached(fd, 9);
}

static void attach_without_a_data_plane_is_refused_in_the_end(void **state)
{
	int fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);

	(void)state;
	fake_attach_send(fd, 1, "lonely");
	expect_refused(fd, -ENOTCONN, "data plane is not running");
	assert_int_equal(fake_counter(&fake, "control", "attach_refused_away"), 1);
}

static void attach_while_the_data_plane_dies_waits_for_the_next(void **state)
{
	int fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);

	(void)state;
	fake_attach_send(fd, 1, "patient");
	(void)fake_next(&fake);
	fake_dataplane_close(&fake);
	fake_dataplane_open(&fake, 1);
	fake_greet(&fake);
	open_session("patient", 4);
	expect_attached(fd, 4);
}

static void refusals_of_the_data_plane_reach_the_client(void **state)
{
	int fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);

	(void)state;
	fake_attach_send(fd, 1, "late");
	fake_answer_result(
		&fake, mrf_link_message_id(fake_next(&fake)), -ENOSPC, "no room for you");
	expect_refused(fd, -ENOSPC, "no room for you");
	assert_int_equal(fake_counter(&fake, "control", "attach_refused_full"), 1);
}

static void bad_attach_requests_get_a_reason(void **state)
{
	char name[65] = "";
	char huge[4096] = "";
	int fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);

	(void)state;
	assert_int_equal(send(fd, "garbage!", 8, 0), 8);
	expect_refused(fd, -EBADMSG, "not an attach request");
	fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);
	fake_attach_send(fd, 2, "x");
	expect_refused(fd, -EPROTO, "the client speaks version 2 of the attach exchange, bus");
	fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);
	fake_attach_send(fd, 1, "a\nb");
	expect_refused(fd, -EINVAL, "name");
	memset(name, 'x', 64);
	fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);
	fake_attach_send(fd, 1, name);
	expect_refused(fd, -EINVAL, "name");
	fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);
	assert_int_equal(send(fd, huge, sizeof(huge), 0), sizeof(huge));
	fake_expect_eof(fd);
	close(fd);
	assert_int_equal(fake_counter(&fake, "control", "attach_refused_malformed"), 5);
	attach("fine", 3);
}

static void silent_connections_do_not_keep_others_out(void **state)
{
	int fds[400];

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(fds); i++)
		fds[i] = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);
	for (unsigned i = 0; i < 20; i++)
		attach("honest", 100 + i);
	assert_true(fake_counter(&fake, "control", "attach_refused_busy") >= 300);
	/* The oldest silent connections were refused with a text. */
	expect_refused(fds[0], -EBUSY, "too many");
	for (unsigned i = 1; i < MR_ARRAY_COUNT(fds); i++)
		close(fds[i]);
	attach("later", 99);
}

static void clients_that_go_before_the_answer_leave_nothing(void **state)
{
	int fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);
	int ends[2];

	(void)state;
	fake_attach_send(fd, 1, "gone");
	struct mrf_table m = fake_next(&fake);
	uint64_t id = mrf_link_message_id(m);
	struct mrf_link_session_opened v = {.session = 5};
	struct mrf_builder b;
	uint64_t memory[32];

	close(fd);
	while (fake_counter(&fake, "control", "attach_hangups") == 0)
		;
	/* The descriptors of its answer are closed: the other end sees that. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	mrf_builder_init(&b, memory, sizeof(memory));
	fake_answer(&fake, id, &b, MRF_LINK_BODY_LINK_SESSION_OPENED,
		mrf_link_session_opened_write(&b, &v),
		(int[]){ends[1], ends[1], ends[1], ends[1], ends[1]}, MR_CHANNEL_FDS);
	close(ends[1]);
	fake_expect_eof(ends[0]);
	close(ends[0]);
	assert_int_equal(fake_counter(&fake, "control", "link_unmatched"), 1);
}

static void hand_subscribe(uint32_t correlation, const char *pattern, const char *group)
{
	struct mrf_subscribe_request v = {
		.subscription = 7, .pattern = mrf_str(pattern), .group = mrf_str(group)};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_client(&fake, 0, SESSION, correlation, &b, MRF_CLIENT_BODY_SUBSCRIBE_REQUEST,
		mrf_subscribe_request_write(&b, &v));
}

static struct mrf_table take_result(uint32_t correlation)
{
	uint64_t session;
	uint32_t target;
	struct mrf_table t = fake_take(&fake, 0, &session, &target);

	assert_int_equal(session, SESSION);
	assert_int_equal(target, correlation);
	assert_int_equal(mrf_client_message_body_type(t), MRF_CLIENT_BODY_RESULT);
	return mrf_client_message_body(t);
}

static void hand_subscribe_block(uint32_t correlation, uint8_t when_full, uint8_t high_water)
{
	struct mrf_subscribe_request v = {.subscription = 7,
		.pattern = mrf_str("a"),
		.when_full = when_full,
		.high_water = high_water};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_client(&fake, 0, SESSION, correlation, &b, MRF_CLIENT_BODY_SUBSCRIBE_REQUEST,
		mrf_subscribe_request_write(&b, &v));
}

static void when_full_of_a_subscription_is_passed_on_if_well_formed(void **state)
{
	struct mrf_table m, t;

	(void)state;
	hand_subscribe_block(41, MRF_WHEN_FULL_BLOCK, 75);
	m = fake_next(&fake);
	t = mrf_link_message_body_as_link_subscribe(m);
	assert_int_equal(mrf_link_subscribe_when_full(t), MRF_WHEN_FULL_BLOCK);
	assert_int_equal(mrf_link_subscribe_high_water(t), 75);
	fake_answer_result(&fake, mrf_link_message_id(m), 0, "");
	assert_int_equal(mrf_result_code(take_result(41)), 0);
	hand_subscribe_block(42, 2, 75);
	assert_int_equal(mrf_result_code(take_result(42)), -EINVAL);
	hand_subscribe_block(43, MRF_WHEN_FULL_BLOCK, 101);
	assert_int_equal(mrf_result_code(take_result(43)), -EINVAL);
}

static void subscribe_goes_to_the_data_plane_and_back(void **state)
{
	struct mrf_table m, t;

	(void)state;
	hand_subscribe(41, "orders.*.>", "workers");
	m = fake_next(&fake);
	t = mrf_link_message_body_as_link_subscribe(m);
	assert_int_equal(mrf_link_subscribe_session(t), SESSION);
	assert_int_equal(mrf_link_subscribe_subscription(t), 7);
	assert_string_equal(mrf_link_subscribe_pattern(t).data, "orders.*.>");
	assert_string_equal(mrf_link_subscribe_group(t).data, "workers");
	fake_answer_result(&fake, mrf_link_message_id(m), 0, "");
	assert_int_equal(mrf_result_code(take_result(41)), 0);
	hand_subscribe(42, "a", NULL);
	fake_answer_result(&fake, mrf_link_message_id(fake_next(&fake)), -ENOSPC, "table full");
	t = take_result(42);
	assert_int_equal(mrf_result_code(t), -ENOSPC);
	assert_string_equal(mrf_result_text(t).data, "table full");
}

static void flood_of_requests_leaves_room_for_those_of_others(void **state)
{
	enum { FLOOD = 1500 };
	uint64_t other = SESSION + (1ull << 32);
	unsigned asked = 0;
	struct mrf_unsubscribe_request v = {.subscription = 9};
	struct mrf_builder b;
	uint64_t memory[64], session;

	(void)state;
	for (uint32_t i = 0; i < FLOOD; i++)
		hand_subscribe(1 + i, "a.b", NULL);
	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_client(&fake, 0, other, 1, &b, MRF_CLIENT_BODY_UNSUBSCRIBE_REQUEST,
		mrf_unsubscribe_request_write(&b, &v));
	do {
		struct mrf_table m = fake_next(&fake);

		session = mrf_link_message_body_type(m) == MRF_LINK_BODY_LINK_UNSUBSCRIBE
				  ? mrf_link_unsubscribe_session(mrf_link_message_body(m))
				  : 0;
		asked++;
	} while (session != other);
	assert_true(asked < 500);
	assert_true(fake_counter(&fake, "control", "link_refused") >= FLOOD - 500);
}

static void hand_unsubscribe(uint64_t session)
{
	struct mrf_unsubscribe_request v = {.subscription = 9};
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_client(&fake, 0, session, 1, &b, MRF_CLIENT_BODY_UNSUBSCRIBE_REQUEST,
		mrf_unsubscribe_request_write(&b, &v));
}

/* The next request to the data plane. Returns its id. */
static uint64_t expect_unsubscribe(uint64_t session)
{
	struct mrf_table m = fake_next(&fake);

	assert_int_equal(mrf_link_message_body_type(m), MRF_LINK_BODY_LINK_UNSUBSCRIBE);
	assert_true(mrf_link_unsubscribe_session(mrf_link_message_body(m)) == session);
	return mrf_link_message_id(m);
}

/* Clients of far apart slots are counted apart, too. */
static void no_two_clients_share_a_limit(void **state)
{
	enum { MAX = 128, SLOTS = 65536, STEP = 1024 };
	uint64_t first = mr_session_id(0, 5, 1), ids[MAX], session;
	uint32_t correlation;

	(void)state;
	for (uint32_t i = 0; i < MAX; i++) {
		hand_unsubscribe(first);
		ids[i] = expect_unsubscribe(first);
	}
	hand_unsubscribe(first); /* refused */
	for (uint32_t slot = 5 + STEP; slot < SLOTS; slot += STEP) {
		hand_unsubscribe(mr_session_id(0, slot, 1));
		(void)expect_unsubscribe(mr_session_id(0, slot, 1));
	}
	assert_int_equal(fake_counter(&fake, "control", "link_refused"), 1);
	fake_answer_result(&fake, ids[0], 0, "");
	(void)fake_take(&fake, 0, &session, &correlation);
	hand_unsubscribe(first);
	(void)expect_unsubscribe(first);
}

static void sessions_of_one_peer_leave_the_link_to_another(void **state)
{
	enum { SHARE = 1024, EACH = 100 };
	uint64_t last = 0, session;
	uint32_t correlation;

	(void)state;
	fake.says_peer = true;
	fake.peer = UINT64_C(2) << 32 | 1000;
	for (uint32_t i = 0; i < SHARE; i++) {
		hand_unsubscribe(mr_session_id(0, i / EACH, 1));
		last = expect_unsubscribe(mr_session_id(0, i / EACH, 1));
	}
	hand_unsubscribe(mr_session_id(0, 40, 1));
	fake.peer = UINT64_C(2) << 32 | 1001;
	hand_unsubscribe(mr_session_id(0, 50, 1));
	(void)expect_unsubscribe(mr_session_id(0, 50, 1));
	assert_int_equal(fake_counter(&fake, "control", "link_refused_share"), 1);
	fake_answer_result(&fake, last, 0, "");
	(void)fake_take(&fake, 0, &session, &correlation);
	fake.peer = UINT64_C(2) << 32 | 1000;
	hand_unsubscribe(mr_session_id(0, 60, 1));
	(void)expect_unsubscribe(mr_session_id(0, 60, 1));
	fake.says_peer = false;
}

static void answers_find_their_requests_in_any_order(void **state)
{
	uint64_t ids[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		hand_subscribe(10 + i, "a.b", NULL);
		ids[i] = mrf_link_message_id(fake_next(&fake));
	}
	fake_answer_result(&fake, ids[2], -2, "");
	fake_answer_result(&fake, ids[2], -99, "said twice");
	fake_answer_result(&fake, 0xffffffffffull, -99, "never asked");
	fake_answer_result(&fake, ids[0], -10, "");
	fake_answer_result(&fake, ids[1], -11, "");
	assert_int_equal(mrf_result_code(take_result(12)), -2);
	assert_int_equal(mrf_result_code(take_result(10)), -10);
	assert_int_equal(mrf_result_code(take_result(11)), -11);
	assert_int_equal(fake_counter(&fake, "control", "link_unmatched"), 2);
}

static void bad_patterns_and_groups_do_not_reach_the_data_plane(void **state)
{
	static const struct {
		const char *pattern, *group, *text;
	} bad[] = {
		{"", NULL, "pattern: "},
		{"a..b", NULL, "pattern: "},
		{"a.>.b", NULL, "pattern: "},
		{"a", "", "group: "},
		{"a", "g\n", "group: "},
	};

	(void)state;
	for (uint32_t i = 0; i < MR_ARRAY_COUNT(bad); i++) {
		struct mrf_table t;

		hand_subscribe(50 + i, bad[i].pattern, bad[i].group);
		t = take_result(50 + i);
		assert_int_equal(mrf_result_code(t), -EINVAL);
		assert_non_null(strstr(mrf_result_text(t).data, bad[i].text));
	}
	assert_int_equal(fake_counter(&fake, "control", "handoff_invalid"), 5);
	assert_int_equal(fake_counter(&fake, "control", "link_requests"), 0);
}

static void aliases_are_got_and_given_back(void **state)
{
	struct mrf_alias_request ask = {.subject = mrf_str("a.b")};
	struct mrf_link_alias_acquired got = {.alias = 12};
	struct mrf_alias_release give = {.alias = 12};
	struct mrf_builder b;
	uint64_t memory[64], session;
	uint32_t correlation;
	struct mrf_table m, t;

	(void)state;
	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_client(&fake, 0, SESSION, 1, &b, MRF_CLIENT_BODY_ALIAS_REQUEST,
		mrf_alias_request_write(&b, &ask));
	m = fake_next(&fake);
	t = mrf_link_message_body_as_link_alias_acquire(m);
	assert_string_equal(mrf_link_alias_acquire_subject(t).data, "a.b");
	mrf_builder_init(&b, memory, sizeof(memory));
	fake_answer(&fake, mrf_link_message_id(m), &b, MRF_LINK_BODY_LINK_ALIAS_ACQUIRED,
		mrf_link_alias_acquired_write(&b, &got), NULL, 0);
	t = mrf_client_message_body_as_alias_response(fake_take(&fake, 0, &session, &correlation));
	assert_int_equal(mrf_alias_response_alias(t), 12);
	mrf_builder_init(&b, memory, sizeof(memory));
	fake_hand_client(&fake, 0, SESSION, 2, &b, MRF_CLIENT_BODY_ALIAS_RELEASE,
		mrf_alias_release_write(&b, &give));
	m = fake_next(&fake);
	t = mrf_link_message_body_as_link_alias_release(m);
	assert_int_equal(mrf_link_alias_release_alias(t), 12);
	fake_answer_result(&fake, mrf_link_message_id(m), 0, "");
	assert_int_equal(mrf_result_code(take_result(2)), 0);
}

static void pings_are_answered_on_the_worker_they_came_from(void **state)
{
	uint64_t session;
	uint32_t correlation;

	(void)state;
	for (unsigned worker = 0; worker < 2; worker++) {
		uint64_t id = mr_session_id(worker, 3, 9);
		struct mrf_table t;

		fake_hand_ping(&fake, worker, id, 60 + worker);
		t = mrf_client_message_body_as_pong(
			fake_take(&fake, worker, &session, &correlation));
		assert_int_equal(mrf_pong_sent_ns(t), 77);
		assert_true(mrf_pong_handled_ns(t) > 0);
		assert_int_equal(session, id);
		assert_int_equal(correlation, 60 + worker);
	}
}

static void expect_pong(uint32_t wanted)
{
	uint64_t session;
	uint32_t correlation;
	struct mrf_table t = fake_take(&fake, 0, &session, &correlation);

	assert_int_equal(mrf_client_message_body_type(t), MRF_CLIENT_BODY_PONG);
	assert_int_equal(correlation, wanted);
}

static void garbage_in_the_handoff_is_counted_and_answered_where_it_can_be(void **state)
{
	struct mrf_table t;

	(void)state;
	assert_true(fake_hand(&fake, 0, MRF_HANDOFF_REASON_CONTROL, SESSION,
		MRF_MESSAGE_KIND_CONTROL, 5, "garbage", 7));
	assert_true(fake_hand(&fake, 0, MRF_HANDOFF_REASON_CONTROL, SESSION,
		MRF_MESSAGE_KIND_CONTROL, 0, "garbage", 7));
	assert_true(fake_hand(&fake, 0, MRF_HANDOFF_REASON_UNKNOWN_KIND, SESSION, 99, 1, "x", 1));
	assert_true(fake_hand(&fake, 0, 17, SESSION, MRF_MESSAGE_KIND_CONTROL, 1, "x", 1));
	fake_flush(&fake, 0);
	t = take_result(5);
	assert_int_equal(mrf_result_code(t), -EBADMSG);
	fake_hand_ping(&fake, 0, SESSION, 6);
	expect_pong(6);
	assert_int_equal(fake_counter(&fake, "control", "handoff_malformed"), 3);
	assert_int_equal(fake_counter(&fake, "control", "handoff_unknown"), 1);
	assert_int_equal(fake_counter(&fake, "control", "handoff_records"), 5);
}

static void answers_without_room_are_dropped_and_counted(void **state)
{
	struct mr_bytes_consumer *c = &fake.workers[0].from_control;
	uint64_t dropped;

	(void)state;
	/* More pings than answers fit; each is handed over before the next. */
	for (uint32_t i = 0; i < 6000; i++) {
		while (mr_bytes_backlog(&fake.workers[0].to_control) > FAKE_RING_BYTES / 2)
			fake_flush(&fake, 0);
		fake_hand_ping(&fake, 0, SESSION, 1);
	}
	while (fake_counter(&fake, "control", "handoff_pings") < 6000)
		;
	dropped = fake_counter(&fake, "control", "handoff_answers_dropped");
	assert_true(dropped > 0);
	assert_int_equal(fake_counter(&fake, "control", "handoff_answers"), 6000 - dropped);
	mr_bytes_skip(c, mr_bytes_readable(c));
	(void)mr_bytes_release(c);
	fake_hand_ping(&fake, 0, SESSION, 2);
	expect_pong(2);
}

static void a_dead_data_plane_is_noticed_and_a_new_one_found(void **state)
{
	(void)state;
	/* A request that stays unanswered. */
	hand_subscribe(1, "a", NULL);
	(void)fake_next(&fake);
	for (unsigned i = 0; i < 3; i++) {
		fake_dataplane_close(&fake);
		fake_dataplane_open(&fake, 1 + i % 2);
		fake_greet(&fake);
		fake_hand_ping(&fake, 0, SESSION, i);
		expect_pong(i);
		attach("again", i + 1);
	}
	assert_int_equal(fake_counter(&fake, "control", "link_losses"), 3);
	assert_int_equal(fake_counter(&fake, "control", "link_connects"), 4);
}

static void a_killed_control_comes_back_and_goes_on(void **state)
{
	(void)state;
	fake_hand_ping(&fake, 0, SESSION, 1);
	expect_pong(1);
	assert_int_equal(fake_control_end(&fake, SIGKILL), -SIGKILL);
	/* Handed over while control is away: it waits in the ring. */
	fake_hand_ping(&fake, 0, SESSION, 2);
	fake_hand_ping(&fake, 0, SESSION, 3);
	fake_control_start(&fake);
	fake_greet(&fake);
	expect_pong(2);
	expect_pong(3);
	attach("again", 1);
}

static void two_controls_do_not_share_a_directory(void **state)
{
	(void)state;
	assert_int_equal(fake_control_once(&fake, NULL), 1);
	assert_int_equal(fake_control_once(&fake, "workers.count=none"), 2);
	fake_hand_ping(&fake, 0, SESSION, 1);
	expect_pong(1);
}

static void a_ring_that_makes_no_sense_cuts_the_link(void **state)
{
	(void)state;
	atomic_store(&fake.workers[0].to_control.shared->tail, UINT64_MAX / 2 + 3);
	atomic_store(&fake.workers[0].to_control.shared->asleep, 0);
	mr_peer_bell_ring(fake.workers[0].channel.peer_bell_fd);
	fake_expect_link_closed(&fake);
	fake_dataplane_close(&fake);
	fake_dataplane_open(&fake, 1);
	fake_greet(&fake);
	fake_hand_ping(&fake, 0, SESSION, 1);
	expect_pong(1);
	assert_int_equal(fake_counter(&fake, "control", "handoff_corrupt"), 1);
}

static void a_data_plane_that_sends_malformed_packets_is_left_and_tried_again(void **state)
{
	(void)state;
	assert_int_equal(send(fake.link_fd, "nonsense", 8, 0), 8);
	fake_expect_link_closed(&fake);
	fake.stats->worker_offset = 1u << 30; /* outside of the memory */
	fake_greet(&fake);
	fake_expect_link_closed(&fake);
	fake.stats->worker_offset = 256;
	fake_greet(&fake);
	fake_hand_ping(&fake, 0, SESSION, 1);
	expect_pong(1);
	assert_int_equal(fake_counter(&fake, "control", "link_malformed"), 2);
}

static void counters_that_an_older_data_plane_does_not_have_are_0(void **state)
{
	uint64_t *counters;

	(void)state;
	fake_dataplane_open(&fake, 1);
	counters = (uint64_t *)((char *)fake.stats + FAKE_WORKER_OFFSET);
	for (size_t i = 0; i < FAKE_WORKER_STRIDE / sizeof(*counters); i++)
		counters[i] = 5;
	fake.stats->worker_stride = offsetof(struct mrf_worker_stats, drop_copies);
	fake_greet(&fake);
	fake_hand_ping(&fake, 0, SESSION, 1);
	expect_pong(1);
	assert_int_equal(fake_counter(&fake, "worker", "loops"), 5);
	assert_int_equal(fake_counter(&fake, "worker", "drop_copies"), 0);
}

#define STRANGER 64001
#define FRIEND   64002
#define CLUB     64003

/* Attaches as another user, with `group` as a supplementary group; the negated code of the answer
 * is the child's exit status. */
static int attach_as(uid_t uid, gid_t group)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		int fds[MR_CHANNEL_FDS];
		unsigned count;
		int fd;

		if (setgroups(1, &group) < 0 || setresgid(STRANGER, STRANGER, STRANGER) < 0 ||
			setresuid(uid, uid, uid) < 0)
			_exit(255);
		fd = fake_connect(&fake, "attach.sock", SOCK_SEQPACKET);
		fake_attach_send(fd, 1, "other");
		_exit(-mrf_attach_response_code(fake_attach_receive(&fake, fd, fds, &count)));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void only_users_that_the_configuration_names_may_attach(void **state)
{
	char set[64];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(fake.dir, 0711), 0);
	fake_control_start_with(&fake, "access.anyone=true");
	assert_int_equal(attach_as(STRANGER, STRANGER), -ENOTCONN);
	assert_int_equal(fake_control_end(&fake, SIGTERM), 0);
	snprintf(set, sizeof(set), "access.users=%u", FRIEND);
	fake_control_start_with(&fake, set);
	assert_int_equal(attach_as(STRANGER, STRANGER), -EACCES);
	assert_int_equal(attach_as(FRIEND, STRANGER), -ENOTCONN);
	assert_int_equal(fake_counter(&fake, "control", "attach_refused_access"), 1);
	assert_int_equal(fake_control_end(&fake, SIGTERM), 0);
	snprintf(set, sizeof(set), "access.groups=%u", CLUB);
	fake_control_start_with(&fake, set);
	assert_int_equal(attach_as(STRANGER, STRANGER), -EACCES);
	assert_int_equal(attach_as(STRANGER, CLUB), -ENOTCONN);
}

static int set_up_nothing(void **state)
{
	(void)state;
	fake_init(&fake);
	return 0;
}

int main(void)
{
#define TEST(name)       cmocka_unit_test_setup_teardown(name, set_up_both, tear_down)
#define TEST_ALONE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(attach_passes_the_session_on),
		TEST_ALONE(attach_waits_for_a_data_plane_that_comes),
		TEST_ALONE(attach_without_a_data_plane_is_refused_in_the_end),
		TEST(attach_while_the_data_plane_dies_waits_for_the_next),
		TEST(refusals_of_the_data_plane_reach_the_client),
		TEST(bad_attach_requests_get_a_reason),
		TEST(silent_connections_do_not_keep_others_out),
		TEST(clients_that_go_before_the_answer_leave_nothing),
		TEST(subscribe_goes_to_the_data_plane_and_back),
		TEST(when_full_of_a_subscription_is_passed_on_if_well_formed),
		TEST(flood_of_requests_leaves_room_for_those_of_others),
		TEST(no_two_clients_share_a_limit),
		TEST(sessions_of_one_peer_leave_the_link_to_another),
		TEST(answers_find_their_requests_in_any_order),
		TEST(bad_patterns_and_groups_do_not_reach_the_data_plane),
		TEST(aliases_are_got_and_given_back),
		TEST(pings_are_answered_on_the_worker_they_came_from),
		TEST(garbage_in_the_handoff_is_counted_and_answered_where_it_can_be),
		TEST(answers_without_room_are_dropped_and_counted),
		TEST(a_dead_data_plane_is_noticed_and_a_new_one_found),
		TEST(a_killed_control_comes_back_and_goes_on),
		TEST(two_controls_do_not_share_a_directory),
		TEST(a_ring_that_makes_no_sense_cuts_the_link),
		TEST(a_data_plane_that_sends_malformed_packets_is_left_and_tried_again),
		TEST_ALONE(counters_that_an_older_data_plane_does_not_have_are_0),
		cmocka_unit_test_setup_teardown(only_users_that_the_configuration_names_may_attach,
			set_up_nothing, tear_down),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
