/* SPDX-License-Identifier: Apache-2.0 */
/* peek: shows messages of a queue, which stay in it. Private to dataplane/queue.
 *
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_PEEK_H
#define MILLRACE_QUEUE_PEEK_H

#include "dataplane/queue/engine.h"

#define MR_QUEUE_PEEK_MAX 16u

/* Writes the first messages that the command asks for, at most `max`, and their references into
 * `rows`; returns how many. Looks at a thousand messages or a quarter MiB of them; *looked: at how
 * many it did. */
uint32_t mr_queue_peek(struct mr_queues *q, struct mr_queue *queue, struct mrf_table command,
	struct mrf_builder *b, uint32_t max, uint32_t rows[MR_QUEUE_PEEK_MAX], uint32_t *looked);

#endif
