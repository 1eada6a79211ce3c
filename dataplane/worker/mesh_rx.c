/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_rx: delivers the messages that other workers sent through the mesh: blocks of records
 * (stages.h), and frames that they passed on.
 */
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/bound.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/fan.h"
#include "dataplane/worker/promise_deliver.h"
#include "dataplane/worker/queues.h"

#include <rte_mbuf.h>

static void deliver_member(struct mr_worker *w, const struct mr_mesh_member *member,
	const struct mr_route *r, bool promised, const struct mr_message_plan *plan)
{
	struct mr_session *s = mr_directory_find(&w->directory, member->slot, member->generation);

	if (s == NULL || mr_worker_is_closed(s))
		mr_count(w->stats->drop_session_gone, 1);
	else if (promised && member->high_water != 0)
		w->round.delivered +=
			mr_worker_promise_member(w, s, r, member->high_water, plan, member->sub_id);
	else if (mr_worker_copy(w, s, plan, member->sub_id))
		w->round.delivered++;
	else
		mr_worker_no_room(w, s, plan->stride, &w->stats->drop_group_full);
}

static void count_missed(struct mr_session *s)
{
	s->missed_unreported++;
	mr_count(s->stats->missed, 1);
}

/* Drops a publish whose alias got another subject while it was under way, and counts it as missed.
 * The table writer prevents this (passage.c). If it happens all the same, the old subject is not
 * known here, so all subscribers of this worker are told of a gap. */
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

/* A publish of another worker. */
struct arrival {
	const struct mr_message_view *message;
	const struct mr_stamp *stamp; /* NULL: none */
};

static void __attribute__((noinline))
deliver_stamped(struct mr_worker *w, const struct mr_mesh_member *member, const struct mr_route *r,
	bool promised, const struct arrival *a, const struct mr_message_plan *plan)
{
	struct mr_message_plan stamped = *plan;
	struct mr_message_stamp_room room;

	mr_stamp_add(&stamped, a->stamp, member->asks, &room);
	deliver_member(w, member, r, promised, &stamped);
}

/* Delivers to the members of queue groups that the record names, and ends the publish. */
MR_ALWAYS_INLINE void end_publish(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_route *r, const struct arrival *a,
	const struct mr_message_plan *plan)
{
	const struct mr_message_view *m = a->message;
	bool promised = mr_message_is_promised(m->header.flags);

	for (uint32_t i = 0; i < record->members; i++)
		if (members[i].worker != w->index)
			continue;
		else if (mr_likely(a->stamp == NULL || members[i].asks == 0))
			deliver_member(w, &members[i], r, promised, plan);
		else
			deliver_stamped(w, &members[i], r, promised, a, plan);
	if (promised)
		mr_worker_window_taken(w, m->header_bytes + m->payload_bytes);
}

/* Begins the fan-out of a large route; returns it if it is unfinished. */
static struct mr_fan *__attribute__((noinline))
take_large(struct mr_worker *w, const struct arrival *a, const struct mr_route *r)
{
	const struct mr_message_view *m = a->message;
	struct mr_fan_load l = {.view = m, .stamp = a->stamp, .count = 1, .bytes = m->header.bytes};
	struct mr_fan_at at = {0};

	l.token = m->header.flags & MRF_MESSAGE_FLAG_TOKEN ? &m->token : NULL;
	l.promised = mr_message_is_promised(m->header.flags);
	mr_fan_count_cut(w, r, &l);
	if (l.promised)
		at.number = ++w->promised_count;
	return mr_fan_deliver(w, r, &l, &at, false) ? NULL : mr_fan_keep(w, r, &l, &at, 0);
}

/* Delivers a publish. Returns its fan-out if that is unfinished; the members are delivered to after
 * it. Inlined, so that a publish without a stamp has no code for one. */
MR_ALWAYS_INLINE struct mr_fan *take_publish(struct mr_worker *w,
	const struct mr_mesh_record *record, const struct mr_mesh_member *members,
	const struct arrival *a)
{
	const struct mr_message_view *m = a->message;
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
		fan = take_large(w, a, r);
	else if (own)
		(void)(mr_message_is_promised(m->header.flags)
				? mr_worker_promise_own(w, r, &plan)
				: mr_worker_deliver_own(w, r, &plan));
	if (mr_likely(fan == NULL))
		end_publish(w, record, members, r, a, &plan);
	return fan;
}

/* True if the record is for this worker. A block goes to all workers with interest in any of its
 * records. */
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

/* Handles a message for a session. A delivery can be returned to its queue, so it leaves half of
 * the session's limit of queued bytes to messages that cannot. A delivery to a closed session is
 * not returned: its home worker finds that the session is closed. */
static void take_for_session(struct mr_worker *w, uint64_t session, const struct mr_message_view *m)
{
	struct mr_session *s = mr_directory_find(
		&w->directory, mr_session_slot(session), mr_session_generation(session));
	bool delivery = m->header.kind == MRF_MESSAGE_KIND_DELIVER &&
			(m->header.flags & MRF_MESSAGE_FLAG_DELIVERY) != 0;
	struct mr_message_plan plan;

	if (mr_unlikely(s == NULL || mr_worker_is_closed(s))) {
		mr_count(w->stats->drop_session_gone, 1);
		return;
	}
	if (delivery && mr_unlikely(s->stats->held_bytes > w->held_bytes_max / 2)) {
		mr_worker_mesh_undelivered(w, session, m);
		return;
	}
	plan = mr_message_replan(m, (enum mrf_message_kind)m->header.kind);
	if (mr_unlikely(mr_worker_promise(w, s, &plan, m->header.target) == MR_PROMISE_LOST) &&
		delivery)
		mr_worker_mesh_undelivered(w, session, m);
}

/* Handles records that are not routed: the traffic of queues. */
static void __attribute__((noinline)) take_further(
	struct mr_worker *w, const struct mr_mesh_record *record, const struct mr_message_view *m)
{
	switch (record->what) {
	case MR_MESH_HOME: mr_worker_queues_take(w, record->session, m); break;
	case MR_MESH_BOUND: mr_worker_bound_take(w, record->session, m); break;
	case MR_MESH_SESSION: take_for_session(w, record->session, m); break;
	case MR_MESH_UNDELIVERED:
		mr_worker_queues_undelivered(w, record->session, m->extra.delivery.tag);
		break;
	default: mr_count(w->stats->drop_bad_message, 1); break;
	}
}

/* A record of a block. */
struct record {
	struct mr_mesh_record head;
	struct mr_mesh_member members[MR_MESH_MEMBERS_MAX];
	struct mrf_message_header header;
	const uint8_t *message;
	uint32_t stride;
};

/* Reads a record. Blocks come from a worker of this process, which has checked their messages. */
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

/* Handles a publish that carries a stamp. */
static struct mr_fan *__attribute__((noinline)) take_stamped(struct mr_worker *w,
	const struct record *record, const struct mr_message_view *m, uint32_t stamp_bytes)
{
	struct mr_stamp stamp;
	struct arrival a = {m, &stamp};

	mr_stamp_copy(&stamp, m->subject - stamp_bytes, stamp_bytes);
	return take_publish(w, &record->head, record->members, &a);
}

/* Handles a record; returns an unfinished fan-out, or NULL. */
MR_ALWAYS_INLINE struct mr_fan *take_record(struct mr_worker *w, const struct record *record)
{
	struct mr_message_view m;
	struct arrival a = {&m, NULL};
	uint32_t stamp_bytes;

	if (!for_this_worker(w, &record->head, record->members))
		; /* for another worker */
	else if (mr_unlikely(!mr_message_parse_stamped(
			 record->message, record->header, &m, &stamp_bytes)))
		mr_count(w->stats->drop_bad_message, 1);
	else if (record->head.what != MR_MESH_ROUTE)
		take_further(w, &record->head, &m);
	else if (record->header.kind == MRF_MESSAGE_KIND_REPLY)
		mr_worker_reply(w, &m);
	else if (mr_unlikely(stamp_bytes != 0))
		return take_stamped(w, record, &m, stamp_bytes);
	else
		return take_publish(w, &record->head, record->members, &a);
	return NULL;
}

/* Resumes a fan-out, then does the rest of its record, which starts at `at`. False: the turn is
 * over. */
static bool take_fan(struct mr_worker *w, struct mr_fan *f, const uint8_t *at)
{
	struct mr_message_plan plan;
	struct mr_message_extra extra;
	uint16_t number = w->promised_count;
	struct arrival a = {f->load.view, f->load.stamp};
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
	end_publish(w, &record.head, record.members, f->route, &a, &plan);
	mr_fan_end(w, f);
	return true;
}

/* Handles a block's records from in->used on. False: the turn is over, and there are more. */
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
	/* Release the routes: a block may use more of them than a burst. Quiescence is reported
	 * only at the end of a round, when no route is in use. */
	mr_worker_publish_tails(w);
	mr_router_let_go(w->router);
	if (at < end)
		return false;
	in->used = 0;
	rte_pktmbuf_free(d->buffer);
	mr_count(w->stats->mesh_rx_frames, 1);
	mr_count(w->stats->mesh_rx_messages, d->messages);
	return true;
}

/* Takes a frame that another worker passed on. */
static void take_passed(struct mr_worker *w, const struct mr_descriptor *d)
{
	if (mr_unlikely(w->passed_count == MR_PASSED_MAX)) {
		mr_count(w->stats->drop_pass_full, 1);
		rte_pktmbuf_free(d->buffer);
		return;
	}
	w->passed[w->passed_count++] =
		(struct mr_passed){d->buffer, (uint32_t)(d->tag & ~MR_TAG_FRAME)};
}

/* Gives one other worker a turn. True: it has more. */
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
			take_passed(w, d);
		else if (!take_block(w, in, d))
			return true;
	}
	in->next = in->count = 0;
	/* These blocks are dealt with: the aliases that they name may get other subjects. */
	mr_spsc_done(w->mesh_in[from]);
	return false;
}

/* Gives the other workers turns, round robin, so that none waits long behind another. */
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
