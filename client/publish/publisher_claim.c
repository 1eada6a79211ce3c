/* SPDX-License-Identifier: Apache-2.0 */
/* publisher_claim: messages that the program writes into the ring itself. */
#include "client/publish/publisher.h"

#include "client/core/error.h"
#include "client/core/ring_out.h"
#include "client/publish/away_store.h"
#include "client/publish/outbox.h"

/* 0, or the reason why no message of that size may be written in place. */
static int claim_check(struct mr_publisher *p, size_t bytes)
{
	struct mr_client *c = p->client;
	int error = mr_publish_ready(c, false);

	if (mr_unlikely(error != 0) && (error != -EAGAIN || p->box == NULL))
		return error;
	if (mr_unlikely(bytes >
			(p->box == NULL ? p->body_bytes_max : mr_publisher_placed_bytes_max(p))))
		return mr_publish_too_large(c);
	return 0;
}

static int claim_malformed(const struct mr_publisher *p)
{
	if (p == NULL)
		return mr_fail(NULL, -EINVAL, "the publisher is NULL");
	return mr_fail(p->client, -EINVAL, "a claim needs a place for its result: NULL");
}

/* Returns the ring of its messages. */
static inline struct mr_bytes_producer *ring_of(const struct mr_publisher *p)
{
	return mr_likely(p->box == NULL) ? &p->client->up : p->client->promised;
}

/* Returns for how many records of `stride` bytes there is room, up to `count`. */
static uint32_t room_for(struct mr_publisher *p, uint32_t stride, uint32_t count)
{
	struct mr_bytes_producer *ring = ring_of(p);
	uint64_t wanted, room;

	if (mr_unlikely(p->box != NULL)) {
		count = mr_outbox_may_place(p->box, count);
		if (count > 0 && mr_ring_promised_room(p->client, stride) == NULL)
			return 0;
	}
	wanted = (uint64_t)stride * count;
	room = mr_bytes_room(ring, wanted);
	return mr_likely(room >= wanted) ? count : (uint32_t)(room / stride);
}

/* Opens a claim of one message, or of several consecutive ones. */
static void open_claim(struct mr_publisher *p, uint8_t *at, size_t bytes, uint32_t count)
{
	p->claimed = at;
	p->claimed_bytes = bytes;
	p->claimed_count = count;
	mr_state_refuse(p->client, -EDEADLK);
}

/* The session may have ended while the claim was open. */
static void close_claim(struct mr_publisher *p)
{
	p->claimed = NULL;
	mr_state_refuse(p->client, mr_unlikely(p->client->eof) ? -ENOTCONN : 0);
}

/* Closes the claim: gives `count` messages, `bytes` of the ring in all, to the bus. */
static void commit_claim(struct mr_publisher *p, uint32_t count, size_t bytes)
{
	struct mr_client *c = p->client;

	close_claim(p);
	if (count == 0)
		return;
	if (mr_unlikely(p->box != NULL)) {
		mr_outbox_placed(p->box, count, (uint32_t)bytes);
		mr_ring_promised_pushed(c, bytes);
	} else {
		c->published += count;
		mr_ring_out_pushed(c, bytes);
	}
}

int mr_publisher_claim(struct mr_publisher *p, size_t bytes, void **payload)
{
	struct mr_client *c;
	uint32_t total;
	uint8_t *to;
	int error;

	if (mr_unlikely(p == NULL || payload == NULL))
		return claim_malformed(p);
	c = p->client;
	total = p->head_bytes + (uint32_t)bytes;
	error = claim_check(p, bytes);
	if (mr_unlikely(error != 0))
		return error;
	to = p->box == NULL ? mr_ring_out_room(c, total) : mr_promise_place(p, total);
	if (mr_unlikely(to == NULL))
		return mr_fail(c, -EAGAIN, NULL);
	open_claim(p, to, bytes, 0);
	*payload = to + p->head_bytes;
	return 0;
}

int mr_publisher_commit(struct mr_publisher *p, size_t bytes)
{
	struct mr_client *c;
	uint32_t total;

	if (mr_unlikely(p == NULL))
		return claim_malformed(p);
	c = p->client;
	total = p->head_bytes + (uint32_t)bytes;
	if (mr_unlikely(p->claimed == NULL || p->claimed_count != 0))
		return mr_fail(c, -EINVAL, "no claim of one message is open");
	if (mr_unlikely(bytes > p->claimed_bytes))
		return mr_fail(c, -EINVAL, "more is committed than was claimed");
	mr_publisher_header_store(p->claimed, total, p);
	if (p->box != NULL)
		mr_publisher_origin_store(p->claimed, p);
	commit_claim(p, 1, mr_message_stride(total));
	return 0;
}

int mr_publisher_claim_batch(
	struct mr_publisher *p, size_t bytes, unsigned count, void **first, size_t *stride)
{
	uint32_t step;
	uint8_t *to;
	int error;

	if (mr_unlikely(p == NULL || first == NULL || stride == NULL))
		return claim_malformed(p);
	step = mr_message_stride(p->head_bytes + (uint32_t)bytes);
	error = claim_check(p, bytes);
	if (mr_unlikely(error != 0))
		return error;
	count = room_for(p, step, count < INT32_MAX ? count : INT32_MAX);
	if (mr_unlikely(count == 0)) {
		/* The worker makes no room for bytes that were not published. */
		mr_ring_out_publish_rest(p->client);
		return 0;
	}
	to = mr_bytes_claim(ring_of(p), (size_t)step * count);
	/* The worker has read these lines when they were last used. */
	mr_prefetch_lines_write(to, (size_t)step * count);
	open_claim(p, to, bytes, count);
	*first = to + p->head_bytes;
	*stride = step;
	return (int)count;
}

static void headers_store(struct mr_publisher *p, uint32_t total, uint32_t stride, unsigned count)
{
	uint8_t *to = p->claimed;
	uint64_t header;

	mr_publisher_header_store((uint8_t *)&header, total, p);
	if (mr_likely(p->number == 0)) {
		for (uint32_t i = 0; i < count; i++, to += stride)
			memcpy(to, &header, sizeof(header));
		return;
	}
	for (uint32_t i = 0; i < count; i++, to += stride) {
		memcpy(to, &header, sizeof(header));
		mr_publisher_origin_store(to, p);
	}
}

int mr_publisher_commit_batch(struct mr_publisher *p, unsigned count)
{
	struct mr_client *c;
	uint32_t total, stride;

	if (mr_unlikely(p == NULL))
		return claim_malformed(p);
	c = p->client;
	total = p->head_bytes + (uint32_t)p->claimed_bytes;
	stride = mr_message_stride(total);
	if (mr_unlikely(p->claimed == NULL || p->claimed_count == 0))
		return mr_fail(c, -EINVAL, "no claim of a batch is open");
	if (mr_unlikely(count > p->claimed_count))
		return mr_fail(c, -EINVAL, "more is committed than was claimed");
	headers_store(p, total, stride, count);
	commit_claim(p, count, (size_t)stride * count);
	return 0;
}

void mr_publisher_abort(struct mr_publisher *p)
{
	if (p != NULL && p->claimed != NULL)
		close_claim(p);
}
