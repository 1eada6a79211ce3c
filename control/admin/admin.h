/* SPDX-License-Identifier: Apache-2.0 */
/* admin: the socket behind `millrace status`, `workers`, `clients`, `queues`, `kick` and others.
 *
 *   admin.c    connections and packets
 *   verbs.c    answers from control's own state and from shared statistics
 *   listing.c  clients and subjects, which the data plane lists in parts; kick
 *   ended.c    sessions that ended lately
 *   ports.c    ports
 *   port_rules.c  limits of ports, prefixes that they allow or deny
 *   bindings.c binds queues to subjects
 *   queues.c   queues and services: questions and commands to their home workers
 *
 * Requests of one connection are answered one after the other. Control closes a connection that is
 * idle, does not read its answer or sends a malformed request. When the slots run out, it closes
 * the connection that has been idle longest.
 *
 * Owns      The socket, its connections, answers under construction.
 * Threads   The loop's.
 */
#ifndef MILLRACE_CONTROL_ADMIN_H
#define MILLRACE_CONTROL_ADMIN_H

#include "lib/config/config.h"
#include "control/handoff/queue_command.h"
#include "control/link/link.h"
#include "control/session/ended.h"
#include "lib/loop/accept.h"
#include "lib/loop/conn.h"
#include "lib/wire/subject.h"
#include "control/watch/watch.h"
#include "flatbuf/admin.h"

#define MR_ADMIN_SLOTS             16u
#define MR_ADMIN_REQUEST_BYTES_MAX 65536u
#define MR_ADMIN_ANSWER_BYTES_MAX  (64u << 20)

enum mr_admin_state {
	MR_ADMIN_FREE,
	MR_ADMIN_IDLE,
	MR_ADMIN_ASKING,  /* waits for the data plane */
	MR_ADMIN_SENDING, /* the answer is on its way */
	MR_ADMIN_ENDING,
};

struct mr_admin_slot {
	struct mr_conn conn;
	struct mr_loop_timer timer;
	struct mr_admin *admin;
	enum mr_admin_state state;
	uint64_t used; /* order of last use */
	uint64_t request_id;
	struct {
		uint32_t id; /* pending queue command; 0: none */
		uint8_t kind;
		uint32_t worker, cursor; /* position in the listing */
	} queues;
	struct { /* names in the request */
		char queue[MR_SUBJECT_BYTES_MAX];
		char pattern[MR_SUBJECT_BYTES_MAX];
		uint8_t queue_bytes, pattern_bytes;
	} bind;
	/* The answer under construction, from mr_admin_begin to mr_admin_answer. */
	struct mrf_builder builder;
	bool building;
	uint32_t *rows;
	uint32_t rows_count;
	uint32_t rows_room;
	uint8_t in[4 + MR_ADMIN_REQUEST_BYTES_MAX];
};

struct mr_exceptions;

struct mr_admin {
	struct mr_loop *loop;
	struct mr_link *link;
	struct mr_queue_commands *queue_commands;
	const struct mr_watch *watch;
	const struct mr_ended *ended;
	const struct mr_exceptions *exceptions;
	const struct mr_config *config;
	struct mr_control_counters *counters;
	uint64_t started_ns; /* CLOCK_REALTIME */
	struct mr_accept accept;
	uint64_t uses;
	struct mr_admin_slot slots[MR_ADMIN_SLOTS];
};

int mr_admin_open(struct mr_admin *a, struct mr_loop *loop, struct mr_link *link,
	struct mr_queue_commands *queue_commands, const struct mr_watch *watch,
	const struct mr_ended *ended, const struct mr_config *config,
	struct mr_control_counters *counters);
void mr_admin_close(struct mr_admin *a);

/* admin.c, for the verbs: begin prepares the slot's builder, answer sends its content. result sends
 * an answer of its own and discards the builder's content. */
int mr_admin_begin(struct mr_admin_slot *s);
void mr_admin_answer(struct mr_admin_slot *s, enum mrf_admin_body type, uint32_t body);
void mr_admin_result(struct mr_admin_slot *s, int code, const char *text);
/* Answers with the error that occurred while the answer was built. */
void mr_admin_fail(struct mr_admin_slot *s, int error);
/* Adds a row to the answer. `row` is the builder's reference, 0 if writing it failed. Returns 0,
 * the builder's error (-EINVAL if it has none), -ENOMEM or -E2BIG. */
int mr_admin_row(struct mr_admin_slot *s, uint32_t row);

/* verbs.c */
void mr_admin_handle(struct mr_admin_slot *s, struct mrf_table request);

/* bindings.c */
void mr_admin_bind(struct mr_admin_slot *s, struct mrf_table request);
void mr_admin_unbind(struct mr_admin_slot *s, struct mrf_table request);

/* ended.c */
void mr_admin_list_ended(struct mr_admin_slot *s);

/* ports.c */
void mr_admin_list_ports(struct mr_admin_slot *s);

/* port_rules.c; `edit` comes from the request and is empty if the request has none. */
void mr_admin_edit_port(struct mr_admin_slot *s, struct mrf_table edit);
void mr_admin_list_port_rules(struct mr_admin_slot *s, struct mrf_table edit);

/* listing.c */
void mr_admin_list_clients(struct mr_admin_slot *s);
void mr_admin_list_subjects(struct mr_admin_slot *s);
void mr_admin_kick(struct mr_admin_slot *s, uint64_t session);

/* queues.c; `command` comes from the request and is empty if the request has none. */
void mr_admin_list_queues(struct mr_admin_slot *s, struct mrf_table command);
void mr_admin_queue(struct mr_admin_slot *s, struct mrf_table command);

#endif
