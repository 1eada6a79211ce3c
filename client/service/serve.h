/* SPDX-License-Identifier: Apache-2.0 */
/* service: requests in hand of those who serve, what they answer, and their signs of life. Private
 * to the library.
 *
 *   bus ──▶ consumer.c ──▶ service.c: a request in hand ──▶ callback ──▶ mr_respond* ──▶ Reply, or Settle
 *                             ▲ Part, Credit of its caller
 *
 * A request in hand stands in the slot that consumer.c gave its tag, so answering finds it at once;
 * what the bus says of one that is a stream, by its own tag, finds it through a table of hashes.
 *
 * Owns      A client owns its services; a service its consumer, and what is in hand.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_SERVICE_SERVE_H
#define MILLRACE_CLIENT_SERVICE_SERVE_H

#include "client/queue/consumer.h"

struct mr_in_hand {
	uint64_t tag;     /* as the program has it; 0: none */
	uint64_t bus_tag; /* as the bus has it */
	uint64_t correlation;
	uint32_t queue; /* number of the service; a request may come before the answer to READY */
	uint32_t room;  /* partial replies that may be sent */
	uint32_t taken; /* parts since we last granted more */
	uint32_t next;  /* slot + 1, of the same hash */
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
	uint32_t *buckets; /* slot + 1; as many as works */
};

/* A Part or Credit for one who serves. Returns how many were handed out. */
unsigned mr_service_received(struct mr_client *c, const struct mr_message_view *m);
void mr_services_free(struct mr_client *c);

#endif
