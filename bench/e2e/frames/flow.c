/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/e2e/frames/flow.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_mbuf.h>

#include "bench/e2e/frames/generator.h"
#include "bench/micro/support/bench.h"

/* Frames received after which an ack is sent at once, even if more may follow. */
#define ACK_FRAMES 32u
#define SLOTS_MIN  8u

/* All credit together fits the port's ring, unless there are too many sessions. */
static uint32_t slots_of(uint32_t sessions)
{
	uint32_t slots = SLOTS_MIN;

	while (slots < MR_RELIABLE_WINDOW_MAX && 2 * slots * sessions <= GEN_RING_ENTRIES)
		slots *= 2;
	return slots;
}

int gen_flows_open(struct gen *g)
{
	struct gen_flows *f = &g->flows;

	*f = (struct gen_flows){.slots = slots_of(g->count)};
	f->all = calloc(g->count, sizeof(*f->all));
	f->frames = calloc((size_t)g->count * MR_RELIABLE_WINDOW_MAX, sizeof(*f->frames));
	f->kept = calloc((size_t)g->count * f->slots, sizeof(*f->kept));
	f->listed = calloc(g->count, sizeof(struct gen_session *));
	if (f->all != NULL && f->frames != NULL && f->kept != NULL && f->listed != NULL)
		return 0;
	gen_flows_close(g);
	return -ENOMEM;
}

void gen_flows_close(struct gen *g)
{
	struct gen_flows *f = &g->flows;

	for (size_t i = 0; f->kept != NULL && i < (size_t)g->count * f->slots; i++)
		rte_pktmbuf_free(f->kept[i].buffer);
	free(f->all);
	free(f->frames);
	free(f->kept);
	free(f->listed);
	*f = (struct gen_flows){0};
}

void gen_flow_begin(struct gen *g, struct gen_session *s, uint32_t credit)
{
	size_t index = (size_t)(s - g->sessions);
	struct gen_flow *f = &g->flows.all[index];

	f->frames = &g->flows.frames[index * MR_RELIABLE_WINDOW_MAX];
	f->kept = &g->flows.kept[index * g->flows.slots];
	mr_reliable_tx_init(&f->tx, f->frames, MR_RELIABLE_WINDOW_MAX, credit);
	mr_reliable_rx_init(&f->rx, g->flows.slots, 0);
	s->flow = f;
}

static void list(struct gen *g, struct gen_session *s)
{
	if (s->flow->listed)
		return;
	s->flow->listed = true;
	g->flows.listed[g->flows.listed_count++] = s;
}

/* ---- out */

static void put_ack(struct gen_flow *f, struct mrf_frame_header *h, uint64_t *came, uint32_t *words)
{
	h->flags |= MRF_FRAME_FLAG_ACK;
	*words = mr_reliable_rx_ack(&f->rx, f->rx.slots, &h->ack, &h->credit, came);
}

struct mrf_frame_header gen_flow_head(struct gen *g, struct gen_session *s, bool promised)
{
	struct mrf_frame_header h = {.session = s->id};
	uint32_t none;

	if (s->flow == NULL || !promised) {
		h.sequence = s->id != 0 ? gen_next_sequence(s) : 0;
	} else {
		h.flags = MRF_FRAME_FLAG_RELIABLE;
		h.sequence = mr_reliable_tx_sent(&s->flow->tx, 0, 0, 0, g->now_ns);
		list(g, s);
	}
	if (s->flow != NULL)
		put_ack(s->flow, &h, NULL, &none);
	return h;
}

bool gen_flow_has_room(const struct gen_session *s)
{
	return s->flow == NULL || mr_reliable_tx_room(&s->flow->tx) > 0;
}

/* Retransmits. A frame that the driver does not take counts as lost on the way. */
static void retransmit(struct gen *g, struct gen_session *s)
{
	struct gen_flow *f = s->flow;
	struct mrf_frame_header h = {.flags = MRF_FRAME_FLAG_RELIABLE, .session = s->id};
	uint32_t none;
	bool timed_out;

	while (mr_reliable_tx_retransmit(&f->tx, g->now_ns, &h.sequence, &timed_out) != NULL) {
		put_ack(f, &h, NULL, &none);
		if (g->again.target != s->alias)
			gen_frame_aim(&g->again, s->alias, &g->headers);
		gen_frame_stamp(&g->again, gen_udp_port(g, s), &h);
		g->counts.again++;
		g->counts.timeouts += timed_out;
		(void)gen_port_send(&g->port, &g->again_buffer, 1);
	}
}

/* Sends a frame with no message or one message. False: there was no room for it. */
static bool send_alone(struct gen *g, struct gen_session *s, const struct mrf_frame_header *h,
	const struct mr_message_plan *plan)
{
	struct gen_frame f;

	gen_frame_open(&f, gen_port_payload(g->single, g->headers.count), MR_FRAME_BYTES_MIN);
	if (plan != NULL)
		(void)gen_frame_add(&f, plan, 0);
	gen_port_set(g->single, f.payload - g->headers.count, gen_frame_close(&f, &g->headers));
	gen_frame_stamp(&f, gen_udp_port(g, s), h);
	s->last_tx = bench_cycles();
	return gen_port_send(&g->port, &g->single, 1) == 1;
}

static void probe(struct gen *g, struct gen_session *s)
{
	struct mrf_frame_header h = {.flags = MRF_FRAME_FLAG_RELIABLE, .session = s->id};
	uint32_t none;

	if (!mr_reliable_tx_probe(&s->flow->tx, g->now_ns, &h.sequence))
		return;
	put_ack(s->flow, &h, NULL, &none);
	(void)send_alone(g, s, &h, NULL);
}

/* Sends an ack outside of both flows, with the frames that arrived early. */
static void send_ack(struct gen *g, struct gen_session *s)
{
	struct mrf_frame_header h = {.session = s->id};
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	struct mr_message_plan plan;
	uint32_t words;

	put_ack(s->flow, &h, came, &words);
	plan = mr_message_plan(
		MRF_MESSAGE_KIND_ACK, NULL, NULL, 0, came, 0, words * (uint32_t)sizeof(came[0]));
	if (!send_alone(g, s, &h, words > 0 ? &plan : NULL))
		s->flow->rx.ack_due = true;
	g->counts.acks++;
}

/* False: this flow needs no more attention. */
static bool run(struct gen *g, struct gen_session *s)
{
	struct gen_flow *f = s->flow;

	if (s->id == 0)
		return false;
	if (f->tx.lost > 0 || g->now_ns >= mr_reliable_tx_due_ns(&f->tx)) {
		retransmit(g, s);
		probe(g, s);
	}
	if (mr_reliable_rx_ack_due(&f->rx, ACK_FRAMES) ||
		(f->rx.ack_pending > 0 && f->rx.ack_pending == f->ack_pending_seen))
		send_ack(g, s);
	f->ack_pending_seen = f->rx.ack_pending;
	return f->rx.ack_pending > 0 || f->rx.ack_due ||
	       mr_reliable_tx_due_ns(&f->tx) != UINT64_MAX;
}

void gen_flows_run(struct gen *g)
{
	struct gen_flows *f = &g->flows;

	if (f->all == NULL)
		return;
	g->now_ns = gen_ns(g, bench_cycles());
	for (uint32_t i = 0; i < f->listed_count;) {
		if (run(g, f->listed[i])) {
			i++;
			continue;
		}
		f->listed[i]->flow->listed = false;
		f->listed[i] = f->listed[--f->listed_count];
	}
}

bool gen_flows_drained(const struct gen *g)
{
	for (uint32_t i = 0; g->flows.all != NULL && i < g->count; i++) {
		const struct gen_session *s = &g->sessions[i];

		if (s->id != 0 && s->flow != NULL && !mr_reliable_tx_drained(&s->flow->tx))
			return false;
	}
	return true;
}

/* ---- in */

void gen_flow_ack(struct gen *g, struct gen_session *s, const struct mrf_frame_header *h,
	const uint8_t *messages, uint32_t bytes)
{
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	bool alone = h->sequence == 0;
	int words = alone ? mr_reliable_selective_ack(h, messages, bytes, came) : 0;
	struct gen_flow *f = s->flow;

	if (words < 0 || mr_reliable_tx_ack(&f->tx, h->ack, h->credit, alone ? came : NULL,
				 (uint32_t)words, g->now_ns) < 0) {
		g->counts.others++;
		return;
	}
	if (mr_reliable_tx_due_ns(&f->tx) != UINT64_MAX)
		list(g, s);
}

/* Keeps the buffer: it is freed by the receiving code and once more from here. */
static void keep(struct gen_flow *f, uint32_t sequence, struct rte_mbuf *buffer,
	const uint8_t *messages, uint32_t bytes)
{
	rte_mbuf_refcnt_update(buffer, 1);
	f->kept[mr_reliable_slot(&f->rx, sequence)] = (struct gen_kept){buffer, messages, bytes};
}

static void take_kept(struct gen *g, struct gen_session *s)
{
	struct gen_flow *f = s->flow;

	while (mr_reliable_rx_waits(&f->rx)) {
		struct gen_kept *k = &f->kept[mr_reliable_slot(&f->rx, f->rx.taken)];

		gen_take_messages(g, s, k->messages, k->bytes);
		rte_pktmbuf_free(k->buffer);
		k->buffer = NULL;
		mr_reliable_rx_let_go(&f->rx);
	}
}

void gen_flow_take(struct gen *g, struct gen_session *s, uint32_t sequence, struct rte_mbuf *buffer,
	const uint8_t *messages, uint32_t bytes)
{
	struct gen_flow *f = s->flow;

	list(g, s);
	switch (mr_reliable_rx_take(&f->rx, sequence)) {
	case MR_RELIABLE_NEXT:
		gen_take_messages(g, s, messages, bytes);
		mr_reliable_rx_let_go(&f->rx);
		take_kept(g, s);
		break;
	case MR_RELIABLE_EARLY:
		keep(f, sequence, buffer, messages, bytes);
		g->counts.ahead++;
		break;
	case MR_RELIABLE_DUPLICATE: g->counts.duplicate++; break;
	case MR_RELIABLE_WINDOW: g->counts.others++; break;
	}
}
