/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/actor.h"

#include <stdio.h>

#include "tests/sim/program.h"
#include "tests/sim/schedule.h"
#include "tests/sim/stage.h"
#include "tests/sim/world.h"

bool actor_is_dead(void)
{
	return process_killed(process_now);
}

bool actor_goes_on(const struct actor *a)
{
	return !actor_is_dead() && !a->stop;
}

struct mr_client *actor_connect(const struct actor *a, const char *name)
{
	const struct mr_options options = {
		.name = name, .connect_timeout_ms = 2000, .request_timeout_ms = 2000, .spin_us = 1};
	struct mr_client *c = NULL;

	(void)a;
	while (!actor_is_dead() && mr_connect(ACTOR_ADDRESS, &options, &c) != 0)
		process_sleep(20 * WORLD_MS);
	if (c != NULL && actor_is_dead()) {
		mr_close(c);
		c = NULL;
	}
	return c;
}

struct mr_queue_options actor_queue_options(unsigned queue)
{
	const struct mrf_queue_options *o = &model_queues[queue].asked;

	return (struct mr_queue_options){
		.policy = (enum mr_policy)o->policy,
		.when_full = (enum mr_when_queue_full)o->when_full,
		.messages_max = o->messages_max,
		.age_max_ms = o->age_max_ms,
		.ack_timeout_ms = o->ack_timeout_ms,
		.max_deliver = o->max_deliver,
		.when_expired = o->when_expired,
		.single_active = o->single_active,
		.aging_s = (uint16_t)(o->aging_ms / 1000),
		.in_flight_per_key = (uint8_t)o->in_flight_per_key,
	};
}

struct mr_queue_retry actor_retry(unsigned queue)
{
	const struct mrf_queue_options *o = &model_queues[queue].asked;

	return (struct mr_queue_retry){.min_ms = o->retry_min_ms,
		.max_ms = o->retry_max_ms,
		.factor = o->retry_factor,
		.jitter = o->retry_jitter};
}

const char *actor_key_from(unsigned queue)
{
	const struct mrf_string *from = &model_queues[queue].asked.key_from;

	return from->bytes > 0 ? from->data : NULL;
}

void actor_start(struct actor *a)
{
	static process_main_fn *const programs[] = {
		[ACTOR_PRODUCER] = actor_produce,
		[ACTOR_CONSUMER] = actor_consume,
		[ACTOR_SERVER] = actor_serve,
		[ACTOR_CALLER] = actor_call,
		[ACTOR_PUBLISHER] = actor_publish,
		[ACTOR_STAGE_PRODUCER] = stage_produce,
		[ACTOR_STAGE] = stage_work,
		[ACTOR_SINK] = stage_sink,
		[ACTOR_SCHEDULER] = schedule_produce,
		[ACTOR_TICKER] = schedule_take,
	};
	static const char *const names[] = {"producer", "consumer", "server", "caller", "publisher",
		"stage-producer", "stage", "sink", "scheduler", "ticker"};
	char name[32];

	snprintf(name, sizeof(name), "%s-%u", names[a->kind], a->index);
	a->process = process_start(name, programs[a->kind], a);
}
