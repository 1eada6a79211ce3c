/* SPDX-License-Identifier: Apache-2.0 */
/* wait: the calls that process, and how they wait: they look, spin for a while, then sleep on the
 * bell or the socket. With mr_fd the caller's event loop sleeps instead, on an epoll set of what there
 * is to sleep on, the attach socket and a timer; the timer also stands for "there is more to do". */
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/rpc.h"
#include "client/service.h"

#define SPIN_LOOKS 64u

/* The cheap clock is a few milliseconds late, which time-outs may be when nobody sleeps. An event
 * loop that was woken by a timer must see that it is due. */
uint64_t mr_house_now_ns(const struct mr_client *c)
{
	return c->epoll_fd >= 0 ? mr_now_ns() : mr_clock_ns(CLOCK_MONOTONIC_COARSE);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t due_ns(const struct mr_client *c)
{
	uint64_t due = earlier(mr_request_due_ns(c), mr_call_due_ns(c));

	due = earlier(due, mr_outboxes_due_ns(c));
	/* Settlements that found no room. */
	if (mr_unlikely(c->dirty != NULL) && c->refuse == 0)
		due = earlier(due, mr_now_ns() + MR_NS_PER_MS);
	if (mr_unlikely(c->refuse_publish == -EAGAIN))
		due = earlier(due, mr_now_ns() + MR_NS_PER_MS);
	due = earlier(due, c->renew_ns);
	due = earlier(due, mr_rpc_due_ns(c));
	due = earlier(due, mr_beats_due_ns(&c->beats));
	return earlier(due, mr_session_due_ns(c));
}

void mr_house(struct mr_client *c, uint64_t now_ns)
{
	c->house_ns = MR_NEVER_NS;
	if (c->state != MR_STATE_LOST && !c->eof)
		c->transport->look(c);
	if (mr_unlikely(c->refuse_publish == -EAGAIN))
		(void)mr_away_send(c, 0);
	mr_call_step(c, now_ns);
	mr_consumers_step(c, now_ns);
	mr_renew_all(c, now_ns);
	mr_beats_step(c, now_ns);
	if (c->depth == 0) {
		mr_request_expire(c, now_ns);
		mr_rpc_step(c, now_ns);
		mr_session_step(c, now_ns);
	}
	mr_house_by(c, earlier(now_ns + MR_HOUSE_NS, due_ns(c)));
}

void mr_patience_init(struct mr_patience *p, const struct mr_client *c, int64_t timeout_ms)
{
	uint64_t now = mr_now_ns();

	p->deadline_ns = timeout_ms < 0 ? MR_NEVER_NS : now + (uint64_t)timeout_ms * MR_NS_PER_MS;
	p->spin_ns =
		c->options.spin_us == UINT32_MAX ? MR_NEVER_NS : now + c->options.spin_us * 1000ull;
	p->rounds = 0;
}

static int sleep_until(struct mr_client *c, uint64_t now_ns, uint64_t until_ns)
{
	uint64_t left = until_ns > now_ns ? until_ns - now_ns : 0;
	struct timespec timeout = {
		.tv_sec = (time_t)(left / 1000000000u),
		.tv_nsec = (long)(left % 1000000000u),
	};
	struct pollfd fds[3] = {{0}};
	nfds_t count = 0;
	int n;

	if (c->state != MR_STATE_LOST) {
		if (!c->transport->arm(c))
			return 0;
		count = c->transport->sleep_on(c, fds);
	}
	if (c->attach_fd >= 0)
		fds[count++] = (struct pollfd){.fd = c->attach_fd, .events = POLLIN};
	n = ppoll(fds, count, until_ns == MR_NEVER_NS ? NULL : &timeout, NULL);
	if (c->state != MR_STATE_LOST && c->epoll_fd < 0)
		mr_bytes_wake(&c->down);
	if (n < 0)
		return errno == EINTR ? -EINTR : 0;
	/* Anything but what messages come by is for housekeeping. */
	if (n == 0 || c->state == MR_STATE_LOST || fds[1].revents != 0)
		c->house_ns = 0;
	return 0;
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

static void rest(struct mr_client *c)
{
	if (c->transport->rest != NULL && c->state != MR_STATE_LOST)
		c->transport->rest(c);
}

int mr_pause(struct mr_client *c, struct mr_patience *p)
{
	uint64_t now;

	mr_serve_release(c);
	mr_consumers_flush(c);
	mr_publish_show_rest(c);
	rest(c);
	if (c->state != MR_STATE_LOST && p->spin_ns != 0 && spin(c))
		return 0;
	now = mr_now_ns();
	if (now >= p->deadline_ns)
		return -ETIMEDOUT;
	if (c->state != MR_STATE_LOST && now < p->spin_ns) {
		/* With so few processors the bus may want this one. */
		if (c->few_cpus && ++p->rounds % 4 == 0)
			sched_yield();
		return 0;
	}
	return sleep_until(c, now, earlier(p->deadline_ns, due_ns(c)));
}

int mr_await(struct mr_client *c, const bool *done, struct mr_patience *p)
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
			error = mr_pause(c, p);
	}
	c->until = outer;
	return error;
}

int mr_begin(struct mr_client *c, bool nested)
{
	if (mr_unlikely(c->refuse == -EBUSY))
		return mr_publish_refused(c);
	if (c->depth == 0) {
		c->hold = false;
		if (mr_unlikely(c->aside_out != NULL))
			mr_aside_free_out(c);
	} else if (!nested) {
		return mr_fail(c, -EBUSY, "not allowed within a callback");
	}
	mr_publish_show_rest(c);
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

/* Leaves the event loop's descriptor readable if there is more to do, else asks for the bell. */
static void settle(struct mr_client *c)
{
	uint64_t due;
	bool idle;

	if (c->epoll_fd < 0 || c->depth > 0)
		return;
	idle = c->aside_count == 0 && !c->eof && c->house_ns != 0 &&
	       (c->state == MR_STATE_LOST ||
		       (mr_bytes_readable(&c->down) == 0 && c->transport->arm(c)));
	due = idle ? due_ns(c) : 1;
	if (due == c->timer_ns || (due == MR_NEVER_NS && c->timer_ns == 0))
		return;
	/* A timer that is early costs one look; one that has gone off must be set anew. */
	if (due > c->timer_ns && c->timer_ns != 0 && c->timer_ns > mr_now_ns())
		return;
	if (due == MR_NEVER_NS)
		due = 0;
	timer_set(c, due);
}

void mr_end(struct mr_client *c)
{
	if (mr_unlikely(c->queues_closed) && c->depth == 0)
		mr_queues_sweep(c);
	if (mr_unlikely(c->publishers_closed != NULL) && c->depth == 0)
		mr_publishers_sweep(c);
	if (c->dirty != NULL && !c->pulling)
		mr_consumers_flush(c);
	mr_publish_show_rest(c);
	if (!c->hold)
		mr_serve_release(c);
	rest(c);
	settle(c);
}

int mr_process(struct mr_client *c, unsigned max)
{
	int error = mr_begin(c, false);
	unsigned handled;

	if (error != 0)
		return error;
	if (max > INT32_MAX)
		max = INT32_MAX;
	handled = mr_receive_some(c, max, false);
	/* An event loop woke up for something else than messages. */
	if (handled == 0 && c->epoll_fd >= 0 && max > 0 && !c->blocked) {
		c->house_ns = 0;
		handled = mr_receive_some(c, max, false);
	}
	mr_end(c);
	if (handled == 0 && c->state != MR_STATE_UP)
		return mr_publish_refused(c);
	return (int)handled;
}

/* What mr_wait and mr_receive have in common: waits until something was handed out, or a message
 * waits for mr_receive. */
static int wait_for_messages(struct mr_client *c, struct mr_patience *p)
{
	bool was_lost = c->state == MR_STATE_LOST;
	int error = 0;

	while (error == 0) {
		unsigned handled = mr_receive_some(c, MR_WAIT_MESSAGES_MAX, false);

		if (handled > 0 || c->blocked)
			return (int)handled;
		if (c->state == MR_STATE_LOST && (!was_lost || c->options.no_reconnect))
			return mr_publish_refused(c);
		was_lost = c->state == MR_STATE_LOST;
		error = mr_pause(c, p);
	}
	if (error == -ETIMEDOUT && c->state != MR_STATE_UP)
		return mr_publish_refused(c);
	return error;
}

int mr_wait(struct mr_client *c, int timeout_ms)
{
	struct mr_patience p;
	int n = mr_begin(c, false);

	if (n != 0)
		return n;
	mr_patience_init(&p, c, timeout_ms);
	n = wait_for_messages(c, &p);
	mr_end(c);
	if (n == -ETIMEDOUT || n == -EINTR)
		return 0;
	return n >= 0 && c->blocked ? n + 1 : n;
}

int mr_receive(struct mr_client *c, struct mr_message *out, int timeout_ms)
{
	struct mr_patience p;
	int n = mr_begin(c, false);

	if (n != 0)
		return n;
	mr_patience_init(&p, c, timeout_ms);
	do {
		n = wait_for_messages(c, &p);
		if (n >= 0 && c->blocked && mr_serve_take(c, out)) {
			c->hold = true;
			n = 0;
			break;
		}
		/* Callbacks alone may keep this busy for longer than was asked. */
		if (n > 0 && mr_now_ns() >= p.deadline_ns)
			n = -ETIMEDOUT;
	} while (n >= 0);
	mr_end(c);
	return n == -ETIMEDOUT || n == -EINTR ? mr_fail(c, n, NULL) : n;
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
	mr_session_watch(c, timer_fd);
	if (c->state != MR_STATE_LOST) {
		for (unsigned i = 0; i < c->transport->sleep_on(c, fds); i++)
			mr_session_watch(c, fds[i].fd);
	}
	if (c->attach_fd >= 0)
		mr_session_watch(c, c->attach_fd);
	return 0;
}

int mr_fd(struct mr_client *c)
{
	if (c->epoll_fd < 0) {
		int error = open_epoll(c);

		if (error != 0)
			return error;
		settle(c);
	}
	return c->epoll_fd;
}
