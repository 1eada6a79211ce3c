/* SPDX-License-Identifier: Apache-2.0 */
/* beyond: takes messages that are behind a promised publish that waits, which avoids head-of-line
 * blocking. Private to the worker.
 *
 * Requests to control, settlements, replies, pushes and heartbeats are taken from their place, in
 * their order. Publishes stay, promised or not: their order is a promise, too. The release of an
 * alias stays with all behind it, as the waiting publish may use that alias. s->beyond remembers
 * how far a session was looked through; messages that were taken there are skipped later.
 *
 * The client may write anything into its ring meanwhile. It can make its own messages be taken
 * twice or not at all; lengths are checked each time.
 *
 * Bound     MR_BEYOND_LOOKS messages of a session are looked at in a round.
 * Threads   The worker's lcore.
 * Hot path  For paused sessions.
 */
#ifndef MILLRACE_WORKER_BEYOND_H
#define MILLRACE_WORKER_BEYOND_H

#include "dataplane/worker/flows.h"

#define MR_BEYOND_LOOKS 64u

/* True for kinds that only frames carry. They are not taken out of turn. */
static inline bool mr_worker_is_special(uint8_t kind)
{
	return kind == MRF_MESSAGE_KIND_PADDING || kind == MRF_MESSAGE_KIND_CLOSE ||
	       kind == MRF_MESSAGE_KIND_PATH;
}

/* Consecutive messages that are looked through. */
struct mr_beyond {
	const uint8_t *at;
	uint32_t bytes;  /* readable bytes */
	uint32_t used;   /* bytes looked through */
	uint32_t reread; /* bytes that were read before */
	uint32_t looks;  /* messages that may still be looked at in this round */
	uint32_t taken;  /* messages taken */
};

enum mr_beyond_end {
	MR_BEYOND_ALL,  /* all was looked through */
	MR_BEYOND_STOP, /* a message that must stay; or no looks or room are left in this round */
	MR_BEYOND_BAD,  /* a message's length is malformed */
};

/* Takes messages from `used` on into the burst, but leaves publishes. */
enum mr_beyond_end mr_worker_look_beyond(
	struct mr_worker *w, struct mr_session *s, struct mr_beyond *b);

/* True if the message may be taken though it is behind a publish that waits. */
static inline bool mr_message_passes(struct mrf_message_header h)
{
	return h.kind != MRF_MESSAGE_KIND_PUBLISH && !mr_worker_is_special(h.kind);
}

/* True if the message, `offset` bytes behind the ring's head, was discarded and counted when it was
 * read before. */
static inline bool mr_worker_was_refused(const struct mr_worker *w, const struct mr_session *s,
	uint32_t offset, const uint8_t *at, struct mrf_message_header h)
{
	return offset < s->reread_bytes && mr_worker_refuses(w, s, at, h);
}

/* Returns the bytes from the ring's head on that were looked through. */
static inline uint32_t mr_worker_ring_passed(const struct mr_session *s)
{
	int32_t passed = (int32_t)(s->beyond - (uint32_t)s->up.head);

	return mr_unlikely(s->looked_beyond) && passed > 0 ? (uint32_t)passed : 0;
}

/* Returns the bytes between two messages of one ring. */
static inline uint64_t mr_worker_ring_between(
	const struct mr_session *s, const uint8_t *from, const uint8_t *to)
{
	return (uint64_t)(to - from) & (s->up.capacity - 1);
}

/* Returns the bytes from a taken message to the place where the ring is read next. */
static inline uint64_t mr_worker_ring_back(const struct mr_session *s, const uint8_t *at)
{
	uint64_t bytes = mr_worker_ring_between(s, at, mr_bytes_peek(&s->up));

	return bytes != 0 ? bytes : s->up.capacity;
}

/* True if the message was taken out of turn: it is behind the place where the ring is read next. */
static inline bool mr_worker_ring_is_beyond(const struct mr_session *s, const uint8_t *at)
{
	return mr_worker_ring_between(s, mr_bytes_peek(&s->up), at) < mr_worker_ring_passed(s);
}

/* True if the message releases an alias, which publishes before it may use. */
bool mr_message_releases_alias(const uint8_t *at, struct mrf_message_header h);

/* Looks through a ring's readable bytes, behind the first `from`. */
void mr_worker_ring_beyond(struct mr_worker *w, struct mr_session *s, size_t ready, uint32_t from);

#endif
