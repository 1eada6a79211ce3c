/* SPDX-License-Identifier: Apache-2.0 */
/* rundir: the directory of one bus: made where it is missing, locked against a second bus, and removed
 * again by the one who made it. The lock is on the directory itself and leaves no file behind.
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

/* Longest path: a socket's name behind it must fit an address. */
#define MR_CLI_RUNDIR_BYTES_MAX 79

int mr_cli_rundir_open(struct mr_cli_rundir *d, const char *path);
/* No process of the bus is left: removes the sockets of those that were killed. */
void mr_cli_rundir_close(struct mr_cli_rundir *d);

#endif
