/* SPDX-License-Identifier: Apache-2.0 */
/* queue_command: commands to the home workers of queues that wait for their answers.
 *
 *   send ─▶ pending ─▶ QueueCommand ══ hand-off ring ══▶ home worker
 *              └──▶ answered ◀─ QueueAnswer ══════════════┘
 *
 * Only the home worker knows its queues. A full ring may drop a command or its answer, so an
 * unanswered command is sent again each second; commands may be repeated. After five transmissions
 * (five seconds) it fails with -ETIMEDOUT.
 *
 * Owns      Pending commands, a bounded number in all, for each client and for each peer.
 * Threads   The loop's.
 * Errors    send: -ENOTCONN without a data plane, -EBUSY if too many are pending, -EDQUOT if too
 *           many of the peer are, -EALREADY if the same request of the same client is pending,
 *           -ENOENT for a worker that does not exist, -EMSGSIZE.
 */
#ifndef MILLRACE_CONTROL_QUEUE_COMMAND_H
#define MILLRACE_CONTROL_QUEUE_COMMAND_H

#include "control/link/counters.h"
#include "control/link/in_flight.h"
#include "lib/config/config.h"
#include "lib/loop/loop.h"
#include "lib/wire/message.h"
#include "flatbuf/link.h"

#define MR_QUEUE_COMMAND_PENDING_MAX 2048u /* a power of two */
#define MR_QUEUE_COMMAND_SESSION_MAX 128u  /* per client: twice the library's maximum */
#define MR_QUEUE_COMMAND_BYTES_MAX   1792u

struct mr_handoff;
struct mr_queue_command_asker;

/* Called with error 0 and a QueueAnswer, with -ETIMEDOUT, or with -ENOTCONN if the link was lost.
 * The callback may send commands. */
typedef void mr_queue_command_answered(
	const struct mr_queue_command_asker *a, int error, struct mrf_table answer);

/* The receiver of the answer; kept by value. */
struct mr_queue_command_asker {
	mr_queue_command_answered *answered;
	void *owner;
	uint64_t session; /* 0: an administrator's command */
	uint64_t peer;    /* counted in its share; MR_PEER_OWN: an administrator's */
	uint32_t correlation;
	uint32_t detail; /* for the asker's own use */
};

struct mr_queue_command {
	struct mr_queue_command_asker asker;
	uint32_t id; /* 0: free; the low bits are its index */
	uint16_t worker;
	uint16_t sent; /* transmissions so far */
	uint32_t bytes;
	uint32_t same_session;   /* next in the bucket; for a free entry the next free one */
	uint32_t earlier, later; /* list by due_ns */
	uint64_t due_ns;
	uint64_t command[MR_QUEUE_COMMAND_BYTES_MAX / sizeof(uint64_t)];
};

struct mr_queue_commands {
	struct mr_loop *loop;
	struct mr_handoff *handoff;
	struct mr_control_counters *counters;
	struct mr_loop_timer timer;
	struct mr_in_flight in_flight;
	uint32_t sequence;
	uint32_t first_free;
	uint32_t first_due, last_due;
	uint32_t buckets[MR_QUEUE_COMMAND_PENDING_MAX]; /* by session */
	struct mr_queue_command entries[MR_QUEUE_COMMAND_PENDING_MAX];
};

/* `share_percent`: of the pending commands, for one peer. -ENOMEM, -EIO. */
int mr_queue_command_init(struct mr_queue_commands *c, struct mr_loop *loop,
	struct mr_handoff *handoff, struct mr_control_counters *counters, uint32_t share_percent);
void mr_queue_command_fini(struct mr_queue_commands *c);
/* Fails all pending commands with -ENOTCONN: the link is down. */
void mr_queue_command_fail_all(struct mr_queue_commands *c);

/* Sends a command. `options` may be NULL. Stores its id, for forget, in *id if not NULL. */
int mr_queue_command_send(struct mr_queue_commands *c, unsigned worker,
	const struct mrf_queue_command *command, const struct mrf_queue_options *options,
	const struct mr_queue_command_asker *asker, uint32_t *id);
/* Reads a queue's options from a table. */
struct mrf_queue_options mr_queue_command_options(struct mrf_table t);
/* Discards a command whose asker no longer exists; its answer will be ignored. */
void mr_queue_command_forget(struct mr_queue_commands *c, uint32_t id);
/* Handles a record of reason Queue from `worker`. */
void mr_queue_command_take(
	struct mr_queue_commands *c, unsigned worker, const struct mr_message_view *m);

/* Reads the subjects that the template of an opened queue wants. Returns how many. */
static inline uint32_t mr_queue_command_binds(
	struct mrf_table answer, struct mrf_string binds[MR_CONFIG_TEMPLATE_BINDS_MAX])
{
	uint32_t count = mrf_queue_answer_binds_count(answer);

	count = count < MR_CONFIG_TEMPLATE_BINDS_MAX ? count : MR_CONFIG_TEMPLATE_BINDS_MAX;
	for (uint32_t i = 0; i < count; i++)
		binds[i] = mrf_queue_answer_binds_at(answer, i);
	return count;
}

#endif
