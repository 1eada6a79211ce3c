/* SPDX-License-Identifier: Apache-2.0 */
/* millrace-dataplane: opens everything in order, runs, closes everything in reverse. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "control/config/config.h"
#include "dataplane/base/log.h"
#include "dataplane/eal.h"
#include "dataplane/writer/writer.h"

#define SETS_MAX 64

static const char help[] =
	"Usage: millrace-dataplane [--config FILE] [--run-dir DIR] [--set KEY=VALUE]...\n"
	"\n"
	"Moves the messages. Usually started by `millrace up` or by the system's service manager.\n"
	"\n"
	"  --config FILE     configuration; docs/millrace.yaml describes every key\n"
	"  --run-dir DIR     where the sockets are (key run_dir)\n"
	"  --set KEY=VALUE   one key of the configuration, over the file\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong usage or configuration.\n";

struct arguments {
	const char *config;
	const char *sets[SETS_MAX];
	size_t sets_count;
	char run_dir[512];
};

/* 0 to go on, else the exit status plus one. */
static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"run-dir", required_argument, NULL, 'r'},
		{"set", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'c') {
			a->config = optarg;
		} else if (o == 'r') {
			snprintf(a->run_dir, sizeof(a->run_dir), "run_dir=%s", optarg);
		} else if (o == 's' && a->sets_count < SETS_MAX - 1) {
			a->sets[a->sets_count++] = optarg;
		} else if (o == 'h') {
			fputs(help, stdout);
			return 1;
		} else if (o == 'V') {
			puts("millrace-dataplane " MR_VERSION);
			return 1;
		} else {
			fputs(help, stderr);
			return 3;
		}
	}
	if (optind != argc) {
		fputs(help, stderr);
		return 3;
	}
	if (a->run_dir[0] != '\0')
		a->sets[a->sets_count++] = a->run_dir;
	return 0;
}

/* Before there are threads, so that all of them leave these signals to the writer. */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void run_workers(struct mr_writer *wr)
{
	for (unsigned i = 0; i < wr->workers_count; i++)
		rte_eal_remote_launch(mr_worker_run, wr->workers[i], 1 + i);
	mr_log(MR_LOG_INFO, "data plane runs", MR_LOG_U64("workers", wr->workers_count),
		MR_LOG_STR("run_dir", wr->config->run_dir));
}

static void stop_workers(struct mr_writer *wr)
{
	for (unsigned i = 0; i < wr->workers_count; i++)
		mr_worker_stop(wr->workers[i]);
	rte_eal_mp_wait_lcore();
}

static int make_run_dir(const char *path)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	mr_log(MR_LOG_ERROR, "cannot make the run directory", MR_LOG_STR("path", path),
		MR_LOG_ERR(-errno));
	return -errno;
}

int main(int argc, char **argv)
{
	static struct mr_config config;
	static struct mr_writer writer;
	struct arguments a = {0};
	char error_text[512];
	int error = parse(argc, argv, &a);

	if (error != 0)
		return error - 1;
	if (mr_config_load(
		    &config, a.config, a.sets, a.sets_count, error_text, sizeof(error_text)) != 0) {
		fprintf(stderr, "millrace-dataplane: %s\n", error_text);
		return 2;
	}
	mr_log_init("millrace-dataplane", (enum mr_log_level)config.log.level, config.log.json);
	block_signals();
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (make_run_dir(config.run_dir) != 0 || mr_eal_open(&config) != 0)
		return 1;
	error = mr_writer_open(&writer, &config);
	if (error == 0) {
		run_workers(&writer);
		error = mr_writer_run(&writer);
		stop_workers(&writer);
		mr_writer_close(&writer);
		mr_log(MR_LOG_INFO, "data plane stopped");
	}
	mr_eal_close();
	return error == 0 ? 0 : 1;
}
