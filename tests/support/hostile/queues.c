/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on queues and services: with valid numbers of others, or more often than is useful. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/hostile/attacks.h"
#include "tests/support/hostile/raw.h"

#define QUEUE   MRF_QUEUE_KIND_QUEUE
#define SERVICE MRF_QUEUE_KIND_SERVICE

/* Up to two sessions. */
struct pair {
	struct mr_raw one, two;
	uint32_t queue;
};

static int pair_open(struct pair *p, const char *path)
{
	int error;

	*p = (struct pair){0};
	error = mr_raw_attach(&p->one, path, "hostile-one");
	if (error == 0)
		error = mr_raw_attach(&p->two, path, "hostile-two");
	return error;
}

static int pair_close(struct pair *p, int error)
{
	mr_raw_close(&p->one);
	mr_raw_close(&p->two);
	return error;
}

static int push(struct mr_raw *c, uint32_t queue, uint64_t publisher, uint64_t id, uint32_t bytes)
{
	static const uint8_t payload[MR_BODY_BYTES_MAX];
	const struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_ORIGIN,
		.origin = {.publisher = publisher, .id = id},
	};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_PUSH, NULL, NULL, 0, payload, 0, bytes);

	mr_message_plan_extra(&plan, &extra);
	return mr_raw_send_plan(c, &plan, queue);
}

static int settle(struct mr_raw *c, uint32_t queue, uint64_t tag, unsigned verb)
{
	const struct mrf_settlement s = {.tag = tag, .verb = (uint8_t)verb};

	return mr_raw_send(c, MRF_MESSAGE_KIND_SETTLE, queue, NULL, NULL, 0, &s, sizeof(s));
}

/* Makes one delivery to `one`, of a message that it pushed itself. */
static int deliver(struct pair *p, uint64_t *tag)
{
	struct mr_message_view m;
	int error = push(&p->one, p->queue, 0, 1, 8);

	mr_raw_show(&p->one);
	if (error == 0)
		error = mr_raw_next(&p->one, MRF_MESSAGE_KIND_DELIVER, &m);
	if (error == 0)
		*tag = m.extra.delivery.tag;
	return error;
}

int mr_attack_double_acks(const char *path, unsigned count)
{
	struct pair p;
	uint64_t tag = 0;
	int error = pair_open(&p, path);

	if (error == 0)
		error = mr_raw_consume(&p.one, QUEUE, "hostile.acks", 1, 1, &p.queue);
	for (unsigned i = 0; error == 0 && i < count; i++) {
		error = deliver(&p, &tag);
		for (unsigned k = 0; error == 0 && k < 2; k++)
			error = settle(&p.one, p.queue, tag, MRF_SETTLE_VERB_ACK);
	}
	if (error == 0)
		error = mr_raw_drain(&p.one);
	return pair_close(&p, error);
}

/* Another session uses each tag first, in every possible way. */
int mr_attack_stolen_tags(const char *path, unsigned count)
{
	struct pair p;
	uint64_t tag = 0;
	int error = pair_open(&p, path);

	if (error == 0)
		error = mr_raw_consume(&p.one, QUEUE, "hostile.stolen", 1, 1, &p.queue);
	for (unsigned i = 0; error == 0 && i < count; i++) {
		error = deliver(&p, &tag);
		for (unsigned verb = 0; error == 0 && verb <= MRF_SETTLE_VERB_ACK_UP_TO; verb++)
			error = settle(&p.two, p.queue, tag, verb);
		if (error == 0)
			error = mr_raw_drain(&p.two);
		if (error == 0)
			error = settle(&p.one, p.queue, tag, MRF_SETTLE_VERB_ACK);
	}
	if (error == 0)
		error = mr_raw_drain(&p.one);
	return pair_close(&p, error);
}

static int send_call(struct mr_raw *c, uint32_t service, uint64_t correlation, bool more)
{
	const struct mrf_reply_token token = {.correlation = correlation};
	const struct mr_message_extra extra = {.flags = more ? MRF_MESSAGE_FLAG_MORE : 0};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_PUSH, &token, NULL, 0, "call", 0, 4);
	int error;

	mr_message_plan_extra(&plan, &extra);
	error = mr_raw_send_plan(c, &plan, service);
	mr_raw_show(c);
	return error;
}

/* A session that serves too, but does not have the call, answers it; then the right one does. */
int mr_attack_wrong_worker(const char *path, unsigned count)
{
	struct pair p;
	struct mr_message_view m;
	uint32_t other;
	int error = pair_open(&p, path);

	if (error == 0)
		error = mr_raw_consume(&p.one, SERVICE, "hostile.right", 1, 1, &p.queue);
	if (error == 0)
		error = mr_raw_consume(&p.two, SERVICE, "hostile.wrong", 1, 1, &other);
	for (unsigned i = 1; error == 0 && i <= count; i++) {
		struct mrf_reply_token token;

		error = send_call(&p.one, p.queue, i, false);
		if (error == 0)
			error = mr_raw_next(&p.one, MRF_MESSAGE_KIND_DELIVER, &m);
		if (error != 0)
			break;
		token = m.token;
		error = mr_raw_send(
			&p.two, MRF_MESSAGE_KIND_REPLY, p.queue, &token, NULL, 0, "wrong", 5);
		if (error == 0)
			error = mr_raw_drain(&p.two);
		if (error == 0)
			error = mr_raw_send(&p.one, MRF_MESSAGE_KIND_REPLY, p.queue, &token, NULL,
				0, "right", 5);
		mr_raw_show(&p.one);
		if (error == 0)
			error = mr_raw_next(&p.one, MRF_MESSAGE_KIND_REPLY, &m);
		if (error == 0 && (m.token.correlation != i || m.payload_bytes != 5 ||
					  memcmp(m.payload, "right", 5) != 0))
			error = -EPROTO;
	}
	return pair_close(&p, error);
}

/* All but the first must be refused with that. */
static int refused_as(int error, int expected)
{
	return error == expected ? 0 : error == 0 ? -EPROTO : error;
}

int mr_attack_ready_twice(const char *path, unsigned count)
{
	struct mr_raw c;
	uint32_t service;
	int error = mr_raw_attach(&c, path, "ready-twice");

	if (error == 0)
		error = mr_raw_consume(&c, SERVICE, "hostile.ready", 1, 1, &service);
	for (unsigned i = 0; error == 0 && i < count; i++)
		error = refused_as(
			mr_raw_consume(&c, SERVICE, "hostile.ready", 2 + i, 1, &service), -EEXIST);
	mr_raw_close(&c);
	return error;
}

int mr_attack_mmi_worker(const char *path, unsigned count)
{
	static const char *const names[] = {"mmi.service", "mmi.workers", "mmi.mine"};
	struct mr_raw c;
	uint32_t service;
	int error = mr_raw_attach(&c, path, "mmi-worker");

	for (unsigned i = 0; error == 0 && i < count; i++)
		error = refused_as(
			mr_raw_consume(&c, SERVICE, names[i % 3], 1 + i, 1, &service), -EACCES);
	mr_raw_close(&c);
	return error;
}

int mr_attack_queues_hoard(const char *path, unsigned count)
{
	struct mr_raw c;
	unsigned got = 0;
	int error = mr_raw_attach(&c, path, "queues-hoard");

	for (; error == 0 && got < count; got++) {
		char name[64];
		uint32_t queue;

		snprintf(name, sizeof(name), "hostile.hoard.%u", got);
		error = mr_raw_open(&c, QUEUE, name, 0, &queue);
	}
	mr_raw_close(&c);
	printf("got %u\n", got - 1);
	return refused_as(error, -ENOSPC);
}

/* Makes promised pushes and reads no outcome. */
static int push_all(const char *path, unsigned count, const char *name, bool publishers,
	uint32_t bytes, unsigned when_full)
{
	struct mr_raw c;
	uint32_t queue;
	int error = mr_raw_attach(&c, path, name);

	if (error == 0)
		error = mr_raw_open(&c, QUEUE, name, when_full, &queue);
	/* Numbers that a poor hash would not tell apart. */
	for (unsigned i = 1; error == 0 && i <= count; i++)
		error = push(&c, queue, publishers ? (uint64_t)i << 40 : 0, i, bytes);
	if (error == 0)
		error = mr_raw_drain(&c);
	mr_raw_close(&c);
	return error;
}

int mr_attack_publishers_hoard(const char *path, unsigned count)
{
	return push_all(path, count, "hostile.publishers", true, 8, MRF_QUEUE_FULL_REFUSE);
}

int mr_attack_store_hoard(const char *path, unsigned count)
{
	return push_all(path, count, "hostile.store", false, 4096, MRF_QUEUE_FULL_REFUSE);
}

/* Takes all the deliveries that it can get and settles none. */
int mr_attack_never_acks(const char *path, unsigned count)
{
	struct mr_raw c;
	uint32_t queue;
	int error = mr_raw_attach(&c, path, "never-acks");

	for (unsigned i = 1; error == 0 && i <= 16; i++)
		error = mr_raw_consume(&c, QUEUE, "hostile.taken", i, 65535, &queue);
	for (unsigned i = 0; error == 0 && i < count; i++) {
		error = push(&c, queue, 0, i + 1, 8);
		if (i % 64 == 0) {
			mr_raw_show(&c);
			mr_bytes_skip(&c.down, mr_bytes_readable(&c.down));
			mr_bytes_release(&c.down);
		}
	}
	if (error == 0)
		error = mr_raw_drain(&c);
	mr_raw_close(&c);
	return error;
}

static int piece(
	struct mr_raw *c, uint32_t queue, struct mrf_message_fragment fragment, uint32_t bytes)
{
	static const uint8_t payload[32768];
	struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_FRAGMENT, .fragment = fragment};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_PUSH, NULL, NULL, 0, payload, 0, bytes);

	extra.fragment.session = c->session;
	mr_message_plan_extra(&plan, &extra);
	return mr_raw_send_plan(c, &plan, queue);
}

/* Messages that begin and never end. */
int mr_attack_half_fragments(const char *path, unsigned count)
{
	struct mr_raw c;
	uint32_t queue;
	int error = mr_raw_attach(&c, path, "half-fragments");

	if (error == 0)
		error = mr_raw_open(&c, QUEUE, "hostile.halves", 0, &queue);
	for (unsigned i = 0; error == 0 && i < count; i++)
		for (uint32_t k = 0; error == 0 && k < 8; k++)
			error = piece(&c, queue,
				(struct mrf_message_fragment){
					.message = i, .total_bytes = 1u << 20, .offset = k * 32768},
				32768);
	if (error == 0)
		error = mr_raw_drain(&c);
	mr_raw_close(&c);
	return error;
}

/* A first fragment, and then one that does not follow it: holes, overlaps, other totals, nothing,
 * too much, beyond all ends, another length. Five of seven end their message as malformed. The
 * other two are refused before, and their message is given up when there are too many. */
int mr_attack_lying_fragments(const char *path, unsigned count)
{
	static const struct {
		uint32_t total_bytes, offset, bytes;
	} lies[] = {
		{4096, 2048, 1024},
		{4096, 512, 1024},
		{8192, 1024, 1024},
		{4096, 1024, 0},
		{4096, 1024, 4096},
		{UINT32_MAX, UINT32_MAX - 7, 1024},
		{4096, 1024, 512},
	};
	struct mr_raw c;
	uint32_t queue;
	int error = mr_raw_attach(&c, path, "lying-fragments");

	if (error == 0)
		error = mr_raw_open(&c, QUEUE, "hostile.lies", 0, &queue);
	for (unsigned i = 0; error == 0 && i < count; i++) {
		struct mrf_message_fragment f = {.message = i, .total_bytes = 4096};

		error = piece(&c, queue, f, 1024);
		f.total_bytes = lies[i % 7].total_bytes;
		f.offset = lies[i % 7].offset;
		if (error == 0)
			error = piece(&c, queue, f, lies[i % 7].bytes);
	}
	if (error == 0)
		error = mr_raw_drain(&c);
	mr_raw_close(&c);
	return error;
}

/* Calls that do not exist: each gets a status, which is not read. */
int mr_attack_unread_answers(const char *path, unsigned count)
{
	struct mr_raw c;
	int error = mr_raw_attach(&c, path, "unread-answers");

	for (unsigned i = 0; error == 0 && i < count; i++)
		error = send_call(&c, 1u << 16, i, false);
	if (error == 0)
		error = mr_raw_drain(&c);
	mr_raw_close(&c);
	return error;
}

/* 64 sessions have statuses queued that they do not read. They stay until the program is killed. */
int mr_attack_answers_hoard(const char *path, unsigned count)
{
	static struct mr_raw sessions[64];
	unsigned each = count / 64;
	int error = 0;

	for (unsigned i = 0; error == 0 && i < 64; i++) {
		error = mr_raw_attach(&sessions[i], path, "answers-hoard");
		for (unsigned k = 0; error == 0 && k < each; k++)
			error = send_call(&sessions[i], 1u << 16, k, false);
		if (error == 0)
			error = mr_raw_drain(&sessions[i]);
	}
	printf(error == 0 ? "all is queued\n" : "it ends\n");
	while (error == 0)
		pause();
	return error;
}

/* Sends far more parts than were granted by a worker, which does not read them. */
int mr_attack_parts_without_credit(const char *path, unsigned count)
{
	static const uint8_t part[1024];
	struct pair p;
	struct mr_message_view m;
	struct mrf_reply_token token = {0};
	int error = pair_open(&p, path);

	if (error == 0)
		error = mr_raw_consume(&p.two, SERVICE, "hostile.parts", 1, 1, &p.queue);
	if (error == 0)
		error = send_call(&p.one, p.queue, 7, true);
	if (error == 0)
		error = mr_raw_next(&p.two, MRF_MESSAGE_KIND_DELIVER, &m);
	if (error == 0)
		token = m.token;
	for (unsigned i = 0; error == 0 && i < count; i++) {
		const struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_MORE};
		struct mr_message_plan plan = mr_message_plan(
			MRF_MESSAGE_KIND_PART, &token, NULL, 0, part, 0, sizeof(part));

		mr_message_plan_extra(&plan, &extra);
		error = mr_raw_send_plan(&p.one, &plan, p.queue);
	}
	if (error == 0)
		error = mr_raw_drain(&p.one);
	return pair_close(&p, error);
}

/* Asks for queues one after the other and reads no answer. */
int mr_attack_requests_flood(const char *path, unsigned count)
{
	struct mr_raw c;
	int error = mr_raw_attach(&c, path, "requests-flood");

	for (unsigned i = 0; error == 0 && i < count; i++) {
		uint8_t memory[512];
		char name[64];
		struct mrf_builder b;
		const void *request;
		uint32_t body;
		size_t bytes;

		snprintf(name, sizeof(name), "hostile.flood.%u", i % 50);
		mrf_builder_init(&b, memory, sizeof(memory));
		body = mrf_queue_request_write(
			&b, &(struct mrf_queue_request){.name = mrf_str(name)});
		error = mrf_builder_finish(&b,
			mrf_client_message_write(&b,
				&(struct mrf_client_message){
					.body_type = MRF_CLIENT_BODY_QUEUE_REQUEST, .body = body}),
			&request, &bytes);
		if (error == 0)
			error = mr_raw_send(
				&c, MRF_MESSAGE_KIND_CONTROL, i + 1, NULL, NULL, 0, request, bytes);
	}
	if (error == 0)
		error = mr_raw_drain(&c);
	mr_raw_close(&c);
	return error;
}
