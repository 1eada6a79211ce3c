/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Processes get the path on their command lines and may change their directory. */
static int make_absolute(struct mr_cli_rundir *d, const char *path)
{
	char here[256] = "";
	size_t bytes;
	int n;

	if (path[0] != '/' && !getcwd(here, sizeof(here)))
		return errno == ERANGE ? -ENAMETOOLONG : -errno;
	n = snprintf(d->path, sizeof(d->path), "%s%s%s", here, *here ? "/" : "", path);
	if (n >= (int)sizeof(d->path))
		return -ENAMETOOLONG;
	bytes = (size_t)n;
	while (bytes > 1 && d->path[bytes - 1] == '/')
		d->path[--bytes] = '\0';
	return bytes > MR_CLI_RUNDIR_BYTES_MAX ? -ENAMETOOLONG : 0;
}

static int lock(struct mr_cli_rundir *d)
{
	struct stat st;
	int rc;

	d->lock = open(d->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->lock < 0)
		return -errno;
	/* In a directory of another user, that user could replace our sockets. */
	if (fstat(d->lock, &st) != 0 || st.st_uid != geteuid())
		rc = -EPERM;
	else
		rc = flock(d->lock, LOCK_EX | LOCK_NB) == 0 ? 0
		     : errno == EWOULDBLOCK                 ? -EBUSY
							    : -errno;
	if (rc) {
		close(d->lock);
		d->lock = -1;
	}
	return rc;
}

int mr_cli_rundir_open(struct mr_cli_rundir *d, const char *path)
{
	int rc;

	*d = (struct mr_cli_rundir){.lock = -1};
	rc = make_absolute(d, path);
	if (rc)
		return rc;
	/* Root's bus is open to other users, as its configuration allows. */
	if (mkdir(d->path, geteuid() == 0 ? 0755 : 0700) == 0)
		d->made = true;
	else if (errno != EEXIST)
		return -errno;
	rc = lock(d);
	if (rc && d->made)
		rmdir(d->path);
	return rc;
}

void mr_cli_rundir_close(struct mr_cli_rundir *d)
{
	static const char *const sockets[] = {"attach.sock", "admin.sock", "dataplane.sock"};

	/* A killed process did not remove its sockets. */
	for (size_t i = 0; d->lock >= 0 && i < sizeof(sockets) / sizeof(sockets[0]); i++)
		unlinkat(d->lock, sockets[i], 0);
	if (d->made)
		rmdir(d->path); /* fails if there are other files in it */
	if (d->lock >= 0)
		close(d->lock);
	d->lock = -1;
}
