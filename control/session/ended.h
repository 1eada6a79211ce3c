/* SPDX-License-Identifier: Apache-2.0 */
/* ended: the sessions that ended lately, with their reasons.
 *
 * A ring of MR_ENDED_MAX entries. A peer is a local user or the address of a host. One that has its
 * share of the entries replaces its own oldest entry, so no peer can push the others out.
 *
 * Owns      Copies of all texts.
 * Threads   The loop's.
 * Errors    None: names and reasons that are too long are cut.
 */
#ifndef MILLRACE_CONTROL_ENDED_H
#define MILLRACE_CONTROL_ENDED_H

#include "flatbuf/link.h"
#include "flatbuf/stats.h"

#define MR_ENDED_MAX          1024u
#define MR_ENDED_SHARE        (MR_ENDED_MAX / 4)
#define MR_ENDED_NAME_BYTES   128u
#define MR_ENDED_REASON_BYTES 128u

struct mr_ended_entry {
	uint64_t session;             /* 0: free */
	uint64_t order;               /* the larger, the later */
	uint64_t opened_ns, ended_ns; /* CLOCK_REALTIME */
	uint32_t uid, gid, pid;
	uint8_t transport;
	struct mrf_network_path path; /* over UDP */
	bool has_stats;
	struct mrf_session_stats stats; /* as they were when control heard of the end */
	char name[MR_ENDED_NAME_BYTES];
	char reason[MR_ENDED_REASON_BYTES];
};

struct mr_ended {
	uint64_t count; /* of all that ever ended */
	struct mr_ended_entry entries[MR_ENDED_MAX];
};

/* Remembers the session of an event. `stats` may be NULL. An event without a row, from an older
 * data plane, has only session and reason. */
void mr_ended_add(struct mr_ended *e, struct mrf_table closed,
	const struct mrf_session_stats *stats, uint64_t date_ns);

#endif
