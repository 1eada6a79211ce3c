/* SPDX-License-Identifier: Apache-2.0 */
/* plane: one worker and its clients, all played by one thread: what is timed is the worker alone.
 *
 * Owns      The caller owns the structures; what is opened in them stays until the program ends.
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

/* `config` says one worker, and BENCH_CLIENTS_MAX slots. */
void bench_plane_open(struct bench_plane *p, const struct mr_worker_config *config);
/* A session in a slot of its own; its owner in the table. */
struct mr_owner bench_client_open(struct bench_plane *p, struct bench_client *c, uint32_t slot);
/* Into the up ring, which has room; mr_bytes_publish_quiet shows it to the worker. */
void bench_client_put(struct bench_client *c, const struct mr_message_plan *plan, uint32_t target);
/* Throws away what is in the down ring. */
void bench_client_skip(struct bench_client *c);

#endif
