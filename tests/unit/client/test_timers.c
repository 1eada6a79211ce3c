/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of the program on the client's loop. */
#include <poll.h>

#include "tests/unit/client/fixture.h"

struct ticks {
	unsigned count;
	uint64_t first_ms;
	unsigned close_at; /* closes the timer at this count */
	struct mr_timer *other;
};

static void tick(struct mr_client *c, struct mr_timer *t, void *arg)
{
	struct ticks *k = arg;

	/* Refused, as within each callback. */
	assert_int_equal(mr_process(c, 1), -EDEADLK);
	if (k->count++ == 0)
		k->first_ms = now_ms();
	if (k->count == k->close_at)
		mr_timer_close(t);
}

static struct mr_timer *timer_new(struct fixture *f, mr_timer_fn *callback, void *arg)
{
	struct mr_timer *t;

	assert_int_equal(mr_timer_open(f->client, callback, arg, &t), 0);
	return t;
}

static void timer_runs_once_and_never_early(void **state)
{
	struct fixture *f = *state;
	struct ticks k = {0};
	struct mr_timer *t = timer_new(f, tick, &k);
	uint64_t start_ms;

	for (unsigned delay_ms = 0; delay_ms <= 30; delay_ms += 15) {
		k.count = 0;
		start_ms = now_ms();
		assert_int_equal(mr_timer_start(t, delay_ms, 0), 0);
		/* Without a bound: it shortens the wait, and ends it. */
		assert_int_equal(mr_wait(f->client, -1), 1);
		assert_int_equal(k.count, 1);
		assert_true(k.first_ms >= start_ms + delay_ms);
		assert_int_equal(mr_wait(f->client, 5), 0);
		assert_int_equal(k.count, 1);
	}
}

static void periodic_timer_keeps_running_until_it_is_stopped(void **state)
{
	struct fixture *f = *state;
	struct ticks k = {0};
	struct mr_timer *t = timer_new(f, tick, &k);
	uint64_t start_ms = now_ms();

	assert_int_equal(mr_timer_start(t, 0, 2), 0);
	while (k.count < 10)
		assert_true(mr_wait(f->client, -1) >= 1);
	assert_true(now_ms() >= start_ms + 17);
	mr_timer_stop(t);
	assert_int_equal(mr_wait(f->client, 10), 0);
	assert_int_equal(k.count, 10);
}

static void missed_periods_are_left_out(void **state)
{
	struct fixture *f = *state;
	struct ticks k = {0};
	struct mr_timer *t = timer_new(f, tick, &k);

	assert_int_equal(mr_timer_start(t, 1, 1), 0);
	poll(NULL, 0, 50);
	assert_int_equal(mr_wait(f->client, -1), 1);
	assert_int_equal(k.count, 1);
}

static void timer_may_close_itself_and_others(void **state)
{
	struct fixture *f = *state;
	struct ticks k = {.close_at = 3};
	struct mr_timer *t = timer_new(f, tick, &k);

	assert_int_equal(mr_timer_start(t, 0, 1), 0);
	while (k.count < 3)
		assert_true(mr_wait(f->client, -1) >= 1);
	assert_int_equal(mr_wait(f->client, 10), 0);
	assert_int_equal(k.count, 3);
	mr_timer_close(NULL);
	mr_timer_stop(NULL);
	assert_int_equal(mr_timer_start(NULL, 0, 0), -EINVAL);
}

static void stop_other(struct mr_client *c, struct mr_timer *t, void *arg)
{
	struct ticks *k = arg;

	(void)c;
	(void)t;
	k->count++;
	mr_timer_close(k->other);
	k->other = NULL;
}

/* Both are due at the same look. */
static void timer_that_another_one_closes_does_not_run(void **state)
{
	struct fixture *f = *state;
	struct ticks a = {0}, b = {0};
	struct mr_timer *ta = timer_new(f, stop_other, &a);
	struct mr_timer *tb = timer_new(f, stop_other, &b);

	a.other = tb;
	b.other = ta;
	assert_int_equal(mr_timer_start(ta, 1, 0), 0);
	assert_int_equal(mr_timer_start(tb, 1, 0), 0);
	poll(NULL, 0, 5);
	assert_int_equal(mr_wait(f->client, -1), 1);
	assert_int_equal(mr_wait(f->client, 5), 0);
	assert_int_equal(a.count + b.count, 1);
}

/* True: processed until nothing is left, the descriptor is not readable. A heartbeat of the bus may
 * arrive in between. */
static bool becomes_quiet(struct mr_client *c, struct pollfd *p)
{
	for (unsigned i = 0; i < 20; i++) {
		while (mr_process(c, 64) > 0)
			continue;
		if (poll(p, 1, 0) == 0)
			return true;
	}
	return false;
}

static void event_loop_is_woken_for_a_timer(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = {.fd = mr_fd(f->client), .events = POLLIN};
	struct ticks k = {0};
	struct mr_timer *t = timer_new(f, tick, &k);

	assert_true(becomes_quiet(f->client, &p));
	assert_int_equal(mr_timer_start(t, 5, 5), 0);
	while (k.count < 3) {
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		while (mr_process(f->client, 64) > 0)
			continue;
	}
	mr_timer_stop(t);
	assert_true(becomes_quiet(f->client, &p));
}

static void timers_run_while_the_bus_is_away(void **state)
{
	struct fixture *f = *state;
	struct ticks k = {0};
	struct mr_timer *t = timer_new(f, tick, &k);

	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	assert_int_equal(mr_timer_start(t, 1, 1), 0);
	PROCESS_UNTIL(f->client, k.count >= 3);
}

static void timers_do_not_wait_for_the_end_of_messages(void **state)
{
	struct fixture *f = *state;
	struct ticks k = {0};
	struct inbox in = {0};
	struct mr_timer *t = timer_new(f, tick, &k);

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_timer_start(t, 1, 1), 0);
	while (k.count < 3) {
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
		mr_wait(f->client, -1);
	}
	PROCESS_UNTIL(f->client, in.count > 0);
}

static void timers_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct ticks k = {0};
	struct mr_timer *t, *last = NULL;
	unsigned count = 0;

	while (mr_timer_open(f->client, tick, &k, &t) == 0) {
		assert_int_equal(mr_timer_start(t, 1, 0), 0);
		last = t;
		count++;
	}
	assert_int_equal(count, 4096);
	assert_null(t);
	assert_int_equal(mr_timer_open(f->client, tick, &k, &t), -ENOSPC);
	assert_non_null(strstr(mr_error(f->client), "4096 timers"));
	PROCESS_UNTIL(f->client, k.count == 4096);
	mr_timer_close(last);
	assert_int_equal(mr_timer_open(f->client, tick, &k, &t), 0);
	assert_int_equal(mr_timer_open(f->client, NULL, NULL, &t), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timer_runs_once_and_never_early),
		TEST(periodic_timer_keeps_running_until_it_is_stopped),
		TEST(missed_periods_are_left_out),
		TEST(timer_may_close_itself_and_others),
		TEST(timer_that_another_one_closes_does_not_run),
		TEST(event_loop_is_woken_for_a_timer),
		TEST(timers_run_while_the_bus_is_away),
		TEST(timers_do_not_wait_for_the_end_of_messages),
		TEST(timers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
