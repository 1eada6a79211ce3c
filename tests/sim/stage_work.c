/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of a pipeline. */
#include <errno.h>
#include <stdio.h>

#include "tests/sim/actor.h"
#include "tests/sim/cover.h"
#include "tests/sim/stage.h"
#include "tests/sim/stage_model.h"
#include "tests/sim/world.h"

#define QUIET_NS (6 * WORLD_S) /* nothing more arrives in this time */

static bool goes_on(const struct actor *a)
{
	return !actor_is_dead() && (!a->stop || world_now_ns() - a->handed_ns < QUIET_NS);
}

/* The producer. */

static void on_outcome(struct mr_client *c, uint64_t id, int error, void *arg)
{
	struct actor *a = arg;

	(void)c;
	(void)a;
	if (!actor_is_dead() && error == 0 && id < STAGE_INPUTS)
		stage_input((uint32_t)id)->accepted = true;
}

static struct mr_queue *open_input(struct actor *a, struct mr_client *c)
{
	const struct mr_push_options options = {.promise = MR_EXACTLY_ONCE,
		.publisher = "stage-producer",
		.next_id = 1,
		.on_outcome = on_outcome,
		.arg = a};
	struct mr_queue *q = NULL;

	while (!actor_is_dead() && mr_queue_open(c, stage_name(STAGE_IN), &options, &q) != 0)
		mr_wait(c, 20);
	return q;
}

static void push_input(struct mr_client *c, struct mr_queue *q, uint32_t number)
{
	struct stage_body body = stage_body(number, STAGE_INPUT);
	const struct mr_push p = {.payload = &body, .bytes = sizeof(body), .id = number};

	while (!actor_is_dead() && !stage_input(number)->accepted && mr_push_with(q, &p, NULL) != 0)
		mr_wait(c, 10);
}

void stage_produce(struct process *p, void *arg)
{
	struct actor *a = arg;
	struct mr_client *c = actor_connect(a, process_name(p));
	struct mr_queue *q = c != NULL ? open_input(a, c) : NULL;

	/* After a death those with unknown outcome are pushed again. */
	for (uint32_t i = 1; q != NULL && i < a->next_id && !actor_is_dead(); i++)
		push_input(c, q, i);
	while (q != NULL && actor_goes_on(a)) {
		if (a->next_id < STAGE_INPUTS && world_chance(70))
			push_input(c, q, (uint32_t)a->next_id++);
		else
			mr_wait(c, (int)world_draw(40));
	}
	for (unsigned i = 0; i < 100 && q != NULL && mr_queue_unaccepted(q) > 0 && !actor_is_dead();
		i++)
		mr_settle(c, 500);
	mr_close(c);
}

/* The stages. */

struct work {
	struct mr_client *client;
	struct mr_consumer *consumer;
	struct mr_queue *to[STAGE_QUEUES];
};

static void on_settled(struct mr_client *c, uint64_t tag, int error, void *arg)
{
	(void)c;
	(void)tag;
	if (actor_is_dead())
		return;
	if (error == 0)
		stage_told((uint32_t)(uintptr_t)arg);
	else
		cover(COVER_STAGE_FAILED);
}

static void hand_over(const struct work *w, const struct mr_delivery *d, uint32_t number)
{
	const struct mr_settle_options options = {
		.timeout_ms = 50 + world_draw(1500), .delay_ms = 1 + world_draw(50)};
	struct stage_body bodies[STAGE_OUTPUTS];
	struct mr_push pushes[STAGE_OUTPUTS] = {0};
	struct mr_output outputs[STAGE_OUTPUTS];
	enum stage_queue to[STAGE_OUTPUTS];
	unsigned count = stage_outputs(number, to);
	int error;

	for (unsigned i = 0; i < count; i++) {
		bodies[i] = stage_body(number, i);
		pushes[i].payload = &bodies[i];
		pushes[i].bytes = sizeof(bodies[i]);
		outputs[i] = (struct mr_output){w->to[to[i]], &pushes[i]};
	}
	if (world_chance(40)) {
		cover(COVER_STAGE_ASYNC);
		error = mr_settle_and_push_async(
			d, outputs, count, &options, on_settled, (void *)(uintptr_t)number);
	} else {
		error = mr_settle_and_push(d, outputs, count, &options);
		if (error == 0 && !actor_is_dead())
			stage_told(number);
	}
	if (error == -EINVAL || error == -E2BIG || error == -EMSGSIZE)
		world_fail("%s cannot settle and push: %s, %s", process_name(process_now),
			mr_error_text(error), mr_error(w->client));
	if (error != 0)
		cover(COVER_STAGE_FAILED);
	if (error == -EAGAIN)
		(void)mr_nack(w->consumer, d->tag, true, 1 + world_draw(40));
}

static void work_one(struct actor *a, const struct work *w)
{
	struct mr_delivery d;
	uint32_t number, place;

	if (mr_pull(w->consumer, &d, 100) != 0 || actor_is_dead())
		return;
	a->handed_ns = world_now_ns();
	number = stage_number(d.message.payload, d.message.payload_bytes, &place);
	stage_input(number)->handed = true;
	if (!a->stop && world_chance(3)) /* perhaps beyond its time-out */
		process_sleep(world_draw(1000) * WORLD_MS);
	if (!a->stop && world_chance(5))
		(void)mr_nack(w->consumer, d.tag, true, 0);
	else
		hand_over(w, &d, number);
	mr_flush(w->client);
}

static bool open_work(struct work *w)
{
	const struct mr_push_options push = {.promise = MR_AT_LEAST_ONCE};
	const struct mr_consume_options consume = {.prefetch = 1, .manual = true};

	return mr_queue_open(w->client, stage_name(STAGE_NEAR), &push, &w->to[STAGE_NEAR]) == 0 &&
	       mr_queue_open(w->client, stage_name(STAGE_FAR), &push, &w->to[STAGE_FAR]) == 0 &&
	       mr_consume(w->client, stage_name(STAGE_IN), &consume, NULL, NULL, &w->consumer) == 0;
}

void stage_work(struct process *p, void *arg)
{
	struct actor *a = arg;
	struct work w = {.client = actor_connect(a, process_name(p))};

	a->handed_ns = world_now_ns();
	if (w.client == NULL)
		return;
	if (open_work(&w))
		while (goes_on(a))
			work_one(a, &w);
	mr_close(w.client);
	if (goes_on(a)) /* Once more. */
		stage_work(p, arg);
}

/* The sinks. */

static void on_output(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	struct actor *a = arg;
	uint32_t place, number;

	(void)c;
	if (actor_is_dead())
		return;
	number = stage_number(d->message.payload, d->message.payload_bytes, &place);
	a->handed_ns = world_now_ns();
	stage_input(number)->received[place]++;
}

void stage_sink(struct process *p, void *arg)
{
	struct actor *a = arg;
	struct mr_client *c = actor_connect(a, process_name(p));
	struct mr_consumer *k = NULL;

	a->handed_ns = world_now_ns();
	while (c != NULL && !actor_is_dead() &&
		mr_consume(c, stage_name((enum stage_queue)a->queue), NULL, on_output, a, &k) != 0)
		mr_wait(c, 20);
	while (c != NULL && goes_on(a))
		mr_wait(c, 100);
	mr_close(c);
}
