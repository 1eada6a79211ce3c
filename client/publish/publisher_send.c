/* SPDX-License-Identifier: Apache-2.0 */
/* publisher_send: publishing through a publisher, one message or several. */
#include "client/publish/publisher.h"

#include "client/core/error.h"
#include "client/core/ring_out.h"
#include "client/publish/away_store.h"
#include "client/publish/outbox.h"
#include "client/publish/outgoing.h"

static int send_large(struct mr_publisher *p, const void *payload, size_t bytes)
{
	struct mr_message_parts parts = {NULL, 0, NULL, 0, payload, bytes};
	struct mr_client *c = p->client;

	return mr_outgoing_send_large(c, MRF_MESSAGE_KIND_PUBLISH, p->header.target, NULL, &parts,
		(uint32_t)(c->body_bytes_max - p->body_bytes_max), false);
}

/* Returns -EINVAL: the publisher is NULL, or there is a length without data. */
static int send_malformed(const struct mr_publisher *p)
{
	if (p == NULL)
		return mr_fail(NULL, -EINVAL, "the publisher is NULL");
	return mr_fail(p->client, -EINVAL, "a length is given without data");
}

/* Publishes into the promised ring. */
static int send_promised(struct mr_publisher *p, const void *payload, size_t bytes)
{
	struct mr_client *c = p->client;
	uint32_t total = p->head_bytes + (uint32_t)bytes;
	uint8_t *to;

	if (mr_unlikely(payload == NULL && bytes > 0))
		return send_malformed(p);
	if (mr_unlikely(bytes > mr_publisher_placed_bytes_max(p)))
		return mr_publisher_send_with(p, NULL, 0, payload, bytes);
	to = mr_promise_place(p, total);
	if (mr_unlikely(to == NULL))
		return mr_fail(c, -EAGAIN, NULL);
	mr_publisher_header_store(to, total, p);
	mr_publisher_origin_store(to, p);
	if (bytes > 0)
		mr_message_copy(to + p->head_bytes, payload, bytes);
	mr_outbox_placed(p->box, 1, mr_message_stride(total));
	mr_ring_promised_pushed(c, total);
	return 0;
}

/* Handles a publish after mr_publish_ready failed with `error`. 0: it was sent or kept. A promised
 * message does not wait for publishes that were kept. */
static int send_away(struct mr_publisher *p, const void *payload, size_t bytes, int error)
{
	const struct mr_message_parts parts = {
		p->subject, strlen(p->subject), NULL, 0, payload, bytes};

	if (error == -ENOTCONN && p->box == NULL)
		return mr_away_store_keep(p->client, &parts);
	if (error == -EAGAIN && p->box != NULL)
		return send_promised(p, payload, bytes);
	return error;
}

int mr_publisher_send(struct mr_publisher *p, const void *payload, size_t bytes)
{
	uint32_t total = (uint32_t)(sizeof(p->header) + bytes);
	struct mr_client *c;
	uint8_t *to;
	int error;

	if (mr_unlikely(p == NULL || (payload == NULL && bytes > 0)))
		return send_malformed(p);
	c = p->client;
	error = mr_publish_ready(c, false);
	if (mr_unlikely(error != 0))
		return send_away(p, payload, bytes, error);
	if (mr_unlikely(p->box != NULL))
		return send_promised(p, payload, bytes);
	if (mr_unlikely(bytes > p->body_bytes_max))
		return send_large(p, payload, bytes);
	to = mr_ring_out_room(c, total);
	if (mr_unlikely(to == NULL))
		return mr_fail(c, -EAGAIN, NULL);
	mr_publisher_header_store(to, total, p);
	if (bytes > 0)
		mr_message_copy(to + sizeof(p->header), payload, bytes);
	c->published++;
	mr_ring_out_pushed(c, total);
	return 0;
}

static int send_batch_promised(
	struct mr_publisher *p, const struct mr_buffer *buffers, unsigned count)
{
	unsigned i;
	int error = 0;

	for (i = 0; i < count && error == 0; i++)
		error = send_promised(p, buffers[i].data, buffers[i].bytes);
	if (error == 0)
		return (int)i;
	return error == -EAGAIN || i > 1 ? (int)i - 1 : error;
}

static int send_batch_away(
	struct mr_publisher *p, const struct mr_buffer *buffers, unsigned count, int error)
{
	unsigned i;
	int rc = error;

	if (error == -EAGAIN)
		return p->box != NULL ? send_batch_promised(p, buffers, count) : 0;
	for (i = 0; i < count; i++) {
		rc = send_away(p, buffers[i].data, buffers[i].bytes, error);
		if (rc != 0)
			break;
	}
	return i > 0 ? (int)i : rc;
}

int mr_publisher_send_batch(struct mr_publisher *p, const struct mr_buffer *buffers, unsigned count)
{
	struct mr_client *c;
	unsigned i;
	int error;

	if (mr_unlikely(p == NULL || (buffers == NULL && count > 0)))
		return send_malformed(p);
	c = p->client;
	error = mr_publish_ready(c, false);
	if (mr_unlikely(error != 0))
		return send_batch_away(p, buffers, count, error);
	if (mr_unlikely(p->box != NULL))
		return send_batch_promised(p, buffers, count);
	for (i = 0; i < count; i++) {
		uint32_t total = (uint32_t)(sizeof(p->header) + buffers[i].bytes);
		uint8_t *to;

		if (mr_unlikely(buffers[i].bytes > p->body_bytes_max ||
				(buffers[i].data == NULL && buffers[i].bytes > 0))) {
			if (i > 0)
				break;
			return buffers[0].data == NULL ? send_malformed(p)
						       : mr_publish_too_large(c);
		}
		to = mr_ring_out_room(c, total);
		if (mr_unlikely(to == NULL))
			break;
		mr_publisher_header_store(to, total, p);
		if (buffers[i].bytes > 0)
			mr_message_copy(to + sizeof(p->header), buffers[i].data, buffers[i].bytes);
		mr_bytes_push(&c->up, total);
		if (mr_unlikely(c->up.tail - c->up.tail_out >= MR_UNPUBLISHED_BYTES_MAX))
			mr_ring_out_publish(c);
	}
	c->published += i;
	if (!c->corked && c->up.tail != c->up.tail_out)
		mr_ring_out_publish(c);
	return (int)i;
}
