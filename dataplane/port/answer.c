/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/answer.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>

#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>

#include "lib/wire/checksum.h"

#define HOPS      64
#define HOPS_LINK 255 /* proves that the packet was not routed (RFC 4861 §7.1.2) */

/* A neighbour advertisement with the port's Ethernet address. */
struct advertisement {
	struct rte_ether_hdr ethernet;
	struct rte_ipv6_hdr ip;
	struct nd_neighbor_advert body;
	struct nd_opt_hdr option;
	uint8_t mac[MR_ETHER_BYTES];
} __attribute__((packed, aligned(2)));

_Static_assert(sizeof(struct advertisement) == 86, "bytes on the wire");

static void send_back(const struct mr_port *p, uint8_t *at)
{
	struct rte_ether_hdr e;

	memcpy(&e, at, sizeof(e));
	e.dst_addr = e.src_addr;
	memcpy(&e.src_addr, p->mac, MR_ETHER_BYTES);
	memcpy(at, &e, sizeof(e));
}

static uint32_t answer_arp(const struct mr_port *p, uint8_t *at)
{
	struct rte_arp_hdr h;
	rte_be32_t asked;

	send_back(p, at);
	memcpy(&h, at + sizeof(struct rte_ether_hdr), sizeof(h));
	asked = h.arp_data.arp_tip;
	h.arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REPLY);
	h.arp_data.arp_tha = h.arp_data.arp_sha;
	h.arp_data.arp_tip = h.arp_data.arp_sip;
	memcpy(&h.arp_data.arp_sha, p->mac, MR_ETHER_BYTES);
	h.arp_data.arp_sip = asked;
	memcpy(at + sizeof(struct rte_ether_hdr), &h, sizeof(h));
	return (uint32_t)(sizeof(struct rte_ether_hdr) + sizeof(h));
}

static uint64_t pseudo_sum_6(const struct rte_ipv6_hdr *ip)
{
	return mr_checksum_sum(ip->src_addr, sizeof(ip->src_addr) + sizeof(ip->dst_addr)) +
	       ip->payload_len + rte_cpu_to_be_16(IPPROTO_ICMPV6);
}

/* Sends the answer to the all-nodes address if the asking node has no address yet (RFC 4861
 * §7.2.4). */
static bool to_all_nodes(const uint8_t *peer, struct advertisement *a)
{
	static const uint8_t nobody[16];
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 0x01};
	static const uint8_t all_nodes_mac[MR_ETHER_BYTES] = {0x33, 0x33, 0, 0, 0, 1};

	if (memcmp(peer, nobody, sizeof(nobody)) != 0)
		return false;
	memcpy(a->ip.dst_addr, all_nodes, sizeof(all_nodes));
	memcpy(&a->ethernet.dst_addr, all_nodes_mac, sizeof(all_nodes_mac));
	return true;
}

static uint32_t answer_solicitation(
	const struct mr_port *p, const struct mr_packet *k, uint8_t *at, uint32_t capacity)
{
	const uint16_t body_bytes =
		(uint16_t)(sizeof(struct advertisement) - offsetof(struct advertisement, body));
	struct advertisement a = {
		.ethernet.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6),
		.ip.vtc_flow = rte_cpu_to_be_32(6u << 28),
		.ip.payload_len = rte_cpu_to_be_16(body_bytes),
		.ip.proto = IPPROTO_ICMPV6,
		.ip.hop_limits = HOPS_LINK,
		.body.nd_na_type = ND_NEIGHBOR_ADVERT,
		.option = {ND_OPT_TARGET_LINKADDR, 1},
	};
	uint32_t flags = ND_NA_FLAG_OVERRIDE;

	if (capacity < sizeof(a))
		return 0;
	memcpy(&a.ethernet.src_addr, p->mac, MR_ETHER_BYTES);
	memcpy(&a.ethernet.dst_addr, &k->path.peer_mac, MR_ETHER_BYTES);
	memcpy(a.ip.src_addr, &k->path.local_0, sizeof(a.ip.src_addr));
	memcpy(a.ip.dst_addr, &k->path.peer_0, sizeof(a.ip.dst_addr));
	if (!to_all_nodes((const uint8_t *)&k->path.peer_0, &a))
		flags |= ND_NA_FLAG_SOLICITED;
	a.body.nd_na_flags_reserved = flags;
	memcpy(&a.body.nd_na_target, &k->path.local_0, sizeof(a.body.nd_na_target));
	memcpy(a.mac, p->mac, MR_ETHER_BYTES);
	a.body.nd_na_cksum = mr_checksum_finish(
		pseudo_sum_6(&a.ip) +
		mr_checksum_sum(
			(const uint8_t *)&a + offsetof(struct advertisement, body), body_bytes));
	memcpy(at, &a, sizeof(a));
	return (uint32_t)sizeof(a);
}

static uint32_t answer_echo(const struct mr_port *p, const struct mr_packet *k, uint8_t *at)
{
	uint8_t *ip_at = at + sizeof(struct rte_ether_hdr);
	uint8_t *icmp_at = ip_at + sizeof(struct rte_ipv4_hdr);
	uint32_t bytes = (uint32_t)(k->bytes - (uint32_t)(icmp_at - at));
	struct rte_ipv4_hdr ip;
	struct rte_icmp_hdr h;
	rte_be32_t peer;

	send_back(p, at);
	memcpy(&ip, ip_at, sizeof(ip));
	peer = ip.src_addr;
	ip.src_addr = ip.dst_addr;
	ip.dst_addr = peer;
	ip.time_to_live = HOPS;
	ip.hdr_checksum = 0;
	ip.hdr_checksum = mr_checksum_finish(mr_checksum_sum(&ip, sizeof(ip)));
	memcpy(ip_at, &ip, sizeof(ip));
	memcpy(&h, icmp_at, sizeof(h));
	h.icmp_type = RTE_IP_ICMP_ECHO_REPLY;
	h.icmp_cksum = 0;
	memcpy(icmp_at, &h, sizeof(h));
	h.icmp_cksum = mr_checksum_finish(mr_checksum_sum(icmp_at, bytes));
	memcpy(icmp_at, &h, sizeof(h));
	return k->bytes;
}

static uint32_t answer_echo_6(const struct mr_port *p, const struct mr_packet *k, uint8_t *at)
{
	uint8_t *ip_at = at + sizeof(struct rte_ether_hdr);
	uint8_t *icmp_at = ip_at + sizeof(struct rte_ipv6_hdr);
	uint32_t bytes = (uint32_t)(k->bytes - (uint32_t)(icmp_at - at));
	struct rte_ipv6_hdr ip;
	struct icmp6_hdr h;

	send_back(p, at);
	memcpy(&ip, ip_at, sizeof(ip));
	memcpy(ip.src_addr, &k->path.local_0, sizeof(ip.src_addr));
	memcpy(ip.dst_addr, &k->path.peer_0, sizeof(ip.dst_addr));
	ip.hop_limits = HOPS;
	memcpy(ip_at, &ip, sizeof(ip));
	memcpy(&h, icmp_at, sizeof(h));
	h.icmp6_type = ICMP6_ECHO_REPLY;
	h.icmp6_cksum = 0;
	memcpy(icmp_at, &h, sizeof(h));
	h.icmp6_cksum = mr_checksum_finish(pseudo_sum_6(&ip) + mr_checksum_sum(icmp_at, bytes));
	memcpy(icmp_at, &h, sizeof(h));
	return k->bytes;
}

uint32_t mr_answer(
	const struct mr_port *p, const struct mr_packet *k, uint8_t *at, uint32_t capacity)
{
	switch (k->kind) {
	case MR_PACKET_ARP: return answer_arp(p, at);
	case MR_PACKET_SOLICITATION: return answer_solicitation(p, k, at, capacity);
	case MR_PACKET_ECHO: return answer_echo(p, k, at);
	case MR_PACKET_ECHO_6: return answer_echo_6(p, k, at);
	case MR_PACKET_FRAME: break;
	}
	return 0;
}
