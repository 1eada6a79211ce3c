/* SPDX-License-Identifier: Apache-2.0 */
/* request: requests to subjects that wait for a reply. Private to the top of client/.
 *
 * Owns      The client owns the table.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_REQUEST_H
#define MILLRACE_CLIENT_REQUEST_H

#include "client/core/part.h"

/* A call that waits on the stack. */
struct mr_sync {
	bool done;
	int error;
	uint32_t count; /* replies gathered */
	struct mr_message *reply;
};

/* Replies of a request that gathers many. */
struct mr_gather {
	uint64_t end_ns;   /* limit for all replies */
	uint64_t stall_ns; /* limit from one reply to the next; 0: none */
	uint32_t left;     /* replies still wanted; UINT32_MAX: any number */
	uint32_t count;
	struct mr_sync *sync; /* of mr_request_many, or NULL */
};

/* A request that waits for its reply. */
struct mr_pending {
	uint64_t correlation; /* 0: free */
	uint64_t deadline_ns;
	mr_reply_fn *callback; /* NULL: `sync` waits */
	union {
		void *arg;
		struct mr_sync *sync;
	};
	uint32_t heap_at;         /* place in the heap, or the next free entry */
	struct mr_gather *gather; /* NULL: the first reply is the outcome */
};

/* Finishes the request with this correlation. False: no request waits for it. `m` as given to
 * callbacks; NULL with an error. */
bool mr_request_finish(
	struct mr_client *c, uint64_t correlation, const struct mr_message *m, int error);
/* True: the request waits in a call that is on the stack now. */
bool mr_request_is_sync(const struct mr_client *c, uint64_t correlation);

/* Frees the table. No callback runs. */
void mr_requests_free(struct mr_client *c);

extern const struct mr_part mr_request_part;

#endif
