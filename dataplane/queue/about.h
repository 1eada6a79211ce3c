/* SPDX-License-Identifier: Apache-2.0 */
/* about: the owner and the description of a queue, which a template or an operator gives. Private
 * to dataplane/queue.
 *
 * Owns      The texts of a queue are one chunk of the store, or none if both are empty.
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_ABOUT_H
#define MILLRACE_QUEUE_ABOUT_H

#include "dataplane/queue/engine.h"

#define MR_ABOUT_OPTIONS (MRF_QUEUE_OPTION_OWNER | MRF_QUEUE_OPTION_DESCRIPTION)

struct mr_about {
	struct mrf_string owner;
	struct mrf_string description;
};

/* Returns the texts, which last until they are changed. */
struct mr_about mr_about_of(const struct mr_queue *queue);
/* Changes options as mr_dead_edit does, and those of MR_ABOUT_OPTIONS too. If it refuses one, it
 * changes none. */
int mr_about_edit(struct mr_queues *q, struct mr_queue *queue, struct mrf_table command,
	const struct mrf_queue_options *values);
/* Gives a new queue the texts of its template. -ENOMEM. */
int mr_about_template(struct mr_queues *q, struct mr_queue *queue);
void mr_about_free(struct mr_queues *q, struct mr_queue *queue);

#endif
