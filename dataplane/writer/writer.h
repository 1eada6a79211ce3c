/* SPDX-License-Identifier: Apache-2.0 */
/* writer: the table writer, the one thread that opens and closes sessions and changes tables.
 *
 * It sleeps in epoll on the link to control, on the liveness socket of each session and on signals;
 * control asks, it does. What it takes away from workers it frees after their quiescence.
 *
 *   writer.c    the event loop, start and stop of everything
 *   link.c      the socket to control: one at a time, packets out
 *   request.c   what control asks for
 *   sessions.c  opening, closing, expelling, grace
 *   blocks.c    the mesh's memory
 *   ports.c     opening ports, looking after their links
 *
 * Owns      Workers, ports, table, directories, sessions, statistics memory.
 * Threads   The main lcore only.
 * Errors    0 or -errno; what a client or control did wrong goes back to it as LinkResult.
 */
#ifndef MILLRACE_WRITER_WRITER_H
#define MILLRACE_WRITER_WRITER_H

#include "control/config/config.h"
#include "dataplane/port/pool.h"
#include "dataplane/port/port.h"
#include "dataplane/subject/table.h"
#include "dataplane/worker/worker.h"
#include "flatbuf/link.h"

struct rte_rcu_qsbr;

#define MR_WRITER_LINK_BYTES_MAX 65536u

struct mr_writer {
	const struct mr_config *config;
	unsigned workers_count;
	struct mr_worker *workers[MR_WORKERS_MAX];
	struct mr_pool blocks; /* the mesh's */
	struct mr_port ports[MR_PORTS_MAX];
	unsigned ports_count;
	uint64_t ports_looked_ns;
	uint64_t ports_down_since[MR_PORTS_MAX]; /* grace tokens; 0: up */
	struct mr_spsc *mesh;                    /* workers_count squared, row: from, column: to */
	struct rte_rcu_qsbr *qsbr;
	struct mr_table *table;

	int stats_fd;
	void *stats_map;
	size_t stats_bytes;
	struct mrf_table_stats *stats;

	int lock_fd;
	int epoll_fd;
	int signal_fd;
	int bell_fd; /* rung by workers */
	int listen_fd;
	int link_fd; /* -1: no control */
	bool link_welcomed;
	uint64_t started_ns; /* CLOCK_REALTIME */

	uint32_t *generations; /* workers_count * clients_max: of each slot's next tenant */
	uint32_t sessions_on[MR_WORKERS_MAX];
	struct mr_session *closing;
	struct mr_session *retired;
	struct mr_poll_list *retired_lists;
	struct {
		uint64_t rounds;
		uint64_t since_ns;
		bool stuck;
	} watch[MR_WORKERS_MAX];
	bool stopping;
	uint64_t files_max;
};

int mr_writer_open(struct mr_writer *wr, const struct mr_config *config);
/* Runs until SIGTERM or SIGINT. The workers run already. */
int mr_writer_run(struct mr_writer *wr);
/* The workers have returned. */
void mr_writer_close(struct mr_writer *wr);

/* link.c */
int mr_writer_listen(struct mr_writer *wr);
void mr_writer_accept(struct mr_writer *wr);
void mr_writer_link_read(struct mr_writer *wr);
void mr_writer_link_close(struct mr_writer *wr, const char *why);
/* Sends one packet; on failure the link is closed. */
void mr_writer_link_send(struct mr_writer *wr, struct mrf_builder *b, uint64_t id,
	enum mrf_link_body type, uint32_t body, const int *fds, unsigned fds_count);
void mr_writer_link_result(struct mr_writer *wr, uint64_t id, int code, const char *text);

/* request.c */
void mr_writer_request(struct mr_writer *wr, struct mrf_table message);

/* sessions.c */
int mr_writer_session_open(
	struct mr_writer *wr, struct mrf_table request, struct mr_session **out, int *peer_fd);
/* The live session of that id, or NULL. */
struct mr_session *mr_writer_session_find(const struct mr_writer *wr, uint64_t id);
struct mr_owner mr_writer_owner(const struct mr_session *s);
/* Starts the end of a session: what it has pushed is still taken, within a second. */
void mr_writer_session_close(struct mr_writer *wr, struct mr_session *s, const char *reason);
/* The same at once, with a notice to the client. */
void mr_writer_session_expel(
	struct mr_writer *wr, struct mr_session *s, int code, const char *reason);
/* Goes on with what waits. Returns true while something still does. */
bool mr_writer_sessions_tick(struct mr_writer *wr);
void mr_writer_sessions_close_all(struct mr_writer *wr);

/* ports.c */
/* Statistics memory is there; workers do not run yet. */
int mr_writer_ports_open(struct mr_writer *wr);
/* Once a second: links, and what drivers count. */
void mr_writer_ports_look(struct mr_writer *wr);
/* Workers have no buffers any more. */
void mr_writer_ports_close(struct mr_writer *wr);
void mr_writer_ports_list(struct mr_writer *wr, uint64_t id);

/* blocks.c */
int mr_writer_blocks_open(struct mr_writer *wr);
void mr_writer_blocks_close(struct mr_writer *wr);

uint64_t mr_writer_now_ns(void); /* CLOCK_MONOTONIC */

#endif
