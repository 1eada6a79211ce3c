/* SPDX-License-Identifier: Apache-2.0 */
#include "client/subscribe/multicast.h"

#include <string.h>

#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/core/log.h"
#include "client/core/wait.h"
#include "client/subscribe/subscribe.h"

/* Probes are asked for at this interval, for this long. */
#define PROBE_AGAIN_NS (100 * MR_NS_PER_MS)
#define PROBE_NS       (1000 * MR_NS_PER_MS)

static bool is_on(const struct mr_subscription *s)
{
	return s != NULL && !s->consumes &&
	       (s->multicast == MR_MULTICAST_PROBING || s->multicast == MR_MULTICAST_HEARD ||
		       s->multicast == MR_MULTICAST_LEAVING);
}

static void settle(struct mr_subscription *s, uint8_t state, int error)
{
	s->multicast = state;
	s->multicast_error = error;
	s->multicast_settled = true;
}

static void copies_answered(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct mr_subscription *s = mr_subscription_find(c, object);

	(void)arg;
	if (s != NULL && s->multicast == MR_MULTICAST_LEAVING)
		settle(s, MR_MULTICAST_NONE, a->code);
}

static void probe_answered(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct mr_subscription *s = mr_subscription_find(c, object);

	(void)arg;
	/* The group may have been made anew, or be gone. */
	if (s != NULL && s->multicast == MR_MULTICAST_PROBING && a->code == 0)
		mr_multicast_answered(c, s, a);
}

static bool ask(struct mr_client *c, struct mr_subscription *s, mr_control_answer_fn *done)
{
	struct mr_control_request *r = mr_control_request_new(c, done, NULL, s->id);

	if (r == NULL)
		return false;
	r->bytes = mr_subscription_encode(s, r->body, sizeof(r->body));
	mr_control_request_send(c, r, MR_NEVER_NS);
	return true;
}

/* Subscribes for copies of its own. Tried again while all requests are in use. */
static void leave(struct mr_client *c, struct mr_subscription *s, const char *why)
{
	c->transport->group_leave(c, s->id);
	s->multicast = MR_MULTICAST_LEAVING;
	s->multicast_due_ns = MR_NEVER_NS;
	mr_event_log(c, MR_SEVERITY_INFO, MR_EVENT_MULTICAST, "%s: copies instead of multicast: %s",
		s->pattern, why);
	if (!ask(c, s, copies_answered))
		s->multicast_due_ns = 0;
	mr_housekeep_by(c, 0);
}

void mr_multicast_answered(
	struct mr_client *c, struct mr_subscription *s, const struct mr_control_answer *a)
{
	int error;

	if (a->group.channel == 0 || c->transport->group_join == NULL) {
		settle(s, MR_MULTICAST_NONE, 0);
		return;
	}
	s->group_offer = a->group;
	error = c->transport->group_join(c, &a->group, s->id, s->interface);
	if (error != 0) {
		leave(c, s, mr_error_text(error));
		return;
	}
	if (s->multicast == MR_MULTICAST_PROBING)
		return;
	s->multicast = MR_MULTICAST_PROBING;
	s->multicast_until_ns = mr_now_ns() + PROBE_NS;
	s->multicast_due_ns = mr_now_ns();
	c->multicasts++;
	mr_housekeep_by(c, 0);
}

int mr_multicast_wait(struct mr_client *c, struct mr_subscription *s)
{
	struct mr_wait_limit limit;
	int error = mr_begin(c, true);

	while (error == 0 && !s->multicast_settled) {
		mr_wait_limit_init(&limit, c, (int)c->options.request_timeout_ms);
		error = mr_await(c, &s->multicast_settled, &limit);
		if (error == -EINTR)
			error = 0;
	}
	mr_end(c);
	return error != 0 ? mr_fail(c, error, NULL) : s->multicast_error;
}

void mr_multicast_forget(struct mr_client *c, uint32_t id)
{
	if (c->multicasts > 0 && c->udp != NULL && c->transport->group_leave != NULL)
		c->transport->group_leave(c, id);
}

static void step_probing(struct mr_client *c, struct mr_subscription *s, uint64_t now_ns)
{
	if (c->transport->group_heard_ns(c, s->id) != 0) {
		settle(s, MR_MULTICAST_HEARD, 0);
		mr_event_log(c, MR_SEVERITY_INFO, MR_EVENT_MULTICAST, "%s: receives by multicast",
			s->pattern);
	} else if (now_ns >= s->multicast_until_ns) {
		leave(c, s, "no probe came");
	} else if (now_ns >= s->multicast_due_ns) {
		(void)ask(c, s, probe_answered);
		s->multicast_due_ns = now_ns + PROBE_AGAIN_NS;
	}
}

static void step_one(struct mr_client *c, struct mr_subscription *s, uint64_t now_ns)
{
	switch (s->multicast) {
	case MR_MULTICAST_PROBING: step_probing(c, s, now_ns); break;
	case MR_MULTICAST_HEARD:
		if (c->transport->group_heard_ns(c, s->id) + c->transport->group_dead_ns(c) <
			now_ns)
			leave(c, s, "the group is silent");
		break;
	case MR_MULTICAST_LEAVING:
		if (now_ns >= s->multicast_due_ns && ask(c, s, copies_answered))
			s->multicast_due_ns = MR_NEVER_NS;
		break;
	default: break;
	}
}

static void step(struct mr_client *c, uint64_t now_ns)
{
	if (c->multicasts == 0 || c->state == MR_STATE_LOST || c->eof || c->udp == NULL)
		return;
	now_ns = mr_now_ns();
	for (uint32_t id = 1; id < c->subscriptions_top; id++)
		if (is_on(c->subscriptions[id]))
			step_one(c, c->subscriptions[id], now_ns);
}

static uint64_t due_one(const struct mr_client *c, const struct mr_subscription *s)
{
	switch (s->multicast) {
	case MR_MULTICAST_PROBING:
		return s->multicast_due_ns < s->multicast_until_ns ? s->multicast_due_ns
								   : s->multicast_until_ns;
	case MR_MULTICAST_HEARD:
		return c->transport->group_heard_ns(c, s->id) + c->transport->group_dead_ns(c);
	case MR_MULTICAST_LEAVING: return s->multicast_due_ns;
	default: return MR_NEVER_NS;
	}
}

static uint64_t due_ns(const struct mr_client *c)
{
	uint64_t due = MR_NEVER_NS;

	if (c->multicasts == 0 || c->state == MR_STATE_LOST || c->eof || c->udp == NULL)
		return due;
	for (uint32_t id = 1; id < c->subscriptions_top; id++)
		if (is_on(c->subscriptions[id])) {
			uint64_t one = due_one(c, c->subscriptions[id]);

			due = one < due ? one : due;
		}
	return due;
}

/* The next session asks for its groups anew. */
static void lost(struct mr_client *c)
{
	if (c->multicasts == 0)
		return;
	for (uint32_t id = 1; id < c->subscriptions_top; id++)
		if (c->subscriptions[id] != NULL && c->subscriptions[id]->wants_multicast)
			settle(c->subscriptions[id], MR_MULTICAST_WANTED, -ENOTCONN);
}

const struct mr_part mr_multicast_part = {.due_ns = due_ns, .step = step, .lost = lost};
