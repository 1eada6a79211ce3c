/* SPDX-License-Identifier: Apache-2.0 */
/* frame: the UDP datagram: a header of 24 bytes, then messages, each at a multiple of 8.
 *
 * The last message is padded too. So a frame's length is a multiple of 8, and its messages fill it
 * to the end. Frames without messages are heartbeats.
 *
 * Threads   Pure functions.
 * Units     Bytes of the UDP payload.
 * Errors    A fault by name, one for each counter.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WIRE_FRAME_H
#define MILLRACE_WIRE_FRAME_H

#include <stdbool.h>
#include <string.h>

#include "lib/wire/message.h"

#define MR_FRAME_VERSION 1u
#define MR_FRAME_FLAGS   (MRF_FRAME_FLAG_RELIABLE | MRF_FRAME_FLAG_ACK) /* known to this version */
/* Every peer accepts frames of this size; a Hello is never smaller. Fits the least IPv6 MTU of
 * 1,280. */
#define MR_FRAME_BYTES_MIN 1200u
/* Largest UDP payload over IPv4, rounded down to whole messages. */
#define MR_FRAME_BYTES_MAX 65504u
#define MR_FRAME_ROOM(frame_bytes)                                                                 \
	(((frame_bytes) - (uint32_t)sizeof(struct mrf_frame_header)) & ~(uint32_t)7)

_Static_assert(sizeof(struct mrf_frame_header) == 24, "on the wire");
_Static_assert(sizeof(struct mrf_hello_head) == 24, "on the wire");
_Static_assert(sizeof(struct mrf_hello_retry) == 16, "on the wire");
_Static_assert(sizeof(struct mrf_path_proof) == 16, "on the wire");
_Static_assert(sizeof(struct mrf_network_path) == 48, "shared between processes");

enum mr_frame_fault {
	MR_FRAME_OK,
	MR_FRAME_TRUNCATED, /* shorter than its header */
	MR_FRAME_VERSION_UNKNOWN,
	MR_FRAME_FLAGS_UNKNOWN,
	MR_FRAME_LENGTH, /* not a multiple of 8, or the message count contradicts the length */
};

/* Checks the header, without a walk over the messages. `bytes`: length of the UDP payload. */
static inline enum mr_frame_fault mr_frame_parse(
	const void *at, size_t bytes, struct mrf_frame_header *out)
{
	if (mr_unlikely(bytes < sizeof(*out)))
		return MR_FRAME_TRUNCATED;
	memcpy(out, at, sizeof(*out));
	if (mr_unlikely(out->version != MR_FRAME_VERSION))
		return MR_FRAME_VERSION_UNKNOWN;
	if (mr_unlikely((out->flags & ~MR_FRAME_FLAGS) != 0))
		return MR_FRAME_FLAGS_UNKNOWN;
	/* Sequence 0 marks a frame outside both flows, so it cannot be reliable. */
	if (mr_unlikely((out->flags & MRF_FRAME_FLAG_RELIABLE) != 0 && out->sequence == 0))
		return MR_FRAME_FLAGS_UNKNOWN;
	if (mr_unlikely(bytes % 8 != 0 || (bytes == sizeof(*out)) != (out->messages == 0)))
		return MR_FRAME_LENGTH;
	return MR_FRAME_OK;
}

/* Adds ack and credit of the opposite direction to a written header. */
static inline void mr_frame_write_ack(void *at, uint32_t ack, uint32_t credit)
{
	uint8_t *h = at;

	h[offsetof(struct mrf_frame_header, flags)] |= MRF_FRAME_FLAG_ACK;
	memcpy(h + offsetof(struct mrf_frame_header, ack), &ack, sizeof(ack));
	memcpy(h + offsetof(struct mrf_frame_header, credit), &credit, sizeof(credit));
}

/* Marks a written header as a frame of the reliable flow. */
static inline void mr_frame_write_reliable(void *at)
{
	((uint8_t *)at)[offsetof(struct mrf_frame_header, flags)] |= MRF_FRAME_FLAG_RELIABLE;
}

static inline void mr_frame_write(void *at, uint64_t session, uint32_t sequence, uint16_t messages)
{
	const struct mrf_frame_header h = {
		.version = MR_FRAME_VERSION,
		.messages = messages,
		.sequence = sequence,
		.session = session,
	};

	memcpy(at, &h, sizeof(h));
}

/* The received frames of a flow: the highest sequence and a bit for each of the 64 up to it. The
 * first sequence sent is 1. */
struct mr_frame_window {
	uint32_t highest;
	uint64_t seen; /* bit i: highest - i was received */
};

enum mr_frame_order {
	MR_FRAME_NEXT,      /* after all received before */
	MR_FRAME_LATE,      /* fills a gap */
	MR_FRAME_DUPLICATE, /* received before, or older than the window */
};

/* Enters a sequence. *lost is the change of the count of lost frames: -1 for a frame that fills a
 * gap. Differences are modulo 2^32: one half is ahead, the other behind. Not for sequence 0, which
 * senders skip when they wrap. */
static inline enum mr_frame_order mr_frame_take(
	struct mr_frame_window *w, uint32_t sequence, int64_t *lost)
{
	uint32_t ahead = sequence - w->highest;

	*lost = 0;
	if (mr_likely(ahead != 0 && ahead < 1u << 31)) {
		w->seen = ahead < 64 ? w->seen << ahead | 1 : 1;
		w->highest = sequence;
		*lost = (int64_t)ahead - 1;
		return MR_FRAME_NEXT;
	}
	ahead = w->highest - sequence;
	if (ahead >= 64 || (w->seen >> ahead & 1) != 0)
		return MR_FRAME_DUPLICATE;
	w->seen |= 1ull << ahead;
	*lost = -1;
	return MR_FRAME_LATE;
}

static inline struct mr_frame_window mr_frame_window_first(void)
{
	/* Nothing was sent before sequence 1: older sequences count as duplicates. */
	return (struct mr_frame_window){.highest = 0, .seen = UINT64_MAX};
}

#endif
