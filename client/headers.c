/* SPDX-License-Identifier: Apache-2.0 */
/* headers: writes and reads header blocks of the NATS/1.0 form (NATS ADR-4). */
#include <string.h>
#include <strings.h>

#include "client/internal.h"

static const char first_line[] = "NATS/1.0\r\n";
#define FIRST_BYTES (sizeof(first_line) - 1)

void mr_headers_init(struct mr_headers *h, void *memory, size_t capacity)
{
	h->data = memory;
	h->bytes = 0;
	h->capacity = capacity;
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

int mr_headers_add(struct mr_headers *h, const char *name, const char *value)
{
	size_t name_bytes = strlen(name);
	size_t value_bytes = strlen(value);
	/* The empty line at the end is written over by each addition. */
	size_t at = h->bytes == 0 ? FIRST_BYTES : h->bytes - 2;
	size_t end = at + name_bytes + 2 + value_bytes + 2 + 2;
	char *p;

	if (!name_valid(name, name_bytes) || strpbrk(value, "\r\n") != NULL)
		return -EINVAL;
	if (end > h->capacity)
		return -ENOSPC;
	if (h->bytes == 0)
		memcpy(h->data, first_line, FIRST_BYTES);
	p = append(h->data + at, name, name_bytes);
	p = append(p, ": ", 2);
	p = append(p, value, value_bytes);
	append(p, "\r\n\r\n", 4);
	h->bytes = end;
	return 0;
}

/* Where the line that starts at `at` ends, before its CR LF; `bytes` if it does not. */
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

/* The first line may carry a status behind the version: "NATS/1.0 503". */
static size_t after_first_line(const char *block, size_t bytes)
{
	size_t end = line_end(block, bytes, 0);

	if (end == bytes || end < FIRST_BYTES - 2 ||
		memcmp(block, first_line, FIRST_BYTES - 2) != 0)
		return bytes;
	return end + 2;
}

bool mr_headers_next(const char *block, size_t block_bytes, size_t *cursor, struct mr_header *out)
{
	size_t at = *cursor;
	const char *colon;
	size_t end;

	if (block == NULL)
		return false;
	if (at == 0)
		at = after_first_line(block, block_bytes);
	if (at >= block_bytes)
		return false;
	end = line_end(block, block_bytes, at);
	colon = memchr(block + at, ':', end - at);
	if (end == block_bytes || colon == NULL)
		return false;
	out->name = block + at;
	out->name_bytes = (size_t)(colon - out->name);
	out->value = colon + 1;
	out->value_bytes = (size_t)(block + end - out->value);
	trim(&out->value, &out->value_bytes);
	*cursor = end + 2;
	return name_valid(out->name, out->name_bytes);
}

bool mr_headers_find(const char *block, size_t block_bytes, const char *name, struct mr_header *out)
{
	size_t bytes = strlen(name);
	size_t cursor = 0;

	while (mr_headers_next(block, block_bytes, &cursor, out)) {
		if (out->name_bytes == bytes && strncasecmp(out->name, name, bytes) == 0)
			return true;
	}
	return false;
}
