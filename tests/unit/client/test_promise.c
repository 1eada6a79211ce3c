/* SPDX-License-Identifier: Apache-2.0 */
/* Promised publishes: a message stays in the ring until the bus has taken it, and survives the
 * session. */
#include "tests/unit/client/fixture.h"

#define PUBLISHERS 2u

/* Numbers of each publisher, expected in order. */
struct numbers {
	unsigned next[PUBLISHERS];
	unsigned strange;
};

struct number {
	unsigned publisher;
	unsigned value;
};

static void on_number(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct numbers *n = arg;
	struct number number;

	(void)c;
	if (m->payload_bytes < sizeof(number)) {
		n->strange++;
		return;
	}
	memcpy(&number, m->payload, sizeof(number));
	if (number.publisher < PUBLISHERS && number.value == n->next[number.publisher])
		n->next[number.publisher]++;
	else
		n->strange++;
}

static struct mr_publisher *open_promising(struct fixture *f, enum mr_promise_kind promise)
{
	const struct mr_publisher_options options = {.promise = promise};
	struct mr_publisher *p;

	assert_int_equal(mr_publisher_open_with(f->client, "a", &options, &p), 0);
	return p;
}

static void listen_to_numbers(struct fixture *f, struct numbers *n)
{
	assert_int_equal(mr_subscribe(f->client, "a", NULL, on_number, n, NULL), 0);
}

static void send_number(struct mr_publisher *p, unsigned publisher, unsigned value)
{
	const struct number number = {publisher, value};

	assert_int_equal(mr_publisher_send(p, &number, sizeof(number)), 0);
}

static void claim_numbers(struct mr_publisher *p, unsigned first, unsigned claimed, unsigned count)
{
	struct number number = {0};
	size_t stride;
	void *at;

	assert_int_equal(
		mr_publisher_claim_batch(p, sizeof(number), claimed, &at, &stride), claimed);
	for (unsigned i = 0; i < claimed; i++) {
		number.value = first + i;
		memcpy((uint8_t *)at + i * stride, &number, sizeof(number));
	}
	assert_int_equal(mr_publisher_commit_batch(p, count), 0);
}

static void stall(struct fixture *f, bool on)
{
	bus_lock(&f->bus);
	f->bus.stalled = on;
	bus_unlock(&f->bus);
}

/* Messages that the bus has not taken by now are lost. */
static void lose_the_bus(struct fixture *f)
{
	bus_kill(&f->bus, NULL);
	stall(f, false);
	bus_revive(&f->bus);
}

static void promised_publishes_are_sent_again_when_the_bus_did_not_take_them(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher_options options = {.promise = MR_AT_LEAST_ONCE};
	struct mr_publisher *p;
	struct inbox in = {0};

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_publisher_open_with(f->client, "a", &options, &p), 0);
	assert_int_equal(mr_publisher_send_with(p, NULL, 0, "first", 5), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	PROCESS_UNTIL(f->client, in.count == 1);
	bus_lock(&f->bus);
	f->bus.stalled = true;
	bus_unlock(&f->bus);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(mr_publisher_send_with(p, NULL, 0, "more", 4), 0);
	assert_int_equal(mr_settle(f->client, 20), -ETIMEDOUT);
	bus_kill(&f->bus, NULL);
	bus_lock(&f->bus);
	f->bus.stalled = false;
	bus_unlock(&f->bus);
	bus_revive(&f->bus);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	PROCESS_UNTIL(f->client, in.count == 51);
	mr_publisher_close(p);
}

static void claims_keep_the_promise(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p = open_promising(f, MR_AT_LEAST_ONCE);
	const struct number one = {0, 0};
	struct numbers n = {0};
	void *at;

	listen_to_numbers(f, &n);
	stall(f, true);
	assert_int_equal(mr_publisher_claim(p, 100, &at), 0);
	mr_publisher_abort(p);
	assert_int_equal(mr_publisher_claim(p, 100, &at), 0);
	memcpy(at, &one, sizeof(one));
	assert_int_equal(mr_publisher_commit(p, sizeof(one)), 0);
	claim_numbers(p, 1, 20, 20);
	claim_numbers(p, 21, 20, 10);
	claim_numbers(p, 31, 5, 0);
	send_number(p, 0, 31);
	assert_int_equal(mr_settle(f->client, 20), -ETIMEDOUT);
	lose_the_bus(f);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	PROCESS_UNTIL(f->client, n.next[0] == 32);
	assert_int_equal(n.strange, 0);
}

static void claims_too_large_for_one_record_are_refused(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p = open_promising(f, MR_EXACTLY_ONCE);
	size_t most = mr_body_bytes_max(f->client, "a"), stride;
	void *at;

	assert_int_equal(mr_publisher_claim(p, most + 1, &at), -EMSGSIZE);
	assert_int_equal(mr_publisher_claim_batch(p, SIZE_MAX, 2, &at, &stride), -EMSGSIZE);
	assert_int_equal(mr_publisher_claim_batch(p, 8, 0, &at, &stride), 0);
	assert_int_equal(mr_publisher_claim(p, 8, &at), 0);
	assert_int_equal(mr_publisher_claim(p, 8, &at), -EDEADLK);
	assert_int_equal(mr_publisher_commit(p, 9), -EINVAL);
	assert_int_equal(mr_publisher_commit(p, 8), 0);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
}

static void interleaved_messages_of_two_publishers_come_again_in_order(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p[PUBLISHERS];
	struct numbers n = {0};
	unsigned i;

	listen_to_numbers(f, &n);
	for (i = 0; i < PUBLISHERS; i++)
		p[i] = open_promising(f, i == 0 ? MR_AT_LEAST_ONCE : MR_EXACTLY_ONCE);
	stall(f, true);
	for (i = 0; i < 300; i++) {
		send_number(p[0], 0, i);
		send_number(p[1], 1, i);
	}
	lose_the_bus(f);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	for (i = 300; i < 310; i++) {
		send_number(p[1], 1, i);
		send_number(p[0], 0, i);
	}
	PROCESS_UNTIL(f->client, n.next[0] == 310 && n.next[1] == 310);
	assert_int_equal(n.strange, 0);
}

static void messages_taken_before_the_loss_do_not_come_again(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p = open_promising(f, MR_AT_LEAST_ONCE);
	struct numbers n = {0};
	unsigned i;

	listen_to_numbers(f, &n);
	for (i = 0; i < 10; i++)
		send_number(p, 0, i);
	assert_true(bus_took_all(f));
	PROCESS_UNTIL(f->client, n.next[0] == 10);
	stall(f, true);
	for (; i < 20; i++)
		send_number(p, 0, i);
	lose_the_bus(f);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	PROCESS_UNTIL(f->client, n.next[0] == 20);
	assert_int_equal(n.strange, 0);
}

#ifndef FIXTURE_UDP
/* Over UDP their memory goes back to the system when nothing is under way. */
static void memory_of_taken_messages_is_not_looked_at(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p = open_promising(f, MR_AT_LEAST_ONCE);
	struct bus_session *s = &f->bus.sessions[0];
	struct numbers n = {0};
	uint64_t from;
	unsigned i;

	listen_to_numbers(f, &n);
	from = s->up.head;
	for (i = 0; i < 10; i++)
		send_number(p, 0, i);
	assert_true(bus_took_all(f));
	PROCESS_UNTIL(f->client, n.next[0] == 10);
	bus_lock(&f->bus);
	memset((uint8_t *)(uintptr_t)s->up.data + from, 0, s->up.head - from);
	bus_unlock(&f->bus);
	stall(f, true);
	for (; i < 20; i++)
		send_number(p, 0, i);
	lose_the_bus(f);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	PROCESS_UNTIL(f->client, n.next[0] == 20);
	assert_int_equal(n.strange, 0);
}
#endif

/* Waits until the bus has taken that many, and checks that there are no more. */
static void expect_taken(struct fixture *f, uint64_t count)
{
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;
	uint64_t taken;

	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	do {
		mr_wait(f->client, 1);
		bus_lock(&f->bus);
		taken = f->bus.published;
		bus_unlock(&f->bus);
	} while (taken < count && now_ms() < give_up_ms);
	assert_int_equal(taken, count);
}

static void a_full_ring_refuses_and_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p = open_promising(f, MR_AT_LEAST_ONCE);
	unsigned count = 0;
	size_t stride;
	int error;
	void *at;

	stall(f, true);
	while ((error = mr_publisher_send(p, "full", 4)) == 0)
		count++;
	assert_int_equal(error, -EAGAIN);
	assert_int_equal(mr_publisher_claim_batch(p, 4, 4, &at, &stride), 0);
	assert_int_equal(mr_publisher_claim(p, 4, &at), -EAGAIN);
	assert_int_equal(mr_publisher_send_with(p, NULL, 0, "full", 4), -EAGAIN);
	lose_the_bus(f);
	expect_taken(f, count);
	assert_int_equal(mr_publisher_send(p, "more", 4), 0);
	expect_taken(f, count + 1);
}

static void messages_that_a_closed_publisher_wrote_are_still_sent(void **state)
{
	struct fixture *f = *state;
	struct numbers n = {0};

	listen_to_numbers(f, &n);
	for (unsigned i = 0; i < 5; i++) {
		struct mr_publisher *p = open_promising(f, MR_AT_LEAST_ONCE);

		send_number(p, 0, i);
		mr_publisher_close(p);
	}
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	PROCESS_UNTIL(f->client, n.next[0] == 5);
	assert_int_equal(n.strange, 0);
}

#ifndef FIXTURE_UDP
/* The bus can write the ring's memory too. */
static void overwritten_record_in_the_ring_is_an_error_and_not_sent(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p = open_promising(f, MR_AT_LEAST_ONCE);
	struct bus_session *s = &f->bus.sessions[0];
	struct numbers n = {0};

	listen_to_numbers(f, &n);
	stall(f, true);
	send_number(p, 0, 0);
	bus_lock(&f->bus);
	memset((uint8_t *)(uintptr_t)mr_bytes_peek(&s->up), 0, 8);
	bus_unlock(&f->bus);
	lose_the_bus(f);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), -EPROTO);
	assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
	PROCESS_UNTIL(f->client, mr_connected(f->client));
	send_number(p, 0, 0);
	PROCESS_UNTIL(f->client, n.next[0] == 1);
	assert_int_equal(n.strange, 0);
}
#endif

static void receivers_hand_out_once_what_is_promised_so(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher_options options = {
		.promise = MR_EXACTLY_ONCE, .publisher = "me", .next_id = 10};
	struct mr_subscribe_options once = {.promise = MR_EXACTLY_ONCE};
	struct mr_client_stats stats;
	struct inbox in = {0}, all = {0};
	struct mr_publisher *p;

	assert_int_equal(mr_subscribe(f->client, "a", &once, keep_message, &in, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &all, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(mr_publisher_open_with(f->client, "a", &options, &p), 0);
		assert_int_equal(mr_publisher_send_with(p, NULL, 0, "x", 1), 0);
		assert_int_equal(mr_publisher_send_with(p, NULL, 0, "y", 1), 0);
		assert_int_equal(mr_settle(f->client, PATIENCE_MS), 0);
		mr_publisher_close(p);
	}
	PROCESS_UNTIL(f->client, all.count == 6);
	PROCESS_UNTIL(f->client, in.count == 2);
	mr_client_stats(f->client, &stats);
	assert_int_equal(stats.duplicates, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(promised_publishes_are_sent_again_when_the_bus_did_not_take_them),
		TEST(claims_keep_the_promise),
		TEST(claims_too_large_for_one_record_are_refused),
		TEST(interleaved_messages_of_two_publishers_come_again_in_order),
		TEST(messages_taken_before_the_loss_do_not_come_again),
#ifndef FIXTURE_UDP
		TEST(memory_of_taken_messages_is_not_looked_at),
#endif
		TEST(a_full_ring_refuses_and_loses_nothing),
		TEST(messages_that_a_closed_publisher_wrote_are_still_sent),
#ifndef FIXTURE_UDP
		TEST(overwritten_record_in_the_ring_is_an_error_and_not_sent),
#endif
		TEST(receivers_hand_out_once_what_is_promised_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
