/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/away.h"

#include "client/core/part.h"
#include "client/core/ring_out.h"
#include "client/core/wait.h"

/* Time after the loss of a session during which calls wait for the next one by default. */
#define OUTAGE_WAIT_MS 100u

/* False within callbacks, during a claim, and while the caller may still read a message in the
 * session's ring. */
static bool may_step(const struct mr_client *c)
{
	return c->depth == 0 && !c->hold && c->refuse != -EDEADLK;
}

/* Notes the end of the session, with the reason if the bus gave one. */
static void notice(struct mr_client *c)
{
	if (c->state == MR_STATE_LOST || c->eof || !mr_bus_gone(c))
		return;
	c->transport->check_bus(c);
	mr_state_eof(c, "the data plane went away");
}

/* Handles control's answers; defers all other messages. */
static void serve_quietly(struct mr_client *c)
{
	c->depth++;
	mr_receive_some(c, MR_WAIT_MESSAGES_MAX, true);
	c->depth--;
}

/* Defers the rest of the session's messages: those in the ring, then those that waited for room in
 * it. */
static void end_quietly(struct mr_client *c)
{
	for (unsigned i = 0; i < 2; i++) {
		mr_release_read(c);
		c->depth++;
		mr_receive_rest(c);
		c->depth--;
	}
	c->parts->session_end(c);
}

static void step(struct mr_client *c)
{
	uint64_t now_ns = mr_now_ns();

	if (c->eof)
		end_quietly(c);
	c->parts->session_step(c, now_ns);
	if (c->state != MR_STATE_RESTORING)
		return;
	serve_quietly(c);
	notice(c);
	if (!c->eof)
		c->parts->session_step(c, now_ns);
}

/* False: the time is up, or a signal arrived. */
static bool wait_step(struct mr_client *c, struct mr_wait_limit *p)
{
	int error;

	if (c->eof)
		return true;
	/* The next step takes the messages that arrive meanwhile. */
	c->depth++;
	error = mr_pause(c, p);
	c->depth--;
	return error == 0;
}

void mr_away_wait(struct mr_client *c, uint64_t timeout_ms)
{
	struct mr_wait_limit p;

	if (!may_step(c) || c->options.no_reconnect)
		return;
	mr_wait_limit_init(&p, c, (int64_t)timeout_ms);
	do
		step(c);
	while (c->state != MR_STATE_UP && wait_step(c, &p));
}

/* Returns how long this call may wait, in ms. A program with an event loop is not blocked, unless
 * its options ask for it. */
static uint64_t wait_ms(const struct mr_client *c, bool wait)
{
	uint64_t now_ns = mr_now_ns();

	if (!wait || c->options.no_reconnect)
		return 0;
	if (c->options.when_away == MR_AWAY_WAIT)
		return c->options.request_timeout_ms;
	if (c->epoll_fd >= 0)
		return 0;
	return now_ns < c->away_wait_end_ns ? (c->away_wait_end_ns - now_ns) / MR_NS_PER_MS + 1 : 0;
}

int mr_away_check(struct mr_client *c, bool wait)
{
	if (c->refuse == -EDEADLK)
		return mr_ring_out_refused(c);
	notice(c);
	if (may_step(c)) {
		bool first = c->state != MR_STATE_LOST && c->eof;

		step(c);
		if (first)
			c->away_wait_end_ns = mr_now_ns() + OUTAGE_WAIT_MS * MR_NS_PER_MS;
		if (c->refuse != 0)
			mr_away_wait(c, wait_ms(c, wait));
	}
	return c->refuse != 0 ? mr_ring_out_refused(c) : 0;
}
