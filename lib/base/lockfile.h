/* SPDX-License-Identifier: Apache-2.0 */
/* lockfile: a file whose lock says that its owner lives; the lock goes with the process, however it
 * ends, and the file with a clean end.
 *
 * Errors    0 or -errno; -EWOULDBLOCK: somebody else lives.
 */
#ifndef MILLRACE_BASE_LOCKFILE_H
#define MILLRACE_BASE_LOCKFILE_H

/* *fd stays open while the lock is held. */
int mr_lockfile_take(const char *path, int *fd);
/* Removes the file and lets go. fd < 0: nothing to do. */
void mr_lockfile_drop(const char *path, int fd);

#endif
