/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/template.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void mr_cli_template_init(struct mr_cli_template *t, uint64_t seed)
{
	*t = (struct mr_cli_template){.random = seed != 0 ? seed : 1};
}

void mr_cli_template_free(struct mr_cli_template *t)
{
	free(t->data);
	t->data = NULL;
}

/* xorshift64 (Marsaglia 2003): fast, and good enough for test data. */
static uint64_t next_random(struct mr_cli_template *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

/* Makes room for `bytes` more. */
static int reserve(struct mr_cli_template *t, size_t bytes)
{
	size_t capacity = t->capacity > 0 ? t->capacity : 256;
	char *data;

	while (capacity - t->bytes < bytes)
		capacity *= 2;
	if (capacity == t->capacity)
		return 0;
	data = realloc(t->data, capacity);
	if (data == NULL)
		return -ENOMEM;
	t->data = data;
	t->capacity = capacity;
	return 0;
}

static int append(struct mr_cli_template *t, const char *text, size_t bytes)
{
	if (reserve(t, bytes) != 0)
		return -ENOMEM;
	memcpy(t->data + t->bytes, text, bytes);
	t->bytes += bytes;
	return 0;
}

static int append_count(struct mr_cli_template *t, uint64_t count)
{
	char text[24];

	return append(t, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, count));
}

static int append_time(struct mr_cli_template *t, uint64_t date_ns)
{
	time_t seconds = (time_t)(date_ns / 1000000000u);
	unsigned ms = (unsigned)(date_ns / 1000000u % 1000u);
	char text[48];
	struct tm utc;
	size_t n;

	gmtime_r(&seconds, &utc);
	n = strftime(text, sizeof(text), "%FT%T", &utc);
	n += (size_t)snprintf(text + n, sizeof(text) - n, ".%03uZ", ms);
	return append(t, text, n);
}

static int append_random(struct mr_cli_template *t, size_t bytes)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	if (reserve(t, bytes) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < bytes; i++)
		t->data[t->bytes++] = letters[next_random(t) % (sizeof(letters) - 1)];
	return 0;
}

/* Parses "random N". 0: it is something else. */
static size_t random_bytes(const char *name, size_t bytes)
{
	size_t n = 0;

	if (bytes < 8 || memcmp(name, "random ", 7) != 0)
		return 0;
	for (size_t i = 7; i < bytes; i++) {
		if (name[i] < '0' || name[i] > '9' || n > MR_CLI_TEMPLATE_RANDOM_MAX)
			return 0;
		n = n * 10 + (size_t)(name[i] - '0');
	}
	return n <= MR_CLI_TEMPLATE_RANDOM_MAX ? n : 0;
}

static int append_named(
	struct mr_cli_template *t, const char *name, size_t bytes, uint64_t count, uint64_t date_ns)
{
	size_t n = random_bytes(name, bytes);

	if (n > 0)
		return append_random(t, n);
	if (bytes == 5 && memcmp(name, "count", 5) == 0)
		return append_count(t, count);
	if (bytes == 4 && memcmp(name, "time", 4) == 0)
		return append_time(t, date_ns);
	snprintf(t->error, sizeof(t->error), "{{%.*s}}", (int)(bytes < 60 ? bytes : 60), name);
	return -EINVAL;
}

/* Returns the offset of `two`, which are two bytes, or `bytes`. */
static size_t find(const char *text, size_t bytes, const char *two)
{
	const char *at = memmem(text, bytes, two, 2);

	return at != NULL ? (size_t)(at - text) : bytes;
}

int mr_cli_template_expand(
	struct mr_cli_template *t, const char *text, size_t bytes, uint64_t count, uint64_t date_ns)
{
	int rc = 0;

	t->bytes = 0;
	while (bytes > 0 && rc == 0) {
		size_t open = find(text, bytes, "{{");
		size_t name_bytes =
			open < bytes ? find(text + open + 2, bytes - open - 2, "}}") : 0;
		bool closed = open < bytes && name_bytes < bytes - open - 2;

		/* Braces that do not close are text. */
		if (!closed)
			return append(t, text, bytes);
		rc = append(t, text, open);
		if (rc == 0)
			rc = append_named(t, text + open + 2, name_bytes, count, date_ns);
		text += open + name_bytes + 4;
		bytes -= open + name_bytes + 4;
	}
	return rc;
}
