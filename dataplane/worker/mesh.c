/* SPDX-License-Identifier: Apache-2.0 */
/* mesh: sends messages to other workers. Each message is copied once, into a block: an mbuf that
 * only this worker fills, and all workers read that have interest in a record of it. One descriptor
 * tells a worker of a part of a block; the worker drops one reference for it.
 */

#include "dataplane/worker/stages.h"

#include <assert.h>

#include <rte_mbuf.h>

_Static_assert(sizeof(struct mr_mesh_record) == 24, "8-aligned records");
_Static_assert(sizeof(struct mr_mesh_member) == 16, "8-aligned records");
_Static_assert(sizeof(struct mr_mesh_record) + MR_MESH_MEMBERS_MAX * sizeof(struct mr_mesh_member) +
			       MR_MESSAGE_BYTES_MAX <=
		       MR_BLOCK_BYTES,
	"the largest message fits a block, for as many as a record names");

/* Blocks that deliveries leave for messages that must not wait. */
#define BLOCKS_SPARED 3u

/* A record that waits for room, as it will stand in a block. */
struct mr_mesh_queued {
	struct mr_mesh_queued *next;
	uint64_t workers; /* bit mask of its receivers */
	uint32_t bytes;
	alignas(8) uint8_t record[];
};

/* Increments a counter that another thread reads. */
static void count_up(_Atomic uint64_t *count)
{
	uint64_t now = atomic_load_explicit(count, memory_order_relaxed);

	atomic_store_explicit(count, now + 1, memory_order_release); /* [mesh.queued] */
}

static bool restock_blocks(struct mr_worker *w)
{
	uint32_t missing = MR_MESH_STASH - w->mesh.stash_count;

	/* All or none: with half a stash the next round would ask again anyway. */
	if (missing > MR_MESH_STASH / 2 &&
		rte_pktmbuf_alloc_bulk(w->blocks, &w->mesh.stash[w->mesh.stash_count], missing) ==
			0)
		w->mesh.stash_count = MR_MESH_STASH;
	return w->mesh.stash_count >= MR_MESH_STASH / 2;
}

void mr_worker_mesh_flush(struct mr_worker *w)
{
	struct mr_descriptor d = {
		.buffer = w->mesh.open,
		.offset = w->mesh.sent,
		.bytes = w->mesh.used - w->mesh.sent,
		.messages = w->mesh.messages,
		.source = w->index,
	};
	uint64_t wanted = w->mesh.wanted_by;

	if (wanted == 0)
		return;
	/* One reference for each reader, added before any reader can drop its own. */
	rte_mbuf_refcnt_update(w->mesh.open, (int16_t)__builtin_popcountll(wanted));
	while (wanted != 0) {
		unsigned to = (unsigned)__builtin_ctzll(wanted);
		uint32_t pushed = mr_spsc_push(w->mesh_out[to], &d, 1);

		wanted &= wanted - 1;
		assert(pushed == 1); /* room was checked at its first record */
		mr_count(w->stats->mesh_tx_frames, pushed);
		mr_count(w->stats->mesh_tx_messages, d.messages);
	}
	w->mesh.to_wake |= w->mesh.wanted_by;
	w->mesh.wanted_by = 0;
	w->mesh.messages = 0;
	w->mesh.sent = w->mesh.used;
}

/* True if the rings of these workers have room for a descriptor of the open block. A worker gets
 * one descriptor, so this is checked at its first record only: no other thread pushes to the ring,
 * and passed frames leave half of it free. */
static bool rings_have_room(struct mr_worker *w, uint64_t workers)
{
	for (workers &= ~w->mesh.wanted_by; workers != 0; workers &= workers - 1)
		if (mr_unlikely(mr_spsc_room(w->mesh_out[__builtin_ctzll(workers)], 1) == 0))
			return false;
	return true;
}

/* True if all these workers get a descriptor of the open block anyway, and the block has room: the
 * usual case. */
static inline bool is_wanted(const struct mr_worker *w, uint32_t bytes, uint64_t workers)
{
	return (workers & ~w->mesh.wanted_by) == 0 && w->mesh.used + bytes <= MR_BLOCK_BYTES;
}

static inline uint8_t *block_room(const struct mr_worker *w)
{
	return rte_pktmbuf_mtod_offset(w->mesh.open, uint8_t *, w->mesh.used);
}

/* Returns room for `bytes` in the open block or a new one, if the rings of all `workers` have room;
 * else NULL. */
static uint8_t *reserve_record(struct mr_worker *w, uint32_t bytes, uint64_t workers)
{
	if (w->mesh.open != NULL && w->mesh.used + bytes > MR_BLOCK_BYTES) {
		mr_worker_mesh_flush(w);
		rte_pktmbuf_free(w->mesh.open);
		w->mesh.open = NULL;
	}
	if (!rings_have_room(w, workers))
		return NULL;
	if (w->mesh.open == NULL) {
		if (bytes > MR_BLOCK_BYTES || w->mesh.stash_count == 0)
			return NULL;
		w->mesh.open = w->mesh.stash[--w->mesh.stash_count];
		w->mesh.used = 0;
		w->mesh.sent = 0;
	}
	return block_room(w);
}

/* Returns the bytes of a record before its message. `members`: NULL if there are none, which most
 * callers know. */
MR_ALWAYS_INLINE uint32_t prefix_of(
	const struct mr_mesh_record *record, const struct mr_mesh_member *members)
{
	uint32_t bytes = (uint32_t)sizeof(*record);

	if (members != NULL)
		bytes += record->members * (uint32_t)sizeof(*members);
	return bytes;
}

MR_ALWAYS_INLINE uint64_t workers_of(
	const struct mr_mesh_record *record, const struct mr_mesh_member *members)
{
	uint64_t workers = record->workers;

	for (uint32_t i = 0; members != NULL && i < record->members; i++)
		workers |= 1ull << members[i].worker;
	return workers;
}

MR_ALWAYS_INLINE void write_record(uint8_t *to, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_message_plan *plan, uint32_t target)
{
	memcpy(to, record, sizeof(*record));
	if (members != NULL && record->members > 0)
		memcpy(to + sizeof(*record), members, record->members * sizeof(*members));
	mr_message_write(to + prefix_of(record, members), plan, target);
}

/* Adds the record that was written into the open block's room. */
static void commit_record(struct mr_worker *w, uint32_t bytes, uint64_t workers)
{
	w->mesh.used += bytes;
	w->mesh.messages++;
	w->mesh.wanted_by |= workers;
}

/* True if a record may wait in the store. Queue groups and bound queues multiply publishes, which
 * therefore may take only as much of the store as they leave free. */
static bool may_wait(const struct mr_worker *w, const struct mr_mesh_record *record, uint32_t bytes)
{
	uint64_t left = mr_slab_bytes_max(w->store) - mr_slab_bytes(w->store);
	bool publish = record->what == MR_MESH_ROUTE || record->what == MR_MESH_BOUND;

	return !publish || w->mesh.queued_bytes + bytes <= left;
}

bool mr_worker_mesh_queue(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_message_plan *plan, uint32_t target)
{
	uint32_t bytes = prefix_of(record, members) + plan->stride;
	struct mr_mesh_queued *h = NULL;

	if (may_wait(w, record, bytes))
		h = mr_slab_alloc(w->store, (uint32_t)sizeof(*h) + bytes);
	if (h == NULL) {
		mr_count(w->stats->drop_mesh_full, 1);
		return false;
	}
	h->next = NULL;
	h->workers = workers_of(record, members);
	h->bytes = bytes;
	write_record(h->record, record, members, plan, target);
	*w->mesh.queued_end = h;
	w->mesh.queued_end = &h->next;
	w->mesh.queued_bytes += bytes;
	count_up(&w->mesh.queued_in);
	return true;
}

/* Sends waiting records as far as blocks and rings have room. True: none is left. */
static bool send_queued(struct mr_worker *w)
{
	while (w->mesh.queued != NULL) {
		struct mr_mesh_queued *h = w->mesh.queued;
		uint8_t *to = reserve_record(w, h->bytes, h->workers);

		if (to == NULL)
			return false;
		memcpy(to, h->record, h->bytes);
		commit_record(w, h->bytes, h->workers);
		w->mesh.queued = h->next;
		w->mesh.queued_bytes -= h->bytes;
		count_up(&w->mesh.queued_out);
		mr_slab_release(w->store, h, (uint32_t)sizeof(*h) + h->bytes);
	}
	w->mesh.queued_end = &w->mesh.queued;
	return true;
}

bool mr_worker_mesh_ready(struct mr_worker *w)
{
	if (w->workers == 1)
		return true;
	for (unsigned to = 0; to < w->workers; to++)
		if (to != w->index &&
			mr_spsc_room(w->mesh_out[to], MR_MESH_ROOM_MIN) < MR_MESH_ROOM_MIN)
			return false;
	/* Records that waited go first. */
	return restock_blocks(w) &&
	       (mr_likely(w->mesh.queued == NULL) || (send_queued(w) && restock_blocks(w)));
}

/* Writes a record into the open block. False: no room, or other records wait: overtaking them would
 * change the order of a client's messages. */
MR_ALWAYS_INLINE bool put_record(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_message_plan *plan, uint32_t target)
{
	uint32_t bytes = prefix_of(record, members) + plan->stride;
	uint64_t workers = workers_of(record, members);
	uint8_t *to = NULL;

	assert(workers != 0);
	if (mr_likely(w->mesh.queued == NULL))
		to = mr_likely(is_wanted(w, bytes, workers)) ? block_room(w)
							     : reserve_record(w, bytes, workers);
	if (mr_unlikely(to == NULL))
		return false;
	write_record(to, record, members, plan, target);
	commit_record(w, bytes, workers);
	return true;
}

bool mr_worker_mesh_put(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_message_plan *plan, uint32_t target)
{
	return put_record(w, record, members, plan, target);
}

static void send_record(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_message_plan *plan, uint32_t target)
{
	if (mr_unlikely(!put_record(w, record, NULL, plan, target)))
		(void)mr_worker_mesh_queue(w, record, NULL, plan, target);
}

void mr_worker_mesh_home(struct mr_worker *w, unsigned home, uint64_t from,
	const struct mr_message_plan *plan, uint32_t target)
{
	struct mr_mesh_record record = {
		.workers = 1ull << home, .session = from, .what = MR_MESH_HOME};

	send_record(w, &record, plan, target);
}

void mr_worker_mesh_to_session(
	struct mr_worker *w, uint64_t session, const struct mr_message_plan *plan, uint32_t target)
{
	struct mr_mesh_record record = {
		.workers = 1ull << mr_session_worker(session),
		.session = session,
		.what = MR_MESH_SESSION,
	};

	send_record(w, &record, plan, target);
}

bool mr_worker_mesh_spare(struct mr_worker *w, unsigned to, uint32_t bytes)
{
	bytes += (uint32_t)sizeof(struct mr_mesh_record);
	if (mr_unlikely(w->mesh.queued != NULL))
		return false;
	if (mr_likely(is_wanted(w, bytes, 1ull << to)))
		return true;
	return mr_spsc_room(w->mesh_out[to], MR_MESH_ROOM_MIN) >= MR_MESH_ROOM_MIN &&
	       (w->mesh.stash_count > BLOCKS_SPARED ||
		       (w->mesh.open != NULL && w->mesh.used + bytes <= MR_BLOCK_BYTES));
}

void mr_worker_mesh_wake(struct mr_worker *w)
{
	while (w->mesh.to_wake != 0) {
		unsigned to = (unsigned)__builtin_ctzll(w->mesh.to_wake);
		struct mr_worker *peer = w->peers[to];

		w->mesh.to_wake &= w->mesh.to_wake - 1;
		/* [worker.sleep] */
		if (atomic_load_explicit(&peer->page->asleep, memory_order_seq_cst) != 0) {
			mr_bell_ring(peer->bell_fd);
			mr_count(w->stats->bells, 1);
		}
	}
}

/* Returns a delivery that its consumer had no room for to the queue's home worker. */
void mr_worker_mesh_undelivered(
	struct mr_worker *w, uint64_t session, const struct mr_message_view *m)
{
	unsigned home = mr_queue_worker(m->extra.delivery.queue);
	struct mr_mesh_record record = {
		.workers = 1ull << home, .session = session, .what = MR_MESH_UNDELIVERED};
	struct mr_message_extra extra = {
		.flags = MRF_MESSAGE_FLAG_DELIVERY, .delivery = m->extra.delivery};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_DELIVER, NULL, NULL, 0, NULL, 0, 0);

	mr_message_plan_extra(&plan, &extra);
	send_record(w, &record, &plan, 0);
}

void mr_worker_mesh_fini(struct mr_worker *w)
{
	struct mr_descriptor d;

	if (w->mesh.open != NULL)
		rte_pktmbuf_free(w->mesh.open);
	w->mesh.open = NULL;
	while (w->mesh.stash_count > 0)
		rte_pktmbuf_free(w->mesh.stash[--w->mesh.stash_count]);
	for (unsigned from = 0; from < w->workers; from++) {
		struct mr_mesh_source *in = &w->mesh.sources[from];

		for (; in->next < in->count; in->next++)
			rte_pktmbuf_free(in->blocks[in->next].buffer);
		while (from != w->index && w->mesh_in[from] != NULL &&
			mr_spsc_pop(w->mesh_in[from], &d, 1) == 1)
			rte_pktmbuf_free(d.buffer);
	}
}
