/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/session/remote.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "lib/wire/checksum.h"
#include "lib/wire/path.h"

#define HOPS 64 /* where the path does not say it */

/* Bytes of the IP and UDP headers. */
#define HEADERS_IP4_BYTES 28u
#define HEADERS_IP6_BYTES 48u

/* A session and its remote part, allocated together. */
struct whole {
	struct mr_session session;
	struct mr_remote remote;
};

/* The shared part of every open frame's producer. An open frame has no consumer: the head stays 0.
 * */
static struct mr_bytes_shared no_consumer;

static uint64_t pseudo_sum(const struct mrf_network_path *path, bool ip4)
{
	/* An IPv4 address is in the last four bytes of each 16. */
	uint32_t skip = ip4 ? 12 : 0;
	const uint8_t *p = (const uint8_t *)path;
	uint32_t bytes = 16 - skip;

	return mr_checksum_sum(p + offsetof(struct mrf_network_path, peer_0) + skip, bytes) +
	       mr_checksum_sum(p + offsetof(struct mrf_network_path, local_0) + skip, bytes) +
	       rte_cpu_to_be_16(IPPROTO_UDP);
}

static uint8_t hops_of(const struct mrf_network_path *path)
{
	return path->hops != 0 ? (uint8_t)path->hops : HOPS;
}

static uint8_t *write_ip4(uint8_t *to, const struct mrf_network_path *path)
{
	const uint8_t *p = (const uint8_t *)path;
	struct rte_ipv4_hdr h = {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = hops_of(path),
		.next_proto_id = IPPROTO_UDP,
	};

	memcpy(&h.src_addr, p + offsetof(struct mrf_network_path, local_0) + 12,
		sizeof(h.src_addr));
	memcpy(&h.dst_addr, p + offsetof(struct mrf_network_path, peer_0) + 12, sizeof(h.dst_addr));
	h.hdr_checksum = mr_checksum_fold(mr_checksum_sum(&h, sizeof(h)));
	memcpy(to, &h, sizeof(h));
	return to + sizeof(h);
}

static uint8_t *write_ip6(uint8_t *to, const struct mrf_network_path *path)
{
	const uint8_t *p = (const uint8_t *)path;
	struct rte_ipv6_hdr h = {
		.vtc_flow = rte_cpu_to_be_32(6u << 28),
		.proto = IPPROTO_UDP,
		.hop_limits = hops_of(path),
	};

	memcpy(h.src_addr, p + offsetof(struct mrf_network_path, local_0), sizeof(h.src_addr));
	memcpy(h.dst_addr, p + offsetof(struct mrf_network_path, peer_0), sizeof(h.dst_addr));
	memcpy(to, &h, sizeof(h));
	return to + sizeof(h);
}

uint8_t mr_headers_write(uint8_t out[MR_REMOTE_HEADERS_MAX], const struct mrf_network_path *path,
	const uint8_t port_mac[6])
{
	bool ip4 = mr_path_is_ip4(path);
	struct rte_ether_hdr e = {
		.ether_type = rte_cpu_to_be_16(ip4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6),
	};
	struct rte_udp_hdr u = {
		.src_port = rte_cpu_to_be_16(path->local_udp_port),
		.dst_port = rte_cpu_to_be_16(path->peer_udp_port),
	};
	uint8_t *to = out;

	memcpy(&e.dst_addr, &path->peer_mac, sizeof(e.dst_addr));
	memcpy(&e.src_addr, port_mac, sizeof(e.src_addr));
	memcpy(to, &e, sizeof(e));
	to += sizeof(e);
	to = ip4 ? write_ip4(to, path) : write_ip6(to, path);
	u.dgram_cksum = mr_checksum_fold(
		pseudo_sum(path, ip4) + (uint64_t)u.src_port + (uint64_t)u.dst_port);
	memcpy(to, &u, sizeof(u));
	return (uint8_t)(to + sizeof(u) - out);
}

uint32_t mr_path_frame_bytes(const struct mrf_network_path *path, uint32_t mtu)
{
	uint32_t headers = mr_path_is_ip4(path) ? HEADERS_IP4_BYTES : HEADERS_IP6_BYTES;
	uint32_t most = mtu > headers ? mtu - headers : 0;

	if (most > MR_FRAME_BYTES_MAX)
		most = MR_FRAME_BYTES_MAX;
	most &= ~7u;
	return most >= MR_FRAME_BYTES_MIN ? most : 0;
}

void mr_remote_headers(
	struct mr_remote *r, const struct mrf_network_path *path, const uint8_t port_mac[6])
{
	r->path = *path;
	r->port = (uint8_t)path->port;
	r->headers_bytes = mr_headers_write(r->headers, path, port_mac);
}

int mr_remote_new(uint64_t id, const struct mrf_network_path *path, const uint8_t port_mac[6],
	uint32_t frame_bytes, uint32_t log_bytes, struct mrf_session_stats *stats,
	struct mr_session **out)
{
	struct whole *whole =
		aligned_alloc(MR_CACHE_LINE, mr_align_up(sizeof(*whole), MR_CACHE_LINE));
	struct mr_session *s;

	if (whole == NULL)
		return -ENOMEM;
	memset(whole, 0, sizeof(*whole));
	if (mr_flow_open(&whole->remote.flow, log_bytes, frame_bytes) != 0) {
		free(whole);
		return -ENOMEM;
	}
	s = &whole->session;
	s->id = id;
	s->worker = mr_session_worker(id);
	s->slot = mr_session_slot(id);
	s->generation = mr_session_generation(id);
	s->channel = mr_channel_none();
	s->peer_bell_fd = -1;
	s->liveness_fd = -1;
	s->pidfd = -1;
	s->remote = &whole->remote;
	s->remote->frame_bytes = frame_bytes;
	s->remote->window = mr_frame_window_first();
	s->remote->last_rx = s->remote->last_tx = rte_rdtsc();
	mr_remote_headers(s->remote, path, port_mac);
	s->down.shared = &no_consumer;
	s->down.asleep = &no_consumer.asleep;
	s->down.capacity = MR_REMOTE_RING_BYTES;
	mr_remote_shut(s);
	memset(stats, 0, sizeof(*stats));
	mr_gauge(stats->session, id);
	s->stats = stats;
	*out = s;
	return 0;
}

void mr_remote_free(struct mr_session *s)
{
	assert(s->remote->open == NULL); /* each round ends by sending all open frames */
	mr_flow_close(&s->remote->flow);
	free(atomic_load_explicit(&s->remote->aliases, memory_order_relaxed));
}

void mr_remote_shut(struct mr_session *s)
{
	s->down.tail = MR_REMOTE_RING_BYTES;
	s->down.tail_out = MR_REMOTE_RING_BYTES;
}

void mr_remote_onto(struct mr_session *s, void *to, uint32_t room)
{
	uint64_t tail = MR_REMOTE_RING_BYTES - room;

	assert(room % MR_BYTES_ALIGN == 0 && room < MR_REMOTE_RING_BYTES);
	s->down.data = (uint8_t *)((uintptr_t)to - tail);
	s->down.tail = tail;
	s->down.tail_out = tail;
}

bool mr_alias_set_has(const struct mr_alias_set *set, uint32_t alias)
{
	uint32_t at = mr_alias_set_first(set, alias);

	for (uint32_t i = 0; i < MR_ALIAS_PROBES_MAX; i++) {
		uint32_t here = atomic_load_explicit(
			&set->slots[(at + i) & set->mask], memory_order_relaxed);

		if (here == alias)
			return true;
		if (here == 0)
			return false;
	}
	return false;
}

bool mr_remote_holds(const struct mr_session *s, uint32_t alias)
{
	const struct mr_alias_set *set;

	if (s->remote == NULL || alias == 0 || alias == UINT32_MAX)
		return false;
	/* [remote.aliases] */
	set = atomic_load_explicit(
		&s->remote->aliases, memory_order_acquire); /* [remote.aliases] */
	return set != NULL && mr_alias_set_has(set, alias);
}
