/* SPDX-License-Identifier: Apache-2.0 */
#include "client/publish/publisher.h"

#include <stdlib.h>
#include <string.h>

#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/core/limits.h"
#include "client/core/names.h"
#include "client/core/wait.h"

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
