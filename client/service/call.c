/* SPDX-License-Identifier: Apache-2.0 */
#include "client/service/call.h"

#include <stdlib.h>
#include <string.h>

#include "client/core/away.h"
#include "client/core/error.h"
#include "client/core/random.h"
#include "client/core/ring_out.h"
#include "client/core/wait.h"
#include "client/publish/outgoing.h"
#include "client/publish/publish.h"

#define ROOM_NS            MR_NS_PER_MS /* until the next try for room */
#define RETRIES_DEFAULT    2u
#define BACKOFF_MS_DEFAULT 100u
#define FAILURES_DEFAULT   5u
#define RESET_MS_DEFAULT   10000u
/* Time-outs from here on may be a few milliseconds late. */
#define LONG_MS         1000u
#define CHEAP_BEHIND_NS (10 * MR_NS_PER_MS)
/* A flag in the token of a call's Push, above the time-out: the call waits for a worker. */
#define WAIT_WORKER (1ull << 32)

/* Ends. */

void mr_call_set_due(struct mr_client *c, struct mr_call *r, uint64_t due_ns)
{
	r->due_ns = due_ns;
	if (r->callback == NULL) {
		r->sync->changed = true;
		return;
	}
	mr_wheel_remove(&c->calls->wheel, &r->timer);
	mr_wheel_add(&c->calls->wheel, &r->timer, due_ns,
		c->calls->wheel.count == 0 ? mr_housekeep_now_ns(c) : 0);
	mr_housekeep_by(c, due_ns);
	if (c->depth == 0)
		mr_timer_by(c, due_ns);
}

void mr_call_forget(struct mr_client *c, struct mr_call *r)
{
	if (r->probe)
		mr_breaker_abandon(&r->stub->breaker);
	mr_call_free(c, r);
}

static void tell_sync(struct mr_call_sync *sync, const struct mr_message *reply, int error)
{
	sync->changed = true;
	sync->done = true;
	sync->error = error;
	if (reply != NULL)
		*sync->reply = *reply;
}

void mr_call_set_error(struct mr_client *c, const struct mr_call *r, int error)
{
	const char *service = r->stub != NULL ? r->stub->name : "the bus itself";

	switch (error) {
	case -ENOTCONN: mr_ring_out_refused(c); break;
	case -EBUSY: mr_failf(c, error, "too many calls of %s wait already", service); break;
	case -EHOSTUNREACH: mr_failf(c, error, "no worker serves %s", service); break;
	case -EREMOTEIO:
		mr_failf(c, error, "a worker of %s gave up on the call, or died while it had it",
			service);
		break;
	case -ECONNABORTED:
		mr_failf(c, error, "the circuit breaker of %s is open: it failed too often",
			service);
		break;
	case -ETIMEDOUT: mr_fail(c, error, NULL); break;
	default:
		/* The bus has refused the service: stub.c has set its text. */
		if (r->state != MR_CALL_OPENING)
			mr_fail(c, error, NULL);
	}
}

void mr_call_finish(
	struct mr_client *c, struct mr_call *r, const struct mr_message *reply, int error)
{
	mr_call_fn *callback = r->callback;
	uint64_t correlation = r->caller_correlation;
	void *arg = r->arg;

	if (reply == NULL && callback != NULL && c->depth > 0) {
		r->state = MR_CALL_ENDED;
		r->error = error;
		mr_call_set_due(c, r, 0);
		return;
	}
	if (reply == NULL)
		mr_call_set_error(c, r, error);
	/* Freed first: the callback may make the next call. */
	mr_call_forget(c, r);
	if (callback == NULL) {
		tell_sync(arg, reply, error);
		return;
	}
	c->depth++;
	callback(c, correlation, reply, false, error, arg);
	c->depth--;
}

/* Tries. */

/* Returns the token, which tells the bus how long to keep the call. */
static struct mrf_reply_token token_of(const struct mr_call *r)
{
	return (struct mrf_reply_token){
		.session = r->timeout_ms | (r->waits ? WAIT_WORKER : 0),
		.correlation = r->correlation,
	};
}

static struct mr_outgoing outgoing_of(const struct mr_call *r, struct mrf_reply_token *token)
{
	const char *headers = r->header_bytes > 0 ? (const char *)r->request : NULL;
	struct mr_outgoing l = {
		.kind = MRF_MESSAGE_KIND_PUSH,
		.target = r->stub->queue,
		.token = token,
		.extra.flags = r->stream != NULL ? MRF_MESSAGE_FLAG_MORE : 0,
		.parts = {NULL, 0, headers, r->header_bytes, r->request + r->header_bytes,
			r->bytes - r->header_bytes},
	};

	*token = token_of(r);
	return l;
}

static int push_outgoing(struct mr_client *c, const struct mr_call *r)
{
	struct mrf_reply_token token;
	struct mr_outgoing l = outgoing_of(r, &token);
	int error = mr_outgoing_measure(c, &l);

	return error != 0 ? error : mr_outgoing_send(c, &l, true, false);
}

static int push_call(struct mr_client *c, struct mr_call *r)
{
	struct mrf_reply_token token = token_of(r);
	uint32_t target = r->stub->queue;
	int error;

	if (mr_likely(r->stream == NULL &&
		      mr_outgoing_is_plain(c, r->header_bytes, r->request, r->bytes)))
		error = mr_outgoing_send_plain(
			c, MRF_MESSAGE_KIND_PUSH, target, &token, r->request, r->bytes, false);
	else
		error = push_outgoing(c, r);
	if (error == 0) {
		r->sent_to = target;
		r->state = MR_CALL_SENT;
	}
	return error;
}

/* Sends the call; its stub has a number. Without room it tries again soon. */
static void send_call(struct mr_client *c, struct mr_call *r)
{
	int error = push_call(c, r);
	uint64_t soon;

	if (error == 0) {
		mr_call_set_due(c, r, r->deadline_ns);
	} else if (error == -EAGAIN) {
		soon = mr_now_ns() + ROOM_NS;
		r->state = MR_CALL_NO_ROOM;
		mr_call_set_due(c, r, soon < r->deadline_ns ? soon : r->deadline_ns);
	} else {
		mr_call_finish(c, r, NULL, error);
	}
}

static void open_stub(struct mr_client *c, struct mr_call *r)
{
	r->state = MR_CALL_OPENING;
	mr_call_set_due(c, r, r->deadline_ns);
	mr_stub_open(c, r->stub, r->waits);
}

static void try_now(struct mr_client *c, struct mr_call *r, uint64_t now_ns)
{
	r->deadline_ns = now_ns + r->timeout_ms * MR_NS_PER_MS;
	r->tries++;
	r->reopened = false;
	if (r->stub->queue != 0)
		send_call(c, r);
	else
		open_stub(c, r);
}

static void try_again(struct mr_client *c, struct mr_call *r, uint64_t now_ns)
{
	if (c->refuse != 0)
		mr_call_finish(c, r, NULL, -ENOTCONN);
	else if (!mr_breaker_allows(&r->stub->breaker, now_ns, &r->probe))
		mr_call_finish(c, r, NULL, -ECONNABORTED);
	else
		try_now(c, r, now_ns);
}

/* True for errors of the service, rather than of the caller or the bus. */
static bool is_failure(int error)
{
	return error == -ETIMEDOUT || error == -EREMOTEIO || error == -EHOSTUNREACH ||
	       error == -EBUSY || error == -ENOBUFS;
}

static void note_failure(struct mr_call *r, uint64_t now_ns)
{
	mr_breaker_failure(&r->stub->breaker, now_ns, &r->rule);
	r->probe = false;
}

/* Handles a failed try: makes another one if allowed, else ends the call. */
static void try_failed(struct mr_client *c, struct mr_call *r, int error)
{
	uint64_t now_ns = mr_now_ns();
	bool again =
		error == -ETIMEDOUT || error == -EBUSY || error == -ENOBUFS || error == -EDQUOT;

	if (is_failure(error) && r->state != MR_CALL_OPENING)
		note_failure(r, now_ns);
	/* The error says nothing about the service: the next try, or call, is the probe. */
	if (r->probe)
		mr_breaker_abandon(&r->stub->breaker);
	r->probe = false;
	/* A caller that was given a part of one answer does not want another answer from its
	 * start. */
	if (!again || r->tries > r->retries || r->stream != NULL || r->tag != 0) {
		mr_call_finish(c, r, NULL, error);
		return;
	}
	r->state = MR_CALL_BACKOFF;
	mr_call_set_due(c, r, now_ns + mr_backoff_ns(r->backoff_ms, r->tries, mr_random(c)));
}

void mr_call_due(struct mr_client *c, struct mr_call *r)
{
	uint64_t now_ns = mr_now_ns();

	if (r->state == MR_CALL_ENDED && r->error == 0)
		mr_mmi_tell(c, r);
	else if (r->state == MR_CALL_ENDED)
		mr_call_finish(c, r, NULL, r->error);
	else if (r->state == MR_CALL_BACKOFF)
		try_again(c, r, now_ns);
	else if (r->state == MR_CALL_NO_ROOM && now_ns < r->deadline_ns)
		send_call(c, r);
	else if (r->state == MR_CALL_MMI)
		mr_call_finish(c, r, NULL, -ETIMEDOUT);
	else
		try_failed(c, r, -ETIMEDOUT);
}

void mr_call_opened(struct mr_client *c, struct mr_stub *stub, int error)
{
	bool waits = false;

	for (uint32_t i = 0; i < c->calls->top; i++) {
		struct mr_call *r = mr_call_at(c->calls, i);

		if (r->state != MR_CALL_OPENING || r->stub != stub)
			continue;
		if (error == 0)
			send_call(c, r);
		else if (error == -ETIMEDOUT)
			try_failed(c, r, error);
		else if (error == -EHOSTUNREACH && r->waits)
			waits = true; /* joined an opening that does not wait */
		else
			mr_call_finish(c, r, NULL, error);
	}
	if (waits)
		mr_stub_open(c, stub, true);
}

/* Begin. */

static int keep_request(struct mr_client *c, struct mr_call *r, const struct mr_message_parts *p)
{
	uint32_t bytes = (uint32_t)(p->header_bytes + p->payload_bytes);
	uint8_t *grown;

	/* Allocated for an empty request too: the bus's own answers (MMI) are stored there. */
	if (mr_unlikely(bytes > r->room || r->room == 0)) {
		grown = realloc(r->request, bytes > 256 ? bytes : 256);
		if (grown == NULL)
			return mr_fail(c, -ENOMEM, NULL);
		r->request = grown;
		r->room = bytes > 256 ? bytes : 256;
	}
	if (p->header_bytes > 0)
		memcpy(r->request, p->headers, p->header_bytes);
	if (p->payload_bytes > 0)
		mr_message_copy(r->request + p->header_bytes, p->payload, p->payload_bytes);
	r->header_bytes = (uint32_t)p->header_bytes;
	r->bytes = bytes;
	return 0;
}

static void set_options(struct mr_client *c, struct mr_call *r, const struct mr_call_options *o)
{
	r->timeout_ms = o->timeout_ms > 0 ? (uint32_t)o->timeout_ms : c->options.request_timeout_ms;
	r->retries = o->retries == 0               ? RETRIES_DEFAULT
		     : o->retries == MR_NO_RETRIES ? 0
						   : o->retries;
	r->backoff_ms = o->backoff_ms != 0 ? o->backoff_ms : BACKOFF_MS_DEFAULT;
	r->rule.failures = o->breaker_failures != 0 ? o->breaker_failures : FAILURES_DEFAULT;
	r->rule.reset_ms = o->breaker_reset_ms != 0 ? o->breaker_reset_ms : RESET_MS_DEFAULT;
	r->waits = o->wait;
	r->caller_correlation = o->correlation != 0 ? o->correlation : r->correlation;
}

/* Returns the start of the time-out. The coarse clock is some milliseconds behind, which a long
 * time-out can bear. */
static uint64_t start_ns(const struct mr_client *c, const struct mr_call *r)
{
	return r->timeout_ms >= LONG_MS ? mr_housekeep_now_ns(c) + CHEAP_BEHIND_NS : mr_now_ns();
}

/* Makes the first try. Without room it fails, unless the caller waits anyway. */
static int first_try(struct mr_client *c, struct mr_call *r)
{
	uint64_t now_ns = start_ns(c, r);
	int error;

	if (!mr_breaker_allows(&r->stub->breaker, now_ns, &r->probe)) {
		mr_call_set_error(c, r, -ECONNABORTED);
		return -ECONNABORTED;
	}
	if (r->stub->queue == 0 || r->callback == NULL) {
		try_now(c, r, now_ns);
		return 0;
	}
	error = push_call(c, r);
	if (error != 0)
		return error;
	r->tries = 1;
	r->deadline_ns = now_ns + r->timeout_ms * MR_NS_PER_MS;
	mr_call_set_due(c, r, r->deadline_ns);
	return 0;
}

static int check_large(struct mr_client *c, const struct mr_message_parts *parts)
{
	struct mr_outgoing l = {.kind = MRF_MESSAGE_KIND_PUSH, .parts = *parts};

	return mr_outgoing_measure(c, &l);
}

static int fill_call(struct mr_client *c, struct mr_call *r, const struct mr_call_begin *b,
	const struct mr_call_options *o)
{
	struct mr_message_parts parts = {
		NULL, 0, o->headers, o->header_bytes, b->payload, b->bytes};
	int error = 0;

	if (mr_unlikely(!mr_outgoing_is_plain(c, o->header_bytes, b->payload, b->bytes)))
		error = check_large(c, &parts);
	r->callback = b->callback;
	if (b->callback != NULL)
		r->arg = b->arg;
	else
		r->sync = b->sync;
	r->stream = b->stream;
	r->stub = NULL;
	set_options(c, r, o);
	return error != 0 ? error : keep_request(c, r, &parts);
}

int mr_call_begin(struct mr_client *c, const struct mr_call_begin *b, struct mr_call **out)
{
	static const struct mr_call_options none;
	const struct mr_call_options *o = b->options != NULL ? b->options : &none;
	struct mr_call *r;
	int error = mr_ready(c, false);

	if (error == 0)
		error = mr_calls_need(c);
	if (error == 0)
		error = mr_call_new(c, &r);
	if (error != 0)
		return error;
	error = fill_call(c, r, b, o);
	if (error == 0 && mr_unlikely(mr_mmi_is(b->service)))
		error = mr_mmi_ask(c, r, b->service);
	else if (error == 0) {
		error = mr_stub_find(c, b->service, &r->stub);
		error = error != 0 ? error : first_try(c, r);
	}
	if (error != 0) {
		r->stream = NULL;
		mr_call_forget(c, r);
		return error;
	}
	if (out != NULL)
		*out = r;
	return 0;
}

/* Answers. */

static void message_fill(struct mr_message *out, const struct mr_message_view *m)
{
	*out = (struct mr_message){
		.subject = "",
		.headers = m->header_bytes > 0 ? (const char *)m->headers : NULL,
		.header_bytes = m->header_bytes,
		.payload = m->payload,
		.payload_bytes = m->payload_bytes,
	};
}

/* The service may have been created anew, or have another number since its home worker restarted:
 * asks for the number again, once per try. */
static void not_found(struct mr_client *c, struct mr_call *r)
{
	if (r->reopened || r->stream != NULL) {
		mr_call_finish(c, r, NULL, -ENOENT);
		return;
	}
	r->reopened = true;
	if (r->stub->queue == r->sent_to)
		r->stub->queue = 0;
	if (r->stub->queue != 0)
		send_call(c, r);
	else
		open_stub(c, r);
}

static unsigned handle_status(struct mr_client *c, struct mr_call *r, uint32_t code)
{
	/* The status is of a try that was abandoned. */
	if (r->state != MR_CALL_SENT)
		return 0;
	if (code == MRF_STATUS_CODE_NOT_FOUND) {
		not_found(c, r);
		return 0;
	}
	/* The absence of workers says nothing about their health: the breaker stays as it is. */
	if (code == MRF_STATUS_CODE_NO_RESPONDERS)
		mr_call_finish(c, r, NULL, -EHOSTUNREACH);
	else
		try_failed(c, r, mr_status_error(code));
	return 1;
}

static unsigned handle_partial(
	struct mr_client *c, struct mr_call *r, const struct mr_message *message)
{
	uint64_t correlation = r->correlation;

	/* The time-out is the longest silence. */
	mr_call_set_due(c, r, mr_now_ns() + r->timeout_ms * MR_NS_PER_MS);
	if (r->callback != NULL) {
		c->depth++;
		r->callback(c, r->caller_correlation, message, true, 0, r->arg);
		c->depth--;
	}
	if (r->correlation == correlation)
		mr_stream_took(c, r);
	return r->callback != NULL;
}

static unsigned handle_reply(
	struct mr_client *c, struct mr_call *r, const struct mr_message_view *m)
{
	bool more = (m->header.flags & MRF_MESSAGE_FLAG_MORE) != 0;
	struct mr_message message;

	/* The bus marks a reply of the worker that holds the request; a reply without mark is
	 * forged. Two workers may have held the request in turn: only the first to answer
	 * counts. */
	if ((m->header.flags & MRF_MESSAGE_FLAG_DELIVERY) == 0 ||
		(r->tag != 0 && r->tag != m->extra.delivery.tag)) {
		c->unmatched++;
		return 0;
	}
	r->tag = m->extra.delivery.tag;
	message_fill(&message, m);
	c->received++;
	if (more)
		return handle_partial(c, r, &message);
	mr_breaker_success(&r->stub->breaker);
	r->probe = false;
	mr_call_finish(c, r, &message, 0);
	return 1;
}

unsigned mr_call_answered(struct mr_client *c, const struct mr_message_view *m)
{
	struct mr_call *r = mr_call_find(c, m->token.correlation);

	if (mr_unlikely(r == NULL || r->stub == NULL || r->state == MR_CALL_ENDED)) {
		c->unmatched++;
		return 0;
	}
	if (m->header.kind == MRF_MESSAGE_KIND_STATUS)
		return handle_status(c, r, m->header.target);
	if (m->header.kind == MRF_MESSAGE_KIND_CREDIT)
		return mr_stream_granted(c, r, m);
	return handle_reply(c, r, m);
}

/* Time, and the end of a session. */

static void expire(struct mr_client *c, uint64_t now_ns)
{
	struct mr_wheel_timer *t;

	if (c->calls == NULL)
		return;
	while ((t = mr_wheel_expired(&c->calls->wheel, now_ns)) != NULL)
		mr_call_due(c, (struct mr_call *)t);
}

static uint64_t due_ns(const struct mr_client *c)
{
	return c->calls != NULL ? mr_wheel_due_ns(&c->calls->wheel) : MR_NEVER_NS;
}

static void fail_all(struct mr_client *c)
{
	if (c->calls == NULL)
		return;
	mr_stubs_close(c);
	for (uint32_t i = 0; i < c->calls->top; i++) {
		if (mr_call_at(c->calls, i)->state != MR_CALL_FREE)
			mr_call_finish(c, mr_call_at(c->calls, i), NULL, -ENOTCONN);
	}
}

const struct mr_part mr_call_part = {
	.due_ns = due_ns,
	.step = expire,
	.outermost = true,
	.fail = fail_all,
};
