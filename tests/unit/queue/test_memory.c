/* SPDX-License-Identifier: Apache-2.0 */
/* The share of one host or user in the memory of the queues, whatever queues it fills; all of it is
 * given back. */
#include <stdio.h>

#include "lib/base/share.h"
#include "tests/unit/queue/rig.h"

#define QUEUES    8u
#define TEXT      1024u
#define STORE     (16u << 20)
#define ENTRIES   (STORE - STORE / 16) /* the part for messages */
#define HOST      ((uint64_t)1 << 60)
#define FIRST     1u
#define SECOND    10u
#define ROOT      60u
#define PUSHES    100000u
#define SHARE_MIN (ENTRIES / 4 / (TEXT + 64))
#define SHARE_MAX (ENTRIES / 4 / TEXT)

static struct rig r;
static char text[TEXT + 1];
static uint32_t queues[QUEUES];

static const char *name_of(unsigned i)
{
	static char name[16];

	snprintf(name, sizeof(name), "q.%u", i);
	return name;
}

/* Clients 1 to 9 are of one host, 10 to 19 of another; those from 60 on are root's, which made the
 * queues. */
static int setup(void **state)
{
	(void)state;
	rig_open_store(&r, STORE, NULL);
	for (unsigned i = 1; i < ROOT; i++)
		r.peer[i] = HOST + i / 10;
	memset(text, 'x', TEXT);
	for (unsigned i = 0; i < QUEUES; i++)
		queues[i] = rig_make(&r, name_of(i));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	r.knows = false;
	return 0;
}

static bool push(uint32_t queue, unsigned client)
{
	uint64_t before = r.stats.pushed;

	rig_push(&r, &(struct rig_push){.queue = queue, .client = client, .text = text});
	return r.stats.pushed > before;
}

/* Pushes from several sessions of the host into all queues until it is refused; returns how
 * many. */
static unsigned fill(unsigned client)
{
	unsigned count = 0;

	while (count < PUSHES && push(queues[count % QUEUES], client + count % 9))
		count++;
	return count;
}

static void one_host_fills_its_share_and_no_more(void **state)
{
	(void)state;
	assert_in_range(fill(FIRST), SHARE_MIN, SHARE_MAX);
	assert_int_equal(r.stats.refused_push_share, 1);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_false(push(queues[i], FIRST + i));
	assert_in_range(fill(SECOND), SHARE_MIN, SHARE_MAX);
	assert_in_range(fill(20), SHARE_MIN, SHARE_MAX);
	assert_int_equal(r.stats.refused_push_share, 3 + QUEUES);
	assert_int_equal(r.stats.refused_push_memory, 0);
}

/* Pushes small messages, each with a key of its own, until one is refused; returns how many. */
static unsigned fill_keys(uint32_t queue, unsigned client)
{
	static uint64_t key;
	struct mrf_push_options options = {0};
	unsigned count = 0;
	uint64_t before;

	do {
		before = r.stats.pushed;
		options.key = ++key;
		rig_push(&r, &(struct rig_push){.queue = queue,
				     .client = client + count++ % 9,
				     .text = "x",
				     .id = key,
				     .options = &options});
	} while (r.stats.pushed > before && count < 10 * PUSHES);
	return count - 1;
}

/* The record of a key counts for the host that pushed the message. */
static void keys_of_one_host_take_its_share_and_no_more(void **state)
{
	uint64_t before = mr_slab_bytes(r.store);
	uint32_t keyed;
	unsigned first, second;

	(void)state;
	r.knows = true;
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	keyed = rig_make(&r, "keyed");
	for (unsigned i = FIRST; i < FIRST + 9; i++)
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "keyed",
					 i, 0, 0),
			0);
	first = fill_keys(keyed, FIRST);
	/* A message takes 104 bytes, its key 64, and 4 or so in the table. */
	assert_in_range(first, ENTRIES / 4 / 192, ENTRIES / 4 / 160);
	assert_int_equal(r.stats.refused_push_share, 1);
	assert_int_equal(r.stats.queue_keys_refused, 0);
	rig_run(&r);
	second = fill_keys(keyed, SECOND);
	assert_in_range(second, first - first / 50, first + first / 50);
	assert_true(push(queues[0], SECOND + 10));
	assert_int_equal(
		mrf_queue_row_keys(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "keyed")), first + second);
	/* All of it is given back. */
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0);
	rig_run(&r);
	assert_int_equal(mrf_queue_row_keys(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "keyed")), 0);
	assert_true(mr_slab_bytes(r.store) <= before + 4 * (128u << 10));
	assert_in_range(fill_keys(keyed, FIRST), first - first / 50, first + first / 50);
}

#define PIECE_BLOCK "NATS/1.0\r\nX: %07u\r\n\r\n" /* 24 bytes with its number */

/* Pushes a message of 264 bytes in two fragments, its key in a header. True: it is in. */
static bool push_keyed_pieces(uint32_t keyed, unsigned number)
{
	uint64_t before = r.stats.pushed;
	char block[32], part[256 - 24 + 1];
	struct rig_push p = {.queue = keyed,
		.client = FIRST,
		.text = part,
		.headers = block,
		.flags = MRF_MESSAGE_FLAG_FRAGMENT,
		.fragment = {.session = rig_session(FIRST), .message = number, .total_bytes = 264}};

	snprintf(block, sizeof(block), PIECE_BLOCK, number);
	memset(part, 'x', sizeof(part));
	part[sizeof(part) - 1] = '\0';
	rig_push(&r, &p);
	p.headers = NULL;
	p.text = "12345678";
	p.fragment.offset = 256;
	rig_push(&r, &p);
	return r.stats.pushed > before;
}

static void key_of_a_message_in_fragments_counts_too(void **state)
{
	unsigned count = 0;
	uint32_t keyed;

	(void)state;
	r.knows = true;
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	r.options.key_from = mrf_str("header X");
	keyed = rig_make(&r, "keyed");
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "keyed", FIRST, 0, 0),
		0);
	while (count < PUSHES && push_keyed_pieces(keyed, count + 1))
		count++;
	/* The entry takes 144 bytes, its fragments 272 and 32, its key 64. */
	assert_in_range(count, ENTRIES / 4 / 520, ENTRIES / 4 / 504);
	assert_int_equal(mrf_queue_row_keys(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "keyed")), count);
	rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, "keyed", 0, 0, 0);
	rig_run(&r);
	assert_true(push_keyed_pieces(keyed, 1));
}

/* Pushes messages of `bytes` up to three quarters of the host's share, and settles all but one of
 * `each`. */
static void scatter(unsigned client, uint32_t bytes, unsigned each)
{
	unsigned count = ENTRIES / 4 / 4 * 3 / (bytes + 64), n = 0;
	struct rig_sent *s;

	text[bytes] = '\0';
	for (unsigned i = 0; i < count; i++)
		(void)push(queues[0], client);
	text[bytes] = 'x';
	do {
		rig_run(&r);
		while ((s = rig_take(&r, ROOT, MRF_MESSAGE_KIND_DELIVER)) != NULL)
			if (n++ % each != 0)
				rig_settle(&r, ROOT, queues[0], s->view.extra.delivery.tag,
					MRF_SETTLE_VERB_ACK, 0);
		rig_sent_forget(&r);
	} while (mr_queues_run(r.queues, r.now_ms) ||
		 rig_count(&r, ROOT, MRF_MESSAGE_KIND_DELIVER) > 0);
}

/* A slab with one message left serves no other size. */
static void few_messages_of_one_host_do_not_keep_all_slabs(void **state)
{
	(void)state;
	rig_consume(&r, name_of(0), ROOT, 65535);
	for (uint32_t bytes = 100; bytes < 1000; bytes += 64)
		scatter(FIRST, bytes, 131072 / (bytes + 80));
	assert_true(r.stats.refused_push_share > 0);
	assert_int_equal(r.stats.refused_push_memory, 0);
	assert_in_range(fill(SECOND), SHARE_MIN, SHARE_MAX);
}

static void the_last_of_it_is_root_s(void **state)
{
	(void)state;
	for (unsigned host = 0; host < 5; host++)
		(void)fill(10 * host + 1);
	assert_true(r.stats.refused_push_memory > 0);
	assert_in_range(fill(ROOT), ENTRIES / 16 / (TEXT + 64) / 2, PUSHES - 1);
}

static uint32_t status_of(unsigned client, uint64_t id)
{
	struct mrf_accepted_range range;
	struct rig_sent *s;

	rig_sent_forget(&r);
	rig_push(&r,
		&(struct rig_push){.queue = queues[0], .client = client, .text = text, .id = id});
	rig_run(&r);
	s = rig_take(&r, client, MRF_MESSAGE_KIND_ACCEPTED);
	assert_non_null(s);
	memcpy(&range, s->body, sizeof(range));
	return range.status;
}

static void client_that_knows_the_status_gets_it(void **state)
{
	(void)state;
	(void)fill(FIRST);
	assert_int_equal(status_of(FIRST, 1), MRF_STATUS_CODE_OVERLOADED);
	r.knows = true;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name_of(0), FIRST, 0, 0),
		0);
	assert_int_equal(status_of(FIRST, 2), MRF_STATUS_CODE_SHARE_USED);
	assert_int_equal(status_of(SECOND, 1), MRF_STATUS_CODE_OK);
}

static void purge_all(const char *suffix)
{
	char name[32];

	for (unsigned i = 0; i < QUEUES; i++) {
		snprintf(name, sizeof(name), "%s%s", name_of(i), suffix);
		(void)rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE, name, 0, 0, 0);
	}
	rig_pass(&r, 100);
}

/* Takes all messages of all queues, as root. */
static void take_all(enum mrf_settle_verb verb)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		struct rig_sent *s;

		rig_consume(&r, name_of(i), ROOT, 1000);
		do {
			rig_run(&r);
			for (; (s = rig_take(&r, ROOT, MRF_MESSAGE_KIND_DELIVER)) != NULL;)
				rig_settle(
					&r, ROOT, queues[i], s->view.extra.delivery.tag, verb, 0);
			rig_sent_forget(&r);
		} while (mr_queues_run(r.queues, r.now_ms) ||
			 rig_count(&r, ROOT, MRF_MESSAGE_KIND_DELIVER) > 0);
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE,
					 name_of(i), ROOT, 7, 0),
			0);
	}
}

static void memory_that_leaves_the_queues_is_given_back(void **state)
{
	unsigned count = fill(FIRST);

	(void)state;
	take_all(MRF_SETTLE_VERB_ACK);
	assert_int_equal(fill(FIRST), count);
	purge_all("");
	assert_int_equal(fill(FIRST), count);
	take_all(MRF_SETTLE_VERB_REJECT);
	assert_false(push(queues[0], FIRST)); /* dead letters still count */
	purge_all(".dead");
	assert_int_equal(fill(FIRST), count);
	/* Messages of closed sessions count too. */
	for (unsigned i = 1; i < 10; i++)
		r.gone[i] = true;
	rig_pass(&r, 100);
	purge_all("");
	for (unsigned i = 1; i < 10; i++)
		r.gone[i] = false;
	assert_int_equal(fill(FIRST), count);
}

static void push_piece(uint32_t message, uint32_t offset, uint32_t total)
{
	rig_push(&r, &(struct rig_push){.queue = queues[0],
			     .client = FIRST,
			     .text = text,
			     .flags = MRF_MESSAGE_FLAG_FRAGMENT,
			     .fragment = {.session = rig_session(FIRST),
				     .message = message,
				     .total_bytes = total,
				     .offset = offset}});
}

static void fragments_count_as_they_arrive(void **state)
{
	const uint32_t total = 1000 * TEXT;
	unsigned count = fill(FIRST), pieces;

	(void)state;
	purge_all("");
	for (uint32_t message = 1; message <= 3; message++)
		for (pieces = 0; pieces < 1000; pieces++)
			push_piece(message, pieces * TEXT, total);
	/* They fit, and go step by step to the dead letters, with other header blocks. */
	assert_in_range(fill(FIRST), 1, count - 2900);
	take_all(MRF_SETTLE_VERB_REJECT);
	purge_all(".dead");
	assert_int_equal(fill(FIRST), count);
	purge_all("");
	/* Incomplete messages are freed with their sender's session. */
	for (pieces = 0; pieces < 999; pieces++)
		push_piece(4, pieces * TEXT, total);
	assert_in_range(fill(FIRST), 1, count - 950);
	purge_all("");
	r.gone[FIRST] = true;
	rig_pass(&r, 100);
	r.gone[FIRST] = false;
	assert_int_equal(fill(FIRST), count);
}

static void first_push_of_a_publisher_into_a_full_store_is_refused_for_memory(void **state)
{
	const struct rig_push p = {
		.queue = queues[0], .client = ROOT, .text = "x", .publisher = 7, .id = 1};

	(void)state;
	r.knows = true;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name_of(0), ROOT, 0, 0),
		0);
	for (unsigned i = 0; push(queues[i % QUEUES], ROOT) && i < PUSHES;)
		i++;
	rig_push(&r, &p);
	rig_run(&r);
	rig_expect_accepted(&r, ROOT, 1, 1, MRF_STATUS_CODE_NO_MEMORY);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_PURGE, MRF_QUEUE_KIND_QUEUE,
					 name_of(i), 0, 0, 0),
			0);
	rig_run(&r);
	rig_push(&r, &p);
	rig_run(&r);
	rig_expect_accepted(&r, ROOT, 1, 1, MRF_STATUS_CODE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(first_push_of_a_publisher_into_a_full_store_is_refused_for_memory),
		RIG_TEST(one_host_fills_its_share_and_no_more),
		RIG_TEST(keys_of_one_host_take_its_share_and_no_more),
		RIG_TEST(key_of_a_message_in_fragments_counts_too),
		RIG_TEST(few_messages_of_one_host_do_not_keep_all_slabs),
		RIG_TEST(the_last_of_it_is_root_s),
		RIG_TEST(client_that_knows_the_status_gets_it),
		RIG_TEST(memory_that_leaves_the_queues_is_given_back),
		RIG_TEST(fragments_count_as_they_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
