/* SPDX-License-Identifier: Apache-2.0 */
/* model: what has to be true of queues, said simply, and looked at whenever something happens.
 *
 *   each message is in one place: ready, put off, out with one consumer, done, or dead
 *   of those that are surely ready the first in order goes first: by priority, then by when it was taken
 *   nothing is delivered while its queue is paused, nor before its delay is over, nor twice at once
 *   an ack of what is out is taken; a program is handed what was pushed, byte for byte
 *   in the end each message that was accepted is done, or dead for a reason that holds
 *
 * Some things the bus learns later than the model: that a session ended, that a delivery timed out. For
 * such a while a message is in doubt, and only what holds either way is demanded.
 *
 * Threads   The world's and its processes'.
 */
#ifndef MILLRACE_TESTS_SIM_MODEL_H
#define MILLRACE_TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/wire/message.h"

#define MODEL_QUEUES_MAX   4u
#define MODEL_MESSAGES_MAX 4096u
#define MODEL_BYTES_MAX    6000u

struct model_queue {
	char name[32];
	uint32_t ack_timeout_ms;
	uint32_t max_deliver;
	uint32_t age_max_ms;   /* 0: no limit */
	uint64_t messages_max; /* 0: no limit */
	bool refuses;
	bool exactly_once;
	bool paused;
	uint32_t number; /* the bus's, since it was opened last */
};

extern struct model_queue model_queues[MODEL_QUEUES_MAX];
extern unsigned model_queues_count;

void model_open(void);

/* Programs. The number of a new message of the producer, whose body model_body writes; 0: there is no room for more. */
uint32_t model_new(unsigned queue, unsigned producer, uint64_t id, unsigned priority);
size_t model_body(uint32_t number, uint8_t to[MODEL_BYTES_MAX]);
uint64_t model_id(uint32_t number);
unsigned model_priority(uint32_t number);
/* The number in a body. */
uint32_t model_number(const void *body, size_t bytes);
/* The producer was told what became of it. */
void model_outcome(uint32_t number, int error);
/* A program was handed it, complete; and settled it. */
void model_handed(uint32_t number, const void *body, size_t bytes, unsigned queue);
void model_program_acked(uint32_t number);
void model_program_rejected(uint32_t number);
/* A dead letter was read. */
void model_dead(uint32_t number, const char *reason, size_t reason_bytes);

/* The bus. A queue was opened by its name. */
void model_named(const char *name, size_t bytes, uint32_t number);
void model_taken(uint32_t number);
void model_sent(uint64_t session, const struct mr_message_plan *plan, uint32_t target);
void model_settled(uint64_t session, const struct mrf_settlement *s, uint64_t acked, uint64_t dead);
void model_cancelled(uint64_t session, uint32_t subscription);
/* The bus says of a queue how long the oldest of its messages has waited. */
void model_oldest(unsigned queue, uint64_t oldest_ms);

/* At the end, when everything was drained. */
void model_finish(void);

#endif
