/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/control_request.h"

#include <stdio.h>
#include <string.h>

#include "client/core/away.h"
#include "client/core/error.h"
#include "client/core/log.h"
#include "client/core/part.h"
#include "client/core/ring_out.h"
#include "client/core/wait.h"

#define INDEX_BITS 6u
_Static_assert(1u << INDEX_BITS == MR_CONTROL_REQUESTS_MAX, "an index fits its bits");

#define RETRY_NS 1000000ull

uint32_t mr_control_request_encode(
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

struct mr_control_request *mr_control_request_new(
	struct mr_client *c, mr_control_answer_fn *done, void *arg, uint32_t object)
{
	for (uint32_t i = 0; i < MR_CONTROL_REQUESTS_MAX; i++) {
		struct mr_control_request *request = &c->control_requests[i];

		if (request->correlation != 0)
			continue;
		if (++c->control_request_serial >= 1u << (32 - INDEX_BITS))
			c->control_request_serial = 1;
		request->correlation = c->control_request_serial << INDEX_BITS | i;
		request->done = done;
		request->arg = arg;
		request->object = object;
		request->bytes = 0;
		c->control_requests_open++;
		return request;
	}
	return NULL;
}

int mr_control_request_none(struct mr_client *c)
{
	return mr_failf(c, c->errors_0_1 ? -EBUSY : -EAGAIN,
		"%u requests to control are under way already", MR_CONTROL_REQUESTS_MAX);
}

static void request_free(struct mr_client *c, struct mr_control_request *request)
{
	request->correlation = 0;
	c->control_requests_open--;
}

static void push_request(struct mr_client *c, struct mr_control_request *request, uint64_t now_ns)
{
	uint32_t bytes = mr_message_bytes(false, 0, 0, request->bytes);
	uint8_t *to = mr_ring_promised_room(c, bytes);

	request->resend_ns = now_ns + (to != NULL ? MR_CONTROL_RESEND_NS : RETRY_NS);
	mr_housekeep_by(c, request->resend_ns < request->deadline_ns ? request->resend_ns
								     : request->deadline_ns);
	if (to == NULL)
		return;
	to = mr_message_begin(
		to, MRF_MESSAGE_KIND_CONTROL, request->correlation, NULL, 0, 0, request->bytes);
	memcpy(to, request->body, request->bytes);
	mr_bytes_push(c->promised, bytes);
	mr_ring_out_publish(c);
}

void mr_control_request_send(
	struct mr_client *c, struct mr_control_request *request, uint64_t deadline_ns)
{
	request->deadline_ns = deadline_ns;
	push_request(c, request, mr_now_ns());
}

static void finish_request(
	struct mr_client *c, struct mr_control_request *request, const struct mr_control_answer *a)
{
	mr_control_answer_fn *done = request->done;
	uint32_t object = request->object;
	void *arg = request->arg;

	request_free(c, request);
	if (done != NULL)
		done(c, a, arg, object);
}

static void read_group(struct mrf_table body, struct mr_group_offer *out)
{
	uint64_t words[] = {
		mrf_multicast_response_group_0(body), mrf_multicast_response_group_1(body)};

	memcpy(out->address, words, sizeof(out->address));
	out->channel = mrf_multicast_response_channel(body);
	out->udp_port = mrf_multicast_response_udp_port(body);
	out->frame_bytes = mrf_multicast_response_frame_bytes(body);
}

static bool answer_read(struct mrf_table message, struct mr_control_answer *a)
{
	struct mrf_table body = mrf_client_message_body(message);

	*a = (struct mr_control_answer){.text = ""};
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
		a->push_options = mrf_queue_response_push_options(body);
		a->consume_options = mrf_queue_response_consume_options(body);
		a->settle_options = mrf_queue_response_settle_options(body);
		return true;
	case MRF_CLIENT_BODY_MULTICAST_RESPONSE:
		read_group(body, &a->group);
		return a->group.channel != 0 && a->group.frame_bytes >= 1200;
	case MRF_CLIENT_BODY_MMI_RESPONSE:
		a->status = mrf_mmi_response_status(body);
		a->text = mrf_mmi_response_body(body).data;
		return true;
	default: return false;
	}
}

/* Handles messages that control sends unasked. Over UDP a welcome may arrive once more. */
static bool unasked(
	struct mr_client *c, struct mrf_table message, bool *closed, uint32_t *subscription)
{
	struct mrf_table body = mrf_client_message_body(message);

	switch (mrf_client_message_body_type(message)) {
	case MRF_CLIENT_BODY_DISCONNECT:
		*subscription = mrf_disconnect_subscription(body);
		*closed = true;
		return true;
	case MRF_CLIENT_BODY_WELCOME: return c->udp != NULL;
	default: return false;
	}
}

static bool answered(
	struct mr_client *c, struct mr_control_request *request, struct mrf_table message)
{
	struct mr_control_answer a;

	if (!answer_read(message, &a))
		return false;
	finish_request(c, request, &a);
	return true;
}

bool mr_control_request_answered(
	struct mr_client *c, const struct mr_message_view *m, uint32_t *subscription)
{
	struct mr_control_request *request =
		&c->control_requests[m->header.target % MR_CONTROL_REQUESTS_MAX];
	bool event = m->header.target == 0, closed = false;
	alignas(8) uint8_t body[2048];
	struct mrf_table message;

	/* A repeated request is answered twice; or the request was abandoned meanwhile. */
	if (!event && request->correlation != m->header.target) {
		c->unmatched++;
		return false;
	}
	if (m->payload_bytes > sizeof(body)) {
		c->malformed++;
		return false;
	}
	/* Copied, so that the bus cannot change it while it is read. */
	memcpy(body, m->payload, m->payload_bytes);
	if (mrf_client_message_parse(body, m->payload_bytes, &message) != 0 ||
		!(event ? unasked(c, message, &closed, subscription)
			: answered(c, request, message)))
		c->malformed++;
	return closed;
}

static void step(struct mr_client *c, uint64_t now_ns)
{
	static const struct mr_control_answer late = {.code = -ETIMEDOUT, .text = "no answer"};

	for (uint32_t i = 0; i < MR_CONTROL_REQUESTS_MAX && c->control_requests_open > 0; i++) {
		struct mr_control_request *request = &c->control_requests[i];

		if (request->correlation == 0)
			continue;
		if (now_ns >= request->deadline_ns)
			finish_request(c, request, &late);
		else if (now_ns >= request->resend_ns && c->state != MR_STATE_LOST && !c->eof)
			push_request(c, request, now_ns);
	}
}

static uint64_t due_ns(const struct mr_client *c)
{
	uint64_t due = MR_NEVER_NS;

	for (uint32_t i = 0; i < MR_CONTROL_REQUESTS_MAX && c->control_requests_open > 0; i++) {
		const struct mr_control_request *request = &c->control_requests[i];

		if (request->correlation == 0)
			continue;
		due = request->resend_ns < due ? request->resend_ns : due;
		due = request->deadline_ns < due ? request->deadline_ns : due;
	}
	return due;
}

static void fail_all(struct mr_client *c)
{
	static const struct mr_control_answer gone = {
		.code = -ENOTCONN, .text = "the bus went away"};

	for (uint32_t i = 0; i < MR_CONTROL_REQUESTS_MAX; i++) {
		if (c->control_requests[i].correlation != 0)
			finish_request(c, &c->control_requests[i], &gone);
	}
}

const struct mr_part mr_control_request_part = {
	.due_ns = due_ns,
	.step = step,
	.fail = fail_all,
};

struct waiter {
	bool done;
	struct mr_control_answer answer;
	char text[200];
};

static void waited(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct waiter *w = arg;

	(void)c;
	(void)object;
	w->done = true;
	w->answer = *a;
	snprintf(w->text, sizeof(w->text), "%s", a->text);
	w->answer.text = w->text;
}

static int answer_code(struct mr_client *c, const struct waiter *w)
{
	int code = w->answer.code;

	if (code == 0)
		return 0;
	if (code == -ENOTCONN)
		return mr_ring_out_refused(c);
	if (code == -ETIMEDOUT)
		return mr_fail(c, code, "control does not answer");
	mr_failf(
		c, code, "the bus refuses: %s", w->text[0] != '\0' ? w->text : mr_error_text(code));
	mr_event_log(c, MR_SEVERITY_WARNING, MR_EVENT_REFUSED, "%s", c->error_text);
	return code;
}

static void wait_for(struct mr_client *c, struct waiter *w)
{
	struct mr_wait_limit p;

	/* A signal does not end the wait, as control would still handle the request. The request's
	 * own deadline ends it. */
	do {
		mr_wait_limit_init(&p, c, -1);
	} while (mr_await(c, &w->done, &p) == -EINTR);
}

static void ask_again(struct mr_client *c, const struct mr_control_ask *ask)
{
	struct mr_control_request *request =
		mr_control_request_new(c, ask->late, NULL, ask->object);

	if (request == NULL)
		return;
	memcpy(request->body, ask->body, ask->bytes);
	request->bytes = ask->bytes;
	mr_control_request_send(c, request, MR_NEVER_NS);
}

/* Fills in the waiter in all cases. */
static int ask_and_wait(struct mr_client *c, const struct mr_control_ask *ask, struct waiter *w)
{
	uint64_t timeout_ms =
		ask->timeout_ms < 0 ? c->options.request_timeout_ms : (uint64_t)ask->timeout_ms;
	struct mr_control_request *request = mr_control_request_new(c, waited, w, ask->object);
	uint32_t correlation;

	if (request == NULL)
		return mr_control_request_none(c);
	correlation = request->correlation;
	memcpy(request->body, ask->body, ask->bytes);
	request->bytes = ask->bytes;
	mr_control_request_send(c, request, mr_now_ns() + timeout_ms * MR_NS_PER_MS);
	wait_for(c, w);
	if (!w->done && request->correlation == correlation) {
		/* Happens only within a callback, where the session's end is handled later. */
		request_free(c, request);
		w->answer.code = -ENOTCONN;
	}
	if (w->answer.code == -ETIMEDOUT && ask->late != NULL)
		ask_again(c, ask);
	return answer_code(c, w);
}

int mr_control_request_wait(
	struct mr_client *c, const struct mr_control_ask *ask, struct mr_control_answer *found)
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

uint32_t mr_ping_encode(uint64_t sent_ns, uint8_t *to, uint32_t room)
{
	struct mrf_ping ping = {.sent_ns = sent_ns};
	uint8_t memory[128];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	return mr_control_request_encode(
		&b, MRF_CLIENT_BODY_PING, mrf_ping_write(&b, &ping), to, room);
}

int mr_ping(struct mr_client *c, int timeout_ms, uint64_t *handled_ns, uint64_t *round_ns)
{
	uint64_t sent_ns = mr_now_ns();
	uint8_t body[128];
	struct mr_control_ask ask = {.body = body, .timeout_ms = timeout_ms};
	struct mr_control_answer found;
	int error;

	if (c == NULL)
		return mr_fail(NULL, -EINVAL, "mr_ping: the client is NULL");
	error = mr_ready(c, true);
	if (error != 0)
		return error;
	ask.bytes = mr_ping_encode(sent_ns, body, sizeof(body));
	error = mr_control_request_wait(c, &ask, &found);
	if (error != 0)
		return error;
	if (round_ns != NULL)
		*round_ns = mr_now_ns() - sent_ns;
	if (handled_ns != NULL)
		*handled_ns = found.handled_ns - sent_ns;
	return 0;
}
