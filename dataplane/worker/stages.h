/* SPDX-License-Identifier: Apache-2.0 */
/* stages: the functions that the worker's loop calls, in the order of a message's way. Private to
 * the worker.
 *
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_STAGES_H
#define MILLRACE_WORKER_STAGES_H

#include "dataplane/worker/worker.h"
#include "flatbuf/link.h"

struct mr_fan;

/* Runs all stages once. */
void mr_worker_round(struct mr_worker *w);
/* Fills the burst from the channels with messages that were checked in place. */
void mr_worker_rx(struct mr_worker *w);
/* Delivers, hands over or discards each message of the burst. */
void mr_worker_route(struct mr_worker *w);
/* Routes one late message (share.h). False: it must wait. */
bool mr_worker_route_late(struct mr_worker *w, const struct mr_burst_entry *e);
/* Continues a fan-out of a session, or (NULL) of a closed one. True: it is done, and freed. */
bool mr_worker_route_fan(struct mr_worker *w, struct mr_session *s, struct mr_fan *f);
/* Publishes the tails of written rings and wakes their readers; sends open frames. */
void mr_worker_publish_tails(struct mr_worker *w);
/* Ends the round: publishes, and releases what was read. */
void mr_worker_tx(struct mr_worker *w);

/* Delivers what other workers sent. */
void mr_worker_mesh_rx(struct mr_worker *w);
/* Delivers what control sent. */
void mr_worker_handoff_rx(struct mr_worker *w);
/* Passes the answer to a command back to control. */
void mr_worker_handoff_answer(
	struct mr_worker *w, uint64_t session, uint32_t target, const void *data, uint32_t bytes);
/* Passes a client's message to control. */
/* route_other.c: routes a message that is neither a publish nor for a queue. */
void mr_worker_route_other(struct mr_worker *w, struct mr_session *from, struct mr_message_view m);
static inline void mr_worker_count_rejected(struct mr_session *from)
{
	mr_count(from->stats->rejected, 1);
}
/* -ENOMEM, -EIO. */
int mr_worker_handoff_init(struct mr_worker *w);
void mr_worker_handoff(struct mr_worker *w, struct mr_session *from,
	const struct mr_message_view *m, enum mrf_handoff_reason reason);

/* Passes a Hello to control, with its path. False: no room, as counted. */
bool mr_worker_handoff_hello(
	struct mr_worker *w, const struct mrf_network_path *path, const struct mr_message_view *m);

/* Counts a message of `bytes` for which the session had no room: in `full`, or over UDP by its
 * reason. */
void mr_worker_no_room(struct mr_worker *w, struct mr_session *s, uint32_t bytes, uint64_t *full);
/* Counts a missed delivery; a Gap message tells the session later. Returns the session if it has no
 * room at all (mr_worker_has_no_room), else NULL. */
const struct mr_session *mr_worker_missed(
	struct mr_worker *w, struct mr_session *s, uint32_t bytes);
/* Counts `count` missed deliveries of a session that has no room at all. */
void mr_worker_missed_many(struct mr_worker *w, struct mr_session *s, uint32_t count);
/* Updates the gauges of a session: backlog, and the time of its last missed delivery (a little
 * late). */
void mr_worker_gauge(struct mr_worker *w, struct mr_session *s);
/* Delivers a Reply whose token names this worker. */
void mr_worker_reply(struct mr_worker *w, const struct mr_message_view *m);
/* Sends a Gap message, if the ring has room for it and for `room_bytes` more. False: not yet. */
bool mr_worker_tell_gap(struct mr_worker *w, struct mr_session *s, uint64_t room_bytes);

/* The purpose of a message in the mesh. */
enum mr_mesh_what {
	MR_MESH_ROUTE,   /* a Publish for subscribers, or the Reply to one */
	MR_MESH_HOME,    /* for a queue that is owned there, from session `session` */
	MR_MESH_SESSION, /* to session `session`; must not be lost */
	MR_MESH_BOUND,   /* a publish for a queue bound to its subject, from session `session` */
	MR_MESH_UNDELIVERED, /* for a queue that is owned there: this delivery was not made */
};

/* The header of a mesh record; `members` mr_mesh_member and the message follow, all 8-aligned. */
struct mr_mesh_record {
	uint64_t workers; /* bit w: it is for worker w; of a Publish: for plain subscribers there */
	union {
		uint64_t session; /* its source or destination */
		uint64_t hash; /* hash of a Publish's subject; its alias may have changed hands */
	};
	uint32_t members; /* members of queue groups, chosen by the sender */
	uint32_t what;    /* enum mr_mesh_what */
};
struct mr_mesh_member {
	uint16_t worker;
	uint8_t high_water; /* high-water mark, percent (mr_table_high_water) */
	uint8_t asks;       /* subset of MR_SINK_ASKS */
	uint32_t slot;
	uint32_t generation;
	uint32_t sub_id;
};
#define MR_MESH_MEMBERS_MAX 24u

/* True if a burst can be taken now: there are blocks, and room in every ring. */
bool mr_worker_mesh_ready(struct mr_worker *w);
/* Copies a message for other workers. False: there is no room now, or records are queued before
 * it. */
bool mr_worker_mesh_put(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_message_plan *plan, uint32_t target);
/* Queues the message in the worker's store, behind earlier ones. Nothing is taken from clients
 * until the queue is empty. That may take longer than an alias lives. False: no memory, as
 * counted. */
bool mr_worker_mesh_queue(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_message_plan *plan, uint32_t target);
/* Sends a message to a queue's home worker, or to a session of another worker; queues it if need
 * be. */
void mr_worker_mesh_home(struct mr_worker *w, unsigned home, uint64_t from,
	const struct mr_message_plan *plan, uint32_t target);
void mr_worker_mesh_to_session(
	struct mr_worker *w, uint64_t session, const struct mr_message_plan *plan, uint32_t target);
/* Tells the home worker that a delivery did not reach its consumer. */
void mr_worker_mesh_undelivered(
	struct mr_worker *w, uint64_t session, const struct mr_message_view *m);
/* True if a message of `bytes` to worker `to` would not be queued, and would leave room for
 * others. */
bool mr_worker_mesh_spare(struct mr_worker *w, unsigned to, uint32_t bytes);
/* Publishes the new part of the open block to its readers. */
void mr_worker_mesh_flush(struct mr_worker *w);
/* Wakes the workers that something was published to, if they sleep. */
void mr_worker_mesh_wake(struct mr_worker *w);
/* Frees all blocks, when the worker stops. */
void mr_worker_mesh_fini(struct mr_worker *w);

/* Sleeps until there is something to do. */
void mr_worker_sleep(struct mr_worker *w);
void mr_worker_housekeep(struct mr_worker *w);

/* apart.c: parses a message with parts, which will be entry `index` of the burst. NULL: it is
 * malformed, and counted. Not inline: it would drive values that every message needs out of
 * registers. */
const struct mr_message_view *mr_worker_take_apart(struct mr_worker *w, struct mr_session *s,
	uint32_t index, const uint8_t *at, struct mrf_message_header h);
/* True if a message, whose header was read and fits, would be discarded. Counts nothing. */
bool mr_worker_refuses(const struct mr_worker *w, const struct mr_session *s, const uint8_t *at,
	struct mrf_message_header h);

/* True of a promised Publish with a body and nothing else. */
static inline bool mr_worker_is_bare_promise(struct mrf_message_header h)
{
	return h.kind == MRF_MESSAGE_KIND_PUBLISH && h.flags == MRF_MESSAGE_FLAG_HIGH;
}

/* Appends a message to the burst, which has room. `word` is the header as it was read, and is
 * written at once. `view`: NULL or entry `burst_count` of the burst's views. */
MR_ALWAYS_INLINE void mr_worker_append(struct mr_worker *w, struct mr_session *s, const uint8_t *at,
	uint64_t word, const struct mr_message_view *view)
{
	uint32_t index = w->burst_count;

	memcpy(&w->burst[index].header, &word, sizeof(word));
	w->burst[index].at = at;
	w->burst[index].view = view;
	w->burst[index].from = s;
	w->burst_count = index + 1;
}

/* True of a message that is more than a header and a body of a permitted size: it gets a view. */
MR_ALWAYS_INLINE bool mr_worker_needs_view(struct mrf_message_header h)
{
	return (h.flags != 0 && !mr_worker_is_bare_promise(h)) ||
	       mr_unlikely(h.bytes > sizeof(h) + MR_BODY_BYTES_MAX);
}

/* Appends a message whose header was read and fits, or discards and counts it. */
MR_ALWAYS_INLINE void mr_worker_keep_word(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, uint64_t word)
{
	struct mrf_message_header h = mr_message_header_of(word);
	const struct mr_message_view *view = NULL;

	if (mr_worker_needs_view(h)) {
		view = mr_worker_take_apart(w, s, w->burst_count, at, h);
		if (mr_unlikely(view == NULL)) {
			mr_count(s->stats->rejected, 1);
			return;
		}
	}
	mr_worker_append(w, s, at, word, view);
}

static inline void mr_worker_keep(
	struct mr_worker *w, struct mr_session *s, const uint8_t *at, struct mrf_message_header h)
{
	uint64_t word;

	memcpy(&word, &h, sizeof(word));
	mr_worker_keep_word(w, s, at, word);
}

/* Counts what was pushed to the session since its tail was last published. */
static inline void mr_worker_count_copies(struct mr_worker *w, struct mr_session *s)
{
	uint64_t bytes = s->down.tail - s->down.tail_out;

	mr_count(s->stats->tx_messages, s->down_messages);
	mr_count(s->stats->tx_bytes, bytes);
	mr_count(w->stats->tx_messages, s->down_messages);
	mr_count(w->stats->tx_bytes, bytes);
	s->down_messages = 0;
}

static inline void mr_worker_mark_dirty(struct mr_worker *w, struct mr_session *s)
{
	if (s->dirty)
		return;
	if (mr_unlikely(w->dirty_count == MR_DIRTY_MAX))
		mr_worker_publish_tails(w);
	s->dirty = true;
	w->dirty[w->dirty_count++] = s;
}

#endif
