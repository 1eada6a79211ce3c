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
#ifndef MILLRACE_CLIENT_QUEUE_H
#define MILLRACE_CLIENT_QUEUE_H

#include "client/outbox.h"

/* promise.c: of a publisher that promises. */
/* Room for one record behind everything that was given before; NULL: not now. mr_outbox_placed takes it. */
uint8_t *mr_promise_place(struct mr_publisher *p, uint32_t bytes);
/* Closes its outbox. */
void mr_promise_close(struct mr_publisher *p);

/* queue.c */

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
int mr_queue_opened(struct mr_queue *q, const struct mr_answer *a);
/* An Accepted message. */
void mr_queue_accepted(struct mr_client *c, const struct mr_message_view *m);
void mr_queue_free(struct mr_queue *q);
/* Frees those that were closed within a callback; none is on the stack. */
void mr_queues_sweep(struct mr_client *c);
/* The table of options of a request. */
uint32_t mr_queue_options_write(struct mrf_builder *b, const struct mr_queue_options *options);
/* The number of a publisher that has this name, and counts its messages itself if next_id is not 0; NULL: one
 * made up. Never 0. */
uint64_t mr_publisher_number(struct mr_client *c, const char *name, uint64_t next_id);

/* consumer.c */

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
	struct mr_aside *fifo_first;
	struct mr_aside **fifo_end;
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
int mr_consumer_opened(struct mr_consumer *k, const struct mr_answer *a);
/* A delivery, at `at` or put together in `whole`, which it takes. Returns how many were handed out, or wait
 * for mr_pull now. */
unsigned mr_consumer_take(struct mr_consumer *k, const uint8_t *at, const struct mr_message_view *m,
	struct mr_aside *whole);
/* One that was set aside is handed out now. */
void mr_consumer_hand_out(struct mr_consumer *k, const struct mr_message_view *m);
/* The bus's tag of a delivery in hand; false: it is not, any more. `settled`: it will not be from now on. */
bool mr_consumer_tag(struct mr_consumer *k, uint64_t tag, bool settled, uint64_t *bus_tag);
/* Says what became of a delivery by the bus's tag, with the next flush. */
void mr_consumer_settle(
	struct mr_consumer *k, uint64_t bus_tag, enum mrf_settle_verb verb, uint32_t delay_ms);
/* The client is closed: what is in hand is given back. */
void mr_consumers_leave(struct mr_client *c);
/* Sends all settlements gathered, as far as there is room. */
void mr_consumers_flush(struct mr_client *c);
/* The session ended: nothing that was delivered can be settled any more. */
void mr_consumers_lost(struct mr_client *c);
/* The bus says that it is no more. */
void mr_consumer_disconnected(struct mr_client *c, uint32_t subscription);
void mr_consumers_step(struct mr_client *c, uint64_t now_ns);
void mr_consumer_free(struct mr_consumer *k);
/* Sends what was gathered of one, as far as there is room. */
void mr_consumer_flush(struct mr_consumer *k);
/* Takes a delivery that waits for mr_pull away; false: none has this tag. */
bool mr_consumer_drop_waiting(struct mr_consumer *k, uint64_t bus_tag);

/* renew.c */

void mr_renew_opened(struct mr_consumer *k, const struct mr_answer *a);
/* Says progress of what waits, if it is time. */
void mr_renew_step(struct mr_consumer *k, uint64_t now_ns);
void mr_renew_all(struct mr_client *c, uint64_t now_ns);
/* A Recall. */
void mr_renew_recalled(struct mr_client *c, const struct mr_message_view *m);

#endif
