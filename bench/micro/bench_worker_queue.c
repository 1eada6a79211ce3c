/* SPDX-License-Identifier: Apache-2.0 */
/* bench_worker_queue: measures a message through a queue, pushed or published to a subject that it
 * is bound to, and a call of a service, at their home worker, with everything in this core's cache.
 *
 * One thread plays producer, worker, consumer and worker in turn: pushes, a round, settlements of
 * the deliveries, a round. Only the worker's rounds are timed. Against a real run the way of the
 * cache lines between cores is missing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/support/bench.h"
#include "bench/micro/support/plane.h"
#include "dataplane/worker/queues.h"

#define CONSUMERS_MAX (BENCH_CLIENTS_MAX - 1)
#define BURSTS        2048u
#define SUBSCRIPTION  1u
#define MS_CYCLES     2500000u

/* BOUND: like AUTO, but published. */
enum how { AUTO, MANUAL, CALL, BOUND };
#define QUEUES (BOUND + 1)

static const char subject[] = "bench.bound.queue";

struct plane {
	struct bench_plane bus;
	struct bench_client producer;
	struct mr_owner owner; /* the producer's */
	struct bench_client consumer[CONSUMERS_MAX];
	uint64_t consumers, size, batch, only, prefetch;
	enum how how;
	bool origin;
	uint32_t queue[QUEUES]; /* by how */
	uint32_t alias;         /* of the subject */
	bool by_alias;
	uint64_t pushed;
	uint8_t payload[MR_BODY_BYTES_MAX];
};

static void publish_burst(struct plane *p)
{
	struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_HIGH};
	struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, subject,
		p->by_alias ? 0 : sizeof(subject) - 1, p->payload, 0, (uint32_t)p->size);

	if (p->origin)
		mr_message_plan_extra(&plan, &extra);
	for (uint64_t i = 0; i < p->batch; i++)
		bench_client_put(&p->producer, &plan, p->by_alias ? p->alias : 0);
	mr_bytes_publish_quiet(&p->producer.up);
}

static void push_burst(struct plane *p)
{
	struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_ORIGIN};
	struct mrf_reply_token token = {0};

	for (uint64_t i = 0; i < p->batch; i++) {
		struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUSH,
			p->how == CALL ? &token : NULL, NULL, 0, p->payload, 0, (uint32_t)p->size);

		token.correlation = extra.origin.id = ++p->pushed;
		if (p->origin && p->how != CALL)
			mr_message_plan_extra(&plan, &extra);
		bench_client_put(&p->producer, &plan, p->queue[p->how]);
	}
	mr_bytes_publish_quiet(&p->producer.up);
}

static uint64_t round_of_worker(struct mr_worker *w)
{
	uint64_t start = bench_cycles();

	w->round_start = start;
	mr_worker_round(w);
	mr_router_quiescent(w->router);
	return bench_cycles() - start;
}

static void settle(struct plane *p, struct bench_client *c, const struct mr_message_view *m)
{
	struct mrf_settlement settlement = {.tag = m->extra.delivery.tag};
	struct mr_message_plan plan;

	if (p->how == CALL)
		plan = mr_message_plan(MRF_MESSAGE_KIND_REPLY, &m->token, NULL, 0, p->payload, 0,
			(uint32_t)p->size);
	else
		plan = mr_message_plan(
			MRF_MESSAGE_KIND_SETTLE, NULL, NULL, 0, &settlement, 0, sizeof(settlement));
	bench_client_put(c, &plan, p->queue[p->how]);
}

static void settle_all(struct plane *p, struct bench_client *c, uint64_t tag)
{
	struct mrf_settlement settlement = {.tag = tag, .verb = MRF_SETTLE_VERB_ACK_UP_TO};
	struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_SETTLE, NULL, NULL, 0, &settlement, 0, sizeof(settlement));

	bench_client_put(c, &plan, p->queue[p->how]);
}

/* Settles the deliveries and returns how many there were. */
static uint64_t consume(struct plane *p, struct bench_client *c)
{
	size_t ready = mr_bytes_readable(&c->down);
	uint64_t tag = 0, count = 0;

	while (ready > 0) {
		const uint8_t *at = mr_bytes_peek(&c->down);
		struct mrf_message_header h = mr_message_header_load(at);
		struct mr_message_view m;

		if (!mr_message_parse(at, h, &m))
			abort();
		if (h.kind == MRF_MESSAGE_KIND_DELIVER) {
			count++;
			tag = m.extra.delivery.tag;
			if (p->how == MANUAL || p->how == CALL)
				settle(p, c, &m);
		}
		mr_bytes_skip(&c->down, h.bytes);
		ready -= mr_message_stride(h.bytes);
	}
	if ((p->how == AUTO || p->how == BOUND) && count > 0)
		settle_all(p, c, tag);
	(void)mr_bytes_release(&c->down);
	mr_bytes_publish_quiet(&c->up);
	return count;
}

static uint64_t run(void *plane)
{
	struct plane *p = plane;
	uint64_t total = 0;

	for (uint32_t n = 0; n < BURSTS; n++) {
		uint64_t left = p->batch;

		if (p->how == BOUND)
			publish_burst(p);
		else
			push_burst(p);
		total += round_of_worker(p->bus.worker);
		for (unsigned tries = 0; left > 0; tries++) {
			for (uint64_t i = 0; i < p->consumers; i++)
				left -= consume(p, &p->consumer[i]);
			total += round_of_worker(p->bus.worker);
			if (tries > 1000)
				abort();
		}
		bench_client_skip(&p->producer);
	}
	return total;
}

/* Gives the worker a command, as control would. */
static uint32_t command(struct plane *p, struct mrf_queue_command c)
{
	uint64_t memory[512], built[512];
	struct mrf_builder b;
	struct mrf_table t;
	const void *data;
	size_t bytes;

	mrf_builder_init(&b, memory, sizeof(memory));
	bench_check(
		mrf_builder_finish(&b, mrf_queue_command_write(&b, &c), &data, &bytes), "build");
	bench_check(mrf_queue_command_parse(data, bytes, &t), "command");
	mrf_builder_init(&b, built, sizeof(built));
	bench_check(
		mrf_builder_finish(&b, mr_queues_command(p->bus.worker->queues.engine, t, &b, 1),
			&data, &bytes),
		"answer");
	bench_check(mrf_queue_answer_parse(data, bytes, &t), "answer");
	bench_check(mrf_queue_answer_code(t), "code");
	p->bus.worker->queues.used = true;
	return mrf_queue_answer_queue(t);
}

static void open_queue(struct plane *p, enum how how)
{
	static const char *const names[QUEUES] = {"auto", "manual", "call", "bound"};
	struct mrf_queue_command c = {
		.verb = MRF_QUEUE_VERB_OPEN,
		.kind = how == CALL ? MRF_QUEUE_KIND_SERVICE : MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(names[how]),
		.session = p->producer.session->id,
	};

	p->queue[how] = command(p, c);
	c.verb = MRF_QUEUE_VERB_CONSUME;
	c.subscription = SUBSCRIPTION + how;
	c.prefetch = (uint32_t)p->prefetch;
	for (uint64_t i = 0; i < p->consumers; i++) {
		c.session = p->consumer[i].session->id;
		(void)command(p, c);
	}
}

/* Opens and binds the bound queue. Not before its cases, because the others are to be measured at a
 * worker without bound queues. */
static void bind_queue(struct plane *p)
{
	struct mr_owner queue = {.slot = MR_OWNER_QUEUE};

	open_queue(p, BOUND);
	queue.generation = p->queue[BOUND];
	bench_check(mr_table_subscribe(p->bus.table, &queue, 1, MR_SUB_PATTERN, subject,
			    sizeof(subject) - 1, NULL, 0),
		"bind");
	mr_queues_bind(p->bus.worker->queues.engine, p->queue[BOUND], 1);
	bench_check(mr_table_alias_acquire(
			    p->bus.table, &p->owner, subject, sizeof(subject) - 1, &p->alias),
		"alias");
	mr_session_hold(p->producer.session, p->alias, true);
}

static void open_plane(struct plane *p)
{
	struct mr_worker_config config = {
		.workers = 1,
		.slots = BENCH_CLIENTS_MAX,
		.handoff_ring_bytes = 256u << 10,
		.message_bytes_max = 1u << 20,
		.store_bytes = 64u << 20,
		.held_bytes_max = 1u << 20,
		.queue_bytes_max = 64u << 20,
		.queues =
			{
				.queues_max = 16,
				.per_client_max = 16,
				.window = 65536,
				.publishers_max = 16,
				.idle_ms = 1u << 30,
				.prefetch = 64,
				.heartbeat_ms = 1u << 24,
				.missed_max = 100,
				.queue = {.policy = MRF_QUEUE_POLICY_ROUND_ROBIN,
					.when_full = MRF_QUEUE_FULL_WAIT,
					.messages_max = UINT32_MAX,
					.ack_timeout_ms = 1u << 24,
					.max_deliver = 5},
				.service = {.policy = MRF_QUEUE_POLICY_LEAST_RECENTLY_USED,
					.when_full = MRF_QUEUE_FULL_REFUSE,
					.messages_max = UINT32_MAX,
					.age_max_ms = 1u << 24,
					.ack_timeout_ms = 1u << 24,
					.max_deliver = 3,
					.breaker_failures = UINT16_MAX,
					.breaker_reset_ms = 1000,
					.breaker_probes = 1},
			},
	};

	bench_plane_open(&p->bus, &config);
	/* Without DPDK's environment the clock is not measured; nothing here waits for a time. */
	p->bus.worker->queues.ms_cycles = MS_CYCLES;
	p->owner = bench_client_open(&p->bus, &p->producer, 0);
	for (uint32_t i = 0; i < p->consumers; i++)
		(void)bench_client_open(&p->bus, &p->consumer[i], 1 + i);
	for (enum how how = AUTO; how < BOUND; how++)
		open_queue(p, how);
	mr_router_online(p->bus.worker->router);
}

int main(int argc, char **argv)
{
	static struct plane p = {.consumers = 4, .size = 64, .batch = 32, .prefetch = 64};
	struct bench b;
	const struct bench_option options[] = {
		{"consumers", &p.consumers, 1, CONSUMERS_MAX, "that share the queue"},
		{"size", &p.size, 8, 16000, "bytes of payload"},
		{"batch", &p.batch, 1, MR_SESSION_BURST, "messages in a round"},
		{"prefetch", &p.prefetch, 1, 65535, "deliveries a consumer takes unsettled"},
		{"only", &p.only, 0, 6,
			"1: auto, 2: promised, 3: manual, 4: calls, 5: bound, 6: bound by subject, "
			"0: all"},
	};

	bench_open(&b, "bench_worker_queue", argc, argv, options, MR_ARRAY_COUNT(options));
	open_plane(&p);
	p.how = AUTO;
	if (p.only == 0 || p.only == 1)
		bench_measure(&b, "auto ack, each message", BURSTS * p.batch, run, &p);
	p.origin = true;
	if (p.only == 0 || p.only == 2)
		bench_measure(&b, "auto ack, promised, each message", BURSTS * p.batch, run, &p);
	p.how = MANUAL;
	if (p.only == 0 || p.only == 3)
		bench_measure(&b, "manual ack, promised, each message", BURSTS * p.batch, run, &p);
	p.how = CALL;
	if (p.only == 0 || p.only == 4)
		bench_measure(&b, "call and reply, each call", BURSTS * p.batch, run, &p);
	if (p.only == 0 || p.only >= 5)
		bind_queue(&p);
	p.how = BOUND;
	p.origin = false;
	p.by_alias = true;
	if (p.only == 0 || p.only == 5)
		bench_measure(&b, "bound, by alias, each message", BURSTS * p.batch, run, &p);
	p.by_alias = false;
	if (p.only == 0 || p.only == 6)
		bench_measure(&b, "bound, by subject, each message", BURSTS * p.batch, run, &p);
	bench_close(&b);
	return 0;
}
