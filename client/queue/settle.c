/* SPDX-License-Identifier: Apache-2.0 */
/* settle: settlements by the program, and the Leave of a client that closes. */
#include <string.h>

#include "client/core/error.h"
#include "client/core/ring_out.h"
#include "client/queue/consumer.h"
#include "lib/wire/priority.h"

#define ERROR_START       "NATS/1.0\r\nMillrace-Error: "
#define ERROR_BYTES       260u /* the bus keeps 256, and cuts between characters */
#define ERROR_BLOCK_BYTES (sizeof(ERROR_START) + ERROR_BYTES + 4)

/* Takes a delivery out of the hands of the program. -ENOENT: it is not there. */
static int take(struct mr_consumer *k, uint64_t tag, uint64_t *bus_tag)
{
	if (k == NULL)
		return mr_fail(NULL, -EINVAL, "the consumer is NULL");
	if (k->manual) {
		if (mr_consumer_is_handed_over(k, tag))
			return mr_fail(
				k->client, -EALREADY, "mr_settle_and_push settles this delivery");
		if (!mr_consumer_tag(k, tag, true, bus_tag))
			return mr_fail(k->client, -ENOENT, "no delivery in hand has this tag");
		return 0;
	}
	if (tag == 0 || tag != k->current)
		return mr_fail(k->client, -ENOENT, "no delivery in hand has this tag");
	*bus_tag = tag;
	k->current = 0;
	return 0;
}

static int settle(struct mr_consumer *k, uint64_t tag, enum mrf_settle_verb verb)
{
	uint64_t bus_tag;
	int error = take(k, tag, &bus_tag);

	if (error == 0)
		mr_consumer_settle(k, bus_tag, verb, 0);
	return error;
}

static struct mrf_settlement nack_of(
	const struct mr_consumer *k, uint64_t bus_tag, bool requeue, uint32_t delay_ms)
{
	bool fallback = requeue && delay_ms == 0 && k->retry_delay_ms != 0;

	return (struct mrf_settlement){
		.tag = bus_tag,
		.delay_ms = fallback ? k->retry_delay_ms : delay_ms,
		.verb = requeue ? MRF_SETTLE_VERB_REQUEUE : MRF_SETTLE_VERB_REJECT,
		.fallback = fallback,
	};
}

/* Writes the block of a Settle; `text` is one line in it. Returns its bytes. */
static uint32_t error_block(char block[ERROR_BLOCK_BYTES], const char *text)
{
	size_t text_bytes = strnlen(text, ERROR_BYTES);
	char *at = mempcpy(block, ERROR_START, sizeof(ERROR_START) - 1);

	for (size_t i = 0; i < text_bytes; i++)
		*at++ = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
	at = mempcpy(at, "\r\n\r\n", 4);
	return (uint32_t)(at - block);
}

/* Sends a settlement with its error text, in a message of its own. False: no room now. */
static bool send_error(struct mr_consumer *k, const struct mrf_settlement *s, const char *text)
{
	char block[ERROR_BLOCK_BYTES];
	uint32_t block_bytes = error_block(block, text), bytes;
	uint8_t *to;

	mr_consumer_flush(k); /* what was settled before */
	bytes = mr_message_bytes(false, 0, block_bytes, sizeof(*s));
	if (k->settlements_count > 0 || k->queue == 0 || k->client->refuse != 0)
		return false;
	to = mr_ring_promised_room(k->client, bytes);
	if (to == NULL)
		return false;
	to = mr_message_begin(
		to, MRF_MESSAGE_KIND_SETTLE, k->queue, NULL, 0, block_bytes, sizeof(*s));
	memcpy(to, block, block_bytes);
	memcpy(to + block_bytes, s, sizeof(*s));
	mr_ring_promised_pushed(k->client, bytes);
	mr_ring_out_publish_rest(k->client);
	return true;
}

int mr_ack(struct mr_consumer *k, uint64_t tag)
{
	return settle(k, tag, MRF_SETTLE_VERB_ACK);
}

int mr_nack(struct mr_consumer *k, uint64_t tag, bool requeue, uint32_t delay_ms)
{
	return mr_nack_error(k, tag, requeue, delay_ms, NULL);
}

/* Without room the settlement goes without its text. */
int mr_nack_error(
	struct mr_consumer *k, uint64_t tag, bool requeue, uint32_t delay_ms, const char *text)
{
	struct mrf_settlement s;
	uint64_t bus_tag;
	int error = take(k, tag, &bus_tag);

	if (error != 0)
		return error;
	s = nack_of(k, bus_tag, requeue, delay_ms);
	if (text != NULL && (k->settle_options & MRF_SETTLE_OPTION_ERROR) != 0 &&
		send_error(k, &s, text)) {
		if (bus_tag == k->handed_tag)
			k->handed_tag = 0;
		return 0;
	}
	mr_consumer_settle_as(k, &s);
	return 0;
}

void mr_consumer_retry_delay(struct mr_consumer *k, uint32_t delay_ms)
{
	if (k != NULL)
		k->retry_delay_ms = delay_ms;
}

int mr_give_back(struct mr_consumer *k, uint64_t tag)
{
	return settle(k, tag, MRF_SETTLE_VERB_RETURNED);
}

/* Returns the bus's tag of the delivery that the program was given last; 0: none. An older one may
 * have timed out, and the bus would not know its tag. */
static uint64_t in_hand(const struct mr_consumer *k)
{
	const struct mr_unsettled *newest = NULL;

	if (!k->manual)
		return k->current;
	for (uint32_t i = 0; i < k->unsettled_room; i++)
		if (k->unsettled[i].serial != 0 &&
			(newest == NULL || k->unsettled[i].serial > newest->serial))
			newest = &k->unsettled[i];
	return newest != NULL ? newest->tag : 0;
}

void mr_consumers_leave(struct mr_client *c)
{
	for (uint32_t i = 0; i < c->subscriptions_top; i++) {
		struct mr_consumer *k = (struct mr_consumer *)c->subscriptions[i];
		uint64_t tag = k != NULL && k->base.consumes ? in_hand(k) : 0;

		if (tag != 0)
			mr_consumer_settle(k, tag, MRF_SETTLE_VERB_LEAVE, 0);
	}
}

unsigned mr_delivery_attempts(const struct mr_delivery *d)
{
	const struct mr_consumer *k = d != NULL ? d->consumer : NULL;
	uint64_t bus_tag;

	if (k == NULL)
		return 0;
	bus_tag = d->tag;
	if (k->manual && !mr_consumer_tag(d->consumer, d->tag, false, &bus_tag))
		return d->redelivered;
	if (bus_tag != k->current || k->spared > d->redelivered)
		return d->redelivered;
	return d->redelivered - k->spared;
}

uint64_t mr_delivery_number(const struct mr_delivery *d)
{
	uint64_t bus_tag;

	if (d == NULL || d->consumer == NULL)
		return 0;
	if (!d->consumer->manual)
		return d->tag;
	return mr_consumer_tag(d->consumer, d->tag, false, &bus_tag) ? bus_tag : 0;
}

unsigned mr_delivery_priority(const struct mr_delivery *d)
{
	const struct mr_consumer *k = d != NULL ? d->consumer : NULL;
	uint64_t bus_tag;

	if (k == NULL)
		return MR_LEVEL_NORMAL;
	bus_tag = d->tag;
	if (k->manual && !mr_consumer_tag(d->consumer, d->tag, false, &bus_tag))
		return mr_level_of_priority(d->priority);
	return mr_level_of_priority(bus_tag == k->current ? k->priority : d->priority);
}
