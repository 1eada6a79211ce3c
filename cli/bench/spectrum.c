/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/spectrum.h"

#include <inttypes.h>
#include <jansson.h>

#include "cli/text.h"
#include "lib/base/compiler.h"

#define BAR_WIDTH 40

static const char *const modes[] = {"pubsub", "request", "queue"};
static const char *const titles[] = {"publish-subscribe", "request-reply", "queue"};

static const struct percentile {
	const char *key;
	double quantile;
} percentiles[] = {
	{"p50", 0.5},
	{"p90", 0.9},
	{"p99", 0.99},
	{"p999", 0.999},
	{"p9999", 0.9999},
};
/* Percentiles of a line; the total has all. */
#define LINE_PERCENTILES 4u

void mr_spectrum_time(char out[MR_SPECTRUM_TIME_BYTES], uint64_t ns)
{
	if (ns < 999950)
		snprintf(out, MR_SPECTRUM_TIME_BYTES, "%.1fus", (double)ns / 1e3);
	else if (ns < 999995000)
		snprintf(out, MR_SPECTRUM_TIME_BYTES, "%.2fms", (double)ns / 1e6);
	else
		snprintf(out, MR_SPECTRUM_TIME_BYTES, "%.2fs", (double)ns / 1e9);
}

static json_t *count_json(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static void set_tally(json_t *o, const struct mr_probe_tally *t, unsigned count)
{
	json_t *latency = t->received > 0 ? json_object() : json_null();

	json_object_set_new(o, "probes", count_json(t->probes));
	json_object_set_new(o, "received", count_json(t->received));
	json_object_set_new(o, "lost", count_json(t->lost));
	json_object_set_new(o, "late", count_json(t->late));
	json_object_set_new(o, "duplicates", count_json(t->duplicates));
	json_object_set_new(o, "corrupt", count_json(t->corrupt));
	json_object_set_new(o, "own_delay_ns_max", count_json(t->own_delay_ns_max));
	json_object_set_new(o, "latency_ns", latency);
	if (t->received == 0)
		return;
	json_object_set_new(latency, "min", count_json(t->latencies.min));
	for (unsigned i = 0; i < count; i++)
		json_object_set_new(latency, percentiles[i].key,
			count_json(mr_histogram_at(&t->latencies, percentiles[i].quantile)));
	json_object_set_new(latency, "max", count_json(t->latencies.max));
}

void mr_spectrum_head(const struct mr_probe_plan *plan, bool udp)
{
	printf("millrace latency: %s, %s, %zu bytes, %g probes/s\n", udp ? "udp" : "shm",
		titles[plan->mode], plan->bytes, plan->rate);
	printf("%9s %8s %7s %9s %9s %9s %9s %9s\n", "TIME", "PROBES", "LOST", "P50", "P90", "P99",
		"P99.9", "MAX");
}

static void print_line_json(const struct mr_probe_tally *t, double seconds)
{
	json_t *o = json_object();

	json_object_set_new(o, "kind", json_string("interval"));
	json_object_set_new(o, "seconds", json_real(seconds));
	set_tally(o, t, LINE_PERCENTILES);
	mr_cli_text_json_line(o);
}

/* Prints a latency in its column, or "-" if nothing was received. */
static void print_cell(const struct mr_probe_tally *t, uint64_t ns)
{
	char text[MR_SPECTRUM_TIME_BYTES] = "-";

	if (t->received > 0)
		mr_spectrum_time(text, ns);
	printf(" %9s", text);
}

void mr_spectrum_print(const struct mr_probe_tally *t, double seconds, bool json)
{
	if (json) {
		print_line_json(t, seconds);
		return;
	}
	printf("%8.1fs %8" PRIu64 " %7" PRIu64, seconds, t->probes, t->lost);
	for (unsigned i = 0; i < LINE_PERCENTILES; i++)
		print_cell(t, mr_histogram_at(&t->latencies, percentiles[i].quantile));
	print_cell(t, t->latencies.max);
	putchar('\n');
}

/* Returns the upper end of row `row` of the histogram: 1, 2 and 5 us of each power of ten. */
static uint64_t row_end(unsigned row)
{
	static const uint64_t steps[] = {1000, 2000, 5000};
	uint64_t end = steps[row % MR_ARRAY_COUNT(steps)];

	for (unsigned i = 0; i < row / MR_ARRAY_COUNT(steps); i++)
		end *= 10;
	return end;
}

/* Calls `row` for the rows from the first to the last one with values. */
static void for_rows(const struct mr_histogram *h,
	void (*row)(uint64_t end_ns, uint64_t count, double share, void *arg), void *arg)
{
	uint64_t before = 0;

	for (unsigned i = 0; before < h->total; i++) {
		uint64_t up_to = mr_histogram_up_to(h, row_end(i));

		if (up_to > 0)
			row(row_end(i), up_to - before, (double)(up_to - before) / (double)h->total,
				arg);
		before = up_to;
	}
}

static void add_row(uint64_t end_ns, uint64_t count, double share, void *arg)
{
	json_t *o = json_object();

	(void)share;
	json_object_set_new(o, "up_to_ns", count_json(end_ns));
	json_object_set_new(o, "probes", count_json(count));
	json_array_append_new(arg, o);
}

static void print_row(uint64_t end_ns, uint64_t count, double share, void *arg)
{
	static const char bar[BAR_WIDTH + 1] = "########################################";
	/* A row with values shows at least one mark. */
	int width = (int)(share * BAR_WIDTH + 0.5);
	char text[MR_SPECTRUM_TIME_BYTES];

	(void)arg;
	mr_spectrum_time(text, end_ns);
	printf("%9s %8" PRIu64 " %6.2f%% %.*s\n", text, count, share * 100,
		width ? width : count > 0, bar);
}

static void print_total_json(
	const struct mr_probe_tally *t, const struct mr_probe_plan *plan, bool udp, double seconds)
{
	json_t *o = json_object(), *rows = json_array();

	json_object_set_new(o, "kind", json_string("total"));
	json_object_set_new(o, "transport", json_string(udp ? "udp" : "shm"));
	json_object_set_new(o, "mode", json_string(modes[plan->mode]));
	json_object_set_new(o, "payload_bytes", count_json(plan->bytes));
	json_object_set_new(o, "rate", json_real(plan->rate));
	json_object_set_new(o, "timeout_ms", count_json(plan->timeout_ms));
	json_object_set_new(o, "seconds", json_real(seconds));
	set_tally(o, t, MR_ARRAY_COUNT(percentiles));
	for_rows(&t->latencies, add_row, rows);
	json_object_set_new(o, "histogram", rows);
	mr_cli_text_json_line(o);
}

static void print_total(const struct mr_probe_tally *t, double seconds)
{
	char text[MR_SPECTRUM_TIME_BYTES];

	printf("\n%" PRIu64 " probes in %.1f s: %" PRIu64 " received, %" PRIu64 " lost, %" PRIu64
	       " late\n",
		t->probes, seconds, t->received, t->lost, t->late);
	if (t->duplicates || t->corrupt)
		printf("%" PRIu64 " came twice, %" PRIu64 " damaged\n", t->duplicates, t->corrupt);
	mr_spectrum_time(text, t->own_delay_ns_max);
	printf("sent at most %s late\n", text);
	if (t->received == 0)
		return;
	mr_spectrum_time(text, t->latencies.min);
	printf("latency: min %s", text);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(percentiles); i++) {
		mr_spectrum_time(text, mr_histogram_at(&t->latencies, percentiles[i].quantile));
		printf("  p%g %s", percentiles[i].quantile * 100, text);
	}
	mr_spectrum_time(text, t->latencies.max);
	printf("  max %s\n\n%9s %8s\n", text, "UP TO", "PROBES");
	for_rows(&t->latencies, print_row, NULL);
}

void mr_spectrum_total(const struct mr_probe_tally *t, const struct mr_probe_plan *plan, bool udp,
	double seconds, bool json)
{
	if (json)
		print_total_json(t, plan, udp, seconds);
	else
		print_total(t, seconds);
}
