/* SPDX-License-Identifier: Apache-2.0 */
/* How sessions end, and how the next one takes its place:
 *
 *   up --bus gone--> lost --attached--> restoring --subscriptions, aliases in place--> up
 *                     ^  (10 ms, doubling to 500)        |
 *                     +---------bus gone, or refused-----+
 */
#include "client/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/core/log.h"
#include "client/core/random.h"
#include "client/core/wait.h"
#include "client/dispatch.h"
#include "client/publish/away_store.h"
#include "client/publish/outbox.h"
#include "client/publish/publisher.h"
#include "client/queue/consumer.h"
#include "client/queue/queue.h"
#include "client/subscribe/multicast.h"
#include "client/subscribe/subscribe.h"
#include "client/ways.h"

#define BACKOFF_NS_MIN   (10 * MR_NS_PER_MS)
#define BACKOFF_NS_MAX   (500 * MR_NS_PER_MS)
#define RESTORE_OPEN_MAX 16u

static void retry_later(struct mr_client *c, uint64_t now_ns)
{
	uint64_t jitter = mr_random(c) % 256;

	c->backoff_ns = c->backoff_ns == 0 ? BACKOFF_NS_MIN : 2 * c->backoff_ns;
	if (c->backoff_ns > BACKOFF_NS_MAX)
		c->backoff_ns = BACKOFF_NS_MAX;
	/* 75 to 125 % of the back-off, so that many clients do not attach at once. */
	c->retry_ns = now_ns + c->backoff_ns * (384 + jitter) / 512;
	mr_housekeep_by(c, c->retry_ns);
}

static void report_state(struct mr_client *c, bool up, int error)
{
	if (c->reported_up == up)
		return;
	c->reported_up = up;
	if (up)
		mr_event_log(c, MR_SEVERITY_INFO, MR_EVENT_CONNECTED,
			"connected again: session %" PRIu64 " on worker %u", c->session, c->worker);
	else
		mr_event_log(c, MR_SEVERITY_ERROR, MR_EVENT_DISCONNECTED, "disconnected: %s",
			c->lost_text);
	if (c->options.on_state == NULL)
		return;
	c->depth++;
	c->options.on_state(c, up, error, c->options.arg);
	c->depth--;
}

void mr_session_end(struct mr_client *c)
{
	mr_parts_lost(c);
	mr_state_set(c, MR_STATE_LOST);
	c->transport->unmap(c);
	c->session = 0;
	c->eof = false;
	retry_later(c, mr_now_ns());
	mr_parts_fail(c);
	report_state(c, false, mr_failf(c, -ENOTCONN, "%s", c->lost_text));
}

void mr_session_lose(struct mr_client *c)
{
	mr_dispatch_rest(c);
	mr_session_end(c);
}

static void restored(struct mr_client *c, const struct mr_control_answer *a)
{
	c->restore_open--;
	mr_housekeep_by(c, 0);
	if (a->code != 0)
		mr_state_eof(c, a->text);
}

static void subscription_restored(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct mr_subscription *s = mr_subscription_find(c, object);

	(void)arg;
	if (s != NULL && s->wants_multicast && a->code == 0)
		mr_multicast_answered(c, s, a);
	restored(c, a);
}

/* A queue may be refused now, because somebody has made it with other options. It is asked for
 * again later, and does not stop the restoration. */
static const struct mr_control_answer no_error;

static void consumer_restored(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct mr_subscription *s = mr_subscription_find(c, object);

	(void)arg;
	if (s != NULL && s->consumes)
		mr_consumer_opened((struct mr_consumer *)s, a);
	restored(c, a->code == -ENOTCONN ? a : &no_error);
}

static void queue_restored(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct mr_queue *q = mr_queue_find(c, object);

	(void)arg;
	if (q != NULL)
		mr_queue_opened(q, a);
	restored(c, a->code == -ENOTCONN ? a : &no_error);
}

static void publisher_restored(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	(void)arg;
	if (c->publishers[object] != NULL) {
		c->publishers[object]->header.target = a->alias;
		if (c->publishers[object]->box != NULL)
			mr_outbox_target(c->publishers[object]->box, a->alias, 0);
	}
	restored(c, a);
}

static struct mr_control_request *restore_subscription(
	struct mr_client *c, struct mr_subscription *s)
{
	struct mr_control_request *request = mr_control_request_new(
		c, s->consumes ? consumer_restored : subscription_restored, NULL, s->id);

	request->bytes = s->consumes
				 ? mr_consumer_encode((struct mr_consumer *)s, request->body,
					   sizeof(request->body))
				 : mr_subscription_encode(s, request->body, sizeof(request->body));
	return request;
}

/* Returns the queue opened next after `serial`: new queues are put in front of the list. */
static struct mr_queue *next_queue(const struct mr_client *c, uint32_t serial)
{
	struct mr_queue *next = NULL;

	for (struct mr_queue *q = c->queues; q != NULL && q->serial > serial; q = q->next)
		next = q;
	return next;
}

/* Returns a request for the next thing that the new session lacks; NULL: nothing. */
static struct mr_control_request *restore_next(struct mr_client *c)
{
	struct mr_control_request *request = NULL;
	struct mr_queue *q;

	/* There is a free request: all were freed with the old session, and nobody else may ask
	 * now. */
	while (request == NULL && c->restore_subscription < c->subscriptions_top) {
		uint32_t id = c->restore_subscription++;

		/* Those that end by themselves are not subscribed again. */
		if (c->subscriptions[id] == NULL || c->subscriptions[id]->ending != MR_ENDING_LIVE)
			continue;
		request = restore_subscription(c, c->subscriptions[id]);
	}
	while (request == NULL && c->restore_publisher < c->publishers_count) {
		uint32_t index = c->restore_publisher++;

		if (c->publishers[index] == NULL)
			continue;
		request = mr_control_request_new(c, publisher_restored, NULL, index);
		request->bytes = mr_publisher_encode(
			c->publishers[index], request->body, sizeof(request->body));
	}
	while (request == NULL && (q = next_queue(c, c->restore_queue)) != NULL) {
		c->restore_queue = q->serial;
		request = mr_control_request_new(c, queue_restored, NULL, q->serial);
		request->bytes = mr_queue_encode(q, request->body, sizeof(request->body));
	}
	return request;
}

/* Reports the connection; the text for mr_error says how many publishes the outage has cost. */
static void report_up(struct mr_client *c)
{
	uint64_t lost = c->lost - c->lost_reported;

	if (lost > 0)
		mr_failf(c, 0, "connected again; %" PRIu64 " publishes were lost meanwhile", lost);
	c->lost_reported = c->lost;
	if (mr_connected(c))
		report_state(c, true, 0);
}

static void restore(struct mr_client *c)
{
	struct mr_control_request *request;

	while (c->restore_open < RESTORE_OPEN_MAX && (request = restore_next(c)) != NULL) {
		c->restore_open++;
		mr_control_request_send(c, request, MR_NEVER_NS);
	}
	if (c->restore_open > 0 || c->eof)
		return;
	mr_state_set(c, MR_STATE_UP);
	c->outboxes_busy = c->promised_open > 0;
	c->reconnects++;
	(void)mr_away_store_send(c, 0);
	report_up(c);
}

/* Tries the other addresses at once, and begins anew with the first after a pause. */
static void next_way(struct mr_client *c, uint64_t now_ns)
{
	if (!mr_ways_next(c)) {
		retry_later(c, now_ns);
		return;
	}
	c->retry_ns = now_ns;
	mr_housekeep_by(c, now_ns);
}

static void reattach(struct mr_client *c, uint64_t now_ns)
{
	int error = 0;

	if (c->attach_fd < 0) {
		if (now_ns < c->retry_ns)
			return;
		error = c->transport->attach_begin(c);
	}
	if (error == 0)
		error = c->transport->attach_step(c);
	if (error == -EAGAIN && c->attach_fd >= 0)
		return;
	if (error != 0) {
		snprintf(c->lost_text, sizeof(c->lost_text), "%.*s", (int)sizeof(c->lost_text) - 1,
			c->error);
		mr_event_log(c, MR_SEVERITY_INFO, MR_EVENT_RETRY, "cannot connect again: %s",
			c->lost_text);
		next_way(c, now_ns);
		return;
	}
	mr_ways_round(c);
	mr_state_set(c, MR_STATE_RESTORING);
	c->restore_subscription = 0;
	c->restore_publisher = 0;
	c->restore_queue = 0;
	c->restore_open = 0;
}

void mr_session_step(struct mr_client *c, uint64_t now_ns)
{
	if (c->options.no_reconnect)
		return;
	if (c->state == MR_STATE_LOST)
		reattach(c, now_ns);
	if (c->state == MR_STATE_RESTORING && !c->eof)
		restore(c);
}

static uint64_t due_ns(const struct mr_client *c)
{
	if (c->state != MR_STATE_LOST)
		return c->transport->due_ns(c);
	if (c->options.no_reconnect)
		return MR_NEVER_NS;
	return c->attach_fd >= 0 ? c->attach_due_ns : c->retry_ns;
}

/* A part of its own, because it counts within callbacks too: housekeeping does what the transport
 * has to do, and calls that wait for the next session go through the steps themselves (away.c). */
const struct mr_part mr_session_due_part = {.due_ns = due_ns};

const struct mr_part mr_session_part = {.step = mr_session_step, .outermost = true};
