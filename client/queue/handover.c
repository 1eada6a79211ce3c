/* SPDX-License-Identifier: Apache-2.0 */
#include "client/queue/handover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/wait.h"
#include "client/queue/consumer.h"
#include "client/queue/queue.h"

#define DELAY_MS_DEFAULT 100u

/* The table. */

static struct mr_handover_output **bucket(
	struct mr_handovers *t, const struct mr_queue *q, const struct mrf_message_origin *origin)
{
	uint64_t h = (origin->publisher ^ origin->id * 0x9e3779b97f4a7c15u ^ q->serial) *
		     0xd6e8feb86659fd93u;

	return &t->hash[(h >> 32) % MR_HANDOVER_BUCKETS];
}

void mr_handover_link_output(struct mr_handover_output *o)
{
	struct mr_handovers *t = o->handover->client->handovers;
	struct mr_handover_output **at = bucket(t, o->queue, &o->origin);

	o->hash_next = *at;
	*at = o;
	o->open = true;
	o->handover->open++;
}

static void unlink_output(struct mr_handovers *t, struct mr_handover_output *o)
{
	struct mr_handover_output **at;

	if (!o->open)
		return;
	at = bucket(t, o->queue, &o->origin);
	while (*at != o)
		at = &(*at)->hash_next;
	*at = o->hash_next;
	o->open = false;
	o->handover->open--;
}

void mr_handover_link(struct mr_handover *h)
{
	struct mr_handovers *t = h->client->handovers;

	h->next = t->first;
	if (h->next != NULL)
		h->next->prev = h;
	t->first = h;
}

void mr_handover_unlink(struct mr_handover *h)
{
	struct mr_handovers *t = h->client->handovers;

	if (h->prev != NULL)
		h->prev->next = h->next;
	else
		t->first = h->next;
	if (h->next != NULL)
		h->next->prev = h->prev;
	h->prev = h->next = NULL;
	for (uint32_t i = 0; i < h->count; i++)
		unlink_output(t, &h->outputs[i]);
}

void mr_handover_free(struct mr_handover *h)
{
	free(h->text);
	free(h);
}

/* Ending. */

void mr_handover_say(struct mr_handover *h, const char *text)
{
	if (h->text == NULL)
		h->text = strdup(text);
}

void mr_handover_settle(struct mr_handover *h)
{
	bool redeliver = h->options.when_refused == MR_REFUSED_REDELIVER;
	uint32_t delay_ms = h->options.delay_ms != 0 ? h->options.delay_ms : DELAY_MS_DEFAULT;
	uint64_t bus_tag;

	if (!mr_consumer_end_handover(h->consumer, h->tag, &bus_tag)) {
		if (h->error != 0)
			return;
		h->error = -ENOENT;
		mr_handover_say(h,
			"the outputs are accepted, but the bus took the input back: it comes "
			"again, and its outputs are dropped as known");
		return;
	}
	if (h->error == 0)
		mr_consumer_settle(h->consumer, bus_tag, MRF_SETTLE_VERB_ACK, 0);
	else
		mr_consumer_settle(h->consumer, bus_tag,
			redeliver ? MRF_SETTLE_VERB_REQUEUE : MRF_SETTLE_VERB_REJECT,
			redeliver ? delay_ms : 0);
}

/* Ends a handover and settles its input. Its outcome is told later, by run_ended. */
void mr_handover_end(struct mr_handover *h, int error)
{
	struct mr_handovers *t = h->client->handovers;

	mr_handover_unlink(h);
	h->error = error;
	if (h->consumer != NULL)
		mr_handover_settle(h);
	h->ended = true;
	if (h->waits)
		return;
	*t->ended_end = h;
	t->ended_end = &h->next;
	mr_housekeep_by(h->client, 0);
}

static void tell(struct mr_handover *h)
{
	struct mr_client *c = h->client;

	if (h->error != 0 && h->text != NULL)
		mr_failf(c, h->error, "%s", h->text);
	else if (h->error != 0)
		mr_fail(c, h->error, NULL);
	c->depth++;
	if (h->callback != NULL)
		h->callback(c, h->tag, h->error, h->arg);
	c->depth--;
	c->ran++;
}

/* Tells the outcomes of all that have ended. Callbacks may end others. */
static void run_ended(struct mr_client *c)
{
	struct mr_handovers *t = c->handovers;
	struct mr_handover *h;

	while ((h = t->ended) != NULL) {
		t->ended = h->next;
		if (t->ended == NULL)
			t->ended_end = &t->ended;
		tell(h);
		mr_handover_free(h);
	}
}

static void refused(struct mr_handover *h, const struct mr_handover_output *o, int error)
{
	char text[MR_SUBJECT_BYTES + 128];

	snprintf(text, sizeof(text), "output %u, queue %s: %s", (unsigned)(o - h->outputs),
		o->queue->name, mr_error_text(error));
	mr_handover_say(h, text);
	mr_handover_end(h, error);
}

void mr_handover_outcome(struct mr_queue *q, uint64_t publisher, uint64_t id, int error)
{
	struct mr_handovers *t = q->client->handovers;
	const struct mrf_message_origin origin = {publisher, id};
	struct mr_handover_output *next;

	if (t == NULL)
		return;
	for (struct mr_handover_output *o = *bucket(t, q, &origin); o != NULL; o = next) {
		next = o->hash_next;
		if (o->queue != q || o->origin.publisher != publisher || o->origin.id != id)
			continue;
		if (error != 0) {
			refused(o->handover, o, error);
			/* Its other outputs may have stood in this bucket. */
			next = *bucket(t, q, &origin);
			continue;
		}
		unlink_output(t, o);
		if (o->handover->open == 0)
			mr_handover_end(o->handover, 0);
	}
	if (!t->adding)
		run_ended(q->client);
}

void mr_handovers_consumer_gone(struct mr_consumer *k)
{
	struct mr_client *c = k->client;
	struct mr_handover *next;

	if (c->handovers == NULL)
		return;
	for (struct mr_handover *h = c->handovers->first; h != NULL; h = next) {
		next = h->next;
		if (h->consumer != k)
			continue;
		h->consumer = NULL;
		mr_handover_say(h,
			"the connection or the consumer was lost: the input comes again, and what "
			"is accepted of its outputs is dropped as known");
		mr_handover_end(h, -ENOTCONN);
	}
	k->handed_over = 0;
}

void mr_handovers_queue_gone(struct mr_queue *q)
{
	struct mr_client *c = q->client;
	struct mr_handover *next;

	if (c->handovers == NULL)
		return;
	for (struct mr_handover *h = c->handovers->first; h != NULL; h = next) {
		bool waits = false;

		next = h->next;
		for (uint32_t i = 0; i < h->count; i++)
			waits |= h->outputs[i].open && h->outputs[i].queue == q;
		if (!waits)
			continue;
		mr_handover_say(h, "the handle of an output's queue was closed");
		mr_handover_end(h, -ENOENT);
	}
}

void mr_handovers_free(struct mr_client *c)
{
	struct mr_handovers *t = c->handovers;
	struct mr_handover *h;

	if (t == NULL)
		return;
	while ((h = t->first) != NULL) {
		t->first = h->next;
		mr_handover_free(h);
	}
	while ((h = t->ended) != NULL) {
		t->ended = h->next;
		mr_handover_free(h);
	}
	free(t);
	c->handovers = NULL;
}

static uint64_t due_ns(const struct mr_client *c)
{
	return c->handovers != NULL && c->handovers->ended != NULL ? 0 : MR_NEVER_NS;
}

static void step(struct mr_client *c, uint64_t now_ns)
{
	(void)now_ns;
	if (c->handovers != NULL)
		run_ended(c);
}

const struct mr_part mr_handover_part = {.due_ns = due_ns, .step = step, .outermost = true};
