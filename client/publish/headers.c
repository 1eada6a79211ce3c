/* SPDX-License-Identifier: Apache-2.0 */
/* headers: writes, checks and reads header blocks of the NATS/1.0 form (NATS ADR-4). Blocks that
 * are sent keep to the grammar of docs/protocol.md; blocks that are read need not. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "client/core/error.h"
#include "client/publish/publish.h"

static const char first_line[] = "NATS/1.0\r\n";
#define FIRST_BYTES (sizeof(first_line) - 1)

void mr_headers_init(struct mr_headers *h, void *memory, size_t capacity)
{
	if (h == NULL)
		return;
	h->data = memory;
	h->bytes = 0;
	h->capacity = memory != NULL ? capacity : 0;
}

static bool name_valid(const char *name, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		unsigned char ch = (unsigned char)name[i];

		if (ch <= ' ' || ch == ':' || ch == 0x7f)
			return false;
	}
	return bytes > 0;
}

static char *append(char *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
	return to + bytes;
}

static int add_check(const struct mr_headers *h, const char *name, const char *value)
{
	if (h == NULL || name == NULL || value == NULL)
		return mr_fail(NULL, -EINVAL, "mr_headers_add: an argument is NULL");
	if (!name_valid(name, strlen(name)))
		return mr_failf(NULL, -EINVAL,
			"mr_headers_add: name \"%.64s\": empty, or has a colon, a space or a "
			"control byte",
			name);
	if (strpbrk(value, "\r\n") != NULL)
		return mr_failf(
			NULL, -EINVAL, "mr_headers_add: the value of %.64s has CR or LF", name);
	return 0;
}

int mr_headers_add(struct mr_headers *h, const char *name, const char *value)
{
	int error = add_check(h, name, value);
	size_t name_bytes, value_bytes, at, end;
	char *p;

	if (error != 0)
		return error;
	name_bytes = strlen(name);
	value_bytes = strlen(value);
	/* Each addition overwrites the empty line at the end. */
	at = h->bytes == 0 ? FIRST_BYTES : h->bytes - 2;
	end = at + name_bytes + 2 + value_bytes + 2 + 2;
	if (end > h->capacity)
		return mr_failf(NULL, -ENOSPC,
			"mr_headers_add: %.64s does not fit: %zu bytes are needed, %zu are there",
			name, end, h->capacity);
	if (h->bytes == 0)
		memcpy(h->data, first_line, FIRST_BYTES);
	p = append(h->data + at, name, name_bytes);
	p = append(p, ": ", 2);
	p = append(p, value, value_bytes);
	append(p, "\r\n\r\n", 4);
	h->bytes = end;
	return 0;
}

/* Puts the value and the ends of two lines behind the name at `p`. The terminating zero byte of the
 * value fits, because the ends of lines stand behind it. Returns the end, or NULL with *error. */
static char *value_print(
	const struct mr_headers *h, char *p, int *error, const char *format, va_list args)
{
	size_t room = (size_t)(h->data + h->capacity - p) - 3;
	int n = vsnprintf(p, room, format, args);

	*error = n < 0 ? -EINVAL : (size_t)n >= room ? -ENOSPC : 0;
	if (*error == 0 &&
		(memchr(p, '\r', (size_t)n) != NULL || memchr(p, '\n', (size_t)n) != NULL ||
			memchr(p, '\0', (size_t)n) != NULL))
		*error = -EINVAL;
	return *error == 0 ? append(p + n, "\r\n\r\n", 4) : NULL;
}

/* Writes as mr_headers_addf does, but a failure may overwrite the empty line at the end. */
static int add_printed(struct mr_headers *h, const char *name, const char *format, va_list args)
{
	size_t at = h->bytes == 0 ? FIRST_BYTES : h->bytes - 2;
	size_t name_bytes = strlen(name);
	char *end;
	int error;

	if (at + name_bytes + 2 + 2 + 2 > h->capacity)
		return -ENOSPC;
	end = append(append(h->data + at, name, name_bytes), ": ", 2);
	end = value_print(h, end, &error, format, args);
	if (error != 0)
		return error;
	if (h->bytes == 0)
		memcpy(h->data, first_line, FIRST_BYTES);
	h->bytes = (size_t)(end - h->data);
	return 0;
}

int mr_headers_addf(struct mr_headers *h, const char *name, const char *format, ...)
{
	va_list args;
	int error;

	if (h == NULL || name == NULL || format == NULL)
		return mr_fail(NULL, -EINVAL, "mr_headers_addf: an argument is NULL");
	if (!name_valid(name, strlen(name)))
		return mr_failf(NULL, -EINVAL,
			"mr_headers_addf: name \"%.64s\": empty, or has a colon, a space or a "
			"control byte",
			name);
	va_start(args, format);
	error = add_printed(h, name, format, args);
	va_end(args);
	if (error == 0)
		return 0;
	if (h->bytes > 0)
		memcpy(h->data + h->bytes - 2, "\r\n", 2);
	return mr_failf(NULL, error, "mr_headers_addf: the value of %.64s %s", name,
		error == -ENOSPC ? "does not fit into the memory"
				 : "has CR, LF or a zero byte, or its format is wrong");
}

/* Returns the length of the first line of `text`, without CR LF. SIZE_MAX: it does not end, or
 * contains CR, LF or NUL. */
static size_t line_bytes(const char *text, size_t bytes)
{
	const char *end = memchr(text, '\r', bytes);
	size_t n = end != NULL ? (size_t)(end - text) : bytes;

	if (n + 1 >= bytes || end[1] != '\n')
		return SIZE_MAX;
	return memchr(text, '\n', n) == NULL && memchr(text, '\0', n) == NULL ? n : SIZE_MAX;
}

static bool first_line_valid(const char *block, size_t bytes)
{
	const size_t version_bytes = FIRST_BYTES - 2;

	return bytes != SIZE_MAX && bytes >= version_bytes &&
	       memcmp(block, first_line, version_bytes) == 0 &&
	       (bytes == version_bytes || block[version_bytes] == ' ');
}

const char *mr_headers_fault(const char *block, size_t block_bytes)
{
	size_t n = line_bytes(block, block_bytes);

	if (!first_line_valid(block, n))
		return "not a NATS/1.0 block";
	for (size_t at = n + 2; at < block_bytes; at += n + 2) {
		const char *colon;

		n = line_bytes(block + at, block_bytes - at);
		if (n == SIZE_MAX)
			return "a line without CR LF at its end, or with CR, LF or NUL within";
		if (n == 0)
			return at + 2 == block_bytes ? NULL : "a line behind the empty line";
		colon = memchr(block + at, ':', n);
		if (colon == NULL || !name_valid(block + at, (size_t)(colon - block) - at))
			return "a line that is not \"Name: value\"";
	}
	return "no empty line at the end";
}

/* Returns the end of the line that starts at `at`, before its CR LF; `bytes` if it does not end. */
static size_t line_end(const char *block, size_t bytes, size_t at)
{
	const char *p = block + at;

	while ((p = memchr(p, '\r', (size_t)(block + bytes - p))) != NULL) {
		if ((size_t)(p - block) + 1 < bytes && p[1] == '\n')
			return (size_t)(p - block);
		p++;
	}
	return bytes;
}

static void trim(const char **text, size_t *bytes)
{
	while (*bytes > 0 && (**text == ' ' || **text == '\t')) {
		(*text)++;
		(*bytes)--;
	}
	while (*bytes > 0 && ((*text)[*bytes - 1] == ' ' || (*text)[*bytes - 1] == '\t'))
		(*bytes)--;
}

/* Skips the first line, which may carry a status behind the version: "NATS/1.0 503". */
static size_t after_first_line(const char *block, size_t bytes)
{
	size_t end = line_end(block, bytes, 0);

	if (end == bytes || end < FIRST_BYTES - 2 ||
		memcmp(block, first_line, FIRST_BYTES - 2) != 0)
		return bytes;
	return end + 2;
}

/* False: the line is not a header, and is skipped. */
static bool header_take(const char *line, size_t bytes, struct mr_header *out)
{
	const char *colon = memchr(line, ':', bytes);

	if (colon == NULL || !name_valid(line, (size_t)(colon - line)))
		return false;
	out->name = line;
	out->name_bytes = (size_t)(colon - line);
	out->value = colon + 1;
	out->value_bytes = (size_t)(line + bytes - out->value);
	trim(&out->value, &out->value_bytes);
	return true;
}

bool mr_headers_next(const char *block, size_t block_bytes, size_t *cursor, struct mr_header *out)
{
	bool found = false;
	size_t at;

	if (block == NULL || cursor == NULL || out == NULL)
		return false;
	at = *cursor;
	if (at == 0)
		at = after_first_line(block, block_bytes);
	while (!found && at < block_bytes) {
		size_t end = line_end(block, block_bytes, at);

		found = header_take(block + at, end - at, out);
		at = end < block_bytes ? end + 2 : block_bytes;
	}
	*cursor = at;
	return found;
}

bool mr_headers_find(const char *block, size_t block_bytes, const char *name, struct mr_header *out)
{
	size_t bytes = name != NULL ? strlen(name) : 0;
	size_t cursor = 0;

	if (bytes == 0)
		return false;
	while (mr_headers_next(block, block_bytes, &cursor, out)) {
		if (out->name_bytes == bytes && strncasecmp(out->name, name, bytes) == 0)
			return true;
	}
	return false;
}

const char *mr_message_header(const struct mr_message *m, const char *name, size_t *bytes)
{
	struct mr_header found;

	if (m == NULL || name == NULL ||
		!mr_headers_find(m->headers, m->header_bytes, name, &found))
		found = (struct mr_header){0};
	if (bytes != NULL)
		*bytes = found.value_bytes;
	return found.value;
}

bool mr_message_header_next(const struct mr_message *m, size_t *cursor, struct mr_header *out)
{
	return m != NULL && mr_headers_next(m->headers, m->header_bytes, cursor, out);
}
