/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of schedules: some make and cancel them, others take their copies. */
#include <errno.h>
#include <stdio.h>

#include "tests/sim/actor.h"
#include "tests/sim/schedule.h"
#include "tests/sim/schedule_model.h"
#include "tests/sim/world.h"

#define QUIET_NS (6 * WORLD_S) /* nothing more arrives in this time */

static struct mr_queue_options options_of(void)
{
	return (struct mr_queue_options){
		.messages_max = schedule_limit(), .max_deliver = UINT16_MAX};
}

static void on_outcome(struct mr_client *c, uint64_t id, int error, void *arg)
{
	(void)c;
	(void)id;
	(void)error;
	(void)arg;
}

static struct mr_queue *open_one(struct actor *a, struct mr_client *c, bool far)
{
	struct mr_push_options options = {.promise = MR_AT_LEAST_ONCE,
		.queue = options_of(),
		.on_outcome = on_outcome,
		.arg = a};
	struct mr_queue *q = NULL;

	while (actor_goes_on(a) && mr_queue_open(c, schedule_name(far), &options, &q) != 0)
		mr_wait(c, 20);
	return q;
}

static struct schedule_wish draw_wish(void)
{
	return (struct schedule_wish){.far = world_chance(50),
		.ticket = 1 + world_draw(SCHEDULE_TICKETS),
		.every_ms = world_chance(50) ? 100 + world_draw(world_chance(50) ? 200 : 2500) : 0,
		.cron = world_draw(schedule_crons()),
		.ttl_ms = world_chance(40) ? 50 + world_draw(2000) : 0};
}

static void make_some(struct mr_client *c, struct mr_queue *queues[2])
{
	struct schedule_wish w = draw_wish();
	uint32_t number = schedule_new(w);
	struct schedule_body body = schedule_body(number);
	const struct mr_push p = {.payload = &body,
		.bytes = sizeof(body),
		.ticket = w.ticket,
		.ttl_ms = w.ttl_ms,
		.every_ms = w.every_ms,
		.cron = w.every_ms == 0 ? schedule_cron_text(w.cron) : NULL};
	int error;

	if (number == 0)
		return;
	error = mr_push_with(queues[w.far], &p, NULL);
	if (error != 0 && error != -EAGAIN && error != -ENOTCONN && !actor_is_dead())
		world_fail("%s cannot make a schedule: %s, %s", process_name(process_now),
			mr_error_text(error), mr_error(c));
}

static void cancel_some(struct mr_client *c)
{
	(void)mr_queue_cancel(c, schedule_name(world_chance(50)), 1 + world_draw(SCHEDULE_TICKETS));
}

void schedule_produce(struct process *p, void *arg)
{
	struct actor *a = arg;
	struct mr_client *c = actor_connect(a, process_name(p));
	struct mr_queue *queues[2] = {NULL, NULL};

	if (c == NULL)
		return;
	queues[0] = open_one(a, c, false);
	queues[1] = open_one(a, c, true);
	while (actor_goes_on(a) && queues[0] != NULL && queues[1] != NULL) {
		if (world_chance(25))
			make_some(c, queues);
		else if (world_chance(10))
			cancel_some(c);
		mr_wait(c, (int)world_draw(300));
	}
	mr_close(c);
}

static void on_copy(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	struct actor *a = arg;

	(void)c;
	if (actor_is_dead())
		return;
	a->handed_ns = world_now_ns();
	schedule_handed(schedule_number(d->message.payload, d->message.payload_bytes));
}

static bool goes_on(const struct actor *a)
{
	return !actor_is_dead() && (!a->stop || world_now_ns() - a->handed_ns < QUIET_NS);
}

void schedule_take(struct process *p, void *arg)
{
	struct actor *a = arg;
	struct mr_client *c = actor_connect(a, process_name(p));
	const struct mr_consume_options options = {.queue = options_of()};
	struct mr_consumer *k = NULL;

	a->handed_ns = world_now_ns();
	while (c != NULL && !actor_is_dead() &&
		mr_consume(c, schedule_name(a->queue != 0), &options, on_copy, a, &k) != 0)
		mr_wait(c, 20);
	while (c != NULL && goes_on(a)) {
		mr_wait(c, 100);
		if (!a->stop && world_chance(5)) /* lets its queue fill */
			process_sleep(world_draw(1500) * WORLD_MS);
	}
	mr_close(c);
}
