/* SPDX-License-Identifier: Apache-2.0 */
/* publish: messages to subjects, by subject or through a publisher.
 *
 *   publish.c     mr_publish*, mr_reply*, mr_flush, mr_drain
 *   publisher.h   mr_publisher_*, and publishers that promise
 *   headers.c     header blocks
 *
 * Threads   The client's.
 * Errors    0 or -errno, with the client's error text.
 */
#ifndef MILLRACE_CLIENT_PUBLISH_PUBLISH_H
#define MILLRACE_CLIENT_PUBLISH_PUBLISH_H

#include "client/core/away.h"
#include "client/core/part.h"

/* The parts of a message to send. */
struct mr_message_parts {
	const char *subject;
	size_t subject_bytes;
	const char *headers;
	size_t header_bytes;
	const void *payload;
	size_t payload_bytes;
};

/* headers.c: returns what is wrong with a header block that is to be sent, or NULL. */
const char *mr_headers_fault(const char *block, size_t block_bytes);

/* publish.c */

/* Returns -EMSGSIZE, with a text that names the limit. */
int mr_publish_too_large(struct mr_client *c);
/* 0, -EINVAL or -EMSGSIZE. */
int mr_message_parts_check(struct mr_client *c, const struct mr_message_parts *p);
/* Copies a message into the up ring. `wait`: for room. */
int mr_publish_parts(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const struct mr_message_parts *p, bool wait);

/* promise.c: returns the number of a publisher with this name; one that counts its messages itself
 * has next_id != 0. NULL: a random number. Never 0. */
uint64_t mr_publisher_number(struct mr_client *c, const char *name, uint64_t next_id);

#endif
