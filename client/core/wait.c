/* SPDX-License-Identifier: Apache-2.0 */
/* With mr_fd the caller's event loop sleeps on an epoll set: the doorbell or the socket, the attach
 * socket, and a timer. The timer also stands for "there is more to do". */
#include "client/core/wait.h"

#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/core/deferred.h"
#include "client/core/error.h"
#include "client/core/part.h"
#include "client/core/ring_out.h"
#include "client/core/wake.h"

#define SPIN_LOOKS   64u
#define HOUSEKEEP_NS 10000000ull

/* The coarse clock is a few milliseconds late. That is no harm without an event loop. An event loop
 * that a timer woke must see that the timer is due. */
uint64_t mr_housekeep_now_ns(const struct mr_client *c)
{
	return c->epoll_fd >= 0 ? mr_now_ns() : mr_clock_ns(CLOCK_MONOTONIC_COARSE);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void mr_housekeep(struct mr_client *c, uint64_t now_ns)
{
	c->housekeep_ns = MR_NEVER_NS;
	if (c->state != MR_STATE_LOST && !c->eof)
		c->transport->check_bus(c);
	mr_parts_step(c, now_ns);
	mr_housekeep_by(c, earlier(now_ns + HOUSEKEEP_NS, mr_parts_due_ns(c)));
}

void mr_wait_limit_init(struct mr_wait_limit *w, const struct mr_client *c, int64_t timeout_ms)
{
	uint64_t now = mr_now_ns();

	w->deadline_ns = timeout_ms < 0 ? MR_NEVER_NS : now + (uint64_t)timeout_ms * MR_NS_PER_MS;
	w->spin_ns =
		c->options.spin_us == UINT32_MAX ? MR_NEVER_NS : now + c->options.spin_us * 1000ull;
	w->rounds = 0;
}

static int sleep_until(struct mr_client *c, uint64_t now_ns, uint64_t until_ns)
{
	uint64_t left = until_ns > now_ns ? until_ns - now_ns : 0;
	struct timespec timeout = {
		.tv_sec = (time_t)(left / 1000000000u),
		.tv_nsec = (long)(left % 1000000000u),
	};
	struct pollfd fds[4] = {{0}};
	nfds_t count = 0;
	int n;

	if (c->state != MR_STATE_LOST) {
		if (!c->transport->arm(c))
			return 0;
		count = c->transport->sleep_on(c, fds);
	}
	if (c->attach_fd >= 0)
		fds[count++] = (struct pollfd){.fd = c->attach_fd, .events = POLLIN};
	fds[count++] = (struct pollfd){.fd = c->wake.fd, .events = POLLIN};
	n = ppoll(fds, count, until_ns == MR_NEVER_NS ? NULL : &timeout, NULL);
	if (c->state != MR_STATE_LOST && c->epoll_fd < 0)
		mr_bytes_wake(&c->down);
	if (n < 0)
		return errno == EINTR ? -EINTR : 0;
	if (fds[count - 1].revents != 0)
		mr_wake_clear(c);
	/* A time-out, or any descriptor but the one that carries messages, needs housekeeping. */
	if (n == 0 || c->state == MR_STATE_LOST || fds[1].revents != 0)
		c->housekeep_ns = 0;
	return 0;
}

void mr_release_read(struct mr_client *c)
{
	if (c->state == MR_STATE_LOST || c->depth > 0 || c->down.head == c->down.head_out)
		return;
	if (mr_bytes_release(&c->down))
		mr_bell_ring(c->worker_bell_fd);
}

static bool spin(struct mr_client *c)
{
	if (c->transport->fill != NULL)
		return c->transport->fill(c);
	for (unsigned i = 0; i < SPIN_LOOKS; i++) {
		if (mr_bytes_readable(&c->down) != 0)
			return true;
		mr_cpu_relax();
	}
	return false;
}

static void flush_acks(struct mr_client *c)
{
	if (c->transport->flush_acks != NULL && c->state != MR_STATE_LOST)
		c->transport->flush_acks(c);
}

int mr_pause(struct mr_client *c, struct mr_wait_limit *w)
{
	uint64_t now;

	mr_release_read(c);
	mr_parts_flush(c);
	mr_ring_out_publish_rest(c);
	flush_acks(c);
	if (c->state != MR_STATE_LOST && w->spin_ns != 0 && spin(c))
		return 0;
	now = mr_now_ns();
	if (now >= w->deadline_ns)
		return -ETIMEDOUT;
	if (c->state != MR_STATE_LOST && now < w->spin_ns) {
		/* With so few processors the bus may need this one. */
		if (c->few_cpus && ++w->rounds % 4 == 0)
			sched_yield();
		return 0;
	}
	return sleep_until(c, now, earlier(w->deadline_ns, mr_parts_wake_ns(c)));
}

int mr_await(struct mr_client *c, const bool *done, struct mr_wait_limit *w)
{
	const bool *outer = c->until;
	int error = 0;

	c->until = done;
	while (!*done && error == 0) {
		mr_receive_some(c, MR_WAIT_MESSAGES_MAX, true);
		if (*done)
			break;
		if (c->eof || c->state == MR_STATE_LOST)
			error = -ENOTCONN;
		else
			error = mr_pause(c, w);
	}
	c->until = outer;
	return error;
}

int mr_begin(struct mr_client *c, bool nested)
{
	if (mr_unlikely(c->refuse == -EDEADLK))
		return mr_ring_out_refused(c);
	if (c->depth == 0) {
		c->hold = false;
		if (mr_unlikely(c->deferred_out != NULL))
			mr_deferred_free_out(c);
	} else if (!nested) {
		return mr_ring_out_not_now(c, "not allowed within a callback");
	}
	mr_ring_out_publish_rest(c);
	return 0;
}

static void timer_set(struct mr_client *c, uint64_t at_ns)
{
	struct itimerspec at = {
		.it_value.tv_sec = (time_t)(at_ns / 1000000000u),
		.it_value.tv_nsec = (long)(at_ns % 1000000000u),
	};

	timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
	c->timer_ns = at_ns;
}

void mr_nudge(struct mr_client *c)
{
	if (c->epoll_fd >= 0)
		timer_set(c, 1);
}

void mr_timer_by(struct mr_client *c, uint64_t due_ns)
{
	if (c->epoll_fd >= 0 && (c->timer_ns == 0 || due_ns < c->timer_ns))
		timer_set(c, due_ns);
}

/* Makes the event loop's descriptor readable if there is more to do; else asks for the doorbell. */
static void arm_event_loop(struct mr_client *c)
{
	uint64_t due;
	bool idle;

	if (c->epoll_fd < 0 || c->depth > 0)
		return;
	idle = c->deferred_count == 0 && !mr_wake_pending(c) && !c->eof && c->housekeep_ns != 0 &&
	       (c->state == MR_STATE_LOST ||
		       (mr_bytes_readable(&c->down) == 0 && c->transport->arm(c)));
	due = idle ? mr_parts_due_ns(c) : 1;
	if (due == c->timer_ns || (due == MR_NEVER_NS && c->timer_ns == 0))
		return;
	/* A timer that is early costs one look; one that has expired must be set again. */
	if (due > c->timer_ns && c->timer_ns != 0 && c->timer_ns > mr_now_ns())
		return;
	if (due == MR_NEVER_NS)
		due = 0;
	timer_set(c, due);
}

void mr_end(struct mr_client *c)
{
	if (mr_unlikely(c->sweep_wanted) && c->depth == 0) {
		c->sweep_wanted = false;
		mr_parts_sweep(c);
	}
	if (!c->pulling)
		mr_parts_flush(c);
	mr_ring_out_publish_rest(c);
	if (!c->hold)
		mr_release_read(c);
	flush_acks(c);
	arm_event_loop(c);
}

void mr_wait_watch(struct mr_client *c, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (c->epoll_fd >= 0)
		epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

void mr_wait_unwatch(struct mr_client *c, int fd)
{
	if (c->epoll_fd >= 0 && fd >= 0)
		epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static int open_epoll(struct mr_client *c)
{
	int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct pollfd fds[2];

	if (timer_fd < 0 || epoll_fd < 0) {
		int error = -errno;

		if (timer_fd >= 0)
			close(timer_fd);
		if (epoll_fd >= 0)
			close(epoll_fd);
		return mr_fail(c, error, NULL);
	}
	c->timer_fd = timer_fd;
	c->epoll_fd = epoll_fd;
	mr_wait_watch(c, timer_fd);
	mr_wait_watch(c, c->wake.fd);
	if (c->state != MR_STATE_LOST) {
		for (unsigned i = 0; i < c->transport->sleep_on(c, fds); i++)
			mr_wait_watch(c, fds[i].fd);
	}
	if (c->attach_fd >= 0)
		mr_wait_watch(c, c->attach_fd);
	return 0;
}

int mr_fd(struct mr_client *c)
{
	if (c == NULL)
		return mr_fail(NULL, -EINVAL, "mr_fd: the client is NULL");
	if (c->epoll_fd < 0) {
		int error = open_epoll(c);

		if (error != 0)
			return error;
		arm_event_loop(c);
	}
	return c->epoll_fd;
}
