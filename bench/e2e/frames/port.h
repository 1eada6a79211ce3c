/* SPDX-License-Identifier: Apache-2.0 */
/* port: the generator's end of the wire: one DPDK device with one queue pair, and this thread.
 *
 * Sent buffers come from another pool than received ones. Drivers copy from such a pool at once, so
 * a sent buffer belongs to its sender again and may be sent once more unchanged.
 *
 * Owns      EAL, the device, both pools.
 * Threads   The one that opened it.
 * Errors    An error while opening ends the program.
 */
#ifndef MILLRACE_BENCH_E2E_FRAMES_PORT_H
#define MILLRACE_BENCH_E2E_FRAMES_PORT_H

#include "dataplane/port/packet_pool.h"
#include "dataplane/port/port.h"

#define GEN_BURST        32u
#define GEN_RING_ENTRIES 2048u /* entries of the driver's ring, each way */

struct rte_mbuf;

struct gen_port {
	uint16_t device;
	uint8_t mac[MR_ETHER_BYTES];
	struct mr_packet_pool received;
	struct mr_packet_pool sent;
	uint64_t rx_packets;
	uint64_t tx_packets;
};

/* `vdev`: the value of EAL's --vdev. Pins the thread to the CPU of that index. */
void gen_port_open(struct gen_port *p, const char *vdev, unsigned cpu_index);
/* Must be the program's last call. */
void gen_port_close(struct gen_port *p);
/* Waits for the other end; ends the program if it does not come. */
void gen_port_wait(struct gen_port *p, uint64_t timeout_ms);
/* Waits, at most that long, until the other end has left. Does not send or receive meanwhile:
 * memif's driver unmaps its rings although they are polled. */
void gen_port_linger(struct gen_port *p, uint64_t timeout_ms);

/* Returns a buffer that can be sent repeatedly, or NULL. */
struct rte_mbuf *gen_port_new(struct gen_port *p);
/* Returns the place of the UDP payload in a packet with `headers_bytes` of headers: a multiple of
 * 8. */
uint8_t *gen_port_payload(const struct rte_mbuf *m, uint32_t headers_bytes);
/* Sets the place of the packet in its buffer. */
void gen_port_set(struct rte_mbuf *m, const uint8_t *at, uint32_t bytes);
/* Sends as many as there is room for, and returns how many. The buffers remain the caller's. */
uint32_t gen_port_send(struct gen_port *p, struct rte_mbuf **buffers, uint32_t count);
/* Takes up to GEN_BURST packets. */
uint32_t gen_port_receive(struct gen_port *p, struct rte_mbuf **out);
void gen_port_free(struct rte_mbuf **buffers, uint32_t count);

#endif
