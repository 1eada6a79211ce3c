/* SPDX-License-Identifier: Apache-2.0 */
/* worker: one lcore that moves messages between channels, ports, the mesh and control.
 *
 *   ports         bursts of packets: frames of sessions, and others     ports.c, frame.c, hello.c
 *   rx            a burst of messages from channels, checked in place   rx.c
 *   route         the receivers of each message, and the copies         route.c, deliver.h
 *   mesh          blocks of messages to and from other workers          mesh.c, mesh_rx.c
 *   queues        own queues, and the way to those of other workers     queues.c
 *   tx            publishes tails, wakes readers, sends frames          tx.c, egress.c
 *   housekeeping  idling, sleep, counters, gaps, heartbeats             worker.c, udp_sessions.c
 *
 * Owns      Its own memory only; sessions, tables and rings are the table writer's.
 * Threads   mr_worker_run and its callees: the worker's lcore. new, free: the table writer, while
 *           the worker does not run. stop, wake: any thread.
 * Ordering  [worker.sleep] a thread with work for a worker stores the work, then loads
 *           page->asleep; the worker stores page->asleep, then loads all that could be work; all
 *           seq_cst. One of the two sees the other.
 *           [worker.stop] release of stopping in stop -> acquire in the loop: what the stopping
 *           thread wrote before is seen.
 *           [mesh.queued] release of queued_in or queued_out -> acquire by the table writer: the
 *           records that it counts are queued, or are in a block of the mesh.
 * Hot path  No lock or log, and no allocation but of buffers for frames. The only system calls are
 *           the write to the doorbell of a reader that has said that it sleeps, the worker's own
 *           sleep, and those of a port's driver.
 */
#ifndef MILLRACE_WORKER_WORKER_H
#define MILLRACE_WORKER_WORKER_H

#include "dataplane/port/port.h"
#include "dataplane/queue/queue.h"
#include "lib/ring/spsc.h"
#include "dataplane/session/session.h"
#include "dataplane/subject/router.h"
#include "dataplane/worker/early.h"

struct mr_fan;
struct mr_fans;
struct mr_full_flags;
struct mr_late;
struct mr_turns;
struct mr_slow_session;
struct rte_mbuf;
struct rte_mempool;

#define MR_WORKERS_MAX 32
/* Messages a round takes from channels, and the bytes after which it takes no more. */
#define MR_BURST         64u
#define MR_BURST_BYTES   65536u
#define MR_SESSION_BURST 32u
#define MR_MESH_BURST    16u
#define MR_HANDOFF_BURST 32u
#define MR_MESH_STASH    8u
#define MR_LATE_SERVES   4u
#define MR_QUEUES_SLOW   64u /* a power of two */
/* A round closes at most this many mesh blocks: its bytes over a block's, and those left open. */
#define MR_MESH_ROOM_MIN 16u
#define MR_BLOCK_BYTES   65344u
/* Housekeeping runs at this rate, divided by 1 + sessions / MR_HOUSEKEEP_SESSIONS. */
#define MR_HOUSEKEEP_HZ       1000u
#define MR_HOUSEKEEP_SESSIONS 4096u
#define MR_DIRTY_MAX          256u
/* Packets received from a port at a time, and packets queued before they are sent. */
#define MR_PORT_BURST 32u
#define MR_PORT_TX    64u
/* After this many messages the other frames of a burst wait for the next round. A burst of frames
 * has more only if its messages are very small. */
#define MR_PORT_MESSAGES 1024u
/* Frames passed on by other workers: as many as a round takes from the mesh. */
#define MR_PASSED_MAX       (MR_MESH_BURST * MR_WORKERS_MAX)
#define MR_COOKIE_KEY_BYTES 16u
/* Token buckets of a worker: Closes and path challenges (each); answers to pings; answers to ARP
 * requests and neighbour solicitations; Retries, which are smaller than the Hellos that they
 * answer. */
#define MR_ANSWERS_PER_SECOND    10000u
#define MR_ECHOES_PER_SECOND     10000u
#define MR_NEIGHBOURS_PER_SECOND 10000u
#define MR_RETRIES_PER_SECOND    100000u

/* Remembered subjects that have no full receiver on other workers. */
#define MR_FAR_READY 64u
/* Members of a queue group that are tried for a promised message. */
#define MR_GROUP_PROMISE_TRIES_MAX 256u

struct mr_mesh_queued;
struct mr_worker_commands;

/* See backpressure.c. */
struct mr_far_ready {
	uint64_t hash;
	uint64_t version;
	uint64_t sets;
};

/* Promised bytes from one worker that another has taken. */
struct mr_window {
	alignas(MR_CACHE_LINE) _Atomic uint64_t taken; /* w: receiver, r: sender */
};

/* A message of a burst: its header, read once and checked, and the place of the rest. The client
 * may change the message's memory, but not this entry. */
struct mr_burst_entry {
	struct mrf_message_header header;
	const uint8_t *at;
	const struct mr_message_view *view; /* its parsed parts; NULL: it is a body only */
	struct mr_session *from;
};

/* Blocks that were popped from another worker's ring. */
struct mr_mesh_source {
	struct mr_descriptor blocks[MR_MESH_BURST];
	uint32_t count;
	uint32_t next;
	uint32_t used;      /* bytes of blocks[next] that are done */
	struct mr_fan *fan; /* unfinished, of the message at `used`; NULL: none */
};

/* The rings to and from control. Made by the table writer; they live as long as the worker. */
struct mr_handoff_ring {
	struct mr_channel channel;
	struct mr_bytes_producer to_control;
	struct mr_bytes_consumer from_control;
	/* Records of control up to a position are handled once this worker has dealt with all that
	 * other workers had sent when they came, and has ended the fan-outs that it had begun. */
	bool awaits_others;
	uint64_t control_until;
	uint64_t fans_until;
	uint32_t mesh_until[MR_WORKERS_MAX];
	_Atomic bool control_takes_peer; /* w: table writer */
};

/* Rings of packets to and from control, for ports with a TAP device. */
struct mr_exception_ring {
	bool open;
	bool dirty; /* packets to publish */
	struct mr_channel channel;
	struct mr_bytes_producer to_control;
	struct mr_bytes_consumer from_control;
};

/* A worker's part of a port. */
struct mr_worker_port {
	/* read-only while the worker runs */
	struct mr_port *port;
	struct mrf_port_stats *stats;
	/* The port's. A worker without a queue of the port has one that is never true, so it never
	 * calls the driver. [port.link] */
	const _Atomic bool *link_up;
	uint16_t device; /* DPDK's port id */
	uint16_t queue;
	struct mr_memif_queue *memif; /* in place of DPDK's device; NULL: none */
	uint32_t rx_entries;          /* entries of the receive ring */
	int wake_fd;                  /* see port.h; -1: none */
	/* worker's own */
	bool watched;      /* wake_fd is in the epoll set */
	uint32_t rx_count; /* frames left over from the last round, or taken before a sleep */
	uint32_t tx_count; /* packets queued for the device */
	struct rte_mbuf *rx[MR_PORT_BURST];
	struct rte_mbuf *tx[MR_PORT_TX];
};

/* A frame that another worker received for a session of this one. */
struct mr_passed {
	struct rte_mbuf *buffer;
	uint32_t port;
};

/* An entry of the list of reliable flows (flows.h). */
struct mr_flow_entry {
	uint32_t slot;
	uint32_t generation;
};

/* Token bucket: rate per second, burst 100 ms, at least one token. Kept as a time (GCRA, ITU-T
 * I.371). */
struct mr_rate {
	uint64_t interval; /* cycles for a token; UINT64_MAX: there are none */
	uint64_t next;     /* cycles up to which tokens are used up */
};

/* A token bucket that gives one source a quarter at most. Sources are told apart by a keyed hash
 * of their address; two with the same hash share a quarter. */
#define MR_RATE_SOURCES 256u
#define MR_RATE_SHARE   4u
struct mr_rate_shared {
	struct mr_rate all;
	struct mr_rate by_source[MR_RATE_SOURCES];
};

/* A Hello that was passed to control. Its cookie is a keyed hash of its nonce and path. */
#define MR_HELLOS_RECENT 1024u
struct mr_hello_recent {
	uint64_t cookie;
	uint64_t at; /* cycles */
};

/* Memory of answers and deliveries that are queued for slow sessions (promise.h). */
struct mr_answers {
	struct mr_slab *store;
	struct mr_shares shares; /* bytes of each peer */
	struct mr_share_bound bound;
};

struct mr_worker_config {
	unsigned index;
	unsigned workers;
	uint32_t slots;
	uint32_t remote_first; /* slots from here on are for sessions over UDP */
	uint32_t heartbeat_ms;
	uint32_t missed_max;
	uint32_t hellos_per_second;
	uint8_t cookie_key[MR_COOKIE_KEY_BYTES]; /* all workers have one key */
	uint32_t route_cache_entries;
	uint32_t handoff_ring_bytes;
	uint32_t message_bytes_max;     /* sum of all fragments */
	uint64_t store_bytes;           /* messages that wait for slow sessions or for the mesh; as
	                                 * much again for answers and deliveries */
	uint64_t early_bytes;           /* early frames */
	uint32_t peer_percent;          /* one peer's share of early frames, answers and late
	                                 * datagrams; 0: all */
	uint32_t ip6_prefix_bits;       /* addresses with one prefix are one host; 0: 64 */
	uint64_t held_bytes_max;        /* one session's part of store_bytes */
	uint32_t block_ms_max;          /* publishers wait for a full session; 0: for ever */
	bool block_expels;              /* closes it then, instead of passing it over */
	bool bind_mac;                  /* sessions over UDP keep their first source MAC */
	uint64_t queue_bytes_max;       /* messages in queues */
	struct mr_queues_config queues; /* the worker fills the rest in */
	uint64_t spin_cycles;           /* time without work before it sleeps */
	int writer_bell_fd;             /* table writer's doorbell: a session must be closed */
	bool busy;                      /* never sleeps */
};

struct mr_worker {
	/* read-only after init */
	alignas(MR_CACHE_LINE) unsigned index;
	unsigned workers;
	bool busy;
	uint64_t spin_cycles;
	struct mr_router *router;
	const struct mr_router_counters *looked;  /* the router's */
	struct mrf_worker_stats *stats;           /* w: worker, r: control */
	struct mr_spsc *mesh_in[MR_WORKERS_MAX];  /* from each worker; NULL for itself */
	struct mr_spsc *mesh_out[MR_WORKERS_MAX]; /* to each worker */
	struct mr_worker *peers[MR_WORKERS_MAX];
	struct rte_mempool *blocks; /* NULL with one worker */
	struct mr_directory directory;
	struct mr_slab *store;
	struct mr_full_flags *full;   /* w: worker, r: all workers */
	struct mr_bound_flags *bound; /* w: worker, r: all workers */
	struct mr_turns *turns;
	struct mr_fans *fans;
	uint64_t held_bytes_max;
	uint64_t underway_max;     /* bytes that may come after a subscription is full */
	uint64_t block_cycles_max; /* publishers wait for a full session; 0: for ever */
	bool block_expels;         /* closes it then */
	bool bind_mac;             /* discards frames from another MAC than the session's */
	struct mr_handoff_ring handoff;
	struct mr_exception_ring exception;
	struct mr_worker_page *page;
	struct mr_worker_page_owner page_owner;
	int page_fd;
	int epoll_fd;
	int bell_fd; /* doorbell for other workers and the table writer */
	int writer_bell_fd;
	unsigned ports_count;
	uint32_t remote_first;
	uint32_t message_bytes_max;
	uint64_t heartbeat;        /* cycles */
	uint64_t liveness_timeout; /* cycles without a frame after which a session is dead */
	uint64_t tsc_hz;
	uint8_t cookie_key[MR_COOKIE_KEY_BYTES];
	uint64_t ip6_mask; /* masks a host's prefix in the first half of an address */
	/* worker's own */
	alignas(MR_CACHE_LINE) uint32_t burst_count;
	uint32_t cursor;              /* the next burst's first session in the poll list */
	uint32_t messages_fragmented; /* messages that this worker fragmented */
	uint64_t housekept_at;        /* cycles, at the last housekeeping */
	uint32_t dirty_count;
	uint32_t consumed_count;
	uint32_t reread_bytes; /* of this burst; counted when they were first read */
	bool moved;            /* this round did something */
	bool handoff_dirty;
	bool handoff_consumed;
	struct { /* the last promised publishes of this burst without a full receiver */
		const struct mr_session *from; /* by alias; NULL: none */
		uint32_t target;
		const struct mr_burst_entry *by_subject; /* NULL: none */
	} had_room;
	struct { /* sessions that are full or have messages queued */
		struct mr_slow_session *first;
		struct mr_slow_session *last;
		uint32_t count;
	} slow;
	struct {                               /* see share.h */
		uint64_t now;                  /* virtual time, cycles */
		uint64_t spent;                /* cycles of this round's turns */
		uint32_t turns;                /* turns in this round */
		uint32_t charged;              /* turns that were charged */
		const struct mr_session *last; /* had the last turn; compared only, never read */
		uint32_t turn_work;
		uint64_t work; /* work of this round without the current turn */
		uint64_t turn_far;
		uint64_t turn_paid;      /* cycles that receivers were charged */
		uint64_t turn_visits;    /* counters->visits when the turn began */
		uint64_t turn_delivered; /* round.delivered when the turn began */
		uint64_t random;         /* a linear congruential generator's state */
	} share;
	struct { /* sessions with late messages */
		struct mr_late *first;
		struct mr_late *last;
		uint32_t count;
		uint64_t bytes;          /* sum of their messages */
		bool forced;             /* the message being routed must not wait any longer */
		struct mr_shares shares; /* bytes of messages that may be dropped, by peer */
		uint64_t share_bytes;    /* limit for one peer */
	} late;
	uint64_t queued_share;   /* bytes that may be queued for one session now */
	uint16_t promised_count; /* promised messages to own subscribers; a run is one */
	struct {                 /* promised bytes, by the other worker */
		uint64_t sent[MR_WORKERS_MAX];
		uint64_t seen[MR_WORKERS_MAX]; /* taken by that worker, when last looked at */
		uint64_t taken;                /* in the block that is being read */
	} window;
	struct mr_far_ready far_ready[MR_FAR_READY];
	uint32_t handoff_calm; /* times that the ring to control became half empty again */
	/* bytes of each peer that were put into that ring since, while it was crowded */
	struct mr_shares handoff_peers;
	struct { /* counted since the last tx, then added to the statistics */
		uint64_t published;
		uint64_t delivered;
	} round;
	uint64_t round_start; /* cycles */
	uint64_t idle_since;  /* cycles; 0: not idle */
	struct {
		struct rte_mbuf *open; /* block being filled, or NULL */
		uint32_t used;         /* bytes in it */
		uint32_t sent;         /* bytes that descriptors name already */
		uint32_t messages;     /* messages behind `sent` */
		uint64_t wanted_by;    /* workers with interest in bytes behind `sent` */
		struct rte_mbuf *stash[MR_MESH_STASH];
		uint32_t stash_count;
		uint64_t to_wake;              /* workers pushed to this round */
		struct mr_mesh_queued *queued; /* records that wait for room, oldest first */
		struct mr_mesh_queued **queued_end;
		uint64_t queued_bytes;          /* sum of their records */
		_Atomic uint64_t queued_in;     /* records that ever waited; r: table writer */
		_Atomic uint64_t queued_out;    /* records that ceased to wait; r: table writer */
		struct mr_mesh_source *sources; /* by worker */
		unsigned first;                 /* the source with the next turn */
	} mesh;
	struct {
		struct mr_queues *engine;
		struct mr_slab *store;
		uint64_t ms_cycles; /* cycles in a millisecond */
		uint64_t ms_end;    /* cycles at the end of the millisecond now_ms */
		uint64_t now_ms;
		uint64_t ticked_ms; /* the engine's last tick */
		bool touched;       /* the engine may have messages to send */
		bool used;          /* there may be queues */
		/* Sessions of other workers that returned a delivery, by a few bits of their ids.
		 * They are looked at before they get another one. */
		uint64_t slow[MR_QUEUES_SLOW];
		struct mr_worker_commands *commands;
	} queues;
	struct {
		uint32_t next;       /* slot, from remote_first */
		uint64_t since;      /* cycles at the last step */
		uint64_t looked;     /* cycles at the last call */
		uint64_t thawed;     /* cycles at the last call after a long pause */
		int64_t clock_delta; /* CLOCK_MONOTONIC nanoseconds when cycles were 0 */
	} scan;
	struct {
		uint64_t round;   /* round_start of the round in which the clock was read */
		uint64_t time_ns; /* CLOCK_REALTIME */
	} stamps;
	struct {
		struct mr_flow_entry *list; /* room for all sessions over UDP */
		uint32_t count;
		bool any_waits;           /* a session on the list may have waiting frames */
		uint32_t activity_window; /* see flow_run.c */
		uint32_t active_now;      /* sessions that took frames in this activity window */
		uint32_t active_before;   /* in the one before */
		uint64_t window_since;    /* cycles */
		uint64_t ns_a_cycle;      /* times 2^32 */
	} flows;
	struct mr_early early;
	struct mr_answers answers;
	/* Token buckets for answers to packets of no session. Each kind has its own, so that a
	 * flood of one kind does not stop the others. */
	struct mr_rate closes;
	struct mr_rate challenges;
	struct mr_rate_shared retries;
	struct mr_rate_shared echoes;
	struct mr_rate_shared neighbours;
	struct mr_rate_shared hellos;
	struct mr_hello_recent hellos_recent[MR_HELLOS_RECENT];
	uint32_t passed_count;
	struct mr_passed passed[MR_PASSED_MAX];
	struct mr_worker_port ports[MR_PORTS_MAX];
	struct mr_session *dirty[MR_DIRTY_MAX];
	struct mr_session *consumed[MR_BURST + MR_LATE_SERVES];
	struct mr_burst_entry burst[MR_BURST];
	struct mr_message_view views[MR_BURST];
	char subjects[MR_BURST][MR_SUBJECT_BYTES_MAX + 1]; /* copied out of shared memory */
	/* shared-in */
	alignas(MR_CACHE_LINE) _Atomic bool stopping; /* w: table writer */
	/* shared-out */
	alignas(MR_CACHE_LINE) _Atomic uint64_t rounds; /* w: worker, r: table writer's watchdog */
	_Atomic bool sleeping;                          /* w: worker, r: table writer */
	struct mr_window windows[MR_WORKERS_MAX];
};

/* Returns the route of an alias or a subject; NULL: there is none. The caller must not use an
 * earlier route any more: routes too large for the cache are made for each message, and there is
 * room for a few only. */
static inline const struct mr_route *mr_worker_alias(struct mr_worker *w, uint32_t alias)
{
	const struct mr_route *r = mr_router_alias(w->router, alias);

	if (mr_unlikely(r == NULL) && mr_router_forget(w->router))
		r = mr_router_alias(w->router, alias);
	return r;
}

static inline const struct mr_route *mr_worker_subject(
	struct mr_worker *w, const void *subject, size_t bytes)
{
	enum mr_subject_fault fault;
	const struct mr_route *r = mr_router_subject(w->router, subject, bytes, &fault);

	if (mr_unlikely(r == NULL) && mr_router_forget(w->router))
		r = mr_router_subject(w->router, subject, bytes, &fault);
	return r;
}

/* Makes a worker. The caller sets mesh rings, peers and blocks before run. -ENOMEM, -EMFILE. */
int mr_worker_new(const struct mr_worker_config *c, struct mr_table *table,
	struct mrf_worker_stats *stats, struct mr_worker **out);
void mr_worker_free(struct mr_worker *w);

/* Gives the worker its queue of an open port, before it runs, in the order of the ports' indexes.
 * -EINVAL: another order, or buffers too small for the port's largest packet. */
int mr_worker_port_add(struct mr_worker *w, struct mr_port *p);

/* Runs the loop; an lcore function. Returns 0 once stopped. */
int mr_worker_run(void *worker);
void mr_worker_stop(struct mr_worker *w);
/* Wakes the worker, if it sleeps, to look at a changed poll list or to stop. */
void mr_worker_wake(struct mr_worker *w);
/* Lets a channel's doorbell wake the worker. */
int mr_worker_watch(struct mr_worker *w, int bell_fd);
/* Ends that. Closing the doorbell is not enough: the client has it open, too. */
void mr_worker_unwatch(struct mr_worker *w, int bell_fd);

#endif
