/* SPDX-License-Identifier: Apache-2.0 */
/* bench_worker: what the worker's own stages cost a message, everything in this core's cache.
 *
 * One thread is client, worker and client in turn: it publishes a burst, lets the worker make one
 * round, and empties the subscribers' rings. Only the worker's round is timed, so what is missing
 * against a real run is the way of the cache lines between two cores.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

#include "bench/micro/support/bench.h"
#include "dataplane/worker/gate.h"

#define SUBSCRIBERS_MAX 64u
#define BURSTS          2048u
#define UP_BYTES        (1u << 20)
#define DOWN_BYTES      (4u << 20)

struct client {
	struct mr_session *session;
	int liveness_fd;
	struct mr_bytes_producer up;
	struct mr_bytes_consumer down;
};

struct plane {
	struct rte_rcu_qsbr *qsbr;
	struct mr_table *table;
	struct mr_worker *worker;
	struct mrf_worker_stats stats;
	struct mrf_session_stats session_stats[SUBSCRIBERS_MAX + 1];
	struct client publisher;
	struct client subscriber[SUBSCRIBERS_MAX];
	uint64_t subscribers, size, batch, only;
	bool by_alias;
	bool promised;
	uint32_t alias;
	uint8_t payload[MR_BODY_BYTES_MAX];
};

static const char subject[] = "bench.subject.0";

static void publish_burst(struct plane *p)
{
	struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, subject,
		p->by_alias ? 0 : sizeof(subject) - 1, p->payload, 0, (uint32_t)p->size);

	const struct mr_message_extra promise = {.flags = MRF_MESSAGE_FLAG_HIGH};

	if (p->promised)
		mr_message_plan_extra(&plan, &promise);
	for (uint64_t i = 0; i < p->batch; i++) {
		void *to = mr_bytes_claim(&p->publisher.up, plan.stride);

		if (to == NULL)
			abort(); /* the worker has emptied the ring */
		mr_message_write(to, &plan, p->by_alias ? p->alias : 0);
		mr_bytes_push(&p->publisher.up, plan.bytes);
	}
	mr_bytes_publish_quiet(&p->publisher.up);
}

static uint64_t round_of_worker(struct mr_worker *w)
{
	uint64_t start = bench_cycles();

	mr_worker_mesh_rx(w);
	mr_worker_handoff_rx(w);
	mr_worker_held_run(w);
	mr_worker_rx(w);
	mr_worker_route(w);
	mr_worker_tx(w);
	mr_router_quiescent(w->router);
	return bench_cycles() - start;
}

static uint64_t run(void *plane)
{
	struct plane *p = plane;
	uint64_t total = 0;

	for (uint32_t n = 0; n < BURSTS; n++) {
		publish_burst(p);
		total += round_of_worker(p->worker);
		for (uint64_t i = 0; i < p->subscribers; i++) {
			struct mr_bytes_consumer *c = &p->subscriber[i].down;

			mr_bytes_skip(c, mr_bytes_readable(c));
			(void)mr_bytes_release(c);
		}
	}
	return total;
}

static struct mr_owner attach(struct plane *p, struct client *c, uint32_t slot)
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

static void open_plane(struct plane *p)
{
	struct mr_table_limits limits = {.workers = 1};
	struct mr_worker_config config = {.workers = 1,
		.slots = SUBSCRIBERS_MAX + 1,
		.handoff_ring_bytes = 256u << 10,
		.store_bytes = 16u << 20,
		.queue_bytes_max = 16u << 20,
		.held_bytes_max = 1u << 20,
		.queues = {.queues_max = 16, .publishers_max = 16}};
	struct mr_owner owner;

	p->qsbr = aligned_alloc(
		MR_CACHE_LINE, mr_align_up(rte_rcu_qsbr_get_memsize(1), MR_CACHE_LINE));
	bench_check(p->qsbr == NULL ? -ENOMEM : -rte_rcu_qsbr_init(p->qsbr, 1), "qsbr");
	bench_check(mr_table_new(&limits, p->qsbr, &p->table), "table");
	bench_check(mr_worker_new(&config, p->table, &p->stats, &p->worker), "worker");
	owner = attach(p, &p->publisher, 0);
	bench_check(
		mr_table_alias_acquire(p->table, &owner, subject, sizeof(subject) - 1, &p->alias),
		"alias");
	mr_session_hold(p->publisher.session, p->alias, true);
	for (uint32_t i = 0; i < p->subscribers; i++) {
		owner = attach(p, &p->subscriber[i], 1 + i);
		bench_check(mr_table_subscribe(p->table, &owner, 1, MR_SUB_PATTERN, subject,
				    sizeof(subject) - 1, NULL, 0),
			"subscribe");
	}
	mr_router_online(p->worker->router);
}

/* From here on all subscribers would rather hold publishers up than miss what is promised. */
static void want_promises(struct plane *p)
{
	for (uint32_t i = 0; i < p->subscribers; i++) {
		struct mr_owner owner = {.slot = 1 + i, .generation = 1};

		bench_check(mr_table_water(p->table, &owner, 1, 50), "water");
	}
}

int main(int argc, char **argv)
{
	static struct plane p = {.subscribers = 1, .size = 64, .batch = 32};
	struct bench b;
	const struct bench_option options[] = {
		{"subscribers", &p.subscribers, 1, SUBSCRIBERS_MAX, "rings that get a copy"},
		{"size", &p.size, 8, 16000, "bytes of payload"},
		{"batch", &p.batch, 1, MR_SESSION_BURST, "messages in a round"},
		{"only", &p.only, 0, 3, "1: by alias, 2: by subject, 3: promised, 0: all"},
	};

	bench_open(&b, "bench_worker", argc, argv, options, MR_ARRAY_COUNT(options));
	open_plane(&p);
	p.by_alias = true;
	if (p.only == 0 || p.only == 1)
		bench_measure(&b, "round by alias, each message", BURSTS * p.batch, run, &p);
	p.by_alias = false;
	if (p.only == 0 || p.only == 2)
		bench_measure(&b, "round by subject, each message", BURSTS * p.batch, run, &p);
	p.by_alias = p.promised = true;
	want_promises(&p);
	if (p.only == 0 || p.only == 3)
		bench_measure(
			&b, "round by alias, promised, each message", BURSTS * p.batch, run, &p);
	bench_close(&b);
	return 0;
}
