/* SPDX-License-Identifier: Apache-2.0 */
/* Pushes: promises, outcomes, deduplication, refusals. */
#include "tests/unit/client/fixture.h"

struct outcomes {
	unsigned count;
	unsigned failed;
	int error;
	uint64_t last_id;
};

static void on_outcome(struct mr_client *c, uint64_t id, int error, void *arg)
{
	struct outcomes *o = arg;

	(void)c;
	o->count++;
	o->failed += error != 0;
	if (error != 0)
		o->error = error;
	o->last_id = id;
}

static struct mr_queue *open_queue(
	struct fixture *f, enum mr_promise_kind promise, struct outcomes *outcomes)
{
	struct mr_push_options options = {
		.promise = promise,
		.on_outcome = outcomes != NULL ? on_outcome : NULL,
		.arg = outcomes,
	};
	struct mr_queue *q;

	assert_int_equal(mr_queue_open(f->client, "jobs", &options, &q), 0);
	return q;
}

static uint32_t depth(struct fixture *f)
{
	uint32_t count;

	bus_lock(&f->bus);
	count = fake_queue_depth(&f->bus, "jobs");
	bus_unlock(&f->bus);
	return count;
}

static struct mr_queue *to_be_closed;

static void close_at_the_first(struct mr_client *c, uint64_t id, int error, void *arg)
{
	unsigned *told = arg;

	(void)c;
	(void)id;
	(void)error;
	(*told)++;
	mr_queue_close(to_be_closed);
}

static void a_queue_closed_by_an_outcome_tells_no_more(void **state)
{
	struct fixture *f = *state;
	const struct mr_push push = {.payload = "job", .bytes = 3};
	unsigned told = 0, pushed = 0;
	struct mr_push_options options = {
		.promise = MR_AT_LEAST_ONCE, .on_outcome = close_at_the_first, .arg = &told};
	struct mr_queue *other = open_queue(f, MR_AT_LEAST_ONCE, NULL);

	assert_int_equal(mr_queue_open(f->client, "jobs", &options, &to_be_closed), 0);
	mr_cork(f->client, true);
	while (mr_push_with(to_be_closed, &push, NULL) == 0)
		pushed++;
	assert_true(pushed > 1);
	mr_cork(f->client, false);
	assert_int_equal(mr_flush(f->client), 0);
	PROCESS_UNTIL(f->client, told > 0);
	assert_int_equal(told, 1);
	assert_int_equal(mr_push(other, "job", 3), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(told, 1);
}

static void pushes_are_accepted_and_reported_once(void **state)
{
	struct fixture *f = *state;
	struct outcomes outcomes = {0};
	struct mr_queue *q = open_queue(f, MR_AT_LEAST_ONCE, &outcomes);

	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(mr_push(q, "job", 3), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(mr_queue_unaccepted(q), 0);
	assert_int_equal(outcomes.count, 100);
	assert_int_equal(outcomes.failed, 0);
	assert_int_equal(outcomes.last_id, 100);
	assert_int_equal(depth(f), 100);
	mr_queue_close(q);
}

static void the_window_bounds_what_is_not_accepted(void **state)
{
	struct fixture *f = *state;
	struct mr_push push = {.payload = "x", .bytes = 1};
	struct mr_queue *q;
	uint64_t id;

	f->bus.queues.withhold = true;
	q = open_queue(f, MR_AT_LEAST_ONCE, NULL);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(mr_push_with(q, &push, &id), 0);
		assert_int_equal(id, i + 1);
	}
	assert_int_equal(mr_push_with(q, &push, NULL), -EAGAIN);
	assert_int_equal(mr_queue_unaccepted(q), 16);
	assert_int_equal(mr_settle(f->client, 20), -ETIMEDOUT);
}

static void waiting_ends_when_the_bus_accepts(void **state)
{
	struct fixture *f = *state;
	struct mr_push push = {.payload = "x", .bytes = 1};
	struct mr_queue *q = open_queue(f, MR_AT_LEAST_ONCE, NULL);

	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_true(mr_wait(f->client, PATIENCE_MS) > 0);
	assert_int_equal(mr_queue_unaccepted(q), 0);
}

static void a_push_to_a_full_queue_is_retried_and_then_reported(void **state)
{
	struct fixture *f = *state;
	struct outcomes outcomes = {0};
	struct mr_queue *q = open_queue(f, MR_AT_LEAST_ONCE, &outcomes);

	bus_lock(&f->bus);
	f->bus.queues.refuse = 3;
	f->bus.queues.refuse_status = MRF_STATUS_CODE_OVERLOADED;
	bus_unlock(&f->bus);
	assert_int_equal(mr_push(q, "a", 1), 0);
	assert_int_equal(mr_push(q, "b", 1), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(outcomes.count, 2);
	assert_int_equal(outcomes.failed, 0);
	assert_int_equal(depth(f), 2);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.pushed, 5);
	f->bus.queues.refuse = 1;
	f->bus.queues.refuse_status = MRF_STATUS_CODE_TOO_OLD;
	bus_unlock(&f->bus);
	assert_int_equal(mr_push(q, "c", 1), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), -ESTALE);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(outcomes.error, -ESTALE);
}

static void a_queue_that_was_removed_is_opened_again(void **state)
{
	struct fixture *f = *state;
	struct outcomes outcomes = {0};
	struct mr_queue *q = open_queue(f, MR_AT_LEAST_ONCE, &outcomes);

	bus_lock(&f->bus);
	fake_queue_forget(&f->bus, "jobs");
	bus_unlock(&f->bus);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(mr_push(q, "job", 3), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(outcomes.failed, 0);
	assert_int_equal(outcomes.count, 10);
	assert_int_equal(depth(f), 10);
}

static void unaccepted_pushes_are_sent_again_after_reconnection(void **state)
{
	struct fixture *f = *state;
	struct mr_queue *q = open_queue(f, MR_EXACTLY_ONCE, NULL);

	bus_lock(&f->bus);
	f->bus.queues.forget_accepted = true;
	bus_unlock(&f->bus);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(mr_push(q, "job", 3), 0);
	assert_true(bus_took_all(f));
	bus_kill(&f->bus, NULL);
	bus_lock(&f->bus);
	f->bus.queues.forget_accepted = false;
	bus_unlock(&f->bus);
	bus_revive(&f->bus);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(f->ups, 1);
	assert_int_equal(depth(f), 10);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.duplicates, 10);
	bus_unlock(&f->bus);
}

static void exactly_once_is_numbered_by_the_name_of_the_publisher(void **state)
{
	struct fixture *f = *state;
	struct mr_push_options options = {
		.promise = MR_EXACTLY_ONCE, .publisher = "mill", .next_id = 500};
	struct mr_push other = {.payload = "y", .bytes = 1, .publisher = 77, .id = 9};
	struct mr_push own = {.payload = "x", .bytes = 1};
	uint64_t publisher, id;
	struct mr_queue *q;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(mr_queue_open(f->client, "jobs", &options, &q), 0);
		assert_int_equal(mr_push_with(q, &own, &id), 0);
		assert_int_equal(id, 500);
		assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
		bus_lock(&f->bus);
		assert_true(i == 0 || publisher == f->bus.queues.publisher);
		publisher = f->bus.queues.publisher;
		bus_unlock(&f->bus);
		mr_queue_close(q);
	}
	assert_true(publisher != 0);
	assert_int_equal(mr_queue_open(f->client, "jobs", &options, &q), 0);
	assert_int_equal(mr_push_with(q, &other, &id), 0);
	assert_int_equal(id, 9);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(mr_push_with(q, &own, &id), 0);
	assert_int_equal(id, 500);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	/* The second 500 and the third are duplicates. */
	assert_int_equal(depth(f), 2);
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.duplicates, 2);
	bus_unlock(&f->bus);
}

static void two_of_one_number_are_not_open_at_once(void **state)
{
	struct fixture *f = *state;
	struct mr_push a = {.payload = "y", .bytes = 1, .publisher = 77, .id = 9};
	struct mr_push b = {.payload = "y", .bytes = 1, .publisher = 78, .id = 9};
	struct mr_queue *q = open_queue(f, MR_EXACTLY_ONCE, NULL);

	assert_int_equal(mr_push_with(q, &a, NULL), 0);
	assert_int_equal(mr_push_with(q, &b, NULL), -EAGAIN);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(mr_push_with(q, &b, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(depth(f), 2);
}

static void several_handles_of_a_queue_have_outcomes_of_their_own(void **state)
{
	struct fixture *f = *state;
	struct outcomes outcomes[3] = {{0}};
	struct mr_queue *q[3];

	for (unsigned i = 0; i < 3; i++)
		q[i] = open_queue(f, i == 1 ? MR_EXACTLY_ONCE : MR_AT_LEAST_ONCE, &outcomes[i]);
	for (unsigned n = 0; n < 10; n++) {
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(mr_push(q[i], "x", 1), 0);
	}
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(outcomes[i].count, 10);
		assert_int_equal(outcomes[i].last_id, 10);
		assert_int_equal(mr_queue_unaccepted(q[i]), 0);
	}
	assert_int_equal(depth(f), 30);
}

static void best_effort_is_not_kept(void **state)
{
	struct fixture *f = *state;
	struct mr_push push = {.payload = "x", .bytes = 1};
	struct mr_queue *q = open_queue(f, MR_BEST_EFFORT, NULL);

	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_queue_unaccepted(q), 0);
	assert_true(bus_took_all(f));
	assert_int_equal(depth(f), 100);
	push.id = 4;
	mr_queue_close(q);
	q = open_queue(f, MR_AT_LEAST_ONCE, NULL);
	assert_int_equal(mr_push_with(q, &push, NULL), -EINVAL);
}

static void a_refused_opening_says_why(void **state)
{
	struct fixture *f = *state;
	struct mr_queue *q;

	f->bus.queues.open_code = -EEXIST;
	assert_int_equal(mr_queue_open(f->client, "jobs", NULL, &q), -EEXIST);
	assert_null(q);
	assert_int_equal(mr_queue_open(f->client, "jobs.*", NULL, &q), -EINVAL);
}

/* Answers to pushes that were never sent, ranges without end, and queues that are not open. */
static void strange_acceptances_change_nothing(void **state)
{
	struct fixture *f = *state;
	struct mrf_accepted_range ranges[] = {
		{.first = 99, .count = 1},
		{.first = 1, .count = UINT32_MAX},
		{.first = 1ull << 63 | 1ull << 48 | 1, .count = UINT32_MAX},
		{.first = 1ull << 63 | 1ull << 48 | 5, .count = 3, .status = 77},
		{.first = 1ull << 63 | 2ull << 48 | 1, .count = 1},
		{.first = UINT64_MAX, .count = 2},
		{.first = 0, .count = 0},
	};
	struct mr_queue *q;

	f->bus.queues.withhold = true;
	q = open_queue(f, MR_AT_LEAST_ONCE, NULL);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(mr_push(q, "job", 3), 0);
	bus_lock(&f->bus);
	bus_send(&f->bus, MRF_MESSAGE_KIND_ACCEPTED, 1u << 27 | 1u << 17 | 1, NULL, "", ranges,
		sizeof(ranges));
	bus_send(&f->bus, MRF_MESSAGE_KIND_ACCEPTED, 7, NULL, "", ranges, sizeof(ranges));
	bus_send(&f->bus, MRF_MESSAGE_KIND_ACCEPTED, 0, NULL, "", ranges, 5);
	bus_unlock(&f->bus);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	assert_int_equal(mr_queue_unaccepted(q), 4);
}

static void push_with_a_time_to_live_has_it_in_front(void **state)
{
	struct fixture *f = *state;
	struct fake_queues *seen = &f->bus.queues;
	struct outcomes outcomes = {0};
	struct mr_queue *q = open_queue(f, MR_EXACTLY_ONCE, &outcomes);
	struct mr_push push = {.payload = "job", .bytes = 3, .ttl_ms = 5000};

	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(outcomes.count, 1);
	bus_lock(&f->bus);
	assert_int_equal(seen->with_options, 1);
	assert_int_equal(seen->options.ttl_ms, 5000);
	assert_string_equal(seen->behind_options, "job");
	bus_unlock(&f->bus);
	push.headers = "NATS/1.0\r\na: b\r\n\r\n";
	push.header_bytes = strlen(push.headers);
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_string_equal(seen->behind_options, "NATS/1.0\r\na: b\r\n\r\njob");
	bus_unlock(&f->bus);
	push = (struct mr_push){.at_ms = 1790000000000};
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	push = (struct mr_push){.delay_ms = 7};
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_int_equal(seen->options.delay_ms, 7);
	assert_int_equal(seen->options.at_ms, 0);
	bus_unlock(&f->bus);
	push.ttl_ms = 1;
	push.headers = "no block";
	push.header_bytes = 8;
	assert_int_equal(mr_push_with(q, &push, NULL), -EINVAL);
	push.headers = NULL;
	assert_int_equal(mr_push_with(q, &push, NULL), -EINVAL);
	push = (struct mr_push){.delay_ms = 1, .at_ms = 1};
	assert_int_equal(mr_push_with(q, &push, NULL), -EINVAL);
}

static void push_with_a_key_has_it_as_a_header_too(void **state)
{
	struct fixture *f = *state;
	struct fake_queues *seen = &f->bus.queues;
	struct outcomes outcomes = {0};
	struct mr_queue *q = open_queue(f, MR_EXACTLY_ONCE, &outcomes);
	struct mr_push push = {.payload = "job", .bytes = 3, .key = "a"};
	char long_key[257];

	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	/* FNV-1a of "a", draft-eastlake-fnv, test vectors. */
	assert_int_equal(seen->options.key, 0xaf63dc4c8601ec8cu);
	assert_string_equal(seen->behind_options, "NATS/1.0\r\nMillrace-Key: a\r\n\r\njob");
	bus_unlock(&f->bus);
	push.headers = "NATS/1.0\r\nb: c\r\n\r\n";
	push.header_bytes = strlen(push.headers);
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_string_equal(seen->behind_options, "NATS/1.0\r\nMillrace-Key: a\r\nb: c\r\n\r\njob");
	bus_unlock(&f->bus);
	memset(long_key, 'k', sizeof(long_key) - 1);
	long_key[256] = '\0';
	push.key = long_key;
	assert_int_equal(mr_push_with(q, &push, NULL), -EINVAL);
	push.key = "";
	assert_int_equal(mr_push_with(q, &push, NULL), -EINVAL);
	push.key = "a\r\nb: c";
	assert_int_equal(mr_push_with(q, &push, NULL), -EINVAL);
	push.key = "a";
	push.headers = "no block at all";
	push.header_bytes = strlen(push.headers);
	assert_int_equal(mr_push_with(q, &push, NULL), -EINVAL);
}

static void priorities_with_a_name_need_no_option(void **state)
{
	struct fixture *f = *state;
	struct fake_queues *seen = &f->bus.queues;
	struct outcomes outcomes = {0};
	struct mr_queue *q = open_queue(f, MR_EXACTLY_ONCE, &outcomes);
	struct mr_push push = {.payload = "job", .bytes = 3};

	for (unsigned level = 0; level < 10; level++) {
		push.priority = MR_PRIORITY(level);
		assert_int_equal(mr_push_with(q, &push, NULL), 0);
		assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
		bus_lock(&f->bus);
		if (level != 1 && level != 4 && level != 7)
			assert_int_equal(seen->options.priority, 1 + level);
		bus_unlock(&f->bus);
	}
	bus_lock(&f->bus);
	assert_int_equal(seen->with_options, 7);
	bus_unlock(&f->bus);
	push.priority = MR_PRIORITY(7);
	push.ttl_ms = 5; /* the flag High, and options without a priority */
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_int_equal(seen->options.ttl_ms, 5);
	assert_int_equal(seen->options.priority, 0);
	bus_unlock(&f->bus);
	push.priority = MR_PRIORITY(10);
	assert_int_equal(mr_push_with(q, &push, NULL), -EINVAL);
	push.priority = (enum mr_priority)15;
	assert_int_equal(mr_push_with(q, &push, NULL), -EINVAL);
}

static void best_effort_may_have_a_time_to_live(void **state)
{
	struct fixture *f = *state;
	struct mr_queue *q = open_queue(f, MR_BEST_EFFORT, NULL);
	const struct mr_push push = {.payload = "job", .bytes = 3, .ttl_ms = 1};

	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_true(bus_took_all(f));
	bus_lock(&f->bus);
	assert_int_equal(f->bus.queues.options.ttl_ms, 1);
	bus_unlock(&f->bus);
}

static void ticket_and_repetition_are_in_the_options(void **state)
{
	struct fixture *f = *state;
	struct fake_queues *seen = &f->bus.queues;
	struct mr_queue *q = open_queue(f, MR_AT_LEAST_ONCE, NULL);
	uint64_t ticket = mr_queue_ticket(q);
	struct mr_push push = {.payload = "job", .bytes = 3, .delay_ms = 9, .ticket = ticket};

	assert_true(ticket > 0 && ticket < 1ull << 48);
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_int_equal(seen->options.ticket_high, ticket >> 32);
	assert_int_equal(seen->options.ticket_low, (uint32_t)ticket);
	assert_int_equal(seen->options.repeat, MRF_PUSH_REPEAT_NONE);
	bus_unlock(&f->bus);
	push = (struct mr_push){.every_ms = 100, .ticket = 7};
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_int_equal(seen->options.repeat, MRF_PUSH_REPEAT_EVERY);
	assert_int_equal(seen->options.delay_ms, 100);
	bus_unlock(&f->bus);
}

static void cron_is_a_header_before_those_of_the_message(void **state)
{
	struct fixture *f = *state;
	struct fake_queues *seen = &f->bus.queues;
	struct mr_queue *q = open_queue(f, MR_AT_LEAST_ONCE, NULL);
	struct mr_push push = {.payload = "job", .bytes = 3, .cron = "0 8 * * 1", .ticket = 7};

	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_int_equal(seen->options.repeat, MRF_PUSH_REPEAT_CRON);
	assert_string_equal(
		seen->behind_options, "NATS/1.0\r\nMillrace-Cron: 0 8 * * 1\r\n\r\njob");
	bus_unlock(&f->bus);
	push.headers = "NATS/1.0\r\na: b\r\n\r\n";
	push.header_bytes = strlen(push.headers);
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	bus_lock(&f->bus);
	assert_string_equal(
		seen->behind_options, "NATS/1.0\r\nMillrace-Cron: 0 8 * * 1\r\na: b\r\n\r\njob");
	bus_unlock(&f->bus);
	push.headers = "a: b";
	push.header_bytes = 4;
	assert_int_equal(mr_push_with(q, &push, NULL), -EINVAL);
}

static void bad_repetitions_are_refused(void **state)
{
	static const struct mr_push bad[] = {
		{.ticket = 7},
		{.ticket = 1ull << 48, .delay_ms = 1},
		{.every_ms = 1000},
		{.every_ms = 99, .ticket = 7},
		{.every_ms = 1000, .ticket = 7, .delay_ms = 1},
		{.every_ms = 1000, .ticket = 7, .at_ms = 1},
		{.every_ms = 1000, .ticket = 7, .cron = "0 8 * * *"},
		{.cron = "0 8 * * *"},
		{.cron = "0 0 30 2 *", .ticket = 7},
		{.every_ms = 1000, .ticket = 7, .attempts = 1},
		{.delay_ms = 1, .attempts = 1},
	};
	struct fixture *f = *state;
	struct mr_queue *q = open_queue(f, MR_AT_LEAST_ONCE, NULL);

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(mr_push_with(q, &bad[i], NULL), -EINVAL);
	assert_int_equal(mr_push_with(q, &bad[8], NULL), -EINVAL);
	assert_non_null(strstr(mr_error(f->client), "never comes"));
	assert_int_equal(f->bus.queues.with_options, 0);
}

static void older_bus_gets_no_time_to_live(void **state)
{
	struct fixture *f = *state;
	const struct mr_push push = {.payload = "job", .bytes = 3, .ttl_ms = 1};
	struct mr_queue *q;

	bus_lock(&f->bus);
	f->bus.queues.older = true;
	bus_unlock(&f->bus);
	q = open_queue(f, MR_AT_LEAST_ONCE, NULL);
	assert_int_equal(mr_push_with(q, &push, NULL), -EOPNOTSUPP);
	assert_non_null(strstr(mr_error(f->client), "the bus is older"));
	assert_int_equal(mr_push(q, "job", 3), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	assert_int_equal(f->bus.queues.with_options, 0);
}

static void kept_push_with_a_time_to_live_fails_at_an_older_bus(void **state)
{
	struct fixture *f = *state;
	struct outcomes outcomes = {0};
	struct mr_queue *q = open_queue(f, MR_AT_LEAST_ONCE, &outcomes);
	const struct mr_push push = {.payload = "job", .bytes = 3, .ttl_ms = 1};

	bus_lock(&f->bus);
	f->bus.queues.withhold = true;
	bus_unlock(&f->bus);
	assert_int_equal(mr_push_with(q, &push, NULL), 0);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	bus_kill(&f->bus, NULL);
	bus_lock(&f->bus);
	f->bus.queues.withhold = false;
	f->bus.queues.older = true;
	f->bus.queues.with_options = 0;
	bus_unlock(&f->bus);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, outcomes.count == 1);
	assert_int_equal(outcomes.error, -EOPNOTSUPP);
	assert_int_equal(f->bus.queues.with_options, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_queue_closed_by_an_outcome_tells_no_more),
		TEST(pushes_are_accepted_and_reported_once),
		TEST(the_window_bounds_what_is_not_accepted),
		TEST(waiting_ends_when_the_bus_accepts),
		TEST(a_push_to_a_full_queue_is_retried_and_then_reported),
		TEST(a_queue_that_was_removed_is_opened_again),
		TEST(unaccepted_pushes_are_sent_again_after_reconnection),
		TEST(exactly_once_is_numbered_by_the_name_of_the_publisher),
		TEST(two_of_one_number_are_not_open_at_once),
		TEST(several_handles_of_a_queue_have_outcomes_of_their_own),
		TEST(best_effort_is_not_kept),
		TEST(a_refused_opening_says_why),
		TEST(strange_acceptances_change_nothing),
		TEST(push_with_a_time_to_live_has_it_in_front),
		TEST(push_with_a_key_has_it_as_a_header_too),
		TEST(priorities_with_a_name_need_no_option),
		TEST(best_effort_may_have_a_time_to_live),
		TEST(ticket_and_repetition_are_in_the_options),
		TEST(cron_is_a_header_before_those_of_the_message),
		TEST(bad_repetitions_are_refused),
		TEST(older_bus_gets_no_time_to_live),
		TEST(kept_push_with_a_time_to_live_fails_at_an_older_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
