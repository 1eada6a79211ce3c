/* SPDX-License-Identifier: Apache-2.0 */
/* frame: makes whole packets, from Ethernet up, and makes them again for another session at the price of
 * a few words: what does not change is summed once.
 *
 * A packet is made in memory of the caller's: the UDP payload from a multiple of 8 on, the headers in
 * front of it.
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

/* Ethernet, IP and UDP from one end to the other, without the source port. */
struct gen_headers {
	uint8_t bytes[MR_REMOTE_HEADERS_MAX];
	uint8_t count;
};

/* `path`: its local end sends. */
void gen_headers_make(struct gen_headers *h, const struct mrf_network_path *path,
	const uint8_t mac[MR_ETHER_BYTES]);

/* Writes the headers in front of a payload of `bytes`; what is missing is put there by stamp. Returns
 * the sum that stamp wants. */
uint64_t gen_datagram_close(uint8_t *payload, uint32_t bytes, const struct gen_headers *h);
/* Writes source port and checksum. `sum`: of close, and of the words written into the payload since,
 * that were 0 then. */
void gen_datagram_stamp(uint8_t *payload, uint16_t udp_port, uint64_t sum);

/* A frame being filled. */
struct gen_frame {
	uint8_t *payload;  /* 8-aligned */
	uint32_t capacity; /* of the payload */
	uint32_t bytes;    /* of it so far */
	uint32_t messages;
	uint32_t target; /* of its messages, if they have been aimed */
	uint64_t sum;    /* from close on */
};

void gen_frame_open(struct gen_frame *f, uint8_t *payload, uint32_t capacity);
/* False: there is no room. */
bool gen_frame_add(struct gen_frame *f, const struct mr_message_plan *plan, uint32_t target);
/* Fills the frame up to its capacity with padding. */
void gen_frame_pad(struct gen_frame *f);
/* The frame is complete, but for whose it is. Returns the packet's bytes. */
uint32_t gen_frame_close(struct gen_frame *f, const struct gen_headers *h);
/* Gives its messages, which are all of one length, another target: the frame is closed anew. */
void gen_frame_aim(struct gen_frame *f, uint32_t target, const struct gen_headers *h);
/* Says whose frame it is, any number of times. `as`: all of its header but version and messages. */
void gen_frame_stamp(struct gen_frame *f, uint16_t udp_port, const struct mrf_frame_header *as);

#endif
