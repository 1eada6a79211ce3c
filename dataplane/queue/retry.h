/* SPDX-License-Identifier: Apache-2.0 */
/* retry: the back-off of a queue's failed attempts.
 *
 *   delay of attempt n = retry_min * retry_factor ^ (n - 1), at most retry_max,
 *                        less a random part of up to retry_jitter percent
 *
 * Owns      Nothing.
 * Threads   One: the home worker.
 * Units     Milliseconds; hundredths (factor); percent (jitter).
 */
#ifndef MILLRACE_QUEUE_RETRY_H
#define MILLRACE_QUEUE_RETRY_H

#include "dataplane/queue/engine.h"

#define MR_RETRY_MS_MAX     86400000u
#define MR_RETRY_FACTOR_MIN 100u
#define MR_RETRY_FACTOR_MAX 10000u
#define MR_RETRY_JITTER_MAX 100u

/* Returns the delay after `attempts` failed attempts, at least one; 0: the queue has no
 * back-off. */
uint32_t mr_retry_delay_ms(struct mr_queues *q, const struct mr_queue *queue, unsigned attempts);
/* Says which of the options is not allowed; NULL: none. 0 stands for the default. */
const char *mr_retry_refused(const struct mrf_queue_options *o);

#endif
