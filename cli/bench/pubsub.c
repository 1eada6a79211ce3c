/* SPDX-License-Identifier: Apache-2.0 */
/* Publish-subscribe: each subscriber gets every message of every publisher. */
#include "cli/bench/load.h"

#include <errno.h>
#include <stdlib.h>

#define RECEIVE_MAX 256
/* Messages that share one look at the clock: at 50 ns per message the error is below 2 us. */
#define NOW_USES 32

static void flush_run(struct mr_bench_subscriber *s)
{
	if (s->run_count && s->recording)
		mr_histogram_record(s->histogram,
			s->run_now > s->run_when ? s->run_now - s->run_when : 0, s->run_count);
	s->run_count = 0;
}

static void note_latency(struct mr_bench_subscriber *s, uint64_t when, uint32_t count)
{
	if (when != s->run_when || s->now != s->run_now) {
		flush_run(s);
		s->run_when = when;
		s->run_now = s->now;
	}
	s->run_count += count;
}

/* Checks a run of one publisher's messages, up to `count`. Returns its length; 1 if the first
 * message is damaged. */
static uint32_t take_row(
	struct mr_bench_subscriber *s, const uint8_t *first, size_t stride, uint32_t count)
{
	const struct mr_bench_plan *plan = s->load->plan;
	struct mr_bench_stamp stamp;
	uint32_t n, publisher;

	memcpy(&stamp, first, sizeof(stamp));
	publisher = mr_bench_publisher_of(stamp);
	n = mr_bench_row(first, stride, count, plan->bytes, plan->full);
	if (mr_unlikely(n == 0 || publisher >= plan->publishers)) {
		s->corrupt++;
		return 1;
	}
	mr_bench_flow_take(&s->flows[publisher], mr_bench_sequence_of(stamp), n);
	s->received += n;
	note_latency(s, stamp.when, n);
	return n;
}

static void on_messages(
	struct mr_client *c, const struct mr_message *m, unsigned count, size_t stride, void *arg)
{
	struct mr_bench_subscriber *s = arg;
	const uint8_t *payload = m->payload;
	uint32_t n;

	(void)c;
	if (mr_unlikely(m->payload_bytes != s->load->plan->bytes)) {
		s->corrupt += count;
		return;
	}
	for (; count > 0; count -= n, payload += n * stride) {
		if (s->now_uses == 0) {
			s->now = mr_bench_ticks();
			s->now_uses = NOW_USES;
		}
		n = take_row(s, payload, stride, count < s->now_uses ? count : s->now_uses);
		s->now_uses -= n;
	}
}

int mr_bench_pubsub_subscribe(struct mr_bench_subscriber *s)
{
	struct mr_subscribe_options options = {
		.batch = on_messages, .promise = s->load->plan->promise};
	struct mr_subscription *subscription;
	char pattern[64];

	snprintf(pattern, sizeof(pattern), "bench.%s.>", s->load->plan->run);
	return mr_subscribe(s->client, pattern, &options, NULL, s, &subscription);
}

int mr_bench_pubsub_receive_round(struct mr_bench_subscriber *s)
{
	int n;

	s->now_uses = 0;
	s->recording = mr_bench_load_phase(s->load) == MR_BENCH_MEASURE;
	n = mr_process(s->client, RECEIVE_MAX);
	if (n <= 0)
		return n;
	flush_run(s);
	mr_bench_subscriber_publish(s);
	return n;
}

/* Returns the number of messages that the slowest subscriber has not received. */
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

/* Returns the number of messages to send now. A closed loop sends whole batches or nothing: small
 * batches would measure the cost of batches, not of messages. */
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

static void fill_row(
	struct mr_bench_publisher *p, uint8_t *to, size_t stride, uint32_t count, uint64_t now)
{
	const struct mr_bench_plan *plan = p->load->plan;
	struct mr_bench_stamp stamp = {mr_bench_who(p->index, p->sent), now};

	if (plan->rate == 0) {
		mr_bench_fill_row(to, stride, count, plan->bytes, stamp, plan->full);
		return;
	}
	for (uint32_t i = 0; i < count; i++, to += stride, stamp.who++) {
		stamp.when = mr_bench_pace_take(&p->pace);
		mr_bench_fill(to, plan->bytes, stamp, plan->full);
	}
}

/* Sends up to `count` messages, as far as there is room. The others keep their due times. Returns
 * the number sent, or -errno. */
static int send_some(struct mr_bench_publisher *p, uint32_t count, uint64_t now)
{
	struct mr_publisher *lane = p->lanes[p->lane];
	size_t stride;
	void *first;
	int rc, n = mr_publisher_claim_batch(lane, p->load->plan->bytes, count, &first, &stride);

	if (n <= 0)
		return n;
	fill_row(p, first, stride, (uint32_t)n, now);
	rc = mr_publisher_commit_batch(lane, (unsigned)n);
	if (mr_unlikely(rc))
		return rc;
	p->sent += (uint32_t)n;
	return n;
}

int mr_bench_pubsub_open(struct mr_bench_publisher *p, unsigned lane, const char *subject)
{
	const struct mr_bench_plan *plan = p->load->plan;
	const struct mr_publisher_options options = {.promise = plan->promise};

	return mr_publisher_open_with(p->client, subject, &options, &p->lanes[lane]);
}

/* Handles acceptances, which make room, and sends unaccepted messages again. */
static int look_after_promises(struct mr_bench_publisher *p)
{
	int rc = mr_process(p->client, RECEIVE_MAX);

	return rc < 0 ? rc : 0;
}

int mr_bench_pubsub_publish_round(struct mr_bench_publisher *p, bool sending)
{
	bool promised = p->load->plan->promise != MR_BEST_EFFORT;
	uint64_t now = mr_bench_ticks();
	uint32_t count = sending ? allowance(p, now) : 0;
	int rc = promised ? look_after_promises(p) : 0;
	int done = rc != 0 ? rc : count == 0 ? 0 : send_some(p, count, now);

	if (done <= 0)
		return done;
	p->lane = p->lane + 1 < p->load->plan->subjects ? p->lane + 1 : 0;
	atomic_store_explicit(&p->sent_out, p->sent, memory_order_relaxed);
	rc = mr_flush(p->client);
	return rc ? rc : done;
}
