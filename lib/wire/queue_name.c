/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/wire/queue_name.h"

#include <string.h>

#define MMI       "mmi."
#define MMI_BYTES (sizeof(MMI) - 1)

bool mr_queue_name_is_dead(const void *name, size_t bytes)
{
	const char *text = name;

	return bytes > MR_QUEUE_DEAD_BYTES &&
	       memcmp(text + bytes - MR_QUEUE_DEAD_BYTES, MR_QUEUE_DEAD, MR_QUEUE_DEAD_BYTES) == 0;
}

bool mr_queue_name_is_mmi(const void *name, size_t bytes)
{
	return bytes >= MMI_BYTES && memcmp(name, MMI, MMI_BYTES) == 0;
}

/* Returns the length of the name without ".dead". */
static size_t stem_bytes(const void *name, size_t bytes)
{
	while (mr_queue_name_is_dead(name, bytes))
		bytes -= MR_QUEUE_DEAD_BYTES;
	return bytes;
}

enum mr_subject_fault mr_queue_name_parse(const void *name, size_t bytes)
{
	enum mr_subject_fault fault = mr_subject_parse(name, bytes);

	if (fault == MR_SUBJECT_OK && bytes > MR_QUEUE_NAME_BYTES_MAX &&
		!mr_queue_name_is_dead(name, bytes))
		return MR_SUBJECT_TOO_LONG;
	return fault;
}

const char *mr_queue_tag_fault(const void *tag, size_t bytes)
{
	const uint8_t *byte = tag;

	if (bytes > MR_QUEUE_TAG_BYTES_MAX)
		return "longer than 64 bytes";
	for (size_t i = 0; i < bytes; i++)
		if (byte[i] < ' ' || byte[i] > '~')
			return "has characters that are not printable ASCII";
	return NULL;
}

unsigned mr_queue_home(enum mrf_queue_kind kind, const void *name, size_t bytes, unsigned workers)
{
	const uint8_t *byte = name;
	uint64_t hash = 0xcbf29ce484222325ull ^ (uint64_t)kind; /* FNV-1a */

	bytes = stem_bytes(name, bytes);
	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3ull;
	hash ^= hash >> 32; /* the low bits depend little on the last bytes */
	hash *= 0x9e3779b97f4a7c15ull;
	return (unsigned)((hash >> 32) * workers >> 32);
}
