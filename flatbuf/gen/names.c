/* SPDX-License-Identifier: Apache-2.0 */
#include "flatbuf/gen/names.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

static const char *const keywords[] = {
	"alignas",
	"alignof",
	"asm",
	"auto",
	"bool",
	"break",
	"case",
	"char",
	"const",
	"continue",
	"default",
	"do",
	"double",
	"else",
	"enum",
	"extern",
	"false",
	"float",
	"for",
	"goto",
	"if",
	"inline",
	"int",
	"linux",
	"long",
	"offsetof",
	"register",
	"restrict",
	"return",
	"short",
	"signed",
	"sizeof",
	"static",
	"struct",
	"switch",
	"true",
	"typedef",
	"typeof",
	"union",
	"unix",
	"unsigned",
	"void",
	"volatile",
	"while",
};

bool gen_name_is_keyword(const char *name)
{
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (strcmp(keywords[i], name) == 0)
			return true;
	}
	return false;
}

/* True if a word begins at name[i]: the B of "aB", and of an acronym the last capital ("ABc"). */
static bool begins_word(const char *name, size_t i)
{
	if (i == 0 || !isupper((unsigned char)name[i]) || name[i - 1] == '_')
		return false;
	return !isupper((unsigned char)name[i - 1]) || islower((unsigned char)name[i + 1]);
}

bool gen_name_snake(const char *name, char *out, size_t bytes)
{
	const char *dot = strrchr(name, '.');
	size_t used = 0;
	if (dot)
		name = dot + 1;
	for (size_t i = 0; name[i]; i++) {
		if (used + 3 > bytes || (!isalnum((unsigned char)name[i]) && name[i] != '_'))
			return false;
		if (begins_word(name, i))
			out[used++] = '_';
		out[used++] = (char)tolower((unsigned char)name[i]);
	}
	out[used] = '\0';
	return used > 0;
}

void gen_name_upper(const char *name, char *out, size_t bytes)
{
	size_t i = 0;
	for (; name[i] && i + 1 < bytes; i++)
		out[i] = (char)toupper((unsigned char)name[i]);
	out[i] = '\0';
}
