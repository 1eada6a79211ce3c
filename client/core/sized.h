/* SPDX-License-Identifier: Apache-2.0 */
/* sized: structs of the caller, which may be shorter or longer than the library's.
 *
 * Owns      Nothing.
 * Units     Bytes.
 * Errors    -E2BIG: the caller's struct is longer, and not 0 behind the end of the library's (as
 *           from clone3(2) and openat2(2)).
 */
#ifndef MILLRACE_CLIENT_CORE_SIZED_H
#define MILLRACE_CLIENT_CORE_SIZED_H

#include <stddef.h>
#include <stdint.h>

struct mr_client;

/* The longest struct that a caller may pass. */
#define MR_SIZED_BYTES_MAX 4096u

/* Copies a struct of the caller into `own`; fields that it lacks, and all of them if `from` is
 * NULL, become 0. 0 or -E2BIG. */
int mr_sized_read(struct mr_client *c, const char *call, void *own, size_t own_bytes,
	const void *from, size_t from_bytes);
/* Copies `own` to a struct of the caller, as far as it has room; fields unknown here become 0. */
void mr_sized_write(void *to, size_t to_bytes, const void *own, size_t own_bytes);

/* Returns the byte on the wire of a choice of the caller. A value that does not fit becomes 255,
 * which the bus refuses, and not another choice. */
static inline uint8_t mr_sized_choice(unsigned value)
{
	return value < UINT8_MAX ? (uint8_t)value : UINT8_MAX;
}

#endif
