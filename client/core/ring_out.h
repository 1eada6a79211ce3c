/* SPDX-License-Identifier: Apache-2.0 */
/* ring_out: room in the rings to the bus, and publishing their tails.
 *
 * The up ring takes best-effort messages. The promised ring takes messages that must not be lost on
 * the way: control requests, promised messages, and those of queues and services. Over shared
 * memory both are the same ring. Over UDP the promised ring feeds the reliable flow; order holds
 * within each ring, not between them.
 *
 * Owns      Room belongs to the caller until the next call that asks for room; it counts once it is
 *           pushed.
 * Threads   The client's.
 * Ordering  lib/ring/bytes.h.
 */
#ifndef MILLRACE_CLIENT_CORE_RING_OUT_H
#define MILLRACE_CLIENT_CORE_RING_OUT_H

#include "client/core/state.h"

/* Unpublished bytes at which the tail is published, corked or not. */
#define MR_UNPUBLISHED_BYTES_MAX (64u << 10)

/* Returns -EDEADLK or -ENOTCONN, with the error text: a claim is open, or the client is not
 * connected. */
int mr_ring_out_refused(struct mr_client *c);
/* Returns -EDEADLK (release 0.1.0: -EBUSY): the program must end something first. */
int mr_ring_out_not_now(struct mr_client *c, const char *text);
/* Returns the time until which a call that begins now waits for room. */
uint64_t mr_ring_out_deadline_ns(const struct mr_client *c);
/* Returns the room for a record, or NULL; publishes the tail if that may help. */
uint8_t *mr_ring_out_room(struct mr_client *c, uint32_t bytes);
/* Waits for room. NULL: mr_error and *error say why. */
uint8_t *mr_ring_out_room_wait(
	struct mr_client *c, uint32_t bytes, uint64_t deadline_ns, int *error);
/* Waits a little for the bus to make room. *rounds counts the calls, from 0. */
void mr_ring_out_pause(struct mr_client *c, unsigned *rounds);
/* Publishes the tails of both rings and wakes the bus if it sleeps. */
void mr_ring_out_publish(struct mr_client *c);

static inline void mr_ring_out_pushed(struct mr_client *c, size_t bytes)
{
	mr_bytes_push(&c->up, bytes);
	if (!c->corked || c->up.tail - c->up.tail_out >= MR_UNPUBLISHED_BYTES_MAX)
		mr_ring_out_publish(c);
}

/* Publishes the tails if some bytes are not published yet. */
static inline void mr_ring_out_publish_rest(struct mr_client *c)
{
	if (c->state == MR_STATE_LOST)
		return;
	if (c->up.tail != c->up.tail_out || c->promised->tail != c->promised->tail_out)
		mr_ring_out_publish(c);
}

/* Promised ring: */
/* Publishes the tail, or asks the bus, if that may make room. */
uint8_t *mr_ring_promised_make_room(struct mr_client *c, uint32_t bytes);
/* Returns the room for a record, or NULL. */
static inline uint8_t *mr_ring_promised_room(struct mr_client *c, uint32_t bytes)
{
	uint8_t *to = mr_bytes_claim(c->promised, mr_message_stride(bytes));

	return mr_likely(to != NULL) ? to : mr_ring_promised_make_room(c, bytes);
}

uint8_t *mr_ring_promised_room_wait(
	struct mr_client *c, uint32_t bytes, uint64_t deadline_ns, int *error);
/* Returns the bytes pushed that the bus has not taken yet. 0: nothing of this session can be lost
 * any more. */
uint64_t mr_ring_promised_backlog(struct mr_client *c);

static inline void mr_ring_promised_pushed(struct mr_client *c, size_t bytes)
{
	mr_bytes_push(c->promised, bytes);
	if (!c->corked || c->promised->tail - c->promised->tail_out >= MR_UNPUBLISHED_BYTES_MAX)
		mr_ring_out_publish(c);
}

/* Returns the ring's tail, which counts up over the session. Once mr_ring_promised_taken has
 * reached a tail, the bus has taken everything pushed before it. */
static inline uint64_t mr_ring_promised_tail(const struct mr_client *c)
{
	return c->promised->tail;
}

static inline uint64_t mr_ring_promised_taken(struct mr_client *c)
{
	return c->promised->tail - mr_ring_promised_backlog(c);
}

#endif
