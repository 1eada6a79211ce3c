/* SPDX-License-Identifier: Apache-2.0 */
/* work: how much one call may do. Private to dataplane/queue.
 *
 * All queues share one count of steps, which tick and run set. Whoever handles many messages takes
 * the steps that each costs, and stops when none is left; the rest has its turn in a later round.
 * So a round takes well below a millisecond, whatever falls due in it.
 *
 * Units     A step is about the work of delivering a plain message: 100 ns, most of it waiting for
 *           memory.
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_WORK_H
#define MILLRACE_QUEUE_WORK_H

#include "dataplane/queue/engine.h"

/* A fuzzer sets this, so that few messages are more than a round's work. */
#ifndef MR_WORK_PART
#define MR_WORK_PART 1u
#endif

/* For one call. The sum of all is a round: half a millisecond or less. */
#define MR_WORK_TICK  (2048u / MR_WORK_PART) /* timers and wheels */
#define MR_WORK_SWEEP (512u / MR_WORK_PART)  /* closed sessions, in the same tick */
#define MR_WORK_RUN   (1024u / MR_WORK_PART) /* deliveries, redrive */
#define MR_WORK_CLEAN (1024u / MR_WORK_PART) /* purges, leaving consumers, in the same run */
/* Commands, and what settlements bring about, until the next run. */
#define MR_WORK_MESSAGES (1024u / MR_WORK_PART)

/* Steps for work that costs more than one message. */
#define MR_WORK_TIMER  2u  /* taking it from the heap */
#define MR_WORK_BACK   3u  /* one that comes back, into its heap */
#define MR_WORK_SEND   2u  /* a message without a body */
#define MR_WORK_DEAD   16u /* a dead letter, or its way back: another header block */
#define MR_WORK_REMOVE 16u /* a queue or a consumer */
#define MR_WORK_LARGE  10  /* shift: a step for each KiB of a body that is copied */

static inline bool mr_work_left(const struct mr_queues *q)
{
	return q->work > 0;
}

static inline void mr_work(struct mr_queues *q, uint32_t steps)
{
	q->work -= steps < q->work ? steps : q->work;
}

#endif
