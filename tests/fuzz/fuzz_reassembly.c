/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_reassembly: fragments as a bus may send them: records of a length, flags and the bytes
 * for the parser. A reassembled message must lie in memory completely, and the number of open
 * ones is bounded. */
#include <stdlib.h>
#include <string.h>

#include "client/subscribe/reassembly.h"

#define WHOLE_BYTES (1u << 16)

/* Replaces core/limits.c. */
size_t mr_message_bytes_max(const struct mr_client *c)
{
	return c->whole_bytes_max;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t sum(const uint8_t *at, size_t bytes)
{
	uint32_t s = 0;

	for (size_t i = 0; i < bytes; i++)
		s += at[i];
	return s;
}

/* Every byte is read; volatile, so that the compiler cannot leave the reads out. */
volatile uint32_t read_all;

static void take(struct mr_client *c, const struct mr_message_view *m)
{
	struct mr_deferred *whole = mr_reassemble(c, m, 0);

	if (whole == NULL)
		return;
	read_all = sum(whole->view.subject, whole->view.subject_bytes) +
		   sum(whole->view.headers, whole->view.header_bytes) +
		   sum(whole->view.payload, whole->view.payload_bytes);
	if (whole->view.header_bytes + whole->view.payload_bytes > WHOLE_BYTES)
		abort();
	free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mr_client *c = calloc(1, sizeof(*c));
	uint64_t record[64];

	if (c == NULL)
		abort();
	c->whole_bytes_max = WHOLE_BYTES;
	for (size_t at = 0; at + 8 <= size;) {
		struct mr_message_view m;
		size_t left = size - at < sizeof(record) ? size - at : sizeof(record);

		memset(record, 0, sizeof(record));
		memcpy(record, data + at, left);
		m.header = mr_message_header_load(record);
		m.header.bytes = (uint16_t)(8 + m.header.bytes % (sizeof(record) - 8));
		m.header.flags |= MRF_MESSAGE_FLAG_FRAGMENT;
		if (mr_message_parse((const uint8_t *)record, m.header, &m))
			take(c, &m);
		at += m.header.bytes;
	}
	mr_reassembly_clear(c);
	free(c->reassemblies);
	free(c);
	return 0;
}
