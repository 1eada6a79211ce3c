/* SPDX-License-Identifier: Apache-2.0 */
/* callee: services as their callers know them: by name, with the number that the bus has for them
 * in this session and a breaker that outlives it. None is forgotten before the client is closed: a
 * program calls few. */
#include <stdlib.h>
#include <string.h>

#include "client/names.h"
#include "client/rpc.h"

#define FIRST_ROOM  16u
#define CALLEES_MAX (1u << 20)

/* FNV-1a */
static uint32_t hash_of(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}

/* The place of the name, or an empty one. */
static uint32_t *place_of(const struct mr_rpcs *s, const char *name)
{
	uint32_t mask = 2 * s->callees_room - 1;
	uint32_t at = hash_of(name) & mask;

	while (s->callees_by_name[at] != 0 &&
		strcmp(s->callees[s->callees_by_name[at] - 1]->name, name) != 0)
		at = (at + 1) & mask;
	return &s->callees_by_name[at];
}

static int grow(struct mr_client *c)
{
	struct mr_rpcs *s = c->rpcs;
	uint32_t room = s->callees_room == 0 ? FIRST_ROOM : 2 * s->callees_room;
	uint32_t *by_name = calloc(2 * room, sizeof(*by_name));
	struct mr_callee **callees;

	if (by_name == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	callees = realloc(s->callees, room * sizeof(struct mr_callee *));
	if (callees == NULL) {
		free(by_name);
		return mr_fail(c, -ENOMEM, NULL);
	}
	free(s->callees_by_name);
	s->callees = callees;
	s->callees_by_name = by_name;
	s->callees_room = room;
	for (uint32_t i = 0; i < s->callees_count; i++)
		*place_of(s, s->callees[i]->name) = i + 1;
	return 0;
}

static int add(struct mr_client *c, const char *service, struct mr_callee **out)
{
	struct mr_rpcs *s = c->rpcs;
	const char *fault = mr_name_subject_fault(service, strlen(service));
	struct mr_callee *callee;
	int error = 0;

	if (fault != NULL)
		return mr_failf(c, -EINVAL, "service: %s", fault);
	if (s->callees_count >= CALLEES_MAX)
		return mr_fail(c, -ENOSPC, "too many services are called");
	if (s->callees_count == s->callees_room)
		error = grow(c);
	if (error != 0)
		return error;
	callee = calloc(1, sizeof(*callee));
	if (callee == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	memcpy(callee->name, service, strlen(service) + 1);
	callee->index = s->callees_count++;
	s->callees[callee->index] = callee;
	*place_of(s, service) = callee->index + 1;
	*out = callee;
	return 0;
}

int mr_callee_find(struct mr_client *c, const char *service, struct mr_callee **out)
{
	struct mr_rpcs *s = c->rpcs;
	uint32_t *place;
	int error = 0;

	/* Mostly it is the one that was called before. */
	if (mr_likely(s->callee_last != NULL && strcmp(s->callee_last->name, service) == 0)) {
		*out = s->callee_last;
		return 0;
	}
	place = s->callees_room > 0 ? place_of(s, service) : NULL;
	if (place != NULL && *place != 0)
		*out = s->callees[*place - 1];
	else
		error = add(c, service, out);
	if (error == 0)
		s->callee_last = *out;
	return error;
}

static void opened(struct mr_client *c, const struct mr_answer *a, void *arg, uint32_t object)
{
	struct mr_callee *callee = c->rpcs->callees[object];

	(void)arg;
	callee->opening = false;
	callee->queue = a->code == 0 ? a->queue : 0;
	if (a->code != 0 && a->code != -ETIMEDOUT && a->code != -ENOTCONN &&
		a->code != -EHOSTUNREACH)
		mr_failf(c, a->code, "the bus refuses service %s: %s", callee->name, a->text);
	mr_rpc_opened(c, callee, a->code == 0 && a->queue == 0 ? -EPROTO : a->code);
}

static uint32_t encode(const struct mr_callee *callee, uint8_t *to, uint32_t room)
{
	struct mrf_queue_request request = {
		.kind = MRF_QUEUE_KIND_SERVICE,
		.name = mrf_str(callee->name),
		.served = !callee->opening_any,
	};
	uint8_t memory[MR_CALL_BYTES_MAX];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	return mr_call_encode(
		&b, MRF_CLIENT_BODY_QUEUE_REQUEST, mrf_queue_request_write(&b, &request), to, room);
}

void mr_callee_open(struct mr_client *c, struct mr_callee *callee, bool any)
{
	struct mr_call *call;

	if (callee->opening)
		return;
	call = mr_call_new(c, opened, NULL, callee->index);
	/* All are taken: those who wait are told at their time-out, or by the next who opens it. */
	if (call == NULL)
		return;
	callee->opening = true;
	callee->opening_any = any;
	call->bytes = encode(callee, call->body, sizeof(call->body));
	mr_call_send(c, call, mr_now_ns() + c->options.request_timeout_ms * MR_NS_PER_MS);
}

void mr_callees_close(struct mr_client *c)
{
	for (uint32_t i = 0; i < c->rpcs->callees_count; i++) {
		c->rpcs->callees[i]->queue = 0;
		c->rpcs->callees[i]->opening = false;
	}
}

void mr_callees_free(struct mr_client *c)
{
	for (uint32_t i = 0; i < c->rpcs->callees_count; i++)
		free(c->rpcs->callees[i]);
	free(c->rpcs->callees);
	free(c->rpcs->callees_by_name);
}
