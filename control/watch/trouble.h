/* SPDX-License-Identifier: Apache-2.0 */
/* trouble: what is wrong now.
 *
 * Threads   The loop's.
 */
#ifndef MILLRACE_CONTROL_TROUBLE_H
#define MILLRACE_CONTROL_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "control/link/dataplane.h"

enum mr_trouble_kind {
	MR_TROUBLE_DATAPLANE_STOPPED, /* none of its threads runs */
	MR_TROUBLE_MAIN_SILENT,       /* its main thread makes no rounds, some worker does */
	MR_TROUBLE_RECEIVER_SLOW,
	MR_TROUBLE_PUBLISHER_HELD,
	MR_TROUBLE_QUEUE_FULL,
	MR_TROUBLE_QUEUE_MEMORY_FULL,
	MR_TROUBLE_CLIENTS_FULL,
	MR_TROUBLE_SESSIONS_FULL,
	MR_TROUBLE_WORKER_SILENT, /* and one for each worker after the first */
	MR_TROUBLE_KINDS = MR_TROUBLE_WORKER_SILENT + MR_DATAPLANE_WORKERS_MAX,
};

struct mr_trouble {
	bool on;
	uint64_t since_ns; /* CLOCK_REALTIME, of its begin */
	uint64_t quiet_ns; /* of them, the last, without a sign of it */
	/* Who or where, when it began. */
	int32_t worker;   /* -1: none in particular */
	uint64_t session; /* 0: none in particular */
};

struct mr_troubles {
	struct mr_trouble at[MR_TROUBLE_KINDS];
};

/* Its name for programs, and what it means to people. */
const char *mr_trouble_name(unsigned kind);
const char *mr_trouble_text(unsigned kind);

/* A sign of it: it begins, or goes on. */
void mr_trouble_sign(struct mr_troubles *t, unsigned kind, int worker, uint64_t session);
/* No sign of it for `elapsed_ns`. It ends after `patience_ns` without. */
void mr_trouble_quiet(
	struct mr_troubles *t, unsigned kind, uint64_t elapsed_ns, uint64_t patience_ns);
/* All end, without a word: there is no data plane any more. */
void mr_troubles_forget(struct mr_troubles *t);

#endif
