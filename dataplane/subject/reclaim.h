/* SPDX-License-Identifier: Apache-2.0 */
/* reclaim: a queue of unlinked pieces, each freed after its grace period (RCU).
 *
 * Owns      A deferred piece, from defer until `release` is called for it, or fini.
 * Threads   The table writer's thread.
 * Ordering  [table.grace] the token of a piece is taken after it was unlinked and after its version
 *           was raised. rte_rcu_qsbr_start releases, the workers' quiescent reports acquire and
 *           release, rte_rcu_qsbr_check acquires.
 * Errors    Without memory to queue a piece it is never released: it is leaked and counted, because
 *           to free it early would be worse.
 */
#ifndef MILLRACE_SUBJECT_RECLAIM_H
#define MILLRACE_SUBJECT_RECLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rte_rcu_qsbr;

struct mr_reclaim_item;

struct mr_reclaim {
	struct rte_rcu_qsbr *qsbr;
	struct mr_reclaim_item *items; /* ring, oldest first */
	uint32_t capacity;
	uint32_t head;
	uint32_t count;
	uint32_t unstarted; /* number of the newest pieces that have no token yet */
	uint64_t released;
	uint64_t leaked;
	void (*release)(void *arg, unsigned kind, uintptr_t value);
	/* True: a reader holds something since before that token. NULL: no reader ever does. */
	bool (*held)(const void *arg, uint64_t token);
	void *arg;
};

int mr_reclaim_init(struct mr_reclaim *q, struct rte_rcu_qsbr *qsbr,
	void (*release)(void *arg, unsigned kind, uintptr_t value), void *arg);

/* Releases everything at once: no reader may be left. */
void mr_reclaim_fini(struct mr_reclaim *q);

/* Defers a piece; `release` is called with `kind` and `value`. */
void mr_reclaim_defer(struct mr_reclaim *q, unsigned kind, uintptr_t value);

/* Releases the pieces whose grace period is over; returns how many still wait. */
uint32_t mr_reclaim_run(struct mr_reclaim *q);

size_t mr_reclaim_memory_bytes(const struct mr_reclaim *q);

#endif
