/* SPDX-License-Identifier: Apache-2.0 */
#include "client/queue/push_options.h"

#include <stdlib.h>
#include <string.h>

#include "client/core/error.h"
#include "client/queue/ticket.h"
#include "lib/wire/queue_key.h"

/* True if the text may be a key, and so a header's value. */
static bool is_key(const char *key)
{
	size_t bytes = strlen(key);

	if (bytes == 0 || bytes > MR_QUEUE_KEY_BYTES_MAX)
		return false;
	for (size_t i = 0; i < bytes; i++)
		if ((unsigned char)key[i] < ' ' || key[i] == 127)
			return false;
	return true;
}

int mr_queue_push_check(const struct mr_queue *q, const struct mr_push *push)
{
	uint32_t lacks = mr_queue_push_needs(push) & ~q->box.push_options;

	if (push->delay_ms != 0 && push->at_ms != 0)
		return mr_fail(q->client, -EINVAL, "push: delay_ms and at_ms are both set");
	if (mr_ticket_check(q, push) != 0)
		return -EINVAL;
	if (push->key != NULL && !is_key(push->key))
		return mr_fail(q->client, -EINVAL,
			"key: expected 1 to 255 bytes without control characters");
	if (q->box.target == 0)
		return mr_fail(q->client, -EAGAIN, "the queue is not open now");
	if (lacks & MRF_PUSH_OPTION_KEY)
		return mr_fail(q->client, -EOPNOTSUPP,
			"key: the bus is older and does not know keys of messages");
	if (lacks & MRF_PUSH_OPTION_TTL)
		return mr_fail(q->client, -EOPNOTSUPP,
			"ttl: the bus is older and does not know a message's time to live");
	if (lacks & MRF_PUSH_OPTION_PRIORITY)
		return mr_fail(q->client, -EOPNOTSUPP,
			"priority: the bus is older and knows only high, normal and low");
	if (lacks & MRF_PUSH_OPTION_RESTORED)
		return mr_fail(q->client, -EOPNOTSUPP,
			"attempts: the bus is older and does not know earlier attempts");
	return lacks == 0 ? 0
			  : mr_fail(q->client, -EOPNOTSUPP,
				    "delay: the bus is older and does not know delayed messages");
}

#define VERSION_LINE "NATS/1.0\r\n"
#define KEY_NAME     MR_QUEUE_KEY_HEADER ": "
/* The most bytes that a key adds to a header block. */
#define KEY_LINE_MAX (sizeof(VERSION_LINE) + sizeof(KEY_NAME) + MR_QUEUE_KEY_BYTES_MAX + 4)

static char *append(char *to, const char *text, size_t bytes)
{
	memcpy(to, text, bytes);
	return to + bytes;
}

/* Puts the key behind the options as the first header. */
static int prepend_key(
	struct mr_queue *q, const struct mr_push *push, struct mr_push_prepended *out)
{
	const size_t version_bytes = sizeof(VERSION_LINE) - 1, key_bytes = strlen(push->key);
	const char *rest = push->headers;
	char *to = out->memory + sizeof(out->options);

	out->options.key = mr_queue_key_of(push->key, key_bytes);
	memcpy(out->memory, &out->options, sizeof(out->options));
	if (push->header_bytes > 0 && (push->header_bytes < version_bytes ||
					      memcmp(rest, VERSION_LINE, version_bytes) != 0)) {
		free(out->memory);
		out->memory = NULL;
		return mr_fail(q->client, -EINVAL, "malformed header block");
	}
	to = append(to, VERSION_LINE, version_bytes);
	to = append(to, KEY_NAME, sizeof(KEY_NAME) - 1);
	to = append(to, push->key, key_bytes);
	to = append(to, "\r\n", 2);
	if (push->header_bytes > 0)
		to = append(to, rest + version_bytes, push->header_bytes - version_bytes);
	else
		to = append(to, "\r\n", 2);
	out->push.header_bytes = (size_t)(to - out->memory);
	return 0;
}

/* Puts the options before the header block. */
static int prepend_to_block(
	struct mr_queue *q, const struct mr_push *push, struct mr_push_prepended *out)
{
	*out = (struct mr_push_prepended){.push = *push,
		.options = {
			.ttl_ms = push->ttl_ms, .delay_ms = push->delay_ms, .at_ms = push->at_ms}};
	if (push->priority >= MR_PRIORITY_FIRST)
		out->options.priority = (uint8_t)(1 + push->priority - MR_PRIORITY_FIRST);
	mr_ticket_options(push, &out->options);
	out->push.headers = (const char *)&out->options;
	out->push.header_bytes = sizeof(out->options) + push->header_bytes;
	if (push->header_bytes == 0 && push->key == NULL)
		return 0;
	if (push->header_bytes > 0 && push->headers == NULL)
		return mr_fail(q->client, -EINVAL, "a length is given without data");
	if (push->header_bytes > MR_BODY_BYTES_MAX)
		return mr_publish_too_large(q->client);
	out->memory = malloc(out->push.header_bytes + KEY_LINE_MAX);
	if (out->memory == NULL)
		return mr_fail(q->client, -ENOMEM, NULL);
	out->push.headers = out->memory;
	if (push->key != NULL)
		return prepend_key(q, push, out);
	memcpy(out->memory, &out->options, sizeof(out->options));
	memcpy(out->memory + sizeof(out->options), push->headers, push->header_bytes);
	return 0;
}

int mr_queue_push_prepend(
	struct mr_queue *q, const struct mr_push *push, struct mr_push_prepended *out)
{
	struct mr_push with = *push;
	char *block;
	int error;

	*out = (struct mr_push_prepended){0};
	if (push->cron == NULL)
		return prepend_to_block(q, push, out);
	if (push->header_bytes > 0 && push->headers == NULL)
		return mr_fail(q->client, -EINVAL, "a length is given without data");
	if (push->header_bytes > MR_BODY_BYTES_MAX)
		return mr_publish_too_large(q->client);
	with.header_bytes = push->header_bytes + mr_ticket_header_bytes(push);
	block = malloc(with.header_bytes);
	if (block == NULL)
		return mr_fail(q->client, -ENOMEM, NULL);
	with.headers = block;
	error = mr_ticket_header_write(push, block)
			? prepend_to_block(q, &with, out)
			: mr_fail(q->client, -EINVAL, "the header block has no first line");
	free(block);
	return error;
}

void mr_queue_push_prepended_free(struct mr_push_prepended *p)
{
	free(p->memory);
}
