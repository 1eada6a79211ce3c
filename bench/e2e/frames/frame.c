/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/e2e/frames/frame.h"

#include <assert.h>

#include <rte_byteorder.h>

#include "lib/wire/checksum.h"

#define ETHER_BYTES  14u
#define UDP_BYTES    8u
#define IP4_HEADERS  42u
#define UDP_SOURCE   0u /* offsets in the UDP header */
#define UDP_LENGTH   4u
#define UDP_CHECKSUM 6u
#define IP4_LENGTH   2u
#define IP4_CHECKSUM 10u
#define IP6_LENGTH   4u
#define NO_CHECKSUM  0xffffu /* stands for a sum of 0, as 0 means no checksum (RFC 768) */

static uint16_t get_raw16(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static void put_raw16(uint8_t *at, uint16_t raw)
{
	memcpy(at, &raw, sizeof(raw));
}

void gen_headers_make(struct gen_headers *h, const struct mrf_network_path *path,
	const uint8_t mac[MR_ETHER_BYTES])
{
	struct mrf_network_path from_no_port = *path;

	from_no_port.local_udp_port = 0;
	h->count = mr_headers_write(h->bytes, &from_no_port, mac);
}

uint64_t gen_datagram_close(uint8_t *payload, uint32_t bytes, const struct gen_headers *h)
{
	uint8_t *at = payload - h->count, *ip = at + ETHER_BYTES, *udp = payload - UDP_BYTES;
	uint16_t udp_length = rte_cpu_to_be_16((uint16_t)(UDP_BYTES + bytes));
	uint16_t ip4_length = rte_cpu_to_be_16((uint16_t)(h->count - ETHER_BYTES + bytes));

	memcpy(at, h->bytes, h->count);
	if (h->count == IP4_HEADERS) {
		put_raw16(ip + IP4_LENGTH, ip4_length);
		put_raw16(ip + IP4_CHECKSUM,
			mr_checksum_finish((uint64_t)get_raw16(ip + IP4_CHECKSUM) + ip4_length));
	} else {
		put_raw16(ip + IP6_LENGTH, udp_length);
	}
	put_raw16(udp + UDP_LENGTH, udp_length);
	/* Counts the length twice: it stands in the UDP header and in the pseudo-header. */
	return (uint64_t)get_raw16(udp + UDP_CHECKSUM) + 2u * (uint64_t)udp_length +
	       mr_checksum_sum(payload, bytes);
}

void gen_datagram_stamp(uint8_t *payload, uint16_t udp_port, uint64_t sum)
{
	uint8_t *udp = payload - UDP_BYTES;
	uint16_t port = rte_cpu_to_be_16(udp_port), checksum = mr_checksum_finish(sum + port);

	put_raw16(udp + UDP_SOURCE, port);
	put_raw16(udp + UDP_CHECKSUM, checksum != 0 ? checksum : NO_CHECKSUM);
}

void gen_frame_open(struct gen_frame *f, uint8_t *payload, uint32_t capacity)
{
	assert((uintptr_t)payload % MR_MESSAGE_ALIGN == 0);
	*f = (struct gen_frame){
		.payload = payload,
		.capacity = capacity,
		.bytes = (uint32_t)sizeof(struct mrf_frame_header),
	};
}

bool gen_frame_add(struct gen_frame *f, const struct mr_message_plan *plan, uint32_t target)
{
	if (plan->stride > f->capacity - f->bytes)
		return false;
	mr_message_write(f->payload + f->bytes, plan, target);
	f->bytes += plan->stride;
	f->messages++;
	return true;
}

void gen_frame_pad(struct gen_frame *f)
{
	uint32_t bytes = (f->capacity - f->bytes) & ~(MR_MESSAGE_ALIGN - 1);
	const struct mrf_message_header h = {
		.bytes = (uint16_t)bytes,
		.kind = MRF_MESSAGE_KIND_PADDING,
	};

	if (bytes == 0)
		return;
	memset(f->payload + f->bytes, 0, bytes);
	memcpy(f->payload + f->bytes, &h, sizeof(h));
	f->bytes += bytes;
	f->messages++;
}

uint32_t gen_frame_close(struct gen_frame *f, const struct gen_headers *h)
{
	mr_frame_write(f->payload, 0, 0, (uint16_t)f->messages);
	f->sum = gen_datagram_close(f->payload, f->bytes, h);
	return h->count + f->bytes;
}

void gen_frame_aim(struct gen_frame *f, uint32_t target, const struct gen_headers *h)
{
	uint32_t stride = (f->bytes - (uint32_t)sizeof(struct mrf_frame_header)) / f->messages;
	uint8_t *at = f->payload + sizeof(struct mrf_frame_header);

	for (uint32_t n = 0; n < f->messages; n++, at += stride)
		memcpy(at + offsetof(struct mrf_message_header, target), &target, sizeof(target));
	f->target = target;
	(void)gen_frame_close(f, h);
}

void gen_frame_stamp(struct gen_frame *f, uint16_t udp_port, const struct mrf_frame_header *as)
{
	/* All of them are words at even offsets of the payload. The flags are the second half of
	 * such a word. */
	uint64_t sum = f->sum + as->sequence + (uint32_t)as->session + (as->session >> 32) +
		       as->ack + as->credit + ((uint32_t)as->flags << 8);
	struct mrf_frame_header h = *as;

	h.version = MR_FRAME_VERSION;
	h.messages = (uint16_t)f->messages;
	memcpy(f->payload, &h, sizeof(h));
	gen_datagram_stamp(f->payload, udp_port, sum);
}
