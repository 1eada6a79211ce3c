/* SPDX-License-Identifier: Apache-2.0 */
/* outbox: what was promised, until the bus has it in charge: of a queue when it says so, of subjects when it has
 * taken it from the ring. In a new session everything that is still here is sent again. Private to the library.
 *
 *   outbox.c       adding and sending
 *   outcome.c      what the bus says of it
 *   kept.c         what is kept of each, and where
 *   recut.c        what was kept for larger frames
 *
 * What goes to a queue is kept as a copy, as the bus answers long after it has taken it from the ring. What goes to
 * subjects stands in the ring until it is taken: nothing of it is copied but when the session is lost, and then
 * out of the ring that was. Messages of such that follow each other are one entry.
 *
 * Owns      An outbox owns its copies.
 * Threads   The client's.
 * Errors    -EAGAIN: the window, the memory or the ring is full.
 */
#ifndef MILLRACE_CLIENT_PUBLISH_OUTBOX_H
#define MILLRACE_CLIENT_PUBLISH_OUTBOX_H

#include "client/publish/outgoing.h"

enum mr_outbox_entry_state {
	MR_ENTRY_UNSENT,
	MR_ENTRY_SENT,
	MR_ENTRY_RETRANSMIT, /* refused for now: sent again when it is time */
	MR_ENTRY_DONE,
};

enum mr_outbox_entry_place {
	MR_ENTRY_MEMORY, /* the outbox's */
	MR_ENTRY_LARGE,  /* memory of its own */
	MR_ENTRY_RING,   /* the ring of this session */
};

struct mr_outbox_entry {
	uint64_t id;
	uint64_t publisher;
	uint64_t mark; /* of a publisher: taken when the ring has come so far */
	union {
		uint64_t at;    /* position in the outbox's memory, or in the ring */
		uint8_t *large; /* its own memory */
	};
	uint32_t bytes; /* of all its records */
	uint32_t count; /* messages */
	uint8_t place;  /* enum mr_outbox_entry_place */
	uint8_t state;  /* enum mr_outbox_entry_state */
	uint8_t tries;
};

struct mr_outbox {
	struct mr_client *client;
	struct mr_outbox *next;
	/* Told of each outcome, once; may add to the box. */
	void (*on_outcome)(struct mr_outbox *o, uint64_t id, int error);
	/* `target` is not known: asks for it. */
	void (*find_target)(struct mr_outbox *o);
	uint32_t target;      /* of its messages; 0: not known now, nothing is sent */
	bool unlimited_tries; /* what the queue has no room for is sent again without end */
	bool by_mark;         /* taken when the ring is, not when accepted */

	struct mr_outbox_entry *entries; /* by position */
	uint32_t entries_room;           /* power of two */
	uint32_t window;                 /* messages that may be open at once */
	uint32_t head;                   /* positions: oldest that is not done, */
	uint32_t tail;                   /* the next, */
	uint32_t unsent;                 /* the first never sent in this session */
	uint32_t open;                   /* messages not done */
	uint32_t retransmits;            /* of them, to be sent again */
	uint64_t retry_ns;               /* when, or when to ask for the target; 0: nothing waits */
	uint64_t id_offset;              /* of the last: id less position */
	/* The one that is being written into the ring, which may take several turns. */
	bool writing;
	uint32_t writing_at;    /* its position */
	uint32_t writing_bytes; /* of it that are there */
	uint32_t
		writing_message; /* the number of a message in pieces; others may be written between them */
	uint32_t
		refragment_before; /* those before this position were cut for another session's frames */

	uint8_t *memory;
	uint64_t memory_bytes; /* power of two, grows */
	uint64_t memory_head;
	uint64_t memory_tail;
	uint64_t large_bytes;
};

/* outbox.c */

int mr_outbox_init(struct mr_outbox *o, struct mr_client *c, uint32_t window);
void mr_outbox_fini(struct mr_outbox *o);
/* Keeps a copy of a measured letter, and sends it if it can. -EAGAIN: the window or the memory is full. */
int mr_outbox_add(struct mr_outbox *o, const struct mr_outgoing *l);
/* The same for what is a record of this connection without subject, token and header block. `h`: kind, flags
 * and today's target. */
int mr_outbox_add_plain(struct mr_outbox *o, struct mrf_message_header h,
	const struct mrf_message_origin *origin, const void *payload, uint32_t bytes);
/* Of a publisher: how many messages, up to `count`, may be written into the ring of promises as far as that has
 * room, behind everything that was given before. */
uint32_t mr_outbox_may_place(struct mr_outbox *o, uint32_t count);
/* So many were written at the ring's tail; they are not pushed yet. */
void mr_outbox_placed(struct mr_outbox *o, uint32_t count, uint32_t bytes);
/* The number of its messages is known, or not (0); `find_ns`: when to ask for it then. */
void mr_outbox_target(struct mr_outbox *o, uint32_t target, uint64_t find_ns);
/* Of all outboxes: sends what can be; the session's end; when there is something to do again. */
void mr_outboxes_step(struct mr_client *c, uint64_t now_ns);
extern const struct mr_part mr_outbox_part;

/* outcome.c */

/* True if that id is open; then the answer to another of the same could not be told apart. */
bool mr_outbox_has(const struct mr_outbox *o, uint64_t id);
/* What the bus says of `count` ids from `first` on. */
void mr_outbox_accepted(struct mr_outbox *o, const struct mrf_accepted_range *range);
/* Everything that is open fails. */
void mr_outbox_fail(struct mr_outbox *o, int error);
/* Lets go of what the bus has taken from the ring. */
void mr_outbox_look(struct mr_outbox *o);
/* That entry is over: 0 or why it failed. */
void mr_outbox_done(struct mr_outbox *o, uint32_t position, int error);

/* kept.c: private to the three. */

static inline struct mr_outbox_entry *mr_outbox_entry_at(
	const struct mr_outbox *o, uint32_t position)
{
	return &o->entries[position & (o->entries_room - 1)];
}

/* Counts messages that are open, and that are not any more. */
static inline void mr_outbox_opened(struct mr_outbox *o, uint32_t count)
{
	o->open += count;
	o->client->promised_open += count;
	o->client->settled = false;
}

static inline void mr_outbox_closed(struct mr_outbox *o, uint32_t count)
{
	o->open -= count;
	o->client->promised_open -= count;
	o->client->settled = o->client->promised_open == 0;
}

int mr_outbox_store_init(struct mr_outbox *o);
void mr_outbox_store_fini(struct mr_outbox *o);
bool mr_outbox_store_make_room(struct mr_outbox *o);

/* True: there is an entry for one more, and the window has room. */
static inline bool mr_outbox_store_has_room(struct mr_outbox *o)
{
	return mr_likely(o->open < o->window && o->tail - o->head < o->entries_room) ||
	       mr_outbox_store_make_room(o);
}

/* Memory for an entry. False: there is none now. */
bool mr_outbox_store_take_memory(struct mr_outbox *o, struct mr_outbox_entry *k, uint32_t bytes);
/* Where its records are. */
uint8_t *mr_outbox_store_records(const struct mr_outbox *o, const struct mr_outbox_entry *k);
/* Frees those at the head that are done. */
void mr_outbox_store_advance(struct mr_outbox *o);
/* The session is lost, and its ring will be: copies what stands there and was not taken. */
void mr_outbox_store_salvage(struct mr_outbox *o);

/* recut.c */

/* Puts pieces in the place of records that are too large for this session. -EMSGSIZE: the bus takes none, or none
 * so large; -ENOMEM. */
int mr_outbox_refragment(struct mr_outbox *o, struct mr_outbox_entry *k);

#endif
