/* SPDX-License-Identifier: Apache-2.0 */
/* trouble: the conditions that are wrong now, each logged when it begins and when it ends.
 *
 * Threads   The loop's.
 */
#ifndef MILLRACE_CONTROL_TROUBLE_H
#define MILLRACE_CONTROL_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "control/link/dataplane.h"

enum mr_trouble_kind {
	MR_TROUBLE_DATAPLANE_STOPPED, /* none of its threads makes rounds */
	MR_TROUBLE_MAIN_SILENT,       /* its main thread makes no rounds, a worker does */
	MR_TROUBLE_RECEIVER_SLOW,
	MR_TROUBLE_PUBLISHER_HELD,
	MR_TROUBLE_QUEUE_FULL,
	MR_TROUBLE_QUEUE_MEMORY_FULL,
	MR_TROUBLE_CLIENTS_FULL,
	MR_TROUBLE_SESSIONS_FULL,
	MR_TROUBLE_WORKER_SILENT, /* one kind for each worker, from here on */
	MR_TROUBLE_KINDS = MR_TROUBLE_WORKER_SILENT + MR_DATAPLANE_WORKERS_MAX,
};

struct mr_trouble {
	bool on;
	uint64_t since_ns; /* CLOCK_REALTIME of its begin */
	uint64_t quiet_ns; /* time since its last sign */
	/* Worker and session at its begin. */
	int32_t worker;   /* -1: none in particular */
	uint64_t session; /* 0: none in particular */
};

struct mr_troubles {
	struct mr_trouble at[MR_TROUBLE_KINDS];
};

/* Returns a kind's name for programs, and its explanation for people. */
const char *mr_trouble_name(unsigned kind);
const char *mr_trouble_text(unsigned kind);

/* Records a sign: the trouble begins or continues. */
void mr_trouble_sign(struct mr_troubles *t, unsigned kind, int worker, uint64_t session);
/* Records `elapsed_ns` without a sign. The trouble ends after `calm_ns` without one. */
void mr_trouble_quiet(struct mr_troubles *t, unsigned kind, uint64_t elapsed_ns, uint64_t calm_ns);
/* Ends all trouble without logging: the data plane is gone. */
void mr_troubles_forget(struct mr_troubles *t);

#endif
