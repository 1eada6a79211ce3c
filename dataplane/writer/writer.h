/* SPDX-License-Identifier: Apache-2.0 */
/* writer: the table writer, the one thread that opens and closes sessions and changes tables.
 *
 * It sleeps in epoll on the link to control, the liveness socket of each session and the signals.
 * It carries out control's requests. Memory that it takes away from workers it frees after a grace
 * period.
 *
 *   writer.c    the event loop; start and stop of the data plane
 *   link.c      the socket to control: one connection at a time
 *   request.c   control's requests
 *   sessions.c  opens, closes, expels and frees sessions
 *   remotes.c   sessions over UDP: their slots, and the index of paths
 *   aliases.c   which session may publish by which alias
 *   releases.c  released aliases, while messages by them are under way
 *   bindings.c  the bindings of queues to patterns
 *   answers.c   answers to control that wait for a passage
 *   passage.c   tells when the messages under way between workers have been dealt with
 *   multicast.c multicast groups and their members
 *   blocks.c    the mesh's memory
 *   ports.c     opens ports, watches their links
 *   port_rules.c  limits of ports, prefixes that they allow or deny
 *
 * Owns      Workers, ports, table, directories, sessions, statistics memory.
 * Threads   The main lcore only.
 * Errors    0 or -errno; an error of a client or of control goes back to control as LinkResult.
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

/* A slot for a session over UDP. It is in the list of free slots, or in the index under the path
 * that the session was opened along. The slot of a closing session is in neither. */
struct mr_writer_remote {
	uint32_t next;      /* number of the next slot in the free list or the index; 0: none */
	uint32_t hash;      /* hash of the path */
	uint32_t log_bytes; /* log of its session, as counted in logs_bytes */
	uint64_t counted;   /* the peer among whose sessions it counts */
	uint64_t moves;     /* moves of the session that were checked */
};

/* Slots are numbered from 1, worker by worker. */
struct mr_writer_remotes {
	struct mr_writer_remote *slots;
	struct mr_index by_path;
	struct mr_hash_key key;
	struct {
		uint32_t count; /* open sessions */
		/* A queue: slots are taken from the front and given back at the end, so that a
		 * freed slot is reused as late as possible. */
		uint32_t first_free;
		uint32_t last_free;
	} on[MR_WORKERS_MAX];
	struct mr_alias_set *retired_sets;
	bool notified; /* a worker may have ended sessions, or clients may have moved */
};

/* An alias that its session has released. The session may not publish by it any more, but the alias
 * counts as the session's until no message by it is under way. */
struct mr_writer_release {
	uint64_t session;
	uint64_t due; /* the passage after which no message by it is under way */
	uint32_t alias;
	uint32_t chain;  /* the next one in the index or the free list; 0: none */
	uint32_t before; /* the one released before it */
	uint32_t after;  /* the one released after it */
};

/* Numbered from 1. At most as many as the aliases that all sessions may hold. */
struct mr_writer_releases {
	struct mr_writer_release *slots;
	uint32_t slots_count;
	uint32_t free;
	uint32_t first; /* oldest */
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
	uint64_t number; /* the passage under way, or the next one; from 1 on */
	uint64_t wanted; /* last passage that is waited for; less than `number`: none */
	enum mr_passage_step step;
	uint64_t grace_token;
	uint64_t queued[MR_WORKERS_MAX]; /* each worker's mesh.queued_out must reach this */
	/* [from][to]: the ring must be read up to this position. */
	uint32_t tails[MR_WORKERS_MAX][MR_WORKERS_MAX];
};

/* Answers to control that wait for a passage, oldest first. */
struct mr_writer_answers {
	struct {
		uint64_t id;
		uint64_t due;
		bool unbound; /* to an unbind: the next two are its answer */
		uint32_t bindings;
		uint32_t changed;
	} * items;
	uint32_t count;
	uint32_t room;
};

/* Bound queues, and bindings of one queue. */
#define MR_WRITER_BOUND_QUEUES_MAX 4096u
#define MR_WRITER_BINDINGS_MAX     256u

struct mr_writer_bound_queue;

struct mr_writer_bindings {
	struct mr_writer_bound_queue *first;
	struct mr_writer_bound_queue **by_number; /* hash table; NULL: no queue was ever bound */
	uint32_t count;                           /* bound queues */
};

#define MR_WRITER_MEMBER_BUCKETS 256u

struct mr_writer_group;
struct mr_writer_member;

struct mr_writer_multicast {
	struct mr_writer_group *groups;
	uint32_t groups_count;
	struct mr_writer_member *members[MR_WRITER_MEMBER_BUCKETS]; /* by slot of the session */
};

enum mr_writer_share { MR_WRITER_LOCALS, MR_WRITER_REMOTES, MR_WRITER_LOGS };

struct mr_writer {
	const struct mr_config *config;
	unsigned workers_count;
	struct mr_worker *workers[MR_WORKERS_MAX];
	struct mr_packet_pool blocks; /* memory of the mesh */
	struct mr_queue_template templates[MR_CONFIG_TEMPLATES_MAX];
	struct mrf_string template_binds[MR_CONFIG_TEMPLATES_MAX][MR_CONFIG_TEMPLATE_BINDS_MAX];
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
	int bell_fd; /* doorbell: workers notify the table writer */
	int listen_fd;
	int link_fd; /* -1: no control */
	bool link_welcomed;
	uint64_t started_ns; /* CLOCK_REALTIME */

	uint32_t slots_count;  /* slots of a worker: clients_max local ones, then those over UDP */
	uint32_t *generations; /* last one of each slot; workers_count * slots_count */
	uint32_t sessions_on[MR_WORKERS_MAX];
	uint32_t locals_on[MR_WORKERS_MAX]; /* the local ones among them */
	struct mr_shares shares;            /* use of each peer, by enum mr_writer_share */
	struct mr_share_bound locals;       /* local sessions of all workers */
	struct mr_share_bound remote;       /* sessions over UDP of all workers */
	struct mr_share_bound logs;         /* bytes of logs */
	uint64_t logs_bytes;                /* logs of all sessions over UDP */
	uint32_t locals_count;
	struct mr_writer_remotes remotes;
	struct mr_writer_releases releases;
	struct mr_writer_passage passage;
	struct mr_writer_answers answers;
	struct mr_writer_bindings bindings;
	struct mr_writer_multicast multicast;
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

/* Reason for expelling a receiver that paused its publishers for too long. */
#define MR_FULL_TOO_LONG_REASON "was full without reading for sessions.block_ms_max"

int mr_writer_open(struct mr_writer *wr, const struct mr_config *config);
/* Runs until SIGTERM or SIGINT. Call it when the workers run. */
int mr_writer_run(struct mr_writer *wr);
/* Call it when the workers have returned. */
void mr_writer_close(struct mr_writer *wr);

/* link.c */
int mr_writer_listen(struct mr_writer *wr);
void mr_writer_accept(struct mr_writer *wr);
void mr_writer_link_read(struct mr_writer *wr);
void mr_writer_link_close(struct mr_writer *wr, const char *why);
/* Sends one packet; closes the link if that fails. */
void mr_writer_link_send(struct mr_writer *wr, struct mrf_builder *b, uint64_t id,
	enum mrf_link_body type, uint32_t body, const int *fds, unsigned fds_count);
void mr_writer_link_result(struct mr_writer *wr, uint64_t id, int code, const char *text);

/* request.c */
/* Handles a request of control. Owns `fd`, the descriptor that came with it; -1: none. */
void mr_writer_request(struct mr_writer *wr, struct mrf_table message, int fd);

/* sessions.c */
/* Opens a local session. Owns `pidfd` of the client's process, whose end closes the session; -1:
 * none. */
int mr_writer_session_open(struct mr_writer *wr, struct mrf_table request, int pidfd,
	struct mr_session **out, int *peer_fd);
/* Returns the session of that id, or NULL if there is none or it is closing. */
struct mr_session *mr_writer_session_find(const struct mr_writer *wr, uint64_t id);
struct mr_owner mr_writer_owner(const struct mr_session *s);
/* Starts closing a session. All that it has pushed is still taken; after a second its messages wait
 * for full receivers no longer. */
void mr_writer_session_close(struct mr_writer *wr, struct mr_session *s, const char *reason);
/* Starts closing a session over UDP: its worker sends a Close with `code`, takes all that it has
 * acknowledged, and ends the session. */
void mr_writer_session_end(
	struct mr_writer *wr, struct mr_session *s, int code, const char *reason);
/* Closes a session because of what its client did, or for the operator. The client gets a notice. A
 * local session closes at once. */
void mr_writer_session_expel(
	struct mr_writer *wr, struct mr_session *s, int code, const char *reason);
/* Closes a session and frees its slot at once. Like all functions but tick it frees no memory:
 * pending events may still name sessions. */
void mr_writer_session_drop(struct mr_writer *wr, struct mr_session *s, const char *reason);
/* Writes the row of a session for control. Returns the builder's reference. */
uint32_t mr_writer_session_row(
	struct mrf_builder *b, const struct mr_session *s, uint32_t subscriptions);
/* Continues all closing that waits. Returns true while something waits still. */
bool mr_writer_sessions_tick(struct mr_writer *wr);
void mr_writer_sessions_close_all(struct mr_writer *wr);
/* For remotes.c: a new id for a slot; the statistics of a slot; and the book-keeping of a session
 * that workers can see from now on. */
uint64_t mr_writer_next_id(struct mr_writer *wr, unsigned worker, uint32_t slot);
struct mrf_session_stats *mr_writer_stats_of(
	const struct mr_writer *wr, unsigned worker, uint32_t slot);
void mr_writer_session_opened(struct mr_writer *wr, struct mr_session *s, struct mrf_string name);

/* remotes.c */
int mr_writer_remotes_open(struct mr_writer *wr);
/* Call it when all sessions are closed. */
void mr_writer_remotes_close(struct mr_writer *wr);
/* Returns the session of a path and nonce: a new one, or the one that was opened for them before.
 * `request`: a LinkOpenRemote. -EINVAL: malformed request; -EMSGSIZE: the port's MTU is below the
 * smallest frame; -EDQUOT: too many sessions of that address; -ENOSPC: no free slot; -ENOMEM;
 * -EAGAIN: the kernel has no random bytes yet. */
int mr_writer_remote_open(struct mr_writer *wr, struct mrf_table request, struct mr_session **out);
/* Opens a session without a client, along the path to a multicast group, on the worker of its
 * founder. It counts as a session of the founder's host. Errors as of mr_writer_remote_open. */
int mr_writer_remote_open_group(struct mr_writer *wr, const struct mr_session *founder,
	const struct mrf_network_path *path, const char *name, struct mr_session **out);
/* Removes a closing session from the index: a Hello from its path is for a new session. */
void mr_writer_remote_forget(struct mr_writer *wr, struct mr_session *s);
/* Removes the session from the worker's directory and frees its slot. */
void mr_writer_remote_take_out(struct mr_writer *wr, struct mr_session *s);
/* Closes the sessions that their worker has ended. */
void mr_writer_remotes_look(struct mr_writer *wr);
/* Returns the number of sessions that one host may have. */
uint64_t mr_writer_remotes_share(const struct mr_writer *wr);
/* moves.c: checks the session's path if it has changed since the last call. */
void mr_writer_remote_moved(
	struct mr_writer *wr, struct mr_session *s, struct mr_writer_remote *entry);
/* Returns the client's path. It may be a mixture of two paths while the worker changes it. */
struct mrf_network_path mr_writer_remote_path(const struct mr_session *s);

/* passage.c */
/* Asks for a passage that begins after this call; returns its number, never 0. */
uint64_t mr_writer_passage_next(struct mr_writer *wr);
/* True if all that was under way when the number was asked for has been dealt with. */
bool mr_writer_passage_over(const struct mr_writer *wr, uint64_t number);
/* Continues the passage; true while one is waited for. */
bool mr_writer_passages_tick(struct mr_writer *wr);

/* aliases.c */
/* Lets a session publish by an alias. -ENOSPC: it has too many; -ENOMEM. */
int mr_writer_hold(struct mr_writer *wr, struct mr_session *s, uint32_t alias);
void mr_writer_unhold(struct mr_session *s, uint32_t alias);
/* Returns the subject's alias, by which the session may publish from now on. -EINVAL: malformed
 * subject; -ENOSPC: no room in the table or, if *at_limit, for this session; -ENOMEM. */
int mr_writer_alias_give(struct mr_writer *wr, struct mr_session *s, struct mrf_string subject,
	uint32_t *alias, bool *at_limit);
/* Releases an alias: the session may not publish by it any more. The alias keeps its subject and
 * counts as the session's until all messages by it have arrived. -ENOENT: the session does not hold
 * it; -ENOMEM. */
int mr_writer_alias_take(struct mr_writer *wr, struct mr_session *s, uint32_t alias);
/* Frees the replaced sets that no worker can read any more. True while some wait. */
bool mr_writer_aliases_tick(struct mr_writer *wr);

/* releases.c */
int mr_writer_releases_open(struct mr_writer *wr);
void mr_writer_releases_close(struct mr_writer *wr);
/* 0 or -ENOMEM. */
int mr_writer_release_begin(struct mr_writer *wr, const struct mr_session *s, uint32_t alias);
bool mr_writer_release_waits(
	const struct mr_writer *wr, const struct mr_session *s, uint32_t alias);
/* Cancels a release: the session holds the alias again. */
void mr_writer_release_cancel(struct mr_writer *wr, const struct mr_session *s, uint32_t alias);
/* Ends the releases whose passage is over. True while some wait. */
bool mr_writer_releases_tick(struct mr_writer *wr);

/* bindings.c */
/* Carry out a LinkBind and a LinkUnbind. */
void mr_writer_bind(struct mr_writer *wr, uint64_t id, struct mrf_table request);
void mr_writer_unbind(struct mr_writer *wr, uint64_t id, struct mrf_table request);
/* Sends the answer to an unbind. */
void mr_writer_answer_bound(struct mr_writer *wr, uint64_t id, uint32_t bindings, uint32_t changed);
/* Returns the name of a bound queue, valid until the next change; empty: it is not bound. */
struct mrf_string mr_writer_bound_name(struct mr_writer *wr, uint32_t number);
void mr_writer_bindings_close(struct mr_writer *wr);

/* multicast.c */
/* Lets a multicast group carry the deliveries of a subscription, and answers the request. Repeating
 * it changes nothing. False, and no answer: no group is configured for it, or there is no room. */
bool mr_writer_multicast_join(
	struct mr_writer *wr, uint64_t id, struct mr_session *s, const struct mr_table_row *row);
/* Ends that. False: the subscription receives from no group. */
bool mr_writer_multicast_leave(struct mr_writer *wr, struct mr_session *s, uint32_t subscription);
/* Ends it for all subscriptions of a closing session. */
void mr_writer_multicast_leave_all(struct mr_writer *wr, const struct mr_session *s);
/* Counts what the groups have sent, once a second. */
void mr_writer_multicast_look(struct mr_writer *wr);
/* True for the session of a group. */
bool mr_writer_multicast_is_group(const struct mr_writer *wr, uint64_t session);
typedef void mr_writer_multicast_visit(void *arg, const struct mrf_subscription_row *row);
/* Visits the subscriptions that receive from a group. */
void mr_writer_multicast_each(
	const struct mr_writer *wr, mr_writer_multicast_visit *visit, void *arg);
/* Call it before the sessions are closed. */
void mr_writer_multicast_close(struct mr_writer *wr);

/* answers.c */
/* Answers a request with success after the next passage. False: answer it now. */
bool mr_writer_answer_later(struct mr_writer *wr, uint64_t id);
/* Answers an unbind after the next passage. False: answer it now. */
bool mr_writer_answer_bound_later(
	struct mr_writer *wr, uint64_t id, uint32_t bindings, uint32_t changed);
/* Drops all waiting answers: the link to control is closed. */
void mr_writer_answers_forget(struct mr_writer *wr);
/* Sends the answers whose passage is over. True while some wait. */
bool mr_writer_answers_tick(struct mr_writer *wr);
void mr_writer_answers_close(struct mr_writer *wr);

/* ports.c */
/* Call it after the statistics memory is made and before the workers run. */
int mr_writer_ports_open(struct mr_writer *wr);
/* Reads links and drivers' counters, once a second. */
/* Handles an event of a port; false: the pointer is no port. */
bool mr_writer_ports_serve(struct mr_writer *wr, void *port);
void mr_writer_ports_look(struct mr_writer *wr);
/* Call it when no worker has a buffer of a port any more. */
void mr_writer_ports_close(struct mr_writer *wr);
void mr_writer_ports_list(struct mr_writer *wr, uint64_t id);
/* taps.c: makes the rings of a new worker, if a port has a TAP device; answers LinkOpenTaps. */
int mr_writer_taps_worker(const struct mr_writer *wr, struct mr_worker *w);
void mr_writer_taps_open(struct mr_writer *wr, uint64_t id);

/* port_rules.c */
/* Carry out a PortEdit and a LinkListPortRules. */
void mr_writer_port_edit(struct mr_writer *wr, uint64_t id, struct mrf_table request);
void mr_writer_port_rules_list(struct mr_writer *wr, uint64_t id, struct mrf_table request);

/* blocks.c */
int mr_writer_blocks_open(struct mr_writer *wr);
void mr_writer_blocks_close(struct mr_writer *wr);

uint64_t mr_writer_now_ns(void); /* CLOCK_MONOTONIC */

#endif
