/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/stages.h"

bool mr_worker_tell_gap(struct mr_worker *w, struct mr_session *s)
{
	struct mrf_gap gap = {.missed = s->missed_untold, .missed_total = s->stats->missed};
	uint32_t bytes = mr_message_bytes(false, 0, 0, sizeof(gap));
	void *to = mr_bytes_claim(&s->down, mr_message_stride(bytes));

	if (to == NULL)
		return false;
	memcpy(mr_message_begin(to, MRF_MESSAGE_KIND_GAP, 0, NULL, 0, 0, sizeof(gap)), &gap,
		sizeof(gap));
	mr_bytes_push(&s->down, bytes);
	mr_count(w->stats->tx_messages, 1);
	mr_count(w->stats->tx_bytes, mr_message_stride(bytes));
	s->missed_untold = 0;
	mr_worker_mark_dirty(w, s);
	return true;
}

/* Bodies are mostly short: a call costs more than the copy. Neither side is read or written past
 * `bytes`, as what lies behind may be the peer's. */
static inline void copy_body(uint8_t *to, const uint8_t *from, size_t bytes)
{
	while (bytes >= 32) {
		memcpy(to, from, 32);
		to += 32;
		from += 32;
		bytes -= 32;
		if (bytes > 512) {
			memcpy(to, from, bytes);
			return;
		}
	}
	if (bytes & 16) {
		memcpy(to, from, 16);
		to += 16;
		from += 16;
	}
	if (bytes & 8) {
		memcpy(to, from, 8);
		to += 8;
		from += 8;
	}
	for (bytes &= 7; bytes > 0; bytes--)
		*to++ = *from++;
}

bool mr_worker_copy(struct mr_worker *w, struct mr_session *s, const struct mr_copy *c,
	const struct mr_message_view *body)
{
	uint32_t bytes = mr_message_bytes(
		c->token != NULL, c->subject_bytes, body->header_bytes, body->payload_bytes);
	uint32_t stride = mr_message_stride(bytes);
	uint8_t *to;

	/* What was missed is told first, so that the receiver sees the gap where it is. */
	if (mr_unlikely(s->missed_untold > 0) && !mr_worker_tell_gap(w, s))
		return false;
	to = mr_bytes_claim(&s->down, stride);
	if (mr_unlikely(to == NULL))
		return false;
	to = mr_message_begin(to, c->kind, c->target, c->token, c->subject_bytes,
		body->header_bytes, body->payload_bytes);
	copy_body(to, (const uint8_t *)c->subject, c->subject_bytes);
	copy_body(to + c->subject_bytes, body->headers, body->header_bytes + body->payload_bytes);
	mr_bytes_push(&s->down, bytes);
	mr_count(s->stats->tx_messages, 1);
	mr_count(s->stats->tx_bytes, stride);
	mr_count(w->stats->tx_messages, 1);
	mr_count(w->stats->tx_bytes, stride);
	mr_worker_mark_dirty(w, s);
	return true;
}

bool mr_worker_deliver(struct mr_worker *w, struct mr_session *s, uint32_t sub_id,
	const struct mr_route *r, const struct mr_message_view *m,
	const struct mrf_reply_token *token)
{
	struct mr_copy copy = {
		.kind = MRF_MESSAGE_KIND_DELIVER,
		.target = sub_id,
		.token = token,
		.subject = r->subject,
		.subject_bytes = r->bytes,
	};

	if (mr_unlikely(!mr_worker_copy(w, s, &copy, m)))
		return false;
	mr_count(w->stats->delivered, 1);
	return true;
}

static void missed(struct mr_worker *w, struct mr_session *s)
{
	s->missed_untold++;
	mr_count(s->stats->missed, 1);
	mr_count(w->stats->drop_receiver_full, 1);
}

uint32_t mr_worker_deliver_own(struct mr_worker *w, const struct mr_route *r,
	const struct mr_message_view *m, const struct mrf_reply_token *token)
{
	uint32_t delivered = 0;

	for (uint32_t i = 0; i < r->span_count; i++) {
		const struct mr_sink *sink = r->spans[i].sinks;
		const struct mr_sink *end = sink + r->spans[i].count;

		for (; sink < end; sink++) {
			struct mr_session *s;

			if (mr_unlikely(!mr_sink_live(sink)))
				continue;
			s = mr_directory_find(&w->directory, sink->slot, sink->generation);
			if (mr_unlikely(s == NULL))
				mr_count(w->stats->drop_session_gone, 1);
			else if (mr_likely(mr_worker_deliver(w, s, sink->sub_id, r, m, token)))
				delivered++;
			else
				missed(w, s);
		}
	}
	return delivered;
}

void mr_worker_reply(struct mr_worker *w, const struct mr_message_view *m)
{
	struct mrf_reply_token token = {.correlation = m->token.correlation};
	struct mr_copy copy = {.kind = MRF_MESSAGE_KIND_REPLY, .token = &token};
	struct mr_session *s = mr_directory_find(&w->directory, mr_session_slot(m->token.session),
		mr_session_generation(m->token.session));

	if (mr_unlikely(s == NULL))
		mr_count(w->stats->drop_stale_token, 1);
	else if (mr_likely(mr_worker_copy(w, s, &copy, m)))
		mr_count(w->stats->replied, 1);
	else
		mr_count(w->stats->drop_reply_full, 1);
}
