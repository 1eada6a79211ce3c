/* SPDX-License-Identifier: Apache-2.0 */
/* consumer_open: opens consumers, and opens them again after a session was lost or the bus has
 * closed them. */
#include <stdlib.h>
#include <string.h>

#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/core/names.h"
#include "client/core/ring_out.h"
#include "client/core/sized.h"
#include "client/core/wait.h"
#include "client/queue/consumer.h"
#include "client/queue/queue.h"
#include "client/subscribe/subscribe.h"

#define REOPEN_NS        (1000 * MR_NS_PER_MS)
#define RATE_MIN         0.001
#define RATE_MAX         1e6
#define RENEW_MS_DEFAULT 300000u
#define RENEW_MS_MAX     86400000u

uint32_t mr_consumer_encode(const struct mr_consumer *k, uint8_t *to, uint32_t room)
{
	struct mrf_consume_request request = {
		.subscription = k->base.id,
		.kind = k->service ? MRF_QUEUE_KIND_SERVICE : MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(k->name),
		.prefetch = k->prefetch,
		.weight = k->weight,
		.says_handed = true,
		.recalls = true,
		.tag = mrf_str(k->tag),
		.rate = k->rate,
		.prefetch_bytes = k->prefetch_bytes,
		.paused = k->paused,
		.dead_letter = mr_queue_dead_letter_field(k->dead_letter),
	};
	uint8_t memory[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	request.options = mr_queue_options_write(&b, &k->options, k->key_from, &k->retry);
	return mr_control_request_encode(&b, MRF_CLIENT_BODY_CONSUME_REQUEST,
		mrf_consume_request_write(&b, &request), to, room);
}

int mr_consumer_opened(struct mr_consumer *k, const struct mr_control_answer *a)
{
	k->queue = a->code == 0 ? a->queue : 0;
	if (k->queue != 0) {
		k->known = a->consume_options;
		k->heartbeat_ms = a->heartbeat_ms;
		k->missed_max = a->missed_max;
		k->settle_options = a->settle_options;
		k->reopen_ns = 0;
		mr_renew_opened(k, a);
		if (k->on_change != NULL)
			k->on_change(k);
		return 0;
	}
	if (a->code != -ENOTCONN) {
		k->reopen_ns = mr_now_ns() + REOPEN_NS;
		k->client->consumers_to_reopen = true;
		mr_housekeep_by(k->client, k->reopen_ns);
	}
	return a->code != 0 ? a->code : -EPROTO;
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

static int check_limits(struct mr_client *c, const struct mr_consume_options *options)
{
	const char *fault = options->tag == NULL
				    ? NULL
				    : mr_queue_tag_fault(options->tag, strlen(options->tag));

	if (fault != NULL)
		return mr_failf(c, -EINVAL, "tag: %s", fault);
	if (options->rate != 0 && !(options->rate >= RATE_MIN && options->rate <= RATE_MAX))
		return mr_fail(c, -EINVAL, "rate: 0.001 to 1,000,000 messages per second");
	if (options->renew_max_ms > RENEW_MS_MAX)
		return mr_failf(c, -EINVAL, "renew_max_ms: at most %u", RENEW_MS_MAX);
	if (!is_zero(options->reserved, sizeof(options->reserved)))
		return mr_fail(c, -EINVAL, "consumer: reserved options are not 0");
	return 0;
}

static int check(struct mr_client *c, const char *name, const struct mr_consume_options *options)
{
	const char *fault = mr_name_subject_fault(name, strlen(name));

	if (fault != NULL)
		return mr_failf(c, -EINVAL, "queue: %s", fault);
	if (options->prefetch > MR_QUEUE_PREFETCH_MAX)
		return mr_failf(c, -EINVAL, "prefetch: at most %u", MR_QUEUE_PREFETCH_MAX);
	return check_limits(c, options)
		       ?: mr_queue_options_check(
				  c, &options->queue, options->key_from, &options->retry);
}

static void take_limits(struct mr_consumer *k, const struct mr_consume_options *options)
{
	k->rate = (uint32_t)(options->rate * 1000 + 0.5);
	k->prefetch_bytes = options->prefetch_bytes;
	if (options->tag != NULL)
		memcpy(k->tag, options->tag, strlen(options->tag));
	if (options->exclusive)
		k->options.single_active = MR_SINGLE_ACTIVE_YES;
	if (options->auto_renew)
		k->renew_max_ms =
			options->renew_max_ms != 0 ? options->renew_max_ms : RENEW_MS_DEFAULT;
}

int mr_consumer_new(struct mr_client *c, bool service, const char *name,
	const struct mr_consume_options *options, struct mr_consumer **out)
{
	struct mr_consumer *k;
	uint32_t prefetch;
	int error;

	*out = NULL;
	if (c->refuse != 0)
		return mr_ring_out_refused(c);
	error = check(c, name, options);
	if (error != 0)
		return error;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	prefetch = options->prefetch != 0 ? options->prefetch : service ? 1 : MR_CONSUMER_PREFETCH;
	k->base.client = c;
	k->base.consumes = true;
	k->client = c;
	k->service = service;
	k->manual = options->manual;
	k->prefetch = options->prefetch;
	k->weight = options->weight;
	k->batch = prefetch / 2 > MR_SETTLEMENTS_MAX ? MR_SETTLEMENTS_MAX : prefetch / 2;
	if (k->batch == 0)
		k->batch = 1;
	k->options = options->queue;
	take_limits(k, options);
	mr_queue_key_from_copy(k->key_from, options->key_from);
	k->retry = options->retry;
	k->unsettled_free = UINT32_MAX;
	k->fifo_end = &k->fifo_first;
	memcpy(k->name, name, strlen(name) + 1);
	error = mr_queue_dead_letter_take(c, k->dead_letter, options->dead_letter);
	if (error != 0) {
		free(k);
		return error;
	}
	/* The first place is for a row of acks. */
	if (!mr_consumer_settlements_room(k)) {
		free(k);
		return mr_fail(c, -ENOMEM, NULL);
	}
	*out = k;
	return 0;
}

/* Returns what the consumer wants and an older bus would ignore. A tag is only shown. */
static uint32_t wanted_of(const struct mr_consumer *k)
{
	return (k->rate != 0 ? MRF_CONSUME_OPTION_RATE : 0u) |
	       (k->prefetch_bytes != 0 ? MRF_CONSUME_OPTION_PREFETCH_BYTES : 0u) |
	       (k->options.single_active != 0 ? MRF_CONSUME_OPTION_SINGLE_ACTIVE : 0u) |
	       (k->renew_max_ms != 0 ? MRF_CONSUME_OPTION_LEASE : 0u) |
	       (k->dead_letter[0] != '\0' ? MRF_CONSUME_OPTION_DEAD_LETTER : 0u);
}

int mr_consumer_open(struct mr_consumer *k)
{
	struct mr_client *c = k->client;
	uint8_t body[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mr_control_ask ask = {.body = body, .timeout_ms = -1};
	struct mr_control_answer found;
	int error;

	if (mr_subscription_id_take(c, &k->base.id) != 0) {
		mr_consumer_free(k);
		return mr_fail(c, -ENOMEM, NULL);
	}
	c->calls_back = true;
	/* The first delivery may arrive before the answer. */
	c->subscriptions[k->base.id] = &k->base;
	ask.bytes = mr_consumer_encode(k, body, sizeof(body));
	error = mr_control_request_wait(c, &ask, &found);
	if (error == 0 && mr_consumer_opened(k, &found) != 0)
		error = mr_fail(c, -EPROTO, "the bus answered without a queue");
	if (error == 0 && (wanted_of(k) & ~k->known) != 0) {
		(void)mr_consumer_close(k);
		return mr_fail(c, -EOPNOTSUPP, "the bus is older and does not know this option");
	}
	if (error == 0)
		return 0;
	c->subscriptions[k->base.id] = NULL;
	mr_deferred_forget(c, k->base.id);
	if (error != -ETIMEDOUT)
		mr_subscription_id_give_back(c, k->base.id);
	mr_consumer_free(k);
	return error;
}

int mr_consume_sized(struct mr_client *c, const char *queue,
	const struct mr_consume_options *options, mr_delivery_fn *callback, void *arg,
	struct mr_consumer **out, size_t options_bytes)
{
	struct mr_consume_options own;
	struct mr_consumer *k;
	int error;

	if (c == NULL || queue == NULL || out == NULL)
		return mr_fail(c, -EINVAL, "mr_consume: an argument is NULL");
	*out = NULL;
	error = mr_sized_read(c, "mr_consume", &own, sizeof(own), options, options_bytes);
	if (error == 0)
		error = mr_consumer_new(c, false, queue, &own, &k);
	if (error != 0)
		return error;
	k->callback = callback;
	k->arg = arg;
	/* A callback may run before this returns. */
	*out = k;
	error = mr_consumer_open(k);
	if (error != 0)
		*out = NULL;
	return error;
}

/* Lost sessions, and consumers that the bus has closed. */

static void consumer_lost(struct mr_consumer *k)
{
	k->queue = 0;
	k->reopen_ns = 0;
	mr_consumer_forget(k);
	mr_deferred_forget(k->client, k->base.id);
	k->base.deferred = 0;
	if (k->on_change != NULL)
		k->on_change(k);
}

static void consumers_lost(struct mr_client *c)
{
	for (uint32_t i = 0; i < c->subscriptions_top; i++) {
		if (c->subscriptions[i] != NULL && c->subscriptions[i]->consumes)
			consumer_lost((struct mr_consumer *)c->subscriptions[i]);
	}
}

void mr_consumer_disconnected(struct mr_client *c, uint32_t subscription)
{
	struct mr_subscription *s = mr_subscription_find(c, subscription);

	if (s == NULL || !s->consumes) {
		c->unmatched++;
		return;
	}
	consumer_lost((struct mr_consumer *)s);
	((struct mr_consumer *)s)->reopen_ns = 1;
	c->consumers_to_reopen = true;
	mr_housekeep_by(c, 0);
}

static void reopened(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct mr_subscription *s = mr_subscription_find(c, object);

	(void)arg;
	if (s != NULL && s->consumes)
		mr_consumer_opened((struct mr_consumer *)s, a);
}

static void reopen(struct mr_consumer *k)
{
	struct mr_control_request *request =
		mr_control_request_new(k->client, reopened, NULL, k->base.id);

	if (request == NULL)
		return;
	k->reopen_ns = 0;
	request->bytes = mr_consumer_encode(k, request->body, sizeof(request->body));
	mr_control_request_send(k->client, request, MR_NEVER_NS);
}

static void open_lost(struct mr_client *c, uint64_t now_ns)
{
	if (!c->consumers_to_reopen || c->refuse != 0)
		return;
	c->consumers_to_reopen = false;
	for (uint32_t i = 0; i < c->subscriptions_top; i++) {
		struct mr_consumer *k = (struct mr_consumer *)c->subscriptions[i];

		if (k == NULL || !k->base.consumes || k->reopen_ns == 0)
			continue;
		if (k->reopen_ns <= now_ns)
			reopen(k);
		if (k->reopen_ns == 0)
			continue;
		c->consumers_to_reopen = true;
		mr_housekeep_by(c, k->reopen_ns);
	}
}

/* Settlements that found no room are tried again soon. */
static uint64_t due_ns(const struct mr_client *c)
{
	if (mr_likely(c->dirty == NULL) || c->refuse != 0)
		return MR_NEVER_NS;
	return mr_now_ns() + MR_NS_PER_MS;
}

const struct mr_part mr_consumer_part = {
	.due_ns = due_ns,
	.step = open_lost,
	.flush = mr_consumers_flush,
	.lost = consumers_lost,
};
