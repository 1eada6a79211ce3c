/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters that go to a queue of another name, with limits of its own. */
#include <errno.h>
#include <stdio.h>

#include "tests/unit/queue/rig.h"

static struct rig r;

static int setup(void **state)
{
	(void)state;
	rig_open(&r, NULL); /* max_deliver 3 */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static int name(const char *queue, const char *to)
{
	r.edits = MRF_QUEUE_OPTION_DEAD_LETTER;
	r.dead_letter = to;
	return rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, queue, 0, 0, 0);
}

static const char *refusal(void)
{
	return mrf_queue_answer_text(r.table).data;
}

static struct mrf_table show(const char *queue)
{
	return rig_show(&r, MRF_QUEUE_KIND_QUEUE, queue);
}

static uint64_t ready(const char *queue)
{
	return mrf_queue_row_ready(show(queue));
}

static void push(uint32_t q, const char *text, const char *headers)
{
	rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = text, .headers = headers});
	rig_run(&r);
}

/* Pushes a message that consumer 2 rejects. */
static void lose(uint32_t q, const char *text)
{
	push(q, text, NULL);
	rig_settle(&r, 2, q, rig_expect(&r, 2, text), MRF_SETTLE_VERB_REJECT, 0);
	rig_run(&r);
}

/* Makes a queue whose messages client 2 takes. */
static uint32_t make(const char *queue)
{
	uint32_t q = rig_make(&r, queue);
	static uint32_t subscription = 7;

	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_CONSUME, MRF_QUEUE_KIND_QUEUE, queue, 2,
				 ++subscription, 10),
		0);
	return q;
}

static int verb(enum mrf_queue_verb v, const char *queue)
{
	int rc = rig_command(&r, v, MRF_QUEUE_KIND_QUEUE, queue, 0, 0, 0);

	rig_run(&r);
	return rc;
}

static bool has(const struct rig_sent *s, const char *text)
{
	return memmem(s->view.headers, s->view.header_bytes, text, strlen(text)) != NULL;
}

static void several_queues_share_a_queue_for_their_dead_letters(void **state)
{
	uint32_t a = make("a"), b = make("b");
	struct rig_sent *s;

	(void)state;
	assert_int_equal(name("a", "errors"), 0);
	assert_int_equal(name("b", "errors"), 0);
	assert_string_equal(mrf_queue_row_dead_letter(show("a")).data, "errors");
	lose(a, "1");
	lose(b, "2");
	assert_int_equal(ready("errors"), 2);
	assert_int_equal(mrf_queue_row_dead(show("a")), 1);
	assert_int_equal(mrf_queue_row_bytes(show("a")), 0);
	rig_consume(&r, "errors", 3, 10);
	rig_run(&r);
	s = rig_take(&r, 3, MRF_MESSAGE_KIND_DELIVER);
	assert_true(has(s, "Millrace-Dead-Queue: a\r\n"));
	assert_int_equal(s->view.extra.delivery.redelivered, 0);
	s = rig_take(&r, 3, MRF_MESSAGE_KIND_DELIVER);
	assert_true(has(s, "Millrace-Dead-Queue: b\r\n"));
}

static void redrive_sends_each_letter_to_where_it_came_from(void **state)
{
	uint32_t a = make("a"), b = make("b"), errors;

	(void)state;
	assert_int_equal(name("a", "errors"), 0);
	assert_int_equal(name("b", "errors"), 0);
	lose(a, "1");
	lose(b, "2");
	errors = rig_make(&r, "errors");
	push(errors, "forged", "NATS/1.0\r\nMillrace-Dead-Queue: a\r\n\r\n");
	lose(a, "3");
	assert_int_equal(verb(MRF_QUEUE_VERB_REDRIVE, "errors"), 0);
	assert_int_equal(r.count, 4);
	assert_int_equal(ready("errors"), 1); /* nobody moves what the bus did not write */
	assert_int_equal(mrf_queue_row_outstanding(show("a")), 2);
	assert_int_equal(mrf_queue_row_outstanding(show("b")), 1);
	rig_expect(&r, 2, "1");
	assert_int_equal(verb(MRF_QUEUE_VERB_REDRIVE, "errors"), 0);
	assert_int_equal(ready("errors"), 1);
}

static void letters_of_a_full_queue_stay(void **state)
{
	uint32_t a, b = make("b");

	(void)state;
	r.options.messages_max = 1;
	a = make("a");
	assert_int_equal(name("a", "errors"), 0);
	assert_int_equal(name("b", "errors"), 0);
	lose(a, "1");
	lose(b, "2");
	push(a, "full", NULL);
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_CANCEL, MRF_QUEUE_KIND_QUEUE, "b", 2, 0, 0), 0);
	assert_int_equal(verb(MRF_QUEUE_VERB_REDRIVE, "errors"), 0);
	assert_int_equal(ready("errors"), 1);
	rig_settle(&r, 2, a, rig_expect(&r, 2, "full"), MRF_SETTLE_VERB_ACK, 0);
	rig_sent_forget(&r);
	assert_int_equal(verb(MRF_QUEUE_VERB_REDRIVE, "errors"), 0);
	assert_int_equal(ready("errors"), 0);
	rig_expect(&r, 2, "1");
}

static void named_queue_has_limits_of_its_own(void **state)
{
	uint32_t a = make("a");

	(void)state;
	r.options.messages_max = 2;
	rig_make(&r, "errors");
	assert_int_equal(name("a", "errors"), 0);
	for (unsigned i = 0; i < 3; i++)
		lose(a, "x");
	/* The third waits in its own queue, and is delivered again. */
	assert_int_equal(ready("errors"), 2);
	assert_int_equal(mrf_queue_row_delayed(show("a")), 1);
	rig_pass(&r, 1000);
	rig_settle(&r, 2, a, rig_expect(&r, 2, "x"), MRF_SETTLE_VERB_REJECT, 0);
	assert_int_equal(ready("errors"), 2);
	verb(MRF_QUEUE_VERB_PURGE, "errors");
	rig_pass(&r, 1000);
	rig_settle(&r, 2, a, rig_expect(&r, 2, "x"), MRF_SETTLE_VERB_REJECT, 0);
	assert_int_equal(ready("errors"), 1);
	assert_int_equal(r.stats.drop_dead_full, 0);
}

static void named_queue_that_refuses_discards_what_is_too_much(void **state)
{
	uint32_t a = make("a");

	(void)state;
	r.options.messages_max = 2;
	r.options.when_full = MRF_QUEUE_FULL_REFUSE;
	rig_make(&r, "errors");
	assert_int_equal(name("a", "errors"), 0);
	for (unsigned i = 0; i < 5; i++)
		lose(a, "x");
	assert_int_equal(ready("errors"), 2);
	assert_int_equal(r.stats.drop_dead_full, 3);
	assert_int_equal(mrf_queue_row_dead(show("a")), 5);
	assert_int_equal(mrf_queue_row_bytes(show("a")), 0);
}

static void named_queue_that_drops_its_oldest_keeps_the_newest(void **state)
{
	uint32_t a = make("a");

	(void)state;
	r.options.messages_max = 2;
	r.options.when_full = MRF_QUEUE_FULL_DROP_OLDEST;
	rig_make(&r, "errors");
	assert_int_equal(name("a", "errors"), 0);
	lose(a, "1");
	lose(a, "2");
	lose(a, "3");
	rig_pass(&r, 2);
	assert_int_equal(ready("errors"), 2);
	assert_int_equal(r.stats.drop_queue_full, 1);
	rig_consume(&r, "errors", 3, 1);
	rig_run(&r);
	rig_expect(&r, 3, "2");
}

static void none_discards_and_counts(void **state)
{
	uint32_t a = make("a");

	(void)state;
	assert_int_equal(name("a", "none"), 0);
	assert_string_equal(mrf_queue_row_dead_letter(show("a")).data, "none");
	lose(a, "x");
	assert_int_equal(r.stats.drop_dead, 1);
	assert_int_equal(mrf_queue_row_bytes(show("a")), 0);
	assert_int_equal(name("a", "default"), 0);
	lose(a, "x");
	assert_int_equal(r.stats.drop_dead, 1);
	assert_int_equal(mrf_queue_row_dead_ready(show("a")), 1);
}

static void circles_are_refused(void **state)
{
	char queue[8] = "q.a", to[8] = "q.b";

	(void)state;
	rig_make(&r, "a");
	rig_make(&r, "b");
	assert_int_equal(name("a", "a"), -EINVAL);
	assert_string_equal(
		refusal(), "dead_letter: the dead letters would come back to this queue");
	assert_int_equal(name("a", "b"), 0);
	assert_int_equal(name("b", "c"), 0);
	assert_int_equal(name("c", "a"), -EINVAL);
	assert_int_equal(name("b", "default"), 0);
	assert_int_equal(name("c", "a"), 0);
	assert_int_equal(name("b", "c"), -EINVAL);
	assert_int_equal(name("a", "b.dead"), -EINVAL);
	assert_int_equal(name("a", "x..y"), -EINVAL);
	assert_int_equal(name("a", ""), -EINVAL);
	assert_int_equal(name("a.dead", "b"), -ENOENT);
	/* Not more than a worker follows at once. */
	rig_make(&r, queue);
	for (unsigned i = 0; i < 25; i++, queue[2]++, to[2]++)
		assert_int_equal(name(queue, to), 0);
}

static void queue_with_letters_of_others_is_not_deleted(void **state)
{
	(void)state;
	rig_make(&r, "a");
	assert_int_equal(name("a", "errors"), 0);
	assert_int_equal(verb(MRF_QUEUE_VERB_DELETE, "errors"), -EBUSY);
	rig_pass(&r, 60000); /* nor removed for idleness */
	assert_int_equal(ready("errors"), 0);
	assert_int_equal(verb(MRF_QUEUE_VERB_DELETE, "a"), 0);
	assert_int_equal(verb(MRF_QUEUE_VERB_DELETE, "errors"), 0);
}

/* Dead letters are moved, not published: they come back to no bound queue. */
static void bound_queue_gets_no_letters_of_its_own(void **state)
{
	uint32_t a = make("errors.a");

	(void)state;
	mr_queues_bind(r.queues, a, 1);
	assert_int_equal(name("errors.a", "errors.all"), 0);
	lose(a, "x");
	assert_int_equal(ready("errors.all"), 1);
	assert_int_equal(ready("errors.a"), 0);
	mr_queues_bind(r.queues, a, 0);
}

static void letter_of_a_letter_names_the_last_queue(void **state)
{
	uint32_t a = make("a"), b = make("b");
	struct rig_sent *s;

	(void)state;
	assert_int_equal(name("a", "b"), 0);
	lose(a, "x");
	for (unsigned i = 0; i < 3; i++) { /* all attempts of the other queue */
		rig_settle(&r, 2, b, rig_expect(&r, 2, "x"), MRF_SETTLE_VERB_REQUEUE, 0);
		rig_run(&r);
	}
	rig_consume(&r, "b.dead", 3, 1);
	rig_run(&r);
	s = rig_take(&r, 3, MRF_MESSAGE_KIND_DELIVER);
	assert_non_null(s);
	assert_true(has(s, "Millrace-Dead-Reason: max-deliver\r\nMillrace-Dead-Queue: b\r\n"));
	assert_false(has(s, "Millrace-Dead-Queue: a"));
}

/* Opens a queue as a client, with a place for its dead letters. */
static int open_with(const char *queue, unsigned client, const char *to)
{
	r.dead_letter = to;
	return rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, queue, client, 0, 0);
}

static void opener_of_a_queue_names_the_place(void **state)
{
	uint32_t a;

	(void)state;
	assert_int_equal(open_with("a", 1, "errors"), 0);
	a = r.queue;
	assert_string_equal(mrf_queue_row_dead_letter(show("a")).data, "errors");
	rig_consume(&r, "a", 2, 10);
	lose(a, "x");
	assert_int_equal(ready("errors"), 1);
	/* Others agree with it, or ask for nothing. */
	assert_int_equal(open_with("a", 2, "errors"), 0);
	assert_int_equal(open_with("a", 2, NULL), 0);
	assert_int_equal(open_with("a", 2, "others"), -EEXIST);
	assert_int_equal(open_with("a", 2, "default"), -EEXIST);
	assert_int_equal(open_with("b", 2, "none"), 0);
	assert_int_equal(open_with("b", 2, "none"), 0);
	assert_int_equal(open_with("b", 2, "errors"), -EEXIST);
	assert_int_equal(open_with("c", 2, "default"), 0);
	assert_int_equal(open_with("c", 2, "default"), 0);
	/* An operator's edit holds against them. */
	assert_int_equal(name("c", "errors"), 0);
	assert_int_equal(open_with("c", 2, "default"), 0);
	assert_string_equal(mrf_queue_row_dead_letter(show("c")).data, "errors");
}

static void place_that_cannot_be_is_refused_and_makes_nothing(void **state)
{
	(void)state;
	assert_int_equal(open_with("a", 1, "a"), -EINVAL);
	assert_string_equal(
		refusal(), "dead_letter: the dead letters would come back to this queue");
	assert_int_equal(open_with("a", 1, "x..y"), -EINVAL);
	assert_int_equal(open_with("a", 1, "b.dead"), -EINVAL);
	assert_int_equal(verb(MRF_QUEUE_VERB_SHOW, "a"), -ENOENT);
	r.dead_letter = "errors";
	assert_int_equal(rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_SERVICE, "s", 1, 0, 0),
		-EINVAL);
	assert_string_equal(refusal(), "only queues have dead letters");
}

/* The queue that a client has named counts as one that the client has made. */
static void named_queue_counts_for_the_client(void **state)
{
	char queue[8] = "q.a", to[8] = "e.a";
	int rc = 0;

	(void)state;
	for (unsigned i = 0; rc == 0 && i < 16; i++, queue[2]++, to[2]++)
		rc = open_with(queue, 1, to);
	assert_int_equal(rc, -ENOSPC); /* per_client_max: 16 */
	assert_int_equal(queue[2], 'a' + 9);
	queue[2]--; /* the one for which there was no place is gone */
	assert_int_equal(verb(MRF_QUEUE_VERB_SHOW, queue), -ENOENT);
	r.dead_letter = NULL;
	assert_int_equal(open_with("last", 2, NULL), 0);
}

static void queue_named_by_a_client_stays_as_long_as_it_is_named(void **state)
{
	(void)state;
	assert_int_equal(open_with("a", 1, "errors"), 0);
	r.gone[1] = true;
	rig_pass(&r, 60000);
	/* Neither was used, so both went with their maker. */
	assert_int_equal(verb(MRF_QUEUE_VERB_SHOW, "a"), -ENOENT);
	r.gone[1] = false;
	assert_int_equal(open_with("b", 2, "errors"), 0);
	rig_consume(&r, "b", 3, 1);
	r.gone[2] = true;
	rig_pass(&r, 60000);
	assert_string_equal(mrf_queue_row_dead_letter(show("b")).data, "errors");
	assert_int_equal(ready("errors"), 0);
	assert_int_equal(verb(MRF_QUEUE_VERB_DELETE, "errors"), -EBUSY);
}

/* Homes of names with two workers. */
static unsigned home_of(const char *queue)
{
	return mr_queue_home(MRF_QUEUE_KIND_QUEUE, queue, strlen(queue), r.c.workers);
}

static void four_workers(struct mr_queues_config *c)
{
	c->workers = 4;
}

static void place_at_another_worker_is_refused_with_a_name_that_is_not(void **state)
{
	char to[8] = "e.a", expected[200], *such;

	(void)state;
	rig_close(&r);
	rig_open(&r, four_workers);
	rig_make(&r, "a"); /* the rig is worker 3, whatever is sent there */
	while (home_of(to) == 3)
		to[2]++;
	assert_int_equal(name("a", to), -EINVAL);
	snprintf(expected, sizeof(expected),
		"dead_letter: that queue is at worker %u, and this one at worker 3, where its "
		"dead letters stay; take another name, such as %s-",
		home_of(to), to);
	assert_memory_equal(refusal(), expected, strlen(expected));
	snprintf(expected, sizeof(expected), "%s", refusal());
	such = strrchr(expected, ' ') + 1;
	assert_int_equal(open_with("b", 1, to), -EINVAL);
	assert_int_equal(verb(MRF_QUEUE_VERB_SHOW, "b"), -ENOENT);
	assert_int_equal(name("a", such), 0);
	assert_int_equal(open_with("b", 1, such), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RIG_TEST(several_queues_share_a_queue_for_their_dead_letters),
		RIG_TEST(redrive_sends_each_letter_to_where_it_came_from),
		RIG_TEST(letters_of_a_full_queue_stay),
		RIG_TEST(named_queue_has_limits_of_its_own),
		RIG_TEST(named_queue_that_refuses_discards_what_is_too_much),
		RIG_TEST(named_queue_that_drops_its_oldest_keeps_the_newest),
		RIG_TEST(none_discards_and_counts),
		RIG_TEST(circles_are_refused),
		RIG_TEST(queue_with_letters_of_others_is_not_deleted),
		RIG_TEST(bound_queue_gets_no_letters_of_its_own),
		RIG_TEST(letter_of_a_letter_names_the_last_queue),
		RIG_TEST(opener_of_a_queue_names_the_place),
		RIG_TEST(place_that_cannot_be_is_refused_and_makes_nothing),
		RIG_TEST(named_queue_counts_for_the_client),
		RIG_TEST(queue_named_by_a_client_stays_as_long_as_it_is_named),
		RIG_TEST(place_at_another_worker_is_refused_with_a_name_that_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
