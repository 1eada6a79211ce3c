/* SPDX-License-Identifier: Apache-2.0 */
/* hold: reasons for which a consumer gets no deliveries although it has credit: it is paused, it
 * stands by for another, or it has its rate or its bytes. Private to dataplane/queue.
 *
 * A held consumer has a prefetch of 0, so choosing and settling need not know the reasons. A
 * consumer without any of these options is looked at in one test of `special`.
 *
 *   paused            by an operator or by the program, until resumed
 *   standby           single_active: the others, in the order of their arrival
 *   stalled           single_active: the active one let a delivery time out, until it is heard
 *   rate              token bucket: rate per second, burst 100 ms, at least one token
 *   bytes             until fewer bytes are unsettled; one message always goes
 *
 * With single_active the active consumer passes its part on when it is removed, has left, is paused
 * or has stalled, but only when it has no delivery: so the messages stay in order.
 *
 * Threads   One: the home worker.
 * Hot path  delivered, ended: no allocation; the other functions are cold.
 */
#ifndef MILLRACE_QUEUE_HOLD_H
#define MILLRACE_QUEUE_HOLD_H

#include "dataplane/queue/engine.h"

/* Reasons to look at a consumer with each delivery and settlement. */
enum mr_consumer_special {
	MR_SPECIAL_TRAIN = 1, /* fragments are being sent */
	MR_SPECIAL_RATE = 2,
	MR_SPECIAL_BYTES = 4,
	MR_SPECIAL_SOLE = 8,   /* the active consumer of a queue that has one */
	MR_SPECIAL_LEASE = 16, /* some of its deliveries are leased */
	MR_SPECIAL_ACKS = 32,  /* some of its deliveries are acked, and not ended yet (later.h) */
};

/* Reasons for which a consumer gets no deliveries. */
enum mr_consumer_hold {
	MR_HOLD_LEFT = 1, /* it gave all back */
	MR_HOLD_OPERATOR = 2,
	MR_HOLD_ITSELF = 4,
	MR_HOLD_STANDBY = 8,
	MR_HOLD_STALLED =
		16, /* the active consumer let a delivery time out, and another stands by */
	MR_HOLD_RATE = 32,
	MR_HOLD_BYTES = 64,
};

/* The wishes of a ConsumeRequest. */
struct mr_consumer_wish {
	uint64_t session;
	uint32_t subscription;
	uint32_t prefetch;
	uint32_t weight;
	bool recalls;
	bool says_handed;
	bool paused;
	uint32_t rate;
	uint32_t prefetch_bytes;
	struct mrf_string tag;
};

/* Lets the delivery time out in lease_ms instead of the queue's time-out, which must not be longer.
 * A consumer has at most MR_QUEUE_LEASES_MAX of these; any further one is as a touch. */
#define MR_QUEUE_LEASES_MAX   64u
#define MR_QUEUE_LEASE_MS_MAX 86400000u
void mr_delivery_lease(struct mr_queues *q, struct mr_queue_delivery *d, uint32_t lease_ms);

/* Sets or clears one reason, and updates the consumer's credit. */
void mr_hold_set(
	struct mr_queues *q, struct mr_queue_consumer *c, enum mr_consumer_hold hold, bool on);
/* Applies the pause, rate and bytes of a request, and the prefetch in c->prefetch_asked. */
void mr_hold_wish(
	struct mr_queues *q, struct mr_queue_consumer *c, const struct mr_consumer_wish *wish);
/* Replaces the tag. -ENOMEM: it keeps the former one. */
int mr_hold_tag(struct mr_queues *q, struct mr_queue_consumer *c, struct mrf_string tag);
/* The consumer has joined its queue, or has left it. */
void mr_hold_join(struct mr_queues *q, struct mr_queue_consumer *c);
void mr_hold_leave(struct mr_queues *q, struct mr_queue_consumer *c);

/* For a consumer with something special: it was given a delivery; one has ended; one is overdue. */
void mr_hold_delivered(struct mr_queues *q, const struct mr_queue_delivery *d);
void mr_hold_ended(struct mr_queues *q, const struct mr_queue_delivery *d);
/* Sends no more fragments of the delivery that is being sent. */
void mr_hold_end_train(struct mr_queues *q, struct mr_queue_consumer *c);
void mr_hold_overdue(struct mr_queues *q, const struct mr_queue_delivery *d);
/* The consumer was heard after some of its deliveries were overdue. */
void mr_hold_heard(struct mr_queues *q, struct mr_queue_consumer *c);
/* A delivery has timed out. */
void mr_hold_timed_out(struct mr_queues *q, struct mr_queue_consumer *c);
/* Gives a consumer that is held for its rate what came since. */
void mr_hold_on_timer(struct mr_queues *q, struct mr_queue_consumer *c);

/* The queue's option single_active has changed. */
void mr_hold_single_changed(struct mr_queues *q, struct mr_queue *queue);
/* True for a consumer of this session, or with this tag. An empty tag, or session 0, fits none. */
bool mr_hold_is_meant(const struct mr_queue_consumer *c, uint64_t session, struct mrf_string tag);
/* Pauses or resumes, for an operator, the consumers with this tag and those of this session;
 * returns how many there are. An empty tag, or session 0, fits none. */
uint32_t mr_hold_operator(struct mr_queues *q, struct mr_queue *queue, uint64_t session,
	struct mrf_string tag, bool paused);
/* Returns an enum mrf_consumer_state. */
uint8_t mr_hold_state(const struct mr_queue_consumer *c);

#endif
