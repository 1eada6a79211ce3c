/* SPDX-License-Identifier: Apache-2.0 */
/* rig: the queues of one worker, with played surroundings: sessions, time, and a list of the sent
 * messages.
 *
 * A test pushes and settles as clients do, steps the time, and reads the sent messages.
 */
#ifndef MILLRACE_TESTS_QUEUE_RIG_H
#define MILLRACE_TESTS_QUEUE_RIG_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/compiler.h"
#include "dataplane/queue/queue.h"
#include "flatbuf/stats.h"

#define RIG_SESSIONS 80
#define RIG_SENT_MAX 65536
#define RIG_BODY_MAX 512u
#define RIG_UNIX_MS  1796083200000u /* 2026-12-01 00:00:00 */

/* A message of the engine to a session. */
struct rig_sent {
	uint64_t session;
	uint32_t target;
	bool taken; /* by one of the functions below */
	struct mr_message_view view;
	struct mrf_reply_token token;
	uint32_t body_bytes;
	uint8_t body[RIG_BODY_MAX]; /* the part that fits */
};

struct rig {
	struct mr_slab *store;
	struct mr_queues *queues;
	struct mr_queues_config c;
	struct mrf_worker_stats stats;
	uint64_t now_ms;
	bool gone[RIG_SESSIONS];
	uint64_t peer[RIG_SESSIONS]; /* MR_PEER_OWN at first */
	bool full[RIG_SESSIONS];     /* takes no deliveries, */
	unsigned room[RIG_SESSIONS]; /* except this many */
	uint64_t heard_ms[RIG_SESSIONS];
	uint32_t message_bytes[RIG_SESSIONS]; /* the largest that it takes; 0: any size */
	struct rig_sent *sent;
	uint32_t sent_count;
	uint32_t sent_seen; /* earlier ones were taken */
	/* code of the last command */
	int code;
	uint32_t queue;
	uint64_t count;
	uint8_t answer[65536];
	struct mrf_table row;
	struct mrf_table table; /* its whole answer */
	struct mrf_queue_options options;
	uint32_t edits;                  /* bits of enum mrf_queue_option, for Edit */
	const char *dead_letter;         /* for the next command, as the options */
	const char *owner, *description; /* for Edit */
	/* For the next Peek: what a message must have. */
	struct {
		const char *headers, *text;
		uint8_t level;
		uint64_t older_ms;
		uint32_t first;
	} match;
	uint64_t ticket;  /* for Withdraw */
	uint64_t tag;     /* not 0: for Details */
	int64_t stepped;  /* by the system's clock, which is RIG_UNIX_MS at now_ms 0 */
	bool says_handed; /* consumers that begin from now on use Handed */
	bool recalls;     /* consumers from now on ask for recalls */
	struct {
		const char *tag;
		uint32_t rate;
		uint32_t prefetch_bytes;
		bool paused;
	} wish;           /* options of consumers from now on; tag: also for PauseConsumer */
	bool knows;       /* clients from now on know the statuses 507 and 508 */
	uint64_t held[3]; /* the last `of` of each enum mr_queue_held; 0: cleared */
	bool served;      /* services are opened from now on only if they have a worker */
};

/* Opens queues with small limits; `change` may be NULL. */
void rig_open(struct rig *r, void (*change)(struct mr_queues_config *c));
void rig_open_store(
	struct rig *r, uint64_t store_bytes, void (*change)(struct mr_queues_config *c));
void rig_close(struct rig *r);
/* For a test that has a rig of its own called r. */
#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Returns a session id, which differs from the index. */
uint64_t rig_session(unsigned client);

/* Commands; they use the rig's `options` and then reset them. All return the code. */
int rig_command(struct rig *r, enum mrf_queue_verb verb, enum mrf_queue_kind kind, const char *name,
	unsigned client, uint32_t subscription, uint32_t prefetch);
uint32_t rig_make(struct rig *r, const char *name); /* makes a queue; returns its number */
uint32_t rig_make_service(
	struct rig *r, const char *name); /* makes a service; returns its number */
void rig_consume(struct rig *r, const char *name, unsigned client, uint32_t prefetch);
void rig_serve(struct rig *r, const char *name, unsigned client, uint32_t prefetch);
/* Reads the row of a queue into r->row. */
struct mrf_table rig_show(struct rig *r, enum mrf_queue_kind kind, const char *name);

struct rig_push {
	uint32_t queue;
	unsigned client;
	const char *text;
	const char *headers;
	uint64_t publisher;
	uint64_t id;          /* not 0: promised */
	uint64_t correlation; /* not 0: a call */
	uint64_t patience;    /* the session word of its token */
	unsigned flags;
	struct mrf_message_fragment fragment;   /* without the options */
	const struct mrf_push_options *options; /* not NULL: a PushOptions with these */
};
void rig_push(struct rig *r, const struct rig_push *p);
/* Pushes such messages of client 1 and runs; `options` may be NULL. */
void rig_push_run(struct rig *r, uint32_t queue, unsigned count, const char *text,
	const struct mrf_push_options *options);
/* Removes what waits with this ticket; returns the code. Client 0: the operator. */
int rig_withdraw(struct rig *r, const char *name, unsigned client, uint64_t ticket);
void rig_settle(struct rig *r, unsigned client, uint32_t queue, uint64_t tag,
	enum mrf_settle_verb verb, uint32_t delay_ms);
/* Does that, and runs. */
void rig_settle_run(struct rig *r, unsigned client, uint32_t queue, uint64_t tag,
	enum mrf_settle_verb verb, uint32_t delay_ms);
/* Expects a delivery with this text, acks it and runs. */
void rig_ack(struct rig *r, unsigned client, uint32_t queue, const char *text);
/* With a header block, for one settlement. */
void rig_settle_with(struct rig *r, unsigned client, uint32_t queue,
	const struct mrf_settlement *settlement, const char *headers);
void rig_reply(
	struct rig *r, unsigned client, uint32_t queue, uint64_t tag, bool more, const char *text);
/* Sends a Part or a Credit. */
void rig_part(struct rig *r, unsigned client, enum mrf_message_kind kind, uint32_t queue,
	uint64_t tag, bool more, const char *text);

/* Runs until nothing is left to do at once. */
void rig_run(struct rig *r);
/* Steps the time and runs, millisecond by millisecond while something is due. */
void rig_pass(struct rig *r, uint64_t ms);

/* Returns the first message of this kind to the session that was not taken yet; NULL: none. */
struct rig_sent *rig_take(struct rig *r, unsigned client, enum mrf_message_kind kind);
unsigned rig_count(struct rig *r, unsigned client, enum mrf_message_kind kind);
/* Ignores the messages sent so far. */
void rig_sent_forget(struct rig *r);
/* Expects a delivery with this text; returns its tag. */
uint64_t rig_expect(struct rig *r, unsigned client, const char *text);
void rig_expect_none(struct rig *r, unsigned client);
/* Expects an Accepted of one range. */
void rig_expect_accepted(struct rig *r, unsigned client, uint64_t first, uint32_t count,
	enum mrf_status_code status);
void rig_expect_status(struct rig *r, unsigned client, uint64_t correlation, uint32_t status);

#endif
