/* SPDX-License-Identifier: Apache-2.0 */
/* stats: the sum of a worker's drop counters, and whole statistics as JSON. */
#ifndef MILLRACE_CLI_STATS_H
#define MILLRACE_CLI_STATS_H

#include <jansson.h>

#include "flatbuf/stats.h"

/* Returns the number of discarded messages, for all reasons. */
uint64_t mr_cli_stats_dropped(const struct mrf_worker_stats *s);
/* Sets every statistic of a structure under its name. */
void mr_cli_stats_json(
	json_t *object, const struct mrf_member *members, size_t count, const void *stats);

#endif
