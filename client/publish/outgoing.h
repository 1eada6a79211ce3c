/* SPDX-License-Identifier: Apache-2.0 */
/* outgoing: a message that is about to be written: in one record, or in pieces if it is larger than one
 * may be. Private to the library.
 *
 * Owns      Nothing: parts and token are the caller's.
 * Threads   The client's.
 * Errors    0, or as the public calls say.
 */
#ifndef MILLRACE_CLIENT_PUBLISH_OUTGOING_H
#define MILLRACE_CLIENT_PUBLISH_OUTGOING_H

#include "client/publish/publish.h"

/* Of the body of one piece, where frames do not make it smaller. */
#define MR_FRAGMENT_BYTES_MAX (32u << 10)

struct mr_outgoing {
	enum mrf_message_kind kind;
	uint32_t target;
	const struct mrf_reply_token *token; /* NULL: none */
	struct mr_message_extra extra;       /* without fragment */
	struct mr_message_parts parts;
	uint32_t reserve_bytes; /* that a delivery needs beside it: the subject of an alias */
	/* Set by mr_outgoing_measure: */
	uint32_t fragment_bytes; /* body of all pieces but the last; 0: one record */
	uint32_t fragments;
	uint64_t bytes; /* of all records, with what pads them */
};

/* Checks the parts, and works out how they go. -EINVAL, -EMSGSIZE. */
int mr_outgoing_measure(struct mr_client *c, struct mr_outgoing *l);
/* Bytes of piece `index`, without padding. */
uint32_t mr_outgoing_fragment_bytes(const struct mr_outgoing *l, uint32_t index);
/* Writes piece `index`, of message number `message` if there are several. */
void mr_outgoing_write(const struct mr_client *c, const struct mr_outgoing *l, uint32_t index,
	uint32_t message, uint8_t *to);
/* Writes it into the ring; `promised`: into the one that loses nothing. What is in pieces waits for room, unless
 * `wait` is false and the ring could hold all of them at once: -EAGAIN. */
int mr_outgoing_send(struct mr_client *c, struct mr_outgoing *l, bool promised, bool wait);
/* True of what most are: one record of this connection, without header block and with nothing to say of it
 * that mr_outgoing_measure would find out. */
static inline bool mr_outgoing_is_plain(
	const struct mr_client *c, size_t header_bytes, const void *payload, size_t bytes)
{
	/* What a delivery may need beside it. */
	size_t extra_bytes =
		sizeof(struct mrf_message_origin) + sizeof(struct mrf_message_delivery);

	return header_bytes == 0 && bytes <= MR_FRAGMENT_BYTES_MAX &&
	       bytes + (extra_bytes & c->body_subject_mask) <= c->body_bytes_max &&
	       (payload != NULL || bytes == 0);
}
/* As measuring and sending a promised one that is plain, at a third of the price. */
int mr_outgoing_send_plain(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const void *payload, size_t bytes, bool wait);
/* Measures and sends what is too large for one record, if it is not too large for the bus. */
int mr_outgoing_send_large(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const struct mr_message_parts *parts,
	uint32_t reserve_bytes, bool wait);

#endif
