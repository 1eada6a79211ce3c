/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/bus_bind.h"

#include <inttypes.h>
#include <string.h>

#include "dataplane/queue/engine.h"
#include "lib/wire/subject.h"
#include "tests/sim/cover.h"
#include "tests/sim/program.h"
#include "tests/sim/watch.h"
#include "tests/sim/world.h"

#define BINDINGS_MAX 16u
#define FLAGS_MAX    256u
#define SOON_MS      300u /* time of the queues, in which the bus makes rounds */
#define KICKS        1u   /* percent of publishes whose session ends before the acknowledgement */
#define ROOM_PART    8u   /* a full queue has room again when one part of so many is free */

const char *const bind_subjects[BIND_SUBJECTS] = {
	"events.orders.made", "events.orders.paid", "events.users.made", "events.users.eu.made"};

static const char *const patterns[] = {
	"events.>", "events.orders.*", "events.*.made", "events.users.>", "events.orders.paid"};

static struct {
	struct {
		unsigned queue;
		uint32_t number;
		const char *pattern; /* NULL: free */
	} bindings[BINDINGS_MAX];
	uint32_t changes[MODEL_QUEUES_MAX];
	uint64_t queue_flags[FLAGS_MAX]; /* numbers of full queues */
	uint64_t peer_flags[MR_QUEUE_HELD_PEERS];
	bool memory_flag;
	uint64_t waiting_ms; /* since when sessions wait without need; 0: none does */
} bind;

void bus_bind_open(void)
{
	memset(&bind, 0, sizeof(bind));
}

void bus_bind_hold(void *arg, enum mr_queue_held what, uint64_t index, uint64_t of)
{
	(void)arg;
	switch (what) {
	case MR_QUEUE_HELD_QUEUE: bind.queue_flags[index % FLAGS_MAX] = of; break;
	case MR_QUEUE_HELD_PEER: bind.peer_flags[index % MR_QUEUE_HELD_PEERS] = of; break;
	default: bind.memory_flag = of != 0; break;
	}
}

/* The operator. */

static struct mr_queue *queue_of(unsigned i)
{
	const char *name = model_queues[i].name;

	return mr_queue_by_name(bus.queues, MRF_QUEUE_KIND_QUEUE, name, (uint32_t)strlen(name));
}

static void tell_engine(unsigned queue, uint32_t number)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < BINDINGS_MAX; i++)
		count += bind.bindings[i].pattern != NULL && bind.bindings[i].number == number;
	bind.changes[queue]++;
	mr_queues_bind(bus.queues, number, count);
	bus_poke();
}

void bus_bind_some(void)
{
	unsigned i = world_draw(BINDINGS_MAX), queue = world_draw(model_queues_count);
	const struct mr_queue *q = queue_of(queue);

	if (world_now_ns() < bus.frozen_until_ns)
		return;
	if (bind.bindings[i].pattern != NULL) {
		queue = bind.bindings[i].queue;
		world_trace("%s is not bound to %s any more", model_queues[queue].name,
			bind.bindings[i].pattern);
		bind.bindings[i].pattern = NULL;
		tell_engine(queue, bind.bindings[i].number);
	} else if (q != NULL) {
		bind.bindings[i].queue = queue;
		bind.bindings[i].number = q->number;
		bind.bindings[i].pattern = patterns[world_draw(MR_ARRAY_COUNT(patterns))];
		world_trace("%s is bound to %s", q->name, bind.bindings[i].pattern);
		program_counts.bound++;
		tell_engine(queue, q->number);
	}
}

static uint32_t bound_to(const char *subject)
{
	uint32_t queues = 0;

	for (unsigned i = 0; i < BINDINGS_MAX; i++) {
		const char *pattern = bind.bindings[i].pattern;

		if (pattern != NULL &&
			mr_pattern_matches(pattern, strlen(pattern), subject, strlen(subject)))
			queues |= 1u << bind.bindings[i].queue;
	}
	return queues;
}

/* Publishes. */

uint32_t bus_bind_alias(struct mrf_string subject)
{
	for (uint32_t i = 0; i < BIND_SUBJECTS; i++)
		if (subject.bytes == strlen(bind_subjects[i]) &&
			memcmp(subject.data, bind_subjects[i], subject.bytes) == 0)
			return i + 1;
	return 0;
}

static bool has_flag(uint32_t number)
{
	uint32_t index = number & ((1u << bus.queues->index_bits) - 1);

	return bind.queue_flags[index % FLAGS_MAX] == number;
}

static uint32_t alias_of(const struct mr_message_view *m)
{
	return bus_bind_alias(
		(struct mrf_string){(const char *)m->subject, (uint32_t)m->subject_bytes});
}

static bool is_held(const struct bus_session *s, uint32_t number)
{
	uint64_t peer = bus_peer(s->id);

	if (has_flag(number) || bind.memory_flag)
		return true;
	for (unsigned i = 0; i < MR_QUEUE_HELD_PEERS; i++)
		if (bind.peer_flags[i] == peer)
			return true;
	return false;
}

static bool must_wait(const struct bus_session *s, uint32_t queues)
{
	for (unsigned i = 0; i < model_queues_count; i++)
		if ((queues & 1u << i) && is_held(s, queue_of(i)->number))
			return true;
	return false;
}

/* Does the same as the worker. */
static void make_push(struct mr_message_view *v, const char *subject, bool ends)
{
	const uint8_t kept = MRF_MESSAGE_FLAG_ORIGIN | MRF_MESSAGE_FLAG_FRAGMENT;
	uint8_t flags = v->header.flags & kept;

	if (mr_message_is_promised(v->header.flags)) {
		if (!(flags & MRF_MESSAGE_FLAG_ORIGIN))
			v->extra.origin = (struct mrf_message_origin){0};
		/* The message was acknowledged, so it was accepted. */
		flags |= MRF_MESSAGE_FLAG_ORIGIN | (ends ? MRF_MESSAGE_FLAG_HIGH : 0u);
	}
	v->extra.flags = flags;
	v->header.flags = flags | MRF_MESSAGE_FLAG_SECTIONS;
	v->header.kind = MRF_MESSAGE_KIND_PUSH;
	v->subject = (const uint8_t *)subject;
	v->subject_bytes = (uint8_t)strlen(subject);
}

struct counts {
	uint64_t taken;
	uint64_t known;
	uint64_t refused; /* a complete message, or its first fragment */
	uint64_t rest;
};

static struct counts counts_now(void)
{
	const struct mrf_worker_stats *n = &bus.stats;

	return (struct counts){n->bound, n->queue_duplicates,
		n->drop_bound_full + n->drop_bound_memory + n->drop_bound_share +
			n->drop_bound_gone + n->drop_bound_old,
		n->drop_bad_fragment + n->drop_fragment_rest};
}

static struct counts counts_since(struct counts before)
{
	struct counts now = counts_now();

	return (struct counts){now.taken - before.taken, now.known - before.known,
		now.refused - before.refused, now.rest - before.rest};
}

/* Checks the outcome of a complete message, or of the last fragment of one. */
static void check_outcome(
	unsigned queue, uint32_t number, bool promised, bool all_along, const struct counts *n)
{
	const char *name = model_queues[queue].name;

	if (n->taken + n->known + n->refused + n->rest != 1)
		world_fail("%s: publish %u was taken %u times, known %u times, refused %u times",
			name, number, (unsigned)n->taken, (unsigned)n->known, (unsigned)n->refused);
	if (promised && all_along && n->taken + n->known == 0 && bus.store_is_large)
		world_fail("%s: publish %u is promised, and was not taken: full %u, old %u, no "
			   "memory %u, fragment %u",
			name, number, (unsigned)bus.stats.drop_bound_full,
			(unsigned)bus.stats.drop_bound_old, (unsigned)bus.stats.drop_bound_memory,
			(unsigned)n->rest);
}

static void check_full(unsigned i, const struct mr_queue *q, bool promised, uint64_t depth)
{
	uint64_t max = model_queues[i].holds.messages_max;

	if (q->options.when_full >= MRF_QUEUE_FULL_DROP_OLDEST)
		return;
	if (!promised && depth >= max && depth > 0)
		world_fail("%s has %" PRIu64 " messages, and took a plain publish", q->name, depth);
	if (depth + 1 >= max && !has_flag(q->number))
		world_fail("%s is full, and holds no publishes", q->name);
}

/* Gives the message, or a fragment of it, to one queue. */
static void give(struct bus_session *s, unsigned i, const struct mr_message_view *m,
	struct bus_publish *p, bool last)
{
	struct mr_queue *q = queue_of(i);
	uint64_t depth = mr_queue_depth(q);
	bool promised = (m->header.flags & MRF_MESSAGE_FLAG_ORIGIN) != 0;
	struct mr_message_view v = *m;
	struct counts n = counts_now();
	uint32_t number = model_copy(p->number, i);
	struct bus_left left;

	v.header.target = q->number;
	bus_left_before(&left);
	mr_queues_publish(bus.queues, s->id, &v, bus_now_ms());
	n = counts_since(n);
	if (n.taken > 0) {
		if (!(m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT)) /* was checked before */
			check_full(i, q, promised, depth);
		model_taken(number);
		cover(COVER_PUBLISH);
		watch_published(i);
	}
	bus_left_after(&left, number);
	if (!last) {
		/* The others have no place to go. */
		p->over |= n.known + n.refused + n.rest > 0 ? 1u << i : 0;
		return;
	}
	if (!(p->over & 1u << i))
		check_outcome(i, p->number, promised, p->changes[i] == bind.changes[i], &n);
}

/* Returns what is known of the message: all of it, if this is its beginning. */
static struct bus_publish *publish_of(struct bus_session *s, const struct mr_message_view *m)
{
	bool fragment = (m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0;
	struct bus_publish *p =
		&s->publishes[fragment ? m->extra.fragment.message % BUS_PIECES : BUS_PIECES];

	if (fragment && m->extra.fragment.offset != 0)
		return p;
	*p = (struct bus_publish){.number = model_number(m->payload, m->payload_bytes)};
	memcpy(p->changes, bind.changes, sizeof(bind.changes));
	return p;
}

static bool is_last(const struct mr_message_view *m)
{
	const struct mrf_message_fragment *f = &m->extra.fragment;

	return !(m->header.flags & MRF_MESSAGE_FLAG_FRAGMENT) ||
	       f->offset + m->header_bytes + m->payload_bytes == f->total_bytes;
}

bool bus_publish(struct bus_session *s, const struct mr_message_view *m)
{
	uint32_t alias = m->header.target != 0 ? m->header.target : alias_of(m);
	struct mr_message_view v = *m;
	struct bus_publish *p;
	uint32_t queues;

	if (alias == 0 || alias > BIND_SUBJECTS)
		world_fail("a publish to alias %u", alias);
	queues = bound_to(bind_subjects[alias - 1]);
	if (mr_message_is_promised(m->header.flags) && !s->ends && must_wait(s, queues))
		return false;
	p = publish_of(s, m);
	make_push(&v, bind_subjects[alias - 1], s->ends);
	for (unsigned i = 0; i < model_queues_count; i++)
		if (queues & 1u << i)
			give(s, i, &v, p, is_last(m));
	if (is_last(m)) {
		world_trace("publish %u to %s, id %" PRIu64 ", of session %u is taken", p->number,
			bind_subjects[alias - 1],
			m->header.flags & MRF_MESSAGE_FLAG_ORIGIN ? m->extra.origin.id : 0,
			mr_session_slot(s->id));
		model_publish_taken(p->number);
		if (world_chance(KICKS))
			bus.kick = s->id;
	}
	watch_all();
	return true;
}

static bool has_room(unsigned i)
{
	const struct mrf_queue_options *o = &model_queues[i].holds;
	const struct mr_queue *q = queue_of(i);

	return q == NULL || mr_queue_depth(q) == 0 ||
	       (o->when_full >= MRF_QUEUE_FULL_DROP_OLDEST && q->ready_count > 0) ||
	       (mr_queue_depth(q) < o->messages_max - o->messages_max / ROOM_PART &&
		       (o->bytes_max == 0 ||
			       q->body_bytes < o->bytes_max - o->bytes_max / ROOM_PART));
}

void bus_bind_watch(void)
{
	bool waits = false;

	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++)
		waits |= bus.sessions[i].open && bus.sessions[i].waits;
	for (unsigned i = 0; i < model_queues_count; i++)
		waits &= has_room(i);
	if (!waits || !bus.store_is_large)
		bind.waiting_ms = 0;
	else if (bind.waiting_ms == 0)
		bind.waiting_ms = bus_queues_ms();
	else if (bus_queues_ms() > bind.waiting_ms + SOON_MS)
		world_fail("promised publishes wait, and all queues have room");
}
