/* SPDX-License-Identifier: Apache-2.0 */
/* record: the subscriptions and alias holds of each owner, so that they can be removed. Workers
 * never read it.
 *
 * Owns      Its records and owners. An owner exists while it has records.
 * Threads   The table writer's thread.
 * Errors    0: none.
 */
#ifndef MILLRACE_SUBJECT_RECORD_H
#define MILLRACE_SUBJECT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/subject/hash.h"
#include "dataplane/subject/index.h"
#include "dataplane/subject/pool.h"
#include "dataplane/subject/table.h"

enum mr_record_kind { MR_RECORD_FREE, MR_RECORD_SUBSCRIPTION, MR_RECORD_ALIAS };

struct mr_record {
	uint32_t owner;
	uint32_t id; /* sub_id or alias */
	uint32_t chain;
	uint32_t before; /* in the list of the owner's records */
	uint32_t after;
	uint32_t node;     /* subscription: its node */
	uint32_t position; /* index in the node's block */
	uint16_t group;
	uint8_t kind;
	bool tail;
};
_Static_assert(sizeof(struct mr_record) == 32, "a record is paid for by each subscription");

struct mr_owner_record {
	uint32_t slot;
	uint32_t generation;
	uint32_t chain;
	uint32_t first; /* its first record */
	uint64_t peer;
	uint16_t worker;
	uint16_t shapes;  /* starred shapes in use: see use.h */
	uint16_t lengths; /* prefix lengths in use */
};

struct mr_records {
	struct mr_pool owners;
	struct mr_pool records;
	struct mr_index owner_index;
	struct mr_index record_index;
	const struct mr_hash_key *hash_key;
};

int mr_records_init(struct mr_records *r, uint32_t records_max, const struct mr_hash_key *hash_key);
void mr_records_fini(struct mr_records *r);

uint32_t mr_records_owner(const struct mr_records *r, const struct mr_owner *o);
uint32_t mr_records_find(
	const struct mr_records *r, uint32_t owner, enum mr_record_kind kind, uint32_t id);

/* Adds a record, and the owner if it is new. The caller fills in the other fields. */
uint32_t mr_records_add(
	struct mr_records *r, const struct mr_owner *o, enum mr_record_kind kind, uint32_t id);
void mr_records_remove(struct mr_records *r, uint32_t record);

size_t mr_records_memory_bytes(const struct mr_records *r);

static inline struct mr_record *mr_record_at(const struct mr_records *r, uint32_t record)
{
	return mr_pool_at(&r->records, record);
}

static inline struct mr_owner_record *mr_owner_at(const struct mr_records *r, uint32_t owner)
{
	return mr_pool_at(&r->owners, owner);
}

#endif
