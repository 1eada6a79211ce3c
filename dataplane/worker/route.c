/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the receivers of each message of the burst and copies it to them: this worker's
 * subscribers, members of queue groups, other workers, queues, control.
 */
#include "dataplane/worker/beyond.h"
#include "dataplane/worker/bound.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/fan.h"
#include "dataplane/worker/frames.h"
#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/promise_deliver.h"
#include "dataplane/worker/queues.h"
#include "dataplane/worker/share.h"
#include "dataplane/worker/turns.h"

/* Members that are tried before a queue group's message is dropped. */
#define GROUP_TRIES_MAX 8u
/* A run is split into single messages if its route has more groups. */
#define RUN_GROUPS_MAX 8u

/* One publish, and its progress. */
struct publish {
	const struct mr_message_view *message;
	const struct mr_route *route;
	const struct mrf_reply_token *token; /* NULL: it is not a request */
	const struct mr_stamp *stamp;        /* NULL: none */
	uint64_t from;                       /* its session; 0: unknown */
	bool promised;
	uint8_t ends; /* 0, or a flag: its session does not wait for bound queues (bound.h) */
	struct mr_message_plan delivery;
	struct mr_message_extra extra; /* the delivery's extra parts */
	uint32_t delivered;            /* copies made or handed to other workers */
	uint64_t workers;              /* workers that still have to get a plain copy */
	uint32_t members; /* members of other workers that were chosen for queue groups */
	struct mr_mesh_member member[MR_MESH_MEMBERS_MAX];
};

MR_ALWAYS_INLINE const struct mr_route *find_route(
	struct mr_worker *w, const struct mr_session *from, const struct mr_message_view *m)
{
	const struct mr_route *r = NULL;

	if (mr_likely(m->header.target != 0)) {
		if (mr_unlikely(m->subject_bytes != 0)) {
			mr_count(w->stats->drop_bad_message, 1);
			return NULL;
		}
		if (mr_likely(mr_session_holds(from, m->header.target)))
			r = mr_worker_alias(w, m->header.target);
		if (mr_unlikely(r == NULL))
			mr_count(w->stats->drop_bad_alias, 1);
		return r;
	}
	r = mr_worker_subject(w, m->subject, m->subject_bytes);
	if (mr_unlikely(r == NULL))
		mr_count(w->stats->drop_bad_subject, 1);
	return r;
}

/* Queues a publish for the mesh. It goes by subject, as its alias may be released meanwhile. */
static bool __attribute__((noinline))
queue_for_mesh(struct mr_worker *w, const struct publish *p, const struct mr_mesh_record *record)
{
	struct mr_message_view named = *p->message;
	struct mr_message_stamp_room room;
	struct mr_message_plan plan;

	named.subject = (const uint8_t *)p->route->subject;
	named.subject_bytes = p->route->bytes;
	plan = mr_message_replan(&named, MRF_MESSAGE_KIND_PUBLISH);
	plan.token = p->token;
	mr_stamp_add(&plan, p->stamp, MR_SINK_ASKS, &room);
	return mr_worker_mesh_queue(w, record, p->member, &plan, 0);
}

static uint64_t workers_of(const struct publish *p)
{
	uint64_t workers = p->workers;

	for (uint32_t i = 0; i < p->members; i++)
		workers |= 1ull << p->member[i].worker;
	return workers;
}

/* Sends the message to p->workers and to the members in p->member. */
static void put_on_mesh(struct mr_worker *w, struct publish *p)
{
	const struct mr_message_view *m = p->message;
	struct mr_mesh_record record = {
		.workers = p->workers, .hash = p->route->hash, .members = p->members};
	struct mr_message_plan plan = mr_message_replan(m, MRF_MESSAGE_KIND_PUBLISH);
	struct mr_message_stamp_room room;

	plan.token = p->token;
	if (mr_unlikely(p->stamp != NULL))
		mr_stamp_add(&plan, p->stamp, MR_SINK_ASKS, &room);
	if (mr_likely(mr_worker_mesh_put(w, &record, p->member, &plan, m->header.target)) ||
		queue_for_mesh(w, p, &record)) {
		p->delivered++;
		if (mr_unlikely(p->promised))
			mr_worker_window_sent(w, workers_of(p), m->header_bytes + m->payload_bytes);
	}
	p->workers = 0;
	p->members = 0;
}

/* Adds a member of another worker to the record for the mesh. */
static void name_member(struct mr_worker *w, struct publish *p, const struct mr_member *chosen)
{
	if (p->members == MR_MESH_MEMBERS_MAX)
		put_on_mesh(w, p);
	p->member[p->members++] = (struct mr_mesh_member){
		.worker = chosen->worker,
		.high_water = chosen->high_water,
		.asks = chosen->asks,
		.slot = chosen->slot,
		.generation = chosen->generation,
		.sub_id = chosen->sub_id,
	};
}

static struct mr_session *session_of(const struct mr_worker *w, const struct mr_member *m)
{
	return mr_worker_find(w, m->worker, m->slot, m->generation);
}

static bool give_member(struct mr_worker *w, struct publish *p, const struct mr_member *chosen)
{
	const struct mr_message_plan *plan = &p->delivery;
	struct mr_message_stamp_room room;
	struct mr_message_plan stamped;
	struct mr_session *s;

	if (chosen->worker != w->index) {
		/* The check reads a cache line of the other worker: only promised messages pay for
		 * it. */
		if (mr_unlikely(p->promised) && session_of(w, chosen) == NULL)
			return false;
		name_member(w, p, chosen);
		return true;
	}
	s = session_of(w, chosen);
	if (s == NULL)
		return false;
	if (mr_unlikely(p->stamp != NULL)) {
		stamped = p->delivery;
		mr_stamp_add(&stamped, p->stamp, chosen->asks, &room);
		plan = &stamped;
	}
	if (!(p->promised ? mr_worker_promise_member(
				    w, s, p->route, chosen->high_water, plan, chosen->sub_id)
			  : mr_worker_copy(w, s, plan, chosen->sub_id)))
		return false;
	w->round.delivered++;
	p->delivered++;
	return true;
}

/* Delivers to one member: the first in turn whose ring has room, as far as this worker can see. A
 * promised message may go to a full member when no other takes it, and to one that is passed over
 * when all are passed over. Returns how many members were tried. */
static uint32_t __attribute__((noinline))
deliver_group(struct mr_worker *w, struct publish *p, uint32_t group)
{
	uint32_t members = p->route->groups[group].members;
	uint32_t most = p->promised ? MR_GROUP_PROMISE_TRIES_MAX : GROUP_TRIES_MAX;
	uint32_t tries = members < most ? members : most, asked = 0;
	bool piece = (p->message->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0;
	uint32_t *turns = mr_turns_of(w->turns, p->route->hash, p->route->groups[group].group);
	struct mr_member chosen, full;
	bool any_full = false, full_over = false;

	if (mr_unlikely(piece))
		tries = 1;
	while (asked < tries) {
		uint32_t turn = mr_unlikely(piece) ? mr_worker_turn_of(&p->message->extra.fragment)
						   : (*turns)++;

		asked++;
		if (!mr_route_group_pick(p->route, group, turn, &chosen))
			break;
		if (p->promised && mr_unlikely(mr_worker_member_full(w, &chosen))) {
			bool over = mr_worker_member_passed_over(w, &chosen);

			if (session_of(w, &chosen) != NULL && (!any_full || (full_over && !over))) {
				full = chosen;
				full_over = over;
				any_full = true;
			}
		} else if (give_member(w, p, &chosen)) {
			return asked;
		}
	}
	if (!any_full || !give_member(w, p, &full))
		mr_count(w->stats->drop_group_full, 1);
	return asked;
}

/* Delivers to a queue group, or to a bound queue. Returns how many members were tried. */
static inline uint32_t deliver_to(struct mr_worker *w, struct publish *p, uint32_t group)
{
	if (mr_likely(!mr_route_group_is_queue(&p->route->groups[group])))
		return deliver_group(w, p, group);
	mr_worker_bound_give(w, p->from, p->ends, p->route, group, p->message);
	return 1;
}

static void answer_status(struct mr_worker *w, struct mr_session *s,
	const struct mrf_reply_token *asked, enum mrf_status_code code)
{
	struct mrf_reply_token token = {.correlation = asked->correlation};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_STATUS, &token, NULL, 0, NULL, 0, 0);

	if (!mr_worker_copy(w, s, &plan, (uint32_t)code))
		mr_worker_no_room(w, s, plan.stride, &w->stats->drop_reply_full);
}

/* Returns the flag for promised publishes into bound queues, see mr_worker_bound_give. What came
 * over UDP was acknowledged, so it is accepted. What stands in a ring is not. */
static inline uint8_t end_flag(const struct mr_session *from)
{
	if (mr_likely(from != NULL && !atomic_load_explicit(&from->ends, memory_order_relaxed)))
		return 0;
	return from == NULL || from->remote != NULL ? MRF_MESSAGE_FLAG_HIGH : MRF_MESSAGE_FLAG_LOW;
}

/* Fills `p` field by field: clearing the members would cost more than the rest. */
MR_ALWAYS_INLINE void begin_publish(struct publish *p, const struct mr_session *from,
	const struct mr_message_view *m, const struct mr_route *r,
	const struct mrf_reply_token *token, uint32_t delivered)
{
	p->from = from != NULL ? from->id : 0;
	p->ends = end_flag(from);
	p->message = m;
	p->route = r;
	p->token = token;
	p->stamp = NULL;
	p->promised = mr_message_is_promised(m->header.flags);
	p->delivered = delivered;
	p->workers = r->workers;
	p->members = 0;
}

/* Plans the Deliver message of a group member. */
MR_ALWAYS_INLINE void plan_for_groups(struct publish *p)
{
	p->delivery = mr_worker_delivery(p->route, p->message, p->token);
	if (mr_unlikely((p->message->header.flags & MR_MESSAGE_FLAGS_PARTS) != 0)) {
		p->extra = mr_worker_passed_on(p->message);
		mr_message_plan_extra(&p->delivery, &p->extra);
	}
}

static void deliver_groups(struct mr_worker *w, struct publish *p)
{
	plan_for_groups(p);
	for (uint32_t g = 0; g < p->route->group_count; g++)
		(void)deliver_to(w, p, g);
}

/* True if there are subscribers; bound queues do not answer requests. */
static bool may_answer(const struct mr_route *r)
{
	return r->interest && (r->span_count > 0 || r->workers != 0 || mr_bound_has_members(r));
}

/* Ends a publish after its copies were made. `from` NULL: its session is closed. */
MR_ALWAYS_INLINE void end_publish(struct mr_worker *w, struct mr_session *from, struct publish *p)
{
	const struct mr_route *r = p->route;

	if (p->workers != 0 || p->members > 0)
		put_on_mesh(w, p);
	w->share.turn_far += r->far;
	if (!r->interest)
		mr_count(w->stats->drop_unrouted, 1);
	if (p->token != NULL && p->delivered == 0 && from != NULL)
		answer_status(w, from, p->token,
			may_answer(r) ? MRF_STATUS_CODE_OVERLOADED : MRF_STATUS_CODE_NO_RESPONDERS);
}

/* Publishes to bound queues, which are the only receivers of the route. */
static inline void publish_to_queues(struct mr_worker *w, const struct mr_session *from,
	const struct mr_message_view *m, const struct mr_route *r)
{
	w->round.published++;
	mr_worker_bound_give_all(w, from->id, end_flag(from), r, m);
}

/* Delivers to queue groups and other workers, and handles a publish without receivers. Out of line,
 * with a copy of the view, so that the common case stays in registers. */
static void __attribute__((noinline))
publish_further(struct mr_worker *w, struct mr_session *from, const struct mr_message_view *m,
	const struct mr_route *r, const struct mrf_reply_token *token, uint32_t delivered)
{
	struct publish p;

	begin_publish(&p, from, m, r, token, delivered);
	if (r->group_count > 0)
		deliver_groups(w, &p);
	end_publish(w, from, &p);
}

/* Delivers the fan-out's message at->message to groups and other workers. False: the turn's work is
 * used up. */
static bool go_further(struct mr_worker *w, const struct mr_route *r, const struct mr_fan_load *l,
	struct mr_fan_at *at, bool whole)
{
	struct mr_session *from = mr_worker_find(
		w, w->index, mr_session_slot(l->from), mr_session_generation(l->from));
	struct mr_message_view m;
	struct publish p;

	m = l->view != NULL ? *l->view
			    : mr_message_plain(l->run[at->message].at, l->run[at->message].header);
	begin_publish(&p, from, &m, r, l->token, at->delivered);
	p.from = l->from;
	p.stamp = l->stamp;
	plan_for_groups(&p);
	if (at->told)
		p.workers = 0;
	for (; at->group < r->group_count; at->group++) {
		if (!whole && mr_worker_turn_is_over(w)) {
			if (p.workers != 0 || p.members > 0)
				put_on_mesh(w, &p);
			at->told = true;
			at->delivered = p.delivered;
			return false;
		}
		w->share.turn_work += 1 + deliver_to(w, &p, at->group);
	}
	end_publish(w, from, &p);
	return true;
}

/* Continues a fan-out. False: the turn's work is used up. */
static bool fan_out(struct mr_worker *w, const struct mr_route *r, const struct mr_fan_load *l,
	struct mr_fan_at *at, bool whole)
{
	uint16_t number = w->promised_count;
	bool done;

	if (l->promised)
		w->promised_count = at->number;
	done = mr_fan_deliver(w, r, l, at, whole);
	w->promised_count = number;
	if (!done)
		return false;
	if (r->group_count == 0 && r->workers == 0 && l->token == NULL)
		return true; /* r->interest is true: it has many sinks */
	for (; at->message < l->count; at->message++) {
		if (!go_further(w, r, l, at, whole))
			return false;
		at->group = 0;
		at->told = false;
	}
	return true;
}

static uint32_t bytes_of(const struct mr_burst_entry *e, uint32_t count)
{
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += e[i].header.bytes;
	return bytes;
}

/* Publishes by a fan-out that may take more than a turn. Returns how many messages it took; 0: they
 * must wait. */
static uint32_t __attribute__((noinline))
publish_large(struct mr_worker *w, const struct mr_burst_entry *e, uint32_t count,
	const struct mr_route *r, const struct mrf_reply_token *token)
{
	struct mr_session *from = e->from;
	struct mr_fan_load l = {.run = e, .view = e->view, .token = token, .from = from->id};
	struct mr_fan_at at = {0};
	struct mr_message_view plain;
	struct mr_stamp stamp;
	bool whole = w->late.forced;

	if (r->asks) {
		plain = mr_message_plain(e->at, e->header);
		if (l.view == NULL)
			l.view = &plain;
		mr_stamp_make(&stamp, w, from);
		l.stamp = mr_stamp_may_have(l.view) ? &stamp : NULL;
	}
	l.count = r->group_count > RUN_GROUPS_MAX || r->asks ? 1 : count;
	l.bytes = bytes_of(e, l.count);
	l.promised = mr_message_is_promised(e->header.flags);
	if (!whole && mr_worker_round_is_over(w))
		return 0;
	whole |= mr_worker_turn_work(w) + mr_fan_work_max(r, &l) <= MR_TURN_WORK;
	if (!whole && !mr_fan_may_be_kept(w, &l, from->peer)) {
		from->message_work = MR_TURN_WORK; /* the next burst takes one message of it */
		return 0;
	}
	w->round.published += l.count;
	mr_fan_count_cut(w, r, &l);
	if (l.promised)
		at.number = ++w->promised_count;
	if (!fan_out(w, r, &l, &at, whole) && !mr_worker_late_fan(w, from, r, &l, &at))
		(void)fan_out(w, r, &l, &at, true);
	return l.count;
}

bool mr_worker_route_fan(struct mr_worker *w, struct mr_session *s, struct mr_fan *f)
{
	uint64_t since = rte_rdtsc(), work;
	uint64_t cycles, most;
	bool done;

	mr_worker_turn_begin(w);
	done = fan_out(w, f->route, &f->load, &f->at, w->late.forced);
	work = mr_worker_turn_work(w);
	w->share.work += work;
	w->share.turns++;
	if (s != NULL) {
		w->share.last = s;
		cycles = rte_rdtsc() - since;
		most = mr_worker_most_cycles(work, f->load.bytes);
		mr_worker_charge(w, s, cycles < most ? cycles : most);
	}
	if (done)
		mr_fan_end(w, f);
	return done;
}

/* True if the route is large, or for bound queues alone. */
static inline bool is_special(const struct mr_route *r)
{
	return r->large || r->queues_only;
}

/* Counts the copying of large messages as work. True: the fan-out may exceed a turn. */
static inline bool is_dear(struct mr_worker *w, const struct mr_route *r, uint32_t bytes)
{
	uint32_t work = r->sinks * (bytes >> MR_FAN_BYTES_SHIFT);

	if (r->large || work >= MR_TURN_WORK)
		return true;
	w->share.turn_work += work;
	return false;
}

MR_ALWAYS_INLINE void publish_by(struct mr_worker *w, struct mr_session *from,
	const struct mr_message_view *m, const struct mr_route *r,
	const struct mrf_reply_token *token)
{
	struct mr_message_plan plan = mr_worker_delivery(r, m, token);
	uint32_t delivered = mr_worker_deliver_own(w, r, &plan);

	if (mr_unlikely(delivered == 0 || r->workers != 0 || r->group_count > 0)) {
		struct mr_message_view copy = *m;

		publish_further(w, from, &copy, r, token, delivered);
	}
}

/* Publishes a message with extra parts: promised, or a fragment. */
static void __attribute__((noinline)) publish_parts(struct mr_worker *w, struct mr_session *from,
	struct mr_message_view m, const struct mr_route *r)
{
	struct mrf_reply_token token = {from->id, m.token.correlation};
	const struct mrf_reply_token *asked =
		m.header.flags & MRF_MESSAGE_FLAG_TOKEN ? &token : NULL;
	struct mr_message_plan plan = mr_worker_delivery(r, &m, asked);
	struct mr_message_extra extra = mr_worker_passed_on(&m);
	uint32_t delivered;

	mr_message_plan_extra(&plan, &extra);
	delivered = mr_message_is_promised(m.header.flags) ? mr_worker_promise_own(w, r, &plan)
							   : mr_worker_deliver_own(w, r, &plan);
	if (delivered == 0 || r->workers != 0 || r->group_count > 0)
		publish_further(w, from, &m, r, asked, delivered);
}

/* Publishes one message that may take more than a turn. False: it must wait. */
static bool publish_dear(
	struct mr_worker *w, const struct mr_burst_entry *e, const struct mr_route *r)
{
	struct mrf_reply_token token = {e->from->id, e->view->token.correlation};
	bool asks = (e->view->header.flags & MRF_MESSAGE_FLAG_TOKEN) != 0;

	return publish_large(w, e, 1, r, asks ? &token : NULL) > 0;
}

/* Routes one publish that has a view. False: it must wait. Out of line, as it needs many registers.
 */
static bool __attribute__((noinline))
publish_viewed(struct mr_worker *w, const struct mr_burst_entry *e)
{
	struct mr_session *from = e->from;
	const struct mr_message_view *m = e->view;
	const struct mr_route *r = find_route(w, from, m);

	if (mr_unlikely(r == NULL)) {
		mr_worker_count_rejected(from);
		return true;
	}
	if (mr_unlikely(is_special(r) || e->header.bytes >= MR_FAN_BYTES_SMALL)) {
		if (r->queues_only && (m->header.flags & MRF_MESSAGE_FLAG_TOKEN) == 0) {
			publish_to_queues(w, from, m, r);
			return true;
		}
		if (is_dear(w, r, e->header.bytes))
			return publish_dear(w, e, r);
	}
	w->round.published++;
	if (mr_likely((m->header.flags & (MRF_MESSAGE_FLAG_TOKEN | MR_MESSAGE_FLAGS_EXTRA)) == 0)) {
		publish_by(w, from, m, r, NULL);
	} else if (m->header.flags & MR_MESSAGE_FLAGS_EXTRA) {
		publish_parts(w, from, *m, r);
	} else {
		struct mrf_reply_token token = {from->id, m->token.correlation};

		publish_by(w, from, m, r, &token);
	}
	return true;
}

static uint32_t __attribute__((noinline)) publish_run_to_queues(struct mr_worker *w,
	const struct mr_burst_entry *e, uint32_t count, const struct mr_route *r)
{
	for (uint32_t i = 0; i < count; i++) {
		struct mr_message_view m = mr_message_plain(e[i].at, e[i].header);

		publish_to_queues(w, e->from, &m, r);
	}
	return count;
}

/* Publishes a run. Returns how many messages it took; 0: they must wait. */
static uint32_t publish_run(struct mr_worker *w, const struct mr_burst_entry *e, uint32_t count)
{
	const struct mr_route *r = NULL;

	if (mr_likely(mr_session_holds(e->from, e->header.target)))
		r = mr_worker_alias(w, e->header.target);
	if (mr_unlikely(r == NULL)) {
		mr_count(w->stats->drop_bad_alias, count);
		mr_count(e->from->stats->rejected, count);
		return count;
	}
	if (mr_unlikely(is_special(r) || e->header.bytes >= MR_FAN_BYTES_SMALL)) {
		if (r->queues_only)
			return publish_run_to_queues(w, e, count, r);
		if (is_dear(w, r, bytes_of(e, count)))
			return publish_large(w, e, count, r, NULL);
	}
	w->round.published += count;
	if (mr_unlikely(mr_message_is_promised(e->header.flags)))
		mr_worker_promise_run_own(w, r, e, count);
	else
		mr_worker_deliver_run_own(w, r, e, count);
	if (mr_likely(r->interest && r->workers == 0 && r->group_count == 0))
		return count;
	for (uint32_t i = 0; i < count; i++) {
		struct mr_message_view m = mr_message_plain(e[i].at, e[i].header);

		publish_further(w, e->from, &m, r, NULL, 0);
	}
	return count;
}

/* Returns the header without the length. */
static inline uint64_t sort_of(const struct mr_burst_entry *e)
{
	uint64_t word;

	memcpy(&word, &e->header, sizeof(word));
	return word >> 16;
}

/* Returns how many entries from `e` on are one run; 0: `e` is not part of a run. */
static inline uint32_t run_of(const struct mr_burst_entry *e, const struct mr_burst_entry *end)
{
	uint64_t sort = sort_of(e);
	uint32_t count = 1;

	if (e->view != NULL || e->header.kind != MRF_MESSAGE_KIND_PUBLISH || e->header.target == 0)
		return 0;
	while (e + count < end && e[count].from == e->from && e[count].view == NULL &&
		sort_of(&e[count]) == sort)
		count++;
	return count;
}

static bool route_viewed(struct mr_worker *w, const struct mr_burst_entry *e);

/* Routes a message without parts that is not part of a run, which is rare: makes a view of it. */
static bool __attribute__((noinline))
route_plain(struct mr_worker *w, const struct mr_burst_entry *e)
{
	struct mr_message_view plain = mr_message_plain(e->at, e->header);
	struct mr_burst_entry viewed = *e;

	viewed.view = &plain;
	return route_viewed(w, &viewed);
}

/* Routes a message that is not for a queue. False: it must wait. */
static bool route_viewed(struct mr_worker *w, const struct mr_burst_entry *e)
{
	if (mr_unlikely(e->view == NULL))
		return route_plain(w, e);
	if (mr_likely(e->header.kind == MRF_MESSAGE_KIND_PUBLISH))
		return publish_viewed(w, e);
	mr_worker_route_other(w, e->from, *e->view);
	return true;
}

/* Routes one message that is not part of a run. */
static inline bool route_one(struct mr_worker *w, const struct mr_burst_entry *e)
{
	if (mr_likely(e->header.kind == MRF_MESSAGE_KIND_PUBLISH) ||
		!mr_worker_is_for_queue(&e->header))
		return route_viewed(w, e);
	mr_worker_queues_entry(w, e);
	return true;
}

/* Passes on adjacent messages of one session for queues; returns how many. They add nothing to the
 * turn's work and leave nothing behind, so the turn's limits need no check between them. */
static inline uint32_t pass_to_queues(
	struct mr_worker *w, const struct mr_burst_entry *first, const struct mr_burst_entry *end)
{
	const struct mr_burst_entry *e = first;

	do
		mr_worker_queues_entry(w, e++);
	while (e < end && e->from == first->from && mr_worker_is_for_queue(&e->header));
	return (uint32_t)(e - first);
}

/* Routes the messages at `e`: a run, adjacent ones for queues, or one. Returns how many; 0: they
 * must wait. */
static inline uint32_t route_some(
	struct mr_worker *w, const struct mr_burst_entry *e, const struct mr_burst_entry *end)
{
	uint32_t run;

	if (e->view != NULL && mr_likely(e->header.kind == MRF_MESSAGE_KIND_PUBLISH))
		return publish_viewed(w, e);
	run = run_of(e, end);
	if (run > 0)
		return publish_run(w, e, run);
	if (mr_worker_is_for_queue(&e->header))
		return pass_to_queues(w, e, end);
	return route_viewed(w, e);
}

/* Bounds the cycles of a turn: the thread may not have run in between. */
static uint64_t __attribute__((noinline)) bound_cycles(const struct mr_burst_entry *first,
	const struct mr_burst_entry *end, uint64_t work, uint64_t cycles)
{
	uint64_t bytes = 0, most;

	for (const struct mr_burst_entry *e = first; e < end; e++)
		bytes += e->header.bytes;
	most = mr_worker_most_cycles(work, bytes);
	return cycles < most ? cycles : most;
}

/* Charges a turn. `*since`: see take_turn. */
static void end_turn(struct mr_worker *w, const struct mr_burst_entry *first,
	const struct mr_burst_entry *end, uint64_t *since)
{
	uint64_t work = mr_worker_turn_work(w), cycles, now;
	uint32_t count = (uint32_t)(end - first);

	mr_worker_turn_end(w, first->from, work, count);
	if (mr_likely(*since == 0))
		return;
	if (mr_worker_turn_is_estimated(w, first->from, work, count)) {
		cycles = (uint64_t)first->from->message_cycles * count;
		mr_worker_charge(w, first->from, cycles);
		*since += cycles;
		return;
	}
	now = rte_rdtsc();
	cycles = now - *since;
	/* The messages have at least their headers. */
	if (mr_unlikely(cycles > mr_worker_most_cycles(work, count * sizeof(first->header))))
		cycles = bound_cycles(first, end, work, cycles);
	mr_worker_charge(w, first->from, cycles);
	mr_worker_turn_measured(first->from, count, cycles);
	*since = now;
}

/* Routes all messages of a session that were taken from behind a waiting publish. */
static const struct mr_burst_entry *take_all(
	struct mr_worker *w, const struct mr_burst_entry *e, const struct mr_burst_entry *end)
{
	const struct mr_session *s = e->from;

	while (e < end && e->from == s)
		(void)route_one(w, e++);
	return e;
}

/* Moves the session's ring back to *e, to be read again later. If messages behind a waiting publish
 * were taken already (beyond.h), those that may pass a publish are routed now, up to an alias
 * release. */
static const struct mr_burst_entry *leave_in_ring(
	struct mr_worker *w, const struct mr_burst_entry *e, const struct mr_burst_entry *end)
{
	struct mr_session *s = e->from;
	const uint8_t *first = e->at;
	bool passing = s->looked_beyond;
	uint64_t back;

	if (passing && mr_worker_ring_is_beyond(s, e->at))
		return take_all(w, e, end);
	back = mr_worker_ring_back(s, first);
	s->up.head -= back;
	s->reread_bytes += (uint32_t)back;
	if (!passing)
		s->beyond = (uint32_t)s->up.head;
	for (; e < end && e->from == s; e++) {
		bool passes = passing && mr_message_passes(e->header);

		if (passes && mr_message_releases_alias(e->at, e->header)) {
			s->beyond =
				(uint32_t)(s->up.head + mr_worker_ring_between(s, first, e->at));
			passes = passing = false;
		}
		if (passes)
			(void)route_one(w, e);
		else
			s->reread_messages++;
	}
	s->looked_beyond = true;
	return e;
}

/* Leaves the rest of a turn for a later one; returns where the next turn begins. */
static const struct mr_burst_entry *__attribute__((noinline))
defer_rest(struct mr_worker *w, const struct mr_burst_entry *e, const struct mr_burst_entry *end)
{
	const struct mr_burst_entry *first = e;
	struct mr_session *s = e->from;

	w->moved = true;
	if (s->remote == NULL) {
		e = leave_in_ring(w, e, end);
	} else {
		while (e < end && e->from == s)
			mr_worker_late_put(w, e++);
	}
	mr_count(w->stats->late, (uint64_t)(e - first));
	return e;
}

/* Routes the adjacent messages of one session; returns where the next session's begin. `*since`:
 * start of this turn, then of the next one, cycles; 0: turns are not measured. */
static const struct mr_burst_entry *take_turn(struct mr_worker *w, const struct mr_burst_entry *e,
	const struct mr_burst_entry *end, uint64_t *since)
{
	const struct mr_burst_entry *first = e;
	const struct mr_router_counters *looked = w->looked;
	struct mr_session *s = e->from;
	bool waits = mr_session_must_wait(w, s);
	uint64_t over;

	mr_worker_turn_begin(w);
	over = w->share.turn_visits + MR_TURN_WORK;
	while (mr_likely(!waits) && e < end && e->from == s) {
		uint32_t took = route_some(w, e, end);

		e += took;
		waits = took == 0 || looked->visits + w->share.turn_work >= over || s->late != NULL;
	}
	end_turn(w, first, e, since);
	if (mr_unlikely(waits) && e < end && e->from == s)
		e = defer_rest(w, e, end);
	return e;
}

void mr_worker_route(struct mr_worker *w)
{
	const struct mr_burst_entry *e = w->burst;
	const struct mr_burst_entry *end = e + w->burst_count;
	uint64_t since = 0;

	w->had_room.from = NULL; /* receivers may become full from here on */
	w->had_room.by_subject = NULL;
	if (e == end)
		return;
	if (mr_unlikely(e->from != w->share.last || e->from != end[-1].from))
		since = rte_rdtsc();
	while (e < end)
		e = take_turn(w, e, end, &since);
}

void mr_worker_route_now(struct mr_worker *w)
{
	mr_worker_route(w);
	w->burst_count = 0;
}

bool mr_worker_route_late(struct mr_worker *w, const struct mr_burst_entry *e)
{
	uint64_t since = rte_rdtsc();
	bool took;

	w->had_room.from = NULL;
	w->had_room.by_subject = NULL;
	mr_worker_turn_begin(w);
	took = run_of(e, e + 1) == 0 ? route_one(w, e) : publish_run(w, e, 1) > 0;
	end_turn(w, e, e + took, &since);
	return took;
}
