/* SPDX-License-Identifier: Apache-2.0 */
/* stages: what the worker's loop calls, in the order of a message's way. Private to the worker.
 *
 * Threads   The worker's lcore.
 * Hot path  All of it.
 */
#ifndef MILLRACE_WORKER_STAGES_H
#define MILLRACE_WORKER_STAGES_H

#include "dataplane/worker/worker.h"
#include "flatbuf/link.h"

struct mr_fan;

/* All of them, once. */
void mr_worker_round(struct mr_worker *w);
/* Fills the burst from the channels, with messages that were checked in place. */
void mr_worker_rx(struct mr_worker *w);
/* Delivers, hands over or discards every message of the burst. */
void mr_worker_route(struct mr_worker *w);
/* The same of a message that was late: see share.h. False: it has to wait. */
bool mr_worker_route_late(struct mr_worker *w, const struct mr_burst_entry *e);
/* Goes on with a fan-out of a session, or, NULL, of one that is gone. True: it is done, and freed. */
bool mr_worker_route_fan(struct mr_worker *w, struct mr_session *s, struct mr_fan *f);
/* Shows what was written to its readers and rings who sleeps. */
void mr_worker_publish_tails(struct mr_worker *w);
/* The same, and gives back what was read. */
void mr_worker_tx(struct mr_worker *w);

/* Delivers what other workers sent. */
void mr_worker_mesh_rx(struct mr_worker *w);
/* Delivers what control sent. */
void mr_worker_handoff_rx(struct mr_worker *w);
/* Passes the answer to a command of control back. */
void mr_worker_handoff_answer(
	struct mr_worker *w, uint64_t session, uint32_t target, const void *data, uint32_t bytes);
/* Passes a client's message to control. */
void mr_worker_handoff(struct mr_worker *w, struct mr_session *from,
	const struct mr_message_view *m, enum mrf_handoff_reason reason);

/* The same of a Hello, with the path that it came by. False: it could not be, as counted. */
bool mr_worker_handoff_hello(
	struct mr_worker *w, const struct mrf_network_path *path, const struct mr_message_view *m);

/* Counts a message of `bytes` for which the session had no room: in `full`, or over UDP in what was
 * the reason. */
void mr_worker_no_room(struct mr_worker *w, struct mr_session *s, uint32_t bytes, uint64_t *full);
/* The same of a delivery; the session is told later. Returns the session if it has no room for anything
 * (mr_worker_has_no_room), else NULL. */
const struct mr_session *mr_worker_missed(
	struct mr_worker *w, struct mr_session *s, uint32_t bytes);
/* The same of `count` deliveries to a session that was found so. */
void mr_worker_missed_many(struct mr_worker *w, struct mr_session *s, uint32_t count);
/* What waits for it, and when it last missed anything, a little late. */
void mr_worker_gauge(struct mr_worker *w, struct mr_session *s);
/* A reply whose token names this worker. */
void mr_worker_reply(struct mr_worker *w, const struct mr_message_view *m);
/* Tells a session what it missed, if its ring has room for that and for `room_bytes` behind it.
 * False: not yet. */
bool mr_worker_tell_gap(struct mr_worker *w, struct mr_session *s, uint64_t room_bytes);

/* What a worker is to do with a message of another's. */
enum mr_mesh_what {
	MR_MESH_ROUTE,       /* a Publish for subscribers, or the Reply to one */
	MR_MESH_HOME,        /* for a queue that is at home there, from the session `session` */
	MR_MESH_SESSION,     /* to the session `session`, which must get it */
	MR_MESH_UNDELIVERED, /* of a queue that is at home there: this delivery was not made */
};

/* A mesh record is this, then `members` mr_mesh_member, then the message, all 8-aligned. */
struct mr_mesh_record {
	uint64_t workers; /* bit w: it is for w; of a Publish: for its plain subscribers */
	union {
		uint64_t session; /* that it is from or to */
		uint64_t
			hash; /* of a Publish's subject: by it an alias that changed hands is known */
	};
	uint32_t members; /* of queue groups, chosen by the sender */
	uint32_t what;    /* enum mr_mesh_what */
};
struct mr_mesh_member {
	uint16_t worker;
	uint16_t water; /* see mr_table_high_water */
	uint32_t slot;
	uint32_t generation;
	uint32_t sub_id;
};
#define MR_MESH_MEMBERS_MAX 24u

/* True if a burst can be taken now: blocks at hand and room in every ring. */
bool mr_worker_mesh_ready(struct mr_worker *w);
/* Copies the message for other workers. False: there is no room for it now, or something waits before it. */
bool mr_worker_mesh_put(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_message_plan *plan, uint32_t target);
/* Lets it wait in the worker's store, behind all that waits; nothing is taken from clients until that has
 * gone. It may be longer than an alias lives. False: there is no memory for it, as counted. */
bool mr_worker_mesh_hold(struct mr_worker *w, const struct mr_mesh_record *record,
	const struct mr_mesh_member *members, const struct mr_message_plan *plan, uint32_t target);
/* The one or the other. */
void mr_worker_mesh_home(struct mr_worker *w, unsigned home, uint64_t from,
	const struct mr_message_plan *plan, uint32_t target);
/* Tells the home worker that a delivery did not reach its consumer. */
void mr_worker_mesh_undelivered(
	struct mr_worker *w, uint64_t session, const struct mr_message_view *m);
void mr_worker_mesh_to_session(
	struct mr_worker *w, uint64_t session, const struct mr_message_plan *plan, uint32_t target);
/* True if a message of so many bytes to that worker would not have to wait, and would leave something for
 * others. */
bool mr_worker_mesh_spare(struct mr_worker *w, unsigned to, uint32_t bytes);
/* Tells the others what is in the open block. */
void mr_worker_mesh_flush(struct mr_worker *w);
/* Rings the bells of those told, if they sleep. */
void mr_worker_mesh_wake(struct mr_worker *w);
/* Gives all blocks back, at the end. */
void mr_worker_mesh_fini(struct mr_worker *w);

/* Sleeps until there is something to do. */
void mr_worker_sleep(struct mr_worker *w);
void mr_worker_housekeep(struct mr_worker *w);

/* apart.c: takes a message with parts apart, which is to be entry `index` of the burst; NULL: it is discarded,
 * and counted. Not inline: what it needs would drive what every message needs out of registers. */
const struct mr_message_view *mr_worker_take_apart(struct mr_worker *w, struct mr_session *s,
	uint32_t index, const uint8_t *at, struct mrf_message_header h);

/* A promised Publish with a body and nothing else. */
static inline bool mr_worker_is_bare_promise(struct mrf_message_header h)
{
	return h.kind == MRF_MESSAGE_KIND_PUBLISH && h.flags == MRF_MESSAGE_FLAG_HIGH;
}

/* Appends a message to the burst, which has room. `word` is the header as it was read, and is written at
 * once. `view`: NULL or entry `burst_count` of the burst's views. */
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
	struct mrf_message_header h = mr_message_header(word);
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
