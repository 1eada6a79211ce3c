/* SPDX-License-Identifier: Apache-2.0 */
/* fixture: the start of each test of the client: a bus and one client on it. */
#ifndef MILLRACE_TESTS_UNIT_CLIENT_FIXTURE_H
#define MILLRACE_TESTS_UNIT_CLIENT_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "client/millrace.h"
#include "tests/unit/client/fake_bus.h"

#define PATIENCE_MS 20000

struct fixture {
	struct bus bus;
	struct mr_client *client;
	unsigned ups;
	unsigned downs;
	char why[160]; /* text of the last state change */
	uint64_t gap_missed;
	uint64_t gap_total;
};

static inline void on_state(struct mr_client *c, bool connected, int error, void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(error, connected ? 0 : -ENOTCONN);
	assert_true(mr_connected(c) == connected);
	f->ups += connected;
	f->downs += !connected;
	if (!connected)
		snprintf(f->why, sizeof(f->why), "%s", mr_error(c));
}

static inline void on_gap(struct mr_client *c, uint64_t missed, uint64_t total, void *arg)
{
	struct fixture *f = arg;

	(void)c;
	f->gap_missed += missed;
	f->gap_total = total;
}

static inline struct mr_options fixture_options(struct fixture *f)
{
	return (struct mr_options){.name = "test",
		.request_timeout_ms = PATIENCE_MS,
		.on_state = on_state,
		.on_gap = on_gap,
		.arg = f};
}

/* With FIXTURE_UDP defined everything goes over UDP. With FIXTURE_RELIABLE the bus has the reliable
 * flow, too, and uses it for all that it sends. */
static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct mr_options options = fixture_options(f);

#ifdef FIXTURE_UDP
	bus_init_udp(&f->bus);
#ifdef FIXTURE_RELIABLE
	bus_lock(&f->bus);
	f->bus.udp.credit = FAKE_RELIABLE_FRAMES;
	f->bus.udp.frame_bytes_max = 1472;
	bus_unlock(&f->bus);
#endif
#else
	bus_init(&f->bus);
#endif
	if (mr_connect(f->bus.address, &options, &f->client) != 0)
		return -1;
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	bus_let_go(&f->bus);
	mr_close(f->client);
	bus_fini(&f->bus);
	free(f);
	return 0;
}

static inline uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Waits until the bus has taken and delivered the client's publishes. True if so. */
static inline bool bus_took_all(struct fixture *f)
{
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;
	struct mr_client_stats stats;
	bool all = mr_drain(f->client, PATIENCE_MS) == 0;

	mr_client_stats(f->client, &stats);
	/* Over UDP, drained messages are still on their way. */
	for (bool there = stats.frames_sent == 0; all && !there; all = now_ms() < give_up_ms) {
		bus_lock(&f->bus);
		there = f->bus.sessions[0].udp.frames >= stats.frames_sent;
		bus_unlock(&f->bus);
	}
	return all;
}

/* Processes until the condition holds; fails after a bound that only a hang reaches. */
#define PROCESS_UNTIL(client, condition)                                                           \
	do {                                                                                       \
		uint64_t give_up_ms_ = now_ms() + PATIENCE_MS;                                     \
		while (!(condition)) {                                                             \
			assert_true(now_ms() < give_up_ms_);                                       \
			mr_wait((client), 20);                                                     \
		}                                                                                  \
	} while (0)

struct inbox {
	unsigned count;
	char last[256];
	char subject[256];
	struct mr_message message; /* the last one; its pointers are stale */
};

static inline void keep_message(struct mr_client *c, const struct mr_message *m, void *arg)
{
	struct inbox *in = arg;

	(void)c;
	in->count++;
	in->message = *m;
	snprintf(in->last, sizeof(in->last), "%.*s", (int)m->payload_bytes, (char *)m->payload);
	snprintf(in->subject, sizeof(in->subject), "%.*s", (int)m->subject_bytes, m->subject);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
