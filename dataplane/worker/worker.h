/* SPDX-License-Identifier: Apache-2.0 */
/* worker: one lcore that moves messages from channels and mesh to channels and mesh.
 *
 *   ports  bursts of packets: frames of sessions, and all else      ports.c, frame.c, hello.c
 *   rx     burst of messages from channels, checked in place        rx.c
 *   route  who gets a copy of each, and the copies                  route.c, deliver.h
 *   mesh   blocks of messages to and from other workers             mesh.c
 *   queues those at home here, and the way to the others            queues.c
 *   tx     show the rings to their readers, ring bells, send frames tx.c, egress.c
 *   house  idle, sleep, counters, gaps, heartbeats                  worker.c, sleep.c, udp_sessions.c
 *
 * Owns      Nothing but its own memory; sessions, tables and rings are the table writer's.
 * Threads   mr_worker_run and what it calls: the worker's lcore. new, free: the table writer, while
 *           the worker does not run. stop, ring: any thread.
 * Ordering  [worker.sleep] whoever has work for a worker stores it, then loads page->asleep; the
 *           worker stores page->asleep, then loads all that could be work; all seq_cst. One of the
 *           two sees the other.
 *           [worker.stop] release of stopping in stop -> acquire in the loop: what the stopping thread
 *           wrote before is seen.
 *           [mesh.held] release of held_in or held_out -> acquire by the table writer: the records that
 *           it counts are queued, or are in a block of the mesh.
 * Hot path  No lock or log, and no allocation but of buffers for frames. The only system calls are the
 * write that rings the bell of a reader who has said that it sleeps, the worker's own sleep, and what
 * a port's driver does.
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
/* So often the worker looks after its sessions, and after as many of them one time less often. */
#define MR_HOUSEKEEP_HZ       1000u
#define MR_HOUSEKEEP_SESSIONS 4096u
#define MR_DIRTY_MAX          256u
/* Packets taken from a port at a time, and those that gather before they are given to it. */
#define MR_PORT_BURST 32u
#define MR_PORT_TX    64u
/* After as many messages of a port's frames its others wait for the next round: above what a burst of
 * frames with messages of some size has, and far below what one with the smallest has. */
#define MR_PORT_MESSAGES 1024u
/* Frames passed on by other workers, as many as a round takes from the mesh. */
#define MR_PASSED_MAX       (MR_MESH_BURST * MR_WORKERS_MAX)
#define MR_COOKIE_KEY_BYTES 16u
/* Closes and challenges, each, a worker. */
#define MR_ANSWERS_PER_SECOND 10000u
/* Pings, a worker. */
#define MR_ECHOES_PER_SECOND 10000u
/* Answers to ARP requests and neighbour solicitations. */
#define MR_NEIGHBOURS_PER_SECOND 10000u
/* Retries, a worker. What asks for one is a large frame. */
#define MR_RETRIES_PER_SECOND 100000u

/* Subjects remembered for which nobody of another worker has to be waited for. */
#define MR_FAR_READY 64u
/* Members of a queue group that are asked to take a promised message. */
#define MR_GROUP_PROMISE_TRIES_MAX 256u

struct mr_mesh_held;
struct mr_worker_commands;

/* See backpressure.c. */
struct mr_far_ready {
	uint64_t hash;
	uint64_t version;
	uint64_t sets;
};

/* Promised bytes of one worker that another has taken. */
struct mr_window {
	alignas(MR_CACHE_LINE) _Atomic uint64_t taken; /* w: who takes, r: who sends */
};

/* A message in a channel: the header as it was read and checked against the ring, and where the rest
 * is. The memory may change; what stands here does not. */
struct mr_burst_entry {
	struct mrf_message_header header;
	const uint8_t *at;
	const struct mr_message_view *view; /* its parts; NULL: a body and nothing else */
	struct mr_session *from;
};

/* Blocks of another worker that were taken out of its ring. */
struct mr_mesh_source {
	struct mr_descriptor blocks[MR_MESH_BURST];
	uint32_t count;
	uint32_t next;
	uint32_t used;      /* bytes of blocks[next] that are done */
	struct mr_fan *fan; /* of the message behind them, which was left; NULL: none */
};

/* To and from control. Made by the table writer; lives as long as the worker. */
struct mr_handoff_ring {
	struct mr_channel channel;
	struct mr_bytes_producer to_control;
	struct mr_bytes_consumer from_control;
	/* What control had said when it was last looked at, up to a position, is taken when this worker
	 * is through with what other workers had said by then, and with the fan-outs that it had begun. */
	bool awaits_others;
	uint64_t said_until;
	uint64_t fans_until;
	uint32_t mesh_until[MR_WORKERS_MAX];
};

/* A port as one worker has it. */
struct mr_worker_port {
	/* read-only while the worker runs */
	struct mr_port *port;
	struct mrf_port_stats *stats;
	uint16_t device; /* DPDK's number */
	uint16_t queue;
	uint32_t rx_entries; /* of the receive ring */
	/* worker's own */
	uint32_t
		rx_count; /* taken, and to be looked at again: there was no time, or the mesh was full */
	uint32_t tx_count; /* to be given to the device */
	struct rte_mbuf *rx[MR_PORT_BURST];
	struct rte_mbuf *tx[MR_PORT_TX];
};

/* A frame that another worker received for a session of this one. */
struct mr_passed {
	struct rte_mbuf *buffer;
	uint32_t port;
};

/* A session whose reliable flow is to be looked after. */
struct mr_flow_entry {
	uint32_t slot;
	uint32_t generation;
};

/* So many a second, and a tenth of a second's worth of them at once, but at least one. */
struct mr_rate {
	uint64_t interval; /* cycles; UINT64_MAX: none */
	uint64_t next;     /* when the bucket would be full of what was taken */
};

/* A rate of which one source has a quarter at most, so that others come through beside it. Sources are
 * told apart by a keyed hash of their address; two that fall together share their quarter. */
#define MR_RATE_SOURCES 256u
#define MR_RATE_SHARE   4u
struct mr_rate_shared {
	struct mr_rate all;
	struct mr_rate by_source[MR_RATE_SOURCES];
};

/* A hello that was handed to control. Its cookie is a keyed hash of it and of where it came from. */
#define MR_HELLOS_RECENT 1024u
struct mr_hello_recent {
	uint64_t cookie;
	uint64_t at; /* cycles */
};

struct mr_worker_config {
	unsigned index;
	unsigned workers;
	uint32_t slots;
	uint32_t remote_first; /* slots from here on are of sessions over UDP */
	uint32_t heartbeat_ms;
	uint32_t missed_max;
	uint32_t hellos_per_second;
	uint8_t cookie_key[MR_COOKIE_KEY_BYTES]; /* the same for all workers */
	uint32_t route_cache_entries;
	uint32_t handoff_ring_bytes;
	uint32_t message_bytes_max; /* of all fragments */
	uint64_t store_bytes;       /* of messages that wait for full sessions and for the mesh */
	uint64_t early_bytes;       /* of frames that came ahead of their turn */
	uint32_t peer_percent;      /* of them for one peer; 0: all */
	uint32_t ip6_prefix_bits;   /* of an address that are one host; 0: 64 */
	uint64_t held_bytes_max;    /* of them, for one session */
	uint32_t block_ms_max;      /* a full session is waited for; 0: for ever */
	bool block_expels;          /* it is closed then, not only passed over */
	uint64_t queue_bytes_max;   /* of messages in queues */
	struct mr_queues_config queues; /* but for what the worker knows itself */
	uint64_t spin_cycles;           /* without work, before it sleeps */
	int writer_bell_fd;             /* rung when a session must be shut */
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
	struct mr_full_flags *full; /* w: worker, r: all workers */
	struct mr_turns *turns;
	struct mr_fans *fans;
	uint64_t held_bytes_max;
	uint64_t underway_max;     /* bytes that may come for a subscription that is waited for */
	uint64_t block_cycles_max; /* a session may be waited for; 0: for ever */
	bool block_expels;         /* it is closed then */
	struct mr_handoff_ring handoff;
	struct mr_worker_page *page;
	struct mr_worker_page_owner page_owner;
	int page_fd;
	int epoll_fd;
	int bell_fd; /* of other workers and of the table writer */
	int writer_bell_fd;
	unsigned ports_count;
	uint32_t remote_first;
	uint32_t message_bytes_max;
	uint64_t heartbeat;        /* cycles */
	uint64_t liveness_timeout; /* cycles without a frame after which a session is dead */
	uint64_t tsc_hz;
	uint8_t cookie_key[MR_COOKIE_KEY_BYTES];
	uint64_t ip6_mask; /* of the first half of an address, in its order: what makes a host */
	/* worker's own */
	alignas(MR_CACHE_LINE) uint32_t burst_count;
	uint32_t cursor;              /* in the poll list: who is asked first */
	uint32_t messages_fragmented; /* messages that this worker cut into pieces */
	uint64_t housekept_at;        /* cycles, at the last housekeeping */
	uint32_t dirty_count;
	uint32_t consumed_count;
	bool moved; /* this round did something */
	bool handoff_dirty;
	bool handoff_consumed;
	struct { /* the last promised publishes of this burst that had nobody to wait for */
		const struct mr_session *from; /* by alias; NULL: none */
		uint32_t target;
		const struct mr_burst_entry *by_subject; /* NULL: none */
	} had_room;
	struct { /* sessions that are full, or for which something is held */
		struct mr_slow_session *first;
		struct mr_slow_session *last;
		uint32_t count;
	} slow;
	struct {                               /* see share.h */
		uint64_t now;                  /* virtual time, cycles */
		uint64_t spent;                /* cycles of this round's turns */
		uint32_t turns;                /* of this round */
		uint32_t charged;              /* of them */
		const struct mr_session *last; /* that had a turn; only to compare with */
		uint32_t turn_work;
		uint64_t work; /* of this round, but for the turn that goes on */
		uint64_t turn_far;
		uint64_t turn_paid;      /* cycles that receivers were charged */
		uint64_t turn_visits;    /* counters->visits when it began */
		uint64_t turn_delivered; /* round.delivered when it began */
		uint64_t random;         /* a linear congruential generator's state */
	} share;
	struct { /* sessions of which something is late */
		struct mr_late *first;
		struct mr_late *last;
		uint32_t count;
		uint64_t bytes; /* of messages */
		bool forced;    /* what is routed must not wait any longer */
	} late;
	uint64_t held_share;     /* bytes that one session may be held, by what is left for all */
	uint16_t promised_count; /* messages to this worker's subscribers, runs as one */
	struct {                 /* promised bytes, by the other worker */
		uint64_t sent[MR_WORKERS_MAX];
		uint64_t seen[MR_WORKERS_MAX]; /* of these taken there, when last looked at */
		uint64_t taken;                /* in the block that is being read */
	} window;
	struct mr_far_ready far_ready[MR_FAR_READY];
	uint32_t handoff_calm; /* times that the ring to control was seen half empty again */
	struct {               /* counted since the last tx, then added to the statistics */
		uint64_t published;
		uint64_t delivered;
	} round;
	uint64_t round_start; /* cycles */
	uint64_t idle_since;  /* cycles; 0: not idle */
	struct {
		struct rte_mbuf *open; /* block being filled, or NULL */
		uint32_t used;         /* bytes in it */
		uint32_t sent;         /* of which others have been told */
		uint32_t messages;     /* not yet told of */
		uint64_t wanted_by;    /* workers with interest in what is not yet told of */
		struct rte_mbuf *stash[MR_MESH_STASH];
		uint32_t stash_count;
		uint64_t to_wake;          /* workers pushed to this round */
		struct mr_mesh_held *held; /* what had no room, oldest first */
		struct mr_mesh_held **held_end;
		uint64_t held_bytes;            /* of records */
		_Atomic uint64_t held_in;       /* records that ever waited; r: table writer */
		_Atomic uint64_t held_out;      /* of these, in a block by now; r: table writer */
		struct mr_mesh_source *sources; /* by worker */
		unsigned first;                 /* source that has the next turn */
	} mesh;
	struct {
		struct mr_queues *engine;
		struct mr_slab *store;
		uint64_t ms_cycles; /* in a millisecond */
		uint64_t ms_end;    /* cycles, of the millisecond now_ms */
		uint64_t now_ms;
		uint64_t ticked_ms; /* when the engine last looked at the clock */
		bool touched;       /* it may have something to send */
		bool used;          /* there may be queues */
		/* Sessions of other workers that could not take a delivery, by a few bits of their ids;
		 * asked before they are given another. */
		uint64_t slow[MR_QUEUES_SLOW];
		struct mr_worker_commands *commands;
	} queues;
	struct {
		uint32_t next;       /* slot, from remote_first */
		uint64_t since;      /* cycles, when the last step was made */
		uint64_t looked;     /* last look; */
		uint64_t thawed;     /* and the last that came long after the one before */
		int64_t clock_delta; /* CLOCK_MONOTONIC nanoseconds when cycles were 0 */
	} scan;
	struct {
		struct mr_flow_entry *list; /* room for all sessions over UDP */
		uint32_t count;
		bool any_waits;           /* of the list, some have frames that wait */
		uint32_t activity_window; /* see flow_tx.c */
		uint32_t active_now;      /* sessions that took frames in this activity window */
		uint32_t active_before;   /* in the one before */
		uint64_t window_since;    /* cycles */
		uint64_t ns_a_cycle;      /* times 2^32 */
	} flows;
	struct mr_early early; /* frames that came ahead of their turn */
	/* What nobody's session pays for; each its own, so that a flood of what asks for one leaves
	 * the others to those who need them. */
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
	_Atomic bool sleeping;                          /* likewise */
	struct mr_window windows[MR_WORKERS_MAX];
};

/* The route of an alias or a subject; NULL: there is none. The one before it must not be touched any
 * more: routes too large to be kept are made anew for each message, and there is room for some only. */
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

/* -ENOMEM, -EMFILE. Mesh rings, peers and blocks are set by the caller before run. */
int mr_worker_new(const struct mr_worker_config *c, struct mr_table *table,
	struct mrf_worker_stats *stats, struct mr_worker **out);
void mr_worker_free(struct mr_worker *w);

/* Before it runs: gives it its queue of an open port; ports come in the order of their index. -EINVAL:
 * another order, or buffers too small for the port's largest packet. */
int mr_worker_port_add(struct mr_worker *w, struct mr_port *p);

/* The loop; an lcore function, returns 0 once stopped. */
int mr_worker_run(void *worker);
void mr_worker_stop(struct mr_worker *w);
/* Wakes it, if it sleeps, to look at a changed poll list or to stop. */
void mr_worker_wake(struct mr_worker *w);
/* Its bell that a channel's client rings. */
int mr_worker_watch(struct mr_worker *w, int bell_fd);
/* No more; closing the bell is not enough, its client has it too. */
void mr_worker_unwatch(struct mr_worker *w, int bell_fd);

#endif
