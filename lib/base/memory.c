/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/memory.h"

#include <stdint.h>
#include <sys/mman.h>

#include "lib/base/compiler.h"

static size_t whole(size_t bytes)
{
	return mr_align_up(bytes > 0 ? bytes : 1, MR_MEMORY_HUGE_BYTES);
}

/* The kernel aligns only to 4 KiB, so this maps more and unmaps the excess at both ends. */
void *mr_memory_map(size_t bytes, bool huge)
{
	size_t with_slack = whole(bytes) + MR_MEMORY_HUGE_BYTES;
	char *map = mmap(NULL, with_slack, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *start, *end;

	if (map == MAP_FAILED)
		return NULL;
	start = (char *)mr_align_up((uintptr_t)map, MR_MEMORY_HUGE_BYTES);
	end = start + whole(bytes);
	if (start > map)
		munmap(map, (size_t)(start - map));
	if (end < map + with_slack)
		munmap(end, (size_t)(map + with_slack - end));
	/* Huge pages are an optimization: their absence is no error. */
	if (huge)
		(void)madvise(start, whole(bytes), MADV_HUGEPAGE);
	return start;
}

void mr_memory_unmap(void *map, size_t bytes)
{
	if (map != NULL)
		munmap(map, whole(bytes));
}
