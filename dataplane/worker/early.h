/* SPDX-License-Identifier: Apache-2.0 */
/* early: memory for early frames of the reliable flow, and for frames that wait behind another one.
 * One slab serves all sessions of a worker, with a share for each peer.
 *
 *   early frame -> take: a piece of the slab -> its turn -> give
 *   session closed, pieces left -> return (table writer) -> back into the slab (worker)
 *
 * A frame without room is dropped, and its client retransmits it. Before that the credit of
 * sessions shrinks (mr_early_frames_left).
 *
 * Owns      The slab. A piece belongs to the flow that has it in a slot (session/flow.h).
 * Threads   return: the table writer, for a session that no worker can find. All else: the worker.
 * Ordering  [early.returned] release of the list's head in return -> acquire of it in take: the
 *           pieces are linked.
 * Errors    take: NULL.
 * Hot path  take, give, frames_left: no system call, no allocation but from the slab, no lock.
 */
#ifndef MILLRACE_WORKER_EARLY_H
#define MILLRACE_WORKER_EARLY_H

#include <stdatomic.h>

#include "lib/base/share.h"
#include "lib/base/slab.h"
#include "dataplane/session/flow.h"

struct mr_early_piece {
	struct mr_early_piece *next; /* in the list of returned pieces */
	uint64_t peer;
	uint32_t bytes; /* this header included */
	uint32_t reserved;
	struct mr_flow_slot slot;
};

struct mr_early {
	struct mr_slab *store;
	struct mr_shares shares; /* bytes in use by each peer */
	uint64_t bytes_max;
	uint64_t share_bytes;
	struct mr_early_piece *taking_back; /* returned pieces that are not in the slab yet */
	/* w: the table writer adds, the worker takes all. [early.returned] */
	_Atomic(struct mr_early_piece *) returned;
};

/* `percent`: share of the bytes for one peer; 0: all. `peers_max`: the number of sessions. -ENOMEM,
 * -EIO. */
int mr_early_init(struct mr_early *e, uint64_t bytes_max, uint32_t percent, uint32_t peers_max);
void mr_early_fini(struct mr_early *e);

/* Returns room for any frame of the flow. NULL: none is left for this peer. */
struct mr_flow_slot *mr_early_take(struct mr_early *e, const struct mr_flow *flow, uint64_t peer);
void mr_early_give(struct mr_early *e, struct mr_flow_slot *slot);
/* Returns all pieces of a flow whose session is closed. */
void mr_early_return(struct mr_early *e, struct mr_flow *flow);

/* Returns how many frames of the flow have room; UINT32_MAX while no frame waits at all. */
uint32_t mr_early_frames_left(const struct mr_early *e, const struct mr_flow *flow, uint64_t peer);

#endif
