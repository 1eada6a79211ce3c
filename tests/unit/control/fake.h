/* SPDX-License-Identifier: Apache-2.0 */
/* fake: a data plane that the test steers, and the real millrace-control beside it.
 *
 * Every wait has a bound of ten seconds, and fails the test when it is reached.
 */
#ifndef MILLRACE_TESTS_CONTROL_FAKE_H
#define MILLRACE_TESTS_CONTROL_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/types.h>

#include "lib/channel/channel.h"
#include "lib/channel/packet.h"
#include "lib/wire/message.h"
#include "flatbuf/admin.h"
#include "flatbuf/attach.h"
#include "flatbuf/link.h"
#include "flatbuf/stats.h"

#define FAKE_WORKERS_MAX 2u
#define FAKE_SLOTS       8u
#define FAKE_RING_BYTES  (256u << 10)

/* Layout of the statistics memory. */
#define FAKE_TABLE_OFFSET   128u
#define FAKE_WORKER_OFFSET  1024u
#define FAKE_WORKER_STRIDE  2048u
#define FAKE_SESSION_OFFSET (FAKE_WORKER_OFFSET + FAKE_WORKER_STRIDE * FAKE_WORKERS_MAX)
#define FAKE_SESSION_STRIDE ((uint32_t)sizeof(struct mrf_session_stats))
/* There are no ports. */
#define FAKE_PORT_OFFSET (FAKE_SESSION_OFFSET + FAKE_SESSION_STRIDE * FAKE_SLOTS * FAKE_WORKERS_MAX)
#define FAKE_STATS_BYTES FAKE_PORT_OFFSET

_Static_assert(FAKE_TABLE_OFFSET + sizeof(struct mrf_table_stats) <= FAKE_WORKER_OFFSET, "layout");
_Static_assert(sizeof(struct mrf_worker_stats) <= FAKE_WORKER_STRIDE, "layout");
_Static_assert(sizeof(struct mrf_session_stats) <= FAKE_SESSION_STRIDE, "layout");

struct fake_worker {
	struct mr_channel channel;
	int page_fd;
	struct mr_worker_page *page;
	struct mr_bytes_producer to_control;
	struct mr_bytes_consumer from_control;
};

struct fake {
	char dir[64];
	/* control */
	pid_t control;
	int notify_fd;
	/* data plane */
	int listen_fd;
	int link_fd;
	int stats_fd;
	struct mrf_stats_header *stats;
	/* The next records say this peer, if says_peer is set. */
	bool says_peer;
	uint64_t peer;
	unsigned workers_count;
	struct fake_worker workers[FAKE_WORKERS_MAX];
	uint64_t buffer[65536 / 8];
};

/* Makes the run directory. Close ends everything, and fails if a file is left. */
void fake_init(struct fake *f);
void fake_fini(struct fake *f);

/* Runs millrace-control as a process of its own; start returns when it reports that it is ready. */
void fake_control_start(struct fake *f);
void fake_control_start_with(struct fake *f, const char *set);
/* Returns the exit status; -signal if it was killed. */
int fake_control_end(struct fake *f, int signal);
/* Runs a second one to its end. */
int fake_control_once(struct fake *f, const char *set);

/* Makes the data plane's sockets and memory; then accepts control and greets it. */
void fake_dataplane_open(struct fake *f, unsigned workers);
void fake_dataplane_close(struct fake *f);
void fake_greet(struct fake *f);
/* Waits until control has closed the link. */
void fake_expect_link_closed(struct fake *f);

/* Receives the next LinkMessage; valid until the next call. */
struct mrf_table fake_next(struct fake *f);
void fake_answer(struct fake *f, uint64_t id, struct mrf_builder *b, enum mrf_link_body type,
	uint32_t body, const int *fds, unsigned fds_count);
void fake_answer_result(struct fake *f, uint64_t id, int code, const char *text);

/* Writes a record into a worker's hand-off ring: false without room. `flush` publishes and
 * wakes. */
bool fake_hand(struct fake *f, unsigned worker, uint8_t reason, uint64_t session, uint8_t kind,
	uint32_t target, const void *payload, size_t bytes);
void fake_flush(struct fake *f, unsigned worker);
void fake_hand_client(struct fake *f, unsigned worker, uint64_t session, uint32_t correlation,
	struct mrf_builder *b, enum mrf_client_body type, uint32_t body);
void fake_hand_ping(struct fake *f, unsigned worker, uint64_t session, uint32_t correlation);
/* A hello with a valid cookie. */
struct fake_hello {
	struct mrf_network_path path;
	uint64_t nonce;
	uint32_t frame_bytes;
	uint32_t version;
	const char *name;
};
bool fake_hand_hello(struct fake *f, unsigned worker, const struct fake_hello *hello);
/* Hands over a hello with these bytes as payload. */
bool fake_hand_hello_bytes(struct fake *f, unsigned worker, const struct mrf_network_path *path,
	uint8_t kind, const void *payload, size_t bytes);

/* Any next answer of control; valid until the next call. */
struct fake_taken {
	struct mrf_handoff_header header;
	struct mrf_network_path path; /* address of a refusal */
	uint32_t correlation;
	struct mrf_table message; /* a ClientMessage */
};
void fake_take_any(struct fake *f, unsigned worker, struct fake_taken *out);
/* Takes control's next answer to a client; valid until the next call. */
struct mrf_table fake_take(
	struct fake *f, unsigned worker, uint64_t *session, uint32_t *correlation);

/* Takes control's next command for a queue of this worker; valid until the next call. */
struct mrf_table fake_take_command(struct fake *f, unsigned worker, uint32_t *id);
/* Hands over a QueueAnswer, as written into `b`, of this worker. */
void fake_hand_answer(
	struct fake *f, unsigned worker, uint32_t id, struct mrf_builder *b, uint32_t answer);

/* The fake's own statistics. */
struct mrf_table_stats *fake_table_stats(struct fake *f);
struct mrf_worker_stats *fake_worker_stats(struct fake *f, unsigned worker);
struct mrf_session_stats *fake_session_stats(struct fake *f, unsigned worker, unsigned slot);

/* Connects as a client of a socket. */
int fake_connect(struct fake *f, const char *name, int type);
void fake_attach_send(int fd, uint32_t version, const char *name);
/* Receives the answer; its descriptors go to fds[MR_CHANNEL_FDS]. */
struct mrf_table fake_attach_receive(struct fake *f, int fd, int *fds, unsigned *fds_count);
void fake_admin_send(int fd, enum mrf_admin_verb verb, uint64_t session);
void fake_admin_send_queue(
	int fd, enum mrf_admin_verb verb, const struct mrf_queue_command *command);
struct mrf_table fake_admin_receive(struct fake *f, int fd, void **memory);
uint64_t fake_counter(struct fake *f, const char *scope, const char *name);
void fake_wait_readable(int fd);
/* Expects an end of file, or a reset. */
void fake_expect_eof(int fd);

#endif
