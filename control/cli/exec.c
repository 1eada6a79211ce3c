/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cli/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/cli/cli.h"

/* Our ends of its pipes. */
struct pipes {
	int to;
	int from;
};

static void child(const struct mr_cli_exec *e, int in, int out)
{
	sigset_t none;

	setpgid(0, 0); /* so that all that it starts can be killed with it */
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (const char *const *v = e->environment; v && *v; v++)
		putenv((char *)(uintptr_t)*v);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execl("/bin/sh", "sh", "-c", e->command, (char *)NULL);
	_exit(127);
}

static int start(const struct mr_cli_exec *e, struct pipes *p, pid_t *pid)
{
	int to[2], from[2];
	int rc;

	if (pipe2(to, O_CLOEXEC) != 0)
		return -errno;
	if (pipe2(from, O_CLOEXEC) != 0) {
		rc = -errno;
		goto close_to;
	}
	*pid = fork();
	if (*pid < 0) {
		rc = -errno;
		goto close_from;
	}
	if (*pid == 0)
		child(e, to[0], from[1]);
	setpgid(*pid, *pid); /* whoever of the two comes first */
	close(to[0]);
	close(from[1]);
	*p = (struct pipes){to[1], from[0]};
	fcntl(p->to, F_SETFL, O_NONBLOCK);
	return 0;

close_from:
	close(from[0]);
	close(from[1]);
close_to:
	close(to[0]);
	close(to[1]);
	return rc;
}

static void close_to(struct pipes *p)
{
	if (p->to >= 0)
		close(p->to);
	p->to = -1;
}

static void feed(const struct mr_cli_exec *e, struct pipes *p, size_t *fed)
{
	ssize_t n = write(p->to, (const char *)e->in + *fed, e->in_bytes - *fed);

	if (n > 0)
		*fed += (size_t)n;
	/* A command need not read what it is given. */
	if (*fed == e->in_bytes || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_to(p);
}

/* 1 when there is no more. */
static int fetch(struct mr_cli_exec *e, const struct pipes *p)
{
	char beyond;
	size_t room = e->out_capacity - e->out_bytes;
	ssize_t n = room ? read(p->from, e->out + e->out_bytes, room) : read(p->from, &beyond, 1);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n > 0 && room == 0)
		return -EMSGSIZE;
	e->out_bytes += (size_t)n;
	return n == 0;
}

static int pump(struct mr_cli_exec *e, struct pipes *p)
{
	uint64_t deadline_ns = mr_cli_now_ns() + e->timeout_ms * 1000000u;
	size_t fed = 0;
	int rc = 0;

	while (rc == 0) {
		struct pollfd fds[2] = {
			{.fd = p->from, .events = POLLIN}, {.fd = p->to, .events = POLLOUT}};
		uint64_t now_ns = mr_cli_now_ns();

		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		if (mr_cli_interrupted())
			return -EINTR;
		if (poll(fds, 2, (int)((deadline_ns - now_ns) / 1000000u) + 1) < 0 &&
			errno != EINTR)
			return -errno;
		if (p->to >= 0 && fds[1].revents)
			feed(e, p, &fed);
		if (fds[0].revents)
			rc = fetch(e, p);
	}
	return rc < 0 ? rc : 0;
}

int mr_cli_exec_run(struct mr_cli_exec *e)
{
	struct pipes p = {-1, -1};
	pid_t pid = -1;
	int status, rc;

	e->out_bytes = 0;
	rc = start(e, &p, &pid);
	if (rc)
		return rc;
	rc = pump(e, &p);
	if (rc)
		kill(-pid, SIGKILL);
	close_to(&p);
	close(p.from);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	e->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return rc;
}
