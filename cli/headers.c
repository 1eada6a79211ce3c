/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/headers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/text.h"

static int add(struct mr_headers *h, const char *word)
{
	const char *colon = strchr(word, ':');
	char *name;
	int rc;

	if (!colon || colon == word)
		return -EINVAL;
	name = strndup(word, (size_t)(colon - word));
	if (!name)
		return -ENOMEM;
	colon++;
	rc = mr_headers_add(h, name, colon + (*colon == ' '));
	free(name);
	return rc;
}

int mr_cli_headers_make(struct mr_headers *h, const struct mr_cli_words *words, const char **bad)
{
	for (unsigned i = 0; i < words->count; i++) {
		int rc = add(h, words->at[i]);

		*bad = words->at[i];
		if (rc)
			return rc;
	}
	return 0;
}

int mr_cli_headers_take(const struct mr_cli *cli, const struct mr_cli_words *words,
	struct mr_headers *h, char *memory, size_t bytes)
{
	const char *bad;
	int rc;

	mr_headers_init(h, memory, bytes);
	rc = mr_cli_headers_make(h, words, &bad);
	if (rc == 0)
		return MR_EXIT_OK;
	return mr_cli_fail(cli, MR_EXIT_USAGE, bad,
		rc == -ENOSPC ? "too many headers" : "not a header", "expected: -H name:value");
}

void mr_cli_headers_print(FILE *out, const char *block, size_t bytes)
{
	struct mr_header header;
	const char *before = "[";
	size_t cursor = 0;

	while (mr_headers_next(block, bytes, &cursor, &header)) {
		fputs(before, out);
		mr_cli_text_print(out, header.name, header.name_bytes);
		fputs(": ", out);
		mr_cli_text_print(out, header.value, header.value_bytes);
		before = ", ";
	}
	if (*before == ',')
		fputs("] ", out);
}

/* Header values are bytes. In JSON, values that are not UTF-8 are escaped; headers_base64 has them
 * unchanged. */
static json_t *value_json(const struct mr_header *header)
{
	json_t *value = json_stringn(header->value, header->value_bytes);
	char *text;

	if (value)
		return value;
	text = mr_cli_text_escaped(header->value, header->value_bytes);
	value = json_string(text);
	free(text);
	return value;
}

static void set_header(json_t *object, const struct mr_header *header)
{
	char *name = mr_cli_text_escaped(header->name, header->name_bytes);
	json_t *known = json_object_get(object, name);

	if (!known) {
		json_object_set_new(object, name, value_json(header));
	} else if (!json_is_array(known)) {
		json_t *values = json_array();

		json_array_append(values, known);
		json_array_append_new(values, value_json(header));
		json_object_set_new(object, name, values);
	} else {
		json_array_append_new(known, value_json(header));
	}
	free(name);
}

json_t *mr_cli_headers_json(const char *block, size_t bytes)
{
	json_t *object = json_object();
	struct mr_header header;
	size_t cursor = 0;

	while (mr_headers_next(block, bytes, &cursor, &header))
		set_header(object, &header);
	return object;
}

void mr_cli_headers_set_json(json_t *object, const char *block, size_t bytes)
{
	json_object_set_new(object, "headers", mr_cli_headers_json(block, bytes));
	if (!mr_cli_text_is_utf8(block, bytes))
		mr_cli_text_json(object, "headers", block, bytes);
}

/* Bytes for a time in UTC or a session number. */
#define STAMP_TEXT_BYTES 48u

/* Writes a time as RFC 3339 does, in UTC. False: there is none. */
static bool time_text(char out[STAMP_TEXT_BYTES], uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000u);
	struct tm utc;
	size_t n;

	if (time_ns == 0)
		return false;
	gmtime_r(&seconds, &utc);
	n = strftime(out, STAMP_TEXT_BYTES, "%FT%T", &utc);
	snprintf(out + n, STAMP_TEXT_BYTES - n, ".%06uZ", (unsigned)(time_ns / 1000u % 1000000u));
	return true;
}

/* Prints when the bus took the message and who sent it, if the message says so. */
static void print_stamp(const struct mr_message *m)
{
	const char *name;
	size_t name_bytes;
	uint64_t sender = mr_message_sender(m, &name, &name_bytes);
	char text[STAMP_TEXT_BYTES];

	if (time_text(text, mr_message_time_ns(m)))
		printf("%s ", text);
	if (sender == 0)
		return;
	printf("0x%016" PRIx64, sender);
	if (name_bytes > 0) {
		putchar('/');
		mr_cli_text_print(stdout, name, name_bytes);
	}
	putchar(' ');
}

void mr_cli_message_print(const struct mr_message *m, bool colour)
{
	print_stamp(m);
	if (m->subject_bytes) {
		fputs(colour ? "\033[36m" : "", stdout);
		mr_cli_text_print(stdout, m->subject, m->subject_bytes);
		fputs(colour ? "\033[0m " : " ", stdout);
	}
	if (m->header_bytes)
		mr_cli_headers_print(stdout, m->headers, m->header_bytes);
	mr_cli_text_print(stdout, m->payload, m->payload_bytes);
	putchar('\n');
}

static void set_stamp_json(json_t *o, const struct mr_message *m)
{
	const char *name;
	size_t name_bytes;
	uint64_t time_ns = mr_message_time_ns(m), sender = mr_message_sender(m, &name, &name_bytes);
	char text[STAMP_TEXT_BYTES];

	if (time_text(text, time_ns)) {
		json_object_set_new(o, "time", json_string(text));
		json_object_set_new(o, "time_ns", json_integer((json_int_t)time_ns));
	}
	if (sender == 0)
		return;
	snprintf(text, sizeof(text), "0x%016" PRIx64, sender);
	json_object_set_new(o, "sender", json_string(text));
	if (name_bytes > 0)
		mr_cli_text_json(o, "sender_name", name, name_bytes);
}

json_t *mr_cli_message_object(const struct mr_message *m)
{
	json_t *o = json_object();

	set_stamp_json(o, m);

	if (m->subject_bytes)
		mr_cli_text_json(o, "subject", m->subject, m->subject_bytes);
	if (m->header_bytes)
		mr_cli_headers_set_json(o, m->headers, m->header_bytes);
	mr_cli_text_json(o, "payload", m->payload, m->payload_bytes);
	if (m->subject_bytes)
		json_object_set_new(o, "wants_reply", json_boolean(m->wants_reply));
	return o;
}

void mr_cli_message_json(const struct mr_message *m)
{
	mr_cli_text_json_line(mr_cli_message_object(m));
}
