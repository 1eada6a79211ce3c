/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/peek.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/headers.h"
#include "cli/text.h"
#include "lib/base/compiler.h"
#include "lib/wire/priority.h"

/* Limits of the bus for headers and for a text: its commands are small. */
#define HEADERS_BYTES_MAX 512u
#define TEXT_BYTES_MAX    256u
/* Limit of the bus for one peek. */
#define MESSAGES_MAX 16u

static const struct mr_cli_column message_columns[] = {
	{"AGE", "age_ms", .right = true, .unit = MR_CLI_UNIT_MS},
	{"PRIORITY", "priority", .rank = 2},
	{"REDELIVERED", "redelivered", .right = true, .rank = 3},
	{"BYTES", "bytes", .right = true, .rank = 1, .unit = MR_CLI_UNIT_BYTES},
	{"PAYLOAD", "payload", .least = 12, .elision = MR_CLI_ELIDE_END},
};

static const char *priority_text(uint8_t priority)
{
	return mr_cli_priority_text(mr_level_of_priority(priority));
}

static void message_row(struct mr_cli_table *t, struct mrf_table message)
{
	struct mrf_bytes payload = mrf_queue_message_row_payload(message);

	mr_cli_table_count(t, mrf_queue_message_row_age_ms(message));
	mr_cli_table_string(t, mrf_str(priority_text(mrf_queue_message_row_priority(message))));
	mr_cli_table_count(t, mrf_queue_message_row_redelivered(message));
	mr_cli_table_count(t, mrf_queue_message_row_bytes(message));
	mr_cli_table_text(t, (const char *)payload.data,
		payload.bytes < MR_CLI_EXCERPT_BYTES ? payload.bytes : MR_CLI_EXCERPT_BYTES);
}

static json_t *message_json(struct mrf_table message)
{
	struct mrf_bytes headers = mrf_queue_message_row_headers(message);
	struct mrf_bytes payload = mrf_queue_message_row_payload(message);
	json_t *o = json_object();

	json_object_set_new(
		o, "age_ms", json_integer((json_int_t)mrf_queue_message_row_age_ms(message)));
	json_object_set_new(
		o, "priority", json_string(priority_text(mrf_queue_message_row_priority(message))));
	json_object_set_new(o, "redelivered",
		json_integer((json_int_t)mrf_queue_message_row_redelivered(message)));
	json_object_set_new(
		o, "bytes", json_integer((json_int_t)mrf_queue_message_row_bytes(message)));
	mr_cli_headers_set_json(o, (const char *)headers.data, headers.bytes);
	mr_cli_text_json(o, "payload", payload.data, payload.bytes);
	return o;
}

static int print_messages(const struct mr_cli_peek *p, struct mrf_table messages)
{
	uint32_t count = mrf_admin_messages_messages_count(messages);
	struct mr_cli_table t;
	json_t *rows;

	if (p->view->json) {
		rows = json_array();
		for (uint32_t i = 0; i < count; i++)
			json_array_append_new(
				rows, message_json(mrf_admin_messages_messages_at(messages, i)));
		mr_cli_text_json_line(rows);
		return MR_EXIT_OK;
	}
	mr_cli_table_init(&t, message_columns, MR_ARRAY_COUNT(message_columns));
	for (uint32_t i = 0; i < count; i++)
		message_row(&t, mrf_admin_messages_messages_at(messages, i));
	return mr_cli_view_show(p->cli, p->view, &t);
}

static bool chooses(const struct mr_cli_filter *f)
{
	return mr_cli_filter_looks(f) || f->older_ms != 0;
}

/* Says how far the bus looked, if more messages may be wanted. */
static void note_rest(const struct mr_cli_peek *p, struct mrf_table messages)
{
	uint32_t looked = mrf_admin_messages_looked(messages);
	uint64_t ready = mrf_admin_messages_ready(messages);

	uint64_t most = p->count != 0 ? p->count : MESSAGES_MAX;

	if (chooses(p->filter) && p->filter->first == 0 && looked < ready &&
		mrf_admin_messages_messages_count(messages) < most)
		fprintf(stderr, "looked at the first %" PRIu32 " of %" PRIu64 " messages\n", looked,
			ready);
}

static int fail_long(const struct mr_cli_peek *p, const char *what)
{
	return mr_cli_fail(p->cli, MR_EXIT_USAGE, what, "too long for peek",
		"`millrace queue export` takes more");
}

/* Writes the headers as lines. False: no room. */
static bool write_headers(const struct mr_cli_filter *f, char out[HEADERS_BYTES_MAX])
{
	size_t at = 0;

	out[0] = 0;
	for (unsigned i = 0; i < f->headers.count; i++) {
		int n = snprintf(out + at, HEADERS_BYTES_MAX - at, "%s\n", f->headers.at[i]);

		if (n < 0 || (size_t)n >= HEADERS_BYTES_MAX - at)
			return false;
		at += (size_t)n;
	}
	return true;
}

static uint8_t level_of(const char *priority)
{
	enum mr_priority p;

	if (priority == NULL || !mr_cli_priority_parse(priority, &p))
		return 0;
	return (uint8_t)(mr_level_of_priority((unsigned)p) + 1);
}

static int ask(const struct mr_cli_peek *p, const char *headers)
{
	const struct mr_cli_filter *f = p->filter;
	const struct mrf_queue_command command = {
		.verb = MRF_QUEUE_VERB_PEEK,
		.kind = MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(p->queue),
		.count = (uint32_t)p->count,
		.match_headers = mrf_str(headers[0] ? headers : NULL),
		.match_text = mrf_str(f->grep),
		.match_level = level_of(f->priority),
		.match_older_ms = f->older_ms,
		.match_first = f->first < UINT32_MAX ? (uint32_t)f->first : UINT32_MAX,
	};
	struct mr_cli_admin admin;
	struct mrf_table messages;
	int code = mr_cli_admin_query_queue(p->cli, &admin, MRF_ADMIN_VERB_QUEUE, &command,
		MRF_ADMIN_BODY_ADMIN_MESSAGES, &messages);

	if (code == MR_EXIT_OK) {
		code = print_messages(p, messages);
		note_rest(p, messages);
	}
	mr_cli_admin_close(&admin);
	return code;
}

int mr_cli_peek(const struct mr_cli_peek *p)
{
	const struct mr_cli_filter *f = p->filter;
	char headers[HEADERS_BYTES_MAX];
	int code = mr_cli_filter_check(p->cli, f);

	if (code != MR_EXIT_OK)
		return code;
	if (f->last != 0)
		return mr_cli_fail(p->cli, MR_EXIT_USAGE, "--last", "does not go with peek",
			"it looks from the first message on");
	if (!write_headers(f, headers))
		return fail_long(p, "--header");
	if (f->grep != NULL && strlen(f->grep) > TEXT_BYTES_MAX)
		return fail_long(p, "--grep");
	return ask(p, headers);
}
