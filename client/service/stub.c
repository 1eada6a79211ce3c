/* SPDX-License-Identifier: Apache-2.0 */
/* stub: services as their callers know them: by name, with the bus's number in this session, and a
 * breaker that outlives the session. Stubs are kept until the client is closed: a program calls few
 * services. */
#include <stdlib.h>
#include <string.h>

#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/core/names.h"
#include "client/service/call.h"

#define FIRST_ROOM 16u
#define STUBS_MAX  (1u << 20)

/* FNV-1a */
static uint32_t hash_of(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}

/* Returns the place of the name, or an empty one. */
static uint32_t *place_of(const struct mr_calls *s, const char *name)
{
	uint32_t mask = 2 * s->stubs_room - 1;
	uint32_t at = hash_of(name) & mask;

	while (s->stubs_by_name[at] != 0 &&
		strcmp(s->stubs[s->stubs_by_name[at] - 1]->name, name) != 0)
		at = (at + 1) & mask;
	return &s->stubs_by_name[at];
}

static int stubs_grow(struct mr_client *c)
{
	struct mr_calls *s = c->calls;
	uint32_t room = s->stubs_room == 0 ? FIRST_ROOM : 2 * s->stubs_room;
	uint32_t *by_name = calloc(2 * room, sizeof(*by_name));
	struct mr_stub **stubs;

	if (by_name == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	stubs = realloc(s->stubs, room * sizeof(struct mr_stub *));
	if (stubs == NULL) {
		free(by_name);
		return mr_fail(c, -ENOMEM, NULL);
	}
	free(s->stubs_by_name);
	s->stubs = stubs;
	s->stubs_by_name = by_name;
	s->stubs_room = room;
	for (uint32_t i = 0; i < s->stubs_count; i++)
		*place_of(s, s->stubs[i]->name) = i + 1;
	return 0;
}

static int add_stub(struct mr_client *c, const char *service, struct mr_stub **out)
{
	struct mr_calls *s = c->calls;
	const char *fault = mr_name_subject_fault(service, strlen(service));
	struct mr_stub *stub;
	int error = 0;

	if (fault != NULL)
		return mr_failf(c, -EINVAL, "service: %s", fault);
	if (s->stubs_count >= STUBS_MAX)
		return mr_fail(c, -ENOSPC, "too many services are called");
	if (s->stubs_count == s->stubs_room)
		error = stubs_grow(c);
	if (error != 0)
		return error;
	stub = calloc(1, sizeof(*stub));
	if (stub == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	memcpy(stub->name, service, strlen(service) + 1);
	stub->index = s->stubs_count++;
	s->stubs[stub->index] = stub;
	*place_of(s, service) = stub->index + 1;
	*out = stub;
	return 0;
}

int mr_stub_find(struct mr_client *c, const char *service, struct mr_stub **out)
{
	struct mr_calls *s = c->calls;
	uint32_t *place;
	int error = 0;

	/* Most calls are of the same service as the one before. */
	if (mr_likely(s->stub_last != NULL && strcmp(s->stub_last->name, service) == 0)) {
		*out = s->stub_last;
		return 0;
	}
	place = s->stubs_room > 0 ? place_of(s, service) : NULL;
	if (place != NULL && *place != 0)
		*out = s->stubs[*place - 1];
	else
		error = add_stub(c, service, out);
	if (error == 0)
		s->stub_last = *out;
	return error;
}

static void opened(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct mr_stub *stub = c->calls->stubs[object];

	(void)arg;
	stub->opening = false;
	stub->queue = a->code == 0 ? a->queue : 0;
	if (a->code != 0 && a->code != -ETIMEDOUT && a->code != -ENOTCONN &&
		a->code != -EHOSTUNREACH)
		mr_failf(c, a->code, "the bus refuses service %s: %s", stub->name, a->text);
	mr_call_opened(c, stub, a->code == 0 && a->queue == 0 ? -EPROTO : a->code);
}

static uint32_t encode(const struct mr_stub *stub, uint8_t *to, uint32_t room)
{
	struct mrf_queue_request request = {
		.kind = MRF_QUEUE_KIND_SERVICE,
		.name = mrf_str(stub->name),
		.served = !stub->opening_any,
	};
	uint8_t memory[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	return mr_control_request_encode(
		&b, MRF_CLIENT_BODY_QUEUE_REQUEST, mrf_queue_request_write(&b, &request), to, room);
}

void mr_stub_open(struct mr_client *c, struct mr_stub *stub, bool any)
{
	struct mr_control_request *request;

	if (stub->opening)
		return;
	request = mr_control_request_new(c, opened, NULL, stub->index);
	/* All places are taken: waiting calls fail at their time-out, or are served by the next
	 * opening. */
	if (request == NULL)
		return;
	stub->opening = true;
	stub->opening_any = any;
	request->bytes = encode(stub, request->body, sizeof(request->body));
	mr_control_request_send(
		c, request, mr_now_ns() + c->options.request_timeout_ms * MR_NS_PER_MS);
}

void mr_stubs_close(struct mr_client *c)
{
	for (uint32_t i = 0; i < c->calls->stubs_count; i++) {
		c->calls->stubs[i]->queue = 0;
		c->calls->stubs[i]->opening = false;
	}
}

void mr_stubs_free(struct mr_client *c)
{
	for (uint32_t i = 0; i < c->calls->stubs_count; i++)
		free(c->calls->stubs[i]);
	free(c->calls->stubs);
	free(c->calls->stubs_by_name);
}
