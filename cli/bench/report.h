/* SPDX-License-Identifier: Apache-2.0 */
/* report: the result of a bench, as a table or as one JSON object. */
#ifndef MILLRACE_CLI_BENCH_REPORT_H
#define MILLRACE_CLI_BENCH_REPORT_H

#include "cli/bench/load.h"

struct mr_bench_report {
	const struct mr_bench_plan *plan;
	struct mr_bench_totals totals; /* whole run, with warm-up and drain */
	double seconds;                /* measured time */
	double warmup_seconds;
	double published_per_second;
	double delivered_per_second;
	double ticks_per_ns;
	unsigned workers;                 /* 0: unknown */
	double worker_cycles_per_message; /* negative: unknown */
	struct mr_histogram latency;      /* ticks */
};

void mr_bench_report_print(const struct mr_bench_report *r, bool colour);
void mr_bench_report_json(const struct mr_bench_report *r);

/* Formats "1.23 M" and similar: three digits and a unit. */
void mr_bench_report_quantity(double value, char *out, size_t out_bytes);

#endif
