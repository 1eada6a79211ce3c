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
	char bytes[]; /* payload, stamp and subject, headers; a zero byte behind each text */
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
	size_t stamp_bytes;
	char *at;

	if (m == NULL ||
		mr_sized_read(NULL, "mr_message_dup", &from, sizeof(from), m, message_bytes) != 0)
		return NULL;
	stamp_bytes = mr_message_stamp_bytes(&from);
	copy = malloc(sizeof(*copy) + stamp_bytes + from.subject_bytes + from.header_bytes +
		      from.payload_bytes + 3);
	if (copy == NULL)
		return NULL;
	copy->message = from;
	at = copy->bytes;
	copy->message.payload = put(&at, from.payload, from.payload_bytes);
	if (stamp_bytes > 0)
		memcpy(at, from.subject - stamp_bytes, stamp_bytes);
	at += stamp_bytes;
	copy->message.subject = put(&at, from.subject, from.subject_bytes);
	if (from.headers != NULL)
		copy->message.headers = put(&at, from.headers, from.header_bytes);
	return &copy->message;
}

/* Reads the stamp; false: there is none. */
static bool stamp_of(const struct mr_message *m, struct mrf_message_stamp *out)
{
	size_t bytes = m != NULL ? mr_message_stamp_bytes(m) : 0;

	if (bytes < sizeof(*out))
		return false;
	memcpy(out, m->subject - bytes, sizeof(*out));
	return true;
}

uint64_t mr_message_time_ns(const struct mr_message *m)
{
	struct mrf_message_stamp stamp;

	return stamp_of(m, &stamp) ? stamp.time_ns : 0;
}

uint64_t mr_message_sender(const struct mr_message *m, const char **name, size_t *name_bytes)
{
	struct mrf_message_stamp stamp;
	bool known = stamp_of(m, &stamp) && stamp.sender != 0;
	size_t bytes = known ? mr_message_stamp_bytes(m) - sizeof(stamp) : 0;

	if (name != NULL)
		*name = known ? m->subject - bytes : NULL;
	if (name_bytes != NULL)
		*name_bytes = bytes;
	return known ? stamp.sender : 0;
}

void mr_message_free(struct mr_message *m)
{
	free(m);
}
