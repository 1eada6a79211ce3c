/* SPDX-License-Identifier: Apache-2.0 */
/* bench_parse: measures parsing and composing a message.
 *
 * A few thousand messages of one kind lie in a row, as in a ring, in the second-level cache.
 * Parsing does the same as a worker for each: load the header, check that it fits, parse. Composing
 * writes header, token and sections, and copies subject and payload.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/support/bench.h"
#include "lib/wire/message.h"

#define MESSAGES 2048u

struct shape {
	const char *name;
	bool token;
	uint32_t subject_bytes, header_bytes, payload_bytes;
};

static const struct shape shapes[] = {
	{"alias, payload 64", false, 0, 0, 64},
	{"subject 20, payload 64", false, 20, 0, 64},
	{"token, subject 20, payload 64", true, 20, 0, 64},
	{"token, subject 20, headers 40, payload 64", true, 20, 40, 64},
	{"alias, payload 1024", false, 0, 0, 1024},
};

struct work {
	const struct shape *shape;
	uint8_t *memory;
	size_t bytes;
	uint8_t body[2048];
};

static uint64_t parse(void *context)
{
	struct work *w = context;
	const uint8_t *at = w->memory;
	size_t left = w->bytes;
	uint64_t start = bench_cycles(), total = 0;

	while (left > 0) {
		struct mrf_message_header h = mr_message_header_load(at);
		struct mr_message_view m;

		if (!mr_message_fits(&h, left) || !mr_message_parse(at, h, &m))
			abort();
		total += m.payload_bytes;
		bench_keep(&m);
		at += mr_message_stride(h.bytes);
		left -= mr_message_stride(h.bytes);
	}
	bench_keep(&total);
	return bench_cycles() - start;
}

static uint64_t compose(void *context)
{
	static const struct mrf_reply_token token = {.session = 1, .correlation = 2};
	struct work *w = context;
	const struct shape *s = w->shape;
	uint32_t body = s->subject_bytes + s->header_bytes + s->payload_bytes;
	uint32_t stride = mr_message_stride(
		mr_message_bytes(s->token, s->subject_bytes, s->header_bytes, s->payload_bytes));
	uint8_t *to = w->memory;
	uint64_t start = bench_cycles();

	for (uint32_t i = 0; i < MESSAGES; i++) {
		uint8_t *parts =
			mr_message_begin(to, MRF_MESSAGE_KIND_PUBLISH, i, s->token ? &token : NULL,
				s->subject_bytes, s->header_bytes, s->payload_bytes);

		memcpy(parts, w->body, body);
		to += stride;
	}
	bench_keep(w->memory);
	w->bytes = (size_t)(to - w->memory);
	return bench_cycles() - start;
}

int main(int argc, char **argv)
{
	static struct work w;
	struct bench b;

	bench_open(&b, "bench_parse", argc, argv, NULL, 0);
	bench_pin(0);
	w.memory = aligned_alloc(MR_CACHE_LINE, (size_t)MESSAGES * 2048);
	bench_check(w.memory == NULL ? -ENOMEM : 0, "memory");
	for (size_t i = 0; i < MR_ARRAY_COUNT(shapes); i++) {
		char label[96];

		w.shape = &shapes[i];
		snprintf(label, sizeof(label), "compose: %s", w.shape->name);
		bench_measure(&b, label, MESSAGES, compose, &w);
		snprintf(label, sizeof(label), "parse: %s", w.shape->name);
		bench_measure(&b, label, MESSAGES, parse, &w);
	}
	free(w.memory);
	bench_close(&b);
	return 0;
}
