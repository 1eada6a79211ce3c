/* SPDX-License-Identifier: Apache-2.0 */
/* checksum: the Internet's (RFC 1071), summed 32 bits at a time, which compilers turn into vectors.
 *
 * Sums are of words as they stand in memory, so that no bytes need to be swapped, and are added up
 * unfolded: parts may be summed apart, each of an even length but the last.
 *
 * Threads   Pure functions.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WIRE_CHECKSUM_H
#define MILLRACE_WIRE_CHECKSUM_H

#include <string.h>

#include "lib/base/compiler.h"

static inline uint64_t mr_checksum_sum(const void *from, uint32_t bytes)
{
	const uint8_t *at = from;
	uint64_t sum = 0;
	uint32_t word, i;

	for (i = 0; i < bytes / 4; i++) {
		memcpy(&word, at + (size_t)i * 4, sizeof(word));
		sum += word;
	}
	if (bytes % 4 != 0) {
		word = 0;
		memcpy(&word, at + (size_t)i * 4, bytes % 4);
		sum += word;
	}
	return sum;
}

/* 16 bits, as they stand in memory, not complemented. Over what carries a good checksum: 0xffff. */
static inline uint16_t mr_checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* What goes into the packet. */
static inline uint16_t mr_checksum_finish(uint64_t sum)
{
	return (uint16_t)~mr_checksum_fold(sum);
}

#endif
