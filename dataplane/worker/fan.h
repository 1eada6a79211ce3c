/* SPDX-License-Identifier: Apache-2.0 */
/* fan: the fan-out of a message to many subscribers, which may be left in the middle and resumed. Private to
 * the worker.
 *
 *   publish ──▶ some of the sinks ──(the turn's work is used up)──▶ kept ──▶ next turn: the sinks behind
 *
 * A fan-out that is kept has a copy of its route, so that it does not depend on the router's memory. The
 * sinks themselves belong to the table. The worker tells the table writer how old the oldest fan-out is
 * (mr_router_hold), and the writer frees nothing that it may read.
 *
 * Units     Work, see share.h.
 * Owns      A fan-out owns its route's copy, and its messages, unless they stand in a mesh block.
 * Bound     MR_FANS_MAX fan-outs of clients, a quarter of them for one peer; one for each worker that
 *           this one reads from. Their promised messages together: MR_FAN_PROMISED_BYTES.
 * Threads   The worker's lcore.
 * Hot path  For routes of many sinks, and for large messages.
 */
#ifndef MILLRACE_WORKER_FAN_H
#define MILLRACE_WORKER_FAN_H

#include "dataplane/worker/share.h"

#define MR_FANS_MAX           16u
#define MR_FAN_PROMISED_BYTES 65536u
/* Bytes of a copy that cost as much as one look at a sink, as a power of two. */
#define MR_FAN_BYTES_SHIFT 8u
/* A message of fewer bytes costs what its sinks cost. */
#define MR_FAN_BYTES_SMALL 4096u

/* The messages of a fan-out: one message, or a run of them (deliver.h). */
struct mr_fan_load {
	const struct mr_burst_entry *run;
	const struct mr_message_view *view; /* of the one message; NULL: it is a run */
	const struct mrf_reply_token *token;
	uint64_t from; /* session; 0: it came by the mesh */
	uint32_t count;
	uint32_t bytes; /* of the messages together */
	bool promised;
};

/* The position of a fan-out in its route. */
struct mr_fan_at {
	uint32_t span;
	uint32_t sink;    /* of the span */
	uint32_t message; /* of the run, for which groups and other workers come next */
	uint32_t group;
	uint32_t delivered; /* copies of that message */
	uint16_t number;    /* w->promised_count of its promised messages */
	bool told;          /* the other workers have that message */
};

/* A fan-out that was left in the middle. */
struct mr_fan {
	struct mr_fan *next; /* among the free, or among those in use */
	const struct mr_route *route;
	struct mr_fan_load load;
	struct mr_fan_at at;
	uint64_t number;   /* of all that were kept */
	uint64_t reported; /* see mr_router_reported */
	uint64_t peer;
	struct mrf_reply_token token;
	struct mr_message_view view;
	struct mr_burst_entry run[MR_BURST];
	alignas(MR_CACHE_LINE) uint8_t memory[]; /* the route's copy, and the messages */
};

struct mr_fans {
	struct mr_fan *free;
	struct mr_fan *used;
	uint32_t of_clients; /* of those in use */
	uint32_t promised_bytes;
	uint64_t number; /* of the last that was kept */
	size_t bytes;    /* of the mapping */
};

/* -ENOMEM */
int mr_fans_new(unsigned workers, struct mr_fans **out);
void mr_fans_free(struct mr_fans *f);

/* Work that the fan-out may take at most. */
uint64_t mr_fan_work_max(const struct mr_route *r, const struct mr_fan_load *l);
/* True if a fan-out of the peer may be left in the middle. */
bool mr_fan_may_be_kept(const struct mr_worker *w, const struct mr_fan_load *l, uint64_t peer);

/* Delivers to this worker's plain subscribers from *at on. False: the turn's work is used up, and `whole` is
 * false. */
bool mr_fan_deliver(struct mr_worker *w, const struct mr_route *r, const struct mr_fan_load *l,
	struct mr_fan_at *at, bool whole);

/* Counts the copies that a fan-out that begins will not make. */
static inline void mr_fan_count_cut(
	struct mr_worker *w, const struct mr_route *r, const struct mr_fan_load *l)
{
	if (mr_unlikely(r->cut))
		mr_count(w->stats->drop_copies, (uint64_t)mr_route_cut(r) * l->count);
}

/* Keeps what was left, with copies of all that it needs. */
struct mr_fan *mr_fan_keep(struct mr_worker *w, const struct mr_route *r,
	const struct mr_fan_load *l, const struct mr_fan_at *at, uint64_t peer);
/* True if a fan-out with that number or a lower one is not done yet. */
bool mr_fan_is_older(const struct mr_worker *w, uint64_t number);
/* Frees a fan-out that is done. */
void mr_fan_end(struct mr_worker *w, struct mr_fan *f);

#endif
