/* SPDX-License-Identifier: Apache-2.0 */
/* The engine against a reference that is too simple to be wrong: random producers, consumers,
 * crashes, late and forged settlements, full sessions and time, in hundreds of thousands of steps
 * from a seed. After each step:
 *
 *   A delivered message was accepted, is unchanged, not done, and at no other living consumer.
 *   A settlement counts exactly if the delivery is the sender's in the reference.
 *   Every accepted message that is not done is in exactly one place, and the sums agree.
 *
 * At the end everything is drained: nothing is lost, and all memory is given back.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/unit/queue/rig.h"

#define STEPS        500000u
#define MESSAGES_MAX 100000u
#define HELD_MAX     4096u
#define CONSUMERS    8u /* clients from 2 on */
#define MOURNERS     2u /* consumers of the dead letters, after them */
#define CLIENTS      (2 + CONSUMERS + MOURNERS)
#define ACK_MS       1000u

struct message {
	bool done;
	uint32_t hold; /* index + 1 of its hold; 0: not delivered */
};

struct hold {
	uint32_t message;
	unsigned client;
	uint64_t tag;
	uint64_t order; /* order of deliveries */
	uint64_t sent_ms;
	bool valid;
	bool renewed; /* its progress was reported */
};

static struct rig r;
static struct message messages[MESSAGES_MAX];
/* A ring: old ones are forgotten. */
static struct hold holds[HELD_MAX];
static uint32_t messages_count, holds_next;
static uint64_t deliveries, done_count, bad_tags, acked, seed;
static uint32_t work, dead;
static bool consuming[CLIENTS];

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % below);
}

static bool mourns(unsigned client)
{
	return client >= 2 + CONSUMERS;
}

static void release(struct hold *h)
{
	if (!h->valid)
		return;
	h->valid = false;
	messages[h->message].hold = 0;
}

static void text_of(uint32_t message, char *text)
{
	unsigned pad = message * 37 % 150;

	sprintf(text, "%08" PRIu32, message);
	memset(text + 8, 'a' + (int)(message % 26), pad);
	text[8 + pad] = '\0';
}

static void push_one(uint32_t message)
{
	char text[200];
	const unsigned priorities[] = {0, 0, MRF_MESSAGE_FLAG_HIGH, MRF_MESSAGE_FLAG_LOW};

	text_of(message, text);
	rig_push(&r, &(struct rig_push){.queue = work,
			     .client = 1,
			     .text = text,
			     .publisher = message % 3 == 0 ? 7 : 0,
			     .id = message + 1,
			     .flags = priorities[message % 4]});
}

static void push(void)
{
	for (uint32_t n = 1 + draw(3); n > 0 && messages_count < MESSAGES_MAX; n--) {
		push_one(messages_count++);
		assert_int_equal(r.stats.pushed, messages_count);
	}
}

/* For the known publisher: the queue has it, or had it. */
static void push_again(void)
{
	uint64_t before = r.stats.queue_duplicates + r.stats.refused_push_old;

	if (messages_count == 0)
		return;
	push_one(draw(messages_count) / 3 * 3);
	assert_int_equal(r.stats.queue_duplicates + r.stats.refused_push_old, before + 1);
	assert_int_equal(r.stats.pushed, messages_count);
}

static void note_delivery(const struct rig_sent *s)
{
	uint32_t message = (uint32_t)strtoul((const char *)s->view.payload, NULL, 10);
	unsigned client = mr_session_slot(s->session);
	struct hold *h = &holds[holds_next];
	char text[200];

	assert_true(message < messages_count);
	text_of(message, text);
	assert_int_equal(s->view.payload_bytes, strlen(text));
	assert_memory_equal(s->view.payload, text, strlen(text));
	assert_false(messages[message].done);
	assert_int_equal(messages[message].hold, 0);
	assert_true(consuming[client] && !r.gone[client]);
	assert_int_equal(s->view.extra.delivery.queue, mourns(client) ? dead : work);
	/* Otherwise the ring is too small. */
	assert_false(h->valid);
	*h = (struct hold){.message = message,
		.client = client,
		.tag = s->view.extra.delivery.tag,
		.order = ++deliveries,
		.sent_ms = r.now_ms,
		.valid = true};
	messages[message].hold = holds_next + 1;
	holds_next = (holds_next + 1) % HELD_MAX;
}

static void note_deliveries(void)
{
	for (uint32_t i = 0; i < r.sent_count; i++)
		if (r.sent[i].view.header.kind == MRF_MESSAGE_KIND_DELIVER)
			note_delivery(&r.sent[i]);
	rig_sent_forget(&r);
}

static void run(void)
{
	(void)mr_queues_run(r.queues, r.now_ms);
	note_deliveries();
}

/* Takes back deliveries that were held too long. */
static void pass(uint64_t ms)
{
	for (; ms > 0; ms--) {
		r.now_ms++;
		for (unsigned i = 0; i < HELD_MAX; i++)
			if (holds[i].valid && r.now_ms - holds[i].sent_ms >= ACK_MS)
				release(&holds[i]);
		mr_queues_tick(r.queues, r.now_ms);
		run();
	}
}

static void finish(struct hold *h)
{
	assert_false(messages[h->message].done);
	messages[h->message].done = true;
	done_count++;
	release(h);
}

/* In the order in which their time-outs began; those of the others begin anew. A renewed delivery
 * is settled only by itself. */
static void finish_up_to(const struct hold *last)
{
	for (unsigned i = 0; i < HELD_MAX && !last->renewed; i++) {
		if (!holds[i].valid || holds[i].client != last->client || &holds[i] == last)
			continue;
		if (holds[i].order < last->order && !holds[i].renewed) {
			acked++;
			finish(&holds[i]);
		} else {
			holds[i].sent_ms = r.now_ms;
		}
	}
}

static void renew(struct hold *h)
{
	h->renewed = true;
	h->order = ++deliveries;
	h->sent_ms = r.now_ms;
}

static void settle_one(struct hold *h)
{
	enum mrf_settle_verb verb = (enum mrf_settle_verb)draw(5);
	bool valid = h->valid;

	if (h->tag == 0)
		return;
	rig_settle(
		&r, h->client, mourns(h->client) ? dead : work, h->tag, verb, draw(2) * draw(300));
	if (!valid) {
		bad_tags++;
	} else if (verb == MRF_SETTLE_VERB_ACK || verb == MRF_SETTLE_VERB_ACK_UP_TO) {
		if (verb == MRF_SETTLE_VERB_ACK_UP_TO)
			finish_up_to(h);
		acked++;
		finish(h);
	} else if (verb == MRF_SETTLE_VERB_PROGRESS) {
		renew(h);
	} else if (verb == MRF_SETTLE_VERB_REJECT && mourns(h->client)) {
		finish(h);
	} else {
		release(h);
	}
	assert_int_equal(r.stats.bad_tags + r.stats.late_settlements, bad_tags);
	assert_int_equal(r.stats.queue_acked, acked);
}

/* Another consumer's tag, a guess, or the wrong queue. */
static void settle_forged(const struct hold *h)
{
	unsigned client = 2 + (h->client - 2 + 1 + draw(CLIENTS - 3)) % (CLIENTS - 2);
	uint64_t tag = draw(2) ? h->tag : h->tag ^ 1ull << draw(64);

	if (h->tag == 0)
		return;
	rig_settle(&r, client, work, tag, (enum mrf_settle_verb)draw(5), 0);
	bad_tags++;
	assert_int_equal(r.stats.bad_tags + r.stats.late_settlements, bad_tags);
	assert_int_equal(r.stats.queue_acked, acked);
}

static void release_all_of(unsigned client)
{
	for (unsigned i = 0; i < HELD_MAX; i++)
		if (holds[i].client == client)
			release(&holds[i]);
}

static void start(unsigned client)
{
	r.full[client] = false;
	consuming[client] = true;
	rig_consume(&r, mourns(client) ? "work.dead" : "work", client, 1 + draw(20));
}

static void crash(unsigned client)
{
	r.gone[client] = true;
	/* Until its death is noticed, no other gets its deliveries. */
	for (unsigned i = 0; i < 50; i++) {
		pass(1);
		if (r.stats.consumers_gone > 0)
			break;
	}
	assert_int_equal(r.stats.consumers_gone, 1);
	r.stats.consumers_gone = 0;
	r.gone[client] = false;
	consuming[client] = false;
}

static void stop(unsigned client)
{
	release_all_of(client);
	consuming[client] = false;
	rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "work", client, 7, 0);
}

static void change_consumer(void)
{
	unsigned client = 2 + draw(CLIENTS - 2);

	if (!consuming[client]) {
		start(client);
	} else if (draw(2)) {
		stop(client);
	} else {
		/* Dies: from now on any of its deliveries may come again. */
		release_all_of(client);
		crash(client);
	}
}

static void undelivered(struct hold *h)
{
	if (h->tag == 0)
		return;
	mr_queues_undelivered(r.queues, h->tag, r.now_ms);
	release(h);
}

static void check_sums(void)
{
	struct mrf_table row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work");
	uint64_t sum = mrf_queue_row_ready(row) + mrf_queue_row_delayed(row) +
		       mrf_queue_row_outstanding(row);
	uint64_t held = 0, outstanding = mrf_queue_row_outstanding(row);

	row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "work.dead");
	sum += mrf_queue_row_ready(row) + mrf_queue_row_delayed(row) +
	       mrf_queue_row_outstanding(row);
	outstanding += mrf_queue_row_outstanding(row);
	for (unsigned i = 0; i < HELD_MAX; i++)
		held += holds[i].valid;
	assert_int_equal(sum, messages_count - done_count);
	assert_int_equal(outstanding, held);
}

static void step(void)
{
	unsigned what = draw(100);

	if (what < 12)
		push();
	else if (what < 15)
		push_again();
	else if (what < 62)
		settle_one(&holds[draw(8) ? (holds_next + HELD_MAX - 1 - draw(80)) % HELD_MAX
					  : draw(HELD_MAX)]);
	else if (what < 66)
		settle_forged(&holds[draw(HELD_MAX)]);
	else if (what < 68)
		undelivered(&holds[draw(HELD_MAX)]);
	else if (what < 72)
		r.full[2 + draw(CLIENTS - 2)] = draw(3) == 0;
	else if (what < 73)
		change_consumer();
	else if (what < 75)
		rig_command(
			&r, MRF_QUEUE_VERB_REDRIVE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, draw(20));
	else if (what < 76)
		pass(draw(3) == 0 ? draw(100) : 1);
	else
		run();
}

static void drain(void)
{
	memset(r.full, 0, sizeof(r.full));
	for (unsigned client = 2; client < CLIENTS; client++)
		if (consuming[client])
			stop(client);
	start(2);
	start(2 + CONSUMERS);
	for (unsigned rounds = 0; done_count < messages_count; rounds++) {
		assert_true(rounds < 1000000);
		pass(1);
		for (unsigned i = 0; i < HELD_MAX; i++)
			if (holds[i].valid) {
				rig_settle(&r, holds[i].client,
					mourns(holds[i].client) ? dead : work, holds[i].tag,
					MRF_SETTLE_VERB_ACK, 0);
				finish(&holds[i]);
			}
	}
}

/* When all have left, nothing of theirs remains. */
static void leave(void)
{
	memset(r.gone, true, sizeof(r.gone));
	rig_pass(&r, 100);
	rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "work", 0, 0, 0);
	assert_int_equal(r.code, 0);
	rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "work.dead", 0, 0, 0);
	rig_run(&r);
	assert_int_equal(mr_slab_bytes(r.store), 0);
}

static void nothing_is_lost_done_twice_or_in_two_hands(void **state)
{
	const char *given = getenv("QUEUE_SEED");
	const enum mrf_queue_policy policies[] = {MRF_QUEUE_POLICY_LEAST_RECENTLY_USED,
		MRF_QUEUE_POLICY_ROUND_ROBIN, MRF_QUEUE_POLICY_LEAST_OUTSTANDING,
		MRF_QUEUE_POLICY_RANDOM, MRF_QUEUE_POLICY_WEIGHTED};

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_COUNT(policies); i++) {
		rig_open(&r, NULL);
		memset(messages, 0, sizeof(messages));
		memset(holds, 0, sizeof(holds));
		memset(consuming, 0, sizeof(consuming));
		messages_count = holds_next = 0;
		deliveries = done_count = bad_tags = acked = 0;
		seed = given != NULL ? strtoull(given, NULL, 10) : 4711 + i;
		r.options.policy = (uint8_t)policies[i];
		work = rig_make(&r, "work");
		dead = rig_make(&r, "work.dead");
		for (unsigned n = 0; n < STEPS / MR_ARRAY_COUNT(policies); n++) {
			step();
			if (n % 64 == 0)
				check_sums();
		}
		drain();
		check_sums();
		print_message("%" PRIu32 " messages, %" PRIu64 " deliveries, %" PRIu64
			      " dead, %" PRIu64 " not heeded\n",
			messages_count, deliveries, r.stats.queue_dead, bad_tags);
		leave();
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_done_twice_or_in_two_hands),
	};

	return cmocka_run_group_tests_name("queue-random", tests, NULL, NULL);
}
