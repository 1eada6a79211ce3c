/* SPDX-License-Identifier: Apache-2.0 */
/* model: the simple statement of the properties of queues, checked at every event.
 *
 *   Each message is in one place: ready, delayed, delivered to one consumer, done, or dead.
 *   Among the messages that are surely ready the first goes first: by priority, then by age.
 *   Messages of one key go to one consumer, in order; a key that waits does not stop the others.
 *   Where old messages make room, they are the oldest ones of the lowest priority.
 *   No message is delivered while its queue is paused, before its time has come, before the delay
 *   of a nack ends, or twice at once.
 *   The ack of a current delivery is taken. A program gets the pushed message, byte for byte.
 *   No message is sent after its time to live. Then it is discarded, or dead, exactly once.
 *   In the end each accepted message is done, or dead for a reason that holds.
 *
 * The bus learns some things later than the model: that a session ended, that a delivery timed out.
 * Until then a message is in doubt, and only properties that hold either way are checked.
 *
 * Threads   The world's and its processes'.
 */
#ifndef MILLRACE_TESTS_SIM_MODEL_H
#define MILLRACE_TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flatbuf/link.h"
#include "flatbuf/wire.h"
#include "lib/wire/message.h"

#define MODEL_QUEUES_MAX   4u
#define MODEL_MESSAGES_MAX 6144u
#define MODEL_BYTES_MAX    6000u
#define MODEL_KEYS         6u /* keys of pushes, from 1 */
#define MODEL_KEYS_MAX     (MODEL_KEYS + 4u)
#define MODEL_KEY_STUCK    1u /* some consumers never settle it */

/* Places of dead letters, as bits. */
enum model_letters {
	LETTERS_DEFAULT = 1,
	LETTERS_NONE = 2,
	LETTERS_WAIT = 4,   /* a queue with a limit, which waits */
	LETTERS_REFUSE = 8, /* that discards more */
	LETTERS_DROP = 16,  /* that makes room by the oldest */
};

struct model_queue {
	char name[32];
	struct mrf_queue_options asked; /* by the programs, always */
	struct mrf_queue_options holds; /* the options after all edits */
	uint32_t edited;                /* enum mrf_queue_option */
	uint64_t single_since; /* number of the first delivery that single_active holds for */
	uint32_t expirations;  /* 1 << enum mrf_queue_expired: those that ever held */
	uint32_t fulls;        /* 1 << enum mrf_queue_full, likewise */
	uint32_t letters;      /* those that ever held */
	enum model_letters letters_kind; /* the named one's */
	bool letters_named;
	bool retries; /* has a back-off, or had one */
	bool exactly_once;
	bool times;      /* some messages have a time to live */
	bool delays;     /* some messages are delivered later */
	bool keys;       /* most messages have a key */
	bool key_header; /* key_from: "header Order" */
	bool key_token;  /* key_from: "token 3" */
	bool paused;
	uint32_t number; /* number that the bus gave it when it was last opened */
};

extern struct model_queue model_queues[MODEL_QUEUES_MAX];
extern unsigned model_queues_count;

void model_open(void);

/* Programs call these. Returns the number of the producer's new message, whose body model_body
 * writes; 0: there is no room for more. `ttl_ms`: 0: no limit. */
uint32_t model_new(
	unsigned queue, unsigned producer, uint64_t id, unsigned priority, uint32_t ttl_ms);
/* Adds a publish: a message that each queue may have. */
uint32_t model_new_publish(unsigned producer, uint64_t id, unsigned subject);
/* The bus took the publish, for the queues that were bound; it is accepted. */
void model_publish_taken(uint32_t number);
void model_publish_accepted(uint32_t number);
/* Returns the number of the message with that body in the queue. */
uint32_t model_copy(uint32_t number, unsigned queue);
size_t model_body(uint32_t number, uint8_t to[MODEL_BYTES_MAX]);
uint64_t model_id(uint32_t number);
unsigned model_priority(uint32_t number);
uint32_t model_ttl_ms(uint32_t number);
/* Gives a message that was not pushed yet a key, 1 to MODEL_KEYS, as an option or in a header. */
void model_key_give(uint32_t number, unsigned key, bool in_header);
/* Returns that key, or 0. */
unsigned model_key_given(uint32_t number, bool *in_header);
/* Returns the key that it has in its queue, or 0. */
unsigned model_key(uint32_t number);
/* The bus's clock is about to step: what it has reached stays due. */
void model_clock_steps(void);
/* Sets the delay of a message that was not pushed yet: a time from the receipt, or Unix time. */
void model_delay(uint32_t number, uint32_t delay_ms, uint64_t at_ms);
uint32_t model_delay_ms(uint32_t number);
/* Gives a message with a delay a ticket: its number. */
void model_ticket(uint32_t number);
bool model_has_ticket(uint32_t number);
/* The bus answered a request to cancel it; a program got the answer 0. */
void model_withdrawn(uint32_t number, int code);
void model_cancel_told(uint32_t number);
uint64_t model_at_ms(uint32_t number);
unsigned model_queue_of(uint32_t number);
/* Returns the number in a body. */
uint32_t model_number(const void *body, size_t bytes);
/* The producer learned the outcome. */
void model_outcome(uint32_t number, int error);
/* A program got the complete message; and settled it. */
void model_handed(uint32_t number, const void *body, size_t bytes, unsigned queue);
void model_program_acked(uint32_t number);
void model_program_rejected(uint32_t number);
/* A dead letter, from its lines. */
struct model_letter {
	const char *reason;
	size_t reason_bytes;
	const char *queue;
	size_t queue_bytes;
	uint32_t attempts;
	uint32_t error; /* number in the error text; 0: none */
	bool has_time;
	bool named; /* from a place that was named for it */
};
/* A dead letter was read. */
void model_dead(uint32_t number, const struct model_letter *l);
/* Returns the number in the error text of a header block; 0: it has none. */
uint32_t model_error_of(const void *block, size_t bytes);
/* True if dead letters of the queue may wait in it: a place that makes room by its oldest takes
 * none either while the memory of its worker is used up. */
bool model_letters_wait(unsigned queue);
/* At the end: so many dead letters were discarded. */
void model_letters_finish(uint64_t lost);

/* The bus calls these. A queue was opened by its name. */
void model_named(const char *name, size_t bytes, uint32_t number);
/* A first fragment came; the queue took the complete message. */
void model_began(uint32_t number);
void model_taken(uint32_t number);
void model_sent(uint64_t session, const struct mr_message_plan *plan, uint32_t target);
/* `error`: the number in its error text; `kept`: the bus has kept that. */
void model_settled(uint64_t session, const struct mrf_settlement *s, uint64_t acked, uint64_t dead,
	uint32_t error, bool kept);
void model_cancelled(uint64_t session, uint32_t subscription);
/* The options named in `edits` were set to those of *values. */
void model_edited(unsigned queue, uint32_t edits, const struct mrf_queue_options *values);
/* The bus reports how long the oldest message of a queue has waited. */
void model_oldest(unsigned queue, uint64_t oldest_ms);

/* Applies an edit to the options *o. */
void model_options_set(
	struct mrf_queue_options *o, uint32_t edits, const struct mrf_queue_options *values);
/* The push of `number`, or, if that is 0, the bus's care for the limits, made messages leave:
 * discarded, or dead. */
void model_left(unsigned queue, uint32_t number, uint64_t discarded, uint64_t dead);
/* Some that are ready may leave now as dead letters: nobody says how many. */
void model_may_leave(unsigned queue);
/* True if a message was sent to the session within the time in which a consumer keeps its keys. */
bool model_took_lately(uint64_t session);
/* Call it now and then. `goes_on`: a consumer has room, and those without have taken nothing for
 * so long that they must have lost their waiting keys. */
void model_keys_watch(unsigned queue, bool goes_on);

/* Returns the most messages that the queue may hold. Call it when the bus has read its clock. */
uint64_t model_live(unsigned queue);

/* Checks the end of a run, when everything was drained. */
void model_finish(void);

#endif
