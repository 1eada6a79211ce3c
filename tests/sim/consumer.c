/* SPDX-License-Identifier: Apache-2.0 */
/* A program that consumes: settles, forgets, drains, reads dead letters. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/actor.h"
#include "tests/sim/bus.h"
#include "tests/sim/cover.h"
#include "tests/sim/program.h"
#include "tests/sim/watch.h"
#include "tests/sim/world.h"

#define DRAIN_NS (8 * WORLD_S) /* nothing more arrives in this time */

static bool takes_all(const struct actor *a)
{
	return a->drains || a->reads_dead;
}

static void ack(struct mr_consumer *k, uint64_t tag, uint32_t number)
{
	if (mr_ack(k, tag) == 0 && !actor_is_dead()) {
		program_counts.acked++;
		model_program_acked(number);
	}
}

static void hold(struct actor *a, uint64_t tag, uint32_t number)
{
	if (a->held_count == ACTOR_HELD_MAX)
		return;
	a->held[a->held_count].tag = tag;
	a->held[a->held_count++].number = number;
}

static void nack_error(struct mr_consumer *k, uint64_t tag, bool requeue)
{
	char text[32];

	snprintf(text, sizeof(text), "error %u", 1 + world_draw(99999));
	mr_nack_error(k, tag, requeue, requeue && world_chance(20) ? 1 + world_draw(200) : 0, text);
}

/* Keeps some deliveries of one key without an end. */
static bool keep_stuck(struct actor *a, uint64_t tag, uint32_t number)
{
	if (takes_all(a) || model_key(number) != MODEL_KEY_STUCK ||
		a->stuck_count == ACTOR_STUCK_MAX || world_chance(30))
		return false;
	a->stuck[a->stuck_count++] = tag;
	cover(COVER_KEY_STUCK);
	return true;
}

static void progress_stuck(struct actor *a, struct mr_consumer *k)
{
	for (unsigned i = 0; i < a->stuck_count; i++)
		(void)mr_progress(k, a->stuck[i]);
}

static void settle(struct actor *a, struct mr_consumer *k, uint64_t tag, uint32_t number)
{
	uint32_t r = takes_all(a) ? 0 : world_draw(100);

	if (keep_stuck(a, tag, number))
		return;
	if (r < 60) {
		ack(k, tag, number);
	} else if (r < 76) {
		hold(a, tag, number);
	} else if (r < 78) {
		mr_nack(k, tag, true, 0);
	} else if (r < 84) {
		nack_error(k, tag, true);
	} else if (r < 86) {
		mr_give_back(k, tag);
	} else if (r < 92) {
		mr_nack(k, tag, true, 1 + world_draw(300));
	} else if (r < 94) {
		model_program_rejected(number);
		if (world_chance(50))
			mr_nack(k, tag, false, 0);
		else
			nack_error(k, tag, false);
		/* The rest is forgotten. */
	}
}

/* Returns the value of a line of the bus; NULL: there is none. */
static const char *line(const struct mr_delivery *d, const char *name, size_t *bytes)
{
	struct mr_header h = {0};

	if (!mr_headers_find(d->message.headers, d->message.header_bytes, name, &h))
		h = (struct mr_header){0};
	*bytes = h.value_bytes;
	return h.value;
}

static void read_dead(const struct actor *a, const struct mr_delivery *d, uint32_t number)
{
	struct model_letter l = {.named = a->reads_named};
	const char *attempts;
	size_t bytes;

	l.reason = line(d, "Millrace-Dead-Reason", &l.reason_bytes);
	l.queue = line(d, "Millrace-Dead-Queue", &l.queue_bytes);
	attempts = line(d, "Millrace-Dead-Count", &bytes);
	for (size_t i = 0; i < bytes; i++)
		l.attempts = l.attempts * 10 + (uint32_t)(attempts[i] - '0');
	(void)line(d, "Millrace-Dead-Time", &bytes);
	l.has_time = bytes > 0;
	l.error = model_error_of(d->message.headers, d->message.header_bytes);
	/* If the memory of all queues is used up there is no room for the lines; the bus counts
	 * that. */
	if (l.reason_bytes == 0 && bus.stats.queue_dead_bare == 0)
		world_fail("a dead letter, message %u, without a reason", number);
	model_dead(number, &l);
}

/* Returns its number; 0: it does not count. */
static uint32_t note(struct actor *a, const struct mr_delivery *d)
{
	uint32_t number =
		model_copy(model_number(d->message.payload, d->message.payload_bytes), a->queue);

	if (actor_is_dead())
		return 0;
	program_counts.handed++;
	a->handed_ns = world_now_ns();
	world_trace("%s: is handed %u", process_name(process_now), number);
	if (a->reads_dead)
		read_dead(a, d, number);
	else
		model_handed(number, d->message.payload, d->message.payload_bytes, a->queue);
	return number;
}

static void on_delivery(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	struct actor *a = arg;
	uint32_t number = note(a, d);

	(void)c;
	if (number != 0)
		settle(a, d->consumer, d->tag, number);
}

/* The delivery is acked when the callback returns. */
static void on_auto(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	uint32_t number = note(arg, d);

	(void)c;
	if (number != 0)
		model_program_acked(number);
}

static void pull_some(struct actor *a, struct mr_consumer *k)
{
	for (uint32_t n = world_draw(8); n > 0 && actor_goes_on(a); n--) {
		struct mr_delivery d;
		uint32_t number;

		if (mr_pull(k, &d, (int)world_draw(60)) != 0)
			return;
		number = note(a, &d);
		if (number != 0)
			settle(a, k, d.tag, number);
	}
}

static void settle_held(struct actor *a, struct mr_consumer *k)
{
	while (a->held_count > 0 && world_chance(60)) {
		unsigned i = world_draw(a->held_count--);

		ack(k, a->held[i].tag, a->held[i].number);
		a->held[i] = a->held[a->held_count];
	}
}

enum manner {
	CALLS_BACK,
	CALLS_BACK_AUTO,
	PULLS,
};

static struct mr_consumer *open_consumer(struct actor *a, struct mr_client *c, enum manner manner)
{
	struct mr_consume_options options = {.prefetch = takes_all(a) ? 32 : 1 + world_draw(24),
		.manual = manner != CALLS_BACK_AUTO,
		.key_from = a->reads_dead ? NULL : actor_key_from(a->queue)};
	struct mr_consumer *k = NULL;
	char name[40];

	if (!takes_all(a) && world_chance(20))
		options.rate = 5 + world_draw(500);
	if (!takes_all(a) && world_chance(20))
		options.prefetch_bytes = 1 + world_draw(8000);

	if (a->reads_named)
		snprintf(name, sizeof(name), "letters-%u", a->queue);
	else
		snprintf(name, sizeof(name), "%s%s", model_queues[a->queue].name,
			a->reads_dead ? ".dead" : "");
	if (!a->reads_dead) {
		options.queue = actor_queue_options(a->queue);
		options.retry = actor_retry(a->queue);
	}
	if (mr_consume(c, name, &options,
		    manner == PULLS        ? NULL
		    : manner == CALLS_BACK ? on_delivery
					   : on_auto,
		    a, &k) != 0)
		return NULL;
	a->held_count = a->stuck_count = 0;
	if (!takes_all(a) && world_chance(10))
		(void)mr_consumer_pause(k);
	return k;
}

/* Consumes until it is closed and opened anew. */
static void consume(struct actor *a, struct mr_client *c, struct mr_consumer *k, enum manner manner)
{
	for (uint32_t n = 5 + world_draw(60); n > 0 && actor_goes_on(a); n--) {
		if (manner == PULLS)
			pull_some(a, k);
		else
			mr_wait(c, (int)world_draw(60));
		settle_held(a, k);
		progress_stuck(a, k);
		if (world_chance(4))
			(void)mr_consumer_pause(k);
		else if (world_chance(10))
			(void)mr_consumer_resume(k);
		if (world_chance(5))
			process_sleep(world_draw(800) * WORLD_MS);
	}
}

/* Goes on while the queue has messages: a dead letter that waits for room leaves later, and so do
 * the messages of its key. */
static void take_all(struct actor *a, struct mr_client *c)
{
	a->handed_ns = world_now_ns();
	while (!actor_is_dead() &&
		(!a->stop || world_now_ns() - a->handed_ns < DRAIN_NS || !watch_is_empty(a->queue)))
		mr_wait(c, 100);
}

void actor_consume(struct process *p, void *arg)
{
	struct actor *a = arg;
	struct mr_client *c = actor_connect(a, process_name(p));

	while (c != NULL && !actor_is_dead() && (takes_all(a) || !a->stop)) {
		enum manner manner = takes_all(a) ? CALLS_BACK : (enum manner)world_draw(3);
		struct mr_consumer *k = open_consumer(a, c, manner);

		if (k == NULL) {
			mr_wait(c, 20);
			if (a->reads_dead && a->stop) /* nothing has died */
				break;
			continue;
		}
		if (takes_all(a)) {
			take_all(a, c);
			break;
		}
		consume(a, c, k, manner);
		if (world_chance(70))
			mr_consumer_close(k);
		else
			break;
	}
	mr_close(c);
	if (c != NULL && actor_goes_on(a) && !takes_all(a)) /* Once more, with a new connection. */
		actor_consume(p, arg);
}
