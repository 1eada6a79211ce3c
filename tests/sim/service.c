/* SPDX-License-Identifier: Apache-2.0 */
/* Workers of a service, and its callers. */
#include <errno.h>
#include <string.h>

#include "tests/sim/actor.h"
#include "tests/sim/program.h"
#include "tests/sim/world.h"

#define NAME        "upper"
#define TIMEOUT_MS  400
#define RETRIES     2u
#define BACKOFF_MS  20u
#define CALLS_AHEAD 8u

static void on_work(struct mr_client *c, const struct mr_work *work, void *arg)
{
	struct actor *a = arg;
	const struct mr_message *m = &work->delivery.message;
	uint32_t r = a->works_well ? 0 : world_draw(100);
	uint64_t token;

	(void)c;
	if (actor_is_dead() || a->service == NULL)
		return;
	if (m->payload_bytes != sizeof(token))
		world_fail("a request of %zu bytes", m->payload_bytes);
	memcpy(&token, m->payload, sizeof(token));
	token = ~token;
	if (r < 75)
		mr_respond(a->service, work->delivery.tag, &token, sizeof(token));
	else if (r < 85)
		mr_respond_failed(a->service, work->delivery.tag, r % 2 == 0);
	/* ^The rest is forgotten. */
}

void actor_serve(struct process *p, void *arg)
{
	struct actor *a = arg;
	struct mr_client *c = actor_connect(a, process_name(p));

	while (c != NULL && actor_goes_on(a)) {
		struct mr_serve_options options = {.prefetch = 1 + world_draw(4)};
		struct mr_service *s = NULL;

		a->service = NULL;
		if (mr_serve(c, NAME, &options, on_work, a, &s) != 0) {
			mr_wait(c, 20);
			continue;
		}
		if (!actor_is_dead())
			a->service = s;
		for (uint32_t n = 20 + world_draw(200); n > 0 && actor_goes_on(a); n--)
			mr_wait(c, (int)world_draw(60));
		if (!actor_is_dead())
			a->service = NULL;
		if (world_chance(70))
			mr_service_close(s);
	}
	mr_close(c);
}

static void on_reply(struct mr_client *c, uint64_t correlation, const struct mr_message *m,
	bool more, int error, void *arg)
{
	struct actor *a = arg;
	unsigned i = (unsigned)(correlation % ACTOR_CALLS);
	uint64_t token;

	(void)c;
	if (actor_is_dead())
		return;
	if (!a->call_open[i] || more)
		world_fail("%s: a call ended twice", process_name(process_now));
	a->call_open[i] = false;
	a->calls_open--;
	if (error != 0)
		return;
	memcpy(&token, m->payload, sizeof(token));
	if (m->payload_bytes != sizeof(token) || token != ~correlation)
		world_fail("%s: an answer to something else", process_name(process_now));
	a->answered_well++;
}

static void call_one(struct actor *a, struct mr_client *c)
{
	const struct mr_call_options options = {
		.timeout_ms = TIMEOUT_MS,
		.retries = RETRIES,
		.backoff_ms = BACKOFF_MS,
		.correlation = ++a->calls,
		.breaker_failures = a->works_well ? UINT32_MAX : 0,
		.breaker_reset_ms = 500,
	};
	unsigned i = (unsigned)(a->calls % ACTOR_CALLS);
	uint64_t token = a->calls;

	if (a->call_open[i])
		return;
	a->call_open[i] = true;
	a->calls_open++;
	program_counts.calls++;
	if (mr_call_async(c, NAME, &token, sizeof(token), &options, on_reply, a) != 0 &&
		!actor_is_dead()) {
		a->call_open[i] = false;
		a->calls_open--;
	}
}

/* With a healthy worker and a patient caller, calls must get through again. */
static void recover(struct actor *a, struct mr_client *c)
{
	uint64_t until_ns = process_clock_ns() + 30 * WORLD_S;

	a->answered_well = 0;
	while (!actor_is_dead() && a->answered_well < 3) {
		if (process_clock_ns() > until_ns)
			world_fail("the service is well, and its calls do not come through");
		call_one(a, c);
		mr_wait(c, 100);
	}
}

static void finish(struct actor *a, struct mr_client *c)
{
	uint64_t until_ns = process_clock_ns() + 20 * WORLD_S;

	while (!actor_is_dead() && a->calls_open > 0) {
		if (process_clock_ns() > until_ns)
			world_fail("%s: %u calls do not end", process_name(process_now),
				a->calls_open);
		mr_wait(c, 50);
	}
}

void actor_call(struct process *p, void *arg)
{
	struct actor *a = arg;
	struct mr_client *c = actor_connect(a, process_name(p));

	if (c == NULL)
		return;
	if (!actor_is_dead()) { /* The calls of an earlier process were lost with it. */
		memset(a->call_open, 0, sizeof(a->call_open));
		a->calls_open = 0;
	}
	if (a->works_well)
		recover(a, c);
	while (!a->works_well && actor_goes_on(a)) {
		for (uint32_t n = world_draw(4); n > 0 && a->calls_open < CALLS_AHEAD; n--)
			call_one(a, c);
		mr_wait(c, (int)world_draw(100));
	}
	finish(a, c);
	mr_close(c);
}
