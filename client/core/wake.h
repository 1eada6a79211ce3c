/* SPDX-License-Identifier: Apache-2.0 */
/* wake: calls of other threads that end a wait, and functions posted to the client's thread.
 *
 * Owns      The client owns the event descriptor and the ring of posted functions, which is made by
 *           the first post.
 * Threads   mr_client_wake: any thread and signal handlers. mr_client_post: any thread. The rest:
 *           the client's.
 * Ordering  [wake.flag] release in mr_client_wake -> acquire in mr_wake_take: the waker's writes
 *           are seen by the program after the wait.
 */
#ifndef MILLRACE_CLIENT_CORE_WAKE_H
#define MILLRACE_CLIENT_CORE_WAKE_H

#include "client/core/state.h"

/* 0, or -errno when there is no descriptor. */
int mr_wake_init(struct mr_client *c);
void mr_wake_fini(struct mr_client *c);
/* Empties the descriptor after it was readable. The flag stays. */
void mr_wake_clear(struct mr_client *c);
/* Takes the wake-up: clears it, and runs the functions posted before. Returns how many ran. */
unsigned mr_wake_run(struct mr_client *c);

/* True: somebody has called mr_client_wake since the last mr_wake_run. */
static inline bool mr_wake_pending(const struct mr_client *c)
{
	return atomic_load_explicit(&c->wake.pending, memory_order_relaxed);
}

#endif
