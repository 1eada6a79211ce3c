/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/packet_pool.h"

#include <errno.h>
#include <sys/mman.h>

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "lib/base/compiler.h"
#include "dataplane/port/pages.h"

#define HUGE_PAGE_BYTES MR_HUGE_PAGE_BYTES
/* Where the mapping goes if there is room. Some IOMMUs translate 39 bits of address only. */
#define LOW_ADDRESS        ((void *)(64ul << 30))
#define OBJECT_SLACK_BYTES 1024 /* headers of mempool and mbuf, padding */

static int map_memory(struct mr_packet_pool *p, size_t bytes, int node)
{
	size_t with_slack = bytes + HUGE_PAGE_BYTES;
	void *map;

	p->page_kib = HUGE_PAGE_BYTES / 1024;
	p->map_bytes = bytes;
	if (mr_pages_map_huge(LOW_ADDRESS, bytes, node, &p->map) == 0)
		return 0;
	map = mmap(LOW_ADDRESS, with_slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		0);
	if (map == MAP_FAILED)
		return -errno;
	mr_pages_prefer(map, with_slack, node);
	(void)madvise(map, with_slack, MADV_HUGEPAGE);
	if (!mr_pages_transparent())
		p->page_kib = 4;
	p->map = map;
	p->map_bytes = with_slack;
	return 0;
}

static int populate(struct mr_packet_pool *p, uint32_t count, uint16_t data_bytes, size_t bytes)
{
	struct rte_pktmbuf_pool_private private = {.mbuf_data_room_size = data_bytes};
	char *start = (char *)mr_align_up((uintptr_t)p->map, HUGE_PAGE_BYTES);
	int n;

	rte_pktmbuf_pool_init(p->buffers, &private);
	/* A PCI card reaches the buffers at their virtual addresses. */
	n = rte_mempool_populate_iova(
		p->buffers, start, (rte_iova_t)(uintptr_t)start, bytes, NULL, NULL);
	if (n < 0)
		return n;
	if ((uint32_t)n < count)
		return -ENOMEM;
	rte_mempool_obj_iter(p->buffers, rte_pktmbuf_init, NULL);
	return 0;
}

int mr_packet_pool_open(struct mr_packet_pool *p, const char *name, uint32_t count,
	uint16_t data_bytes, uint32_t cache, int node)
{
	uint32_t object_bytes = (uint32_t)sizeof(struct rte_mbuf) + data_bytes;
	size_t bytes =
		mr_align_up((size_t)count * (object_bytes + OBJECT_SLACK_BYTES), HUGE_PAGE_BYTES);
	int error = map_memory(p, bytes, node);

	if (error != 0)
		return error;
	p->buffers = rte_mempool_create_empty(name, count, object_bytes, cache,
		sizeof(struct rte_pktmbuf_pool_private), SOCKET_ID_ANY,
		RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	error = p->buffers == NULL ? -rte_errno : populate(p, count, data_bytes, bytes);
	if (error != 0)
		mr_packet_pool_close(p);
	return error;
}

void mr_packet_pool_close(struct mr_packet_pool *p)
{
	rte_mempool_free(p->buffers);
	p->buffers = NULL;
	if (p->map != NULL)
		munmap(p->map, p->map_bytes);
	p->map = NULL;
}
