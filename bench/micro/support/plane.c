/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/micro/support/plane.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_rcu_qsbr.h>

#include "bench/micro/support/bench.h"

#define UP_BYTES   (1u << 20)
#define DOWN_BYTES (4u << 20)

void bench_plane_open(struct bench_plane *p, const struct mr_worker_config *config)
{
	struct mr_table_limits limits = {.workers = 1};

	p->qsbr = aligned_alloc(
		MR_CACHE_LINE, mr_align_up(rte_rcu_qsbr_get_memsize(1), MR_CACHE_LINE));
	bench_check(p->qsbr == NULL ? -ENOMEM : -rte_rcu_qsbr_init(p->qsbr, 1), "qsbr");
	bench_check(mr_table_new(&limits, p->qsbr, &p->table), "table");
	bench_check(mr_worker_new(config, p->table, &p->stats, &p->worker), "worker");
}

struct mr_owner bench_client_open(struct bench_plane *p, struct bench_client *c, uint32_t slot)
{
	const struct mr_session_limits limits = {UP_BYTES, DOWN_BYTES, 64};
	struct mr_poll_list *retired;
	uint64_t id = mr_session_id(0, slot, 1);

	bench_check(
		mr_session_new(id, &limits, &p->session_stats[slot], &c->session, &c->liveness_fd),
		"session");
	bench_check(mr_directory_add(&p->worker->directory, c->session, &retired), "directory");
	free(retired);
	mr_channel_peer_side(&c->session->channel, p->worker->page, &c->up, &c->down);
	return (struct mr_owner){.slot = slot, .generation = 1};
}

void bench_client_put(struct bench_client *c, const struct mr_message_plan *plan, uint32_t target)
{
	void *to = mr_bytes_claim(&c->up, plan->stride);

	if (to == NULL)
		abort(); /* The worker has emptied the ring. */
	mr_message_write(to, plan, target);
	mr_bytes_push(&c->up, plan->bytes);
}

void bench_client_skip(struct bench_client *c)
{
	mr_bytes_skip(&c->down, mr_bytes_readable(&c->down));
	(void)mr_bytes_release(&c->down);
}
