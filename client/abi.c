/* SPDX-License-Identifier: Apache-2.0 */
/* abi: the functions without sizes, with the structs of release 0.1.0. Programs built with that
 * release call them, and so do bindings that know no sizes. Parentheses keep the macros of
 * client/millrace/abi.h away from the names. */
#include "client/core/sized.h"
#include "client/core/state.h"

/* Ends of the structs of release 0.1.0. What follows up to their sizeof was padding, which the
 * caller need not have set. */
#define QUEUE_OPTIONS     sizeof(struct mr_queue_options)
#define OPTIONS           offsetof(struct mr_options, away_bytes_max) + sizeof(size_t)
#define STATS             offsetof(struct mr_client_stats, kept) + sizeof(uint64_t)
#define PUBLISHER_OPTIONS offsetof(struct mr_publisher_options, next_id) + sizeof(uint64_t)
#define SUBSCRIBE_OPTIONS offsetof(struct mr_subscribe_options, batch) + sizeof(void *)
#define MESSAGE           offsetof(struct mr_message, reply_token) + 2 * sizeof(uint64_t)
#define PUSH_OPTIONS      offsetof(struct mr_push_options, arg) + sizeof(void *)
#define PUSH              offsetof(struct mr_push, publisher) + sizeof(uint64_t)
#define DELIVERY          offsetof(struct mr_delivery, id) + sizeof(uint64_t)
#define CONSUME_OPTIONS   offsetof(struct mr_consume_options, queue) + QUEUE_OPTIONS
#define SERVE_OPTIONS     offsetof(struct mr_serve_options, window) + sizeof(unsigned)
#define CALL_OPTIONS      offsetof(struct mr_call_options, breaker_reset_ms) + sizeof(unsigned)

/* The first layout of structs that came later. */
#define REQUEST_MANY_OPTIONS offsetof(struct mr_request_many_options, header_bytes) + sizeof(size_t)
#define SETTLE_OPTIONS       offsetof(struct mr_settle_options, reserved) + 3
#define ADMIN_OPTIONS        offsetof(struct mr_admin_options, dead_letter) + sizeof(void *)

/* These were padding. */
static void clear_padding(struct mr_queue_options *options)
{
	options->when_expired = 0;
	options->aging_s = 0;
	options->single_active = 0;
	options->in_flight_per_key = 0;
}

struct mr_message *(mr_message_dup)(const struct mr_message *m)
{
	return mr_message_dup_sized(m, MESSAGE);
}

/* Such a client also has the errors of release 0.1.0. */
int(mr_connect)(const char *address, const struct mr_options *options, struct mr_client **out)
{
	int error = mr_connect_sized(address, options, out, OPTIONS);

	if (error == 0)
		(*out)->errors_0_1 = true;
	return error;
}

void(mr_client_stats)(const struct mr_client *c, struct mr_client_stats *out)
{
	mr_client_stats_sized(c, out, STATS);
}

int(mr_publisher_open_with)(struct mr_client *c, const char *subject,
	const struct mr_publisher_options *options, struct mr_publisher **out)
{
	return mr_publisher_open_with_sized(c, subject, options, out, PUBLISHER_OPTIONS);
}

int(mr_subscribe)(struct mr_client *c, const char *pattern,
	const struct mr_subscribe_options *options, mr_message_fn *callback, void *arg,
	struct mr_subscription **out)
{
	return mr_subscribe_sized(c, pattern, options, callback, arg, out, SUBSCRIBE_OPTIONS);
}

int(mr_receive)(struct mr_client *c, struct mr_message *out, int timeout_ms)
{
	return mr_receive_sized(c, out, timeout_ms, MESSAGE);
}

int(mr_request)(struct mr_client *c, const char *subject, const void *payload, size_t bytes,
	int timeout_ms, struct mr_message *reply)
{
	return mr_request_sized(c, subject, payload, bytes, timeout_ms, reply, MESSAGE);
}

int(mr_request_with)(struct mr_client *c, const char *subject, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes, int timeout_ms,
	struct mr_message *reply)
{
	return mr_request_with_sized(
		c, subject, headers, header_bytes, payload, bytes, timeout_ms, reply, MESSAGE);
}

int(mr_queue_open)(struct mr_client *c, const char *name, const struct mr_push_options *options,
	struct mr_queue **out)
{
	struct mr_push_options own;

	if (options == NULL)
		return mr_queue_open_sized(c, name, NULL, out, 0);
	(void)mr_sized_read(c, "mr_queue_open", &own, sizeof(own), options, PUSH_OPTIONS);
	clear_padding(&own.queue);
	return mr_queue_open_sized(c, name, &own, out, PUSH_OPTIONS);
}

int(mr_admin_edit_with)(struct mr_admin *a, const char *queue, bool service, unsigned edits,
	const struct mr_admin_options *values)
{
	return mr_admin_edit_with_sized(a, queue, service, edits, values, ADMIN_OPTIONS);
}

int(mr_push_with)(struct mr_queue *q, const struct mr_push *push, uint64_t *id)
{
	return mr_push_with_sized(q, push, id, PUSH);
}

int(mr_settle_and_push)(const struct mr_delivery *input, const struct mr_output *outputs,
	size_t count, const struct mr_settle_options *options)
{
	return mr_settle_and_push_sized(input, outputs, count, options, SETTLE_OPTIONS, PUSH);
}

int(mr_settle_and_push_async)(const struct mr_delivery *input, const struct mr_output *outputs,
	size_t count, const struct mr_settle_options *options, mr_settle_fn *callback, void *arg)
{
	return mr_settle_and_push_async_sized(
		input, outputs, count, options, callback, arg, SETTLE_OPTIONS, PUSH);
}

int(mr_consume)(struct mr_client *c, const char *queue, const struct mr_consume_options *options,
	mr_delivery_fn *callback, void *arg, struct mr_consumer **out)
{
	struct mr_consume_options own;

	if (options == NULL)
		return mr_consume_sized(c, queue, NULL, callback, arg, out, 0);
	(void)mr_sized_read(c, "mr_consume", &own, sizeof(own), options, CONSUME_OPTIONS);
	clear_padding(&own.queue);
	return mr_consume_sized(c, queue, &own, callback, arg, out, CONSUME_OPTIONS);
}

int(mr_pull)(struct mr_consumer *consumer, struct mr_delivery *out, int timeout_ms)
{
	return mr_pull_sized(consumer, out, timeout_ms, DELIVERY);
}

int(mr_pull_batch)(struct mr_consumer *consumer, struct mr_delivery *out, unsigned max, int wait_ms)
{
	return mr_pull_batch_sized(consumer, out, max, wait_ms, DELIVERY);
}

int(mr_serve)(struct mr_client *c, const char *service, const struct mr_serve_options *options,
	mr_work_fn *callback, void *arg, struct mr_service **out)
{
	struct mr_serve_options own;

	if (options == NULL)
		return mr_serve_sized(c, service, NULL, callback, arg, out, 0);
	(void)mr_sized_read(c, "mr_serve", &own, sizeof(own), options, SERVE_OPTIONS);
	clear_padding(&own.queue);
	return mr_serve_sized(c, service, &own, callback, arg, out, SERVE_OPTIONS);
}

int(mr_call)(struct mr_client *c, const char *service, const void *payload, size_t bytes,
	const struct mr_call_options *options, struct mr_message *reply)
{
	return mr_call_sized(c, service, payload, bytes, options, reply, CALL_OPTIONS, MESSAGE);
}

int(mr_call_async)(struct mr_client *c, const char *service, const void *payload, size_t bytes,
	const struct mr_call_options *options, mr_call_fn *callback, void *arg)
{
	return mr_call_async_sized(
		c, service, payload, bytes, options, callback, arg, CALL_OPTIONS);
}

int(mr_stream_open)(struct mr_client *c, const char *service, const void *payload, size_t bytes,
	const struct mr_call_options *options, mr_call_fn *callback, void *arg,
	struct mr_stream **out)
{
	return mr_stream_open_sized(
		c, service, payload, bytes, options, callback, arg, out, CALL_OPTIONS);
}

int(mr_request_many)(struct mr_client *c, const char *subject, const void *payload, size_t bytes,
	const struct mr_request_many_options *options, mr_reply_fn *callback, void *arg)
{
	return mr_request_many_sized(
		c, subject, payload, bytes, options, callback, arg, REQUEST_MANY_OPTIONS);
}

int(mr_request_many_async)(struct mr_client *c, const char *subject, const void *payload,
	size_t bytes, const struct mr_request_many_options *options, mr_reply_fn *callback,
	void *arg)
{
	return mr_request_many_async_sized(
		c, subject, payload, bytes, options, callback, arg, REQUEST_MANY_OPTIONS);
}
