/* SPDX-License-Identifier: Apache-2.0 */
/* session: how a session ends, and how the next one takes its place.
 *
 *   up --bus gone--> lost --attached--> restoring --subscriptions, aliases in place--> up
 *                     ^  (10 ms, doubling to 500)        |
 *                     +---------bus gone, or refused-----+
 */
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

#include "client/queue.h"
#include "client/rpc.h"

#define BACKOFF_NS_MIN   (10 * MR_NS_PER_MS)
#define BACKOFF_NS_MAX   (500 * MR_NS_PER_MS)
#define RESTORE_OPEN_MAX 16u

void mr_session_state(struct mr_client *c, enum mr_state state)
{
	c->state = state;
	mr_refuse(c, state == MR_STATE_UP ? 0 : -ENOTCONN);
	if (state == MR_STATE_UP)
		c->backoff_ns = 0;
}

void mr_session_watch(struct mr_client *c, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (c->epoll_fd >= 0)
		epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* Needed before each close: the bus has the same open file, which would stay in the set. */
void mr_session_unwatch(struct mr_client *c, int fd)
{
	if (c->epoll_fd >= 0 && fd >= 0)
		epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void mr_session_eof(struct mr_client *c, const char *why)
{
	/* What was being restored when the session was lost fails after it is gone. */
	if (c->eof || c->state == MR_STATE_LOST)
		return;
	c->eof = true;
	mr_refuse(c, -ENOTCONN);
	if (why != NULL)
		snprintf(c->lost_text, sizeof(c->lost_text), "%s", why);
}

static void retry_later(struct mr_client *c, uint64_t now_ns)
{
	uint64_t jitter = mr_random(c) % 256;

	c->backoff_ns = c->backoff_ns == 0 ? BACKOFF_NS_MIN : 2 * c->backoff_ns;
	if (c->backoff_ns > BACKOFF_NS_MAX)
		c->backoff_ns = BACKOFF_NS_MAX;
	/* Three quarters to five quarters, so that many clients do not come at once. */
	c->retry_ns = now_ns + c->backoff_ns * (384 + jitter) / 512;
	mr_house_by(c, c->retry_ns);
}

static void tell(struct mr_client *c, bool up, int error)
{
	if (c->told_up == up)
		return;
	c->told_up = up;
	if (c->options.on_state == NULL)
		return;
	c->depth++;
	c->options.on_state(c, up, error, c->options.arg);
	c->depth--;
}

void mr_session_end(struct mr_client *c)
{
	mr_away_count_lost(c);
	mr_outboxes_lost(c);
	mr_consumers_lost(c);
	mr_assemble_clear(c);
	mr_session_state(c, MR_STATE_LOST);
	c->transport->unmap(c);
	c->session = 0;
	c->eof = false;
	retry_later(c, mr_now_ns());
	mr_call_fail_all(c);
	mr_request_fail_all(c);
	mr_rpc_fail_all(c);
	tell(c, false, mr_failf(c, -ENOTCONN, "%s", c->lost_text));
}

void mr_session_lose(struct mr_client *c)
{
	mr_serve_rest(c);
	mr_session_end(c);
}

static void restored(struct mr_client *c, const struct mr_answer *a)
{
	c->restore_open--;
	mr_house_by(c, 0);
	if (a->code != 0)
		mr_session_eof(c, a->text);
}

static void subscription_restored(
	struct mr_client *c, const struct mr_answer *a, void *arg, uint32_t object)
{
	(void)arg;
	(void)object;
	restored(c, a);
}

/* A queue that is refused now, as somebody else has made it otherwise, is asked for again, and does not
 * keep the client from what else it does. */
static const struct mr_answer no_error;

static void consumer_restored(
	struct mr_client *c, const struct mr_answer *a, void *arg, uint32_t object)
{
	struct mr_subscription *s = mr_subscription_find(c, object);

	(void)arg;
	if (s != NULL && s->consumes)
		mr_consumer_opened((struct mr_consumer *)s, a);
	restored(c, a->code == -ENOTCONN ? a : &no_error);
}

static void queue_restored(
	struct mr_client *c, const struct mr_answer *a, void *arg, uint32_t object)
{
	struct mr_queue *q = mr_queue_find(c, object);

	(void)arg;
	if (q != NULL)
		mr_queue_opened(q, a);
	restored(c, a->code == -ENOTCONN ? a : &no_error);
}

static void publisher_restored(
	struct mr_client *c, const struct mr_answer *a, void *arg, uint32_t object)
{
	(void)arg;
	if (c->publishers[object] != NULL) {
		c->publishers[object]->header.target = a->alias;
		if (c->publishers[object]->box != NULL)
			mr_outbox_target(c->publishers[object]->box, a->alias, 0);
	}
	restored(c, a);
}

static struct mr_call *restore_subscription(struct mr_client *c, struct mr_subscription *s)
{
	struct mr_call *call = mr_call_new(
		c, s->consumes ? consumer_restored : subscription_restored, NULL, s->id);

	call->bytes = s->consumes ? mr_consumer_encode(
					    (struct mr_consumer *)s, call->body, sizeof(call->body))
				  : mr_subscription_encode(s, call->body, sizeof(call->body));
	return call;
}

/* Those opened since the last came in front of it. */
static struct mr_queue *next_queue(const struct mr_client *c, uint32_t serial)
{
	struct mr_queue *next = NULL;

	for (struct mr_queue *q = c->queues; q != NULL && q->serial > serial; q = q->next)
		next = q;
	return next;
}

/* A call for the next thing that the new session lacks; NULL: nothing. */
static struct mr_call *restore_next(struct mr_client *c)
{
	struct mr_call *call = NULL;
	struct mr_queue *q;

	/* There is a free call: all were freed with the old session, and nobody else may ask now. */
	while (call == NULL && c->restore_subscription < c->subscriptions_top) {
		uint32_t id = c->restore_subscription++;

		if (c->subscriptions[id] == NULL)
			continue;
		call = restore_subscription(c, c->subscriptions[id]);
	}
	while (call == NULL && c->restore_publisher < c->publishers_count) {
		uint32_t index = c->restore_publisher++;

		if (c->publishers[index] == NULL)
			continue;
		call = mr_call_new(c, publisher_restored, NULL, index);
		call->bytes =
			mr_publisher_encode(c->publishers[index], call->body, sizeof(call->body));
	}
	while (call == NULL && (q = next_queue(c, c->restore_queue)) != NULL) {
		c->restore_queue = q->serial;
		call = mr_call_new(c, queue_restored, NULL, q->serial);
		call->bytes = mr_queue_encode(q, call->body, sizeof(call->body));
	}
	return call;
}

/* The text for mr_error says what the outage has cost. */
static void tell_up(struct mr_client *c)
{
	uint64_t lost = c->lost - c->lost_told;

	if (lost > 0)
		mr_failf(c, 0, "connected again; %" PRIu64 " publishes were lost meanwhile", lost);
	c->lost_told = c->lost;
	if (mr_connected(c))
		tell(c, true, 0);
}

static void restore(struct mr_client *c)
{
	struct mr_call *call;

	while (c->restore_open < RESTORE_OPEN_MAX && (call = restore_next(c)) != NULL) {
		c->restore_open++;
		mr_call_send(c, call, MR_NEVER_NS);
	}
	if (c->restore_open > 0 || c->eof)
		return;
	mr_session_state(c, MR_STATE_UP);
	c->outboxes_busy = c->promised_open > 0;
	c->reconnects++;
	(void)mr_away_send(c, 0);
	tell_up(c);
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
		retry_later(c, now_ns);
		return;
	}
	mr_session_state(c, MR_STATE_RESTORING);
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

uint64_t mr_session_due_ns(const struct mr_client *c)
{
	if (c->state != MR_STATE_LOST)
		return c->transport->due_ns(c);
	if (c->options.no_reconnect)
		return MR_NEVER_NS;
	return c->attach_fd >= 0 ? c->attach_due_ns : c->retry_ns;
}
