/* SPDX-License-Identifier: Apache-2.0 */
/* Request-reply: every publisher keeps a number of requests open; responders return each payload
 * unchanged. Latency is the round-trip time at the requester. Calls of a service work the same way,
 * by other functions of the library.
 */
#include <errno.h>
#include <stdlib.h>

#include "cli/bench/load.h"

#define PROCESS_MAX      256
#define REPLY_TIMEOUT_MS 5000
#define NOW_USES         16

static bool is_answer(const struct mr_bench_slot *slot, const struct mr_message *reply)
{
	const struct mr_bench_plan *plan = slot->publisher->load->plan;

	return reply->payload_bytes == plan->bytes &&
	       memcmp(reply->payload, &slot->stamp, sizeof(slot->stamp)) == 0 &&
	       (!plan->full || mr_bench_is_intact(reply->payload, reply->payload_bytes));
}

/* Returns the time; several requests of a round share one look at the clock. */
static uint64_t now_of(struct mr_bench_publisher *p)
{
	if (p->now_uses == 0) {
		p->now = mr_bench_ticks();
		p->now_uses = NOW_USES;
	}
	p->now_uses--;
	return p->now;
}

static void answered(struct mr_bench_slot *slot, const struct mr_message *reply, int error)
{
	struct mr_bench_publisher *p = slot->publisher;
	uint64_t now = now_of(p);
	uint64_t when = slot->stamp.when;

	p->in_flight--;
	slot->next_free = p->free_slots;
	p->free_slots = slot;
	if (error) {
		p->failed++;
		return;
	}
	if (!is_answer(slot, reply)) {
		p->corrupt++;
		return;
	}
	atomic_store_explicit(&p->answered_out,
		atomic_load_explicit(&p->answered_out, memory_order_relaxed) + 1,
		memory_order_relaxed);
	if (p->recording)
		mr_histogram_record(p->histogram, now > when ? now - when : 0, 1);
}

static void on_reply(struct mr_client *c, const struct mr_message *reply, int error, void *arg)
{
	(void)c;
	answered(arg, reply, error);
}

static void on_call_reply(struct mr_client *c, uint64_t correlation, const struct mr_message *reply,
	bool more, int error, void *arg)
{
	(void)c, (void)correlation, (void)more;
	answered(arg, reply, error);
}

int mr_bench_request_prepare(struct mr_bench_publisher *p)
{
	unsigned count = p->load->plan->outstanding;

	p->slots = calloc(count, sizeof(*p->slots));
	if (!p->payload)
		p->payload = malloc(p->load->plan->bytes);
	if (!p->slots || !p->payload)
		return -ENOMEM;
	snprintf(p->service, sizeof(p->service), "bench.%s", p->load->plan->run);
	for (unsigned i = 0; i < count; i++) {
		p->slots[i].publisher = p;
		p->slots[i].next_free = p->free_slots;
		p->free_slots = &p->slots[i];
	}
	return 0;
}

/* Failures shall be counted, not repaired by retries. */
static const struct mr_call_options call_options = {
	.timeout_ms = REPLY_TIMEOUT_MS,
	.retries = MR_NO_RETRIES,
	.breaker_failures = UINT32_MAX,
};

static int ask(struct mr_bench_publisher *p, struct mr_bench_slot *slot)
{
	const struct mr_bench_plan *plan = p->load->plan;

	if (plan->service)
		return mr_call_async(p->client, p->service, p->payload, plan->bytes, &call_options,
			on_call_reply, slot);
	return mr_publisher_request(
		p->lanes[p->lane], p->payload, plan->bytes, REPLY_TIMEOUT_MS, on_reply, slot);
}

static int send_one(struct mr_bench_publisher *p, uint64_t when)
{
	const struct mr_bench_plan *plan = p->load->plan;
	struct mr_bench_slot *slot = p->free_slots;
	int rc;

	slot->stamp = (struct mr_bench_stamp){mr_bench_who(p->index, p->sent), when};
	mr_bench_fill(p->payload, plan->bytes, slot->stamp, plan->full);
	rc = ask(p, slot);
	if (rc < 0)
		return rc;
	p->free_slots = slot->next_free;
	p->in_flight++;
	p->sent++;
	p->lane = p->lane + 1 < plan->subjects ? p->lane + 1 : 0;
	return 0;
}

static int send_due(struct mr_bench_publisher *p)
{
	bool paced = p->load->plan->rate > 0;
	uint64_t due = paced ? mr_bench_pace_due(&p->pace, mr_bench_ticks()) : UINT64_MAX;
	int done = 0;

	while (p->free_slots && due > 0) {
		uint64_t sent = p->pace.sent;
		int rc = send_one(p, paced ? mr_bench_pace_take(&p->pace) : now_of(p));

		if (rc) {
			p->pace.sent = sent;
			if (rc != -EAGAIN)
				return rc;
			break;
		}
		due--;
		done++;
	}
	if (done == 0)
		return 0;
	atomic_store_explicit(&p->sent_out, p->sent, memory_order_relaxed);
	return mr_flush(p->client) ?: done;
}

int mr_bench_request_round(struct mr_bench_publisher *p, bool sending)
{
	int n, sent;

	p->recording = mr_bench_load_phase(p->load) == MR_BENCH_MEASURE;
	p->now_uses = 0;
	n = mr_process(p->client, PROCESS_MAX);
	if (n < 0 || !sending)
		return n;
	p->now_uses = 0;
	sent = send_due(p);
	return sent < 0 ? sent : n + sent;
}

static void on_request(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct mr_bench_subscriber *s = arg;

	/* The requester checks the content. */
	if (mr_reply(c, m->reply_token, m->payload, m->payload_bytes) == 0)
		s->received++;
}

static void on_work(struct mr_client *c, const struct mr_work *work, void *arg)
{
	struct mr_bench_subscriber *s = arg;
	const struct mr_message *m = &work->delivery.message;

	(void)c;
	if (mr_respond(s->service, work->delivery.tag, m->payload, m->payload_bytes) == 0)
		s->received++;
}

static int serve_service(struct mr_bench_subscriber *s)
{
	struct mr_serve_options options = {.prefetch = s->load->plan->prefetch};
	char name[64];

	snprintf(name, sizeof(name), "bench.%s", s->load->plan->run);
	return mr_serve(s->client, name, &options, on_work, s, &s->service);
}

int mr_bench_request_serve(struct mr_bench_subscriber *s)
{
	struct mr_subscribe_options options = {.group = "bench"};
	struct mr_subscription *subscription;
	char pattern[64];

	if (s->load->plan->service)
		return serve_service(s);
	snprintf(pattern, sizeof(pattern), "bench.%s.>", s->load->plan->run);
	return mr_subscribe(s->client, pattern, &options, on_request, s, &subscription);
}

int mr_bench_request_serve_round(struct mr_bench_subscriber *s)
{
	int n = mr_process(s->client, PROCESS_MAX);

	if (n <= 0)
		return n;
	atomic_store_explicit(&s->received_out, s->received, memory_order_relaxed);
	return mr_flush(s->client) ?: n;
}
