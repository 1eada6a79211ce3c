/* SPDX-License-Identifier: Apache-2.0 */
/* remote: what a session over UDP has that a local channel has not: a path, sequences, an open frame.
 *
 * The open frame is written through the session's `down` producer, as a ring is: while a frame is open
 * exactly its room can be claimed there, and nothing while none is. So the code that copies messages
 * into rings copies them into frames, and comes here only when a frame is full.
 *
 * Owns      Part of its session, with the same life.
 * Threads   As struct mr_session: worker's fields are the worker's alone; the table writer reads path
 *           and last_rx only as snapshots in the session's statistics.
 * Ordering  [remote.aliases] release of a set -> acquire by the worker: its slots are written.
 *           [remote.end] release of end by the worker -> acquire by the table writer: the worker has
 *           routed all that it will take from this session.
 *           [remote.expel] release of the code by the table writer -> acquire by the worker.
 */
#ifndef MILLRACE_SESSION_REMOTE_H
#define MILLRACE_SESSION_REMOTE_H

#include "dataplane/session/flow.h"
#include "dataplane/session/session.h"
#include "lib/wire/frame.h"

struct rte_mbuf;

/* A power of two above any frame: what the down producer believes its ring to hold. */
#define MR_REMOTE_RING_BYTES (1u << 17)
/* Ethernet, IPv6 and UDP. */
#define MR_REMOTE_HEADERS_MAX 62u

/* Why a worker wants a session closed. */
enum mr_remote_end {
	MR_REMOTE_LIVES,
	MR_REMOTE_CLOSED,      /* the client said so, or was told so */
	MR_REMOTE_EXPIRED,     /* missed_max heartbeats did not come */
	MR_REMOTE_STOOD_STILL, /* others waited for it for too long */
	MR_REMOTE_LEAVES,      /* it is over, and its worker has yet to take what came of it */
};

/* Aliases held by a session over UDP: an open-addressed set that the table writer replaces as a whole
 * when it grows, since a bitmap of all aliases would be larger than all the rest. */
struct mr_alias_set {
	uint32_t mask; /* slots, a power of two, less one */
	uint32_t count;
	uint64_t grace_token;
	struct mr_alias_set *next; /* retired */
	_Atomic uint32_t slots[];  /* 0: empty; UINT32_MAX: taken out */
};

/* An alias stands in one of this many slots from its first on, so that a lookup is bounded; the table
 * writer makes a larger set when none of them is free. */
#define MR_ALIAS_PROBES_MAX 16u

static inline uint32_t mr_alias_set_first(const struct mr_alias_set *set, uint32_t alias)
{
	return (alias * 2654435769u >> 7) & set->mask; /* Fibonacci's: neighbours lie apart */
}

/* True if its worker is done with the session, and the table writer may close it. */
static inline bool mr_remote_has_ended(uint8_t end)
{
	return end != MR_REMOTE_LIVES && end != MR_REMOTE_LEAVES;
}

struct mr_remote {
	/* worker's: sending */
	struct rte_mbuf *open; /* frame being filled, or NULL */
	uint32_t sequence;     /* of the last frame sent */
	uint32_t frame_bytes;  /* largest UDP payload; less when a path has no room */
	uint8_t headers[MR_REMOTE_HEADERS_MAX]; /* see mr_headers_write */
	uint8_t headers_bytes;
	uint8_t port;     /* of the bus */
	uint64_t last_tx; /* cycles */
	/* worker's: receiving */
	struct mr_frame_window window;
	uint64_t last_rx; /* cycles */
	struct mrf_network_path path;
	uint64_t asked; /* cycles when an address was last challenged */
	struct mr_flow flow;
	uint8_t why; /* enum mr_remote_end, while it leaves */
	/* shared-out */
	_Atomic uint8_t end; /* enum mr_remote_end; w: worker, r: table writer */
	/* shared-in */
	_Atomic(struct mr_alias_set *) aliases; /* w: table writer, r: worker; NULL: none */
	/* Not 0: the worker is to say goodbye with this code, and to end the session.
	 * w: table writer, r: worker */
	_Atomic int32_t expel;
	/* read-only after open */
	uint64_t nonce;
	uint64_t secret;
};

/* Makes a session around a path, not yet in a directory; nothing can be claimed in it yet. Clears
 * `stats` and takes it over. `log_bytes`: of its reliable flow, each way; 0: it has none. `headers` are made of the path and the port's own address. */
int mr_remote_new(uint64_t id, const struct mrf_network_path *path, const uint8_t port_mac[6],
	uint32_t frame_bytes, uint32_t log_bytes, struct mrf_session_stats *stats,
	struct mr_session **out);
/* Frees what mr_remote_new made; called by mr_session_free. */
void mr_remote_free(struct mr_session *s);
/* Ethernet, IP and UDP headers of what is sent along a path; returns their bytes. Lengths are 0, and
 * checksums the folded sums of all else that goes into them, not complemented; in UDP's that is the
 * pseudo-header and the ports. */
uint8_t mr_headers_write(uint8_t out[MR_REMOTE_HEADERS_MAX], const struct mrf_network_path *path,
	const uint8_t port_mac[6]);
/* The largest UDP payload, in whole messages, of a packet of `mtu` bytes along a path; 0: not even the
 * smallest that every peer takes. */
uint32_t mr_path_frame_bytes(const struct mrf_network_path *path, uint32_t mtu);
/* Takes a path: at open, and when the client has proved another address. */
void mr_remote_headers(
	struct mr_remote *r, const struct mrf_network_path *path, const uint8_t port_mac[6]);
/* Shuts the down producer: nothing can be claimed. */
void mr_remote_shut(struct mr_session *s);
/* Opens it onto `room` bytes at `to`, 8-aligned. */
void mr_remote_onto(struct mr_session *s, void *to, uint32_t room);

bool mr_alias_set_has(const struct mr_alias_set *set, uint32_t alias);

_Static_assert(sizeof(struct mr_session) + sizeof(struct mr_remote) <= 1088, "memory of a session");

#endif
