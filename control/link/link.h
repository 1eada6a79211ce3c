/* SPDX-License-Identifier: Apache-2.0 */
/* link: the connection to the data plane, made again whenever it is lost.
 *
 *   link.c      connects, greets, handles the loss
 *   request.c   open questions
 *   dataplane.c statistics and hand-off channels that come with the welcome
 *
 * Without a data plane the link tries to connect for ever, with exponential back-off from 10 to 500
 * ms.
 *
 * Owns      Everything that came with the welcome, until the link is lost.
 * Threads   The loop's.
 * Errors    ask: -ENOTCONN without a data plane, -EBUSY if too many questions are open, in all or
 *           for one client.
 */
#ifndef MILLRACE_CONTROL_LINK_H
#define MILLRACE_CONTROL_LINK_H

#include <sys/un.h>

#include "control/link/counters.h"
#include "lib/config/config.h"
#include "control/link/dataplane.h"
#include "control/link/in_flight.h"
#include "lib/loop/conn.h"
#include "flatbuf/link.h"

#define MR_LINK_REQUESTS_MAX 4096u
#define MR_LINK_BYTES_MAX    65536u
/* Open questions of one client: twice the library's maximum. */
#define MR_LINK_SESSION_REQUESTS_MAX 128u

struct mr_link_answer {
	struct mrf_table message; /* a LinkMessage; empty: the link was lost */
	int *fds; /* the receiver sets those that it takes over to -1; the link closes the others */
	unsigned fds_count;
};

struct mr_link_asker;

/* Returns true if more answers to the same question will follow. */
typedef bool mr_link_answered(const struct mr_link_asker *a, const struct mr_link_answer *answer);

/* The receiver of the answer; kept by value. */
struct mr_link_asker {
	mr_link_answered *answered;
	void *owner;
	uint64_t session; /* 0: none */
	uint64_t peer;    /* see lib/base/share.h; MR_PEER_OWN: control's own question */
	uint32_t correlation;
};

struct mr_link_request {
	struct mr_link_asker asker;
	uint64_t id; /* 0: free; the low 32 bits are its index */
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
	uint64_t away_since_ns; /* the first attempt that failed; 0: none has */
	/* The data plane that is there was refused, perhaps for its version. Set until one is
	 * welcome, or until none is there. */
	bool refused;
	bool stopping;
	struct mr_dataplane dataplane;
	/* Called when the data plane is connected, and before its memory is unmapped. */
	void (*up)(struct mr_link *l);
	void (*down)(struct mr_link *l);
	/* Called with the LinkSessionClosed of a session that ended; may be NULL. */
	void (*session_closed)(struct mr_link *l, struct mrf_table closed);
	void *owner;
	struct mr_link_request requests[MR_LINK_REQUESTS_MAX];
	uint32_t first_free;
	struct mr_in_flight in_flight;
	uint32_t sequence;
	uint64_t in[MR_LINK_BYTES_MAX / sizeof(uint64_t)];
	uint8_t in_control[MR_CONN_CONTROL_BYTES] __attribute__((aligned(8)));
};

/* Starts to connect. `up`, `down` and `owner` must be set. */
int mr_link_open(struct mr_link *l, struct mr_loop *loop, struct mr_control_counters *counters,
	const struct mr_config *config);
/* Closes the connection; it ends in the loop's next rounds. */
void mr_link_close(struct mr_link *l);
/* Frees its memory, after the loop has ended. */
void mr_link_fini(struct mr_link *l);
static inline bool mr_link_is_up(const struct mr_link *l)
{
	return l->state == MR_LINK_UP;
}
/* Closes the link to a data plane that breaks the protocol, and connects anew. Logs it once for a
 * data plane that gave no welcome: attempts go on twice a second. */
void mr_link_break(struct mr_link *l, const char *why);

/* Sends the question in `b`. Stores its id, for forget, in *id if not NULL. */
int mr_link_ask(struct mr_link *l, struct mrf_builder *b, enum mrf_link_body type, uint32_t body,
	const struct mr_link_asker *asker, uint64_t *id);
/* Sends a question with a descriptor, which it takes over in any case; -1: none. */
int mr_link_ask_with(struct mr_link *l, struct mrf_builder *b, enum mrf_link_body type,
	uint32_t body, int fd, const struct mr_link_asker *asker, uint64_t *id);
/* Discards the answer to come, with its descriptors: its receiver no longer exists. */
void mr_link_forget(struct mr_link *l, uint64_t id);

/* request.c, for link.c */
/* -ENOMEM, -EIO. */
int mr_link_requests_init(struct mr_link *l, uint32_t share_percent);
void mr_link_requests_fail_all(struct mr_link *l);
void mr_link_request_answer(
	struct mr_link *l, uint64_t id, struct mrf_table message, int *fds, unsigned fds_count);

#endif
