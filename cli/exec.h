/* SPDX-License-Identifier: Apache-2.0 */
/* exec: runs a shell command as a filter, with a time limit, and waits for it (jobs.h does not
 * wait).
 *
 * Threads   Not while another thread forks.
 * Errors    -errno. -ETIMEDOUT: it ran too long and was killed. -EMSGSIZE: its output was too large
 *           and it was killed.
 */
#ifndef MILLRACE_CLI_EXEC_H
#define MILLRACE_CLI_EXEC_H

#include <stddef.h>
#include <stdint.h>

struct mr_cli_exec {
	const char *command; /* for sh -c */
	/* "NAME=value" in addition to our own environment; ends with NULL */
	const char *const *environment;
	const void *in;
	size_t in_bytes;
	char *out;
	size_t out_capacity;
	uint64_t timeout_ms;
	size_t out_bytes; /* result */
	int status;       /* result: exit status, or 128 + signal */
	int error;        /* result: the return value */
};

int mr_cli_exec_run(struct mr_cli_exec *e);

#endif
