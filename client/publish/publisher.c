/* SPDX-License-Identifier: Apache-2.0 */
/* publisher: subjects that are resolved to a number once (an alias), and the fast ways to publish
 * to them. */
#include <stdlib.h>
#include <string.h>

#include "client/core/away.h"
#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/core/limits.h"
#include "client/core/names.h"
#include "client/core/part.h"
#include "client/core/ring_out.h"
#include "client/core/wait.h"
#include "client/publish/away_store.h"
#include "client/publish/outbox.h"
#include "client/publish/outgoing.h"
#include "client/publish/publish.h"

uint32_t mr_publisher_encode(const struct mr_publisher *p, uint8_t *to, uint32_t room)
{
	uint8_t memory[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mrf_builder b;
	uint32_t body;

	mrf_builder_init(&b, memory, sizeof(memory));
	body = mrf_alias_request_write(
		&b, &(struct mrf_alias_request){.subject = mrf_str(p->subject)});
	return mr_control_request_encode(&b, MRF_CLIENT_BODY_ALIAS_REQUEST, body, to, room);
}

/* Returns another publisher of the same subject. They share its alias, which is released once. */
static struct mr_publisher *find_twin(const struct mr_client *c, const struct mr_publisher *of)
{
	for (uint32_t i = 0; i < c->publishers_count; i++) {
		struct mr_publisher *p = c->publishers[i];

		if (p != NULL && p != of && strcmp(p->subject, of->subject) == 0)
			return p;
	}
	return NULL;
}

static int add_to_list(struct mr_client *c, struct mr_publisher *p)
{
	struct mr_publisher **grown;
	uint32_t room;

	for (uint32_t i = 0; i < c->publishers_count; i++) {
		if (c->publishers[i] == NULL) {
			p->index = i;
			c->publishers[i] = p;
			return 0;
		}
	}
	if (c->publishers_count == c->publishers_room) {
		room = c->publishers_room == 0 ? 16 : 2 * c->publishers_room;
		grown = realloc(c->publishers, room * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		c->publishers = grown;
		c->publishers_room = room;
	}
	p->index = c->publishers_count;
	c->publishers[c->publishers_count++] = p;
	return 0;
}

/* Waits until no release is under way: a network may deliver the release of an alias behind the
 * request for the same one, and the bus would then remove it again. */
static void await_releases(struct mr_client *c)
{
	struct mr_wait_limit p;

	if (c->udp == NULL || c->releases_open == 0 || mr_begin(c, true) != 0)
		return;
	mr_wait_limit_init(&p, c, -1);
	while (mr_await(c, &c->released, &p) == -EINTR)
		continue;
	mr_end(c);
}

static int resolve(struct mr_client *c, struct mr_publisher *p)
{
	struct mr_publisher *other = find_twin(c, p);
	uint8_t body[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mr_control_ask ask = {.body = body, .timeout_ms = -1};
	struct mr_control_answer found;
	int error;

	if (other != NULL) {
		p->header.target = other->header.target;
		return 0;
	}
	await_releases(c);
	ask.bytes = mr_publisher_encode(p, body, sizeof(body));
	error = mr_control_request_wait(c, &ask, &found);
	if (error != 0)
		return error;
	if (found.alias == 0)
		return mr_fail(c, -EPROTO, "the bus answered without an alias");
	p->header.target = found.alias;
	return 0;
}

int mr_publisher_open(struct mr_client *c, const char *subject, struct mr_publisher **out)
{
	struct mr_publisher *p;
	const char *fault;
	int error;

	if (c == NULL || subject == NULL || out == NULL)
		return mr_fail(c, -EINVAL, "mr_publisher_open: an argument is NULL");
	*out = NULL;
	error = mr_ready(c, true);
	if (error != 0)
		return error;
	fault = mr_name_subject_fault(subject, strlen(subject));
	if (fault != NULL)
		return mr_failf(c, -EINVAL, "subject: %s", fault);
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	p->client = c;
	p->header.kind = MRF_MESSAGE_KIND_PUBLISH;
	p->head_bytes = (uint32_t)sizeof(p->header);
	memcpy(p->subject, subject, strlen(subject) + 1);
	mr_publisher_limit(p);
	error = resolve(c, p);
	if (error == 0 && add_to_list(c, p) != 0)
		error = mr_fail(c, -ENOMEM, NULL);
	if (error != 0) {
		free(p);
		return error;
	}
	*out = p;
	return 0;
}

void mr_publisher_free(struct mr_publisher *p)
{
	if (p != NULL)
		mr_promise_close(p);
	free(p);
}

static void released(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	(void)a;
	(void)arg;
	(void)object;
	c->released = --c->releases_open == 0;
}

/* Sends the release once: a repeated one could remove an alias that was acquired meanwhile. An
 * alias that stays behind goes with the session. */
static void release(struct mr_client *c, uint32_t alias)
{
	uint8_t memory[128];
	struct mrf_builder b;
	struct mr_control_request *request;
	uint32_t body;

	request = mr_control_request_new(c, released, NULL, 0);
	if (request == NULL)
		return;
	c->releases_open++;
	c->released = false;
	mrf_builder_init(&b, memory, sizeof(memory));
	body = mrf_alias_release_write(&b, &(struct mrf_alias_release){.alias = alias});
	request->bytes = mr_control_request_encode(
		&b, MRF_CLIENT_BODY_ALIAS_RELEASE, body, request->body, sizeof(request->body));
	mr_control_request_send(c, request, mr_now_ns() + MR_CONTROL_RESEND_NS / 2);
}

void mr_publisher_close(struct mr_publisher *p)
{
	struct mr_client *c;

	if (p == NULL)
		return;
	c = p->client;
	mr_publisher_abort(p);
	c->publishers[p->index] = NULL;
	if (c->state == MR_STATE_UP && find_twin(c, p) == NULL)
		release(c, p->header.target);
	if (c->depth == 0) {
		mr_publisher_free(p);
		return;
	}
	p->next_closed = c->publishers_closed;
	c->publishers_closed = p;
	c->sweep_wanted = true;
}

void mr_publishers_sweep(struct mr_client *c)
{
	while (c->publishers_closed != NULL) {
		struct mr_publisher *p = c->publishers_closed;

		c->publishers_closed = p->next_closed;
		mr_publisher_free(p);
	}
}

const struct mr_part mr_publisher_part = {.sweep = mr_publishers_sweep};

static inline void header_store(uint8_t *to, uint32_t bytes, const struct mr_publisher *p)
{
	struct mrf_message_header h = p->header;

	h.bytes = (uint16_t)bytes;
	memcpy(to, &h, sizeof(h));
}

/* Writes the next origin of a publisher that promises, behind the header. */
static inline void origin_store(uint8_t *to, struct mr_publisher *p)
{
	const struct mrf_message_origin origin = {p->number, p->next_id++};

	if (p->number != 0)
		memcpy(to + sizeof(p->header), &origin, sizeof(origin));
}

static int send_large(struct mr_publisher *p, const void *payload, size_t bytes)
{
	struct mr_message_parts parts = {NULL, 0, NULL, 0, payload, bytes};
	struct mr_client *c = p->client;

	return mr_outgoing_send_large(c, MRF_MESSAGE_KIND_PUBLISH, p->header.target, NULL, &parts,
		(uint32_t)(c->body_bytes_max - p->body_bytes_max), false);
}

/* Returns the largest payload: a delivery may have an origin beside its subject. */
static inline size_t placed_bytes_max(const struct mr_publisher *p)
{
	size_t extra_bytes = p->head_bytes - sizeof(p->header);

	return p->body_bytes_max > extra_bytes ? p->body_bytes_max - extra_bytes : 0;
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
	if (mr_unlikely(bytes > placed_bytes_max(p)))
		return mr_publisher_send_with(p, NULL, 0, payload, bytes);
	to = mr_promise_place(p, total);
	if (mr_unlikely(to == NULL))
		return mr_fail(c, -EAGAIN, NULL);
	header_store(to, total, p);
	origin_store(to, p);
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
	header_store(to, total, p);
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
		header_store(to, total, p);
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

/* 0, or the reason why no message of that size may be written in place. */
static int claim_check(struct mr_publisher *p, size_t bytes)
{
	struct mr_client *c = p->client;
	int error = mr_publish_ready(c, false);

	if (mr_unlikely(error != 0) && (error != -EAGAIN || p->box == NULL))
		return error;
	if (mr_unlikely(bytes > (p->box == NULL ? p->body_bytes_max : placed_bytes_max(p))))
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
	header_store(p->claimed, total, p);
	if (p->box != NULL)
		origin_store(p->claimed, p);
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

	header_store((uint8_t *)&header, total, p);
	if (mr_likely(p->number == 0)) {
		for (uint32_t i = 0; i < count; i++, to += stride)
			memcpy(to, &header, sizeof(header));
		return;
	}
	for (uint32_t i = 0; i < count; i++, to += stride) {
		memcpy(to, &header, sizeof(header));
		origin_store(to, p);
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
