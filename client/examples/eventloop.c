/* SPDX-License-Identifier: Apache-2.0 */
/* eventloop: uses a client in an epoll loop, beside a timer.
 *
 *   eventloop [ADDRESS]
 *   build/client/examples/example_eventloop
 *
 * Shows mr_fd() and mr_process(). A timer publishes a number every 10 ms; the same client receives
 * the numbers, and ends after ten. */
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <millrace.h>

#define TICKS 10

static void print(struct mr_client *c, const struct mr_message *m, void *arg)
{
	unsigned *received = arg;

	(void)c;
	printf("tick %.*s\n", (int)m->payload_bytes, (const char *)m->payload);
	++*received;
}

static int publish_tick(struct mr_client *c, int timer)
{
	static unsigned number;
	char text[16];
	uint64_t expirations;

	if (read(timer, &expirations, sizeof(expirations)) < 0 || number >= TICKS)
		return 0;
	return mr_publish(c, "example.eventloop.tick", text,
		(size_t)snprintf(text, sizeof(text), "%u", ++number));
}

static int loop(struct mr_client *c, int epoll, int timer, const unsigned *received)
{
	while (*received < TICKS) {
		struct epoll_event event;
		int error = 0;

		if (epoll_wait(epoll, &event, 1, -1) < 1)
			continue;
		if (event.data.fd == timer)
			error = publish_tick(c, timer);
		else
			/* After it returns 0, the next message makes the descriptor readable. */
			while (mr_process(c, 64) > 0)
				continue;
		if (error != 0) {
			fprintf(stderr, "eventloop: %s\n", mr_error(c));
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct itimerspec often = {{0, 10000000}, {0, 10000000}};
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	unsigned received = 0;
	struct mr_client *c;
	int status;

	if (mr_connect(argc > 1 ? argv[1] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "eventloop: %s\n", mr_error(NULL));
		return 1;
	}
	if (mr_subscribe(c, "example.eventloop.*", NULL, print, &received, NULL) != 0) {
		fprintf(stderr, "eventloop: %s\n", mr_error(c));
		mr_close(c);
		return 1;
	}
	timerfd_settime(timer, 0, &often, NULL);
	event.data.fd = timer;
	epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
	/* One descriptor covers all that the client waits for, for its whole life. */
	event.data.fd = mr_fd(c);
	epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
	status = loop(c, epoll, timer, &received);
	mr_close(c);
	close(timer);
	close(epoll);
	return status;
}
