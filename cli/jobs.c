/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

#define OUT_BYTES_MIN 4096
#define FDS_EACH      3

int mr_cli_jobs_init(struct mr_cli_jobs *j, unsigned count)
{
	j->running = 0;
	j->count = count;
	j->jobs = calloc(count, sizeof(*j->jobs));
	if (!j->jobs)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		j->jobs[i].index = i;
		j->jobs[i].error_fd = -1;
	}
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void kill_group(struct mr_cli_job *job)
{
	kill(-job->pid, SIGKILL);
	close_fd(&job->to_fd);
	close_fd(&job->from_fd);
}

/* Keeps the beginning of the last line. */
static void keep_line(struct mr_cli_job *job, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\n' || text[i] == '\r') {
			job->line_ended = true;
			continue;
		}
		if (job->line_ended)
			job->line_bytes = 0;
		job->line_ended = false;
		if (job->line_bytes < sizeof(job->last_line) - 1)
			job->last_line[job->line_bytes++] = text[i];
	}
	job->last_line[job->line_bytes] = '\0';
}

static void pass_on(const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(STDERR_FILENO, text, bytes);

		if (n < 0 && errno != EINTR)
			return;
		text += n > 0 ? n : 0;
		bytes -= n > 0 ? (size_t)n : 0;
	}
}

static void fetch_errors(struct mr_cli_job *job)
{
	char text[1024];

	while (job->error_fd >= 0) {
		ssize_t n = read(job->error_fd, text, sizeof(text));

		if (n > 0) {
			keep_line(job, text, (size_t)n);
			pass_on(text, (size_t)n);
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
			close_fd(&job->error_fd);
		} else if (errno == EAGAIN) {
			return;
		}
	}
}

static void reap(struct mr_cli_jobs *j, struct mr_cli_job *job)
{
	int status = 0;

	while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR)
		;
	job->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	fetch_errors(job); /* processes in the background may still hold the other end */
	close_fd(&job->error_fd);
	close_fd(&job->to_fd);
	close_fd(&job->from_fd);
	close_fd(&job->pid_fd);
	job->pid = 0;
	j->running--;
}

void mr_cli_jobs_fini(struct mr_cli_jobs *j)
{
	for (unsigned i = 0; j->jobs && i < j->count; i++) {
		struct mr_cli_job *job = &j->jobs[i];

		if (job->pid) {
			kill_group(job);
			reap(j, job);
		}
		free(job->in);
		free(job->memory);
	}
	free(j->jobs);
	j->jobs = NULL;
}

static void child(
	const char *command, const char *const *environment, int in, int out, int err, pid_t parent)
{
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (const char *const *v = environment; v && *v; v++)
		putenv((char *)(uintptr_t)*v);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
		(err < 0 || dup2(err, STDERR_FILENO) >= 0))
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static int spawn(const struct mr_cli_jobs *j, const char *const *environment,
	struct mr_cli_job *job, const int to[2], const int from[2], int err)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		child(j->command, environment, to[0], from[1], err, parent);
	setpgid(pid, pid); /* parent and child both call it: either may be first */
	job->pid_fd = pidfd_open(pid, 0);
	if (job->pid_fd < 0) {
		int error = -errno;

		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return error;
	}
	job->pid = pid;
	return 0;
}

static int start(
	const struct mr_cli_jobs *j, const char *const *environment, struct mr_cli_job *job)
{
	int to[2], from[2], errors[2] = {-1, -1};
	int rc;

	if (pipe2(to, O_CLOEXEC) != 0)
		return -errno;
	if (pipe2(from, O_CLOEXEC) != 0) {
		rc = -errno;
		close(to[0]);
		close(to[1]);
		return rc;
	}
	/* Without a pipe the command writes to our standard error itself. */
	if (j->keeps_line && pipe2(errors, O_CLOEXEC) != 0)
		errors[0] = errors[1] = -1;
	rc = spawn(j, environment, job, to, from, errors[1]);
	close(to[0]);
	close(from[1]);
	close_fd(&errors[1]);
	job->error_fd = errors[0];
	if (errors[0] >= 0)
		fcntl(errors[0], F_SETFL, O_NONBLOCK);
	job->to_fd = to[1];
	job->from_fd = from[0];
	fcntl(job->to_fd, F_SETFL, O_NONBLOCK);
	fcntl(job->from_fd, F_SETFL, O_NONBLOCK);
	if (rc) {
		close_fd(&job->error_fd);
		close_fd(&job->to_fd);
		close_fd(&job->from_fd);
	}
	return rc;
}

static int keep_input(struct mr_cli_job *job, const void *in, size_t bytes)
{
	if (bytes > job->in_capacity) {
		char *grown = realloc(job->in, bytes);

		if (!grown)
			return -ENOMEM;
		job->in = grown;
		job->in_capacity = bytes;
	}
	if (bytes > 0)
		memcpy(job->in, in, bytes);
	job->in_bytes = bytes;
	job->fed = 0;
	return 0;
}

int mr_cli_jobs_start(
	struct mr_cli_jobs *j, const char *const *environment, const void *in, size_t in_bytes)
{
	struct mr_cli_job *job = j->jobs;
	int rc;

	if (mr_cli_jobs_full(j))
		return -EAGAIN;
	while (job->pid)
		job++;
	rc = keep_input(job, in, in_bytes);
	rc = rc ? rc : start(j, environment, job);
	if (rc)
		return rc;
	job->out_bytes = 0;
	job->line_bytes = 0;
	job->line_ended = false;
	job->last_line[0] = '\0';
	job->error = 0;
	job->deadline_ns = j->timeout_ms ? mr_cli_now_ns() + j->timeout_ms * 1000000u : UINT64_MAX;
	j->running++;
	return (int)job->index;
}

static void give_up(struct mr_cli_job *job, int error)
{
	job->error = error;
	job->deadline_ns = UINT64_MAX;
	kill_group(job);
}

void mr_cli_jobs_stop(struct mr_cli_jobs *j, unsigned index)
{
	if (j->jobs[index].pid)
		give_up(&j->jobs[index], -ECANCELED);
}

static void feed(struct mr_cli_job *job)
{
	while (job->to_fd >= 0 && job->fed < job->in_bytes) {
		ssize_t n = write(job->to_fd, job->in + job->fed, job->in_bytes - job->fed);

		if (n > 0)
			job->fed += (size_t)n;
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR)
			break; /* a command need not read its input */
	}
	close_fd(&job->to_fd);
}

static bool make_room(const struct mr_cli_jobs *j, struct mr_cli_job *job)
{
	size_t capacity = job->capacity ? 2 * job->capacity : OUT_BYTES_MIN;
	char *grown;

	/* One byte more than allowed shows that the output is too large. */
	if (capacity > j->out_bytes_max + 1)
		capacity = j->out_bytes_max + 1;
	if (job->out_bytes < job->capacity)
		return true;
	grown = realloc(job->memory, capacity);
	if (grown) {
		job->memory = grown;
		job->capacity = capacity;
	}
	return grown != NULL;
}

static void fetch(const struct mr_cli_jobs *j, struct mr_cli_job *job)
{
	while (job->from_fd >= 0) {
		ssize_t n;

		if (!make_room(j, job)) {
			give_up(job, -ENOMEM);
			return;
		}
		n = read(
			job->from_fd, job->memory + job->out_bytes, job->capacity - job->out_bytes);
		if (n > 0)
			job->out_bytes += (size_t)n;
		else if (n == 0 || (errno != EINTR && errno != EAGAIN))
			close_fd(&job->from_fd);
		else if (errno == EAGAIN)
			return;
		if (job->out_bytes > j->out_bytes_max)
			give_up(job, -EMSGSIZE);
	}
}

static bool has_exited(const struct mr_cli_job *job)
{
	struct pollfd fd = {.fd = job->pid_fd, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

/* Feeds and reads a job. True when it has exited and its output is read to the end. */
static bool step(struct mr_cli_jobs *j, struct mr_cli_job *job, uint64_t now_ns)
{
	feed(job);
	fetch(j, job);
	fetch_errors(job);
	if (job->from_fd >= 0 || !has_exited(job)) {
		if (now_ns >= job->deadline_ns)
			give_up(job, -ETIMEDOUT);
		return false;
	}
	reap(j, job);
	job->out = job->memory;
	return true;
}

unsigned mr_cli_jobs_step(struct mr_cli_jobs *j, mr_cli_job_fn *done, void *arg)
{
	uint64_t now_ns = j->running ? mr_cli_now_ns() : 0;
	unsigned ended = 0;

	for (unsigned i = 0; i < j->count && j->running > 0; i++) {
		struct mr_cli_job *job = &j->jobs[i];
		struct mr_cli_job result;

		if (!job->pid || !step(j, job, now_ns))
			continue;
		/* Take the output along: the callback may start the next job in this slot. */
		result = *job;
		job->memory = NULL;
		job->capacity = 0;
		done(&result, arg);
		if (job->memory)
			free(result.memory);
		else
			job->memory = result.memory, job->capacity = result.capacity;
		ended++;
	}
	return ended;
}

static int until_deadline(const struct mr_cli_jobs *j, int timeout_ms)
{
	uint64_t now_ns = mr_cli_now_ns();

	for (unsigned i = 0; i < j->count; i++) {
		uint64_t deadline = j->jobs[i].deadline_ns;
		uint64_t left_ms = deadline > now_ns ? (deadline - now_ns) / 1000000u + 1 : 0;

		if (!j->jobs[i].pid || deadline == UINT64_MAX)
			continue;
		if (timeout_ms < 0 || left_ms < (uint64_t)timeout_ms)
			timeout_ms = left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
	}
	return timeout_ms;
}

void mr_cli_jobs_wait(struct mr_cli_jobs *j, int fd, int timeout_ms)
{
	struct pollfd fds[1 + FDS_EACH * MR_CLI_JOBS_MAX] = {{.fd = fd, .events = POLLIN}};
	nfds_t count = 1;

	for (unsigned i = 0; i < j->count; i++) {
		const struct mr_cli_job *job = &j->jobs[i];

		if (!job->pid)
			continue;
		fds[count++] = (struct pollfd){.fd = job->to_fd, .events = POLLOUT};
		fds[count++] = (struct pollfd){.fd = job->error_fd, .events = POLLIN};
		/* Wait for the end of the output first, then for the exit: the shell may exit
		 * before its background processes close the output. */
		if (job->from_fd >= 0)
			fds[count++] = (struct pollfd){.fd = job->from_fd, .events = POLLIN};
		else
			fds[count++] = (struct pollfd){.fd = job->pid_fd, .events = POLLIN};
	}
	poll(fds, count, until_deadline(j, timeout_ms));
}
