/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/admin_socket.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_SECONDS   8 /* longer than control waits for a worker */
#define ANSWER_BYTES_MAX (64u << 20)
_Static_assert(sizeof(((struct sockaddr_un *)NULL)->sun_path) == MR_ADMIN_SOCKET_PATH_BYTES,
	"a path that fits, fits the address");

int mr_admin_socket_open(struct mr_admin_socket *s, const char *path, bool (*stop)(void))
{
	const struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int error = 0;

	*s = (struct mr_admin_socket){.fd = -1, .stop = stop};
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(s->fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	/* EAGAIN: the other side accepts nobody. */
	error = errno == EAGAIN ? -ETIMEDOUT : -errno;
	mr_admin_socket_close(s);
	return error;
}

void mr_admin_socket_close(struct mr_admin_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->answer);
	*s = (struct mr_admin_socket){.fd = -1};
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until the socket takes or has bytes. A program's signals do not make the wait longer. */
static int wait_for(const struct mr_admin_socket *s, short events)
{
	struct pollfd fd = {.fd = s->fd, .events = events};
	int64_t end_ms = now_ms() + ANSWER_SECONDS * 1000, left_ms;

	while ((left_ms = end_ms - now_ms()) > 0) {
		int n = poll(&fd, 1, (int)left_ms);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0 && s->stop != NULL && s->stop())
			return -EINTR;
	}
	return -ETIMEDOUT;
}

static int send_all(const struct mr_admin_socket *s, const void *data, size_t bytes)
{
	for (size_t sent = 0; sent < bytes;) {
		ssize_t n = send(s->fd, (const char *)data + sent, bytes - sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		int error = n < 0 && errno == EAGAIN ? wait_for(s, POLLOUT) : 0;

		if (error != 0)
			return error;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		sent += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int receive_all(const struct mr_admin_socket *s, void *data, size_t bytes)
{
	for (size_t got = 0; got < bytes;) {
		int error = wait_for(s, POLLIN);
		ssize_t n =
			error != 0 ? 0 : recv(s->fd, (char *)data + got, bytes - got, MSG_DONTWAIT);

		if (error != 0)
			return error;
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		got += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Closes the socket after an error: the rest of a request or of an answer would be taken for the
 * next one. */
static int end_after(struct mr_admin_socket *s, int error)
{
	if (error != 0) {
		close(s->fd);
		s->fd = -1;
	}
	return error;
}

int mr_admin_socket_send(struct mr_admin_socket *s, const void *request, size_t bytes)
{
	uint32_t length = htole32((uint32_t)bytes);
	int error;

	if (s->fd < 0)
		return -ENOTCONN;
	error = send_all(s, &length, sizeof(length));
	return end_after(s, error != 0 ? error : send_all(s, request, bytes));
}

static int receive(struct mr_admin_socket *s)
{
	uint32_t length;
	int error = receive_all(s, &length, sizeof(length));

	if (error != 0)
		return error;
	s->answer_bytes = le32toh(length);
	if (s->answer_bytes > ANSWER_BYTES_MAX)
		return -EBADMSG;
	if (s->answer_bytes > s->answer_room) {
		free(s->answer);
		s->answer_room = 0;
		s->answer = malloc(s->answer_bytes);
		if (s->answer == NULL)
			return -ENOMEM;
		s->answer_room = s->answer_bytes;
	}
	return receive_all(s, s->answer, s->answer_bytes);
}

int mr_admin_socket_receive(struct mr_admin_socket *s)
{
	return s->fd < 0 ? -ENOTCONN : end_after(s, receive(s));
}

void *mr_admin_socket_keep(struct mr_admin_socket *s)
{
	void *answer = s->answer;

	s->answer = NULL;
	s->answer_bytes = s->answer_room = 0;
	return answer;
}
