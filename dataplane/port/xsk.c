/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/xsk.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "dataplane/port/port.h"

#define SOCKETS_MAX (MR_PORTS_MAX * MR_PORT_WORKERS_MAX)

static struct {
	int fds[SOCKETS_MAX];
	unsigned count;
} known;

static bool is_known(int fd)
{
	for (unsigned i = 0; i < known.count; i++)
		if (known.fds[i] == fd)
			return true;
	return false;
}

static bool is_af_xdp(int fd)
{
	int domain = 0;
	socklen_t bytes = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0 && domain == AF_XDP;
}

/* Returns the descriptor that a name in /proc/self/fd stands for, or -1: "." and "..". */
static int descriptor_of(const char *name)
{
	char *end;
	long fd = strtol(name, &end, 10);

	return end != name && *end == '\0' ? (int)fd : -1;
}

int mr_xsk_take(void)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;
	unsigned found = 0;
	int fd, last = -1;

	while (d != NULL && (e = readdir(d)) != NULL) {
		fd = descriptor_of(e->d_name);
		if (fd < 0 || is_known(fd) || !is_af_xdp(fd))
			continue;
		last = fd;
		found++;
	}
	if (d != NULL)
		closedir(d);
	if (found != 1 || known.count == SOCKETS_MAX)
		return -1;
	known.fds[known.count++] = last;
	return last;
}

void mr_xsk_forget(int fd)
{
	for (unsigned i = 0; i < known.count; i++)
		if (known.fds[i] == fd) {
			known.fds[i] = known.fds[--known.count];
			return;
		}
}
