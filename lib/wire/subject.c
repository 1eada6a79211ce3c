/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/wire/subject.h"

#include <errno.h>
#include <string.h>

#include "lib/base/compiler.h"

/* Control bytes, space and DEL would break logs, listings and line protocols. */
static bool bad_byte(uint8_t c)
{
	return c <= 0x20 || c == 0x7f;
}

static enum mr_subject_fault bytes_fault(const uint8_t *s, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (bad_byte(s[i]))
			return MR_SUBJECT_BAD_BYTE;
	return MR_SUBJECT_OK;
}

/* Returns the fault of one token of a pattern; `last`: nothing follows it. */
static enum mr_subject_fault token_fault(
	const uint8_t *token, size_t bytes, bool last, bool wildcards)
{
	if (bytes == 0)
		return MR_SUBJECT_EMPTY_TOKEN;
	if (bytes > 1 || (token[0] != '*' && token[0] != '>'))
		return MR_SUBJECT_OK;
	if (!wildcards)
		return MR_SUBJECT_WILDCARD;
	if (token[0] == '>' && !last)
		return MR_SUBJECT_TAIL_NOT_LAST;
	return MR_SUBJECT_OK;
}

static enum mr_subject_fault tokens_fault(const uint8_t *s, size_t bytes, bool wildcards)
{
	size_t start = 0;

	if (bytes == 0)
		return MR_SUBJECT_EMPTY;
	if (bytes > MR_SUBJECT_BYTES_MAX)
		return MR_SUBJECT_TOO_LONG;
	for (size_t i = 0; i < bytes; i++) {
		if (mr_unlikely(bad_byte(s[i])))
			return MR_SUBJECT_BAD_BYTE;
		if (s[i] != '.')
			continue;
		enum mr_subject_fault fault = token_fault(s + start, i - start, false, wildcards);
		if (mr_unlikely(fault != MR_SUBJECT_OK))
			return fault;
		start = i + 1;
	}
	return token_fault(s + start, bytes - start, true, wildcards);
}

enum mr_subject_fault mr_subject_parse(const void *s, size_t bytes)
{
	return tokens_fault(s, bytes, false);
}

enum mr_subject_fault mr_pattern_parse(const void *s, size_t bytes)
{
	return tokens_fault(s, bytes, true);
}

enum mr_subject_fault mr_prefix_parse(const void *s, size_t bytes)
{
	if (bytes > MR_SUBJECT_BYTES_MAX)
		return MR_SUBJECT_TOO_LONG;
	return bytes_fault(s, bytes);
}

enum mr_subject_fault mr_group_parse(const void *s, size_t bytes)
{
	const uint8_t *name = s;

	if (bytes == 0)
		return MR_SUBJECT_EMPTY;
	if (bytes > MR_GROUP_BYTES_MAX)
		return MR_SUBJECT_TOO_LONG;
	for (size_t i = 0; i < bytes; i++)
		if (name[i] == '*' || name[i] == '>')
			return MR_SUBJECT_WILDCARD;
	return bytes_fault(name, bytes);
}

int mr_subject_check(const char *s, size_t bytes)
{
	switch (mr_subject_parse(s, bytes)) {
	case MR_SUBJECT_OK: return 0;
	case MR_SUBJECT_TOO_LONG: return -E2BIG;
	default: return -EINVAL;
	}
}

static size_t token_bytes(const char *s, const char *end)
{
	const char *dot = memchr(s, '.', (size_t)(end - s));

	return (size_t)((dot != NULL ? dot : end) - s);
}

bool mr_pattern_matches(
	const char *pattern, size_t pattern_bytes, const char *subject, size_t subject_bytes)
{
	const char *pattern_end = pattern + pattern_bytes, *subject_end = subject + subject_bytes;

	while (pattern < pattern_end && subject < subject_end) {
		size_t n = token_bytes(pattern, pattern_end), m = token_bytes(subject, subject_end);

		if (n == 1 && *pattern == '>')
			return true;
		if (!(n == 1 && *pattern == '*') && (n != m || memcmp(pattern, subject, n) != 0))
			return false;
		pattern += n + 1;
		subject += m + 1;
	}
	return pattern > pattern_end && subject > subject_end;
}

const char *mr_subject_fault_text(enum mr_subject_fault fault)
{
	static const char *const text[MR_SUBJECT_FAULTS] = {
		[MR_SUBJECT_OK] = "no fault",
		[MR_SUBJECT_EMPTY] = "empty",
		[MR_SUBJECT_TOO_LONG] = "too long (255 bytes at most, 63 for a group)",
		[MR_SUBJECT_EMPTY_TOKEN] = "empty token (a dot at an end, or two in a row)",
		[MR_SUBJECT_BAD_BYTE] = "control byte or space",
		[MR_SUBJECT_WILDCARD] = "wildcard where none is allowed",
		[MR_SUBJECT_TAIL_NOT_LAST] = "'>' is not the last token",
	};

	if ((unsigned)fault >= MR_SUBJECT_FAULTS)
		return "unknown fault";
	return text[fault];
}
