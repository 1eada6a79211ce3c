/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>

#include "dataplane/worker/deliver.h"
#include "dataplane/worker/flows.h"

#define HEADER_BYTES ((uint32_t)sizeof(struct mrf_frame_header))
/* Frames taken after which an ack goes by itself, though more may come. */
#define ACK_FRAMES 24u
/* Least that a session is granted, however many there are. */
#define SHARE_LEAST 2u
/* Frames sent again to one session in a round. */
#define AGAIN_A_ROUND 32u
/* Who took a frame within two of these counts as active. */
#define ACTIVITY_WINDOW_MS 10u

void mr_worker_flow_list(struct mr_worker *w, struct mr_session *s)
{
	struct mr_flow *flow = &s->remote->flow;

	if (flow->listed)
		return;
	/* One that is gone leaves the list in the next round, before its slot is given to
	 * another. */
	assert(w->flows.count < w->directory.slots_count - w->remote_first);
	flow->listed = true;
	w->flows.list[w->flows.count++] = (struct mr_flow_entry){s->slot, s->generation};
}

/* Of the receive ring, and of the room for frames that come early; in frames. */
static uint32_t share_of(const struct mr_worker *w, const struct mr_session *s)
{
	uint32_t active = w->flows.active_now > w->flows.active_before ? w->flows.active_now
								       : w->flows.active_before;
	uint32_t share = w->ports[s->remote->port].rx_entries / (active > 0 ? active : 1);
	uint32_t early = mr_early_frames_left(&w->early, &s->remote->flow, s->peer);

	/* What comes ahead of its turn needs room until that has come. */
	if (mr_unlikely(early / (active > 0 ? active : 1) < share))
		share = early / (active > 0 ? active : 1);
	return share > SHARE_LEAST ? share : SHARE_LEAST;
}

static void write_ack(struct mr_worker *w, struct mr_session *s, uint8_t *header,
	uint64_t came[MR_RELIABLE_SACK_WORDS], uint32_t *words)
{
	uint32_t ack, credit;

	*words = mr_reliable_rx_ack(&s->remote->flow.rx, share_of(w, s), &ack, &credit, came);
	mr_frame_write_ack(header, ack, credit);
}

void mr_worker_flow_say(struct mr_worker *w, struct mr_session *s, uint8_t *header)
{
	uint32_t words;

	if (s->remote->flow.memory != NULL)
		write_ack(w, s, header, NULL, &words);
}

/* With what came out of order, outside of both flows. */
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
		return; /* still owed */
	mr_frame_write(header, s->id, 0, 0);
	write_ack(w, s, header, came, &words);
	h.bytes = (uint16_t)(sizeof(h) + words * sizeof(came[0]));
	header[offsetof(struct mrf_frame_header, messages)] = words > 0;
	memcpy(payload, header, sizeof(header));
	memcpy(payload + sizeof(header), &h, sizeof(h));
	memcpy(payload + sizeof(header) + sizeof(h), came, words * sizeof(came[0]));
	mr_worker_packet_send(w, s, m, HEADER_BYTES + (words > 0 ? h.bytes : 0));
}

/* The client has moved to where frames of its log cannot go, and they are not made anew. */
static void give_up(struct mr_worker *w, struct mr_session *s)
{
	uint64_t memory[MR_CLOSE_WORDS];
	struct mr_message_plan plan = mr_worker_close_plan(-EMSGSIZE, memory);

	(void)mr_worker_send_alone(w, s, &plan, 0, false);
	mr_worker_remote_end(s, MR_REMOTE_CLOSED);
	w->burst_count = 0; /* routed */
	mr_worker_flow_finish(w, s);
}

static bool is_too_wide(
	const struct mr_worker *w, const struct mr_session *s, const struct mr_reliable_frame *f)
{
	const struct mr_remote *r = s->remote;

	return f->bytes > mr_path_frame_bytes(&r->path, w->ports[r->port].port->mtu);
}

/* A frame of the log, new or again. Without a buffer it counts as sent and lost. */
static void send_frame(struct mr_worker *w, struct mr_session *s, uint32_t sequence,
	const struct mr_reliable_frame *frame)
{
	uint8_t *payload;
	struct rte_mbuf *m = mr_worker_packet_new(w, s, frame->bytes, &payload);

	if (mr_unlikely(m == NULL))
		return;
	memcpy(payload, s->remote->flow.log + frame->at, frame->bytes);
	mr_frame_write(payload, s->id, sequence, (uint16_t)frame->messages);
	mr_frame_write_reliable(payload);
	mr_worker_flow_say(w, s, payload);
	mr_worker_packet_send(w, s, m, frame->bytes);
}

void mr_worker_flow_seal(struct mr_worker *w, struct mr_session *s)
{
	struct mr_flow *flow = &s->remote->flow;
	uint32_t messages = flow->open_messages;
	uint32_t bytes = flow->open_used - HEADER_BYTES;
	uint32_t sequence;

	if (flow->open_room == 0)
		return;
	flow->open_room = 0;
	sequence = mr_flow_push(flow, flow->open_used, messages, mr_worker_flow_ns(w));
	mr_count(s->stats->tx_messages, messages);
	mr_count(s->stats->tx_bytes, bytes);
	mr_count(w->stats->tx_messages, messages);
	mr_count(w->stats->tx_bytes, bytes);
	mr_count(w->stats->reliable_tx, 1);
	mr_count(s->stats->reliable_tx, 1);
	send_frame(w, s, sequence, mr_reliable_tx_frame(&flow->tx, sequence));
	mr_worker_flow_list(w, s);
}

static bool open_frame(struct mr_worker *w, struct mr_session *s)
{
	struct mr_flow *flow = &s->remote->flow;
	uint32_t room = MR_FRAME_ROOM(s->remote->frame_bytes);

	mr_worker_flow_seal(w, s);
	if (mr_reliable_tx_room(&flow->tx) == 0 || mr_flow_claim(flow, HEADER_BYTES + room) == NULL)
		return false;
	flow->open_room = HEADER_BYTES + room;
	flow->open_used = HEADER_BYTES;
	flow->open_messages = 0;
	return true;
}

void *mr_worker_flow_claim_new(struct mr_worker *w, struct mr_session *s, uint32_t bytes)
{
	const struct mr_flow *flow = &s->remote->flow;

	if (mr_unlikely(!flow->speaks || bytes > MR_FRAME_ROOM(s->remote->frame_bytes)))
		return NULL;
	return open_frame(w, s) ? flow->log + flow->head + flow->open_used : NULL;
}

/* Into the open frame, as many as it has room for. */
static uint32_t fill_open(struct mr_flow *flow, const struct mr_route *r,
	const struct mr_burst_entry *e, uint32_t count, uint32_t target)
{
	/* In registers, so that the copies' stores are known not to change them. */
	uint8_t *to = flow->log + flow->head + flow->open_used;
	uint32_t room = flow->open_room == 0 ? 0 : flow->open_room - flow->open_used;
	uint32_t left = room, n;

	for (n = 0; n < count; n++) {
		struct mr_message_view m = mr_message_plain(e[n].at, e[n].header);
		struct mr_message_plan plan = mr_worker_delivery(r, &m, NULL);

		if (mr_unlikely(plan.stride > left))
			break;
		/* What pads the message is nothing of what stood here before. */
		memset(to + plan.stride - MR_MESSAGE_ALIGN, 0, MR_MESSAGE_ALIGN);
		mr_message_write(to, &plan, target);
		to += plan.stride;
		left -= plan.stride;
	}
	flow->open_used += room - left;
	flow->open_messages += n;
	return n;
}

uint32_t mr_worker_flow_copy_run(struct mr_worker *w, struct mr_session *s,
	const struct mr_route *r, const struct mr_burst_entry *e, uint32_t count, uint32_t target)
{
	uint32_t done = 0;

	for (;;) {
		struct mr_message_view m;
		struct mr_message_plan next;

		done += fill_open(&s->remote->flow, r, e + done, count - done, target);
		if (done == count)
			break;
		m = mr_message_plain(e[done].at, e[done].header);
		next = mr_worker_delivery(r, &m, NULL);
		if (mr_worker_flow_claim_new(w, s, next.stride) == NULL)
			break;
	}
	if (done > 0)
		mr_worker_mark_dirty(w, s);
	return done;
}

static void send_again(struct mr_worker *w, struct mr_session *s, uint64_t now_ns)
{
	struct mr_flow *flow = &s->remote->flow;

	for (uint32_t i = 0; i < AGAIN_A_ROUND; i++) {
		uint32_t sequence;
		bool timed_out;
		const struct mr_reliable_frame *frame =
			mr_reliable_tx_retransmit(&flow->tx, now_ns, &sequence, &timed_out);

		if (frame == NULL)
			return;
		if (mr_unlikely(is_too_wide(w, s, frame))) {
			give_up(w, s);
			return;
		}
		mr_count(w->stats->retransmits, 1);
		mr_count(s->stats->retransmits, 1);
		mr_count(w->stats->retransmit_timeouts, timed_out);
		send_frame(w, s, sequence, frame);
	}
}

/* A frame of the flow without messages, which came before: the client says its credit again. */
static void send_probe(struct mr_worker *w, struct mr_session *s, uint32_t sequence)
{
	const struct mr_reliable_frame empty = {.bytes = HEADER_BYTES};

	send_frame(w, s, sequence, &empty);
}

/* False: there is nothing more to look after. */
static bool service_flow(struct mr_worker *w, struct mr_session *s, uint64_t now_ns)
{
	struct mr_flow *flow = &s->remote->flow;
	uint32_t sequence;

	if (flow->tx.lost > 0 || now_ns >= mr_reliable_tx_due_ns(&flow->tx)) {
		send_again(w, s, now_ns);
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

/* One that is over stays for as long as frames of it wait. */
static bool keep_listed(struct mr_worker *w, struct mr_session *s, uint64_t now_ns)
{
	if (s == NULL)
		return false;
	if (mr_likely(!mr_worker_is_over(s)))
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
