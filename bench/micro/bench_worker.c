/* SPDX-License-Identifier: Apache-2.0 */
/* bench_worker: measures the cost of a message in the worker's own stages, with everything in this
 * core's cache.
 *
 * One thread plays the client and the worker in turn: it publishes a burst, lets the worker make
 * one round, and empties the subscribers' rings. Only the worker's round is timed. Against a real
 * run the way of the cache lines between two cores is missing.
 *
 * "By subject" has one subject, which the worker finds as its last one; "by many subjects" has a
 * new one with each message, so each is looked up.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/support/bench.h"
#include "bench/micro/support/plane.h"
#include "dataplane/worker/backpressure.h"

#define SUBSCRIBERS_MAX (BENCH_CLIENTS_MAX - 1)
#define BURSTS          2048u

struct plane {
	struct bench_plane bus;
	struct bench_client publisher;
	struct bench_client subscriber[SUBSCRIBERS_MAX];
	uint64_t subscribers, size, batch, subjects, only;
	bool by_alias;
	bool promised;
	bool by_many;
	uint32_t alias;
	uint8_t payload[MR_BODY_BYTES_MAX];
};

static const char subject[] = "bench.subject.0";

#define SUBJECTS_MAX 4096u
static char many_subjects[SUBJECTS_MAX][sizeof("bench.subject.0000")];

static void publish_burst(struct plane *p)
{
	struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, subject,
		p->by_alias ? 0 : sizeof(subject) - 1, p->payload, 0, (uint32_t)p->size);

	const struct mr_message_extra promise = {.flags = MRF_MESSAGE_FLAG_HIGH};

	if (p->promised)
		mr_message_plan_extra(&plan, &promise);
	for (uint64_t i = 0; i < p->batch; i++)
		bench_client_put(&p->publisher, &plan, p->by_alias ? p->alias : 0);
	mr_bytes_publish_quiet(&p->publisher.up);
}

static void publish_many(struct plane *p)
{
	static uint64_t next;

	for (uint64_t i = 0; i < p->batch; i++) {
		const char *name = many_subjects[next++ % p->subjects];
		struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_PUBLISH, NULL, name,
			sizeof(many_subjects[0]) - 1, p->payload, 0, (uint32_t)p->size);

		bench_client_put(&p->publisher, &plan, 0);
	}
	mr_bytes_publish_quiet(&p->publisher.up);
}

static uint64_t round_of_worker(struct mr_worker *w)
{
	uint64_t start = bench_cycles();

	mr_worker_mesh_rx(w);
	mr_worker_handoff_rx(w);
	mr_worker_slow_sessions_run(w);
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
		if (p->by_many)
			publish_many(p);
		else
			publish_burst(p);
		total += round_of_worker(p->bus.worker);
		for (uint64_t i = 0; i < p->subscribers; i++)
			bench_client_skip(&p->subscriber[i]);
	}
	return total;
}

static void open_plane(struct plane *p)
{
	struct mr_worker_config config = {.workers = 1,
		.slots = BENCH_CLIENTS_MAX,
		.handoff_ring_bytes = 256u << 10,
		.store_bytes = 16u << 20,
		.queue_bytes_max = 16u << 20,
		.held_bytes_max = 1u << 20,
		.queues = {.queues_max = 16, .publishers_max = 16}};
	struct mr_owner owner;

	bench_plane_open(&p->bus, &config);
	owner = bench_client_open(&p->bus, &p->publisher, 0);
	bench_check(mr_table_alias_acquire(
			    p->bus.table, &owner, subject, sizeof(subject) - 1, &p->alias),
		"alias");
	mr_session_hold(p->publisher.session, p->alias, true);
	for (uint32_t i = 0; i < p->subscribers; i++) {
		owner = bench_client_open(&p->bus, &p->subscriber[i], 1 + i);
		bench_check(mr_table_subscribe(p->bus.table, &owner, 1, MR_SUB_PATTERN, subject,
				    sizeof(subject) - 1, NULL, 0),
			"subscribe");
	}
	for (uint32_t i = 0; i < SUBJECTS_MAX; i++)
		snprintf(many_subjects[i], sizeof(many_subjects[i]), "bench.subject.%04u", i);
	mr_router_online(p->bus.worker->router);
}

/* All subscribers get the subjects of publish_many, too: by one wildcard, as most have them. */
static void subscribe_to_many(struct plane *p)
{
	static const char pattern[] = "bench.subject.*";

	for (uint32_t i = 0; i < p->subscribers; i++) {
		struct mr_owner owner = {.slot = 1 + i, .generation = 1};

		bench_check(mr_table_unsubscribe(p->bus.table, &owner, 1), "unsubscribe");
		bench_check(mr_table_subscribe(p->bus.table, &owner, 2, MR_SUB_PATTERN, pattern,
				    sizeof(pattern) - 1, NULL, 0),
			"subscribe");
	}
}

/* From here on all subscribers block: publishers of promised messages wait for them. */
static void want_promises(struct plane *p)
{
	for (uint32_t i = 0; i < p->subscribers; i++) {
		struct mr_owner owner = {.slot = 1 + i, .generation = 1};

		bench_check(mr_table_high_water(p->bus.table, &owner, 1, 50), "water");
	}
}

int main(int argc, char **argv)
{
	static struct plane p = {.subscribers = 1, .size = 64, .batch = 32, .subjects = 1024};
	struct bench b;
	const struct bench_option options[] = {
		{"subscribers", &p.subscribers, 1, SUBSCRIBERS_MAX, "rings that get a copy"},
		{"size", &p.size, 8, 16000, "bytes of payload"},
		{"batch", &p.batch, 1, MR_SESSION_BURST, "messages in a round"},
		{"subjects", &p.subjects, 1, SUBJECTS_MAX, "of the row with many"},
		{"only", &p.only, 0, 5,
			"1: by alias, 2: by subject, 3: promised, 4: promised by subject, "
			"5: by many subjects, 0: all"},
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
	p.by_alias = false;
	if (p.only == 0 || p.only == 4)
		bench_measure(
			&b, "round by subject, promised, each message", BURSTS * p.batch, run, &p);
	p.promised = false;
	p.by_many = true;
	if (p.only == 0 || p.only == 5) {
		subscribe_to_many(&p);
		bench_measure(
			&b, "round by many subjects, each message", BURSTS * p.batch, run, &p);
	}
	bench_close(&b);
	return 0;
}
