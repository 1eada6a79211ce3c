/* SPDX-License-Identifier: Apache-2.0 */
/* packet_pool: buffers of DPDK in one chunk of memory that needs neither hugepages nor privilege.
 *
 * Without hugepages EAL's heap puts one object in each 4 KiB page, spread over the TLB. One aligned
 * mapping that the kernel may back with 2 MiB pages does better; and drivers that hand all buffers to
 * the kernel at once (AF_XDP) want them in one piece.
 *
 * Owns      The mapping and the pool in it; all buffers are back when it is closed.
 * Threads   open, close: one. The pool itself: any lcore.
 * Errors    -ENOMEM and those of DPDK.
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
};

/* `count` buffers of `data_bytes` each, headroom included; `cache`: how many an lcore keeps. */
int mr_packet_pool_open(struct mr_packet_pool *p, const char *name, uint32_t count,
	uint16_t data_bytes, uint32_t cache);
void mr_packet_pool_close(struct mr_packet_pool *p);

#endif
