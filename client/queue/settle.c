/* SPDX-License-Identifier: Apache-2.0 */
/* settle: settlements by the program, and the Leave of a client that closes. */
#include "client/core/error.h"
#include "client/queue/consumer.h"
#include "lib/wire/priority.h"

static int settle(struct mr_consumer *k, uint64_t tag, enum mrf_settle_verb verb, uint32_t delay_ms)
{
	struct mr_client *c;
	uint64_t bus_tag;

	if (k == NULL)
		return mr_fail(NULL, -EINVAL, "the consumer is NULL");
	c = k->client;
	if (k->manual) {
		if (mr_consumer_is_handed_over(k, tag))
			return mr_fail(c, -EALREADY, "mr_settle_and_push settles this delivery");
		if (!mr_consumer_tag(k, tag, true, &bus_tag))
			return mr_fail(c, -ENOENT, "no delivery in hand has this tag");
	} else {
		if (tag == 0 || tag != k->current)
			return mr_fail(c, -ENOENT, "no delivery in hand has this tag");
		bus_tag = tag;
		k->current = 0;
	}
	mr_consumer_settle(k, bus_tag, verb, delay_ms);
	return 0;
}

int mr_ack(struct mr_consumer *k, uint64_t tag)
{
	return settle(k, tag, MRF_SETTLE_VERB_ACK, 0);
}

int mr_nack(struct mr_consumer *k, uint64_t tag, bool requeue, uint32_t delay_ms)
{
	return settle(k, tag, requeue ? MRF_SETTLE_VERB_REQUEUE : MRF_SETTLE_VERB_REJECT, delay_ms);
}

int mr_give_back(struct mr_consumer *k, uint64_t tag)
{
	return settle(k, tag, MRF_SETTLE_VERB_RETURNED, 0);
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
