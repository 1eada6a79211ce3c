/* SPDX-License-Identifier: Apache-2.0 */
/* outgoing: a message that is about to be written, as one record or, if it is too large for that,
 * in fragments. Private to the library.
 *
 * Owns      Nothing: parts and token are the caller's.
 * Threads   The client's.
 * Errors    0, or the errors of the public calls.
 */
#ifndef MILLRACE_CLIENT_PUBLISH_OUTGOING_H
#define MILLRACE_CLIENT_PUBLISH_OUTGOING_H

#include "client/publish/publish.h"

/* Largest body of a fragment, where frames do not make it smaller. */
#define MR_FRAGMENT_BYTES_MAX (32u << 10)

struct mr_outgoing {
	enum mrf_message_kind kind;
	uint32_t target;
	const struct mrf_reply_token *token; /* NULL: none */
	struct mr_message_extra extra;       /* without fragment data */
	struct mr_message_parts parts;
	uint32_t options_bytes; /* of a PushOptions, at the beginning of the header block */
	uint32_t reserve_bytes; /* room that a delivery needs beside it: the alias's subject */
	/* Set by mr_outgoing_measure: */
	uint32_t fragment_bytes; /* body of all fragments but the last; 0: one record */
	uint32_t fragments;
	uint64_t bytes; /* bytes of all padded records */
};

/* Checks the parts, and decides on fragments. -EINVAL, -EMSGSIZE. */
int mr_outgoing_measure(struct mr_client *c, struct mr_outgoing *l);
/* Returns the bytes of fragment `index`, without padding. */
uint32_t mr_outgoing_fragment_bytes(const struct mr_outgoing *l, uint32_t index);
/* Writes fragment `index`. `message`: the message's number, if there are several fragments. */
void mr_outgoing_write(const struct mr_client *c, const struct mr_outgoing *l, uint32_t index,
	uint32_t message, uint8_t *to);
/* Writes it into the up ring, or the promised ring. `wait` false: -EAGAIN if the ring has no room
 * for it, or for half of the ring if it is longer; a longer message in fragments that has begun
 * waits for the rest. */
int mr_outgoing_send(struct mr_client *c, struct mr_outgoing *l, bool promised, bool wait);
/* True if it is one record of this connection, without header block, that needs no
 * mr_outgoing_measure. Most messages are. */
static inline bool mr_outgoing_is_plain(
	const struct mr_client *c, size_t header_bytes, const void *payload, size_t bytes)
{
	/* A delivery may need this beside it. */
	size_t extra_bytes =
		sizeof(struct mrf_message_origin) + sizeof(struct mrf_message_delivery);

	return header_bytes == 0 && bytes <= MR_FRAGMENT_BYTES_MAX &&
	       bytes + (extra_bytes & c->body_subject_mask) <= c->body_bytes_max &&
	       (payload != NULL || bytes == 0);
}
/* Measures and sends a plain promised message, at a third of the cost. */
int mr_outgoing_send_plain(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const void *payload, size_t bytes, bool wait);
/* Measures and sends a message that is too large for one record. */
int mr_outgoing_send_large(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const struct mr_message_parts *parts,
	uint32_t reserve_bytes, bool wait);

#endif
