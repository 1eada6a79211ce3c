/* SPDX-License-Identifier: Apache-2.0 */
/* packet: what a port received, from Ethernet up: a frame of ours, something that a port with an address
 * has to answer, or a fault by name.
 *
 * Nothing but whole, plain UDP datagrams is taken: no VLAN tag, no fragment, no option, no extension
 * header. The length that IP gives counts; what Ethernet pads behind it is cut off.
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
	MR_PACKET_ARP,          /* RFC 826: who has one of the port's addresses? */
	MR_PACKET_SOLICITATION, /* RFC 4861: the same in IPv6 */
	MR_PACKET_ECHO,         /* RFC 792 */
	MR_PACKET_ECHO_6,       /* RFC 4443 */
};

/* Each has a counter of its own in the worker's statistics. */
enum mr_packet_fault {
	MR_PACKET_OK,
	MR_PACKET_NOT_IP,
	MR_PACKET_BAD_IP,
	MR_PACKET_IP_OPTIONS,
	MR_PACKET_NOT_OURS,
	MR_PACKET_BAD_UDP,
};

/* What the device has checked already. */
#define MR_PACKET_IP_CHECKED  1u
#define MR_PACKET_UDP_CHECKED 2u

struct mr_packet {
	enum mr_packet_kind kind;
	uint32_t bytes;               /* of the packet, without what Ethernet pads */
	uint32_t payload_offset;      /* of a frame: the UDP payload */
	uint32_t payload_bytes;       /* likewise */
	struct mrf_network_path path; /* peer and local, but for ARP, which has none */
};

/* `at`: 2-aligned. *out is whole only if there was no fault. */
enum mr_packet_fault mr_packet_parse(const struct mr_port *p, const uint8_t *at, uint32_t bytes,
	unsigned checked, struct mr_packet *out);

#endif
