/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions over UDP, from control's answer to the printed text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/sessions.h"
#include "cli/text.h"

#define DATE_NS 5000000000000ull
#define READ_NS 7000000000000ull

static uint64_t memory[1024];
static struct mrf_builder builder;

static void begin(void **state)
{
	(void)state;
	mrf_builder_init(&builder, memory, sizeof(memory));
}

static struct mrf_network_path path_of(const uint8_t peer[16], uint16_t udp_port)
{
	struct mrf_network_path p = {.peer_udp_port = udp_port, .local_udp_port = 7400, .port = 1};
	uint8_t local[16] = {[10] = 0xff, [11] = 0xff, 10, 77, 0, 1};

	memcpy(&p.peer_0, peer, 16);
	memcpy(&p.local_0, local, 16);
	return p;
}

static uint32_t add_client(enum mrf_transport transport, const struct mrf_network_path *path,
	const struct mrf_session_stats *stats, const char *port)
{
	struct mrf_session_row row = {
		.session = 0x0100010000000007,
		.name = mrf_str("far\033away"),
		.opened_ns = DATE_NS - 90500000000ull,
		.subscriptions = 3,
		.transport = transport,
		.path = path,
		.frame_bytes = 1472,
	};
	struct mrf_admin_client v = {.worker = 1, .stats = stats};

	if (port != NULL)
		v.port = mrf_str(port);
	v.row = mrf_session_row_write(&builder, &row);
	return mrf_admin_client_write(&builder, &v);
}

/* Returns the table as JSON; the caller drops it. */
static json_t *rows_of(const uint32_t *clients, uint32_t count)
{
	struct mrf_admin_clients v = {.rows = clients, .rows_count = count, .read_ns = READ_NS};
	struct mrf_admin_response r = {.body_type = MRF_ADMIN_BODY_ADMIN_CLIENTS};
	struct mr_cli_table t;
	struct mrf_table m;
	const void *data;
	size_t bytes;
	json_t *json;

	r.body = mrf_admin_clients_write(&builder, &v);
	assert_int_equal(
		mrf_builder_finish(&builder, mrf_admin_response_write(&builder, &r), &data, &bytes),
		0);
	assert_int_equal(mrf_admin_response_parse(data, bytes, &m), 0);
	mr_cli_sessions_table(&t, mrf_admin_response_body(m), DATE_NS);
	json = mr_cli_table_json(&t);
	mr_cli_table_fini(&t);
	return json;
}

static const char *text(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

static json_int_t number(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

static void a_session_is_listed_with_all_its_counts(void **state)
{
	static const uint8_t peer[16] = {[10] = 0xff, [11] = 0xff, 10, 77, 0, 2};
	const struct mrf_network_path path = path_of(peer, 40000);
	const struct mrf_session_stats stats = {.frames_rx = 1,
		.frames_tx = 2,
		.rx_messages = 3,
		.tx_messages = 4,
		.frames_lost = 5,
		.frames_late = 6,
		.frames_duplicate = 7,
		.missed = 8,
		.paths_changed = 9,
		.last_rx_ns = READ_NS - 1500000000ull};
	uint32_t client = 0;
	json_t *rows, *row;

	begin(state);
	client = add_client(MRF_TRANSPORT_UDP, &path, &stats, "af_xdp1");
	rows = rows_of(&client, 1);
	row = json_array_get(rows, 0);
	assert_string_equal(text(row, "session"), "0x0100010000000007");
	assert_string_equal(text(row, "peer"), "10.77.0.2:40000");
	assert_string_equal(text(row, "local"), "10.77.0.1:7400");
	assert_string_equal(text(row, "port"), "af_xdp1");
	assert_int_equal(number(row, "worker"), 1);
	assert_int_equal(number(row, "frame_bytes"), 1472);
	assert_int_equal(number(row, "age_s"), 90);
	assert_int_equal(json_real_value(json_object_get(row, "idle_s")) * 10, 15);
	assert_int_equal(number(row, "frames_rx"), 1);
	assert_int_equal(number(row, "frames_tx"), 2);
	assert_int_equal(number(row, "rx_messages"), 3);
	assert_int_equal(number(row, "tx_messages"), 4);
	assert_int_equal(number(row, "frames_lost"), 5);
	assert_int_equal(number(row, "frames_late"), 6);
	assert_int_equal(number(row, "frames_duplicate"), 7);
	assert_int_equal(number(row, "missed"), 8);
	assert_int_equal(number(row, "paths_changed"), 9);
	assert_int_equal(number(row, "subscriptions"), 3);
	json_decref(rows);
}

static void addresses_of_six_stand_in_brackets(void **state)
{
	static const uint8_t peer[16] = {0xfd, 0x77, [15] = 2};
	const struct mrf_network_path path = path_of(peer, 7);
	uint32_t client;
	json_t *rows, *row;

	begin(state);
	client = add_client(MRF_TRANSPORT_UDP, &path, NULL, NULL);
	rows = rows_of(&client, 1);
	row = json_array_get(rows, 0);
	assert_string_equal(text(row, "peer"), "[fd77::2]:7");
	/* A port without a name, a session that sent nothing. */
	assert_string_equal(text(row, "port"), "1");
	assert_true(json_is_null(json_object_get(row, "idle_s")));
	json_decref(rows);
}

static void clients_of_this_host_are_not_among_them(void **state)
{
	static const uint8_t peer[16] = {0xfd, 0x77, [15] = 2};
	const struct mrf_network_path path = path_of(peer, 7);
	uint32_t clients[3];
	json_t *rows;

	begin(state);
	clients[0] = add_client(MRF_TRANSPORT_SHM, NULL, NULL, NULL);
	clients[1] = add_client(MRF_TRANSPORT_UDP, &path, NULL, NULL);
	clients[2] = add_client(MRF_TRANSPORT_SHM, NULL, NULL, NULL);
	rows = rows_of(clients, 3);
	assert_int_equal(json_array_size(rows), 1);
	json_decref(rows);
}

static void clocks_that_disagree_make_no_huge_numbers(void **state)
{
	static const uint8_t peer[16] = {0xfd, 0x77, [15] = 2};
	const struct mrf_network_path path = path_of(peer, 7);
	const struct mrf_session_stats stats = {.last_rx_ns = READ_NS + 1};
	uint32_t client;
	json_t *rows;

	begin(state);
	client = add_client(MRF_TRANSPORT_UDP, &path, &stats, "p");
	rows = rows_of(&client, 1);
	assert_int_equal(
		json_real_value(json_object_get(json_array_get(rows, 0), "idle_s")) * 1000, 0);
	json_decref(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_listed_with_all_its_counts),
		cmocka_unit_test(addresses_of_six_stand_in_brackets),
		cmocka_unit_test(clients_of_this_host_are_not_among_them),
		cmocka_unit_test(clocks_that_disagree_make_no_huge_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
