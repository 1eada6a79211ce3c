/* SPDX-License-Identifier: Apache-2.0 */
/* ports: receives bursts of packets from ports, answers neighbours, and sorts frames by worker. */
#include "dataplane/worker/flows.h"

#include <errno.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "dataplane/port/answer.h"
#include "dataplane/port/memif_ring.h"
#include "dataplane/worker/exception.h"
#include "dataplane/worker/sleep_ports.h"

/* Frames of a burst that are to be taken, and the buffers to be freed after it. */
struct batch {
	uint32_t frames_count;
	uint32_t done_count;
	struct mr_frame frames[MR_PORT_BURST];
	struct rte_mbuf *done[MR_PORT_BURST];
};

static void count_fault(struct mrf_worker_stats *stats, enum mr_packet_fault fault)
{
	switch (fault) {
	case MR_PACKET_NOT_IP: mr_count(stats->drop_not_ip, 1); break;
	case MR_PACKET_BAD_IP: mr_count(stats->drop_bad_ip, 1); break;
	case MR_PACKET_IP_OPTIONS: mr_count(stats->drop_ip_options, 1); break;
	case MR_PACKET_NOT_OURS: mr_count(stats->drop_not_ours, 1); break;
	case MR_PACKET_BAD_UDP: mr_count(stats->drop_bad_udp, 1); break;
	case MR_PACKET_OK: break;
	}
}

static unsigned checked_by_device(const struct rte_mbuf *m)
{
	unsigned checked = 0;

	if ((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		checked |= MR_PACKET_IP_CHECKED;
	/* Also set where the host of a virtual card has left out the checksum of a good packet. */
	if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD) != 0)
		checked |= MR_PACKET_UDP_CHECKED;
	return checked;
}

/* Bounds the answers to pings and neighbour requests, so that a flood of them leaves the transmit
 * queue to frames. */
static bool is_too_many(struct mr_worker *w, const struct mr_packet *k)
{
	bool echo = k->kind == MR_PACKET_ECHO || k->kind == MR_PACKET_ECHO_6;

	return !mr_rate_shared_take(echo ? &w->echoes : &w->neighbours, w->tsc_hz,
		mr_worker_clock(w), mr_worker_source(w, &k->path));
}

/* Turns the packet into its answer and sends it. */
static void answer_packet(struct mr_worker *w, struct mr_worker_port *wp, struct rte_mbuf *m,
	const struct mr_packet *k)
{
	uint32_t capacity = (uint32_t)m->buf_len - m->data_off;
	uint32_t bytes;

	if (is_too_many(w, k)) {
		mr_count(w->stats->drop_rate, 1);
		rte_pktmbuf_free(m);
		return;
	}
	bytes = mr_answer(wp->port, k, rte_pktmbuf_mtod(m, uint8_t *), capacity);
	if (bytes == 0) {
		mr_count(w->stats->drop_no_buffer, 1);
		rte_pktmbuf_free(m);
		return;
	}
	if (k->kind == MR_PACKET_ARP || k->kind == MR_PACKET_SOLICITATION)
		mr_count(w->stats->neighbours_answered, 1);
	else
		mr_count(w->stats->echoes_answered, 1);
	m->data_len = (uint16_t)bytes;
	m->pkt_len = bytes;
	m->ol_flags = 0;
	mr_worker_port_put(w, wp, m, 0);
}

/* True if the mesh ring has room for a passed frame. Half of the ring is reserved for blocks:
 * frames sent to the wrong worker, perhaps forged, must not delay local publishers' messages. */
static bool may_pass(struct mr_spsc *ring)
{
	uint32_t kept = (ring->mask + 1) / 2;

	return mr_spsc_room(ring, kept + 1) > kept;
}

/* Passes a frame to its session's home worker. */
static bool pass_on(struct mr_worker *w, const struct mr_frame *f, unsigned to)
{
	struct mr_descriptor d = {
		.buffer = f->buffer,
		.bytes = f->buffer->data_len,
		.source = w->index,
		.tag = MR_TAG_FRAME | f->path.port,
	};

	if (!may_pass(w->mesh_out[to]) || mr_spsc_push(w->mesh_out[to], &d, 1) == 0) {
		mr_count(w->stats->drop_pass_full, 1);
		return false;
	}
	mr_count(w->stats->frames_passed, 1);
	w->mesh.to_wake |= 1ull << to;
	return true;
}

/* Prefetches the session, so that its lines are in the cache when its frame is taken. */
static void prefetch_session(const struct mr_worker *w, uint64_t id)
{
	uint32_t slot = mr_session_slot(id);
	const char *s;

	if (slot >= w->directory.slots_count)
		return;
	/* [session.slot] */
	s = (const char *)atomic_load_explicit(&w->directory.slots[slot], memory_order_acquire);
	if (s == NULL)
		return;
	rte_prefetch0(s);
	rte_prefetch0(s + sizeof(struct mr_session));
	rte_prefetch0(s + sizeof(struct mr_session) + offsetof(struct mr_remote, window));
}

enum verdict { DISCARDED, KEPT, TAKEN };

/* Decides about a frame whose UDP payload is at f->at: keep it for this worker, pass it on or
 * discard it. */
static enum verdict sort_frame(struct mr_worker *w, struct mr_frame *f, bool passed)
{
	enum mr_frame_fault fault = mr_frame_parse(f->at, f->bytes, &f->header);
	unsigned worker = mr_session_worker(f->header.session);

	if (mr_unlikely(fault != MR_FRAME_OK)) {
		if (fault == MR_FRAME_LENGTH)
			mr_count(w->stats->drop_bad_frame_length, 1);
		else
			mr_count(w->stats->drop_bad_frame, 1);
		return DISCARDED;
	}
	if (mr_likely(worker == w->index && f->header.session != 0)) {
		prefetch_session(w, f->header.session);
		return KEPT;
	}
	if (f->header.session == 0 || worker >= w->workers || passed)
		return KEPT;
	return pass_on(w, f, worker) ? TAKEN : DISCARDED;
}

/* Hands a packet that is not a frame to the kernel. Each packet is counted once: as handed over, or
 * by the reason why not. */
static void except(struct mr_worker *w, struct mr_worker_port *wp, struct rte_mbuf *m)
{
	if (!mr_exception_is_for(wp->port, m)) {
		mr_count(w->stats->drop_not_ip, 1);
		mr_count(wp->stats->rx_discarded, 1);
	} else if (!mr_worker_exception(w, wp, m)) {
		mr_count(wp->stats->rx_discarded, 1);
	}
}

/* Sorts one packet: answers it, discards it, passes it on, or adds its frame to the batch. */
static void sort_packet(struct mr_worker *w, struct mr_worker_port *wp, struct rte_mbuf *m,
	unsigned checked, bool passed, struct batch *b)
{
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);
	struct mr_frame *f = &b->frames[b->frames_count];
	enum mr_packet_fault fault;
	enum verdict verdict;
	struct mr_packet k;

	fault = mr_packet_parse(wp->port, at, m->data_len, checked, &k);
	if (mr_unlikely(wp->port->has_tap && mr_exception_is_one(fault, &k))) {
		except(w, wp, m);
		b->done[b->done_count++] = m;
		return;
	}
	if (mr_unlikely(fault != MR_PACKET_OK)) {
		count_fault(w->stats, fault);
		mr_count(wp->stats->rx_discarded, 1);
		b->done[b->done_count++] = m;
		return;
	}
	if (mr_unlikely(k.kind != MR_PACKET_FRAME)) {
		answer_packet(w, wp, m, &k);
		return;
	}
	f->buffer = m;
	f->port = wp;
	f->at = at + k.payload_offset;
	f->bytes = k.payload_bytes;
	f->path = k.path;
	verdict = sort_frame(w, f, passed);
	if (mr_likely(verdict == KEPT))
		b->frames_count++;
	else if (verdict == DISCARDED)
		b->done[b->done_count++] = m;
}

/* Returns an upper bound of the frame's messages: the header's count may be forged. */
static uint32_t messages_at_most(const struct mr_frame *f)
{
	uint32_t fit = (f->bytes - (uint32_t)sizeof(f->header)) / MR_MESSAGE_ALIGN;

	return f->header.messages < fit ? f->header.messages : fit;
}

/* Takes frames until the mesh is full or the limit of messages is reached; returns how many frames.
 * */
static uint32_t take_frames(struct mr_worker *w, const struct batch *b, uint32_t *messages)
{
	uint32_t i, bytes = 0;

	for (i = 0; i < b->frames_count; i++) {
		const struct mr_frame *f = &b->frames[i];

		if (mr_unlikely(*messages >= MR_PORT_MESSAGES || !mr_worker_mesh_ready(w)))
			break;
		*messages += messages_at_most(f);
		if (mr_unlikely(f->header.session == 0))
			mr_worker_hello(w, f);
		else
			mr_worker_frame(w, f);
		/* The mesh is only known to have room for one burst. */
		bytes += f->bytes;
		if (mr_unlikely(bytes >= MR_BURST_BYTES)) {
			mr_worker_route_now(w);
			bytes = 0;
		}
	}
	mr_worker_route_now(w);
	return i;
}

static void finish_batch(struct mr_worker *w, struct batch *b, uint32_t taken)
{
	for (uint32_t i = 0; i < taken; i++)
		b->done[b->done_count++] = b->frames[i].buffer;
	rte_pktmbuf_free_bulk(b->done, b->done_count);
	/* Release the routes now, as after a mesh burst: a burst may use more of them than a round
	 * of channels. Quiescence is not reported: other workers may not have been told of the
	 * messages yet. */
	mr_worker_publish_tails(w);
	mr_router_let_go(w->router);
	w->moved = true;
}

static void count_rx(struct mr_worker_port *wp, struct rte_mbuf *const *m, uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += m[i]->pkt_len;
	mr_count(wp->stats->rx_packets, count);
	mr_count(wp->stats->rx_bytes, bytes);
}

MR_ALWAYS_INLINE uint32_t receive_new(struct mr_worker_port *wp, struct rte_mbuf **m)
{
	return wp->memif != NULL ? mr_memif_rx(wp->memif, m, MR_PORT_BURST)
				 : rte_eth_rx_burst(wp->device, wp->queue, m, MR_PORT_BURST);
}

bool mr_worker_port_peek(struct mr_worker_port *wp)
{
	if (wp->rx_count > 0)
		return true;
	wp->rx_count = receive_new(wp, wp->rx);
	if (wp->rx_count > 0)
		count_rx(wp, wp->rx, wp->rx_count);
	return wp->rx_count > 0;
}

/* Receives a new burst, or returns the frames that were left over from the last one. */
static uint32_t receive_burst(struct mr_worker_port *wp, struct rte_mbuf **m)
{
	uint32_t count = wp->rx_count;

	if (mr_unlikely(count > 0)) {
		memcpy(m, wp->rx, count * sizeof(wp->rx[0]));
		wp->rx_count = 0;
		return count;
	}
	if (mr_unlikely(!atomic_load_explicit(wp->link_up, memory_order_acquire)))
		return 0; /* [port.link] */
	count = receive_new(wp, m);
	for (uint32_t i = 0; i < count; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], const uint8_t *));
	if (count > 0)
		count_rx(wp, m, count);
	return count;
}

/* Leaves a frame for the next round. Its checksums are marked as good, so they are not computed
 * again. */
static void keep_for_next_round(struct mr_worker_port *wp, struct rte_mbuf *m)
{
	m->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
	m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	wp->rx[wp->rx_count++] = m;
}

static void serve_port(struct mr_worker *w, struct mr_worker_port *wp)
{
	struct rte_mbuf *m[MR_PORT_BURST];
	struct batch b;
	uint32_t count = receive_burst(wp, m), messages = 0, taken;

	if (count == 0)
		return;
	b.frames_count = 0;
	b.done_count = 0;
	for (uint32_t i = 0; i < count; i++)
		sort_packet(w, wp, m[i], checked_by_device(m[i]), false, &b);
	taken = take_frames(w, &b, &messages);
	for (uint32_t i = taken; i < b.frames_count; i++)
		keep_for_next_round(wp, b.frames[i].buffer);
	finish_batch(w, &b, taken);
}

/* Takes frames that other workers passed on. Those workers have checked the checksums. */
static void serve_passed(struct mr_worker *w, uint32_t *messages)
{
	uint32_t count = w->passed_count < MR_PORT_BURST ? w->passed_count : MR_PORT_BURST;
	struct mr_passed rest[MR_PORT_BURST];
	struct batch b;
	uint32_t taken, left;

	b.frames_count = 0;
	b.done_count = 0;
	for (uint32_t i = 0; i < count; i++)
		sort_packet(w, &w->ports[w->passed[i].port], w->passed[i].buffer,
			MR_PACKET_IP_CHECKED | MR_PACKET_UDP_CHECKED, true, &b);
	taken = take_frames(w, &b, messages);
	left = b.frames_count - taken;
	for (uint32_t i = 0; i < left; i++)
		rest[i] = (struct mr_passed){
			b.frames[taken + i].buffer, b.frames[taken + i].path.port};
	/* The frames left over stay in front of those that were not sorted yet. */
	memcpy(&w->passed[count - left], rest, left * sizeof(rest[0]));
	w->passed_count -= count - left;
	memmove(w->passed, &w->passed[count - left], w->passed_count * sizeof(w->passed[0]));
	finish_batch(w, &b, taken);
}

void mr_worker_ports_rx(struct mr_worker *w)
{
	uint32_t messages = 0;

	if (w->ports_count == 0)
		return;
	if (mr_unlikely(!mr_worker_mesh_ready(w))) {
		mr_count(w->stats->mesh_stalls, 1);
		return;
	}
	w->burst_count = 0;
	mr_worker_flows_take(w);
	while (w->passed_count > 0) {
		uint32_t before = w->passed_count;

		serve_passed(w, &messages);
		if (w->passed_count == before)
			break;
	}
	for (unsigned i = 0; i < w->ports_count; i++)
		serve_port(w, &w->ports[i]);
}

void mr_worker_ports_fini(struct mr_worker *w)
{
	mr_worker_ports_tx(w);
	for (unsigned i = 0; i < w->ports_count; i++) {
		struct mr_worker_port *wp = &w->ports[i];

		rte_pktmbuf_free_bulk(wp->rx, wp->rx_count);
		wp->rx_count = 0;
	}
	while (w->passed_count > 0)
		rte_pktmbuf_free(w->passed[--w->passed_count].buffer);
}

int mr_worker_port_add(struct mr_worker *w, struct mr_port *p)
{
	uint32_t largest = RTE_PKTMBUF_HEADROOM + 8 + RTE_ETHER_HDR_LEN + mr_port_mtu(p);
	struct mr_worker_port *wp = &w->ports[w->ports_count];
	static const _Atomic bool never;
	bool has_queue = w->index < p->queues_count;

	if (w->ports_count == MR_PORTS_MAX || p->index != w->ports_count ||
		rte_pktmbuf_data_room_size(p->pool) < largest)
		return -EINVAL;
	wp->port = p;
	wp->stats = p->stats[w->index];
	wp->link_up = has_queue ? &p->link_up : &never;
	wp->device = has_queue ? p->queues[w->index].device : 0;
	wp->queue = has_queue ? p->queues[w->index].queue : 0;
	wp->memif = has_queue ? p->queues[w->index].memif : NULL;
	wp->rx_entries = p->rx_entries;
	wp->wake_fd = has_queue ? p->queues[w->index].wake_fd : -1;
	w->ports_count++;
	return 0;
}
