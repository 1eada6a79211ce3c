/* SPDX-License-Identifier: Apache-2.0 */
/* early: memory for frames of the reliable flow that came ahead of their turn, or that wait behind one
 * that does; of all sessions of a worker together, with a share for each peer.
 *
 *   frame ahead -> take: a piece of the store -> its turn -> give
 *   session gone, pieces left -> return (table writer) -> back into the store (worker)
 *
 * A frame for which there is no room is dropped, and sent again by its client. The credit that sessions are
 * granted shrinks before that: mr_early_frames_left.
 *
 * Owns      The store. A piece belongs to the flow that keeps it (session/flow.h).
 * Threads   return: the table writer, of a session that no worker sees. All else: the worker.
 * Ordering  [early.returned] release of the list's head in return -> acquire of it in take: the pieces
 *           are linked.
 * Errors    take: NULL.
 * Hot path  take, give, frames_left: no call into the system, no allocation but from the store, no lock.
 */
#ifndef MILLRACE_WORKER_EARLY_H
#define MILLRACE_WORKER_EARLY_H

#include <stdatomic.h>

#include "lib/base/share.h"
#include "lib/base/slab.h"
#include "dataplane/session/flow.h"

struct mr_early_piece {
	struct mr_early_piece *next; /* of those that are returned */
	uint64_t peer;
	uint32_t bytes; /* with this */
	uint32_t reserved;
	struct mr_flow_slot slot;
};

struct mr_early {
	struct mr_slab *store;
	struct mr_shares shares; /* bytes of each peer */
	uint64_t bytes_max;
	uint64_t share_bytes;
	struct mr_early_piece *taking_back; /* returned, and not in the store yet */
	/* w: table writer adds, worker takes all */
	_Atomic(struct mr_early_piece *) returned;
};

/* `percent` of the bytes for one peer; 0: all. `peers_max`: sessions, at most. -ENOMEM, -EIO. */
int mr_early_init(struct mr_early *e, uint64_t bytes_max, uint32_t percent, uint32_t peers_max);
void mr_early_fini(struct mr_early *e);

/* Room for a frame of the flow, whatever its length. NULL: there is none left for this peer. */
struct mr_flow_slot *mr_early_take(struct mr_early *e, const struct mr_flow *flow, uint64_t peer);
void mr_early_give(struct mr_early *e, struct mr_flow_slot *slot);
/* What a flow kept when its session ended. */
void mr_early_return(struct mr_early *e, struct mr_flow *flow);

/* How many frames of the flow there is room for; UINT32_MAX while nothing is kept at all. */
uint32_t mr_early_frames_left(const struct mr_early *e, const struct mr_flow *flow, uint64_t peer);

#endif
