/* SPDX-License-Identifier: Apache-2.0 */
/* mr_wait and event loops: time-outs, wake-ups, descriptors. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/unit/client/fixture.h"

/* True: readable. */
static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

static void process_all(struct mr_client *c)
{
	while (mr_process(c, 64) > 0)
		continue;
}

/* True: processed until nothing is left, the descriptor is not readable. A heartbeat of the bus may
 * arrive in between. */
static bool becomes_quiet(struct mr_client *c, int fd)
{
	for (unsigned i = 0; i < 20; i++) {
		process_all(c);
		if (!readable(fd, 0))
			return true;
	}
	return false;
}

static void wait_returns_zero_after_its_time(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mr_wait(f->client, 0), 0);
	assert_int_equal(mr_wait(f->client, 20), 0);
}

static void a_sleeping_wait_is_woken_by_a_message(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_client *other;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_connect(f->bus.address, NULL, &other), 0);
	for (unsigned i = 1; i <= 500; i++) {
		assert_int_equal(mr_publish(other, "a", "x", 1), 0);
		/* Without a bound: a lost wake-up would never return. */
		assert_true(mr_wait(f->client, -1) >= 1);
		assert_int_equal(in.count, i);
	}
	mr_close(other);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void a_signal_ends_a_wait(void **state)
{
	struct fixture *f = *state;
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval often = {.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000};
	struct itimerval off = {0};
	struct mr_message m;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(mr_wait(f->client, -1), 0);
	assert_int_equal(mr_receive(f->client, &m, -1), -EINTR);
	setitimer(ITIMER_REAL, &off, NULL);
}

static void fd_is_the_same_for_the_whole_life(void **state)
{
	struct fixture *f = *state;
	int fd = mr_fd(f->client);

	assert_true(fd >= 0);
	assert_int_equal(mr_fd(f->client), fd);
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	assert_int_equal(mr_fd(f->client), fd);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	assert_int_equal(mr_fd(f->client), fd);
}

static void fd_is_readable_when_there_is_something_and_quiet_otherwise(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	int fd;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	fd = mr_fd(f->client);
	assert_true(becomes_quiet(f->client, fd));
	assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	/* A heartbeat of the bus may come first. */
	while (in.count == 0) {
		assert_true(readable(fd, PATIENCE_MS));
		process_all(f->client);
	}
	assert_true(becomes_quiet(f->client, fd));
}

static void fd_stays_readable_while_something_is_left(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	struct mr_message m;
	bool quiet = false;
	int fd;

	assert_int_equal(mr_subscribe(f->client, "push", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_subscribe(f->client, "pull", NULL, NULL, NULL, NULL), 0);
	fd = mr_fd(f->client);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(mr_publish(f->client, "push", "x", 1), 0);
	assert_true(bus_took_all(f));
	assert_int_equal(mr_process(f->client, 1), 1);
	assert_true(readable(fd, 0));
	assert_true(becomes_quiet(f->client, fd));
	/* A deferred message counts too. */
	assert_int_equal(mr_publish(f->client, "pull", "x", 1), 0);
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	assert_true(readable(fd, 0));
	assert_int_equal(mr_process(f->client, 64), 0);
	assert_true(readable(fd, 0));
	assert_int_equal(mr_receive(f->client, &m, 0), 0);
	for (unsigned i = 0; i < 20 && !quiet; i++) {
		assert_int_equal(mr_receive(f->client, &m, 0), -ETIMEDOUT);
		quiet = !readable(fd, 0);
	}
	assert_true(quiet);
}

static void expire(struct mr_client *c, const struct mr_message *reply, int error, void *arg)
{
	(void)c;
	assert_null(reply);
	*(int *)arg = error;
}

static void ignore(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	(void)m;
	(void)arg;
}

static void fd_becomes_readable_for_a_timeout(void **state)
{
	struct fixture *f = *state;
	uint64_t give_up = now_ms() + PATIENCE_MS;
	int error = 0;
	int fd;

	assert_int_equal(mr_subscribe(f->client, "deaf", NULL, ignore, NULL, NULL), 0);
	fd = mr_fd(f->client);
	assert_int_equal(mr_request_async(f->client, "deaf", "x", 1, 30, expire, &error), 0);
	process_all(f->client);
	while (error == 0 && now_ms() < give_up) {
		assert_true(readable(fd, PATIENCE_MS));
		process_all(f->client);
	}
	assert_int_equal(error, -ETIMEDOUT);
	assert_true(becomes_quiet(f->client, fd));
}

struct player {
	struct mr_client *client;
	unsigned count;
	const char *answer_to;
};

static void play(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct player *p = arg;

	p->count++;
	assert_int_equal(mr_publish(c, p->answer_to, m->payload, m->payload_bytes), 0);
}

/* Two clients in one event loop throw a message back and forth: one lost wake-up ends the game. */
static void no_wakeup_is_lost_in_ten_thousand_exchanges(void **state)
{
	struct fixture *f = *state;
	struct player ping = {.answer_to = "pong"}, pong = {.answer_to = "ping"};
	struct epoll_event event = {.events = EPOLLIN};
	struct mr_client *other;
	int loop = epoll_create1(EPOLL_CLOEXEC);

	assert_int_equal(mr_connect(f->bus.address, NULL, &other), 0);
	assert_int_equal(mr_subscribe(f->client, "ping", NULL, play, &ping, NULL), 0);
	assert_int_equal(mr_subscribe(other, "pong", NULL, play, &pong, NULL), 0);
	event.data.ptr = f->client;
	assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, mr_fd(f->client), &event), 0);
	event.data.ptr = other;
	assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, mr_fd(other), &event), 0);
	assert_int_equal(mr_publish(f->client, "ping", "ball", 4), 0);
	while (ping.count < 10000) {
		assert_int_equal(epoll_wait(loop, &event, 1, PATIENCE_MS), 1);
		process_all(event.data.ptr);
	}
	assert_in_range(pong.count, 9999, 10000);
	close(loop);
	mr_close(other);
}

static void *wake_soon(void *arg)
{
	poll(NULL, 0, 20);
	mr_client_wake(arg);
	return NULL;
}

static void a_wake_ends_waits_of_another_thread(void **state)
{
	struct fixture *f = *state;
	struct mr_message m;
	pthread_t thread;

	pthread_create(&thread, NULL, wake_soon, f->client);
	assert_int_equal(mr_wait(f->client, -1), 0);
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, wake_soon, f->client);
	assert_int_equal(mr_receive(f->client, &m, -1), -EINTR);
	pthread_join(thread, NULL);
}

static void a_wake_is_kept_for_the_next_wait_and_for_one_only(void **state)
{
	struct fixture *f = *state;

	mr_client_wake(f->client);
	mr_client_wake(f->client);
	assert_int_equal(mr_wait(f->client, -1), 0);
	mr_client_wake(f->client);
	/* A call that waits for an answer does not end, and keeps it. */
	assert_int_equal(mr_ping(f->client, -1, NULL, NULL), 0);
	assert_int_equal(mr_wait(f->client, -1), 0);
	assert_true(mr_wait(f->client, 30) == 0);
}

static void a_wake_ends_waits_while_the_bus_is_away(void **state)
{
	struct fixture *f = *state;

	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	mr_client_wake(f->client);
	assert_int_equal(mr_wait(f->client, -1), 0);
}

static void wake_in_handler(int signal)
{
	extern struct mr_client *woken_by_signal;

	(void)signal;
	mr_client_wake(woken_by_signal);
}

struct mr_client *woken_by_signal;

static void a_signal_handler_may_wake(void **state)
{
	struct fixture *f = *state;
	struct sigaction action = {.sa_handler = wake_in_handler};
	int fd = mr_fd(f->client);

	woken_by_signal = f->client;
	assert_true(becomes_quiet(f->client, fd));
	sigaction(SIGALRM, &action, NULL);
	raise(SIGALRM);
	assert_true(readable(fd, 0));
	assert_true(becomes_quiet(f->client, fd));
}

static void count_up(struct mr_client *c, void *arg)
{
	/* Refused, as within each callback. */
	assert_int_equal(mr_wait(c, 0), -EDEADLK);
	++*(unsigned *)arg;
}

struct poster {
	struct mr_client *client;
	unsigned *sum;
};

static void *post_many(void *arg)
{
	struct poster *p = arg;

	for (unsigned i = 0; i < 5000; i++) {
		while (mr_client_post(p->client, count_up, p->sum) == -EAGAIN)
			sched_yield();
	}
	return NULL;
}

/* Without a bound: a wake-up that is lost would never return. */
static void functions_of_other_threads_all_run(void **state)
{
	struct fixture *f = *state;
	unsigned sum = 0, counted = 0;
	struct poster p = {f->client, &sum};
	pthread_t threads[3];

	for (unsigned i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, post_many, &p);
	while (sum < 15000)
		counted += (unsigned)mr_wait(f->client, -1);
	assert_int_equal(counted, 15000);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

static void functions_of_other_threads_all_run_in_an_event_loop(void **state)
{
	struct fixture *f = *state;
	unsigned sum = 0;
	struct poster p = {f->client, &sum};
	int fd = mr_fd(f->client);
	pthread_t thread;

	pthread_create(&thread, NULL, post_many, &p);
	while (sum < 5000) {
		assert_true(readable(fd, PATIENCE_MS));
		process_all(f->client);
	}
	pthread_join(thread, NULL);
	assert_true(becomes_quiet(f->client, fd));
}

static void posts_are_bounded(void **state)
{
	struct fixture *f = *state;
	unsigned sum = 0, posted = 0;

	while (mr_client_post(f->client, count_up, &sum) == 0)
		posted++;
	assert_int_equal(posted, 1024);
	assert_int_equal(mr_client_post(f->client, NULL, NULL), -EINVAL);
	assert_int_equal(mr_process(f->client, 2000), 1024);
	assert_int_equal(sum, 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wait_returns_zero_after_its_time),
		TEST(a_sleeping_wait_is_woken_by_a_message),
		TEST(a_signal_ends_a_wait),
		TEST(fd_is_the_same_for_the_whole_life),
		TEST(fd_is_readable_when_there_is_something_and_quiet_otherwise),
		TEST(fd_stays_readable_while_something_is_left),
		TEST(fd_becomes_readable_for_a_timeout),
		TEST(a_wake_ends_waits_of_another_thread),
		TEST(a_wake_is_kept_for_the_next_wait_and_for_one_only),
		TEST(a_wake_ends_waits_while_the_bus_is_away),
		TEST(a_signal_handler_may_wake),
		TEST(functions_of_other_threads_all_run),
		TEST(functions_of_other_threads_all_run_in_an_event_loop),
		TEST(posts_are_bounded),
		TEST(no_wakeup_is_lost_in_ten_thousand_exchanges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
