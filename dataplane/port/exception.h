/* SPDX-License-Identifier: Apache-2.0 */
/* exception: the TAP device of a port, through which the kernel gets all packets that are not for
 * the bus: ARP, ICMP, TCP, other UDP, fragments. The host's addresses live on the device, so ping,
 * ssh and any server work through a port that the data plane owns.
 *
 *   port ──▶ worker ── exception ring ──▶ control ── io_uring ──▶ TAP ──▶ kernel
 *        ◀──────────                  ◀──────────           ◀──────
 *
 * The device has the port's MAC, MTU and addresses. It is persistent: it stays with its addresses,
 * routes and connections when a program is killed. An alias tells whose it is.
 *
 * Owns      The port owns the device from open to close; close removes it. Control gets a
 *           descriptor of it for reading and writing.
 * Threads   open, close: the table writer. The inline functions: workers.
 * Errors    0 or -errno, logged with the port's name and the next step.
 */
#ifndef MILLRACE_PORT_EXCEPTION_H
#define MILLRACE_PORT_EXCEPTION_H

#include <rte_mbuf.h>

#include "dataplane/port/packet.h"

/* Makes the port's device, or takes over one that a killed run left. Needs the port's mac and mtu.
 * Does nothing for a port without tap=. */
int mr_exception_open(struct mr_port *p);
/* Removes the device. */
void mr_exception_close(struct mr_port *p);
/* Reads the MAC of a device that a killed run left, so that neighbours need not learn another one.
 * False: there is none. */
bool mr_exception_left_mac(const struct mr_config_port *c, uint8_t mac[static MR_ETHER_BYTES]);

/* True for a parsed packet that the kernel takes if the port has a device: all but the bus's
 * frames. Malformed IP is the kernel's to judge. Malformed UDP to the bus's port is ours. */
static inline bool mr_exception_is_one(enum mr_packet_fault fault, const struct mr_packet *k)
{
	return fault == MR_PACKET_OK ? k->kind != MR_PACKET_FRAME : fault != MR_PACKET_BAD_UDP;
}

/* True if the packet's Ethernet address is the port's, or a group. */
static inline bool mr_exception_is_for(const struct mr_port *p, const struct rte_mbuf *m)
{
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);

	return m->data_len >= 2 * MR_ETHER_BYTES + 2 &&
	       ((at[0] & 1) != 0 || memcmp(at, p->mac, MR_ETHER_BYTES) == 0);
}

/* Completes the checksum of a TCP or UDP packet, an Ethernet frame in one piece. The host of a
 * virtual card leaves that to the receiver, and the field has the sum of the pseudo-header. Leaves
 * anything else as it is. */
void mr_exception_finish_checksum(uint8_t *frame, uint32_t bytes);

/* Takes tokens for a packet; false: the limit is reached. The bucket holds what comes in 100 ms,
 * but at least one packet (GCRA, ITU-T I.371). `hz`, `now`: cycles. */
bool mr_exception_limit_take(
	struct mr_exception_limit *l, uint64_t hz, uint64_t now, uint32_t bytes);

#endif
