/* SPDX-License-Identifier: Apache-2.0 */
/* match: which messages of a queue an operator asked for. Private to dataplane/queue.
 *
 * Owns      Nothing: texts are the request's.
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_MATCH_H
#define MILLRACE_QUEUE_MATCH_H

#include "dataplane/queue/engine.h"

/* All that is given must hold. */
struct mr_queue_match {
	struct mrf_string headers; /* lines NAME:VALUE, each with LF at its end */
	struct mrf_string grep;    /* text in the payload */
	uint8_t level;             /* 1 + the level of priority; 0: any */
	uint64_t older_ms;         /* at least this old */
	uint64_t bytes_left;       /* headers and payloads that may still be read */
};

/* Reads the request. */
struct mr_queue_match mr_queue_match_of(struct mrf_table command);
/* True if the entry is wanted. Text that goes over the border of two fragments is not found. */
bool mr_queue_matches(
	const struct mr_queues *q, struct mr_queue_match *m, struct mr_queue_entry *e);

#endif
