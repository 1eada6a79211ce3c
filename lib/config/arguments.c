/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#define SETS_MAX 64u

struct arguments {
	const char *config;
	const char *sets[SETS_MAX];
	size_t sets_count;
	char run_dir[PATH_MAX + 16];
};

static void help(FILE *to, const char *program, const char *purpose)
{
	fprintf(to,
		"Usage: %s [--config FILE] [--run-dir DIR] [--set KEY=VALUE]...\n"
		"\n"
		"%s\n"
		"  --config FILE     configuration; docs/millrace.yaml describes every key\n"
		"  --run-dir DIR     directory of the sockets (key run_dir)\n"
		"  --set KEY=VALUE   set one key; wins over the file\n"
		"  --help, --version\n"
		"\n"
		"Exit status: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong usage or "
		"configuration.\n",
		program, purpose);
}

/* Returns 0 to go on, 'h' or 'V' for --help or --version, or -EINVAL. */
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
		if (o == 'h' || o == 'V')
			return o;
		if (o == 'c')
			a->config = optarg;
		else if (o == 'r')
			snprintf(a->run_dir, sizeof(a->run_dir), "run_dir=%s", optarg);
		else if (o == 's' && a->sets_count < SETS_MAX - 1)
			a->sets[a->sets_count++] = optarg;
		else
			return -EINVAL;
	}
	if (optind != argc)
		return -EINVAL;
	/* --run-dir comes last, so that it wins over a --set of the same key. */
	if (a->run_dir[0] != '\0')
		a->sets[a->sets_count++] = a->run_dir;
	return 0;
}

int mr_arguments_load(int argc, char **argv, const char *program, const char *purpose,
	struct mr_config *config, int *status)
{
	struct arguments a = {0};
	char error[512];
	int found = parse(argc, argv, &a);

	*status = found < 0 ? 2 : 0;
	if (found == 'V')
		printf("%s %s\n", program, MR_VERSION);
	else if (found != 0)
		help(found < 0 ? stderr : stdout, program, purpose);
	if (found != 0)
		return 1;
	if (mr_config_load(config, a.config, a.sets, a.sets_count, error, sizeof(error)) == 0)
		return 0;
	fprintf(stderr, "%s: %s\n", program, error);
	*status = 2;
	return 1;
}
