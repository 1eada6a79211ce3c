/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/further.h"

#include "dataplane/worker/backpressure.h"
#include "dataplane/worker/bound.h"
#include "dataplane/worker/deliver.h"
#include "dataplane/worker/fan.h"
#include "dataplane/worker/promise_deliver.h"
#include "dataplane/worker/share.h"
#include "dataplane/worker/turns.h"

/* Members that are tried before a queue group's message is dropped. */
#define GROUP_TRIES_MAX 8u

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

/* Fills `p` field by field: clearing the members would cost more than the rest. */
MR_ALWAYS_INLINE void begin_publish(struct publish *p, const struct mr_session *from,
	const struct mr_message_view *m, const struct mr_route *r,
	const struct mrf_reply_token *token, uint32_t delivered)
{
	p->from = from != NULL ? from->id : 0;
	p->ends = mr_worker_end_flag(from);
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

void mr_worker_publish_further(struct mr_worker *w, struct mr_session *from,
	const struct mr_message_view *m, const struct mr_route *r,
	const struct mrf_reply_token *token, uint32_t delivered)
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

bool mr_worker_fan_out(struct mr_worker *w, const struct mr_route *r, const struct mr_fan_load *l,
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
