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
 *   remotes.c   the same of sessions over UDP: their slots, and which path leads to which
 *   aliases.c   who may publish by which alias
 *   releases.c  aliases given back, while messages by them are under way
 *   answers.c   what control is told only when that has come to pass
 *   passage.c   when what is under way between workers has been dealt with
 *   blocks.c    the mesh's memory
 *   ports.c     opening ports, looking after their links
 *
 * Owns      Workers, ports, table, directories, sessions, statistics memory.
 * Threads   The main lcore only.
 * Errors    0 or -errno; what a client or control did wrong goes back to it as LinkResult.
 */
#ifndef MILLRACE_WRITER_WRITER_H
#define MILLRACE_WRITER_WRITER_H

#include "lib/config/config.h"
#include "lib/base/share.h"
#include "dataplane/port/packet_pool.h"
#include "dataplane/port/port.h"
#include "dataplane/session/remote.h"
#include "dataplane/subject/hash.h"
#include "dataplane/subject/index.h"
#include "dataplane/subject/table.h"
#include "dataplane/worker/worker.h"
#include "flatbuf/link.h"

struct rte_rcu_qsbr;

#define MR_WRITER_LINK_BYTES_MAX 65536u

/* A slot of a session over UDP. Free, or found by the path that the session was opened along, or, of
 * one that has moved or is closing, neither. */
struct mr_writer_remote {
	uint32_t next; /* number of the slot behind it: among the free, or in the index; 0: none */
	uint32_t hash; /* of the path */
	uint32_t log_bytes; /* of its session, as counted */
};

/* Slots are numbered from 1 on, worker by worker. */
struct mr_writer_remotes {
	struct mr_writer_remote *slots;
	struct mr_index by_path;
	struct mr_hash_key key;
	struct {
		uint32_t count;      /* open */
		uint32_t first_free; /* taken from here, given back behind the last: what was */
		uint32_t last_free;  /* somebody's rests for as long as there are others */
	} on[MR_WORKERS_MAX];
	struct mr_alias_set *retired_sets;
	bool rung; /* a worker may have ended some */
};

/* An alias that its session has given back: it may not publish by it any more, but has it still. */
struct mr_writer_release {
	uint64_t session;
	uint64_t due; /* the passage after which nothing by it is under way any more */
	uint32_t alias;
	uint32_t chain;  /* the one behind it in the index, or among the free; 0: none */
	uint32_t before; /* released before it */
	uint32_t after;
};

/* Numbered from 1 on. There are no more of them than what their sessions may hold. */
struct mr_writer_releases {
	struct mr_writer_release *slots;
	uint32_t slots_count;
	uint32_t free;
	uint32_t first; /* the oldest */
	uint32_t last;
	struct mr_index by_alias;
	struct mr_hash_key key;
};

/* See passage.c. */
enum mr_passage_step {
	MR_PASSAGE_REST,
	MR_PASSAGE_ROUND,
	MR_PASSAGE_HELD,
	MR_PASSAGE_FLUSH,
	MR_PASSAGE_READ,
};

struct mr_writer_passage {
	uint64_t number; /* of the one that goes on, or of the next; from 1 on */
	uint64_t wanted; /* the last one that somebody waits for; less than `number`: none */
	enum mr_passage_step step;
	uint64_t grace_token;
	uint64_t held[MR_WORKERS_MAX];                  /* to be out of what each worker holds */
	uint32_t tails[MR_WORKERS_MAX][MR_WORKERS_MAX]; /* from, to: to be read of each ring */
};

/* Answers to control that wait for a passage, oldest first. */
struct mr_writer_answers {
	struct {
		uint64_t id;
		uint64_t due;
	} * items;
	uint32_t count;
	uint32_t room;
};

enum mr_writer_share { MR_WRITER_LOCALS, MR_WRITER_REMOTES, MR_WRITER_LOGS };

struct mr_writer {
	const struct mr_config *config;
	unsigned workers_count;
	struct mr_worker *workers[MR_WORKERS_MAX];
	struct mr_packet_pool blocks; /* the mesh's */
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

	uint32_t slots_count;  /* of each worker: clients_max local ones, then those over UDP */
	uint32_t *generations; /* workers_count * slots_count: of each slot's next tenant */
	uint32_t sessions_on[MR_WORKERS_MAX];
	uint32_t locals_on[MR_WORKERS_MAX]; /* of them, those that are not over UDP */
	struct mr_shares shares;            /* sessions of each peer, by enum mr_writer_share */
	struct mr_share_bound locals;       /* of all workers */
	struct mr_share_bound remote;
	struct mr_share_bound logs; /* bytes */
	uint64_t logs_bytes;        /* of all sessions over UDP */
	uint32_t locals_count;
	struct mr_writer_remotes remotes;
	struct mr_writer_releases releases;
	struct mr_writer_passage passage;
	struct mr_writer_answers answers;
	struct mr_session *closing;
	struct mr_session *retired;
	struct mr_poll_list *retired_lists;
	struct {
		uint64_t rounds;
		uint64_t since_ns;
		bool stuck;
	} watch[MR_WORKERS_MAX];
	uint64_t watched_ns;
	bool stopping;
	uint64_t files_max;
};

/* Why a receiver that blocks is expelled. */
#define MR_STOOD_STILL_REASON "stood full without reading for sessions.block_ms_max"

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
/* Takes over the descriptor that came along; -1: none. */
void mr_writer_request(struct mr_writer *wr, struct mrf_table message, int fd);

/* sessions.c */
/* `pidfd` of the client's process, whose end is the session's too; taken over; -1: none. */
int mr_writer_session_open(struct mr_writer *wr, struct mrf_table request, int pidfd,
	struct mr_session **out, int *peer_fd);
/* The live session of that id, or NULL. */
struct mr_session *mr_writer_session_find(const struct mr_writer *wr, uint64_t id);
struct mr_owner mr_writer_owner(const struct mr_session *s);
/* Starts the end of a session: what it has pushed is still taken, within a second. */
void mr_writer_session_close(struct mr_writer *wr, struct mr_session *s, const char *reason);
/* The same of one over UDP: its worker says goodbye, takes what it has acknowledged, and ends it. Should it
 * not, a deadline does, beyond all that the worker may wait for. */
void mr_writer_session_end(
	struct mr_writer *wr, struct mr_session *s, int code, const char *reason);
/* Because of what the client did, or for the operator: with a notice; a local one at once. */
void mr_writer_session_expel(
	struct mr_writer *wr, struct mr_session *s, int code, const char *reason);
/* Out of its worker's sight at once; its slot may be another's. Like all but tick, it frees nothing: events
 * that are yet to be handled may name sessions. */
void mr_writer_session_drop(struct mr_writer *wr, struct mr_session *s, const char *reason);
/* Goes on with what waits. Returns true while something still does. */
bool mr_writer_sessions_tick(struct mr_writer *wr);
void mr_writer_sessions_close_all(struct mr_writer *wr);
/* sessions.c, for remotes.c: the id and the statistics of a slot's next tenant; what is known of a
 * session that the workers can see now. */
uint64_t mr_writer_next_id(struct mr_writer *wr, unsigned worker, uint32_t slot);
struct mrf_session_stats *mr_writer_stats_of(
	const struct mr_writer *wr, unsigned worker, uint32_t slot);
void mr_writer_session_opened(struct mr_writer *wr, struct mr_session *s, struct mrf_string name);

/* remotes.c */
int mr_writer_remotes_open(struct mr_writer *wr);
/* All are closed. */
void mr_writer_remotes_close(struct mr_writer *wr);
/* The session of that path and nonce: a new one, or the one that was opened before. `request`: a
 * LinkOpenRemote. -EINVAL: what is asked for makes no sense; -EMSGSIZE: the port takes no frames of
 * the least size; -EDQUOT: too many from that address; -ENOSPC, -ENOMEM, -EAGAIN: nothing random
 * yet. */
int mr_writer_remote_open(struct mr_writer *wr, struct mrf_table request, struct mr_session **out);
/* It is closing: a hello from its path is another's. */
void mr_writer_remote_forget(struct mr_writer *wr, struct mr_session *s);
/* Out of the worker's sight; its slot may be another's. */
void mr_writer_remote_take_out(struct mr_writer *wr, struct mr_session *s);
/* Closes those that their worker has ended. */
void mr_writer_remotes_look(struct mr_writer *wr);
/* Where its client is; a mixture of two places only while it moves from one to the other. */
struct mrf_network_path mr_writer_remote_path(const struct mr_session *s);

/* passage.c */
/* The number of a passage that begins after this; never 0. */
uint64_t mr_writer_passage_next(struct mr_writer *wr);
/* True if all that was under way when the number was asked for has been dealt with. */
bool mr_writer_passage_over(const struct mr_writer *wr, uint64_t number);
/* True while one goes on that somebody waits for. */
bool mr_writer_passages_tick(struct mr_writer *wr);

/* aliases.c */
/* Lets a session publish by an alias. -ENOSPC: it has too many; -ENOMEM. */
int mr_writer_hold(struct mr_writer *wr, struct mr_session *s, uint32_t alias);
void mr_writer_unhold(struct mr_session *s, uint32_t alias);
/* The subject's alias, which the session may publish by from here on. -EINVAL: malformed; -ENOSPC: no
 * room, in the table or, if *at_limit, for this session; -ENOMEM. */
int mr_writer_alias_give(struct mr_writer *wr, struct mr_session *s, struct mrf_string subject,
	uint32_t *alias, bool *at_limit);
/* It may not any more. The alias stays the subject's, and counts as one of the session's, until what was
 * published by it has arrived. -ENOENT: the session does not hold it; -ENOMEM. */
int mr_writer_alias_take(struct mr_writer *wr, struct mr_session *s, uint32_t alias);
/* Frees sets that no worker looks at any more. True while some wait. */
bool mr_writer_aliases_tick(struct mr_writer *wr);

/* releases.c */
int mr_writer_releases_open(struct mr_writer *wr);
void mr_writer_releases_close(struct mr_writer *wr);
/* -ENOMEM */
int mr_writer_release_begin(struct mr_writer *wr, const struct mr_session *s, uint32_t alias);
bool mr_writer_release_waits(
	const struct mr_writer *wr, const struct mr_session *s, uint32_t alias);
/* The session holds it again. */
void mr_writer_release_cancel(struct mr_writer *wr, const struct mr_session *s, uint32_t alias);
/* Takes from sessions what nothing is under way by any more. True while some wait. */
bool mr_writer_releases_tick(struct mr_writer *wr);

/* answers.c */
/* Says yes to a request when all that was under way until now has been dealt with. False: say it now. */
bool mr_writer_answer_later(struct mr_writer *wr, uint64_t id);
/* Control is gone, and its questions with it. */
void mr_writer_answers_forget(struct mr_writer *wr);
/* True while some wait. */
bool mr_writer_answers_tick(struct mr_writer *wr);
void mr_writer_answers_close(struct mr_writer *wr);

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
