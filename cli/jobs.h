/* SPDX-License-Identifier: Apache-2.0 */
/* jobs: runs several shell commands at once, beside the caller's own work: bytes in, bytes out.
 *
 *   start ─▶ step (feeds, reads, reaps) … ─▶ done, once for each
 *
 * Each command leads its own process group. So the caller handles a Ctrl-C at the terminal, and a
 * kill reaches all processes of the command. The command gets SIGTERM if the caller dies.
 *
 * Owns      A copy of the input. The job owns its output until done returns.
 * Threads   One, and not while another thread forks.
 * Units     Bytes, milliseconds.
 * Errors    -errno. For a job: -ETIMEDOUT, it ran too long and was killed; -EMSGSIZE, its output
 *           was too large and it was killed; -ECANCELED, it was stopped.
 */
#ifndef MILLRACE_CLI_JOBS_H
#define MILLRACE_CLI_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MR_CLI_JOBS_MAX 256
/* Bytes kept of the last line that a job wrote to standard error, with a NUL. */
#define MR_CLI_JOB_LINE_BYTES 257

struct mr_cli_job {
	unsigned index; /* 0 .. count - 1, an index for the caller's own tables */
	const char *out;
	size_t out_bytes;
	char last_line[MR_CLI_JOB_LINE_BYTES]; /* last line of its standard error */
	int error;                             /* 0, or the reason why it was ended */
	int status;                            /* exit status, or 128 + signal */
	/* private to jobs.c */
	pid_t pid; /* 0: free */
	int pid_fd;
	int to_fd;
	int from_fd;
	int error_fd; /* its standard error, or < 0; passed on to ours */
	size_t line_bytes;
	bool line_ended; /* the next byte begins another line */
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
	size_t out_bytes_max; /* for each job; set by the caller */
	uint64_t timeout_ms;  /* 0: none */
	bool keeps_line;      /* reads standard error for last_line, and passes it on */
	unsigned count;
	unsigned running;
	struct mr_cli_job *jobs;
};

/* Prepares `count` jobs at once (1 .. MR_CLI_JOBS_MAX). The caller has set command, out_bytes_max
 * and timeout_ms. 0 or -ENOMEM. */
int mr_cli_jobs_init(struct mr_cli_jobs *j, unsigned count);
/* Kills running jobs without calling `done`. */
void mr_cli_jobs_fini(struct mr_cli_jobs *j);

static inline bool mr_cli_jobs_full(const struct mr_cli_jobs *j)
{
	return j->running == j->count;
}

/* Starts a job. `environment` adds "NAME=value" to our own; it ends with NULL and may be NULL.
 * Returns the job's index, -EAGAIN if `count` jobs are running, or another -errno. */
int mr_cli_jobs_start(
	struct mr_cli_jobs *j, const char *const *environment, const void *in, size_t in_bytes);

/* Kills a job; `done` is called as usual. */
void mr_cli_jobs_stop(struct mr_cli_jobs *j, unsigned index);

/* Called for each job that ended. The job's slot is free, so the callback may start the next
 * one. */
typedef void mr_cli_job_fn(const struct mr_cli_job *job, void *arg);
/* Does all work that is possible without waiting. Returns the number of jobs that ended. */
unsigned mr_cli_jobs_step(struct mr_cli_jobs *j, mr_cli_job_fn *done, void *arg);
/* Sleeps until a job needs work, `fd` (< 0: none) is readable, or a signal comes; at most
 * `timeout_ms` (< 0: for ever). */
void mr_cli_jobs_wait(struct mr_cli_jobs *j, int fd, int timeout_ms);

#endif
