/* SPDX-License-Identifier: Apache-2.0 */
/* session: one client, attached or over UDP, as its worker sees it, and the directory that holds it.
 *
 * Owns      The table writer opens and closes sessions, and frees one only after every worker has
 *           reported quiescence since it left the directory.
 * Threads   Directory changes: the table writer. Lookups and all fields marked worker: the worker.
 * Ordering  [session.slot] release of the slot in add -> acquire in find: the session is complete.
 *           [session.poll] release of the list in publish -> acquire in the worker's round.
 *           [session.gone] release of gone in close -> acquire in the worker's rx: the session's
 *           subscriptions are dropped.
 *           [session.corrupt] release of corrupt by the worker -> acquire by the table writer: the
 *           worker has routed all that it will take from this session.
 *           [session.stands_still] release of stands_still by the worker -> acquire by the table
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

struct mr_gate;
struct mr_late;
struct mr_remote;
struct mr_waiting;

/* Of missed_untold: messages are held for the session, and nothing may go to it before them. */
#define MR_SESSION_HELD (UINT64_C(1) << 63)

/* Why a client's channel is corrupt. */
enum mr_corrupt {
	MR_CORRUPT_NOTHING,
	MR_CORRUPT_POSITION, /* a tail that goes back, beyond what fits, or off its alignment */
	MR_CORRUPT_MESSAGE   /* one shorter than its header, or longer than what was shown */
};

struct mr_session {
	/* worker: rings and what it keeps for them */
	struct mr_bytes_producer down;
	uint32_t generation;    /* read-only after open */
	uint32_t down_messages; /* pushed since the last publish */
	uint64_t missed_untold; /* deliveries missed since the last gap message; MR_SESSION_HELD */
	struct mr_remote *remote; /* of a session over UDP; NULL: a local channel */
	struct mr_bytes_consumer up;
	_Atomic uint64_t
		*aliases;     /* bit a: it may publish by alias a; w: table writer, r: worker */
	uint32_t aliases_end; /* first that has no bit; 0 over UDP; read-only after open */
	bool dirty;           /* pushed to since the last publish */
	bool consumed;        /* skipped in since the last release */
	bool stalled : 1;     /* it has a promised message that a full receiver holds up */
	bool over : 1;        /* it blocked others for too long: it is not waited for */
	bool looked : 1;      /* past a publish that waits, up to `beyond` */
	uint8_t copies;       /* of the promised message `copies_of`, made for it so far */
	uint64_t missed_seen; /* stats->missed when last looked at */
	struct mr_late
		*late; /* what was begun and left, or is late; NULL: nothing. See worker/share.h */
	uint64_t share_due;
	uint32_t message_work;      /* of its dearest messages of late */
	uint32_t message_cycles;    /* mean of measured short turns; 0: none was measured */
	const struct mr_gate *gate; /* the gate at which it is stalled; NULL: not at one alone */
	uint32_t gate_of;           /* generation of the session that it waits for */
	uint32_t bereft_bytes;      /* of what a client that is gone left unread: looked at */
	struct mr_waiting *waiting; /* what is held for it, or that it is full; NULL: neither */
	uint32_t handoff_calm;      /* the worker's, when handoff_bytes was begun */
	uint16_t copies_of;         /* see copies */
	uint8_t copies_max;         /* most of one message, since it was last full */
	_Atomic bool stands_still;  /* w: worker, r: table writer: it is to be closed for that */
	uint64_t handoff_bytes;     /* put into the crowded ring to control */
	/* shared-out: worker tells others */
	_Atomic uint64_t heard; /* cycles, when something last came of it; r: all workers */
	_Atomic uint8_t
		corrupt; /* enum mr_corrupt; w: worker, r: table writer: it is to be closed for that */
	_Atomic bool ends; /* w: table writer, r: worker: it is taken though a receiver is full */
	bool closing;      /* table writer's */
	/* w: table writer, r: worker: the client is gone, and so are its subscriptions [session.gone] */
	_Atomic bool gone;
	/* worker's. If `looked`, all before it but publishes is taken: the low half of a position in `up`; over
	 * UDP the low half of a frame's sequence << 16, and bytes of its messages. */
	uint32_t beyond;
	uint32_t again_messages;         /* that were counted, and will be read again */
	struct mrf_session_stats *stats; /* w: worker, r: control */
	/* read-only after open */
	uint64_t id;
	uint64_t peer; /* see base/share.h */
	uint32_t slot;
	int peer_bell_fd;
	/* table writer's */
	struct mr_channel channel;
	int liveness_fd;
	int pidfd; /* of the client's process; -1: none */
	unsigned worker;
	uid_t uid;
	gid_t gid;
	pid_t pid;
	uint64_t opened_ns; /* CLOCK_REALTIME */
	uint32_t subscriptions;
	uint32_t aliases_count;
	uint64_t close_tail;        /* of its up ring, when its end began */
	uint64_t close_deadline_ns; /* 0: at once */
	uint64_t passage;           /* that it waits for; 0: none */
	char name[MR_SESSION_NAME_BYTES];
	char reason[MR_SESSION_REASON_BYTES];
	struct mr_session *next; /* in the writer's list of closing or retired sessions */
};

/* What a worker polls: replaced as a whole. */
struct mr_poll_list {
	uint32_t count;
	uint64_t grace_token;      /* table writer's, once replaced */
	struct mr_poll_list *next; /* likewise */
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

/* -ENOMEM */
int mr_directory_init(struct mr_directory *d, uint32_t slots_count);
/* The worker has stopped. */
void mr_directory_fini(struct mr_directory *d);
/* Puts in or takes out a session, and makes a new poll list; the old one goes to *retired, to be
 * freed after grace. -ENOMEM: nothing changed. */
int mr_directory_add(struct mr_directory *d, struct mr_session *s, struct mr_poll_list **retired);
int mr_directory_remove(
	struct mr_directory *d, struct mr_session *s, struct mr_poll_list **retired);

/* The same for a session over UDP, which nobody polls: what comes for it is found by its slot. */
static inline void mr_directory_put(struct mr_directory *d, struct mr_session *s)
{
	atomic_store_explicit(&d->slots[s->slot], s, memory_order_release); /* [session.slot] */
}

static inline void mr_directory_take(struct mr_directory *d, const struct mr_session *s)
{
	atomic_store_explicit(&d->slots[s->slot], NULL, memory_order_release); /* [session.slot] */
}

/* remote.h: mr_session_holds of a session over UDP; false of a local one. */
bool mr_remote_holds(const struct mr_session *s, uint32_t alias);

/* True if the session holds the alias: a number alone is no right to use it. */
static inline bool mr_session_holds(const struct mr_session *s, uint32_t alias)
{
	if (mr_unlikely(alias >= s->aliases_end)) /* 0 over UDP */
		return mr_remote_holds(s, alias);
	return (atomic_load_explicit(&s->aliases[alias / 64], memory_order_relaxed) >> alias % 64 &
		       1) != 0;
}

/* Gives or takes back the right to an alias below aliases_end. The table writer only. */
void mr_session_hold(struct mr_session *s, uint32_t alias, bool holds);

/* What a session is made of, besides its id. */
struct mr_session_limits {
	uint32_t up_bytes;
	uint32_t down_bytes;
	uint32_t aliases_max; /* the table's */
};

/* Makes the channel, both descriptors of the liveness pair (*peer_fd is for the client) and the
 * session around them, not yet in a directory. Clears `stats` and takes it over. */
int mr_session_new(uint64_t id, const struct mr_session_limits *limits,
	struct mrf_session_stats *stats, struct mr_session **out, int *peer_fd);
/* Nobody looks at it any more. */
void mr_session_free(struct mr_session *s);
/* True if the worker has taken all that the client pushed. */
bool mr_session_drained(const struct mr_session *s);
/* Of a local one, or all that it had pushed when its tail was `tail`. */
bool mr_session_is_taken(const struct mr_session *s, uint64_t tail);

#endif
