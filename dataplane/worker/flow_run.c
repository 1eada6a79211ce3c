/* SPDX-License-Identifier: Apache-2.0 */
/* flow_run: sends acks, retransmits and probes once a round for each session on the list. */
#include <errno.h>

#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"

#define HEADER_BYTES ((uint32_t)sizeof(struct mrf_frame_header))
/* After this many frames without an ack one is sent, though more frames may come in the next round.
 * */
#define ACK_FRAMES 24u
/* Frames retransmitted to one session in a round. */
#define RETRANSMITS_A_ROUND 32u
/* A session from which a frame was taken in this activity window or the one before counts as
 * active. */
#define ACTIVITY_WINDOW_MS 10u

/* Sends an ack in a frame of its own, outside of both flows, with the bits of early frames. */
static void send_ack(struct mr_worker *w, struct mr_session *s)
{
	uint64_t came[MR_RELIABLE_SACK_WORDS];
	struct mrf_message_header h = {.kind = MRF_MESSAGE_KIND_ACK};
	uint8_t header[sizeof(struct mrf_frame_header)];
	uint8_t *payload;
	uint32_t words;
	struct rte_mbuf *m = mr_worker_packet_new(
		w, s, HEADER_BYTES + (uint32_t)(sizeof(h) + sizeof(came)), &payload);

	if (m == NULL)
		return; /* the ack stays pending */
	mr_frame_write(header, s->id, 0, 0);
	mr_worker_flow_write_ack(w, s, header, came, &words);
	h.bytes = (uint16_t)(sizeof(h) + words * sizeof(came[0]));
	header[offsetof(struct mrf_frame_header, messages)] = words > 0;
	memcpy(payload, header, sizeof(header));
	memcpy(payload + sizeof(header), &h, sizeof(h));
	memcpy(payload + sizeof(header) + sizeof(h), came, words * sizeof(came[0]));
	mr_worker_packet_send(w, s, m, HEADER_BYTES + (words > 0 ? h.bytes : 0));
}

/* Closes a session whose client has moved to a path that is too narrow for a frame in its log.
 * Frames are not refragmented. */
static void close_too_narrow(struct mr_worker *w, struct mr_session *s)
{
	uint64_t memory[MR_CLOSE_WORDS];
	struct mr_message_plan plan = mr_worker_close_plan(-EMSGSIZE, memory);

	(void)mr_worker_send_alone(w, s, &plan, 0, false);
	mr_worker_remote_end(s, MR_REMOTE_CLOSED);
	w->burst_count = 0; /* the burst is routed already */
	mr_worker_flow_finish(w, s);
}

static bool is_too_wide(
	const struct mr_worker *w, const struct mr_session *s, const struct mr_reliable_frame *f)
{
	const struct mr_remote *r = s->remote;

	return f->bytes > mr_path_frame_bytes(&r->path, mr_port_mtu(w->ports[r->port].port));
}

static void retransmit(struct mr_worker *w, struct mr_session *s, uint64_t now_ns)
{
	struct mr_flow *flow = &s->remote->flow;

	for (uint32_t i = 0; i < RETRANSMITS_A_ROUND; i++) {
		uint32_t sequence;
		bool timed_out;
		const struct mr_reliable_frame *frame =
			mr_reliable_tx_retransmit(&flow->tx, now_ns, &sequence, &timed_out);

		if (frame == NULL)
			return;
		if (mr_unlikely(is_too_wide(w, s, frame))) {
			close_too_narrow(w, s);
			return;
		}
		mr_count(w->stats->retransmits, 1);
		mr_count(s->stats->retransmits, 1);
		mr_count(w->stats->retransmit_timeouts, timed_out);
		mr_worker_flow_send_frame(w, s, sequence, frame);
	}
}

/* Sends a frame of the flow without messages and with a sequence that was acknowledged: the client
 * answers with its credit. */
static void send_probe(struct mr_worker *w, struct mr_session *s, uint32_t sequence)
{
	const struct mr_reliable_frame empty = {.bytes = HEADER_BYTES};

	mr_worker_flow_send_frame(w, s, sequence, &empty);
}

/* Sends a session's retransmits, probe and ack; false if it can leave the list. */
static bool service_flow(struct mr_worker *w, struct mr_session *s, uint64_t now_ns)
{
	struct mr_flow *flow = &s->remote->flow;
	uint32_t sequence;

	if (flow->tx.lost > 0 || now_ns >= mr_reliable_tx_due_ns(&flow->tx)) {
		retransmit(w, s, now_ns);
		if (mr_reliable_tx_probe(&flow->tx, now_ns, &sequence))
			send_probe(w, s, sequence);
	}
	if (mr_reliable_rx_ack_due(&flow->rx, ACK_FRAMES) ||
		(flow->rx.ack_pending > 0 && flow->rx.ack_pending == flow->ack_pending_seen)) {
		send_ack(w, s);
		w->moved = true;
	}
	flow->ack_pending_seen = flow->rx.ack_pending;
	w->flows.any_waits |= mr_reliable_rx_waits(&flow->rx);
	return flow->rx.ack_pending > 0 || flow->rx.ack_due || mr_reliable_rx_waits(&flow->rx) ||
	       mr_reliable_tx_due_ns(&flow->tx) != UINT64_MAX;
}

static void next_activity_window(struct mr_worker *w)
{
	if (mr_worker_clock(w) - w->flows.window_since < w->tsc_hz / 1000 * ACTIVITY_WINDOW_MS)
		return;
	w->flows.window_since = mr_worker_clock(w);
	w->flows.activity_window++;
	w->flows.active_before = w->flows.active_now;
	w->flows.active_now = 0;
}

/* True if the session stays on the list. A closed one stays while frames of it wait. */
static bool keep_listed(struct mr_worker *w, struct mr_session *s, uint64_t now_ns)
{
	if (s == NULL)
		return false;
	if (mr_likely(!mr_worker_is_closed(s)))
		return service_flow(w, s, now_ns);
	return atomic_load_explicit(&s->remote->end, memory_order_relaxed) == MR_REMOTE_LEAVES &&
	       mr_reliable_rx_waits(&s->remote->flow.rx);
}

void mr_worker_flows_run(struct mr_worker *w)
{
	uint64_t now_ns;

	if (w->flows.count == 0)
		return;
	next_activity_window(w);
	now_ns = mr_worker_flow_ns(w);
	for (uint32_t i = 0; i < w->flows.count;) {
		const struct mr_flow_entry *e = &w->flows.list[i];
		struct mr_session *s = mr_directory_find(&w->directory, e->slot, e->generation);

		if (keep_listed(w, s, now_ns)) {
			i++;
			continue;
		}
		if (s != NULL)
			s->remote->flow.listed = false;
		w->flows.list[i] = w->flows.list[--w->flows.count];
	}
}
