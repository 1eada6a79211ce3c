/* SPDX-License-Identifier: Apache-2.0 */
/* courier: takes commands to the workers at which queues are at home, and brings back answers.
 *
 *   ask ─▶ pending ─▶ QueueCommand ══ hand-off ring ══▶ home worker
 *             └──▶ answered ◀─ QueueAnswer ══════════════┘
 *
 * The worker alone knows its queues; a command may be repeated, and is, each second until it is
 * answered, as either may find a ring full. After five seconds its asker is told that nobody does.
 *
 * Owns      What is pending: a bounded number in all, and of each client.
 * Threads   The loop's.
 * Errors    ask: -ENOTCONN without a data plane, -EBUSY with too many pending, -EALREADY when the
 *           same request of the same client is pending, -ENOENT no such worker, -EMSGSIZE.
 */
#ifndef MILLRACE_CONTROL_QUEUE_COMMAND_H
#define MILLRACE_CONTROL_QUEUE_COMMAND_H

#include "control/link/counters.h"
#include "lib/loop/loop.h"
#include "lib/wire/message.h"
#include "flatbuf/link.h"

#define MR_QUEUE_COMMAND_PENDING_MAX 2048u /* a power of two */
#define MR_QUEUE_COMMAND_SESSION_MAX 128u  /* of one client: twice what the library ever has */
#define MR_QUEUE_COMMAND_BYTES_MAX   640u

struct mr_handoff;
struct mr_queue_command_asker;

/* Error 0 with a QueueAnswer; -ETIMEDOUT; -ENOTCONN: the data plane went away. It may ask again. */
typedef void mr_queue_command_answered(
	const struct mr_queue_command_asker *a, int error, struct mrf_table answer);

/* Who wants the answer; kept by value. */
struct mr_queue_command_asker {
	mr_queue_command_answered *answered;
	void *owner;
	uint64_t session; /* 0: control itself */
	uint32_t correlation;
	uint32_t detail; /* the asker's own */
};

struct mr_queue_command {
	struct mr_queue_command_asker asker;
	uint32_t id; /* 0: free. Its index is in the low bits. */
	uint16_t worker;
	uint16_t sent; /* times */
	uint32_t bytes;
	uint32_t same_session;   /* next in the bucket; of a free one: the next that is free */
	uint32_t earlier, later; /* by due_ns */
	uint64_t due_ns;
	uint64_t command[MR_QUEUE_COMMAND_BYTES_MAX / sizeof(uint64_t)];
};

struct mr_queue_commands {
	struct mr_loop *loop;
	struct mr_handoff *handoff;
	struct mr_control_counters *counters;
	struct mr_loop_timer timer;
	uint32_t sequence;
	uint32_t first_free;
	uint32_t first_due, last_due;
	uint32_t buckets[MR_QUEUE_COMMAND_PENDING_MAX]; /* by session */
	struct mr_queue_command entries[MR_QUEUE_COMMAND_PENDING_MAX];
};

void mr_queue_command_init(struct mr_queue_commands *c, struct mr_loop *loop,
	struct mr_handoff *handoff, struct mr_control_counters *counters);
/* The link is down: askers are told. */
void mr_queue_command_fail_all(struct mr_queue_commands *c);

/* `options` of the command may be NULL; its id, for forget, goes to *id if not NULL. */
int mr_queue_command_send(struct mr_queue_commands *c, unsigned worker,
	const struct mrf_queue_command *command, const struct mrf_queue_options *options,
	const struct mr_queue_command_asker *asker, uint32_t *id);
/* The options of a queue, from a table of them to what a command is made of. */
struct mrf_queue_options mr_queue_command_options(struct mrf_table t);
/* The asker is gone: the answer will be thrown away. */
void mr_queue_command_forget(struct mr_queue_commands *c, uint32_t id);
/* A record of reason Queue that came from `worker`. */
void mr_queue_command_take(
	struct mr_queue_commands *c, unsigned worker, const struct mr_message_view *m);

#endif
