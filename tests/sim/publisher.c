/* SPDX-License-Identifier: Apache-2.0 */
/* A program that publishes to subjects, which queues are bound to: promised exactly once, or
 * plain. */
#include <errno.h>
#include <stdio.h>

#include "tests/sim/actor.h"
#include "tests/sim/bus_bind.h"
#include "tests/sim/program.h"
#include "tests/sim/world.h"

#define SETTLE_TRIES 300u

static void accepted(struct actor *a)
{
	for (unsigned n = 0; n < a->published_count; n++)
		model_publish_accepted(a->published[n]);
	a->published_count = 0;
}

/* True: all is accepted. */
static bool settle(struct actor *a, struct mr_client *c, unsigned timeout_ms)
{
	int error = mr_settle(c, timeout_ms);

	if (actor_is_dead())
		return true;
	if (error == 0)
		accepted(a);
	else if (error != -ETIMEDOUT && error != -ENOTCONN)
		world_fail("%s cannot settle: %s, %s", process_name(process_now),
			mr_error_text(error), mr_error(c));
	return error == 0;
}

/* False: not now. */
static bool publish(struct mr_client *c, struct mr_publisher *p, uint32_t number)
{
	static uint8_t body[MODEL_BYTES_MAX];
	int error = mr_publisher_send_with(p, NULL, 0, body, model_body(number, body));

	if (error != 0 && error != -EAGAIN && error != -ENOTCONN && !actor_is_dead())
		world_fail("%s cannot publish: %s, %s", process_name(process_now),
			mr_error_text(error), mr_error(c));
	return error == 0;
}

static void publish_promised(struct actor *a, struct mr_client *c, struct mr_publisher *p)
{
	uint32_t number;

	if (a->published_count == ACTOR_PUBLISHED_MAX ||
		(number = model_new_publish(a->index, a->next_id, a->subject)) == 0)
		return;
	while (!publish(c, p, number)) {
		mr_wait(c, 5);
		if (!actor_goes_on(a))
			return;
	}
	if (actor_is_dead())
		return;
	a->published[a->published_count++] = number;
	a->next_id++;
	program_counts.published++;
}

/* A message that the bus does not take now is lost. */
static void publish_plain(struct actor *a, struct mr_client *c, struct mr_publisher *p)
{
	uint32_t number = model_new_publish(a->index, 0, a->subject);

	if (number == 0)
		return;
	if (publish(c, p, number) && !actor_is_dead())
		program_counts.published++;
}

static void work(struct actor *a, struct mr_client *c, struct mr_publisher *promised,
	struct mr_publisher *plain)
{
	while (actor_goes_on(a)) {
		for (uint32_t n = world_draw(6); n > 0 && actor_goes_on(a); n--)
			publish_promised(a, c, promised);
		for (uint32_t n = world_draw(3); n > 0 && actor_goes_on(a); n--)
			publish_plain(a, c, plain);
		if (world_chance(20))
			settle(a, c, world_draw(500));
		else
			mr_wait(c, (int)world_draw(100));
	}
	for (unsigned i = 0; i < SETTLE_TRIES && !settle(a, c, 500); i++)
		mr_wait(c, 10);
	if (!actor_is_dead() && a->published_count > 0)
		world_fail("%s: its publishes are not accepted", process_name(process_now));
}

void actor_publish(struct process *p, void *arg)
{
	struct actor *a = arg;
	struct mr_client *c = actor_connect(a, process_name(p));
	struct mr_publisher *promised = NULL, *plain = NULL;
	char name[32];
	struct mr_publisher_options options = {.promise = MR_EXACTLY_ONCE, .publisher = name};

	if (c == NULL)
		return;
	a->published_count = 0; /* unknown, if an earlier process was killed */
	a->subject = a->index % BIND_SUBJECTS;
	snprintf(name, sizeof(name), "publisher-of-subject-%u", a->index);
	while (actor_goes_on(a) && promised == NULL) {
		options.next_id = a->next_id;
		if (mr_publisher_open_with(c, bind_subjects[a->subject], &options, &promised) != 0)
			mr_wait(c, 20);
	}
	while (actor_goes_on(a) && plain == NULL)
		if (mr_publisher_open(c, bind_subjects[a->subject], &plain) != 0)
			mr_wait(c, 20);
	if (promised != NULL && plain != NULL)
		work(a, c, promised, plain);
	mr_close(c);
}
