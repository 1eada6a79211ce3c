/* SPDX-License-Identifier: Apache-2.0 */
/* attach: the socket at which programs of this host join the bus.
 *
 * A connection carries one request and one answer with the session's descriptors, then it closes:
 * client and worker share memory from then on. Against a flood there are few slots and short
 * deadlines, and a new connection displaces the one that has been silent longest.
 *
 * Owns      The socket, connections, and descriptors in transit.
 * Threads   The loop's.
 * Errors    Go to the client as code and text of the AttachResponse, and into counters.
 */
#ifndef MILLRACE_CONTROL_ATTACH_H
#define MILLRACE_CONTROL_ATTACH_H

#include "lib/config/config.h"
#include "control/link/link.h"
#include "lib/loop/accept.h"
#include "lib/loop/conn.h"
#include "control/session/access.h"

#define MR_ATTACH_SLOTS       64u
#define MR_ATTACH_REQUEST_MAX 1024u

enum mr_attach_state {
	MR_ATTACH_FREE,
	MR_ATTACH_READING, /* no request yet */
	MR_ATTACH_WAITING, /* no data plane yet */
	MR_ATTACH_OPENING, /* the data plane was asked */
	MR_ATTACH_ENDING,
};

struct mr_attach_slot {
	struct mr_conn conn;
	struct mr_loop_timer deadline;
	struct mr_attach *attach;
	enum mr_attach_state state;
	uint64_t order; /* order of arrival */
	uint64_t request_id;
	struct ucred peer;
	int pidfd; /* the peer's; negative: none */
	char name[MR_ACCESS_NAME_MAX + 1];
	uint64_t in[MR_ATTACH_REQUEST_MAX / sizeof(uint64_t)];
};

struct mr_attach {
	struct mr_loop *loop;
	struct mr_link *link;
	const struct mr_config *config;
	struct mr_control_counters *counters;
	struct mr_accept accept;
	uint64_t arrivals;
	struct mr_attach_slot slots[MR_ATTACH_SLOTS];
};

int mr_attach_open(struct mr_attach *a, struct mr_loop *loop, struct mr_link *link,
	const struct mr_config *config, struct mr_control_counters *counters);
void mr_attach_close(struct mr_attach *a);
/* Continues the requests that wait for the data plane. */
void mr_attach_link_up(struct mr_attach *a);

#endif
