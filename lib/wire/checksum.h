/* SPDX-License-Identifier: Apache-2.0 */
/* checksum: the Internet checksum (RFC 1071), summed 32 bits at a time, which compilers vectorize.
 *
 * Words are summed in memory byte order, so no bytes are swapped, and stay unfolded. Parts may be
 * summed separately; each but the last must have an even length.
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

/* Folds to 16 bits in memory byte order, not complemented. Over data with a correct checksum:
 * 0xffff. */
static inline uint16_t mr_checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Returns the checksum that goes into the packet. */
static inline uint16_t mr_checksum_finish(uint64_t sum)
{
	return (uint16_t)~mr_checksum_fold(sum);
}

#endif
