/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/beyond.h"

#include "flatbuf/wire.h"

/* Builders make no longer release; longer messages are not parsed. */
#define RELEASE_BYTES_MAX 256u

/* Copies the message before it parses it, as the client may change it. */
bool mr_message_releases_alias(const uint8_t *at, struct mrf_message_header h)
{
	uint64_t copy[RELEASE_BYTES_MAX / sizeof(uint64_t)];
	struct mr_message_view m;
	struct mrf_table t;

	if (h.kind != MRF_MESSAGE_KIND_CONTROL || !mr_message_parse(at, h, &m) ||
		m.payload_bytes > sizeof(copy))
		return false;
	memcpy(copy, m.payload, m.payload_bytes);
	return mrf_client_message_parse(copy, m.payload_bytes, &t) == 0 &&
	       mrf_client_message_body_type(t) == MRF_CLIENT_BODY_ALIAS_RELEASE;
}

enum mr_beyond_end mr_worker_look_beyond(
	struct mr_worker *w, struct mr_session *s, struct mr_beyond *b)
{
	while (b->used < b->bytes) {
		const uint8_t *at = b->at + b->used;
		struct mrf_message_header h;

		if (b->looks == 0 || w->burst_count == MR_BURST)
			return MR_BEYOND_STOP;
		h = mr_message_header_load(at);
		if (!mr_message_fits(&h, b->bytes - b->used))
			return MR_BEYOND_BAD;
		if (mr_message_passes(h)) {
			if (mr_message_releases_alias(at, h))
				return MR_BEYOND_STOP;
			if (b->used >= b->reread || !mr_worker_refuses(w, s, at, h)) {
				mr_worker_keep(w, s, at, h);
				w->moved = true;
				b->taken++;
			}
		}
		b->looks--;
		b->used += mr_message_stride(h.bytes);
	}
	return MR_BEYOND_ALL;
}

void mr_worker_ring_beyond(struct mr_worker *w, struct mr_session *s, size_t ready, uint32_t from)
{
	struct mr_beyond b = {
		.at = mr_bytes_peek(&s->up),
		.bytes = (uint32_t)ready,
		.used = mr_worker_ring_passed(s) > from ? mr_worker_ring_passed(s) : from,
		.reread = s->reread_bytes,
		.looks = MR_BEYOND_LOOKS,
	};

	if (b.used > b.bytes)
		return; /* the client has moved its tail back */
	/* A malformed length is reported when the publisher's turn comes to it. */
	if (mr_worker_look_beyond(w, s, &b) == MR_BEYOND_STOP && b.looks == 0)
		w->moved = true;
	s->beyond = (uint32_t)s->up.head + b.used;
	s->looked_beyond = true;
	mr_count(s->stats->rx_messages, b.taken);
	mr_count(w->stats->rx_messages, b.taken);
}
