/* SPDX-License-Identifier: Apache-2.0 */
/* classify: decides which packets are for the bus. Compiled for the XDP program and, for tests, for
 * user space.
 *
 * A packet is for the bus if it is whole, goes to the port's Ethernet address, to one of its IP
 * addresses and to its UDP port. Behind IPv4 options and IPv6 extension headers (RFC 8200 §4) the
 * program looks for UDP, too. Checksums and lengths are left to the worker.
 *
 * Threads   Pure functions over bytes.
 * Hot path  All of it. Loops have constant bounds, as the kernel's verifier demands.
 */
#ifndef MILLRACE_PORT_XDP_CLASSIFY_H
#define MILLRACE_PORT_XDP_CLASSIFY_H

#include <linux/if_ether.h>
#include <linux/icmpv6.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "dataplane/port/xdp/shared.h"

#define MR_XDP_INLINE static inline __attribute__((always_inline))

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MR_XDP_BE16(v) ((__u16)__builtin_bswap16((__u16)(v)))
#else
#define MR_XDP_BE16(v) ((__u16)(v))
#endif

#define MR_XDP_FRAGMENTED     0x3fff /* more fragments, or an offset (RFC 791 §3.1) */
#define MR_XDP_EXTENSIONS_MAX 6
#define MR_XDP_SOLICITATION   135 /* RFC 4861 §4.3 */

/* IPv4 over Ethernet, an ARP packet's body (RFC 826). */
struct mr_xdp_arp {
	__u16 hardware, protocol;
	__u8 hardware_bytes, protocol_bytes;
	__u16 operation;
	__u8 sender_mac[6], sender[4], target_mac[6], target[4];
};

struct mr_xdp_extension {
	__u8 next;
	__u8 words; /* behind the first 8 bytes, of 8 bytes each; AH counts otherwise */
};

/* The program has no memcmp. */
MR_XDP_INLINE int mr_xdp_is_mac(const struct mr_xdp_settings *s, const __u8 *address)
{
	__u16 a[3], b[3];

	__builtin_memcpy(a, s->mac, sizeof(a));
	__builtin_memcpy(b, address, sizeof(b));
	return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2])) == 0;
}

/* The owner of an address. */
enum mr_xdp_owner {
	MR_XDP_STRANGER, /* none of the port's addresses */
	MR_XDP_KERNEL,   /* the bus has the kernel's address, and of it one UDP port */
	MR_XDP_OWN       /* the bus's alone */
};

MR_XDP_INLINE enum mr_xdp_owner mr_xdp_owner4(const struct mr_xdp_settings *s, __u32 address)
{
	for (__u32 i = 0; i < MR_XDP_ADDRESSES_MAX; i++) {
		if (i >= s->ip4_count)
			break;
		if (s->ip4[i] == address)
			return (s->own4 >> i & 1) != 0 ? MR_XDP_OWN : MR_XDP_KERNEL;
	}
	return MR_XDP_STRANGER;
}

MR_XDP_INLINE enum mr_xdp_owner mr_xdp_owner6(const struct mr_xdp_settings *s, const void *address)
{
	struct mr_xdp_ip6 a;

	__builtin_memcpy(&a, address, sizeof(a));
	for (__u32 i = 0; i < MR_XDP_ADDRESSES_MAX; i++) {
		if (i >= s->ip6_count)
			break;
		if (s->ip6[i].words[0] == a.words[0] && s->ip6[i].words[1] == a.words[1])
			return (s->own6 >> i & 1) != 0 ? MR_XDP_OWN : MR_XDP_KERNEL;
	}
	return MR_XDP_STRANGER;
}

/* Decides by the UDP header at `at`. */
MR_XDP_INLINE enum mr_xdp_verdict mr_xdp_udp(
	const struct mr_xdp_settings *s, const __u8 *at, const __u8 *end)
{
	struct udphdr h;

	if (at + sizeof(h) > end)
		return MR_XDP_MALFORMED;
	__builtin_memcpy(&h, at, sizeof(h));
	return h.dest == s->udp_port ? MR_XDP_BUS : MR_XDP_OTHER;
}

MR_XDP_INLINE enum mr_xdp_verdict mr_xdp_ip4(
	const struct mr_xdp_settings *s, const __u8 *at, const __u8 *end)
{
	enum mr_xdp_owner owner;
	struct iphdr h;
	__u32 words;

	if (at + sizeof(h) > end)
		return MR_XDP_MALFORMED;
	__builtin_memcpy(&h, at, sizeof(h));
	owner = mr_xdp_owner4(s, h.daddr);
	if (owner != MR_XDP_KERNEL)
		return owner == MR_XDP_OWN ? MR_XDP_BUS : MR_XDP_OTHER;
	words = at[0] & 15;
	if (at[0] >> 4 != 4 || words < 5)
		return MR_XDP_MALFORMED;
	if ((h.frag_off & MR_XDP_BE16(MR_XDP_FRAGMENTED)) != 0)
		return MR_XDP_FRAGMENT;
	if (h.protocol != IPPROTO_UDP)
		return MR_XDP_OTHER;
	return mr_xdp_udp(s, at + words * 4, end);
}

MR_XDP_INLINE int mr_xdp_is_skipped(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_AH;
}

/* Decides by the header of type `next` at `at`, behind extension headers or not. */
MR_XDP_INLINE enum mr_xdp_verdict mr_xdp_upper6(
	const struct mr_xdp_settings *s, __u8 next, const __u8 *at, const __u8 *end)
{
	struct mr_xdp_extension x;

	for (int i = 0; i < MR_XDP_EXTENSIONS_MAX; i++) {
		if (!mr_xdp_is_skipped(next))
			break;
		if (at + 8 > end)
			return MR_XDP_MALFORMED;
		__builtin_memcpy(&x, at, sizeof(x));
		/* AH counts words of 4 bytes, less two (RFC 4302 §2.2). */
		at += next == IPPROTO_AH ? (x.words + 2u) * 4 : (x.words + 1u) * 8;
		next = x.next;
	}
	if (next == IPPROTO_FRAGMENT)
		return MR_XDP_FRAGMENT;
	return next == IPPROTO_UDP ? mr_xdp_udp(s, at, end) : MR_XDP_OTHER;
}

/* Decides about a packet to a stranger. A neighbour solicitation for an address of the bus alone is
 * for the bus. `next`: type of the header at `at`. */
MR_XDP_INLINE enum mr_xdp_verdict mr_xdp_solicitation(
	const struct mr_xdp_settings *s, __u8 next, const __u8 *at, const __u8 *end)
{
	if (s->own6 == 0 || next != IPPROTO_ICMPV6 || at + 24 > end || at[0] != MR_XDP_SOLICITATION)
		return MR_XDP_OTHER;
	return mr_xdp_owner6(s, at + 8) == MR_XDP_OWN ? MR_XDP_BUS : MR_XDP_OTHER;
}

MR_XDP_INLINE enum mr_xdp_verdict mr_xdp_ip6(
	const struct mr_xdp_settings *s, const __u8 *at, const __u8 *end)
{
	enum mr_xdp_owner owner;
	struct ipv6hdr h;

	if (at + sizeof(h) > end)
		return MR_XDP_MALFORMED;
	__builtin_memcpy(&h, at, sizeof(h));
	owner = mr_xdp_owner6(s, &h.daddr);
	if (owner == MR_XDP_STRANGER)
		return mr_xdp_solicitation(s, h.nexthdr, at + sizeof(h), end);
	if (owner == MR_XDP_OWN)
		return MR_XDP_BUS;
	if (at[0] >> 4 != 6)
		return MR_XDP_MALFORMED;
	return mr_xdp_upper6(s, h.nexthdr, at + sizeof(h), end);
}

/* ARP for an address of the bus alone: the worker answers. */
MR_XDP_INLINE enum mr_xdp_verdict mr_xdp_arp(
	const struct mr_xdp_settings *s, const __u8 *at, const __u8 *end)
{
	struct mr_xdp_arp h;
	__u32 target;

	if (s->own4 == 0)
		return MR_XDP_NOT_IP;
	if (at + sizeof(h) > end)
		return MR_XDP_MALFORMED;
	__builtin_memcpy(&h, at, sizeof(h));
	__builtin_memcpy(&target, h.target, sizeof(target));
	return mr_xdp_owner4(s, target) == MR_XDP_OWN ? MR_XDP_BUS : MR_XDP_NOT_IP;
}

MR_XDP_INLINE int mr_xdp_is_tag(__u16 type)
{
	return type == MR_XDP_BE16(ETH_P_8021Q) || type == MR_XDP_BE16(ETH_P_8021AD);
}

/* Decides about a packet to another Ethernet address. Only requests for an address of the bus alone
 * come to a group's address. */
MR_XDP_INLINE enum mr_xdp_verdict mr_xdp_group(
	const struct mr_xdp_settings *s, __u16 type, const __u8 *at, const __u8 *end)
{
	struct ipv6hdr h;

	if (type == MR_XDP_BE16(ETH_P_ARP))
		return mr_xdp_arp(s, at, end);
	if (type != MR_XDP_BE16(ETH_P_IPV6))
		return type == MR_XDP_BE16(ETH_P_IP) ? MR_XDP_OTHER : MR_XDP_NOT_IP;
	if (at + sizeof(h) > end)
		return MR_XDP_MALFORMED;
	__builtin_memcpy(&h, at, sizeof(h));
	return mr_xdp_solicitation(s, h.nexthdr, at + sizeof(h), end);
}

/* Decides about the packet from `at` to `end`. */
MR_XDP_INLINE enum mr_xdp_verdict mr_xdp_classify(
	const struct mr_xdp_settings *s, const __u8 *at, const __u8 *end)
{
	struct ethhdr e;

	if (at + sizeof(e) > end)
		return MR_XDP_MALFORMED;
	__builtin_memcpy(&e, at, sizeof(e));
	at += sizeof(e);
	if (mr_xdp_is_tag(e.h_proto))
		return MR_XDP_TAGGED;
	if (!mr_xdp_is_mac(s, e.h_dest))
		return (e.h_dest[0] & 1) != 0 ? mr_xdp_group(s, e.h_proto, at, end) : MR_XDP_OTHER;
	if (e.h_proto == MR_XDP_BE16(ETH_P_IP))
		return mr_xdp_ip4(s, at, end);
	if (e.h_proto == MR_XDP_BE16(ETH_P_IPV6))
		return mr_xdp_ip6(s, at, end);
	return e.h_proto == MR_XDP_BE16(ETH_P_ARP) ? mr_xdp_arp(s, at, end) : MR_XDP_NOT_IP;
}

#endif
