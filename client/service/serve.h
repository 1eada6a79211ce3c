/* SPDX-License-Identifier: Apache-2.0 */
/* serve: requests that a service has in hand, and its answers. Private to the library.
 *
 *   bus ──▶ consumer.c ──▶ request in hand ──▶ callback ──▶ mr_respond* ──▶ Reply, or Settle
 *                               ▲ Part, Credit of its caller
 *
 * A request in hand stands in the slot that consumer.c gave its tag, so an answer finds it at once.
 * Messages of the bus for a stream name the bus's own tag, which finds the request through a hash
 * table.
 *
 * Owns      A client owns its services; a service owns its consumer and its requests in hand.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_SERVICE_SERVE_H
#define MILLRACE_CLIENT_SERVICE_SERVE_H

#include "client/queue/consumer.h"

struct mr_in_hand {
	uint64_t tag;     /* the program's tag; 0: free */
	uint64_t bus_tag; /* the bus's tag */
	uint64_t correlation;
	uint32_t queue; /* the service's number; a request may precede the answer to the opening */
	uint32_t room;  /* partial replies that may be sent */
	uint32_t taken; /* parts since the last grant */
	uint32_t next;  /* slot + 1 of the next with the same hash */
	bool more;      /* parts follow */
	bool linked;    /* found by bus_tag: its caller may send parts, or take partial replies */
};

struct mr_service {
	struct mr_consumer *consumer;
	struct mr_client *client;
	struct mr_service *next;
	mr_work_fn *callback;
	mr_part_fn *on_part;
	void *arg;
	uint32_t window;
	uint32_t works_room; /* power of two */
	struct mr_in_hand *works;
	uint32_t *buckets; /* slot + 1; as many entries as works */
};

/* Handles a Part or Credit for a service. Returns how many were handed out. */
unsigned mr_service_received(struct mr_client *c, const struct mr_message_view *m);
void mr_services_free(struct mr_client *c);

#endif
