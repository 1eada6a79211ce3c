/* SPDX-License-Identifier: Apache-2.0 */
/* port: the generator's end of the wire: one device of DPDK with one queue pair, and this thread.
 *
 * Buffers that are sent come from another pool than those received: drivers copy out of such at once,
 * so a buffer is its sender's again when it has been sent, and can be sent once more as it is.
 *
 * Owns      EAL, the device, both pools.
 * Threads   The one that opened it.
 * Errors    What goes wrong in opening ends the program.
 */
#ifndef MILLRACE_BENCH_E2E_FRAMES_PORT_H
#define MILLRACE_BENCH_E2E_FRAMES_PORT_H

#include "dataplane/port/packet_pool.h"
#include "dataplane/port/port.h"

#define GEN_BURST        32u
#define GEN_RING_ENTRIES 2048u /* of the driver, each way */

struct rte_mbuf;

struct gen_port {
	uint16_t device;
	uint8_t mac[MR_ETHER_BYTES];
	struct mr_packet_pool received;
	struct mr_packet_pool sent;
	uint64_t rx_packets;
	uint64_t tx_packets;
};

/* `vdev`: as EAL's --vdev. Pins the thread to the CPU of that index. */
void gen_port_open(struct gen_port *p, const char *vdev, unsigned cpu_index);
/* The last thing that the program does. */
void gen_port_close(struct gen_port *p);
/* Waits for the other end; ends the program if it does not come. */
void gen_port_wait(struct gen_port *p, uint64_t timeout_ms);
/* Waits, at most so long, until the other end has gone. Nothing is sent or received meanwhile: memif's
 * driver unmaps its rings without asking whether somebody polls them. */
void gen_port_linger(struct gen_port *p, uint64_t timeout_ms);

/* A buffer to send again and again, or NULL. */
struct rte_mbuf *gen_port_new(struct gen_port *p);
/* Where the UDP payload of a packet with so many bytes of headers goes: a multiple of 8. */
uint8_t *gen_port_payload(const struct rte_mbuf *m, uint32_t headers_bytes);
/* Says where the packet stands in its buffer. */
void gen_port_set(struct rte_mbuf *m, const uint8_t *at, uint32_t bytes);
/* Sends as many as there is room for, and returns how many; the buffers remain the caller's. */
uint32_t gen_port_send(struct gen_port *p, struct rte_mbuf **buffers, uint32_t count);
/* Takes up to GEN_BURST packets. */
uint32_t gen_port_receive(struct gen_port *p, struct rte_mbuf **out);
void gen_port_free(struct rte_mbuf **buffers, uint32_t count);

#endif
