/* SPDX-License-Identifier: Apache-2.0 */
/* stats: the sum of a worker's drop counters, and whole statistics as columns of a table. */
#ifndef MILLRACE_CLI_STATS_H
#define MILLRACE_CLI_STATS_H

#include "cli/table.h"
#include "flatbuf/stats.h"

/* Returns the number of discarded messages, for all reasons. */
uint64_t mr_cli_stats_dropped(const struct mrf_worker_stats *s);
/* A structure of statistics, and its description. */
struct mr_cli_stats {
	const struct mrf_member *members;
	size_t members_count;
};

/* Copies `own` and adds a column without title for each statistic that is none of them. Returns the
 * number of all columns. */
size_t mr_cli_stats_columns(struct mr_cli_column out[MR_CLI_COLUMNS_MAX],
	const struct mr_cli_column *own, size_t own_count, const struct mr_cli_stats *stats,
	size_t stats_count);
/* Adds the cells of the columns that mr_cli_stats_columns added for one structure. Its first
 * `values_bytes` bytes are there; an older control has no further statistics, and their cells are
 * empty. */
void mr_cli_stats_cells(struct mr_cli_table *t, const struct mr_cli_column *own, size_t own_count,
	const struct mr_cli_stats *stats, const void *values, size_t values_bytes);

#endif
