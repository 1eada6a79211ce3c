/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/load.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#define IDLE_ROUNDS_MAX 512 /* rounds without work before the thread yields its core */
#define STALL_NS        500000000.0

static int open_lanes(struct mr_bench_publisher *p)
{
	const struct mr_bench_plan *plan = p->load->plan;

	p->lanes = calloc(plan->subjects, sizeof(*p->lanes));
	if (!p->lanes)
		return -ENOMEM;
	for (unsigned i = 0; i < plan->subjects; i++) {
		char subject[64];
		int rc;

		if (plan->subjects == 1)
			snprintf(subject, sizeof(subject), "bench.%s.%u", plan->run, p->index);
		else
			snprintf(
				subject, sizeof(subject), "bench.%s.%u.%u", plan->run, p->index, i);
		rc = mr_bench_pubsub_open(p, i, subject);
		if (rc)
			return rc;
	}
	return 0;
}

static int connect_one(const struct mr_cli *cli, const char *what, unsigned index,
	const struct mr_options *options, struct mr_client **out)
{
	struct mr_options own = *options;
	char name[64];

	snprintf(name, sizeof(name), "bench %s %u", what, index);
	own.name = name;
	own.no_reconnect = true; /* if the bus is lost, the measurement ends */
	return mr_cli_connect(cli, &own, out);
}

static void on_gap(struct mr_client *c, uint64_t missed, uint64_t missed_total, void *arg)
{
	struct mr_bench_subscriber *s = arg;

	(void)c, (void)missed_total;
	s->missed += missed;
}

static int open_subscriber(const struct mr_cli *cli, struct mr_bench_subscriber *s, unsigned index)
{
	const struct mr_bench_plan *plan = s->load->plan;
	struct mr_options options = {.on_gap = on_gap, .arg = s};
	struct mr_cli at = *cli;
	int rc, code;

	if (plan->subscribe_at)
		at.server = plan->subscribe_at;
	s->flows = calloc(plan->publishers, sizeof(*s->flows));
	s->seen = calloc(plan->publishers, sizeof(*s->seen));
	if (!s->flows || !s->seen)
		return mr_cli_fail_call(cli, NULL, -ENOMEM, "connections");
	code = connect_one(&at,
		plan->request ? "responder"
		: plan->queue ? "consumer"
			      : "subscriber",
		index, &options, &s->client);
	if (code)
		return code;
	mr_cork(s->client, true);
	rc = plan->request ? mr_bench_request_serve(s)
	     : plan->queue ? mr_bench_queue_consume(s)
			   : mr_bench_pubsub_subscribe(s);
	return rc ? mr_cli_fail_call(cli, s->client, rc, "subscribe") : MR_EXIT_OK;
}

static int open_publisher(const struct mr_cli *cli, struct mr_bench_publisher *p)
{
	const struct mr_bench_plan *plan = p->load->plan;
	struct mr_options options = {0};
	int rc, code;

	code = connect_one(cli,
		plan->request ? "requester"
		: plan->queue ? "producer"
			      : "publisher",
		p->index, &options, &p->client);
	if (code)
		return code;
	mr_cork(p->client, true);
	rc = plan->service ? 0 : plan->queue ? mr_bench_queue_open(p) : open_lanes(p);
	if (rc == 0 && plan->request)
		rc = mr_bench_request_prepare(p);
	return rc ? mr_cli_fail_call(cli, p->client, rc, "publisher") : MR_EXIT_OK;
}

/* Returns a connection's thread. Connections are dealt to threads in turn, publishers first. */
static struct mr_bench_thread *thread_of(struct mr_bench_load *load, unsigned connection)
{
	return &load->threads[connection % load->plan->threads];
}

static int open_all(const struct mr_cli *cli, struct mr_bench_load *load)
{
	const struct mr_bench_plan *plan = load->plan;
	int code = MR_EXIT_OK;

	for (unsigned i = 0; i < plan->subscribers && code == MR_EXIT_OK; i++) {
		struct mr_bench_subscriber *s = &load->subscribers[i];

		s->load = load;
		s->histogram = &thread_of(load, plan->publishers + i)->histogram;
		code = open_subscriber(cli, s, i);
	}
	for (unsigned i = 0; i < plan->publishers && code == MR_EXIT_OK; i++) {
		struct mr_bench_publisher *p = &load->publishers[i];

		p->load = load;
		p->index = i;
		p->histogram = &thread_of(load, i)->histogram;
		code = open_publisher(cli, p);
	}
	return code;
}

static void *calloc_lines(size_t count, size_t bytes)
{
	size_t all = mr_align_up(count * bytes, MR_CACHE_LINE);
	void *memory = aligned_alloc(MR_CACHE_LINE, all);

	return memory ? memset(memory, 0, all) : NULL;
}

int mr_bench_load_open(
	const struct mr_cli *cli, const struct mr_bench_plan *plan, struct mr_bench_load **out)
{
	struct mr_bench_load *load = calloc_lines(1, sizeof(*load));
	int code;

	if (!load)
		return mr_cli_fail_call(cli, NULL, -ENOMEM, "connections");
	load->plan = plan;
	mr_bench_clock_start(&load->clock);
	load->publishers = calloc_lines(plan->publishers, sizeof(*load->publishers));
	load->subscribers = calloc_lines(plan->subscribers, sizeof(*load->subscribers));
	load->threads = calloc_lines(plan->threads, sizeof(*load->threads));
	if (!load->publishers || !load->subscribers || !load->threads)
		code = mr_cli_fail_call(cli, NULL, -ENOMEM, "connections");
	else
		code = open_all(cli, load);
	if (code == MR_EXIT_OK)
		*out = load;
	else
		mr_bench_load_close(load);
	return code;
}

void mr_bench_load_close(struct mr_bench_load *load)
{
	for (unsigned i = 0; load->publishers && i < load->plan->publishers; i++) {
		struct mr_bench_publisher *p = &load->publishers[i];

		mr_close(p->client);
		free(p->lanes);
		free(p->slots);
		free(p->payload);
		free(p->arrived);
	}
	for (unsigned i = 0; load->subscribers && i < load->plan->subscribers; i++) {
		struct mr_bench_subscriber *s = &load->subscribers[i];

		mr_close(s->client);
		free(s->flows);
		free(s->seen);
	}
	free(load->publishers);
	free(load->subscribers);
	free(load->threads);
	free(load);
}

static int publisher_round(struct mr_bench_publisher *p, bool sending)
{
	if (p->load->plan->request)
		return mr_bench_request_round(p, sending);
	if (p->load->plan->queue)
		return mr_bench_queue_push_round(p, sending);
	return mr_bench_pubsub_publish_round(p, sending);
}

static int subscriber_round(struct mr_bench_subscriber *s)
{
	const struct mr_bench_plan *plan = s->load->plan;

	return plan->request ? mr_bench_request_serve_round(s)
	       : plan->queue ? mr_bench_queue_consume_round(s)
			     : mr_bench_pubsub_receive_round(s);
}

/* Runs one round over this thread's connections. Returns the number of messages moved, or
 * -errno. */
static int thread_round(struct mr_bench_thread *t, bool sending)
{
	const struct mr_bench_plan *plan = t->load->plan;
	unsigned count = plan->publishers + plan->subscribers;
	int moved = 0;

	for (unsigned i = t->index; i < count; i += plan->threads) {
		int n = i < plan->publishers
				? publisher_round(&t->load->publishers[i], sending)
				: subscriber_round(&t->load->subscribers[i - plan->publishers]);

		if (mr_unlikely(n < 0))
			return n;
		moved += n;
	}
	return moved;
}

/* Reopens closed windows when nothing moves any more: the missing messages were lost at the end of
 * a run, where no later message shows the gap. They still count as lost. */
static void write_off(struct mr_bench_thread *t)
{
	for (unsigned i = t->index; i < t->load->plan->publishers; i += t->load->plan->threads)
		t->load->publishers[i].written_off = t->load->publishers[i].sent;
}

static void thread_loop(struct mr_bench_thread *t)
{
	uint64_t stall = (uint64_t)(t->load->clock.ticks_per_ns * STALL_NS);
	uint64_t idle_since = 0;
	unsigned idle_rounds = 0;
	enum mr_bench_phase phase;

	while ((phase = mr_bench_load_phase(t->load)) != MR_BENCH_STOP) {
		int moved = thread_round(t, phase < MR_BENCH_DRAIN);
		int none = 0;

		if (mr_unlikely(moved < 0)) {
			atomic_compare_exchange_strong_explicit(&t->load->error, &none, moved,
				memory_order_relaxed, memory_order_relaxed);
			return;
		}
		if (moved > 0) {
			idle_rounds = 0;
			idle_since = 0;
			continue;
		}
		mr_cpu_relax();
		if (++idle_rounds < IDLE_ROUNDS_MAX)
			continue;
		idle_rounds = 0;
		if (idle_since == 0)
			idle_since = mr_bench_ticks();
		else if (mr_bench_ticks() - idle_since > stall)
			write_off(t);
		sched_yield();
	}
}

static void *thread_main(void *arg)
{
	struct mr_bench_thread *t = arg;
	const struct mr_bench_plan *plan = t->load->plan;

	if (plan->cpus_count) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(plan->cpus[t->index % plan->cpus_count], &set);
		if (sched_setaffinity(0, sizeof(set), &set) != 0) {
			atomic_store_explicit(&t->load->error, -errno, memory_order_relaxed);
			return NULL;
		}
	}
	thread_loop(t);
	return NULL;
}

static void start_pacing(struct mr_bench_load *load)
{
	const struct mr_bench_plan *plan = load->plan;
	uint64_t now = mr_bench_ticks();

	for (unsigned i = 0; i < plan->publishers && plan->rate > 0; i++)
		mr_bench_pace_init(&load->publishers[i].pace, now, load->clock.ticks_per_ns * 1e9,
			plan->rate / plan->publishers, (double)i / plan->publishers);
}

int mr_bench_load_start(const struct mr_cli *cli, struct mr_bench_load *load)
{
	mr_bench_clock_calibrate(&load->clock);
	start_pacing(load);
	for (unsigned i = 0; i < load->plan->threads; i++) {
		struct mr_bench_thread *t = &load->threads[i];
		int rc;

		t->load = load;
		t->index = i;
		rc = pthread_create(&t->id, NULL, thread_main, t);
		if (rc) {
			mr_bench_load_join(load);
			return mr_cli_fail(cli, MR_EXIT_FAILED, "threads", strerror(rc), NULL);
		}
		load->threads_started++;
	}
	return MR_EXIT_OK;
}

void mr_bench_load_enter(struct mr_bench_load *load, enum mr_bench_phase phase)
{
	atomic_store_explicit(&load->phase, phase, memory_order_relaxed);
}

void mr_bench_load_join(struct mr_bench_load *load)
{
	mr_bench_load_enter(load, MR_BENCH_STOP);
	for (unsigned i = 0; i < load->threads_started; i++)
		pthread_join(load->threads[i].id, NULL);
	load->threads_started = 0;
}

void mr_bench_subscriber_publish(struct mr_bench_subscriber *s)
{
	for (unsigned p = 0; p < s->load->plan->publishers; p++)
		atomic_store_explicit(
			&s->seen[p], s->flows[p].next, memory_order_release); /* [load.seen] */
	atomic_store_explicit(&s->received_out, s->received, memory_order_relaxed);
}

uint64_t mr_bench_load_expected(const struct mr_bench_load *load, uint64_t published)
{
	return load->plan->request || load->plan->queue ? published
							: published * load->plan->subscribers;
}

void mr_bench_load_look(const struct mr_bench_load *load, struct mr_bench_totals *out)
{
	const struct mr_bench_plan *plan = load->plan;

	*out = (struct mr_bench_totals){0};
	for (unsigned i = 0; i < plan->publishers; i++) {
		const struct mr_bench_publisher *p = &load->publishers[i];

		out->published += atomic_load_explicit(&p->sent_out, memory_order_relaxed);
		out->delivered += atomic_load_explicit(&p->answered_out, memory_order_relaxed);
	}
	for (unsigned i = 0; i < plan->subscribers && !plan->request; i++)
		out->delivered += atomic_load_explicit(
			&load->subscribers[i].received_out, memory_order_relaxed);
}

static void sum_subscriber(const struct mr_bench_load *load, const struct mr_bench_subscriber *s,
	struct mr_bench_totals *t)
{
	t->missed += s->missed;
	t->corrupt += s->corrupt;
	for (unsigned p = 0; p < load->plan->publishers && !load->plan->request; p++) {
		const struct mr_bench_flow *f = &s->flows[p];

		t->duplicates += f->duplicates;
		t->reordered += f->reordered;
		if (!load->plan->queue)
			t->lost += load->publishers[p].sent - mr_bench_flow_received(f);
	}
}

/* Adds the frames that publishers sent and subscribers received; a requester does both. */
static void sum_frames(const struct mr_bench_load *load, struct mr_bench_totals *t)
{
	const struct mr_bench_plan *plan = load->plan;
	struct mr_client_stats stats;

	for (unsigned i = 0; i < plan->publishers; i++) {
		mr_client_stats(load->publishers[i].client, &stats);
		t->frames_sent += stats.frames_sent;
		t->frames_lost += stats.frames_lost;
		t->retransmits += stats.retransmits;
		t->frames_received += plan->request ? stats.frames_received : 0;
	}
	for (unsigned i = 0; i < plan->subscribers; i++) {
		mr_client_stats(load->subscribers[i].client, &stats);
		t->frames_lost += stats.frames_lost;
		t->retransmits += stats.retransmits;
		t->frames_received += plan->request ? 0 : stats.frames_received;
	}
}

void mr_bench_load_sum(const struct mr_bench_load *load, struct mr_bench_totals *totals,
	struct mr_histogram *latency)
{
	const struct mr_bench_plan *plan = load->plan;

	mr_bench_load_look(load, totals);
	for (unsigned i = 0; i < plan->subscribers; i++)
		sum_subscriber(load, &load->subscribers[i], totals);
	for (unsigned i = 0; i < plan->publishers; i++) {
		totals->failed += load->publishers[i].failed;
		totals->corrupt += load->publishers[i].corrupt;
	}
	sum_frames(load, totals);
	if (plan->request)
		totals->lost = totals->published - totals->delivered;
	if (plan->queue)
		totals->lost = totals->published - (totals->delivered - totals->duplicates);
	*latency = (struct mr_histogram){0};
	for (unsigned i = 0; i < plan->threads; i++)
		mr_histogram_merge(latency, &load->threads[i].histogram);
}
