/* SPDX-License-Identifier: Apache-2.0 */
/* ticket: finds waiting entries of a queue by the numbers that their producers gave them.
 *
 *   ticket ──hash──▶ bucket ─▶ entry ─▶ entry      1,024 buckets a chunk of the store
 *
 * Linear hashing (Litwin, VLDB 1980): with each entry more than there are buckets one bucket is
 * split, so the table grows without a pause. Entries without a ticket are not in it.
 *
 * Owns      The chunks of the table. A link is the `up` of an entry's time.
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_TICKET_H
#define MILLRACE_QUEUE_TICKET_H

#include "dataplane/queue/engine.h"

/* Copies with one ticket that a queue takes of one account: a push may be repeated after a lost
 * session. */
#define MR_TICKET_COPIES_MAX 8u
#define MR_TICKET_CHUNK      1024u /* buckets of a chunk */
#define MR_TICKET_CHUNKS_MAX 512u

struct mr_tickets {
	uint64_t count;
	uint32_t buckets; /* in use */
	uint32_t *chunks[MR_TICKET_CHUNKS_MAX];
};

uint64_t mr_entry_ticket(struct mr_queue_entry *e);
/* Checks that the queue can take another entry of the account with the ticket, and makes its table:
 * 0, or the StatusCode. Others may use the same number: they cannot take it away from anybody. */
uint32_t mr_ticket_admit(
	struct mr_queues *q, struct mr_queue *queue, uint64_t ticket, uint32_t account);
/* Adds a waiting entry; mr_ticket_admit was called. */
void mr_ticket_add(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
void mr_ticket_remove(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e);
/* Returns the entry after `last` with the ticket; NULL: there is none. `last` NULL: the first. */
struct mr_queue_entry *mr_ticket_find(const struct mr_queues *q, const struct mr_queue *queue,
	uint64_t ticket, struct mr_queue_entry *last);
/* Forgets all entries, and frees the table. */
void mr_tickets_free(struct mr_queues *q, struct mr_queue *queue);

#endif
