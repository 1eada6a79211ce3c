/* SPDX-License-Identifier: Apache-2.0 */
/* bench_queue: measures a message in a queue: the cycles of its home worker, and the memory of a
 * waiting one.
 *
 * The engine alone: pushes come from a row of messages, deliveries are written into a ring of each
 * consumer, which settles them from there. Bursts of 32 go the whole way: push, accept, choose,
 * deliver, settle. `weight` fills a queue, reports how much of the store each message used beside
 * its body, and drains it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/support/bench.h"
#include "dataplane/queue/queue.h"
#include "flatbuf/stats.h"

#define CONSUMERS  4u
#define BURST      32u
#define RING_BYTES (64u << 10)
#define TTL_MS     60000u
#define CLIENT     1u /* the consumers have the session numbers after it */

struct consumer {
	uint8_t ring[RING_BYTES];
	uint32_t used;
	uint64_t tags[4096];
	uint32_t count;
};

enum settling { ACK_UP_TO, ACK_EACH, REPLY };

/* A message with options. */
struct whole {
	struct mrf_push_options options;
	uint8_t body[256];
};

struct rig {
	struct mr_slab *store;
	struct mr_queues *queues;
	struct mrf_worker_stats stats;
	struct consumer consumers[CONSUMERS];
	uint64_t now_ms;
	uint64_t next_id;
	uint64_t publisher;
	uint64_t delivered;
	uint64_t others; /* bytes for Accepted and replies, so that they are written too */
	uint32_t queue;
	enum settling settling;
	uint64_t keys; /* number of different keys; 0: messages have none */
	bool waiting;  /* the queue stays as full as it is */
	bool levels;   /* messages have the priorities 0 to 9 in turn */
	bool ends;     /* messages have a time to live */
	uint64_t messages;
	uint8_t body[256];
	struct whole whole;
};

static uint64_t body_bytes = 64;
static uint64_t prefetch = 64;
static uint64_t messages = 1u << 16;
static uint64_t depth = 1u << 20;
static uint64_t store_mib = 2048;
static uint64_t keys = 10000;
static uint64_t only;

enum part {
	PARTS_ALL,
	PART_PLAIN,
	PART_POLICIES,
	PART_KEYS,
	PART_CALLS,
	PART_WEIGHT,
	PART_DELAYS,
	PART_OPTIONS,
	PART_KEYS_WAIT,
};

static bool send(void *arg, uint64_t session, const struct mr_message_plan *plan, uint32_t target,
	bool final)
{
	struct rig *r = arg;
	uint32_t slot = mr_session_slot(session);
	struct consumer *c = &r->consumers[slot == CLIENT ? 0 : slot - CLIENT - 1];

	(void) final;
	if (c->used + plan->stride > RING_BYTES)
		c->used = 0;
	mr_message_write(c->ring + c->used, plan, target);
	c->used += plan->stride;
	if (plan->extra != NULL && slot != CLIENT) {
		c->tags[c->count++] = plan->extra->delivery.tag;
		r->delivered++;
	} else {
		r->others += plan->bytes;
	}
	return true;
}

static bool lives(void *arg, uint64_t session)
{
	(void)arg;
	return session != 0;
}

static uint64_t heard_ms(void *arg, uint64_t session)
{
	(void)session;
	return ((struct rig *)arg)->now_ms;
}

static uint32_t room(void *arg, uint64_t session)
{
	(void)arg;
	(void)session;
	return MR_MESSAGE_BYTES_MAX;
}

static const struct mr_queue_ops ops = {
	.send = send, .lives = lives, .heard_ms = heard_ms, .room = room};

static struct mrf_queue_options options(enum mrf_queue_policy policy)
{
	return (struct mrf_queue_options){
		.policy = (uint8_t)policy,
		.when_full = MRF_QUEUE_FULL_WAIT,
		.messages_max = UINT32_MAX,
		.ack_timeout_ms = 30000,
		.max_deliver = 5,
		.breaker_failures = UINT16_MAX,
		.breaker_reset_ms = 1000,
		.breaker_probes = 1,
	};
}

static void command(struct rig *r, const struct mrf_queue_command *v)
{
	static uint8_t question[4096], answer[65536];
	struct mrf_builder b;
	struct mrf_table t;
	const void *out;
	size_t bytes;
	uint32_t ref;

	mrf_builder_init(&b, question, sizeof(question));
	ref = mrf_queue_command_write(&b, v);
	ref = mrf_queue_message_write(
		&b, &(struct mrf_queue_message){
			    .body_type = MRF_QUEUE_BODY_QUEUE_COMMAND, .body = ref});
	bench_check(mrf_builder_finish(&b, ref, &out, &bytes), "command");
	bench_check(mrf_queue_message_parse(out, (uint32_t)bytes, &t), "command");
	t = mrf_queue_message_body_as_queue_command(t);
	mrf_builder_init(&b, answer, sizeof(answer));
	ref = mr_queues_command(r->queues, t, &b, r->now_ms);
	ref = mrf_queue_message_write(&b,
		&(struct mrf_queue_message){.body_type = MRF_QUEUE_BODY_QUEUE_ANSWER, .body = ref});
	bench_check(mrf_builder_finish(&b, ref, &out, &bytes), "answer");
	bench_check(mrf_queue_message_parse(out, (uint32_t)bytes, &t), "answer");
	t = mrf_queue_message_body_as_queue_answer(t);
	bench_check(mrf_queue_answer_code(t), "command refused");
	r->queue = mrf_queue_answer_queue(t);
}

static void open_rig(struct rig *r, enum mrf_queue_kind kind, enum mrf_queue_policy policy)
{
	struct mr_queues_config c = {
		.queues_max = 1024,
		.per_client_max = 1024,
		.window = 1024,
		.publishers_max = 1024,
		.idle_ms = 600000,
		.message_bytes_max = 1u << 20,
		.queue = options(policy),
		.service = options(policy),
		.prefetch = 10,
		.heartbeat_ms = 2500,
		.missed_max = 3,
		.seed = 42,
		.ops = &ops,
		.arg = r,
		.stats = &r->stats,
	};
	struct mrf_queue_command v = {
		.verb = MRF_QUEUE_VERB_OPEN, .kind = (uint8_t)kind, .name = mrf_str("bench")};

	memset(r, 0, sizeof(*r));
	r->now_ms = 1;
	r->next_id = 1;
	bench_check(mr_slab_new(store_mib << 20, &r->store), "store");
	bench_check(mr_queues_new(&c, r->store, &r->queues), "queues");
	command(r, &v);
}

static void add_consumers(struct rig *r, enum mrf_queue_kind kind)
{
	for (uint32_t i = 0; i < CONSUMERS; i++) {
		struct mrf_queue_command v = {
			.verb = MRF_QUEUE_VERB_CONSUME,
			.kind = (uint8_t)kind,
			.name = mrf_str("bench"),
			.session = mr_session_id(0, CLIENT + 1 + i, 1),
			.subscription = 1,
			.prefetch = (uint32_t)prefetch,
			.weight = i + 1,
		};

		command(r, &v);
	}
}

static void close_rig(struct rig *r)
{
	mr_queues_free(r->queues);
	mr_slab_free(r->store);
}

static void push(struct rig *r, bool call)
{
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_PUSH,
			.flags = call ? MRF_MESSAGE_FLAG_TOKEN : MRF_MESSAGE_FLAG_ORIGIN,
			.target = r->queue},
		.token = {.correlation = r->next_id},
		.extra = {.flags = MRF_MESSAGE_FLAG_ORIGIN,
			.origin = {.publisher = r->publisher, .id = r->next_id}},
		.headers = r->body,
		.payload = r->body,
		.payload_bytes = (uint32_t)body_bytes,
	};

	r->next_id++;
	mr_queues_push(r->queues, mr_session_id(0, CLIENT, 1), &m, r->now_ms);
}

/* Pushes a message with the options that the rig says. */
static void push_options(struct rig *r)
{
	struct whole *whole = &r->whole;
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_PUSH_OPTIONS,
			.flags = MRF_MESSAGE_FLAG_ORIGIN,
			.target = r->queue},
		.extra = {.flags = MRF_MESSAGE_FLAG_ORIGIN,
			.origin = {.publisher = r->publisher, .id = r->next_id}},
		.headers = (const uint8_t *)whole,
		.header_bytes = sizeof(whole->options),
		.payload = whole->body,
		.payload_bytes = (uint32_t)body_bytes,
	};

	/* A multiplication in place of a division, which would take as long as a part of a push.
	 * Only what changes is written: the engine reads words, which would wait for narrower
	 * stores, and a worker reads what another core wrote long before. */
	if (r->keys != 0)
		whole->options.key = 1 + ((uint32_t)(r->next_id * 2654435761u) * r->keys >> 32);
	if (r->levels)
		whole->options.priority = (uint8_t)(1 + r->next_id % 10);
	if (r->ends)
		whole->options.ttl_ms = TTL_MS;
	r->next_id++;
	mr_queues_push_with(r->queues, mr_session_id(0, CLIENT, 1), &m, r->now_ms);
}

static void settle(struct rig *r, uint32_t index, struct consumer *c)
{
	struct mrf_settlement s[BURST];
	uint32_t count = 0;
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_SETTLE, .target = r->queue},
		.payload = (const uint8_t *)s,
	};

	for (uint32_t i = r->settling == ACK_UP_TO ? c->count - 1 : 0; i < c->count; i++) {
		s[count++] = (struct mrf_settlement){.tag = c->tags[i],
			.verb = r->settling == ACK_UP_TO ? MRF_SETTLE_VERB_ACK_UP_TO
							 : MRF_SETTLE_VERB_ACK};
		if (count < BURST && i + 1 < c->count)
			continue;
		m.payload_bytes = count * (uint32_t)sizeof(s[0]);
		mr_queues_settle(r->queues, mr_session_id(0, CLIENT + 1 + index, 1), &m, r->now_ms);
		count = 0;
	}
}

static void reply(struct rig *r, uint32_t index, struct consumer *c)
{
	for (uint32_t i = 0; i < c->count; i++) {
		struct mr_message_view m = {
			.header = {.kind = MRF_MESSAGE_KIND_REPLY,
				.flags = MRF_MESSAGE_FLAG_TOKEN,
				.target = r->queue},
			.token = {.session = c->tags[i]},
			.headers = r->body,
			.payload = r->body,
			.payload_bytes = (uint32_t)body_bytes,
		};

		mr_queues_reply(r->queues, mr_session_id(0, CLIENT + 1 + index, 1), &m, r->now_ms);
	}
}

static void consume(struct rig *r)
{
	for (uint32_t i = 0; i < CONSUMERS; i++) {
		struct consumer *c = &r->consumers[i];

		if (c->count == 0)
			continue;
		if (r->settling == REPLY)
			reply(r, i, c);
		else
			settle(r, i, c);
		c->count = 0;
	}
}

static uint64_t flow(void *context)
{
	struct rig *r = context;
	uint64_t start = bench_cycles(), end = r->delivered + messages, before;
	uint64_t burst = BURST;

	while (r->delivered < end) {
		for (uint64_t i = 0; i < burst; i++) {
			if (r->keys != 0 || r->levels || r->ends)
				push_options(r);
			else
				push(r, r->settling == REPLY);
		}
		before = r->delivered;
		mr_queues_run(r->queues, r->now_ms);
		burst = r->waiting ? r->delivered - before : BURST;
		consume(r);
	}
	return bench_cycles() - start;
}

static void measure_flow(struct bench *b, const char *label, enum mrf_queue_kind kind,
	enum mrf_queue_policy policy, enum settling settling, uint64_t publisher)
{
	struct rig *r = malloc(sizeof(*r));

	bench_check(r == NULL ? -ENOMEM : 0, "memory");
	open_rig(r, kind, policy);
	add_consumers(r, kind);
	r->settling = settling;
	r->publisher = publisher;
	bench_measure(b, label, messages, flow, r);
	close_rig(r);
	free(r);
}

/* Messages of many keys; with `waiting`, ten of each key are in the queue all the time. */
static void measure_keys(struct bench *b, const char *label, bool waiting)
{
	struct rig *r = malloc(sizeof(*r));

	bench_check(r == NULL ? -ENOMEM : 0, "memory");
	open_rig(r, MRF_QUEUE_KIND_QUEUE, MRF_QUEUE_POLICY_KEY_SHARED);
	r->settling = ACK_UP_TO;
	r->keys = keys;
	r->waiting = waiting;
	for (uint64_t i = 0; waiting && i < 10 * keys; i++)
		push_options(r);
	mr_queues_run(r->queues, r->now_ms);
	add_consumers(r, MRF_QUEUE_KIND_QUEUE);
	bench_measure(b, label, messages, flow, r);
	close_rig(r);
	free(r);
}

/* Messages with priorities, or with a time to live. */
static void measure_options(struct bench *b, const char *label, bool levels, bool ends)
{
	struct rig *r = malloc(sizeof(*r));

	bench_check(r == NULL ? -ENOMEM : 0, "memory");
	open_rig(r, MRF_QUEUE_KIND_QUEUE, MRF_QUEUE_POLICY_ROUND_ROBIN);
	add_consumers(r, MRF_QUEUE_KIND_QUEUE);
	r->settling = ACK_UP_TO;
	r->levels = levels;
	r->ends = ends;
	bench_measure(b, label, messages, flow, r);
	close_rig(r);
	free(r);
}

static void measure_weight(struct bench *b)
{
	struct rig *r = malloc(sizeof(*r));
	double sample;
	uint64_t start;

	bench_check(r == NULL ? -ENOMEM : 0, "memory");
	open_rig(r, MRF_QUEUE_KIND_QUEUE, MRF_QUEUE_POLICY_ROUND_ROBIN);
	start = bench_cycles();
	for (uint64_t i = 0; i < depth; i++) {
		push(r, false);
		if (i % BURST == 0)
			mr_queues_run(r->queues, r->now_ms);
	}
	sample = (double)(bench_cycles() - start) / (double)depth;
	bench_report_cycles(b, "fill, cycles a message", &sample, 1);
	sample = (double)r->stats.pushed;
	bench_report(b, "messages held", "messages", &sample, 1);
	sample = (double)mr_slab_bytes(r->store) / (double)r->stats.pushed - (double)body_bytes;
	bench_report(b, "overhead of a message held", "bytes", &sample, 1);
	sample = (double)r->stats.refused_push_memory;
	bench_report(b, "refused, the store being full", "messages", &sample, 1);
	add_consumers(r, MRF_QUEUE_KIND_QUEUE);
	start = bench_cycles();
	while (r->stats.queue_acked < r->stats.pushed) {
		mr_queues_run(r->queues, r->now_ms);
		consume(r);
	}
	sample = (double)(bench_cycles() - start) / (double)r->stats.pushed;
	bench_report_cycles(b, "drain, cycles a message", &sample, 1);
	close_rig(r);
	free(r);
}

/* Pushes a message that is due within `spread_ms`, or now. */
static void push_delayed(struct rig *r, uint64_t index, uint32_t spread_ms)
{
	static struct whole whole;
	struct mr_message_view m = {
		.header = {.kind = MRF_MESSAGE_KIND_PUSH_OPTIONS, .target = r->queue},
		.headers = (const uint8_t *)&whole,
		.header_bytes = sizeof(whole.options),
		.payload = whole.body,
		.payload_bytes = (uint32_t)body_bytes,
	};

	whole.options.delay_ms = 1 + (uint32_t)(index * 2654435761u % spread_ms);
	mr_queues_push_with(r->queues, mr_session_id(0, CLIENT, 1), &m, r->now_ms);
}

static uint64_t thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Empties the queue. The pages of the store stay resident for the next round. */
static void purge(struct rig *r)
{
	command(r, &(struct mrf_queue_command){.verb = MRF_QUEUE_VERB_PURGE,
			   .kind = MRF_QUEUE_KIND_QUEUE,
			   .name = mrf_str("bench")});
	while (mr_queues_run(r->queues, r->now_ms))
		;
}

/* Cycles of a push into a queue that is filled with `depth` messages. `spread_ms` 0: no delays. */
static double fill(struct rig *r, uint32_t spread_ms)
{
	uint64_t start = bench_cycles();

	for (uint64_t i = 0; i < depth; i++) {
		if (spread_ms == 0)
			push(r, false);
		else
			push_delayed(r, i, spread_ms);
		if (i % BURST == 0)
			mr_queues_run(r->queues, r->now_ms);
	}
	return (double)(bench_cycles() - start) / (double)depth;
}

/* Steps the time until all are ready, by milliseconds, as a worker does. */
static double fire(struct rig *r, uint32_t spread_ms)
{
	uint64_t start = bench_cycles();

	for (uint64_t end = r->now_ms + spread_ms + 2000; r->now_ms < end; r->now_ms++)
		if (mr_queues_due_ms(r->queues) <= r->now_ms)
			mr_queues_tick(r->queues, r->now_ms);
	return (double)(bench_cycles() - start) / (double)depth;
}

/* The same; returns the longest tick in time of the processor: other programs of a busy machine
 * take part in cycles. */
static double fire_longest_ns(struct rig *r, uint32_t spread_ms)
{
	uint64_t most = 0;

	for (uint64_t end = r->now_ms + spread_ms + 2000; r->now_ms < end; r->now_ms++) {
		uint64_t ns = thread_ns();

		if (mr_queues_due_ms(r->queues) <= r->now_ms)
			mr_queues_tick(r->queues, r->now_ms);
		ns = thread_ns() - ns;
		most = ns > most ? ns : most;
	}
	return (double)most;
}

#define DELAY_ROUNDS 3u

static void measure_delay(struct bench *b, uint32_t spread_ms)
{
	struct rig *r = malloc(sizeof(*r));
	double in[DELAY_ROUNDS], out[DELAY_ROUNDS], longest[DELAY_ROUNDS], plain[DELAY_ROUNDS];
	char label[64];

	bench_check(r == NULL ? -ENOMEM : 0, "memory");
	open_rig(r, MRF_QUEUE_KIND_QUEUE, MRF_QUEUE_POLICY_ROUND_ROBIN);
	(void)fill(r, spread_ms);
	purge(r);
	for (unsigned i = 0; i < DELAY_ROUNDS; i++) {
		plain[i] = fill(r, 0);
		purge(r);
		in[i] = fill(r, spread_ms);
		out[i] = fire(r, spread_ms);
		purge(r);
		(void)fill(r, spread_ms);
		longest[i] = fire_longest_ns(r, spread_ms);
		purge(r);
	}
	snprintf(label, sizeof(label), "delayed up to %" PRIu32 " s: plain push", spread_ms / 1000);
	bench_report_cycles(b, label, plain, DELAY_ROUNDS);
	bench_report_cycles(b, "  push with a delay", in, DELAY_ROUNDS);
	bench_report_cycles(b, "  fire, ticks included", out, DELAY_ROUNDS);
	bench_report(b, "  longest tick", "ns", longest, DELAY_ROUNDS);
	close_rig(r);
	free(r);
}

static bool wanted(enum part part)
{
	return only == PARTS_ALL || only == (uint64_t)part;
}

static void measure_plain(struct bench *b)
{
	measure_flow(b, "round robin, acks in one", MRF_QUEUE_KIND_QUEUE,
		MRF_QUEUE_POLICY_ROUND_ROBIN, ACK_UP_TO, 0);
	measure_flow(b, "round robin, each acked", MRF_QUEUE_KIND_QUEUE,
		MRF_QUEUE_POLICY_ROUND_ROBIN, ACK_EACH, 0);
	measure_flow(b, "round robin, exactly once", MRF_QUEUE_KIND_QUEUE,
		MRF_QUEUE_POLICY_ROUND_ROBIN, ACK_UP_TO, 77);
}

static void measure_policies(struct bench *b)
{
	measure_flow(b, "least recently used", MRF_QUEUE_KIND_QUEUE,
		MRF_QUEUE_POLICY_LEAST_RECENTLY_USED, ACK_UP_TO, 0);
	measure_flow(b, "least outstanding", MRF_QUEUE_KIND_QUEUE,
		MRF_QUEUE_POLICY_LEAST_OUTSTANDING, ACK_UP_TO, 0);
	measure_flow(b, "random", MRF_QUEUE_KIND_QUEUE, MRF_QUEUE_POLICY_RANDOM, ACK_UP_TO, 0);
	measure_flow(b, "weighted", MRF_QUEUE_KIND_QUEUE, MRF_QUEUE_POLICY_WEIGHTED, ACK_UP_TO, 0);
}

static void measure_delays(struct bench *b)
{
	measure_delay(b, 10000);
	measure_delay(b, 100000);
	measure_delay(b, 1000000);
}

int main(int argc, char **argv)
{
	static const struct bench_option known[] = {
		{"body", &body_bytes, 1, 256, "bytes of a message", NULL},
		{"prefetch", &prefetch, 1, 1024, "of each consumer", NULL},
		{"messages", &messages, 1024, 1u << 28, "of a round", NULL},
		{"depth", &depth, 1024, 1u << 28, "messages to fill a queue with", NULL},
		{"store", &store_mib, 16, 1u << 20, "MiB", NULL},
		{"keys", &keys, 1, 1u << 20, "of the messages with keys", NULL},
		{"only", &only, PARTS_ALL, PART_KEYS_WAIT,
			"1: round robin, 2: other policies, 3: keys, 4: calls, 5: weight, 6: "
			"delays, 7: priorities and time to live, 8: keys that wait, 0: all",
			NULL},
	};
	struct bench b;

	bench_open(&b, "bench_queue", argc, argv, known, MR_ARRAY_COUNT(known));
	bench_pin(0);
	if (wanted(PART_PLAIN))
		measure_plain(&b);
	if (wanted(PART_POLICIES))
		measure_policies(&b);
	if (wanted(PART_KEYS))
		measure_keys(&b, "key-shared, many keys", false);
	if (wanted(PART_KEYS_WAIT))
		measure_keys(&b, "key-shared, many keys that wait", true);
	if (wanted(PART_CALLS))
		measure_flow(&b, "service, call and reply", MRF_QUEUE_KIND_SERVICE,
			MRF_QUEUE_POLICY_LEAST_RECENTLY_USED, REPLY, 0);
	if (wanted(PART_WEIGHT))
		measure_weight(&b);
	if (wanted(PART_DELAYS))
		measure_delays(&b);
	if (wanted(PART_OPTIONS)) {
		measure_options(&b, "with priorities 0 to 9", true, false);
		measure_options(&b, "with a time to live", false, true);
	}
	bench_close(&b);
	return 0;
}
