/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/micro/support/bench.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define ROUNDS_MAX 1000u

void bench_check(int error, const char *what)
{
	if (error >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-error));
	exit(2);
}

static cpu_set_t allowed_cpus(void)
{
	static cpu_set_t allowed;
	static bool known;

	/* Asked once: a pinned thread would be told only its own CPU. */
	if (!known && sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		bench_check(-errno, "sched_getaffinity");
	known = true;
	return allowed;
}

unsigned bench_cpus(void)
{
	cpu_set_t allowed = allowed_cpus();

	return (unsigned)CPU_COUNT(&allowed);
}

void bench_pin(unsigned index)
{
	cpu_set_t allowed = allowed_cpus(), one;
	unsigned nth = index % bench_cpus();

	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && nth-- == 0) {
			CPU_SET(cpu, &one);
			break;
		}
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		bench_check(-errno, "sched_setaffinity");
}

static double measure_clock(void)
{
	uint64_t ns = bench_ns(), cycles = bench_cycles(), now;

	do {
		now = bench_ns();
	} while (now - ns < 50 * 1000 * 1000);
	return (double)(bench_cycles() - cycles) / (double)(now - ns);
}

/* Reads the first line of a file, or the text after "key : " in it. */
static void read_line(const char *path, const char *key, char *to, size_t bytes)
{
	FILE *f = fopen(path, "r");
	char line[256];

	snprintf(to, bytes, "unknown");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		const char *value = line;

		if (key != NULL) {
			value = strchr(line, ':');
			if (strncmp(line, key, strlen(key)) != 0 || value == NULL)
				continue;
			value += strspn(value, ": \t");
		}
		snprintf(to, bytes, "%.*s", (int)strcspn(value, "\n"), value);
		break;
	}
	if (f != NULL)
		fclose(f);
}

static json_t *describe_machine(const struct bench *b)
{
	char model[128], governor[64];
	struct utsname u;

	uname(&u);
	read_line("/proc/cpuinfo", "model name", model, sizeof(model));
	read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", NULL, governor,
		sizeof(governor));
	return json_pack("{s:s, s:i, s:s, s:s, s:f}", "cpu", model, "cpus", (int)bench_cpus(),
		"kernel", u.release, "governor", governor, "tsc_ghz", b->cycles_per_ns);
}

static void print_object(const char *title, json_t *object)
{
	const char *key;
	json_t *value;

	printf("# %s:", title);
	json_object_foreach(object, key, value)
	{
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(4));

		printf(" %s=%s", key, text);
		free(text);
	}
	printf("\n");
}

static void explain(FILE *f, const struct bench_option *o)
{
	if (o->value == NULL)
		fprintf(f, "  --%-14s %s (default %s)\n", o->name, o->help,
			*o->text != NULL ? *o->text : "none");
	else
		fprintf(f, "  --%-14s %s (%ju to %ju, default %ju)\n", o->name, o->help,
			(uintmax_t)o->min, (uintmax_t)o->max, (uintmax_t)*o->value);
}

static void usage(const char *name, const struct bench_option *options, size_t count, int status)
{
	FILE *f = status == 0 ? stdout : stderr;

	fprintf(f, "usage: %s [--rounds N] [--json] [--raw]", name);
	for (size_t i = 0; i < count; i++)
		fprintf(f, " [--%s %s]", options[i].name, options[i].value != NULL ? "N" : "TEXT");
	fprintf(f, "\n");
	for (size_t i = 0; i < count; i++)
		explain(f, &options[i]);
	exit(status);
}

static bool take_value(const struct bench_option *o, const char *text)
{
	char *end;

	if (text != NULL && o->value == NULL) {
		*o->text = text;
		return true;
	}
	if (text == NULL || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*o->value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && *o->value >= o->min && *o->value <= o->max;
}

static void take_options(struct bench *b, const char *name, char **argv,
	const struct bench_option *options, size_t count)
{
	const struct bench_option rounds = {"rounds", &b->rounds, 1, ROUNDS_MAX, NULL};

	for (argv++; *argv != NULL; argv++) {
		const struct bench_option *found = NULL;
		const char *word = *argv;

		if (strcmp(word, "--help") == 0)
			usage(name, options, count, 0);
		if (strcmp(word, "--json") == 0 || strcmp(word, "--raw") == 0) {
			*(word[2] == 'j' ? &b->json : &b->raw) = true;
			continue;
		}
		if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, rounds.name) == 0)
			found = &rounds;
		for (size_t i = 0; i < count && found == NULL; i++)
			if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, options[i].name) == 0)
				found = &options[i];
		if (found == NULL || !take_value(found, *++argv))
			usage(name, options, count, 2);
	}
}

static json_t *parameter(const struct bench_option *o)
{
	if (o->value != NULL)
		return json_integer((json_int_t)*o->value);
	return *o->text != NULL ? json_string(*o->text) : json_null();
}

void bench_open(struct bench *b, const char *name, int argc, char **argv,
	const struct bench_option *options, size_t options_count)
{
	json_t *parameters = json_object();

	*b = (struct bench){.rounds = 7};
	if (argc > 1)
		take_options(b, name, argv, options, options_count);
	json_object_set_new(parameters, "rounds", json_integer((json_int_t)b->rounds));
	json_object_set_new(parameters, "warmup_rounds", json_integer(1));
	for (size_t i = 0; i < options_count; i++)
		json_object_set_new(parameters, options[i].name, parameter(&options[i]));
	b->cycles_per_ns = measure_clock();
	b->results = json_array();
	b->out = json_pack("{s:s, s:o, s:o, s:o}", "bench", name, "machine", describe_machine(b),
		"parameters", parameters, "results", b->results);
	if (b->json)
		return;
	printf("# %s\n", name);
	print_object("machine", json_object_get(b->out, "machine"));
	print_object("parameters", parameters);
	fflush(stdout);
}

void bench_close(struct bench *b)
{
	if (b->json) {
		json_dumpf(b->out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		printf("\n");
	}
	json_decref(b->out);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile(const double *sorted, size_t count, double p)
{
	return sorted[(size_t)(p * (double)(count - 1) + 0.5)];
}

static void add_raw(json_t *result, const double *samples, size_t count)
{
	json_t *raw = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(raw, json_real(samples[i]));
	json_object_set_new(result, "raw", raw);
}

static void print_raw(const struct bench *b, const double *samples, size_t count)
{
	if (b->json || !b->raw)
		return;
	for (size_t i = 0; i < count; i++)
		printf("%s%.1f", i == 0 ? "    raw " : " ", samples[i]);
	printf("\n");
}

/* Keeps raw samples in the order in which they were taken. */
static json_t *new_result(
	struct bench *b, const char *label, const char *unit, double *samples, size_t count)
{
	json_t *result = json_pack("{s:s, s:s}", "label", label, "unit", unit);

	print_raw(b, samples, count);
	if (b->raw)
		add_raw(result, samples, count);
	qsort(samples, count, sizeof(*samples), compare);
	json_array_append_new(b->results, result);
	return result;
}

void bench_report(
	struct bench *b, const char *label, const char *unit, double *samples, size_t count)
{
	json_t *result = new_result(b, label, unit, samples, count);
	double median = percentile(samples, count, 0.5);

	json_object_set_new(result, "median", json_real(median));
	json_object_set_new(result, "min", json_real(samples[0]));
	json_object_set_new(result, "max", json_real(samples[count - 1]));
	if (b->json)
		return;
	printf("%-40s %14.1f %s (%.1f to %.1f)", label, median, unit, samples[0],
		samples[count - 1]);
	if (strcmp(unit, "cycles") == 0)
		printf(" %10.2f ns", median / b->cycles_per_ns);
	printf("\n");
	fflush(stdout);
}

void bench_report_cycles(struct bench *b, const char *label, double *samples, size_t count)
{
	json_t *result;

	bench_report(b, label, "cycles", samples, count);
	result = json_array_get(b->results, json_array_size(b->results) - 1);
	json_object_set_new(
		result, "median_ns", json_real(percentile(samples, count, 0.5) / b->cycles_per_ns));
}

void bench_report_latency(struct bench *b, const char *label, double *cycles, size_t count)
{
	static const struct {
		const char *name;
		double p;
	} points[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1.0}};
	json_t *result = new_result(b, label, "ns", cycles, count);

	if (!b->json)
		printf("%-40s", label);
	for (size_t i = 0; i < MR_ARRAY_COUNT(points); i++) {
		double ns = percentile(cycles, count, points[i].p) / b->cycles_per_ns;

		json_object_set_new(result, points[i].name, json_real(ns));
		if (!b->json)
			printf(" %s %.0f", points[i].name, ns);
	}
	if (!b->json)
		printf(" ns\n");
	fflush(stdout);
}

void bench_measure(struct bench *b, const char *label, uint64_t operations,
	uint64_t (*run)(void *context), void *context)
{
	double samples[ROUNDS_MAX];

	run(context);
	for (uint64_t i = 0; i < b->rounds; i++)
		samples[i] = (double)run(context) / (double)operations;
	bench_report_cycles(b, label, samples, b->rounds);
}
