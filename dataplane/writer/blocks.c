/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/writer/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#define HUGE_PAGE_BYTES    (2ul << 20)
#define OBJECT_SLACK_BYTES 1024 /* mempool's and mbuf's own headers, padding */

/* What a worker keeps, filled or in stock, and as much again for it to get and for others to read. */
#define BLOCKS_PER_WORKER (2 * (MR_MESH_STASH + 1))

_Static_assert(MR_BLOCK_BYTES + RTE_PKTMBUF_HEADROOM <= UINT16_MAX, "an mbuf counts in 16 bits");

/* Without hugepages EAL's heap puts one object in each 4 KiB page, spread over the TLB. One aligned
 * mapping that the kernel may back with 2 MiB pages does better, and needs no privilege. */
static int map_blocks(struct mr_writer *wr, size_t bytes)
{
	size_t with_slack = mr_align_up(bytes, HUGE_PAGE_BYTES) + HUGE_PAGE_BYTES;
	void *map =
		mmap(NULL, with_slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return -errno;
	(void)madvise(map, with_slack, MADV_HUGEPAGE);
	wr->blocks_map = map;
	wr->blocks_map_bytes = with_slack;
	return 0;
}

static int populate(struct mr_writer *wr, uint32_t count, size_t bytes)
{
	struct rte_pktmbuf_pool_private private = {
		.mbuf_data_room_size = MR_BLOCK_BYTES + RTE_PKTMBUF_HEADROOM,
	};
	char *start = (char *)mr_align_up((uintptr_t)wr->blocks_map, HUGE_PAGE_BYTES);
	int n;

	rte_pktmbuf_pool_init(wr->blocks, &private);
	n = rte_mempool_populate_iova(wr->blocks, start, RTE_BAD_IOVA, bytes, NULL, NULL);
	if (n < 0)
		return n;
	if ((uint32_t)n < count)
		return -ENOMEM;
	rte_mempool_obj_iter(wr->blocks, rte_pktmbuf_init, NULL);
	return 0;
}

/* Fewer than this and workers could stand still for ever, waiting for what others keep in stock. */
static uint32_t blocks_count(const struct mr_writer *wr)
{
	uint32_t least = wr->workers_count * BLOCKS_PER_WORKER;

	return wr->config->mesh.blocks > least ? wr->config->mesh.blocks : least;
}

int mr_writer_blocks_open(struct mr_writer *wr)
{
	uint32_t count = blocks_count(wr);
	uint32_t object_bytes = sizeof(struct rte_mbuf) + MR_BLOCK_BYTES + RTE_PKTMBUF_HEADROOM;
	size_t bytes = (size_t)count * (object_bytes + OBJECT_SLACK_BYTES);
	int error;

	if (wr->workers_count == 1)
		return 0; /* there is nobody to send a block to */
	error = map_blocks(wr, bytes);
	if (error != 0)
		return error;
	/* No caches: a worker needs a few blocks for each megabyte, and those that it gives back belong
	 * to others, who would never see them again in a cache of its own. */
	wr->blocks = rte_mempool_create_empty("millrace-mesh", count, object_bytes, 0,
		sizeof(struct rte_pktmbuf_pool_private), SOCKET_ID_ANY,
		RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	if (wr->blocks == NULL)
		return -rte_errno;
	return populate(wr, count, mr_align_up(bytes, HUGE_PAGE_BYTES));
}

void mr_writer_blocks_close(struct mr_writer *wr)
{
	rte_mempool_free(wr->blocks);
	wr->blocks = NULL;
	if (wr->blocks_map != NULL)
		munmap(wr->blocks_map, wr->blocks_map_bytes);
	wr->blocks_map = NULL;
}
