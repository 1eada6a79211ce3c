/* SPDX-License-Identifier: Apache-2.0 */
#include "client/subscribe/ending.h"

#include <stdlib.h>

#include "client/core/control_request.h"
#include "client/core/deferred.h"
#include "client/core/error.h"
#include "client/core/wait.h"
#include "client/subscribe/multicast.h"
#include "client/subscribe/subscribe.h"

static void link_ending(struct mr_client *c, struct mr_subscription *s, enum mr_ending ending)
{
	if (s->ending == MR_ENDING_LIVE) {
		s->next_ending = c->finishing;
		c->finishing = s;
	}
	s->ending = (uint8_t)ending;
	c->drained = false;
	mr_housekeep_by(c, 0);
	mr_nudge(c);
}

static bool unlink_from(struct mr_subscription **at, struct mr_subscription *s)
{
	while (*at != NULL && *at != s)
		at = &(*at)->next_ending;
	if (*at == NULL)
		return false;
	*at = s->next_ending;
	return true;
}

void mr_subscription_unlink(struct mr_client *c, struct mr_subscription *s)
{
	if (!unlink_from(&c->finishing, s))
		unlink_from(&c->finished, s);
}

void mr_subscription_filled(struct mr_client *c, struct mr_subscription *s)
{
	mr_multicast_forget(c, s->id);
	c->subscriptions[s->id] = NULL;
	mr_deferred_forget(c, s->id);
	/* mr_unsubscribe on the stack does the rest. */
	if (s->ending != MR_ENDING_CLOSING)
		link_ending(c, s, MR_ENDING_FILLED);
}

/* True if requests to control can be sent now. */
static bool may_ask(const struct mr_client *c)
{
	return c->state == MR_STATE_UP && !c->eof && c->refuse != -EDEADLK &&
	       c->control_requests_open < MR_CONTROL_REQUESTS_MAX;
}

static void id_is_free(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	(void)a;
	(void)arg;
	mr_subscription_id_give_back(c, object);
}

static void drain_answered(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct mr_subscription *s = mr_subscription_find(c, object);

	(void)a;
	(void)arg;
	if (s == NULL || (s->ending != MR_ENDING_ASKED && s->ending != MR_ENDING_FLUSHING))
		return;
	s->ending = s->ending == MR_ENDING_ASKED ? MR_ENDING_FLUSH : MR_ENDING_DRAINED;
	mr_housekeep_by(c, 0);
}

/* There is room: may_ask has said so. */
static void ask_unsubscribe(struct mr_client *c, uint32_t id, mr_control_answer_fn *done)
{
	struct mr_control_request *r = mr_control_request_new(c, done, NULL, id);

	r->bytes = mr_unsubscribe_encode(id, 0, r->body, sizeof(r->body));
	mr_control_request_send(c, r, MR_NEVER_NS);
}

static void ask_ping(struct mr_client *c, uint32_t id)
{
	struct mr_control_request *r = mr_control_request_new(c, drain_answered, NULL, id);

	r->bytes = mr_ping_encode(mr_now_ns(), r->body, sizeof(r->body));
	mr_control_request_send(c, r, MR_NEVER_NS);
}

/* True if advance would do something now. */
static bool is_ready(const struct mr_client *c, const struct mr_subscription *s)
{
	switch (s->ending) {
	case MR_ENDING_FILLED: return c->state == MR_STATE_LOST || may_ask(c);
	case MR_ENDING_STOP:
	case MR_ENDING_FLUSH: return may_ask(c);
	case MR_ENDING_DRAINED: return s->deferred == 0;
	default: return false;
	}
}

/* Returns true when the subscription has ended. */
static bool advance(struct mr_client *c, struct mr_subscription *s)
{
	switch (s->ending) {
	case MR_ENDING_FILLED:
		if (c->state == MR_STATE_LOST)
			mr_subscription_id_give_back(c, s->id);
		else
			ask_unsubscribe(c, s->id, id_is_free);
		return true;
	case MR_ENDING_STOP:
		s->ending = MR_ENDING_ASKED;
		ask_unsubscribe(c, s->id, drain_answered);
		return false;
	case MR_ENDING_FLUSH:
		s->ending = MR_ENDING_FLUSHING;
		ask_ping(c, s->id);
		return false;
	default:
		c->subscriptions[s->id] = NULL;
		mr_subscription_id_give_back(c, s->id);
		return true;
	}
}

/* The callback may free the subscription. */
static void end(struct mr_client *c, struct mr_subscription *s)
{
	unlink_from(&c->finishing, s);
	s->next_ending = c->finished;
	c->finished = s;
	s->ending = MR_ENDING_ENDED;
	c->ran++;
	if (s->on_end == NULL)
		return;
	c->depth++;
	s->on_end(c, s, s->on_end_arg);
	c->depth--;
}

/* Returns one that can go on; NULL: none. */
static struct mr_subscription *next_ready(const struct mr_client *c)
{
	struct mr_subscription *s = c->finishing;

	while (s != NULL && !is_ready(c, s))
		s = s->next_ending;
	return s;
}

/* True if mr_client_drain need not wait for it. Messages for mr_receive wait for the program. */
static bool is_drained(const struct mr_subscription *s)
{
	return s->ending == MR_ENDING_DRAINED && mr_subscription_is_pulled(s);
}

static void step(struct mr_client *c, uint64_t now_ns)
{
	struct mr_subscription *s;

	(void)now_ns;
	while ((s = next_ready(c)) != NULL) {
		if (advance(c, s))
			end(c, s);
	}
	for (s = c->finishing; s != NULL && is_drained(s);)
		s = s->next_ending;
	c->drained = s == NULL;
}

static uint64_t due_ns(const struct mr_client *c)
{
	return c->depth == 0 && next_ready(c) != NULL ? 0 : MR_NEVER_NS;
}

static void lost(struct mr_client *c)
{
	for (struct mr_subscription *s = c->finishing; s != NULL; s = s->next_ending) {
		if (s->ending != MR_ENDING_FILLED)
			s->ending = MR_ENDING_DRAINED;
	}
}

const struct mr_part mr_ending_part = {
	.due_ns = due_ns,
	.step = step,
	.outermost = true,
	.lost = lost,
};

void mr_subscriptions_ended_free(struct mr_client *c)
{
	struct mr_subscription *s, *next;

	for (s = c->finishing; s != NULL; s = next) {
		next = s->next_ending;
		if (c->subscriptions[s->id] != s)
			mr_subscription_free(s);
	}
	for (s = c->finished; s != NULL; s = next) {
		next = s->next_ending;
		mr_subscription_free(s);
	}
}

int mr_unsubscribe_after(struct mr_subscription *s, uint64_t messages)
{
	if (s == NULL)
		return mr_fail(NULL, -EINVAL, "mr_unsubscribe_after: the subscription is NULL");
	if (s->ending != MR_ENDING_LIVE)
		return mr_fail(s->client, -ENOENT, "the subscription is ending, or has ended");
	s->limit = messages;
	if (s->count >= s->limit)
		mr_subscription_filled(s->client, s);
	return 0;
}

int mr_subscription_drain(struct mr_subscription *s)
{
	if (s == NULL)
		return mr_fail(NULL, -EINVAL, "mr_subscription_drain: the subscription is NULL");
	if (s->ending == MR_ENDING_LIVE)
		link_ending(s->client, s,
			s->client->state == MR_STATE_LOST ? MR_ENDING_DRAINED : MR_ENDING_STOP);
	return 0;
}

void mr_subscription_on_end(struct mr_subscription *s, mr_subscription_fn *callback, void *arg)
{
	if (s == NULL)
		return;
	s->on_end = callback;
	s->on_end_arg = arg;
}

bool mr_subscription_ended(const struct mr_subscription *s)
{
	return s == NULL || s->ending == MR_ENDING_ENDED || s->ending == MR_ENDING_FILLED;
}
