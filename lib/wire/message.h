/* SPDX-License-Identifier: Apache-2.0 */
/* message: the one layout of a message, in rings, frames and captures (flatbuf/schemas/wire.fbs).
 *
 *   MessageHeader 8 | ReplyToken 16, if Token | MessageOrigin 16, if Origin |
 *   MessageDelivery 16, if Delivery | MessageFragment 24, if Fragment |
 *   MessageSections 4, if Sections | stamp | subject | header block | payload |
 *   padding to a multiple of 8
 *
 * The stamp is a MessageStamp and a name. Only the bus writes it, for subscriptions that ask.
 *
 * Origin, delivery and fragment together are called extra: most messages have none of them.
 *
 * Parsing copies lengths and flags out of the memory once, checks the copies, and returns views
 * into the memory for the rest. A hostile writer of shared memory can still change the bytes behind
 * a view, but not the lengths.
 *
 * Owns      Nothing.
 * Units     Bytes.
 * Hot path  Inline; no call, lock, allocation or system call.
 */
#ifndef MILLRACE_WIRE_MESSAGE_H
#define MILLRACE_WIRE_MESSAGE_H

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/wire/subject.h"
#include "flatbuf/wire.h"

#define MR_MESSAGE_ALIGN 8u
/* Header block and payload together. A delivery with the longest subject still fits the 16-bit
 * length. */
#define MR_BODY_BYTES_MAX 64512u
#define MR_MESSAGE_OVERHEAD_BYTES_MAX                                                              \
	(sizeof(struct mrf_message_header) + sizeof(struct mrf_reply_token) +                      \
		sizeof(struct mrf_message_origin) + sizeof(struct mrf_message_delivery) +          \
		sizeof(struct mrf_message_fragment) + sizeof(struct mrf_message_sections) +        \
		MR_SUBJECT_BYTES_MAX)
#define MR_MESSAGE_BYTES_MAX 64856u
/* A stamp with the longest name of a session. */
#define MR_STAMP_BYTES_MAX (sizeof(struct mrf_message_stamp) + 63)

_Static_assert(sizeof(struct mrf_message_header) == 8, "wire");
_Static_assert(sizeof(struct mrf_reply_token) == 16, "wire");
_Static_assert(sizeof(struct mrf_message_sections) == 4, "wire");
_Static_assert(sizeof(struct mrf_message_stamp) == 16, "wire");
_Static_assert(sizeof(struct mrf_message_origin) == 16, "wire");
_Static_assert(sizeof(struct mrf_message_delivery) == 16, "wire");
_Static_assert(sizeof(struct mrf_message_fragment) == 24, "wire");
_Static_assert(sizeof(struct mrf_accepted_range) == 24, "wire");
_Static_assert(sizeof(struct mrf_settlement) == 16, "wire");
_Static_assert(sizeof(struct mrf_push_options) == 32, "wire");
_Static_assert(MR_BODY_BYTES_MAX + MR_MESSAGE_OVERHEAD_BYTES_MAX <= MR_MESSAGE_BYTES_MAX, "wire");

/* The flags that announce an extra part, and all flags that struct mr_message_extra holds. */
#define MR_MESSAGE_FLAGS_PARTS                                                                     \
	(MRF_MESSAGE_FLAG_ORIGIN | MRF_MESSAGE_FLAG_DELIVERY | MRF_MESSAGE_FLAG_FRAGMENT)
#define MR_MESSAGE_FLAGS_EXTRA                                                                     \
	(MR_MESSAGE_FLAGS_PARTS | MRF_MESSAGE_FLAG_MORE | MRF_MESSAGE_FLAG_HIGH |                  \
		MRF_MESSAGE_FLAG_LOW)

/* The optional parts that few messages have. A part without its flag is zero. */
struct mr_message_extra {
	uint8_t flags; /* subset of MR_MESSAGE_FLAGS_EXTRA */
	struct mrf_message_origin origin;
	struct mrf_message_delivery delivery;
	struct mrf_message_fragment fragment;
};

struct mr_message_view {
	struct mrf_message_header header;
	struct mrf_reply_token token;  /* zero without MRF_MESSAGE_FLAG_TOKEN */
	struct mr_message_extra extra; /* valid if header.flags has any of its flags */
	const uint8_t *subject;
	const uint8_t *headers;
	const uint8_t *payload;
	uint32_t subject_bytes; /* 0 .. 255 */
	uint32_t header_bytes;
	uint32_t payload_bytes;
};

/* Returns the bytes that a message of `bytes` takes in a ring or frame. */
static inline uint32_t mr_message_stride(uint32_t bytes)
{
	return (uint32_t)mr_align_up(bytes, MR_MESSAGE_ALIGN);
}

/* Reads memory that another process may be writing, exactly once: the empty asm keeps the compiler
 * from reading it again. Any alignment: in a ring messages start at multiples of 8, in a port's
 * buffer they may not. */
static inline uint64_t mr_message_load_64(const void *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	__asm__("" : "+r"(word));
	return word;
}

static inline uint32_t mr_message_load_32(const void *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	__asm__("" : "+r"(word));
	return word;
}

/* Converts a header that was read as one word. */
static inline struct mrf_message_header mr_message_header_of(uint64_t word)
{
	struct mrf_message_header h;

	memcpy(&h, &word, sizeof(h));
	return h;
}

/* Reads the header of the message at `at` once; 8 bytes must be readable. */
static inline struct mrf_message_header mr_message_header_load(const void *at)
{
	return mr_message_header_of(mr_message_load_64(at));
}

/* True if `ready` bytes (not MR_BYTES_CORRUPT) hold the whole message with that header. */
static inline bool mr_message_fits(const struct mrf_message_header *h, size_t ready)
{
	return h->bytes >= sizeof(*h) && mr_message_stride(h->bytes) <= ready;
}

/* Reads each half once, so that the checked token is the used one. */
static inline struct mrf_reply_token mr_message_token_load(const void *at)
{
	uint64_t words[2] = {
		mr_message_load_64(at),
		mr_message_load_64((const uint8_t *)at + sizeof(words[0])),
	};
	struct mrf_reply_token t;

	memcpy(&t, words, sizeof(t));
	return t;
}

/* Returns the bytes of the extra parts that the flags name. */
static inline uint32_t mr_message_extra_bytes(uint32_t flags)
{
	return (flags & MRF_MESSAGE_FLAG_ORIGIN ? (uint32_t)sizeof(struct mrf_message_origin) : 0) +
	       (flags & MRF_MESSAGE_FLAG_DELIVERY ? (uint32_t)sizeof(struct mrf_message_delivery)
						  : 0) +
	       (flags & MRF_MESSAGE_FLAG_FRAGMENT ? (uint32_t)sizeof(struct mrf_message_fragment)
						  : 0);
}

/* Reads the extra parts once; all of them must be readable at `at`. */
void mr_message_extra_load(const uint8_t *at, uint8_t flags, struct mr_message_extra *out);
/* Writes the extra parts; returns the end. */
uint8_t *mr_message_extra_store(uint8_t *to, const struct mr_message_extra *extra);

/* Returns the flags that a client may set in a message of this kind. It does not check that clients
 * may send the kind. */
uint8_t mr_message_client_flags(uint8_t kind);

/* True for a Publish that must not be lost. */
static inline bool mr_message_is_promised(uint8_t flags)
{
	return (flags & (MRF_MESSAGE_FLAG_ORIGIN | MRF_MESSAGE_FLAG_HIGH)) != 0;
}

/* Parses a message; see mr_message_parse and mr_message_parse_stamped. `stamp_bytes` NULL: a stamp
 * is refused. */
MR_ALWAYS_INLINE bool mr_message_parse_parts(const uint8_t *at, struct mrf_message_header header,
	struct mr_message_view *m, uint32_t *stamp_bytes)
{
	uint32_t left = (uint32_t)header.bytes - (uint32_t)sizeof(header);
	const uint8_t *p = at + sizeof(header);
	/* Not in *m: stores to it would delay the loads that follow. */
	uint32_t subject_bytes = 0, header_bytes = 0;

	assert(header.bytes >= sizeof(header));
	m->header = header;
	m->token = (struct mrf_reply_token){0};
	if (header.flags & MRF_MESSAGE_FLAG_TOKEN) {
		if (left < sizeof(m->token))
			return false;
		m->token = mr_message_token_load(p);
		p += sizeof(m->token);
		left -= (uint32_t)sizeof(m->token);
	}
	if (mr_unlikely((header.flags & MR_MESSAGE_FLAGS_EXTRA) != 0)) {
		uint32_t extra_bytes = mr_message_extra_bytes(header.flags);

		if (left < extra_bytes)
			return false;
		mr_message_extra_load(p, header.flags, &m->extra);
		p += extra_bytes;
		left -= extra_bytes;
	}
	if (header.flags & MRF_MESSAGE_FLAG_SECTIONS) {
		uint32_t word;

		if (left < sizeof(struct mrf_message_sections))
			return false;
		word = mr_message_load_32(p);
		subject_bytes = word & 0xff;
		header_bytes = word >> 16;
		p += sizeof(struct mrf_message_sections);
		left -= (uint32_t)sizeof(struct mrf_message_sections);
		if (mr_unlikely((word & 0xff00) != 0)) {
			uint32_t stamp = word >> 8 & 0xff;

			if (stamp_bytes == NULL || stamp < sizeof(struct mrf_message_stamp) ||
				stamp > MR_STAMP_BYTES_MAX || stamp > left)
				return false;
			*stamp_bytes = stamp;
			p += stamp;
			left -= stamp;
		}
		if (mr_unlikely(subject_bytes + header_bytes > left))
			return false;
	}
	m->subject = p;
	m->subject_bytes = subject_bytes;
	m->headers = p + subject_bytes;
	m->header_bytes = header_bytes;
	m->payload = p + subject_bytes + header_bytes;
	m->payload_bytes = left - subject_bytes - header_bytes;
	return left - subject_bytes <= MR_BODY_BYTES_MAX;
}

/* Parses the parts of the message at `at`, whose header was loaded and fits. False: the parts
 * exceed the length, the body exceeds MR_BODY_BYTES_MAX, or there is a stamp. It does not check
 * that the kind may have these parts. */
MR_ALWAYS_INLINE bool mr_message_parse(
	const uint8_t *at, struct mrf_message_header header, struct mr_message_view *m)
{
	return mr_message_parse_parts(at, header, m, NULL);
}

/* Parses a message of the bus, which may have a stamp. *stamp_bytes: its length, 0 without one; it
 * ends where m->subject begins. */
MR_ALWAYS_INLINE bool mr_message_parse_stamped(const uint8_t *at, struct mrf_message_header header,
	struct mr_message_view *m, uint32_t *stamp_bytes)
{
	*stamp_bytes = 0;
	return mr_message_parse_parts(at, header, m, stamp_bytes);
}

/* Returns the view of a message without flags that name parts, whose header was loaded and fits:
 * all is payload. */
MR_ALWAYS_INLINE struct mr_message_view mr_message_plain(
	const uint8_t *at, struct mrf_message_header header)
{
	const uint8_t *payload = at + sizeof(header);
	struct mr_message_view m;

	/* Field by field: compilers clear the whole with an instruction that is slower than the
	 * rest. */
	m.header = header;
	m.token = (struct mrf_reply_token){0};
	m.extra = (struct mr_message_extra){.flags = header.flags};
	m.subject = payload;
	m.headers = payload;
	m.payload = payload;
	m.subject_bytes = 0;
	m.header_bytes = 0;
	m.payload_bytes = (uint32_t)header.bytes - (uint32_t)sizeof(header);
	return m;
}

/* Returns the length of a message with these parts, header included. */
static inline uint32_t mr_message_bytes(
	bool token, uint32_t subject_bytes, uint32_t header_bytes, uint32_t payload_bytes)
{
	uint32_t bytes = (uint32_t)sizeof(struct mrf_message_header) + payload_bytes;

	if (token)
		bytes += (uint32_t)sizeof(struct mrf_reply_token);
	if (subject_bytes + header_bytes > 0)
		bytes += (uint32_t)sizeof(struct mrf_message_sections) + subject_bytes +
			 header_bytes;
	return bytes;
}

/* Writes header, token (NULL: none) and sections. Returns the place of subject, header block and
 * payload, in that order. `to` is 8-aligned, with room for mr_message_bytes() of the same parts. */
static inline uint8_t *mr_message_begin(void *to, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, uint32_t subject_bytes, uint32_t header_bytes,
	uint32_t payload_bytes)
{
	struct mrf_message_header h = {
		.bytes = (uint16_t)mr_message_bytes(
			token != NULL, subject_bytes, header_bytes, payload_bytes),
		.kind = (uint8_t)kind,
		.target = target,
	};
	uint8_t *p = (uint8_t *)to + sizeof(h);

	assert(subject_bytes <= MR_SUBJECT_BYTES_MAX);
	assert(header_bytes <= MR_BODY_BYTES_MAX &&
		payload_bytes <= MR_BODY_BYTES_MAX - header_bytes);
	if (token != NULL) {
		h.flags |= MRF_MESSAGE_FLAG_TOKEN;
		memcpy(p, token, sizeof(*token));
		p += sizeof(*token);
	}
	if (subject_bytes + header_bytes > 0) {
		struct mrf_message_sections s = {
			.subject_bytes = (uint8_t)subject_bytes,
			.header_bytes = (uint16_t)header_bytes,
		};

		h.flags |= MRF_MESSAGE_FLAG_SECTIONS;
		memcpy(p, &s, sizeof(s));
		p += sizeof(s);
	}
	memcpy(to, &h, sizeof(h));
	return p;
}

/* A message prepared to be written many times: everything that does not depend on the receiver is
 * computed once. */
struct mr_message_plan {
	uint64_t header; /* in memory byte order, target 0 */
	uint32_t bytes;
	uint32_t stride;
	uint32_t sections;                    /* in memory byte order; 0: none */
	uint32_t subject_bytes;               /* with the stamp, which stands before it */
	uint32_t body_bytes;                  /* header block and payload, contiguous */
	const struct mrf_reply_token *token;  /* NULL: none */
	const struct mr_message_extra *extra; /* NULL: none */
	const void *subject;
	const void *body;
};

MR_ALWAYS_INLINE struct mr_message_plan mr_message_plan(enum mrf_message_kind kind,
	const struct mrf_reply_token *token, const void *subject, uint32_t subject_bytes,
	const void *body, uint32_t header_bytes, uint32_t payload_bytes)
{
	bool sections = subject_bytes + header_bytes > 0;
	uint64_t flags = (token != NULL ? MRF_MESSAGE_FLAG_TOKEN : 0u) |
			 (sections ? MRF_MESSAGE_FLAG_SECTIONS : 0u);
	uint32_t bytes =
		mr_message_bytes(token != NULL, subject_bytes, header_bytes, payload_bytes);
	struct mr_message_plan plan;

	assert(subject_bytes <= MR_SUBJECT_BYTES_MAX);
	assert(header_bytes <= MR_BODY_BYTES_MAX &&
		payload_bytes <= MR_BODY_BYTES_MAX - header_bytes);
	/* Field by field into the result, not built elsewhere and copied. */
	plan.header = bytes | (uint64_t)kind << 16 | flags << 24;
	plan.bytes = bytes;
	plan.stride = mr_message_stride(bytes);
	plan.sections = sections ? subject_bytes | header_bytes << 16 : 0;
	plan.subject_bytes = subject_bytes;
	plan.body_bytes = header_bytes + payload_bytes;
	plan.token = token;
	plan.extra = NULL;
	plan.subject = subject;
	plan.body = body;
	return plan;
}

/* Adds extra parts to a plan that has none; they must live as long as the plan. The whole must not
 * exceed MR_MESSAGE_BYTES_MAX, as is sure when the body was checked. */
static inline void mr_message_plan_extra(
	struct mr_message_plan *plan, const struct mr_message_extra *extra)
{
	plan->bytes += mr_message_extra_bytes(extra->flags);
	plan->stride = mr_message_stride(plan->bytes);
	plan->header = (plan->header & ~0xffffull) | plan->bytes | (uint64_t)extra->flags << 24;
	plan->extra = extra;
}

/* Room for a stamp and the longest subject behind it. */
struct mr_message_stamp_room {
	uint8_t bytes[MR_STAMP_BYTES_MAX + MR_SUBJECT_BYTES_MAX];
};

/* Adds a stamp to a plan that has none; `room` must live as long as the plan. False: the whole
 * would exceed MR_MESSAGE_BYTES_MAX, and the plan is unchanged. */
bool mr_message_plan_stamp(struct mr_message_plan *plan, const void *stamp, uint32_t stamp_bytes,
	struct mr_message_stamp_room *room);

/* Returns the bytes of a plan's stamp; 0: it has none. */
static inline uint32_t mr_message_plan_stamp_bytes(const struct mr_message_plan *plan)
{
	return plan->sections >> 8 & 0xff;
}

/* Returns the plan that writes a parsed message again. `m` must outlive the plan. */
static inline struct mr_message_plan mr_message_replan(
	const struct mr_message_view *m, enum mrf_message_kind kind)
{
	struct mr_message_plan plan = mr_message_plan(kind,
		m->header.flags & MRF_MESSAGE_FLAG_TOKEN ? &m->token : NULL, m->subject,
		m->subject_bytes, m->headers, m->header_bytes, m->payload_bytes);

	if ((m->header.flags & MR_MESSAGE_FLAGS_EXTRA) != 0)
		mr_message_plan_extra(&plan, &m->extra);
	return plan;
}

/* Copies a mostly short message faster than a call. Touches nothing outside of the two `bytes`; the
 * last step may copy some bytes a second time. */
MR_ALWAYS_INLINE void mr_message_copy(uint8_t *to, const uint8_t *from, size_t bytes)
{
	size_t at = 0;

	if (bytes >= 16) {
		if (mr_unlikely(bytes > 512)) {
			memcpy(to, from, bytes);
			return;
		}
		for (; at + 16 <= bytes; at += 16)
			memcpy(to + at, from + at, 16);
		memcpy(to + bytes - 16, from + bytes - 16, 16);
	} else if (bytes >= 8) {
		memcpy(to, from, 8);
		memcpy(to + bytes - 8, from + bytes - 8, 8);
	} else if (bytes >= 4) {
		memcpy(to, from, 4);
		memcpy(to + bytes - 4, from + bytes - 4, 4);
	} else {
		for (; at < bytes; at++)
			to[at] = from[at];
	}
}

/* Writes plan->bytes at `to`; the padding stays as it is. */
MR_ALWAYS_INLINE void mr_message_write(
	void *to, const struct mr_message_plan *plan, uint32_t target)
{
	uint64_t header = plan->header | (uint64_t)target << 32;
	uint8_t *p = (uint8_t *)to + sizeof(header);

	memcpy(to, &header, sizeof(header));
	if (plan->token != NULL) {
		memcpy(p, plan->token, sizeof(*plan->token));
		p += sizeof(*plan->token);
	}
	if (mr_unlikely(plan->extra != NULL))
		p = mr_message_extra_store(p, plan->extra);
	if (plan->sections != 0) {
		memcpy(p, &plan->sections, sizeof(plan->sections));
		p += sizeof(plan->sections);
	}
	mr_message_copy(p, plan->subject, plan->subject_bytes);
	mr_message_copy(p + plan->subject_bytes, plan->body, plan->body_bytes);
}

/* A session id contains the worker that owns the session. Slot < 2^24. */
static inline uint64_t mr_session_id(unsigned worker, uint32_t slot, uint32_t generation)
{
	return (uint64_t)worker << 56 | (uint64_t)slot << 32 | generation;
}

static inline unsigned mr_session_worker(uint64_t session)
{
	return (unsigned)(session >> 56);
}

static inline uint32_t mr_session_slot(uint64_t session)
{
	return (uint32_t)(session >> 32) & 0xffffff;
}

static inline uint32_t mr_session_generation(uint64_t session)
{
	return (uint32_t)session;
}

#endif
