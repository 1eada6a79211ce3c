/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stats.h"

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

void mr_cli_stats_json(
	json_t *object, const struct mrf_member *members, size_t count, const void *stats)
{
	for (size_t i = 0; i < count; i++) {
		const struct mrf_member *m = &members[i];

		if (strncmp(m->name, "reserved", strlen("reserved")) != 0)
			json_object_set_new(
				object, m->name, json_integer((json_int_t)value_of(stats, m)));
	}
}
