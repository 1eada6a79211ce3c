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

/* Copies the subject: it is read more than once, and the client must not change it in between. It
 * is copied a stage before it is read, so its bytes have left the store buffer by then. */
const struct mr_message_view *mr_worker_take_apart(struct mr_worker *w, struct mr_session *s,
	uint32_t index, const uint8_t *at, struct mrf_message_header h)
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
	if (mr_unlikely(m->subject_bytes == 0))
		return m;
	mr_message_copy((uint8_t *)w->subjects[index], m->subject, m->subject_bytes);
	m->subject = (const uint8_t *)w->subjects[index];
	return m;
}
