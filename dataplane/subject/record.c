/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/record.h"

#include <errno.h>

static uint64_t owner_hash(const struct mr_records *r, const struct mr_owner *o)
{
	return mr_hash_pair(r->hash_key, (uint64_t)o->slot << 32 | o->generation, o->worker);
}

static uint64_t record_hash(const struct mr_records *r, uint32_t owner, unsigned kind, uint32_t id)
{
	return mr_hash_pair(r->hash_key, (uint64_t)owner << 32 | id, kind);
}

static uint32_t *owner_chain(void *arg, uint32_t owner)
{
	return &mr_owner_at(arg, owner)->chain;
}

static uint64_t owner_item_hash(void *arg, uint32_t owner)
{
	const struct mr_owner_record *o = mr_owner_at(arg, owner);

	return owner_hash(
		arg, &(struct mr_owner){
			     .worker = o->worker, .slot = o->slot, .generation = o->generation});
}

static uint32_t *record_chain(void *arg, uint32_t record)
{
	return &mr_record_at(arg, record)->chain;
}

static uint64_t record_item_hash(void *arg, uint32_t record)
{
	const struct mr_record *rec = mr_record_at(arg, record);

	return record_hash(arg, rec->owner, rec->kind, rec->id);
}

int mr_records_init(struct mr_records *r, uint32_t records_max, const struct mr_hash_key *hash_key)
{
	*r = (struct mr_records){.hash_key = hash_key};
	if (mr_pool_init(&r->owners, sizeof(struct mr_owner_record), records_max, false) != 0 ||
		mr_pool_init(&r->records, sizeof(struct mr_record), records_max, false) != 0 ||
		mr_index_init(&r->owner_index, owner_chain, owner_item_hash, r) != 0 ||
		mr_index_init(&r->record_index, record_chain, record_item_hash, r) != 0) {
		mr_records_fini(r);
		return -ENOMEM;
	}
	return 0;
}

void mr_records_fini(struct mr_records *r)
{
	mr_index_fini(&r->record_index);
	mr_index_fini(&r->owner_index);
	mr_pool_fini(&r->records);
	mr_pool_fini(&r->owners);
}

uint32_t mr_records_owner(const struct mr_records *r, const struct mr_owner *o)
{
	uint32_t at = mr_index_first(&r->owner_index, owner_hash(r, o));

	for (; at != 0; at = mr_owner_at(r, at)->chain) {
		const struct mr_owner_record *own = mr_owner_at(r, at);
		if (own->slot == o->slot && own->generation == o->generation &&
			own->worker == o->worker)
			break;
	}
	return at;
}

uint32_t mr_records_find(
	const struct mr_records *r, uint32_t owner, enum mr_record_kind kind, uint32_t id)
{
	uint32_t at = mr_index_first(&r->record_index, record_hash(r, owner, kind, id));

	for (; at != 0; at = mr_record_at(r, at)->chain) {
		const struct mr_record *rec = mr_record_at(r, at);
		if (rec->owner == owner && rec->id == id && rec->kind == kind)
			break;
	}
	return at;
}

static uint32_t owner_take(struct mr_records *r, const struct mr_owner *o)
{
	uint32_t at = mr_records_owner(r, o);

	if (at != 0)
		return at;
	at = mr_pool_alloc(&r->owners);
	if (at == 0)
		return 0;
	struct mr_owner_record *own = mr_owner_at(r, at);
	own->slot = o->slot;
	own->generation = o->generation;
	own->worker = o->worker;
	own->peer = o->peer;
	mr_index_add(&r->owner_index, at);
	return at;
}

static void owner_drop_if_bare(struct mr_records *r, uint32_t owner)
{
	if (mr_owner_at(r, owner)->first != 0)
		return;
	mr_index_remove(&r->owner_index, owner);
	mr_pool_free(&r->owners, owner);
}

uint32_t mr_records_add(
	struct mr_records *r, const struct mr_owner *o, enum mr_record_kind kind, uint32_t id)
{
	uint32_t owner = owner_take(r, o);

	if (owner == 0)
		return 0;
	uint32_t at = mr_pool_alloc(&r->records);
	if (at == 0) {
		owner_drop_if_bare(r, owner);
		return 0;
	}
	struct mr_owner_record *own = mr_owner_at(r, owner);
	*mr_record_at(r, at) = (struct mr_record){
		.owner = owner, .id = id, .kind = (uint8_t)kind, .after = own->first};
	if (own->first != 0)
		mr_record_at(r, own->first)->before = at;
	own->first = at;
	mr_index_add(&r->record_index, at);
	return at;
}

void mr_records_remove(struct mr_records *r, uint32_t record)
{
	struct mr_record *rec = mr_record_at(r, record);
	uint32_t owner = rec->owner;

	mr_index_remove(&r->record_index, record);
	if (rec->before != 0)
		mr_record_at(r, rec->before)->after = rec->after;
	else
		mr_owner_at(r, owner)->first = rec->after;
	if (rec->after != 0)
		mr_record_at(r, rec->after)->before = rec->before;
	mr_pool_free(&r->records, record);
	owner_drop_if_bare(r, owner);
}

size_t mr_records_memory_bytes(const struct mr_records *r)
{
	return mr_pool_memory_bytes(&r->owners) + mr_pool_memory_bytes(&r->records) +
	       mr_index_memory_bytes(&r->owner_index) + mr_index_memory_bytes(&r->record_index);
}
