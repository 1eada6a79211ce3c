/* SPDX-License-Identifier: Apache-2.0 */
/* router: one worker's way to read the table: subject or alias in, route out.
 *
 * Owns      mr_router_new allocates all it will ever need; mr_router_free before mr_table_free. A
 *           route belongs to the router. It stays as it is until the worker's next
 *           mr_router_quiescent, mr_router_offline or mr_router_forget, and must not be touched
 *           after that.
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

/* Plain subscribers of another worker, met in a walk. True: that is enough, no others are visited. */
typedef bool (*mr_far_visit)(void *arg, unsigned worker, const struct mr_sink_span *span);

/* A queue group with interest: its members over all workers are some of the route's member spans.
 */
struct mr_route_group {
	uint32_t group;   /* the name's number in the table */
	uint32_t members; /* those already gone included */
	uint32_t span_first;
	uint32_t span_count;
};

struct mr_route {
	const char *subject;              /* not terminated */
	uint64_t workers;                 /* bit w: worker w, another one, has plain subscribers */
	const struct mr_sink_span *spans; /* this worker's plain subscribers */
	const struct mr_route_group *groups;
	const struct mr_sink_span *members;
	uint32_t group_count : 20;
	uint32_t span_count : 12;
	uint16_t far : 15; /* plain subscribers of other workers; 32,767: that many or more */
	uint16_t cut : 1;  /* some of one session's are left out; see mr_route_cut */
	uint8_t bytes;
	uint8_t sinks : 6; /* this worker's plain subscribers; 63: that many or more */
	bool interest : 1; /* somebody gets a copy, unless all are gone by now */
	bool large : 1; /* many sinks or groups, MR_ROUTE_LARGE of both together; or several of one session */
	uint64_t hash; /* of the subject */
};

#define MR_ROUTE_LARGE 64u

/* The group member chosen. */
struct mr_member {
	uint16_t worker;
	uint8_t water;
	uint32_t slot;
	uint32_t generation;
	uint32_t sub_id;
};

/* Written by the worker alone; others read a copy that the worker made. */
struct mr_router_counters {
	uint64_t alias_hits;
	uint64_t alias_fills;
	uint64_t alias_unknown; /* out of range or not assigned */
	uint64_t cache_hits;
	uint64_t cache_misses;
	uint64_t cache_evictions;
	uint64_t cache_invalidations; /* found, but the table had changed under it */
	uint64_t malformed;           /* subjects refused */
	uint64_t overflows;           /* routes too large to be cached */
	uint64_t spills;              /* routes not cached because a whole set was in use */
	uint64_t full;                /* lookups refused until the routes held are let go of */
	uint64_t visits;              /* nodes looked at in all walks */
	uint64_t visits_max;          /* and in the longest one */
};

/* `worker` below the table's workers, one router each; `cache_entries` a power of two from 4 to
 * MR_ROUTER_CACHE_MAX, or 0 for the default. Registers `worker` with the QSBR variable, offline.
 * -EINVAL, -ENOMEM. */
int mr_router_new(
	struct mr_table *t, unsigned worker, uint32_t cache_entries, struct mr_router **out);
void mr_router_free(struct mr_router *r);

/* Before the first lookup and after sleeping; before sleeping, as reclamation must not wait for a
 * sleeper; and once a loop. All three end the life of routes handed out. */
void mr_router_online(struct mr_router *r);
void mr_router_offline(struct mr_router *r);
void mr_router_quiescent(struct mr_router *r);

/* The route of a subject, never NULL merely because nobody is interested (see route->interest).
 * The subject is read while the call lasts and must not change under it; nothing beyond `bytes` is
 * read. NULL: malformed, and `*fault` names it; or `*fault` is MR_SUBJECT_OK: so many routes are
 * held that there is no room for another; let go of them and ask again. `fault` is written only
 * when NULL is returned. */
const struct mr_route *mr_router_subject(
	struct mr_router *r, const void *subject, size_t bytes, enum mr_subject_fault *fault);

/* The route of an alias. NULL: not assigned or out of range, or, if mr_router_full, no room. */
const struct mr_route *mr_router_alias(struct mr_router *r, uint32_t alias);

/* The last lookup that returned NULL did so for want of room. Cleared by quiescence, and by forget. */
bool mr_router_full(const struct mr_router *r);

/* For a worker that holds no route now, and is in the midst of a round: ends the life of those handed
 * out, as quiescence would, and reports nothing. */
void mr_router_let_go(struct mr_router *r);

/* For a worker that holds no route now, and is in the midst of what it must not report quiescence in.
 * If full, all routes may be overwritten from here on: ask again. False: that is not why. */
bool mr_router_forget(struct mr_router *r);

const struct mr_router_counters *mr_router_counters(const struct mr_router *r);

/* Visits the plain subscribers that other workers have of the route's subject, those already gone
 * included. Costs a walk: a route knows the workers alone. */
void mr_router_far(
	struct mr_router *r, const struct mr_route *route, mr_far_visit visit, void *arg);

/* Equal for two routes of one subject only if nothing changed between them. */
uint64_t mr_route_version(const struct mr_route *route);

/* This worker's plain subscriptions that the message does not reach, as their sessions have so many others. */
static inline uint32_t mr_route_cut(const struct mr_route *route)
{
	return route->cut ? route->spans[route->span_count].count : 0;
}

/* A copy of a route with all that it points to but the sinks: it stays as it is. */
size_t mr_route_copy_bytes(const struct mr_route *route);
size_t mr_route_copy_bytes_max(void);
const struct mr_route *mr_route_copy(const struct mr_route *route, void *to);

/* The worker's last report of quiescence. */
uint64_t mr_router_reported(const struct mr_router *r);
/* Tells the table writer which routes the worker keeps over its reports: it looked them up after the report
 * `oldest`. 0: none. Called before the next report, it keeps the sinks of these routes in memory. */
void mr_router_hold(struct mr_router *r, uint64_t oldest);

/* False once the subscription is gone; the sink is to be skipped then. */
static inline bool mr_sink_live(const struct mr_sink *s)
{
	return !(atomic_load_explicit(&s->flags, memory_order_relaxed) & MR_SINK_GONE);
}

/* The member whose turn it is, of the route's group `g` (0..group_count-1); turns that count up by
 * one go round. False: all are gone. */
bool mr_route_group_pick(
	const struct mr_route *route, uint32_t g, uint32_t turn, struct mr_member *out);

#endif
