/* SPDX-License-Identifier: Apache-2.0 */
/* frame: builds whole packets, from Ethernet up, and readdresses them to another session for the
 * price of a few words: the unchanged part is summed once.
 *
 * The caller provides the memory: the UDP payload starts at a multiple of 8, the headers stand
 * before it.
 *
 * Owns      Nothing.
 * Threads   Pure functions over bytes.
 * Hot path  stamp.
 */
#ifndef MILLRACE_BENCH_E2E_FRAMES_FRAME_H
#define MILLRACE_BENCH_E2E_FRAMES_FRAME_H

#include "dataplane/port/packet.h"
#include "dataplane/session/remote.h"
#include "lib/wire/frame.h"

/* Ethernet, IP and UDP headers from one end to the other, without the source port. */
struct gen_headers {
	uint8_t bytes[MR_REMOTE_HEADERS_MAX];
	uint8_t count;
};

/* Makes the headers of packets that the path's local end sends. */
void gen_headers_make(struct gen_headers *h, const struct mrf_network_path *path,
	const uint8_t mac[MR_ETHER_BYTES]);

/* Writes the headers before a payload of `bytes`; stamp adds the missing fields. Returns the sum
 * that stamp needs. */
uint64_t gen_datagram_close(uint8_t *payload, uint32_t bytes, const struct gen_headers *h);
/* Writes source port and checksum. `sum`: the result of close, plus the payload words written
 * since, which were 0 then. */
void gen_datagram_stamp(uint8_t *payload, uint16_t udp_port, uint64_t sum);

/* A frame being filled. */
struct gen_frame {
	uint8_t *payload;  /* 8-aligned */
	uint32_t capacity; /* capacity of the payload */
	uint32_t bytes;    /* used so far */
	uint32_t messages;
	uint32_t target; /* target of its messages, if they have been aimed */
	uint64_t sum;    /* set by close */
};

void gen_frame_open(struct gen_frame *f, uint8_t *payload, uint32_t capacity);
/* Adds a message. False: there is no room. */
bool gen_frame_add(struct gen_frame *f, const struct mr_message_plan *plan, uint32_t target);
/* Fills the frame up to its capacity with padding. */
void gen_frame_pad(struct gen_frame *f);
/* Completes the frame but for its session. Returns the packet's bytes. */
uint32_t gen_frame_close(struct gen_frame *f, const struct gen_headers *h);
/* Gives its messages, which have one length, another target, and closes the frame anew. */
void gen_frame_aim(struct gen_frame *f, uint32_t target, const struct gen_headers *h);
/* Writes the session of the frame; may be repeated. `as`: its header but version and messages. */
void gen_frame_stamp(struct gen_frame *f, uint16_t udp_port, const struct mrf_frame_header *as);

#endif
