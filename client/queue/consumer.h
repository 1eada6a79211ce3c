/* SPDX-License-Identifier: Apache-2.0 */
/* consumer: consumers of queues: deliveries handed out, and settlements sent in batches.
 *
 *   bus ──▶ dispatch.c ──▶ consumer.c ──▶ callback, or mr_pull ──▶ Settle, in batches
 *
 *   consumer.c       handing out, gathering settlements
 *   pull.c           mr_pull, and deliveries that wait for it
 *   batch.c          mr_pull_batch
 *   consumer_open.c  opening, and opening again
 *   settle.c         mr_ack, mr_nack, mr_give_back
 *   handover.c       mr_settle_and_push
 *   renew.c          deliveries that are held for long, recalls
 *   pause.c          mr_consumer_pause, mr_consumer_resume
 *
 * Owns      A client owns its consumers; they stand in its table of subscriptions.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_QUEUE_CONSUMER_H
#define MILLRACE_CLIENT_QUEUE_CONSUMER_H

#include "client/core/deferred.h"
#include "client/core/part.h"
#include "lib/wire/queue_key.h"
#include "lib/wire/queue_name.h"

struct mr_control_answer;

/* A delivery that was handed out and is to be settled by mr_ack or mr_nack. Its tag is the slot's
 * index and serial number, so that old tags find nothing and nothing is searched. */
struct mr_unsettled {
	uint64_t tag;    /* the bus's tag */
	uint64_t serial; /* 0: free */
	uint32_t next_free;
	bool recalled;    /* recalled by the bus; settling it says so */
	bool handed_over; /* a handover settles it, not the program */
};
#define MR_UNSETTLED_SLOT_BITS 16u

#define MR_SETTLEMENTS_MAX 64u
/* Prefetch of a consumer of a queue that asks for the bus's default. */
#define MR_CONSUMER_PREFETCH 10u

struct mr_consumer {
	struct mr_subscription base; /* first: the table of subscriptions points to it */
	struct mr_client *client;
	uint32_t queue; /* the queue's number; 0: not known now */
	bool service;
	bool manual;
	uint32_t prefetch;
	uint32_t weight;
	uint32_t batch; /* acks gathered at most */
	uint32_t heartbeat_ms;
	uint32_t missed_max;
	mr_delivery_fn *callback;
	void *arg;
	/* Services: called in place of the callback, with the view, and settles the delivery. */
	void (*hook)(struct mr_consumer *k, const struct mr_delivery *d,
		const struct mr_message_view *m);
	/* Services: the consumer was lost (queue 0), with all its deliveries, or is in place
	 * again. */
	void (*on_change)(struct mr_consumer *k);
	/* Services: the bus has recalled a delivery. */
	void (*on_recalled)(struct mr_consumer *k, uint64_t tag);
	uint64_t reopen_ns; /* time to open it again; 0: it is open, or being opened */

	/* Time of deliveries: renew.c. */
	uint32_t ack_timeout_ms; /* 0: the bus does not say */
	uint16_t max_deliver;    /* 0: the bus does not say */
	bool renews;             /* renews all deliveries in hand by itself */
	bool progressed;   /* progress was reported of the delivery in hand: it joins no row */
	uint64_t renew_ns; /* the next renewal */
	uint64_t acked_ns; /* time of the last row that went out for its age, by the coarse clock */
	mr_recall_fn *on_recall;
	void *recall_arg;

	/* Settlements that were not sent yet, in order; acked_to follows them. */
	struct mr_consumer *dirty_next;
	bool dirty;
	uint64_t acked_to; /* by AckUpTo; 0: none */
	uint32_t acked;    /* deliveries in it */
	uint32_t settlements_count;
	uint32_t settlements_room;
	struct mrf_settlement *settlements;

	/* The bus's tag of the delivery handed out last; 0: it is settled. */
	uint64_t current;
	uint8_t spared;   /* its earlier deliveries that do not count as attempts */
	uint8_t priority; /* its priority, as in Delivery */
	/* The bus's tag of the last delivery that was reported as Handed and has no settlement yet;
	 * 0: none. The report covers the deliveries behind it too, but not a redelivered one, which
	 * may be the message that crashes programs. */
	uint64_t handed_tag;
	bool handed_again; /* the delivery was redelivered: its outcome is sent at once */
	/* With `manual`. */
	struct mr_unsettled *unsettled;
	uint32_t unsettled_room;
	uint32_t unsettled_free; /* UINT32_MAX: none */
	uint64_t unsettled_serial;
	uint32_t handed_over; /* deliveries of handovers */

	/* Deliveries for mr_pull that arrived within another call. */
	struct mr_deferred *fifo_first;
	struct mr_deferred **fifo_end;
	uint32_t fifo_count;
	/* Messages that mr_pull_batch handed out last. */
	struct mr_message **kept;
	uint32_t kept_count;

	uint32_t rate; /* thousandths of a message a second; 0: no limit */
	uint32_t prefetch_bytes;
	uint32_t renew_max_ms; /* time of a delivery that is handed out; 0: the queue's */
	bool paused;
	uint32_t known; /* enum mrf_consume_option: what the bus obeys */
	struct mr_queue_options options;
	char tag[MR_QUEUE_TAG_BYTES_MAX + 1];
	char key_from[MR_QUEUE_KEY_FROM_MAX + 1];
	struct mr_queue_retry retry;
	uint32_t settle_options; /* bits of enum mrf_settle_option that the bus knows */
	uint32_t retry_delay_ms; /* of nacks without a delay, in a queue without a back-off */
	char name[MR_SUBJECT_BYTES + 1];
	char dead_letter[MR_SUBJECT_BYTES + 1]; /* empty: none was given */
};

static inline struct mr_consumer *mr_consumer_of(struct mr_subscription *s)
{
	return s->consumes ? (struct mr_consumer *)s : NULL;
}

/* Takes a delivery at `at`, or the reassembled `whole`, which it owns then. Returns how many were
 * handed out, or wait for mr_pull now. */
unsigned mr_consumer_take(struct mr_consumer *k, const uint8_t *at, const struct mr_message_view *m,
	struct mr_deferred *whole);
/* Hands out a delivery that was deferred. */
void mr_consumer_hand_out(struct mr_consumer *k, const struct mr_message_view *m);
/* Finds the bus's tag of a delivery in hand. False: it is not in hand any more. `settled`: frees
 * its slot. */
bool mr_consumer_tag(struct mr_consumer *k, uint64_t tag, bool settled, uint64_t *bus_tag);
/* True: a handover settles the delivery. */
bool mr_consumer_is_handed_over(const struct mr_consumer *k, uint64_t tag);
/* Gives a delivery in hand to a handover, takes it back, or frees its slot for the end. False: it
 * is not in hand any more. */
bool mr_consumer_hand_over(struct mr_consumer *k, uint64_t tag);
void mr_consumer_take_back(struct mr_consumer *k, uint64_t tag);
bool mr_consumer_end_handover(struct mr_consumer *k, uint64_t tag, uint64_t *bus_tag);
/* Gathers a settlement, by the bus's tag, for the next flush. */
void mr_consumer_settle(
	struct mr_consumer *k, uint64_t bus_tag, enum mrf_settle_verb verb, uint32_t delay_ms);
/* The same with all fields of the settlement given. */
void mr_consumer_settle_as(struct mr_consumer *k, const struct mrf_settlement *s);
/* The client is being closed: returns the deliveries in hand. */
void mr_consumers_leave(struct mr_client *c);
/* Drops all its deliveries and gathered settlements. */
void mr_consumer_forget(struct mr_consumer *k);
void mr_consumer_free(struct mr_consumer *k);
/* Sends the gathered settlements of one consumer, as far as there is room. */
void mr_consumer_flush(struct mr_consumer *k);
/* Sends all gathered settlements, as far as there is room. */
void mr_consumers_flush(struct mr_client *c);
/* Makes room for two settlements, one of them for a row of acks. False: no memory. */
bool mr_consumer_settlements_room(struct mr_consumer *k);
/* Makes the delivery that is handed out next. False: no memory; it went back to the bus. */
bool mr_consumer_prepare(
	struct mr_consumer *k, const struct mr_message_view *m, struct mr_delivery *out);
/* Gives a message that cannot be handed out back to the bus. */
void mr_consumer_send_back(struct mr_consumer *k, const struct mr_message_view *m);
/* Acks the delivery in hand, unless the program settles or has settled it. */
void mr_consumer_ack_current(struct mr_consumer *k);

/* pull.c */

static inline bool mr_consumer_is_pulled(const struct mr_consumer *k)
{
	return k->callback == NULL && k->hook == NULL;
}

/* Hands a delivery to mr_pull at once if it waits for one of this consumer; else queues it.
 * Parameters and result as of mr_consumer_take. */
unsigned mr_consumer_take_pulled(struct mr_consumer *k, const uint8_t *at,
	const struct mr_message_view *m, struct mr_deferred *whole);
/* Drops a delivery that waits for mr_pull. False: none has this tag. */
bool mr_consumer_drop_waiting(struct mr_consumer *k, uint64_t bus_tag);
/* Drops all of them. */
void mr_consumer_drop_pulled(struct mr_consumer *k);

/* batch.c */

void mr_consumer_drop_batch(struct mr_consumer *k);

/* consumer_open.c */

/* Makes a consumer; the caller sets callback or hook and opens it. mr_consumer_open frees it if it
 * fails. */
int mr_consumer_new(struct mr_client *c, bool service, const char *name,
	const struct mr_consume_options *options, struct mr_consumer **out);
int mr_consumer_open(struct mr_consumer *k);
uint32_t mr_consumer_encode(const struct mr_consumer *k, uint8_t *to, uint32_t room);
int mr_consumer_opened(struct mr_consumer *k, const struct mr_control_answer *a);
/* The bus has closed the consumer. */
void mr_consumer_disconnected(struct mr_client *c, uint32_t subscription);
extern const struct mr_part mr_consumer_part;

/* renew.c */

void mr_renew_opened(struct mr_consumer *k, const struct mr_control_answer *a);
/* Reports progress of waiting deliveries, if it is time. */
void mr_renew_step(struct mr_consumer *k, uint64_t now_ns);
/* Asks the bus for the longest time for a delivery that is handed out. */
void mr_renew_lease(struct mr_consumer *k, uint64_t bus_tag);
/* Handles a Recall message. */
void mr_renew_recalled(struct mr_client *c, const struct mr_message_view *m);
extern const struct mr_part mr_renew_part;

#endif
