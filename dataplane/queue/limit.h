/* SPDX-License-Identifier: Apache-2.0 */
/* limit: limits what one host or user may take of the tables and the memory of a worker's queues,
 * and removes idle queues to make room. Private to dataplane/queue.
 *
 * Owns      The counts of all peers.
 * Threads   One: the home worker.
 */
#ifndef MILLRACE_QUEUE_LIMIT_H
#define MILLRACE_QUEUE_LIMIT_H

#include "lib/base/share.h"
#include "dataplane/queue/queue.h"

struct mr_queue;
struct mr_queue_client;

struct mr_queue_limits {
	struct mr_shares shares;
	/* Separate tables, so that filling one takes no count from the others. */
	struct mr_shares accounts; /* bytes in the store, for each peer */
	struct mr_shares withheld; /* withheld pushes, for each session and queue */
	struct mr_share_bound queues;
	struct mr_share_bound consumers;    /* on all queues */
	struct mr_share_bound consumers_of; /* on one queue */
	struct mr_share_bound publishers;
	struct mr_share_bound memory; /* bytes of entries */
	struct mr_share_bound schedules;
	uint32_t queues_count;
	uint32_t consumers_count; /* without those of MR_PEER_OWN */
	struct mr_queue *idle_head;
	struct mr_queue *idle_tail;
	const char *why; /* the limit of the last refusal, in words; NULL: none */
};

/* -EIO, -ENOMEM. */
int mr_limits_init(struct mr_queues *q);
void mr_limits_fini(struct mr_queues *q);
uint64_t mr_limit_peer(struct mr_queues *q, uint64_t session);
/* Checks that the client, or if NULL the operator, may make another queue. If there is no room, the
 * queue that has been idle longest is removed. -EDQUOT: the peer has its share; -ENOSPC. */
int mr_limit_make(struct mr_queues *q, const struct mr_queue_client *client);
/* Removes the queue that has been idle longest, to make room in the store. False: none may be
 * removed. */
bool mr_limit_make_room(struct mr_queues *q);
/* Count a queue for a peer, and for the client that made it. Dead letters share the count of their
 * queue, and get their own when the queue is removed. */
void mr_limit_made(struct mr_queues *q, struct mr_queue *queue, uint64_t peer);
void mr_limit_made_by(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_client *client);
void mr_limit_uncount(struct mr_queues *q, struct mr_queue *queue);
void mr_limit_removed(struct mr_queues *q, struct mr_queue *queue);
/* Removes the client's queues that nobody ever used. False: there are more to examine. */
bool mr_limit_maker_closed(struct mr_queues *q, struct mr_queue_client *client);
/* Lists the queue as idle if it is empty and without consumers. */
void mr_limit_idle(struct mr_queues *q, struct mr_queue *queue);
/* Count one more consumer of the queue (-EDQUOT, -ENOSPC), and one less. */
int mr_limit_consumer(
	struct mr_queues *q, const struct mr_queue *queue, const struct mr_queue_client *client);
void mr_limit_consumer_gone(
	struct mr_queues *q, const struct mr_queue *queue, const struct mr_queue_client *client);
/* Returns how many publishers may be remembered before another of that peer displaces the
 * oldest. */
uint32_t mr_limit_publishers_max(const struct mr_queues *q, uint64_t peer);
/* Count one more remembered publisher (false: the peer has its share), and one less. */
bool mr_limit_publisher(struct mr_queues *q, uint64_t peer);
void mr_limit_publisher_gone(struct mr_queues *q, uint64_t peer);
/* Count one more schedule (0, or the StatusCode), and one less. */
uint32_t mr_limit_schedule(struct mr_queues *q, uint64_t peer);
void mr_limit_schedule_gone(struct mr_queues *q, uint64_t peer);
/* Count a client's pushes that the queue has and has not accepted: how many; one more, if it can be
 * counted; some less. */
uint64_t mr_limit_withheld(
	const struct mr_queues *q, uint64_t session, const struct mr_queue *queue);
bool mr_limit_withhold(struct mr_queues *q, uint64_t session, const struct mr_queue *queue);
void mr_limit_withheld_gone(
	struct mr_queues *q, uint64_t session, const struct mr_queue *queue, uint32_t count);
/* Counts one more client in the account of the peer's use of the store, and returns the account; 0:
 * it needs none. The other function counts one client less. */
uint32_t mr_limit_account(struct mr_queues *q, uint64_t peer);
void mr_limit_account_gone(struct mr_queues *q, uint32_t account);
/* True if the account of the peer has no room for `bytes` more. */
bool mr_limit_account_full(
	const struct mr_queues *q, uint32_t account, uint64_t peer, uint32_t bytes);
/* Checks that a client with an account may put `bytes` more into the store: 0, or the
 * StatusCode. */
uint32_t mr_limit_memory(
	const struct mr_queues *q, const struct mr_queue_client *client, uint32_t bytes);

#endif
