/* SPDX-License-Identifier: Apache-2.0 */
/* alias: numbers that stand for subjects on the wire, the same for the whole bus.
 *
 * Owns      The texts of the subjects, until their grace period is over.
 * Threads   Changes: the table writer's thread. mr_alias_at: workers too.
 * Ordering  [alias.slot] release of a slot -> acquire of it: the alias is complete.
 * Errors    take: 0 when there is no number or no memory (`*rc` says which).
 */
#ifndef MILLRACE_SUBJECT_ALIAS_H
#define MILLRACE_SUBJECT_ALIAS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/subject/hash.h"
#include "dataplane/subject/index.h"
#include "dataplane/subject/reclaim.h"

struct mr_alias {
	uint64_t hash;
	uint32_t number;
	uint32_t chain;
	uint32_t holds;
	uint8_t bytes;
	char subject[];
};

struct mr_aliases {
	_Atomic(struct mr_alias *) *slots; /* by number [alias.slot] */
	uint32_t max;
	/* writer only */
	uint32_t fresh;
	uint32_t *freed; /* ring of returned numbers, oldest first */
	uint32_t freed_head;
	uint32_t freed_count;
	uint32_t used;
	struct mr_index index;
	const struct mr_hash_key *hash_key;
	struct mr_reclaim *reclaim;
	unsigned reclaim_kind;
	size_t memory_bytes;
};

int mr_aliases_init(struct mr_aliases *a, uint32_t max, const struct mr_hash_key *hash_key,
	struct mr_reclaim *reclaim, unsigned reclaim_kind);
void mr_aliases_fini(struct mr_aliases *a);

/* Returns the alias of the subject; 0: it has none. */
uint32_t mr_aliases_find(const struct mr_aliases *a, const void *subject, size_t bytes);

/* Returns how many numbers could be assigned; those that wait for a grace period are not among
 * them. */
static inline uint32_t mr_aliases_left(const struct mr_aliases *a)
{
	return a->max + 1 - a->fresh + a->freed_count;
}

/* Returns the subject's number, and makes one if there is none. The caller counts the hold. */
uint32_t mr_aliases_take(struct mr_aliases *a, const void *subject, size_t bytes, int *rc);

/* Unassigns the number: workers no longer find a subject for it. The caller then raises the
 * subject's version and retires the alias. */
void mr_aliases_unassign(struct mr_aliases *a, struct mr_alias *alias);

/* Called by the reclaim queue when an alias's grace period is over. */
void mr_aliases_release(struct mr_aliases *a, struct mr_alias *alias);

/* Returns NULL if the number is not assigned, or out of range. */
static inline struct mr_alias *mr_alias_at(const struct mr_aliases *a, uint32_t number)
{
	if (number == 0 || number > a->max)
		return NULL;
	return atomic_load_explicit(&a->slots[number], memory_order_acquire); /* [alias.slot] */
}

#endif
