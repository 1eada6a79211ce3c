/* SPDX-License-Identifier: Apache-2.0 */
/* apart: parses the parts of a message that is more than a header and a body, and checks them. */
#include "dataplane/worker/stages.h"

/* True if a fragment names its own session, and it fits a whole message of allowed size. */
static bool fragment_fits(
	const struct mr_worker *w, const struct mr_session *s, const struct mr_message_view *m)
{
	const struct mrf_message_fragment *f = &m->extra.fragment;
	uint32_t bytes = m->header_bytes + m->payload_bytes;

	return f->session == s->id && f->total_bytes <= w->message_bytes_max &&
	       bytes <= f->total_bytes && f->offset <= f->total_bytes - bytes;
}

/* True if the message's kind may have its flags. The flags of most messages need no look-up. */
static bool may_have(struct mrf_message_header h)
{
	const unsigned common = MRF_MESSAGE_FLAG_SECTIONS | MRF_MESSAGE_FLAG_TOKEN;
	const unsigned promise = MRF_MESSAGE_FLAG_ORIGIN | MRF_MESSAGE_FLAG_HIGH;

	if (mr_likely(h.kind == MRF_MESSAGE_KIND_PUBLISH || h.kind == MRF_MESSAGE_KIND_PUSH) &&
		mr_likely((h.flags & ~(common | promise)) == 0))
		return true;
	return (h.flags & ~mr_message_client_flags(h.kind)) == 0;
}

/* Parses the message. Returns the counter of the reason to refuse it; NULL: it is taken. */
MR_ALWAYS_INLINE uint64_t *parse_apart(const struct mr_worker *w, const struct mr_session *s,
	const uint8_t *at, struct mrf_message_header h, struct mr_message_view *m)
{
	uint64_t word;

	memcpy(&word, &h, sizeof(word));
	if (mr_unlikely(!may_have(h) || !mr_message_parse(at, h, m)))
		return &w->stats->drop_bad_message;
	memcpy(&m->header, &word, sizeof(word)); /* in one store */
	if (mr_unlikely((h.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0 && !fragment_fits(w, s, m)))
		return &w->stats->drop_bad_fragment;
	return NULL;
}

bool mr_worker_refuses(const struct mr_worker *w, const struct mr_session *s, const uint8_t *at,
	struct mrf_message_header h)
{
	struct mr_message_view m;

	return mr_worker_needs_view(h) && parse_apart(w, s, at, h, &m) != NULL;
}

/* The subject is copied, because it is read more than once, and the client must not change it in
 * between. It is copied a stage before it is read, so its bytes have left the store buffer by
 * then. */
static inline const struct mr_message_view *own_subject(
	struct mr_worker *w, uint32_t index, struct mr_message_view *m, const uint8_t *subject)
{
	uint8_t *copy = (uint8_t *)w->subjects[index];

	mr_message_copy(copy, subject, m->subject_bytes);
	m->subject = copy;
	return m;
}

static const struct mr_message_view *__attribute__((noinline)) take_any(struct mr_worker *w,
	const struct mr_session *s, uint32_t index, const uint8_t *at, struct mrf_message_header h)
{
	struct mr_message_view *m = &w->views[index];
	uint64_t *refused;

	__asm__("" : "+r"(m)); /* one register, and not w and an offset in each store */
	refused = parse_apart(w, s, at, h, m);
	if (mr_unlikely(refused != NULL)) {
		mr_count(*refused, 1);
		return NULL;
	}
	/* Most messages with a token have no subject. */
	return mr_unlikely(m->subject_bytes == 0) ? m : own_subject(w, index, m, m->subject);
}

/* The usual case, a plain publish by subject, needs no stack frame. */
const struct mr_message_view *mr_worker_take_apart(struct mr_worker *w, struct mr_session *s,
	uint32_t index, const uint8_t *at, struct mrf_message_header h)
{
	const uint16_t plain = MRF_MESSAGE_KIND_PUBLISH | MRF_MESSAGE_FLAG_SECTIONS << 8;
	const uint32_t fixed = sizeof(h) + sizeof(struct mrf_message_sections);
	struct mr_message_view *m = &w->views[index];
	uint32_t sections, subject_bytes, header_bytes;
	uint64_t word;

	memcpy(&word, &h, sizeof(word));
	if ((uint16_t)(word >> 16) != plain || mr_unlikely(h.bytes < fixed))
		return take_any(w, s, index, at, h);
	sections = mr_message_load_32(at + sizeof(h));
	subject_bytes = sections & 0xff;
	header_bytes = sections >> 16;
	if (mr_unlikely((sections & 0xff00) != 0 || subject_bytes == 0 ||
			subject_bytes + header_bytes > h.bytes - fixed ||
			h.bytes - fixed - subject_bytes > MR_BODY_BYTES_MAX))
		return take_any(w, s, index, at, h);
	__asm__("" : "+r"(m));
	memcpy(&m->header, &word, sizeof(word)); /* in one store */
	m->token = (struct mrf_reply_token){0};
	m->subject_bytes = subject_bytes;
	m->headers = at + fixed + subject_bytes;
	m->header_bytes = header_bytes;
	m->payload = m->headers + header_bytes;
	m->payload_bytes = h.bytes - fixed - subject_bytes - header_bytes;
	return own_subject(w, index, m, at + fixed);
}
