/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of sessions that ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "control/session/ended.h"

static uint64_t memory[256];
static struct mrf_builder builder;
static struct mr_ended *ended;

static int setup(void **state)
{
	(void)state;
	ended = calloc(1, sizeof(*ended));
	return ended ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(ended);
	return 0;
}

/* Adds a session that ended with a reason, as the data plane would tell it. */
static void add(const struct mrf_session_row *row, const char *reason)
{
	struct mrf_link_session_closed v = {.session = row->session, .reason = mrf_str(reason)};
	struct mrf_link_message m = {.body_type = MRF_LINK_BODY_LINK_SESSION_CLOSED};
	struct mrf_table parsed;
	const void *data;
	size_t bytes;

	mrf_builder_init(&builder, memory, sizeof(memory));
	v.row = mrf_session_row_write(&builder, row);
	m.body = mrf_link_session_closed_write(&builder, &v);
	assert_int_equal(
		mrf_builder_finish(&builder, mrf_link_message_write(&builder, &m), &data, &bytes),
		0);
	assert_int_equal(mrf_link_message_parse(data, bytes, &parsed), 0);
	mr_ended_add(ended, mrf_link_message_body(parsed), NULL, row->session + 1000);
}

static void add_local(uint64_t session, uint32_t uid)
{
	const struct mrf_session_row row = {
		.session = session, .name = mrf_str("client"), .uid = uid};

	add(&row, "its client is gone");
}

static void add_remote(uint64_t session, uint64_t address, uint16_t udp_port)
{
	const struct mrf_network_path path = {.peer_1 = address, .peer_udp_port = udp_port};
	const struct mrf_session_row row = {
		.session = session, .transport = MRF_TRANSPORT_UDP, .path = &path};

	add(&row, "it sent nothing");
}

static const struct mr_ended_entry *find(uint64_t session)
{
	for (unsigned i = 0; i < MR_ENDED_MAX; i++) {
		if (ended->entries[i].session == session)
			return &ended->entries[i];
	}
	return NULL;
}

static void what_the_data_plane_tells_is_kept(void **state)
{
	char name[300] = "";
	struct mrf_session_row row = {.session = 7, .uid = 1, .gid = 2, .pid = 3, .opened_ns = 4};
	const struct mr_ended_entry *e;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	row.name = mrf_str(name);
	add(&row, "closed by the operator");
	e = find(7);
	assert_non_null(e);
	assert_int_equal(e->uid, 1);
	assert_int_equal(e->gid, 2);
	assert_int_equal(e->pid, 3);
	assert_int_equal(e->opened_ns, 4);
	assert_int_equal(e->ended_ns, 1007);
	assert_string_equal(e->reason, "closed by the operator");
	assert_int_equal(strlen(e->name), MR_ENDED_NAME_BYTES - 1);
	assert_false(e->has_stats);
}

static void the_oldest_makes_room_for_the_newest(void **state)
{
	(void)state;
	/* Eight users with as many sessions each. */
	for (unsigned i = 1; i <= MR_ENDED_MAX; i++)
		add_local(i, i % 8);
	assert_non_null(find(1));
	add_local(5000, 100);
	assert_null(find(1));
	assert_non_null(find(2));
	assert_non_null(find(5000));
	assert_int_equal(ended->count, MR_ENDED_MAX + 1);
}

static void a_peer_replaces_its_own_beyond_its_share(void **state)
{
	(void)state;
	add_local(1, 5);
	add_remote(2, 42, 1);
	for (unsigned i = 0; i < 3 * MR_ENDED_MAX; i++) {
		add_local(100000 + i, 6);
		add_remote(200000 + i, 43, (uint16_t)i);
	}
	assert_non_null(find(1));
	assert_non_null(find(2));
	assert_null(find(100000));
	assert_non_null(find(100000 + 3 * MR_ENDED_MAX - MR_ENDED_SHARE));
	assert_null(find(100000 + 3 * MR_ENDED_MAX - MR_ENDED_SHARE - 1));
	assert_non_null(find(200000 + 3 * MR_ENDED_MAX - MR_ENDED_SHARE));
	assert_null(find(200000 + 3 * MR_ENDED_MAX - MR_ENDED_SHARE - 1));
}

static void an_event_without_a_row_has_the_reason_alone(void **state)
{
	const struct mrf_link_session_closed v = {.session = 9, .reason = mrf_str("why")};
	struct mrf_link_message m = {.body_type = MRF_LINK_BODY_LINK_SESSION_CLOSED};
	struct mrf_table parsed;
	const void *data;
	size_t bytes;

	(void)state;
	mrf_builder_init(&builder, memory, sizeof(memory));
	m.body = mrf_link_session_closed_write(&builder, &v);
	assert_int_equal(
		mrf_builder_finish(&builder, mrf_link_message_write(&builder, &m), &data, &bytes),
		0);
	assert_int_equal(mrf_link_message_parse(data, bytes, &parsed), 0);
	mr_ended_add(ended, mrf_link_message_body(parsed), NULL, 1);
	assert_string_equal(find(9)->reason, "why");
	assert_string_equal(find(9)->name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_the_data_plane_tells_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_oldest_makes_room_for_the_newest, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_peer_replaces_its_own_beyond_its_share, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_event_without_a_row_has_the_reason_alone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
