/* SPDX-License-Identifier: Apache-2.0 */
/* bench_crossing: measures the cost of a message from a channel of one worker to a channel of
 * another.
 *
 * One thread steps both by hand, so no cache line travels between cores: it measures the code
 * alone. It pushes the 64-byte messages of a round, then each worker makes a round; only rounds are
 * timed. Plain: by alias to a subscriber. Group: to the only member of a queue group. Queue: pushed
 * to a queue owned by the other worker, which delivers it to a client of the first: each message
 * crosses twice, and one acknowledgement covers a round.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/micro/support/bench.h"
#include "dataplane/worker/stages.h"
#include "tests/support/net/rig.h"

#define ROUNDS        64u
#define BURST         32u /* messages a round */
#define PAYLOAD_BYTES 64u
#define MESSAGES      (ROUNDS * BURST)

static struct mr_rig r;
static struct mr_rig_local from, to, near;
static uint32_t plain, group, queue;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_crossing: %s\n", what);
	exit(1);
}

/* Times a round without housekeeping, which is rare. */
static void round_of(struct mr_worker *w, uint64_t now)
{
	w->round_start = now;
	mr_worker_round(w);
	mr_router_quiescent(w->router);
}

static uint64_t timed_rounds(void)
{
	uint64_t start = bench_cycles();

	round_of(r.workers[0], start);
	round_of(r.workers[1], start);
	return bench_cycles() - start;
}

static void push(enum mrf_message_kind kind, uint32_t target)
{
	static const uint8_t payload[PAYLOAD_BYTES];
	const struct mr_message_plan plan =
		mr_message_plan(kind, NULL, NULL, 0, payload, 0, sizeof(payload));

	for (uint32_t i = 0; i < BURST; i++)
		mr_rig_push(&from, &plan, target);
}

static uint32_t empty(struct mr_rig_local *c, struct mr_message_view *last)
{
	uint32_t count = 0;

	for (; mr_rig_next(c, last); count++)
		;
	(void)mr_bytes_release(&c->down);
	return count;
}

static uint64_t publish(void *target)
{
	struct mr_message_view m;
	uint64_t cycles = 0;
	uint32_t count = 0;

	for (uint32_t n = 0; n < ROUNDS; n++) {
		push(MRF_MESSAGE_KIND_PUBLISH, *(uint32_t *)target);
		cycles += timed_rounds();
		count += empty(&to, &m);
	}
	must(count == MESSAGES, "messages were lost");
	return cycles;
}

static void acknowledge(uint64_t tag)
{
	struct mrf_settlement settlement = {.tag = tag, .verb = MRF_SETTLE_VERB_ACK_UP_TO};
	const struct mr_message_plan plan = mr_message_plan(
		MRF_MESSAGE_KIND_SETTLE, NULL, NULL, 0, &settlement, 0, sizeof(settlement));

	mr_rig_push(&near, &plan, queue);
}

static uint64_t through_queue(void *context)
{
	struct mr_message_view m;
	uint64_t cycles = 0;
	uint32_t count = 0;

	(void)context;
	for (uint32_t n = 0; n < ROUNDS; n++) {
		push(MRF_MESSAGE_KIND_PUSH, queue);
		cycles += timed_rounds(); /* to the other worker */
		cycles += timed_rounds(); /* back to the first */
		count += empty(&near, &m);
		acknowledge(m.extra.delivery.tag);
		cycles += timed_rounds();
	}
	must(count == MESSAGES, "messages were lost");
	return cycles;
}

static uint32_t alias_of(struct mr_owner owner, const char *subject)
{
	uint32_t alias = 0;

	must(mr_table_alias_acquire(r.table, &owner, subject, 1, &alias) == 0, "alias");
	mr_session_hold(from.session, alias, true);
	return alias;
}

static void open_queue(void)
{
	struct mrf_queue_command c = {
		.session = near.session->id, .subscription = 9, .prefetch = 1024};
	struct mrf_table answer;
	char name[8];

	for (unsigned i = 0;; i++) {
		snprintf(name, sizeof(name), "q.%u", i);
		if (mr_queue_home(MRF_QUEUE_KIND_QUEUE, name, strlen(name), 2) == 1)
			break;
	}
	c.name = mrf_str(name);
	c.verb = MRF_QUEUE_VERB_OPEN;
	answer = mr_rig_command(&r, 1, &c);
	must(mrf_queue_answer_code(answer) == 0, "queue");
	queue = mrf_queue_answer_queue(answer);
	c.verb = MRF_QUEUE_VERB_CONSUME;
	must(mrf_queue_answer_code(mr_rig_command(&r, 1, &c)) == 0, "consumer");
}

int main(int argc, char **argv)
{
	struct mr_owner owner;
	struct bench b;

	bench_open(&b, "bench_crossing", argc, argv, NULL, 0);
	mr_rig_open(&r, 2);
	bench_pin(0);
	owner = mr_rig_attach(&r, 0, 0, &from);
	mr_rig_attach(&r, 0, 1, &near);
	mr_rig_attach(&r, 1, 2, &to);
	mr_rig_subscribe(&r, to.session, 1, "a");
	mr_rig_join(&r, to.session, 2, "b", "g");
	plain = alias_of(owner, "a");
	group = alias_of(owner, "b");
	open_queue();
	/* The kinds take turns, so that a disturbance of the machine affects all. */
	for (unsigned i = 0; i < 3; i++) {
		bench_measure(&b, "plain", MESSAGES, publish, &plain);
		bench_measure(&b, "group", MESSAGES, publish, &group);
		bench_measure(&b, "queue", MESSAGES, through_queue, NULL);
	}
	close(from.liveness_fd);
	close(near.liveness_fd);
	close(to.liveness_fd);
	mr_rig_close(&r);
	bench_close(&b);
	return 0;
}
