/* SPDX-License-Identifier: Apache-2.0 */
/* service: passes replies, parts and credit between the two sides of a call. */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/settle.h"
#include "dataplane/queue/work.h"

void mr_service_end(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, uint32_t status)
{
	const struct mrf_reply_token *call = mr_entry_call(e);

	mr_work(q, MR_WORK_SEND);
	mr_client_status(q, call->session, call->correlation, status);
	mr_breaker_void(queue, e);
	mr_queue_done(q, queue, e);
}

void mr_service_abandon(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	mr_count(q->c.stats->calls_abandoned, 1);
	mr_breaker_void(queue, e);
	mr_queue_done(q, queue, e);
}

/* True if the message is the last fragment, or whole, and no part follows. */
static bool is_last(const struct mr_message_view *m)
{
	const struct mrf_message_fragment *f = &m->extra.fragment;

	if (m->header.flags & MRF_MESSAGE_FLAG_MORE)
		return false;
	return !(m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) ||
	       (uint64_t)f->offset + m->header_bytes + m->payload_bytes >= f->total_bytes;
}

/* Sends the message, in fragments or smaller fragments if the receiver takes only smaller messages.
 * Neither side of a call knows the frame size of the other. */
static void send_fragments(struct mr_queues *q, uint64_t session, const struct mr_message_view *m,
	const struct mrf_reply_token *token, struct mr_message_extra *extra, uint32_t target)
{
	uint32_t left = m->header_bytes + m->payload_bytes;
	uint32_t most = left <= MR_QUEUE_FITS_ANY ? left : mr_queue_body_room(q, session);
	uint32_t header_bytes = m->header_bytes;
	const uint8_t *body = m->headers;

	if (left > most && header_bytes <= most)
		extra->flags |= MRF_MESSAGE_FLAG_FRAGMENT;
	else
		most = left;
	do {
		uint32_t bytes = left < most ? left : most;
		struct mr_message_plan plan = mr_message_plan((enum mrf_message_kind)m->header.kind,
			token, NULL, 0, body, header_bytes, bytes - header_bytes);

		mr_message_plan_extra(&plan, extra);
		(void)q->c.ops->send(q->c.arg, session, &plan, target, true);
		header_bytes = 0;
		body += bytes;
		left -= bytes;
		extra->fragment.offset += bytes;
	} while (left > 0);
}

/* Passes a message from one side of a call to the other, with the delivery part that the receiver
 * needs to refer to it. */
static void pass_on(struct mr_queues *q, const struct mr_queue_delivery *d,
	const struct mr_message_view *m, bool to_worker)
{
	const unsigned kept = MRF_MESSAGE_FLAG_MORE | MRF_MESSAGE_FLAG_FRAGMENT;
	const struct mrf_reply_token *call = mr_entry_call(d->entry);
	uint64_t tag = mr_delivery_tag(q, d);
	struct mrf_reply_token token = {to_worker ? tag : 0, call->correlation};
	uint32_t target = to_worker ? d->consumer->subscription : 0;
	struct mr_message_extra extra;

	mr_delivery_describe(&extra, tag, d->queue, 0, MRF_PRIORITY_NORMAL, 0);
	extra.flags |= m->header.flags & kept;
	extra.fragment = m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT
				 ? m->extra.fragment
				 : (struct mrf_message_fragment){.session = tag,
					   .message = d->serial,
					   .total_bytes = m->header_bytes + m->payload_bytes};
	send_fragments(
		q, to_worker ? d->consumer->session : call->session, m, &token, &extra, target);
}

void mr_queues_reply(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms)
{
	struct mr_queue_delivery *d =
		mr_delivery_find(q, m->token.session, session, m->header.target);

	mr_queues_at(q, now_ms);
	mr_client_heard(q, session);
	if (mr_unlikely(d == NULL || d->queue->kind != MRF_QUEUE_KIND_SERVICE)) {
		mr_count(q->c.stats->bad_tags, 1);
		return;
	}
	pass_on(q, d, m, false);
	if (mr_likely(is_last(m))) {
		d->queue->replies++;
		mr_breaker_passed(d->queue, d->entry);
		mr_settle_done(q, d);
		return;
	}
	d->partial = true;
	mr_delivery_extend(q, d);
	mr_delivery_touch(q, d, d->renewed);
}

/* A Part goes from the caller to the worker. A Credit goes either way; a session that is both sides
 * gets both. */
void mr_queues_part(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms)
{
	struct mr_queue_delivery *d = mr_delivery_by_tag(q, m->token.session);
	bool part = m->header.kind == MRF_MESSAGE_KIND_PART;
	bool asks, works;

	mr_queues_at(q, now_ms);
	if (d == NULL || d->queue->number != m->header.target ||
		d->queue->kind != MRF_QUEUE_KIND_SERVICE)
		goto bad;
	asks = mr_entry_call(d->entry)->session == session;
	works = d->consumer->session == session && !part;
	if (part && !(d->entry->flags & MR_ENTRY_MORE))
		asks = false; /* the request is complete */
	if (!asks && !works)
		goto bad;
	if (asks)
		pass_on(q, d, m, true);
	if (works)
		pass_on(q, d, m, false);
	if (part) {
		d->streamed = true;
		if (is_last(m))
			d->entry->flags &= (uint8_t)~MR_ENTRY_MORE;
	}
	mr_delivery_extend(q, d);
	mr_delivery_touch(q, d, d->renewed);
	return;
bad:
	mr_count(q->c.stats->bad_tags, 1);
}
