/* SPDX-License-Identifier: Apache-2.0 */
/* The admin socket of a real millrace-control. */
#include "tests/unit/control/fake.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fake fake;
static void *memory;

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
	free(memory);
	memory = NULL;
	return 0;
}

static int connect_admin(void)
{
	return fake_connect(&fake, "admin.sock", SOCK_STREAM);
}

static struct mrf_table receive(int fd)
{
	free(memory);
	return fake_admin_receive(&fake, fd, &memory);
}

static void expect_result(int fd, int code)
{
	struct mrf_table t = mrf_admin_response_body_as_admin_result(receive(fd));

	assert_false(mrf_table_is_empty(t));
	assert_int_equal(mrf_admin_result_code(t), code);
}

static void status_tells_about_both_processes(void **state)
{
	struct mrf_table_stats *table = fake_table_stats(&fake);
	int fd = connect_admin();
	struct mrf_table t;

	(void)state;
	table->sessions = 3;
	table->subscriptions = 4;
	/* The welcome may still be on its way. */
	do {
		fake_admin_send(fd, MRF_ADMIN_VERB_STATUS, 0);
		t = mrf_admin_response_body_as_admin_status(receive(fd));
	} while (!mrf_admin_status_dataplane_connected(t));
	assert_int_equal(mrf_admin_status_control_pid(t), fake.control);
	assert_int_equal(mrf_admin_status_dataplane_pid(t), 4711);
	assert_string_equal(mrf_admin_status_dataplane_version(t).data, "fake");
	assert_string_equal(mrf_admin_status_run_dir(t).data, fake.dir);
	assert_int_equal(mrf_admin_status_workers(t), 2);
	assert_int_equal(mrf_admin_status_sessions(t), 3);
	assert_int_equal(mrf_admin_status_subscriptions(t), 4);
	close(fd);
}

static void without_a_data_plane_status_and_counters_still_answer(void **state)
{
	int fd = connect_admin();
	struct mrf_table t;

	(void)state;
	fake_admin_send(fd, MRF_ADMIN_VERB_STATUS, 0);
	t = mrf_admin_response_body_as_admin_status(receive(fd));
	assert_false(mrf_table_is_empty(t));
	assert_false(mrf_admin_status_dataplane_connected(t));
	fake_admin_send(fd, MRF_ADMIN_VERB_COUNTERS, 0);
	assert_false(mrf_table_is_empty(mrf_admin_response_body_as_admin_counters(receive(fd))));
	fake_admin_send(fd, MRF_ADMIN_VERB_WORKERS, 0);
	expect_result(fd, -ENOTCONN);
	fake_admin_send(fd, MRF_ADMIN_VERB_CLIENTS, 0);
	expect_result(fd, -ENOTCONN);
	fake_admin_send(fd, MRF_ADMIN_VERB_KICK, 1);
	expect_result(fd, -ENOTCONN);
	close(fd);
}

/* Pings go through the same loop, so all earlier packets on the link have been seen. */
static void settle(void)
{
	uint64_t session;
	uint32_t correlation;

	fake_hand_ping(&fake, 0, 1, 1);
	(void)fake_take(&fake, 0, &session, &correlation);
}

static void workers_and_counters_are_read_from_the_shared_memory(void **state)
{
	struct mrf_worker_stats *second = fake_worker_stats(&fake, 1);
	int fd = connect_admin();
	struct mrf_table t, row;

	(void)state;
	settle();
	second->published = 0x123456789abcull;
	second->channel_corrupt = 5;
	fake_admin_send(fd, MRF_ADMIN_VERB_WORKERS, 0);
	t = mrf_admin_response_body_as_admin_workers(receive(fd));
	assert_int_equal(mrf_admin_workers_rows_count(t), 2);
	assert_int_equal(mrf_admin_workers_tsc_hz(t), 1000000000);
	row = mrf_admin_workers_rows_at(t, 1);
	assert_int_equal(mrf_admin_worker_worker(row), 1);
	assert_int_equal(mrf_admin_worker_cpu(row), -1);
	assert_int_equal(mrf_admin_worker_stats(row).published, 0x123456789abcull);
	fake_worker_stats(&fake, 0)->drop_unrouted = 8;
	assert_int_equal(fake_counter(&fake, "worker", "drop_unrouted"), 8);
	fake_table_stats(&fake)->worker_stalls = 6;
	assert_int_equal(fake_counter(&fake, "table", "worker_stalls"), 6);
	close(fd);
}

static void send_sessions(uint64_t id, uint64_t first, uint32_t count, bool last)
{
	struct mrf_link_sessions v = {.last = last};
	static uint64_t space[8000];
	struct mrf_builder b;
	uint32_t rows[128];

	mrf_builder_init(&b, space, sizeof(space));
	for (uint32_t i = 0; i < count; i++) {
		struct mrf_session_row row = {
			.session = first + i, .name = mrf_str("somebody"), .uid = 5};

		rows[i] = mrf_session_row_write(&b, &row);
	}
	v.rows = rows;
	v.rows_count = count;
	fake_answer(&fake, id, &b, MRF_LINK_BODY_LINK_SESSIONS, mrf_link_sessions_write(&b, &v),
		NULL, 0);
}

static void clients_are_gathered_from_several_packets(void **state)
{
	struct mrf_session_stats *s = fake_session_stats(&fake, 0, 3);
	uint64_t known = mr_session_id(0, 3, 100);
	int fd = connect_admin();
	struct mrf_table t, row;
	uint64_t id;

	(void)state;
	settle();
	s->session = known;
	s->missed = 44;
	fake_admin_send(fd, MRF_ADMIN_VERB_CLIENTS, 0);
	id = mrf_link_message_id(fake_next(&fake));
	send_sessions(id, known, 100, false);
	send_sessions(id, 7000, 100, false);
	send_sessions(id, 9000, 0, true);
	t = mrf_admin_response_body_as_admin_clients(receive(fd));
	assert_int_equal(mrf_admin_clients_rows_count(t), 200);
	row = mrf_admin_clients_rows_at(t, 0);
	assert_string_equal(mrf_session_row_name(mrf_admin_client_row(row)).data, "somebody");
	assert_int_equal(mrf_admin_client_stats(row).missed, 44);
	row = mrf_admin_clients_rows_at(t, 150);
	assert_int_equal(mrf_session_row_session(mrf_admin_client_row(row)), 7050);
	assert_false(mrf_admin_client_has_stats(row));
	close(fd);
}

static void a_listing_that_breaks_off_is_an_error(void **state)
{
	int fd = connect_admin();
	uint64_t id;

	(void)state;
	settle();
	fake_admin_send(fd, MRF_ADMIN_VERB_CLIENTS, 0);
	id = mrf_link_message_id(fake_next(&fake));
	send_sessions(id, 1, 100, false);
	fake_dataplane_close(&fake);
	expect_result(fd, -ENOTCONN);
	fake_admin_send(fd, MRF_ADMIN_VERB_STATUS, 0);
	assert_false(mrf_table_is_empty(mrf_admin_response_body_as_admin_status(receive(fd))));
	close(fd);
}

static void listings_of_a_client_that_left_are_thrown_away(void **state)
{
	int fd = connect_admin();
	uint64_t id;

	(void)state;
	settle();
	fake_admin_send(fd, MRF_ADMIN_VERB_CLIENTS, 0);
	id = mrf_link_message_id(fake_next(&fake));
	send_sessions(id, 1, 10, false);
	close(fd);
	send_sessions(id, 1, 10, false);
	send_sessions(id, 1, 10, true);
	settle();
	fd = connect_admin();
	fake_admin_send(fd, MRF_ADMIN_VERB_SUBJECTS, 0);
	id = mrf_link_message_id(fake_next(&fake));
	struct mrf_subscription_row row = {.session = 9,
		.subscription = 2,
		.pattern = mrf_str("a.>"),
		.kind = MRF_SUBSCRIPTION_KIND_PREFIX};
	struct mrf_link_subscriptions v = {.rows_count = 1, .last = true};
	struct mrf_builder b;
	uint64_t space[128];
	struct mrf_table t;

	mrf_builder_init(&b, space, sizeof(space));
	v.rows = (uint32_t[]){mrf_subscription_row_write(&b, &row)};
	fake_answer(&fake, id, &b, MRF_LINK_BODY_LINK_SUBSCRIPTIONS,
		mrf_link_subscriptions_write(&b, &v), NULL, 0);
	t = mrf_admin_response_body_as_admin_subjects(receive(fd));
	assert_int_equal(mrf_admin_subjects_rows_count(t), 1);
	t = mrf_admin_subjects_rows_at(t, 0);
	assert_string_equal(mrf_subscription_row_pattern(t).data, "a.>");
	assert_int_equal(mrf_subscription_row_kind(t), MRF_SUBSCRIPTION_KIND_PREFIX);
	assert_false(mrf_subscription_row_has_group(t));
	close(fd);
}

static void kick_closes_the_named_session(void **state)
{
	int fd = connect_admin();
	struct mrf_table m, t;

	(void)state;
	settle();
	fake_admin_send(fd, MRF_ADMIN_VERB_KICK, 0x77);
	m = fake_next(&fake);
	t = mrf_link_message_body_as_link_close_session(m);
	assert_int_equal(mrf_link_close_session_session(t), 0x77);
	fake_answer_result(&fake, mrf_link_message_id(m), 0, "");
	expect_result(fd, 0);
	fake_admin_send(fd, MRF_ADMIN_VERB_KICK, 0x78);
	fake_answer_result(
		&fake, mrf_link_message_id(fake_next(&fake)), -ENOENT, "no such session");
	expect_result(fd, -ENOENT);
	close(fd);
}

static void requests_in_one_go_are_answered_in_order(void **state)
{
	int fd = connect_admin();

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		fake_admin_send(fd, MRF_ADMIN_VERB_STATUS, 0);
		fake_admin_send(fd, 200, 0);
	}
	for (unsigned i = 0; i < 50; i++) {
		assert_false(
			mrf_table_is_empty(mrf_admin_response_body_as_admin_status(receive(fd))));
		expect_result(fd, -ENOSYS);
	}
	close(fd);
}

static void garbage_ends_the_connection_with_an_error(void **state)
{
	static const struct {
		uint32_t length;
		int code;
	} bad[] = {{8, -EBADMSG}, {0, -EMSGSIZE}, {65537, -EMSGSIZE}, {UINT32_MAX, -EMSGSIZE}};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_COUNT(bad); i++) {
		int fd = connect_admin();

		assert_int_equal(send(fd, &bad[i].length, 4, MSG_NOSIGNAL), 4);
		if (bad[i].length == 8)
			assert_int_equal(send(fd, "nonsense", 8, MSG_NOSIGNAL), 8);
		expect_result(fd, bad[i].code);
		fake_expect_eof(fd);
		close(fd);
	}
	assert_int_equal(fake_counter(&fake, "control", "admin_malformed"), 4);
}

static void idle_connections_make_room_for_new_ones(void **state)
{
	int fds[60];

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(fds); i++)
		fds[i] = connect_admin();
	assert_true(fake_counter(&fake, "control", "admin_refused_busy") >= 44);
	/* The first ones were closed, the last one is served. */
	fake_expect_eof(fds[0]);
	fake_admin_send(fds[59], MRF_ADMIN_VERB_STATUS, 0);
	assert_false(mrf_table_is_empty(mrf_admin_response_body_as_admin_status(receive(fds[59]))));
	for (unsigned i = 0; i < MR_ARRAY_COUNT(fds); i++)
		close(fds[i]);
}

/* True once the socket takes no more: the answers to its requests are not read. */
static bool fill_with_requests(int fd)
{
	const struct mrf_admin_request v = {.verb = MRF_ADMIN_VERB_COUNTERS};
	struct mrf_builder b;
	uint64_t space[32];
	uint8_t packet[128];
	const void *data;
	uint32_t length;
	size_t bytes;

	mrf_builder_init(&b, space, sizeof(space));
	assert_int_equal(mrf_builder_finish(&b, mrf_admin_request_write(&b, &v), &data, &bytes), 0);
	length = (uint32_t)bytes;
	memcpy(packet, &length, sizeof(length));
	memcpy(packet + sizeof(length), data, bytes);
	for (unsigned i = 0; i < 1000000; i++) {
		if (send(fd, packet, sizeof(length) + bytes, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			return errno == EAGAIN;
	}
	return false;
}

static void a_peer_that_does_not_read_is_no_burden_to_others(void **state)
{
	int fd = connect_admin();
	uint64_t before;

	(void)state;
	assert_true(fill_with_requests(fd));
	before = fake_counter(&fake, "control", "admin_requests");
	for (unsigned i = 0; i < 10; i++)
		(void)fake_counter(&fake, "control", "admin_requests");
	/* Requests of the peer wait until it reads; a few may still have been in flight. */
	assert_true(fake_counter(&fake, "control", "admin_requests") - before < 1000);
	close(fd);
}

static void the_socket_is_for_the_bus_own_user(void **state)
{
	char path[128];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/admin.sock", fake.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(path, sizeof(path), "%s/attach.sock", fake.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

int main(void)
{
#define TEST(name)       cmocka_unit_test_setup_teardown(name, set_up_both, tear_down)
#define TEST_ALONE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(status_tells_about_both_processes),
		TEST_ALONE(without_a_data_plane_status_and_counters_still_answer),
		TEST(workers_and_counters_are_read_from_the_shared_memory),
		TEST(clients_are_gathered_from_several_packets),
		TEST(a_listing_that_breaks_off_is_an_error),
		TEST(listings_of_a_client_that_left_are_thrown_away),
		TEST(kick_closes_the_named_session),
		TEST_ALONE(requests_in_one_go_are_answered_in_order),
		TEST_ALONE(garbage_ends_the_connection_with_an_error),
		TEST_ALONE(idle_connections_make_room_for_new_ones),
		TEST_ALONE(a_peer_that_does_not_read_is_no_burden_to_others),
		TEST_ALONE(the_socket_is_for_the_bus_own_user),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
