/* SPDX-License-Identifier: Apache-2.0 */
/* A key-shared queue against a model: random pushes, settlements, delays, time-outs, crashes,
 * consumers that come, go and stand still, edits and purges, from a seed. At each delivery of a
 * message with a key:
 *
 *   All older messages of the key are done, or unsettled at the same consumer.
 *   With it, no more of the key are unsettled than the queue allows, and none is delayed.
 *
 * At the end everything is drained: nothing is lost, no key is left, and all memory is given back.
 */
#include <inttypes.h>

#include <stdio.h>

#include "tests/unit/queue/rig.h"

#define STEPS        200000u
#define MESSAGES_MAX 120000u
#define KEYS         40u
#define CONSUMERS    5u /* clients from 2 on */
#define CLIENTS      (2 + CONSUMERS)
#define ACK_MS       500u

struct message {
	uint32_t key;
	bool done;
	uint8_t client; /* that has it; 0: none */
	bool delayed;
	uint64_t tag;
	uint64_t due_ms;
};

static struct rig r;
static struct message messages[MESSAGES_MAX];
static uint32_t messages_count, first_open, done_count, queue, in_flight;
static uint64_t seed, deliveries;
static bool consuming[CLIENTS];

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % below);
}

static void check_order(uint32_t at, unsigned client)
{
	uint32_t unsettled = 1;

	for (uint32_t i = first_open; i < messages_count; i++) {
		const struct message *m = &messages[i];

		if (m->done || m->key != messages[at].key || i == at)
			continue;
		assert_false(m->delayed && m->due_ms > r.now_ms);
		if (i < at)
			assert_int_equal(m->client, client);
		if (m->client == 0 || r.gone[m->client])
			continue;
		unsettled++;
		assert_int_equal(m->client, client);
	}
	/* A lower limit holds for messages that go out from then on. */
	assert_true(unsettled <= in_flight);
}

static void note(const struct rig_sent *s)
{
	uint32_t at = (uint32_t)strtoul((const char *)s->view.payload, NULL, 10);
	unsigned client = mr_session_slot(s->session);
	struct message *m = &messages[at];

	if (s->view.header.kind == MRF_MESSAGE_KIND_RECALL) {
		for (uint32_t i = first_open; i < messages_count; i++)
			if (messages[i].client == client &&
				messages[i].tag == s->view.extra.delivery.tag)
				messages[i].client = 0;
		return;
	}
	if (s->view.header.kind != MRF_MESSAGE_KIND_DELIVER)
		return;
	assert_true(at < messages_count && !m->done && consuming[client]);
	/* Two may not have it; one that is dead had it. */
	assert_true(m->client == 0 || r.gone[m->client]);
	m->client = 0;
	m->delayed = false;
	if (m->key != 0)
		check_order(at, client);
	m->client = (uint8_t)client;
	m->tag = s->view.extra.delivery.tag;
	deliveries++;
}

static void note_all(void)
{
	for (uint32_t i = 0; i < r.sent_count; i++)
		note(&r.sent[i]);
	rig_sent_forget(&r);
	while (first_open < messages_count && messages[first_open].done)
		first_open++;
}

static void run(void)
{
	(void)mr_queues_run(r.queues, r.now_ms);
	note_all();
}

static void pass(uint32_t ms)
{
	for (; ms > 0; ms--) {
		r.now_ms++;
		mr_queues_tick(r.queues, r.now_ms);
		run();
	}
}

static void push(void)
{
	const unsigned priorities[] = {0, 0, MRF_MESSAGE_FLAG_HIGH, MRF_MESSAGE_FLAG_LOW};
	uint32_t key = draw(8) == 0 ? 0 : 1 + draw(KEYS);
	const struct mrf_push_options options = {.key = key};
	char text[16];

	if (messages_count == MESSAGES_MAX || messages_count - first_open > 400)
		return;
	messages[messages_count] = (struct message){.key = key};
	sprintf(text, "%u", messages_count++);
	rig_push(&r, &(struct rig_push){.queue = queue,
			     .client = 1,
			     .text = text,
			     .options = &options,
			     .flags = priorities[draw(4)]});
}

/* Returns some message that a living consumer has, or NULL. */
static struct message *some_out(void)
{
	uint32_t open = messages_count - first_open;

	for (unsigned i = 0; open > 0 && i < 20; i++) {
		struct message *m = &messages[first_open + draw(open)];

		if (!m->done && m->client != 0 && !r.gone[m->client])
			return m;
	}
	return NULL;
}

static void settle(struct message *m, enum mrf_settle_verb verb, uint32_t delay_ms)
{
	unsigned client = m->client;

	if (verb == MRF_SETTLE_VERB_ACK) {
		m->done = true;
		done_count++;
	}
	if (verb != MRF_SETTLE_VERB_PROGRESS)
		m->client = 0;
	m->delayed = delay_ms != 0;
	m->due_ms = r.now_ms + delay_ms;
	rig_settle(&r, client, queue, m->tag, verb, delay_ms);
}

static void settle_one(void)
{
	const enum mrf_settle_verb verbs[] = {MRF_SETTLE_VERB_ACK, MRF_SETTLE_VERB_ACK,
		MRF_SETTLE_VERB_ACK, MRF_SETTLE_VERB_REQUEUE, MRF_SETTLE_VERB_RETURNED,
		MRF_SETTLE_VERB_PROGRESS};
	enum mrf_settle_verb verb = verbs[draw(MR_ARRAY_COUNT(verbs))];
	bool back = verb == MRF_SETTLE_VERB_REQUEUE || verb == MRF_SETTLE_VERB_RETURNED;
	struct message *m = some_out();

	if (m != NULL)
		settle(m, verb, back && draw(2) ? 1 + draw(50) : 0);
}

static void release_all_of(unsigned client)
{
	for (uint32_t i = first_open; i < messages_count; i++)
		if (messages[i].client == client)
			messages[i].client = 0;
}

static void start(unsigned client)
{
	r.gone[client] = r.full[client] = false;
	consuming[client] = true;
	rig_consume(&r, "keyed", client, 1 + draw(20));
}

static void stop(unsigned client)
{
	note_all();
	release_all_of(client);
	consuming[client] = false;
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "keyed", client, 7, 0);
}

static void crash(unsigned client)
{
	uint64_t before = r.stats.consumers_gone;

	r.gone[client] = true;
	for (unsigned i = 0; i < 50 && r.stats.consumers_gone == before; i++)
		pass(1);
	assert_int_equal(r.stats.consumers_gone, before + 1);
	release_all_of(client);
	consuming[client] = false;
}

static void change_consumer(void)
{
	unsigned client = 2 + draw(CONSUMERS);

	if (!consuming[client])
		start(client);
	else if (draw(2))
		stop(client);
	else
		crash(client);
}

static void edit(void)
{
	r.edits = MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY;
	r.options.in_flight_per_key = (uint16_t)(in_flight + draw(2));
	in_flight = r.options.in_flight_per_key < 4 ? r.options.in_flight_per_key : 4;
	r.options.in_flight_per_key = (uint16_t)in_flight;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0), 0);
}

static void purge(void)
{
	note_all();
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0);
	for (uint32_t i = first_open; i < messages_count; i++)
		if (!messages[i].done && messages[i].client == 0) {
			messages[i].done = true;
			done_count++;
		}
}

static void check_sums(void)
{
	struct mrf_table row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "keyed");
	bool in_use[KEYS + 1] = {false};
	uint32_t keys = 0;

	assert_int_equal(mrf_queue_row_ready(row) + mrf_queue_row_delayed(row) +
				 mrf_queue_row_outstanding(row),
		messages_count - done_count);
	for (uint32_t i = first_open; i < messages_count; i++)
		if (!messages[i].done && messages[i].key != 0)
			in_use[messages[i].key] = true;
	for (unsigned i = 0; i <= KEYS; i++)
		keys += in_use[i];
	assert_int_equal(mrf_queue_row_keys(row), keys);
	assert_true(mrf_queue_row_keys_held(row) <= keys);
}

static void step(void)
{
	uint32_t what = draw(1000);

	if (what < 300)
		push();
	else if (what < 600)
		settle_one();
	else if (what < 610)
		change_consumer();
	else if (what < 640)
		r.full[2 + draw(CONSUMERS)] = draw(3) == 0;
	else if (what < 641)
		edit();
	else if (what < 642)
		purge();
	else if (what < 700)
		pass(draw(20) == 0 ? draw(2 * ACK_MS) : 1);
	else
		run();
}

static void drain(void)
{
	memset(r.full, 0, sizeof(r.full));
	for (unsigned client = 2; client < CLIENTS; client++)
		if (!consuming[client])
			start(client);
	for (unsigned rounds = 0; done_count < messages_count; rounds++) {
		assert_true(rounds < 100000);
		pass(1);
		for (uint32_t i = first_open; i < messages_count; i++)
			if (!messages[i].done && messages[i].client != 0)
				settle(&messages[i], MRF_SETTLE_VERB_ACK, 0);
	}
}

static void leave(void)
{
	memset(r.gone, true, sizeof(r.gone));
	rig_pass(&r, 100);
	rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0);
	assert_int_equal(r.code, 0);
	rig_run(&r);
	assert_int_equal(mr_slab_bytes(r.store), 0);
}

static void each_key_has_one_order_and_one_consumer(void **state)
{
	const char *given = getenv("QUEUE_SEED");

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		rig_open(&r, NULL);
		memset(consuming, 0, sizeof(consuming));
		messages_count = first_open = done_count = 0;
		deliveries = 0;
		seed = given != NULL ? strtoull(given, NULL, 10) : 815 + i;
		in_flight = 1 + i % 2;
		r.recalls = true;
		r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
		r.options.ack_timeout_ms = ACK_MS;
		r.options.max_deliver = UINT16_MAX;
		r.options.in_flight_per_key = (uint16_t)in_flight;
		queue = rig_make(&r, "keyed");
		for (unsigned n = 0; n < STEPS / 4; n++) {
			step();
			if (n % 64 == 0) {
				note_all();
				check_sums();
			}
		}
		drain();
		check_sums();
		print_message("%" PRIu32 " messages, %" PRIu64 " deliveries\n", messages_count,
			deliveries);
		assert_true(deliveries > 1000);
		leave();
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_has_one_order_and_one_consumer),
	};

	return cmocka_run_group_tests_name("queue-keys-random", tests, NULL, NULL);
}
