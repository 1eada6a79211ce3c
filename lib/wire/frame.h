/* SPDX-License-Identifier: Apache-2.0 */
/* frame: the UDP datagram: a header of 24 bytes, then messages, each at a multiple of 8.
 *
 * The last message is padded too, so a frame's length is a multiple of 8 and its messages fill it to
 * the end. Frames without messages are heartbeats.
 *
 * Threads   Pure functions.
 * Units     Bytes of the UDP payload.
 * Errors    A fault by name, for the counter that it belongs to.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WIRE_FRAME_H
#define MILLRACE_WIRE_FRAME_H

#include <stdbool.h>
#include <string.h>

#include "lib/wire/message.h"

#define MR_FRAME_VERSION 1u
#define MR_FRAME_FLAGS   (MRF_FRAME_FLAG_RELIABLE | MRF_FRAME_FLAG_ACK) /* that this version knows */
/* Every peer takes frames of this size; hellos are never smaller. Fits IPv6's least MTU of 1,280. */
#define MR_FRAME_BYTES_MIN 1200u
/* Largest UDP payload over IPv4, in whole messages. */
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
	MR_FRAME_LENGTH, /* no multiple of 8, or messages in name only */
};

/* Checks what can be said without walking the messages. `bytes`: of the UDP payload. */
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
	/* What is in no flow is in none of the two. */
	if (mr_unlikely((out->flags & MRF_FRAME_FLAG_RELIABLE) != 0 && out->sequence == 0))
		return MR_FRAME_FLAGS_UNKNOWN;
	if (mr_unlikely(bytes % 8 != 0 || (bytes == sizeof(*out)) != (out->messages == 0)))
		return MR_FRAME_LENGTH;
	return MR_FRAME_OK;
}

/* Adds what the sender says of the other way, to a header that is written. */
static inline void mr_frame_write_ack(void *at, uint32_t ack, uint32_t credit)
{
	uint8_t *h = at;

	h[offsetof(struct mrf_frame_header, flags)] |= MRF_FRAME_FLAG_ACK;
	memcpy(h + offsetof(struct mrf_frame_header, ack), &ack, sizeof(ack));
	memcpy(h + offsetof(struct mrf_frame_header, credit), &credit, sizeof(credit));
}

/* Makes it a frame of the reliable flow. */
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

/* Which frames of a flow came: the highest sequence and the 64 up to it. Starts before sequence 1,
 * the first that is sent. */
struct mr_frame_window {
	uint32_t highest;
	uint64_t seen; /* bit i: highest - i came */
};

enum mr_frame_order {
	MR_FRAME_NEXT,      /* later than all before */
	MR_FRAME_LATE,      /* fills a gap */
	MR_FRAME_DUPLICATE, /* came already, or is older than the window */
};

/* Takes a sequence; *lost is what it adds to the count of frames lost, -1 for one that came late.
 * Differences are taken modulo 2^32: half of it is ahead, half is behind. Not for sequence 0, which
 * a sender leaves out when it wraps. */
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
	/* Nothing before sequence 1 was sent: what says so came again. */
	return (struct mr_frame_window){.highest = 0, .seen = UINT64_MAX};
}

#endif
