/* SPDX-License-Identifier: Apache-2.0 */
/* A program that pushes with a promise, and repeats open pushes after its death. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/actor.h"
#include "tests/sim/bus.h"
#include "tests/sim/cover.h"
#include "tests/sim/program.h"
#include "tests/sim/schedule.h"
#include "tests/sim/world.h"

#define SETTLE_TRIES 200u
#define LEVEL_MAX    9u

static void on_outcome(struct mr_client *c, uint64_t id, int error, void *arg)
{
	struct actor *a = arg;
	uint32_t number;

	(void)c;
	if (actor_is_dead() || id >= MODEL_MESSAGES_MAX)
		return;
	if (!model_queues[a->queue].exactly_once)
		id = a->own_id[id];
	if (a->open[id] == 0)
		return;
	number = a->open[id];
	if (error == -ENOENT)
		/* The library pushes it again when the queue is opened again. */
		return;
	if (error != 0 && error != -EBUSY && error != -ENOBUFS && error != -EDQUOT)
		world_fail("%s was told of message %u: %s", process_name(process_now), number,
			mr_error_text(error));
	if (error != 0)
		cover(COVER_PUSH_REFUSED);
	a->open[id] = 0;
	model_outcome(number, error);
}

static struct mr_queue *open_queue(struct actor *a, struct mr_client *c)
{
	char name[32];
	struct mr_push_options options = {
		.promise = model_queues[a->queue].exactly_once ? MR_EXACTLY_ONCE : MR_AT_LEAST_ONCE,
		.queue = actor_queue_options(a->queue),
		.on_outcome = on_outcome,
		.arg = a,
		.key_from = actor_key_from(a->queue),
		.retry = actor_retry(a->queue)};
	struct mr_queue *q = NULL;

	snprintf(name, sizeof(name), "publisher-%u", a->index);
	if (model_queues[a->queue].exactly_once) {
		options.publisher = name;
		options.next_id = 1;
	}
	if (mr_queue_open(c, model_queues[a->queue].name, &options, &q) != 0)
		return NULL;
	return q;
}

/* Three levels have names too. */
static enum mr_priority priority_of(unsigned level)
{
	return level == 7   ? MR_PRIORITY_HIGH
	       : level == 4 ? MR_PRIORITY_NORMAL
	       : level == 1 ? MR_PRIORITY_LOW
			    : MR_PRIORITY(level);
}

/* Gives the push its key: as an option, or in the header that some queues take it from. */
static void set_key(struct mr_push *p, uint32_t number, char to[64])
{
	bool in_header;
	unsigned key = model_key_given(number, &in_header);

	if (key == 0)
		return;
	if (in_header) {
		p->headers = to;
		p->header_bytes =
			(size_t)snprintf(to, 64, "NATS/1.0\r\nOrder: key-%u\r\n\r\n", key);
		return;
	}
	snprintf(to, 64, "key-%u", key);
	p->key = to;
}

/* False: not now. */
static bool push(struct actor *a, struct mr_client *c, struct mr_queue *q, uint32_t number)
{
	static uint8_t body[MODEL_BYTES_MAX];
	bool own = model_queues[a->queue].exactly_once;
	struct mr_push p = {.payload = body,
		.id = own ? model_id(number) : 0,
		.priority = priority_of(LEVEL_MAX - model_priority(number)),
		.ttl_ms = model_ttl_ms(number),
		.delay_ms = model_delay_ms(number),
		.at_ms = model_at_ms(number),
		.ticket = model_has_ticket(number) ? number : 0};
	char key[64];
	uint64_t id;
	int error;

	p.bytes = model_body(number, body);
	set_key(&p, number, key);
	error = mr_push_with(q, &p, &id);
	if (error == 0 && !actor_is_dead() && !own) {
		if (id >= MODEL_MESSAGES_MAX)
			world_fail("an id of %" PRIu64, id);
		a->own_id[id] = model_id(number);
	}
	if (error == 0)
		return true;
	if (error != -EAGAIN && error != -ENOTCONN && !actor_is_dead())
		world_fail("%s cannot push: %s, %s", process_name(process_now),
			mr_error_text(error), mr_error(c));
	return false;
}

/* Pushes the open messages of the previous process again, under their old numbers. */
static void push_open(struct actor *a, struct mr_client *c, struct mr_queue *q)
{
	for (uint64_t id = 1; id < a->next_id && !actor_is_dead(); id++) {
		if (a->open[id] == 0)
			continue;
		while (!actor_is_dead() && a->open[id] != 0 && !push(a, c, q, a->open[id]))
			mr_wait(c, 20);
	}
}

static uint32_t draw_ttl_ms(const struct actor *a)
{
	if (!model_queues[a->queue].times || world_chance(60))
		return 0;
	return 1 + world_draw(world_chance(30) ? 60000 : 2500);
}

static void draw_delay(struct actor *a, uint32_t number)
{
	if (!model_queues[a->queue].delays || world_chance(70))
		return;
	/* Where the clock steps far back, a message for a time would wait as long. */
	if (world_chance(50) || schedule_turns_back())
		model_delay(number, 1 + world_draw(3000), 0);
	else
		model_delay(number, 0,
			WORLD_UNIX_MS + world_now_ns() / WORLD_MS + world_draw(3500) - 500);
	if (a->tickets_count == ACTOR_TICKETS_MAX || world_chance(50))
		return;
	model_ticket(number);
	a->tickets[a->tickets_count++] = number;
}

static void draw_key(const struct actor *a, uint32_t number)
{
	if (model_queues[a->queue].keys && world_chance(80))
		model_key_give(number, 1 + world_draw(MODEL_KEYS), world_chance(30));
}

/* Most are of normal priority. Without memory for other levels the bus takes the next one that has
 * a name. */
static unsigned draw_level(void)
{
	static const unsigned named[] = {1, 4, 7};

	if (world_chance(75))
		return 4;
	return bus.store_is_large ? world_draw(LEVEL_MAX + 1) : named[world_draw(3)];
}

static void push_some(struct actor *a, struct mr_client *c, struct mr_queue *q)
{
	for (uint32_t n = 1 + world_draw(12); n > 0 && actor_goes_on(a); n--) {
		uint32_t number = model_new(
			a->queue, a->index, a->next_id, LEVEL_MAX - draw_level(), draw_ttl_ms(a));

		if (number == 0)
			return;
		draw_delay(a, number);
		draw_key(a, number);
		a->open[a->next_id++] = number;
		program_counts.pushed++;
		while (!actor_is_dead() && a->open[model_id(number)] == number &&
			!push(a, c, q, number))
			mr_wait(c, 5);
	}
}

/* Cancels a message, which may be due already, or not be pushed yet. */
static void cancel_some(struct actor *a, struct mr_client *c)
{
	unsigned i = world_draw(a->tickets_count);
	uint32_t number = a->tickets[i];
	int error = mr_queue_cancel(c, model_queues[a->queue].name, number);

	if (actor_is_dead())
		return;
	a->tickets[i] = a->tickets[--a->tickets_count];
	if (error == 0)
		model_cancel_told(number);
	else if (error == -ESRCH)
		cover(COVER_CANCEL_LATE);
}

static bool all_known(const struct actor *a)
{
	for (uint64_t id = 1; id < a->next_id; id++)
		if (a->open[id] != 0)
			return false;
	return true;
}

static void finish(struct actor *a, struct mr_client *c)
{
	for (unsigned i = 0; i < SETTLE_TRIES && !actor_is_dead() && !all_known(a); i++) {
		mr_settle(c, 500);
		mr_wait(c, 10);
	}
	if (!actor_is_dead() && !all_known(a))
		world_fail("%s is not told what became of its messages", process_name(process_now));
}

void actor_produce(struct process *p, void *arg)
{
	struct actor *a = arg;
	struct mr_client *c = actor_connect(a, process_name(p));
	struct mr_queue *q = NULL;

	if (c == NULL)
		return;
	while (!actor_is_dead() && (q = open_queue(a, c)) == NULL)
		mr_wait(c, 20);
	if (q != NULL)
		push_open(a, c, q);
	while (actor_goes_on(a)) {
		if (a->tickets_count > 0 && world_chance(30))
			cancel_some(a, c);
		switch (world_draw(4)) {
		case 0: push_some(a, c, q); break;
		case 1:
		case 2: mr_wait(c, (int)world_draw(60)); break;
		default: process_sleep(world_draw(60) * WORLD_MS);
		}
	}
	finish(a, c);
	mr_close(c);
}
