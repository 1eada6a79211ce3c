/* SPDX-License-Identifier: Apache-2.0 */
/* handover_call: mr_settle_and_push: numbers of outputs, checks, pushing and waiting. */
#include <stdlib.h>
#include <string.h>

#include "client/core/away.h"
#include "client/core/error.h"
#include "client/core/ring_out.h"
#include "client/core/sized.h"
#include "client/core/wait.h"
#include "client/queue/consumer.h"
#include "client/queue/handover.h"
#include "client/queue/queue.h"

#define ID_MAX INT64_MAX
#define DEAD   ".dead"

/* The call's arguments, checked. */
struct request {
	struct mr_client *client;
	struct mr_consumer *consumer;
	const struct mr_delivery *input;
	const struct mr_output *outputs;
	uint32_t count;
	size_t push_bytes;
	struct mr_settle_options options;
	bool waits;
	mr_settle_fn *callback;
	void *arg;
};

/* Numbers of outputs. */

static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t count)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < count; i++)
		h = (h ^ at[i]) * 0x100000001b3u;
	return h;
}

/* Returns the publisher number of an output: docs/protocol.md, Handing over. A queue and its dead
 * letters count as one: an input may come from the one or the other. */
static uint64_t publisher_of(const struct mr_consumer *k, uint64_t publisher, uint32_t place)
{
	size_t bytes = strlen(k->name), dead = strlen(DEAD);
	uint8_t first[8], last[2] = {(uint8_t)place, (uint8_t)(place >> 8)};
	uint64_t h = 0xcbf29ce484222325u;

	if (bytes > dead && strcmp(k->name + bytes - dead, DEAD) == 0)
		bytes -= dead;
	for (unsigned i = 0; i < sizeof(first); i++)
		first[i] = (uint8_t)(publisher >> 8 * i);
	h = hash_bytes(h, first, sizeof(first));
	h = hash_bytes(h, k->name, bytes);
	h = hash_bytes(h, last, sizeof(last));
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return (h ^ h >> 32) | 1;
}

/* Returns the place of output `at` among those to its queue. Two handles may have one queue. */
static uint32_t place_of(const struct request *r, uint32_t at)
{
	uint32_t place = 0;

	for (uint32_t i = 0; i < at; i++)
		place += strcmp(r->outputs[i].queue->name, r->outputs[at].queue->name) == 0;
	return place;
}

static struct mrf_message_origin origin_of(const struct request *r, uint32_t at)
{
	if (r->input->publisher == 0)
		return mr_queue_own_origin(r->outputs[at].queue);
	return (struct mrf_message_origin){
		publisher_of(r->consumer, r->input->publisher, place_of(r, at)), r->input->id};
}

/* Checks. */

static int read_push(const struct request *r, uint32_t at, struct mr_push *out)
{
	return mr_sized_read(r->client, "mr_settle_and_push", out, sizeof(*out),
		r->outputs[at].push, r->push_bytes);
}

static int check_output(const struct request *r, uint32_t at)
{
	const struct mr_output *o = &r->outputs[at];
	struct mr_push push;
	int error;

	if (o->queue == NULL || o->push == NULL || o->queue->client != r->client ||
		o->queue->closed)
		return mr_failf(r->client, -EINVAL,
			"output %u: no message, or no queue of this client", (unsigned)at);
	error = read_push(r, at, &push);
	if (error == 0 && (push.id != 0 || push.publisher != 0))
		error = mr_failf(r->client, -EINVAL,
			"output %u has a number of its own: it gets one from its input",
			(unsigned)at);
	return error;
}

static int check_input(const struct request *r)
{
	struct mr_client *c = r->client;
	uint64_t unused;

	if (!r->consumer->manual)
		return mr_fail(c, -EINVAL, "the consumer settles by itself: open it with manual");
	if (mr_consumer_is_handed_over(r->consumer, r->input->tag))
		return mr_fail(c, -EALREADY, "mr_settle_and_push settles this delivery");
	if (!mr_consumer_tag(r->consumer, r->input->tag, false, &unused))
		return mr_fail(c, -ENOENT, "no delivery in hand has this tag");
	if (r->input->publisher == 0 && r->count > 0 && !r->options.at_least_once)
		return mr_fail(c, -EINVAL,
			"the input has no number, as it was not pushed exactly once: its outputs "
			"could be there twice; at_least_once accepts that");
	if (r->input->id > ID_MAX)
		return mr_fail(c, -EINVAL, "the number of the input is too high");
	return 0;
}

static int check(const struct request *r)
{
	static const uint8_t zeros[sizeof(r->options.reserved)];
	int error;

	if ((unsigned)r->options.when_refused > MR_REFUSED_REJECT ||
		memcmp(r->options.reserved, zeros, sizeof(zeros)) != 0)
		return mr_fail(r->client, -EINVAL, "when_refused or a reserved option is unknown");
	error = check_input(r);
	for (uint32_t i = 0; i < r->count && error == 0; i++)
		error = check_output(r, i);
	return error;
}

static bool is_open(const struct request *r, uint32_t at, const struct mrf_message_origin *origin)
{
	return r->input->publisher != 0 &&
	       mr_outbox_has(&r->outputs[at].queue->box, origin->publisher, origin->id);
}

/* Checks that an output's outbox takes it and the ones after it to the same handle. */
static int check_room(const struct request *r, uint32_t at)
{
	struct mr_queue *q = r->outputs[at].queue;
	struct mr_client *c = r->client;
	uint64_t bytes = 0, one = 0;
	uint32_t count = 0;
	int error = 0;

	for (uint32_t i = at; i < r->count && error == 0; i++) {
		struct mrf_message_origin origin = origin_of(r, i);
		struct mr_push push;

		if (r->outputs[i].queue != q || is_open(r, i, &origin))
			continue;
		(void)read_push(r, i, &push);
		error = mr_queue_measure_output(q, &push, &origin, &one);
		bytes += one;
		count++;
	}
	if (error != 0 || count == 0)
		return error;
	error = mr_outbox_store_fits(&q->box, count, bytes);
	if (error == -E2BIG)
		return mr_failf(c, error, "queue %s takes at most %u outputs of one input", q->name,
			(unsigned)q->box.window);
	return error != 0 ? mr_fail(c, error, "the window of unaccepted messages is full") : 0;
}

static bool is_first_to_its_handle(const struct request *r, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++)
		if (r->outputs[i].queue == r->outputs[at].queue)
			return false;
	return true;
}

/* 0: all outputs can be pushed now. */
static int check_rooms(const struct request *r)
{
	int error = 0;

	for (uint32_t i = 0; i < r->count && error == 0; i++)
		if (is_first_to_its_handle(r, i))
			error = check_room(r, i);
	return error;
}

/* Beginning. */

static int make_table(struct mr_client *c)
{
	if (c->handovers != NULL)
		return 0;
	c->handovers = calloc(1, sizeof(*c->handovers));
	if (c->handovers == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	c->handovers->ended_end = &c->handovers->ended;
	return 0;
}

static struct mr_handover *new_handover(const struct request *r)
{
	struct mr_handover *h = calloc(1, sizeof(*h) + r->count * sizeof(h->outputs[0]));

	if (h == NULL)
		return NULL;
	h->client = r->client;
	h->consumer = r->consumer;
	h->tag = r->input->tag;
	h->options = r->options;
	h->waits = r->waits;
	h->callback = r->callback;
	h->arg = r->arg;
	return h;
}

/* Pushes an output, unless it is open already, and enters it. */
static int push_output(struct mr_handover *h, const struct request *r, uint32_t at)
{
	struct mrf_message_origin origin = origin_of(r, at);
	struct mr_queue *q = r->outputs[at].queue;
	struct mr_push push;
	int error = 0;

	if (!is_open(r, at, &origin)) {
		(void)read_push(r, at, &push);
		error = mr_queue_push_output(q, &push, &origin);
	}
	if (error != 0)
		return error;
	h->outputs[at] = (struct mr_handover_output){.handover = h, .queue = q, .origin = origin};
	mr_handover_link_output(&h->outputs[at]);
	return 0;
}

/* Pushes all outputs. An error: none was pushed. When only some could be, for want of memory, the
 * handover ends with that error, as if the next one had been refused. */
static int push_outputs(struct mr_handover *h, const struct request *r)
{
	int error = 0;
	uint32_t at = 0;

	for (; at < r->count && error == 0; at++) {
		error = push_output(h, r, at);
		h->count += error == 0;
	}
	if (error != 0 && at == 1)
		return error;
	if (error != 0)
		mr_handover_say(h, mr_error(h->client));
	if (error != 0 || h->open == 0)
		mr_handover_end(h, error);
	return 0;
}

static int begin(const struct request *r, struct mr_handover *h)
{
	struct mr_handovers *t = r->client->handovers;
	int error;

	if (!mr_consumer_hand_over(r->consumer, r->input->tag))
		return mr_fail(r->client, -ENOENT, "no delivery in hand has this tag");
	mr_handover_link(h);
	t->adding = true;
	error = push_outputs(h, r);
	t->adding = false;
	if (error == 0)
		return 0;
	mr_handover_unlink(h);
	mr_consumer_take_back(r->consumer, r->input->tag);
	return error;
}

static int make(const struct request *r, struct mr_handover **out)
{
	struct mr_handover *h;
	int error = r->count > 0 ? check_rooms(r) : 0;

	if (error == 0)
		error = make_table(r->client);
	if (error != 0)
		return error;
	h = new_handover(r);
	if (h == NULL)
		return mr_fail(r->client, -ENOMEM, NULL);
	error = begin(r, h);
	if (error != 0)
		mr_handover_free(h);
	else
		*out = h;
	return error;
}

/* 0: the handover is under way, or has ended already. The depth keeps the session: it does not end
 * between two outputs. */
static int hand_over(const struct request *r, struct mr_handover **out)
{
	int error;

	*out = NULL;
	r->client->depth++;
	error = make(r, out);
	r->client->depth--;
	return error;
}

/* Calls of the program. */

static int read_request(struct request *r, const struct mr_delivery *input,
	const struct mr_output *outputs, size_t count, const struct mr_settle_options *options,
	size_t options_bytes)
{
	int error;

	if (input == NULL || input->consumer == NULL || (outputs == NULL && count > 0))
		return mr_fail(NULL, -EINVAL, "mr_settle_and_push: an argument is NULL");
	r->client = input->consumer->client;
	r->consumer = input->consumer;
	r->input = input;
	r->outputs = outputs;
	r->count = (uint32_t)count;
	if (count > MR_OUTPUTS_MAX)
		return mr_failf(r->client, -EINVAL, "more than %u outputs", MR_OUTPUTS_MAX);
	error = mr_ready(r->client, false);
	if (error == -ENOTCONN && r->client->state == MR_STATE_RESTORING)
		error = 0;
	if (error == 0)
		error = mr_sized_read(r->client, "mr_settle_and_push", &r->options,
			sizeof(r->options), options, options_bytes);
	return error != 0 ? error : check(r);
}

int mr_settle_and_push_async_sized(const struct mr_delivery *input, const struct mr_output *outputs,
	size_t count, const struct mr_settle_options *options, mr_settle_fn *callback, void *arg,
	size_t options_bytes, size_t push_bytes)
{
	struct request r = {.push_bytes = push_bytes, .callback = callback, .arg = arg};
	int error = read_request(&r, input, outputs, count, options, options_bytes);
	struct mr_handover *h;

	return error != 0 ? error : hand_over(&r, &h);
}

/* Ends the input of a handover that did not begin in time, as if an output had been refused. */
static void give_up(const struct request *r)
{
	struct mr_handover h = {.client = r->client,
		.consumer = r->consumer,
		.tag = r->input->tag,
		.options = r->options,
		.error = -ETIMEDOUT};

	if (mr_consumer_hand_over(r->consumer, r->input->tag))
		mr_handover_settle(&h);
}

/* Waits until something is accepted. */
static int wait_for_room(struct mr_client *c, struct mr_wait_limit *limit)
{
	unsigned handled = mr_receive_some(c, MR_WAIT_MESSAGES_MAX, true);
	int error;

	if (c->eof || c->state == MR_STATE_LOST)
		return mr_ring_out_refused(c);
	error = handled == 0 ? mr_pause(c, limit) : 0;
	return error == -EINTR ? 0 : error;
}

static int begin_in_time(
	const struct request *r, struct mr_wait_limit *limit, struct mr_handover **out)
{
	int error = hand_over(r, out);

	while (error == -EAGAIN) {
		error = wait_for_room(r->client, limit);
		if (error == -ETIMEDOUT)
			give_up(r);
		if (error == 0)
			error = hand_over(r, out);
	}
	return error;
}

/* Lets the client go on restoring its queues. The outputs are copied. */
static void wait_restored(struct mr_client *c, const struct mr_wait_limit *limit)
{
	uint64_t now_ns = mr_now_ns();

	if (c->state != MR_STATE_RESTORING || c->depth != 1 || now_ns >= limit->deadline_ns)
		return;
	c->depth--;
	c->hold = false;
	mr_away_wait(c, (limit->deadline_ns - now_ns) / MR_NS_PER_MS + 1);
	c->depth++;
}

static int wait_for_end(struct mr_handover *h, struct mr_wait_limit *limit)
{
	int error = 0;

	wait_restored(h->client, limit);
	while (!h->ended && (error == 0 || error == -EINTR))
		error = mr_await(h->client, &h->ended, limit);
	if (!h->ended)
		mr_handover_end(h, error);
	return h->error;
}

static int fail_waiting(struct mr_handover *h)
{
	struct mr_client *c = h->client;

	if (h->text != NULL)
		return mr_failf(c, h->error, "%s", h->text);
	return h->error == -ETIMEDOUT
		       ? mr_fail(c, -ETIMEDOUT, "the outputs were not accepted in time")
		       : mr_fail(c, h->error, NULL);
}

/* The depth keeps what the program was handed: outputs may be parts of it. */
static int hand_over_waiting(const struct request *r)
{
	struct mr_client *c = r->client;
	struct mr_handover *h = NULL;
	struct mr_wait_limit limit;
	int error;

	mr_wait_limit_init(&limit, c,
		r->options.timeout_ms != 0 ? r->options.timeout_ms : c->options.request_timeout_ms);
	c->depth++;
	error = begin_in_time(r, &limit, &h);
	if (error == 0)
		error = wait_for_end(h, &limit);
	c->depth--;
	mr_end(c);
	if (h == NULL)
		return error == -ETIMEDOUT
			       ? mr_fail(c, error, "the bus did not accept earlier pushes in time")
			       : error;
	if (error != 0)
		error = fail_waiting(h);
	mr_handover_free(h);
	return error;
}

int mr_settle_and_push_sized(const struct mr_delivery *input, const struct mr_output *outputs,
	size_t count, const struct mr_settle_options *options, size_t options_bytes,
	size_t push_bytes)
{
	struct request r = {.push_bytes = push_bytes, .waits = true};
	int error = read_request(&r, input, outputs, count, options, options_bytes);

	if (error == 0 &&
		(r.client->refuse == -EDEADLK || (r.client->refuse != 0 && r.client->depth > 0)))
		error = mr_ring_out_refused(r.client);
	return error != 0 ? error : hand_over_waiting(&r);
}
