/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_message: the message parser on any bytes, and a channel drained as a worker drains one whose
 * client writes any positions and bytes into it.
 *
 * Input: three positions of 8 bytes (start of the up ring, its claimed tail, the claimed head of
 * the down ring), then the content of the up ring.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/channel/channel.h"
#include "lib/wire/message.h"

#define RING_BYTES MR_CHANNEL_RING_BYTES_MIN

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define expect(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* Reads every byte of a part, so that the sanitizer sees a byte outside. */
static uint32_t touch(const uint8_t *at, uint32_t bytes)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < bytes; i++)
		sum += at[i];
	return sum;
}

/* Composes the message again from its parts, and expects the same parts of the result. */
static void recompose(const struct mr_message_view *m)
{
	static alignas(8) uint8_t memory[MR_MESSAGE_BYTES_MAX];
	bool token = (m->header.flags & MRF_MESSAGE_FLAG_TOKEN) != 0;
	uint32_t bytes =
		mr_message_bytes(token, m->subject_bytes, m->header_bytes, m->payload_bytes);
	struct mrf_message_header h;
	struct mr_message_view again;
	uint8_t *parts;

	expect(bytes <= sizeof(memory));
	parts = mr_message_begin(memory, (enum mrf_message_kind)m->header.kind, m->header.target,
		token ? &m->token : NULL, m->subject_bytes, m->header_bytes, m->payload_bytes);
	memcpy(parts, m->subject, m->subject_bytes + m->header_bytes + m->payload_bytes);
	h = mr_message_header_load(memory);
	expect(h.bytes == bytes && mr_message_fits(&h, mr_message_stride(bytes)));
	expect(mr_message_parse(memory, h, &again));
	expect(again.header.kind == m->header.kind && again.header.target == m->header.target);
	expect(memcmp(&again.token, &m->token, sizeof(m->token)) == 0);
	expect(again.subject_bytes == m->subject_bytes);
	expect(again.header_bytes == m->header_bytes && again.payload_bytes == m->payload_bytes);
	expect(memcmp(again.payload, m->payload, m->payload_bytes) == 0);
}

static bool parse(const uint8_t *at, struct mrf_message_header h, struct mr_message_view *m)
{
	const uint8_t *end = at + h.bytes;

	if (!mr_message_parse(at, h, m))
		return false;
	expect(m->subject >= at + sizeof(h) && m->headers == m->subject + m->subject_bytes);
	expect(m->payload == m->headers + m->header_bytes && m->payload + m->payload_bytes == end);
	expect(m->subject_bytes <= MR_SUBJECT_BYTES_MAX);
	expect(m->header_bytes + m->payload_bytes <= MR_BODY_BYTES_MAX);
	return true;
}

/* Walks the messages of a block of memory that ends where the input ends. */
static void walk(const uint8_t *data, size_t size)
{
	size_t left = size & ~(size_t)7;
	uint8_t *block = aligned_alloc(8, left + 8);
	const uint8_t *at = block + 8; /* ends with the allocation */

	expect(block != NULL);
	memcpy(block + 8, data, left);
	while (left > 0) {
		struct mrf_message_header h = mr_message_header_load(at);
		struct mr_message_view m;

		if (!mr_message_fits(&h, left))
			break;
		if (parse(at, h, &m)) {
			touch(m.subject, m.subject_bytes + m.header_bytes + m.payload_bytes);
			recompose(&m);
		}
		at += mr_message_stride(h.bytes);
		left -= mr_message_stride(h.bytes);
	}
	free(block);
}

/* Delivers a message as a worker does, if the ring, whose reader lies, has room. */
static void deliver(struct mr_bytes_producer *down, const struct mr_message_view *m)
{
	uint32_t bytes =
		mr_message_bytes(true, m->subject_bytes, m->header_bytes, m->payload_bytes);
	uint8_t *to = mr_bytes_claim(down, bytes);

	if (to == NULL)
		return;
	to = mr_message_begin(to, MRF_MESSAGE_KIND_DELIVER, 1, &m->token, m->subject_bytes,
		m->header_bytes, m->payload_bytes);
	memcpy(to, m->subject, m->subject_bytes + m->header_bytes + m->payload_bytes);
	mr_bytes_push(down, bytes);
	expect(mr_bytes_backlog(down) <= RING_BYTES);
	(void)mr_bytes_publish(down);
}

static void drain(struct mr_bytes_consumer *up, struct mr_bytes_producer *down)
{
	size_t ready = mr_bytes_readable(up);

	if (ready == MR_BYTES_CORRUPT)
		return;
	expect(ready <= RING_BYTES && ready % MR_BYTES_ALIGN == 0);
	while (ready > 0) {
		const uint8_t *at = mr_bytes_peek(up);
		struct mrf_message_header h = mr_message_header_load(at);
		struct mr_message_view m;

		if (!mr_message_fits(&h, ready))
			/* A worker gives the session up. */
			return;
		if (parse(at, h, &m))
			deliver(down, &m);
		mr_bytes_skip(up, h.bytes);
		ready -= mr_message_stride(h.bytes);
	}
	(void)mr_bytes_release(up);
	expect(mr_bytes_empty(up));
}

static void fill_ring(struct mr_channel *ch, uint64_t start, const uint8_t *data, size_t size)
{
	uint8_t *to = (uint8_t *)ch->up_map + (start & (RING_BYTES - 1));

	memcpy(to, data, size < RING_BYTES ? size : RING_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mr_channel ch;
	struct mr_bytes_consumer up;
	struct mr_bytes_producer down;
	uint64_t positions[3];

	if (size < sizeof(positions))
		return 0;
	if (ch.up_map == NULL)
		expect(mr_channel_new(&ch, "fuzz", RING_BYTES, RING_BYTES) == 0);
	memcpy(positions, data, sizeof(positions));
	data += sizeof(positions);
	size -= sizeof(positions);
	walk(data, size);

	positions[0] &= ~(uint64_t)7;
	atomic_store(&ch.up_shared->head, positions[0]);
	atomic_store(&ch.down_shared->head, positions[0]);
	atomic_store(&ch.down_shared->tail, positions[0]);
	fill_ring(&ch, positions[0], data, size);
	mr_channel_worker_side(&ch, &up, &down);
	atomic_store(&ch.up_shared->tail, positions[0] + positions[1]);
	atomic_store(&ch.down_shared->head, positions[0] + positions[2]);
	drain(&up, &down);
	return 0;
}
