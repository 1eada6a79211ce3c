/* SPDX-License-Identifier: Apache-2.0 */
/* pages: hugepages and NUMA nodes for mappings.
 *
 * Errors    0 or -errno.
 */
#ifndef MILLRACE_PORT_PAGES_H
#define MILLRACE_PORT_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#define MR_HUGE_PAGE_BYTES (2ul << 20)

/* Maps free hugepages, whose memory is there when it returns. `wanted`: address, if it is
 * free. `bytes`: a multiple of
 * MR_HUGE_PAGE_BYTES. `node`: as below. -ENOMEM: there are not enough. */
int mr_pages_map_huge(void *wanted, size_t bytes, int node, void **out);
/* Asks for memory of a NUMA node, before the mapping is used; another node's is taken where that
 * one has none. -1: of any. */
void mr_pages_prefer(void *map, size_t bytes, int node);
/* True if the kernel backs memory with transparent hugepages where that is advised. */
bool mr_pages_transparent(void);

#endif
