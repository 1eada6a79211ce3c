/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps which session may publish by which alias: a bitmap for local ones, a set over UDP. */
#include "dataplane/writer/writer.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_rcu_qsbr.h>

#define TAKEN_OUT   UINT32_MAX
#define SLOTS_FIRST 16u

/* Slots for each alias of the session's limit. A set grows no larger: only a client that picks
 * aliases with the same first slot needs more. */
#define SLOTS_PER_ALIAS_MAX 4u

static struct mr_alias_set *set_of(const struct mr_session *s)
{
	return atomic_load_explicit(&s->remote->aliases, memory_order_relaxed);
}

/* Returns the slot of the alias, or NULL. */
static _Atomic uint32_t *set_find(struct mr_alias_set *set, uint32_t alias)
{
	uint32_t at = mr_alias_set_first(set, alias);

	for (uint32_t i = 0; i < MR_ALIAS_PROBES_MAX; i++) {
		_Atomic uint32_t *slot = &set->slots[(at + i) & set->mask];

		if (atomic_load_explicit(slot, memory_order_relaxed) == alias)
			return slot;
	}
	return NULL;
}

/* Adds an alias. False: the set is half full, or no slot where readers look is free. */
static bool set_add(struct mr_alias_set *set, uint32_t alias)
{
	uint32_t at = mr_alias_set_first(set, alias);

	for (uint32_t i = 0; i < MR_ALIAS_PROBES_MAX; i++) {
		_Atomic uint32_t *slot = &set->slots[(at + i) & set->mask];
		uint32_t here = atomic_load_explicit(slot, memory_order_relaxed);

		if (here != 0 && here != TAKEN_OUT)
			continue;
		if (here == 0 && set->count > set->mask / 2)
			return false;
		set->count += here == 0;
		atomic_store_explicit(slot, alias, memory_order_relaxed);
		return true;
	}
	return false;
}

static bool set_copy(struct mr_alias_set *to, struct mr_alias_set *from)
{
	for (uint32_t i = 0; from != NULL && i <= from->mask; i++) {
		uint32_t alias = atomic_load_explicit(&from->slots[i], memory_order_relaxed);

		if (alias != 0 && alias != TAKEN_OUT && !set_add(to, alias))
			return false;
	}
	return true;
}

static uint32_t slots_for(uint32_t aliases)
{
	uint32_t slots = SLOTS_FIRST;

	while (slots < SLOTS_PER_ALIAS_MAX * aliases)
		slots *= 2;
	return slots;
}

/* Makes a set of all aliases that the session holds and of one more, with room to grow. */
static int make_larger_set(const struct mr_writer *wr, const struct mr_session *s, uint32_t alias,
	struct mr_alias_set **out)
{
	uint32_t most = slots_for(wr->config->tables.aliases_per_client_max);

	for (uint32_t slots = slots_for(s->aliases_count + 1); slots <= most; slots *= 2) {
		struct mr_alias_set *set =
			calloc(1, sizeof(*set) + (size_t)slots * sizeof(set->slots[0]));

		if (set == NULL)
			return -ENOMEM;
		set->mask = slots - 1;
		if (set_copy(set, set_of(s)) && set_add(set, alias)) {
			*out = set;
			return 0;
		}
		free(set);
	}
	return -ENOSPC;
}

static void retire_set(struct mr_writer *wr, struct mr_alias_set *set)
{
	if (set == NULL)
		return;
	set->grace_token = rte_rcu_qsbr_start(wr->qsbr); /* [table.grace] */
	set->next = wr->remotes.retired_sets;
	wr->remotes.retired_sets = set;
}

int mr_writer_hold(struct mr_writer *wr, struct mr_session *s, uint32_t alias)
{
	struct mr_alias_set *set, *old;
	int error;

	if (s->remote == NULL) {
		mr_session_hold(s, alias, true);
		return 0;
	}
	old = set_of(s);
	if (old != NULL && set_add(old, alias))
		return 0;
	error = make_larger_set(wr, s, alias, &set);
	if (error != 0)
		return error;
	atomic_store_explicit(
		&s->remote->aliases, set, memory_order_release); /* [remote.aliases] */
	retire_set(wr, old);
	return 0;
}

void mr_writer_unhold(struct mr_session *s, uint32_t alias)
{
	_Atomic uint32_t *slot;

	if (s->remote == NULL) {
		mr_session_hold(s, alias, false);
		return;
	}
	slot = set_of(s) != NULL ? set_find(set_of(s), alias) : NULL;
	if (slot != NULL)
		atomic_store_explicit(slot, TAKEN_OUT, memory_order_relaxed);
}

int mr_writer_alias_give(struct mr_writer *wr, struct mr_session *s, struct mrf_string subject,
	uint32_t *alias, bool *at_limit)
{
	struct mr_owner owner = mr_writer_owner(s);
	int error = mr_table_alias_acquire(wr->table, &owner, subject.data, subject.bytes, alias);
	bool counted;

	if (error != 0 || mr_session_holds(s, *alias))
		return error;
	counted = mr_writer_release_waits(wr, s, *alias);
	*at_limit = !counted && s->aliases_count >= wr->config->tables.aliases_per_client_max;
	error = *at_limit ? -ENOSPC : mr_writer_hold(wr, s, *alias);
	if (error == 0) {
		s->aliases_count += !counted;
		mr_writer_release_cancel(wr, s, *alias);
	} else if (!counted) {
		(void)mr_table_alias_release(wr->table, &owner, *alias);
	}
	return error;
}

int mr_writer_alias_take(struct mr_writer *wr, struct mr_session *s, uint32_t alias)
{
	int error = mr_session_holds(s, alias) ? mr_writer_release_begin(wr, s, alias) : -ENOENT;

	if (error == 0)
		mr_writer_unhold(s, alias);
	return error;
}

bool mr_writer_aliases_tick(struct mr_writer *wr)
{
	struct mr_alias_set **at = &wr->remotes.retired_sets;

	while (*at != NULL) {
		struct mr_alias_set *set = *at;

		/* [table.grace] */
		if (rte_rcu_qsbr_check(wr->qsbr, set->grace_token, false) == 1) {
			*at = set->next;
			free(set);
		} else {
			at = &set->next;
		}
	}
	return wr->remotes.retired_sets != NULL;
}
