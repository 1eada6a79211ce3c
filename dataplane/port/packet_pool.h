/* SPDX-License-Identifier: Apache-2.0 */
/* packet_pool: a pool of DPDK buffers (mbufs) in one mapping that needs neither hugepages nor
 * privilege.
 *
 * Without hugepages EAL's heap puts one object in each 4 KiB page, which costs many TLB entries.
 * The kernel may back one aligned mapping with 2 MiB pages. Drivers that register all buffers with
 * the kernel at once (AF_XDP) need them in one piece.
 *
 * Owns      The mapping and the pool in it. The pool is closed only after all buffers have come
 *           back.
 * Threads   open, close: one thread. The pool itself: any lcore.
 * Errors    -ENOMEM, or DPDK's error.
 */
#ifndef MILLRACE_PORT_PACKET_POOL_H
#define MILLRACE_PORT_PACKET_POOL_H

#include <stddef.h>
#include <stdint.h>

struct rte_mempool;

struct mr_packet_pool {
	struct rte_mempool *buffers; /* NULL: not open */
	void *map;
	size_t map_bytes;
	uint32_t page_kib; /* 2,048 with hugepages or transparent ones, else 4 */
};

/* Makes `count` buffers of `data_bytes` each, headroom included. `cache`: buffers that an lcore
 * keeps. `node`: NUMA node of the memory, if that has enough; -1: any. Takes free hugepages if
 * there are enough of them, else transparent ones. */
int mr_packet_pool_open(struct mr_packet_pool *p, const char *name, uint32_t count,
	uint16_t data_bytes, uint32_t cache, int node);
void mr_packet_pool_close(struct mr_packet_pool *p);

#endif
