/* SPDX-License-Identifier: Apache-2.0 */
/* Each fragment has the whole message's subject, token and origin; the first one has the header
 * block too. All but the last have a body of one size, a multiple of 8, so that the receiver knows
 * where each belongs. A fragment's offset is the start of its part of header block and payload. */
#include "client/publish/outgoing.h"

#include <string.h>

#include "client/core/error.h"
#include "client/core/ring_out.h"

static size_t body_bytes(const struct mr_outgoing *l)
{
	return l->parts.header_bytes + l->parts.payload_bytes;
}

/* Returns the body that a record of this connection holds beside `extra_bytes`. */
static size_t record_body_bytes_max(
	const struct mr_client *c, const struct mr_outgoing *l, uint32_t extra_bytes)
{
	size_t room = c->body_bytes_max;

	if (c->body_subject_mask == 0)
		return room;
	extra_bytes += (uint32_t)l->parts.subject_bytes + l->reserve_bytes;
	return room > extra_bytes ? room - extra_bytes : 0;
}

/* Returns the room for the origin, and for the consumer's settlement data, that a delivery may
 * get. */
static uint32_t extra_bytes_max(const struct mr_outgoing *l)
{
	uint32_t bytes = 0;

	if (l->extra.flags & MRF_MESSAGE_FLAG_ORIGIN || l->kind == MRF_MESSAGE_KIND_PUSH ||
		l->kind == MRF_MESSAGE_KIND_PUSH_OPTIONS)
		bytes += (uint32_t)sizeof(struct mrf_message_origin);
	if (l->kind != MRF_MESSAGE_KIND_PUBLISH)
		bytes += (uint32_t)sizeof(struct mrf_message_delivery);
	return bytes;
}

static uint32_t record_bytes(
	const struct mr_outgoing *l, uint32_t flags, size_t header_bytes, size_t payload_bytes)
{
	return mr_message_bytes(l->token != NULL, (uint32_t)l->parts.subject_bytes,
		       (uint32_t)header_bytes, (uint32_t)payload_bytes) +
	       mr_message_extra_bytes(l->extra.flags | flags);
}

static int measure_fragments(struct mr_client *c, struct mr_outgoing *l, uint32_t extra_bytes)
{
	size_t body = body_bytes(l);
	size_t most = record_body_bytes_max(
		c, l, extra_bytes + (uint32_t)sizeof(struct mrf_message_fragment));

	if (most > MR_FRAGMENT_BYTES_MAX)
		most = MR_FRAGMENT_BYTES_MAX;
	most &= ~(size_t)7;
	if (body > c->whole_bytes_max || most == 0)
		return mr_publish_too_large(c);
	if (l->parts.header_bytes > most)
		return mr_failf(c, -EMSGSIZE, "headers: more than %zu bytes", most);
	l->fragment_bytes = (uint32_t)most;
	l->fragments = (uint32_t)((body + most - 1) / most);
	l->bytes = 0;
	for (uint32_t i = 0; i < l->fragments; i++)
		l->bytes += mr_message_stride(mr_outgoing_fragment_bytes(l, i));
	return 0;
}

static int check_parts(struct mr_client *c, const struct mr_outgoing *l)
{
	struct mr_message_parts parts = l->parts;

	if (mr_unlikely(l->options_bytes > 0)) {
		parts.headers += l->options_bytes;
		parts.header_bytes -= l->options_bytes;
	}
	return mr_message_parts_check(c, &parts);
}

int mr_outgoing_measure(struct mr_client *c, struct mr_outgoing *l)
{
	uint32_t extra_bytes = extra_bytes_max(l);
	int error = check_parts(c, l);

	if (error != 0)
		return error;
	if (mr_unlikely(body_bytes(l) > record_body_bytes_max(c, l, extra_bytes)))
		return measure_fragments(c, l, extra_bytes);
	l->fragment_bytes = 0;
	l->fragments = 1;
	l->bytes = mr_message_stride(
		record_bytes(l, 0, l->parts.header_bytes, l->parts.payload_bytes));
	return 0;
}

/* A fragment: the start of its body in the whole message, its header block and its payload. */
struct fragment {
	size_t start;
	size_t header_bytes;
	size_t payload_bytes;
};

static struct fragment fragment_at(const struct mr_outgoing *l, uint32_t index)
{
	struct fragment p = {
		.header_bytes = l->parts.header_bytes, .payload_bytes = l->parts.payload_bytes};
	size_t body = body_bytes(l);

	if (l->fragment_bytes == 0)
		return p;
	p.start = (size_t)index * l->fragment_bytes;
	body = body - p.start < l->fragment_bytes ? body - p.start : l->fragment_bytes;
	p.header_bytes = index == 0 ? l->parts.header_bytes : 0;
	p.payload_bytes = body - p.header_bytes;
	return p;
}

uint32_t mr_outgoing_fragment_bytes(const struct mr_outgoing *l, uint32_t index)
{
	struct fragment p = fragment_at(l, index);
	uint32_t flags = l->fragment_bytes != 0 ? MRF_MESSAGE_FLAG_FRAGMENT : 0;

	return record_bytes(l, flags, p.header_bytes, p.payload_bytes);
}

static uint8_t *put_bytes(uint8_t *to, const void *from, size_t bytes)
{
	if (bytes > 0)
		mr_message_copy(to, from, bytes);
	return to + bytes;
}

static uint8_t *put_sections(uint8_t *to, const struct mr_outgoing *l, size_t header_bytes)
{
	struct mrf_message_sections s = {
		.subject_bytes = (uint8_t)l->parts.subject_bytes,
		.header_bytes = (uint16_t)header_bytes,
	};

	to = put_bytes(to, &s, sizeof(s));
	to = put_bytes(to, l->parts.subject, l->parts.subject_bytes);
	return put_bytes(to, l->parts.headers, header_bytes);
}

void mr_outgoing_write(const struct mr_client *c, const struct mr_outgoing *l, uint32_t index,
	uint32_t message, uint8_t *to)
{
	struct fragment p = fragment_at(l, index);
	struct mr_message_extra extra = l->extra;
	struct mrf_message_header h = {
		.bytes = (uint16_t)mr_outgoing_fragment_bytes(l, index),
		.kind = (uint8_t)l->kind,
		.target = l->target,
	};

	if (l->fragment_bytes != 0) {
		extra.flags |= MRF_MESSAGE_FLAG_FRAGMENT;
		extra.fragment = (struct mrf_message_fragment){
			.session = c->session,
			.message = message,
			.total_bytes = (uint32_t)body_bytes(l),
			.offset = (uint32_t)p.start,
		};
	}
	h.flags = extra.flags;
	if (l->token != NULL)
		h.flags |= MRF_MESSAGE_FLAG_TOKEN;
	if (l->parts.subject_bytes + p.header_bytes > 0)
		h.flags |= MRF_MESSAGE_FLAG_SECTIONS;
	to = put_bytes(to, &h, sizeof(h));
	if (l->token != NULL)
		to = put_bytes(to, l->token, sizeof(*l->token));
	if (extra.flags & MR_MESSAGE_FLAGS_PARTS)
		to = mr_message_extra_store(to, &extra);
	if (h.flags & MRF_MESSAGE_FLAG_SECTIONS)
		to = put_sections(to, l, p.header_bytes);
	if (p.payload_bytes > 0)
		mr_message_copy(to,
			(const uint8_t *)l->parts.payload + p.start + p.header_bytes -
				l->parts.header_bytes,
			p.payload_bytes);
}

static uint8_t *ring_room(struct mr_client *c, uint32_t bytes, bool promised)
{
	return promised ? mr_ring_promised_room(c, bytes) : mr_ring_out_room(c, bytes);
}

static int send_one(struct mr_client *c, const struct mr_outgoing *l, uint32_t index,
	uint32_t message, bool promised, bool wait)
{
	uint32_t bytes = mr_outgoing_fragment_bytes(l, index);
	uint8_t *to = ring_room(c, bytes, promised);
	int error;

	if (mr_unlikely(to == NULL)) {
		if (!wait)
			return mr_fail(c, -EAGAIN, NULL);
		to = promised ? mr_ring_promised_room_wait(
					c, bytes, mr_ring_out_deadline_ns(c), &error)
			      : mr_ring_out_room_wait(c, bytes, mr_ring_out_deadline_ns(c), &error);
		if (to == NULL)
			return error;
	}
	mr_outgoing_write(c, l, index, message, to);
	if (promised)
		mr_ring_promised_pushed(c, bytes);
	else
		mr_ring_out_pushed(c, bytes);
	return 0;
}

int mr_outgoing_send(struct mr_client *c, struct mr_outgoing *l, bool promised, bool wait)
{
	struct mr_bytes_producer *ring = promised ? c->promised : &c->up;
	size_t least = l->bytes < ring->capacity / 2 ? l->bytes : ring->capacity / 2;
	uint32_t message;
	int error;

	if (mr_likely(l->fragments == 1)) {
		error = send_one(c, l, 0, 0, promised, wait);
		c->published += error == 0;
		return error;
	}
	/* A longer message is written as the bus makes room for it. */
	if (!wait && mr_bytes_room(ring, least) < least)
		return mr_fail(c, -EAGAIN, NULL);
	message = ++c->fragment_message;
	for (uint32_t i = 0; i < l->fragments; i++) {
		error = send_one(c, l, i, message, promised, true);
		if (error != 0)
			return error;
	}
	c->published++;
	return 0;
}

int mr_outgoing_send_plain(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const void *payload, size_t bytes, bool wait)
{
	uint32_t record_bytes = mr_message_bytes(token != NULL, 0, 0, (uint32_t)bytes);
	uint8_t *to = mr_ring_promised_room(c, record_bytes);
	int error;

	if (mr_unlikely(to == NULL)) {
		if (!wait)
			return mr_fail(c, -EAGAIN, NULL);
		to = mr_ring_promised_room_wait(
			c, record_bytes, mr_ring_out_deadline_ns(c), &error);
		if (to == NULL)
			return error;
	}
	to = mr_message_begin(to, kind, target, token, 0, 0, (uint32_t)bytes);
	mr_message_copy(to, payload, bytes);
	mr_ring_promised_pushed(c, record_bytes);
	c->published++;
	return 0;
}

int mr_outgoing_send_large(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const struct mr_message_parts *parts,
	uint32_t reserve_bytes, bool wait)
{
	struct mr_outgoing l = {
		.kind = kind,
		.target = target,
		.token = token,
		.parts = *parts,
		.reserve_bytes = reserve_bytes,
	};
	int error = mr_outgoing_measure(c, &l);

	return error != 0 ? error : mr_outgoing_send(c, &l, false, wait);
}
