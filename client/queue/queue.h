/* SPDX-License-Identifier: Apache-2.0 */
/* queue: queues and services that the client pushes to: name, options, the number in this session,
 * and promised pushes. Private to the library.
 *
 *   mr_push ──▶ publish/outbox.c: keeps a copy ──▶ promised ring ──▶ bus
 *                   └◀── Accepted, or a retransmit ◀── dispatch.c
 *
 * Owns      A client owns its queues.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_QUEUE_QUEUE_H
#define MILLRACE_CLIENT_QUEUE_QUEUE_H

#include "client/publish/outbox.h"
#include "lib/wire/queue_key.h"

struct mr_control_answer;

struct mr_queue {
	struct mr_outbox box; /* promised pushes; its `target` holds for all pushes */
	struct mr_client *client;
	struct mr_queue *next;
	uint32_t serial; /* finds the queue when control answers */
	bool closed;     /* within a callback: freed afterwards */
	enum mr_promise_kind promise;
	uint64_t publisher;
	uint64_t next_id;
	uint64_t asked_ns; /* best effort: time of the last request for the number */
	/* Not NULL: an output is being pushed, with this origin. */
	const struct mrf_message_origin *output;
	uint64_t *output_bytes; /* not NULL: the output is measured only */
	void (*on_outcome)(struct mr_client *c, uint64_t id, int error, void *arg);
	void *arg;
	struct mr_queue_options options;
	char key_from[MR_QUEUE_KEY_FROM_MAX + 1];
	struct mr_queue_retry retry;
	char name[MR_SUBJECT_BYTES + 1];
	char dead_letter[MR_SUBJECT_BYTES + 1]; /* empty: none was given */
};

/* 0, or -EINVAL for reserved fields that are not 0. */
int mr_queue_options_check(struct mr_client *c, const struct mr_queue_options *options,
	const char *key_from, const struct mr_queue_retry *retry);
/* Copies a checked text; NULL: an empty one. `to`: MR_QUEUE_KEY_FROM_MAX + 1 bytes. */
void mr_queue_key_from_copy(char *to, const char *key_from);
/* Checks and copies `dead_letter` of a client (dead_letter.c); NULL: an empty text. `to`:
 * MR_SUBJECT_BYTES + 1 bytes. 0, or -EINVAL. */
int mr_queue_dead_letter_take(struct mr_client *c, char *to, const char *dead_letter);
/* Returns it as a field of a request. */
struct mrf_string mr_queue_dead_letter_field(const char *dead_letter);
/* 0, or -EOPNOTSUPP: it was given, and `knows`, the bit of the bus's answer, is 0. */
int mr_queue_dead_letter_known(struct mr_client *c, const char *dead_letter, uint32_t knows);
struct mr_queue *mr_queue_find(const struct mr_client *c, uint32_t serial);
uint32_t mr_queue_encode(const struct mr_queue *q, uint8_t *to, uint32_t room);
/* Takes control's answer. 0, or the reason why the queue is not open. */
int mr_queue_opened(struct mr_queue *q, const struct mr_control_answer *a);
/* Handles an Accepted message. */
void mr_queue_accepted(struct mr_client *c, const struct mr_message_view *m);
void mr_queue_free(struct mr_queue *q);
/* Returns the origin of the handle's next push: its number and id, or an id of this session. */
struct mrf_message_origin mr_queue_own_origin(const struct mr_queue *q);
/* Checks an output of a handover as mr_push_with would, and returns the bytes of its records. */
int mr_queue_measure_output(struct mr_queue *q, const struct mr_push *push,
	const struct mrf_message_origin *origin, uint64_t *bytes);
/* Pushes it with this origin, whatever the handle promises. Its outcome goes to
 * mr_handover_outcome. Errors as of mr_push_with. */
int mr_queue_push_output(
	struct mr_queue *q, const struct mr_push *push, const struct mrf_message_origin *origin);
/* Writes the options of a request. */
uint32_t mr_queue_options_write(struct mrf_builder *b, const struct mr_queue_options *options,
	const char *key_from, const struct mr_queue_retry *retry);

extern const struct mr_part mr_queue_part;

#endif
