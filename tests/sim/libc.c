/* SPDX-License-Identifier: Apache-2.0 */
/* libc: libmillrace's system calls, answered by the simulated machine. They are defined in the
 * program itself, so the library uses these instead of the C library's. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/net.h"
#include "tests/sim/world.h"

#define RECEIVE_BUFFER_BYTES (208 << 10)
#define PATH_MTU             1500

int clock_gettime(clockid_t clock, struct timespec *out)
{
	uint64_t now_ns = process_clock_ns();

	if (clock == CLOCK_REALTIME)
		now_ns += WORLD_UNIX_MS * WORLD_MS;
	out->tv_sec = (time_t)(now_ns / WORLD_S);
	out->tv_nsec = (long)(now_ns % WORLD_S);
	return 0;
}

int sched_yield(void)
{
	return 0;
}

ssize_t getrandom(void *to, size_t bytes, unsigned flags)
{
	uint8_t *at = to;

	(void)flags;
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)world_draw(256);
	return (ssize_t)bytes;
}

int socket(int family, int type, int protocol)
{
	int fd;

	if ((type & SOCK_DGRAM) == 0 || process_now == NULL)
		return (int)syscall(SYS_socket, family, type, protocol);
	fd = net_socket();
	if (fd < 0)
		errno = EMFILE;
	return fd;
}

int connect(int fd, const struct sockaddr *to, socklen_t bytes)
{
	return net_is_socket(fd) ? 0 : (int)syscall(SYS_connect, fd, to, bytes);
}

int close(int fd)
{
	if (!net_is_socket(fd))
		return (int)syscall(SYS_close, fd);
	net_socket_close(fd);
	return 0;
}

/* The simulated kernel does not segment frames for the library: UDP_SEGMENT is not supported. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t bytes)
{
	if (!net_is_socket(fd))
		return (int)syscall(SYS_setsockopt, fd, level, name, value, bytes);
	if (level != IPPROTO_UDP)
		return 0;
	errno = ENOPROTOOPT;
	return -1;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *bytes)
{
	int known = level == SOL_SOCKET ? RECEIVE_BUFFER_BYTES : PATH_MTU;

	if (!net_is_socket(fd))
		return (int)syscall(SYS_getsockopt, fd, level, name, value, bytes);
	memcpy(value, &known, sizeof(known));
	*bytes = sizeof(known);
	return 0;
}

static ssize_t none(void)
{
	errno = EAGAIN;
	return -1;
}

ssize_t recv(int fd, void *to, size_t bytes, int flags)
{
	long n;

	if (!net_is_socket(fd))
		return syscall(SYS_recvfrom, fd, to, bytes, flags, NULL, NULL);
	n = net_receive(fd, to, bytes);
	return n < 0 ? none() : n;
}

int recvmmsg(int fd, struct mmsghdr *calls, unsigned count, int flags, struct timespec *timeout)
{
	unsigned n;

	(void)flags;
	(void)timeout;
	for (n = 0; n < count; n++) {
		struct msghdr *m = &calls[n].msg_hdr;
		long bytes = net_receive(fd, m->msg_iov[0].iov_base, m->msg_iov[0].iov_len);

		if (bytes < 0)
			break;
		calls[n].msg_len = (unsigned)bytes;
		m->msg_controllen = 0;
	}
	return n > 0 ? (int)n : (int)none();
}

ssize_t send(int fd, const void *from, size_t bytes, int flags)
{
	if (!net_is_socket(fd))
		return syscall(SYS_sendto, fd, from, bytes, flags, NULL, 0);
	net_send(fd, from, bytes);
	return (ssize_t)bytes;
}

static size_t gather(const struct msghdr *m, uint8_t *to, size_t room)
{
	size_t bytes = 0;

	for (size_t i = 0; i < m->msg_iovlen; i++) {
		if (bytes + m->msg_iov[i].iov_len > room)
			world_fail("a datagram of more than %zu bytes", room);
		memcpy(to + bytes, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
		bytes += m->msg_iov[i].iov_len;
	}
	return bytes;
}

/* Takes less than all at times, as a full socket does. */
int sendmmsg(int fd, struct mmsghdr *calls, unsigned count, int flags)
{
	uint8_t data[NET_DATAGRAM_BYTES];
	unsigned take = world_chance(3) ? world_draw(count + 1) : count;

	(void)flags;
	for (unsigned i = 0; i < take; i++) {
		size_t bytes = gather(&calls[i].msg_hdr, data, sizeof(data));

		net_send(fd, data, bytes);
		calls[i].msg_len = (unsigned)bytes;
	}
	return take > 0 ? (int)take : (int)none();
}

static int look(struct pollfd *fds, nfds_t count)
{
	int ready = 0;

	for (nfds_t i = 0; i < count; i++) {
		fds[i].revents = 0;
		if (!net_is_socket(fds[i].fd))
			continue;
		if ((fds[i].events & POLLIN) && net_readable(fds[i].fd))
			fds[i].revents |= POLLIN;
		fds[i].revents |= fds[i].events & POLLOUT;
		ready += fds[i].revents != 0;
	}
	return ready;
}

static int wait_for(struct pollfd *fds, nfds_t count, uint64_t until_ns)
{
	int ready;

	while ((ready = look(fds, count)) == 0 && process_clock_ns() < until_ns)
		process_wait_until(until_ns);
	return ready;
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	(void)mask;
	if (timeout == NULL)
		return wait_for(fds, count, UINT64_MAX);
	return wait_for(fds, count,
		process_clock_ns() + (uint64_t)timeout->tv_sec * WORLD_S +
			(uint64_t)timeout->tv_nsec);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	return wait_for(fds, count,
		timeout_ms < 0 ? UINT64_MAX : process_clock_ns() + (uint64_t)timeout_ms * WORLD_MS);
}
