/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks through well-formed records with forbidden content. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/hostile/attacks.h"
#include "tests/support/hostile/raw.h"

typedef int send_fn(struct mr_raw *c, unsigned i);

/* Sends `count` messages; the worker must take all of them without closing the session. */
static int flood(const char *path, unsigned count, const char *name, send_fn *send)
{
	struct mr_raw c;
	int error = mr_raw_attach(&c, path, name);

	for (unsigned i = 0; error == 0 && i < count; i++) {
		error = send(&c, i);
		if (i % 64 == 0)
			mr_raw_show(&c);
	}
	if (error == 0)
		error = mr_raw_drain(&c);
	mr_raw_close(&c);
	return error;
}

static int unknown_kind(struct mr_raw *c, unsigned i)
{
	return mr_raw_send(c, 64 + i % 192, i, NULL, "hostile.kind", 12, "abc", 3);
}

int mr_attack_unknown_kinds(const char *path, unsigned count)
{
	return flood(path, count, "unknown-kinds", unknown_kind);
}

/* Kinds that only the bus may send. */
static int bus_kind(struct mr_raw *c, unsigned i)
{
	static const uint8_t kinds[] = {MRF_MESSAGE_KIND_DELIVER, MRF_MESSAGE_KIND_STATUS,
		MRF_MESSAGE_KIND_GAP, MRF_MESSAGE_KIND_PADDING, MRF_MESSAGE_KIND_CLOSE,
		MRF_MESSAGE_KIND_PATH, MRF_MESSAGE_KIND_HELLO, MRF_MESSAGE_KIND_RETRY,
		MRF_MESSAGE_KIND_ACK, MRF_MESSAGE_KIND_ACCEPTED};
	struct mrf_reply_token token = {.session = c->session, .correlation = i};

	return mr_raw_send(c, kinds[i % sizeof(kinds)], i, &token, NULL, 0, "abc", 3);
}

int mr_attack_bus_kinds(const char *path, unsigned count)
{
	return flood(path, count, "bus-kinds", bus_kind);
}

static int bad_alias(struct mr_raw *c, unsigned i)
{
	uint32_t alias = i % 2 == 0 ? UINT32_MAX - i : 1000000 + i;

	return mr_raw_send(c, MRF_MESSAGE_KIND_PUBLISH, alias, NULL, NULL, 0, "abc", 3);
}

int mr_attack_bad_aliases(const char *path, unsigned count)
{
	return flood(path, count, "bad-aliases", bad_alias);
}

static int bad_subject(struct mr_raw *c, unsigned i)
{
	static const struct {
		const char *bytes;
		size_t length;
	} subjects[] = {
		{"", 0},
		{".", 1},
		{"a..b", 4},
		{".a", 2},
		{"a.", 2},
		{"a.*", 3},
		{"a.>", 3},
		{"a\0b", 3},
		{"a b", 3},
		{"a\r\nb", 4},
		{"a\x7f", 2},
		{"\x01", 1},
	};
	size_t which = i % (sizeof(subjects) / sizeof(subjects[0]));

	return mr_raw_send(c, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, subjects[which].bytes,
		subjects[which].length, "abc", 3);
}

int mr_attack_bad_subjects(const char *path, unsigned count)
{
	return flood(path, count, "bad-subjects", bad_subject);
}

/* Flags and lengths of sections that contradict the length of the message. */
static int bad_sections(struct mr_raw *c, unsigned i)
{
	struct mrf_message_header h = {.bytes = 32, .kind = MRF_MESSAGE_KIND_PUBLISH};
	uint8_t *to = mr_raw_claim(c, 32);

	if (to == NULL)
		return -ENOTCONN;
	memset(to, 0, 32);
	switch (i % 5) {
	case 0: /* unknown flags */ h.flags = (uint8_t)(4u << i / 5 % 6); break;
	case 1: /* too short for the token */
		h.flags = MRF_MESSAGE_FLAG_TOKEN;
		h.bytes = 16;
		break;
	case 2: /* too short for the sections */
		h.flags = MRF_MESSAGE_FLAG_SECTIONS;
		h.bytes = 11;
		break;
	case 3: /* a subject longer than the message */
		h.flags = MRF_MESSAGE_FLAG_SECTIONS;
		to[8] = 255;
		break;
	default: /* headers longer than the message */
		h.flags = MRF_MESSAGE_FLAG_SECTIONS;
		to[8] = 1;
		to[10] = to[11] = 255;
	}
	memcpy(to, &h, sizeof(h));
	mr_bytes_push(&c->up, h.bytes);
	return 0;
}

int mr_attack_bad_sections(const char *path, unsigned count)
{
	return flood(path, count, "bad-sections", bad_sections);
}

static int stale_token(struct mr_raw *c, unsigned i)
{
	struct mrf_reply_token token = {.correlation = mr_raw_random()};

	switch (i % 4) {
	case 0: token.session = mr_raw_random(); break;
	case 1: token.session = c->session + 1; break;                      /* another generation */
	case 2: token.session = 200ull << 56 | (uint32_t)c->session; break; /* no such worker */
	default: token.session = UINT64_MAX;
	}
	return mr_raw_send(c, MRF_MESSAGE_KIND_REPLY, 0, &token, NULL, 0, "forged", 6);
}

int mr_attack_stale_tokens(const char *path, unsigned count)
{
	return flood(path, count, "stale-tokens", stale_token);
}

/* Replies to no request, for sessions that may well exist. */
static int forged_reply(struct mr_raw *c, unsigned i)
{
	struct mrf_reply_token token = {
		.session = mr_session_id(i % 2, i / 2 % 64, i / 128 % 64),
		.correlation = i % 3 == 0 ? i / 3 : mr_raw_random(),
	};

	return mr_raw_send(c, MRF_MESSAGE_KIND_REPLY, 0, &token, NULL, 0, "forged", 6);
}

int mr_attack_forged_replies(const char *path, unsigned count)
{
	return flood(path, count, "forged-replies", forged_reply);
}

/* Numbers of queues and workers that do not exist. */
static uint32_t queue_number(unsigned i)
{
	return i % 3 == 0 ? i / 3 % 64 : (uint32_t)mr_raw_random();
}

static int unknown_queue(struct mr_raw *c, unsigned i)
{
	return mr_raw_send(
		c, MRF_MESSAGE_KIND_PUSH, queue_number(i) | 1u << 16, NULL, NULL, 0, "abc", 3);
}

int mr_attack_unknown_queues(const char *path, unsigned count)
{
	return flood(path, count, "unknown-queues", unknown_queue);
}

/* Settlements, replies, parts and credits for deliveries that this client never had, and malformed
 * payloads. */
static int forged_tag(struct mr_raw *c, unsigned i)
{
	static const uint8_t kinds[] = {MRF_MESSAGE_KIND_SETTLE, MRF_MESSAGE_KIND_REPLY,
		MRF_MESSAGE_KIND_PART, MRF_MESSAGE_KIND_CREDIT};
	uint8_t kind = kinds[i % sizeof(kinds)];
	struct mrf_settlement settlement = {
		.tag = (uint64_t)(i / 16 % 64) << 32 | i / 1024,
		.verb = (uint8_t)(i / 4 % 8),
		.delay_ms = (uint32_t)mr_raw_random(),
	};
	const struct mrf_settlement both[2] = {settlement, settlement};
	struct mrf_reply_token token = {.session = settlement.tag, .correlation = i};

	return mr_raw_send(c, kind, queue_number(i) | 1,
		kind == MRF_MESSAGE_KIND_SETTLE ? NULL : &token, NULL, 0, both,
		i % 32 < 16 ? sizeof(settlement) : i % 32);
}

int mr_attack_forged_tags(const char *path, unsigned count)
{
	return flood(path, count, "forged-tags", forged_tag);
}

/* Fragments of others' messages, and fragments that are inconsistent. */
static int forged_fragment(struct mr_raw *c, unsigned i)
{
	struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_FRAGMENT,
		.fragment = {.session = c->session, .message = i, .total_bytes = 8},
	};
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_PUBLISH, NULL, "hostile.piece", 13, "12345678", 0, 8);
	void *to;

	switch (i % 4) {
	case 0: extra.fragment.session = mr_session_id(i / 4 % 2, i / 8 % 64, i / 512); break;
	case 1: extra.fragment.offset = 1 + (uint32_t)mr_raw_random() % (UINT32_MAX - 1); break;
	case 2: extra.fragment.total_bytes = i % 8; break;
	default: extra.fragment.total_bytes = UINT32_MAX - i; break;
	}
	mr_message_plan_extra(&plan, &extra);
	to = mr_raw_claim(c, plan.bytes);
	if (to == NULL)
		return -ENOTCONN;
	mr_message_write(to, &plan, 0);
	mr_bytes_push(&c->up, plan.bytes);
	return 0;
}

int mr_attack_forged_fragments(const char *path, unsigned count)
{
	return flood(path, count, "forged-fragments", forged_fragment);
}

static int control_garbage(struct mr_raw *c, unsigned i)
{
	uint8_t payload[300];
	size_t bytes = mr_raw_random() % sizeof(payload);

	mr_raw_random_fill(payload, bytes);
	/* A root inside the buffer. */
	if (bytes >= 4 && i % 2 == 0) {
		uint32_t root = (uint32_t)(mr_raw_random() % bytes);

		memcpy(payload, &root, sizeof(root));
	}
	return mr_raw_send(c, MRF_MESSAGE_KIND_CONTROL, i % 5, NULL, NULL, 0, payload, bytes);
}

int mr_attack_control_garbage(const char *path, unsigned count)
{
	return flood(path, count, "control-garbage", control_garbage);
}

/* Requests whose answers are not read. */
static int ping(struct mr_raw *c, unsigned i)
{
	uint8_t memory[256];
	struct mrf_builder b;
	const void *request;
	uint32_t body;
	size_t bytes;
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	body = mrf_ping_write(&b, &(struct mrf_ping){.sent_ns = i + 1});
	error = mrf_builder_finish(&b,
		mrf_client_message_write(
			&b, &(struct mrf_client_message){.body_type = MRF_CLIENT_BODY_PING,
				    .body = body}),
		&request, &bytes);
	if (error != 0)
		return error;
	return mr_raw_send(c, MRF_MESSAGE_KIND_CONTROL, i + 1, NULL, NULL, 0, request, bytes);
}

int mr_attack_control_flood(const char *path, unsigned count)
{
	return flood(path, count, "control-flood", ping);
}

/* Takes resources until the bus refuses more. */
static int hoard(const char *path, unsigned count, bool aliases)
{
	struct mr_raw c;
	int error = mr_raw_attach(&c, path, aliases ? "aliases-hoard" : "subscriptions-hoard");
	unsigned got = 0;

	for (; error == 0 && got < count; got++) {
		char subject[64];
		uint32_t alias;

		snprintf(subject, sizeof(subject), "hostile.hoard.%u", got);
		error = aliases ? mr_raw_alias(&c, subject, &alias)
				: mr_raw_subscribe(&c, got + 1, subject);
	}
	mr_raw_close(&c);
	printf("got %u\n", got);
	return error == -ENOSPC ? 0 : error != 0 ? error : -EPROTO;
}

int mr_attack_subscriptions_hoard(const char *path, unsigned count)
{
	return hoard(path, count, false);
}

int mr_attack_aliases_hoard(const char *path, unsigned count)
{
	return hoard(path, count, true);
}
