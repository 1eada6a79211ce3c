/* SPDX-License-Identifier: Apache-2.0 */
/* Opens, keeps and closes the sessions: hellos, requests, heartbeats, goodbyes. */
#include "bench/e2e/frames/generator.h"

#include <errno.h>
#include <sys/random.h>

#include <rte_mbuf.h>

#include "bench/micro/support/bench.h"

#define ASK_MS_MAX     60000u
#define HELLO_MS_FIRST 100u
#define HELLO_MS_MAX   1000u
#define HELLO_TRIES    4u /* at full size; later ones alternate with the smallest size */
#define REQUEST_MS     1000u
#define ASK_AT_ONCE    256u
#define SEND_MS_MAX    1000u /* a session that receives nothing for so long sends nothing either */
#define CONTROL_BYTES  512u
#define LOOK_PARTS     64u /* one part of the sessions is checked in one call */
#define GOODBYE_MS     100u

uint32_t gen_next_sequence(struct gen_session *s)
{
	s->sequence++;
	if (s->sequence == 0)
		s->sequence = 1;
	return s->sequence;
}

/* ---- single frames */

static void send_single(struct gen *g, struct gen_frame *f, struct gen_session *s)
{
	uint32_t bytes = gen_frame_close(f, &g->headers);
	struct mrf_frame_header h = gen_flow_head(g, s, false);
	uint32_t sent;
	uint64_t end = bench_cycles() + gen_cycles_ms(g, SEND_MS_MAX);

	gen_frame_stamp(f, gen_udp_port(g, s), &h);
	gen_port_set(g->single, f->payload - g->headers.count, bytes);
	do {
		sent = gen_port_send(&g->port, &g->single, 1);
	} while (sent == 0 && bench_cycles() < end);
	g->counts.unsent += sent == 0;
	s->last_tx = bench_cycles();
}

static struct gen_frame open_single(struct gen *g, uint32_t capacity)
{
	struct gen_frame f;

	gen_frame_open(&f, gen_port_payload(g->single, g->headers.count), capacity);
	return f;
}

void gen_send(
	struct gen *g, struct gen_session *s, const struct mr_message_plan *plan, uint32_t target)
{
	struct gen_frame f = open_single(g, g->frame_bytes);

	/* The smallest frame has room for each of these messages. */
	(void)gen_frame_add(&f, plan, target);
	send_single(g, &f, s);
}

static void heartbeat(struct gen *g, struct gen_session *s)
{
	struct gen_frame f = open_single(g, g->frame_bytes);

	send_single(g, &f, s);
}

/* ---- requests */

/* Writes a ClientMessage around `body` after the `used` bytes of `out`; returns all bytes. */
static uint32_t finish(struct mrf_builder *b, enum mrf_client_body type, uint32_t body,
	uint8_t out[CONTROL_BYTES], size_t used)
{
	const struct mrf_client_message message = {.body_type = (uint8_t)type, .body = body};
	const void *data;
	size_t bytes;

	bench_check(mrf_builder_finish(b, mrf_client_message_write(b, &message), &data, &bytes),
		"request");
	bench_check(used + bytes <= CONTROL_BYTES ? 0 : -EMSGSIZE, "request");
	memcpy(out + used, data, bytes);
	return (uint32_t)(used + bytes);
}

void gen_hello(struct gen *g, struct gen_session *s)
{
	bool least = s->tries >= HELLO_TRIES && s->tries % 2 == 0;
	struct mrf_hello_head head = {
		.nonce = s->nonce,
		.cookie = s->cookie,
		.frame_bytes = least ? MR_FRAME_BYTES_MIN : g->frame_bytes,
	};
	struct gen_frame f = open_single(g, head.frame_bytes);
	uint8_t memory[CONTROL_BYTES], payload[CONTROL_BYTES];
	struct mr_message_plan plan;
	struct mrf_builder b;
	uint32_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	memcpy(payload, &head, sizeof(head));
	bytes = finish(&b, MRF_CLIENT_BODY_HELLO_REQUEST,
		mrf_hello_request_write(&b,
			&(struct mrf_hello_request){.version = 1, .name = mrf_str("bench_frames")}),
		payload, sizeof(head));
	plan = mr_message_plan(MRF_MESSAGE_KIND_HELLO, NULL, NULL, 0, payload, 0, bytes);
	(void)gen_frame_add(&f, &plan, 0);
	gen_frame_pad(&f);
	send_single(g, &f, s);
	g->counts.hellos++;
}

static uint32_t write_request(struct gen *g, const struct gen_session *s, struct mrf_builder *b,
	uint8_t out[CONTROL_BYTES])
{
	if (s->need == GEN_ALIAS)
		return finish(b, MRF_CLIENT_BODY_ALIAS_REQUEST,
			mrf_alias_request_write(
				b, &(struct mrf_alias_request){.subject = mrf_str(g->subject)}),
			out, 0);
	return finish(b, MRF_CLIENT_BODY_SUBSCRIBE_REQUEST,
		mrf_subscribe_request_write(b,
			&(struct mrf_subscribe_request){
				.subscription = GEN_SUBSCRIPTION,
				.pattern = mrf_str(g->subject),
				.when_full =
					s->flow != NULL ? MRF_WHEN_FULL_BLOCK : MRF_WHEN_FULL_DROP,
			}),
		out, 0);
}

/* The correlation of a request is the need of its session. */
static void request(struct gen *g, struct gen_session *s)
{
	uint8_t memory[CONTROL_BYTES], payload[CONTROL_BYTES];
	struct mr_message_plan plan;
	struct mrf_builder b;
	uint32_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	bytes = write_request(g, s, &b, payload);
	plan = mr_message_plan(MRF_MESSAGE_KIND_CONTROL, NULL, NULL, 0, payload, 0, bytes);
	gen_send(g, s, &plan, s->need);
}

/* ---- asking until there is an answer */

static uint64_t patience(const struct gen *g, const struct gen_session *s)
{
	uint64_t ms = REQUEST_MS;

	if (s->need == GEN_WELCOME && s->tries < 8)
		ms = HELLO_MS_FIRST << s->tries < HELLO_MS_MAX ? HELLO_MS_FIRST << s->tries
							       : HELLO_MS_MAX;
	return gen_cycles_ms(g, ms);
}

static void ask(struct gen *g, struct gen_session *s, uint64_t now)
{
	s->due = now + patience(g, s);
	if (s->need == GEN_WELCOME)
		gen_hello(g, s);
	else
		request(g, s);
	s->tries++;
}

static void begin(struct gen *g, struct gen_session *s, enum gen_need need, uint64_t now)
{
	s->need = (uint8_t)need;
	s->tries = 0;
	if (need == GEN_WELCOME) {
		bench_check(getrandom(&s->nonce, sizeof(s->nonce), 0) < 0 ? -errno : 0, "nonce");
		s->nonce |= 1; /* never 0 */
	}
	ask(g, s, now);
}

/* Those in [oldest, next) have been asked for, and some of them are not answered. */
static void pursue(
	struct gen *g, uint32_t first, uint32_t last, enum gen_need need, uint32_t at_once)
{
	uint64_t end = bench_cycles() + gen_cycles_ms(g, ASK_MS_MAX);
	uint32_t oldest = first, next = first;

	while (oldest < last) {
		uint64_t now = bench_cycles();

		bench_check(now < end ? 0 : -ETIMEDOUT, "the bus's answer");
		while (next < last && next - oldest < at_once)
			begin(g, &g->sessions[next++], need, now);
		while (gen_receive(g) > 0)
			;
		for (uint32_t i = oldest; i < next; i++)
			if (g->sessions[i].need != GEN_NOTHING && now >= g->sessions[i].due)
				ask(g, &g->sessions[i], now);
		while (oldest < next && g->sessions[oldest].need == GEN_NOTHING)
			oldest++;
		gen_look(g, now);
	}
}

void gen_open(struct gen *g, uint32_t at_once)
{
	pursue(g, 0, g->count, GEN_WELCOME, at_once);
}

void gen_ask(struct gen *g, uint32_t first, uint32_t count, enum gen_need need)
{
	pursue(g, first, first + count, need, ASK_AT_ONCE);
}

/* ---- life and death */

static void look(struct gen *g, struct gen_session *s, uint64_t now)
{
	if (s->id == 0)
		return;
	if (now - s->last_tx >= g->heartbeat && s->last_tx <= now)
		heartbeat(g, s);
	if (now - s->last_rx >= g->heartbeat * g->missed_max && s->last_rx <= now) {
		s->id = 0;
		g->counts.ended++;
	}
}

void gen_look(struct gen *g, uint64_t now)
{
	for (uint32_t n = g->count / LOOK_PARTS + 1; n > 0; n--) {
		look(g, &g->sessions[g->look_at], now);
		g->look_at = (g->look_at + 1) % g->count;
	}
}

void gen_close_all(struct gen *g)
{
	const struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_CLOSE, NULL, NULL, 0, NULL, 0, 0);
	uint64_t end;

	for (uint32_t i = 0; i < g->count; i++) {
		if (g->sessions[i].id != 0)
			gen_send(g, &g->sessions[i], &plan, 0);
		g->sessions[i].id = 0;
		(void)gen_receive(g);
	}
	/* The last packets may still be in the driver's rings. */
	end = bench_cycles() + gen_cycles_ms(g, GOODBYE_MS);
	while (bench_cycles() < end)
		(void)gen_receive(g);
}
