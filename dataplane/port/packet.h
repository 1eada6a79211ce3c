/* SPDX-License-Identifier: Apache-2.0 */
/* packet: parses a received packet from Ethernet up. The result is a millrace frame, a request that
 * a port with an address must answer (answer.h), or a named fault.
 *
 * Frames come only in whole UDP datagrams: no VLAN tag, no IP fragment. IPv4 options and IPv6
 * extension headers that a host may skip are skipped; requests that the port answers have none.
 * IP's length counts; Ethernet's padding behind it is ignored.
 *
 * Threads   Pure functions over bytes; the port is only read.
 * Hot path  All of it: no call out, lock, allocation or system call.
 */
#ifndef MILLRACE_PORT_PACKET_H
#define MILLRACE_PORT_PACKET_H

#include "dataplane/port/port.h"
#include "flatbuf/wire.h"

enum mr_packet_kind {
	MR_PACKET_FRAME,
	MR_PACKET_ARP,          /* ARP request for one of the port's addresses (RFC 826) */
	MR_PACKET_SOLICITATION, /* neighbour solicitation, the same in IPv6 (RFC 4861) */
	MR_PACKET_ECHO,         /* ICMP echo request (RFC 792) */
	MR_PACKET_ECHO_6,       /* ICMPv6 echo request (RFC 4443) */
};

/* Each fault has a counter of its own in the worker's statistics. */
enum mr_packet_fault {
	MR_PACKET_OK,
	MR_PACKET_NOT_IP,
	MR_PACKET_BAD_IP,
	MR_PACKET_IP_OPTIONS,
	MR_PACKET_NOT_OURS,
	MR_PACKET_BAD_UDP,
};

/* Checksums that the device has verified already. */
#define MR_PACKET_IP_CHECKED  1u
#define MR_PACKET_UDP_CHECKED 2u

struct mr_packet {
	enum mr_packet_kind kind;
	uint32_t bytes;               /* packet, without Ethernet's padding */
	uint32_t payload_offset;      /* a frame's UDP payload */
	uint32_t payload_bytes;       /* a frame's UDP payload */
	struct mrf_network_path path; /* peer and local addresses; ARP leaves them 0 */
};

/* Parses the packet at `at`, which is 2-aligned. *out is complete only if the result is
 * MR_PACKET_OK. `checked`: MR_PACKET_*_CHECKED. */
enum mr_packet_fault mr_packet_parse(const struct mr_port *p, const uint8_t *at, uint32_t bytes,
	unsigned checked, struct mr_packet *out);

#endif
