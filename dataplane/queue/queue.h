/* SPDX-License-Identifier: Apache-2.0 */
/* queue: queues and services of one home worker: every message goes to exactly one consumer.
 *
 *   push ─▶ ready (three priorities) ─▶ chosen consumer ─▶ outstanding ─▶ acked
 *              ▲        delayed ◀────── nack, consumer lost, ack time-out ──┘ └▶ dead letters
 *
 * A service is a queue with least-recently-used choice and by default one delivery at a time, whose
 * ack is the final reply; it keeps the caller with each call. Nothing here knows rings, frames or
 * the mesh: messages are sent through struct mr_queue_ops, and the caller passes the time, so that
 * tests can step it.
 *
 * Owns      Everything in a struct mr_queues, in a store of a fixed size.
 * Threads   One: the home worker. mr_queues_bind: the table writer.
 * Units     Times in milliseconds of a monotonic clock (now_ms), sizes in bytes.
 * Ordering  [bind.count] release of a queue's number by the table writer -> acquire at the home
 *           worker, which sees the count of its bindings.
 * Errors    Status codes of the protocol for clients; -errno for commands of the operator.
 * Hot path  push, settle, reply, run: no lock, log or system call; allocation from the store alone.
 */
#ifndef MILLRACE_QUEUE_QUEUE_H
#define MILLRACE_QUEUE_QUEUE_H

#include <stdbool.h>

#include "lib/base/slab.h"
#include "lib/wire/message.h"
#include "lib/wire/queue_name.h"
#include "flatbuf/link.h"

struct mr_queues;

/* The reason why promised publishes for bound queues are held; each has flags, by index. */
enum mr_queue_held {
	MR_QUEUE_HELD_QUEUE, /* by the low bits of the queue's number */
	MR_QUEUE_HELD_PEER,  /* 0 to MR_QUEUE_HELD_PEERS - 1 */
	MR_QUEUE_HELD_MEMORY,
};
#define MR_QUEUE_HELD_PEERS 64u

/* Functions that the engine's owner provides. Each gets `arg` of the configuration. */
struct mr_queue_ops {
	/* Sends a message to a session; `target` is the message's. False: the session has no room
	 * now; nothing was sent, and run tries again. Only deliveries may be refused; all else must
	 * be sent or queued for the session. `final`: the engine will not try again. */
	bool (*send)(void *arg, uint64_t session, const struct mr_message_plan *plan,
		uint32_t target, bool final);
	/* False: the session is closed or closing. */
	bool (*lives)(void *arg, uint64_t session);
	/* Returns when the session was last heard, in milliseconds; for services. */
	uint64_t (*heard_ms)(void *arg, uint64_t session);
	/* Returns the size of the largest message that can be sent to the session. Larger ones are
	 * fragmented. */
	uint32_t (*room)(void *arg, uint64_t session);
	/* Returns the peer of the session: see lib/base/share.h. NULL: all are MR_PEER_OWN. */
	uint64_t (*peer)(void *arg, uint64_t session);
	/* Sets (`of` not 0) or clears a flag: promised publishes are held at their publishers while
	 * the bound queue, the memory or the peer `of` has no room for them. */
	void (*hold)(void *arg, enum mr_queue_held what, uint64_t index, uint64_t of);
	/* Returns the time of the system's clock, ms since 1970 UTC. NULL: there is none. */
	uint64_t (*unix_ms)(void *arg);
};

/* Options for new queues by their names. */
struct mr_queue_template {
	const char *pattern; /* names match it: see mr_pattern_matches */
	uint32_t pattern_bytes;
	uint32_t options; /* bits of enum mrf_queue_option: those in `values` */
	struct mrf_queue_options values;
	struct mrf_string dead_letter; /* the value of QueueCommand.dead_letter */
	struct mrf_string owner;
	struct mrf_string description;
	const struct mrf_string *binds; /* subjects that its queues are bound to */
	uint32_t binds_count;
};

struct mr_queues_config {
	unsigned worker;
	uint32_t queues_max;
	uint32_t per_client_max;
	uint32_t window;
	uint32_t publishers_max;
	uint32_t peer_percent; /* part of each table for one peer; 0: all of it */
	uint32_t idle_ms;
	uint32_t message_bytes_max;       /* all fragments of a message together */
	struct mrf_queue_options queue;   /* defaults, without zeros */
	struct mrf_queue_options service; /* also without zeros; max_deliver: retries + 1 */
	const struct mr_queue_template *templates; /* the first that matches counts */
	uint32_t templates_count;
	uint32_t prefetch;
	uint32_t heartbeat_ms;
	uint32_t missed_max;
	uint64_t seed; /* for the policy Random, and for secrets */
	const struct mr_queue_ops *ops;
	void *arg;
	struct mrf_worker_stats *stats;
	unsigned workers; /* in all: the homes of queues; 0: one */
};

/* Makes the queues. The store is the caller's, and may serve others too. -ENOMEM. */
int mr_queues_new(const struct mr_queues_config *c, struct mr_slab *store, struct mr_queues **out);
/* Frees the queues, but not their chunks of the store: free the store next. */
void mr_queues_free(struct mr_queues *q);

/* Takes a Push from `session` for a queue of this worker. The engine reports the outcome by itself:
 * an Accepted, with others of the same round, if the push has an origin, and a Status if it is a
 * refused call. */
void mr_queues_push(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms);
/* Takes a PushOptions likewise. */
void mr_queues_push_with(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms);
/* Takes a publish for a queue that is bound to its subject: a Push with the subject. With an Origin
 * it is promised, and was held while the queue's flag was set; with Low as well, it was not; with
 * High, it was accepted and not held, because its session ends. It reports nothing. A publish that
 * does not go in is counted by its reason. */
void mr_queues_publish(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms);
/* Tells how many bindings the queue has. The table writer's thread. */
void mr_queues_bind(struct mr_queues *q, uint32_t number, uint32_t count);
/* Tells that the queue has all bindings that were asked for. The table writer's thread. */
void mr_queues_bound(struct mr_queues *q, uint32_t number);
/* Takes a Settle with all its settlements. */
void mr_queues_settle(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms);
/* Takes a Reply whose target is not 0: the answer to a call; final without More. */
void mr_queues_reply(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms);
/* Takes a Part or Credit, from a caller or from a worker of a service. */
void mr_queues_part(
	struct mr_queues *q, uint64_t session, const struct mr_message_view *m, uint64_t now_ms);
/* Takes back a delivery that was sent but could not be given to its session, as if it had not been
 * sent. */
void mr_queues_undelivered(struct mr_queues *q, uint64_t tag, uint64_t now_ms);

/* Delivers ready entries and reports accepted pushes. Call it once a round: after any other call,
 * if the last run returned true, or when due. Bounded. True: there is more to do at once. */
bool mr_queues_run(struct mr_queues *q, uint64_t now_ms);
/* Handles time-outs, delays, age limits, closed or silent consumers and idle queues. Call it about
 * every millisecond. Bounded: continues where it stopped. */
void mr_queues_tick(struct mr_queues *q, uint64_t now_ms);
/* Returns when tick has work that cannot wait, or UINT64_MAX. */
uint64_t mr_queues_due_ms(const struct mr_queues *q);
/* Returns the total of frozen times: times in which the worker did not run for more than half a
 * second after it was due. They count for no time-out. */
uint64_t mr_queues_lost_ms(const struct mr_queues *q);

/* Executes a command of control; writes the answer, a table of `b`, and returns it. */
uint32_t mr_queues_command(
	struct mr_queues *q, struct mrf_table command, struct mrf_builder *b, uint64_t now_ms);

#endif
