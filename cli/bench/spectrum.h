/* SPDX-License-Identifier: Apache-2.0 */
/* spectrum: prints the latencies of a prober, as lines of a table or as JSON.
 *
 * Threads   The main thread.
 */
#ifndef MILLRACE_CLI_BENCH_SPECTRUM_H
#define MILLRACE_CLI_BENCH_SPECTRUM_H

#include "cli/bench/prober.h"

/* Prints the head of the table. */
void mr_spectrum_head(const struct mr_probe_plan *plan, bool udp);
/* Prints the line of an interval that ended `seconds` after the start. */
void mr_spectrum_print(const struct mr_probe_tally *t, double seconds, bool json);
/* Prints the total of a run of `seconds`, with its histogram. */
void mr_spectrum_total(const struct mr_probe_tally *t, const struct mr_probe_plan *plan, bool udp,
	double seconds, bool json);

/* Formats a latency: "12.3us", "4.56ms", "1.20s". */
#define MR_SPECTRUM_TIME_BYTES 32
void mr_spectrum_time(char out[MR_SPECTRUM_TIME_BYTES], uint64_t ns);

#endif
