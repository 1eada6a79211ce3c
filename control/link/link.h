/* SPDX-License-Identifier: Apache-2.0 */
/* link: the connection to the data plane, found and found again.
 *
 *   link.c      connecting, greeting, its loss
 *   request.c   what was asked and is not answered yet
 *   dataplane.c what the welcome brings: mapped statistics and hand-off channels
 *
 * While there is no data plane it is looked for with growing pauses, for ever.
 *
 * Owns      Everything that came with the welcome, until the link is lost.
 * Threads   The loop's.
 * Errors    ask: -ENOTCONN without a data plane, -EBUSY with too many questions open, in all or of
 *           one client.
 */
#ifndef MILLRACE_CONTROL_LINK_H
#define MILLRACE_CONTROL_LINK_H

#include <sys/un.h>

#include "control/link/counters.h"
#include "control/link/dataplane.h"
#include "lib/loop/conn.h"
#include "flatbuf/link.h"

#define MR_LINK_REQUESTS_MAX 4096u
#define MR_LINK_BYTES_MAX    65536u
/* Questions of one client that may be open: twice what the library ever has. */
#define MR_LINK_SESSION_REQUESTS_MAX 128u
#define MR_LINK_SESSION_BUCKETS      4096u

struct mr_link_answer {
	struct mrf_table message; /* a LinkMessage; empty: the link was lost */
	int *fds; /* -1 in place of what the receiver took over; the rest is closed */
	unsigned fds_count;
};

struct mr_link_asker;

/* Returns true if more answers to the same question are to come. */
typedef bool mr_link_answered(const struct mr_link_asker *a, const struct mr_link_answer *answer);

/* Who wants the answer; kept by value. */
struct mr_link_asker {
	mr_link_answered *answered;
	void *owner;
	uint64_t session;
	uint32_t correlation;
};

struct mr_link_request {
	struct mr_link_asker asker;
	uint64_t id; /* 0: free. Low 32 bits: its index. */
	uint32_t next_free;
};

enum mr_link_state { MR_LINK_AWAY, MR_LINK_GREETING, MR_LINK_UP, MR_LINK_CLOSING };

struct mr_link {
	struct mr_loop *loop;
	struct mr_control_counters *counters;
	struct sockaddr_un at;
	enum mr_link_state state;
	struct mr_conn conn;
	struct mr_loop_timer timer; /* next attempt, or deadline of the greeting */
	uint64_t pause_ns;
	bool away_logged;
	bool stopping;
	struct mr_dataplane dataplane;
	/* Told when the data plane is there, and before everything of it is unmapped. */
	void (*up)(struct mr_link *l);
	void (*down)(struct mr_link *l);
	void *owner;
	struct mr_link_request requests[MR_LINK_REQUESTS_MAX];
	uint32_t first_free;
	/* Open questions by client; clients whose slots fall together share their limit. */
	uint16_t open[MR_LINK_SESSION_BUCKETS];
	uint32_t sequence;
	uint64_t in[MR_LINK_BYTES_MAX / sizeof(uint64_t)];
	uint8_t in_control[MR_CONN_CONTROL_BYTES] __attribute__((aligned(8)));
};

/* `up`, `down`, `owner` are set. Starts to look for the data plane. */
int mr_link_open(struct mr_link *l, struct mr_loop *loop, struct mr_control_counters *counters,
	const char *run_dir);
/* Ends with the loop's next steps. */
void mr_link_close(struct mr_link *l);
static inline bool mr_link_is_up(const struct mr_link *l)
{
	return l->state == MR_LINK_UP;
}
/* Gives up a data plane that breaks its promises, and looks for one anew. */
void mr_link_break(struct mr_link *l, const char *why);

/* Sends the question that was written into `b`; its id, for forget, goes to *id if not NULL. */
int mr_link_ask(struct mr_link *l, struct mrf_builder *b, enum mrf_link_body type, uint32_t body,
	const struct mr_link_asker *asker, uint64_t *id);
/* The same with a descriptor beside it, which is taken over in any case; -1: none. */
int mr_link_ask_with(struct mr_link *l, struct mrf_builder *b, enum mrf_link_body type,
	uint32_t body, int fd, const struct mr_link_asker *asker, uint64_t *id);
/* The asker is gone: the answer will be thrown away, with its descriptors. */
void mr_link_forget(struct mr_link *l, uint64_t id);

/* request.c, for link.c */
void mr_link_requests_init(struct mr_link *l);
void mr_link_requests_lose(struct mr_link *l);
void mr_link_request_answer(
	struct mr_link *l, uint64_t id, struct mrf_table message, int *fds, unsigned fds_count);

#endif
