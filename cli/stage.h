/* SPDX-License-Identifier: Apache-2.0 */
/* stage: a stage of a pipeline: gives the messages of a queue to a command. Its output is printed,
 * or pushed into the next queues.
 *
 *   delivery ─▶ waiting ─▶ job ─▶ output ─▶ mr_settle_and_push_async ─▶ acked
 *                           └─ it failed ─▶ given back
 *
 * A message is acked when it can no longer be lost: its command has succeeded, and the command's
 * output is written out or accepted by each of the next queues.
 *
 * Owns      Copies of the messages that are not settled, and its jobs. Not the client, the consumer
 *           or the count.
 * Threads   One.
 */
#ifndef MILLRACE_CLI_STAGE_H
#define MILLRACE_CLI_STAGE_H

#include <sys/queue.h>

#include "client/millrace.h"
#include "cli/cli.h"
#include "cli/jobs.h"

/* No delay is given: that of the queue, else MR_CLI_STAGE_DELAY_MS. */
#define MR_CLI_STAGE_DELAY_NONE UINT64_MAX
#define MR_CLI_STAGE_DELAY_MS   100u

/* How far the verb that pulls is. */
struct mr_cli_pull_count {
	uint64_t wanted; /* messages to take; 0: no limit */
	uint64_t taken;  /* printed, or given to a job that has not failed */
	uint64_t done;
	uint64_t dead;      /* failed for good */
	uint64_t failed;    /* failed, will be redelivered here or elsewhere */
	uint64_t active_ns; /* time of the last activity */
};

static inline bool mr_cli_pull_has_all(const struct mr_cli_pull_count *n)
{
	return n->wanted != 0 && n->taken >= n->wanted;
}

/* Next queues at most. */
#define MR_CLI_STAGE_TO_MAX 16u

struct mr_cli_pulled; /* a message that is not settled yet */

STAILQ_HEAD(mr_cli_pulled_list, mr_cli_pulled);

struct mr_cli_stage {
	/* set by the caller before init */
	const struct mr_cli *cli;
	struct mr_cli_pull_count *count;
	const char *from;              /* the queue that is pulled */
	const struct mr_cli_words *to; /* the next queues; none: outputs are printed */
	bool each_line;                /* each line of an output is a message */
	uint64_t delay_ms;             /* redelivery delay, or MR_CLI_STAGE_DELAY_NONE */
	/* private to stage.c */
	struct mr_client *client;
	struct mr_consumer *consumer;
	struct mr_queue *next[MR_CLI_STAGE_TO_MAX];
	unsigned next_count;
	const char *opening; /* the next queue opened last */
	struct mr_cli_jobs jobs;
	struct mr_cli_pulled *in_job[MR_CLI_JOBS_MAX];
	struct mr_cli_pulled_list waiting;
	struct mr_cli_pulled_list outputs; /* not pushed yet */
	struct mr_cli_pulled_list pushed;  /* pushed, not accepted yet */
	bool unread;                       /* the reader of standard output has closed it */
};

/* Prepares `jobs` commands at once, each of which may run for `timeout_ms`. 0 or -ENOMEM. */
int mr_cli_stage_init(
	struct mr_cli_stage *s, const char *command, unsigned jobs, uint64_t timeout_ms);
/* Kills the running commands. The consumer and the client may be closed already. */
void mr_cli_stage_fini(struct mr_cli_stage *s);

/* Opens the next queues. 0, or an error of the library for the one in `opening`. */
int mr_cli_stage_open(struct mr_cli_stage *s, struct mr_client *c);
/* Begins with the deliveries of a consumer: renews them, and stops commands of recalled ones. */
void mr_cli_stage_begin(struct mr_cli_stage *s, struct mr_consumer *k);
/* Takes a delivery: copies it, and gives it to a command later. */
void mr_cli_stage_take(struct mr_cli_stage *s, const struct mr_delivery *d);
/* The connection was lost, and all messages that are not settled go to other consumers. */
void mr_cli_stage_lost(struct mr_cli_stage *s);

/* Does all work that is possible without waiting. After an interrupt it starts no command. */
void mr_cli_stage_step(struct mr_cli_stage *s);
/* True if no work is left. Messages beyond those wanted do not count: they go to other consumers at
 * the end. */
bool mr_cli_stage_is_idle(const struct mr_cli_stage *s);
/* Sleeps until there is work, `fd` is readable or a signal comes; at most `timeout_ms`. */
void mr_cli_stage_wait(struct mr_cli_stage *s, int fd, int timeout_ms);

#endif
