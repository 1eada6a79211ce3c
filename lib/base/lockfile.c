/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* True if `path` still names the file that was locked. Between open and flock the last owner may
 * have removed it, and a lock on a removed file excludes nobody. */
static bool still_there(int fd, const char *path)
{
	struct stat held, there;

	return fstat(fd, &held) == 0 && stat(path, &there) == 0 && held.st_ino == there.st_ino &&
	       held.st_dev == there.st_dev;
}

int mr_lockfile_take(const char *path, int *fd)
{
	for (;;) {
		int error;

		*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (*fd < 0)
			return -errno;
		if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
			if (still_there(*fd, path))
				return 0;
			close(*fd);
			continue;
		}
		error = -errno;
		close(*fd);
		*fd = -1;
		return error;
	}
}

void mr_lockfile_drop(const char *path, int fd)
{
	if (fd < 0)
		return;
	unlink(path);
	close(fd);
}
