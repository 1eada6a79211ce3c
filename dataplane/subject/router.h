/* SPDX-License-Identifier: Apache-2.0 */
/* router: one worker's way to read the table: subject or alias in, route out.
 *
 * Owns      mr_router_new allocates all that it will ever need; call mr_router_free before
 *           mr_table_free. A route belongs to the router. It stays unchanged until the worker's
 *           next mr_router_online, _quiescent, _offline, _let_go or successful _forget, and must
 *           not be touched after that.
 * Threads   new and free: the table writer's thread, while the worker does not run. All else: the
 *           worker's thread only.
 * Ordering  [table.version], [table.grace]: see table.h.
 * Errors    A lookup that returns NULL says why: see there.
 * Hot path  No allocation, no lock, no system call, no log. Hit: bytes are compared, never a hash
 *           alone. Miss: bounded by MR_TABLE_VISITS_MAX nodes.
 */
#ifndef MILLRACE_SUBJECT_ROUTER_H
#define MILLRACE_SUBJECT_ROUTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/subject/table.h"
#include "lib/wire/subject.h"

struct mr_router;

#define MR_ROUTER_CACHE_DEFAULT 8192
#define MR_ROUTER_CACHE_MAX     (1u << 20)

struct mr_sink_span {
	const struct mr_sink *sinks;
	uint32_t count;
};

/* Visits plain subscribers of another worker during a walk. True: enough, no others are visited. */
typedef bool (*mr_far_visit)(void *arg, unsigned worker, const struct mr_sink_span *span);

/* In `group`: its only member is a bound queue, MR_OWNER_QUEUE. */
#define MR_ROUTE_GROUP_QUEUE (1u << 31)

/* A queue group with interest. Its members on all workers are some of the route's member spans. */
struct mr_route_group {
	uint32_t group;   /* the name's number in the table; MR_ROUTE_GROUP_QUEUE */
	uint32_t members; /* including members already gone */
	uint32_t span_first;
	uint32_t span_count;
};

struct mr_route {
	const char *subject;              /* not terminated */
	uint64_t workers;                 /* bit w: worker w, another one, has plain subscribers */
	const struct mr_sink_span *spans; /* this worker's plain subscribers */
	const struct mr_route_group *groups;
	const struct mr_sink_span *members;
	uint32_t group_count : 18;
	uint32_t interest : 1; /* there are subscribers, unless all are gone by now */
	uint32_t asks : 1;     /* a subscriber of any worker asks for a stamp */
	uint32_t span_count : 12;
	uint16_t far : 15; /* plain subscribers of other workers; 32,767: that many or more */
	uint16_t cut : 1;  /* some sinks of one session are left out; see mr_route_cut */
	uint8_t bytes;
	uint8_t sinks : 6; /* this worker's plain subscribers; 63: that many or more */
	bool large : 1; /* MR_ROUTE_LARGE sinks and groups or more, or a session has several, or one
			    * asks for a stamp */
	bool queues_only : 1; /* all receivers are bound queues, and it is not large */
	uint64_t hash;        /* hash of the subject */
};

#define MR_ROUTE_LARGE 64u

/* The chosen member of a group. */
struct mr_member {
	uint16_t worker;
	uint8_t high_water;
	uint8_t asks; /* subset of MR_SINK_ASKS */
	uint32_t slot;
	uint32_t generation;
	uint32_t sub_id;
};

/* Written by the worker alone; others read a copy that the worker makes. */
struct mr_router_counters {
	uint64_t alias_hits;
	uint64_t alias_fills;
	uint64_t alias_unknown; /* out of range or not assigned */
	uint64_t cache_hits;
	uint64_t cache_misses;
	uint64_t cache_evictions;
	uint64_t cache_invalidations; /* found, but changed in the table since */
	uint64_t malformed;           /* subjects refused */
	uint64_t overflows;           /* routes too large for an entry of the cache */
	uint64_t spills;              /* routes not cached because a whole set was in use */
	uint64_t full;                /* lookups refused until held routes are released */
	uint64_t visits;              /* nodes visited in all walks */
	uint64_t visits_max;          /* nodes visited in the longest walk */
};

/* `worker` is below the table's workers and has one router. `cache_entries` is a power of two from
 * 4 to MR_ROUTER_CACHE_MAX, or 0 for the default. Registers `worker` with the QSBR variable,
 * offline. -EINVAL, -ENOMEM. */
int mr_router_new(
	struct mr_table *t, unsigned worker, uint32_t cache_entries, struct mr_router **out);
void mr_router_free(struct mr_router *r);

/* online: before the first lookup and after sleep. offline: before sleep, so that reclamation does
 * not wait for a sleeper. quiescent: once a round. All three end the life of the routes handed out.
 */
void mr_router_online(struct mr_router *r);
void mr_router_offline(struct mr_router *r);
void mr_router_quiescent(struct mr_router *r);

/* Returns the route of a subject, also if nobody subscribes (see route->interest). The subject is
 * read during the call, must not change meanwhile, and nothing beyond `bytes` is read. NULL:
 * malformed, named by `*fault`; or, with `*fault` MR_SUBJECT_OK, no room because too many routes
 * are held: release them and ask again. `fault` is written only when NULL is returned. */
const struct mr_route *mr_router_subject(
	struct mr_router *r, const void *subject, size_t bytes, enum mr_subject_fault *fault);

/* Returns the route of an alias. NULL: not assigned or out of range, or, if mr_router_full, no
 * room. */
const struct mr_route *mr_router_alias(struct mr_router *r, uint32_t alias);

/* True if the last lookup that returned NULL found no room. Cleared by quiescence and by forget. */
bool mr_router_full(const struct mr_router *r);

/* Ends the life of the routes handed out, like quiescence, but reports nothing. For a worker that
 * holds no route now and is in the middle of a round. */
void mr_router_let_go(struct mr_router *r);

/* If full, allows all routes to be overwritten: ask again. False: the router was not full. For a
 * worker that holds no route now and must not report quiescence here. */
bool mr_router_forget(struct mr_router *r);

const struct mr_router_counters *mr_router_counters(const struct mr_router *r);

/* Visits the plain subscribers of the route's subject on other workers, including those already
 * gone. Costs a walk, because a route holds only the numbers of their workers. */
void mr_router_far(
	struct mr_router *r, const struct mr_route *route, mr_far_visit visit, void *arg);

/* Returns a number that is equal for two routes of one subject only if nothing changed between
 * them. */
uint64_t mr_route_version(const struct mr_route *route);

/* Returns how many plain subscriptions of this worker the message does not reach, because their
 * sessions have too many others. */
static inline uint32_t mr_route_cut(const struct mr_route *route)
{
	return route->cut ? route->spans[route->span_count].count : 0;
}

/* Copy a route with everything that it points to but the sinks; a copy is not overwritten. */
size_t mr_route_copy_bytes(const struct mr_route *route);
size_t mr_route_copy_bytes_max(void);
const struct mr_route *mr_route_copy(const struct mr_route *route, void *to);

/* Returns the worker's last report of quiescence. */
uint64_t mr_router_reported(const struct mr_router *r);
/* Tells the table writer which routes the worker keeps over its reports: those looked up after the
 * report `oldest`; 0: none. Called before the next report, it keeps the sinks of these routes in
 * memory. */
void mr_router_hold(struct mr_router *r, uint64_t oldest);

/* True if the group is a bound queue. */
static inline bool mr_route_group_is_queue(const struct mr_route_group *g)
{
	return (g->group & MR_ROUTE_GROUP_QUEUE) != 0;
}

/* False once the subscription is gone; skip the sink then. */
static inline bool mr_sink_live(const struct mr_sink *s)
{
	return !(atomic_load_explicit(&s->flags, memory_order_relaxed) & MR_SINK_GONE);
}

/* Picks the next live member of the route's group `g` (0..group_count-1); a `turn` that counts up
 * by one visits all members in rotation. False: all are gone. */
bool mr_route_group_pick(
	const struct mr_route *route, uint32_t g, uint32_t turn, struct mr_member *out);

#endif
