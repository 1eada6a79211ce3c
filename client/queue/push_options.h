/* SPDX-License-Identifier: Apache-2.0 */
/* push_options: options of a push: what the bus must know for them, and the block in front of its
 * headers.
 *
 * Owns      A prepended push owns its copy of the headers, until mr_queue_push_prepended_free.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_QUEUE_PUSH_OPTIONS_H
#define MILLRACE_CLIENT_QUEUE_PUSH_OPTIONS_H

#include "client/queue/queue.h"

/* A push with the options before its header block. */
struct mr_push_prepended {
	struct mr_push push;
	char *memory; /* the block with headers, or NULL */
	struct mrf_push_options options;
};

/* Returns the options, bits of enum mrf_push_option, that the push needs. */
static inline uint32_t mr_queue_push_needs(const struct mr_push *push)
{
	return (push->ttl_ms != 0 ? MRF_PUSH_OPTION_TTL : 0u) |
	       (push->key != NULL ? MRF_PUSH_OPTION_KEY : 0u) |
	       (push->priority >= MR_PRIORITY_FIRST ? MRF_PUSH_OPTION_PRIORITY : 0u) |
	       (push->ticket != 0 ? MRF_PUSH_OPTION_TICKET : 0u) |
	       (push->attempts != 0 ? MRF_PUSH_OPTION_RESTORED : 0u) |
	       (push->every_ms != 0 || push->cron != NULL ? MRF_PUSH_OPTION_REPEAT : 0u) |
	       ((push->delay_ms | push->at_ms) != 0 ? MRF_PUSH_OPTION_DELAY : 0u);
}

static inline bool mr_queue_push_has_options(const struct mr_push *push)
{
	return mr_queue_push_needs(push) != 0;
}

/* True: no option, no id of the program's own, and high, normal or low. Most pushes are. */
static inline bool mr_queue_push_is_simple(const struct mr_push *push)
{
	uint64_t given = push->ttl_ms | push->delay_ms | push->at_ms | push->every_ms |
			 push->ticket | push->attempts | push->publisher | push->id;

	return given == 0 && push->key == NULL && push->cron == NULL &&
	       (unsigned)push->priority <= MR_PRIORITY_LOW;
}

/* Checks the options of a push against the bus. They are not known before it is connected. 0, or
 * -EINVAL, -EAGAIN, -EOPNOTSUPP. */
int mr_queue_push_check(const struct mr_queue *q, const struct mr_push *push);
/* Puts the options, a key and the times of cron before the header block of a checked push. */
int mr_queue_push_prepend(
	struct mr_queue *q, const struct mr_push *push, struct mr_push_prepended *out);
void mr_queue_push_prepended_free(struct mr_push_prepended *p);

#endif
