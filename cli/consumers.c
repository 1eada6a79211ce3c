/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/consumers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/clients.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "lib/base/compiler.h"

static const char *state_text(uint8_t state)
{
	static const char *const texts[] = {
		[MRF_CONSUMER_STATE_ACTIVE] = "active",
		[MRF_CONSUMER_STATE_STANDBY] = "standby",
		[MRF_CONSUMER_STATE_PAUSED] = "paused",
		[MRF_CONSUMER_STATE_PAUSED_ITSELF] = "paused-itself",
		[MRF_CONSUMER_STATE_BLOCKED] = "blocked",
		[MRF_CONSUMER_STATE_FULL] = "full",
		[MRF_CONSUMER_STATE_RATE] = "rate",
		[MRF_CONSUMER_STATE_STALLED] = "stalled",
	};

	return state < MR_ARRAY_COUNT(texts) ? texts[state] : "unknown";
}

static void tag_cell(struct mr_cli_table *t, struct mrf_table row)
{
	struct mrf_string tag = mrf_queue_consumer_row_tag(row);

	if (tag.bytes > 0)
		mr_cli_table_string(t, tag);
	else
		mr_cli_table_none(t);
}

static void state_cell(struct mr_cli_table *t, struct mrf_table row)
{
	mr_cli_table_string(t, mrf_str(state_text(mrf_queue_consumer_row_state(row))));
}

static void limit_cells(struct mr_cli_table *t, struct mrf_table row)
{
	uint32_t rate = mrf_queue_consumer_row_rate(row);

	if (rate > 0)
		mr_cli_table_real(t, rate / 1000.0);
	else
		mr_cli_table_none(t);
	if (mrf_queue_consumer_row_prefetch_bytes(row) > 0)
		mr_cli_table_count(t, mrf_queue_consumer_row_prefetch_bytes(row));
	else
		mr_cli_table_none(t);
}

static void count_cells(struct mr_cli_table *t, struct mrf_table row)
{
	mr_cli_table_count(t, mrf_queue_consumer_row_outstanding(row));
	mr_cli_table_count(t, mrf_queue_consumer_row_delivered(row));
	mr_cli_table_count(t, mrf_queue_consumer_row_acked(row));
	mr_cli_table_count(t, mrf_queue_consumer_row_redelivered(row));
}

static const struct mr_cli_column shown_columns[] = {
	{"SESSION", "session"},
	{"SUBSCRIPTION", "subscription", .right = true, .rank = 5},
	{"PREFETCH", "prefetch", .right = true, .rank = 3},
	{"WEIGHT", "weight", .right = true, .rank = 4},
	{"OUT", "outstanding", .right = true, .unit = MR_CLI_UNIT_COUNT},
	{"DELIVERED", "delivered", .right = true, .rank = 1, .unit = MR_CLI_UNIT_COUNT},
	{"ACKED", "acked", .right = true, .unit = MR_CLI_UNIT_COUNT},
	{"REDELIVERED", "redelivered", .right = true, .rank = 2, .unit = MR_CLI_UNIT_COUNT},
	{"TAG", "tag", .rank = 7, .least = 8},
	{"STATE", "state", .rank = 1, .good = "active"},
	{NULL, "rate", .right = true},
	{NULL, "prefetch_bytes", .right = true, .unit = MR_CLI_UNIT_BYTES},
};

void mr_cli_consumers_table(struct mr_cli_table *t, struct mrf_table queue)
{
	mr_cli_table_init(t, shown_columns, MR_ARRAY_COUNT(shown_columns));
	for (uint32_t i = 0; i < mrf_queue_row_consumer_rows_count(queue); i++) {
		struct mrf_table row = mrf_queue_row_consumer_rows_at(queue, i);

		mr_cli_table_id(t, mrf_queue_consumer_row_session(row));
		mr_cli_table_count(t, mrf_queue_consumer_row_subscription(row));
		mr_cli_table_count(t, mrf_queue_consumer_row_prefetch(row));
		mr_cli_table_count(t, mrf_queue_consumer_row_weight(row));
		count_cells(t, row);
		tag_cell(t, row);
		state_cell(t, row);
		limit_cells(t, row);
	}
}

static const struct mr_cli_column listed_columns[] = {
	{"TAG", "tag", .least = 8},
	{"NAME", "name", .rank = 1, .least = 12},
	{"USER", "user", .rank = 6, .least = 6},
	{"ADDRESS", "address", .rank = 7, .least = 12},
	{"SESSION", "session"},
	{"STATE", "state", .good = "active"},
	{"PREFETCH", "prefetch", .right = true, .rank = 4},
	{"OUT", "outstanding", .right = true, .unit = MR_CLI_UNIT_COUNT},
	{"RATE", "rate", .right = true, .rank = 3},
	{"PREFETCH-B", "prefetch_bytes", .right = true, .rank = 9, .unit = MR_CLI_UNIT_BYTES},
	{"OUT-B", "outstanding_bytes", .right = true, .rank = 10, .unit = MR_CLI_UNIT_BYTES},
	{"DELIVERED", "delivered", .right = true, .rank = 5, .unit = MR_CLI_UNIT_COUNT},
	{"ACKED", "acked", .right = true, .rank = 2, .unit = MR_CLI_UNIT_COUNT},
	{"REDELIVERED", "redelivered", .right = true, .rank = 8, .unit = MR_CLI_UNIT_COUNT},
	{NULL, "weight", .right = true},
	{NULL, "subscription", .right = true},
};

/* Returns the SessionRow of the session; an empty table: it has ended. */
static struct mrf_table client_of(struct mrf_table clients, uint64_t session)
{
	for (uint32_t i = 0; i < mrf_admin_clients_rows_count(clients); i++) {
		struct mrf_table row = mrf_admin_client_row(mrf_admin_clients_rows_at(clients, i));

		if (mrf_session_row_session(row) == session)
			return row;
	}
	return (struct mrf_table){0};
}

static void client_cells(struct mr_cli_table *t, struct mrf_table client)
{
	bool local = mrf_session_row_transport(client) == MRF_TRANSPORT_SHM;
	struct mrf_network_path path;

	if (mrf_table_is_empty(client)) {
		for (unsigned i = 0; i < 3; i++)
			mr_cli_table_none(t);
		return;
	}
	path = mrf_session_row_path(client);
	mr_cli_table_string(t, mrf_session_row_name(client));
	mr_cli_user_cell(t, local, mrf_session_row_uid(client));
	mr_cli_address_cell(t, local, &path);
}

static void list_row(struct mr_cli_table *t, struct mrf_table row, struct mrf_table client)
{
	tag_cell(t, row);
	client_cells(t, client);
	mr_cli_table_id(t, mrf_queue_consumer_row_session(row));
	state_cell(t, row);
	mr_cli_table_count(t, mrf_queue_consumer_row_prefetch(row));
	mr_cli_table_count(t, mrf_queue_consumer_row_outstanding(row));
	limit_cells(t, row);
	mr_cli_table_count(t, mrf_queue_consumer_row_outstanding_bytes(row));
	mr_cli_table_count(t, mrf_queue_consumer_row_delivered(row));
	mr_cli_table_count(t, mrf_queue_consumer_row_acked(row));
	mr_cli_table_count(t, mrf_queue_consumer_row_redelivered(row));
	mr_cli_table_count(t, mrf_queue_consumer_row_weight(row));
	mr_cli_table_count(t, mrf_queue_consumer_row_subscription(row));
}

static int print_list(
	const struct mr_cli_consumers *c, struct mrf_table queue, struct mrf_table clients)
{
	uint32_t count = mrf_queue_row_consumer_rows_count(queue);
	struct mr_cli_table t;

	if (count < mrf_queue_row_consumers(queue))
		mr_cli_note(c->cli, "the first %" PRIu32 " of %" PRIu32 " consumers", count,
			mrf_queue_row_consumers(queue));
	mr_cli_table_init(&t, listed_columns, MR_ARRAY_COUNT(listed_columns));
	t.sort = "tag,session";
	for (uint32_t i = 0; i < count; i++) {
		struct mrf_table row = mrf_queue_row_consumer_rows_at(queue, i);

		list_row(&t, row, client_of(clients, mrf_queue_consumer_row_session(row)));
	}
	return mr_cli_view_show(c->cli, c->view, &t);
}

/* The rows of the queue belong to the first connection, so that one stays open. */
int mr_cli_consumers_list(const struct mr_cli_consumers *c)
{
	const struct mrf_queue_command show = {.verb = MRF_QUEUE_VERB_SHOW,
		.kind = MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(c->queue)};
	struct mr_cli_admin admin, second;
	struct mrf_table queues, clients;
	int code = mr_cli_admin_query_queue(
		c->cli, &admin, MRF_ADMIN_VERB_QUEUE, &show, MRF_ADMIN_BODY_ADMIN_QUEUES, &queues);

	if (code == MR_EXIT_OK) {
		code = mr_cli_admin_query(c->cli, &second, MRF_ADMIN_VERB_CLIENTS, 0,
			MRF_ADMIN_BODY_ADMIN_CLIENTS, &clients);
		if (code == MR_EXIT_OK)
			code = print_list(c, mrf_admin_queues_rows_at(queues, 0), clients);
		mr_cli_admin_close(&second);
	}
	mr_cli_admin_close(&admin);
	return code;
}

/* Returns the session that the text names; 0: none. */
static uint64_t session_of(const char *text)
{
	char *end;
	uint64_t session = strtoull(text, &end, 0);

	return *text != '\0' && *end == '\0' ? session : 0;
}

int mr_cli_consumers_pause(const struct mr_cli_consumers *c, bool paused)
{
	const struct mrf_queue_command command = {
		.verb = paused ? MRF_QUEUE_VERB_PAUSE_CONSUMER : MRF_QUEUE_VERB_RESUME_CONSUMER,
		.kind = MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(c->queue),
		.session = session_of(c->consumer),
		.tag = mrf_str(c->consumer),
	};
	struct mr_cli_admin admin;
	struct mrf_table result;
	char hint[320];
	int rc = mr_cli_admin_open(&admin, c->cli);

	rc = rc ? rc
		: mr_cli_admin_ask_queue(&admin, MRF_ADMIN_VERB_QUEUE, &command,
			  MRF_ADMIN_BODY_ADMIN_RESULT, &result);
	if (rc == 0 && c->view->json) {
		mr_cli_text_json_count(
			"count", strtoull(mrf_admin_result_text(result).data, NULL, 10));
	} else if (rc == -ESRCH && admin.refused) {
		snprintf(hint, sizeof(hint), "`millrace queue consumers %s` lists them", c->queue);
		rc = mr_cli_fail(c->cli, MR_EXIT_FAILED, c->consumer, "no such consumer", hint);
	} else if (rc) {
		rc = mr_cli_admin_fail_queue(c->cli, &admin, &command, rc);
	}
	mr_cli_admin_close(&admin);
	return rc;
}
