/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/priority.h"
#include "cli/text.h"
#include "lib/base/compiler.h"
#include "lib/base/suggest.h"
#include "lib/wire/priority.h"

#define VERSION 2

/* The numbers of a line, and the largest that each may be. */
static const struct {
	const char *key;
	uint64_t max;
} counts[] = {
	{"attempts", UINT16_MAX},
	{"ttl_ms", UINT32_MAX},
	{"delay_ms", UINT32_MAX},
	{"at_ms", INT64_MAX},
	{"ticket", (1ull << 48) - 1},
};

void mr_cli_record_print(const struct mr_push *p)
{
	const uint64_t values[] = {p->attempts, p->ttl_ms, p->delay_ms, p->at_ms, p->ticket};
	json_t *o = json_object();

	json_object_set_new(o, "version", json_integer(VERSION));
	json_object_set_new(o, "priority",
		json_string(mr_cli_priority_text(mr_level_of_priority((unsigned)p->priority))));
	for (size_t i = 0; i < MR_ARRAY_COUNT(counts); i++)
		if (values[i] != 0)
			json_object_set_new(o, counts[i].key, json_integer((json_int_t)values[i]));
	if (p->header_bytes)
		mr_cli_text_json(o, "headers", p->headers, p->header_bytes);
	mr_cli_text_json(o, "payload", p->payload, p->bytes);
	mr_cli_text_json_line(o);
}

static bool report(char *error, size_t error_bytes, const char *text, const char *key)
{
	snprintf(error, error_bytes, "%s%s", key, text);
	return false;
}

/* Copies a string, or decodes the base64 of KEY_base64. Absent: no bytes. */
static bool take_bytes(const json_t *o, const char *key, void **out, size_t *bytes, char *error,
	size_t error_bytes)
{
	char encoded_key[32];
	const json_t *plain = json_object_get(o, key), *encoded;

	snprintf(encoded_key, sizeof(encoded_key), "%s_base64", key);
	encoded = json_object_get(o, encoded_key);
	if ((plain && !json_is_string(plain)) || (encoded && !json_is_string(encoded)))
		return report(error, error_bytes, " is not a string", key);
	if (plain && encoded)
		return report(error, error_bytes, " is there as text and as base64", key);
	*bytes = 0;
	if (encoded) {
		if (strlen(json_string_value(encoded)) == json_string_length(encoded))
			*out = mr_cli_text_unbase64(json_string_value(encoded), bytes);
		return *out || report(error, error_bytes, " is not base64", encoded_key);
	}
	if (plain)
		*bytes = json_string_length(plain);
	*out = malloc(*bytes + 1);
	if (*out && plain)
		memcpy(*out, json_string_value(plain), *bytes);
	return *out || report(error, error_bytes, "no memory", "");
}

static bool take_priority(const json_t *o, enum mr_priority *out, char *error, size_t error_bytes)
{
	const json_t *value = json_object_get(o, "priority");
	const char *text = value ? json_string_value(value) : "normal";

	if (text && mr_cli_priority_parse(text, out))
		return true;
	return report(error, error_bytes, " is not one of normal, high or low, or \"0\" to \"9\"",
		"priority");
}

static bool take_counts(
	const json_t *o, uint64_t values[MR_ARRAY_COUNT(counts)], char *error, size_t error_bytes)
{
	for (size_t i = 0; i < MR_ARRAY_COUNT(counts); i++) {
		const json_t *value = json_object_get(o, counts[i].key);
		json_int_t n = json_integer_value(value);

		if (value && (!json_is_integer(value) || n < 0 || (uint64_t)n > counts[i].max))
			return report(
				error, error_bytes, " is not a number of its range", counts[i].key);
		values[i] = (uint64_t)n;
	}
	return true;
}

static bool take_times(struct mr_push *p, const json_t *o, char *error, size_t error_bytes)
{
	uint64_t values[MR_ARRAY_COUNT(counts)];

	if (!take_counts(o, values, error, error_bytes))
		return false;
	p->attempts = (uint32_t)values[0];
	p->ttl_ms = (uint32_t)values[1];
	p->delay_ms = (uint32_t)values[2];
	p->at_ms = values[3];
	p->ticket = values[4];
	if (p->delay_ms != 0 && p->at_ms != 0)
		return report(error, error_bytes, " and at_ms are both there", "delay_ms");
	if (p->delay_ms == 0 && p->at_ms == 0)
		return p->ticket == 0 ||
		       report(error, error_bytes, " needs delay_ms or at_ms", "ticket");
	return p->attempts == 0 ||
	       report(error, error_bytes, " do not go with delay_ms or at_ms", "attempts");
}

/* A line of a later version may say what this program would lose. */
static bool has_known_version(const json_t *o, char *error, size_t error_bytes)
{
	const json_t *value = json_object_get(o, "version");
	json_int_t version = value ? json_integer_value(value) : 1;

	if (value && !json_is_integer(value))
		return report(error, error_bytes, " is not a number", "version");
	return (version >= 1 && version <= VERSION) ||
	       report(error, error_bytes, " is not 1 or 2", "version");
}

/* Refuses keys that no export writes: a mistyped one would lose what it says. */
static bool has_known_keys(json_t *o, char *error, size_t error_bytes)
{
	static const char *const known[] = {"priority", "headers", "headers_base64", "payload",
		"payload_base64", "version", "attempts", "ttl_ms", "delay_ms", "at_ms", "ticket"};
	struct mr_suggest s;
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach(o, key, value)
	{
		for (i = 0; i < MR_ARRAY_COUNT(known) && strcmp(key, known[i]) != 0; i++)
			;
		if (i < MR_ARRAY_COUNT(known))
			continue;
		s = mr_suggest_begin(key, strlen(key));
		for (i = 0; i < MR_ARRAY_COUNT(known); i++)
			mr_suggest_try(&s, known[i]);
		snprintf(error, error_bytes, "%.40s is an unknown key%s%s%s",
			mr_cli_text_is_printable(key, strlen(key)) ? key : "there",
			s.best ? " (did you mean " : "", s.best ? s.best : "", s.best ? "?)" : "");
		return false;
	}
	return true;
}

static bool take_all(struct mr_cli_record *r, json_t *o, char *error, size_t error_bytes)
{
	if (!json_is_object(o))
		return report(error, error_bytes, "not a JSON object", "");
	if (!json_object_get(o, "payload") && !json_object_get(o, "payload_base64"))
		return report(error, error_bytes, " is missing", "payload");
	return has_known_version(o, error, error_bytes) && has_known_keys(o, error, error_bytes) &&
	       take_times(&r->push, o, error, error_bytes) &&
	       take_priority(o, &r->push.priority, error, error_bytes) &&
	       take_bytes(o, "headers", &r->headers, &r->push.header_bytes, error, error_bytes) &&
	       take_bytes(o, "payload", &r->payload, &r->push.bytes, error, error_bytes);
}

bool mr_cli_record_parse(
	struct mr_cli_record *r, const char *line, size_t bytes, char *error, size_t error_bytes)
{
	json_t *o = json_loadb(line, bytes, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	bool taken;

	*r = (struct mr_cli_record){0};
	taken = take_all(r, o, error, error_bytes);
	json_decref(o);
	if (!taken)
		mr_cli_record_free(r);
	r->push.headers = r->push.header_bytes ? r->headers : NULL;
	r->push.payload = r->payload;
	return taken;
}

void mr_cli_record_free(struct mr_cli_record *r)
{
	free(r->headers);
	free(r->payload);
	*r = (struct mr_cli_record){0};
}
