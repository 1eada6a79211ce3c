/* SPDX-License-Identifier: Apache-2.0 */
/* reclaim: pieces that no lookup can find any more, waiting until no worker can still hold them.
 *
 * Owns      What is deferred, from defer until `release` is called for it, or fini.
 * Threads   The table writer's thread.
 * Ordering  [table.grace] the token of a piece is taken after it was unlinked and after its version
 *           was raised; rte_rcu_qsbr_start releases, the workers' quiescent reports acquire and
 *           release, rte_rcu_qsbr_check acquires.
 * Errors    Without memory to queue a piece it is never released: leaked and counted, as freeing it
 *           early would be worse.
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
	uint32_t unstarted; /* the newest so many have no token yet */
	uint64_t released;
	uint64_t leaked;
	void (*release)(void *arg, unsigned kind, uintptr_t value);
	/* True: a reader holds something since before that token. NULL: none ever does. */
	bool (*held)(const void *arg, uint64_t token);
	void *arg;
};

int mr_reclaim_init(struct mr_reclaim *q, struct rte_rcu_qsbr *qsbr,
	void (*release)(void *arg, unsigned kind, uintptr_t value), void *arg);

/* Releases everything at once: no reader may be left. */
void mr_reclaim_fini(struct mr_reclaim *q);

/* `kind` and `value` are what `release` will be told. */
void mr_reclaim_defer(struct mr_reclaim *q, unsigned kind, uintptr_t value);

/* Releases what is past its grace; returns how many still wait. */
uint32_t mr_reclaim_run(struct mr_reclaim *q);

size_t mr_reclaim_memory_bytes(const struct mr_reclaim *q);

#endif
