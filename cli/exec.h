/* SPDX-License-Identifier: Apache-2.0 */
/* exec: a shell command as a filter: bytes in, bytes out, within a time; the caller waits (jobs.h
 * does not).
 *
 * Threads   Not while another thread forks.
 * Errors    -errno. -ETIMEDOUT: it ran too long and was killed. -EMSGSIZE: it wrote too much and
 *           was killed.
 */
#ifndef MILLRACE_CLI_EXEC_H
#define MILLRACE_CLI_EXEC_H

#include <stddef.h>
#include <stdint.h>

struct mr_cli_exec {
	const char *command;            /* for sh -c */
	const char *const *environment; /* "NAME=value" besides our own; ends with NULL */
	const void *in;
	size_t in_bytes;
	char *out;
	size_t out_capacity;
	uint64_t timeout_ms;
	size_t out_bytes; /* result */
	int status;       /* result: exit status, or 128 + signal */
	int error;        /* as returned */
};

int mr_cli_exec_run(struct mr_cli_exec *e);

#endif
