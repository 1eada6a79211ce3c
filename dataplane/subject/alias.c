/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/alias.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t *item_chain(void *arg, uint32_t number)
{
	return &mr_alias_at(arg, number)->chain;
}

static uint64_t item_hash(void *arg, uint32_t number)
{
	return mr_alias_at(arg, number)->hash;
}

int mr_aliases_init(struct mr_aliases *a, uint32_t max, const struct mr_hash_key *hash_key,
	struct mr_reclaim *reclaim, unsigned reclaim_kind)
{
	*a = (struct mr_aliases){.max = max,
		.fresh = 1,
		.hash_key = hash_key,
		.reclaim = reclaim,
		.reclaim_kind = reclaim_kind};
	a->slots = calloc((size_t)max + 1, sizeof(*a->slots));
	a->freed = calloc(max, sizeof(*a->freed));
	if (a->slots == NULL || a->freed == NULL ||
		mr_index_init(&a->index, item_chain, item_hash, a) != 0) {
		mr_aliases_fini(a);
		return -ENOMEM;
	}
	a->memory_bytes = ((size_t)max + 1) * sizeof(*a->slots) + max * sizeof(*a->freed);
	return 0;
}

void mr_aliases_fini(struct mr_aliases *a)
{
	for (uint32_t i = 1; a->slots != NULL && i < a->fresh; i++)
		free(mr_alias_at(a, i));
	mr_index_fini(&a->index);
	free(a->freed);
	free(a->slots);
}

uint32_t mr_aliases_find(const struct mr_aliases *a, const void *subject, size_t bytes)
{
	uint64_t hash = mr_hash_text(a->hash_key, subject, bytes);
	uint32_t at = mr_index_first(&a->index, hash);

	for (; at != 0; at = mr_alias_at(a, at)->chain) {
		const struct mr_alias *alias = mr_alias_at(a, at);
		if (alias->hash == hash && alias->bytes == bytes &&
			mr_text_equal(alias->subject, subject, bytes))
			break;
	}
	return at;
}

/* Returns a number that was never used, if there is one, so that a returned number rests as long as
 * possible. */
static uint32_t number_take(struct mr_aliases *a)
{
	uint32_t number;

	if (a->fresh <= a->max)
		return a->fresh++;
	if (a->freed_count == 0)
		return 0;
	number = a->freed[a->freed_head];
	a->freed_head = (a->freed_head + 1) % a->max;
	a->freed_count--;
	return number;
}

static size_t alias_bytes(size_t bytes)
{
	return sizeof(struct mr_alias) + bytes;
}

uint32_t mr_aliases_take(struct mr_aliases *a, const void *subject, size_t bytes, int *rc)
{
	uint32_t number = mr_aliases_find(a, subject, bytes);

	if (number != 0)
		return number;
	struct mr_alias *alias = malloc(alias_bytes(bytes));
	*rc = -ENOMEM;
	if (alias == NULL)
		return 0;
	number = number_take(a);
	*rc = -ENOSPC;
	if (number == 0) {
		free(alias);
		return 0;
	}
	*alias = (struct mr_alias){.hash = mr_hash_text(a->hash_key, subject, bytes),
		.number = number,
		.bytes = (uint8_t)bytes};
	memcpy(alias->subject, subject, bytes);
	atomic_store_explicit(&a->slots[number], alias, memory_order_release); /* [alias.slot] */
	mr_index_add(&a->index, number);
	a->memory_bytes += alias_bytes(bytes);
	a->used++;
	return number;
}

void mr_aliases_unassign(struct mr_aliases *a, struct mr_alias *alias)
{
	mr_index_remove(&a->index, alias->number);
	/* [alias.slot] */
	atomic_store_explicit(&a->slots[alias->number], NULL, memory_order_release);
	a->used--;
}

void mr_aliases_release(struct mr_aliases *a, struct mr_alias *alias)
{
	a->freed[(a->freed_head + a->freed_count) % a->max] = alias->number;
	a->freed_count++;
	a->memory_bytes -= alias_bytes(alias->bytes);
	free(alias);
}
