/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cli/stats.h"

#include <string.h>

#include "dataplane/base/compiler.h"

/* The names of struct mrf_worker_stats, in its order. */
static const char *const names[] = {
	"loops",
	"busy_cycles",
	"idle_cycles",
	"sleeps",
	"bells",
	"rx_messages",
	"rx_bytes",
	"tx_messages",
	"tx_bytes",
	"published",
	"delivered",
	"replied",
	"mesh_tx_frames",
	"mesh_tx_messages",
	"mesh_rx_frames",
	"mesh_rx_messages",
	"mesh_stalls",
	"handoff_tx",
	"handoff_rx",
	"route_hits",
	"route_misses",
	"route_evictions",
	"drop_unrouted",
	"drop_receiver_full",
	"drop_group_full",
	"drop_session_gone",
	"drop_stale_token",
	"drop_reply_full",
	"drop_bad_alias",
	"drop_bad_subject",
	"drop_bad_message",
	"drop_mesh_full",
	"drop_handoff_full",
	"drop_bad_handoff",
	"drop_control_full",
	"channel_corrupt",
};

_Static_assert(MR_ARRAY_COUNT(names) * sizeof(uint64_t) == sizeof(struct mrf_worker_stats),
	"every statistic has its name here");

static uint64_t value_at(const struct mrf_worker_stats *s, size_t index)
{
	uint64_t value;

	memcpy(&value, (const char *)s + index * sizeof(value), sizeof(value));
	return value;
}

uint64_t mr_cli_stats_dropped(const struct mrf_worker_stats *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < MR_ARRAY_COUNT(names); i++) {
		if (strncmp(names[i], "drop_", 5) == 0)
			sum += value_at(s, i);
	}
	return sum;
}

void mr_cli_stats_json(json_t *object, const struct mrf_worker_stats *s)
{
	for (size_t i = 0; i < MR_ARRAY_COUNT(names); i++)
		json_object_set_new(object, names[i], json_integer((json_int_t)value_at(s, i)));
}
