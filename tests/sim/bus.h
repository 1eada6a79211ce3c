/* SPDX-License-Identifier: Apache-2.0 */
/* bus: the simulated bus: one worker with the real queues (dataplane/queue) and the real reliable
 * flow (lib/wire/reliable), and the minimum of sessions, frames and control that clients need.
 *
 *   datagrams ──▶ session: reliable flow, in order ──▶ messages ──▶ queues, requests
 *   queues, answers ──▶ session: FIFO ──▶ frames of the reliable flow ──▶ datagrams
 *
 * Owns      Sessions, the queues and their store.
 * Threads   The world's.
 */
#ifndef MILLRACE_TESTS_SIM_BUS_H
#define MILLRACE_TESTS_SIM_BUS_H

#include "dataplane/queue/queue.h"
#include "lib/wire/frame.h"
#include "lib/wire/reliable.h"
#include "flatbuf/stats.h"

#define BUS_SESSIONS_MAX 64u
#define BUS_FRAMES       64u /* size of the log, and number of slots */
#define BUS_FRAME_BYTES  1472u
#define BUS_HEARTBEAT_MS 200u
#define BUS_MISSED_MAX   3u
#define BUS_PIECES       64u
#define BUS_QUEUES_MAX   4u

struct bus_message {
	struct bus_message *next;
	uint32_t bytes; /* whole words */
	alignas(8) uint8_t at[];
};

/* A publish in fragments. */
struct bus_publish {
	uint32_t number;                  /* the model's */
	uint32_t over;                    /* bits of queues that took or refused it already */
	uint32_t changes[BUS_QUEUES_MAX]; /* counts of its bindings, at its beginning */
};

struct bus_session {
	bool open;
	uint64_t id;
	uint64_t nonce;
	uint16_t port;
	uint64_t heard_ns;
	uint64_t sent_ns;
	struct mr_frame_window window;
	uint32_t sequence; /* sequence in the datagram flow to the client */
	bool speaks;       /* the client has the reliable flow */
	struct mr_reliable_tx tx;
	struct mr_reliable_rx rx;
	struct mr_reliable_frame frames[BUS_FRAMES];
	uint32_t kept_bytes[BUS_FRAMES];
	uint8_t *memory; /* log, then slots */
	struct bus_message *first;
	struct bus_message **end;
	uint32_t waiting_bytes;
	uint32_t piece_of[BUS_PIECES];                /* model's number of a fragmented message */
	struct bus_publish publishes[BUS_PIECES + 1]; /* the last is a whole message */
	bool ends;         /* its last messages are taken, and wait for nothing */
	bool waits;        /* its next message is a publish that must wait */
	uint32_t taken_to; /* end of the messages of its next frame that were taken */
};

struct bus_settings {
	uint64_t store_bytes;
	uint32_t idle_ms;
	struct mrf_queue_options queue;
	struct mrf_queue_options service;
};

struct bus {
	struct mr_slab *store;
	struct mr_queues *queues;
	/* Another worker. */
	struct mr_slab *far_store;
	struct mr_queues *far;
	struct mr_queues_config far_config;
	struct mrf_worker_stats far_stats;
	struct mr_queues_config config;
	struct mrf_worker_stats stats;
	struct bus_session sessions[BUS_SESSIONS_MAX];
	uint32_t generation;
	uint64_t round_ns; /* time of the next round; UINT64_MAX: none is planned */
	uint64_t rounds;
	uint64_t frozen_until_ns; /* the first worker's, which has the sessions */
	uint64_t far_frozen_until_ns;
	int64_t clock_ms;               /* steps of its clock of Unix time */
	uint64_t control_dead_until_ns; /* requests get no answer */
	uint64_t kick;                  /* session to be closed before it gets its acks, or 0 */
	bool store_is_large;            /* for all messages of a run and their dead letters */
};

extern struct bus bus;

void bus_open(const struct bus_settings *s);
void bus_close(void);
/* Lets both workers stand still, or one of them. */
void bus_freeze(uint64_t until_ns);
void bus_freeze_near(uint64_t until_ns);
void bus_freeze_far(uint64_t until_ns);
/* Kills control, and starts it anew then: requests meanwhile, and some answers before, are lost. */
void bus_kill_control(uint64_t until_ns);
/* Closes the session at `index`, counted from the first that is open. */
void bus_kick(uint32_t index);
/* Plans a round soon. */
void bus_poke(void);
uint64_t bus_now_ms(void);
/* Time of the queues, without the time in which the bus stood still. */
uint64_t bus_queues_ms(void);
/* Its clock of Unix time, which makes steps. */
uint64_t bus_unix_ms(void);

/* For bus_queues.c. */
struct bus_session *bus_session_of(uint64_t id);
/* Several hosts, none of them root: their memory and places are counted. */
uint64_t bus_peer(uint64_t session);
/* Appends a message to the session's outgoing ones. */
void bus_put(struct bus_session *s, const struct mr_message_plan *plan, uint32_t target);

/* bus_queues.c */
void bus_queues_open(const struct bus_settings *s);
void bus_queues_close(void);
/* Return when the queues of a worker have work that cannot wait. */
uint64_t bus_queues_due_ms(void);
uint64_t bus_queues_far_due_ms(void);
/* Let the queues of a worker do what is due. */
void bus_tick(void);
void bus_tick_far(void);

/* Counts of the messages that made room, before a call and after it. */
struct bus_left {
	uint32_t number[BUS_QUEUES_MAX];
	uint64_t discarded[BUS_QUEUES_MAX];
	uint64_t dead[BUS_QUEUES_MAX];
};
void bus_left_before(struct bus_left *l);
/* Tells the model. `number`: a push of that message came between, so all dead letters made room. */
void bus_left_after(const struct bus_left *l, uint32_t number);

/* Takes a message of a session's reliable flow. False: it must wait. */
bool bus_take(struct bus_session *s, const struct mr_message_view *m);
/* Takes a message, or a request, that the second worker's ring has kept. */
void bus_take_far(uint64_t session, const struct mr_message_view *m);
/* Do a round of the first worker, and of the second if it runs. True: there is more to do at
 * once. */
bool bus_queues_round(void);
bool bus_queues_round_far(void);
/* Gives an operator's command; returns its code and stores the row of the answer in *row, if that
 * is not NULL. The row is valid until the next command. */
int bus_command(enum mrf_queue_verb verb, enum mrf_queue_kind kind, const char *name,
	uint32_t count, struct mrf_table *row);
/* Gives the command Edit: sets the options named in `edits` to those of *values. */
int bus_edit(enum mrf_queue_kind kind, const char *name, uint32_t edits,
	const struct mrf_queue_options *values, struct mrf_table *row);
/* Ends the schedules with that ticket, whoever made them. Returns a code. */
int bus_unschedule(const char *name, uint64_t ticket);
/* Purges a queue; returns how many messages. */
uint64_t bus_purge(const char *name);
/* Names the place of a queue's dead letters; makes a queue. Return a code. */
int bus_name_letters(const char *name, const char *to);
int bus_make(const char *name, const struct mrf_queue_options *options);
/* Returns how many dead letters were discarded. */
uint64_t bus_letters_lost(void);
struct mrf_queue_options bus_options_of(struct mrf_table t);

#endif
