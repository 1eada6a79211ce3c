/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/fragment.h"

/* A fragment must have room for a body of at least this size. */
#define BODY_BYTES_LEAST 64u

static enum mrf_message_kind kind_of(const struct mr_message_plan *plan)
{
	return (enum mrf_message_kind)(plan->header >> 16 & 0xff);
}

static bool may_be_fragmented(enum mrf_message_kind kind)
{
	return kind == MRF_MESSAGE_KIND_DELIVER || kind == MRF_MESSAGE_KIND_REPLY ||
	       kind == MRF_MESSAGE_KIND_PART;
}

/* Returns the bytes of a fragment besides its part of header block and payload. */
static uint32_t overhead_bytes(const struct mr_fragments *p)
{
	return (uint32_t)sizeof(struct mrf_message_header) +
	       (p->whole->token != NULL ? (uint32_t)sizeof(struct mrf_reply_token) : 0) +
	       mr_message_extra_bytes(p->extra.flags) +
	       (uint32_t)sizeof(struct mrf_message_sections) + p->whole->subject_bytes;
}

static uint32_t body_room(const struct mr_fragments *p)
{
	uint32_t taken = overhead_bytes(p);

	return taken < p->room ? (p->room - taken) & ~(MR_MESSAGE_ALIGN - 1) : 0;
}

bool mr_fragments_begin(struct mr_fragments *p, struct mr_worker *w, const struct mr_session *s,
	const struct mr_message_plan *whole)
{
	*p = (struct mr_fragments){
		.whole = whole,
		.header_bytes = whole->sections >> 16,
		.room = MR_FRAME_ROOM(s->remote->frame_bytes),
	};
	if (whole->extra != NULL)
		p->extra = *whole->extra;
	if (!(p->extra.flags & MRF_MESSAGE_FLAG_FRAGMENT))
		p->extra.fragment = (struct mrf_message_fragment){
			.message = ++w->messages_fragmented,
			.total_bytes = whole->body_bytes,
		};
	p->extra.flags |= MRF_MESSAGE_FLAG_FRAGMENT;
	return may_be_fragmented(kind_of(whole)) && body_room(p) >= BODY_BYTES_LEAST &&
	       body_room(p) >= p->header_bytes;
}

bool mr_fragments_next(struct mr_fragments *p, struct mr_message_plan *piece)
{
	const struct mr_message_plan *whole = p->whole;
	uint32_t bytes = whole->body_bytes - p->done;
	uint32_t header_bytes = p->done == 0 ? p->header_bytes : 0;
	uint32_t stamp_bytes;

	if (bytes == 0)
		return false;
	if (bytes > body_room(p))
		bytes = body_room(p);
	p->extra.fragment.offset += p->last;
	stamp_bytes = mr_message_plan_stamp_bytes(whole);
	*piece = mr_message_plan(kind_of(whole), whole->token,
		(const uint8_t *)whole->subject + stamp_bytes, whole->subject_bytes - stamp_bytes,
		(const uint8_t *)whole->body + p->done, header_bytes, bytes - header_bytes);
	mr_message_plan_extra(piece, &p->extra);
	if (mr_unlikely(stamp_bytes != 0) && p->done == 0)
		(void)mr_message_plan_stamp(piece, whole->subject, stamp_bytes, &p->stamped);
	p->last = bytes;
	p->done += bytes;
	return true;
}
