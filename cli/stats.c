/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stats.h"

#include <assert.h>
#include <string.h>

static uint64_t value_of(const void *s, const struct mrf_member *m)
{
	uint64_t value;

	memcpy(&value, (const char *)s + m->offset, sizeof(value));
	return value;
}

uint64_t mr_cli_stats_dropped(const struct mrf_worker_stats *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < MRF_WORKER_STATS_MEMBERS_COUNT; i++) {
		if (strncmp(mrf_worker_stats_members[i].name, "drop_", 5) == 0)
			sum += value_of(s, &mrf_worker_stats_members[i]);
	}
	return sum;
}

/* True for a statistic that gets a column of its own. */
static bool is_added(const struct mrf_member *m, const struct mr_cli_column *own, size_t own_count)
{
	for (size_t i = 0; i < own_count; i++) {
		if (own[i].key && strcmp(own[i].key, m->name) == 0)
			return false;
	}
	return strncmp(m->name, "reserved", strlen("reserved")) != 0;
}

size_t mr_cli_stats_columns(struct mr_cli_column out[MR_CLI_COLUMNS_MAX],
	const struct mr_cli_column *own, size_t own_count, const struct mr_cli_stats *stats,
	size_t stats_count)
{
	size_t count = own_count;

	memcpy(out, own, own_count * sizeof(*own));
	for (size_t s = 0; s < stats_count; s++) {
		for (size_t i = 0; i < stats[s].members_count; i++) {
			const struct mrf_member *m = &stats[s].members[i];

			assert(count < MR_CLI_COLUMNS_MAX);
			if (is_added(m, own, own_count))
				out[count++] =
					(struct mr_cli_column){.key = m->name, .right = true};
		}
	}
	return count;
}

void mr_cli_stats_cells(struct mr_cli_table *t, const struct mr_cli_column *own, size_t own_count,
	const struct mr_cli_stats *stats, const void *values, size_t values_bytes)
{
	for (size_t i = 0; i < stats->members_count; i++) {
		const struct mrf_member *m = &stats->members[i];

		if (!is_added(m, own, own_count))
			continue;
		if (m->offset + m->bytes <= values_bytes)
			mr_cli_table_count(t, value_of(values, m));
		else
			mr_cli_table_none(t);
	}
}
