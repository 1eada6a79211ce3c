/* SPDX-License-Identifier: Apache-2.0 */
/* publish: publishing by subject, replies, flush and drain. */
#include "client/publish/publish.h"

#include <string.h>

#include "client/core/error.h"
#include "client/core/names.h"
#include "client/core/ring_out.h"
#include "client/publish/away_store.h"
#include "client/publish/outgoing.h"

int mr_publish_too_large(struct mr_client *c)
{
	if (c->whole_bytes_max > c->body_bytes_max)
		return mr_failf(c, -EMSGSIZE,
			"headers and payload together exceed %zu bytes, the largest message that "
			"the bus takes",
			c->whole_bytes_max);
	if (c->body_subject_mask == 0)
		return mr_fail(c, -EMSGSIZE, NULL);
	return mr_failf(c, -EMSGSIZE,
		"subject, headers and payload together exceed %zu bytes, the frame size of this "
		"connection",
		c->body_bytes_max);
}

int mr_message_parts_check(struct mr_client *c, const struct mr_message_parts *p)
{
	size_t bytes_max = mr_message_bytes_max(c);
	const char *fault;

	if (p->subject != NULL) {
		fault = mr_name_subject_fault(p->subject, p->subject_bytes);
		if (fault != NULL)
			return mr_failf(c, -EINVAL, "subject: %s", fault);
	}
	if (p->header_bytes > bytes_max || p->payload_bytes > bytes_max - p->header_bytes)
		return mr_publish_too_large(c);
	if ((p->headers == NULL && p->header_bytes > 0) ||
		(p->payload == NULL && p->payload_bytes > 0))
		return mr_fail(c, -EINVAL, "a length is given without data");
	if (p->header_bytes == 0)
		return 0;
	fault = mr_headers_fault(p->headers, p->header_bytes);
	return fault == NULL ? 0 : mr_failf(c, -EINVAL, "headers: %s", fault);
}

static uint8_t *put_bytes(uint8_t *to, const void *from, size_t bytes)
{
	if (bytes > 0)
		mr_message_copy(to, from, bytes);
	return to + bytes;
}

int mr_publish_parts(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const struct mr_message_parts *p, bool wait)
{
	size_t body_bytes_max = c->body_bytes_max - (p->subject_bytes & c->body_subject_mask);
	uint32_t bytes = mr_message_bytes(token != NULL, (uint32_t)p->subject_bytes,
		(uint32_t)p->header_bytes, (uint32_t)p->payload_bytes);
	uint8_t *to;
	int error;

	if (mr_unlikely(p->header_bytes + p->payload_bytes > body_bytes_max))
		return mr_outgoing_send_large(c, kind, target, token, p, 0, wait);
	to = mr_ring_out_room(c, bytes);
	if (mr_unlikely(to == NULL)) {
		if (!wait)
			return mr_fail(c, -EAGAIN, NULL);
		to = mr_ring_out_room_wait(c, bytes, mr_ring_out_deadline_ns(c), &error);
		if (to == NULL)
			return error;
	}
	to = mr_message_begin(to, kind, target, token, (uint32_t)p->subject_bytes,
		(uint32_t)p->header_bytes, (uint32_t)p->payload_bytes);
	to = put_bytes(to, p->subject, p->subject_bytes);
	to = put_bytes(to, p->headers, p->header_bytes);
	put_bytes(to, p->payload, p->payload_bytes);
	c->published++;
	mr_ring_out_pushed(c, bytes);
	return 0;
}

static inline int publish_checked(struct mr_client *c, enum mrf_message_kind kind,
	const struct mrf_reply_token *token, const struct mr_message_parts *p)
{
	int error = token == NULL ? mr_publish_ready(c, true) : mr_ready(c, true);

	if (mr_unlikely(error == -ENOTCONN && token == NULL))
		return mr_away_store_keep(c, p);
	if (error == 0)
		error = mr_message_parts_check(c, p);
	if (mr_unlikely(error != 0))
		return error;
	error = mr_publish_parts(c, kind, 0, token, p, true);
	return mr_unlikely(error == -ENOTCONN && token == NULL) ? mr_away_store_keep(c, p) : error;
}

int mr_publish_with(struct mr_client *c, const char *subject, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes)
{
	struct mr_message_parts p = {subject, 0, headers, header_bytes, payload, bytes};

	if (mr_unlikely(c == NULL || subject == NULL))
		return mr_fail(c, -EINVAL, "mr_publish: the client or the subject is NULL");
	p.subject_bytes = strlen(subject);
	return publish_checked(c, MRF_MESSAGE_KIND_PUBLISH, NULL, &p);
}

int mr_publish(struct mr_client *c, const char *subject, const void *payload, size_t bytes)
{
	return mr_publish_with(c, subject, NULL, 0, payload, bytes);
}

int mr_reply_with(struct mr_client *c, const uint64_t reply_token[2], const char *headers,
	size_t header_bytes, const void *payload, size_t bytes)
{
	struct mr_message_parts p = {NULL, 0, headers, header_bytes, payload, bytes};
	struct mrf_reply_token token;

	if (mr_unlikely(c == NULL || reply_token == NULL))
		return mr_fail(c, -EINVAL, "mr_reply: the client or the reply token is NULL");
	token = (struct mrf_reply_token){reply_token[0], reply_token[1]};
	return publish_checked(c, MRF_MESSAGE_KIND_REPLY, &token, &p);
}

int mr_reply(struct mr_client *c, const uint64_t reply_token[2], const void *payload, size_t bytes)
{
	return mr_reply_with(c, reply_token, NULL, 0, payload, bytes);
}

void mr_cork(struct mr_client *c, bool on)
{
	if (c == NULL)
		return;
	c->corked = on;
	if (!on)
		mr_ring_out_publish_rest(c);
}

int mr_flush(struct mr_client *c)
{
	int error;

	if (c == NULL)
		return mr_fail(NULL, -EINVAL, "mr_flush: the client is NULL");
	error = mr_ready(c, false);
	if (error != 0)
		return error;
	(void)mr_away_store_send(c, 0);
	mr_parts_flush(c);
	mr_ring_out_publish_rest(c);
	return 0;
}

static bool is_drained(struct mr_client *c)
{
	return c->away_first == NULL && mr_bytes_backlog(&c->up) == 0 &&
	       mr_ring_promised_backlog(c) == 0;
}

int mr_drain(struct mr_client *c, unsigned timeout_ms)
{
	uint64_t deadline_ns = mr_now_ns() + timeout_ms * MR_NS_PER_MS;
	unsigned rounds = 0;
	int error = mr_flush(c);

	if (error == -ENOTCONN) {
		mr_away_wait(c, timeout_ms);
		error = mr_flush(c);
	}
	if (error != 0)
		return error;
	mr_bytes_want_bell(&c->up, true);
	while (error == 0 && !is_drained(c)) {
		if (c->eof)
			error = mr_ring_out_refused(c);
		else if (mr_now_ns() >= deadline_ns)
			error = mr_fail(c, -ETIMEDOUT, "the bus did not take everything in time");
		else
			mr_ring_out_pause(c, &rounds);
		if (mr_unlikely(c->away_first != NULL))
			(void)mr_away_store_send(c, 0);
		mr_ring_out_publish_rest(c);
	}
	mr_bytes_want_bell(&c->up, false);
	return error;
}
