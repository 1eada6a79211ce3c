/* SPDX-License-Identifier: Apache-2.0 */
/* command: what the parts of one command of control share. Private to the folder.
 *
 * Owns      Nothing: a request stands on the stack of mr_queues_command.
 * Threads   The worker of the queues.
 */
#ifndef MILLRACE_DATAPLANE_QUEUE_COMMAND_H
#define MILLRACE_DATAPLANE_QUEUE_COMMAND_H

#include "dataplane/queue/engine.h"
#include "dataplane/queue/peek.h"

/* An answer is one message of at most MR_BODY_BYTES_MAX; this limit keeps it within that. */
#define MR_LIST_ROWS_MAX 32u

struct mr_queue_request {
	struct mr_queues *q;
	struct mrf_table command;
	struct mrf_string name;
	unsigned kind;
	uint64_t session;
	struct mrf_builder *b;
	struct mrf_queue_answer answer;
	uint32_t looks; /* deliveries that may still be examined */
	uint32_t rows[MR_LIST_ROWS_MAX];
	uint32_t messages[MR_QUEUE_PEEK_MAX];
};

/* Returns the queue that the request names, or NULL. */
static inline struct mr_queue *mr_request_queue(const struct mr_queue_request *r)
{
	return mr_queue_by_name(r->q, r->kind, r->name.data, r->name.bytes);
}

/* Answers with the row of one queue, with its consumers. 0. */
int mr_request_row(struct mr_queue_request *r, const struct mr_queue *queue);
/* The same for the queue that the request names: 0 or -ENOENT. */
int mr_request_show(struct mr_queue_request *r);
/* Lists the queues of one kind. `count` of the answer: the cursor to continue from, 0 at the end. A
 * page may have no rows. 0. */
int mr_request_list(struct mr_queue_request *r);
/* Lists the schedules of a queue. `count` of the answer: how many it has. 0 or -ENOENT. */
int mr_request_schedules(struct mr_queue_request *r);
/* Delivers messages that are not due to one consumer. `count` of the answer: how many. 0, -ENOENT,
 * -ESRCH: no such consumer, -EBUSY: paused. */
int mr_request_early(struct mr_queue_request *r);
/* Tells of deliveries what consumers are not told. 0 or -ENOENT. */
int mr_request_details(struct mr_queue_request *r);

#endif
