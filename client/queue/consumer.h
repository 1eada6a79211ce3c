/* SPDX-License-Identifier: Apache-2.0 */
/* consumer: consumers of queues: deliveries handed out, and settlements sent in batches.
 *
 *   bus ──▶ dispatch.c ──▶ consumer.c ──▶ callback, or mr_pull ──▶ Settle, many at once
 *
 *   consumer.c  handing out, gathering settlements, opening     settle.c  mr_ack, mr_nack, mr_give_back
 *   renew.c     deliveries that are held for long, recalls
 *
 * Owns      A client owns its consumers; they stand in its table of subscriptions.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_QUEUE_CONSUMER_H
#define MILLRACE_CLIENT_QUEUE_CONSUMER_H

#include "client/core/deferred.h"
#include "client/core/part.h"

struct mr_control_answer;

/* A delivery that was handed out and is to be settled by mr_ack or mr_nack. What is handed out as its tag is the
 * slot's number and serial: old ones find nothing, and nothing is searched. */
struct mr_unsettled {
	uint64_t tag;    /* the bus's */
	uint64_t serial; /* 0: free */
	uint32_t next_free;
	bool recalled; /* taken back: settling it says so */
};
#define MR_UNSETTLED_SLOT_BITS 16u

#define MR_SETTLEMENTS_MAX 64u

struct mr_consumer {
	struct mr_subscription base; /* first: what the table of subscriptions points to */
	struct mr_client *client;
	uint32_t queue; /* its number; 0: not known now */
	bool service;
	bool manual;
	uint32_t prefetch;
	uint32_t weight;
	uint32_t batch; /* acks gathered at most */
	uint32_t heartbeat_ms;
	uint32_t missed_max;
	mr_delivery_fn *callback;
	void *arg;
	/* In place of a callback: gets the view too, and what settles it. Of services. */
	void (*hook)(struct mr_consumer *k, const struct mr_delivery *d,
		const struct mr_message_view *m);
	/* It is lost (queue 0), with all that was delivered, or in place again. Of services. */
	void (*on_change)(struct mr_consumer *k);
	/* A delivery was taken back; it is in hand no more. Of services. */
	void (*on_recalled)(struct mr_consumer *k, uint64_t tag);
	uint64_t again_ns; /* when to ask for it again; 0: it is in place, or being asked for */

	/* The time of deliveries: renew.c. */
	uint32_t ack_timeout_ms; /* 0: the bus does not say */
	uint16_t max_deliver;    /* the same */
	bool renews;             /* all that is in hand, by itself */
	bool progressed;         /* the program said so of the one in hand: no row holds it */
	uint64_t renew_ns;       /* when what waits is renewed next */
	uint64_t acked_ns;       /* of a row that goes out for its age: by the cheap clock */
	mr_recall_fn *on_recall;
	void *recall_arg;

	/* Settlements that did not go out yet, in order; acked_to is the last of them. */
	struct mr_consumer *dirty_next;
	bool dirty;
	uint64_t acked_to; /* by AckUpTo; 0: none */
	uint32_t acked;    /* gathered in it */
	uint32_t settlements_count;
	uint32_t settlements_room;
	struct mrf_settlement *settlements;

	/* Without `manual`: the one in hand, and whether it is settled. */
	uint64_t current;
	uint8_t spared; /* deliveries of it before that were no attempts */
	/* The bus's tag of the last of which Handed was said, while no settlement of it was gathered; 0: none. It stands
	 * for those behind it too, but not for one that was out before: that may be what ends programs. */
	uint64_t said;
	bool said_again; /* it was out before: its outcome is told at once */
	/* With it. */
	struct mr_unsettled *unsettled;
	uint32_t unsettled_room;
	uint32_t unsettled_free; /* UINT32_MAX: none */
	uint64_t unsettled_serial;

	/* Deliveries for mr_pull that came within another call. */
	struct mr_deferred *fifo_first;
	struct mr_deferred **fifo_end;
	uint32_t fifo_count;

	struct mr_queue_options options;
	char name[MR_SUBJECT_BYTES + 1];
};

static inline struct mr_consumer *mr_consumer_of(struct mr_subscription *s)
{
	return s->consumes ? (struct mr_consumer *)s : NULL;
}

/* A consumer to fill in with callback or hook, and to open, which frees it when it fails. */
int mr_consumer_new(struct mr_client *c, bool service, const char *name,
	const struct mr_consume_options *options, struct mr_consumer **out);
int mr_consumer_open(struct mr_consumer *k);
uint32_t mr_consumer_encode(const struct mr_consumer *k, uint8_t *to, uint32_t room);
int mr_consumer_opened(struct mr_consumer *k, const struct mr_control_answer *a);
/* A delivery, at `at` or put together in `whole`, which it takes. Returns how many were handed out, or wait
 * for mr_pull now. */
unsigned mr_consumer_take(struct mr_consumer *k, const uint8_t *at, const struct mr_message_view *m,
	struct mr_deferred *whole);
/* One that was set aside is handed out now. */
void mr_consumer_hand_out(struct mr_consumer *k, const struct mr_message_view *m);
/* The bus's tag of a delivery in hand; false: it is not, any more. `settled`: it will not be from now on. */
bool mr_consumer_tag(struct mr_consumer *k, uint64_t tag, bool settled, uint64_t *bus_tag);
/* Says what became of a delivery by the bus's tag, with the next flush. */
void mr_consumer_settle(
	struct mr_consumer *k, uint64_t bus_tag, enum mrf_settle_verb verb, uint32_t delay_ms);
/* The client is closed: what is in hand is given back. */
void mr_consumers_leave(struct mr_client *c);
/* The bus says that it is no more. */
void mr_consumer_disconnected(struct mr_client *c, uint32_t subscription);
void mr_consumer_free(struct mr_consumer *k);
/* Sends what was gathered of one, as far as there is room. */
void mr_consumer_flush(struct mr_consumer *k);
/* Takes a delivery that waits for mr_pull away; false: none has this tag. */
bool mr_consumer_drop_waiting(struct mr_consumer *k, uint64_t bus_tag);

extern const struct mr_part mr_consumer_part;

/* renew.c */

void mr_renew_opened(struct mr_consumer *k, const struct mr_control_answer *a);
/* Says progress of what waits, if it is time. */
void mr_renew_step(struct mr_consumer *k, uint64_t now_ns);
/* A Recall. */
void mr_renew_recalled(struct mr_client *c, const struct mr_message_view *m);
extern const struct mr_part mr_renew_part;

#endif
