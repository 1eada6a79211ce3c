/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_queue.h"

#include <errno.h>
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

static struct fake_queue *by_name(struct bus *b, const char *name, bool make)
{
	struct fake_queue *unused = NULL;

	for (unsigned i = 0; i < FAKE_QUEUES_MAX; i++) {
		struct fake_queue *q = &b->queues.queues[i];

		if (q->name[0] == '\0')
			unused = unused != NULL ? unused : q;
		else if (strcmp(q->name, name) == 0)
			return q;
	}
	if (!make || unused == NULL)
		return NULL;
	snprintf(unused->name, sizeof(unused->name), "%s", name);
	unused->number =
		1u << 27 | ++unused->made << 17 | (uint32_t)(unused - b->queues.queues + 1);
	return unused;
}

static struct fake_queue *by_number(struct bus *b, uint32_t number)
{
	for (unsigned i = 0; i < FAKE_QUEUES_MAX; i++) {
		struct fake_queue *q = &b->queues.queues[i];

		if (q->name[0] != '\0' && q->number == number)
			return q;
	}
	return NULL;
}

static void add_consumer(struct fake_queue *q, struct bus_session *s, struct mrf_table t)
{
	uint32_t subscription = mrf_consume_request_subscription(t);

	for (unsigned i = 0; i < FAKE_CONSUMERS_MAX; i++) {
		if (q->consumers[i].session == s->id &&
			q->consumers[i].subscription == subscription)
			return;
	}
	for (unsigned i = 0; i < FAKE_CONSUMERS_MAX; i++) {
		if (q->consumers[i].session != 0)
			continue;
		q->consumers[i].session = s->id;
		q->consumers[i].subscription = subscription;
		q->consumers[i].prefetch = mrf_consume_request_prefetch(t);
		if (q->consumers[i].prefetch == 0)
			q->consumers[i].prefetch = 10;
		q->consumers[i].outstanding = 0;
		return;
	}
	abort();
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
	q = by_name(b, name, true);
	if (consume)
		add_consumer(q, s, t);
	*type = MRF_CLIENT_BODY_QUEUE_RESPONSE;
	return mrf_queue_response_write(
		out, &(struct mrf_queue_response){.queue = q->number,
			     .window = b->queues.window != 0 ? b->queues.window : WINDOW_DEFAULT,
			     .heartbeat_ms = 1000,
			     .missed_max = 3});
}

static void release(struct fake_queue *q, unsigned consumer)
{
	for (uint32_t i = q->first; i < q->next; i++) {
		struct fake_message *m = &q->messages[i];

		if (m->record == NULL || m->holder == 0 || m->consumer != consumer)
			continue;
		m->holder = 0;
		m->redelivered++;
	}
	q->consumers[consumer].session = 0;
}

bool fake_queue_cancel(struct bus *b, struct bus_session *s, uint32_t subscription)
{
	for (unsigned i = 0; i < FAKE_QUEUES_MAX; i++) {
		struct fake_queue *q = &b->queues.queues[i];

		for (unsigned k = 0; k < FAKE_CONSUMERS_MAX; k++) {
			if (q->consumers[k].session != s->id ||
				q->consumers[k].subscription != subscription)
				continue;
			release(q, k);
			return true;
		}
	}
	return false;
}

static void accepted(
	struct bus *b, struct bus_session *s, uint32_t number, uint64_t id, uint32_t status)
{
	struct mrf_accepted_range range = {.first = id, .count = 1, .status = status};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_ACCEPTED, NULL, "", 0, &range, 0, sizeof(range));

	if (!b->queues.forget_accepted)
		bus_send_plan(s, &plan, number);
}

static bool came_before(struct fake_queues *q, struct mrf_message_origin origin)
{
	if (origin.publisher == 0)
		return false;
	for (uint32_t i = 0; i < 64 && i < q->seen; i++) {
		if (q->seen_publisher[i] == origin.publisher && q->seen_id[i] == origin.id)
			return true;
	}
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

static bool is_last_piece(const struct mr_message_view *m)
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
	memmove(b->queues.ids + 1, b->queues.ids, sizeof(b->queues.ids) - sizeof(b->queues.ids[0]));
	b->queues.ids[0] = promised ? m->extra.origin.id : 0;
	b->queues.publisher = promised ? m->extra.origin.publisher : 0;
	if (q == NULL) {
		status = MRF_STATUS_CODE_NOT_FOUND;
	} else if (b->queues.refuse > 0) {
		b->queues.refuse--;
		status = b->queues.refuse_status;
	} else if (promised && came_before(&b->queues, m->extra.origin)) {
		b->queues.duplicates++;
	} else {
		store(q, m);
	}
	/* Said of the last piece, or of the one that was refused. */
	if (promised && !b->queues.withhold && (is_last_piece(m) || status != MRF_STATUS_CODE_OK))
		accepted(b, s, m->header.target, m->extra.origin.id, status);
}

static void settled(struct fake_queues *all, struct fake_queue *q, struct fake_message *m,
	enum mrf_settle_verb verb)
{
	q->consumers[m->consumer].outstanding--;
	if (verb == MRF_SETTLE_VERB_REQUEUE) {
		all->requeued++;
		m->holder = 0;
		m->redelivered++;
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

	for (uint32_t i = q->first; i < q->next && named == NULL; i++) {
		struct fake_message *m = &q->messages[i];

		if (m->record != NULL && m->holder == session && m->tag == settlement->tag)
			named = m;
	}
	if (named == NULL) {
		b->queues.bad_tags++;
		return;
	}
	for (uint32_t i = q->first; settlement->verb == MRF_SETTLE_VERB_ACK_UP_TO && i < q->next;
		i++) {
		struct fake_message *m = &q->messages[i];

		if (m != named && m->record != NULL && m->holder == session &&
			m->consumer == named->consumer && m->tag < named->tag)
			settled(&b->queues, q, m, MRF_SETTLE_VERB_ACK);
	}
	settled(&b->queues, q, named, (enum mrf_settle_verb)settlement->verb);
}

void fake_queue_settle(struct bus *b, struct bus_session *s, const struct mr_message_view *m)
{
	struct fake_queue *q = by_number(b, m->header.target);
	struct mrf_settlement one;

	b->queues.settles++;
	for (uint32_t at = 0; q != NULL && at + sizeof(one) <= m->payload_bytes;
		at += sizeof(one)) {
		memcpy(&one, m->payload + at, sizeof(one));
		b->queues.settlements++;
		settle_one(b, q, s->id, &one);
	}
}

static struct bus_session *session_of(struct bus *b, uint64_t id)
{
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		if (b->sessions[i].open && b->sessions[i].id == id)
			return &b->sessions[i];
	}
	return NULL;
}

static bool deliver(struct bus *b, struct fake_queue *q, struct fake_message *f, unsigned consumer)
{
	struct bus_session *s = session_of(b, q->consumers[consumer].session);
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
		.queue = q->number,
		.redelivered = f->redelivered,
		.priority = m.header.flags & MRF_MESSAGE_FLAG_HIGH  ? MRF_PRIORITY_HIGH
			    : m.header.flags & MRF_MESSAGE_FLAG_LOW ? MRF_PRIORITY_LOW
								    : MRF_PRIORITY_NORMAL};
	plan = mr_message_plan(
		MRF_MESSAGE_KIND_DELIVER, NULL, "", 0, m.headers, m.header_bytes, m.payload_bytes);
	mr_message_plan_extra(&plan, &extra);
	if (!bus_send_plan(s, &plan, q->consumers[consumer].subscription))
		return false;
	f->holder = s->id;
	f->consumer = consumer;
	f->tag = q->serial;
	q->consumers[consumer].outstanding++;
	return true;
}

static bool run_one(struct bus *b, struct fake_queue *q)
{
	bool moved = false;
	unsigned k = 0;

	for (k = 0; k < FAKE_CONSUMERS_MAX; k++) {
		if (q->consumers[k].session != 0 && session_of(b, q->consumers[k].session) == NULL)
			release(q, k);
	}
	for (uint32_t i = q->first; i < q->next; i++) {
		if (q->messages[i].record == NULL && i == q->first)
			q->first++;
		if (q->messages[i].record == NULL || q->messages[i].holder != 0)
			continue;
		for (k = 0; k < FAKE_CONSUMERS_MAX; k++) {
			if (q->consumers[k].session != 0 &&
				q->consumers[k].outstanding < q->consumers[k].prefetch)
				break;
		}
		if (k == FAKE_CONSUMERS_MAX || !deliver(b, q, &q->messages[i], k))
			break;
		moved = true;
	}
	return moved;
}

bool fake_queues_run(struct bus *b)
{
	bool moved = false;

	for (unsigned i = 0; i < FAKE_QUEUES_MAX; i++) {
		if (b->queues.queues[i].name[0] != '\0')
			moved |= run_one(b, &b->queues.queues[i]);
	}
	return moved;
}

void fake_queue_forget(struct bus *b, const char *name)
{
	struct fake_queue *q = by_name(b, name, false);

	if (q == NULL)
		return;
	empty(q);
	memset(q->consumers, 0, sizeof(q->consumers));
	q->name[0] = '\0';
}

static void disconnect(struct bus *b, uint64_t session, uint32_t subscription)
{
	struct mrf_disconnect d = {.subscription = subscription, .code = -ETIMEDOUT};
	struct mrf_client_message message = {.body_type = MRF_CLIENT_BODY_DISCONNECT};
	struct mr_message_plan plan;
	struct mrf_builder builder;
	uint8_t memory[256];
	const void *data;
	size_t bytes;

	mrf_builder_init(&builder, memory, sizeof(memory));
	message.body = mrf_disconnect_write(&builder, &d);
	if (mrf_builder_finish(
		    &builder, mrf_client_message_write(&builder, &message), &data, &bytes) != 0)
		abort();
	plan = mr_message_plan(MRF_MESSAGE_KIND_CONTROL, NULL, "", 0, data, 0, (uint32_t)bytes);
	bus_send_plan(session_of(b, session), &plan, 0);
}

void fake_queue_disconnect(struct bus *b, const char *name)
{
	struct fake_queue *q = by_name(b, name, false);

	for (unsigned k = 0; k < FAKE_CONSUMERS_MAX; k++) {
		uint64_t session = q->consumers[k].session;
		uint32_t subscription = q->consumers[k].subscription;

		if (session == 0)
			continue;
		release(q, k);
		disconnect(b, session, subscription);
	}
}

uint32_t fake_queue_depth(struct bus *b, const char *name)
{
	struct fake_queue *q = by_name(b, name, false);
	uint32_t count = 0;

	for (uint32_t i = 0; q != NULL && i < q->next; i++)
		count += q->messages[i].record != NULL;
	return count;
}
