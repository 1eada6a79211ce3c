/* SPDX-License-Identifier: Apache-2.0 */
/* bench_doorbell: measures how long a sleeper takes to wake, and the cost of the wake for its peer.
 *
 * The ringer spins on one CPU, the sleeper sleeps on the other. For each sample the sleeper
 * announces that it goes to sleep; the ringer waits until it surely sleeps, then wakes it; the
 * sleeper notes when it runs again. The ways take turns, so that a disturbance of the machine
 * affects all.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <liburing.h>

#include "bench/micro/support/bench.h"
#include "lib/channel/channel.h"

#define SETTLE_NS 20000u
#define DONE      UINT64_MAX

struct bell {
	int ring_fd;
	int wait_fd;
	int epoll_fd;
	struct io_uring sleeper; /* waits */
	struct io_uring ringer;  /* sends MSG_RING */
	uint64_t taken;          /* target of a read through the ring */
};

struct way {
	const char *name;
	int (*open)(struct bell *b);
	void (*ring)(struct bell *b);
	void (*sleep)(struct bell *b); /* returns when woken */
	void (*close)(struct bell *b);
	unsigned ring_flags; /* flags of the sleeper's ring */
	double *latency;
	double *cost;
	size_t count;
};

struct turn {
	const struct way *way;
	struct bell bell;
	alignas(MR_CACHE_LINE) _Atomic uint64_t going; /* w: sleeper; number of the coming sleep */
	alignas(MR_CACHE_LINE) _Atomic uint64_t
		woken; /* w: sleeper; cycles at which it ran again */
	alignas(MR_CACHE_LINE) _Atomic bool stop;
};

static int open_eventfd(struct bell *b)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};

	b->ring_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->wait_fd = dup(b->ring_fd);
	b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, b->wait_fd, &e) < 0 ? -errno : 0;
}

static int open_pipe(struct bell *b)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	b->wait_fd = ends[0];
	b->ring_fd = ends[1];
	return 0;
}

static void close_fds(struct bell *b)
{
	close(b->ring_fd);
	close(b->wait_fd);
	if (b->epoll_fd >= 0)
		close(b->epoll_fd);
}

static void ring_fd(struct bell *b)
{
	mr_bell_ring(b->ring_fd);
}

/* Sleeps as a worker does: edge-triggered, nothing to read. */
static void sleep_epoll(struct bell *b)
{
	struct epoll_event e;

	(void)epoll_wait(b->epoll_fd, &e, 1, -1);
}

/* Sleeps as a client does, in an event loop of its own. */
static void sleep_poll(struct bell *b)
{
	struct pollfd p = {.fd = b->wait_fd, .events = POLLIN};

	(void)poll(&p, 1, -1);
	(void)mr_bell_clear(b->wait_fd);
}

static int open_sleeper(struct bell *b, unsigned flags)
{
	/* The sleeper's own thread opens the ring, because it may be the only one to submit
	 * to it. */
	return io_uring_queue_init(8, &b->sleeper, flags);
}

/* Sleeps as control does, with a read of the doorbell through its ring. */
static void sleep_read(struct bell *b)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->sleeper);
	struct io_uring_cqe *cqe;

	io_uring_prep_read(sqe, b->wait_fd, &b->taken, sizeof(b->taken), 0);
	(void)io_uring_submit_and_wait(&b->sleeper, 1);
	if (io_uring_wait_cqe(&b->sleeper, &cqe) == 0)
		io_uring_cqe_seen(&b->sleeper, cqe);
}

static void sleep_message(struct bell *b)
{
	struct io_uring_cqe *cqe;

	if (io_uring_wait_cqe(&b->sleeper, &cqe) == 0)
		io_uring_cqe_seen(&b->sleeper, cqe);
}

/* Opens the ringer's own ring: one entry, and no completion for it unless it fails. */
static int open_ringer(struct bell *b)
{
	return io_uring_queue_init(8, &b->ringer, 0);
}

static void ring_message(struct bell *b)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ringer);

	io_uring_prep_msg_ring(sqe, b->sleeper.ring_fd, 0, 1, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	bench_check(io_uring_submit(&b->ringer), "MSG_RING");
}

static void close_rings(struct bell *b)
{
	io_uring_queue_exit(&b->ringer);
}

static bool uses_ring(const struct way *w)
{
	return w->sleep == sleep_read || w->sleep == sleep_message;
}

static void *sleeper_main(void *context)
{
	struct turn *t = context;

	bench_pin(1);
	if (uses_ring(t->way))
		bench_check(open_sleeper(&t->bell, t->way->ring_flags), "io_uring");
	for (uint64_t n = 1;; n++) {
		atomic_store_explicit(&t->going, n, memory_order_release);
		t->way->sleep(&t->bell);
		atomic_store_explicit(&t->woken, bench_cycles(), memory_order_release);
		if (atomic_load_explicit(&t->stop, memory_order_relaxed))
			break;
	}
	atomic_store_explicit(&t->going, DONE, memory_order_release);
	if (uses_ring(t->way))
		io_uring_queue_exit(&t->bell.sleeper);
	return NULL;
}

/* Waits until the sleeper has gone to its n-th sleep, and a little longer. */
static void await_sleep(struct turn *t, uint64_t n)
{
	uint64_t end;

	while (atomic_load_explicit(&t->going, memory_order_acquire) < n)
		mr_cpu_relax();
	end = bench_ns() + SETTLE_NS;
	while (bench_ns() < end)
		mr_cpu_relax();
}

static void take_sample(struct turn *t, struct way *w)
{
	uint64_t before, after, woken;

	atomic_store_explicit(&t->woken, 0, memory_order_relaxed);
	before = bench_cycles();
	w->ring(&t->bell);
	after = bench_cycles();
	while ((woken = atomic_load_explicit(&t->woken, memory_order_acquire)) == 0)
		mr_cpu_relax();
	w->latency[w->count] = (double)(woken - before);
	w->cost[w->count] = (double)(after - before);
	w->count++;
}

static void take_turn(struct way *w, uint64_t samples, uint64_t warmup)
{
	struct turn t = {.way = w, .bell = {.epoll_fd = -1}};
	pthread_t thread;

	bench_check(w->open(&t.bell), w->name);
	bench_check(-pthread_create(&thread, NULL, sleeper_main, &t), "thread");
	for (uint64_t n = 1; n <= warmup + samples; n++) {
		await_sleep(&t, n);
		if (n == warmup + samples)
			atomic_store_explicit(&t.stop, true, memory_order_relaxed);
		take_sample(&t, w);
		if (n <= warmup)
			w->count = w->count - 1;
	}
	pthread_join(thread, NULL);
	w->close(&t.bell);
}

static bool rings_allowed(unsigned flags)
{
	struct io_uring ring;

	if (io_uring_queue_init(8, &ring, flags) < 0)
		return false;
	io_uring_queue_exit(&ring);
	return true;
}

#define DEFERRED (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)

static struct way ways[] = {
	{"eventfd -> epoll", open_eventfd, ring_fd, sleep_epoll, close_fds},
	{"pipe -> poll, read", open_pipe, ring_fd, sleep_poll, close_fds},
	{"eventfd -> io_uring read", open_eventfd, ring_fd, sleep_read, close_fds},
	{"pipe -> io_uring read", open_pipe, ring_fd, sleep_read, close_fds},
	{"pipe -> io_uring read, deferred", open_pipe, ring_fd, sleep_read, close_fds, DEFERRED},
	{"MSG_RING -> io_uring", open_ringer, ring_message, sleep_message, close_rings},
	{"MSG_RING -> io_uring, deferred", open_ringer, ring_message, sleep_message, close_rings,
		DEFERRED},
};

static void report(struct bench *b, struct way *w)
{
	char label[64];

	snprintf(label, sizeof(label), "%s: wake", w->name);
	bench_report_latency(b, label, w->latency, w->count);
	snprintf(label, sizeof(label), "%s: ringing", w->name);
	bench_report_cycles(b, label, w->cost, w->count);
}

int main(int argc, char **argv)
{
	uint64_t samples = 1000;
	const struct bench_option options[] = {
		{"samples", &samples, 10, 100000, "wake-ups for each way and round"},
	};
	struct bench b;

	bench_open(&b, "bench_doorbell", argc, argv, options, MR_ARRAY_COUNT(options));
	bench_pin(0);
	for (size_t i = 0; i < MR_ARRAY_COUNT(ways); i++) {
		ways[i].latency = calloc(b.rounds * samples + 1, sizeof(double));
		ways[i].cost = calloc(b.rounds * samples + 1, sizeof(double));
		bench_check(ways[i].latency && ways[i].cost ? 0 : -ENOMEM, "samples");
	}
	for (uint64_t round = 0; round < b.rounds; round++)
		for (size_t i = 0; i < MR_ARRAY_COUNT(ways); i++)
			if (!uses_ring(&ways[i]) || rings_allowed(ways[i].ring_flags))
				take_turn(&ways[i], samples, 20);
	for (size_t i = 0; i < MR_ARRAY_COUNT(ways); i++) {
		if (ways[i].count > 0)
			report(&b, &ways[i]);
		free(ways[i].latency);
		free(ways[i].cost);
	}
	bench_close(&b);
	return 0;
}
