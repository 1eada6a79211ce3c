/* SPDX-License-Identifier: Apache-2.0 */
/* drain: the orderly end of a client's work: subscriptions, settlements, outgoing messages. */
#include "client/core/error.h"
#include "client/core/part.h"
#include "client/core/ring_out.h"
#include "client/core/wait.h"

static void drain_subscriptions(struct mr_client *c)
{
	c->drained = c->finishing == NULL;
	for (uint32_t i = 0; i < c->subscriptions_top; i++) {
		if (c->subscriptions[i] != NULL && !c->subscriptions[i]->consumes)
			mr_subscription_drain(c->subscriptions[i]);
	}
}

/* Hands out messages until the subscriptions are drained. */
static int await_drained(struct mr_client *c, struct mr_wait_limit *limit)
{
	while (!c->drained) {
		int error;

		mr_receive_some(c, MR_WAIT_MESSAGES_MAX, false);
		/* A message for mr_receive is in the way of the bus's answers. */
		if (c->blocked)
			mr_receive_some(c, MR_WAIT_MESSAGES_MAX, true);
		if (c->drained)
			break;
		error = mr_pause(c, limit);
		if (error == -ETIMEDOUT)
			return mr_fail(c, error, "the subscriptions were not drained in time");
	}
	return 0;
}

static unsigned left_ms(const struct mr_wait_limit *limit)
{
	uint64_t now = mr_now_ns();

	return now < limit->deadline_ns ? (unsigned)((limit->deadline_ns - now) / MR_NS_PER_MS) : 0;
}

int mr_client_drain(struct mr_client *c, unsigned timeout_ms)
{
	struct mr_wait_limit limit;
	int error;

	if (c == NULL)
		return mr_fail(NULL, -EINVAL, "mr_client_drain: the client is NULL");
	error = mr_begin(c, false);
	if (error != 0)
		return error;
	mr_wait_limit_init(&limit, c, timeout_ms);
	drain_subscriptions(c);
	error = await_drained(c, &limit);
	mr_end(c);
	if (error == 0)
		error = mr_settle(c, left_ms(&limit));
	return error != 0 ? error : mr_drain(c, left_ms(&limit));
}
