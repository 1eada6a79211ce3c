/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/router.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_rcu_qsbr.h>

#include "dataplane/subject/walk.h"

#define WAYS 4u
/* Largest value of the field `far` of a route. */
#define FAR_MAX 0x7fffu

/* The room of a cached route; a larger one goes to the large entries or the arena. */
#define CACHE_SPANS   11u
#define CACHE_GROUPS  4u
#define CACHE_MEMBERS 8u
#define ALIAS_SPANS   3u
#define ALIAS_GROUPS  2u
#define ALIAS_MEMBERS 2u

/* Routes too large for a cache entry: this many are kept, each with LARGE_BYTES of arrays. */
#define LARGE_ROUTES 8u
#define LARGE_BYTES  (256u << 10)

/* Arena for routes without a place, in addition to one route of the largest kind. */
#define ARENA_SPARE_BYTES (1u << 20)

/* The part of an entry that a lookup reads first. `sum` is 0 in an entry that was never filled. */
struct place {
	uint64_t sum;
	uint64_t period; /* last one in which it was handed out; unchanged until that ends */
	uint32_t bucket_subject;
	uint32_t bucket_first;
	struct mr_route route;
};

struct cache_entry {
	alignas(MR_CACHE_LINE) struct place place;
	struct mr_sink_span spans[CACHE_SPANS];
	struct mr_route_group groups[CACHE_GROUPS];
	struct mr_sink_span members[CACHE_MEMBERS];
	char subject[MR_SUBJECT_BYTES_MAX + 1];
};

struct alias_entry {
	alignas(MR_CACHE_LINE) struct place place;
	struct mr_sink_span spans[ALIAS_SPANS];
	struct mr_route_group groups[ALIAS_GROUPS];
	struct mr_sink_span members[ALIAS_MEMBERS];
};
_Static_assert(sizeof(struct alias_entry) == 3 * MR_CACHE_LINE, "there may be many aliases");

/* A large route; its arrays are in the router's `large_arrays`. */
struct large_entry {
	alignas(MR_CACHE_LINE) struct place place;
	char subject[MR_SUBJECT_BYTES_MAX + 1];
};

/* The memory of a route and its arrays. */
struct room {
	struct place *place;
	struct mr_sink_span *spans;
	struct mr_route_group *groups;
	struct mr_sink_span *members;
};

struct mr_router {
	/* read-only after new */
	struct mr_table *t;
	unsigned worker;
	uint32_t set_mask;
	uint32_t (*tags)[WAYS]; /* 0: empty */
	struct cache_entry *entries;
	struct alias_entry *aliases;
	struct large_entry *large;
	uint8_t *large_arrays;
	struct mr_walk *walk;
	uint8_t *arena;
	size_t arena_bytes;
	size_t footprint_bytes;
	/* the worker's own */
	uint64_t period;
	struct cache_entry *last; /* that of the last subject that was found */
	size_t arena_used;
	bool full;
	struct mr_router_counters counters;
};

/* The subject to look up. */
struct key {
	const char *subject;
	size_t bytes;
	uint64_t hash;
};

static size_t arena_worst_bytes(void)
{
	return sizeof(struct cache_entry) + (MR_WALK_LISTS_MAX + 1) * sizeof(struct mr_sink_span) +
	       (size_t)MR_WALK_GROUPS_MAX *
		       (sizeof(struct mr_route_group) + sizeof(struct mr_sink_span));
}

/* Reserves the next part of the router's one mapping; with base NULL it only adds up the size. */
static void *reserve_part(uint8_t *base, size_t *used, size_t bytes)
{
	void *at = base != NULL ? base + *used : NULL;

	*used += mr_align_up(bytes, MR_CACHE_LINE);
	return at;
}

static struct mr_router *lay_out(
	uint8_t *base, const struct mr_table *t, uint32_t entries, size_t *bytes)
{
	struct mr_router parts = {0};
	struct mr_router *r;

	*bytes = 0;
	r = reserve_part(base, bytes, sizeof(*r));
	parts.tags = reserve_part(base, bytes, entries / WAYS * sizeof(*parts.tags));
	parts.entries = reserve_part(base, bytes, entries * sizeof(*parts.entries));
	parts.aliases = reserve_part(
		base, bytes, ((size_t)t->limits.aliases_max + 1) * sizeof(*parts.aliases));
	parts.large = reserve_part(base, bytes, LARGE_ROUTES * sizeof(*parts.large));
	parts.large_arrays = reserve_part(base, bytes, (size_t)LARGE_ROUTES * LARGE_BYTES);
	parts.walk = reserve_part(base, bytes, sizeof(*parts.walk));
	parts.arena_bytes = arena_worst_bytes() + ARENA_SPARE_BYTES;
	parts.arena = reserve_part(base, bytes, parts.arena_bytes);
	if (r != NULL)
		*r = parts;
	return r;
}

int mr_router_new(
	struct mr_table *t, unsigned worker, uint32_t cache_entries, struct mr_router **out)
{
	uint32_t entries = cache_entries != 0 ? cache_entries : MR_ROUTER_CACHE_DEFAULT;
	size_t bytes;

	if (worker >= t->limits.workers || entries < WAYS || entries > MR_ROUTER_CACHE_MAX ||
		(entries & (entries - 1)) != 0)
		return -EINVAL;
	lay_out(NULL, t, entries, &bytes);
	/* A mapping is zero without being touched; most aliases and most of the arena are never
	 * used. */
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	if (rte_rcu_qsbr_thread_register(t->qsbr, worker) != 0) {
		munmap(base, bytes);
		return -EINVAL;
	}
	struct mr_router *r = lay_out(base, t, entries, &bytes);
	r->t = t;
	r->worker = worker;
	r->set_mask = entries / WAYS - 1;
	r->footprint_bytes = bytes;
	r->period = 1;
	r->last = r->entries;
	mr_walk_init(r->walk, t, worker);
	*out = r;
	return 0;
}

void mr_router_free(struct mr_router *r)
{
	if (r == NULL)
		return;
	rte_rcu_qsbr_thread_offline(r->t->qsbr, r->worker);
	rte_rcu_qsbr_thread_unregister(r->t->qsbr, r->worker);
	munmap(r, r->footprint_bytes);
}

/* Ends the period: all routes handed out so far may be overwritten. */
static void period_end(struct mr_router *r)
{
	r->period++;
	r->arena_used = 0;
	r->full = false;
}

void mr_router_online(struct mr_router *r)
{
	period_end(r);
	rte_rcu_qsbr_thread_online(r->t->qsbr, r->worker);
	/* thread_online reads the token without acquire; this report acquires [table.grace]. */
	rte_rcu_qsbr_quiescent(r->t->qsbr, r->worker);
}

void mr_router_offline(struct mr_router *r)
{
	period_end(r);
	rte_rcu_qsbr_thread_offline(r->t->qsbr, r->worker);
}

void mr_router_quiescent(struct mr_router *r)
{
	period_end(r);
	rte_rcu_qsbr_quiescent(r->t->qsbr, r->worker); /* [table.grace] */
}

void mr_router_let_go(struct mr_router *r)
{
	period_end(r);
}

bool mr_router_forget(struct mr_router *r)
{
	if (!r->full)
		return false;
	period_end(r);
	return true;
}

bool mr_router_full(const struct mr_router *r)
{
	return r->full;
}

const struct mr_router_counters *mr_router_counters(const struct mr_router *r)
{
	return &r->counters;
}

/* True if the place is up to date with the table; then it counts as handed out. */
static inline bool place_hit(struct mr_router *r, struct place *p)
{
	if (mr_unlikely(p->sum != mr_table_version(r->t, p->bucket_subject, p->bucket_first)))
		return false;
	p->period = r->period;
	return true;
}

/* Notes the versions before a walk: a change during the walk makes the result stale, not wrong. */
static void place_begin(const struct mr_router *r, struct place *p, const struct key *k)
{
	const char *dot = memchr(k->subject, '.', k->bytes);
	size_t first = dot != NULL ? (size_t)(dot - k->subject) : k->bytes;

	p->bucket_subject = mr_table_bucket(k->hash);
	p->bucket_first = mr_table_bucket(mr_hash_text(&r->t->nodes.hash_key, k->subject, first));
	p->sum = mr_table_version(r->t, p->bucket_subject, p->bucket_first);
	p->period = r->period;
}

static void refuse_full(struct mr_router *r)
{
	r->full = true;
	r->counters.full++;
}

static bool walk_table(struct mr_router *r, const struct key *k)
{
	bool fits = mr_walk_run(r->walk, k->subject, k->bytes, k->hash);

	r->counters.visits += r->walk->visits;
	if (r->walk->visits > r->counters.visits_max)
		r->counters.visits_max = r->walk->visits;
	if (!fits)
		refuse_full(r);
	return fits;
}

static bool walk_fits(const struct mr_walk *w, uint32_t spans, uint32_t groups, uint32_t members)
{
	return mr_walk_spans(w) <= spans && w->group_count <= groups && w->member_count <= members;
}

/* True if all receivers of a route with few of them are bound queues. */
static bool is_for_queues(const struct mr_route *route)
{
	if (route->large || route->group_count == 0 || route->span_count > 0 || route->workers != 0)
		return false;
	for (uint32_t g = 0; g < route->group_count; g++)
		if (!mr_route_group_is_queue(&route->groups[g]))
			return false;
	return true;
}

/* Writes the walk's result into a place; `begun` holds the versions from before the walk. */
static const struct mr_route *fill_place(const struct mr_router *r, const struct room *room,
	const struct place *begun, const char *subject, const struct key *k)
{
	const struct mr_walk *w = r->walk;

	*room->place = *begun;
	room->place->route = (struct mr_route){
		.subject = subject,
		.workers = w->workers,
		.spans = room->spans,
		.groups = room->groups,
		.members = room->members,
		.group_count = w->group_count,
		.span_count = w->span_count,
		.far = w->far < FAR_MAX ? (uint16_t)w->far : FAR_MAX,
		.bytes = (uint8_t)k->bytes,
		.interest = w->span_count > 0 || w->group_count > 0 || w->workers != 0,
		.sinks = w->sinks < MR_ROUTE_LARGE ? (uint8_t)w->sinks : MR_ROUTE_LARGE - 1,
		.large = w->sinks + w->group_count >= MR_ROUTE_LARGE || w->repeats || w->asks,
		.asks = w->asks,
		.cut = w->cut > 0,
		.hash = k->hash,
	};
	mr_walk_emit(w, room->spans, room->groups, room->members);
	room->place->route.queues_only = is_for_queues(&room->place->route);
	return &room->place->route;
}

/* Writes a route that has no place in the cache. */
static const struct mr_route *fill_arena(
	struct mr_router *r, const struct place *begun, const struct key *k)
{
	const struct mr_walk *w = r->walk;
	uint8_t *base = r->arena;
	size_t used = r->arena_used;
	struct room room;
	char *subject;

	room.place = reserve_part(base, &used, sizeof(*room.place));
	subject = reserve_part(base, &used, k->bytes);
	room.spans = reserve_part(base, &used, mr_walk_spans(w) * sizeof(*room.spans));
	room.groups = reserve_part(base, &used, w->group_count * sizeof(*room.groups));
	room.members = reserve_part(base, &used, w->member_count * sizeof(*room.members));
	if (used > r->arena_bytes) {
		refuse_full(r);
		return NULL;
	}
	r->arena_used = used;
	memcpy(subject, k->subject, k->bytes);
	return fill_place(r, &room, begun, subject, k);
}

/* Returns the way to overwrite: an empty one, else the one unused for longest; WAYS if all are in
 * use. */
static unsigned find_victim(const struct mr_router *r, uint32_t set)
{
	uint64_t oldest = r->period;
	unsigned way = WAYS;

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t period = r->entries[set * WAYS + i].place.period;
		if (period == r->period)
			continue;
		if (r->tags[set][i] == 0)
			return i;
		if (period < oldest) {
			oldest = period;
			way = i;
		}
	}
	return way;
}

static const struct mr_route *fill_cache(struct mr_router *r, uint32_t set, uint32_t tag,
	const struct place *begun, const struct key *k)
{
	unsigned way = find_victim(r, set);

	if (way == WAYS) {
		r->counters.spills++;
		return fill_arena(r, begun, k);
	}
	struct cache_entry *e = &r->entries[set * WAYS + way];
	if (r->tags[set][way] != 0)
		r->counters.cache_evictions++;
	r->tags[set][way] = tag;
	memcpy(e->subject, k->subject, k->bytes);
	struct room room = {&e->place, e->spans, e->groups, e->members};
	return fill_place(r, &room, begun, e->subject, k);
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 32) | 1;
}

static uint32_t set_of(const struct mr_router *r, uint64_t hash)
{
	return (uint32_t)(hash >> 12) & r->set_mask;
}

/* Finds a route among those too large for the cache. */
static const struct mr_route *large_find(struct mr_router *r, const struct key *k)
{
	for (unsigned i = 0; i < LARGE_ROUTES; i++) {
		struct large_entry *e = &r->large[i];

		if (e->place.sum == 0 || e->place.route.hash != k->hash ||
			e->place.route.bytes != k->bytes ||
			!mr_text_equal(e->subject, k->subject, k->bytes))
			continue;
		/* A stale entry stays for the route's holders, and is never hit again. */
		if (place_hit(r, &e->place)) {
			r->counters.cache_hits++;
			return &e->place.route;
		}
	}
	return NULL;
}

/* Returns the entry unused for longest; NULL: all are in use. */
static struct large_entry *large_victim(struct mr_router *r)
{
	struct large_entry *oldest = NULL;

	for (unsigned i = 0; i < LARGE_ROUTES; i++) {
		struct large_entry *e = &r->large[i];

		if (e->place.sum == 0)
			return e;
		if (e->place.period != r->period &&
			(oldest == NULL || e->place.period < oldest->place.period))
			oldest = e;
	}
	return oldest;
}

/* Lays out arrays for the walk's result in `bytes` at `base`; false: they do not fit. */
static bool lay_arrays(const struct mr_walk *w, uint8_t *base, size_t bytes, struct room *room)
{
	size_t used = 0;

	room->spans = reserve_part(base, &used, mr_walk_spans(w) * sizeof(*room->spans));
	room->groups = reserve_part(base, &used, w->group_count * sizeof(*room->groups));
	room->members = reserve_part(base, &used, w->member_count * sizeof(*room->members));
	return used <= bytes;
}

static const struct mr_route *fill_large(
	struct mr_router *r, const struct place *begun, const struct key *k)
{
	struct large_entry *e = large_victim(r);
	struct room room = {0};

	r->counters.overflows++;
	if (e == NULL ||
		!lay_arrays(r->walk, r->large_arrays + (size_t)(e - r->large) * LARGE_BYTES,
			LARGE_BYTES, &room))
		return fill_arena(r, begun, k);
	room.place = &e->place;
	memcpy(e->subject, k->subject, k->bytes);
	return fill_place(r, &room, begun, e->subject, k);
}

MR_ALWAYS_INLINE const struct mr_route *cache_look(struct mr_router *r, const struct key *k)
{
	uint32_t set = set_of(r, k->hash);
	uint32_t tag = tag_of(k->hash);

	for (unsigned way = 0; way < WAYS; way++) {
		if (r->tags[set][way] != tag)
			continue;
		struct cache_entry *e = &r->entries[set * WAYS + way];
		if (e->place.route.bytes != k->bytes ||
			!mr_text_equal(e->subject, k->subject, k->bytes))
			continue;
		if (mr_likely(place_hit(r, &e->place))) {
			r->counters.cache_hits++;
			r->last = e;
			return &e->place.route;
		}
		/* The entry cannot be found again; holders of the route may go on reading it. */
		r->counters.cache_invalidations++;
		r->tags[set][way] = 0;
		return NULL;
	}
	return large_find(r, k);
}

static const struct mr_route *cache_find(struct mr_router *r, const struct key *k)
{
	return cache_look(r, k);
}

/* Walks the table for a subject that is well-formed and not in the cache. */
static __attribute__((noinline)) const struct mr_route *cache_miss(
	struct mr_router *r, const struct key *k)
{
	struct place begun = {0};

	r->counters.cache_misses++;
	place_begin(r, &begun, k);
	if (!walk_table(r, k))
		return NULL;
	if (walk_fits(r->walk, CACHE_SPANS, CACHE_GROUPS, CACHE_MEMBERS))
		return fill_cache(r, set_of(r, k->hash), tag_of(k->hash), &begun, k);
	return fill_large(r, &begun, k);
}

/* Looks up a subject that is not that of r->last, or whose entry has become stale. */
static __attribute__((noinline)) const struct mr_route *look_up(
	struct mr_router *r, const void *subject, size_t bytes, enum mr_subject_fault *fault)
{
	struct key k = {subject, bytes, 0};

	if (mr_likely(bytes <= MR_SUBJECT_BYTES_MAX)) {
		k.hash = mr_hash_text(&r->t->nodes.hash_key, subject, bytes);
		const struct mr_route *route = cache_look(r, &k);
		if (mr_likely(route != NULL))
			return route;
	}
	/* Only well-formed subjects get into the cache, so a hit needs no check. */
	*fault = mr_subject_parse(subject, bytes);
	if (*fault != MR_SUBJECT_OK) {
		r->counters.malformed++;
		return NULL;
	}
	return cache_miss(r, &k);
}

/* Publishers without aliases mostly send several messages to one subject. */
const struct mr_route *mr_router_subject(
	struct mr_router *r, const void *subject, size_t bytes, enum mr_subject_fault *fault)
{
	struct cache_entry *e = r->last;

	if (e->place.route.bytes != bytes || !mr_text_equal(e->subject, subject, bytes) ||
		mr_unlikely(!place_hit(r, &e->place)))
		return look_up(r, subject, bytes, fault);
	r->counters.cache_hits++;
	return &e->place.route;
}

static const struct mr_route *cached_or_miss(struct mr_router *r, const struct key *k)
{
	const struct mr_route *route = cache_find(r, k);

	return route != NULL ? route : cache_miss(r, k);
}

static bool alias_fits(const struct mr_route *route)
{
	uint32_t members = 0;

	for (uint32_t g = 0; g < route->group_count; g++)
		members += route->groups[g].span_count;
	return route->span_count <= ALIAS_SPANS && route->group_count <= ALIAS_GROUPS &&
	       members <= ALIAS_MEMBERS;
}

static __attribute__((noinline)) const struct mr_route *alias_miss(
	struct mr_router *r, uint32_t number)
{
	const struct mr_alias *alias = mr_alias_at(&r->t->aliases, number);
	struct place begun = {0};

	if (alias == NULL)
		goto unknown;
	struct key k = {alias->subject, alias->bytes, alias->hash};
	place_begin(r, &begun, &k);
	/* The writer empties the slot, then raises the version. So if the version read above
	 * already included that change, the slot reads empty here. */
	if (mr_alias_at(&r->t->aliases, number) != alias)
		goto unknown;
	struct alias_entry *e = &r->aliases[number];
	if (e->place.period == r->period)
		return cached_or_miss(r, &k);
	const struct mr_route *large = cache_find(r, &k);
	if (large != NULL && !alias_fits(large))
		return large;
	if (!walk_table(r, &k))
		return NULL;
	if (!walk_fits(r->walk, ALIAS_SPANS, ALIAS_GROUPS, ALIAS_MEMBERS))
		return cache_miss(r, &k);
	r->counters.alias_fills++;
	struct room room = {&e->place, e->spans, e->groups, e->members};
	return fill_place(r, &room, &begun, alias->subject, &k);
unknown:
	r->counters.alias_unknown++;
	return NULL;
}

const struct mr_route *mr_router_alias(struct mr_router *r, uint32_t alias)
{
	if (mr_unlikely(alias > r->t->limits.aliases_max))
		return alias_miss(r, 0);
	struct place *p = &r->aliases[alias].place;
	if (mr_likely(place_hit(r, p))) {
		r->counters.alias_hits++;
		return &p->route;
	}
	return alias_miss(r, alias);
}

void mr_router_far(struct mr_router *r, const struct mr_route *route, mr_far_visit visit, void *arg)
{
	r->walk->see = (struct mr_walk_far){.visit = visit, .arg = arg};
	(void)mr_walk_run(r->walk, route->subject, route->bytes, route->hash);
	r->walk->see = (struct mr_walk_far){0};
}

static uint32_t members_of(const struct mr_route *route)
{
	const struct mr_route_group *last = route->groups + route->group_count - 1;

	return route->group_count > 0 ? last->span_first + last->span_count : 0;
}

static uint32_t spans_of(const struct mr_route *route)
{
	return route->span_count + route->cut;
}

size_t mr_route_copy_bytes(const struct mr_route *route)
{
	return mr_align_up(sizeof(*route) + spans_of(route) * sizeof(*route->spans) +
				   route->group_count * sizeof(*route->groups) +
				   members_of(route) * sizeof(*route->members) + route->bytes,
		MR_CACHE_LINE);
}

size_t mr_route_copy_bytes_max(void)
{
	return arena_worst_bytes();
}

/* The widest arrays come first, so all are aligned. */
const struct mr_route *mr_route_copy(const struct mr_route *route, void *to)
{
	struct mr_route *copy = to;
	struct mr_sink_span *spans = (struct mr_sink_span *)(copy + 1);
	struct mr_sink_span *members = spans + spans_of(route);
	struct mr_route_group *groups = (struct mr_route_group *)(members + members_of(route));
	char *subject = (char *)(groups + route->group_count);

	*copy = *route;
	memcpy(spans, route->spans, spans_of(route) * sizeof(*spans));
	memcpy(members, route->members, members_of(route) * sizeof(*members));
	memcpy(groups, route->groups, route->group_count * sizeof(*groups));
	memcpy(subject, route->subject, route->bytes);
	copy->spans = spans;
	copy->members = members;
	copy->groups = groups;
	copy->subject = subject;
	return copy;
}

uint64_t mr_router_reported(const struct mr_router *r)
{
	return __atomic_load_n(&r->t->qsbr->qsbr_cnt[r->worker].cnt, __ATOMIC_RELAXED);
}

void mr_router_hold(struct mr_router *r, uint64_t oldest)
{
	atomic_store_explicit(
		&r->t->held[r->worker], oldest, memory_order_release); /* [table.held] */
}

uint64_t mr_route_version(const struct mr_route *route)
{
	const char *at = (const char *)route - offsetof(struct place, route);

	return ((const struct place *)at)->sum;
}

bool mr_route_group_pick(
	const struct mr_route *route, uint32_t g, uint32_t turn, struct mr_member *out)
{
	const struct mr_route_group *group = &route->groups[g];
	const struct mr_sink_span *span = &route->members[group->span_first];
	const struct mr_sink_span *end = span + group->span_count;
	uint32_t at = turn % group->members;

	for (; at >= span->count; span++)
		at -= span->count;
	for (uint32_t tried = 0; tried < group->members; tried++) {
		const struct mr_sink *sink = &span->sinks[at];
		uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);
		if (mr_likely(!(flags & MR_SINK_GONE))) {
			*out = (struct mr_member){(uint16_t)(flags >> MR_SINK_WORKER_SHIFT),
				(uint8_t)mr_sink_high_water(flags), flags & MR_SINK_ASKS,
				sink->slot, sink->generation, sink->sub_id};
			return true;
		}
		if (++at == span->count) {
			at = 0;
			span = span + 1 < end ? span + 1 : &route->members[group->span_first];
		}
	}
	return false;
}
