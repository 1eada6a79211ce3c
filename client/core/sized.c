/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/sized.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "client/core/error.h"

static bool is_zero(const uint8_t *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i] != 0)
			return false;
	return true;
}

int mr_sized_read(struct mr_client *c, const char *call, void *own, size_t own_bytes,
	const void *from, size_t from_bytes)
{
	size_t bytes = from_bytes < own_bytes ? from_bytes : own_bytes;

	memset(own, 0, own_bytes);
	if (from == NULL)
		return 0;
	if (from_bytes > MR_SIZED_BYTES_MAX ||
		!is_zero((const uint8_t *)from + bytes, from_bytes - bytes))
		return mr_failf(c, -E2BIG,
			"%s: options that library %s does not know: it is older than the program",
			call, MR_VERSION);
	memcpy(own, from, bytes);
	return 0;
}

void mr_sized_write(void *to, size_t to_bytes, const void *own, size_t own_bytes)
{
	size_t bytes = to_bytes < own_bytes ? to_bytes : own_bytes;

	memcpy(to, own, bytes);
	memset((uint8_t *)to + bytes, 0, to_bytes - bytes);
}
