/* SPDX-License-Identifier: Apache-2.0 */
#include "client/subscribe/subscribe.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/away.h"
#include "client/core/control_request.h"
#include "client/core/deferred.h"
#include "client/core/error.h"
#include "client/core/names.h"
#include "client/core/part.h"
#include "client/core/ring_out.h"
#include "client/core/sized.h"
#include "client/core/wait.h"
#include "client/subscribe/dedup.h"
#include "client/subscribe/ending.h"
#include "client/subscribe/multicast.h"

/* Ids given up before one is used again, so that late deliveries are not taken for those of the new
 * subscription. */
#define IDS_REST 64u

uint32_t mr_subscription_encode(const struct mr_subscription *s, uint8_t *to, uint32_t room)
{
	struct mrf_subscribe_request request = {
		.subscription = s->id,
		.kind = s->prefix ? MRF_SUBSCRIPTION_KIND_PREFIX : MRF_SUBSCRIPTION_KIND_PATTERN,
		.pattern = mrf_str(s->pattern),
		.group = mrf_str(s->group[0] != '\0' ? s->group : NULL),
		.when_full =
			s->promise != MR_BEST_EFFORT ? MRF_WHEN_FULL_BLOCK : MRF_WHEN_FULL_DROP,
		.high_water = s->high_water,
		.time = s->time,
		.sender = s->sender,
		.multicast = s->wants_multicast && s->multicast != MR_MULTICAST_LEAVING,
	};
	uint8_t memory[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	return mr_control_request_encode(&b, MRF_CLIENT_BODY_SUBSCRIBE_REQUEST,
		mrf_subscribe_request_write(&b, &request), to, room);
}

uint32_t mr_unsubscribe_encode(uint32_t id, uint32_t queue, uint8_t *to, uint32_t room)
{
	struct mrf_unsubscribe_request request = {.subscription = id, .queue = queue};
	uint8_t memory[128];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	return mr_control_request_encode(&b, MRF_CLIENT_BODY_UNSUBSCRIBE_REQUEST,
		mrf_unsubscribe_request_write(&b, &request), to, room);
}

int mr_subscription_id_take(struct mr_client *c, uint32_t *id)
{
	struct mr_subscription **grown;
	uint32_t room;

	if (c->ids_free_count > IDS_REST) {
		*id = c->ids_free[0];
		c->ids_free_count--;
		memmove(c->ids_free, c->ids_free + 1, c->ids_free_count * sizeof(*c->ids_free));
		return 0;
	}
	if (c->subscriptions_top >= c->subscriptions_room) {
		room = c->subscriptions_room == 0 ? 64 : 2 * c->subscriptions_room;
		grown = realloc(c->subscriptions, room * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		memset(grown + c->subscriptions_room, 0,
			(room - c->subscriptions_room) * sizeof(*grown));
		c->subscriptions = grown;
		c->subscriptions_room = room;
	}
	/* No subscription has id 0. */
	if (c->subscriptions_top == 0)
		c->subscriptions_top = 1;
	*id = c->subscriptions_top++;
	return 0;
}

/* Without memory to remember it, the id is not used again. */
void mr_subscription_id_give_back(struct mr_client *c, uint32_t id)
{
	uint32_t room = c->ids_free_room == 0 ? 128 : 2 * c->ids_free_room;
	uint32_t *grown;

	if (c->ids_free_count == c->ids_free_room) {
		grown = realloc(c->ids_free, room * sizeof(*grown));
		if (grown == NULL)
			return;
		c->ids_free = grown;
		c->ids_free_room = room;
	}
	c->ids_free[c->ids_free_count++] = id;
}

static int check(
	struct mr_client *c, const char *pattern, const struct mr_subscribe_options *options)
{
	const char *fault = mr_name_pattern_fault(pattern, strlen(pattern), options->prefix);

	if (fault != NULL)
		return mr_failf(c, -EINVAL, "pattern: %s", fault);
	fault = options->group != NULL ? mr_name_group_fault(options->group) : NULL;
	if (fault != NULL)
		return mr_failf(c, -EINVAL, "group: %s", fault);
	if ((unsigned)options->promise > MR_EXACTLY_ONCE)
		return mr_fail(c, -EINVAL, "promise: unknown kind");
	if (options->high_water > 100)
		return mr_fail(c, -EINVAL, "high_water: more than 100 percent");
	if (options->multicast && (options->group != NULL || options->promise != MR_BEST_EFFORT))
		return mr_fail(c, -EINVAL, "multicast: not with a group or a promise");
	if (options->interface != NULL &&
		(!options->multicast || strlen(options->interface) >= IF_NAMESIZE))
		return mr_fail(
			c, -EINVAL, "interface: without multicast, or no name of an interface");
	return 0;
}

static int enrol(struct mr_client *c, struct mr_subscription *s)
{
	uint8_t body[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mr_control_ask ask = {.body = body, .timeout_ms = -1};
	struct mr_control_answer answer = {.code = 0};
	int error;

	if (mr_subscription_id_take(c, &s->id) != 0)
		return mr_fail(c, -ENOMEM, NULL);
	/* The first delivery may arrive before the answer. */
	c->subscriptions[s->id] = s;
	ask.bytes = mr_subscription_encode(s, body, sizeof(body));
	error = mr_control_request_wait(c, &ask, &answer);
	if (error == 0 && s->wants_multicast) {
		mr_multicast_answered(c, s, &answer);
		error = mr_multicast_wait(c, s);
	}
	if (error == 0)
		return 0;
	mr_multicast_forget(c, s->id);
	/* After a time-out the bus may know the id: it is not used again. */
	c->subscriptions[s->id] = NULL;
	mr_deferred_forget(c, s->id);
	if (error != -ETIMEDOUT)
		mr_subscription_id_give_back(c, s->id);
	return error;
}

static void fill(struct mr_subscription *s, const char *pattern,
	const struct mr_subscribe_options *options, mr_message_fn *callback, void *arg)
{
	s->callback = callback;
	s->batch = options->batch;
	s->arg = arg;
	s->limit = UINT64_MAX;
	s->prefix = options->prefix;
	s->promise = options->promise;
	s->high_water = (uint8_t)options->high_water;
	s->time = options->time;
	s->sender = options->sender;
	s->wants_multicast = options->multicast;
	if (options->interface != NULL)
		memcpy(s->interface, options->interface, strlen(options->interface) + 1);
	memcpy(s->pattern, pattern, strlen(pattern) + 1);
	if (options->group != NULL)
		memcpy(s->group, options->group, strlen(options->group) + 1);
}

int mr_subscribe_sized(struct mr_client *c, const char *pattern,
	const struct mr_subscribe_options *options, mr_message_fn *callback, void *arg,
	struct mr_subscription **out, size_t options_bytes)
{
	struct mr_subscribe_options own;
	struct mr_subscription *s;
	int error;

	if (out != NULL)
		*out = NULL;
	if (c == NULL || pattern == NULL)
		return mr_fail(c, -EINVAL, "mr_subscribe: the client or the pattern is NULL");
	error = mr_ready(c, true);
	if (error == 0)
		error = mr_sized_read(c, "mr_subscribe", &own, sizeof(own), options, options_bytes);
	if (error == 0)
		error = check(c, pattern, &own);
	if (error != 0)
		return error;
	if (callback != NULL && own.batch != NULL)
		return mr_fail(c, -EINVAL, "both a callback and a batch callback are given");
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	s->client = c;
	c->calls_back |= callback != NULL || own.batch != NULL;
	fill(s, pattern, &own, callback, arg);
	error = enrol(c, s);
	if (error != 0) {
		free(s);
		return error;
	}
	if (out != NULL)
		*out = s;
	return 0;
}

void mr_subscription_free(struct mr_subscription *s)
{
	if (s == NULL)
		return;
	mr_dedup_free(s->dedup);
	free(s);
}

static void unsubscribed_late(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	(void)a;
	(void)arg;
	mr_subscription_id_give_back(c, object);
}

/* A subscription that ended while all requests to control were in use. Its id is not used again
 * before the bus has answered. */
struct mr_subscription_ending {
	struct mr_subscription_ending *next;
	uint32_t id;
	uint32_t queue;
};

/* Without memory the id is not used again in this session, and the bus is not told. */
static int end_later(struct mr_client *c, uint32_t id, uint32_t queue)
{
	struct mr_subscription_ending *e = malloc(sizeof(*e));

	if (e != NULL) {
		*e = (struct mr_subscription_ending){c->endings, id, queue};
		c->endings = e;
		mr_housekeep_by(c, 0);
	}
	return mr_fail(c, -ETIMEDOUT,
		"all requests to control are in use: the bus is told when one is free");
}

static void endings_step(struct mr_client *c, uint64_t now_ns)
{
	(void)now_ns;
	while (c->endings != NULL && c->refuse == 0 && mr_control_request_any(c)) {
		struct mr_subscription_ending *e = c->endings;
		struct mr_control_request *request =
			mr_control_request_new(c, unsubscribed_late, NULL, e->id);

		request->bytes = mr_unsubscribe_encode(
			e->id, e->queue, request->body, sizeof(request->body));
		mr_control_request_send(c, request, MR_NEVER_NS);
		c->endings = e->next;
		free(e);
	}
}

static uint64_t endings_due_ns(const struct mr_client *c)
{
	return c->endings != NULL && c->refuse == 0 && mr_control_request_any(c) ? 0 : MR_NEVER_NS;
}

/* The next session does not know them. */
static void endings_lost(struct mr_client *c)
{
	while (c->endings != NULL) {
		struct mr_subscription_ending *e = c->endings;

		c->endings = e->next;
		mr_subscription_id_give_back(c, e->id);
		free(e);
	}
}

const struct mr_part mr_subscription_part = {
	.due_ns = endings_due_ns,
	.step = endings_step,
	.lost = endings_lost,
};

int mr_subscription_end(struct mr_client *c, uint32_t id, uint32_t queue)
{
	uint8_t body[128];
	struct mr_control_ask ask = {
		.body = body, .timeout_ms = -1, .late = unsubscribed_late, .object = id};
	int error = 0;

	/* Restoration must not ask for it any more. */
	if (c->state == MR_STATE_RESTORING)
		c->subscriptions[id] = NULL;
	if (c->state != MR_STATE_LOST && !c->eof && !mr_control_request_any(c)) {
		error = end_later(c, id, queue);
	} else if (c->state != MR_STATE_LOST && !c->eof) {
		ask.bytes = mr_unsubscribe_encode(id, queue, body, sizeof(body));
		error = mr_control_request_wait(c, &ask, NULL);
	}
	mr_multicast_forget(c, id);
	c->subscriptions[id] = NULL;
	mr_deferred_forget(c, id);
	if (error != -ETIMEDOUT)
		mr_subscription_id_give_back(c, id);
	return error == -ENOTCONN ? 0 : error;
}

int mr_unsubscribe(struct mr_subscription *s)
{
	struct mr_client *c;
	int error = 0;

	if (s == NULL)
		return mr_fail(NULL, -EINVAL, "mr_unsubscribe: the subscription is NULL");
	c = s->client;
	if (c->refuse == -EDEADLK)
		return mr_ring_out_refused(c);
	mr_subscription_unlink(c, s);
	if (s->ending != MR_ENDING_ENDED) {
		bool ending = s->ending != MR_ENDING_LIVE;

		s->ending = MR_ENDING_CLOSING;
		error = mr_subscription_end(c, s->id, 0);
		/* The bus may have ended it already. */
		if (ending && error == -ENOENT)
			error = 0;
	}
	mr_subscription_free(s);
	return error;
}

bool mr_subscription_is_multicast(const struct mr_subscription *s)
{
	return s != NULL && s->multicast == MR_MULTICAST_HEARD;
}

const char *mr_subscription_pattern(const struct mr_subscription *s)
{
	return s != NULL ? s->pattern : "";
}

uint64_t mr_subscription_count(const struct mr_subscription *s)
{
	return s != NULL ? s->count : 0;
}
