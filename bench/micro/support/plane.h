/* SPDX-License-Identifier: Apache-2.0 */
/* plane: one worker and its clients, all played by one thread, so that the worker alone is timed.
 *
 * Owns      The caller owns the structures; their contents stay until the program ends.
 * Errors    End the program.
 */
#ifndef MILLRACE_BENCH_PLANE_H
#define MILLRACE_BENCH_PLANE_H

#include "dataplane/worker/worker.h"

/* Slots 0 .. BENCH_CLIENTS_MAX - 1. */
#define BENCH_CLIENTS_MAX 65u

struct bench_client {
	struct mr_session *session;
	int liveness_fd;
	struct mr_bytes_producer up;
	struct mr_bytes_consumer down;
};

struct bench_plane {
	struct rte_rcu_qsbr *qsbr;
	struct mr_table *table;
	struct mr_worker *worker;
	struct mrf_worker_stats stats;
	struct mrf_session_stats session_stats[BENCH_CLIENTS_MAX];
};

/* `config` must give one worker and BENCH_CLIENTS_MAX slots. */
void bench_plane_open(struct bench_plane *p, const struct mr_worker_config *config);
/* Opens a session in a slot of its own; returns its owner in the table. */
struct mr_owner bench_client_open(struct bench_plane *p, struct bench_client *c, uint32_t slot);
/* Writes into the up ring, which has room; mr_bytes_publish_quiet publishes the tail. */
void bench_client_put(struct bench_client *c, const struct mr_message_plan *plan, uint32_t target);
/* Discards the content of the down ring. */
void bench_client_skip(struct bench_client *c);

#endif
