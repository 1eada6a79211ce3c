/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wildcard.h"

#include <string.h>

/* Texts in a remark are cut to this length. */
#define SHOWN 160

static bool is_one(const char *token, size_t bytes, char c)
{
	return bytes == 1 && *token == c;
}

/* Remarks on a wildcard within a token, such as b* in a.b*. */
static void within(
	const char *pattern, const char *token, size_t bytes, char *out, size_t out_bytes)
{
	bool last = token[bytes] == '\0' && token[bytes - 1] == '*';
	size_t before = (size_t)(token - pattern) + bytes - 1;
	int n = snprintf(out, out_bytes,
		"%.*s: %.*s has no wildcard: * is one only as a whole token, > only as the last",
		SHOWN, pattern, (int)(bytes < SHOWN ? bytes : SHOWN), token);

	if (last && before <= SHOWN && memchr(pattern, '*', before) == NULL)
		snprintf(out + n, out_bytes - (size_t)n,
			"; for subjects that begin with %.*s use sub --prefix", (int)before,
			pattern);
}

static bool remark_on_token(
	const char *pattern, const char *token, size_t bytes, char *out, size_t out_bytes)
{
	if (is_one(token, bytes, '*') || is_one(token, bytes, '>'))
		return false;
	if (is_one(token, bytes, '#'))
		snprintf(out, out_bytes,
			"%.*s: # is no wildcard; > at the end stands for one or more tokens", SHOWN,
			pattern);
	else if (is_one(token, bytes, '+'))
		snprintf(out, out_bytes, "%.*s: + is no wildcard; * stands for one token", SHOWN,
			pattern);
	else if (memchr(token, '*', bytes) || memchr(token, '>', bytes))
		within(pattern, token, bytes, out, out_bytes);
	else
		return false;
	return true;
}

static bool remark_on_prefix(const char *pattern, char *out, size_t out_bytes)
{
	size_t bytes = strlen(pattern);

	if (bytes == 0 || (pattern[bytes - 1] != '*' && pattern[bytes - 1] != '>'))
		return false;
	snprintf(out, out_bytes, "%.*s: a prefix has no wildcards; leave the %c at its end out",
		SHOWN, pattern, pattern[bytes - 1]);
	return true;
}

bool mr_cli_wildcard_remark(
	const char *pattern, bool prefix, char out[static MR_CLI_WILDCARD_BYTES])
{
	if (prefix)
		return remark_on_prefix(pattern, out, MR_CLI_WILDCARD_BYTES);
	for (const char *token = pattern; *token; token += *token == '.') {
		size_t bytes = strcspn(token, ".");

		if (bytes > 0 && remark_on_token(pattern, token, bytes, out, MR_CLI_WILDCARD_BYTES))
			return true;
		token += bytes;
	}
	return false;
}

void mr_cli_wildcard_note(const struct mr_cli *cli, const char *pattern, bool prefix)
{
	char text[MR_CLI_WILDCARD_BYTES];

	if (mr_cli_wildcard_remark(pattern, prefix, text))
		mr_cli_note(cli, "%s", text);
}
