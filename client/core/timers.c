/* SPDX-License-Identifier: Apache-2.0 */
/* Housekeeping reads a clock that may be some milliseconds late. Timers read the exact one, so that
 * a sleep that ends for a timer finds it due. */
#include "client/core/timers.h"

#include <stdlib.h>

#include "client/core/error.h"
#include "client/core/timer_wheel.h"
#include "client/core/wait.h"

#define TIMERS_MAX 4096u

struct mr_timer {
	struct mr_wheel_timer wheel; /* first: an expired one is its timer */
	struct mr_client *client;
	mr_timer_fn *callback;
	void *arg;
	uint64_t period_ns; /* 0: it runs once */
	struct mr_timer *next;
	struct mr_timer **at; /* the pointer that points to it */
};

struct mr_timers {
	struct mr_wheel wheel;
	struct mr_timer *all;
	uint32_t count;
};

static int count_in(struct mr_client *c)
{
	if (c->timers == NULL)
		c->timers = calloc(1, sizeof(*c->timers));
	if (c->timers == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	if (c->timers->count == TIMERS_MAX)
		return mr_failf(
			c, -ENOSPC, "this client has %u timers, which is the limit", TIMERS_MAX);
	return 0;
}

int mr_timer_open(struct mr_client *c, mr_timer_fn *callback, void *arg, struct mr_timer **out)
{
	struct mr_timer *t;
	int error;

	if (c == NULL || out == NULL)
		return mr_fail(c, -EINVAL, "mr_timer_open: the client or the timer is NULL");
	*out = NULL;
	if (callback == NULL)
		return mr_fail(c, -EINVAL, "mr_timer_open: the callback is NULL");
	error = count_in(c);
	if (error != 0)
		return error;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	t->client = c;
	t->callback = callback;
	t->arg = arg;
	t->next = c->timers->all;
	t->at = &c->timers->all;
	if (t->next != NULL)
		t->next->at = &t->next;
	c->timers->all = t;
	c->timers->count++;
	*out = t;
	return 0;
}

int mr_timer_start(struct mr_timer *t, unsigned delay_ms, unsigned period_ms)
{
	struct mr_client *c;
	uint64_t now_ns, due_ns;

	if (t == NULL)
		return mr_fail(NULL, -EINVAL, "mr_timer_start: the timer is NULL");
	c = t->client;
	mr_timer_stop(t);
	now_ns = mr_now_ns();
	due_ns = now_ns + delay_ms * MR_NS_PER_MS;
	t->period_ns = period_ms * MR_NS_PER_MS;
	mr_wheel_add(&c->timers->wheel, &t->wheel, due_ns, now_ns);
	mr_housekeep_by(c, due_ns);
	mr_timer_by(c, due_ns);
	return 0;
}

void mr_timer_stop(struct mr_timer *t)
{
	if (t != NULL)
		mr_wheel_remove(&t->client->timers->wheel, &t->wheel);
}

void mr_timer_close(struct mr_timer *t)
{
	if (t == NULL)
		return;
	mr_timer_stop(t);
	*t->at = t->next;
	if (t->next != NULL)
		t->next->at = t->at;
	t->client->timers->count--;
	free(t);
}

/* The callback may close the timer. */
static void expire(struct mr_client *c, struct mr_timer *t, uint64_t now_ns)
{
	uint64_t due_ns = t->wheel.due_ns;

	if (t->period_ns != 0) {
		/* Turns that were missed are left out; the rhythm stays. */
		due_ns += t->period_ns * (1 + (now_ns - due_ns) / t->period_ns);
		mr_wheel_add(&c->timers->wheel, &t->wheel, due_ns, now_ns);
	}
	c->ran++;
	c->depth++;
	t->callback(c, t, t->arg);
	c->depth--;
}

/* A timer that a callback starts is due after `now_ns`, so the loop ends. */
static void step(struct mr_client *c, uint64_t housekeep_ns)
{
	struct mr_wheel_timer *w;
	uint64_t now_ns;

	(void)housekeep_ns;
	if (c->timers == NULL || c->timers->wheel.count == 0)
		return;
	now_ns = mr_now_ns();
	while ((w = mr_wheel_expired(&c->timers->wheel, now_ns)) != NULL)
		expire(c, (struct mr_timer *)w, now_ns);
}

static uint64_t due_ns(const struct mr_client *c)
{
	/* Within a callback no timer runs, and none must end a sleep. */
	if (c->timers == NULL || c->depth > 0)
		return MR_NEVER_NS;
	return mr_wheel_due_ns(&c->timers->wheel);
}

void mr_timers_free(struct mr_client *c)
{
	while (c->timers != NULL && c->timers->all != NULL)
		mr_timer_close(c->timers->all);
	free(c->timers);
}

const struct mr_part mr_timers_part = {
	.due_ns = due_ns,
	.step = step,
	.outermost = true,
};
