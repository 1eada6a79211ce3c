/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the pool of the mesh's blocks. */
#include "dataplane/writer/writer.h"

#include <rte_mbuf.h>

/* Blocks that a worker keeps, filled or in stock, and as many again for it to get and for others to
 * read. */
#define BLOCKS_PER_WORKER (2 * (MR_MESH_STASH + 1))

_Static_assert(MR_BLOCK_BYTES + RTE_PKTMBUF_HEADROOM <= UINT16_MAX, "an mbuf counts in 16 bits");

/* With fewer blocks workers could deadlock: each would wait for a block that another keeps in
 * stock. */
static uint32_t blocks_count(const struct mr_writer *wr)
{
	uint32_t least = wr->workers_count * BLOCKS_PER_WORKER;

	return wr->config->mesh.blocks > least ? wr->config->mesh.blocks : least;
}

int mr_writer_blocks_open(struct mr_writer *wr)
{
	if (wr->workers_count == 1)
		return 0; /* there is no other worker */
	/* No caches: a worker needs only a few blocks for each megabyte. It frees blocks of other
	 * workers; in its cache they would be lost to them. */
	return mr_packet_pool_open(&wr->blocks, "millrace-mesh", blocks_count(wr),
		MR_BLOCK_BYTES + RTE_PKTMBUF_HEADROOM, 0,
		wr->ports_count > 0 ? mr_port_node(&wr->ports[0]) : -1);
}

void mr_writer_blocks_close(struct mr_writer *wr)
{
	mr_packet_pool_close(&wr->blocks);
}
