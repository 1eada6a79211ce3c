/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dead.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/millrace.h"
#include "cli/admin.h"
#include "cli/headers.h"
#include "cli/peek.h"
#include "cli/text.h"
#include "lib/base/compiler.h"
#include "lib/wire/queue_name.h"

#define COUNT_DEFAULT 16u
#define NAME_BYTES    (MR_SUBJECT_BYTES_MAX + sizeof(MR_QUEUE_DEAD))

/* Returns the bus's note in the header block of a dead letter; empty if there is none. */
static struct mrf_string noted(struct mrf_table message, const char *name)
{
	struct mrf_bytes block = mrf_queue_message_row_headers(message);
	struct mr_header h;
	size_t cursor = 0;
	struct mrf_string last = {0};

	/* The bus leaves one line of each of its names (dataplane/queue/dead.c), so the first and
	 * the last are the same. */
	while (mr_headers_next((const char *)block.data, block.bytes, &cursor, &h)) {
		if (h.name_bytes == strlen(name) && memcmp(h.name, name, h.name_bytes) == 0)
			last = (struct mrf_string){h.value, (uint32_t)h.value_bytes};
	}
	return last;
}

static const struct mr_cli_column dead_columns[] = {
	{"AGE", "age_ms", .right = true, .unit = MR_CLI_UNIT_MS},
	{"REASON", "reason", .rank = 1, .least = 12, .elision = MR_CLI_ELIDE_END},
	{"DELIVERIES", "deliveries", .right = true, .rank = 2},
	{"ERROR", "error", .rank = 4, .least = 12, .elision = MR_CLI_ELIDE_END},
	{"TIME", "time", .rank = 5},
	{"BYTES", "bytes", .right = true, .rank = 3, .unit = MR_CLI_UNIT_BYTES},
	{"PAYLOAD", "payload", .least = 12, .elision = MR_CLI_ELIDE_END},
};

static void noted_cell(struct mr_cli_table *t, struct mrf_table message, const char *name)
{
	struct mrf_string text = noted(message, name);

	if (text.bytes)
		mr_cli_table_string(t, text);
	else
		mr_cli_table_none(t);
}

static void dead_row(struct mr_cli_table *t, struct mrf_table message)
{
	struct mrf_bytes payload = mrf_queue_message_row_payload(message);

	mr_cli_table_count(t, mrf_queue_message_row_age_ms(message));
	noted_cell(t, message, "Millrace-Dead-Reason");
	noted_cell(t, message, "Millrace-Dead-Count");
	noted_cell(t, message, "Millrace-Error");
	noted_cell(t, message, "Millrace-Dead-Time");
	mr_cli_table_count(t, mrf_queue_message_row_bytes(message));
	mr_cli_table_text(t, (const char *)payload.data,
		payload.bytes < MR_CLI_EXCERPT_BYTES ? payload.bytes : MR_CLI_EXCERPT_BYTES);
}

static void set_noted(json_t *o, const char *key, struct mrf_table message, const char *name)
{
	struct mrf_string text = noted(message, name);

	if (text.bytes)
		mr_cli_text_json(o, key, text.data, text.bytes);
	else
		json_object_set_new(o, key, json_null());
}

static json_t *dead_json(struct mrf_table message)
{
	struct mrf_bytes headers = mrf_queue_message_row_headers(message);
	struct mrf_bytes payload = mrf_queue_message_row_payload(message);
	struct mrf_string text = noted(message, "Millrace-Dead-Count");
	json_t *o = json_object();
	uint64_t count;

	json_object_set_new(
		o, "age_ms", json_integer((json_int_t)mrf_queue_message_row_age_ms(message)));
	set_noted(o, "reason", message, "Millrace-Dead-Reason");
	set_noted(o, "queue", message, "Millrace-Dead-Queue");
	json_object_set_new(o, "deliveries",
		mr_cli_text_count(text.data, text.bytes, &count) ? json_integer((json_int_t)count)
								 : json_null());
	set_noted(o, "error", message, "Millrace-Error");
	set_noted(o, "time", message, "Millrace-Dead-Time");
	json_object_set_new(
		o, "bytes", json_integer((json_int_t)mrf_queue_message_row_bytes(message)));
	mr_cli_headers_set_json(o, (const char *)headers.data, headers.bytes);
	mr_cli_text_json(o, "payload", payload.data, payload.bytes);
	return o;
}

/* The letters that were found so far. */
struct found {
	const struct mr_cli *cli;
	const char *queue;
	struct mr_cli_admin admin;
	json_t *rows; /* NULL: `table` */
	struct mr_cli_table table;
	uint32_t left; /* letters that are still wanted */
};

/* Adds the letters of an answer, which is valid until the next question. */
static void add(struct found *f, struct mrf_table messages)
{
	uint32_t count = mrf_admin_messages_messages_count(messages);

	for (uint32_t i = 0; i < count && f->left > 0; i++, f->left--) {
		struct mrf_table message = mrf_admin_messages_messages_at(messages, i);

		if (f->rows != NULL)
			json_array_append_new(f->rows, dead_json(message));
		else
			dead_row(&f->table, message);
	}
}

static int peek(struct found *f, const char *name, const char *header, struct mrf_table *messages)
{
	const struct mrf_queue_command command = {.verb = MRF_QUEUE_VERB_PEEK,
		.count = f->left,
		.name = mrf_str(name),
		.match_headers = mrf_str(header)};
	int rc = mr_cli_admin_ask_queue(
		&f->admin, MRF_ADMIN_VERB_QUEUE, &command, MRF_ADMIN_BODY_ADMIN_MESSAGES, messages);

	if (rc == 0)
		add(f, *messages);
	return rc;
}

/* Adds the queue's letters in the queue that is named for them, which others may share. */
static int add_named(struct found *f, const char *to)
{
	char header[sizeof("Millrace-Dead-Queue:\n") + MR_SUBJECT_BYTES_MAX];
	struct mrf_table messages;
	int rc;

	if (f->left == 0)
		return 0;
	snprintf(header, sizeof(header), "Millrace-Dead-Queue:%s\n", f->queue);
	rc = peek(f, to, header, &messages);
	if (rc == 0 && f->left > 0 &&
		mrf_admin_messages_looked(messages) < mrf_admin_messages_ready(messages))
		mr_cli_note(f->cli, "looked at the first %u of %llu messages of %s",
			mrf_admin_messages_looked(messages),
			(unsigned long long)mrf_admin_messages_ready(messages), to);
	return rc;
}

/* Looks where the queue's letters go. `had`: there is a queue NAME.dead, which may outlive NAME. */
static int follow(struct found *f, bool had)
{
	const struct mrf_queue_command show = {
		.verb = MRF_QUEUE_VERB_SHOW, .name = mrf_str(f->queue)};
	char to[NAME_BYTES];
	struct mrf_table queues;
	int rc = mr_cli_admin_ask_queue(
		&f->admin, MRF_ADMIN_VERB_QUEUE, &show, MRF_ADMIN_BODY_ADMIN_QUEUES, &queues);

	if (rc == -ENOENT && f->admin.refused && had)
		return 0;
	if (rc != 0 || mrf_admin_queues_rows_count(queues) == 0)
		return rc;
	snprintf(to, sizeof(to), "%s",
		mrf_queue_row_dead_letter(mrf_admin_queues_rows_at(queues, 0)).data ?: "");
	if (to[0] == '\0')
		return 0;
	if (strcmp(to, "none") != 0)
		return add_named(f, to);
	mr_cli_note(f->cli, "%s: dead letters are discarded (dead_letter=none)", f->queue);
	return 0;
}

static int find(struct found *f, const char *dead, bool given)
{
	struct mrf_table messages;
	int rc = peek(f, dead, NULL, &messages);

	if (given || (rc != 0 && (rc != -ENOENT || !f->admin.refused)))
		return rc;
	return follow(f, rc == 0);
}

static int print(struct found *f, const struct mr_cli_view *view)
{
	if (f->rows == NULL)
		return mr_cli_view_show(f->cli, view, &f->table);
	mr_cli_text_json_line(f->rows);
	f->rows = NULL;
	return MR_EXIT_OK;
}

static void forget(struct found *f)
{
	if (f->rows != NULL)
		json_decref(f->rows);
	else
		mr_cli_table_fini(&f->table);
}

int mr_cli_dead(
	const struct mr_cli *cli, const struct mr_cli_view *view, const char *queue, uint32_t count)
{
	char dead[NAME_BYTES];
	bool given = mr_queue_name_is_dead(queue, strlen(queue));
	struct found f = {.cli = cli, .queue = queue, .left = count != 0 ? count : COUNT_DEFAULT};
	const struct mrf_queue_command asked = {.name = mrf_str(queue)};
	int rc;

	if (snprintf(dead, sizeof(dead), "%s%s", queue, given ? "" : MR_QUEUE_DEAD) >=
		(int)sizeof(dead))
		return mr_cli_fail(cli, MR_EXIT_USAGE, queue, "too long for a queue",
			"its name has 255 bytes at most");
	if (view->json)
		f.rows = json_array();
	else
		mr_cli_table_init(&f.table, dead_columns, MR_ARRAY_COUNT(dead_columns));
	rc = mr_cli_admin_open(&f.admin, cli);
	rc = rc ? rc : find(&f, dead, given);
	if (rc == 0) {
		rc = print(&f, view);
	} else {
		rc = mr_cli_admin_fail_queue(cli, &f.admin, &asked, rc);
		forget(&f);
	}
	mr_cli_admin_close(&f.admin);
	return rc;
}

uint64_t mr_cli_dead_own(const struct mr_cli *cli, const char *queue)
{
	char name[NAME_BYTES];
	struct mrf_queue_command show = {.verb = MRF_QUEUE_VERB_SHOW};
	struct mr_cli_admin admin;
	struct mrf_table queues;
	uint64_t count = 0;
	int rc = mr_cli_admin_open(&admin, cli);

	snprintf(name, sizeof(name), "%s%s", queue, MR_QUEUE_DEAD);
	show.name = mrf_str(name);
	if (rc == 0)
		rc = mr_cli_admin_ask_queue(
			&admin, MRF_ADMIN_VERB_QUEUE, &show, MRF_ADMIN_BODY_ADMIN_QUEUES, &queues);
	if (rc == 0 && mrf_admin_queues_rows_count(queues) > 0)
		count = mrf_queue_row_ready(mrf_admin_queues_rows_at(queues, 0));
	mr_cli_admin_close(&admin);
	return count;
}
