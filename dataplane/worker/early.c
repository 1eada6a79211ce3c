/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/early.h"

#include <string.h>

/* Returned pieces that one call puts back into the slab. */
#define BACK_AT_ONCE 64u

int mr_early_init(struct mr_early *e, uint64_t bytes_max, uint32_t percent, uint32_t peers_max)
{
	int error = mr_slab_new(bytes_max, &e->store);

	if (error != 0)
		return error;
	e->bytes_max = mr_slab_bytes_max(e->store);
	e->share_bytes = mr_share_bound(e->bytes_max, percent > 0 ? percent : 100).share;
	/* A peer may have slabs and no bytes: see lib/base/slab.h. */
	peers_max += mr_slab_count_max(e->store);
	mr_slab_owners(e->store, &e->shares, e->share_bytes);
	return mr_shares_init(&e->shares, peers_max, peers_max);
}

void mr_early_fini(struct mr_early *e)
{
	mr_shares_fini(&e->shares);
	if (e->store != NULL)
		mr_slab_free(e->store);
}

static struct mr_early_piece *piece_of(struct mr_flow_slot *slot)
{
	return mr_container_of(slot, struct mr_early_piece, slot);
}

/* All pieces of a session have one size, so a freed one serves the next frame. */
static uint32_t piece_bytes(const struct mr_flow *flow)
{
	return (uint32_t)offsetof(struct mr_early_piece, slot) + flow->slot_bytes;
}

static void put_back(struct mr_early *e, struct mr_early_piece *p)
{
	mr_share_give(&e->shares, p->peer, 0, p->bytes);
	mr_slab_release(e->store, p, p->bytes);
}

static void take_back(struct mr_early *e)
{
	if (e->taking_back == NULL)
		e->taking_back = atomic_exchange_explicit(
			&e->returned, NULL, memory_order_acquire); /* [early.returned] */
	for (unsigned i = 0; i < BACK_AT_ONCE && e->taking_back != NULL; i++) {
		struct mr_early_piece *p = e->taking_back;

		e->taking_back = p->next;
		put_back(e, p);
	}
}

struct mr_flow_slot *mr_early_take(struct mr_early *e, const struct mr_flow *flow, uint64_t peer)
{
	uint32_t bytes = piece_bytes(flow);
	struct mr_early_piece *p;

	if (e->taking_back != NULL ||
		atomic_load_explicit(&e->returned, memory_order_relaxed) != NULL)
		take_back(e);
	if (bytes > MR_SLAB_CHUNK_BYTES_MAX ||
		mr_share_take(&e->shares, peer, 0, bytes, e->share_bytes) != 0)
		return NULL;
	p = mr_slab_alloc_for(e->store, bytes, mr_share_number(&e->shares, peer, 0));
	if (p == NULL) {
		mr_share_give(&e->shares, peer, 0, bytes);
		return NULL;
	}
	p->peer = peer;
	p->bytes = bytes;
	return &p->slot;
}

void mr_early_give(struct mr_early *e, struct mr_flow_slot *slot)
{
	put_back(e, piece_of(slot));
}

void mr_early_return(struct mr_early *e, struct mr_flow *flow)
{
	for (uint32_t i = 0; flow->memory != NULL && i < flow->rx.slots; i++) {
		struct mr_flow_slot *slot = flow->kept[i];
		struct mr_early_piece *p;

		if (slot == NULL || slot == mr_flow_own(flow))
			continue;
		p = piece_of(slot);
		p->next = atomic_load_explicit(&e->returned, memory_order_relaxed);
		while (!atomic_compare_exchange_weak_explicit(&e->returned, &p->next, p,
			memory_order_release, memory_order_relaxed)) /* [early.returned] */
			;
	}
}

uint32_t mr_early_frames_left(const struct mr_early *e, const struct mr_flow *flow, uint64_t peer)
{
	uint64_t used = mr_slab_bytes(e->store);
	uint64_t has, left, frames;

	if (used == 0)
		return UINT32_MAX;
	has = mr_share_count(&e->shares, peer, 0);
	left = used < e->bytes_max ? e->bytes_max - used : 0;
	if (e->share_bytes < left + has)
		left = e->share_bytes > has ? e->share_bytes - has : 0;
	frames = left / piece_bytes(flow);
	return frames < UINT32_MAX ? (uint32_t)frames : UINT32_MAX;
}
