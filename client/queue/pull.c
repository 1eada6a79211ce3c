/* SPDX-License-Identifier: Apache-2.0 */
/* pull: mr_pull, and the deliveries that wait for it. */
#include <stdlib.h>

#include "client/core/error.h"
#include "client/core/ring_out.h"
#include "client/core/sized.h"
#include "client/core/wait.h"
#include "client/core/wake.h"
#include "client/queue/consumer.h"

/* Appends a delivery for mr_pull. Deliveries beyond what the bus was asked for are refused. */
static bool fifo_push(struct mr_consumer *k, struct mr_deferred *a)
{
	if (a == NULL || k->fifo_count > 2 * MR_QUEUE_PREFETCH_MAX) {
		free(a);
		return false;
	}
	*k->fifo_end = a;
	k->fifo_end = &a->next;
	k->fifo_count++;
	return true;
}

static struct mr_deferred *fifo_pop(struct mr_consumer *k)
{
	struct mr_deferred *a = k->fifo_first;

	if (a == NULL)
		return NULL;
	k->fifo_first = a->next;
	if (k->fifo_first == NULL)
		k->fifo_end = &k->fifo_first;
	k->fifo_count--;
	return a;
}

bool mr_consumer_drop_waiting(struct mr_consumer *k, uint64_t bus_tag)
{
	struct mr_message_view m;

	for (struct mr_deferred **at = &k->fifo_first; *at != NULL; at = &(*at)->next) {
		struct mr_deferred *a = *at;

		if (!mr_deferred_parse(k->client, a, &m) || m.extra.delivery.tag != bus_tag)
			continue;
		*at = a->next;
		if (a->next == NULL)
			k->fifo_end = at;
		k->fifo_count--;
		free(a);
		return true;
	}
	return false;
}

static void pull_out(struct mr_consumer *k, const struct mr_message_view *m)
{
	if (mr_consumer_prepare(k, m, k->client->pull_out))
		k->client->pulled = true;
}

unsigned mr_consumer_take_pulled(struct mr_consumer *k, const uint8_t *at,
	const struct mr_message_view *m, struct mr_deferred *whole)
{
	struct mr_client *c = k->client;

	if (whole == NULL && c->pull_from == k && c->depth == 0 && !c->pulled &&
		k->fifo_count == 0) {
		pull_out(k, m);
		return 1;
	}
	if (whole == NULL)
		whole = mr_deferred_new(at, m->header.bytes, k->base.id);
	if (fifo_push(k, whole))
		return 1;
	mr_consumer_send_back(k, m);
	return 0;
}

void mr_consumer_drop_pulled(struct mr_consumer *k)
{
	struct mr_deferred *a;

	while ((a = fifo_pop(k)) != NULL)
		free(a);
}

static bool pull_kept(struct mr_consumer *k)
{
	struct mr_client *c = k->client;
	struct mr_deferred *a = fifo_pop(k);
	struct mr_message_view m;

	if (a == NULL)
		return false;
	mr_deferred_free_out(c);
	c->deferred_out = a;
	if (mr_deferred_parse(c, a, &m))
		pull_out(k, &m);
	return true;
}

static int pull_wait(struct mr_consumer *k, struct mr_wait_limit *p)
{
	struct mr_client *c = k->client;
	int error = 0;

	while (!c->pulled && error == 0) {
		bool was_lost = c->state == MR_STATE_LOST;

		/* A callback has closed it. */
		if (c->pull_from != k)
			return mr_fail(c, -ENOENT, "the consumer was closed");
		if (mr_unlikely(mr_wake_pending(c))) {
			mr_wake_run(c);
			return -EINTR;
		}
		if (pull_kept(k))
			continue;
		mr_receive_some(c, MR_WAIT_MESSAGES_MAX, false);
		/* A message for mr_receive is in the way. */
		if (!c->pulled && c->blocked)
			mr_receive_some(c, MR_WAIT_MESSAGES_MAX, true);
		if (c->pulled || c->pull_from != k || k->fifo_count > 0)
			continue;
		if (c->state == MR_STATE_LOST && (!was_lost || c->options.no_reconnect))
			return mr_ring_out_refused(c);
		error = mr_pause(c, p);
	}
	return error == -ETIMEDOUT && c->state != MR_STATE_UP ? mr_ring_out_refused(c) : error;
}

static int pull(struct mr_consumer *k, struct mr_delivery *out, int timeout_ms)
{
	struct mr_client *c = k->client;
	struct mr_wait_limit p;
	const bool *outer;
	int error = mr_begin(c, false);

	if (error != 0)
		return error;
	mr_consumer_ack_current(k);
	k->current = 0;
	k->progressed = false;
	mr_renew_step(k, mr_clock_ns(CLOCK_MONOTONIC_COARSE));
	mr_wait_limit_init(&p, c, timeout_ms);
	outer = c->until;
	c->pulled = false;
	c->pull_from = k;
	c->pull_out = out;
	c->until = &c->pulled;
	error = pull_wait(k, &p);
	c->until = outer;
	c->hold = c->pulled;
	/* Acks gather while there is more to pull. */
	c->pulling = c->pulled && c->pull_from == k &&
		     (k->fifo_count > 0 || mr_bytes_readable(&c->down) != 0);
	c->pull_from = NULL;
	mr_end(c);
	c->pulling = false;
	return error == -ETIMEDOUT || error == -EINTR ? mr_fail(c, error, NULL) : error;
}

int mr_pull_sized(struct mr_consumer *k, struct mr_delivery *out, int timeout_ms, size_t out_bytes)
{
	struct mr_delivery own;
	int error;

	if (k == NULL || out == NULL)
		return mr_fail(k != NULL ? k->client : NULL, -EINVAL,
			"mr_pull: the consumer or the delivery is NULL");
	if (!mr_consumer_is_pulled(k))
		return mr_fail(k->client, -EINVAL, "the consumer has a callback");
	error = pull(k, &own, timeout_ms);
	if (error == 0)
		mr_sized_write(out, out_bytes, &own, sizeof(own));
	return error;
}
