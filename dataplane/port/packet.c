/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/packet.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>

#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "lib/wire/checksum.h"
#include "lib/wire/path.h"

#define IP4_PLAIN      0x45 /* version 4, 5 words of header */
#define IP4_FRAGMENTED 0x3fff
#define GOOD_SUM       0xffff
/* Extension headers that are skipped; the XDP program skips as many. */
#define EXTENSIONS_MAX 6

_Static_assert(sizeof(struct mr_address) == 16, "an address is two words of a path");

static bool is_unicast_mac(const struct rte_ether_addr *a)
{
	return (a->addr_bytes[0] & 1) == 0;
}

static bool is_for_mac(const struct mr_port *p, const struct rte_ether_hdr *e)
{
	return memcmp(&e->dst_addr, p->mac, MR_ETHER_BYTES) == 0;
}

static struct mr_address map_ip4(uint32_t raw)
{
	struct mr_address a = {{[10] = 0xff, [11] = 0xff}};

	memcpy(&a.bytes[12], &raw, sizeof(raw));
	return a;
}

static void set_peer(struct mrf_network_path *path, const struct mr_address *a)
{
	memcpy(&path->peer_0, a, sizeof(*a));
}

static void set_local(struct mrf_network_path *path, const struct mr_address *a)
{
	memcpy(&path->local_0, a, sizeof(*a));
}

/* True if an answer may be sent to the address: it is not "this network" (0/8), loopback,
 * multicast, reserved or broadcast. */
static bool may_be_source_4(uint32_t raw)
{
	uint8_t first = (uint8_t)(rte_be_to_cpu_32(raw) >> 24);

	return first != 0 && first != 127 && first < 224;
}

/* True for the port's own address, and for the network and broadcast addresses of its networks. */
static bool is_ours_4(const struct mr_port *p, uint32_t raw)
{
	for (int i = 0; i < p->addresses_count; i++) {
		const struct mr_port_address *a = &p->addresses[i];
		uint32_t own, hosts;

		if (a->prefix_bits < 96 || a->address.bytes[10] != 0xff)
			continue;
		memcpy(&own, &a->address.bytes[12], sizeof(own));
		if (raw == own)
			return true;
		hosts = a->prefix_bits > 126 ? 0 : rte_cpu_to_be_32(~0u >> (a->prefix_bits - 96));
		if (hosts != 0 && ((raw ^ own) & ~hosts) == 0 &&
			((raw & hosts) == 0 || (raw & hosts) == hosts))
			return true;
	}
	return false;
}

/* Refuses multicast, the port's own addresses and all that begin with ten zero bytes. Among these
 * are "::", "::1" and IPv4-mapped addresses: a mapped one would pass for an IPv4 peer. */
static bool may_be_source_6(const struct mr_port *p, const uint8_t *a)
{
	static const uint8_t zero[10];

	return a[0] != 0xff && memcmp(a, zero, sizeof(zero)) != 0 &&
	       mr_port_find_address(p, (const struct mr_address *)a) < 0;
}

/* True for an IPv6 address of the port. It has its IPv4 addresses as mapped ones, which no packet
 * over IPv6 may name (RFC 6890 §2.2.3). */
static bool is_ours_6(const struct mr_port *p, const uint8_t *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return mr_port_find_address(p, (const struct mr_address *)a) >= 0 &&
	       memcmp(a, mapped, sizeof(mapped)) != 0;
}

/* `bytes`: from the UDP header to the end of the IP packet; `pseudo`: sum of the pseudo-header. */
static enum mr_packet_fault parse_udp(const struct mr_port *p, const uint8_t *at, uint32_t bytes,
	uint64_t pseudo, unsigned checked, struct mr_packet *out)
{
	struct rte_udp_hdr h;

	if (mr_unlikely(bytes < sizeof(h)))
		return MR_PACKET_BAD_UDP;
	memcpy(&h, at, sizeof(h));
	if (mr_unlikely(h.dst_port != rte_cpu_to_be_16(p->udp_port)))
		return MR_PACKET_NOT_OURS;
	if (mr_unlikely(rte_be_to_cpu_16(h.dgram_len) != bytes || h.src_port == 0))
		return MR_PACKET_BAD_UDP;
	if (mr_unlikely(h.dgram_cksum == 0)) {
		if (!mr_path_is_ip4(&out->path))
			return MR_PACKET_BAD_UDP;
	} else if (!(checked & MR_PACKET_UDP_CHECKED) &&
		   mr_unlikely(mr_checksum_fold(pseudo + mr_checksum_sum(at, bytes)) != GOOD_SUM)) {
		return MR_PACKET_BAD_UDP;
	}
	out->kind = MR_PACKET_FRAME;
	out->payload_offset += (uint32_t)sizeof(h);
	out->payload_bytes = bytes - (uint32_t)sizeof(h);
	out->path.peer_udp_port = rte_be_to_cpu_16(h.src_port);
	out->path.local_udp_port = p->udp_port;
	return MR_PACKET_OK;
}

static enum mr_packet_fault parse_icmp(const uint8_t *at, uint32_t bytes, struct mr_packet *out)
{
	struct rte_icmp_hdr h;

	if (bytes < sizeof(h))
		return MR_PACKET_BAD_IP;
	memcpy(&h, at, sizeof(h));
	if (mr_checksum_fold(mr_checksum_sum(at, bytes)) != GOOD_SUM)
		return MR_PACKET_BAD_IP;
	if (h.icmp_type != RTE_IP_ICMP_ECHO_REQUEST || h.icmp_code != 0)
		return MR_PACKET_NOT_OURS;
	out->kind = MR_PACKET_ECHO;
	return MR_PACKET_OK;
}

/* Returns the pseudo-header's protocol and length, summed in network order. */
static uint64_t pseudo_sum(uint8_t protocol, uint32_t bytes)
{
	return (uint64_t)rte_cpu_to_be_16(protocol) + rte_cpu_to_be_16((uint16_t)bytes);
}

/* A constant length is summed without a loop. */
static uint16_t sum_header(const uint8_t *at, uint32_t bytes)
{
	const uint32_t plain = sizeof(struct rte_ipv4_hdr);

	return mr_checksum_fold(mr_likely(bytes == plain) ? mr_checksum_sum(at, plain)
							  : mr_checksum_sum(at, bytes));
}

/* `header`: bytes of the header with its options. */
static enum mr_packet_fault check_ip4(const struct rte_ipv4_hdr *h, const uint8_t *at,
	uint32_t bytes, uint32_t header, unsigned checked)
{
	uint32_t total = rte_be_to_cpu_16(h->total_length);

	if (mr_unlikely(h->version_ihl >> 4 != 4 || h->version_ihl < IP4_PLAIN))
		return MR_PACKET_BAD_IP;
	if (mr_unlikely(total < header || total > bytes))
		return MR_PACKET_BAD_IP;
	if (!(checked & MR_PACKET_IP_CHECKED) && mr_unlikely(sum_header(at, header) != GOOD_SUM))
		return MR_PACKET_BAD_IP;
	if (mr_unlikely((h->fragment_offset & rte_cpu_to_be_16(IP4_FRAGMENTED)) != 0))
		return MR_PACKET_IP_OPTIONS;
	return may_be_source_4(h->src_addr) ? MR_PACKET_OK : MR_PACKET_BAD_IP;
}

static enum mr_packet_fault parse_ip4(const struct mr_port *p, const uint8_t *at, uint32_t bytes,
	unsigned checked, struct mr_packet *out)
{
	struct rte_ipv4_hdr h;
	struct mr_address peer, local;
	enum mr_packet_fault fault;
	uint32_t payload, header;

	if (mr_unlikely(bytes < sizeof(h)))
		return MR_PACKET_BAD_IP;
	memcpy(&h, at, sizeof(h));
	header = (h.version_ihl & 15u) * 4;
	fault = check_ip4(&h, at, bytes, header, checked);
	if (mr_unlikely(fault != MR_PACKET_OK))
		return fault;
	if (mr_unlikely(is_ours_4(p, h.src_addr)))
		return MR_PACKET_BAD_IP;
	local = map_ip4(h.dst_addr);
	if (mr_unlikely(mr_port_find_address(p, &local) < 0))
		return MR_PACKET_NOT_OURS;
	peer = map_ip4(h.src_addr);
	set_peer(&out->path, &peer);
	set_local(&out->path, &local);
	payload = rte_be_to_cpu_16(h.total_length) - header;
	out->bytes = out->payload_offset + header + payload;
	out->payload_offset += header;
	if (mr_likely(h.next_proto_id == IPPROTO_UDP))
		return parse_udp(p, at + header, payload,
			(uint64_t)h.src_addr + h.dst_addr + pseudo_sum(IPPROTO_UDP, payload),
			checked, out);
	if (h.next_proto_id != IPPROTO_ICMP)
		return MR_PACKET_NOT_OURS;
	/* An answer is made in place of the request, and has no options. */
	return h.version_ihl == IP4_PLAIN ? parse_icmp(at + header, payload, out)
					  : MR_PACKET_IP_OPTIONS;
}

/* True if each option is a multiple of 8 bytes, not empty and within `bytes` (RFC 4861 §7.1.1). */
static bool options_fit(const uint8_t *at, uint32_t bytes)
{
	while (bytes > 0) {
		uint32_t option;

		if (bytes < 8)
			return false;
		option = at[1] * 8u;
		if (option == 0 || option > bytes)
			return false;
		at += option;
		bytes -= option;
	}
	return true;
}

/* True if `a` is the solicited-node address of `target`: ff02::1:ffXX:XXXX (RFC 4291 §2.7.1). */
static bool is_solicited_node(const uint8_t *a, const uint8_t *target)
{
	static const uint8_t prefix[13] = {0xff, 0x02, [11] = 0x01, [12] = 0xff};

	return memcmp(a, prefix, sizeof(prefix)) == 0 && memcmp(a + 13, target + 13, 3) == 0;
}

/* A peer without an address yet (::) asks whether `target` is taken. It must ask the solicited-node
 * address (RFC 4861 §7.1.1). */
static bool may_solicit(
	const struct mr_port *p, const struct rte_ipv6_hdr *ip, const uint8_t *target)
{
	static const uint8_t nobody[16];

	if (memcmp(ip->src_addr, nobody, sizeof(nobody)) == 0)
		return is_solicited_node(ip->dst_addr, target);
	return may_be_source_6(p, ip->src_addr);
}

static enum mr_packet_fault parse_solicitation(const struct mr_port *p,
	const struct rte_ipv6_hdr *ip, const uint8_t *at, uint32_t bytes, struct mr_packet *out)
{
	struct nd_neighbor_solicit h;
	struct mr_address target;

	if (bytes < sizeof(h) || ip->hop_limits != 255)
		return MR_PACKET_BAD_IP;
	memcpy(&h, at, sizeof(h));
	if (h.nd_ns_code != 0 || !options_fit(at + sizeof(h), bytes - (uint32_t)sizeof(h)))
		return MR_PACKET_BAD_IP;
	memcpy(&target, &h.nd_ns_target, sizeof(target));
	if (!is_ours_6(p, target.bytes))
		return MR_PACKET_NOT_OURS;
	if (memcmp(ip->dst_addr, &target, sizeof(target)) != 0 &&
		!is_solicited_node(ip->dst_addr, target.bytes))
		return MR_PACKET_NOT_OURS;
	if (!may_solicit(p, ip, target.bytes))
		return MR_PACKET_BAD_IP;
	set_local(&out->path, &target);
	out->kind = MR_PACKET_SOLICITATION;
	return MR_PACKET_OK;
}

static enum mr_packet_fault parse_icmp6(const struct mr_port *p, const struct rte_ipv6_hdr *ip,
	const uint8_t *at, uint32_t bytes, uint64_t pseudo, struct mr_packet *out)
{
	struct icmp6_hdr h;

	if (bytes < sizeof(h))
		return MR_PACKET_BAD_IP;
	memcpy(&h, at, sizeof(h));
	if (mr_checksum_fold(pseudo + mr_checksum_sum(at, bytes)) != GOOD_SUM)
		return MR_PACKET_BAD_IP;
	if (h.icmp6_type == ND_NEIGHBOR_SOLICIT)
		return parse_solicitation(p, ip, at, bytes, out);
	if (h.icmp6_type != ICMP6_ECHO_REQUEST || h.icmp6_code != 0 || !is_ours_6(p, ip->dst_addr))
		return MR_PACKET_NOT_OURS;
	if (!may_be_source_6(p, ip->src_addr))
		return MR_PACKET_BAD_IP;
	out->kind = MR_PACKET_ECHO_6;
	return MR_PACKET_OK;
}

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_ESP || next == IPPROTO_AH || next == IPPROTO_DSTOPTS;
}

/* True if all options in a header of hop-by-hop or destination options may be skipped by one who
 * does not know them: the first two bits of their types are 0 (RFC 8200 §4.2). */
static bool may_skip_options(const uint8_t *at, uint32_t bytes)
{
	uint32_t i = 2;

	while (i < bytes) {
		uint32_t option = at[i] == 0 ? 1 : 2; /* Pad1 has no length */

		if ((at[i] & 0xc0) != 0 || i + option > bytes)
			return false;
		i += option == 1 ? 1 : 2u + at[i + 1];
	}
	return i == bytes;
}

/* Returns the bytes of the extension header of type `type`, or 0 if it cannot be skipped. A routing
 * header can be when its route ends here (RFC 8200 §4.4). */
static uint32_t extension_bytes(uint8_t type, const uint8_t *at, uint32_t bytes)
{
	uint32_t whole = type == IPPROTO_AH ? (at[1] + 2u) * 4 : (at[1] + 1u) * 8;

	if (whole > bytes)
		return 0;
	switch (type) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_DSTOPTS: return may_skip_options(at, whole) ? whole : 0;
	case IPPROTO_ROUTING: return at[3] == 0 ? whole : 0;
	case IPPROTO_AH: return whole;
	default: return 0;
	}
}

/* Parses UDP behind extension headers. Fragments, encrypted packets and what may not be skipped are
 * not for the bus. */
static __attribute__((noinline)) enum mr_packet_fault parse_extended(const struct mr_port *p,
	const struct rte_ipv6_hdr *ip, const uint8_t *at, uint32_t bytes, unsigned checked,
	struct mr_packet *out)
{
	uint8_t next = ip->proto;
	const uint8_t *start = at;

	for (int i = 0; i < EXTENSIONS_MAX && is_extension(next); i++) {
		uint32_t skip = bytes < 8 || (next == IPPROTO_HOPOPTS && i > 0)
					? 0
					: extension_bytes(next, at, bytes);

		if (skip == 0)
			return MR_PACKET_IP_OPTIONS;
		next = at[0];
		at += skip;
		bytes -= skip;
	}
	if (is_extension(next))
		return MR_PACKET_IP_OPTIONS;
	if (!is_ours_6(p, ip->dst_addr) || next != IPPROTO_UDP)
		return MR_PACKET_NOT_OURS;
	if (!may_be_source_6(p, ip->src_addr))
		return MR_PACKET_BAD_IP;
	out->payload_offset += (uint32_t)(at - start);
	return parse_udp(p, at, bytes,
		mr_checksum_sum(ip->src_addr, sizeof(ip->src_addr) + sizeof(ip->dst_addr)) +
			pseudo_sum(IPPROTO_UDP, bytes),
		checked, out);
}

static enum mr_packet_fault parse_ip6(const struct mr_port *p, const uint8_t *at, uint32_t bytes,
	unsigned checked, struct mr_packet *out)
{
	struct rte_ipv6_hdr h;
	uint32_t payload;
	uint64_t pseudo;

	if (mr_unlikely(bytes < sizeof(h)))
		return MR_PACKET_BAD_IP;
	memcpy(&h, at, sizeof(h));
	payload = rte_be_to_cpu_16(h.payload_len);
	if (mr_unlikely((at[0] >> 4) != 6 || payload > bytes - sizeof(h)))
		return MR_PACKET_BAD_IP;
	pseudo = mr_checksum_sum(h.src_addr, sizeof(h.src_addr) + sizeof(h.dst_addr)) +
		 pseudo_sum(h.proto, payload);
	memcpy(&out->path.peer_0, h.src_addr, sizeof(h.src_addr));
	memcpy(&out->path.local_0, h.dst_addr, sizeof(h.dst_addr));
	out->bytes = out->payload_offset + (uint32_t)sizeof(h) + payload;
	out->payload_offset += (uint32_t)sizeof(h);
	if (mr_unlikely(h.proto == IPPROTO_ICMPV6))
		return parse_icmp6(p, &h, at + sizeof(h), payload, pseudo, out);
	if (mr_unlikely(is_extension(h.proto)))
		return parse_extended(p, &h, at + sizeof(h), payload, checked, out);
	if (!is_ours_6(p, h.dst_addr) || h.proto != IPPROTO_UDP)
		return MR_PACKET_NOT_OURS;
	if (mr_unlikely(!may_be_source_6(p, h.src_addr)))
		return MR_PACKET_BAD_IP;
	return parse_udp(p, at + sizeof(h), payload, pseudo, checked, out);
}

/* Sender 0.0.0.0 is an ARP probe, which asks whether the address is taken (RFC 5227 §1.1). */
static bool may_ask_4(const struct mr_port *p, const struct rte_arp_hdr *h)
{
	uint32_t ip = h->arp_data.arp_sip;

	return rte_is_unicast_ether_addr(&h->arp_data.arp_sha) &&
	       (ip == 0 || (may_be_source_4(ip) && !is_ours_4(p, ip)));
}

static enum mr_packet_fault parse_arp(
	const struct mr_port *p, const uint8_t *at, uint32_t bytes, struct mr_packet *out)
{
	struct rte_arp_hdr h;
	struct mr_address target;

	if (bytes < sizeof(h))
		return MR_PACKET_NOT_IP;
	memcpy(&h, at, sizeof(h));
	if (h.arp_hardware != rte_cpu_to_be_16(RTE_ARP_HRD_ETHER) ||
		h.arp_protocol != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) ||
		h.arp_hlen != MR_ETHER_BYTES || h.arp_plen != sizeof(uint32_t) ||
		h.arp_opcode != rte_cpu_to_be_16(RTE_ARP_OP_REQUEST))
		return MR_PACKET_NOT_IP;
	target = map_ip4(h.arp_data.arp_tip);
	if (mr_port_find_address(p, &target) < 0)
		return MR_PACKET_NOT_IP;
	if (!may_ask_4(p, &h))
		return MR_PACKET_BAD_IP;
	out->kind = MR_PACKET_ARP;
	out->bytes = (uint32_t)(sizeof(struct rte_ether_hdr) + sizeof(h));
	return MR_PACKET_OK;
}

/* True for a broadcast ARP packet and for an IPv6 packet to a solicited-node multicast address. */
static bool is_for_neighbours(const struct rte_ether_hdr *e)
{
	static const uint8_t solicited[3] = {0x33, 0x33, 0xff};

	return e->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP)
		       ? rte_is_broadcast_ether_addr(&e->dst_addr)
		       : e->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6) &&
				 memcmp(&e->dst_addr, solicited, sizeof(solicited)) == 0;
}

enum mr_packet_fault mr_packet_parse(const struct mr_port *p, const uint8_t *at, uint32_t bytes,
	unsigned checked, struct mr_packet *out)
{
	struct rte_ether_hdr e;

	if (mr_unlikely(bytes < sizeof(e)))
		return MR_PACKET_NOT_IP;
	memcpy(&e, at, sizeof(e));
	if (mr_unlikely(
		    !is_unicast_mac(&e.src_addr) || !(is_for_mac(p, &e) || is_for_neighbours(&e))))
		return MR_PACKET_NOT_IP;
	out->payload_offset = (uint32_t)sizeof(e);
	out->path = (struct mrf_network_path){.port = p->index};
	memcpy(&out->path.peer_mac, &e.src_addr, MR_ETHER_BYTES);
	at += sizeof(e);
	bytes -= (uint32_t)sizeof(e);
	if (mr_likely(e.ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4)))
		return parse_ip4(p, at, bytes, checked, out);
	if (e.ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6))
		return parse_ip6(p, at, bytes, checked, out);
	if (e.ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP))
		return parse_arp(p, at, bytes, out);
	return MR_PACKET_NOT_IP;
}
