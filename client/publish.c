/* SPDX-License-Identifier: Apache-2.0 */
/* publish: writes messages into the up ring, waits for room, and shows the bus what is there. */
#include <sched.h>
#include <string.h>

#include "client/letter.h"
#include "client/names.h"
#include "client/queue.h"

#define ROOM_SPINS 256u

int mr_publish_refused(struct mr_client *c)
{
	if (c->refuse == -EBUSY)
		return mr_fail(c, -EBUSY, "a claim is open: commit or abort it first");
	return mr_failf(c, -ENOTCONN, "not connected to the bus: %s", c->lost_text);
}

void mr_publish_show(struct mr_client *c)
{
	if (c->promised != &c->up)
		mr_bytes_publish_quiet(c->promised);
	if (mr_bytes_publish(&c->up))
		c->transport->rouse(c);
}

static uint8_t *room(struct mr_client *c, struct mr_bytes_producer *ring, uint32_t bytes)
{
	uint8_t *to = mr_bytes_claim(ring, mr_message_stride(bytes));

	if (mr_likely(to != NULL))
		return to;
	/* The worker makes no room for what it was not shown. */
	mr_publish_show_rest(c);
	return mr_bytes_claim(ring, mr_message_stride(bytes));
}

uint8_t *mr_publish_room(struct mr_client *c, uint32_t bytes)
{
	return room(c, &c->up, bytes);
}

uint8_t *mr_promise_room(struct mr_client *c, uint32_t bytes)
{
	uint8_t *to = room(c, c->promised, bytes);

	if (mr_likely(to != NULL) || c->promised == &c->up || c->eof)
		return to;
	/* The bus may have made room and said so. */
	c->transport->look(c);
	return mr_bytes_claim(c->promised, mr_message_stride(bytes));
}

static void room_pause(struct mr_client *c, unsigned *rounds)
{
	if (c->transport->press != NULL)
		c->transport->press(c);
	if ((*rounds)++ >= ROOM_SPINS) {
		c->transport->room_sleep(c);
		return;
	}
	mr_cpu_relax();
	if (c->few_cpus && *rounds % 32 == 0)
		sched_yield();
}

static uint8_t *room_wait(struct mr_client *c, struct mr_bytes_producer *ring, uint32_t bytes,
	uint64_t deadline_ns, int *error)
{
	uint8_t *to = room(c, ring, bytes);
	unsigned rounds = 0;

	*error = 0;
	if (to != NULL)
		return to;
	mr_bytes_want_bell(ring, true);
	while (*error == 0 && (to = room(c, ring, bytes)) == NULL) {
		if (c->eof)
			*error = mr_publish_refused(c);
		else if (rounds >= ROOM_SPINS && mr_now_ns() >= deadline_ns)
			*error = mr_fail(c, -ETIMEDOUT, "the ring to the bus stayed full");
		else
			room_pause(c, &rounds);
	}
	mr_bytes_want_bell(ring, false);
	return to;
}

uint8_t *mr_publish_room_wait(struct mr_client *c, uint32_t bytes, uint64_t deadline_ns, int *error)
{
	return room_wait(c, &c->up, bytes, deadline_ns, error);
}

uint8_t *mr_promise_room_wait(struct mr_client *c, uint32_t bytes, uint64_t deadline_ns, int *error)
{
	return room_wait(c, c->promised, bytes, deadline_ns, error);
}

uint64_t mr_promise_backlog(struct mr_client *c)
{
	return mr_bytes_backlog(c->promised);
}

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
		"subject, headers and payload together exceed %zu bytes, what a frame of this "
		"connection holds",
		c->body_bytes_max);
}

int mr_parts_check(struct mr_client *c, const struct mr_parts *p)
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
		return mr_fail(c, -EINVAL, "a length without data");
	if (p->header_bytes == 0)
		return 0;
	fault = mr_headers_fault(p->headers, p->header_bytes);
	return fault == NULL ? 0 : mr_failf(c, -EINVAL, "headers: %s", fault);
}

static uint8_t *put(uint8_t *to, const void *from, size_t bytes)
{
	if (bytes > 0)
		mr_message_copy(to, from, bytes);
	return to + bytes;
}

uint64_t mr_publish_deadline_ns(const struct mr_client *c)
{
	return mr_now_ns() + c->options.request_timeout_ms * MR_NS_PER_MS;
}

int mr_publish_parts(struct mr_client *c, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const struct mr_parts *p, bool wait)
{
	size_t body_bytes_max = c->body_bytes_max - (p->subject_bytes & c->body_subject_mask);
	uint32_t bytes = mr_message_bytes(token != NULL, (uint32_t)p->subject_bytes,
		(uint32_t)p->header_bytes, (uint32_t)p->payload_bytes);
	uint8_t *to;
	int error;

	if (mr_unlikely(p->header_bytes + p->payload_bytes > body_bytes_max))
		return mr_letter_send_large(c, kind, target, token, p, 0, wait);
	to = mr_publish_room(c, bytes);
	if (mr_unlikely(to == NULL)) {
		if (!wait)
			return mr_fail(c, -EAGAIN, NULL);
		to = mr_publish_room_wait(c, bytes, mr_publish_deadline_ns(c), &error);
		if (to == NULL)
			return error;
	}
	to = mr_message_begin(to, kind, target, token, (uint32_t)p->subject_bytes,
		(uint32_t)p->header_bytes, (uint32_t)p->payload_bytes);
	to = put(to, p->subject, p->subject_bytes);
	to = put(to, p->headers, p->header_bytes);
	put(to, p->payload, p->payload_bytes);
	c->published++;
	mr_publish_pushed(c, bytes);
	return 0;
}

static inline int publish_checked(struct mr_client *c, enum mrf_message_kind kind,
	const struct mrf_reply_token *token, const struct mr_parts *p)
{
	int error = token == NULL ? mr_publish_ready(c, true) : mr_ready(c, true);

	if (mr_unlikely(error == -ENOTCONN && token == NULL))
		return mr_away_keep(c, p);
	if (error == 0)
		error = mr_parts_check(c, p);
	if (mr_unlikely(error != 0))
		return error;
	error = mr_publish_parts(c, kind, 0, token, p, true);
	return mr_unlikely(error == -ENOTCONN && token == NULL) ? mr_away_keep(c, p) : error;
}

int mr_publish_with(struct mr_client *c, const char *subject, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes)
{
	struct mr_parts p = {subject, strlen(subject), headers, header_bytes, payload, bytes};

	return publish_checked(c, MRF_MESSAGE_KIND_PUBLISH, NULL, &p);
}

int mr_publish(struct mr_client *c, const char *subject, const void *payload, size_t bytes)
{
	return mr_publish_with(c, subject, NULL, 0, payload, bytes);
}

int mr_reply_with(struct mr_client *c, const uint64_t reply_token[2], const char *headers,
	size_t header_bytes, const void *payload, size_t bytes)
{
	struct mrf_reply_token token = {reply_token[0], reply_token[1]};
	struct mr_parts p = {NULL, 0, headers, header_bytes, payload, bytes};

	return publish_checked(c, MRF_MESSAGE_KIND_REPLY, &token, &p);
}

int mr_reply(struct mr_client *c, const uint64_t reply_token[2], const void *payload, size_t bytes)
{
	return mr_reply_with(c, reply_token, NULL, 0, payload, bytes);
}

void mr_cork(struct mr_client *c, bool on)
{
	c->corked = on;
	if (!on)
		mr_publish_show_rest(c);
}

int mr_flush(struct mr_client *c)
{
	int error = mr_ready(c, false);

	if (error != 0)
		return error;
	(void)mr_away_send(c, 0);
	mr_consumers_flush(c);
	mr_publish_show_rest(c);
	return 0;
}

static bool is_drained(struct mr_client *c)
{
	return c->away_first == NULL && mr_bytes_backlog(&c->up) == 0 && mr_promise_backlog(c) == 0;
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
			error = mr_publish_refused(c);
		else if (mr_now_ns() >= deadline_ns)
			error = mr_fail(c, -ETIMEDOUT, "the bus did not take everything in time");
		else
			room_pause(c, &rounds);
		if (mr_unlikely(c->away_first != NULL))
			(void)mr_away_send(c, 0);
		mr_publish_show_rest(c);
	}
	mr_bytes_want_bell(&c->up, false);
	return error;
}
