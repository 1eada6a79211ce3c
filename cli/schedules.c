/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/schedules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/admin.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "lib/base/compiler.h"

#define PAGE          16u /* rows of one answer */
#define EXCERPT_BYTES 64u
#define CRON_NAME     "Millrace-Cron:"

static int fail_cancel(const struct mr_cli *cli, const struct mr_client *c, const char *queue,
	const char *ticket, int error)
{
	char what[MR_CLI_HUMAN_BYTES + 300];

	snprintf(what, sizeof(what), "%s %s", queue, ticket);
	if (error == -ESRCH)
		return mr_cli_fail(cli, MR_EXIT_FAILED, what, mr_error(c),
			"`millrace queue schedules` lists what repeats");
	if (error == -ENOENT)
		return mr_cli_fail(cli, MR_EXIT_FAILED, queue, "no such queue",
			"`millrace queues` lists them");
	if (error == -EACCES)
		return mr_cli_fail(cli, MR_EXIT_FAILED, what, mr_error(c),
			"its producer may cancel it, and root");
	return mr_cli_fail_call(cli, c, error, queue);
}

static void print_cancelled(const char *queue, uint64_t ticket)
{
	json_t *o = json_object();

	mr_cli_text_json(o, "queue", queue, strlen(queue));
	json_object_set_new(o, "cancelled", json_integer((json_int_t)ticket));
	mr_cli_text_json_line(o);
}

int mr_cli_cancel(const struct mr_cli *cli, const char *queue, const char *ticket, bool json)
{
	struct mr_options options = MR_OPTIONS_INIT;
	struct mr_client *client;
	uint64_t number;
	char *end;
	int code, rc;

	errno = 0;
	number = strtoull(ticket, &end, 10);
	if (ticket[0] < '0' || ticket[0] > '9' || *end != '\0' || errno != 0 || number == 0 ||
		number >> 48 != 0)
		return mr_cli_fail(cli, MR_EXIT_USAGE, ticket, "is no ticket",
			"expected: the number that push printed, or that was given with --ticket");
	code = mr_cli_connect(cli, &options, &client);
	if (code != MR_EXIT_OK)
		return code;
	rc = mr_queue_cancel(client, queue, number);
	if (rc != 0)
		code = fail_cancel(cli, client, queue, ticket, rc);
	else if (json)
		print_cancelled(queue, number);
	else
		printf("cancelled %" PRIu64 "\n", number);
	mr_close(client);
	return code;
}

static const struct mr_cli_column columns[] = {
	{"QUEUE", "queue", .least = 12},
	{"TICKET", "ticket", .right = true},
	{"EVERY", "every_ms", .right = true, .unit = MR_CLI_UNIT_MS},
	{"CRON", "cron"},
	{"NEXT", "next_ms", .right = true, .unit = MR_CLI_UNIT_MS},
	{"MADE", "made", .right = true, .rank = 1, .unit = MR_CLI_UNIT_COUNT},
	{"SKIPPED", "skipped", .right = true, .rank = 2, .unit = MR_CLI_UNIT_COUNT, .alarm = true},
	{"PAYLOAD", "payload", .rank = 3, .least = 8},
};

/* Returns the value of the header Millrace-Cron. */
static struct mrf_string cron_of(struct mrf_bytes headers)
{
	const size_t name_bytes = sizeof(CRON_NAME) - 1;
	const char *line = (const char *)headers.data, *end = line + headers.bytes;

	while (line < end) {
		const char *stop = memchr(line, '\r', (size_t)(end - line));
		size_t bytes = (size_t)((stop == NULL ? end : stop) - line);

		if (bytes > name_bytes && strncasecmp(line, CRON_NAME, name_bytes) == 0) {
			line += name_bytes + (line[name_bytes] == ' ');
			return (struct mrf_string){line, (uint32_t)((stop ? stop : end) - line)};
		}
		line += bytes + 2;
	}
	return (struct mrf_string){"", 0};
}

static void add_row(struct mr_cli_table *t, const char *queue, struct mrf_table row)
{
	struct mrf_bytes payload = mrf_queue_message_row_payload(row);
	struct mrf_string cron = {"", 0};

	if (mrf_queue_message_row_every_ms(row) == 0)
		cron = cron_of(mrf_queue_message_row_headers(row));
	mr_cli_table_string(t, mrf_str(queue));
	mr_cli_table_count(t, mrf_queue_message_row_ticket(row));
	mr_cli_table_count(t, mrf_queue_message_row_every_ms(row));
	mr_cli_table_text(t, cron.data, cron.bytes);
	mr_cli_table_count(t, mrf_queue_message_row_next_ms(row));
	mr_cli_table_count(t, mrf_queue_message_row_fired(row));
	mr_cli_table_count(t, mrf_queue_message_row_skipped(row));
	mr_cli_table_text(t, (const char *)payload.data,
		payload.bytes < EXCERPT_BYTES ? payload.bytes : EXCERPT_BYTES);
}

/* Adds one part of the list; *more: there is another. */
static int add_page(struct mr_cli_admin *a, struct mrf_queue_command *command,
	struct mr_cli_table *t, bool *more)
{
	struct mrf_table messages;
	uint32_t count;
	int rc = mr_cli_admin_ask_queue(
		a, MRF_ADMIN_VERB_QUEUE, command, MRF_ADMIN_BODY_ADMIN_MESSAGES, &messages);

	if (rc != 0)
		return rc;
	count = mrf_admin_messages_messages_count(messages);
	for (uint32_t i = 0; i < count; i++)
		add_row(t, command->name.data, mrf_admin_messages_messages_at(messages, i));
	command->cursor += count;
	*more = count == PAGE;
	return 0;
}

/* Adds the schedules of one queue. */
static int add_queue(struct mr_cli_admin *a, const char *queue, struct mr_cli_table *t)
{
	struct mrf_queue_command command = {
		.verb = MRF_QUEUE_VERB_SCHEDULES, .name = mrf_str(queue)};
	bool more = true;
	int rc = 0;

	while (rc == 0 && more)
		rc = add_page(a, &command, t, &more);
	return rc;
}

/* Adds those of all queues. One that is removed meanwhile has none. The list belongs to its
 * connection, so that one stays open. */
static int add_all(const struct mr_cli *cli, struct mr_cli_admin *a, struct mr_cli_table *t)
{
	const struct mrf_queue_command list = {.kind = MRF_QUEUE_KIND_QUEUE};
	struct mr_cli_admin one;
	struct mrf_table queues;
	uint32_t count;
	int rc = mr_cli_admin_ask_queue(
		a, MRF_ADMIN_VERB_QUEUES, &list, MRF_ADMIN_BODY_ADMIN_QUEUES, &queues);

	if (rc != 0)
		return rc;
	rc = mr_cli_admin_open(&one, cli);
	count = mrf_admin_queues_rows_count(queues);
	for (uint32_t i = 0; i < count && rc == 0; i++) {
		struct mrf_table row = mrf_admin_queues_rows_at(queues, i);

		rc = add_queue(&one, mrf_queue_row_name(row).data, t);
		if (rc == -ENOENT && one.refused)
			rc = 0;
	}
	mr_cli_admin_close(&one);
	return rc;
}

int mr_cli_schedules(const struct mr_cli *cli, const char *queue, const struct mr_cli_view *view)
{
	const struct mrf_queue_command asked = {
		.verb = MRF_QUEUE_VERB_SCHEDULES, .name = mrf_str(queue)};
	struct mr_cli_admin admin;
	struct mr_cli_table t;
	int rc = mr_cli_admin_open(&admin, cli);

	mr_cli_table_init(&t, columns, MR_ARRAY_COUNT(columns));
	if (rc == 0)
		rc = queue != NULL ? add_queue(&admin, queue, &t) : add_all(cli, &admin, &t);
	if (rc == 0) {
		rc = mr_cli_view_show(cli, view, &t);
	} else {
		rc = queue != NULL ? mr_cli_admin_fail_queue(cli, &admin, &asked, rc)
				   : mr_cli_admin_fail(cli, &admin, rc);
		mr_cli_table_fini(&t);
	}
	mr_cli_admin_close(&admin);
	return rc;
}
