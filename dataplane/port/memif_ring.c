/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/memif_ring.h"

#include <string.h>

#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>

/* Loads a slot's fields, each once. */
static struct mr_memif_slot load_slot(const struct mr_memif_ring *r, uint16_t at)
{
	const struct mr_memif_slot *s = &r->shared->slots[at & (r->slots - 1)];

	return (struct mr_memif_slot){
		.flags = __atomic_load_n(&s->flags, __ATOMIC_RELAXED),
		.region = __atomic_load_n(&s->region, __ATOMIC_RELAXED),
		.length = __atomic_load_n(&s->length, __ATOMIC_RELAXED),
		.offset = __atomic_load_n(&s->offset, __ATOMIC_RELAXED),
	};
}

/* Returns the buffer of a slot with room for s->length bytes; NULL: it is not in the memory. */
static uint8_t *buffer_of(const struct mr_memif_queue *q, const struct mr_memif_ring *r,
	uint16_t at, const struct mr_memif_slot *s)
{
	const struct mr_memif_region *region;

	if (q->client)
		return mr_unlikely(s->length > q->buffer_bytes)
			       ? NULL
			       : q->regions[0].at + r->first +
					 (uint64_t)(at & (r->slots - 1)) * q->buffer_bytes;
	if (mr_unlikely(s->region >= MR_MEMIF_REGIONS_MAX))
		return NULL;
	region = &q->regions[s->region];
	if (mr_unlikely(region->at == NULL || s->offset > region->bytes ||
			s->length > region->bytes - s->offset))
		return NULL;
	return region->at + s->offset;
}

static void mark_broken(struct mr_memif_queue *q)
{
	mr_count(q->rx_errors, 1);
	atomic_store_explicit(&q->broken, true, memory_order_relaxed);
}

static bool is_broken(const struct mr_memif_queue *q)
{
	return mr_unlikely(atomic_load_explicit(&q->broken, memory_order_relaxed));
}

/* Returns how many slots from `r->at` on the peer has handed over. */
static uint16_t slots_from_peer(
	struct mr_memif_queue *q, const struct mr_memif_ring *r, const uint16_t *index)
{
	/* [memif.packets] [memif.room] */
	uint16_t count = (uint16_t)(__atomic_load_n(index, __ATOMIC_ACQUIRE) - r->at);
	uint32_t most = r == &q->rx && q->client ? (uint16_t)(r->free_end - r->at) : r->slots;

	if (mr_likely(count <= most))
		return count;
	mark_broken(q);
	return 0;
}

/* ---- receive */

/* Copies a packet out of its slots; returns how many those are. 0: the peer breaks the rules. The
 * packet's length is 0 if it is larger than the buffer. */
static uint16_t copy_out(struct mr_memif_queue *q, uint16_t at, uint16_t most, struct rte_mbuf *m)
{
	uint32_t room = rte_pktmbuf_tailroom(m), bytes = 0;
	bool fits = true;

	for (uint16_t used = 0; used < most; used++) {
		struct mr_memif_slot s = load_slot(&q->rx, (uint16_t)(at + used));
		const uint8_t *from = buffer_of(q, &q->rx, (uint16_t)(at + used), &s);

		if (mr_unlikely(from == NULL))
			return 0;
		fits = fits && s.length <= room - bytes;
		if (mr_likely(fits)) {
			rte_memcpy(rte_pktmbuf_mtod_offset(m, void *, bytes), from, s.length);
			bytes += s.length;
		}
		if (mr_unlikely((s.flags & MR_MEMIF_NEXT) != 0))
			continue;
		m->data_len = fits ? (uint16_t)bytes : 0;
		m->pkt_len = m->data_len;
		return (uint16_t)(used + 1);
	}
	return 0;
}

/* Gives a client's buffers that were read, back to the server. */
static void post(struct mr_memif_queue *q)
{
	struct mr_memif_ring *r = &q->rx;
	uint16_t end = (uint16_t)(r->at + r->slots);

	for (; r->free_end != end; r->free_end++) {
		uint32_t i = r->free_end & (r->slots - 1);

		r->shared->slots[i] = (struct mr_memif_slot){
			.length = q->buffer_bytes, .offset = r->first + i * q->buffer_bytes};
	}
	__atomic_store_n(&r->shared->head, r->free_end, __ATOMIC_RELEASE); /* [memif.room] */
}

/* Ends a burst: the slots before r->at are the sender's again. */
static void give_back(struct mr_memif_queue *q)
{
	if (q->client)
		post(q);
	else /* [memif.room] */
		__atomic_store_n(&q->rx.shared->tail, q->rx.at, __ATOMIC_RELEASE);
}

/* Takes packets from `slots` slots into `m`; returns how many of `m` have one. */
static uint16_t take(struct mr_memif_queue *q, uint16_t slots, struct rte_mbuf **m, uint16_t count)
{
	uint16_t taken = 0;

	while (slots > 0 && taken < count) {
		uint16_t used = copy_out(q, q->rx.at, slots, m[taken]);

		if (mr_unlikely(used == 0)) {
			mark_broken(q);
			break;
		}
		q->rx.at = (uint16_t)(q->rx.at + used);
		slots = (uint16_t)(slots - used);
		if (mr_likely(m[taken]->data_len > 0))
			taken++;
		else
			mr_count(q->rx_errors, 1);
	}
	return taken;
}

uint16_t mr_memif_rx(struct mr_memif_queue *q, struct rte_mbuf **m, uint16_t count)
{
	struct mr_memif_shared *shared = q->rx.shared;
	uint16_t slots, taken;

	if (is_broken(q))
		return 0;
	slots = slots_from_peer(q, &q->rx, q->client ? &shared->tail : &shared->head);
	if (slots == 0)
		return 0;
	if (count > slots)
		count = slots;
	if (mr_unlikely(rte_pktmbuf_alloc_bulk(q->pool, m, count) != 0)) {
		mr_count(q->rx_no_buffer, 1);
		return 0;
	}
	taken = take(q, slots, m, count);
	give_back(q);
	if (mr_unlikely(taken < count))
		rte_pktmbuf_free_bulk(&m[taken], (unsigned)(count - taken));
	return taken;
}

/* ---- send */

static void store_slot(struct mr_memif_queue *q, uint16_t at, uint32_t length, bool last)
{
	uint32_t i = at & (q->tx.slots - 1);
	struct mr_memif_slot *s = &q->tx.shared->slots[i];

	if (q->client) {
		s->region = 0;
		s->offset = q->tx.first + i * q->buffer_bytes;
	}
	s->length = length;
	s->flags = last ? 0 : MR_MEMIF_NEXT;
}

/* Copies a packet into slots; returns how many those are. 0: they do not suffice, or the queue is
 * broken. */
static uint16_t copy_in(
	struct mr_memif_queue *q, uint16_t at, uint16_t most, const struct rte_mbuf *m)
{
	const uint8_t *from = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t left = m->data_len;

	for (uint16_t used = 0; used < most; used++) {
		uint16_t slot = (uint16_t)(at + used);
		struct mr_memif_slot s = {.length = q->buffer_bytes};
		uint8_t *to;
		uint32_t bytes;

		if (!q->client)
			s = load_slot(&q->tx, slot);
		to = buffer_of(q, &q->tx, slot, &s);
		if (mr_unlikely(to == NULL || s.length == 0)) {
			mark_broken(q);
			return 0;
		}
		bytes = left < s.length ? left : s.length;
		rte_memcpy(to, from, bytes);
		from += bytes;
		left -= bytes;
		store_slot(q, slot, bytes, left == 0);
		if (mr_likely(left == 0))
			return (uint16_t)(used + 1);
	}
	return 0;
}

void mr_memif_want_bell(struct mr_memif_queue *q, bool wants)
{
	__atomic_store_n(&q->rx.shared->flags, wants ? 0 : MR_MEMIF_POLLS, __ATOMIC_RELAXED);
	/* The peer must see this before the worker looks for packets once more. */
	if (wants)
		atomic_thread_fence(memory_order_seq_cst);
}

/* Returns how many slots can take packets. */
static uint16_t free_slots(struct mr_memif_queue *q)
{
	struct mr_memif_ring *r = &q->tx;
	uint16_t under_way;

	if (!q->client)
		return slots_from_peer(q, r, &r->shared->head);
	/* [memif.room] */
	under_way = (uint16_t)(r->at - __atomic_load_n(&r->shared->tail, __ATOMIC_ACQUIRE));
	if (mr_likely(under_way <= r->slots))
		return (uint16_t)(r->slots - under_way);
	mark_broken(q);
	return 0;
}

uint16_t mr_memif_tx(struct mr_memif_queue *q, struct rte_mbuf **m, uint16_t count)
{
	struct mr_memif_shared *shared = q->tx.shared;
	uint16_t sent = 0, slots;

	if (is_broken(q))
		return 0;
	slots = free_slots(q);
	while (sent < count) {
		uint16_t used = copy_in(q, q->tx.at, slots, m[sent]);

		if (used == 0)
			break;
		q->tx.at = (uint16_t)(q->tx.at + used);
		slots = (uint16_t)(slots - used);
		sent++;
	}
	if (sent == 0)
		return 0;
	/* [memif.packets] */
	__atomic_store_n(q->client ? &shared->head : &shared->tail, q->tx.at, __ATOMIC_RELEASE);
	if ((__atomic_load_n(&shared->flags, __ATOMIC_RELAXED) & MR_MEMIF_POLLS) == 0)
		mr_count(q->asleep, 1);
	rte_pktmbuf_free_bulk(m, sent);
	return sent;
}

/* ---- set up */

uint64_t mr_memif_layout_bytes(unsigned log2, uint32_t buffer_bytes)
{
	return 2 * mr_memif_ring_bytes(log2) + 2 * ((uint64_t)buffer_bytes << log2);
}

void mr_memif_layout(struct mr_memif_queue *q, unsigned log2, uint32_t buffer_bytes)
{
	uint64_t ring_bytes = mr_memif_ring_bytes(log2);
	struct mr_memif_ring *const rings[] = {&q->tx, &q->rx};

	q->client = true;
	q->buffer_bytes = buffer_bytes;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(rings); i++) {
		*rings[i] = (struct mr_memif_ring){
			.shared = (void *)(q->regions[0].at + i * ring_bytes),
			.slots = 1u << log2,
			.first = (uint32_t)(2 * ring_bytes + i * ((uint64_t)buffer_bytes << log2)),
		};
		rings[i]->shared->cookie = MR_MEMIF_COOKIE;
	}
	for (uint32_t i = 0; i < q->tx.slots; i++)
		q->tx.shared->slots[i] = (struct mr_memif_slot){
			.length = buffer_bytes, .offset = q->tx.first + i * buffer_bytes};
	q->rx.shared->flags = MR_MEMIF_POLLS;
}

void mr_memif_post_all(struct mr_memif_queue *q)
{
	post(q);
}

bool mr_memif_find_ring(const struct mr_memif_region *region, uint32_t offset, unsigned log2,
	struct mr_memif_ring *out)
{
	uint64_t bytes = mr_memif_ring_bytes(log2);

	if (offset % 64 != 0 || offset > region->bytes || bytes > region->bytes - offset)
		return false;
	*out = (struct mr_memif_ring){.shared = (void *)(region->at + offset), .slots = 1u << log2};
	return __atomic_load_n(&out->shared->cookie, __ATOMIC_RELAXED) == MR_MEMIF_COOKIE;
}
