/* SPDX-License-Identifier: Apache-2.0 */
/* model_message: what the model knows of a message. Private to the model.
 *
 *   model.c       places, deliveries, settlements
 *   model_edit.c  options that are edited
 *   model_full.c  messages that make room
 *   model_key.c   keys
 *   model_letter.c  dead letters
 *   model_retry.c   failed attempts
 *   model_time.c  times to live
 *
 * Units     Milliseconds of the queues' clock.
 */
#ifndef MILLRACE_TESTS_SIM_MODEL_MESSAGE_H
#define MILLRACE_TESTS_SIM_MODEL_MESSAGE_H

#include "tests/sim/model.h"

#define WHOLE_BYTES 1200u /* surely sent without fragments */
#define SLACK_MS    3u    /* delay with which the bus notices a time-out */

enum state {
	NONE, /* the bus has not taken it */
	READY,
	PUT_OFF,
	OUT,
	DONE,
	DEAD,
	CANCELLED, /* by its ticket */
	DISPLACED, /* to make room: discarded */
	ENDED,     /* by its time to live: discarded, or dead */
	DOUBT,     /* settled, or to be delivered again: not known */
};

enum ending {
	ENDING_UNSURE,
	ENDING_DISCARDED,
	ENDING_DEAD,
};

/* Where a message has its key. */
enum key_how {
	KEY_OPTION, /* an option of the push, if any */
	KEY_HEADER, /* a header, if the queue takes its keys from there */
	KEY_TOKEN,  /* a token of the subject, likewise */
};

struct message {
	unsigned queue;
	unsigned producer;
	uint32_t base; /* number in its body, if it was published: the copy in the first queue */
	uint64_t id;
	uint32_t bytes;
	unsigned priority; /* 0: first */
	enum state state;
	uint32_t number; /* number of the queue that took it */
	uint64_t place;  /* order in which it was taken */
	uint64_t taken_ms;
	uint64_t since_ms; /* ready or delayed until, or delivered since */
	uint64_t tag;
	uint64_t session;
	uint32_t subscription;
	uint64_t sent_order;
	uint64_t delivered_as; /* order too, but for Progress */
	bool renewed;          /* its progress was reported */
	uint32_t sends;
	uint32_t handed;
	uint32_t dead_read;
	uint32_t deliver_least; /* the least max_deliver since it was last surely there */
	bool was_too_old;       /* for an age limit that held before */
	bool accepted;
	bool published; /* first copy: the bus took the publish; it was accepted */
	bool publish_accepted;
	bool program_acked;
	bool program_rejected;
	/* its key; 0: none */
	unsigned key_given;
	enum key_how key_how;
	unsigned key; /* with the policy key-shared */
	/* its attempts and dead letters */
	uint32_t fails;    /* attempts that surely failed: nacks */
	uint32_t late_ms;  /* put off: by so much longer, perhaps */
	uint32_t error;    /* number in its error text; 0: none */
	bool error_unsure; /* a later one may have been kept */
	bool may_leave;    /* to make room, or it has done so */
	bool displaced;    /* surely */
	/* its delay */
	uint32_t delay_ms;
	uint64_t at_ms;  /* Unix time */
	bool ticketed;   /* its number is its ticket */
	bool cancelled;  /* or a copy of it */
	uint64_t due_ms; /* earliest end of the delay */
	/* its time to live */
	uint32_t ttl_ms;       /* 0: none */
	uint64_t began_min_ms; /* first fragments since it was last taken; 0: none */
	uint64_t began_max_ms;
	uint64_t ends_min_ms; /* earliest and latest end; UINT64_MAX: never */
	uint64_t ends_max_ms;
	bool ends_unsure; /* when_expired was edited near its end */
	enum ending ending;
};

extern struct message messages[MODEL_MESSAGES_MAX]; /* by number; 0: none */
extern uint32_t messages_count;
extern uint64_t model_sends; /* number of the last delivery */

/* Fails with the message's state if not ok. */
void model_check(bool ok, const struct message *m, const char *what);
static inline const struct model_queue *model_queue_with(const struct message *m)
{
	return &model_queues[m->queue];
}

static inline bool model_by_key(const struct model_queue *q)
{
	return q->holds.policy == MRF_QUEUE_POLICY_KEY_SHARED;
}

/* The bus takes a delivery back at its time-out, and when the message's time is over. */
bool model_timed_out(const struct message *m, uint64_t now_ms, uint64_t slack_ms);
/* True if it surely waits to be delivered, but for others of its key. */
bool model_surely_ready(const struct message *m, uint64_t now_ms);
/* True if it is beyond the age limit that holds. */
bool model_too_old(const struct message *m, uint64_t now_ms, uint64_t slack_ms);

/* True if its queue may have it. */
static inline bool model_may_wait(const struct message *m)
{
	return m->state == READY || m->state == PUT_OFF || m->state == OUT || m->state == DOUBT;
}

/* True if its time to live may be over; with a slack: if it surely is. */
static inline bool model_time_over(const struct message *m, uint64_t now_ms, uint64_t slack_ms)
{
	return slack_ms == 0 ? now_ms >= m->ends_min_ms
			     : m->ends_max_ms != UINT64_MAX && now_ms >= m->ends_max_ms + slack_ms;
}

/* True if it is delivered later. */
static inline bool model_has_delay(const struct message *m)
{
	return m->delay_ms != 0 || m->at_ms != 0;
}

void model_keys_open(void);
/* A new publish has the key of its subject. */
void model_key_of_publish(struct message *m, unsigned subject);
/* The queue took the message: it has its key. */
void model_key_taken(struct message *m);
/* The message is sent; `fragment`: the first fragment of it. */
void model_key_sent(
	const struct message *m, uint64_t session, uint32_t subscription, bool fragment);
/* Before the options are edited. */
void model_keys_edited(unsigned queue, uint32_t edits, const struct mrf_queue_options *values);

/* True if it may be dead, or discarded, because it made room. */
bool model_full_may_letter(const struct message *m);
bool model_full_may_discard(const struct message *m);

/* An attempt surely failed, by a nack with this delay: sets the back-off of the queue. */
void model_retry_failed(struct message *m, uint32_t own_delay_ms);
/* A settlement had an error text; `sure`: the bus has kept it. */
void model_error_kept(struct message *m, uint32_t error, bool sure);
void model_error_check(const struct message *m, uint32_t error);

void model_letters_open(void);
void model_letter_check(const struct message *m, const struct model_letter *l);
/* True if its dead letter may have been discarded; it is counted. */
bool model_letter_missing(const struct message *m);

void model_time_open(void);
/* The queue took the message, or a copy of it. */
void model_time_taken(struct message *m);
/* Ends the messages whose time is surely over. Call it when the bus has read its clock. */
void model_time_pass(void);
/* A settlement of `done` messages: none of them had ended. */
void model_time_settled(uint64_t session, uint64_t tag, uint64_t done);
/* when_expired is edited. */
void model_time_edited(struct message *m);
/* True if it may be dead, or discarded, because its time to live is over. */
bool model_time_may_letter(const struct message *m);
bool model_time_may_discard(const struct message *m);
void model_time_check_end(const struct message *m);

#endif
