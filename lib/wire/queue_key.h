/* SPDX-License-Identifier: Apache-2.0 */
/* queue_key: keys of messages of queues: the number that stands for a key, and the option that says
 * what the key of a message is.
 *
 * Threads   Any; pure functions.
 */
#ifndef MILLRACE_WIRE_QUEUE_KEY_H
#define MILLRACE_WIRE_QUEUE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Header in which a client puts the text of a given key. */
#define MR_QUEUE_KEY_HEADER            "Millrace-Key"
#define MR_QUEUE_KEY_BYTES_MAX         255u
#define MR_QUEUE_KEY_FROM_MAX          80u /* bytes of the option key_from */
#define MR_QUEUE_KEY_TOKEN_MAX         64u
#define MR_QUEUE_IN_FLIGHT_PER_KEY_MAX 250u

/* FNV-1a of 64 bits (draft-eastlake-fnv §2), but 1 in place of 0: 0 says that there is no key. */
static inline uint64_t mr_queue_key_of(const void *text, size_t bytes)
{
	const uint8_t *p = (const uint8_t *)text;
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ p[i]) * 0x100000001b3u;
	return hash == 0 ? 1 : hash;
}

/* The option key_from; without token and header it is empty. */
struct mr_queue_key_from {
	uint32_t token;     /* number in the subject, from 1; 0: a header is the key */
	const char *header; /* its name, a part of the text */
	size_t header_bytes;
};

#define MR_QUEUE_KEY_FROM_EXPECTED "expected header NAME, or token N (1 to 64)"

/* Parses "header NAME" or "token N"; an empty text is good. False: malformed. */
bool mr_queue_key_from_parse(const char *text, size_t bytes, struct mr_queue_key_from *out);

#endif
