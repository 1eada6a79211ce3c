/* SPDX-License-Identifier: Apache-2.0 */
/* session: one client, local or over UDP, as its home worker sees it, and the directory that holds
 * it.
 *
 * Owns      The table writer opens and closes sessions. It frees one a passage (writer/passage.c)
 *           after it left the directory, when no worker can hold it any more.
 * Threads   Directory changes: the table writer. Lookups and all fields marked worker: the worker.
 * Ordering  [session.slot] release of the slot in add and put -> acquire in find: the session is
 *           complete.
 *           [session.poll] release of the list in add and remove -> acquire in the worker's round:
 *           the list and its sessions are complete.
 *           [session.gone] release of gone in close -> acquire in the worker's rx: the session's
 *           subscriptions have left the table.
 *           [session.corrupt] release of corrupt by the worker -> acquire by the table writer: the
 *           worker takes nothing more from this session.
 *           [session.full_too_long] release of full_too_long by the worker -> acquire by the table
 *           writer: the session's statistics say since when.
 * Hot path  find, and the worker's fields: no call, lock or allocation.
 */
#ifndef MILLRACE_SESSION_SESSION_H
#define MILLRACE_SESSION_SESSION_H

#include <stdatomic.h>
#include <sys/types.h>

#include "lib/channel/channel.h"
#include "lib/wire/message.h"
#include "flatbuf/stats.h"

#define MR_SESSION_NAME_BYTES   64
#define MR_SESSION_REASON_BYTES 64

struct mr_full_flag;
struct mr_late;
struct mr_remote;
struct mr_slow_session;

/* Flag in missed_unreported: messages are queued for this slow session; nothing may overtake them.
 * */
#define MR_SESSION_QUEUED (UINT64_C(1) << 63)

/* Reasons why a client's channel is corrupt. */
enum mr_corrupt {
	MR_CORRUPT_NOTHING,
	MR_CORRUPT_POSITION, /* a tail that went back, exceeds the ring or is misaligned */
	MR_CORRUPT_MESSAGE   /* a message shorter than its header, or that exceeds the tail */
};

struct mr_session {
	/* worker's: the rings and their state */
	struct mr_bytes_producer down;
	uint32_t generation;    /* read-only after open */
	uint32_t down_messages; /* pushed since the last publish */
	/* Deliveries missed since the last Gap message; MR_SESSION_QUEUED. */
	uint64_t missed_unreported;
	struct mr_remote *remote; /* NULL: a local channel; else its part over UDP */
	struct mr_bytes_consumer up;
	/* Bit a: the session may publish by alias a. w: table writer, r: worker */
	_Atomic uint64_t *aliases;
	uint32_t aliases_end;   /* first alias without a bit; 0 over UDP; read-only after open */
	bool dirty;             /* pushed to since the last publish of the tail */
	bool consumed;          /* read from since the last release of the head */
	bool paused : 1;        /* a full receiver blocks one of its promised messages */
	bool passed_over : 1;   /* full for too long: publishers do not wait for it */
	bool looked_beyond : 1; /* `beyond` is valid (worker/beyond.h) */
	uint8_t copies;       /* made for this session so far of the promised message `copies_of` */
	uint64_t missed_seen; /* stats->missed at the last housekeeping */
	/* A message that was begun, and messages that are late; NULL: none. See worker/share.h */
	struct mr_late *late;
	uint64_t share_due;      /* virtual time up to which it has had its share */
	uint32_t message_work;   /* work of its most expensive recent messages (worker/share.h) */
	uint32_t message_cycles; /* mean of measured short turns; 0: none was measured */
	const struct mr_full_flag *paused_by; /* by the receiver that is full; NULL: not just one */
	uint32_t paused_by_generation;        /* generation of that receiver's session */
	uint32_t unread_looked;       /* looked at in the down ring of a client that is gone */
	struct mr_slow_session *slow; /* set while it is full or messages are queued for it */
	uint32_t handoff_calm;        /* the worker's handoff_calm when handoff_bytes was reset */
	uint16_t copies_of;           /* number of the promised message that `copies` counts */
	uint8_t copies_max;           /* most copies of one message since it was last full */
	/* Was full for too long: close it. w: worker, r: table writer. [session.full_too_long] */
	_Atomic bool full_too_long;
	uint64_t handoff_bytes; /* put into the ring to control while that was crowded */
	/* shared-out: from the worker to others */
	_Atomic uint64_t heard; /* cycles, when the client last sent something; r: all workers */
	/* enum mr_corrupt; not 0: close it. w: worker, r: table writer. [session.corrupt] */
	_Atomic uint8_t corrupt;
	/* Its messages do not wait for full receivers any more. w: table writer, r: worker.
	 * [worker.sleep] */
	_Atomic bool ends;
	bool closing; /* table writer's */
	/* Its client is gone, and its subscriptions are out of the table.
	 * w: table writer, r: worker. [session.gone] */
	_Atomic bool gone;
	/* worker's. If `looked_beyond`: all messages before this position but publishes were taken.
	 * The position is the low half of one in `up`. Over UDP it is the low half of a frame's
	 * sequence, shifted left by 16, plus bytes of its messages. */
	uint32_t beyond;
	uint32_t reread_messages;        /* of the ring: taken and counted, to be taken again */
	uint32_t reread_bytes;           /* bytes from the ring's head on that were read before */
	struct mrf_session_stats *stats; /* w: worker, r: control */
	/* read-only after open */
	uint64_t id;
	uint64_t peer; /* see lib/base/share.h */
	uint32_t slot;
	int peer_bell_fd; /* the client's doorbell */
	/* table writer's */
	struct mr_channel channel;
	int liveness_fd; /* the bus's end; both sides notice when the other closes its end */
	int pidfd;       /* the client's process; -1: none */
	unsigned worker;
	uid_t uid;
	gid_t gid;
	pid_t pid;
	uint64_t opened_ns; /* CLOCK_REALTIME */
	uint32_t subscriptions;
	uint32_t aliases_count;
	uint64_t close_tail; /* tail of its up ring when closing began */
	/* Until then its messages wait for full receivers; 0: close now. */
	uint64_t close_deadline_ns;
	uint64_t passage; /* the passage that it waits for; 0: none */
	char name[MR_SESSION_NAME_BYTES];
	char reason[MR_SESSION_REASON_BYTES];
	struct mr_session *next; /* in the writer's list of closing or retired sessions */
};

/* The sessions that a worker polls. The list is replaced as a whole. */
struct mr_poll_list {
	uint32_t count;
	uint64_t grace_token;      /* table writer's, once the list is replaced */
	struct mr_poll_list *next; /* table writer's, once the list is replaced */
	struct mr_session *sessions[];
};

struct mr_directory {
	_Atomic(struct mr_session *) *slots; /* w: table writer, r: worker */
	uint32_t slots_count;
	_Atomic(struct mr_poll_list *) poll; /* w: table writer, r: worker */
};

static inline struct mr_session *mr_directory_find(
	const struct mr_directory *d, uint32_t slot, uint32_t generation)
{
	struct mr_session *s;

	if (mr_unlikely(slot >= d->slots_count))
		return NULL;
	s = atomic_load_explicit(&d->slots[slot], memory_order_acquire); /* [session.slot] */
	return s != NULL && s->generation == generation ? s : NULL;
}

/* 0 or -ENOMEM. */
int mr_directory_init(struct mr_directory *d, uint32_t slots_count);
/* Call it after the worker has stopped. */
void mr_directory_fini(struct mr_directory *d);
/* Adds or removes a session, and makes a new poll list. The old list goes to *retired; the caller
 * frees it after a grace period. -ENOMEM: nothing changed. */
int mr_directory_add(struct mr_directory *d, struct mr_session *s, struct mr_poll_list **retired);
int mr_directory_remove(
	struct mr_directory *d, struct mr_session *s, struct mr_poll_list **retired);

/* Adds or removes a session over UDP. No worker polls it: its frames name its slot. */
static inline void mr_directory_put(struct mr_directory *d, struct mr_session *s)
{
	atomic_store_explicit(&d->slots[s->slot], s, memory_order_release); /* [session.slot] */
}

static inline void mr_directory_take(struct mr_directory *d, const struct mr_session *s)
{
	atomic_store_explicit(&d->slots[s->slot], NULL, memory_order_release); /* [session.slot] */
}

/* mr_session_holds for a session over UDP; false for a local one. In remote.c. */
bool mr_remote_holds(const struct mr_session *s, uint32_t alias);

/* True if the session may publish by the alias. */
static inline bool mr_session_holds(const struct mr_session *s, uint32_t alias)
{
	if (mr_unlikely(alias >= s->aliases_end)) /* 0 over UDP */
		return mr_remote_holds(s, alias);
	return (atomic_load_explicit(&s->aliases[alias / 64], memory_order_relaxed) >> alias % 64 &
		       1) != 0;
}

/* Gives a local session the right to an alias below aliases_end, or takes it back. The table writer
 * only. */
void mr_session_hold(struct mr_session *s, uint32_t alias, bool holds);

/* Sizes of a new local session. */
struct mr_session_limits {
	uint32_t up_bytes;
	uint32_t down_bytes;
	uint32_t aliases_max; /* the table's limit */
};

/* Makes the channel, both descriptors of the liveness pair (*peer_fd is the client's) and the
 * session around them. The session is in no directory yet. Clears `stats` and uses it until the
 * session is freed. */
int mr_session_new(uint64_t id, const struct mr_session_limits *limits,
	struct mrf_session_stats *stats, struct mr_session **out, int *peer_fd);
/* Frees a session that no worker can find any more. */
void mr_session_free(struct mr_session *s);
/* True if the worker has taken all that the client has pushed. */
bool mr_session_drained(const struct mr_session *s);
/* True if the worker has taken all that a local client had pushed up to `tail`, or all that it has
 * pushed. */
bool mr_session_is_taken(const struct mr_session *s, uint64_t tail);

#endif
