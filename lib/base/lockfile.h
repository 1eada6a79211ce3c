/* SPDX-License-Identifier: Apache-2.0 */
/* lockfile: a locked file that shows that its owner runs. The kernel drops the lock when the
 * process ends, however it ends; a clean end removes the file too.
 *
 * Errors    0 or -errno; -EWOULDBLOCK: another process holds the lock.
 */
#ifndef MILLRACE_BASE_LOCKFILE_H
#define MILLRACE_BASE_LOCKFILE_H

/* Creates and locks the file. *fd must stay open while the lock is held. */
int mr_lockfile_take(const char *path, int *fd);
/* Removes the file and releases the lock. Does nothing if fd < 0. */
void mr_lockfile_drop(const char *path, int fd);

#endif
