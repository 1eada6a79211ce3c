/* SPDX-License-Identifier: Apache-2.0 */
/* link: a data plane of its own for a test that plays control: it opens sessions over the link and
 * holds both ends of every ring, so that anything may be written into them.
 *
 * Errors    Anything unexpected ends the test program with a message.
 */
#ifndef MILLRACE_TESTS_SUPPORT_LINK_H
#define MILLRACE_TESTS_SUPPORT_LINK_H

#include <sys/types.h>

#include "lib/channel/channel.h"
#include "lib/wire/message.h"
#include "flatbuf/link.h"
#include "flatbuf/stats.h"

#define MR_TEST_WORKERS_MAX 8

struct mr_test_plane {
	pid_t pid;
	char run_dir[64];
	int link_fd;
	uint64_t next_id;
	unsigned workers;
	const void *stats;
	size_t stats_bytes;
	struct {
		struct mr_channel channel;
		const struct mr_worker_page *page;
		struct mr_bytes_consumer from_worker;
		struct mr_bytes_producer to_worker;
	} handoff[MR_TEST_WORKERS_MAX];
	/* The last packet received. */
	uint64_t packet[8192];
	struct mrf_table body;
	uint8_t type;
	int fds[253];
	unsigned fds_count;
};

struct mr_test_session {
	uint64_t id;
	unsigned worker;
	struct mr_channel channel;
	const struct mr_worker_page *page;
	struct mr_bytes_producer up;
	struct mr_bytes_consumer down;
	int liveness_fd;
};

/* Starts `program` in a run directory of its own with these --set values (NULL-terminated). */
void mr_test_plane_start(struct mr_test_plane *p, const char *program, const char *const *sets);
/* Connects to the link and says hello; again after mr_test_plane_leave. */
void mr_test_plane_join(struct mr_test_plane *p);
void mr_test_plane_leave(struct mr_test_plane *p);
/* Sends SIGTERM, and checks that it ends well and leaves its directory empty. */
void mr_test_plane_stop(struct mr_test_plane *p);

void mr_test_session_open(struct mr_test_plane *p, struct mr_test_session *s, const char *name);
/* Returns the result code of an attempt that may fail. */
int mr_test_session_try(struct mr_test_plane *p, struct mr_test_session *s, const char *name);
void mr_test_session_close(struct mr_test_session *s);
int mr_test_subscribe(struct mr_test_plane *p, const struct mr_test_session *s, uint32_t id,
	enum mrf_subscription_kind kind, const char *pattern, const char *group);
/* Subscribes to a pattern for a client that blocks publishers of promised messages. `high_water` 0:
 * the configured mark. */
int mr_test_subscribe_block(struct mr_test_plane *p, const struct mr_test_session *s, uint32_t id,
	const char *pattern, const char *group, uint8_t high_water);
int mr_test_unsubscribe(struct mr_test_plane *p, const struct mr_test_session *s, uint32_t id);
/* Bind a queue to a pattern, and unbind it (`pattern` NULL: from all). Return the number of its
 * bindings, or an error. */
int mr_test_bind(struct mr_test_plane *p, uint32_t queue, const char *name, const char *pattern);
int mr_test_unbind(struct mr_test_plane *p, const char *name, const char *pattern);
int mr_test_alias(struct mr_test_plane *p, const struct mr_test_session *s, const char *subject,
	uint32_t *alias);
int mr_test_kick(struct mr_test_plane *p, uint64_t session, const char *reason);

/* Pushes a publish with `text` as payload. Alias 0: by subject. */
void mr_test_publish(struct mr_test_session *s, uint32_t alias, const char *subject,
	const uint64_t *correlation, const char *headers, const char *text);
/* Pushes any message. */
void mr_test_push(struct mr_test_session *s, const struct mr_message_plan *plan, uint32_t target);
/* Gives a worker a command as control does; returns its QueueAnswer, valid until the next one. */
struct mrf_table mr_test_command(
	struct mr_test_plane *p, unsigned worker, const struct mrf_queue_command *command);
/* Pushes a promised publish, by subject; `publisher` 0: at least once. False: the ring is full. */
bool mr_test_promise(struct mr_test_session *s, const char *subject, uint64_t publisher,
	uint64_t id, const void *payload, uint32_t bytes);
/* Publishes the tail, and wakes the worker. */
void mr_test_flush(struct mr_test_session *s);
/* Waits for the next message; fails the program after 30 s. It stays valid until the next call. */
struct mr_message_view mr_test_next(struct mr_test_session *s);
/* True if nothing arrives until the worker has gone through `rounds` more rounds of this
 * session. */
bool mr_test_nothing(struct mr_test_plane *p, struct mr_test_session *s);

const struct mrf_worker_stats *mr_test_worker_stats(const struct mr_test_plane *p, unsigned worker);
const struct mrf_table_stats *mr_test_table_stats(const struct mr_test_plane *p);
const struct mrf_session_stats *mr_test_session_stats(
	const struct mr_test_plane *p, const struct mr_test_session *s);
/* For loops that wait: yields the processor. Fails the program 30 s after the first call, in which
 * *until is 0. */
void mr_test_yield(uint64_t *until, const char *what);

/* Waits until *counter reaches `least`; fails the program after 30 s. */
void mr_test_wait_count(const uint64_t *counter, uint64_t least, const char *what);

#endif
