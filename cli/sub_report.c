/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sub_report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/headers.h"
#include "cli/text.h"

int mr_cli_sub_report_begin(struct mr_cli_sub_report *r, uint64_t now_ns)
{
	r->tally = mr_cli_tally_new(r->mode == MR_CLI_SUB_LAST);
	r->printed_ns = now_ns;
	r->next_ns = r->interval_ns ? now_ns + r->interval_ns : UINT64_MAX;
	return r->tally ? 0 : -ENOMEM;
}

static json_t *totals(const struct mr_cli_tally *t)
{
	return json_pack(
		"{s:I, s:I}", "messages", (json_int_t)t->messages, "bytes", (json_int_t)t->bytes);
}

static void print_count(const struct mr_cli_sub_report *r)
{
	if (r->json)
		mr_cli_text_json_line(totals(r->tally));
	else
		printf("%" PRIu64 " messages, %" PRIu64 " bytes\n", r->tally->messages,
			r->tally->bytes);
}

static void print_rate(struct mr_cli_sub_report *r, uint64_t now_ns)
{
	double seconds = (double)(now_ns - r->printed_ns) / 1e9;
	double messages = (double)(r->tally->messages - r->messages_before);
	double bytes = (double)(r->tally->bytes - r->bytes_before);
	json_t *o;

	if (seconds <= 0)
		return;
	if (!r->json) {
		printf("%" PRIu64 " messages, %.1f/s, %.0f bytes/s\n", r->tally->messages,
			messages / seconds, bytes / seconds);
		return;
	}
	o = totals(r->tally);
	json_object_set_new(o, "messages_per_s", json_real(messages / seconds));
	json_object_set_new(o, "bytes_per_s", json_real(bytes / seconds));
	mr_cli_text_json_line(o);
}

static void print_subjects(const struct mr_cli_sub_report *r)
{
	printf("%12s  %14s  SUBJECT\n", "MESSAGES", "BYTES");
	for (uint32_t i = 0; i < r->tally->count; i++) {
		const struct mr_cli_tally_row *row = &r->tally->rows[i];

		printf("%12" PRIu64 "  %14" PRIu64 "  ", row->messages, row->bytes);
		mr_cli_text_print(stdout, row->subject, strlen(row->subject));
		putchar('\n');
	}
	if (r->tally->others > 0)
		printf("%12" PRIu64 "  %14s  (of further subjects)\n", r->tally->others, "-");
}

static void print_subjects_json(const struct mr_cli_sub_report *r)
{
	json_t *rows = json_array();
	json_t *o = totals(r->tally);

	for (uint32_t i = 0; i < r->tally->count; i++) {
		const struct mr_cli_tally_row *row = &r->tally->rows[i];
		json_t *x = json_object();

		mr_cli_text_json(x, "subject", row->subject, strlen(row->subject));
		json_object_set_new(x, "messages", json_integer((json_int_t)row->messages));
		json_object_set_new(x, "bytes", json_integer((json_int_t)row->bytes));
		json_array_append_new(rows, x);
	}
	json_object_set_new(o, "others", json_integer((json_int_t)r->tally->others));
	json_object_set_new(o, "subjects", rows);
	mr_cli_text_json_line(o);
}

static void print_last(const struct mr_cli_sub_report *r)
{
	for (uint32_t i = 0; i < r->tally->count; i++) {
		const struct mr_cli_tally_row *row = &r->tally->rows[i];

		if (row->memory == NULL)
			continue;
		if (r->json) {
			mr_cli_message_json(&row->last);
		} else if (r->raw) {
			fwrite(row->last.payload, 1, row->last.payload_bytes, stdout);
			putchar('\n');
		} else {
			mr_cli_message_print(&row->last, r->colour);
		}
	}
}

static void print(struct mr_cli_sub_report *r, uint64_t now_ns)
{
	mr_cli_tally_sort(r->tally);
	switch (r->mode) {
	case MR_CLI_SUB_MESSAGES: return;
	case MR_CLI_SUB_COUNT: print_count(r); break;
	case MR_CLI_SUB_RATE: print_rate(r, now_ns); break;
	case MR_CLI_SUB_LAST: print_last(r); break;
	case MR_CLI_SUB_REPORT:
		if (r->json)
			print_subjects_json(r);
		else
			print_subjects(r);
		break;
	}
	r->printed_ns = now_ns;
	r->messages_before = r->tally->messages;
	r->bytes_before = r->tally->bytes;
}

void mr_cli_sub_report_tick(struct mr_cli_sub_report *r, uint64_t now_ns)
{
	if (now_ns < r->next_ns)
		return;
	print(r, now_ns);
	r->next_ns = now_ns + r->interval_ns;
}

void mr_cli_sub_report_end(struct mr_cli_sub_report *r, uint64_t now_ns)
{
	print(r, now_ns);
	mr_cli_tally_free(r->tally);
	r->tally = NULL;
}
