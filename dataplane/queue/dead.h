/* SPDX-License-Identifier: Apache-2.0 */
/* dead: dead letters (dead.c), and named places for them (dead_named.c).
 *
 * A queue's dead letters go to NAME.dead, or to a queue of another name, which is one like others:
 * it has limits and options of its own, and may get those of several queues.
 *
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_DEAD_H
#define MILLRACE_QUEUE_DEAD_H

#include "dataplane/queue/engine.h"

/* Dead letters have neither a time to live nor a delay. A delayed message is not due yet, if it
 * finds no room in a full queue. */
static inline void mr_dead_forget_times(struct mr_queue_entry *e)
{
	if ((e->flags & MR_ENTRY_TIME) == 0)
		return;
	mr_entry_time(e)->ends_ms = MR_TIME_NEVER;
	mr_entry_time(e)->place = MR_TIME_OUT;
	mr_entry_time(e)->early = false;
}

/* Returns the queue of the dead letters, and makes it if there is none; NULL: no memory. */
struct mr_queue *mr_dead_of(struct mr_queues *q, struct mr_queue *queue);
/* Makes `dead` the queue's dead letters; they share its count. */
void mr_dead_join(struct mr_queues *q, struct mr_queue *queue, struct mr_queue *dead);
/* Separates a queue and its dead letters, because one of them is removed. Dead letters that nobody
 * needs are removed too. */
void mr_dead_part(struct mr_queues *q, struct mr_queue *queue);
void mr_dead_letter(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, const char *reason);
/* Moves dead letters back to the queue until q->work is `floor`. */
void mr_dead_redrive(struct mr_queues *q, struct mr_queue *queue, uint32_t floor);

/* Writes why, where and when the entry became a dead letter. False: no room, or no memory. */
bool mr_dead_tell(struct mr_queues *q, const struct mr_queue *queue, struct mr_queue_entry **e,
	const char *reason);
/* True if mr_dead_letter takes the entry out of its queue. */
bool mr_dead_has_room(struct mr_queues *q, struct mr_queue *queue, const struct mr_queue_entry *e);
/* Keeps a dead letter that has no place now in its queue, to be delivered again. */
void mr_dead_keep(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);

static inline bool mr_dead_is_word(struct mrf_string s, const char *word)
{
	return s.bytes == strlen(word) && memcmp(s.data, word, s.bytes) == 0;
}

/* Says why dead letters of a queue with the name `own` cannot go to `to`, whatever queues there
 * are; NULL: they can. The text lasts until the next call. */
const char *mr_dead_name_refused(struct mr_queues *q, struct mrf_string own, struct mrf_string to);
/* Says why the queue's dead letters cannot go to `to`; NULL: they can. */
const char *mr_dead_refused(
	struct mr_queues *q, const struct mr_queue *queue, struct mrf_string to);
/* Edits options like mr_queue_edit, and MRF_QUEUE_OPTION_DEAD_LETTER too. If it refuses one, it
 * changes none. */
int mr_dead_edit(struct mr_queues *q, struct mr_queue *queue, uint32_t edits,
	const struct mrf_queue_options *values, struct mrf_string to);
/* Lets the queue's dead letters from now on go to the queue `to`, which is made if there is none.
 * "none": they are discarded; "default": NAME.dead. `client`: as for mr_limit_make. -ENOSPC,
 * -EDQUOT, -ENOMEM, -EINVAL. */
int mr_dead_name(struct mr_queues *q, struct mr_queue *queue, struct mrf_string to,
	struct mr_queue_client *client);
/* Returns what mr_dead_name was given; empty: nothing. */
struct mrf_string mr_dead_name_of(const struct mr_queue *queue);
/* The queue is removed. No other may send its dead letters there. */
void mr_dead_unname(struct mr_queues *q, struct mr_queue *queue);
/* dead_wish.c: the place of dead letters that a client names when it opens a queue, in the form of
 * mr_dead_name; empty: none named. The template of a new queue takes precedence. */
/* Says why a new queue cannot have the wish; NULL: it can. */
const char *mr_dead_wish_refused(struct mr_queues *q, enum mrf_queue_kind kind,
	struct mrf_string name, struct mrf_string wish);
/* Gives it to a queue that was just made. -errno: it cannot, and the queue is removed. */
int mr_dead_wish_grant(struct mr_queues *q, struct mr_queue *queue, struct mrf_string wish,
	struct mr_queue_client *client);
/* True if an existing queue has it, or an operator or a template has decided otherwise. */
bool mr_dead_wish_agrees(const struct mr_queue *queue, struct mrf_string wish);
/* Takes a dead letter if the queue has named a place for them. False: it has not. */
bool mr_dead_to_named(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, const char *reason);
/* Moves letters of queue->redriving to where each came from, while there is work left above
 * `floor`. Letters whose queue is gone or full stay, behind others. */
void mr_dead_redrive_each(struct mr_queues *q, struct mr_queue *queue, uint32_t floor);

#endif
