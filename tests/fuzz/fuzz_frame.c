/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_frame: a packet from Ethernet up, or a frame alone, and the messages in it.
 *
 * The first byte selects the form of the rest: bits 0 and 1 are the device's checksum results, bit
 * 2 says that it is a UDP payload, bits 3 and 4 give its distance from a multiple of 8, divided by
 * 2. Each parsed piece ends where its allocation ends.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/port/answer.h"
#include "lib/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mr_port port = {
	.udp_port = 7400,
	.mac = {2, 0, 0, 0, 0, 1},
	.addresses_count = 2,
	.addresses =
		{
			{{{[10] = 0xff, [11] = 0xff, 10, 77, 0, 1}}, 120},
			{{{0xfd, 0x77, [15] = 1}}, 64},
		},
};

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static volatile uint8_t sink;

static void touch(const uint8_t *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		sink ^= at[i];
}

/* Walks the messages as a worker does. */
static void walk(const uint8_t *at, uint32_t bytes, const struct mrf_frame_header *header)
{
	uint32_t left = bytes - (uint32_t)sizeof(*header);

	at += sizeof(*header);
	for (uint32_t i = 0; i < header->messages && left > 0; i++) {
		struct mrf_message_header h = mr_message_header_load(at);
		struct mr_message_view m;

		if (!mr_message_fits(&h, left))
			return;
		if (mr_message_parse(at, h, &m)) {
			expect(m.payload + m.payload_bytes == at + h.bytes);
			touch(m.subject, m.subject_bytes + m.header_bytes + m.payload_bytes);
		}
		at += mr_message_stride(h.bytes);
		left -= mr_message_stride(h.bytes);
	}
}

static void parse_frame(const uint8_t *at, uint32_t bytes)
{
	struct mr_frame_window window = mr_frame_window_first();
	struct mrf_frame_header header;
	int64_t lost;

	if (mr_frame_parse(at, bytes, &header) != MR_FRAME_OK)
		return;
	expect(bytes % 8 == 0 && bytes >= sizeof(header));
	if (mr_frame_take(&window, header.sequence, &lost) == MR_FRAME_NEXT)
		expect(mr_frame_take(&window, header.sequence, &lost) == MR_FRAME_DUPLICATE);
	walk(at, bytes, &header);
}

static void answer(const struct mr_packet *k, uint8_t *at, uint32_t bytes)
{
	uint32_t answered = mr_answer(&port, k, at, bytes);

	expect(answered <= bytes);
	expect(answered == 0 || memcmp(at + 6, port.mac, sizeof(port.mac)) == 0);
}

static void parse_packet(uint8_t *at, uint32_t bytes, unsigned checked)
{
	struct mr_packet k;

	if (mr_packet_parse(&port, at, bytes, checked, &k) != MR_PACKET_OK)
		return;
	expect(k.bytes <= bytes);
	if (k.kind == MR_PACKET_FRAME) {
		expect(k.payload_offset + k.payload_bytes == k.bytes);
		expect(k.path.peer_udp_port != 0 && k.path.local_udp_port == port.udp_port);
		parse_frame(at + k.payload_offset, k.payload_bytes);
	} else {
		answer(&k, at, bytes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t shift, bytes;
	uint8_t *memory;

	if (size < 1 || size > 65536)
		return 0;
	shift = (data[0] >> 3 & 3) * 2u;
	bytes = (uint32_t)size - 1;
	memory = malloc(shift + bytes);
	expect(memory != NULL);
	memcpy(memory + shift, data + 1, bytes);
	if (data[0] & 4)
		parse_frame(memory + shift, bytes);
	else
		parse_packet(memory + shift, bytes, data[0] & 3u);
	free(memory);
	return 0;
}
