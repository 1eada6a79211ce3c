/* SPDX-License-Identifier: Apache-2.0 */
/* pause: a program stops the deliveries to its own consumer: it repeats the request with a flag, so
 * that a reconnection keeps it. */
#include <stdlib.h>

#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/core/ring_out.h"
#include "client/queue/consumer.h"
#include "client/subscribe/subscribe.h"

static int ask(struct mr_consumer *k)
{
	struct mr_client *c = k->client;
	uint32_t id = k->base.id;
	uint8_t body[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mr_control_ask request = {.body = body, .timeout_ms = -1};
	int error;

	request.bytes = mr_consumer_encode(k, body, sizeof(body));
	error = mr_control_request_wait(c, &request, NULL);
	if (c->subscriptions[id] != &k->base)
		return mr_fail(c, -ENOENT, "the consumer was closed");
	/* The connection was lost: the new session begins with the flag. */
	return error == -ENOTCONN ? 0 : error;
}

static int set(struct mr_consumer *k, bool paused)
{
	struct mr_client *c;

	if (k == NULL)
		return mr_fail(NULL, -EINVAL, "the consumer is NULL");
	c = k->client;
	if (c->refuse == -EDEADLK)
		return mr_ring_out_refused(c);
	if (k->queue != 0 && !(k->known & MRF_CONSUME_OPTION_PAUSED))
		return mr_fail(c, -EOPNOTSUPP, "the bus is older and cannot pause a consumer");
	if (k->paused == paused)
		return 0;
	k->paused = paused;
	return k->queue != 0 ? ask(k) : 0;
}

int mr_consumer_pause(struct mr_consumer *k)
{
	return set(k, true);
}

int mr_consumer_resume(struct mr_consumer *k)
{
	return set(k, false);
}
