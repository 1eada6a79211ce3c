/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool try_path(
	struct mr_cli_child *child, const char *dir, int dir_bytes, const char *between)
{
	int n = snprintf(child->path, sizeof(child->path), "%.*s/%s%s", dir_bytes, dir, between,
		child->name);

	return n < (int)sizeof(child->path) && access(child->path, X_OK) == 0;
}

static bool find_in_path(struct mr_cli_child *child)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		int bytes = (int)strcspn(path, ":");

		if (bytes && try_path(child, path, bytes, ""))
			return true;
		path += bytes + (path[bytes] == ':');
	}
	return false;
}

int mr_cli_child_find(struct mr_cli_child *child, const char *name)
{
	static const char *const places[] = {
		"", "control/", "dataplane/", "../libexec/millrace/", "../libexec/"};
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	const char *slash;

	*child = (struct mr_cli_child){.name = name, .delay_ms = MR_CLI_CHILD_DELAY_MS_MIN};
	if (n < 0)
		return -errno;
	own[n] = '\0';
	slash = strrchr(own, '/');
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		if (try_path(child, own, (int)(slash - own), places[i]))
			return 0;
	}
	return find_in_path(child) ? 0 : -ENOENT;
}

static void become(const struct mr_cli_child *child, pid_t parent)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1); /* the parent died before the signal was set */
	setsid();
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(child->path, child->argv);
	dprintf(STDERR_FILENO, "millrace up: %s: %s\n", child->path, strerror(errno));
	_exit(127);
}

int mr_cli_child_start(struct mr_cli_child *child, uint64_t now_ns)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(child, parent);
	child->pid = pid;
	child->started_ns = now_ns;
	child->restart_ns = 0;
	return 0;
}

void mr_cli_child_ended(struct mr_cli_child *child, uint64_t now_ns)
{
	if (now_ns - child->started_ns >= MR_CLI_CHILD_HEALTHY_MS * 1000000ull)
		child->delay_ms = MR_CLI_CHILD_DELAY_MS_MIN;
	child->pid = 0;
	child->restarts++;
	child->restart_ns = now_ns + child->delay_ms * 1000000ull;
	child->delay_ms *= 2;
	if (child->delay_ms > MR_CLI_CHILD_DELAY_MS_MAX)
		child->delay_ms = MR_CLI_CHILD_DELAY_MS_MAX;
}

void mr_cli_child_describe(int status, char *out, size_t out_bytes)
{
	if (WIFSIGNALED(status))
		snprintf(out, out_bytes, "was killed by signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		snprintf(out, out_bytes, "exited with status %d", WEXITSTATUS(status));
}
