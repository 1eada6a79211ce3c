/* SPDX-License-Identifier: Apache-2.0 */
/* outbox: promised messages until the bus has accepted them. A queue accepts a message by an
 * answer; subjects accept it when the bus has taken it from the ring. In a new session all messages
 * that are still here are sent again. Private to the library.
 *
 *   outbox.c             adding and sending
 *   outbox_ack.c         the bus's answers
 *   outbox_store.c       entries and their memory
 *   outbox_refragment.c  messages that were kept for larger frames
 *
 * A message to a queue is kept as a copy, as the answer arrives long after the bus has taken it
 * from the ring. A message to subjects stands in the ring until it is taken. It is copied only when
 * the session is lost, out of the ring of that session. Consecutive messages of this kind share an
 * entry.
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
	MR_ENTRY_RETRANSMIT, /* refused for now; sent again at retry_ns */
	MR_ENTRY_DONE,
};

enum mr_outbox_entry_place {
	MR_ENTRY_MEMORY, /* the outbox's memory */
	MR_ENTRY_LARGE,  /* memory of its own */
	MR_ENTRY_RING,   /* the ring of this session */
};

struct mr_outbox_entry {
	uint64_t id;
	uint64_t publisher;
	uint64_t mark; /* by_mark: accepted when the bus has read the ring up to here */
	union {
		uint64_t at;    /* position in the outbox's memory, or in the ring */
		uint8_t *large; /* its own memory */
	};
	uint32_t bytes; /* bytes of its records */
	uint32_t count; /* messages */
	uint8_t place;  /* enum mr_outbox_entry_place */
	uint8_t state;  /* enum mr_outbox_entry_state */
	uint8_t tries;
	bool output; /* its outcome goes to on_output */
};

struct mr_outbox {
	struct mr_client *client;
	struct mr_outbox *next;
	/* Called once for each outcome; may add to the outbox. May be NULL. */
	void (*on_outcome)(struct mr_outbox *o, uint64_t id, int error);
	/* The same for entries that mr_outbox_mark_output has marked. */
	void (*on_output)(struct mr_outbox *o, uint64_t publisher, uint64_t id, int error);
	/* Asks for `target`, which is not known. */
	void (*find_target)(struct mr_outbox *o);
	uint32_t target;       /* number of the queue or alias; 0: not known now, nothing is sent */
	uint32_t push_options; /* enum mrf_push_option: those that the bus knows */
	bool unlimited_tries;  /* the queue makes publishers wait when it is full */
	bool by_mark;          /* accepted when taken from the ring, not by an answer */

	struct mr_outbox_entry *entries; /* by position */
	uint32_t entries_room;           /* power of two */
	uint32_t window;                 /* messages that may be open at once */
	uint32_t head;                   /* position of the oldest entry that is not done */
	uint32_t tail;                   /* position of the next new entry */
	uint32_t unsent;                 /* position of the first entry not sent in this session */
	uint32_t open;                   /* messages that are not done */
	uint32_t retransmits;            /* entries to be retransmitted */
	uint64_t retry_ns;  /* time of the retransmits, or of asking for the target; 0: none */
	uint64_t id_offset; /* id less position, of the last entry */
	/* The entry that is being written into the ring, which may take several turns. */
	bool writing;
	uint32_t writing_at;      /* its position */
	uint32_t writing_bytes;   /* bytes of it that are written */
	uint32_t writing_message; /* message number of its fragments */
	/* Entries before this position were fragmented for another session's frames. */
	uint32_t refragment_before;

	uint8_t *memory;
	uint64_t memory_bytes; /* power of two, grows */
	uint64_t memory_head;
	uint64_t memory_tail;
	uint64_t large_bytes;
};

/* outbox.c */

int mr_outbox_init(struct mr_outbox *o, struct mr_client *c, uint32_t window);
void mr_outbox_fini(struct mr_outbox *o);
/* Keeps a copy of a measured message, and sends it if possible. -EAGAIN: the window or the memory
 * is full. */
int mr_outbox_add(struct mr_outbox *o, const struct mr_outgoing *l);
/* Adds a single record of this connection without subject, token and header block. `h`: kind, flags
 * without parts of their own, and the current target. */
int mr_outbox_add_plain(struct mr_outbox *o, struct mrf_message_header h,
	struct mrf_message_origin origin, const void *payload, uint32_t bytes);
/* For a publisher: returns how many messages, up to `count`, may be written into the promised ring
 * behind all earlier ones, as far as the ring has room. */
uint32_t mr_outbox_may_place(struct mr_outbox *o, uint32_t count);
/* Takes note of `count` messages at the ring's tail, which are not pushed yet. */
void mr_outbox_placed(struct mr_outbox *o, uint32_t count, uint32_t bytes);
/* Sets the target; 0: not known, `find_ns` says when to ask for it. */
void mr_outbox_target(struct mr_outbox *o, uint32_t target, uint64_t find_ns);
/* Sends what can be sent, of all outboxes. */
void mr_outboxes_step(struct mr_client *c, uint64_t now_ns);
extern const struct mr_part mr_outbox_part;

/* outbox_ack.c */

/* True if this id of this publisher is open; the answer to a second message with the same could not
 * be told apart. */
bool mr_outbox_has(const struct mr_outbox *o, uint64_t publisher, uint64_t id);
/* True if this id of any publisher is open, and its outcome goes to on_outcome, which names the id
 * alone. */
bool mr_outbox_has_id(const struct mr_outbox *o, uint64_t id);
/* Marks the message that was added last: its outcome goes to on_output. */
void mr_outbox_mark_output(struct mr_outbox *o);
/* Handles the bus's answer for a range of ids. */
void mr_outbox_accepted(struct mr_outbox *o, const struct mrf_accepted_range *range);
/* Fails all open messages. */
void mr_outbox_fail(struct mr_outbox *o, int error);
/* Finishes the messages that the bus has taken from the ring. */
void mr_outbox_finish_taken(struct mr_outbox *o);
/* Finishes an entry: 0, or the reason of the failure. */
void mr_outbox_done(struct mr_outbox *o, uint32_t position, int error);

/* outbox_store.c: private to the outbox's files. */

/* Longer entries have memory of their own. */
#define MR_OUTBOX_LARGE_BYTES (4u << 10)

static inline struct mr_outbox_entry *mr_outbox_entry_at(
	const struct mr_outbox *o, uint32_t position)
{
	return &o->entries[position & (o->entries_room - 1)];
}

/* Counts messages that become open, or done. */
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

/* True: there is a free entry, and the window has room. */
static inline bool mr_outbox_store_has_room(struct mr_outbox *o)
{
	return mr_likely(o->open < o->window && o->tail - o->head < o->entries_room) ||
	       mr_outbox_store_make_room(o);
}

/* 0: the outbox takes `count` more messages of `bytes` in all now; -EAGAIN: later; -E2BIG,
 * -EMSGSIZE: never, they are more than its window, or than its memory. */
int mr_outbox_store_fits(struct mr_outbox *o, uint32_t count, uint64_t bytes);
/* Takes memory for an entry, also where the outbox's memory must grow. False: there is none now. */
bool mr_outbox_store_make_memory(struct mr_outbox *o, struct mr_outbox_entry *k, uint32_t bytes);

/* The same, for most entries without a call. */
static inline bool mr_outbox_store_take_memory(
	struct mr_outbox *o, struct mr_outbox_entry *k, uint32_t bytes)
{
	uint64_t at = o->memory_tail, end = at + bytes;
	bool wraps = (at & (o->memory_bytes - 1)) + bytes > o->memory_bytes;

	if (mr_unlikely(bytes > MR_OUTBOX_LARGE_BYTES || wraps ||
			end - o->memory_head > o->memory_bytes))
		return mr_outbox_store_make_memory(o, k, bytes);
	k->place = MR_ENTRY_MEMORY;
	k->at = at;
	o->memory_tail = end;
	return true;
}

/* Returns the entry's records. */
static inline uint8_t *mr_outbox_store_records(
	const struct mr_outbox *o, const struct mr_outbox_entry *k)
{
	return mr_likely(k->place != MR_ENTRY_LARGE) ? o->memory + (k->at & (o->memory_bytes - 1))
						     : k->large;
}

/* Frees entries at the head that are done. */
void mr_outbox_store_advance(struct mr_outbox *o);
/* The session is lost, and its ring will be: copies the messages in the ring that the bus has not
 * taken. */
void mr_outbox_store_salvage(struct mr_outbox *o);

/* outbox_refragment.c */

/* Fragments records that are too large for this session's frames. -EMSGSIZE: the bus takes no
 * fragments, or no message of this size; -ENOMEM. */
int mr_outbox_refragment(struct mr_outbox *o, struct mr_outbox_entry *k);

#endif
