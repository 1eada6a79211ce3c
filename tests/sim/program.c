/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/actor.h"
#include "tests/sim/bus.h"
#include "tests/sim/bus_bind.h"
#include "tests/sim/cover.h"
#include "tests/sim/edit.h"
#include "tests/sim/net.h"
#include "tests/sim/schedule.h"
#include "tests/sim/stage.h"
#include "tests/sim/stage_model.h"
#include "tests/sim/watch.h"
#include "tests/sim/world.h"

#define ACTORS_MAX 64u
#define END_NS     (600 * WORLD_S) /* every program has ended long before */
#define BREAKER_MS 500u

struct program_counts program_counts;

static struct {
	struct actor actors[ACTORS_MAX];
	unsigned actors_count;
	struct process *old[256]; /* killed processes that were replaced */
	unsigned old_count;
	bool playing;
	uint64_t frozen_until_ns; /* nothing is frozen longer */
	bool doomed;              /* a process is to be killed as it sends */
	bool binds;               /* queues are bound and unbound */
	uint32_t edits;           /* fewer than this many edits at a time */
	struct net_settings net;
} run;

static struct actor *add(enum actor_kind kind, unsigned queue)
{
	struct actor *a = &run.actors[run.actors_count];

	if (run.actors_count == ACTORS_MAX)
		world_fail("too many programs");
	memset(a, 0, sizeof(*a));
	a->kind = kind;
	a->index = run.actors_count++;
	a->queue = queue;
	a->next_id = 1;
	actor_start(a);
	return a;
}

/* Some queues go by keys, and take some of them from a header or the subject. */
static void make_keys(struct model_queue *q)
{
	if (world_chance(65))
		return;
	q->asked.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	q->asked.in_flight_per_key = (uint16_t)(world_chance(60) ? 1 : 1 + world_draw(4));
	q->keys = true;
	q->key_header = world_chance(40);
	q->key_token = !q->key_header && world_chance(60);
	q->asked.key_from = q->key_header  ? mrf_str("header Order")
			    : q->key_token ? mrf_str("token 3")
					   : (struct mrf_string){0};
}

static uint8_t draw_when_full(const struct model_queue *q)
{
	if (world_chance(40))
		return MRF_QUEUE_FULL_WAIT;
	if (world_chance(50) || q->asked.policy == MRF_QUEUE_POLICY_KEY_SHARED)
		return MRF_QUEUE_FULL_REFUSE;
	return world_chance(50) ? MRF_QUEUE_FULL_DROP_OLDEST : MRF_QUEUE_FULL_DEAD_LETTER;
}

static void make_queue(unsigned i)
{
	struct model_queue *q = &model_queues[i];

	snprintf(q->name, sizeof(q->name), "queue-%u", i);
	q->asked = (struct mrf_queue_options){.policy = (uint8_t)(i % 3 + 1)};
	make_keys(q);
	q->asked.ack_timeout_ms = 200 + world_draw(2000);
	q->asked.max_deliver = (uint16_t)(2 + world_draw(5));
	q->asked.messages_max = world_chance(40) ? 4 + world_draw(60) : UINT32_MAX;
	q->asked.age_max_ms = world_chance(25) ? 200 + world_draw(4000) : 0;
	q->asked.when_full = draw_when_full(q);
	q->fulls = 1u << q->asked.when_full;
	q->asked.when_expired =
		world_chance(50) ? MRF_QUEUE_EXPIRED_DISCARD : MRF_QUEUE_EXPIRED_DEAD_LETTER;
	q->asked.single_active = world_chance(15) ? MRF_SINGLE_ACTIVE_YES : MRF_SINGLE_ACTIVE_NO;
	q->expirations = 1u << q->asked.when_expired;
	if (world_chance(40)) {
		q->retries = true;
		q->asked.retry_min_ms = 1 + world_draw(150);
		q->asked.retry_max_ms = 100 + world_draw(1000);
		q->asked.retry_factor = (uint16_t)(100 + world_draw(300));
		q->asked.retry_jitter = (uint8_t)(1 + world_draw(100));
	}
	q->asked.aging_ms = world_chance(20) ? 1000 * (1 + world_draw(2)) : 0;
	q->times = world_chance(50);
	q->delays = world_chance(50);
	q->exactly_once = !world_chance(25);
	q->holds = q->asked;
}

/* Makes the queue that an operator may name for the dead letters of another. */
static void make_letters(unsigned i)
{
	static const enum model_letters kinds[] = {LETTERS_WAIT, LETTERS_REFUSE, LETTERS_DROP};
	unsigned kind = world_draw(MR_ARRAY_COUNT(kinds));
	const struct mrf_queue_options options = {
		.when_full = (uint8_t)(MRF_QUEUE_FULL_WAIT + kind),
		.messages_max = 3 + world_draw(world_chance(75) ? 12 : 1000),
	};
	char name[16];

	model_queues[i].letters_kind = kinds[kind];
	snprintf(name, sizeof(name), "letters-%u", i);
	if (bus_make(name, &options) != 0)
		world_fail("%s cannot be made", name);
}

static void make_queues(void)
{
	model_queues_count = 1 + world_draw(3);
	for (unsigned i = 0; i < model_queues_count; i++)
		make_queue(i);
}

static void add_stages(void)
{
	stage_make();
	add(ACTOR_STAGE_PRODUCER, 0);
	for (uint32_t n = 1 + world_draw(3); n > 0; n--)
		add(ACTOR_STAGE, 0);
	add(ACTOR_SINK, STAGE_NEAR);
	add(ACTOR_SINK, STAGE_FAR);
}

static void add_schedules(void)
{
	schedule_make();
	for (uint32_t n = 1 + world_draw(2); n > 0; n--)
		add(ACTOR_SCHEDULER, 0);
	add(ACTOR_TICKER, 0);
	add(ACTOR_TICKER, 1);
}

static void add_all(void)
{
	for (unsigned i = 0; i < model_queues_count; i++) {
		for (uint32_t n = 1 + world_draw(2); n > 0; n--)
			add(ACTOR_PRODUCER, i);
		for (uint32_t n = 1 + world_draw(3); n > 0; n--)
			add(ACTOR_CONSUMER, i);
	}
	run.binds = world_chance(50);
	for (uint32_t n = run.binds ? 1 + world_draw(3) : 0; n > 0; n--)
		add(ACTOR_PUBLISHER, 0);
	if (bus.store_is_large && world_chance(30))
		add_stages();
	if (world_chance(30))
		add_schedules();
	if (world_chance(60))
		return;
	for (uint32_t n = 1 + world_draw(3); n > 0; n--)
		add(ACTOR_SERVER, 0);
	add(ACTOR_CALLER, 0);
}

static void draw_network(struct net_settings *s)
{
	*s = (struct net_settings){
		.loss = world_chance(40) ? 0 : world_draw(20),
		.twice = world_chance(50) ? 0 : world_draw(6),
		.delay_us_min = 20 + world_draw(300),
	};
	s->delay_us_max = s->delay_us_min + (world_chance(40) ? world_draw(50) : world_draw(6000));
}

/* The operator's actions, and other events of the machine. */

/* Starts another process in place of a killed one. */
static void replace(struct actor *a)
{
	world_trace("%s is killed", process_name(a->process));
	program_counts.killed++;
	if (a->kind == ACTOR_CONSUMER || a->kind == ACTOR_STAGE || a->kind == ACTOR_SINK)
		cover(COVER_KILL_CONSUMER);
	if (world_now_ns() < bus.frozen_until_ns || world_now_ns() < bus.far_frozen_until_ns)
		cover(COVER_KILL_FROZEN);
	run.old[run.old_count++] = a->process;
	actor_start(a);
}

/* Kills a program where it waits, or at one of its next sends. */
static void kill_some(void)
{
	struct actor *a = &run.actors[world_draw(run.actors_count)];

	if (process_ended(a->process) || run.old_count + ACTORS_MAX > MR_ARRAY_COUNT(run.old))
		return;
	if (world_chance(50)) {
		process_kill_at_send(a->process, 1 + world_draw(20));
		run.doomed = true;
		return;
	}
	cover(COVER_KILL);
	process_kill(a->process);
	replace(a);
}

/* Replaces those that were killed as they sent. */
static void replace_doomed(void)
{
	for (unsigned i = 0; i < run.actors_count && run.doomed; i++)
		if (process_killed(run.actors[i].process)) {
			cover(COVER_KILL_SENDING);
			replace(&run.actors[i]);
		}
}

static void spare_doomed(void)
{
	for (unsigned i = 0; i < run.actors_count; i++)
		process_kill_at_send(run.actors[i].process, 0);
	replace_doomed();
	run.doomed = false;
}

static void pause_some(void)
{
	struct model_queue *q = &model_queues[world_draw(model_queues_count)];
	bool pause = !q->paused && world_chance(60);

	if (world_now_ns() < bus.frozen_until_ns)
		return;
	if (bus_command(pause ? MRF_QUEUE_VERB_PAUSE : MRF_QUEUE_VERB_RESUME, MRF_QUEUE_KIND_QUEUE,
		    q->name, 0, NULL) == 0) {
		cover(COVER_PAUSE);
		world_trace("%s is %s", q->name, pause ? "paused" : "resumed");
		q->paused = pause;
	}
}

static void look_at(unsigned i)
{
	struct mrf_table row;

	if (!model_queues[i].exactly_once || world_now_ns() < bus.frozen_until_ns)
		return;
	bus_tick();
	if (bus_command(MRF_QUEUE_VERB_SHOW, MRF_QUEUE_KIND_QUEUE, model_queues[i].name, 0, &row) ==
		0)
		model_oldest(i, mrf_queue_row_oldest_ms(row));
}

static void freeze_some(void)
{
	uint64_t until_ns = world_now_ns() + (1 + world_draw(1500)) * WORLD_MS;
	uint64_t short_ns = world_now_ns() + (1 + world_draw(300)) * WORLD_MS;
	uint32_t r = world_draw(100);

	program_counts.frozen++;
	if (r < 20) { /* The whole machine, as a container that is paused. */
		until_ns += world_draw(20) * WORLD_S;
		cover(COVER_FREEZE_MACHINE);
		bus_freeze(until_ns);
		for (unsigned i = 0; i < run.actors_count; i++)
			process_freeze(run.actors[i].process, until_ns);
	} else if (r < 30) {
		cover(COVER_FREEZE_BUS);
		bus_freeze(short_ns);
	} else if (r < 40) {
		cover(COVER_FREEZE_NEAR);
		bus_freeze_near(world_chance(70) ? short_ns : until_ns);
	} else if (r < 55) {
		cover(COVER_FREEZE_FAR);
		bus_freeze_far(until_ns);
	} else {
		cover(COVER_FREEZE_PROCESS);
		process_freeze(run.actors[world_draw(run.actors_count)].process, until_ns);
	}
	/* For a worker that takes the time out of its clock, Unix time steps forward. */
	schedule_stepped();
	if (until_ns > run.frozen_until_ns)
		run.frozen_until_ns = until_ns;
}

/* The clock of Unix time is set forward or back. */
static void step_clock(void)
{
	int64_t before_ms = bus.clock_ms;

	model_clock_steps();
	bus.clock_ms =
		schedule_is_on() ? schedule_draw_clock_ms() : (int64_t)world_draw(4000) - 2000;
	schedule_stepped();
	cover(bus.clock_ms >= before_ms ? COVER_CLOCK_FORWARD : COVER_CLOCK_BACK);
	world_trace("bus: its clock is %" PRId64 " ms ahead", bus.clock_ms);
}

/* All stand still, and their clocks too, but for that of Unix time. */
static void suspend(void)
{
	model_clock_steps();
	bus.clock_ms += world_draw(schedule_is_on() ? 7200000 : 2000);
	schedule_stepped();
	cover(COVER_CLOCK_SUSPEND);
	world_trace(
		"bus: its machine was suspended, its clock is %" PRId64 " ms ahead", bus.clock_ms);
}

static void kill_control(void)
{
	cover(COVER_CONTROL_KILLED);
	if (world_now_ns() < bus.frozen_until_ns || world_now_ns() < bus.far_frozen_until_ns)
		cover(COVER_KILL_FROZEN);
	bus_kill_control(world_now_ns() + (20 + world_draw(1500)) * WORLD_MS);
}

static void kick_some(void)
{
	cover(COVER_KICK);
	bus_kick(world_draw(8));
}

static void cut_some(void)
{
	cover(COVER_CUT);
	net_cut(world_now_ns() + world_draw(1200) * WORLD_MS);
}

static void befall(void)
{
	uint32_t r = world_draw(100);

	if (r < 25)
		pause_some();
	else if (r < 45)
		freeze_some();
	else if (r < 60)
		kill_some();
	else if (r < 70)
		kick_some();
	else if (r < 80)
		cut_some();
	else if (r < 88)
		draw_network(&run.net);
	else if (r < 91)
		step_clock();
	else if (r < 92)
		suspend();
	else if (r < 94)
		kill_control();
	else
		look_at(world_draw(model_queues_count));
	net_set(&run.net);
}

static void operate(struct process *p, void *arg)
{
	(void)p;
	(void)arg;
	while (run.playing) {
		process_sleep((20 + world_draw(600)) * WORLD_MS);
		if (!run.playing)
			return;
		befall();
		if (run.binds && world_chance(40))
			bus_bind_some();
		if (schedule_is_on() && world_chance(30))
			step_clock();
		if (schedule_is_on() && world_chance(15))
			schedule_purge();
		for (uint32_t n = world_draw(run.edits); n > 0; n--)
			edit_some();
	}
}

/* The course of a run. */

static void until_one_ended(const char *what, const struct process *p)
{
	uint64_t until_ns = world_now_ns() + END_NS;

	while (!process_ended(p))
		if (!world_step() || world_now_ns() > until_ns)
			world_fail("%s: %s does not end", what, process_name(p));
}

static void until_ended(enum actor_kind kind, const char *what)
{
	for (unsigned i = 0; i < run.actors_count; i++)
		if (run.actors[i].kind == kind)
			until_one_ended(what, run.actors[i].process);
}

/* Returns a process that runs, or NULL. */
static const struct process *one_running(void)
{
	for (unsigned i = 0; i < run.actors_count; i++)
		if (!process_ended(run.actors[i].process))
			return run.actors[i].process;
	for (unsigned i = 0; i < run.old_count; i++)
		if (!process_ended(run.old[i]))
			return run.old[i];
	return NULL;
}

static void until_all_ended(const char *what)
{
	uint64_t until_ns = world_now_ns() + END_NS;
	const struct process *runs;

	while ((runs = one_running()) != NULL) {
		if (!world_step() || world_now_ns() > until_ns)
			world_fail("%s: %s does not end", what, process_name(runs));
	}
}

static void play(void)
{
	uint64_t until_ns = world_now_ns() + (1 + world_draw(8)) * WORLD_S;
	struct process *operator;

	run.playing = true;
	operator= process_start("operator", operate, NULL);
	while (world_now_ns() < until_ns && world_step())
		replace_doomed();
	spare_doomed();
	run.playing = false;
	while (!process_ended(operator) && world_step())
		continue;
	process_free(operator);
}

/* Goes on when the others are to end. */
static bool goes_on(const struct actor *a)
{
	return a->kind == ACTOR_STAGE || a->kind == ACTOR_SINK || a->kind == ACTOR_TICKER;
}

/* Ends all schedules; the tickers take the last copies. */
static void end_schedules(void)
{
	uint64_t until_ns = world_now_ns() + END_NS;

	while (world_now_ns() < run.frozen_until_ns && world_step())
		continue;
	schedule_end_all();
	while (!schedule_is_empty())
		if (!world_step() || world_now_ns() > until_ns)
			world_fail("the tickers do not take all copies");
}

/* Lets the stages take all inputs, and the sinks all outputs. */
static void end_stages(void)
{
	uint64_t until_ns = world_now_ns() + END_NS;

	while (!stage_is_empty())
		if (!world_step() || world_now_ns() > until_ns)
			world_fail("the stages do not take all inputs, or the sinks all outputs");
	for (unsigned i = 0; i < run.actors_count; i++)
		if (goes_on(&run.actors[i]))
			run.actors[i].stop = true;
}

static void settle(void)
{
	struct actor *drains[MODEL_QUEUES_MAX], *dead[MODEL_QUEUES_MAX], *named[MODEL_QUEUES_MAX];

	world_trace("all are to end");
	run.net = (struct net_settings){.delay_us_min = 50, .delay_us_max = 60};
	net_set(&run.net);
	net_cut(0);
	model_clock_steps();
	bus.clock_ms = 0;
	schedule_stepped();
	bus.control_dead_until_ns = 0;
	for (unsigned i = 0; i < model_queues_count; i++) {
		bus_command(
			MRF_QUEUE_VERB_RESUME, MRF_QUEUE_KIND_QUEUE, model_queues[i].name, 0, NULL);
		model_queues[i].paused = false;
	}
	/* Full queues are emptied, and dead letters that use up the memory are read, or their
	 * producers could not end. */
	for (unsigned i = 0; i < model_queues_count; i++) {
		drains[i] = add(ACTOR_CONSUMER, i);
		dead[i] = add(ACTOR_CONSUMER, i);
		named[i] = add(ACTOR_CONSUMER, i);
		dead[i]->reads_dead = named[i]->reads_dead = named[i]->reads_named = true;
	}
	for (unsigned i = 0; i < run.actors_count; i++)
		run.actors[i].stop = !goes_on(&run.actors[i]);
	stage_calm(run.frozen_until_ns + 2 * WORLD_S);
	for (unsigned i = 0; i < model_queues_count; i++) {
		drains[i]->drains = true;
		drains[i]->stop = dead[i]->stop = named[i]->stop = false;
	}
	until_ended(ACTOR_PRODUCER, "settle");
	until_ended(ACTOR_PUBLISHER, "settle");
	until_ended(ACTOR_STAGE_PRODUCER, "settle");
	until_ended(ACTOR_SCHEDULER, "settle");
	end_schedules();
	end_stages();
	/* The readers of dead letters end last: what is drained can still die. */
	for (unsigned i = 0; i < model_queues_count; i++)
		drains[i]->stop = true;
	for (unsigned i = 0; i < model_queues_count; i++)
		until_one_ended("settle", drains[i]->process);
	for (unsigned i = 0; i < model_queues_count; i++)
		dead[i]->stop = named[i]->stop = true;
	until_all_ended("settle");
}

static void read_all(unsigned i, bool dead, bool named)
{
	struct actor *a = add(ACTOR_CONSUMER, i);

	a->drains = !dead && !named;
	/* Nothing more arrives. */
	a->stop = true;
	a->reads_dead = dead || named;
	a->reads_named = named;
}

static void drain(bool dead)
{
	world_trace("%s are read", dead ? "dead letters" : "queues");
	for (unsigned i = 0; i < model_queues_count; i++) {
		read_all(i, dead, false);
		read_all(i, false, true);
	}
	until_all_ended("drain");
}

static void check_empty(const char *name)
{
	struct mrf_table row;

	if (bus_command(MRF_QUEUE_VERB_SHOW, MRF_QUEUE_KIND_QUEUE, name, 0, &row) != 0)
		/* The queue no longer exists. */
		return;
	if (mrf_queue_row_ready(row) + mrf_queue_row_delayed(row) +
			mrf_queue_row_outstanding(row) !=
		0)
		world_fail("%s: ready %" PRIu64 ", delayed %" PRIu64 ", outstanding %" PRIu64
			   " after the drain",
			name, mrf_queue_row_ready(row), mrf_queue_row_delayed(row),
			mrf_queue_row_outstanding(row));
}

static void recover(void)
{
	struct actor *server, *caller;
	bool any = false;

	for (unsigned i = 0; i < run.actors_count; i++)
		any |= run.actors[i].kind == ACTOR_CALLER;
	if (!any)
		return;
	server = add(ACTOR_SERVER, 0);
	server->works_well = true;
	caller = add(ACTOR_CALLER, 0);
	caller->works_well = true;
	while (!process_ended(caller->process) && world_step())
		continue;
	server->stop = true;
	until_all_ended("recover");
}

/* A queue that the operator paused stays paused, even if it is not used for long. */
static void check_pause(void)
{
	struct model_queue *q = &model_queues[0];
	struct actor *producer, *drain;
	uint64_t until_ns = world_now_ns() + (bus.config.idle_ms + 3000) * WORLD_MS;

	if (!q->exactly_once ||
		bus_command(MRF_QUEUE_VERB_PAUSE, MRF_QUEUE_KIND_QUEUE, q->name, 0, NULL) != 0)
		return;
	q->paused = true;
	while (world_now_ns() < until_ns && world_step())
		continue;
	producer = add(ACTOR_PRODUCER, 0);
	drain = add(ACTOR_CONSUMER, 0);
	drain->drains = drain->stop = true;
	until_ns = world_now_ns() + WORLD_S;
	while (world_now_ns() < until_ns && world_step())
		continue;
	q->paused = false;
	bus_command(MRF_QUEUE_VERB_RESUME, MRF_QUEUE_KIND_QUEUE, q->name, 0, NULL);
	producer->stop = true;
	read_all(0, false, true);
	until_all_ended("pause");
}

static void open_run(uint64_t seed)
{
	struct bus_settings s = {
		.store_bytes = world_chance(20) ? 2u << 20 : 64u << 20,
		.idle_ms = world_chance(50) ? 1000 : 60000,
		.queue =
			{
				.policy = MRF_QUEUE_POLICY_ROUND_ROBIN,
				.when_full = MRF_QUEUE_FULL_WAIT,
				.messages_max = UINT32_MAX,
				.ack_timeout_ms = 1000,
				.max_deliver = 5,
				.breaker_failures = UINT16_MAX,
				.breaker_reset_ms = 1000,
				.breaker_probes = 1,
			},
		.service =
			{
				.policy = MRF_QUEUE_POLICY_LEAST_RECENTLY_USED,
				.when_full = MRF_QUEUE_FULL_REFUSE,
				.messages_max = UINT32_MAX,
				.age_max_ms = 1000,
				.ack_timeout_ms = 300,
				.max_deliver = 3,
				.breaker_failures = 3,
				.breaker_reset_ms = BREAKER_MS,
				.breaker_probes = 1,
			},
	};

	memset(&run, 0, sizeof(run));
	model_open();
	watch_open();
	stage_open();
	schedule_open();
	run.edits = world_chance(50) ? 1 : 2 + world_draw(4);
	draw_network(&run.net);
	net_open(&run.net);
	bus_open(&s);
	make_queues();
	for (unsigned i = 0; i < model_queues_count; i++)
		make_letters(i);
	add_all();
	world_trace("seed %" PRIu64 ": %u queues, %u programs", seed, model_queues_count,
		run.actors_count);
}

static void close_run(void)
{
	bus_close();
	net_close();
	world_close();
	for (unsigned i = 0; i < run.actors_count; i++)
		process_free(run.actors[i].process);
	for (unsigned i = 0; i < run.old_count; i++)
		process_free(run.old[i]);
}

uint64_t program_run(uint64_t seed)
{
	uint64_t hash;

	world_open(seed);
	open_run(seed);
	play();
	settle();
	drain(false);
	drain(true);
	if (world_chance(40)) {
		check_pause();
		drain(true);
	}
	for (unsigned i = 0; i < model_queues_count; i++)
		check_empty(model_queues[i].name);
	recover();
	model_finish();
	stage_finish();
	schedule_finish();
	model_letters_finish(bus_letters_lost());
	hash = world_hash();
	close_run();
	program_counts.runs++;
	return hash;
}
