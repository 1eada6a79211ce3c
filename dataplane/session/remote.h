/* SPDX-License-Identifier: Apache-2.0 */
/* remote: the part of a session that only one over UDP has: a path, sequences, an open frame.
 *
 * The open frame is written through the session's `down` producer, like a ring. While a frame is
 * open, exactly its room can be claimed there; otherwise nothing. So the code that copies messages
 * into rings also copies them into frames, and calls this module only when a frame is full.
 *
 * Owns      Nothing: it is part of its session and lives as long.
 * Threads   As struct mr_session: the worker's fields are the worker's alone. The table writer
 *           reads path and frame_bytes, field by field, for listings and look-ups.
 * Ordering  [remote.aliases] release of a set by the table writer -> acquire in mr_remote_holds:
 *           the set's slots are written.
 *           [remote.end] release of end by the worker -> acquire by the table writer: the worker
 *           has routed all that it will take from this session.
 *           [remote.expel] release of expel by the table writer -> acquire in the worker's look at
 *           the session: the table writer's changes before it are visible.
 */
#ifndef MILLRACE_SESSION_REMOTE_H
#define MILLRACE_SESSION_REMOTE_H

#include "dataplane/session/flow.h"
#include "dataplane/session/session.h"
#include "lib/wire/frame.h"

struct rte_mbuf;

/* Capacity that the down producer assumes: a power of two above any frame. */
#define MR_REMOTE_RING_BYTES (1u << 17)
/* Bytes of the Ethernet, IPv6 and UDP headers. */
#define MR_REMOTE_HEADERS_MAX 62u

/* State of a session over UDP, or why its worker ended it. */
enum mr_remote_end {
	MR_REMOTE_LIVES,
	MR_REMOTE_CLOSED,        /* a Close was received or sent */
	MR_REMOTE_EXPIRED,       /* liveness time-out: missed_max heartbeats did not come */
	MR_REMOTE_FULL_TOO_LONG, /* publishers waited for it for too long: it was full */
	MR_REMOTE_LEAVES,        /* closed, but its worker has yet to take what it acknowledged */
};

/* The aliases that a session over UDP may publish by: an open-addressed set. The table writer
 * replaces it as a whole when it grows. A bitmap of all aliases would be larger than the rest of
 * the session. */
struct mr_alias_set {
	uint32_t mask; /* slots, a power of two, less one */
	uint32_t count;
	uint64_t grace_token;
	struct mr_alias_set *next; /* in the list of retired sets */
	_Atomic uint32_t slots[];  /* 0: empty; UINT32_MAX: removed */
};

/* An alias stands in one of this many slots from its first on, which bounds a look-up. If none of
 * them is free, the table writer makes a larger set. */
#define MR_ALIAS_PROBES_MAX 16u

static inline uint32_t mr_alias_set_first(const struct mr_alias_set *set, uint32_t alias)
{
	return (alias * 2654435769u >> 7) & set->mask; /* Fibonacci hashing spreads neighbours */
}

/* True if the worker is done with the session; the table writer may close it. */
static inline bool mr_remote_has_ended(uint8_t end)
{
	return end != MR_REMOTE_LIVES && end != MR_REMOTE_LEAVES;
}

struct mr_remote {
	/* worker's: sending */
	struct rte_mbuf *open; /* frame being filled, or NULL */
	uint32_t sequence;     /* last frame sent */
	uint32_t frame_bytes;  /* largest UDP payload; lowered if a new path carries less */
	uint8_t headers[MR_REMOTE_HEADERS_MAX]; /* see mr_headers_write */
	uint8_t headers_bytes;
	uint8_t port;     /* index of the bus's port */
	uint64_t last_tx; /* cycles */
	/* worker's: receiving */
	struct mr_frame_window window;
	uint64_t last_rx; /* cycles */
	struct mrf_network_path path;
	uint64_t asked; /* cycles when a new path was last challenged */
	struct mr_flow flow;
	uint8_t why;   /* enum mr_remote_end that follows MR_REMOTE_LEAVES */
	bool is_group; /* a multicast group, which sends nothing; read-only after open */
	/* shared-out */
	_Atomic uint8_t end; /* enum mr_remote_end; w: worker, r: table writer. [remote.end] */
	/* shared-in */
	/* NULL: none. w: table writer, r: worker. [remote.aliases] */
	_Atomic(struct mr_alias_set *) aliases;
	/* Not 0: the worker sends a Close with this code and ends the session.
	 * w: table writer, r: worker. [remote.expel] */
	_Atomic int32_t expel;
	/* read-only after open */
	uint64_t nonce;
	uint64_t secret;
};

/* Makes a session for a path. It is in no directory yet, and nothing can be claimed in it yet.
 * Clears `stats` and uses it until the session is freed. `log_bytes`: log of its reliable flow; 0:
 * it has no such flow. `headers` are made from the path and the port's address. 0 or -ENOMEM. */
int mr_remote_new(uint64_t id, const struct mrf_network_path *path, const uint8_t port_mac[6],
	uint32_t frame_bytes, uint32_t log_bytes, struct mrf_session_stats *stats,
	struct mr_session **out);
/* Frees what the session has beyond struct mr_session; called by mr_session_free. */
void mr_remote_free(struct mr_session *s);
/* Writes the Ethernet, IP and UDP headers of frames along a path; returns their bytes. Lengths are
 * 0. Checksums are folded sums of all other bytes that they cover, not complemented; UDP's covers
 * the pseudo-header and the ports. */
uint8_t mr_headers_write(uint8_t out[MR_REMOTE_HEADERS_MAX], const struct mrf_network_path *path,
	const uint8_t port_mac[6]);
/* Returns the largest UDP payload, a multiple of 8, of a packet of `mtu` bytes along a path; 0 if
 * that is below MR_FRAME_BYTES_MIN, which every peer accepts. */
uint32_t mr_path_frame_bytes(const struct mrf_network_path *path, uint32_t mtu);
/* Sets the session's path and headers: at open, and when the client has proved a new path. */
void mr_remote_headers(
	struct mr_remote *r, const struct mrf_network_path *path, const uint8_t port_mac[6]);
/* Closes the down producer: nothing can be claimed. */
void mr_remote_shut(struct mr_session *s);
/* Opens the down producer onto `room` bytes at `to`, 8-aligned. */
void mr_remote_onto(struct mr_session *s, void *to, uint32_t room);

bool mr_alias_set_has(const struct mr_alias_set *set, uint32_t alias);

_Static_assert(sizeof(struct mr_session) + sizeof(struct mr_remote) <= 1088, "memory of a session");

#endif
