/* SPDX-License-Identifier: Apache-2.0 */
/* fake_bus: a bus in a thread, for tests of the client library alone: control's attach socket or a
 * UDP port, and one worker that routes by comparing subjects. It counts the messages that it
 * refuses, and misbehaves on request.
 *
 * Owns      The caller owns the structure; bus_fini stops the thread and removes all files.
 * Threads   The fields in the middle part are the bus thread's, and anyone's between bus_lock and
 *           bus_unlock. bus_unlock makes the thread look at the changes.
 */
#ifndef MILLRACE_TESTS_UNIT_CLIENT_FAKE_BUS_H
#define MILLRACE_TESTS_UNIT_CLIENT_FAKE_BUS_H

#include <pthread.h>

#include "lib/channel/channel.h"
#include "lib/wire/message.h"
#include "tests/unit/client/fake_queue.h"
#include "tests/unit/client/fake_service.h"
#include "tests/unit/client/fake_udp.h"

#define BUS_SESSIONS_MAX      8
#define BUS_SUBSCRIPTIONS_MAX 128
#define BUS_ALIASES_MAX       16

struct bus_subscription {
	uint32_t id; /* 0: free */
	bool prefix;
	uint8_t when_full;
	uint8_t high_water;
	char pattern[256];
	char group[64];
};

struct bus_session {
	bool open;
	uint64_t id;
	struct mr_channel channel;
	bool over_udp;
	struct fake_udp_session udp;
	int liveness_fd;
	struct mr_bytes_consumer up;
	struct mr_bytes_producer down;
	uint64_t missed;
	uint64_t missed_total;
	struct bus_subscription subscriptions[BUS_SUBSCRIPTIONS_MAX];
};

struct bus {
	char dir[64];
	char address[128];
	pthread_t thread;
	pthread_mutex_t lock;
	int wake_fd;
	int listen_fd; /* -1: killed */
	struct fake_udp udp;
	int page_fd;
	struct mr_worker_page *page;

	struct bus_session sessions[BUS_SESSIONS_MAX];
	char aliases[BUS_ALIASES_MAX][256]; /* alias - 1 */
	uint32_t generation;
	uint64_t published;
	uint64_t bad; /* malformed messages */
	uint64_t control_requests;
	uint64_t releases; /* releases of aliases */
	uint64_t unsubscribes;
	unsigned ignore_control; /* this many requests to control get no answer */
	int refuse_control;      /* code of the answers to requests */
	int refuse_attach;       /* code of the answers to attaching */
	bool ignore_attach;
	char last_name[128];   /* last client that attached */
	bool stalled;          /* reads nothing */
	unsigned hold_replies; /* this many replies are kept back, until let_replies */
	bool let_replies;
	uint8_t odd_priority; /* deliveries have it; 0: that of the push */
	bool overloaded;      /* answers requests with Overloaded */
	bool stop;
	struct fake_services services;
	uint32_t whole_bytes_max; /* sent when attaching; 0: no fragments */
	struct fake_queues queues;
	uint32_t up_bytes;
	uint32_t down_bytes;
	struct {
		uint64_t session;
		uint64_t correlation;
	} held[16];
	unsigned held_count;
};

void bus_init(struct bus *b);
/* Starts a bus with a UDP port in place of the attach socket. */
void bus_init_udp(struct bus *b);
void bus_fini(struct bus *b);
void bus_lock(struct bus *b);
void bus_unlock(struct bus *b);
/* For the end of a test: unlocks the bus if this thread left it locked, as a failed assertion
 * does. */
void bus_let_go(struct bus *b);

/* Closes all sessions and stops listening; sends a notice if `text` is not NULL. */
void bus_kill(struct bus *b, const char *text);
void bus_revive(struct bus *b);

/* For fake_udp.c: makes a session without rings, and closes one. */
struct bus_session *bus_session_new(struct bus *b);
void bus_session_close(struct bus_session *s);

/* For fake_queue.c, fake_service.c, fake_target.c and tests. False: no room. */
bool bus_send_plan(struct bus_session *s, const struct mr_message_plan *plan, uint32_t target);

/* Writes raw bytes into the down ring of the first session, which the caller has locked. */
void bus_inject(struct bus *b, const void *bytes, size_t count);
/* Writes a message of these parts in the same way. */
void bus_send(struct bus *b, enum mrf_message_kind kind, uint32_t target,
	const struct mrf_reply_token *token, const char *subject, const void *payload,
	uint32_t payload_bytes);

#endif
