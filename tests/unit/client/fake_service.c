/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/client/fake_bus.h"

static void call_end(struct fake_call *call)
{
	free(call->body);
	*call = (struct fake_call){0};
}

void fake_services_fini(struct fake_services *f)
{
	for (unsigned i = 0; i < FAKE_SERVICES_MAX; i++) {
		for (unsigned n = 0; n < FAKE_CALLS_MAX; n++)
			call_end(&f->services[i].calls[n]);
	}
}

static struct fake_targets all(struct bus *b)
{
	return (struct fake_targets){
		b->services.services, FAKE_SERVICES_MAX, sizeof(b->services.services[0])};
}

static struct fake_service *by_name(struct bus *b, const char *name)
{
	const struct fake_targets services = all(b);

	return (struct fake_service *)fake_target_by_name(&services, name);
}

static struct fake_service *by_number(struct bus *b, uint32_t number)
{
	const struct fake_targets services = all(b);

	return (struct fake_service *)fake_target_by_number(&services, number);
}

static struct fake_service *find_or_make(struct bus *b, const char *name)
{
	const struct fake_targets services = all(b);
	struct fake_service *s = by_name(b, name);

	if (s != NULL)
		return s;
	s = (struct fake_service *)fake_target_new(&services, name);
	if (s != NULL)
		s->target.number = 2u << 27 | ++b->services.number;
	return s;
}

/* Sends to a session, if it still exists. */
static void send_on(struct bus *b, uint64_t session, enum mrf_message_kind kind, uint32_t target,
	uint64_t correlation, struct mr_message_extra *extra, const struct mr_message_view *m)
{
	struct mrf_reply_token token = {.session = extra->delivery.tag, .correlation = correlation};
	struct mr_message_plan plan =
		mr_message_plan(kind, &token, "", 0, m->headers, m->header_bytes, m->payload_bytes);
	struct bus_session *s = fake_session_of(b, session);

	mr_message_plan_extra(&plan, extra);
	if (s != NULL)
		bus_send_plan(s, &plan, target);
}

static struct mr_message_extra extra_of(uint64_t tag, uint32_t service, uint32_t flags)
{
	return (struct mr_message_extra){
		.flags = (uint8_t)(MRF_MESSAGE_FLAG_DELIVERY | (flags & MRF_MESSAGE_FLAG_MORE)),
		.delivery = {.tag = tag, .queue = service},
	};
}

void fake_service_reply(struct bus *b, uint64_t caller, uint64_t correlation, uint64_t tag,
	bool more, const char *text)
{
	struct mr_message_extra extra = extra_of(tag, 1, more ? MRF_MESSAGE_FLAG_MORE : 0);
	struct mr_message_view m = {.headers = (const uint8_t *)text,
		.payload = (const uint8_t *)text,
		.payload_bytes = (uint32_t)strlen(text)};

	send_on(b, caller, MRF_MESSAGE_KIND_REPLY, 0, correlation, &extra, &m);
}

void fake_service_status(struct bus *b, uint64_t caller, uint64_t correlation, uint32_t code)
{
	struct mr_message_extra extra = {0};
	struct mr_message_view m = {.headers = (const uint8_t *)""};

	send_on(b, caller, MRF_MESSAGE_KIND_STATUS, code, correlation, &extra, &m);
}

static void deliver(
	struct bus *b, struct fake_service *s, struct fake_call *call, struct fake_consumer *worker)
{
	struct mr_message_extra extra = extra_of(
		++b->services.tag, s->target.number, call->more ? MRF_MESSAGE_FLAG_MORE : 0);
	struct mr_message_view m = {
		.headers = call->body,
		.header_bytes = call->header_bytes,
		.payload_bytes = call->payload_bytes,
	};

	extra.delivery.redelivered = call->redelivered;
	call->holder = worker->session;
	call->subscription = worker->subscription;
	call->tag = b->services.tag;
	b->services.last_tag = call->tag;
	worker->outstanding++;
	send_on(b, call->holder, MRF_MESSAGE_KIND_DELIVER, call->subscription, call->correlation,
		&extra, &m);
}

static void run(struct bus *b, struct fake_service *s)
{
	for (unsigned i = 0; i < FAKE_CALLS_MAX; i++) {
		struct fake_consumer *worker;

		if (s->calls[i].body == NULL || s->calls[i].holder != 0)
			continue;
		worker = fake_consumer_with_room(&s->target);
		if (worker == NULL)
			return;
		deliver(b, s, &s->calls[i], worker);
	}
}

/* A session is one worker of a service. */
static int add_worker(
	struct fake_service *s, uint64_t session, uint32_t subscription, uint32_t prefetch)
{
	for (unsigned i = 0; i < FAKE_CONSUMERS_MAX; i++) {
		const struct fake_consumer *c = &s->target.consumers[i];

		if (c->session == session)
			return c->subscription == subscription ? 0 : -EEXIST;
	}
	fake_consumer_add(&s->target, session, subscription, prefetch != 0 ? prefetch : 1);
	return 0;
}

static void remove_worker(struct fake_service *s, struct fake_consumer *worker)
{
	for (unsigned i = 0; i < FAKE_CALLS_MAX; i++) {
		struct fake_call *call = &s->calls[i];

		if (call->body == NULL || call->holder != worker->session)
			continue;
		call->holder = 0;
		call->redelivered++;
	}
	worker->session = 0;
}

static bool cancel(struct bus *b, struct bus_session *session, uint32_t subscription)
{
	const struct fake_targets services = all(b);
	struct fake_consumer *worker;
	struct fake_service *s = (struct fake_service *)fake_target_of(
		&services, session->id, subscription, &worker);

	if (s == NULL)
		return false;
	remove_worker(s, worker);
	run(b, s);
	return true;
}

static uint32_t opened(
	struct bus *b, struct fake_service *s, int code, struct mrf_builder *out, uint8_t *type)
{
	struct mrf_queue_response r = {.queue = s != NULL ? s->target.number : 0,
		.window = 16,
		.heartbeat_ms = b->services.heartbeat_ms != 0 ? b->services.heartbeat_ms : 1000,
		.missed_max = 3};

	b->services.opens++;
	if (code == 0) {
		*type = MRF_CLIENT_BODY_QUEUE_RESPONSE;
		return mrf_queue_response_write(out, &r);
	}
	*type = MRF_CLIENT_BODY_RESULT;
	return mrf_result_write(
		out, &(struct mrf_result){.code = code, .text = mrf_str("not this one")});
}

static uint32_t open_worker(struct bus *b, struct bus_session *session, struct mrf_table t,
	struct mrf_builder *out, uint8_t *type)
{
	const char *name = mrf_consume_request_name(t).data;
	bool mmi = strncmp(name, "mmi.", 4) == 0;
	int code = b->services.open_code != 0 ? b->services.open_code : mmi ? -EACCES : 0;
	struct fake_service *s = code == 0 ? find_or_make(b, name) : NULL;

	if (s != NULL)
		code = add_worker(s, session->id, mrf_consume_request_subscription(t),
			mrf_consume_request_prefetch(t));
	return opened(b, s, code, out, type);
}

static uint32_t mmi(struct bus *b, struct mrf_table t, struct mrf_builder *out, uint8_t *type)
{
	unsigned workers = fake_service_workers(b, mrf_mmi_request_body(t).data);
	const char *name = mrf_mmi_request_name(t).data;
	struct mrf_mmi_response r = {.status = 501};
	char text[16];

	if (strcmp(name, "mmi.service") == 0)
		r.status = workers > 0 ? 200 : 404;
	if (strcmp(name, "mmi.workers") == 0) {
		r.status = 200;
		snprintf(text, sizeof(text), "%u", workers);
		r.body = mrf_str(text);
	}
	*type = MRF_CLIENT_BODY_MMI_RESPONSE;
	return mrf_mmi_response_write(out, &r);
}

bool fake_service_act(struct bus *b, struct bus_session *s, struct mrf_table message,
	struct mrf_builder *out, uint8_t *type, uint32_t *body)
{
	struct mrf_table t = mrf_client_message_body(message);
	int code = b->services.open_code;
	const char *name;

	switch (mrf_client_message_body_type(message)) {
	case MRF_CLIENT_BODY_QUEUE_REQUEST:
		if (mrf_queue_request_kind(t) != MRF_QUEUE_KIND_SERVICE)
			return false;
		name = mrf_queue_request_name(t).data;
		*body = opened(
			b, code == 0 ? find_or_make(b, name) : by_name(b, name), code, out, type);
		return true;
	case MRF_CLIENT_BODY_CONSUME_REQUEST:
		if (mrf_consume_request_kind(t) != MRF_QUEUE_KIND_SERVICE)
			return false;
		*body = open_worker(b, s, t, out, type);
		/* Waiting parts and credits may go after the answer, or before it. */
		for (unsigned i = 0; i < FAKE_SERVICES_MAX; i++)
			run(b, &b->services.services[i]);
		return true;
	case MRF_CLIENT_BODY_UNSUBSCRIBE_REQUEST:
		if (!cancel(b, s, mrf_unsubscribe_request_subscription(t)))
			return false;
		*type = MRF_CLIENT_BODY_RESULT;
		*body = mrf_result_write(out, &(struct mrf_result){0});
		return true;
	case MRF_CLIENT_BODY_MMI_REQUEST: *body = mmi(b, t, out, type); return true;
	default: return false;
	}
}

static void keep(struct fake_service *s, struct bus_session *from, const struct mr_message_view *m)
{
	struct fake_call *call = s->calls;
	uint32_t bytes = m->header_bytes + m->payload_bytes;

	while (call->body != NULL && call < s->calls + FAKE_CALLS_MAX - 1)
		call++;
	call->body = malloc(bytes + 1);
	if (call->body == NULL)
		abort();
	memcpy(call->body, m->headers, bytes);
	call->header_bytes = m->header_bytes;
	call->payload_bytes = m->payload_bytes;
	call->caller = from->id;
	call->correlation = m->token.correlation;
	call->more = (m->header.flags & MRF_MESSAGE_FLAG_MORE) != 0;
}

static void push(struct bus *b, struct bus_session *from, const struct mr_message_view *m)
{
	struct fake_service *s = by_number(b, m->header.target);

	b->services.calls++;
	b->services.last_caller = from->id;
	b->services.last_correlation = m->token.correlation;
	if (s == NULL) {
		fake_service_status(b, from->id, m->token.correlation, MRF_STATUS_CODE_NOT_FOUND);
	} else if (b->services.swallow > 0) {
		b->services.swallow--;
	} else if (b->services.refuse > 0) {
		b->services.refuse--;
		fake_service_status(b, from->id, m->token.correlation, b->services.refuse_status);
	} else {
		keep(s, from, m);
		run(b, s);
	}
}

static struct fake_call *in_hand(struct bus *b, uint32_t number, uint64_t tag)
{
	struct fake_service *s = by_number(b, number);

	for (unsigned i = 0; s != NULL && i < FAKE_CALLS_MAX; i++) {
		if (s->calls[i].body != NULL && s->calls[i].tag == tag && s->calls[i].holder != 0)
			return &s->calls[i];
	}
	b->services.bad_tags++;
	return NULL;
}

/* The worker is free for the next call. */
static void let_go(struct fake_service *s, uint64_t session)
{
	for (unsigned w = 0; w < FAKE_CONSUMERS_MAX; w++) {
		if (s->target.consumers[w].session == session)
			s->target.consumers[w].outstanding--;
	}
}

static void reply(struct bus *b, struct bus_session *from, const struct mr_message_view *m)
{
	struct fake_call *call = in_hand(b, m->header.target, m->token.session);
	struct fake_service *s = by_number(b, m->header.target);
	struct mr_message_extra extra =
		extra_of(m->token.session, m->header.target, m->header.flags);

	b->services.replies++;
	if (call == NULL || call->holder != from->id)
		return;
	send_on(b, call->caller, MRF_MESSAGE_KIND_REPLY, 0, call->correlation, &extra, m);
	if (m->header.flags & MRF_MESSAGE_FLAG_MORE)
		return;
	call_end(call);
	let_go(s, from->id);
	run(b, s);
}

/* Passes on a part, or a credit of either side. */
static void part(struct bus *b, struct bus_session *from, const struct mr_message_view *m)
{
	enum mrf_message_kind kind = (enum mrf_message_kind)m->header.kind;
	struct fake_call *call = in_hand(b, m->header.target, m->token.session);
	struct mr_message_extra extra =
		extra_of(m->token.session, m->header.target, m->header.flags);

	b->services.parts += kind == MRF_MESSAGE_KIND_PART;
	b->services.credits += kind == MRF_MESSAGE_KIND_CREDIT;
	if (call == NULL)
		return;
	/* One client may be both caller and worker. Kind and streaming tell which side sent a
	 * message during the call. */
	if (kind == MRF_MESSAGE_KIND_CREDIT && call->holder == from->id && call->more)
		send_on(b, call->caller, kind, 0, call->correlation, &extra, m);
	else
		send_on(b, call->holder, kind, call->subscription, call->correlation, &extra, m);
}

static void settle(struct bus *b, struct bus_session *from, const struct mr_message_view *m)
{
	struct fake_service *s = by_number(b, m->header.target);
	struct mrf_settlement one;

	for (uint32_t at = 0; at + sizeof(one) <= m->payload_bytes; at += sizeof(one)) {
		struct fake_call *call;

		memcpy(&one, m->payload + at, sizeof(one));
		if (one.verb == MRF_SETTLE_VERB_HANDED || one.verb == MRF_SETTLE_VERB_LEAVE)
			continue;
		call = in_hand(b, m->header.target, one.tag);
		if (call == NULL || call->holder != from->id)
			continue;
		let_go(s, from->id);
		if (one.verb == MRF_SETTLE_VERB_REQUEUE || one.verb == MRF_SETTLE_VERB_RETURNED) {
			b->services.requeued++;
			call->holder = 0;
			call->redelivered++;
			run(b, s);
			continue;
		}
		b->services.rejected++;
		fake_service_status(b, call->caller, call->correlation, MRF_STATUS_CODE_FAILED);
		call_end(call);
	}
}

bool fake_service_handle(struct bus *b, struct bus_session *s, const struct mr_message_view *m)
{
	struct mr_message_plan beat = mr_message_plan(MRF_MESSAGE_KIND_BEAT, NULL, "", 0, "", 0, 0);

	switch (m->header.kind) {
	case MRF_MESSAGE_KIND_PUSH:
		if ((m->header.flags & MRF_MESSAGE_FLAG_TOKEN) == 0)
			return false;
		push(b, s, m);
		return true;
	case MRF_MESSAGE_KIND_REPLY:
		if (m->header.target == 0)
			return false;
		reply(b, s, m);
		return true;
	case MRF_MESSAGE_KIND_PART:
	case MRF_MESSAGE_KIND_CREDIT: part(b, s, m); return true;
	case MRF_MESSAGE_KIND_SETTLE:
		if (by_number(b, m->header.target) == NULL)
			return false;
		settle(b, s, m);
		return true;
	case MRF_MESSAGE_KIND_BEAT:
		b->services.beats++;
		if (!b->services.deaf)
			bus_send_plan(s, &beat, 0);
		return true;
	default: return false;
	}
}

void fake_service_forget(struct bus *b, const char *name)
{
	struct fake_service *s = by_name(b, name);

	if (s != NULL)
		fake_target_forget(&s->target);
}

void fake_service_disconnect(struct bus *b, const char *name)
{
	struct fake_service *s = by_name(b, name);

	for (unsigned w = 0; s != NULL && w < FAKE_CONSUMERS_MAX; w++) {
		struct fake_consumer *worker = &s->target.consumers[w];
		uint64_t session = worker->session;

		if (session == 0)
			continue;
		remove_worker(s, worker);
		fake_disconnect(b, session, worker->subscription);
	}
}

unsigned fake_service_workers(struct bus *b, const char *name)
{
	const struct fake_service *s = by_name(b, name);
	unsigned count = 0;

	for (unsigned w = 0; s != NULL && w < FAKE_CONSUMERS_MAX; w++)
		count += s->target.consumers[w].session != 0;
	return count;
}
