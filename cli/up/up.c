/* SPDX-License-Identifier: Apache-2.0 */
/* up: runs both processes of the bus in the foreground.
 *
 * Either process can live without the other, so each is restarted alone. If one dies before the bus
 * was ever ready, a restart would not help: `up` ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/millrace.h"
#include "cli/up/child.h"
#include "cli/up/log_file.h"
#include "cli/up/rundir.h"
#include "cli/up/output.h"
#include "cli/verbs.h"
#include "lib/base/hint.h"

#define CHILDREN      2
#define STOP_MS       5000
#define READY_LOOK_MS 10
#define ATTACH_MS     500
#define ARGS_MAX      (2 * MR_CLI_WORDS_MAX + 24)
#define PORTS_MAX     8
#define PORT_BYTES    1024 /* longer ones are refused */
#define PORTS_BYTES   (PORTS_MAX * PORT_BYTES + 16)

struct settings {
	const char *config;
	const char *log_file;
	const char *run_dir;
	uint64_t workers; /* 0: as configured */
	const char *cpus;
	const char *poll;
	struct mr_cli_words ports;
	struct mr_cli_words multicast;
	struct mr_cli_words sets;
	uint64_t ready_fd; /* 0: none */
};

struct up {
	const struct mr_cli *cli;
	const struct settings *set;
	struct mr_cli_rundir dir;
	struct mr_cli_child children[CHILDREN]; /* data plane, control */
	char *argv[CHILDREN][ARGS_MAX];
	char made[3][512]; /* --set values made from other options */
	char made_ports[PORTS_BYTES];
	char made_multicast[PORTS_BYTES];
	char address[sizeof(((struct mr_cli_rundir *)0)->path) + 32];
	int signals;
	bool ready;
	bool stopping;
	int code;
	uint64_t stop_ns; /* deadline after which processes are killed */
	bool killed;
};

static void add_set(struct up *u, unsigned *n, const char *set)
{
	for (unsigned i = 0; i < CHILDREN; i++) {
		u->argv[i][*n] = (char *)(uintptr_t) "--set";
		u->argv[i][*n + 1] = (char *)(uintptr_t)set;
	}
	*n += 2;
}

static void add_pair(struct up *u, unsigned *n, const char *name, const char *value)
{
	for (unsigned i = 0; i < CHILDREN; i++) {
		u->argv[i][*n] = (char *)(uintptr_t)name;
		u->argv[i][*n + 1] = (char *)(uintptr_t)value;
	}
	*n += 2;
}

/* Sets a list of the configuration, joined with ";": its entries contain commas. */
static void add_list(struct up *u, unsigned *n, char made[PORTS_BYTES], const char *key,
	const struct mr_cli_words *entries)
{
	size_t used = (size_t)snprintf(made, PORTS_BYTES, "%s=", key);

	for (unsigned i = 0; i < entries->count && used < PORTS_BYTES; i++)
		used += (size_t)snprintf(
			made + used, PORTS_BYTES - used, "%s%s", i ? ";" : "", entries->at[i]);
	add_set(u, n, made);
}

/* Makes the command line, which is the same for both. */
static void make_argv(struct up *u)
{
	const struct settings *set = u->set;
	unsigned n = 1;

	for (unsigned i = 0; i < CHILDREN; i++) {
		u->argv[i][0] = u->children[i].path;
		u->children[i].argv = u->argv[i];
	}
	add_pair(u, &n, "--run-dir", u->dir.path);
	if (set->config)
		add_pair(u, &n, "--config", set->config);
	if (set->workers) {
		snprintf(u->made[0], sizeof(u->made[0]), "workers.count=%" PRIu64, set->workers);
		add_set(u, &n, u->made[0]);
	}
	if (set->cpus) {
		int cpus[64];
		int count = mr_cli_args_cpus(set->cpus, cpus, 64);
		int used = snprintf(u->made[1], sizeof(u->made[1]), "workers.cpus=[");

		for (int i = 0; i < count; i++)
			used += snprintf(u->made[1] + used, sizeof(u->made[1]) - (size_t)used,
				"%s%d", i ? "," : "", cpus[i]);
		snprintf(u->made[1] + used, sizeof(u->made[1]) - (size_t)used, "]");
		add_set(u, &n, u->made[1]);
	}
	if (set->poll) {
		snprintf(u->made[2], sizeof(u->made[2]), "workers.poll=%s", set->poll);
		add_set(u, &n, u->made[2]);
	}
	if (set->ports.count)
		add_list(u, &n, u->made_ports, "ports.open", &set->ports);
	if (set->multicast.count)
		add_list(u, &n, u->made_multicast, "multicast.ranges", &set->multicast);
	for (unsigned i = 0; i < set->sets.count; i++)
		add_set(u, &n, set->sets.at[i]);
}

static void stop(struct up *u, int code)
{
	if (u->stopping)
		return;
	u->stopping = true;
	u->code = code;
	u->stop_ns = mr_cli_now_ns() + STOP_MS * 1000000ull;
	/* Stop control first: it would only log the loss of the data plane. */
	for (int i = CHILDREN - 1; i >= 0; i--) {
		if (u->children[i].pid)
			kill(u->children[i].pid, SIGTERM);
	}
}

static void out_of_patience(struct up *u)
{
	for (unsigned i = 0; i < CHILDREN; i++) {
		if (!u->children[i].pid)
			continue;
		mr_cli_note(u->cli, "%s did not stop within %d s: killed", u->children[i].name,
			STOP_MS / 1000);
		kill(u->children[i].pid, SIGKILL);
	}
	u->killed = true;
	u->code = MR_EXIT_FAILED;
}

static void child_ended(struct up *u, struct mr_cli_child *child, int status)
{
	char how[96];

	mr_cli_child_describe(status, how, sizeof(how));
	mr_cli_child_ended(child, mr_cli_now_ns());
	if (u->stopping) {
		if (status != 0 && !u->killed && u->code == MR_EXIT_OK)
			mr_cli_note(u->cli, "%s %s", child->name, how);
		return;
	}
	if (!u->ready) {
		stop(u, mr_cli_fail(u->cli, MR_EXIT_FAILED, child->name, how,
				"see its last lines above"));
		return;
	}
	mr_cli_note(u->cli, "%s %s; starting it again in %u ms", child->name, how,
		(unsigned)((child->restart_ns - mr_cli_now_ns()) / 1000000u + 1));
}

static void reap(struct up *u)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < CHILDREN; i++) {
			if (u->children[i].pid == pid)
				child_ended(u, &u->children[i], status);
		}
	}
}

static void reopen_log(const struct up *u)
{
	int error = mr_cli_log_file_reopen();

	if (error != 0)
		fprintf(stderr,
			"millrace up: %s: cannot be opened again: %s; the old file stays in use\n",
			u->set->log_file, strerror(-error));
}

static void on_signals(struct up *u)
{
	struct signalfd_siginfo info;

	while (read(u->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(u);
		else if (info.ssi_signo == SIGHUP)
			fprintf(stderr, "millrace up: SIGHUP: the bus goes on; SIGTERM stops it\n");
		else if (info.ssi_signo == SIGUSR1)
			reopen_log(u);
		else
			stop(u, MR_EXIT_OK);
	}
}

static void start_due(struct up *u, uint64_t now_ns)
{
	for (unsigned i = 0; i < CHILDREN && !u->stopping; i++) {
		struct mr_cli_child *child = &u->children[i];
		int rc;

		if (child->pid || child->restart_ns > now_ns)
			continue;
		rc = mr_cli_child_start(child, now_ns);
		if (rc)
			stop(u, mr_cli_fail(u->cli, MR_EXIT_FAILED, child->name, strerror(-rc),
					rc == -EAGAIN ? "raise the limit of processes: ulimit -u"
						      : mr_hint_start(rc)));
	}
}

static void print_ready(struct up *u)
{
	printf("millrace is up: %s (pid %d)\n", u->address, (int)getpid());
	mr_cli_flush();
	if (u->set->ready_fd) {
		dprintf((int)u->set->ready_fd, "%s\n", u->address);
		close((int)u->set->ready_fd);
	}
}

/* The bus is ready when a client can attach. */
static void look_ready(struct up *u)
{
	struct mr_options options = {
		.name = "millrace up", .connect_timeout_ms = ATTACH_MS, .no_reconnect = true};
	struct mr_client *c;

	if (access(u->address + strlen("shm:"), F_OK) != 0)
		return;
	if (mr_connect(u->address, &options, &c) != 0)
		return;
	mr_close(c);
	u->ready = true;
	print_ready(u);
}

static int time_left_ms(const struct up *u, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	if (u->stopping)
		next_ns = u->stop_ns;
	else if (!u->ready)
		next_ns = now_ns + READY_LOOK_MS * 1000000ull;
	for (unsigned i = 0; i < CHILDREN && !u->stopping; i++) {
		if (!u->children[i].pid && u->children[i].restart_ns < next_ns)
			next_ns = u->children[i].restart_ns;
	}
	if (next_ns == UINT64_MAX)
		return -1;
	return next_ns > now_ns ? (int)((next_ns - now_ns) / 1000000u) + 1 : 0;
}

static bool any_running(const struct up *u)
{
	return u->children[0].pid || u->children[1].pid;
}

static void supervise(struct up *u)
{
	while (!u->stopping || any_running(u)) {
		struct pollfd fd = {.fd = u->signals, .events = POLLIN};
		uint64_t now_ns = mr_cli_now_ns();

		start_due(u, now_ns);
		if (u->stopping && !u->killed && now_ns >= u->stop_ns)
			out_of_patience(u);
		if (poll(&fd, 1, u->killed ? -1 : time_left_ms(u, now_ns)) > 0)
			on_signals(u);
		if (!u->ready && !u->stopping)
			look_ready(u);
	}
}

static int open_signals(struct up *u)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGQUIT, SIGCHLD};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	u->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return u->signals < 0 ? -errno : 0;
}

static int open_run_dir(struct up *u)
{
	char path[256];
	/* --run-dir before the verb is the common option of all verbs. */
	const char *named = u->set->run_dir ? u->set->run_dir : u->cli->run_dir;
	const char *hint = NULL;
	int rc = 0;

	if (named)
		snprintf(path, sizeof(path), "%s", named);
	else
		rc = mr_cli_run_dir_default(path, sizeof(path));
	rc = rc ? rc : mr_cli_rundir_open(&u->dir, path);
	if (rc == -EBUSY)
		hint = "stop it, or name another directory with --run-dir";
	else if (rc == -ENAMETOOLONG)
		hint = "a path of at most 79 bytes fits the sockets' addresses";
	else if (rc)
		hint = mr_hint_start(rc);
	if (rc)
		return mr_cli_fail(u->cli, MR_EXIT_FAILED, path,
			rc == -EBUSY ? "a bus runs there" : strerror(-rc), hint);
	snprintf(u->address, sizeof(u->address), "shm:%s/attach.sock", u->dir.path);
	return MR_EXIT_OK;
}

static int find_children(struct up *u)
{
	static const char *const names[CHILDREN] = {"millrace-dataplane", "millrace-control"};

	for (unsigned i = 0; i < CHILDREN; i++) {
		int rc = mr_cli_child_find(&u->children[i], names[i]);

		if (rc)
			return mr_cli_fail(u->cli, MR_EXIT_FAILED, names[i], "not found",
				"searched beside this program, in ../libexec/millrace and in PATH");
	}
	return MR_EXIT_OK;
}

static int check(const struct up *u)
{
	const struct settings *set = u->set;
	int cpus[64];
	int count = set->cpus ? mr_cli_args_cpus(set->cpus, cpus, 64) : 0;

	if (count < 0)
		return mr_cli_fail(u->cli, MR_EXIT_USAGE, set->cpus, "not a list of CPUs",
			"expected: numbers and ranges, such as 0,2-4");
	if (set->ports.count > PORTS_MAX)
		return mr_cli_fail(u->cli, MR_EXIT_USAGE, "--port", "given too often",
			"expected: at most 8 ports");
	if (set->multicast.count > PORTS_MAX)
		return mr_cli_fail(u->cli, MR_EXIT_USAGE, "--multicast", "given too often",
			"expected: at most 8 ranges");
	if (set->config && access(set->config, R_OK) != 0)
		return mr_cli_fail(u->cli, MR_EXIT_FAILED, set->config, strerror(errno),
			"name a file that this user can read with --config");
	if (set->ready_fd && fcntl((int)set->ready_fd, F_GETFD) < 0)
		return mr_cli_fail(u->cli, MR_EXIT_USAGE, "--ready-fd", strerror(errno),
			"open it for the command, such as --ready-fd 3 3>FILE");
	return MR_EXIT_OK;
}

static int open_log(const struct up *u)
{
	int error = u->set->log_file != NULL ? mr_cli_log_file_open(u->set->log_file) : 0;

	return error == 0 ? 0
			  : mr_cli_fail(u->cli, MR_EXIT_FAILED, u->set->log_file, strerror(-error),
				    error == -ENXIO
					    ? "it is a FIFO without a reader: start one"
					    : "name a file in a directory that can be written to");
}

static int run_up(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static struct up up; /* too large for the stack */
	struct up *u = &up;
	int code;

	(void)w;
	u->cli = cli;
	u->set = settings;
	code = check(u);
	code = code ? code : find_children(u);
	code = code ? code : open_run_dir(u);
	if (code)
		return code;
	make_argv(u);
	if (u->set->ready_fd) /* close-on-exec, so that its reader sees its end when we exit */
		fcntl((int)u->set->ready_fd, F_SETFD, FD_CLOEXEC);
	if (open_signals(u) == 0 && (code = open_log(u)) == 0) {
		mr_cli_output_open();
		supervise(u);
		code = u->code;
		close(u->signals);
	} else if (code == 0) {
		code = mr_cli_fail(cli, MR_EXIT_FAILED, "signals", strerror(errno), NULL);
	}
	mr_cli_rundir_close(&u->dir);
	mr_cli_output_close();
	mr_cli_log_file_close();
	return code;
}

static const struct mr_cli_option options_[] = {
	{.name = "config",
		.letter = 'c',
		.type = MR_CLI_TEXT,
		.value = "FILE",
		.offset = offsetof(struct settings, config),
		.help = "configuration of both processes (default: none)"},
	{.name = "run-dir",
		.letter = 'd',
		.type = MR_CLI_TEXT,
		.value = "DIR",
		.offset = offsetof(struct settings, run_dir),
		.help = "directory of the sockets; created if missing (default: as above)"},
	{.name = "workers",
		.letter = 'w',
		.type = MR_CLI_COUNT,
		.value = "N",
		.offset = offsetof(struct settings, workers),
		.min = 1,
		.max = 32,
		.help = "number of workers (default 1); key workers.count"},
	{.name = "cpus",
		.type = MR_CLI_TEXT,
		.value = "LIST",
		.offset = offsetof(struct settings, cpus),
		.help = "pin the workers to these CPUs, such as 0,2-4; key workers.cpus"},
	{.name = "poll",
		.type = MR_CLI_TEXT,
		.value = "HOW",
		.offset = offsetof(struct settings, poll),
		.choices = "adaptive|busy|auto",
		.help = "idle workers sleep (adaptive, the default; auto is the same), or "
			"never sleep (busy); key workers.poll"},
	{.name = "port",
		.letter = 'p',
		.type = MR_CLI_WORDS,
		.value = "PORT",
		.offset = offsetof(struct settings, ports),
		.help = "open a port: af_xdp, memif, tap or pci, then key=value,...: see "
			"`man millrace.yaml`; may be given 8 times; key ports.open"},
	{.name = "multicast",
		.type = MR_CLI_WORDS,
		.value = "RANGE",
		.offset = offsetof(struct settings, multicast),
		.help = "send to multicast groups of RANGE, such as 239.7.0.0/16,prefix=market., "
			"what subscribers ask to receive so; may be given 8 times; key "
			"multicast.ranges"},
	{.name = "set",
		.type = MR_CLI_WORDS,
		.value = "KEY=VALUE",
		.offset = offsetof(struct settings, sets),
		.help = "set any key of the configuration; may be repeated"},
	{.name = "log-file",
		.type = MR_CLI_TEXT,
		.value = "FILE",
		.offset = offsetof(struct settings, log_file),
		.help = "append the log to FILE instead of standard error; SIGUSR1 opens it again"},
	{.name = "ready-fd",
		.type = MR_CLI_COUNT,
		.value = "N",
		.offset = offsetof(struct settings, ready_fd),
		.min = 1,
		.max = 65535,
		.help = "write the address to descriptor N when the bus is up"},
	{0},
};

const struct mr_cli_verb mr_cli_up = {
	.name = "up",
	.summary = "run a bus: data plane and control, in the foreground",
	.operands = "",
	.details = "Starts millrace-dataplane and millrace-control, and prints one line when\n"
		   "clients can attach. If one of them dies, it is started again while the other\n"
		   "one keeps running. Ctrl-C or SIGTERM stops both; a process that has not\n"
		   "stopped after 5 s is killed. SIGHUP stops nothing.\n"
		   "\n"
		   "Without --run-dir the sockets are in /run/millrace for root, otherwise in\n"
		   "$XDG_RUNTIME_DIR/millrace, or in /tmp/millrace-UID if that variable is not\n"
		   "set. The other verbs look there by default.",
	.examples = "  millrace up\n"
		    "  millrace up --workers 2 --cpus 2,3 --poll busy\n"
		    "  millrace up --port af_xdp,interface=eth1,address=10.0.0.1/24\n"
		    "  millrace up --config /etc/millrace.yaml --run-dir /run/bus1",
	.options = options_,
	.settings_bytes = sizeof(struct settings),
	.bus = MR_CLI_BUS_MADE,
	.run = run_up,
};
