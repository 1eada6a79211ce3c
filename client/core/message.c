/* SPDX-License-Identifier: Apache-2.0 */
/* message: copies of messages, in memory of their own. */
#include <stdlib.h>
#include <string.h>

#include "client/core/sized.h"
#include "client/core/state.h"

/* struct mr_delivery and struct mr_work contain it. */
_Static_assert(sizeof(struct mr_message) == 10 * sizeof(uint64_t), "a message keeps its size");
_Static_assert(sizeof(struct mr_delivery) == 15 * sizeof(uint64_t), "a delivery keeps its size");
_Static_assert(sizeof(struct mr_queue_options) == 6 * sizeof(uint64_t), "options keep their size");

struct copy {
	struct mr_message message;
	char bytes[]; /* payload, subject, headers; a zero byte behind each */
};

/* Copies a text and a zero byte; moves *at behind them. */
static char *put(char **at, const void *text, size_t bytes)
{
	char *to = *at;

	if (bytes > 0)
		memcpy(to, text, bytes);
	to[bytes] = '\0';
	*at += bytes + 1;
	return to;
}

struct mr_message *mr_message_dup_sized(const struct mr_message *m, size_t message_bytes)
{
	struct mr_message from;
	struct copy *copy;
	char *at;

	if (m == NULL ||
		mr_sized_read(NULL, "mr_message_dup", &from, sizeof(from), m, message_bytes) != 0)
		return NULL;
	copy = malloc(
		sizeof(*copy) + from.subject_bytes + from.header_bytes + from.payload_bytes + 3);
	if (copy == NULL)
		return NULL;
	copy->message = from;
	at = copy->bytes;
	copy->message.payload = put(&at, from.payload, from.payload_bytes);
	copy->message.subject = put(&at, from.subject, from.subject_bytes);
	if (from.headers != NULL)
		copy->message.headers = put(&at, from.headers, from.header_bytes);
	return &copy->message;
}

void mr_message_free(struct mr_message *m)
{
	free(m);
}
