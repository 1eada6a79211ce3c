/* SPDX-License-Identifier: Apache-2.0 */
/* egress: sends frames. A session's open frame is a buffer of its port's pool. Room for the headers
 * is left in front; the headers end at a multiple of 8, so messages are aligned. The frame is sent
 * when it is full, and at the end of the round: batches form by what a round brings, never by
 * waiting.
 */
#include "dataplane/worker/flows.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/port/memif_ring.h"
#include "lib/wire/checksum.h"

#define TX_TRIES 4u

#define FRAME_HEADER_BYTES ((uint32_t)sizeof(struct mrf_frame_header))
#define ETHER_BYTES        14u
#define IP4_BYTES          20u
#define IP6_BYTES          40u
#define UDP_BYTES          8u
#define HEADERS_BYTES_4    (ETHER_BYTES + IP4_BYTES + UDP_BYTES)
#define HEADERS_BYTES_6    (ETHER_BYTES + IP6_BYTES + UDP_BYTES)

_Static_assert(HEADERS_BYTES_6 == MR_REMOTE_HEADERS_MAX, "IPv6 headers are the larger ones");

/* Returns the offset of the UDP payload in a buffer. */
static uint32_t payload_offset(uint32_t headers_bytes)
{
	return (uint32_t)mr_align_up(RTE_PKTMBUF_HEADROOM + headers_bytes, MR_MESSAGE_ALIGN);
}

static uint8_t *payload_of(const struct rte_mbuf *m, uint32_t headers_bytes)
{
	return (uint8_t *)m->buf_addr + payload_offset(headers_bytes);
}

static uint16_t be16_at(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static void put_be16(uint8_t *at, uint32_t v)
{
	uint16_t be = rte_cpu_to_be_16((uint16_t)v);

	memcpy(at, &be, sizeof(be));
}

static void put_raw16(uint8_t *at, uint16_t raw)
{
	memcpy(at, &raw, sizeof(raw));
}

/* Fills UDP's length and checksum. The length counts twice: in the header and in the pseudo-header.
 * `udp`: the header. */
static void finish_udp(struct rte_mbuf *m, uint8_t *udp, uint32_t bytes, bool by_device)
{
	uint64_t partial = be16_at(udp + 6);
	uint16_t length = rte_cpu_to_be_16((uint16_t)bytes);
	uint16_t sum;

	put_raw16(udp + 4, length);
	if (by_device) {
		/* The device sums the header, too: take the ports out of the prepared sum. */
		partial += (uint16_t)~be16_at(udp) + (uint16_t)~be16_at(udp + 2) + length;
		put_raw16(udp + 6, mr_checksum_fold(partial));
		m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
		return;
	}
	partial += (uint64_t)length * 2 + mr_checksum_sum(udp + UDP_BYTES, bytes - UDP_BYTES);
	sum = mr_checksum_finish(partial);
	put_raw16(udp + 6, sum != 0 ? sum : 0xffff);
}

static void finish_ip4(struct rte_mbuf *m, uint8_t *ip, uint32_t bytes, bool by_device)
{
	uint16_t length = rte_cpu_to_be_16((uint16_t)bytes);

	m->ol_flags |= RTE_MBUF_F_TX_IPV4;
	put_raw16(ip + 2, length);
	if (by_device) {
		put_raw16(ip + 10, 0);
		m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	} else {
		put_raw16(ip + 10, mr_checksum_finish((uint64_t)be16_at(ip + 10) + length));
	}
}

/* Puts the headers in front of `bytes` of UDP payload. */
static void put_headers(const struct mr_port *p, struct rte_mbuf *m, const uint8_t *headers,
	uint32_t headers_bytes, uint32_t bytes)
{
	uint8_t *payload = payload_of(m, headers_bytes);
	uint8_t *at = payload - headers_bytes;

	m->data_off = (uint16_t)(payload_offset(headers_bytes) - headers_bytes);
	m->data_len = (uint16_t)(headers_bytes + bytes);
	m->pkt_len = headers_bytes + bytes;
	m->l2_len = ETHER_BYTES;
	if (mr_likely(headers_bytes == HEADERS_BYTES_4)) {
		memcpy(at, headers, HEADERS_BYTES_4);
		m->l3_len = IP4_BYTES;
		finish_ip4(m, at + ETHER_BYTES, IP4_BYTES + UDP_BYTES + bytes, p->computes_ip);
	} else {
		memcpy(at, headers, HEADERS_BYTES_6);
		m->l3_len = IP6_BYTES;
		m->ol_flags |= RTE_MBUF_F_TX_IPV6;
		put_be16(at + ETHER_BYTES + 4, UDP_BYTES + bytes);
	}
	finish_udp(m, payload - UDP_BYTES, UDP_BYTES + bytes, p->computes_udp);
}

static bool open_frame(struct mr_worker *w, struct mr_session *s)
{
	struct mr_remote *r = s->remote;
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->ports[r->port].port->pool);
	uint8_t *payload;

	if (mr_unlikely(m == NULL))
		return false;
	payload = payload_of(m, r->headers_bytes) + FRAME_HEADER_BYTES;
	/* Padding must not show the buffer's old contents. One memset also brings the cache lines
	 * in: it costs a cycle for a message of 64 bytes, and nothing in the copying code, which
	 * rings share. */
	memset(payload, 0, MR_FRAME_ROOM(r->frame_bytes));
	r->open = m;
	mr_remote_onto(s, payload, MR_FRAME_ROOM(r->frame_bytes));
	return true;
}

void mr_worker_seal(struct mr_worker *w, struct mr_session *s)
{
	struct mr_remote *r = s->remote;
	struct rte_mbuf *m = r->open;
	uint32_t messages = s->down_messages;
	struct mr_worker_port *wp;
	uint32_t bytes;

	if (m == NULL)
		return;
	wp = &w->ports[r->port];
	bytes = FRAME_HEADER_BYTES + (uint32_t)(s->down.tail - s->down.tail_out);
	mr_worker_count_copies(w, s);
	mr_remote_shut(s);
	r->open = NULL;
	r->last_tx = mr_worker_clock(w);
	r->sequence++;
	if (mr_unlikely(r->sequence == 0))
		r->sequence = 1; /* 0 marks a frame outside of any flow */
	mr_frame_write(payload_of(m, r->headers_bytes), s->id, r->sequence, (uint16_t)messages);
	if (mr_unlikely(r->flow.knows_flow))
		mr_worker_flow_add_ack(w, s, payload_of(m, r->headers_bytes));
	put_headers(wp->port, m, r->headers, r->headers_bytes, bytes);
	mr_count(w->stats->frames_tx, 1);
	mr_count(s->stats->frames_tx, 1);
	mr_worker_port_put(w, wp, m, messages);
}

struct rte_mbuf *mr_worker_packet_new(
	struct mr_worker *w, struct mr_session *s, uint32_t bytes, uint8_t **payload)
{
	const struct mr_remote *r = s->remote;
	const struct mr_port *port = w->ports[r->port].port;
	struct rte_mbuf *m;

	if (bytes > mr_path_frame_bytes(&r->path, mr_port_mtu(port)))
		return NULL;
	m = rte_pktmbuf_alloc(port->pool);
	if (mr_likely(m != NULL))
		*payload = payload_of(m, r->headers_bytes);
	return m;
}

void mr_worker_packet_send(
	struct mr_worker *w, struct mr_session *s, struct rte_mbuf *m, uint32_t bytes)
{
	struct mr_remote *r = s->remote;
	struct mr_worker_port *wp = &w->ports[r->port];

	r->last_tx = mr_worker_clock(w);
	put_headers(wp->port, m, r->headers, r->headers_bytes, bytes);
	mr_count(w->stats->frames_tx, 1);
	mr_count(s->stats->frames_tx, 1);
	mr_worker_port_put(w, wp, m, 0);
}

void *mr_worker_frame_claim(struct mr_worker *w, struct mr_session *s, uint32_t bytes)
{
	if (s->remote == NULL || bytes > MR_FRAME_ROOM(s->remote->frame_bytes))
		return NULL;
	mr_worker_seal(w, s);
	if (!open_frame(w, s))
		return NULL;
	return mr_bytes_claim(&s->down, bytes);
}

bool mr_worker_heartbeat(struct mr_worker *w, struct mr_session *s)
{
	if (s->remote->open == NULL && !open_frame(w, s))
		return false;
	mr_worker_seal(w, s);
	return true;
}

static void push_message(struct mr_session *s, const struct mr_message_plan *plan, uint32_t target)
{
	mr_message_write(mr_bytes_claim(&s->down, plan->stride), plan, target);
	mr_bytes_push(&s->down, plan->stride);
	s->down_messages++;
}

/* Fills the rest of the open frame with a Padding message. */
static void pad_frame(struct mr_session *s)
{
	uint32_t bytes = (uint32_t)(s->down.capacity - s->down.tail);
	const struct mrf_message_header h = {
		.bytes = (uint16_t)bytes, .kind = MRF_MESSAGE_KIND_PADDING};
	uint8_t *to = mr_bytes_claim(&s->down, bytes);

	if (bytes == 0)
		return;
	memcpy(to, &h, sizeof(h)); /* open_frame has zeroed the rest */
	mr_bytes_push(&s->down, bytes);
	s->down_messages++;
}

bool mr_worker_send_alone(struct mr_worker *w, struct mr_session *s,
	const struct mr_message_plan *plan, uint32_t target, bool padded)
{
	if (mr_worker_frame_claim(w, s, plan->stride) == NULL)
		return false;
	push_message(s, plan, target);
	if (padded)
		pad_frame(s);
	mr_worker_seal(w, s);
	return true;
}

bool mr_worker_send_apart(struct mr_worker *w, const struct mrf_network_path *path,
	uint64_t session, const struct mr_message_plan *plan, uint32_t target)
{
	struct mr_worker_port *wp = &w->ports[path->port];
	struct rte_mbuf *m = rte_pktmbuf_alloc(wp->port->pool);
	uint8_t headers[MR_REMOTE_HEADERS_MAX];
	uint32_t headers_bytes;
	uint8_t *payload;

	if (m == NULL)
		return false;
	headers_bytes = mr_headers_write(headers, path, wp->port->mac);
	payload = payload_of(m, headers_bytes);
	mr_frame_write(payload, session, 0, 1);
	memset(payload + FRAME_HEADER_BYTES, 0, plan->stride);
	mr_message_write(payload + FRAME_HEADER_BYTES, plan, target);
	put_headers(wp->port, m, headers, headers_bytes, FRAME_HEADER_BYTES + plan->stride);
	mr_worker_port_put(w, wp, m, 1);
	return true;
}

static void drop_rest(struct mr_worker *w, struct mr_worker_port *wp, uint32_t from)
{
	uint32_t messages = 0;

	for (uint32_t i = from; i < wp->tx_count; i++)
		messages += wp->tx[i]->hash.usr;
	mr_count(w->stats->drop_tx_full, messages);
	mr_count(wp->stats->tx_full, wp->tx_count - from);
	rte_pktmbuf_free_bulk(&wp->tx[from], wp->tx_count - from);
}

static uint16_t send_burst(struct mr_worker_port *wp, struct rte_mbuf **m, uint16_t count)
{
	return wp->memif != NULL ? mr_memif_tx(wp->memif, m, count)
				 : rte_eth_tx_burst(wp->device, wp->queue, m, count);
}

static void flush_port(struct mr_worker *w, struct mr_worker_port *wp)
{
	uint64_t bytes = 0;
	uint32_t sent = 0;

	for (uint32_t i = 0; i < wp->tx_count; i++)
		bytes += wp->tx[i]->pkt_len;
	if (mr_likely(atomic_load_explicit(wp->link_up, memory_order_acquire))) /* [port.link] */
		for (uint32_t tries = 0; sent < wp->tx_count && tries < TX_TRIES; tries++)
			sent += send_burst(wp, &wp->tx[sent], (uint16_t)(wp->tx_count - sent));
	if (mr_unlikely(sent < wp->tx_count)) {
		for (uint32_t i = sent; i < wp->tx_count; i++)
			bytes -= wp->tx[i]->pkt_len;
		drop_rest(w, wp, sent);
	}
	mr_count(wp->stats->tx_packets, sent);
	mr_count(wp->stats->tx_bytes, bytes);
	wp->tx_count = 0;
}

void mr_worker_port_put(
	struct mr_worker *w, struct mr_worker_port *wp, struct rte_mbuf *m, uint32_t messages)
{
	m->hash.usr = messages;
	wp->tx[wp->tx_count++] = m;
	if (mr_unlikely(wp->tx_count == MR_PORT_TX))
		flush_port(w, wp);
}

void mr_worker_ports_tx(struct mr_worker *w)
{
	for (unsigned i = 0; i < w->ports_count; i++)
		if (w->ports[i].tx_count > 0)
			flush_port(w, &w->ports[i]);
}
