/* SPDX-License-Identifier: Apache-2.0 */
/* stream: requests of many parts, and flow control of partial replies. The worker grants parts, the
 * caller grants partial replies. Both start with a known window, so only messages beyond it need a
 * grant. */
#include <stdlib.h>

#include "client/core/error.h"
#include "client/core/ring_out.h"
#include "client/publish/outgoing.h"
#include "client/service/call.h"

int mr_stream_grant(
	struct mr_client *c, uint32_t service, const struct mrf_reply_token *token, uint32_t parts)
{
	struct mrf_stream_credit credit = {.parts = parts};
	struct mr_outgoing l = {
		.kind = MRF_MESSAGE_KIND_CREDIT,
		.target = service,
		.token = token,
		.parts = {NULL, 0, NULL, 0, &credit, sizeof(credit)},
	};
	int error = mr_outgoing_measure(c, &l);

	/* Waits for room: the other side may be waiting for nothing else. */
	return error != 0 ? error : mr_outgoing_send(c, &l, true, true);
}

bool mr_stream_credit(
	struct mr_client *c, const struct mr_message_view *m, uint32_t *room, bool *was_empty)
{
	struct mrf_stream_credit credit;

	if (m->payload_bytes < sizeof(credit)) {
		c->malformed++;
		return false;
	}
	credit = mrf_stream_credit_read(m->payload);
	*was_empty = *room == 0 && credit.parts > 0;
	*room = credit.parts < MR_STREAM_CREDIT_MAX - *room ? *room + credit.parts
							    : MR_STREAM_CREDIT_MAX;
	return true;
}

unsigned mr_stream_granted(struct mr_client *c, struct mr_call *r, const struct mr_message_view *m)
{
	bool was_empty;

	if ((m->header.flags & MRF_MESSAGE_FLAG_DELIVERY) == 0 || r->stream == NULL ||
		(r->tag != 0 && r->tag != m->extra.delivery.tag)) {
		c->unmatched++;
		return 0;
	}
	r->tag = m->extra.delivery.tag;
	if (!mr_stream_credit(c, m, &r->credit, &was_empty))
		return 0;
	mr_call_set_due(c, r, mr_now_ns() + r->timeout_ms * MR_NS_PER_MS);
	/* A sender that waits for room wants to be woken. */
	return was_empty;
}

void mr_stream_took(struct mr_client *c, struct mr_call *r)
{
	struct mrf_reply_token token = {.session = r->tag, .correlation = r->correlation};

	if (r->tag == 0 || ++r->taken < MR_STREAM_WINDOW / 2)
		return;
	if (mr_stream_grant(c, r->sent_to, &token, r->taken) == 0)
		r->taken = 0;
}

static void stream_link(struct mr_client *c, struct mr_stream *s)
{
	s->next = c->calls->streams;
	s->at = &c->calls->streams;
	if (s->next != NULL)
		s->next->at = &s->next;
	c->calls->streams = s;
}

static void stream_unlink(struct mr_stream *s)
{
	*s->at = s->next;
	if (s->next != NULL)
		s->next->at = s->at;
}

int mr_stream_open_sized(struct mr_client *c, const char *service, const void *payload,
	size_t bytes, const struct mr_call_options *options, mr_call_fn *callback, void *arg,
	struct mr_stream **out, size_t options_bytes)
{
	struct mr_call_options own;
	struct mr_stream *s;
	struct mr_call_begin b = {
		.service = service,
		.payload = payload,
		.bytes = bytes,
		.options = options,
		.callback = callback,
		.arg = arg,
	};
	int error;

	if (c == NULL || service == NULL || callback == NULL || out == NULL)
		return mr_fail(c, -EINVAL, "mr_stream_open: an argument is NULL");
	*out = NULL;
	error = mr_call_options_read(c, &own, &b.options, options_bytes);
	if (error != 0)
		return error;
	if (mr_mmi_is(service))
		return mr_fail(c, -EINVAL, "the bus's own services (mmi.) take no streams");
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	b.stream = s;
	s->client = c;
	error = mr_call_begin(c, &b, &s->call);
	if (error != 0) {
		free(s);
		return error;
	}
	stream_link(c, s);
	*out = s;
	return 0;
}

static int send_part(
	struct mr_client *c, struct mr_call *r, const void *payload, size_t bytes, bool more)
{
	struct mrf_reply_token token = {.session = r->tag, .correlation = r->correlation};
	struct mr_outgoing l = {
		.kind = MRF_MESSAGE_KIND_PART,
		.target = r->sent_to,
		.token = &token,
		.extra.flags = more ? MRF_MESSAGE_FLAG_MORE : 0,
		.parts = {NULL, 0, NULL, 0, payload, bytes},
	};
	int error = mr_outgoing_measure(c, &l);

	return error != 0 ? error : mr_outgoing_send(c, &l, true, false);
}

int mr_stream_send(struct mr_stream *s, const void *payload, size_t bytes, bool more)
{
	struct mr_client *c;
	struct mr_call *r;
	int error;

	if (mr_unlikely(s == NULL))
		return mr_fail(NULL, -EINVAL, "mr_stream_send: the stream is NULL");
	c = s->client;
	r = s->call;
	if (c->refuse != 0)
		return mr_ring_out_refused(c);
	if (r == NULL)
		return mr_fail(c, -ENOENT, "the call has ended");
	if (s->ended)
		return mr_fail(c, -EINVAL, "the request has ended");
	if (r->credit == 0)
		return mr_fail(c, -EAGAIN, "the worker takes no more parts now");
	error = send_part(c, r, payload, bytes, more);
	if (error != 0)
		return error;
	r->credit--;
	s->ended = !more;
	mr_call_set_due(c, r, mr_now_ns() + r->timeout_ms * MR_NS_PER_MS);
	return 0;
}

void mr_stream_close(struct mr_stream *s)
{
	if (s == NULL)
		return;
	if (s->call != NULL)
		mr_call_forget(s->client, s->call);
	stream_unlink(s);
	free(s);
}

void mr_streams_free(struct mr_client *c)
{
	while (c->calls->streams != NULL) {
		struct mr_stream *s = c->calls->streams;

		c->calls->streams = s->next;
		free(s);
	}
}
