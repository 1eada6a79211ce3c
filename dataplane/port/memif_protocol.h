/* SPDX-License-Identifier: Apache-2.0 */
/* memif_protocol: the messages and the shared memory of memif, version 2.0, as VPP's libmemif
 * publishes them. A message is one packet of a unix socket of type SOCK_SEQPACKET; descriptors of
 * files come beside it (SCM_RIGHTS). */
#ifndef MILLRACE_PORT_MEMIF_PROTOCOL_H
#define MILLRACE_PORT_MEMIF_PROTOCOL_H

#include <stdalign.h>
#include <stdint.h>

#include "lib/base/compiler.h"

#define MR_MEMIF_VERSION      0x200u
#define MR_MEMIF_COOKIE       0x3e31f20u
#define MR_MEMIF_LOG2_MAX     14u
#define MR_MEMIF_C2S          1u /* flag in add_ring: from the client to the server */
#define MR_MEMIF_NEXT         1u /* flag of a slot: the packet goes on in the next one */
#define MR_MEMIF_POLLS        1u /* flag of a ring: its receiver needs no doorbell */
#define MR_MEMIF_REASON_BYTES 96u

enum mr_memif_kind {
	MR_MEMIF_ACK = 1,
	MR_MEMIF_HELLO,
	MR_MEMIF_INIT,
	MR_MEMIF_ADD_REGION,
	MR_MEMIF_ADD_RING,
	MR_MEMIF_CONNECT,
	MR_MEMIF_CONNECTED,
	MR_MEMIF_DISCONNECT,
};

struct mr_memif_message {
	uint16_t kind; /* enum mr_memif_kind */
	union {
		struct {
			uint8_t name[32];
			uint16_t version_min, version_max;
			uint16_t region_max, s2c_ring_max, c2s_ring_max; /* largest indexes */
			uint8_t log2_max;
		} __attribute__((packed)) hello; /* server to client */
		struct {
			uint16_t version;
			uint32_t id;
			uint8_t mode; /* 0: Ethernet */
			uint8_t secret[24];
			uint8_t name[32];
		} __attribute__((packed)) init; /* this and the next three: client to server */
		struct {
			uint16_t index;
			uint64_t bytes;
		} __attribute__((packed)) add_region;
		struct {
			uint16_t flags, index, region;
			uint32_t offset; /* of the ring in its region */
			uint8_t log2;    /* of its slots */
			uint16_t private_bytes;
		} __attribute__((packed)) add_ring;
		struct {
			uint8_t name[32];
		} __attribute__((packed)) connect; /* and connected */
		struct {
			uint32_t code;
			char reason[MR_MEMIF_REASON_BYTES];
		} __attribute__((packed)) disconnect;
		uint8_t room[126];
	} __attribute__((packed));
} __attribute__((packed));

_Static_assert(sizeof(struct mr_memif_message) == 128, "wire size");

/* A slot of a ring. The client writes region and offset; the length is first the room of the
 * buffer, then that of the packet. */
struct mr_memif_slot {
	uint16_t flags, region;
	uint32_t length, offset, metadata;
};

_Static_assert(sizeof(struct mr_memif_slot) == 16, "shared between processes");

/* From client to server, head is the sender's and tail the receiver's: packets. From server to
 * client, head is the receiver's and tail the sender's: empty buffers, which come back full. */
struct mr_memif_shared {
	alignas(64) uint32_t cookie;
	uint16_t flags;            /* w: receiver */
	uint16_t head;             /* w: client */
	alignas(64) uint16_t tail; /* w: server */
	alignas(64) struct mr_memif_slot slots[];
};

_Static_assert(sizeof(struct mr_memif_shared) == 128, "shared between processes");

static inline uint64_t mr_memif_ring_bytes(unsigned log2)
{
	return sizeof(struct mr_memif_shared) + ((uint64_t)sizeof(struct mr_memif_slot) << log2);
}

#endif
