/* SPDX-License-Identifier: Apache-2.0 */
/* Gives control the TAP devices of ports, and the rings of packets (LinkOpenTaps). */
#include "dataplane/writer/writer.h"

#include "dataplane/worker/exception.h"

#define FDS_PER_WORKER 3u

int mr_writer_taps_worker(const struct mr_writer *wr, struct mr_worker *w)
{
	bool wanted = false;
	int error;

	for (unsigned i = 0; i < wr->ports_count; i++)
		wanted = wanted || wr->ports[i].has_tap;
	error = wanted ? mr_worker_exceptions_open(w) : 0;
	return wanted && error == 0 ? mr_worker_watch(w, w->exception.channel.worker_bell_fd)
				    : error;
}

static unsigned add_rings(const struct mr_writer *wr, int *fds)
{
	unsigned count = 0;

	for (unsigned i = 0; i < wr->workers_count; i++) {
		const struct mr_channel *ch = &wr->workers[i]->exception.channel;

		fds[count++] = ch->memory_fd;
		fds[count++] = ch->worker_bell_fd;
		fds[count++] = ch->peer_bell_far_fd;
	}
	return count;
}

/* One worker sends all packets of a device, so that they stay in order; ports take turns. A worker
 * with a queue is needed. */
static uint32_t worker_of(const struct mr_port *p)
{
	return p->index % p->queues_count;
}

void mr_writer_taps_open(struct mr_writer *wr, uint64_t id)
{
	int fds[FDS_PER_WORKER * MR_WORKERS_MAX + MR_PORTS_MAX];
	unsigned count = add_rings(wr, fds);
	uint32_t taps[MR_PORTS_MAX];
	struct mrf_link_taps v = {.taps = taps};
	struct mrf_builder b;
	uint64_t memory[256];

	mrf_builder_init(&b, memory, sizeof(memory));
	for (unsigned i = 0; i < wr->ports_count; i++) {
		const struct mr_port *p = &wr->ports[i];
		struct mrf_link_tap tap = {
			.port = i, .name = mrf_str(p->config->tap), .worker = worker_of(p)};

		if (!p->has_tap)
			continue;
		fds[count++] = p->tap_fd;
		taps[v.taps_count++] = mrf_link_tap_write(&b, &tap);
	}
	if (v.taps_count == 0)
		count = 0;
	mr_writer_link_send(
		wr, &b, id, MRF_LINK_BODY_LINK_TAPS, mrf_link_taps_write(&b, &v), fds, count);
}
