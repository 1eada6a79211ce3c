/* SPDX-License-Identifier: Apache-2.0 */
/* fragment: divides a message that is larger than a session's frames. Private to the worker.
 *
 * Senders fragment messages that do not fit their own frames or rings. For a receiver with smaller
 * frames the worker refragments them; the offset of each is its place in the whole message. A
 * message that came whole is fragmented in the name of session 0, which no client has, under a
 * number of this worker.
 *
 * Threads   The worker's lcore.
 * Hot path  No allocation, lock or system call.
 */
#ifndef MILLRACE_WORKER_FRAGMENT_H
#define MILLRACE_WORKER_FRAGMENT_H

#include "dataplane/worker/flows.h"

struct mr_fragments {
	const struct mr_message_plan *whole;
	struct mr_message_extra extra; /* for each fragment; extra.fragment is the next one's */
	uint32_t header_bytes;         /* header block, which must fit the first fragment */
	uint32_t room;                 /* largest stride of a fragment */
	uint32_t done;                 /* bytes of the body in fragments made so far */
	uint32_t last;                 /* bytes of the body in the last fragment made */
	struct mr_message_stamp_room
		stamped; /* of the first fragment, if the message has a stamp */
};

/* True if a message for a session over UDP is larger than its frames, and the client can reassemble
 * it: a client that knows the reliable flow knows fragments. */
static inline bool mr_worker_needs_fragments(const struct mr_session *s, uint32_t stride)
{
	return s->remote != NULL && stride > MR_FRAME_ROOM(s->remote->frame_bytes) &&
	       mr_session_knows_flow(s);
}

/* Begins to fragment `whole`, which must outlive the fragments. False: its kind cannot be
 * fragmented, or its parts and header block leave too little room. */
bool mr_fragments_begin(struct mr_fragments *p, struct mr_worker *w, const struct mr_session *s,
	const struct mr_message_plan *whole);
/* Makes the next fragment, a plan that is valid until the next call. False: there are no more. */
bool mr_fragments_next(struct mr_fragments *p, struct mr_message_plan *piece);

#endif
