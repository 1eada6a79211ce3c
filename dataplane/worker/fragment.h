/* SPDX-License-Identifier: Apache-2.0 */
/* fragment: a message that is larger than a session's frames, as messages that are not. Private to the
 * worker.
 *
 * Senders cut what does not fit their own frames or rings. A receiver whose frames are smaller gets what
 * was cut once cut again: pieces go on where they stand in the whole. What was whole becomes the message
 * of session 0, which is nobody's, with a number of this worker.
 *
 * Threads   The worker's lcore.
 * Hot path  No allocation, lock or system call.
 */
#ifndef MILLRACE_WORKER_FRAGMENT_H
#define MILLRACE_WORKER_FRAGMENT_H

#include "dataplane/worker/flows.h"

struct mr_fragments {
	const struct mr_message_plan *whole;
	struct mr_message_extra extra; /* of every piece; the fragment is the next one's */
	uint32_t header_bytes;         /* in the first, which has to have room for it */
	uint32_t room;                 /* stride that a piece may have */
	uint32_t done;                 /* bytes of the body */
	uint32_t last;                 /* of them in the last piece */
};

/* True of a message for a session over UDP that is larger than its frames, and that the client can put
 * together: one that knows the reliable flow knows fragments. */
static inline bool mr_worker_needs_fragments(const struct mr_session *s, uint32_t stride)
{
	return s->remote != NULL && stride > MR_FRAME_ROOM(s->remote->frame_bytes) &&
	       mr_session_speaks_reliably(s);
}

/* False: it cannot be cut, as its kind has no pieces, or its parts and header block leave no room. `whole`
 * lives as long as the pieces. */
bool mr_fragments_begin(struct mr_fragments *p, struct mr_worker *w, const struct mr_session *s,
	const struct mr_message_plan *whole);
/* The next piece, a plan that is good until the next call. False: that was all. */
bool mr_fragments_next(struct mr_fragments *p, struct mr_message_plan *piece);

#endif
