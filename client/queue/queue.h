/* SPDX-License-Identifier: Apache-2.0 */
/* queue: queues and services as the client knows them: by what name and options, and by which number in
 * this session; consumers of their deliveries, and what was promised to them. Private to the library.
 *
 *   mr_push ──▶ outbox.c: a copy is kept ──▶ up ring ──▶ bus
 *                  └◀── Accepted, or sent again ◀── receive.c
 *   bus ──▶ receive.c ──▶ consumer.c ──▶ callback, or mr_pull ──▶ Settle, many at once
 *
 * Owns      A client owns all of these. Consumers stand in the table of subscriptions.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_QUEUE_QUEUE_H
#define MILLRACE_CLIENT_QUEUE_QUEUE_H

#include "client/publish/outbox.h"

struct mr_control_answer;

struct mr_queue {
	struct mr_outbox box; /* of promised pushes; `target` of all */
	struct mr_client *client;
	struct mr_queue *next;
	uint32_t serial; /* finds it again when control answers */
	bool service;
	bool closed; /* within a callback: freed when that is over */
	enum mr_promise_kind promise;
	uint64_t publisher;
	uint64_t next_id;
	uint64_t asked_ns; /* of best effort: when the number was last asked for */
	void (*on_outcome)(struct mr_client *c, uint64_t id, int error, void *arg);
	void *arg;
	struct mr_queue_options options;
	char name[MR_SUBJECT_BYTES + 1];
};

/* Opens a service for calls: as mr_queue_open does a queue, without promise. */
int mr_queue_open_as(struct mr_client *c, bool service, const char *name,
	const struct mr_push_options *options, struct mr_queue **out);
struct mr_queue *mr_queue_find(const struct mr_client *c, uint32_t serial);
uint32_t mr_queue_encode(const struct mr_queue *q, uint8_t *to, uint32_t room);
/* An answer of control to its opening; 0 or why it is not open. */
int mr_queue_opened(struct mr_queue *q, const struct mr_control_answer *a);
/* An Accepted message. */
void mr_queue_accepted(struct mr_client *c, const struct mr_message_view *m);
void mr_queue_free(struct mr_queue *q);
/* The table of options of a request. */
uint32_t mr_queue_options_write(struct mrf_builder *b, const struct mr_queue_options *options);

extern const struct mr_part mr_queue_part;

#endif
