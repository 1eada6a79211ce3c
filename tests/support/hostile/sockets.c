/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks through the sockets: attach, admin, link. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flatbuf/attach.h"
#include "tests/support/hostile/attacks.h"
#include "tests/support/hostile/raw.h"

/* True if the other side has answered or closed. Bounded. */
static bool answered(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	return poll(&wait, 1, MR_RAW_WAIT_MS) > 0;
}

static size_t wrong_version(uint8_t *to, size_t room)
{
	struct mrf_builder b;
	const void *request;
	size_t bytes;

	mrf_builder_init(&b, to, room);
	if (mrf_builder_finish(&b,
		    mrf_attach_request_write(&b, &(struct mrf_attach_request){.version = 99,
							 .name = mrf_str("wrong version")}),
		    &request, &bytes) != 0)
		return 0;
	memmove(to, request, bytes);
	return bytes;
}

/* Prints the text of a refusal. */
static void print_refusal(int fd)
{
	uint8_t answer[4096];
	struct mrf_table t;
	ssize_t n = recv(fd, answer, sizeof(answer), 0);

	if (n > 0 && mrf_attach_response_parse(answer, (size_t)n, &t) == 0)
		printf("refused: %d %s\n", mrf_attach_response_code(t),
			mrf_attach_response_text(t).data);
}

int mr_attack_attach_garbage(const char *path, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		static uint8_t request[60000];
		size_t bytes = i % 4 == 0 ? sizeof(request) : 1 + mr_raw_random() % 200;
		int fd = mr_raw_connect(path, SOCK_SEQPACKET);
		bool answer;

		if (fd < 0)
			return fd;
		mr_raw_random_fill(request, bytes);
		if (i == 1)
			bytes = wrong_version(request, sizeof(request));
		send(fd, request, bytes, MSG_NOSIGNAL);
		answer = answered(fd);
		if (answer && i < 3)
			print_refusal(fd);
		close(fd);
		if (!answer) {
			printf("nothing came back\n");
			return -ETIMEDOUT;
		}
	}
	return 0;
}

/* Opens connections as fast as the bus takes them, most of them at the same time; none makes a
 * request. */
static int open_many(const char *path, int type, unsigned count)
{
	struct rlimit limit;
	static int open_fds[768];
	unsigned room = sizeof(open_fds) / sizeof(open_fds[0]);
	unsigned refused = 0;
	unsigned held = 0;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < room + 64)
		room = (unsigned)limit.rlim_cur - 64;
	for (unsigned i = 0; i < count; i++) {
		/* Waits while the backlog is full. */
		int fd = mr_raw_connect(path, type);

		if (fd < 0) {
			refused++;
			continue;
		}
		if (held >= room)
			close(open_fds[i % room]);
		open_fds[held < room ? held : i % room] = fd;
		held += held < room;
	}
	printf("%u opened, %u refused\n", count - refused, refused);
	for (unsigned i = 0; i < held; i++)
		close(open_fds[i]);
	return refused == count ? -ECONNREFUSED : 0;
}

int mr_attack_attach_flood(const char *path, unsigned count)
{
	return open_many(path, SOCK_SEQPACKET, count);
}

/* A user who may not attach must be refused each time. */
int mr_attack_attach_refused(const char *path, unsigned count)
{
	struct mr_raw c;

	for (unsigned i = 0; i < count; i++) {
		int error = mr_raw_attach(&c, path, "nobody\xc2\x9b");

		mr_raw_close(&c);
		if (error != -EACCES)
			return error < 0 ? error : -EPROTO;
	}
	return 0;
}

static bool closed(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	return poll(&wait, 1, 0) > 0;
}

/* Connections that stop after `first`: the bus must close all but `kept` of them, in time or to
 * make room. */
static int stay_silent(
	const char *path, int type, unsigned count, const void *first, size_t bytes, unsigned kept)
{
	static int fds[512];
	unsigned held = 0;
	unsigned open_still = 0;

	for (; held < count && held < sizeof(fds) / sizeof(fds[0]); held++) {
		fds[held] = mr_raw_connect(path, type);
		if (fds[held] < 0)
			break;
		if (bytes > 0)
			send(fds[held], first, bytes, MSG_NOSIGNAL);
	}
	for (unsigned waits = 0; waits < MR_RAW_WAIT_MS / 10; waits++) {
		open_still = 0;
		for (unsigned i = 0; i < held; i++)
			open_still += !closed(fds[i]);
		if (open_still <= kept)
			break;
		poll(NULL, 0, 10);
	}
	for (unsigned i = 0; i < held; i++)
		close(fds[i]);
	printf("%u silent connections, %u of them kept open\n", held, open_still);
	return open_still > kept ? -ETIMEDOUT : 0;
}

int mr_attack_attach_silent(const char *path, unsigned count)
{
	return stay_silent(path, SOCK_SEQPACKET, count, NULL, 0, 0);
}

int mr_attack_sessions_hoard(const char *path, unsigned count)
{
	static struct mr_raw sessions[4096];
	unsigned got = 0;
	int error = 0;

	while (got < count && got < sizeof(sessions) / sizeof(sessions[0])) {
		error = mr_raw_attach(&sessions[got], path, "sessions-hoard");
		if (error != 0)
			break;
		got++;
	}
	printf("got %u\n", got);
	for (unsigned i = 0; i < got; i++)
		mr_raw_close(&sessions[i]);
	return error == -ENOSPC ? 0 : error != 0 ? error : -EPROTO;
}

/* Wrong lengths, invalid requests, connections that end in the middle. */
int mr_attack_admin_garbage(const char *path, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint8_t request[512];
		size_t bytes = 4 + mr_raw_random() % (sizeof(request) - 4);
		uint32_t length = (uint32_t)bytes - 4;
		int fd = mr_raw_connect(path, SOCK_STREAM);

		if (fd < 0)
			return fd;
		mr_raw_random_fill(request, sizeof(request));
		if (i % 4 == 1)
			length = UINT32_MAX;
		if (i % 4 == 2)
			length = (uint32_t)bytes + 1000;
		memcpy(request, &length, sizeof(length));
		send(fd, request, bytes, MSG_NOSIGNAL);
		/* The rest never comes. */
		if (i % 4 == 2)
			shutdown(fd, SHUT_WR);
		if (!answered(fd)) {
			printf("nothing came back\n");
			close(fd);
			return -ETIMEDOUT;
		}
		close(fd);
	}
	return 0;
}

int mr_attack_admin_silent(const char *path, unsigned count)
{
	/* Sends half a length, then nothing. */
	return stay_silent(path, SOCK_STREAM, count, "\x10\x00", 2, 16);
}

/* Sends malformed packets where only control may speak: the data plane must close the
 * connection. */
int mr_attack_link_garbage(const char *path, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint8_t packet[1000];
		size_t bytes = 1 + mr_raw_random() % sizeof(packet);
		int fd = mr_raw_connect(path, SOCK_SEQPACKET);

		if (fd < 0)
			return fd;
		mr_raw_random_fill(packet, bytes);
		send(fd, packet, bytes, MSG_NOSIGNAL);
		if (!answered(fd)) {
			printf("nothing came back\n");
			close(fd);
			return -ETIMEDOUT;
		}
		close(fd);
	}
	return 0;
}
