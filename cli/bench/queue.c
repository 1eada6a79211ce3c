/* SPDX-License-Identifier: Apache-2.0 */
/* Queues: each message of every producer goes to exactly one consumer; the check covers all
 * consumers. */
#include <errno.h>
#include <stdlib.h>

#include "cli/bench/load.h"

#define RECEIVE_MAX 256
#define NOW_USES    32
/* A bit for each message, far more than can be under way. The meaning of a bit changes with each
 * pass over the field, so that it is never cleared. */
#define BITS (1u << 22)

_Static_assert(BITS % 64 == 0, "in words");

static bool is_first_copy(struct mr_bench_publisher *p, uint64_t sequence)
{
	_Atomic uint64_t *word = &p->arrived[sequence % BITS / 64];
	uint64_t bit = 1ull << sequence % 64;
	bool was_set = (sequence / BITS & 1) != 0;
	uint64_t was;

	/* consumers of other threads set bits too */
	if (p->load->plan->threads > 1) {
		was = atomic_fetch_xor_explicit(word, bit, memory_order_relaxed);
	} else {
		was = atomic_load_explicit(word, memory_order_relaxed);
		atomic_store_explicit(word, was ^ bit, memory_order_relaxed);
	}
	return ((was & bit) != 0) == was_set;
}

static void take(struct mr_bench_subscriber *s, const struct mr_delivery *d)
{
	const struct mr_bench_plan *plan = s->load->plan;
	const uint8_t *payload = d->message.payload;
	struct mr_bench_stamp stamp;
	uint32_t producer;

	if (mr_unlikely(d->message.payload_bytes != plan->bytes ||
			mr_bench_row(payload, 0, 1, plan->bytes, plan->full) == 0)) {
		s->corrupt++;
		return;
	}
	memcpy(&stamp, payload, sizeof(stamp));
	producer = mr_bench_publisher_of(stamp);
	if (mr_unlikely(producer >= plan->publishers)) {
		s->corrupt++;
		return;
	}
	s->flows[producer].next++;
	s->received++;
	if (mr_unlikely(
		    !is_first_copy(&s->load->publishers[producer], mr_bench_sequence_of(stamp))))
		s->flows[producer].duplicates++;
	if (s->recording && s->now > stamp.when)
		mr_histogram_record(s->histogram, s->now - stamp.when, 1);
}

static void on_delivery(struct mr_client *c, const struct mr_delivery *d, void *arg)
{
	struct mr_bench_subscriber *s = arg;

	(void)c;
	if (s->now_uses == 0) {
		s->now = mr_bench_ticks();
		s->now_uses = NOW_USES;
	}
	s->now_uses--;
	take(s, d);
	if (s->load->plan->manual)
		mr_ack(d->consumer, d->tag);
}

static void queue_name(char *out, size_t bytes, const struct mr_bench_plan *plan)
{
	snprintf(out, bytes, "bench.%s", plan->run);
}

int mr_bench_queue_consume(struct mr_bench_subscriber *s)
{
	const struct mr_bench_plan *plan = s->load->plan;
	struct mr_consume_options options = {.prefetch = plan->prefetch, .manual = plan->manual};
	struct mr_consumer *consumer;
	char name[64];

	queue_name(name, sizeof(name), plan);
	return mr_consume(s->client, name, &options, on_delivery, s, &consumer);
}

int mr_bench_queue_open(struct mr_bench_publisher *p)
{
	const struct mr_bench_plan *plan = p->load->plan;
	struct mr_push_options options = {.promise = plan->promise};
	char name[64];

	p->arrived = calloc(BITS / 64, sizeof(*p->arrived));
	p->payload = malloc(plan->bytes);
	if (!p->arrived || !p->payload)
		return -ENOMEM;
	queue_name(name, sizeof(name), plan);
	return mr_queue_open(p->client, name, &options, &p->queue);
}

int mr_bench_queue_consume_round(struct mr_bench_subscriber *s)
{
	int n;

	s->now_uses = 0;
	s->recording = mr_bench_load_phase(s->load) == MR_BENCH_MEASURE;
	n = mr_process(s->client, RECEIVE_MAX);
	if (n <= 0)
		return n;
	mr_bench_subscriber_publish(s);
	return n;
}

/* Returns the number of messages that no consumer has received. */
static uint64_t in_flight(const struct mr_bench_publisher *p)
{
	const struct mr_bench_load *load = p->load;
	uint64_t seen = 0;

	for (unsigned s = 0; s < load->plan->subscribers; s++)
		seen += atomic_load_explicit(&load->subscribers[s].seen[p->index],
			memory_order_acquire); /* [load.seen] */
	return p->sent > seen ? p->sent - seen : 0;
}

static uint32_t allowance(struct mr_bench_publisher *p, uint64_t now)
{
	const struct mr_bench_plan *plan = p->load->plan;
	uint64_t room;

	if (plan->rate > 0) {
		room = mr_bench_pace_due(&p->pace, now);
	} else {
		room = in_flight(p);
		room = room < plan->window ? plan->window - room : 0;
	}
	return room < plan->batch ? (uint32_t)room : plan->batch;
}

/* Pushes up to `count` messages. Returns the number, or -errno. */
static int push_some(struct mr_bench_publisher *p, uint32_t count, uint64_t now)
{
	const struct mr_bench_plan *plan = p->load->plan;
	struct mr_push push = {.payload = p->payload, .bytes = plan->bytes};
	uint32_t done = 0;

	for (; done < count; done++) {
		struct mr_bench_stamp stamp = {mr_bench_who(p->index, p->sent), now};
		int rc;

		mr_bench_fill(p->payload, plan->bytes, stamp, plan->full);
		rc = mr_push_with(p->queue, &push, NULL);
		if (rc == -EAGAIN)
			break;
		if (mr_unlikely(rc))
			return rc;
		if (plan->rate > 0)
			mr_bench_pace_take(&p->pace);
		p->sent++;
	}
	atomic_store_explicit(&p->sent_out, p->sent, memory_order_relaxed);
	return (int)done;
}

int mr_bench_queue_push_round(struct mr_bench_publisher *p, bool sending)
{
	uint64_t now = mr_bench_ticks();
	uint32_t count = sending ? allowance(p, now) : 0;
	int done = count > 0 ? push_some(p, count, now) : 0;
	int rc;

	if (done < 0)
		return done;
	/* Outcomes of earlier pushes. */
	rc = mr_process(p->client, RECEIVE_MAX);
	return rc < 0 ? rc : done;
}
