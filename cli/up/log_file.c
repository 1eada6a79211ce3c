/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FLUSH_MS 500

static struct {
	const char *path;
	int fd;         /* dup3 replaces the file behind it; -1: not in use */
	int pipe;       /* read end */
	int old_stderr; /* before the pipe was put in its place */
	pthread_t thread;
	uint64_t dropped; /* lines; the thread's */
} to = {.fd = -1};

static bool write_all(const char *at, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(to.fd, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		bytes -= (size_t)n;
	}
	return true;
}

static uint64_t lines_in(const char *at, size_t bytes)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < bytes; i++)
		lines += at[i] == '\n';
	return lines;
}

/* Tells the terminal once that the file takes no lines, unless the terminal would block. */
static void tell(int error)
{
	struct pollfd p = {.fd = to.old_stderr, .events = POLLOUT};

	if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0)
		dprintf(to.old_stderr,
			"millrace up: %s: %s; free some space, or move the file and send SIGUSR1; "
			"until then lines are lost\n",
			to.path, strerror(error));
}

static void copy(const char *at, size_t bytes)
{
	char text[80];
	int n;

	if (to.dropped > 0) {
		n = snprintf(text, sizeof(text),
			"millrace up: %" PRIu64 " lines lost: the log file took none\n",
			to.dropped);
		if (write_all(text, (size_t)n))
			to.dropped = 0;
	}
	if (to.dropped == 0 && write_all(at, bytes))
		return;
	if (to.dropped == 0)
		tell(errno);
	to.dropped += lines_in(at, bytes);
}

static void *run(void *unused)
{
	char text[16384];
	ssize_t n;

	(void)unused;
	while ((n = read(to.pipe, text, sizeof(text))) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0)
			copy(text, (size_t)n);
	}
	return NULL;
}

static int start_thread(void)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&to.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -error;
}

/* True if the path is a symbolic link that root or this user made. */
static bool is_trusted_link(void)
{
	struct stat st;

	return lstat(to.path, &st) == 0 && S_ISLNK(st.st_mode) &&
	       (st.st_uid == 0 || st.st_uid == geteuid());
}

/* Opens the log file. Another user's symbolic link is refused: it could name any file that this
 * process may write. A FIFO that nobody reads is refused and not waited for. */
static int open_path(void)
{
	const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(to.path, flags | O_NOFOLLOW, 0640);

	if (fd < 0 && errno == ELOOP && is_trusted_link())
		fd = open(to.path, flags, 0640);
	if (fd < 0)
		return -errno;
	(void)fcntl(fd, F_SETFL, O_APPEND);
	return fd;
}

int mr_cli_log_file_open(const char *path)
{
	int ends[2], error;

	to.path = path;
	to.fd = open_path();
	if (to.fd < 0)
		return to.fd;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		error = -errno;
		goto close_file;
	}
	to.pipe = ends[0];
	to.old_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	error = start_thread();
	if (error != 0)
		goto close_pipe;
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	return 0;

close_pipe:
	close(to.old_stderr);
	close(ends[0]);
	close(ends[1]);
close_file:
	close(to.fd);
	to.fd = -1;
	return error;
}

int mr_cli_log_file_reopen(void)
{
	int fd;

	if (to.fd < 0)
		return 0;
	fd = open_path();
	if (fd < 0)
		return fd;
	dup3(fd, to.fd, O_CLOEXEC);
	close(fd);
	return 0;
}

void mr_cli_log_file_close(void)
{
	struct timespec until;

	if (to.fd < 0)
		return;
	if (to.old_stderr >= 0) {
		dup2(to.old_stderr, STDERR_FILENO);
		close(to.old_stderr);
	} else {
		close(STDERR_FILENO);
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += FLUSH_MS * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000l;
	until.tv_nsec %= 1000000000l;
	/* A process that still holds the pipe keeps the thread; it ends with us. */
	if (pthread_timedjoin_np(to.thread, NULL, &until) == 0) {
		close(to.pipe);
		close(to.fd);
	}
	to.fd = -1;
}
