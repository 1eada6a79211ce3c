/* SPDX-License-Identifier: Apache-2.0 */
/* child: keeps a program running: starts, watches, stops it, and restarts it with exponential
 * back-off.
 *
 * A child leads its own session, so that a Ctrl-C reaches it only through us and in our order. It
 * gets SIGTERM if we die. Its log goes where ours goes.
 *
 * Owns      The caller owns argv, which outlives the child. A running process is ours until reaped.
 * Threads   The thread that started it must live on: PR_SET_PDEATHSIG is tied to that thread.
 * Errors    -errno.
 */
#ifndef MILLRACE_CLI_UP_CHILD_H
#define MILLRACE_CLI_UP_CHILD_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MR_CLI_CHILD_DELAY_MS_MIN 50
#define MR_CLI_CHILD_DELAY_MS_MAX 5000
#define MR_CLI_CHILD_HEALTHY_MS   10000 /* a death after this time starts the back-off anew */

struct mr_cli_child {
	const char *name;
	char path[PATH_MAX];
	char *const *argv;
	pid_t pid; /* 0: not running */
	uint64_t started_ns;
	uint64_t restart_ns; /* while not running: time of the next start */
	uint32_t delay_ms;   /* before the next restart */
	unsigned restarts;
};

/* Looks beside our own executable, in a build tree, in libexec beside bin, and in PATH. -ENOENT:
 * not found. */
int mr_cli_child_find(struct mr_cli_child *child, const char *name);
int mr_cli_child_start(struct mr_cli_child *child, uint64_t now_ns);
/* Notes that it ended, and sets the time of the next start. */
void mr_cli_child_ended(struct mr_cli_child *child, uint64_t now_ns);
/* Describes an exit: "exited with status 1", "was killed by signal 9 (Killed)". */
void mr_cli_child_describe(int status, char *out, size_t out_bytes);

#endif
