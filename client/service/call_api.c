/* SPDX-License-Identifier: Apache-2.0 */
/* call_api: mr_call and mr_call_async. */
#include "client/core/away.h"
#include "client/core/error.h"
#include "client/core/ring_out.h"
#include "client/core/wait.h"
#include "client/service/call.h"

int mr_call_async(struct mr_client *c, const char *service, const void *payload, size_t bytes,
	const struct mr_call_options *options, mr_call_fn *callback, void *arg)
{
	struct mr_call_begin b = {
		.service = service,
		.payload = payload,
		.bytes = bytes,
		.options = options,
		.callback = callback,
		.arg = arg,
	};

	if (callback == NULL)
		return mr_fail(c, -EINVAL, "a callback is needed");
	return mr_call_begin(c, &b, NULL);
}

static int await_call(struct mr_client *c, struct mr_call *r, struct mr_call_sync *sync)
{
	struct mr_wait_limit p;
	int error;

	while (!sync->done) {
		sync->changed = false;
		mr_wait_limit_init(&p, c, -1);
		p.deadline_ns = r->due_ns;
		error = mr_await(c, &sync->changed, &p);
		if (sync->done)
			break;
		if (error == -ETIMEDOUT) {
			mr_call_due(c, r);
		} else if (error != 0) {
			mr_call_forget(c, r);
			return error;
		}
	}
	return sync->error;
}

static void set_error_text(struct mr_client *c, const char *service, int error)
{
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
	case -ETIMEDOUT:
	case -EINTR:
	case -ENOENT: mr_fail(c, error, NULL); break;
	default: break; /* the text is set already */
	}
}

int mr_call(struct mr_client *c, const char *service, const void *payload, size_t bytes,
	const struct mr_call_options *options, struct mr_message *reply)
{
	struct mr_message unused;
	struct mr_call_sync sync = {.reply = reply != NULL ? reply : &unused};
	struct mr_call_begin b = {
		.service = service,
		.payload = payload,
		.bytes = bytes,
		.options = options,
		.sync = &sync,
	};
	struct mr_call *r;
	int error;

	/* Begins first: mr_begin releases the message handed out last, which would keep the client
	 * from reconnecting. */
	error = mr_begin(c, true);
	if (error != 0)
		return error;
	error = mr_ready(c, true);
	if (error == 0)
		error = mr_call_begin(c, &b, &r);
	if (error == 0)
		error = await_call(c, r, &sync);
	c->hold = error == 0 && c->depth == 0;
	if (error != 0)
		set_error_text(c, service, error);
	mr_end(c);
	return error;
}
