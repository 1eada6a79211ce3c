/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/channel/packet.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control_space {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(MR_PACKET_FDS_MAX * sizeof(int))];
};

ssize_t mr_packet_send(
	int socket_fd, const void *data, size_t bytes, const int *fds, unsigned fds_count)
{
	union control_space space;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fds_count > MR_PACKET_FDS_MAX)
		return -EINVAL;
	if (fds_count > 0) {
		struct cmsghdr *c;

		memset(&space, 0, sizeof(space));
		m.msg_control = space.bytes;
		m.msg_controllen = CMSG_SPACE(fds_count * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fds_count * sizeof(int));
	}
	do {
		n = sendmsg(socket_fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Takes the descriptors that fit, closes the rest; true if all fitted. */
static int take_fds(struct msghdr *m, int *fds, unsigned *fds_count)
{
	unsigned room = *fds_count;
	unsigned lost = 0;

	*fds_count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*fds_count < room) {
				fds[(*fds_count)++] = fd;
			} else {
				close(fd);
				lost++;
			}
		}
	}
	return lost == 0;
}

ssize_t mr_packet_receive(
	int socket_fd, void *data, size_t capacity_bytes, int *fds, unsigned *fds_count)
{
	union control_space space;
	struct iovec iov = {.iov_base = data, .iov_len = capacity_bytes};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space.bytes,
		.msg_controllen = sizeof(space),
	};
	ssize_t n;

	do {
		n = recvmsg(socket_fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		*fds_count = 0;
		return -errno;
	}
	if (!take_fds(&m, fds, fds_count) || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		while (*fds_count > 0)
			close(fds[--*fds_count]);
		return -EMSGSIZE;
	}
	return n;
}
