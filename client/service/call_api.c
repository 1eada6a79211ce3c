/* SPDX-License-Identifier: Apache-2.0 */
/* call_api: mr_call and mr_call_async. */
#include "client/core/away.h"
#include "client/core/error.h"
#include "client/core/sized.h"
#include "client/core/wait.h"
#include "client/service/call.h"

int mr_call_options_read(struct mr_client *c, struct mr_call_options *own,
	const struct mr_call_options **options, size_t options_bytes)
{
	int error;

	/* Most programs have the library's own struct, which needs no copy. */
	if (mr_likely(*options == NULL || options_bytes == sizeof(*own)))
		return 0;
	error = mr_sized_read(c, "mr_call", own, sizeof(*own), *options, options_bytes);
	*options = own;
	return error;
}

int mr_call_async_sized(struct mr_client *c, const char *service, const void *payload, size_t bytes,
	const struct mr_call_options *options, mr_call_fn *callback, void *arg,
	size_t options_bytes)
{
	struct mr_call_begin b = {
		.service = service,
		.payload = payload,
		.bytes = bytes,
		.options = options,
		.callback = callback,
		.arg = arg,
	};
	struct mr_call_options own;
	int error;

	if (mr_unlikely(c == NULL || service == NULL || callback == NULL))
		return mr_fail(c, -EINVAL,
			"mr_call_async: the client, the service or the callback is NULL");
	error = mr_call_options_read(c, &own, &b.options, options_bytes);
	return error != 0 ? error : mr_call_begin(c, &b, NULL);
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
			mr_call_set_error(c, r, error);
			mr_call_forget(c, r);
			return error;
		}
	}
	return sync->error;
}

int mr_call_sized(struct mr_client *c, const char *service, const void *payload, size_t bytes,
	const struct mr_call_options *options, struct mr_message *reply, size_t options_bytes,
	size_t reply_bytes)
{
	struct mr_call_options own_options;
	struct mr_message own;
	struct mr_call_sync sync = {.reply = &own};
	struct mr_call_begin b = {
		.service = service,
		.payload = payload,
		.bytes = bytes,
		.options = options,
		.sync = &sync,
	};
	struct mr_call *r;
	int error;

	if (c == NULL || service == NULL)
		return mr_fail(c, -EINVAL, "mr_call: the client or the service is NULL");
	/* Begins first: mr_begin releases the message handed out last, which would keep the client
	 * from reconnecting. */
	error = mr_begin(c, true);
	if (error != 0)
		return error;
	error = mr_ready(c, true);
	if (error == 0)
		error = mr_call_options_read(c, &own_options, &b.options, options_bytes);
	if (error == 0)
		error = mr_call_begin(c, &b, &r);
	if (error == 0)
		error = await_call(c, r, &sync);
	if (error == 0 && reply != NULL)
		mr_sized_write(reply, reply_bytes, &own, sizeof(own));
	c->hold = error == 0 && c->depth == 0;
	mr_end(c);
	return error;
}
