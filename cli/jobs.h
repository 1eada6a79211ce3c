/* SPDX-License-Identifier: Apache-2.0 */
/* jobs: shell commands that run beside the caller's own work, several at once: bytes in, bytes out.
 *
 *   start ─▶ step (feeds, reads, reaps) … ─▶ done, once for each
 *
 * A command leads a process group of its own, so that a Ctrl-C at the terminal is the caller's to
 * answer and what is killed is killed with all that it started; it gets SIGTERM if the caller dies.
 *
 * Owns      Copies what goes in. What came out is the job's, until done returns.
 * Threads   One, and not while another thread forks.
 * Units     Bytes, milliseconds.
 * Errors    -errno. Of a job: -ETIMEDOUT, it ran too long and was killed; -EMSGSIZE, it wrote too
 *           much and was killed; -ECANCELED, it was stopped.
 */
#ifndef MILLRACE_CLI_JOBS_H
#define MILLRACE_CLI_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MR_CLI_JOBS_MAX 256

struct mr_cli_job {
	unsigned index; /* 0 .. count - 1, for what the caller keeps beside it */
	const char *out;
	size_t out_bytes;
	int error;  /* 0 or why it was ended */
	int status; /* exit status, or 128 + signal */
	/* jobs.c's own */
	pid_t pid; /* 0: free */
	int pid_fd;
	int to_fd;
	int from_fd;
	char *in;
	size_t in_bytes;
	size_t in_capacity;
	size_t fed;
	char *memory;
	size_t capacity;
	uint64_t deadline_ns;
};

struct mr_cli_jobs {
	/* read-only after init */
	const char *command;  /* for sh -c */
	size_t out_bytes_max; /* of each; what the caller has set */
	uint64_t timeout_ms;  /* 0: none */
	unsigned count;
	unsigned running;
	struct mr_cli_job *jobs;
};

/* The caller has set command, out_bytes_max and timeout_ms. `count`: 1 .. MR_CLI_JOBS_MAX at once.
 * -ENOMEM. */
int mr_cli_jobs_init(struct mr_cli_jobs *j, unsigned count);
/* Kills what runs, without a word to anybody. */
void mr_cli_jobs_fini(struct mr_cli_jobs *j);

static inline bool mr_cli_jobs_full(const struct mr_cli_jobs *j)
{
	return j->running == j->count;
}

/* `environment`: "NAME=value" besides our own; ends with NULL; may be NULL. Returns the job's
 * index; -EAGAIN: as many run as may. */
int mr_cli_jobs_start(
	struct mr_cli_jobs *j, const char *const *environment, const void *in, size_t in_bytes);

/* Kills it; `done` is called as of any other. */
void mr_cli_jobs_stop(struct mr_cli_jobs *j, unsigned index);

/* `done` may start the next one; the job is free by the time it returns. */
typedef void mr_cli_job_fn(const struct mr_cli_job *job, void *arg);
/* Does what can be done without waiting. Returns how many ended. */
unsigned mr_cli_jobs_step(struct mr_cli_jobs *j, mr_cli_job_fn *done, void *arg);
/* Sleeps until there is something to do for a job, `fd` (< 0: none) is readable, or a signal came:
 * at most `timeout_ms` (< 0: for ever). */
void mr_cli_jobs_wait(struct mr_cli_jobs *j, int fd, int timeout_ms);

#endif
