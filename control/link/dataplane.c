/* SPDX-License-Identifier: Apache-2.0 */
#include "control/link/dataplane.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/compiler.h"
#include "lib/base/stats.h"
#include "lib/wire/message.h"

_Static_assert(sizeof(struct mrf_port_stats) >= sizeof(struct mrf_port_state), "one distance");

/* True if an array lies within the memory. Its structs may be shorter than ours: an older data
 * plane lacks the last counters. */
static bool array_fits(uint64_t offset, uint64_t stride, uint64_t count, size_t total)
{
	return offset % 8 == 0 && stride % 8 == 0 && stride > 0 && offset <= total &&
	       count * stride <= total - offset;
}

static bool layout_valid(const struct mrf_stats_header *h, uint32_t workers, size_t bytes)
{
	return h->magic == MR_STATS_MAGIC && h->workers == workers &&
	       array_fits(h->table_offset, sizeof(uint64_t), 1, bytes) &&
	       array_fits(h->worker_offset, h->worker_stride, workers, bytes) &&
	       array_fits(
		       h->session_offset, h->session_stride, (uint64_t)workers * h->slots, bytes) &&
	       /* The PortState of each port follows the PortStats in the same array, at the same
	        * stride. */
	       (h->ports == 0 || array_fits(h->port_offset, h->port_stride,
					 (uint64_t)h->ports * (workers + 1), bytes));
}

static int map_stats(struct mr_dataplane *d, int fd)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(d->layout))
		return -EBADMSG;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	d->stats = map;
	d->stats_bytes = (size_t)st.st_size;
	memcpy(&d->layout, map, sizeof(d->layout));
	return layout_valid(&d->layout, d->workers_count, d->stats_bytes) ? 0 : -EBADMSG;
}

static int map_worker(struct mr_dataplane *d, unsigned worker, int *fds)
{
	int error = mr_channel_map(&d->workers[worker].channel, fds[0], fds[2], fds[3]);

	fds[0] = fds[2] = fds[3] = -1;
	if (error != 0)
		return error;
	return mr_worker_page_map(fds[1], &d->workers[worker].page);
}

static void describe(struct mr_dataplane *d, struct mrf_table welcome)
{
	*d = (struct mr_dataplane){
		.pid = mrf_link_welcome_pid(welcome),
		.workers_count = mrf_link_welcome_workers(welcome),
		.message_bytes_max = mrf_link_welcome_message_bytes_max(welcome),
		.takes_pidfd = mrf_link_welcome_takes_pidfd(welcome),
		.started_ns = mrf_link_welcome_started_ns(welcome),
	};
	snprintf(d->version, sizeof(d->version), "%s",
		mrf_link_welcome_server_version(welcome).data);
	for (unsigned i = 0; i < MR_DATAPLANE_WORKERS_MAX; i++)
		d->workers[i].channel = mr_channel_none();
}

int mr_dataplane_open(
	struct mr_dataplane *d, struct mrf_table welcome, const int *fds, unsigned fds_count)
{
	int left[MR_DATAPLANE_FDS(MR_DATAPLANE_WORKERS_MAX)];
	int error = 0;

	describe(d, welcome);
	if (d->workers_count == 0 || d->workers_count > MR_DATAPLANE_WORKERS_MAX ||
		fds_count != MR_DATAPLANE_FDS(d->workers_count)) {
		for (unsigned i = 0; i < fds_count; i++)
			close(fds[i]);
		return -EBADMSG;
	}
	memcpy(left, fds, fds_count * sizeof(int));
	error = map_stats(d, fds[0]);
	for (unsigned i = 0; error == 0 && i < d->workers_count; i++)
		error = map_worker(d, i, left + 1 + 4 * i);
	for (unsigned i = 0; i < fds_count; i++) {
		if (left[i] >= 0)
			close(left[i]);
	}
	if (error != 0)
		mr_dataplane_close(d);
	return error;
}

void mr_dataplane_close(struct mr_dataplane *d)
{
	for (unsigned i = 0; i < MR_DATAPLANE_WORKERS_MAX; i++) {
		mr_channel_close(&d->workers[i].channel);
		mr_worker_page_unmap(d->workers[i].page);
		d->workers[i].page = NULL;
	}
	if (d->stats != NULL)
		munmap((void *)(uintptr_t)d->stats, d->stats_bytes);
	d->stats = NULL;
	d->workers_count = 0;
}

/* Copies statistics: 8-byte counts, each written with one store. `there`: the bytes that the data
 * plane has for them. Counts beyond it are 0. */
static void copy_counts(void *to, size_t bytes, const uint8_t *from, size_t there)
{
	size_t count = (there < bytes ? there : bytes) / sizeof(uint64_t);
	uint64_t *out = to;

	memset(to, 0, bytes);
	for (size_t i = 0; i < count; i++)
		out[i] = atomic_load_explicit(
			(const _Atomic uint64_t *)(const void *)(from + i * sizeof(uint64_t)),
			memory_order_relaxed);
}

bool mr_dataplane_worker_stats(
	const struct mr_dataplane *d, unsigned worker, struct mrf_worker_stats *out)
{
	if (d->stats == NULL || worker >= d->workers_count)
		return false;
	copy_counts(out, sizeof(*out),
		d->stats + d->layout.worker_offset + (size_t)worker * d->layout.worker_stride,
		d->layout.worker_stride);
	return true;
}

bool mr_dataplane_slot_stats(
	const struct mr_dataplane *d, unsigned worker, uint32_t slot, struct mrf_session_stats *out)
{
	size_t index = (size_t)worker * d->layout.slots + slot;

	if (d->stats == NULL || worker >= d->workers_count || slot >= d->layout.slots)
		return false;
	copy_counts(out, sizeof(*out),
		d->stats + d->layout.session_offset + index * d->layout.session_stride,
		d->layout.session_stride);
	return out->session != 0;
}

bool mr_dataplane_session_stats(
	const struct mr_dataplane *d, uint64_t session, struct mrf_session_stats *out)
{
	return mr_dataplane_slot_stats(
		       d, mr_session_worker(session), mr_session_slot(session), out) &&
	       out->session == session;
}

/* Returns the bytes from the table's counts to the next array, or to the end. */
static size_t table_bytes(const struct mr_dataplane *d)
{
	const struct mrf_stats_header *h = &d->layout;
	const size_t others[] = {h->worker_offset, h->session_offset, h->port_offset};
	size_t end = d->stats_bytes;

	for (size_t i = 0; i < MR_ARRAY_COUNT(others); i++)
		if (others[i] > h->table_offset && others[i] < end)
			end = others[i];
	return end - h->table_offset;
}

bool mr_dataplane_table_stats(const struct mr_dataplane *d, struct mrf_table_stats *out)
{
	if (d->stats == NULL)
		return false;
	copy_counts(out, sizeof(*out), d->stats + d->layout.table_offset, table_bytes(d));
	return true;
}

static const uint8_t *port_at(const struct mr_dataplane *d, uint64_t index)
{
	return d->stats + d->layout.port_offset + index * d->layout.port_stride;
}

static void add_port_stats(struct mrf_port_stats *sum, const struct mrf_port_stats *s)
{
	sum->rx_packets += s->rx_packets;
	sum->rx_bytes += s->rx_bytes;
	sum->tx_packets += s->tx_packets;
	sum->tx_bytes += s->tx_bytes;
	sum->rx_discarded += s->rx_discarded;
	sum->tx_full += s->tx_full;
	sum->exception_in += s->exception_in;
	sum->exception_in_bytes += s->exception_in_bytes;
	sum->exception_out += s->exception_out;
	sum->exception_out_bytes += s->exception_out_bytes;
	sum->drop_exception_rate += s->drop_exception_rate;
	sum->drop_exception_full += s->drop_exception_full;
	sum->drop_exception_out_rate += s->drop_exception_out_rate;
	sum->drop_exception_out_buffer += s->drop_exception_out_buffer;
	sum->drop_exception_out_size += s->drop_exception_out_size;
}

bool mr_dataplane_port(const struct mr_dataplane *d, uint32_t port, struct mrf_port_state *state,
	struct mrf_port_stats *stats)
{
	uint64_t workers = d->workers_count;
	struct mrf_port_stats s;

	if (d->stats == NULL || port >= d->layout.ports)
		return false;
	memset(stats, 0, sizeof(*stats));
	for (uint32_t i = 0; i < workers; i++) {
		copy_counts(&s, sizeof(s), port_at(d, port * workers + i), d->layout.port_stride);
		add_port_stats(stats, &s);
	}
	copy_counts(state, sizeof(*state), port_at(d, d->layout.ports * workers + port),
		d->layout.port_stride);
	return true;
}
