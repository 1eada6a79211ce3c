/* SPDX-License-Identifier: Apache-2.0 */
/* The share of one host or user in the queues' tables, and the queues that make room. */
#include <errno.h>
#include <stdio.h>

#include "lib/base/share.h"
#include "tests/unit/queue/rig.h"

#define QUEUES   64u /* limits of the rig */
#define SHARE    16u
#define RESERVE  4u
#define HOST     ((uint64_t)1 << 60)
#define SWEPT_MS 60u

static struct rig r;

static void no_client_limit(struct mr_queues_config *c)
{
	c->per_client_max = 10000;
}

/* Clients 1 to 9 are of one host, 10 to 19 of another, and so on; those from 60 on are root's. */
static int setup(void **state)
{
	(void)state;
	rig_open(&r, no_client_limit);
	for (unsigned i = 1; i < 60; i++)
		r.peer[i] = HOST + i / 10;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static int open_queue(unsigned client, const char *prefix, unsigned number)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.%u", prefix, number);
	return rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name, client, 0, 0);
}

static bool is_there(const char *prefix, unsigned number)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.%u", prefix, number);
	return rig_command(&r, MRF_QUEUE_VERB_SHOW, MRF_QUEUE_KIND_QUEUE, name, 0, 0, 0) == 0;
}

static void expect_text(const char *part)
{
	const char *text = mrf_queue_answer_text(r.table).data;

	if (text == NULL || strstr(text, part) == NULL)
		fail_msg("\"%s\" says nothing of \"%s\"", text == NULL ? "" : text, part);
}

static void open_all(unsigned client, const char *prefix, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(open_queue(client, prefix, i), 0);
}

static void a_host_has_its_share_of_the_queues_however_many_sessions_it_has(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHARE; i++)
		assert_int_equal(open_queue(1 + i % 9, "a", i), 0);
	for (unsigned client = 1; client < 10; client++) {
		assert_int_equal(open_queue(client, "b", client), -EDQUOT);
		expect_text("peers.share_percent of queues.queues_max");
	}
	assert_int_equal(r.stats.refused_queue_room, 9);
	assert_int_equal(open_queue(10, "c", 0), 0);
	assert_int_equal(open_queue(1, "a", 3), 0); /* exists */
}

static void a_reserve_is_root_s(void **state)
{
	unsigned made = 0, number = 0;

	(void)state;
	for (unsigned host = 0; host < 6; host++)
		for (unsigned i = 0; i < SHARE; i++)
			made += open_queue(host * 10 + 1, "a", number++) == 0;
	assert_int_equal(made, QUEUES - RESERVE);
	assert_int_equal(open_queue(51, "b", 0), -ENOSPC);
	expect_text("(queues.queues_max)");
	for (unsigned i = 0; i < RESERVE; i++)
		assert_int_equal(open_queue(60, "c", i), 0);
	assert_int_equal(open_queue(60, "c", RESERVE), -ENOSPC);
}

static void a_removed_queue_gives_its_place_back(void **state)
{
	(void)state;
	open_all(1, "a", SHARE);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "a.0", 0, 0, 0), 0);
	assert_int_equal(open_queue(1, "b", 0), 0);
	assert_int_equal(open_queue(1, "b", 1), -EDQUOT);
}

static void unused_queue_is_removed_with_its_maker(void **state)
{
	(void)state;
	open_all(1, "a", SHARE);
	r.gone[1] = true;
	rig_pass(&r, SWEPT_MS);
	for (unsigned i = 0; i < SHARE; i++)
		assert_false(is_there("a", i));
	open_all(2, "b", SHARE);
}

static void used_queue_outlives_its_maker(void **state)
{
	(void)state;
	open_all(1, "a", 5);
	rig_push(&r, &(struct rig_push){.queue = r.queue, .client = 2, .text = "x"}); /* a.4 */
	assert_int_equal(open_queue(2, "a", 0), 0);
	rig_consume(&r, "a.1", 3, 0);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "a.1", 3, 7, 0), 0);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PAUSE, MRF_QUEUE_KIND_QUEUE, "a.2", 0, 0, 0), 0);
	r.gone[1] = true;
	rig_pass(&r, SWEPT_MS);
	assert_true(is_there("a", 0));
	assert_true(is_there("a", 1));
	assert_true(is_there("a", 2));
	assert_false(is_there("a", 3));
	assert_true(is_there("a", 4));
}

static void use(unsigned client, const char *prefix, unsigned number)
{
	uint32_t queue;

	assert_int_equal(open_queue(client, prefix, number), 0);
	queue = r.queue;
	rig_push(&r, &(struct rig_push){.queue = queue, .client = client, .text = "x"});
}

static void the_queue_idle_for_longest_gives_way(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHARE; i++) {
		assert_int_equal(open_queue(1, "a", i), 0);
		rig_pass(&r, 100);
	}
	use(1, "a", 0);                              /* holds a message */
	assert_int_equal(open_queue(60, "a", 1), 0); /* used just now */
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_PAUSE, MRF_QUEUE_KIND_QUEUE, "a.2", 0, 0, 0), 0);
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "a.3", 0, 0, 0),
		0); /* by the operator */
	assert_int_equal(open_queue(1, "b", 0), 0);
	assert_false(is_there("a", 4));
	assert_int_equal(open_queue(1, "b", 1), 0);
	assert_false(is_there("a", 5));
	for (unsigned i = 0; i < 4; i++)
		assert_true(is_there("a", i));
	assert_int_equal(r.stats.queues_displaced, 2);
}

static void queues_of_others_give_way_only_in_a_full_table(void **state)
{
	unsigned number = 0;

	(void)state;
	open_all(1, "old", 1);
	rig_pass(&r, 2000);
	for (unsigned host = 1; host < 5; host++)
		for (unsigned i = 0; i < SHARE && number < QUEUES - RESERVE - 1; i++)
			use(host * 10 + 1, "a", number++);
	assert_true(is_there("old", 0));
	assert_int_equal(open_queue(51, "b", 0), 0);
	assert_false(is_there("old", 0));
	rig_pass(&r, 2000);
	assert_int_equal(open_queue(41, "c", 0), 0); /* for b.0 */
	rig_pass(&r, 500);
	assert_int_equal(open_queue(41, "c", 1), -ENOSPC); /* c.0 is about to be used */
}

static void make_dead_letter(unsigned client, const char *prefix, unsigned number)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.%u", prefix, number);
	use(client, prefix, number);
	rig_consume(&r, name, client, 0);
	rig_run(&r);
	rig_settle(&r, client, r.queue, rig_expect(&r, client, "x"), MRF_SETTLE_VERB_REJECT, 0);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, name, client, 7, 0),
		0);
	rig_sent_forget(&r);
}

/* A full table of queues has room for the dead letters of each; they take no other queue's
 * place. */
static void dead_letters_have_the_place_of_their_queue(void **state)
{
	unsigned made = 0, number = 0;
	char name[32];

	(void)state;
	for (unsigned host = 0; host < 4; host++)
		for (unsigned i = 0; i < SHARE && made < QUEUES - RESERVE; i++, made++)
			make_dead_letter(host * 10 + 1, "a", number++);
	assert_int_equal(open_queue(51, "b", 0), -ENOSPC);
	for (unsigned i = 0; i < made; i++) {
		snprintf(name, sizeof(name), "a.%u.dead", i);
		assert_int_equal(mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, name)), 1);
	}
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, "a.0", 0, 0, 0), 0);
	assert_int_equal(open_queue(51, "b", 0), 0);
	assert_int_equal(open_queue(51, "b", 1), -ENOSPC);
}

/* A consumer that stays empties them while their queue is removed: otherwise there would be more of
 * them than queues. */
static void dead_letters_that_outlive_their_queue_are_counted_for_themselves(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHARE; i++) {
		char name[32];

		make_dead_letter(1, "a", i);
		snprintf(name, sizeof(name), "a.%u.dead", i);
		assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, name,
					 2, 100 + i, 1),
			0);
		rig_run(&r);
		rig_settle(&r, 2, r.queue, rig_expect(&r, 2, "x"), MRF_SETTLE_VERB_ACK, 0);
	}
	rig_pass(&r, 20000); /* idle_ms */
	assert_false(is_there("a", 0));
	assert_int_equal(open_queue(1, "b", 0), -EDQUOT);
	r.gone[2] = true;
	rig_pass(&r, 20000);
	open_all(1, "b", SHARE);
}

static int consume(unsigned client, const char *name, uint32_t subscription)
{
	return rig_command(
		&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, name, client, subscription, 1);
}

static void a_host_has_its_share_of_one_queue_s_consumers(void **state)
{
	unsigned count = 0;

	(void)state;
	(void)rig_make(&r, "jobs");
	while (count < 3000 && consume(1 + count % 9, "jobs", 1 + count) == 0)
		count++;
	assert_int_equal(count, 512);
	assert_int_equal(r.code, -EDQUOT);
	expect_text("share of this queue's consumers");
	assert_int_equal(consume(10, "jobs", 1), 0);
	assert_int_equal(consume(60, "jobs", 1), 0);
	for (unsigned client = 1; client < 10; client++)
		r.gone[client] = true;
	rig_pass(&r, SWEPT_MS);
	r.gone[1] = false;
	assert_int_equal(consume(1, "jobs", 1), 0);
	assert_int_equal(mrf_queue_row_consumers(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "jobs")), 3);
}

static void a_queue_s_last_consumers_are_root_s(void **state)
{
	unsigned count = 0;

	(void)state;
	(void)rig_make(&r, "jobs");
	for (unsigned host = 0; host < 5; host++)
		for (unsigned i = 0; i < 512; i++)
			count += consume(host * 10 + 1, "jobs", 1 + i) == 0;
	assert_int_equal(count, 2048 - 128);
	assert_int_equal(consume(51, "jobs", 1), -ENOSPC);
	expect_text("(2,048)");
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(consume(60, "jobs", 1 + i), 0);
	assert_int_equal(consume(60, "jobs", 1000), -ENOSPC);
}

static enum mrf_status_code promise(unsigned client, uint32_t queue, uint64_t publisher)
{
	struct rig_sent *s;
	struct mrf_accepted_range range;

	rig_push(&r, &(struct rig_push){.queue = queue,
			     .client = client,
			     .text = "x",
			     .publisher = publisher,
			     .id = 1});
	rig_run(&r);
	s = rig_take(&r, client, MRF_MESSAGE_KIND_ACCEPTED);
	assert_non_null(s);
	memcpy(&range, s->body, sizeof(range));
	return range.status;
}

static void a_host_has_its_share_of_the_publishers_whatever_becomes_of_its_sessions(void **state)
{
	uint32_t queue = rig_make(&r, "work");

	(void)state;
	/* 8 in all: two of them for one host, and the last one for root. */
	assert_int_equal(promise(1, queue, 101), MRF_STATUS_CODE_OK);
	assert_int_equal(promise(2, queue, 102), MRF_STATUS_CODE_OK);
	r.gone[1] = r.gone[2] = true;
	rig_pass(&r, SWEPT_MS);
	assert_int_equal(promise(3, queue, 103), MRF_STATUS_CODE_OVERLOADED);
	assert_int_equal(promise(10, queue, 104), MRF_STATUS_CODE_OK);
	assert_int_equal(promise(60, queue, 105), MRF_STATUS_CODE_OK);
	/* A publisher that was not heard of for a minute makes room for another one of its host. */
	rig_pass(&r, 60000);
	assert_int_equal(promise(3, queue, 103), MRF_STATUS_CODE_OK);
	assert_int_equal(promise(3, queue, 106), MRF_STATUS_CODE_OK);
	assert_int_equal(promise(3, queue, 107), MRF_STATUS_CODE_OVERLOADED);
}

static void names_are_found_whatever_they_are(void **state)
{
	(void)state;
	open_all(60, "q", QUEUES);
	for (unsigned i = 0; i < QUEUES; i += 2) {
		char name[32];

		snprintf(name, sizeof(name), "q.%u", i);
		assert_int_equal(
			rig_command(&r, MRF_QUEUE_VERB_DELETE, MRF_QUEUE_KIND_QUEUE, name, 0, 0, 0),
			0);
	}
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(is_there("q", i), i % 2 == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_host_has_its_share_of_the_queues_however_many_sessions_it_has),
		RIG_TEST(a_reserve_is_root_s),
		RIG_TEST(a_removed_queue_gives_its_place_back),
		RIG_TEST(unused_queue_is_removed_with_its_maker),
		RIG_TEST(used_queue_outlives_its_maker),
		RIG_TEST(the_queue_idle_for_longest_gives_way),
		RIG_TEST(queues_of_others_give_way_only_in_a_full_table),
		RIG_TEST(dead_letters_have_the_place_of_their_queue),
		RIG_TEST(dead_letters_that_outlive_their_queue_are_counted_for_themselves),
		RIG_TEST(a_host_has_its_share_of_one_queue_s_consumers),
		RIG_TEST(a_queue_s_last_consumers_are_root_s),
		RIG_TEST(a_host_has_its_share_of_the_publishers_whatever_becomes_of_its_sessions),
		RIG_TEST(names_are_found_whatever_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
