/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/pages.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODES_MAX 64

void mr_pages_prefer(void *map, size_t bytes, int node)
{
	unsigned long mask;

	if (node < 0 || node >= NODES_MAX)
		return;
	mask = 1ul << node;
	(void)syscall(SYS_mbind, map, bytes, MPOL_PREFERRED, &mask, NODES_MAX + 1, 0);
}

int mr_pages_map_huge(void *wanted, size_t bytes, int node, void **out)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB;
	void *map = mmap(wanted, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (map == MAP_FAILED)
		return -errno;
	mr_pages_prefer(map, bytes, node);
	/* Makes the pages now: a limit of the control group would otherwise show as SIGBUS at the
	 * first access. */
	if (madvise(map, bytes, MADV_POPULATE_WRITE) < 0) {
		munmap(map, bytes);
		return -ENOMEM;
	}
	*out = map;
	return 0;
}

bool mr_pages_transparent(void)
{
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	char line[64];
	bool has = f != NULL && fgets(line, sizeof(line), f) != NULL &&
		   strstr(line, "[never]") == NULL;

	if (f != NULL)
		fclose(f);
	return has;
}
