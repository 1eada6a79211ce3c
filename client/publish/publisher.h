/* SPDX-License-Identifier: Apache-2.0 */
/* publisher: a subject that is resolved to a number once (an alias), and the fast ways to publish
 * to it.
 *
 *   publisher.c         opening and closing
 *   publisher_send.c    mr_publisher_send and its batch
 *   publisher_claim.c   writing in place: claim, commit, abort
 *   promise.c           publishers that promise, mr_settle
 *
 * Owns      A client owns its publishers.
 * Threads   The client's.
 * Errors    0 or -errno, with the client's error text.
 */
#ifndef MILLRACE_CLIENT_PUBLISH_PUBLISHER_H
#define MILLRACE_CLIENT_PUBLISH_PUBLISHER_H

#include <string.h>

#include "client/publish/publish.h"

uint32_t mr_publisher_encode(const struct mr_publisher *p, uint8_t *to, uint32_t room);
void mr_publisher_free(struct mr_publisher *p);
/* Frees publishers that were closed within callbacks. */
void mr_publishers_sweep(struct mr_client *c);

extern const struct mr_part mr_publisher_part;

/* promise.c */

/* Returns room for one record behind all earlier messages; NULL: not now. mr_outbox_placed takes
 * the room. */
uint8_t *mr_promise_place(struct mr_publisher *p, uint32_t bytes);
/* Closes the outbox of a publisher. */
void mr_promise_close(struct mr_publisher *p);

/* For publisher_send.c and publisher_claim.c: */

/* Writes the header of a message. */
static inline void mr_publisher_header_store(
	uint8_t *to, uint32_t bytes, const struct mr_publisher *p)
{
	struct mrf_message_header h = p->header;

	h.bytes = (uint16_t)bytes;
	memcpy(to, &h, sizeof(h));
}

/* Writes the next origin of a publisher that promises, behind the header. */
static inline void mr_publisher_origin_store(uint8_t *to, struct mr_publisher *p)
{
	const struct mrf_message_origin origin = {p->number, p->next_id++};

	if (p->number != 0)
		memcpy(to + sizeof(p->header), &origin, sizeof(origin));
}

/* Returns the largest payload: a delivery may have an origin beside its subject. */
static inline size_t mr_publisher_placed_bytes_max(const struct mr_publisher *p)
{
	size_t extra_bytes = p->head_bytes - sizeof(p->header);

	return p->body_bytes_max > extra_bytes ? p->body_bytes_max - extra_bytes : 0;
}

#endif
