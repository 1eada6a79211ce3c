/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/client/fake_bus.h"

#define WINDOW_DEFAULT 16u

void fake_queues_init(struct fake_queues *q)
{
	*q = (struct fake_queues){0};
	q->queues = calloc(FAKE_QUEUES_MAX, sizeof(*q->queues));
	if (q->queues == NULL)
		abort();
}

static void empty(struct fake_queue *q)
{
	for (uint32_t i = q->first; i < q->next; i++) {
		free(q->messages[i].record);
		q->messages[i].record = NULL;
	}
	q->first = q->next = 0;
}

void fake_queues_fini(struct fake_queues *q)
{
	for (unsigned i = 0; i < FAKE_QUEUES_MAX; i++)
		empty(&q->queues[i]);
	free(q->queues);
}

static struct fake_targets all(struct bus *b)
{
	return (struct fake_targets){
		b->queues.queues, FAKE_QUEUES_MAX, sizeof(b->queues.queues[0])};
}

static struct fake_queue *by_name(struct bus *b, const char *name)
{
	const struct fake_targets queues = all(b);

	return (struct fake_queue *)fake_target_by_name(&queues, name);
}

static struct fake_queue *by_number(struct bus *b, uint32_t number)
{
	const struct fake_targets queues = all(b);

	return (struct fake_queue *)fake_target_by_number(&queues, number);
}

static struct fake_queue *find_or_make(struct bus *b, const char *name)
{
	const struct fake_targets queues = all(b);
	struct fake_queue *q = by_name(b, name);

	if (q != NULL)
		return q;
	q = (struct fake_queue *)fake_target_new(&queues, name);
	if (q != NULL)
		q->target.number =
			1u << 27 | ++q->made << 17 | (uint32_t)(q - b->queues.queues + 1);
	return q;
}

static void add_consumer(
	struct bus *b, struct fake_queue *q, struct bus_session *s, struct mrf_table t)
{
	uint32_t subscription = mrf_consume_request_subscription(t);
	uint32_t prefetch = mrf_consume_request_prefetch(t);

	b->queues.consume.rate = mrf_consume_request_rate(t);
	b->queues.consume.prefetch_bytes = mrf_consume_request_prefetch_bytes(t);
	b->queues.consume.paused = mrf_consume_request_paused(t);
	b->queues.consume.single_active =
		mrf_queue_options_single_active(mrf_consume_request_options(t));
	b->queues.consume.count++;
	snprintf(b->queues.consume.tag, sizeof(b->queues.consume.tag), "%s",
		mrf_consume_request_tag(t).data);
	if (fake_consumer_find(&q->target, s->id, subscription) == NULL)
		fake_consumer_add(&q->target, s->id, subscription, prefetch != 0 ? prefetch : 10);
}

uint32_t fake_queue_open(struct bus *b, struct bus_session *s, struct mrf_table t, bool consume,
	struct mrf_builder *out, uint8_t *type)
{
	const char *name =
		consume ? mrf_consume_request_name(t).data : mrf_queue_request_name(t).data;
	struct fake_queue *q;

	if (b->queues.open_code != 0)
		return mrf_result_write(out, &(struct mrf_result){.code = b->queues.open_code,
						     .text = mrf_str("no such thing")});
	q = find_or_make(b, name);
	if (consume)
		add_consumer(b, q, s, t);
	*type = MRF_CLIENT_BODY_QUEUE_RESPONSE;
	return mrf_queue_response_write(out,
		&(struct mrf_queue_response){.queue = q->target.number,
			.window = b->queues.window != 0 ? b->queues.window : WINDOW_DEFAULT,
			.heartbeat_ms = 1000,
			.missed_max = 3,
			.ack_timeout_ms = b->queues.ack_timeout_ms,
			.max_deliver = 5,
			.consume_options = b->queues.older ? 0 : UINT32_MAX,
			.settle_options = b->queues.older ? 0 : MRF_SETTLE_OPTION_ERROR,
			.push_options =
				b->queues.older
					? 0
					: MRF_PUSH_OPTION_TTL | MRF_PUSH_OPTION_DELAY |
						  MRF_PUSH_OPTION_KEY | MRF_PUSH_OPTION_PRIORITY |
						  MRF_PUSH_OPTION_TICKET | MRF_PUSH_OPTION_REPEAT});
}

static void release(struct fake_queue *q, struct fake_consumer *consumer)
{
	for (uint32_t i = q->first; i < q->next; i++) {
		struct fake_message *m = &q->messages[i];

		if (m->record == NULL || m->holder == 0 || m->consumer != consumer)
			continue;
		m->holder = 0;
		m->redelivered++;
		m->spared++;
	}
	consumer->session = 0;
}

bool fake_queue_cancel(struct bus *b, struct bus_session *s, uint32_t subscription)
{
	const struct fake_targets queues = all(b);
	struct fake_consumer *consumer;
	struct fake_target *t = fake_target_of(&queues, s->id, subscription, &consumer);

	if (t != NULL)
		release((struct fake_queue *)t, consumer);
	return t != NULL;
}

static void accepted(struct bus *b, struct bus_session *s, uint32_t number,
	const struct mrf_message_origin *origin, uint32_t status)
{
	struct mrf_accepted_range range = {
		.publisher = origin->publisher, .first = origin->id, .count = 1, .status = status};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_ACCEPTED, NULL, "", 0, &range, 0, sizeof(range));

	if (!b->queues.forget_accepted)
		bus_send_plan(s, &plan, number);
}

static bool is_duplicate(struct fake_queues *q, uint32_t number, struct mrf_message_origin origin)
{
	if (origin.publisher == 0)
		return false;
	for (uint32_t i = 0; i < 64 && i < q->seen; i++) {
		if (q->seen_queue[i] == number && q->seen_publisher[i] == origin.publisher &&
			q->seen_id[i] == origin.id)
			return true;
	}
	q->seen_queue[q->seen % 64] = number;
	q->seen_publisher[q->seen % 64] = origin.publisher;
	q->seen_id[q->seen++ % 64] = origin.id;
	return false;
}

static void store(struct fake_queue *q, const struct mr_message_view *m)
{
	struct fake_message *to = &q->messages[q->next++];

	if (q->next == FAKE_MESSAGES_MAX)
		abort();
	*to = (struct fake_message){0};
	to->record = malloc(mr_message_stride(m->header.bytes));
	if (to->record == NULL)
		abort();
	memcpy(to->record, m->payload + m->payload_bytes - m->header.bytes, m->header.bytes);
}

static bool is_last_fragment(const struct mr_message_view *m)
{
	return (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) == 0 ||
	       m->extra.fragment.offset + m->payload_bytes == m->extra.fragment.total_bytes;
}

void fake_queue_push(struct bus *b, struct bus_session *s, const struct mr_message_view *m)
{
	struct fake_queue *q = by_number(b, m->header.target);
	bool promised = (m->header.flags & MRF_MESSAGE_FLAG_ORIGIN) != 0;
	uint32_t status = MRF_STATUS_CODE_OK;

	b->queues.pushed++;
	if (b->queues.known_at_first && (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT)) {
		if (m->extra.fragment.offset == 0)
			accepted(b, s, m->header.target, &m->extra.origin, MRF_STATUS_CODE_OK);
		return;
	}
	memmove(b->queues.ids + 1, b->queues.ids, sizeof(b->queues.ids) - sizeof(b->queues.ids[0]));
	b->queues.ids[0] = promised ? m->extra.origin.id : 0;
	memmove(b->queues.publishers + 1, b->queues.publishers,
		sizeof(b->queues.publishers) - sizeof(b->queues.publishers[0]));
	b->queues.publisher = promised ? m->extra.origin.publisher : 0;
	b->queues.publishers[0] = b->queues.publisher;
	if (q == NULL) {
		status = MRF_STATUS_CODE_NOT_FOUND;
	} else if (b->queues.refuse > 0) {
		b->queues.refuse--;
		status = b->queues.refuse_status;
	} else if (promised && is_duplicate(&b->queues, m->header.target, m->extra.origin)) {
		b->queues.duplicates++;
	} else {
		store(q, m);
	}
	/* Sent for the last fragment, or for the one that was refused. */
	if (promised && !b->queues.withhold &&
		(is_last_fragment(m) || status != MRF_STATUS_CODE_OK))
		accepted(b, s, m->header.target, &m->extra.origin, status);
}

/* Takes note of the options. The message is kept with them. */
void fake_queue_push_options(struct bus *b, struct bus_session *s, const struct mr_message_view *m)
{
	struct fake_queues *q = &b->queues;
	bool first =
		(m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) == 0 || m->extra.fragment.offset == 0;

	if (first && m->header_bytes >= sizeof(q->options)) {
		uint32_t left = m->header_bytes + m->payload_bytes - (uint32_t)sizeof(q->options);

		q->with_options++;
		memcpy(&q->options, m->headers, sizeof(q->options));
		memset(q->behind_options, 0, sizeof(q->behind_options));
		memcpy(q->behind_options, m->headers + sizeof(q->options),
			left < sizeof(q->behind_options) ? left : sizeof(q->behind_options) - 1);
	}
	fake_queue_push(b, s, m);
}

static void settled(struct fake_queues *all, struct fake_message *m, enum mrf_settle_verb verb)
{
	m->consumer->outstanding--;
	if (verb == MRF_SETTLE_VERB_REQUEUE || verb == MRF_SETTLE_VERB_RETURNED) {
		all->requeued += verb == MRF_SETTLE_VERB_REQUEUE;
		m->holder = 0;
		m->redelivered++;
		m->spared += verb == MRF_SETTLE_VERB_RETURNED;
		return;
	}
	all->acked += verb != MRF_SETTLE_VERB_REJECT;
	all->rejected += verb == MRF_SETTLE_VERB_REJECT;
	free(m->record);
	m->record = NULL;
}

static void settle_one(struct bus *b, struct fake_queue *q, uint64_t session,
	const struct mrf_settlement *settlement)
{
	struct fake_message *named = NULL;

	if (settlement->verb == MRF_SETTLE_VERB_RELEASED) {
		b->queues.released++;
		return;
	}
	for (uint32_t i = q->first; i < q->next && named == NULL; i++) {
		struct fake_message *m = &q->messages[i];

		if (m->record != NULL && m->holder == session && m->tag == settlement->tag)
			named = m;
	}
	if (named == NULL) {
		b->queues.bad_tags++;
		return;
	}
	if (settlement->verb == MRF_SETTLE_VERB_PROGRESS) {
		b->queues.progressed++;
		b->queues.lease_ms = settlement->delay_ms;
		return;
	}
	for (uint32_t i = q->first; settlement->verb == MRF_SETTLE_VERB_ACK_UP_TO && i < q->next;
		i++) {
		struct fake_message *m = &q->messages[i];

		if (m != named && m->record != NULL && m->holder == session &&
			m->consumer == named->consumer && m->tag < named->tag)
			settled(&b->queues, m, MRF_SETTLE_VERB_ACK);
	}
	settled(&b->queues, named, (enum mrf_settle_verb)settlement->verb);
}

void fake_queue_settle(struct bus *b, struct bus_session *s, const struct mr_message_view *m)
{
	struct fake_queue *q = by_number(b, m->header.target);
	struct mrf_settlement one;

	uint64_t before = b->queues.settlements;

	if (m->header_bytes > 0)
		snprintf(b->queues.error, sizeof(b->queues.error), "%.*s", (int)m->header_bytes,
			(const char *)m->headers);
	for (uint32_t at = 0; q != NULL && at + sizeof(one) <= m->payload_bytes;
		at += sizeof(one)) {
		memcpy(&one, m->payload + at, sizeof(one));
		if (one.verb == MRF_SETTLE_VERB_HANDED) {
			b->queues.handed++;
			b->queues.handed_last = one.tag;
			continue;
		}
		if (one.verb == MRF_SETTLE_VERB_LEAVE) {
			b->queues.left++;
			continue;
		}
		b->queues.settlements++;
		b->queues.settlement = one;
		settle_one(b, q, s->id, &one);
	}
	b->queues.settles += b->queues.settlements != before;
}

static bool deliver(
	struct bus *b, struct fake_queue *q, struct fake_message *f, struct fake_consumer *consumer)
{
	struct bus_session *s = fake_session_of(b, consumer->session);
	struct mr_message_extra extra = {0};
	struct mr_message_plan plan;
	struct mr_message_view m;

	m.header = mr_message_header_load(f->record);
	if (!mr_message_parse(f->record, m.header, &m))
		abort();
	if (m.header.flags & MR_MESSAGE_FLAGS_EXTRA)
		extra = m.extra;
	if (extra.origin.publisher == 0)
		extra.flags &= (uint8_t)~MRF_MESSAGE_FLAG_ORIGIN;
	extra.flags &= (uint8_t) ~(MRF_MESSAGE_FLAG_HIGH | MRF_MESSAGE_FLAG_LOW);
	extra.flags |= MRF_MESSAGE_FLAG_DELIVERY;
	extra.delivery = (struct mrf_message_delivery){.tag = ++q->serial,
		.queue = q->target.number,
		.redelivered = f->redelivered,
		.spared = f->spared,
		.priority = m.header.flags & MRF_MESSAGE_FLAG_HIGH  ? MRF_PRIORITY_HIGH
			    : m.header.flags & MRF_MESSAGE_FLAG_LOW ? MRF_PRIORITY_LOW
								    : MRF_PRIORITY_NORMAL};
	if (b->odd_priority != 0)
		extra.delivery.priority = b->odd_priority;
	plan = mr_message_plan(
		MRF_MESSAGE_KIND_DELIVER, NULL, "", 0, m.headers, m.header_bytes, m.payload_bytes);
	mr_message_plan_extra(&plan, &extra);
	if (!bus_send_plan(s, &plan, consumer->subscription))
		return false;
	f->holder = s->id;
	f->consumer = consumer;
	f->tag = q->serial;
	consumer->outstanding++;
	return true;
}

/* Deliveries of closed sessions go to others. */
static void release_closed(struct bus *b, struct fake_queue *q)
{
	for (unsigned k = 0; k < FAKE_CONSUMERS_MAX; k++) {
		struct fake_consumer *c = &q->target.consumers[k];

		if (c->session != 0 && fake_session_of(b, c->session) == NULL)
			release(q, c);
	}
}

static bool run_one(struct bus *b, struct fake_queue *q)
{
	bool moved = false;

	release_closed(b, q);
	for (uint32_t i = q->first; i < q->next; i++) {
		struct fake_consumer *to;

		if (q->messages[i].record == NULL && i == q->first)
			q->first++;
		if (q->messages[i].record == NULL || q->messages[i].holder != 0)
			continue;
		to = fake_consumer_with_room(&q->target);
		if (to == NULL || !deliver(b, q, &q->messages[i], to))
			break;
		moved = true;
	}
	return moved;
}

bool fake_queues_run(struct bus *b)
{
	bool moved = false;

	for (unsigned i = 0; i < FAKE_QUEUES_MAX; i++) {
		if (b->queues.queues[i].target.name[0] != '\0')
			moved |= run_one(b, &b->queues.queues[i]);
	}
	return moved;
}

void fake_queue_forget(struct bus *b, const char *name)
{
	struct fake_queue *q = by_name(b, name);

	if (q == NULL)
		return;
	empty(q);
	fake_target_forget(&q->target);
}

void fake_queue_disconnect(struct bus *b, const char *name)
{
	struct fake_queue *q = by_name(b, name);

	for (unsigned k = 0; k < FAKE_CONSUMERS_MAX; k++) {
		struct fake_consumer *c = &q->target.consumers[k];
		uint64_t session = c->session;

		if (session == 0)
			continue;
		release(q, c);
		fake_disconnect(b, session, c->subscription);
	}
}

void fake_queue_recall(struct bus *b, const char *name)
{
	struct fake_queue *q = by_name(b, name);
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_RECALL, NULL, "", 0, "", 0, 0);
	struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_DELIVERY};

	for (uint32_t i = q->first; i < q->next; i++) {
		struct fake_message *m = &q->messages[i];

		if (m->record == NULL || m->holder == 0)
			continue;
		extra.delivery =
			(struct mrf_message_delivery){.tag = m->tag, .queue = q->target.number};
		mr_message_plan_extra(&plan, &extra);
		bus_send_plan(fake_session_of(b, m->holder), &plan, m->consumer->subscription);
		free(m->record);
		m->record = NULL;
	}
}

uint32_t fake_queue_depth(struct bus *b, const char *name)
{
	struct fake_queue *q = by_name(b, name);
	uint32_t count = 0;

	for (uint32_t i = 0; q != NULL && i < q->next; i++)
		count += q->messages[i].record != NULL;
	return count;
}
