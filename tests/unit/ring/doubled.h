/* SPDX-License-Identifier: Apache-2.0 */
/* doubled: memory mapped twice in a row, as a byte ring needs it, of any number of pages.
 *
 * Owns      The caller unmaps with doubled_unmap().
 * Errors    NULL.
 */
#ifndef MILLRACE_TESTS_UNIT_RING_DOUBLED_H
#define MILLRACE_TESTS_UNIT_RING_DOUBLED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static inline uint8_t *doubled_map(size_t bytes)
{
	int fd = memfd_create("doubled", MFD_CLOEXEC);
	uint8_t *base = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
		base = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base != MAP_FAILED && mmap(base + bytes, bytes, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		base = MAP_FAILED;
	close(fd);
	return base == MAP_FAILED ? NULL : base;
}

static inline void doubled_unmap(uint8_t *base, size_t bytes)
{
	munmap(base, 2 * bytes);
}

#endif
