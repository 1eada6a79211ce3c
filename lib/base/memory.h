/* SPDX-License-Identifier: Apache-2.0 */
/* memory: large private mappings, backed by 2 MiB pages where the kernel has some to give.
 *
 * Reserved as a whole, taken as it is touched: a table may have its final address and size from the
 * start and still cost no more than what is in it. Needs no privilege and no hugetlbfs.
 *
 * Owns      The caller unmaps what it mapped, with the same size.
 * Units     Bytes.
 */
#ifndef MILLRACE_BASE_MEMORY_H
#define MILLRACE_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define MR_MEMORY_HUGE_BYTES (2ul << 20)

/* Zeroed, and aligned to 2 MiB. `huge`: asks for 2 MiB pages, each of them taken whole when its first
 * byte is touched. NULL: no memory. */
void *mr_memory_map(size_t bytes, bool huge);
/* NULL is ignored. */
void mr_memory_unmap(void *map, size_t bytes);

#endif
