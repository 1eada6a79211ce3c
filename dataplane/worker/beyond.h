/* SPDX-License-Identifier: Apache-2.0 */
/* beyond: what stands behind a promised publish that waits. Private to the worker.
 *
 * A publisher's other messages are not held up with its publishes: requests to control, settlements,
 * replies, pushes, signs of life are taken from where they stand, in their order. Publishes stay, promised
 * or not, as their order is a promise, too; so does the release of an alias, by which what waits may have
 * been published, and all behind it. How far a session was looked through is remembered, and what was
 * taken there is passed by later.
 *
 * The client may write meanwhile what it likes into its ring: it can make its own messages be taken twice or
 * not at all, and lengths are checked each time.
 *
 * Bound     Messages looked through of a session in a round: MR_BEYOND_LOOKS.
 * Threads   The worker's lcore.
 * Hot path  For sessions that are stalled.
 */
#ifndef MILLRACE_WORKER_BEYOND_H
#define MILLRACE_WORKER_BEYOND_H

#include "dataplane/worker/flows.h"

#define MR_BEYOND_LOOKS 64u

/* What only frames carry: its turn comes. */
static inline bool mr_worker_is_special(uint8_t kind)
{
	return kind == MRF_MESSAGE_KIND_PADDING || kind == MRF_MESSAGE_KIND_CLOSE ||
	       kind == MRF_MESSAGE_KIND_PATH;
}

/* Messages that stand one behind the other. */
struct mr_beyond {
	const uint8_t *at;
	uint32_t bytes; /* that may be read */
	uint32_t used;  /* of them looked through */
	uint32_t looks; /* that are left */
	uint32_t taken; /* messages */
};

enum mr_beyond_end {
	MR_BEYOND_ALL, /* looked through */
	MR_BEYOND_STOP, /* a message that must not be passed; or no time or room for more in this round */
	MR_BEYOND_BAD, /* a length makes no sense */
};

/* Takes all but publishes into the burst, from `used` on. */
enum mr_beyond_end mr_worker_look_beyond(
	struct mr_worker *w, struct mr_session *s, struct mr_beyond *b);

/* True of what is taken though it stands behind a publish that waits. */
static inline bool mr_message_passes(struct mrf_message_header h)
{
	return h.kind != MRF_MESSAGE_KIND_PUBLISH && !mr_worker_is_special(h.kind);
}

/* Bytes from its head on that were looked through. */
static inline uint32_t mr_worker_ring_passed(const struct mr_session *s)
{
	int32_t passed = (int32_t)(s->beyond - (uint32_t)s->up.head);

	return mr_unlikely(s->looked) && passed > 0 ? (uint32_t)passed : 0;
}

/* Bytes between two messages of one ring. */
static inline uint64_t mr_worker_ring_between(
	const struct mr_session *s, const uint8_t *from, const uint8_t *to)
{
	return (uint64_t)(to - from) & (s->up.capacity - 1);
}

/* Bytes from a message that was taken to where the ring is read next. */
static inline uint64_t mr_worker_ring_back(const struct mr_session *s, const uint8_t *at)
{
	uint64_t bytes = mr_worker_ring_between(s, at, mr_bytes_peek(&s->up));

	return bytes != 0 ? bytes : s->up.capacity;
}

/* True of a message that was taken though it stands behind where the ring is read next. */
static inline bool mr_worker_ring_is_beyond(const struct mr_session *s, const uint8_t *at)
{
	return mr_worker_ring_between(s, mr_bytes_peek(&s->up), at) < mr_worker_ring_passed(s);
}

/* True of the release of an alias, by which what stands before it may have been published. */
bool mr_message_releases_alias(const uint8_t *at, struct mrf_message_header h);

/* A ring, behind the first `from` bytes of what is readable. */
void mr_worker_ring_beyond(struct mr_worker *w, struct mr_session *s, size_t ready, uint32_t from);

#endif
