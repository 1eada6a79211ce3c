/* SPDX-License-Identifier: Apache-2.0 */
/* memory: large private mappings, backed by 2 MiB pages where the kernel has free ones.
 *
 * A mapping reserves its addresses as a whole, and takes pages as they are touched. A table can
 * thus have its final address and size from the start and cost only the part in use. Needs no
 * privilege and no hugetlbfs.
 *
 * Owns      The caller unmaps a mapping with the size that it asked for.
 * Units     Bytes.
 */
#ifndef MILLRACE_BASE_MEMORY_H
#define MILLRACE_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define MR_MEMORY_HUGE_BYTES (2ul << 20)

/* Returns zeroed memory, aligned to 2 MiB. `huge` asks for 2 MiB pages, each taken whole when its
 * first byte is touched. NULL: no memory. */
void *mr_memory_map(size_t bytes, bool huge);
/* Ignores NULL. */
void mr_memory_unmap(void *map, size_t bytes);

#endif
