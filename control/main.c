/* SPDX-License-Identifier: Apache-2.0 */
/* millrace-control: the slow path. Arguments, configuration, privileges; the rest is control.c. */
#include <getopt.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "control/control.h"
#include "dataplane/base/files.h"
#include "dataplane/base/log.h"

#define SETS_MAX 64u

static const char help[] =
	"Usage: millrace-control [--config FILE] [--run-dir DIR] [--set KEY=VALUE]...\n"
	"\n"
	"Admits clients, changes tables, answers the command line. Usually started by `millrace up`\n"
	"or by the system's service manager. It may be stopped and started again at any time: messages\n"
	"go on without it.\n"
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
			puts("millrace-control " MR_VERSION);
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

int main(int argc, char **argv)
{
	static struct mr_config config;
	static struct mr_control control;
	struct arguments a = {0};
	char error[512];
	int status = parse(argc, argv, &a);

	if (status != 0)
		return status - 1;
	if (mr_config_load(&config, a.config, a.sets, a.sets_count, error, sizeof(error)) != 0) {
		fprintf(stderr, "millrace-control: %s\n", error);
		return 2;
	}
	mr_log_init("millrace-control", (enum mr_log_level)config.log.level, config.log.json);
	/* Nothing that control runs or becomes may ever have more rights than it has now. */
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)mr_files_limit_raise();
	if (mr_control_open(&control, &config) != 0)
		return 1;
	mr_control_run(&control);
	mr_control_close(&control);
	mr_log(MR_LOG_INFO, "control stopped");
	return 0;
}
