/* SPDX-License-Identifier: Apache-2.0 */
/* outbox_refragment: records that were kept for larger frames than those of this session are
 * fragmented again. Existing fragments are reassembled first: all fragments of a message but the
 * last have one size. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/publish/outbox.h"
#include "client/publish/outgoing.h"

/* The new records of an entry. */
struct records {
	uint8_t *records;
	uint32_t bytes;
};

/* Adds room for `bytes`; NULL: no memory. */
static uint8_t *grow_records(struct records *out, uint64_t bytes)
{
	uint8_t *grown =
		out->bytes + bytes <= UINT32_MAX ? realloc(out->records, out->bytes + bytes) : NULL;

	if (grown == NULL)
		return NULL;
	out->records = grown;
	out->bytes += (uint32_t)bytes;
	return grown + out->bytes - bytes;
}

/* Parses the record at `at` and returns its padded length in *stride. False: malformed. */
static bool load_record(
	const uint8_t *at, uint32_t left, struct mr_message_view *m, uint32_t *stride)
{
	struct mrf_message_header h = mr_message_header_load(at);

	memset(m, 0, sizeof(*m));
	*stride = mr_message_stride(h.bytes);
	return h.bytes >= sizeof(h) && *stride <= left && mr_message_parse(at, h, m);
}

static int copy_record(struct records *out, const uint8_t *at, uint32_t stride)
{
	uint8_t *to = grow_records(out, stride);

	if (to == NULL)
		return -ENOMEM;
	memcpy(to, at, stride);
	return 0;
}

/* Writes a whole message whose first record is `m`. The payload follows `headers`. */
static int write_message(struct mr_client *c, struct records *out, const struct mr_message_view *m,
	const uint8_t *headers, uint32_t payload_bytes)
{
	struct mr_outgoing l = {
		.kind = (enum mrf_message_kind)m->header.kind,
		.target = m->header.target,
		.extra = m->extra,
		.parts = {NULL, 0, (const char *)headers, m->header_bytes,
			headers + m->header_bytes, payload_bytes},
		.options_bytes = m->header.kind == MRF_MESSAGE_KIND_PUSH_OPTIONS
					 ? (uint32_t)sizeof(struct mrf_push_options)
					 : 0,
	};
	int error;
	uint8_t *to;

	l.extra.flags =
		m->header.flags & MR_MESSAGE_FLAGS_EXTRA & (uint8_t)~MRF_MESSAGE_FLAG_FRAGMENT;
	error = mr_outgoing_measure(c, &l);
	if (error != 0)
		return error;
	to = grow_records(out, l.bytes);
	if (to == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < l.fragments; i++) {
		mr_outgoing_write(c, &l, i, 0, to);
		to += mr_message_stride(mr_outgoing_fragment_bytes(&l, i));
	}
	return 0;
}

/* Reassembles the fragments from `at` on, which are all of one message, into `whole`. Returns the
 * bytes of their records; 0: malformed. */
static uint32_t join_fragments(const uint8_t *at, uint32_t left, uint8_t *whole, uint32_t total)
{
	uint32_t joined = 0, from = 0, stride;
	struct mr_message_view m;

	while (joined < total) {
		uint32_t body;

		if (left - from < sizeof(m.header) ||
			!load_record(at + from, left - from, &m, &stride))
			return 0;
		body = m.header_bytes + m.payload_bytes;
		if (m.extra.fragment.offset != joined || body == 0 || body > total - joined)
			return 0;
		/* The payload stands directly behind the header block. */
		memcpy(whole + joined, m.headers, body);
		joined += body;
		from += stride;
	}
	return from;
}

static int refragment_message(struct mr_client *c, struct records *out,
	const struct mr_message_view *first, const uint8_t *at, uint32_t left, uint32_t *stride)
{
	uint32_t total = first->extra.fragment.total_bytes;
	uint8_t *whole = malloc(total);
	int error = -ENOMEM;

	if (whole != NULL) {
		*stride = join_fragments(at, left, whole, total);
		error = *stride == 0
				? -EPROTO
				: write_message(c, out, first, whole, total - first->header_bytes);
	}
	free(whole);
	return error;
}

/* Handles the message at `at`; its records take *stride bytes. */
static int refragment_one(struct mr_client *c, struct records *out, const uint8_t *at,
	uint32_t left, uint32_t *stride)
{
	struct mr_message_view m;

	if (!load_record(at, left, &m, stride))
		return -EPROTO;
	if (m.header.flags & MRF_MESSAGE_FLAG_FRAGMENT)
		return refragment_message(c, out, &m, at, left, stride);
	if (*stride <= c->record_bytes_max)
		return copy_record(out, at, *stride);
	return write_message(c, out, &m, m.headers, m.payload_bytes);
}

static bool records_fit(const struct mr_client *c, const uint8_t *records, uint32_t bytes)
{
	uint32_t stride;

	for (uint32_t at = 0; at < bytes; at += stride) {
		stride = mr_message_stride(mr_message_header_load(records + at).bytes);
		if (stride > c->record_bytes_max || stride == 0)
			return false;
	}
	return true;
}

static void put_in_place(struct mr_outbox *o, struct mr_outbox_entry *k, const struct records *out)
{
	if (k->place == MR_ENTRY_LARGE) {
		o->large_bytes -= k->bytes;
		free(k->large);
	}
	k->place = MR_ENTRY_LARGE;
	k->large = out->records;
	k->bytes = out->bytes;
	o->large_bytes += k->bytes;
}

int mr_outbox_refragment(struct mr_outbox *o, struct mr_outbox_entry *k)
{
	const uint8_t *records = mr_outbox_store_records(o, k);
	struct records out = {0};
	uint32_t stride;
	int error = 0;

	if (records_fit(o->client, records, k->bytes))
		return 0;
	for (uint32_t at = 0; at < k->bytes && error == 0; at += stride) {
		stride = 0;
		error = refragment_one(o->client, &out, records + at, k->bytes - at, &stride);
	}
	if (error != 0) {
		free(out.records);
		return error;
	}
	put_in_place(o, k, &out);
	return 0;
}
