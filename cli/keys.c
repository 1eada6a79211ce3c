/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/keys.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/text.h"
#include "lib/base/compiler.h"

#define COUNT_MAX 1000u
/* Bytes of a key shown in a table. */
#define EXCERPT_BYTES 40u

struct key {
	uint64_t number;
	char text[256];
	uint32_t text_bytes;
	uint32_t ready, unsettled, delayed;
	uint64_t session;
	uint32_t subscription, held_ms, oldest_ms;
};

struct top {
	struct key *keys;
	uint32_t count, count_max;
};

static const struct mr_cli_column columns[] = {
	{"KEY", "key", .least = 24, .identifies = true},
	{NULL, "number"},
	{"READY", "ready", .right = true, .unit = MR_CLI_UNIT_COUNT},
	{"UNSETTLED", "unsettled", .right = true, .rank = 1, .unit = MR_CLI_UNIT_COUNT},
	{"DELAYED", "delayed", .right = true, .rank = 4, .unit = MR_CLI_UNIT_COUNT},
	{"HOLDER", "session", .rank = 2},
	{"SUBSCRIPTION", "subscription", .right = true, .rank = 6},
	{"HELD", "held_ms", .right = true, .rank = 3, .unit = MR_CLI_UNIT_MS},
	{"OLDEST", "oldest_ms", .right = true, .rank = 5, .unit = MR_CLI_UNIT_MS},
};

static uint64_t depth(const struct key *k)
{
	return (uint64_t)k->ready + k->unsettled;
}

static void read_key(struct mrf_table row, struct key *k)
{
	struct mrf_string text = mrf_queue_key_row_text(row);

	*k = (struct key){
		.number = mrf_queue_key_row_key(row),
		.text_bytes = text.bytes < sizeof(k->text) ? text.bytes : sizeof(k->text),
		.ready = mrf_queue_key_row_ready(row),
		.unsettled = mrf_queue_key_row_unsettled(row),
		.delayed = mrf_queue_key_row_delayed(row),
		.session = mrf_queue_key_row_session(row),
		.subscription = mrf_queue_key_row_subscription(row),
		.held_ms = mrf_queue_key_row_held_ms(row),
		.oldest_ms = mrf_queue_key_row_oldest_ms(row),
	};
	memcpy(k->text, text.data, k->text_bytes);
}

/* Takes a key in its place. One that was read already has moved in the bus's table meanwhile. */
static void insert(struct top *top, const struct key *k)
{
	uint32_t at = top->count;

	for (uint32_t i = 0; i < top->count; i++)
		if (top->keys[i].number == k->number)
			return;
	while (at > 0 && depth(&top->keys[at - 1]) < depth(k))
		at--;
	if (at == top->count_max)
		return;
	if (top->count < top->count_max)
		top->count++;
	memmove(&top->keys[at + 1], &top->keys[at], (top->count - 1 - at) * sizeof(*k));
	top->keys[at] = *k;
}

/* Reads the whole table, part by part. */
static int read_all(const struct mr_cli *cli, const char *queue, struct top *top)
{
	struct mrf_queue_command command = {
		.verb = MRF_QUEUE_VERB_KEYS, .kind = MRF_QUEUE_KIND_QUEUE, .name = mrf_str(queue)};
	struct mr_cli_admin admin;
	struct mrf_table part;
	struct key k;
	int error;
	int code = mr_cli_admin_query_queue(
		cli, &admin, MRF_ADMIN_VERB_QUEUE, &command, MRF_ADMIN_BODY_ADMIN_KEYS, &part);

	while (code == MR_EXIT_OK) {
		for (uint32_t i = 0; i < mrf_admin_keys_rows_count(part); i++) {
			read_key(mrf_admin_keys_rows_at(part, i), &k);
			insert(top, &k);
		}
		if (mrf_admin_keys_cursor(part) <= command.cursor)
			break;
		command.cursor = mrf_admin_keys_cursor(part);
		error = mr_cli_admin_ask_queue(
			&admin, MRF_ADMIN_VERB_QUEUE, &command, MRF_ADMIN_BODY_ADMIN_KEYS, &part);
		if (error != 0)
			code = mr_cli_admin_fail_queue(cli, &admin, &command, error);
	}
	mr_cli_admin_close(&admin);
	return code;
}

static void fill(struct mr_cli_table *t, const struct top *top, bool json)
{
	char number[24];

	mr_cli_table_init(t, columns, MR_ARRAY_COUNT(columns));
	for (uint32_t i = 0; i < top->count; i++) {
		const struct key *k = &top->keys[i];

		snprintf(number, sizeof(number), "%016" PRIx64, k->number);
		if (k->text_bytes > 0)
			mr_cli_table_text(t, k->text,
				json || k->text_bytes < EXCERPT_BYTES ? k->text_bytes
								      : EXCERPT_BYTES);
		else
			mr_cli_table_string(t, mrf_str(json ? "" : number));
		mr_cli_table_string(t, mrf_str(number));
		mr_cli_table_count(t, k->ready);
		mr_cli_table_count(t, k->unsettled);
		mr_cli_table_count(t, k->delayed);
		if (k->session != 0)
			mr_cli_table_id(t, k->session);
		else
			mr_cli_table_none(t);
		if (k->session != 0)
			mr_cli_table_count(t, k->subscription);
		else
			mr_cli_table_none(t);
		mr_cli_table_count(t, k->held_ms);
		mr_cli_table_count(t, k->oldest_ms);
	}
}

int mr_cli_keys(
	const struct mr_cli *cli, const struct mr_cli_view *view, const char *queue, uint64_t count)
{
	struct top top = {.count_max = count == 0          ? MR_CLI_KEYS_DEFAULT
				       : count > COUNT_MAX ? COUNT_MAX
							   : (uint32_t)count};
	struct mr_cli_table t;
	int code;

	top.keys = calloc((size_t)top.count_max + 1, sizeof(*top.keys));
	if (top.keys == NULL)
		return mr_cli_fail(cli, MR_EXIT_FAILED, queue, "no memory", NULL);
	code = read_all(cli, queue, &top);
	if (code == MR_EXIT_OK) {
		fill(&t, &top, view->json);
		code = mr_cli_view_show(cli, view, &t);
	}
	free(top.keys);
	return code;
}
