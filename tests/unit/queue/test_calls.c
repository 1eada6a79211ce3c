/* SPDX-License-Identifier: Apache-2.0 */
/* Calls at random against a simple reference: callers, workers that answer in parts, refuse, fall
 * silent or die, time, and the circuit. Each call ends exactly once, by a final reply or a status,
 * whatever happens to its workers. Until then at most one worker has it, and no other can answer
 * it. */
#include <inttypes.h>

#include "tests/unit/queue/rig.h"

#define STEPS     200000u
#define CALLS_MAX 100000u
#define HELD_MAX  1024u
#define CALLERS   2u
#define WORKERS   4u /* clients from 3 on */
#define CLIENTS   (1 + CALLERS + WORKERS)
#define ANSWER_MS 1000u

struct call {
	unsigned caller;
	uint32_t status; /* the status that ended it; 0: a reply */
	bool ended;
	bool begun;    /* a part went one way or the other: no other worker may get it */
	uint32_t hold; /* index + 1 */
};

struct hold {
	uint32_t call;
	unsigned worker;
	uint64_t tag;
	uint64_t heard_ms;
	bool valid;
	bool parts; /* more of the request may follow */
};

static struct rig r;
static struct call calls[CALLS_MAX];
static struct hold holds[HELD_MAX];
static uint32_t calls_count, holds_next, service;
static uint64_t ended, bad_tags, seed;
static bool serving[CLIENTS];

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % below);
}

static void release(struct hold *h)
{
	if (h->valid)
		calls[h->call].hold = 0;
	h->valid = false;
}

static void end(uint32_t call, unsigned caller, uint32_t status)
{
	assert_true(call < calls_count);
	assert_int_equal(calls[call].caller, caller);
	assert_false(calls[call].ended);
	calls[call].ended = true;
	calls[call].status = status;
	ended++;
	if (calls[call].hold != 0)
		release(&holds[calls[call].hold - 1]);
}

static void note_request(const struct rig_sent *s)
{
	uint32_t call = (uint32_t)s->view.token.correlation - 1;
	struct hold *h = &holds[holds_next];

	assert_true(call < calls_count);
	assert_false(calls[call].ended || calls[call].begun);
	assert_int_equal(calls[call].hold, 0);
	assert_int_equal(s->view.token.session, s->view.extra.delivery.tag);
	assert_false(h->valid);
	*h = (struct hold){.call = call,
		.worker = mr_session_slot(s->session),
		.tag = s->view.extra.delivery.tag,
		.heard_ms = r.now_ms,
		.valid = true,
		.parts = (s->view.header.flags & MRF_MESSAGE_FLAG_MORE) != 0};
	assert_true(serving[h->worker] && !r.gone[h->worker]);
	calls[call].hold = holds_next + 1;
	holds_next = (holds_next + 1) % HELD_MAX;
}

static void note(const struct rig_sent *s)
{
	uint32_t call = (uint32_t)s->view.token.correlation - 1;
	unsigned client = mr_session_slot(s->session);

	switch (s->view.header.kind) {
	case MRF_MESSAGE_KIND_DELIVER: note_request(s); break;
	case MRF_MESSAGE_KIND_STATUS: end(call, client, s->target); break;
	case MRF_MESSAGE_KIND_REPLY:
		assert_int_equal(calls[call].caller, client);
		assert_false(calls[call].ended);
		if (!(s->view.header.flags & MRF_MESSAGE_FLAG_MORE))
			end(call, client, 0);
		break;
	default: break;
	}
}

static void note_all(void)
{
	for (uint32_t i = 0; i < r.sent_count; i++)
		note(&r.sent[i]);
	rig_sent_forget(&r);
}

static void run(void)
{
	(void)mr_queues_run(r.queues, r.now_ms);
	note_all();
}

static void pass(uint64_t ms)
{
	for (; ms > 0; ms--) {
		r.now_ms++;
		for (unsigned i = 0; i < HELD_MAX; i++)
			if (holds[i].valid && r.now_ms - holds[i].heard_ms >= ANSWER_MS)
				release(&holds[i]);
		mr_queues_tick(r.queues, r.now_ms);
		run();
	}
}

static void call(void)
{
	if (calls_count == CALLS_MAX)
		return;
	calls[calls_count++] = (struct call){.caller = 1 + draw(CALLERS)};
	rig_push(&r, &(struct rig_push){.queue = service,
			     .client = calls[calls_count - 1].caller,
			     .text = "ask",
			     .correlation = calls_count,
			     .flags = draw(4) == 0 ? MRF_MESSAGE_FLAG_MORE : 0});
	note_all();
}

/* Answers as its worker, as an earlier one, or as one that never had it. */
static void answer(struct hold *h)
{
	bool forged = draw(20) == 0, more = draw(4) == 0;
	unsigned worker = forged ? 3 + (h->worker - 3 + 1) % WORKERS : h->worker;
	bool counts = h->valid && !forged;

	if (h->tag == 0)
		return;
	rig_reply(&r, worker, service, h->tag, more, "answer");
	if (counts) {
		h->heard_ms = r.now_ms;
		calls[h->call].begun |= more;
	}
	bad_tags += !counts;
	assert_int_equal(r.stats.bad_tags + r.stats.late_settlements, bad_tags);
	assert_int_equal(r.sent_count, counts);
	note_all();
}

static void part(struct hold *h)
{
	bool more = draw(3) > 0;
	bool counts = h->valid && h->parts;

	if (h->tag == 0)
		return;
	rig_part(&r, calls[h->call].caller, MRF_MESSAGE_KIND_PART, service, h->tag, more, "part");
	if (counts) {
		h->heard_ms = r.now_ms;
		h->parts = more;
		calls[h->call].begun = true;
	}
	bad_tags += !counts;
	assert_int_equal(r.stats.bad_tags + r.stats.late_settlements, bad_tags);
	note_all();
}

static void give_up(struct hold *h)
{
	if (h->tag == 0)
		return;
	bad_tags += !h->valid;
	release(h);
	rig_settle(
		&r, h->worker, service, h->tag, (enum mrf_settle_verb)draw(3), draw(2) * draw(50));
	assert_int_equal(r.stats.bad_tags + r.stats.late_settlements, bad_tags);
	note_all();
}

static void release_all_of(unsigned worker)
{
	for (unsigned i = 0; i < HELD_MAX; i++)
		if (holds[i].worker == worker)
			release(&holds[i]);
}

static void change_worker(void)
{
	unsigned worker = 3 + draw(WORKERS);

	if (!serving[worker]) {
		serving[worker] = true;
		rig_serve(&r, "echo", worker, 1 + draw(4));
		return;
	}
	release_all_of(worker);
	serving[worker] = false;
	if (draw(2)) {
		rig_command(
			&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_SERVICE, "echo", worker, 7, 0);
		note_all();
		return;
	}
	r.gone[worker] = true;
	pass(60);
	r.gone[worker] = false;
}

static struct hold *recent(void)
{
	return &holds[(holds_next + HELD_MAX - 1 - draw(8)) % HELD_MAX];
}

static void step(void)
{
	unsigned what = draw(100);

	if (what < 14)
		call();
	else if (what < 62)
		answer(recent());
	else if (what < 68)
		part(recent());
	else if (what < 72)
		give_up(recent());
	else if (what < 74)
		r.full[3 + draw(WORKERS)] = draw(4) == 0;
	else if (what < 75)
		change_worker();
	else if (what < 77)
		pass(draw(3) == 0 ? draw(100) : 1);
	else
		run();
}

static void start(uint16_t breaker_failures)
{
	memset(holds, 0, sizeof(holds));
	memset(serving, 0, sizeof(serving));
	calls_count = holds_next = 0;
	ended = bad_tags = 0;
	rig_open(&r, NULL);
	seed = getenv("QUEUE_SEED") != NULL ? strtoull(getenv("QUEUE_SEED"), NULL, 10) : 99;
	r.options.breaker_failures = breaker_failures;
	service = rig_make_service(&r, "echo");
}

static void count_outcomes(void)
{
	uint64_t answered = 0, refused = 0;

	for (uint32_t i = 0; i < calls_count; i++) {
		answered += calls[i].status == 0;
		refused += calls[i].status == MRF_STATUS_CODE_CIRCUIT_OPEN;
	}
	print_message("%" PRIu32 " calls: %" PRIu64 " answered, %" PRIu64
		      " refused by the circuit, %" PRIu64 " failed; %" PRIu64 " not heeded\n",
		calls_count, answered, refused, calls_count - answered - refused, bad_tags);
}

static void each_call_ends_exactly_once(void **state)
{
	const uint16_t failures[] = {3, 50, UINT16_MAX};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(failures); i++) {
		start(failures[i]);
		for (unsigned n = 0; n < STEPS; n++)
			step();
		for (unsigned worker = 3; worker < CLIENTS; worker++)
			release_all_of(worker);
		memset(&r.gone[3], true, WORKERS);
		pass(10000);
		assert_int_equal(ended, calls_count);
		count_outcomes();
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_ends_exactly_once),
	};

	return cmocka_run_group_tests_name("queue-calls", tests, NULL, NULL);
}
