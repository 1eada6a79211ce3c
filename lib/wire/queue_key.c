/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/wire/queue_key.h"

#include <string.h>

#define HEADER_WORD "header "
#define TOKEN_WORD  "token "

/* Returns the number; 0: it is none, or too large. */
static uint32_t token_of(const char *text, size_t bytes)
{
	uint32_t value = 0;

	for (size_t i = 0; i < bytes && value <= MR_QUEUE_KEY_TOKEN_MAX; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		value = value * 10 + (uint32_t)(text[i] - '0');
	}
	return value <= MR_QUEUE_KEY_TOKEN_MAX ? value : 0;
}

static bool is_header_name(const char *name, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (name[i] <= ' ' || name[i] == ':' || name[i] == 127)
			return false;
	return bytes > 0;
}

bool mr_queue_key_from_parse(const char *text, size_t bytes, struct mr_queue_key_from *out)
{
	const size_t header_word = sizeof(HEADER_WORD) - 1, token_word = sizeof(TOKEN_WORD) - 1;

	*out = (struct mr_queue_key_from){0};
	if (bytes == 0)
		return true;
	if (bytes > MR_QUEUE_KEY_FROM_MAX)
		return false;
	if (bytes > token_word && memcmp(text, TOKEN_WORD, token_word) == 0) {
		out->token = token_of(text + token_word, bytes - token_word);
		return out->token != 0;
	}
	if (bytes <= header_word || memcmp(text, HEADER_WORD, header_word) != 0)
		return false;
	out->header = text + header_word;
	out->header_bytes = bytes - header_word;
	return is_header_name(out->header, out->header_bytes);
}
