/* SPDX-License-Identifier: Apache-2.0 */
/* dataplane: the memory that the data plane shares with control: statistics, and one hand-off
 * channel for each worker.
 *
 * Owns      Mappings and descriptors, from open to close.
 * Threads   The loop's. The data plane writes statistics meanwhile; each field is read atomically.
 * Errors    -EBADMSG: the descriptors or the layout contradict the welcome.
 */
#ifndef MILLRACE_CONTROL_DATAPLANE_H
#define MILLRACE_CONTROL_DATAPLANE_H

#include "lib/channel/channel.h"
#include "flatbuf/link.h"
#include "flatbuf/stats.h"

#define MR_DATAPLANE_WORKERS_MAX  32u
#define MR_DATAPLANE_FDS(workers) (1 + 4 * (workers))

struct mr_dataplane {
	uint32_t pid;
	uint32_t workers_count;
	uint32_t message_bytes_max;
	bool takes_pidfd;
	uint64_t started_ns;
	char version[32];
	const uint8_t *stats; /* NULL: not open */
	size_t stats_bytes;
	struct mrf_stats_header layout; /* checked copy */
	struct {
		struct mr_channel channel;
		const struct mr_worker_page *page;
	} workers[MR_DATAPLANE_WORKERS_MAX];
};

/* Takes over all descriptors, also on failure. Returns 0 or -errno. */
int mr_dataplane_open(
	struct mr_dataplane *d, struct mrf_table welcome, const int *fds, unsigned fds_count);
void mr_dataplane_close(struct mr_dataplane *d);

/* Copies statistics field by field. False without a data plane, or if there is no such worker or
 * slot. */
bool mr_dataplane_worker_stats(
	const struct mr_dataplane *d, unsigned worker, struct mrf_worker_stats *out);
bool mr_dataplane_slot_stats(const struct mr_dataplane *d, unsigned worker, uint32_t slot,
	struct mrf_session_stats *out);
bool mr_dataplane_session_stats(
	const struct mr_dataplane *d, uint64_t session, struct mrf_session_stats *out);
bool mr_dataplane_table_stats(const struct mr_dataplane *d, struct mrf_table_stats *out);
/* False if there is no such port. `stats` are sums over the workers. */
bool mr_dataplane_port(const struct mr_dataplane *d, uint32_t port, struct mrf_port_state *state,
	struct mrf_port_stats *stats);

#endif
