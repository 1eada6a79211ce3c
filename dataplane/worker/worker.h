/* SPDX-License-Identifier: Apache-2.0 */
/* worker: one lcore that moves messages from channels and mesh to channels and mesh.
 *
 *   rx     burst of messages from channels, checked in place        rx.c
 *   route  who gets a copy of each, and the copies                  route.c, deliver.h
 *   mesh   blocks of messages to and from other workers             mesh.c
 *   tx     show the rings to their readers, ring bells              tx.c
 *   house  idle, sleep, counters, gaps                              worker.c, sleep.c
 *
 * Owns      Nothing but its own memory; sessions, tables and rings are the table writer's.
 * Threads   mr_worker_run and what it calls: the worker's lcore. new, free: the table writer, while
 *           the worker does not run. stop, ring: any thread.
 * Ordering  [worker.sleep] whoever has work for a worker stores it, then loads page->asleep; the
 *           worker stores page->asleep, then loads all that could be work; all seq_cst. One of the
 *           two sees the other.
 * Hot path  No lock, allocation or log. The only system calls are the write that rings the bell of
 * a reader who has said that it sleeps, and the worker's own sleep.
 */
#ifndef MILLRACE_WORKER_WORKER_H
#define MILLRACE_WORKER_WORKER_H

#include "dataplane/ring/spsc.h"
#include "dataplane/session/session.h"
#include "dataplane/subject/router.h"

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
/* A round closes at most this many mesh blocks: its bytes over a block's, and those left open. */
#define MR_MESH_ROOM_MIN    16u
#define MR_BLOCK_BYTES      65344u
#define MR_HOUSEKEEP_ROUNDS 1024u
#define MR_DIRTY_MAX        256u

/* A message in a channel: the header as it was read and checked against the ring, and where the rest
 * is. The memory may change; what stands here does not. */
struct mr_burst_entry {
	struct mrf_message_header header;
	const uint8_t *at;
	const struct mr_message_view *view; /* its parts; NULL: a body and nothing else */
	struct mr_session *from;
};

/* To and from control. Made by the table writer; lives as long as the worker. */
struct mr_handoff {
	struct mr_channel channel;
	struct mr_bytes_producer to_control;
	struct mr_bytes_consumer from_control;
};

struct mr_worker_config {
	unsigned index;
	unsigned workers;
	uint32_t slots;
	uint32_t route_cache_entries;
	uint32_t handoff_ring_bytes;
	uint64_t spin_cycles; /* without work, before it sleeps */
	int writer_bell_fd;   /* rung when a session must be shut */
	bool busy;            /* never sleeps */
};

struct mr_worker {
	/* read-only after init */
	alignas(MR_CACHE_LINE) unsigned index;
	unsigned workers;
	bool busy;
	uint64_t spin_cycles;
	struct mr_router *router;
	struct mrf_worker_stats *stats;           /* w: worker, r: control */
	struct mr_spsc *mesh_in[MR_WORKERS_MAX];  /* from each worker; NULL for itself */
	struct mr_spsc *mesh_out[MR_WORKERS_MAX]; /* to each worker */
	struct mr_worker *peers[MR_WORKERS_MAX];
	struct rte_mempool *blocks; /* NULL with one worker */
	struct mr_directory directory;
	struct mr_handoff handoff;
	struct mr_worker_page *page;
	int page_fd;
	int epoll_fd;
	int bell_fd; /* of other workers and of the table writer */
	int writer_bell_fd;
	/* worker's own */
	alignas(MR_CACHE_LINE) uint32_t burst_count;
	uint32_t cursor; /* in the poll list: who is asked first */
	uint32_t turn;   /* of queue groups */
	uint32_t house_in;
	uint32_t dirty_count;
	uint32_t consumed_count;
	bool moved; /* this round did something */
	bool handoff_dirty;
	bool handoff_consumed;
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
		uint64_t rung; /* workers pushed to this round */
	} mesh;
	struct mr_session *dirty[MR_DIRTY_MAX];
	struct mr_session *consumed[MR_BURST];
	struct mr_burst_entry burst[MR_BURST];
	struct mr_message_view views[MR_BURST];
	char subjects[MR_BURST][MR_SUBJECT_BYTES_MAX + 1]; /* copied out of shared memory */
	/* shared-in */
	alignas(MR_CACHE_LINE) _Atomic bool stopping; /* w: table writer */
	/* shared-out */
	alignas(MR_CACHE_LINE) _Atomic uint64_t rounds; /* w: worker, r: table writer's watchdog */
	_Atomic bool sleeping;                          /* likewise */
};

/* -ENOMEM, -EMFILE. Mesh rings, peers and blocks are set by the caller before run. */
int mr_worker_new(const struct mr_worker_config *c, struct mr_table *table,
	struct mrf_worker_stats *stats, struct mr_worker **out);
void mr_worker_free(struct mr_worker *w);

/* The loop; an lcore function, returns 0 once stopped. */
int mr_worker_run(void *worker);
void mr_worker_stop(struct mr_worker *w);
/* Wakes it, if it sleeps, to look at a changed poll list or to stop. */
void mr_worker_ring(struct mr_worker *w);
/* Its bell that a channel's client rings. */
int mr_worker_watch(struct mr_worker *w, int bell_fd);
/* No more; closing the bell is not enough, its client has it too. */
void mr_worker_unwatch(struct mr_worker *w, int bell_fd);

#endif
