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
#ifndef MILLRACE_CONTROL_COURIER_H
#define MILLRACE_CONTROL_COURIER_H

#include "control/link/counters.h"
#include "lib/loop/loop.h"
#include "lib/wire/message.h"
#include "flatbuf/link.h"

#define MR_COURIER_PENDING_MAX   2048u /* a power of two */
#define MR_COURIER_SESSION_MAX   128u  /* of one client: twice what the library ever has */
#define MR_COURIER_COMMAND_BYTES 640u

struct mr_handoff;
struct mr_courier_asker;

/* Error 0 with a QueueAnswer; -ETIMEDOUT; -ENOTCONN: the data plane went away. It may ask again. */
typedef void mr_courier_answered(
	const struct mr_courier_asker *a, int error, struct mrf_table answer);

/* Who wants the answer; kept by value. */
struct mr_courier_asker {
	mr_courier_answered *answered;
	void *owner;
	uint64_t session; /* 0: control itself */
	uint32_t correlation;
	uint32_t detail; /* the asker's own */
};

struct mr_courier_entry {
	struct mr_courier_asker asker;
	uint32_t id; /* 0: free. Its index is in the low bits. */
	uint16_t worker;
	uint16_t sent; /* times */
	uint32_t bytes;
	uint32_t same_session;   /* next in the bucket; of a free one: the next that is free */
	uint32_t earlier, later; /* by due_ns */
	uint64_t due_ns;
	uint64_t command[MR_COURIER_COMMAND_BYTES / sizeof(uint64_t)];
};

struct mr_courier {
	struct mr_loop *loop;
	struct mr_handoff *handoff;
	struct mr_control_counters *counters;
	struct mr_timer timer;
	uint32_t sequence;
	uint32_t first_free;
	uint32_t first_due, last_due;
	uint32_t buckets[MR_COURIER_PENDING_MAX]; /* by session */
	struct mr_courier_entry entries[MR_COURIER_PENDING_MAX];
};

void mr_courier_init(struct mr_courier *c, struct mr_loop *loop, struct mr_handoff *handoff,
	struct mr_control_counters *counters);
/* The link is down: askers are told. */
void mr_courier_lose(struct mr_courier *c);

/* `options` of the command may be NULL; its id, for forget, goes to *id if not NULL. */
int mr_courier_ask(struct mr_courier *c, unsigned worker, const struct mrf_queue_command *command,
	const struct mrf_queue_options *options, const struct mr_courier_asker *asker,
	uint32_t *id);
/* The options of a queue, from a table of them to what a command is made of. */
struct mrf_queue_options mr_courier_options(struct mrf_table t);
/* The asker is gone: the answer will be thrown away. */
void mr_courier_forget(struct mr_courier *c, uint32_t id);
/* A record of reason Queue that came from `worker`. */
void mr_courier_take(struct mr_courier *c, unsigned worker, const struct mr_message_view *m);

#endif
