/* SPDX-License-Identifier: Apache-2.0 */
/* sim: runs of the simulation, one seed after the other.
 *
 *   sim [--seeds FILE] [--seconds N
 *  --steps N] [--first N] [--seed N [--trace]]
 *
 *   --seconds N    ends after that much real time; default 10
 *   --steps N      ends after that many events instead
 *   --seed N       makes only this run; with --trace it prints the events
 *   --first N      the seed of the first run; default: from the date, so that each day tries others
 *   --seeds FILE   first tries the seeds in the file, one a line: those that found a fault before
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/cover.h"
#include "tests/sim/program.h"
#include "tests/sim/world.h"

static double real_seconds(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_file(const char *path)
{
	FILE *f = fopen(path, "r");
	uint64_t seed;
	char line[128];

	if (f == NULL) {
		perror(path);
		exit(2);
	}
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%" SCNu64, &seed) == 1)
			program_run(seed);
	fclose(f);
}

static void report(double seconds)
{
	const struct program_counts *n = &program_counts;

	printf("%" PRIu64 " runs, %" PRIu64 " steps in %.1f s: pushed %" PRIu64
	       ", handed out %" PRIu64 ", acked %" PRIu64 ", calls %" PRIu64
	       ", ended by time %" PRIu64 ", published %" PRIu64 ", queues bound %" PRIu64
	       ", processes killed %" PRIu64 ", frozen %" PRIu64 ", queues edited %" PRIu64
	       "; no fault\n",
		n->runs, world_steps(), seconds, n->pushed, n->handed, n->acked, n->calls, n->ended,
		n->published, n->bound, n->killed, n->frozen, n->edited);
	cover_print();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seconds", required_argument, NULL, 't'},
		{"steps", required_argument, NULL, 'n'},
		{"seed", required_argument, NULL, 's'},
		{"first", required_argument, NULL, 'f'},
		{"seeds", required_argument, NULL, 'F'},
		{"trace", no_argument, NULL, 'v'},
		{0},
	};
	double start = real_seconds(), seconds = 10;
	uint64_t most = 0, seed = 0, first = (uint64_t)time(NULL) / 86400 * 1000000;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 't': seconds = atof(optarg); break;
		case 'n': most = strtoull(optarg, NULL, 10); break;
		case 's': seed = strtoull(optarg, NULL, 10); break;
		case 'f': first = strtoull(optarg, NULL, 10); break;
		case 'F': run_file(optarg); break;
		case 'v': world_traced = true; break;
		default: return 2;
		}
	}
	if (seed != 0)
		program_run(seed);
	else
		while (most != 0 ? world_steps() < most : real_seconds() - start < seconds)
			program_run(first++);
	report(real_seconds() - start);
	return 0;
}
