/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/names.h"

#include <string.h>

#include "lib/wire/subject.h"

static const char *text(enum mr_subject_fault fault)
{
	return fault == MR_SUBJECT_OK ? NULL : mr_subject_fault_text(fault);
}

const char *mr_name_subject_fault(const char *subject, size_t bytes)
{
	return text(mr_subject_parse(subject, bytes));
}

const char *mr_name_pattern_fault(const char *pattern, size_t bytes, bool prefix)
{
	return text(prefix ? mr_prefix_parse(pattern, bytes) : mr_pattern_parse(pattern, bytes));
}

const char *mr_name_group_fault(const char *group)
{
	return text(mr_group_parse(group, strlen(group)));
}

/* Returns the length of the UTF-8 character at `t` (RFC 3629); 0: not a character. NUL counts as a
 * character. */
static size_t character_bytes(const unsigned char *t)
{
	size_t bytes = *t < 0x80   ? 1
		       : *t < 0xc2 ? 0
		       : *t < 0xe0 ? 2
		       : *t < 0xf0 ? 3
		       : *t < 0xf5 ? 4
				   : 0;

	for (size_t i = 1; i < bytes; i++)
		if ((t[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and code points above U+10FFFF. */
	if ((t[0] == 0xe0 && t[1] < 0xa0) || (t[0] == 0xed && t[1] >= 0xa0) ||
		(t[0] == 0xf0 && t[1] < 0x90) || (t[0] == 0xf4 && t[1] >= 0x90))
		return 0;
	return bytes;
}

static bool is_control(const unsigned char *t)
{
	return *t < 0x20 || *t == 0x7f || (*t == 0xc2 && t[1] < 0xa0);
}

void mr_name_fit(char *out, size_t out_bytes, const char *name)
{
	const unsigned char *t = (const unsigned char *)name;
	size_t at = 0;

	while (*t != 0) {
		size_t bytes = character_bytes(t);
		bool taken = bytes > 0 && !is_control(t);
		size_t room = taken ? bytes : 1;

		if (at + room >= out_bytes)
			break;
		memcpy(out + at, taken ? (const char *)t : "_", room);
		at += room;
		t += bytes > 0 ? bytes : 1;
	}
	if (at == 0) {
		out[0] = '_';
		at = 1;
	}
	out[at] = '\0';
}
