/* SPDX-License-Identifier: Apache-2.0 */
/* Slow sessions, from control's answer to the printed text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/slow.h"

#define READ_NS  7000000000000ull
#define NS_PER_S 1000000000ull

static uint64_t memory[4096];
static struct mrf_builder builder;

static uint32_t add_client(
	uint64_t session, enum mrf_transport transport, const struct mrf_session_stats *stats)
{
	const struct mrf_session_row row = {
		.session = session,
		.name = mrf_str("some\033one"),
		.transport = transport,
	};
	const struct mrf_admin_client v = {
		.stats = stats, .row = mrf_session_row_write(&builder, &row)};

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
	mr_cli_slow_table(&t, mrf_admin_response_body(m));
	json = mr_cli_table_json(&t);
	mr_cli_table_fini(&t);
	return json;
}

static const char *text(const json_t *rows, size_t row, const char *key)
{
	return json_string_value(json_object_get(json_array_get(rows, row), key));
}

static uint64_t eight(const char *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static void receiver_that_keeps_up_is_not_listed(void **state)
{
	const struct mrf_session_stats fine = {.missed = 5,
		.missed_last_ns = READ_NS - 11 * NS_PER_S,
		.blocked_rounds = 3,
		.backlog_bytes = 100,
		.slow_subject_0 = eight("a.b\0\0\0\0")};
	uint32_t client;
	json_t *rows;

	(void)state;
	mrf_builder_init(&builder, memory, sizeof(memory));
	client = add_client(1, MRF_TRANSPORT_SHM, &fine);
	rows = rows_of(&client, 1);
	assert_int_equal(json_array_size(rows), 0);
	json_decref(rows);
}

static void full_receiver_is_listed_with_its_paused_publishers(void **state)
{
	const struct mrf_session_stats full = {.full_since_ns = READ_NS - 2 * NS_PER_S,
		.held_messages = 3,
		.held_bytes = 300,
		.backlog_bytes = 1000,
		.slow_subject_0 = eight("orders.e"),
		.slow_subject_1 = eight("u\0\0\0\0\0\0")};
	const struct mrf_session_stats held_up = {.blocked_since_ns = READ_NS - NS_PER_S,
		.blocked_by = 7,
		.slow_subject_0 = eight("orders.e"),
		.slow_subject_1 = eight("u\0\0\0\0\0\0")};
	uint32_t clients[7];
	json_t *rows;

	(void)state;
	mrf_builder_init(&builder, memory, sizeof(memory));
	clients[0] = add_client(7, MRF_TRANSPORT_UDP, &full);
	for (uint32_t i = 1; i < 7; i++)
		clients[i] = add_client(7 + i, MRF_TRANSPORT_SHM, &held_up);
	rows = rows_of(clients, 7);
	assert_int_equal(json_array_size(rows), 7);
	assert_string_equal(text(rows, 0, "session"), "0x0000000000000007");
	assert_string_equal(text(rows, 0, "state"), "full");
	assert_string_equal(text(rows, 0, "transport"), "udp");
	assert_string_equal(text(rows, 0, "why"), "does not acknowledge: its log is full");
	assert_string_equal(text(rows, 0, "subject"), "orders.eu");
	assert_non_null(strstr(text(rows, 0, "blocks"), "0x0000000000000008 (some"));
	assert_non_null(strstr(text(rows, 0, "blocks"), ", 2 more"));
	assert_int_equal(json_real_value(json_object_get(json_array_get(rows, 0), "seconds")), 2);
	assert_string_equal(text(rows, 1, "state"), "held up");
	assert_string_equal(text(rows, 1, "blocked_by"), "0x0000000000000007");
	assert_string_equal(text(rows, 1, "why"), "waits for 0x0000000000000007");
	json_decref(rows);
}

/* Figures as a hostile or broken data plane might write them. */
static void impossible_figures_are_shown_unchanged(void **state)
{
	const uint64_t word = ~0ull;
	const struct mrf_session_stats odd = {.full_since_ns = READ_NS + NS_PER_S,
		.blocked_by = word,
		.slow_subject_0 = word,
		.slow_subject_1 = word,
		.slow_subject_2 = word,
		.slow_subject_3 = word,
		.slow_subject_4 = word};
	uint32_t client;
	json_t *rows;

	(void)state;
	mrf_builder_init(&builder, memory, sizeof(memory));
	client = add_client(1, MRF_TRANSPORT_SHM, &odd);
	rows = rows_of(&client, 1);
	assert_int_equal(json_array_size(rows), 1);
	assert_int_equal(json_real_value(json_object_get(json_array_get(rows, 0), "seconds")), 0);
	json_decref(rows);
}

static void receiver_that_missed_messages_lately_is_listed(void **state)
{
	const struct mrf_session_stats missing = {
		.missed = 9, .missed_last_ns = READ_NS - 3 * NS_PER_S};
	uint32_t client;
	json_t *rows;

	(void)state;
	mrf_builder_init(&builder, memory, sizeof(memory));
	client = add_client(1, MRF_TRANSPORT_SHM, &missing);
	rows = rows_of(&client, 1);
	assert_string_equal(text(rows, 0, "state"), "missing");
	assert_string_equal(text(rows, 0, "why"), "its ring was full");
	assert_true(json_is_null(json_object_get(json_array_get(rows, 0), "subject")));
	json_decref(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receiver_that_keeps_up_is_not_listed),
		cmocka_unit_test(full_receiver_is_listed_with_its_paused_publishers),
		cmocka_unit_test(impossible_figures_are_shown_unchanged),
		cmocka_unit_test(receiver_that_missed_messages_lately_is_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
