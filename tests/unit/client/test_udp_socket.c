/* SPDX-License-Identifier: Apache-2.0 */
/* A client over UDP whose socket is full, or reports errors of the path. This file replaces the
 * library's calls on sockets; they fail on request. */
#include <poll.h>
#include <sys/socket.h>

#include "client/core/wait.h"
#include "client/transport/udp/udp.h"
#include "tests/unit/client/fixture.h"

/* Errors for the next calls; 0: none. The library is used by one thread. */
static int recv_error;
static int send_error;
static unsigned send_error_after; /* EMSGSIZE, from this one on */
static int sendmmsg_error;
static unsigned sendmmsg_errors; /* this many times */
static unsigned sends;

/* Less than the next heartbeat of either side takes, and more than a timer. */
#define SOON_MS 50

static bool fails(int *error)
{
	if (*error == 0)
		return false;
	errno = *error;
	*error = 0;
	return true;
}

ssize_t recv(int fd, void *to, size_t bytes, int flags)
{
	return fails(&recv_error) ? -1 : recvfrom(fd, to, bytes, flags, NULL, NULL);
}

ssize_t send(int fd, const void *from, size_t bytes, int flags)
{
	if (send_error_after > 0 && --send_error_after == 0)
		send_error = EMSGSIZE;
	return fails(&send_error) ? -1 : sendto(fd, from, bytes, flags, NULL, 0);
}

int sendmmsg(int fd, struct mmsghdr *calls, unsigned count, int flags)
{
	ssize_t n;

	(void)count;
	sends++;
	if (sendmmsg_errors > 0) {
		sendmmsg_errors--;
		errno = sendmmsg_error;
		return -1;
	}
	n = sendmsg(fd, &calls[0].msg_hdr, flags);
	calls[0].msg_len = n > 0 ? (unsigned)n : 0;
	return n < 0 ? -1 : 1;
}

static void wait_readable(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, timeout_ms), 1);
}

static void settle_down(struct mr_client *c)
{
	while (mr_process(c, 16) > 0)
		continue;
}

/* Only the tested event may wake the event loop. */
static void hold_timers(struct fixture *f)
{
	f->client->udp->heartbeat_ns = f->client->udp->dead_ns = 3600000 * MR_NS_PER_MS;
	f->client->timer_ns = 0;
	mr_timer_by(f->client, mr_now_ns() + f->client->udp->heartbeat_ns);
}

/* Uses the client's own socket, which the event loop does not see. */
static void wait_for_datagram(struct fixture *f)
{
	wait_readable(f->client->udp->fd, PATIENCE_MS);
}

static void event_loop_hears_of_what_a_publish_took_in(void **state)
{
	struct fixture *f = *state;
	struct inbox in = {0};
	int fd = mr_fd(f->client);

	assert_int_equal(mr_subscribe(f->client, "a", NULL, keep_message, &in, NULL), 0);
	settle_down(f->client);
	bus_lock(&f->bus);
	bus_send(&f->bus, MRF_MESSAGE_KIND_DELIVER, 1, NULL, "a", "x", 1);
	bus_unlock(&f->bus);
	hold_timers(f);
	do {
		wait_for_datagram(f);
		/* Its look at the socket is due. */
		f->client->udp->look_ns = 0;
		assert_int_equal(mr_publish(f->client, "b", "y", 1), 0);
	} while (mr_bytes_readable(&f->client->down) == 0);
	wait_readable(fd, SOON_MS);
	settle_down(f->client);
	assert_int_equal(in.count, 1);
}

static void event_loop_hears_of_an_end_that_a_publish_met(void **state)
{
	struct fixture *f = *state;
	int fd = mr_fd(f->client);

	settle_down(f->client);
	bus_lock(&f->bus);
	fake_udp_close(&f->bus, &f->bus.sessions[0], "over");
	bus_unlock(&f->bus);
	hold_timers(f);
	do {
		wait_for_datagram(f);
		f->client->udp->look_ns = 0;
		assert_int_equal(mr_publish(f->client, "b", "y", 1), 0);
	} while (!f->client->eof);
	wait_readable(fd, SOON_MS);
	settle_down(f->client);
	assert_int_equal(f->downs, 1);
}

/* Frames that the socket did not take are sent when the timer fires, a millisecond later. */
static void event_loop_sends_what_a_full_socket_left(void **state)
{
	struct fixture *f = *state;
	int fd = mr_fd(f->client);

	settle_down(f->client);
	hold_timers(f);
	f->client->udp->look_ns = MR_NEVER_NS;
	sendmmsg_error = EAGAIN;
	sendmmsg_errors = 1;
	assert_int_equal(mr_publish(f->client, "b", "y", 1), 0);
	assert_true(f->client->udp->stuck);
	wait_readable(fd, SOON_MS);
	settle_down(f->client);
	assert_false(f->client->udp->stuck);
	assert_true(bus_took_all(f));
}

static void frames_of_the_bus(struct fixture *f, uint32_t sequence, const char *kind)
{
	alignas(8) uint8_t frame[48] = {0};
	const struct mrf_path_proof proof = {.nonce = 7};
	uint32_t bytes = sizeof(struct mrf_frame_header);

	mr_frame_write(frame, f->client->session, sequence, kind[0] != '-');
	if (kind[0] == 'p') {
		memcpy(mr_message_begin(
			       frame + bytes, MRF_MESSAGE_KIND_PATH, 0, NULL, 0, 0, sizeof(proof)),
			&proof, sizeof(proof));
		bytes += 8 + (uint32_t)sizeof(proof);
	}
	mr_udp_frame_take(f->client, frame, bytes);
}

/* The state after some hours at full speed. */
static void number_0_is_left_out_when_numbers_begin_anew(void **state)
{
	struct fixture *f = *state;

	bus_lock(&f->bus);
	f->client->udp->sequence = UINT32_MAX - 2;
	f->bus.sessions[0].udp.window.highest = UINT32_MAX - 2;
	bus_unlock(&f->bus);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	assert_int_equal(f->client->udp->sequence, 2);
	assert_true(bus_took_all(f));
	bus_lock(&f->bus);
	assert_int_equal(f->bus.sessions[0].udp.window.highest, 2);
	bus_unlock(&f->bus);
}

static void frame_outside_of_the_flow_does_not_move_the_window(void **state)
{
	struct fixture *f = *state;
	struct mr_udp *u = f->client->udp;
	uint64_t lost = u->frames_lost, received = u->frames_received;

	u->window.highest = 0x80000010;
	frames_of_the_bus(f, 0, "path");
	frames_of_the_bus(f, 0, "-");
	assert_int_equal(u->window.highest, 0x80000010);
	frames_of_the_bus(f, 0x80000011, "-");
	assert_int_equal(u->frames_received, received + 1);
	assert_int_equal(u->frames_lost, lost);
}

static void welcomes_that_come_late_are_no_frames_found_again(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c;
	struct mr_client_stats stats;

	bus_lock(&f->bus);
	f->bus.udp.drop_welcomes = 2;
	bus_unlock(&f->bus);
	mr_close(f->client);
	assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
	f->client = c;
	assert_true(c->udp->window.highest >= 3);
	frames_of_the_bus(f, 1, "-");
	frames_of_the_bus(f, 2, "-");
	mr_client_stats(c, &stats);
	assert_int_equal(stats.frames_lost, 0);
	assert_int_equal(stats.frames_duplicate, 2);
}

/* A router reported that frames were too large, and the kernel reports it at the next call. */
static void report_of_a_narrow_path_does_not_end_the_opening(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c;

	recv_error = EMSGSIZE;
	assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
	mr_close(c);
	send_error = EMSGSIZE;
	assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
	mr_close(c);
	bus_lock(&f->bus);
	f->bus.udp.swallow_above = 1200;
	bus_unlock(&f->bus);
	assert_true(mr_udp_path_bytes(f->client->udp->fd) > MR_FRAME_BYTES_MIN);
	/* The fourth hello has the smallest size. */
	send_error_after = 4;
	assert_int_equal(mr_connect(f->bus.address, NULL, &c), 0);
	assert_int_equal(c->udp->frame_bytes, MR_FRAME_BYTES_MIN);
	mr_close(c);
}

static void late_report_of_a_narrow_path_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct mr_udp *u = f->client->udp;
	uint32_t frame_bytes = u->frame_bytes;
	uint64_t published;

	for (unsigned i = 0; i < 5; i++) {
		sendmmsg_error = EMSGSIZE;
		sendmmsg_errors = 1;
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
	}
	assert_int_equal(u->frame_bytes, frame_bytes);
	assert_true(u->segments);
	assert_true(bus_took_all(f));
	bus_lock(&f->bus);
	published = f->bus.published;
	bus_unlock(&f->bus);
	assert_int_equal(published, 5);
}

/* Stands for the last answer that the restoration waited for, among messages. */
static void ask_for_housekeeping(struct mr_client *c, const struct mr_message *m, void *arg)
{
	unsigned *count = arg;

	(void)m;
	++*count;
	mr_housekeep_by(c, 0);
}

static void event_loop_looks_again_for_what_came_among_messages(void **state)
{
	struct fixture *f = *state;
	int fd = mr_fd(f->client);
	unsigned count = 0;

	assert_int_equal(mr_subscribe(f->client, "a", NULL, ask_for_housekeeping, &count, NULL), 0);
	settle_down(f->client);
	hold_timers(f);
	bus_lock(&f->bus);
	bus_send(&f->bus, MRF_MESSAGE_KIND_DELIVER, 1, NULL, "a", "x", 1);
	bus_unlock(&f->bus);
	do {
		wait_for_datagram(f);
	} while (mr_process(f->client, 16) == 0);
	assert_int_equal(count, 1);
	wait_readable(fd, SOON_MS);
}

/* A socket that is writable and sends nothing, as while a link is down or a device's queue is
 * full. */
static void client_that_waits_for_the_network_sleeps(void **state)
{
	static const int errors[] = {ENOBUFS, ENETUNREACH, EPERM};
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		sendmmsg_error = errors[i];
		sendmmsg_errors = UINT32_MAX;
		assert_int_equal(mr_publish(f->client, "a", "x", 1), 0);
		sends = 0;
		assert_int_equal(mr_drain(f->client, 200), -ETIMEDOUT);
		/* Some tries come first without a sleep, then a few once a millisecond. */
		assert_in_range(sends, 1, 4 * (256 + 2 * 200));
		sendmmsg_errors = 0;
		assert_int_equal(mr_drain(f->client, PATIENCE_MS), 0);
	}
	assert_true(mr_connected(f->client));
}

/* The release may still be under way, and must not remove the alias that is requested after it. */
static void alias_is_asked_for_again_when_its_release_is_settled(void **state)
{
	struct fixture *f = *state;
	struct mr_publisher *p;
	uint64_t begun_ms;

	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	mr_publisher_close(p);
	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	assert_int_equal(f->bus.releases, 1);
	bus_lock(&f->bus);
	f->bus.udp.drop_frames_in = 1;
	bus_unlock(&f->bus);
	begun_ms = now_ms();
	mr_publisher_close(p);
	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
	/* A release may take half a second. */
	assert_in_range(now_ms() - begun_ms, 450, PATIENCE_MS);
	mr_publisher_close(p);
	bus_lock(&f->bus);
	bus_session_close(&f->bus.sessions[0]);
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	assert_int_equal(mr_publisher_open(f->client, "a", &p), 0);
}

static void end_that_the_last_look_before_a_sleep_meets_is_not_slept_over(void **state)
{
	struct fixture *f = *state;
	struct mr_client *c = f->client;
	uint64_t begun_ms = now_ms();
	struct mr_wait_limit p;

	hold_timers(f);
	bus_lock(&f->bus);
	fake_udp_close(&f->bus, &f->bus.sessions[0], "over");
	f->bus.udp.silent = true;
	bus_unlock(&f->bus);
	do {
		wait_for_datagram(f);
		mr_wait_limit_init(&p, c, PATIENCE_MS);
		p.spin_ns = 1;
		assert_int_equal(mr_pause(c, &p), 0);
	} while (!c->eof);
	assert_in_range(now_ms() - begun_ms, 0, PATIENCE_MS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(end_that_the_last_look_before_a_sleep_meets_is_not_slept_over),
		TEST(alias_is_asked_for_again_when_its_release_is_settled),
		TEST(client_that_waits_for_the_network_sleeps),
		TEST(event_loop_looks_again_for_what_came_among_messages),
		TEST(report_of_a_narrow_path_does_not_end_the_opening),
		TEST(late_report_of_a_narrow_path_changes_nothing),
		TEST(number_0_is_left_out_when_numbers_begin_anew),
		TEST(frame_outside_of_the_flow_does_not_move_the_window),
		TEST(welcomes_that_come_late_are_no_frames_found_again),
		TEST(event_loop_hears_of_what_a_publish_took_in),
		TEST(event_loop_hears_of_an_end_that_a_publish_met),
		TEST(event_loop_sends_what_a_full_socket_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
