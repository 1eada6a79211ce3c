/* SPDX-License-Identifier: Apache-2.0 */
/* sim: runs of the simulation, one seed after the other.
 *
 *   sim [--seeds FILE] [--alone N] [--first N] [--seconds N | --steps N] [--cover N]
 *   sim --seed N [--trace | --hash]
 *
 *   --seconds N    ends after that much real time; default 10
 *   --steps N      ends after that many events instead
 *   --seed N       makes only this run; with --trace it prints the events
 *   --first N      the seed of the first run; default: from the date, so that each day tries others
 *   --seeds FILE   first tries the seeds in the file, one a line: those that found a fault before
 *   --alone N      makes the next N runs also in processes of their own: they must go the same way
 *   --cover N      goes on, up to N seconds, until each verb and fault has happened, and fails if
 *                  one never has
 *   --hash         prints the hash of the run's trace alone
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

/* Runs left that are made alone too. */
static uint64_t alone_left;

/* Makes the run in a new process, with `out` as its output. */
static void exec_alone(uint64_t seed, const int out[2])
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, seed);
	if (dup2(out[1], STDOUT_FILENO) >= 0)
		execl("/proc/self/exe", "sim", "--hash", "--seed", text, (char *)NULL);
	perror("sim");
	_exit(2);
}

/* Returns the hash of the run, made in a process of its own. */
static uint64_t hash_alone(uint64_t seed)
{
	uint64_t hash;
	int ends[2], status = -1;
	pid_t child;
	FILE *f;

	if (pipe(ends) != 0 || (child = fork()) < 0) {
		perror("sim");
		exit(2);
	}
	if (child == 0)
		exec_alone(seed, ends);
	close(ends[1]);
	f = fdopen(ends[0], "r");
	if (f == NULL || fscanf(f, "%" SCNx64, &hash) != 1 || fclose(f) != 0 ||
		waitpid(child, &status, 0) != child || status != 0) {
		fprintf(stderr, "seed %" PRIu64 " fails alone, and not after others\n", seed);
		exit(1);
	}
	return hash;
}

/* Nothing of a run outlives it: it goes the same way alone and after others. */
static uint64_t run(uint64_t seed)
{
	uint64_t hash = program_run(seed), alone;

	if (alone_left == 0)
		return hash;
	alone_left--;
	alone = hash_alone(seed);
	if (alone == hash)
		return hash;
	fprintf(stderr,
		"seed %" PRIu64 ": its trace is %016" PRIx64 " alone, and %016" PRIx64
		" after others\n",
		seed, alone, hash);
	exit(1);
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
			(void)run(seed);
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
		{"alone", required_argument, NULL, 'a'},
		{"cover", required_argument, NULL, 'c'},
		{"hash", no_argument, NULL, 'h'},
		{"trace", no_argument, NULL, 'v'},
		{0},
	};
	double start = real_seconds(), seconds = 10;
	uint64_t most = 0, seed = 0, first = (uint64_t)time(NULL) / 86400 * 1000000;
	bool hash_only = false;
	double cover_seconds = 0;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 't': seconds = atof(optarg); break;
		case 'n': most = strtoull(optarg, NULL, 10); break;
		case 's': seed = strtoull(optarg, NULL, 10); break;
		case 'f': first = strtoull(optarg, NULL, 10); break;
		case 'F': run_file(optarg); break;
		case 'a': alone_left = strtoull(optarg, NULL, 10); break;
		case 'c': cover_seconds = atof(optarg); break;
		case 'h': hash_only = true; break;
		case 'v': world_traced = true; break;
		default: return 2;
		}
	}
	if (hash_only) {
		printf("%016" PRIx64 "\n", run(seed));
		return 0;
	}
	if (seed != 0)
		(void)run(seed);
	else
		while (most != 0 ? world_steps() < most : real_seconds() - start < seconds)
			(void)run(first++);
	while (!cover_is_whole() && real_seconds() - start < cover_seconds)
		(void)run(first++);
	report(real_seconds() - start);
	return cover_seconds > 0 && !cover_is_whole();
}
