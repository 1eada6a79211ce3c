/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks with options that make no sense: of pushes, of queues and of consumers. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "tests/support/hostile/attacks.h"
#include "tests/support/hostile/raw.h"

#define CRON "NATS/1.0\r\nMillrace-Cron: "

struct bad_push {
	struct mrf_push_options options;
	const char *headers;
	uint32_t cut;   /* bytes that are missing from the block */
	unsigned flags; /* Fragment: its first part is shorter than the block */
};

static const struct bad_push bad_pushes[] = {
	{.options = {.priority = 11}},
	{.options = {.priority = 255}},
	{.options = {.priority = 3}, .flags = MRF_MESSAGE_FLAG_HIGH},
	{.options = {.delay_ms = 1, .at_ms = 1}},
	{.options = {.repeat = 4, .ticket_low = 9, .delay_ms = 1000}},
	{.options = {.repeat = 255, .ticket_low = 9, .delay_ms = 1000}},
	{.options = {.repeat = MRF_PUSH_REPEAT_EVERY, .delay_ms = 1000}},
	{.options = {.repeat = MRF_PUSH_REPEAT_EVERY, .ticket_low = 9, .delay_ms = 99}},
	{.options = {.repeat = MRF_PUSH_REPEAT_EVERY, .ticket_low = 9, .at_ms = UINT64_MAX}},
	{.options = {.repeat = MRF_PUSH_REPEAT_CRON, .ticket_low = 9}},
	{.options = {.repeat = MRF_PUSH_REPEAT_CRON, .ticket_low = 9, .delay_ms = 1},
		.headers = CRON "* * * * *\r\n\r\n"},
	{.options = {.repeat = MRF_PUSH_REPEAT_CRON, .ticket_low = 9},
		.headers = CRON "0 0 30 2 *\r\n\r\n"},
	{.options = {.repeat = MRF_PUSH_REPEAT_CRON, .ticket_low = 9},
		.headers = CRON "99999999999999999999 * * * *\r\n\r\n"},
	{.options = {.repeat = MRF_PUSH_REPEAT_CRON, .ticket_low = 9}, .headers = CRON},
	{.options = {.repeat = MRF_PUSH_REPEAT_RESTORED, .delay_ms = 1}},
	{.options = {.repeat = MRF_PUSH_REPEAT_RESTORED, .ticket_high = 1}},
	{.cut = 1},
	{.cut = 32},
	{.flags = MRF_MESSAGE_FLAG_FRAGMENT, .cut = 16},
};

/* Values at their ends, which are allowed. */
static const struct mrf_push_options extremes[] = {
	{.ttl_ms = UINT32_MAX},
	{.ttl_ms = 1},
	{.delay_ms = UINT32_MAX},
	{.at_ms = UINT64_MAX},
	{.repeat = MRF_PUSH_REPEAT_EVERY,
		.delay_ms = UINT32_MAX,
		.ticket_low = UINT32_MAX,
		.ticket_high = UINT16_MAX},
	{.at_ms = UINT64_MAX, .ttl_ms = UINT32_MAX},
	{.at_ms = 1},
	{.key = UINT64_MAX, .priority = 10},
	{.repeat = MRF_PUSH_REPEAT_RESTORED, .ticket_low = UINT32_MAX},
};

static int push_with(struct mr_raw *c, uint32_t queue, const struct bad_push *p, uint32_t number)
{
	uint8_t body[512];
	uint32_t block = (uint32_t)sizeof(p->options) - p->cut;
	const char *headers = p->headers != NULL ? p->headers : "";
	uint32_t more = (uint32_t)strlen(headers);
	const struct mr_message_extra extra = {
		.flags = (uint8_t)(p->flags | MRF_MESSAGE_FLAG_ORIGIN),
		.origin = {.id = number},
		.fragment = {.session = c->session, .message = number, .total_bytes = 20},
	};
	struct mr_message_plan plan;

	memcpy(body, &p->options, block);
	memcpy(body + block, headers, more);
	body[block + more] = 'x';
	plan = mr_message_plan(MRF_MESSAGE_KIND_PUSH_OPTIONS, NULL, NULL, 0, body, block + more, 1);
	mr_message_plan_extra(&plan, &extra);
	return mr_raw_send_plan(c, &plan, queue);
}

/* Each is refused; as many that are allowed are pushed in between. */
int mr_attack_bad_options(const char *path, unsigned count)
{
	struct mr_raw c;
	uint32_t queue;
	int error = mr_raw_attach(&c, path, "bad-options");

	if (error == 0)
		error = mr_raw_open(&c, MRF_QUEUE_KIND_QUEUE, "hostile.options",
			MRF_QUEUE_FULL_DROP_OLDEST, &queue);
	for (unsigned i = 0; error == 0 && i < count; i++) {
		const struct bad_push good = {.options = extremes[i % MR_ARRAY_COUNT(extremes)]};

		error = push_with(
			&c, queue, &bad_pushes[i % MR_ARRAY_COUNT(bad_pushes)], 2 * i + 1);
		if (error == 0)
			error = push_with(&c, queue, &good, 2 * i + 2);
	}
	if (error == 0)
		error = mr_raw_drain(&c);
	mr_raw_close(&c);
	return error;
}

/* Writes options with random values, many of them the least or the largest. */
static uint32_t write_options(struct mrf_builder *b)
{
	static const uint64_t ends[] = {0, 1, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};
	uint64_t v[8];

	for (unsigned i = 0; i < 8; i++) {
		v[i] = mr_raw_random();
		v[i] = v[i] & 1 ? v[i] >> (v[i] >> 58) : ends[v[i] / 2 % MR_ARRAY_COUNT(ends)];
	}
	return mrf_queue_options_write(
		b, &(struct mrf_queue_options){
			   .policy = (uint8_t)v[0] % 16,
			   .when_full = (uint8_t)v[1] % 6,
			   .when_expired = (uint8_t)v[2] % 4,
			   .single_active = (uint8_t)v[3] % 4,
			   .messages_max = v[4],
			   .bytes_max = v[5],
			   .age_max_ms = (uint32_t)v[6],
			   .ack_timeout_ms = (uint32_t)v[7],
			   .max_deliver = (uint16_t)v[0],
			   .aging_ms = (uint32_t)v[1],
			   .in_flight_per_key = (uint16_t)v[2],
			   .key_from = mrf_str(v[3] & 1 ? "" : "token 4294967297"),
			   .retry_min_ms = (uint32_t)v[4],
			   .retry_max_ms = (uint32_t)v[5],
			   .retry_factor = (uint16_t)v[6],
			   .retry_jitter = (uint8_t)v[7],
			   .breaker_failures = (uint16_t)v[0],
			   .breaker_reset_ms = (uint32_t)v[1],
			   .breaker_probes = (uint16_t)v[2],
		   });
}

/* Writes one of the requests about queues. The names are few, so that each meets the others'. */
static uint32_t write_request(struct mrf_builder *b, unsigned i, const char *name, uint8_t *type)
{
	static const char *const dead[] = {"", "none", "hostile.requests.1", "..", "default"};
	static char tag[300];
	uint64_t r = mr_raw_random();
	uint32_t options;

	memset(tag, 't', sizeof(tag) - 1);
	if (i % 3 == 0) {
		*type = MRF_CLIENT_BODY_CANCEL_REQUEST;
		return mrf_cancel_request_write(
			b, &(struct mrf_cancel_request){
				   .queue = mrf_str(name), .ticket = r >> (r % 64)});
	}
	if (i % 3 == 1) {
		*type = MRF_CLIENT_BODY_CONSUME_REQUEST;
		return mrf_consume_request_write(b,
			&(struct mrf_consume_request){.name = mrf_str(name),
				.kind = (uint8_t)(r % 4),
				.subscription = r % 4 == 3 ? UINT32_MAX : (uint32_t)(r >> 8) % 64,
				.prefetch = (uint32_t)(r >> (r % 64)),
				.weight = (uint32_t)(r >> (r / 64 % 64)),
				.rate = (uint32_t)(r >> 32),
				.prefetch_bytes = (uint32_t)r,
				.tag = mrf_str(r & 256 ? tag + r % 300 : ""),
				.dead_letter = mrf_str(dead[r / 512 % 5])});
	}
	options = write_options(b);
	*type = MRF_CLIENT_BODY_QUEUE_REQUEST;
	return mrf_queue_request_write(b, &(struct mrf_queue_request){.name = mrf_str(name),
						  .kind = (uint8_t)(r % 4),
						  .served = r & 64,
						  .options = options,
						  .dead_letter = mrf_str(dead[r / 512 % 5])});
}

/* Sends all requests without a look at the answers. */
int mr_attack_hostile_requests(const char *path, unsigned count)
{
	struct mr_raw c;
	int error = mr_raw_attach(&c, path, "hostile-requests");

	for (unsigned i = 0; error == 0 && i < count; i++) {
		struct mrf_client_message m = {0};
		uint8_t memory[2048];
		char name[64];
		struct mrf_builder b;
		const void *request;
		size_t bytes;

		snprintf(name, sizeof(name), "hostile.requests.%u%s", i / 3 % 20,
			i % 50 == 0 ? ".dead" : "");
		mrf_builder_init(&b, memory, sizeof(memory));
		m.body = write_request(&b, i, name, &m.body_type);
		error = mrf_builder_finish(&b, mrf_client_message_write(&b, &m), &request, &bytes);
		if (error == 0)
			error = mr_raw_send(
				&c, MRF_MESSAGE_KIND_CONTROL, i + 1, NULL, NULL, 0, request, bytes);
	}
	if (error == 0)
		error = mr_raw_drain(&c);
	mr_raw_close(&c);
	return error;
}
