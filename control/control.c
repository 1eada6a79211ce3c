/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "lib/base/hint.h"
#include "lib/base/lockfile.h"
#include "lib/base/log.h"
#include "lib/base/signals.h"

#define RING_ENTRIES 256u
/* Time to poll for more messages after the last one, before control sleeps. */
#define SPIN_NS 50000u
/* Rounds in which cancelled operations may end after everything was closed. */
#define END_STEPS 64u

static void link_up(struct mr_link *l)
{
	struct mr_control *c = l->owner;
	int error = mr_handoff_up(&c->handoff);

	if (error != 0) {
		mr_link_break(l, mr_log_errno_text(error));
		return;
	}
	mr_exceptions_up(&c->exceptions);
	mr_attach_link_up(&c->attach);
	mr_watch_up(&c->watch);
}

static void link_down(struct mr_link *l)
{
	struct mr_control *c = l->owner;

	mr_watch_down(&c->watch);
	mr_handoff_down(&c->handoff);
	mr_exceptions_down(&c->exceptions);
	mr_queue_command_fail_all(&c->queue_commands);
}

static void session_closed(struct mr_link *l, struct mrf_table closed)
{
	struct mr_control *c = l->owner;
	uint64_t session = mrf_link_session_closed_session(closed);
	struct mrf_session_stats stats;
	struct timespec now;
	bool found = mr_dataplane_session_stats(&l->dataplane, session, &stats);

	clock_gettime(CLOCK_REALTIME, &now);
	mr_ended_add(&c->ended, closed, found ? &stats : NULL,
		(uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec);
}

static void signalled(struct mr_doorbell *b, size_t bytes)
{
	struct mr_control *c = mr_container_of(b, struct mr_control, signals);
	struct signalfd_siginfo info;

	memcpy(&info, b->data, bytes < sizeof(info) ? bytes : sizeof(info));
	mr_log(MR_LOG_INFO, "stopping", MR_LOG_STR("signal", strsignal((int)info.ssi_signo)));
	c->stopping = true;
}

static void signals_stopped(struct mr_doorbell *b, int error)
{
	struct mr_control *c = mr_container_of(b, struct mr_control, signals);

	(void)error;
	c->stopping = true;
}

static void watchdog(struct mr_loop_timer *t)
{
	struct mr_control *c = mr_container_of(t, struct mr_control, watchdog);

	(void)sd_notify(0, "WATCHDOG=1");
	mr_loop_timer_start(&c->loop, t, c->watchdog_ns);
}

static int make_run_dir(struct mr_control *c)
{
	return mkdir(c->config->run_dir, 0755) == 0 || errno == EEXIST ? 0 : -errno;
}

static void lock_path(const struct mr_control *c, char *path, size_t bytes)
{
	snprintf(path, bytes, "%s/control.lock", c->config->run_dir);
}

/* Takes the lock that allows one control for each run directory. */
static int take_lock(struct mr_control *c)
{
	char path[PATH_MAX];

	lock_path(c, path, sizeof(path));
	return mr_lockfile_take(path, &c->lock_fd);
}

static void drop_lock(struct mr_control *c)
{
	char path[PATH_MAX];

	lock_path(c, path, sizeof(path));
	mr_lockfile_drop(path, c->lock_fd);
}

static int open_loop(struct mr_control *c)
{
	return mr_loop_open(&c->loop, RING_ENTRIES);
}

static int open_signals(struct mr_control *c)
{
	mr_signals_block();
	c->signal_fd = mr_signals_open(0);
	if (c->signal_fd < 0)
		return c->signal_fd;
	c->signals.received = signalled;
	c->signals.stopped = signals_stopped;
	return mr_doorbell_start(&c->signals, &c->loop, c->signal_fd);
}

static int open_attach(struct mr_control *c)
{
	return mr_attach_open(&c->attach, &c->loop, &c->link, c->config, &c->counters);
}

static int open_admin(struct mr_control *c)
{
	c->admin.exceptions = &c->exceptions;
	return mr_admin_open(&c->admin, &c->loop, &c->link, &c->queue_commands, &c->watch,
		&c->ended, c->config, &c->counters);
}

static int open_link(struct mr_control *c)
{
	int error;

	mr_handoff_init(&c->handoff, &c->loop, &c->link, &c->hello, &c->queue_commands, c->config,
		&c->counters);
	mr_exceptions_init(&c->exceptions, &c->loop, &c->link, c->config, &c->counters);
	error = mr_queue_command_init(&c->queue_commands, &c->loop, &c->handoff, &c->counters,
		c->config->peers.share_percent);
	if (error == 0)
		error = mr_hello_init(&c->hello, &c->link, &c->handoff, c->config, &c->counters);
	if (error != 0)
		return error;
	mr_watch_open(&c->watch, &c->loop, &c->link, c->config);
	c->link.up = link_up;
	c->link.session_closed = session_closed;
	c->link.down = link_down;
	c->link.owner = c;
	return mr_link_open(&c->link, &c->loop, &c->counters, c->config);
}

static int open_watchdog(struct mr_control *c)
{
	uint64_t usec = 0;

	c->watchdog.fire = watchdog;
	if (sd_watchdog_enabled(0, &usec) > 0) {
		c->watchdog_ns = usec * 1000 / 2;
		mr_loop_timer_start(&c->loop, &c->watchdog, c->watchdog_ns);
	}
	return 0;
}

static const char *reason(int (*step)(struct mr_control *), int error)
{
	if (step == take_lock && error == -EWOULDBLOCK)
		return "another millrace-control runs with this run directory";
	if (step == open_loop && (error == -EPERM || error == -EACCES))
		return "io_uring is not permitted here";
	if (step == open_loop && error == -ENOSYS)
		return "this kernel's io_uring is missing or too old";
	if (error == -EADDRINUSE)
		return "the socket's path exists and is not a socket";
	return mr_log_errno_text(error);
}

static const char *hint(int (*step)(struct mr_control *), int error)
{
	if (step == open_loop && (error == -EPERM || error == -EACCES))
		return "set kernel.io_uring_disabled to 0 (sysctl), or allow io_uring in the "
		       "container's seccomp profile";
	if (step == open_loop && error == -ENOSYS)
		return "use Linux 6.1 or later, with io_uring";
	return mr_hint_start(error);
}

int mr_control_open(struct mr_control *c, const struct mr_config *config)
{
	static const struct {
		int (*open)(struct mr_control *);
		const char *what;
	} steps[] = {
		{make_run_dir, "run directory"},
		{take_lock, "control.lock"},
		{open_loop, "io_uring"},
		{open_signals, "signals"},
		{open_attach, "attach.sock"},
		{open_admin, "admin.sock"},
		{open_link, "link to the data plane"},
		{open_watchdog, "watchdog"},
	};

	memset(c, 0, sizeof(*c));
	c->config = config;
	c->lock_fd = c->signal_fd = -1;
	c->attach.accept.fd = c->admin.accept.fd = c->link.conn.fd = -1;
	for (size_t i = 0; i < MR_ARRAY_COUNT(steps); i++) {
		int error = steps[i].open(c);

		if (error != 0) {
			mr_log(MR_LOG_ERROR, "cannot start", MR_LOG_STR("what", steps[i].what),
				MR_LOG_STR("run_dir", config->run_dir),
				MR_LOG_STR("why", reason(steps[i].open, error)),
				MR_LOG_STR("hint", hint(steps[i].open, error)));
			mr_control_close(c);
			return error;
		}
	}
	return 0;
}

/* Runs one round. True if there was something to do. */
static bool step(struct mr_control *c)
{
	unsigned count = mr_handoff_drain(&c->handoff);

	count += mr_exceptions_drain(&c->exceptions);
	count += mr_loop_poll(&c->loop);
	mr_handoff_publish(&c->handoff);
	mr_exceptions_publish(&c->exceptions);
	return count > 0;
}

static void sleep_until_something(struct mr_control *c)
{
	if (!mr_handoff_arm(&c->handoff))
		return;
	if (mr_exceptions_arm(&c->exceptions)) {
		(void)mr_loop_wait(&c->loop);
		mr_exceptions_wake(&c->exceptions);
	}
	mr_handoff_wake(&c->handoff);
	mr_handoff_publish(&c->handoff);
	mr_exceptions_publish(&c->exceptions);
}

void mr_control_run(struct mr_control *c)
{
	uint64_t spin_until_ns = 0, records = 0;

	mr_log(MR_LOG_INFO, "control runs", MR_LOG_STR("run_dir", c->config->run_dir));
	(void)sd_notify(0, "READY=1");
	while (!c->stopping) {
		bool busy = step(c);

		/* Spin only after messages: more of them tend to follow. */
		if (c->counters.handoff_records != records) {
			records = c->counters.handoff_records;
			spin_until_ns = mr_loop_now_ns() + SPIN_NS;
		}
		if (busy)
			continue;
		if (spin_until_ns != 0 && mr_loop_now_ns() < spin_until_ns) {
			mr_cpu_relax();
			continue;
		}
		spin_until_ns = 0;
		sleep_until_something(c);
	}
	(void)sd_notify(0, "STOPPING=1");
}

static bool all_ended(const struct mr_control *c)
{
	if (mr_conn_in_use(&c->link.conn) || c->signals.op.pending ||
		c->handoff.doorbells_alive > 0 || c->exceptions.alive > 0)
		return false;
	for (unsigned i = 0; i < MR_ATTACH_SLOTS; i++) {
		if (mr_conn_in_use(&c->attach.slots[i].conn))
			return false;
	}
	for (unsigned i = 0; i < MR_ADMIN_SLOTS; i++) {
		if (mr_conn_in_use(&c->admin.slots[i].conn))
			return false;
	}
	return true;
}

static void close_loop(struct mr_control *c)
{
	if (c->signal_fd >= 0)
		mr_doorbell_stop(&c->signals);
	if (c->watchdog_ns != 0)
		mr_loop_timer_stop(&c->loop, &c->watchdog);
	for (unsigned i = 0; i < END_STEPS && !all_ended(c); i++)
		(void)mr_loop_wait(&c->loop);
	mr_loop_close(&c->loop);
}

void mr_control_close(struct mr_control *c)
{
	if (c->link.loop != NULL)
		mr_link_close(&c->link);
	if (c->admin.loop != NULL)
		mr_admin_close(&c->admin);
	if (c->attach.loop != NULL)
		mr_attach_close(&c->attach);
	if (c->loop.ring.ring_fd > 0)
		close_loop(c);
	if (c->signal_fd >= 0)
		close(c->signal_fd);
	mr_hello_fini(&c->hello);
	mr_queue_command_fini(&c->queue_commands);
	mr_link_fini(&c->link);
	drop_lock(c);
}
