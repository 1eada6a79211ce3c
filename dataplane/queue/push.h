/* SPDX-License-Identifier: Apache-2.0 */
/* push: parts of push.c and options.c that other files need: checks of a push, its entry, and its
 * outcome.
 *
 * Owns      Nothing. mr_push_finish takes the entry.
 * Threads   One: the home worker.
 * Errors    A check returns 0, or the StatusCode to refuse with.
 */
#ifndef MILLRACE_QUEUE_PUSH_H
#define MILLRACE_QUEUE_PUSH_H

#include "dataplane/queue/engine.h"

/* Checks that the client may put `bytes` more into the store: 0, or the StatusCode. */
static inline uint32_t mr_push_memory(
	const struct mr_queues *q, const struct mr_queue_client *client, uint32_t bytes)
{
	if (mr_unlikely(client == NULL))
		return MRF_STATUS_CODE_NO_MEMORY;
	return mr_likely(client->account == 0) ? (uint32_t)MRF_STATUS_CODE_OK
					       : mr_limit_memory(q, client, bytes);
}
/* Size of an entry without its body, rounded: approximate. */
#define MR_PUSH_ENTRY_BYTES 32u

/* Returns about how much of the store the queue's entries take. */
static inline uint64_t mr_push_footprint(const struct mr_queue *queue)
{
	return queue->body_bytes + mr_queue_depth(queue) * MR_PUSH_ENTRY_BYTES;
}

/* True if the queue and its dead letters together have the largest allowed part of the store. */
static inline bool mr_push_share_used_up(const struct mr_queues *q, const struct mr_queue *queue)
{
	return mr_push_footprint(queue) +
		       (queue->dead == NULL ? 0 : mr_push_footprint(queue->dead)) >=
	       q->store_share;
}
/* Returns the window of unaccepted pushes for a producer that opens the queue now. */
uint32_t mr_push_window(const struct mr_queues *q, const struct mr_queue *queue);
/* True if a message with such a body exceeds the limits of the queue. */
bool mr_push_is_full(const struct mr_queue *queue, uint64_t body_bytes);
/* Accepts withheld pushes while there is room, as far as the call's work reaches; the queue's timer
 * goes on. */
void mr_push_release_withheld(struct mr_queues *q, struct mr_queue *queue);
/* Accepts some withheld pushes of a removed queue; drops those that it cannot accept. */
void mr_push_end_withheld(struct mr_queues *q, struct mr_queue *queue);
/* Finishes a complete push: limits, deduplication window, list, acceptance. Takes the entry. */
void mr_push_finish(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	struct mr_queue_entry *e, const struct mrf_message_origin *origin);
/* The result of checking a push against its queue. */
struct mr_push_facts {
	const struct mrf_message_origin *origin; /* NULL: not promised */
	unsigned entry_flags;
	bool known;  /* a duplicate */
	bool unpaid; /* counts for no account: a publish that was taken beyond its peer's share */
};
/* Checks form, deduplication window, limits and circuit: 0, or the StatusCode to refuse with. */
uint32_t mr_push_check(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, uint64_t body_bytes, struct mr_push_facts *facts);
/* Makes the entry of a checked push; NULL: no memory. */
struct mr_queue_entry *mr_push_entry(struct mr_queues *q, uint64_t session,
	const struct mr_message_view *m, unsigned flags, uint32_t body_bytes);
void mr_push_known(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mrf_message_origin *origin);
void mr_push_refuse(struct mr_queues *q, uint64_t session, struct mr_queue *queue, uint32_t number,
	const struct mr_message_view *m, uint32_t status);

/* Options of pushes (options.c) */
/* Takes the options off a PushOptions message, so that it is a Push with a body of its own. 0, or
 * the StatusCode to refuse with. */
uint32_t mr_options_take(struct mr_message_view *m, struct mrf_push_options *out);
/* True if the bus knows all that the options ask for, and they fit the message. */
bool mr_options_are_good(const struct mr_message_view *m, const struct mrf_push_options *options);
/* Makes the queue ready for the options of a push of the account: 0, or the StatusCode. */
uint32_t mr_options_prepare(struct mr_queues *q, struct mr_queue *queue,
	const struct mrf_push_options *options, uint32_t account);
/* True if the entry of the push has a struct mr_queue_time. */
static inline bool mr_options_has_time(const struct mrf_push_options *options)
{
	return options->ttl_ms != 0 || options->delay_ms != 0 || options->at_ms != 0 ||
	       options->key != 0 || options->priority != 0 ||
	       options->repeat != MRF_PUSH_REPEAT_NONE;
}
/* True if the queue repeats the message. */
static inline bool mr_options_repeat(const struct mrf_push_options *options)
{
	return options->repeat == MRF_PUSH_REPEAT_EVERY || options->repeat == MRF_PUSH_REPEAT_CRON;
}
/* Gives a new entry the times of its push. */
void mr_options_apply(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e,
	const struct mrf_push_options *options);
/* Reports a push as accepted. */
void mr_push_accept(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mrf_message_origin *origin);

/* Accepts withheld pushes and continues a redrive, because an entry has left the queue or its dead
 * letters. */
static inline void mr_queue_has_room(struct mr_queues *q, struct mr_queue *queue)
{
	if (mr_unlikely(queue->withheld_head != NULL))
		mr_push_release_withheld(q, queue);
	if (mr_unlikely(queue->redrive_waits)) {
		queue->redrive_waits = false;
		mr_queue_activate(q, queue);
	}
}

#endif
