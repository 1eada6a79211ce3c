/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/exception.h"

#include <rte_ethdev.h>

#include "dataplane/worker/flows.h"

#define RING_BYTES  (4u << 20) /* each way */
#define BURST       32u        /* packets sent in a round */
#define ETHER_BYTES 14u
#define TAG_BYTES   4u /* VLAN */

_Static_assert(sizeof(struct mrf_exception_header) == 8, "shared between processes");

int mr_worker_exceptions_open(struct mr_worker *w)
{
	struct mr_exception_ring *x = &w->exception;
	int error = mr_channel_new(&x->channel, "millrace-exceptions", RING_BYTES, RING_BYTES);

	if (error != 0)
		return error;
	mr_bytes_producer_init(
		&x->to_control, x->channel.up_shared, x->channel.up_map, x->channel.up_bytes);
	mr_bytes_consumer_init(&x->from_control, x->channel.down_shared, x->channel.down_map,
		x->channel.down_bytes);
	x->open = true;
	return 0;
}

static void copy_out(const struct rte_mbuf *m, uint8_t *to)
{
	for (; m != NULL; m = m->next) {
		memcpy(to, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
		to += m->data_len;
	}
}

bool mr_worker_exception(struct mr_worker *w, struct mr_worker_port *wp, const struct rte_mbuf *m)
{
	struct mrf_exception_header h = {.bytes = m->pkt_len, .port = wp->port->index};
	struct mr_exception_ring *x = &w->exception;
	uint8_t *to;

	if (!mr_exception_limit_take(
		    &wp->port->exception_in, w->tsc_hz, mr_worker_clock(w), h.bytes)) {
		mr_count(wp->stats->drop_exception_rate, 1);
		return false;
	}
	to = mr_bytes_claim(&x->to_control, mr_align_up(sizeof(h) + h.bytes, MR_BYTES_ALIGN));
	if (to == NULL) {
		mr_count(wp->stats->drop_exception_full, 1);
		return false;
	}
	memcpy(to, &h, sizeof(h));
	copy_out(m, to + sizeof(h));
	if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE)
		mr_exception_finish_checksum(to + sizeof(h), h.bytes);
	mr_bytes_push(&x->to_control, sizeof(h) + h.bytes);
	x->dirty = true;
	mr_count(wp->stats->exception_in, 1);
	mr_count(wp->stats->exception_in_bytes, h.bytes);
	return true;
}

static void send_packet(
	struct mr_worker *w, struct mr_worker_port *wp, const uint8_t *at, uint32_t bytes)
{
	struct rte_mbuf *m;

	/* The host may have raised the MTU of the device, or lowered that of the port. */
	if (bytes > ETHER_BYTES + TAG_BYTES + mr_port_mtu(wp->port)) {
		mr_count(wp->stats->drop_exception_out_size, 1);
		return;
	}
	if (!mr_exception_limit_take(
		    &wp->port->exception_out, w->tsc_hz, mr_worker_clock(w), bytes)) {
		mr_count(wp->stats->drop_exception_out_rate, 1);
		return;
	}
	m = rte_pktmbuf_alloc(wp->port->pool);
	if (m == NULL) {
		mr_count(wp->stats->drop_exception_out_buffer, 1);
		return;
	}
	memcpy(rte_pktmbuf_append(m, (uint16_t)bytes), at, bytes);
	mr_count(wp->stats->exception_out, 1);
	mr_count(wp->stats->exception_out_bytes, bytes);
	mr_worker_port_put(w, wp, m, 0);
}

/* Handles one record of control; returns its stride, or 0 if it is malformed. */
static size_t take_record(struct mr_worker *w, const uint8_t *at, size_t ready)
{
	struct mrf_exception_header h;
	struct mr_worker_port *wp;
	size_t stride;

	if (ready < sizeof(h))
		return 0;
	memcpy(&h, at, sizeof(h));
	stride = mr_align_up(sizeof(h) + (size_t)h.bytes, MR_BYTES_ALIGN);
	if (stride > ready || h.port >= w->ports_count || h.bytes < ETHER_BYTES)
		return 0;
	wp = &w->ports[h.port];
	if (!wp->port->has_tap)
		return 0;
	send_packet(w, wp, at + sizeof(h), h.bytes);
	return stride;
}

/* Skips the rest of the ring after a malformed record. Only control writes it. */
static void skip_all(struct mr_worker *w)
{
	struct mr_bytes_consumer *ring = &w->exception.from_control;

	/* [bytes.data] */
	ring->tail_seen = atomic_load_explicit(&ring->shared->tail, memory_order_acquire) &
			  ~(uint64_t)(MR_BYTES_ALIGN - 1);
	ring->head = ring->tail_seen;
	mr_count(w->stats->drop_bad_handoff, 1);
}

static void __attribute__((noinline)) take_records(struct mr_worker *w, size_t ready)
{
	struct mr_bytes_consumer *ring = &w->exception.from_control;

	for (uint32_t i = 0; i < BURST && ready > 0; i++) {
		size_t stride =
			ready == MR_BYTES_CORRUPT ? 0 : take_record(w, mr_bytes_peek(ring), ready);

		if (stride == 0) {
			skip_all(w);
			break;
		}
		mr_bytes_skip(ring, stride);
		ready -= stride;
	}
	(void)mr_bytes_release(ring); /* control never waits for room */
	w->moved = true;
	mr_worker_ports_tx(w);
}

void mr_worker_exceptions(struct mr_worker *w)
{
	struct mr_exception_ring *x = &w->exception;
	size_t ready = mr_bytes_readable(&x->from_control);

	if (mr_unlikely(ready != 0))
		take_records(w, ready);
	if (!x->dirty)
		return;
	x->dirty = false;
	if (mr_bytes_publish(&x->to_control)) { /* [bytes.sleep] */
		mr_peer_bell_ring(x->channel.peer_bell_fd);
		mr_count(w->stats->bells, 1);
	}
}
