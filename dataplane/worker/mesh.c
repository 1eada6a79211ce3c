/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for other workers are copied once, into a block: an mbuf filled by this worker alone and
 * read by all others that have interest in anything in it. The others learn of a part of a block by
 * one descriptor and drop one reference for it.
 */
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/fan.h"
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/promise_deliver.h"
#include "dataplane/worker/queues.h"

#include <assert.h>

#include <rte_mbuf.h>

_Static_assert(sizeof(struct mr_mesh_record) == 24, "8-aligned records");
_Static_assert(sizeof(struct mr_mesh_member) == 16, "8-aligned records");
_Static_assert(sizeof(struct mr_mesh_record) + MR_MESH_MEMBERS_MAX * sizeof(struct mr_mesh_member) +
			       MR_MESSAGE_BYTES_MAX <=
		       MR_BLOCK_BYTES,
	"the largest message fits a block, for as many as a record names");

/* Blocks that deliveries leave to what must not wait. */
#define BLOCKS_SPARED 3u

/* A record that waits for room, as it will stand in a block. */
struct mr_mesh_held {
	struct mr_mesh_held *next;
	uint64_t workers; /* that it is for */
	uint32_t bytes;
	alignas(8) uint8_t record[];
};

/* A count that another thread reads. */
static void count_up(_Atomic uint64_t *count)
{
	uint64_t now = atomic_load_explicit(count, memory_order_relaxed);

	atomic_store_explicit(count, now + 1, memory_order_release); /* [mesh.held] */
}

static bool restock_blocks(struct mr_worker *w)
{
	uint32_t missing = MR_MESH_STASH - w->mesh.stash_count;

	/* All or none: half a stash would have to be asked for again in the next round anyway. */
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
	/* One reference for each reader, taken before any of them can give its own back. */
	rte_mbuf_refcnt_update(w->mesh.open, (int16_t)__builtin_popcountll(wanted));
	while (wanted != 0) {
		unsigned to = (unsigned)__builtin_ctzll(wanted);
		uint32_t pushed = mr_spsc_push(w->mesh_out[to], &d, 1);

		wanted &= wanted - 1;
		assert(pushed == 1); /* its room was sure before anything was written for `to` */
		mr_count(w->stats->mesh_tx_frames, pushed);
		mr_count(w->stats->mesh_tx_messages, d.messages);
	}
	w->mesh.rung |= w->mesh.wanted_by;
	w->mesh.wanted_by = 0;
	w->mesh.messages = 0;
	w->mesh.sent = w->mesh.used;
}

/* A worker that wants something in the open block is told by one descriptor, whose room is looked for when
 * it wants the first: nobody but this worker takes of it, and frames that are passed on leave half. */
static bool rings_have_room(struct mr_worker *w, uint64_t workers)
{
	for (workers &= ~w->mesh.wanted_by; workers != 0; workers &= workers - 1)
		if (mr_unlikely(mr_spsc_room(w->mesh_out[__builtin_ctzll(workers)], 1) == 0))
			return false;
	return true;
}

/* True if all of them are to be told of the open block anyway, and it has the room: what is most often so. */
static inline bool is_wanted(const struct mr_worker *w, uint32_t bytes, uint64_t workers)
{
	return (workers & ~w->mesh.wanted_by) == 0 && w->mesh.used + bytes <= MR_BLOCK_BYTES;
}

static inline uint8_t *block_room(const struct mr_worker *w)
{
	return rte_pktmbuf_mtod_offset(w->mesh.open, uint8_t *, w->mesh.used);
}

/* Room for `bytes` in the open block or a new one, and to tell them all of it; NULL when there is none to
 * be had. */
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

/* `members`: NULL if there are none, which most callers know. */
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

/* What stands in the open block's room is its own now. */
static void commit_record(struct mr_worker *w, uint32_t bytes, uint64_t workers)
{
	w->mesh.used += bytes;
	w->mesh.messages++;
	w->mesh.wanted_by |= workers;
}

/* Many queue groups make much of little: what clients publish leaves as much as it takes to all others. */
static bool may_wait(const struct mr_worker *w, const struct mr_mesh_record *record, uint32_t bytes)
{
	uint64_t left = mr_slab_bytes_max(w->store) - mr_slab_bytes(w->store);

	return record->what != MR_MESH_ROUTE || w->mesh.held_bytes + bytes <= left;
}

bool mr_worker_mesh_hold(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_message_plan *plan, uint32_t target)
{
	uint32_t bytes = prefix_of(record, members) + plan->stride;
	struct mr_mesh_held *h = NULL;

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
	*w->mesh.held_end = h;
	w->mesh.held_end = &h->next;
	w->mesh.held_bytes += bytes;
	count_up(&w->mesh.held_in);
	return true;
}

/* Sends what was held, as far as blocks and rings go. True: all of it. */
static bool release_held(struct mr_worker *w)
{
	while (w->mesh.held != NULL) {
		struct mr_mesh_held *h = w->mesh.held;
		uint8_t *to = reserve_record(w, h->bytes, h->workers);

		if (to == NULL)
			return false;
		memcpy(to, h->record, h->bytes);
		commit_record(w, h->bytes, h->workers);
		w->mesh.held = h->next;
		w->mesh.held_bytes -= h->bytes;
		count_up(&w->mesh.held_out);
		mr_slab_release(w->store, h, (uint32_t)sizeof(*h) + h->bytes);
	}
	w->mesh.held_end = &w->mesh.held;
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
	/* What waited goes first. */
	return restock_blocks(w) &&
	       (mr_likely(w->mesh.held == NULL) || (release_held(w) && restock_blocks(w)));
}

/* Behind what waits, or what one client says would go in another order. */
MR_ALWAYS_INLINE bool put_record(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_message_plan *plan, uint32_t target)
{
	uint32_t bytes = prefix_of(record, members) + plan->stride;
	uint64_t workers = workers_of(record, members);
	uint8_t *to = NULL;

	assert(workers != 0);
	if (mr_likely(w->mesh.held == NULL))
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
		(void)mr_worker_mesh_hold(w, record, NULL, plan, target);
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
	if (mr_unlikely(w->mesh.held != NULL))
		return false;
	if (mr_likely(is_wanted(w, bytes, 1ull << to)))
		return true;
	return mr_spsc_room(w->mesh_out[to], MR_MESH_ROOM_MIN) >= MR_MESH_ROOM_MIN &&
	       (w->mesh.stash_count > BLOCKS_SPARED ||
		       (w->mesh.open != NULL && w->mesh.used + bytes <= MR_BLOCK_BYTES));
}

void mr_worker_mesh_ring(struct mr_worker *w)
{
	while (w->mesh.rung != 0) {
		unsigned to = (unsigned)__builtin_ctzll(w->mesh.rung);
		struct mr_worker *peer = w->peers[to];

		w->mesh.rung &= w->mesh.rung - 1;
		/* [worker.sleep] */
		if (atomic_load_explicit(&peer->page->asleep, memory_order_seq_cst) != 0) {
			mr_bell_ring(peer->bell_fd);
			mr_count(w->stats->bells, 1);
		}
	}
}

static void deliver_member(struct mr_worker *w, const struct mr_mesh_member *member,
	const struct mr_route *r, bool promised, const struct mr_message_plan *plan)
{
	struct mr_session *s = mr_directory_find(&w->directory, member->slot, member->generation);

	if (s == NULL || mr_worker_is_over(s))
		mr_count(w->stats->drop_session_gone, 1);
	else if (promised && member->water != 0)
		w->round.delivered +=
			mr_worker_promise_member(w, s, r, member->water, plan, member->sub_id);
	else if (mr_worker_copy(w, s, plan, member->sub_id))
		w->round.delivered++;
	else
		mr_worker_no_room(w, s, plan->stride, &w->stats->drop_group_full);
}

static void count_missed(struct mr_session *s)
{
	s->missed_untold++;
	mr_count(s->stats->missed, 1);
}

/* The alias became another's while the message was under way, which the table writer does not let happen
 * (passage.c). Should it all the same, whose it was is not known here: all who subscribe are told. */
static void __attribute__((noinline)) lose_publish(struct mr_worker *w,
	const struct mr_mesh_record *record, const struct mr_mesh_member *members)
{
	struct mr_session *s;

	mr_count(w->stats->drop_bad_alias, 1);
	for (uint32_t i = 0; i < record->members; i++) {
		s = mr_directory_find(&w->directory, members[i].slot, members[i].generation);
		if (members[i].worker == w->index && s != NULL)
			count_missed(s);
	}
	if (!(record->workers & 1ull << w->index))
		return;
	for (uint32_t slot = 0; slot < w->directory.slots_count; slot++) {
		/* [session.slot] */
		s = atomic_load_explicit(&w->directory.slots[slot], memory_order_acquire);
		if (s != NULL && __atomic_load_n(&s->subscriptions, __ATOMIC_RELAXED) > 0)
			count_missed(s);
	}
}

/* A copy of it was made for everybody who is named. */
static void end_publish(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_route *r,
	const struct mr_message_view *m, const struct mr_message_plan *plan)
{
	bool promised = mr_message_is_promised(m->header.flags);

	for (uint32_t i = 0; i < record->members; i++)
		if (members[i].worker == w->index)
			deliver_member(w, &members[i], r, promised, plan);
	if (promised)
		mr_worker_window_taken(w, m->header_bytes + m->payload_bytes);
}

/* To many: what is not done in this turn is kept. */
static struct mr_fan *__attribute__((noinline))
take_large(struct mr_worker *w, const struct mr_message_view *m, const struct mr_route *r)
{
	struct mr_fan_load l = {.view = m, .count = 1, .bytes = m->header.bytes};
	struct mr_fan_at at = {0};

	l.token = m->header.flags & MRF_MESSAGE_FLAG_TOKEN ? &m->token : NULL;
	l.promised = mr_message_is_promised(m->header.flags);
	mr_fan_count_cut(w, r, &l);
	if (l.promised)
		at.number = ++w->promised_count;
	return mr_fan_deliver(w, r, &l, &at, false) ? NULL : mr_fan_keep(w, r, &l, &at, 0);
}

/* Returns the fan-out that was left; then the rest of the record is to be done behind it. */
static struct mr_fan *take_publish(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_message_view *m)
{
	const struct mrf_reply_token *token =
		m->header.flags & MRF_MESSAGE_FLAG_TOKEN ? &m->token : NULL;
	bool own = (record->workers & 1ull << w->index) != 0;
	struct mr_message_plan plan;
	struct mr_message_extra extra;
	const struct mr_route *r;
	struct mr_fan *fan = NULL;

	r = m->header.target != 0 ? mr_worker_alias(w, m->header.target)
				  : mr_worker_subject(w, m->subject, m->subject_bytes);
	if (mr_unlikely(r == NULL || r->hash != record->hash)) {
		if (mr_message_is_promised(m->header.flags))
			mr_worker_window_taken(w, m->header_bytes + m->payload_bytes);
		lose_publish(w, record, members);
		return NULL;
	}
	w->share.turn_work += 1 + r->sinks * (1 + (m->header.bytes >> MR_FAN_BYTES_SHIFT));
	plan = mr_worker_delivery(r, m, token);
	if (mr_unlikely((m->header.flags & MR_MESSAGE_FLAGS_PARTS) != 0)) {
		extra = mr_worker_passed_on(m);
		mr_message_plan_extra(&plan, &extra);
	}
	if (own && mr_unlikely(r->large))
		fan = take_large(w, m, r);
	else if (own)
		(void)(mr_message_is_promised(m->header.flags)
				? mr_worker_promise_own(w, r, &plan)
				: mr_worker_deliver_own(w, r, &plan));
	if (mr_likely(fan == NULL))
		end_publish(w, record, members, r, m, &plan);
	return fan;
}

/* A block goes to all who want anything in it: not every record in it is for everyone. */
static bool for_this_worker(const struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members)
{
	if (record->workers & 1ull << w->index)
		return true;
	for (uint32_t i = 0; i < record->members; i++)
		if (members[i].worker == w->index)
			return true;
	return false;
}

/* The home worker is to know that a delivery did not come to its consumer. */
static void send_back(struct mr_worker *w, uint64_t session, const struct mr_message_view *m)
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

/* A delivery can be taken back, so it leaves half of what a session may be held to what cannot. One to a
 * session that is gone is not sent back: its home looks for the session, too. */
static void take_for_session(struct mr_worker *w, uint64_t session, const struct mr_message_view *m)
{
	struct mr_session *s = mr_directory_find(
		&w->directory, mr_session_slot(session), mr_session_generation(session));
	bool delivery = m->header.kind == MRF_MESSAGE_KIND_DELIVER &&
			(m->header.flags & MRF_MESSAGE_FLAG_DELIVERY) != 0;
	struct mr_message_plan plan;

	if (mr_unlikely(s == NULL || mr_worker_is_over(s))) {
		mr_count(w->stats->drop_session_gone, 1);
		return;
	}
	if (delivery && mr_unlikely(s->stats->held_bytes > w->held_bytes_max / 2)) {
		send_back(w, session, m);
		return;
	}
	plan = mr_message_replan(m, (enum mrf_message_kind)m->header.kind);
	if (mr_unlikely(mr_worker_promise(w, s, &plan, m->header.target) == MR_PROMISE_LOST) &&
		delivery)
		send_back(w, session, m);
}

/* What is not routed: queues' traffic. */
static void __attribute__((noinline)) take_further(
	struct mr_worker *w, const struct mr_mesh_record *record, const struct mr_message_view *m)
{
	switch (record->what) {
	case MR_MESH_HOME: mr_worker_queues_take(w, record->session, m); break;
	case MR_MESH_SESSION: take_for_session(w, record->session, m); break;
	case MR_MESH_UNDELIVERED:
		mr_worker_queues_undelivered(w, record->session, m->extra.delivery.tag);
		break;
	default: mr_count(w->stats->drop_bad_message, 1); break;
	}
}

/* A record, as it stands in a block. */
struct record {
	struct mr_mesh_record head;
	struct mr_mesh_member members[MR_MESH_MEMBERS_MAX];
	struct mrf_message_header header;
	const uint8_t *message;
	uint32_t stride;
};

/* Blocks come from a worker of this process, which checked what is in them. */
MR_ALWAYS_INLINE void read_record(struct record *record, const uint8_t *at)
{
	size_t prefix;

	memcpy(&record->head, at, sizeof(record->head));
	memcpy(record->members, at + sizeof(record->head),
		record->head.members * sizeof(record->members[0]));
	prefix = sizeof(record->head) + record->head.members * sizeof(record->members[0]);
	record->message = at + prefix;
	record->header = mr_message_header_load(record->message);
	record->stride = (uint32_t)prefix + mr_message_stride(record->header.bytes);
}

/* Returns the fan-out that was left, or NULL. */
MR_ALWAYS_INLINE struct mr_fan *take_record(struct mr_worker *w, const struct record *record)
{
	struct mr_message_view m;

	if (!for_this_worker(w, &record->head, record->members))
		; /* another worker's */
	else if (mr_unlikely(!mr_message_parse(record->message, record->header, &m)))
		mr_count(w->stats->drop_bad_message, 1);
	else if (record->head.what != MR_MESH_ROUTE)
		take_further(w, &record->head, &m);
	else if (record->header.kind == MRF_MESSAGE_KIND_REPLY)
		mr_worker_reply(w, &m);
	else
		return take_publish(w, &record->head, record->members, &m);
	return NULL;
}

/* Goes on with a fan-out, and with the rest of its record, which starts at `at`. False: the turn is over. */
static bool take_fan(struct mr_worker *w, struct mr_fan *f, const uint8_t *at)
{
	struct mr_message_plan plan;
	struct mr_message_extra extra;
	uint16_t number = w->promised_count;
	struct record record;
	bool done;

	w->promised_count = f->at.number;
	done = mr_fan_deliver(w, f->route, &f->load, &f->at, false);
	w->promised_count = number;
	if (!done)
		return false;
	read_record(&record, at);
	plan = mr_worker_delivery(f->route, f->load.view, f->load.token);
	if ((f->load.view->header.flags & MR_MESSAGE_FLAGS_PARTS) != 0) {
		extra = mr_worker_passed_on(f->load.view);
		mr_message_plan_extra(&plan, &extra);
	}
	end_publish(w, &record.head, record.members, f->route, f->load.view, &plan);
	mr_fan_end(w, f);
	return true;
}

/* From in->used on. False: the turn is over, and there is more. */
static bool take_block(
	struct mr_worker *w, struct mr_mesh_source *in, const struct mr_descriptor *d)
{
	const uint8_t *first =
		rte_pktmbuf_mtod_offset((struct rte_mbuf *)d->buffer, const uint8_t *, d->offset);
	const uint8_t *at = first + in->used, *end = first + d->bytes;
	struct record record;

	while (at < end && !mr_worker_turn_is_over(w)) {
		read_record(&record, at);
		if (mr_likely(in->fan == NULL))
			in->fan = take_record(w, &record);
		else if (take_fan(w, in->fan, at))
			in->fan = NULL;
		if (mr_unlikely(in->fan != NULL))
			break;
		at += record.stride;
	}
	in->used = (uint32_t)(at - first);
	mr_worker_window_tell(w, d->source);
	/* A block may use up more routes than a burst does: let go of them. Quiescence is reported only at
	 * the end of a round, with nothing in hand. */
	mr_worker_show(w);
	mr_router_let_go(w->router);
	if (at < end)
		return false;
	in->used = 0;
	rte_pktmbuf_free(d->buffer);
	mr_count(w->stats->mesh_rx_frames, 1);
	mr_count(w->stats->mesh_rx_messages, d->messages);
	return true;
}

/* A turn of one other worker. True: it has more. */
static bool take_turn(struct mr_worker *w, unsigned from)
{
	struct mr_mesh_source *in = &w->mesh.sources[from];

	if (in->next == in->count) {
		in->next = 0;
		in->count = mr_spsc_pop(w->mesh_in[from], in->blocks, MR_MESH_BURST);
	}
	if (in->count == 0)
		return false;
	w->moved = true;
	mr_worker_turn_begin(w);
	for (; in->next < in->count; in->next++) {
		const struct mr_descriptor *d = &in->blocks[in->next];

		if (mr_unlikely((d->tag & MR_TAG_FRAME) != 0))
			mr_worker_take_passed(w, d);
		else if (!take_block(w, in, d))
			return true;
	}
	in->next = in->count = 0;
	/* Nothing of these is in hand any more: aliases that they name may go to other subjects. */
	mr_spsc_done(w->mesh_in[from]);
	return false;
}

/* Turns go round, so that no worker's messages wait for long behind another's. */
void mr_worker_mesh_rx(struct mr_worker *w)
{
	uint32_t turns = MR_MESH_TURNS;
	unsigned idle = 0, from = w->mesh.first;

	if (w->workers == 1)
		return;
	while (idle < w->workers && turns > 0) {
		if (from != w->index && take_turn(w, from)) {
			idle = 0;
			turns--;
		} else {
			idle++;
		}
		from = from + 1 < w->workers ? from + 1 : 0;
	}
	w->mesh.first = from;
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
