/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatches received packets: control messages, deliveries, frames, neighbour requests. */
#include "bench/e2e/frames/generator.h"

#include <errno.h>
#include <stdio.h>

#include <rte_mbuf.h>

#include "bench/micro/support/bench.h"
#include "dataplane/port/answer.h"

#define UDP_DESTINATION_4 36u /* offset in a packet over IPv4 */
#define IP4_HEADERS       42u
#define CONTROL_BYTES_MAX 2048u

static void fail(struct mrf_string text, int code)
{
	char said[256];

	snprintf(said, sizeof(said), "the bus says: %.*s", (int)text.bytes, text.data);
	bench_check(code < 0 ? code : -EPROTO, said);
}

static void end_session(struct gen *g, struct gen_session *s)
{
	s->id = 0;
	s->need = GEN_NOTHING;
	g->counts.ended++;
}

/* ---- control messages */

static void welcome(struct gen *g, struct gen_session *s, struct mrf_table w)
{
	if (mrf_welcome_nonce(w) != s->nonce || s->need != GEN_WELCOME)
		/* The answer to a repeated hello. */
		return;
	s->id = mrf_welcome_session(w);
	s->last_rx = bench_cycles();
	s->window = mr_frame_window_first();
	s->need = GEN_NOTHING;
	if (g->flows.all != NULL) {
		bench_check(mrf_welcome_credit(w) > 0 ? 0 : -EPROTONOSUPPORT,
			"the bus's reliable flow");
		gen_flow_begin(g, s, mrf_welcome_credit(w));
	}
	g->heartbeat = gen_cycles_ms(g, mrf_welcome_heartbeat_ms(w));
	g->missed_max = mrf_welcome_missed_max(w);
	if (mrf_welcome_frame_bytes(w) < g->frame_bytes)
		g->frame_bytes = mrf_welcome_frame_bytes(w) & ~7u;
}

static void take_answer(struct gen_session *s, uint32_t correlation, struct mrf_table message)
{
	uint8_t type = mrf_client_message_body_type(message);
	struct mrf_table result;

	if (correlation != s->need || s->need == GEN_NOTHING)
		/* A duplicate. */
		return;
	if (type == MRF_CLIENT_BODY_ALIAS_RESPONSE) {
		s->alias = mrf_alias_response_alias(
			mrf_client_message_body_as_alias_response(message));
	} else if (type == MRF_CLIENT_BODY_RESULT) {
		result = mrf_client_message_body_as_result(message);
		if (mrf_result_code(result) != 0 || s->need == GEN_ALIAS)
			fail(mrf_result_text(result), mrf_result_code(result));
	}
	s->need = GEN_NOTHING;
}

/* Parses a copy, because tables are read aligned. False: no ClientMessage. */
static bool parse_control(
	const struct mr_message_view *m, uint8_t out[CONTROL_BYTES_MAX], struct mrf_table *message)
{
	if (m->payload_bytes > CONTROL_BYTES_MAX)
		return false;
	memcpy(out, m->payload, m->payload_bytes);
	return mrf_client_message_parse(out, m->payload_bytes, message) == 0;
}

static void take_control(struct gen *g, struct gen_session *s, const struct mr_message_view *m)
{
	alignas(8) uint8_t memory[CONTROL_BYTES_MAX];
	struct mrf_table message, refusal;

	if (!parse_control(m, memory, &message)) {
		g->counts.others++;
		return;
	}
	switch (mrf_client_message_body_type(message)) {
	case MRF_CLIENT_BODY_WELCOME:
		welcome(g, s, mrf_client_message_body_as_welcome(message));
		break;
	case MRF_CLIENT_BODY_REFUSAL:
		refusal = mrf_client_message_body_as_refusal(message);
		if (mrf_refusal_nonce(refusal) == s->nonce)
			fail(mrf_refusal_text(refusal), mrf_refusal_code(refusal));
		break;
	default: take_answer(s, m->header.target, message);
	}
}

/* ---- messages */

static void take_retry(struct gen *g, struct gen_session *s, const struct mr_message_view *m)
{
	struct mrf_hello_retry r;

	if (m->payload_bytes != sizeof(r) || s->need != GEN_WELCOME)
		return;
	memcpy(&r, m->payload, sizeof(r));
	if (r.nonce != s->nonce || r.cookie == s->cookie)
		return;
	s->cookie = r.cookie;
	gen_hello(g, s);
}

static void take_message(struct gen *g, struct gen_session *s, const struct mr_message_view *m)
{
	struct mrf_gap gap;

	switch (m->header.kind) {
	case MRF_MESSAGE_KIND_PADDING: break;
	case MRF_MESSAGE_KIND_CONTROL: take_control(g, s, m); break;
	case MRF_MESSAGE_KIND_RETRY: take_retry(g, s, m); break;
	case MRF_MESSAGE_KIND_CLOSE: end_session(g, s); break;
	case MRF_MESSAGE_KIND_DELIVER: g->counts.wrong++; break;
	case MRF_MESSAGE_KIND_GAP:
		if (m->payload_bytes == sizeof(gap)) {
			memcpy(&gap, m->payload, sizeof(gap));
			g->counts.missed += gap.missed;
		}
		break;
	default: g->counts.others++;
	}
}

/* Handles all but the expected deliveries; returns the message's stride, 0 if it is malformed. */
static uint32_t take_any(struct gen *g, struct gen_session *s, const uint8_t *at, uint32_t left)
{
	struct mrf_message_header h = mr_message_header_load(at);
	struct mr_message_view m;

	if (!mr_message_fits(&h, left) || !mr_message_parse(at, h, &m)) {
		g->counts.others++;
		return 0;
	}
	take_message(g, s, &m);
	return mr_message_stride(h.bytes);
}

void gen_take_messages(struct gen *g, struct gen_session *s, const uint8_t *at, uint32_t left)
{
	uint32_t usual = mr_message_stride((uint16_t)g->deliver_word);

	while (left > 0) {
		uint32_t stride = usual;

		if (mr_likely(mr_message_load_64(at) == g->deliver_word && stride <= left))
			g->counts.messages++;
		else
			stride = take_any(g, s, at, left);
		if (stride == 0)
			return;
		at += stride;
		left -= stride;
	}
}

/* ---- frames */

/* Handles the sequence of a frame of an open session, and counts losses. */
static bool in_flow(struct gen *g, struct gen_session *s, uint32_t sequence)
{
	int64_t lost;

	if (mr_frame_take(&s->window, sequence, &lost) == MR_FRAME_DUPLICATE) {
		g->counts.duplicate++;
		return false;
	}
	g->counts.lost += (uint64_t)lost;
	g->counts.frames++;
	s->last_rx = bench_cycles();
	return true;
}

static bool is_ours(const struct gen_session *s, const struct mrf_frame_header *h)
{
	if (h->sequence == 0) /* outside of the flows: Retry, Refusal, Close, Path */
		return h->session == 0 || h->session == s->id;
	/* Handles the Welcome, if it is one. */
	if (s->id == 0)
		return s->need == GEN_WELCOME;
	return h->session == s->id;
}

/* Handles the flags of a frame of a session with the reliable flow. True: the frame is of the
 * datagram flow and its messages are to be handled. */
static bool take_flags(struct gen *g, struct gen_session *s, const struct mrf_frame_header *h,
	struct rte_mbuf *m, const uint8_t *messages, uint32_t bytes)
{
	if (s->flow == NULL) {
		g->counts.others++;
		return false;
	}
	if (h->flags & MRF_FRAME_FLAG_ACK)
		gen_flow_ack(g, s, h, messages, bytes);
	if (h->flags & MRF_FRAME_FLAG_RELIABLE)
		gen_flow_take(g, s, h->sequence, m, messages, bytes);
	else if (h->sequence != 0)
		return true;
	g->counts.frames++;
	s->last_rx = bench_cycles();
	return false;
}

static void take_frame(
	struct gen *g, struct gen_session *s, struct rte_mbuf *m, const uint8_t *at, uint32_t bytes)
{
	bool was_open = s->id != 0;
	struct mrf_frame_header h;

	if (mr_frame_parse(at, bytes, &h) != MR_FRAME_OK || !is_ours(s, &h)) {
		g->counts.others++;
		return;
	}
	at += sizeof(h);
	bytes -= (uint32_t)sizeof(h);
	if (h.flags != 0 && !take_flags(g, s, &h, m, at, bytes))
		return;
	if (was_open && h.sequence != 0 && !in_flow(g, s, h.sequence))
		return;
	gen_take_messages(g, s, at, bytes);
	/* The frame with the Welcome belongs to the flow, too. */
	if (!was_open && s->id != 0 && h.sequence != 0)
		(void)in_flow(g, s, h.sequence);
}

/* Answers an ARP request or ping in the buffer that brought it. */
static void answer(struct gen *g, const struct mr_packet *k, struct rte_mbuf *m)
{
	uint8_t *at = gen_port_payload(g->single, 0);
	uint32_t bytes;

	memcpy(at, rte_pktmbuf_mtod(m, const void *), k->bytes);
	bytes = mr_answer(&g->end, k, at, MR_FRAME_BYTES_MIN);
	gen_port_set(g->single, at, bytes);
	if (bytes > 0)
		(void)gen_port_send(&g->port, &g->single, 1);
}

/* Each session has its own UDP port. The packet's port gives the session, and the packet is then
 * checked like any other of that port. */
static void take_packet(struct gen *g, struct rte_mbuf *m)
{
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);
	struct mr_packet k;
	uint32_t index;

	if (m->data_len >= IP4_HEADERS)
		g->end.udp_port =
			(uint16_t)(at[UDP_DESTINATION_4] << 8 | at[UDP_DESTINATION_4 + 1]);
	if (mr_packet_parse(&g->end, at, m->data_len, 0, &k) != MR_PACKET_OK) {
		g->counts.others++;
		return;
	}
	index = (uint32_t)g->end.udp_port - GEN_UDP_PORT_FIRST;
	if (k.kind != MR_PACKET_FRAME) {
		if (k.bytes <= MR_FRAME_BYTES_MIN)
			answer(g, &k, m);
	} else if (index >= g->count) {
		g->counts.others++;
	} else {
		take_frame(g, &g->sessions[index], m, at + k.payload_offset, k.payload_bytes);
	}
}

uint32_t gen_receive(struct gen *g)
{
	struct rte_mbuf *burst[GEN_BURST];
	uint32_t n = gen_port_receive(&g->port, burst);

	if (n > 0 && g->flows.all != NULL)
		g->now_ns = gen_ns(g, bench_cycles());
	for (uint32_t i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(burst[i], const void *));
	for (uint32_t i = 0; i < n; i++)
		take_packet(g, burst[i]);
	gen_port_free(burst, n);
	return n;
}
