/* SPDX-License-Identifier: Apache-2.0 */
/* memif_ring: packets to and from the rings of a memif, whose peer may be hostile.
 *
 * The peer can write to the shared memory at any time. So each value is loaded once and checked;
 * places in the rings are kept in private memory; a packet is copied out before anybody reads it.
 * The client made the memory, and does not read back where its buffers are. A peer that breaks a
 * rule marks the queue as broken: nothing moves any more, until the table writer connects anew.
 *
 * Owns      The writer maps and unmaps the memory, while no worker uses the queue. [port.link]
 * Threads   rx, tx: the queue's worker. The rest: the table writer.
 * Ordering  [memif.packets] release of head (C2S) or tail (S2C) by the sender -> acquire by the
 *           receiver: the slots and buffers are written.
 *           [memif.room] release of tail (C2S) or head (S2C) by the receiver -> acquire by the
 *           sender: the slots and buffers were read.
 * Hot path  No system call, lock or allocation but of buffers.
 */
#ifndef MILLRACE_PORT_MEMIF_RING_H
#define MILLRACE_PORT_MEMIF_RING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "dataplane/port/memif_protocol.h"

struct rte_mbuf;
struct rte_mempool;

#define MR_MEMIF_REGIONS_MAX 16u

struct mr_memif_region {
	uint8_t *at; /* NULL: not mapped */
	uint64_t bytes;
};

struct mr_memif_ring {
	struct mr_memif_shared *shared;
	uint32_t slots;    /* a power of two */
	uint32_t first;    /* client: offset of the first slot's buffer in region 0 */
	uint16_t at;       /* next slot to take a packet from, or to put one into */
	uint16_t free_end; /* receiving client: end of the slots that have an empty buffer */
};

struct mr_memif_queue {
	/* read-only while workers run */
	alignas(64) struct mr_memif_ring rx;
	struct mr_memif_ring tx;
	struct mr_memif_region regions[MR_MEMIF_REGIONS_MAX];
	struct rte_mempool *pool;
	bool client;
	uint32_t buffer_bytes; /* client: of each buffer in region 0 */
	/* worker's */
	uint64_t rx_errors;    /* packets too large for a buffer, or against the rules */
	uint64_t rx_no_buffer; /* packets left waiting because the pool was empty */
	uint64_t asleep;       /* bursts sent to a peer that wants a doorbell */
	_Atomic bool broken;   /* w: worker, r: table writer */
};

/* Receives up to `count` packets, each into one buffer. */
uint16_t mr_memif_rx(struct mr_memif_queue *q, struct rte_mbuf **m, uint16_t count);
/* Asks the peer to ring for packets from now on, or no more. */
void mr_memif_want_bell(struct mr_memif_queue *q, bool wants);
/* Sends packets of one buffer each; returns how many the ring took, which it has freed. */
uint16_t mr_memif_tx(struct mr_memif_queue *q, struct rte_mbuf **m, uint16_t count);

/* Lays out region 0 for a client: rings and buffers, both ways. */
uint64_t mr_memif_layout_bytes(unsigned log2, uint32_t buffer_bytes);
/* Writes the empty rings into region 0, which is mapped and all zero. */
void mr_memif_layout(struct mr_memif_queue *q, unsigned log2, uint32_t buffer_bytes);
/* Gives all buffers of a client's receiving ring to the server. */
void mr_memif_post_all(struct mr_memif_queue *q);
/* Finds a ring in a region of the peer. False: it is not inside, or is no ring. */
bool mr_memif_find_ring(const struct mr_memif_region *region, uint32_t offset, unsigned log2,
	struct mr_memif_ring *out);

#endif
