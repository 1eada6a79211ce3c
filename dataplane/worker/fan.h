/* SPDX-License-Identifier: Apache-2.0 */
/* fan: the fan-out of a message to many subscribers. It may be left unfinished and resumed later.
 * Private to the worker.
 *
 *   publish ──▶ some sinks ──(the turn's work is used up)──▶ kept ──▶ next turn: further sinks
 *
 * A kept fan-out has a copy of its route, so it does not depend on the router's memory. The sinks
 * belong to the table. The worker tells the table writer how old its oldest fan-out is
 * (mr_router_hold); the writer frees no memory that this one may read.
 *
 * Units     Work, see share.h.
 * Owns      A fan-out owns its copy of the route, and its messages unless they are in a mesh block.
 * Bound     MR_FANS_MAX fan-outs of clients, a quarter of them for one peer; one for each worker
 *           that this one reads from. Their promised messages together: MR_FAN_PROMISED_BYTES.
 * Threads   The worker's lcore.
 * Hot path  For routes of many sinks, and for large messages.
 */
#ifndef MILLRACE_WORKER_FAN_H
#define MILLRACE_WORKER_FAN_H

#include "dataplane/worker/share.h"
#include "dataplane/worker/stamp.h"

#define MR_FANS_MAX           16u
#define MR_FAN_PROMISED_BYTES 65536u
/* log2 of the bytes of a copy that cost as much as one look at a sink. */
#define MR_FAN_BYTES_SHIFT 8u
/* The bytes of smaller messages are not counted as work. */
#define MR_FAN_BYTES_SMALL 4096u

/* The messages of a fan-out: one message, or a run of them (deliver.h). */
struct mr_fan_load {
	const struct mr_burst_entry *run;
	const struct mr_message_view *view; /* the one message; NULL: it is a run */
	const struct mrf_reply_token *token;
	const struct mr_stamp *stamp; /* NULL: none */
	uint64_t from;                /* session; 0: it came by the mesh */
	uint32_t count;
	uint32_t bytes; /* sum over all messages */
	bool promised;
};

/* The position of a fan-out in its route. */
struct mr_fan_at {
	uint32_t span;
	uint32_t sink;    /* in that span */
	uint32_t message; /* message of the run whose groups and other workers are next */
	uint32_t group;
	uint32_t delivered; /* copies made of that message */
	uint16_t number;    /* w->promised_count of its promised messages */
	bool told;          /* the other workers have that message */
};

/* An unfinished fan-out. */
struct mr_fan {
	struct mr_fan *next; /* in the list of free or used ones */
	const struct mr_route *route;
	struct mr_fan_load load;
	struct mr_fan_at at;
	uint64_t number;   /* counts the kept fan-outs */
	uint64_t reported; /* see mr_router_reported */
	uint64_t peer;
	struct mrf_reply_token token;
	struct mr_stamp stamp;
	struct mr_message_view view;
	struct mr_burst_entry run[MR_BURST];
	alignas(MR_CACHE_LINE) uint8_t memory[]; /* the route's copy, and the messages */
};

struct mr_fans {
	struct mr_fan *free;
	struct mr_fan *used;
	uint32_t of_clients; /* used ones that came from clients, not by the mesh */
	uint32_t promised_bytes;
	uint64_t number; /* last one that was kept */
	size_t bytes;    /* size of the mapping */
};

/* 0 or -ENOMEM. */
int mr_fans_new(unsigned workers, struct mr_fans **out);
void mr_fans_free(struct mr_fans *f);

/* Returns the most work that the fan-out may take. */
uint64_t mr_fan_work_max(const struct mr_route *r, const struct mr_fan_load *l);
/* True if a fan-out of the peer may be left unfinished. */
bool mr_fan_may_be_kept(const struct mr_worker *w, const struct mr_fan_load *l, uint64_t peer);

/* Delivers to this worker's plain subscribers from *at on. False: the turn's work is used up before
 * the end. `whole`: delivers to all whatever the work. */
bool mr_fan_deliver(struct mr_worker *w, const struct mr_route *r, const struct mr_fan_load *l,
	struct mr_fan_at *at, bool whole);

/* Counts the copies that exceed the client's limit and are not made. Call it when a fan-out begins.
 * */
static inline void mr_fan_count_cut(
	struct mr_worker *w, const struct mr_route *r, const struct mr_fan_load *l)
{
	if (mr_unlikely(r->cut))
		mr_count(w->stats->drop_copies, (uint64_t)mr_route_cut(r) * l->count);
}

/* Keeps an unfinished fan-out, with copies of its route and messages. */
struct mr_fan *mr_fan_keep(struct mr_worker *w, const struct mr_route *r,
	const struct mr_fan_load *l, const struct mr_fan_at *at, uint64_t peer);
/* True if a fan-out with that number or a lower one is not done yet. */
bool mr_fan_is_older(const struct mr_worker *w, uint64_t number);
/* Frees a finished fan-out. */
void mr_fan_end(struct mr_worker *w, struct mr_fan *f);

#endif
