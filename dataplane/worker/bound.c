/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/bound.h"

#include "lib/base/memory.h"

static size_t flags_bytes(uint32_t count)
{
	return sizeof(struct mr_bound_flags) + count * sizeof(struct mr_full_flag);
}

struct mr_bound_flags *mr_bound_flags_new(uint32_t slots)
{
	struct mr_bound_flags *f;
	uint32_t count = 1;

	while (count < slots)
		count *= 2;
	f = mr_memory_map(flags_bytes(count), false);
	if (f != NULL)
		f->mask = count - 1;
	return f;
}

void mr_bound_flags_free(struct mr_bound_flags *f)
{
	if (f != NULL)
		mr_memory_unmap(f, flags_bytes(f->mask + 1));
}

static struct mr_full_flag *flag_at(
	struct mr_bound_flags *f, enum mr_queue_held what, uint64_t index)
{
	switch (what) {
	case MR_QUEUE_HELD_QUEUE: return &f->of[index & f->mask];
	case MR_QUEUE_HELD_PEER: return &f->peers[index % MR_QUEUE_HELD_PEERS];
	default: return &f->memory;
	}
}

/* Returns a queue's flag without its low half. */
static uint64_t high_half(const struct mr_bound_flags *f, uint32_t queue)
{
	return MR_BOUND_FLAG | (uint64_t)(queue & 0x7ffffff & ~f->mask) << 32;
}

static void set_flag(
	struct mr_bound_flags *f, struct mr_full_flag *flag, enum mr_queue_held what, uint64_t of)
{
	uint64_t value = what == MR_QUEUE_HELD_QUEUE ? high_half(f, (uint32_t)of) : MR_BOUND_FLAG;

	if (what == MR_QUEUE_HELD_PEER)
		atomic_store_explicit(&f->peer_of[flag - f->peers], of, memory_order_relaxed);
	atomic_store_explicit(&flag->session, value | ++f->settings, memory_order_seq_cst);
	atomic_fetch_add_explicit(&f->count, 1, memory_order_relaxed);
}

void mr_worker_bound_hold(struct mr_worker *w, enum mr_queue_held what, uint64_t index, uint64_t of)
{
	struct mr_bound_flags *f = w->bound;
	struct mr_full_flag *flag = flag_at(f, what, index);

	if (of != 0) {
		set_flag(f, flag, what, of);
		return;
	}
	/* [worker.sleep] */
	atomic_store_explicit(&flag->session, 0, memory_order_seq_cst);
	atomic_fetch_sub_explicit(&f->count, 1, memory_order_relaxed);
	mr_worker_wake_peers(w);
}

/* [worker.sleep] */
static uint64_t load_flag(const struct mr_full_flag *flag)
{
	return atomic_load_explicit(&flag->session, memory_order_seq_cst);
}

/* Returns the index of the peer's flag; MR_QUEUE_HELD_PEERS: it has none. */
static uint32_t index_of(const struct mr_bound_flags *f, uint64_t peer)
{
	uint32_t i = 0;

	while (i < MR_QUEUE_HELD_PEERS &&
		atomic_load_explicit(&f->peer_of[i], memory_order_relaxed) != peer)
		i++;
	return i;
}

/* Returns the flag that holds the peer's publishes for the queue; sets *value to what it is. */
static const struct mr_full_flag *held_by(
	const struct mr_bound_flags *f, uint32_t queue, uint64_t peer, uint64_t *value)
{
	const struct mr_full_flag *flag = &f->of[queue & f->mask];
	uint32_t i;

	*value = load_flag(flag);
	if ((*value & ~(uint64_t)UINT32_MAX) == high_half(f, queue))
		return flag;
	*value = load_flag(&f->memory);
	if (*value != 0)
		return &f->memory;
	i = peer != MR_PEER_OWN ? index_of(f, peer) : MR_QUEUE_HELD_PEERS;
	if (i == MR_QUEUE_HELD_PEERS)
		return NULL;
	*value = load_flag(&f->peers[i]);
	return *value != 0 ? &f->peers[i] : NULL;
}

enum mr_bound_state mr_worker_bound_look(struct mr_worker *w, uint64_t peer,
	const struct mr_route *r, uint32_t g, const struct mr_full_flag **flag, uint64_t *value)
{
	const struct mr_bound_flags *f;
	struct mr_member member;

	if (!mr_bound_find(r, g, &member))
		return MR_BOUND_OPEN;
	if (member.worker != w->index && mr_unlikely(mr_worker_window_full(w, member.worker)))
		return MR_BOUND_LATE;
	f = member.worker == w->index ? w->bound : w->peers[member.worker]->bound;
	if (mr_likely(atomic_load_explicit(&f->count, memory_order_relaxed) == 0))
		return MR_BOUND_OPEN;
	*flag = held_by(f, member.generation, peer, value);
	return *flag != NULL ? MR_BOUND_HELD : MR_BOUND_OPEN;
}

bool mr_bound_has_members(const struct mr_route *r)
{
	for (uint32_t g = 0; g < r->group_count; g++)
		if (!mr_route_group_is_queue(&r->groups[g]))
			return true;
	return false;
}
