/* SPDX-License-Identifier: Apache-2.0 */
/* Publish-subscribe: every subscriber gets every message of every publisher. */
#include <errno.h>

#include "control/cli/bench/load.h"

#define RECEIVE_MAX 256
/* Messages that share one look at the clock: at 100 ns a message an error below 2 us. */
#define NOW_USES 16

static void flush_run(struct mr_bench_subscriber *s)
{
	if (s->run_count && s->recording)
		mr_histogram_record(s->histogram,
			s->run_now > s->run_when ? s->run_now - s->run_when : 0, s->run_count);
	s->run_count = 0;
}

static void note_latency(struct mr_bench_subscriber *s, uint64_t when)
{
	if (s->now_uses == 0) {
		s->now = mr_bench_ticks();
		s->now_uses = NOW_USES;
	}
	s->now_uses--;
	if (when != s->run_when || s->now != s->run_now) {
		flush_run(s);
		s->run_when = when;
		s->run_now = s->now;
	}
	s->run_count++;
}

static void on_message(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct mr_bench_subscriber *s = arg;
	const struct mr_bench_plan *plan = s->load->plan;
	struct mr_bench_stamp stamp;

	(void)c;
	if (mr_unlikely(m->payload_bytes != plan->bytes)) {
		s->corrupt++;
		return;
	}
	memcpy(&stamp, m->payload, sizeof(stamp));
	if (mr_unlikely(mr_bench_publisher_of(stamp) >= plan->publishers) ||
		(plan->full && mr_unlikely(!mr_bench_is_intact(m->payload, m->payload_bytes)))) {
		s->corrupt++;
		return;
	}
	mr_bench_flow_take(&s->flows[mr_bench_publisher_of(stamp)], mr_bench_sequence_of(stamp));
	s->received++;
	note_latency(s, stamp.when);
}

int mr_bench_pubsub_subscribe(struct mr_bench_subscriber *s)
{
	struct mr_subscription *subscription;
	char pattern[64];

	snprintf(pattern, sizeof(pattern), "bench.%s.>", s->load->plan->run);
	return mr_subscribe(s->client, pattern, NULL, on_message, s, &subscription);
}

int mr_bench_pubsub_receive_round(struct mr_bench_subscriber *s)
{
	unsigned publishers = s->load->plan->publishers;
	int n;

	s->now_uses = 0;
	s->recording = mr_bench_load_phase(s->load) == MR_BENCH_MEASURE;
	n = mr_process(s->client, RECEIVE_MAX);
	if (n <= 0)
		return n;
	flush_run(s);
	for (unsigned p = 0; p < publishers; p++)
		atomic_store_explicit(
			&s->seen[p], s->flows[p].next, memory_order_release); /* [load.seen] */
	atomic_store_explicit(&s->received_out, s->received, memory_order_relaxed);
	return n;
}

/* Messages of a publisher that the slowest subscriber has not seen. */
static uint64_t in_flight(struct mr_bench_publisher *p)
{
	const struct mr_bench_load *load = p->load;
	uint64_t slowest = p->sent;

	for (unsigned s = 0; s < load->plan->subscribers; s++) {
		uint64_t seen = atomic_load_explicit(&load->subscribers[s].seen[p->index],
			memory_order_acquire); /* [load.seen] */

		if (seen < slowest)
			slowest = seen;
	}
	if (slowest < p->written_off)
		slowest = p->written_off;
	return p->sent - slowest;
}

/* How many may be sent now. In a closed loop whole batches or nothing: small ones would measure the
 * cost of batches, not of messages. */
static uint32_t allowance(struct mr_bench_publisher *p, uint64_t now)
{
	const struct mr_bench_plan *plan = p->load->plan;
	uint64_t room, least;

	if (plan->rate > 0) {
		room = mr_bench_pace_due(&p->pace, now);
		return room < plan->batch ? (uint32_t)room : plan->batch;
	}
	room = in_flight(p);
	room = room < plan->window ? plan->window - room : 0;
	least = plan->batch < plan->window ? plan->batch : plan->window;
	return room >= least ? (uint32_t)least : 0;
}

static int send_one(struct mr_bench_publisher *p, struct mr_publisher *lane, uint64_t when)
{
	const struct mr_bench_plan *plan = p->load->plan;
	struct mr_bench_stamp stamp = {mr_bench_who(p->index, p->sent), when};
	void *payload;
	int rc = mr_publisher_claim(lane, plan->bytes, &payload);

	if (mr_unlikely(rc))
		return rc;
	mr_bench_fill(payload, plan->bytes, stamp, plan->full);
	rc = mr_publisher_commit(lane, plan->bytes);
	p->sent += rc == 0;
	return rc;
}

int mr_bench_pubsub_publish_round(struct mr_bench_publisher *p)
{
	const struct mr_bench_plan *plan = p->load->plan;
	uint64_t now = mr_bench_ticks();
	uint32_t count = allowance(p, now);
	uint32_t done = 0;
	int rc = 0;

	while (done < count) {
		/* A message that finds no room keeps the time it was meant for. */
		uint64_t sent = p->pace.sent;

		rc = send_one(
			p, p->lanes[p->lane], plan->rate > 0 ? mr_bench_pace_take(&p->pace) : now);
		if (mr_unlikely(rc)) {
			p->pace.sent = sent;
			break;
		}
		done++;
	}
	if (rc && rc != -EAGAIN)
		return rc;
	if (done == 0)
		return 0;
	p->lane = p->lane + 1 < plan->subjects ? p->lane + 1 : 0;
	atomic_store_explicit(&p->sent_out, p->sent, memory_order_relaxed);
	rc = mr_flush(p->client);
	return rc ? rc : (int)done;
}
