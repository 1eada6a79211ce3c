/* SPDX-License-Identifier: Apache-2.0 */
/* rundir: the run directory of one bus: created if missing, locked against a second bus, and
 * removed by its creator. The lock is on the directory itself and leaves no file behind.
 *
 * Errors    -errno; -EBUSY: a bus runs there. -EPERM: it belongs to another user.
 */
#ifndef MILLRACE_CLI_UP_RUNDIR_H
#define MILLRACE_CLI_UP_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>

struct mr_cli_rundir {
	char path[256]; /* absolute */
	int lock;
	bool made;
};

/* Longest path: with a socket's name behind it, it must fit an address. */
#define MR_CLI_RUNDIR_BYTES_MAX 79

int mr_cli_rundir_open(struct mr_cli_rundir *d, const char *path);
/* Removes the sockets of processes that were killed; no process of the bus may run any more. */
void mr_cli_rundir_close(struct mr_cli_rundir *d);

#endif
