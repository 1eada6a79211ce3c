/* SPDX-License-Identifier: Apache-2.0 */
/* call: requests to control, inside messages of kind Control. Control may be killed with a request
 * in its hands and says nothing then, so a request is sent again each second until it is answered;
 * they are made so that asking twice does no harm. */
#include <string.h>

#include "client/queue.h"

#define INDEX_BITS 6u
_Static_assert(1u << INDEX_BITS == MR_CALLS_MAX, "an index fits its bits");

#define RETRY_NS 1000000ull

uint32_t mr_call_encode(
	struct mrf_builder *b, enum mrf_client_body type, uint32_t body, uint8_t *to, uint32_t room)
{
	struct mrf_client_message message = {.body_type = (uint8_t)type, .body = body};
	const void *out;
	size_t bytes;

	if (mrf_builder_finish(b, mrf_client_message_write(b, &message), &out, &bytes) != 0 ||
		bytes > room)
		return 0;
	memcpy(to, out, bytes);
	return (uint32_t)bytes;
}

struct mr_call *mr_call_new(struct mr_client *c, mr_answer_fn *done, void *arg, uint32_t object)
{
	for (uint32_t i = 0; i < MR_CALLS_MAX; i++) {
		struct mr_call *call = &c->calls[i];

		if (call->correlation != 0)
			continue;
		if (++c->call_serial >= 1u << (32 - INDEX_BITS))
			c->call_serial = 1;
		call->correlation = c->call_serial << INDEX_BITS | i;
		call->done = done;
		call->arg = arg;
		call->object = object;
		call->bytes = 0;
		c->calls_open++;
		return call;
	}
	return NULL;
}

static void call_free(struct mr_client *c, struct mr_call *call)
{
	call->correlation = 0;
	c->calls_open--;
}

static void push(struct mr_client *c, struct mr_call *call, uint64_t now_ns)
{
	uint32_t bytes = mr_message_bytes(false, 0, 0, call->bytes);
	uint8_t *to = mr_promise_room(c, bytes);

	call->resend_ns = now_ns + (to != NULL ? MR_CALL_RESEND_NS : RETRY_NS);
	mr_house_by(c, call->resend_ns < call->deadline_ns ? call->resend_ns : call->deadline_ns);
	if (to == NULL)
		return;
	to = mr_message_begin(
		to, MRF_MESSAGE_KIND_CONTROL, call->correlation, NULL, 0, 0, call->bytes);
	memcpy(to, call->body, call->bytes);
	mr_bytes_push(c->promised, bytes);
	mr_publish_show(c);
}

void mr_call_send(struct mr_client *c, struct mr_call *call, uint64_t deadline_ns)
{
	call->deadline_ns = deadline_ns;
	push(c, call, mr_now_ns());
}

static void finish(struct mr_client *c, struct mr_call *call, const struct mr_answer *a)
{
	mr_answer_fn *done = call->done;
	uint32_t object = call->object;
	void *arg = call->arg;

	call_free(c, call);
	if (done != NULL)
		done(c, a, arg, object);
}

static bool answer_read(struct mrf_table message, struct mr_answer *a)
{
	struct mrf_table body = mrf_client_message_body(message);

	*a = (struct mr_answer){.text = ""};
	switch (mrf_client_message_body_type(message)) {
	case MRF_CLIENT_BODY_RESULT:
		a->code = mrf_result_code(body);
		a->text = mrf_result_text(body).data;
		return a->code <= 0 && a->code >= -4095;
	case MRF_CLIENT_BODY_ALIAS_RESPONSE: a->alias = mrf_alias_response_alias(body); return true;
	case MRF_CLIENT_BODY_PONG: a->handled_ns = mrf_pong_handled_ns(body); return true;
	case MRF_CLIENT_BODY_QUEUE_RESPONSE:
		a->queue = mrf_queue_response_queue(body);
		a->window = mrf_queue_response_window(body);
		a->waits = mrf_queue_response_waits(body);
		a->heartbeat_ms = mrf_queue_response_heartbeat_ms(body);
		a->missed_max = mrf_queue_response_missed_max(body);
		a->ack_timeout_ms = mrf_queue_response_ack_timeout_ms(body);
		a->max_deliver = mrf_queue_response_max_deliver(body);
		return true;
	case MRF_CLIENT_BODY_MMI_RESPONSE:
		a->status = mrf_mmi_response_status(body);
		a->text = mrf_mmi_response_body(body).data;
		return true;
	default: return false;
	}
}

/* What control says without being asked. Over UDP the welcome may come once more. */
static bool told(struct mr_client *c, struct mrf_table message)
{
	struct mrf_table body = mrf_client_message_body(message);

	switch (mrf_client_message_body_type(message)) {
	case MRF_CLIENT_BODY_DISCONNECT:
		mr_consumer_disconnected(c, mrf_disconnect_subscription(body));
		return true;
	case MRF_CLIENT_BODY_WELCOME: return c->udp != NULL;
	default: return false;
	}
}

static bool answered(struct mr_client *c, struct mr_call *call, struct mrf_table message)
{
	struct mr_answer a;

	if (!answer_read(message, &a))
		return false;
	finish(c, call, &a);
	return true;
}

void mr_call_answered(struct mr_client *c, const struct mr_message_view *m)
{
	struct mr_call *call = &c->calls[m->header.target % MR_CALLS_MAX];
	bool event = m->header.target == 0;
	alignas(8) uint8_t body[2048];
	struct mrf_table message;

	/* Asked twice, answered twice; or given up meanwhile. */
	if (!event && call->correlation != m->header.target) {
		c->unmatched++;
		return;
	}
	if (m->payload_bytes > sizeof(body)) {
		c->malformed++;
		return;
	}
	/* Not to be changed while it is read. */
	memcpy(body, m->payload, m->payload_bytes);
	if (mrf_client_message_parse(body, m->payload_bytes, &message) != 0 ||
		!(event ? told(c, message) : answered(c, call, message)))
		c->malformed++;
}

void mr_call_step(struct mr_client *c, uint64_t now_ns)
{
	static const struct mr_answer late = {.code = -ETIMEDOUT, .text = "no answer"};

	for (uint32_t i = 0; i < MR_CALLS_MAX && c->calls_open > 0; i++) {
		struct mr_call *call = &c->calls[i];

		if (call->correlation == 0)
			continue;
		if (now_ns >= call->deadline_ns)
			finish(c, call, &late);
		else if (now_ns >= call->resend_ns && c->state != MR_STATE_LOST && !c->eof)
			push(c, call, now_ns);
	}
}

uint64_t mr_call_due_ns(const struct mr_client *c)
{
	uint64_t due = MR_NEVER_NS;

	for (uint32_t i = 0; i < MR_CALLS_MAX && c->calls_open > 0; i++) {
		const struct mr_call *call = &c->calls[i];

		if (call->correlation == 0)
			continue;
		due = call->resend_ns < due ? call->resend_ns : due;
		due = call->deadline_ns < due ? call->deadline_ns : due;
	}
	return due;
}

void mr_call_fail_all(struct mr_client *c)
{
	static const struct mr_answer gone = {.code = -ENOTCONN, .text = "the bus went away"};

	for (uint32_t i = 0; i < MR_CALLS_MAX; i++) {
		if (c->calls[i].correlation != 0)
			finish(c, &c->calls[i], &gone);
	}
}

struct waiter {
	bool done;
	struct mr_answer answer;
	char text[200];
};

static void waited(struct mr_client *c, const struct mr_answer *a, void *arg, uint32_t object)
{
	struct waiter *w = arg;

	(void)c;
	(void)object;
	w->done = true;
	w->answer = *a;
	snprintf(w->text, sizeof(w->text), "%s", a->text);
	w->answer.text = w->text;
}

static int outcome(struct mr_client *c, const struct waiter *w)
{
	int code = w->answer.code;

	if (code == 0)
		return 0;
	if (code == -ENOTCONN)
		return mr_publish_refused(c);
	if (code == -ETIMEDOUT)
		return mr_fail(c, code, "control does not answer");
	return mr_failf(
		c, code, "the bus refuses: %s", w->text[0] != '\0' ? w->text : mr_error_text(code));
}

static void wait_for(struct mr_client *c, struct waiter *w)
{
	struct mr_patience p;

	/* A signal does not end it: what was asked would be done all the same. The call's own
	 * deadline ends it. */
	do {
		mr_patience_init(&p, c, -1);
	} while (mr_await(c, &w->done, &p) == -EINTR);
}

static void ask_again(struct mr_client *c, const struct mr_ask *ask)
{
	struct mr_call *call = mr_call_new(c, ask->late, NULL, ask->object);

	if (call == NULL)
		return;
	memcpy(call->body, ask->body, ask->bytes);
	call->bytes = ask->bytes;
	mr_call_send(c, call, MR_NEVER_NS);
}

/* Fills in the waiter, whatever happens. */
static int ask_and_wait(struct mr_client *c, const struct mr_ask *ask, struct waiter *w)
{
	uint64_t timeout_ms =
		ask->timeout_ms < 0 ? c->options.request_timeout_ms : (uint64_t)ask->timeout_ms;
	struct mr_call *call = mr_call_new(c, waited, w, ask->object);
	uint32_t correlation;

	if (call == NULL)
		return mr_fail(c, -EBUSY, "too many requests to control are under way");
	correlation = call->correlation;
	memcpy(call->body, ask->body, ask->bytes);
	call->bytes = ask->bytes;
	mr_call_send(c, call, mr_now_ns() + timeout_ms * MR_NS_PER_MS);
	wait_for(c, w);
	if (!w->done && call->correlation == correlation) {
		/* Only in a callback, where the session's end is not yet dealt with. */
		call_free(c, call);
		w->answer.code = -ENOTCONN;
	}
	if (w->answer.code == -ETIMEDOUT && ask->late != NULL)
		ask_again(c, ask);
	return outcome(c, w);
}

int mr_call_wait(struct mr_client *c, const struct mr_ask *ask, struct mr_answer *found)
{
	struct waiter w = {.done = false};
	int error = mr_begin(c, true);

	if (error != 0)
		return error;
	error = ask_and_wait(c, ask, &w);
	mr_end(c);
	if (found != NULL)
		*found = w.answer;
	return error;
}

int mr_ping(struct mr_client *c, int timeout_ms, uint64_t *handled_ns, uint64_t *round_ns)
{
	struct mrf_ping ping = {.sent_ns = mr_now_ns()};
	uint8_t memory[128], body[128];
	struct mr_ask ask = {.body = body, .timeout_ms = timeout_ms};
	struct mr_answer found;
	struct mrf_builder b;
	int error;

	error = mr_ready(c, true);
	if (error != 0)
		return error;
	mrf_builder_init(&b, memory, sizeof(memory));
	ask.bytes = mr_call_encode(
		&b, MRF_CLIENT_BODY_PING, mrf_ping_write(&b, &ping), body, sizeof(body));
	error = mr_call_wait(c, &ask, &found);
	if (error != 0)
		return error;
	if (round_ns != NULL)
		*round_ns = mr_now_ns() - ping.sent_ns;
	if (handled_ns != NULL)
		*handled_ns = found.handled_ns - ping.sent_ns;
	return 0;
}
