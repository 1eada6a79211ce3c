/* SPDX-License-Identifier: Apache-2.0 */
/* letter: a message that is about to be written: in one record, or in pieces if it is larger than one
 * may be. Private to the library.
 *
 * Owns      Nothing: parts and token are the caller's.
 * Threads   The client's.
 * Errors    0, or as the public calls say.
 */
#ifndef MILLRACE_CLIENT_LETTER_H
#define MILLRACE_CLIENT_LETTER_H

#include "client/internal.h"

/* Of the body of one piece, where frames do not make it smaller. */
#define MR_PIECE_BYTES_MAX (32u << 10)

struct mr_letter {
	enum mrf_message_kind kind;
	uint32_t target;
	const struct mrf_reply_token *token; /* NULL: none */
	struct mr_message_extra extra;       /* without fragment */
	struct mr_parts parts;
	uint32_t reserve_bytes; /* that a delivery needs beside it: the subject of an alias */
	/* Set by mr_letter_measure: */
	uint32_t piece_bytes; /* body of all pieces but the last; 0: one record */
	uint32_t pieces;
	uint64_t bytes; /* of all records, with what pads them */
};

/* Checks the parts, and works out how they go. -EINVAL, -EMSGSIZE. */
int mr_letter_measure(struct mr_client *c, struct mr_letter *l);
/* Bytes of piece `index`, without padding. */
uint32_t mr_letter_piece_bytes(const struct mr_letter *l, uint32_t index);
/* Writes piece `index`, of message number `message` if there are several. */
void mr_letter_write(const struct mr_client *c, const struct mr_letter *l, uint32_t index,
	uint32_t message, uint8_t *to);
/* Writes it into the ring; `promised`: into the one that loses nothing. What is in pieces waits for room, unless
 * `wait` is false and the ring could hold all of them at once: -EAGAIN. */
int mr_letter_send(struct mr_client *c, struct mr_letter *l, bool promised, bool wait);
/* True of what most are: one record of this connection, without header block and with nothing to say of it
 * that mr_letter_measure would find out. */
static inline bool mr_letter_is_plain(
	const struct mr_client *c, size_t header_bytes, const void *payload, size_t bytes)
{
	/* What a delivery may need beside it. */
	size_t extra_bytes =
		sizeof(struct mrf_message_origin) + sizeof(struct mrf_message_delivery);

	return header_bytes == 0 && bytes <= MR_PIECE_BYTES_MAX &&
	       bytes + (extra_bytes & c->body_subject_mask) <= c->body_bytes_max &&
	       (payload != NULL || bytes == 0);
}
/* As measuring and sending a promised one that is plain, at a third of the price. */
int mr_letter_send_plain(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const void *payload, size_t bytes, bool wait);
/* Measures and sends what is too large for one record, if it is not too large for the bus. */
int mr_letter_send_large(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const struct mr_parts *parts, uint32_t reserve_bytes,
	bool wait);

#endif
