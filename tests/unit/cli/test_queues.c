/* SPDX-License-Identifier: Apache-2.0 */
/* Queues and services, from control's answer to the printed text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/layout.h"
#include "cli/queues.h"

#define READ_NS 7000000000000ull

static uint64_t memory[1024];
static struct mrf_builder builder;
static struct mr_cli_column columns[MR_CLI_QUEUE_COLUMNS];

static uint32_t add_row(struct mrf_queue_row row)
{
	const struct mrf_queue_options options = {.policy = MRF_QUEUE_POLICY_LEAST_OUTSTANDING,
		.when_full = MRF_QUEUE_FULL_REFUSE,
		.messages_max = 1000,
		.not_idempotent = true,
		.breaker_failures = 5};

	row.options = mrf_queue_options_write(&builder, &options);
	return mrf_queue_row_write(&builder, &row);
}

static struct mrf_table finish(const uint32_t *rows, uint32_t count, uint64_t read_ns)
{
	struct mrf_admin_queues v = {.rows = rows, .rows_count = count, .read_ns = read_ns};
	struct mrf_admin_response r = {.body_type = MRF_ADMIN_BODY_ADMIN_QUEUES};
	struct mrf_table m;
	const void *data;
	size_t bytes;

	r.body = mrf_admin_queues_write(&builder, &v);
	assert_int_equal(
		mrf_builder_finish(&builder, mrf_admin_response_write(&builder, &r), &data, &bytes),
		0);
	assert_int_equal(mrf_admin_response_parse(data, bytes, &m), 0);
	return mrf_admin_response_body(m);
}

/* Makes an answer with one row. */
static struct mrf_table answer(struct mrf_queue_row row, uint64_t read_ns)
{
	uint32_t rows[1];

	mrf_builder_init(&builder, memory, sizeof(memory));
	rows[0] = add_row(row);
	return finish(rows, 1, read_ns);
}

static json_t *rows_of(
	enum mrf_queue_kind kind, struct mrf_table queues, const struct mr_cli_queue_reading *was)
{
	struct mr_cli_table t;
	json_t *json;

	mr_cli_queues_table(&t, columns, kind, queues, was);
	json = mr_cli_table_json(&t);
	mr_cli_table_fini(&t);
	return json;
}

static int64_t number(const json_t *row, const char *key)
{
	const json_t *value = json_object_get(row, key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static const char *text(const json_t *row, const char *key)
{
	const char *value = json_string_value(json_object_get(row, key));

	assert_non_null(value);
	return value;
}

static void every_field_has_its_name_of_the_schema(void **state)
{
	static const char *const keys[] = {"queue", "worker", "ready", "delayed", "outstanding",
		"bytes", "oldest_ms", "consumers", "credit", "pushed", "accepted", "refused",
		"duplicates", "delivered", "acked", "redelivered", "dead", "expired", "dead_ready",
		"failures", "replies"};
	const struct mrf_queue_row row = {.name = mrf_str("jobs"),
		.queue = 1,
		.worker = 2,
		.ready = 3,
		.delayed = 4,
		.outstanding = 5,
		.bytes = 6,
		.oldest_ms = 7,
		.consumers = 8,
		.credit = 9,
		.pushed = 10,
		.accepted = 11,
		.refused = 12,
		.duplicates = 13,
		.delivered = 14,
		.acked = 15,
		.redelivered = 16,
		.dead = 17,
		.expired = 18,
		.dead_ready = 19,
		.failures = 20,
		.replies = 21,
		.paused = true};
	json_t *rows = rows_of(MRF_QUEUE_KIND_QUEUE, answer(row, READ_NS), NULL);
	const json_t *o = json_array_get(rows, 0);

	(void)state;
	assert_string_equal(text(o, "name"), "jobs");
	assert_string_equal(text(o, "kind"), "queue");
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_int_equal(number(o, keys[i]), i + 1);
	assert_true(json_is_true(json_object_get(o, "paused")));
	assert_true(json_is_null(json_object_get(o, "breaker")));
	assert_string_equal(text(o, "policy"), "least-outstanding");
	assert_string_equal(text(o, "when_full"), "refuse");
	assert_int_equal(number(o, "messages_max"), 1000);
	assert_true(json_is_true(json_object_get(o, "not_idempotent")));
	assert_int_equal(number(o, "breaker_failures"), 5);
	assert_null(json_object_get(o, "pushed_per_s"));
	json_decref(rows);
}

static void a_service_tells_its_circuit(void **state)
{
	static const char *const states[] = {"closed", "open", "half-open", "unknown"};

	(void)state;
	for (uint8_t i = 0; i < 4; i++) {
		const struct mrf_queue_row row = {
			.kind = MRF_QUEUE_KIND_SERVICE, .name = mrf_str("echo"), .breaker = i};
		json_t *rows = rows_of(MRF_QUEUE_KIND_SERVICE, answer(row, READ_NS), NULL);

		assert_string_equal(text(json_array_get(rows, 0), "breaker"), states[i]);
		assert_string_equal(text(json_array_get(rows, 0), "kind"), "service");
		json_decref(rows);
	}
}

static double rate(const json_t *rows, const char *key)
{
	return json_real_value(json_object_get(json_array_get(rows, 0), key));
}

static void rates_are_what_came_since_the_last_reading(void **state)
{
	struct mr_cli_queue_reading was = {0};
	struct mrf_queue_row row = {
		.queue = 9, .name = mrf_str("jobs"), .pushed = 100, .delivered = 50, .acked = 20};
	json_t *rows;

	(void)state;
	mr_cli_queue_reading_take(&was, answer(row, READ_NS));
	row.pushed = 300;
	row.delivered = 150;
	row.acked = 21;
	rows = rows_of(MRF_QUEUE_KIND_QUEUE, answer(row, READ_NS + 2000000000), &was);
	assert_float_equal(rate(rows, "pushed_per_s"), 100, 0.001);
	assert_float_equal(rate(rows, "delivered_per_s"), 50, 0.001);
	assert_float_equal(rate(rows, "acked_per_s"), 0.5, 0.001);
	json_decref(rows);
	mr_cli_queue_reading_fini(&was);
}

static void a_queue_that_was_not_there_before_counts_from_nothing(void **state)
{
	struct mr_cli_queue_reading was = {0};
	struct mrf_queue_row row = {.queue = 9, .name = mrf_str("jobs"), .pushed = 100};
	json_t *rows;

	(void)state;
	mr_cli_queue_reading_take(&was, answer(row, READ_NS));
	row.queue = 10;
	row.pushed = 30;
	rows = rows_of(MRF_QUEUE_KIND_QUEUE, answer(row, READ_NS + 1000000000), &was);
	assert_float_equal(rate(rows, "pushed_per_s"), 30, 0.001);
	json_decref(rows);
	mr_cli_queue_reading_fini(&was);
}

/* Returns the printed text. */
static char *printed(enum mrf_queue_kind kind, struct mrf_table queues,
	const struct mr_cli_queue_reading *was, bool lines)
{
	struct mr_cli_table t;
	char *out = NULL;
	size_t bytes;
	FILE *f = open_memstream(&out, &bytes);

	mr_cli_queues_table(&t, columns, kind, queues, was);
	if (lines)
		mr_cli_table_print_lines(&t, f);
	else
		mr_cli_layout_print(&t, &(struct mr_cli_look){0}, 0, mr_cli_table_rows(&t), f);
	mr_cli_table_fini(&t);
	fclose(f);
	return out;
}

static void people_see_columns_for_what_it_is(void **state)
{
	const struct mrf_queue_row row = {.name = mrf_str("evil\033name")};
	struct mr_cli_queue_reading was = {0};
	char *out = printed(MRF_QUEUE_KIND_QUEUE, answer(row, READ_NS), NULL, false);

	(void)state;
	assert_non_null(strstr(out, "QUEUE"));
	assert_non_null(strstr(out, "PUSHED"));
	assert_null(strstr(out, "IN/s"));
	assert_null(strstr(out, "CIRCUIT"));
	assert_null(strchr(out, '\033'));
	free(out);
	out = printed(MRF_QUEUE_KIND_QUEUE, answer(row, READ_NS), &was, false);
	assert_null(strstr(out, "PUSHED"));
	assert_non_null(strstr(out, "IN/s"));
	free(out);
	out = printed(MRF_QUEUE_KIND_SERVICE, answer(row, READ_NS), NULL, false);
	assert_non_null(strstr(out, "SERVICE"));
	assert_non_null(strstr(out, "CIRCUIT"));
	free(out);
}

/* True if a line of `out` is this key, spaces and this value. */
static bool has_line(const char *out, const char *key, const char *value)
{
	size_t key_bytes = strlen(key), value_bytes = strlen(value);

	for (const char *at = out; *at != '\0'; at += strcspn(at, "\n") + 1) {
		size_t spaces = strncmp(at, key, key_bytes) == 0 ? strspn(at + key_bytes, " ") : 0;
		const char *rest = at + key_bytes + spaces;

		if (spaces > 0 && strncmp(rest, value, value_bytes) == 0 &&
			rest[value_bytes] == '\n')
			return true;
	}
	return false;
}

static void one_queue_is_shown_line_by_line(void **state)
{
	const struct mrf_queue_row row = {.name = mrf_str("jobs"), .ready = 12, .paused = true};
	char *out = printed(MRF_QUEUE_KIND_QUEUE, answer(row, READ_NS), NULL, true);

	(void)state;
	assert_true(has_line(out, "name", "jobs"));
	assert_true(has_line(out, "ready", "12"));
	assert_true(has_line(out, "paused", "yes"));
	assert_true(has_line(out, "policy", "least-outstanding"));
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_has_its_name_of_the_schema),
		cmocka_unit_test(a_service_tells_its_circuit),
		cmocka_unit_test(rates_are_what_came_since_the_last_reading),
		cmocka_unit_test(a_queue_that_was_not_there_before_counts_from_nothing),
		cmocka_unit_test(people_see_columns_for_what_it_is),
		cmocka_unit_test(one_queue_is_shown_line_by_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
