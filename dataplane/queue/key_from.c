/* SPDX-License-Identifier: Apache-2.0 */
/* key_from: keys of messages that were pushed without an option: the header in which a client once
 * gave a key, which a message keeps when it is moved to another queue; else what the option
 * key_from says. */
#include <strings.h>

#include "dataplane/queue/key.h"

const char *mr_key_from_check(struct mrf_string text)
{
	struct mr_queue_key_from from;

	return mr_queue_key_from_parse(text.data, text.bytes, &from)
		       ? NULL
		       : "key_from: " MR_QUEUE_KEY_FROM_EXPECTED;
}

void mr_key_from_set(struct mr_queue *queue, struct mrf_string text)
{
	struct mr_queue_keys *keys = queue->keys;
	struct mr_queue_key_from from;

	queue->options.key_from = (struct mrf_string){0};
	if (text.bytes > 0) {
		memmove(keys->from, text.data, text.bytes);
		queue->options.key_from = mrf_str_n(keys->from, text.bytes);
	}
	(void)mr_queue_key_from_parse(keys->from, text.bytes, &from);
	keys->token = (uint8_t)from.token;
	keys->header = from.header;
	keys->header_bytes = (uint32_t)from.header_bytes;
}

static struct mrf_string trimmed(const char *text, uint32_t bytes)
{
	while (bytes > 0 && (*text == ' ' || *text == '\t')) {
		text++;
		bytes--;
	}
	while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t'))
		bytes--;
	return mrf_str_n(text, bytes);
}

struct mrf_string mr_key_header(
	const uint8_t *block, uint32_t bytes, const char *name, uint32_t name_bytes)
{
	const char *at = (const char *)block, *end;

	for (; bytes > 0; bytes -= (uint32_t)(end - at) + 2, at = end + 2) {
		end = memmem(at, bytes, "\r\n", 2);
		if (end == NULL)
			break;
		if ((uint32_t)(end - at) > name_bytes && at[name_bytes] == ':' &&
			strncasecmp(at, name, name_bytes) == 0)
			return trimmed(at + name_bytes + 1, (uint32_t)(end - at) - name_bytes - 1);
	}
	return (struct mrf_string){0};
}

static struct mrf_string token_at(const char *subject, uint32_t bytes, uint32_t token)
{
	const char *end, *dot;

	if (bytes == 0)
		return (struct mrf_string){0};
	end = subject + bytes;
	for (; (dot = memchr(subject, '.', (size_t)(end - subject))) != NULL && token > 1; token--)
		subject = dot + 1;
	if (token > 1)
		return (struct mrf_string){0};
	return mrf_str_n(subject, (uint32_t)((dot != NULL ? dot : end) - subject));
}

struct mrf_string mr_key_text(
	const struct mr_queue *queue, struct mr_queue_entry *e, uint64_t key, uint32_t bytes_max)
{
	static const char given[] = MR_QUEUE_KEY_HEADER, subject[] = "Millrace-Subject";
	const struct mr_queue_keys *keys = queue->keys;
	const struct mr_queue_chain *chain = mr_entry_body(e);
	const uint8_t *block = e->flags & MR_ENTRY_CHAIN ? chain->first->body : mr_entry_body(e);
	struct mrf_string text = mr_key_header(block, e->header_bytes, given, sizeof(given) - 1);

	if (text.bytes == 0 && keys->header_bytes > 0)
		text = mr_key_header(block, e->header_bytes, keys->header, keys->header_bytes);
	if (text.bytes == 0 && keys->token > 0) {
		text = mr_key_header(block, e->header_bytes, subject, sizeof(subject) - 1);
		text = token_at(text.data, text.bytes, keys->token);
	}
	if (text.bytes == 0 || text.bytes > bytes_max ||
		mr_queue_key_of(text.data, text.bytes) != key)
		return (struct mrf_string){0};
	return text;
}

uint64_t mr_key_of(const struct mr_queue *queue, const struct mr_message_view *m)
{
	static const char given[] = MR_QUEUE_KEY_HEADER;
	const struct mr_queue_keys *keys = queue->keys;
	struct mrf_string text =
		mr_key_header(m->headers, m->header_bytes, given, sizeof(given) - 1);

	if (text.bytes == 0 && keys->header_bytes > 0)
		text = mr_key_header(m->headers, m->header_bytes, keys->header, keys->header_bytes);
	else if (text.bytes == 0 && keys->token > 0)
		text = token_at((const char *)m->subject, m->subject_bytes, keys->token);
	return text.bytes == 0 ? 0 : mr_queue_key_of(text.data, text.bytes);
}
