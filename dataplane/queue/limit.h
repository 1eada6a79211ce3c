/* SPDX-License-Identifier: Apache-2.0 */
/* limit: what one host or user may have of the tables and the memory of a worker's queues, and which queues give way.
 * Private to dataplane/queue.
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
	/* Tables of their own: who fills them takes no count from others. */
	struct mr_shares accounts; /* bytes of the store, of each peer */
	struct mr_shares withheld; /* of each session and queue */
	struct mr_share_bound queues;
	struct mr_share_bound consumers;    /* of all queues */
	struct mr_share_bound consumers_of; /* of one queue */
	struct mr_share_bound publishers;
	struct mr_share_bound memory; /* of entries */
	uint32_t queues_count;
	uint32_t consumers_count; /* but those of MR_PEER_OWN */
	struct mr_queue *idle_head;
	struct mr_queue *idle_tail;
	const char *why; /* which limit the last refusal was for; NULL: none */
};

/* -EIO, -ENOMEM. */
int mr_limits_init(struct mr_queues *q);
void mr_limits_fini(struct mr_queues *q);
uint64_t mr_limit_peer(struct mr_queues *q, uint64_t session);
/* Whether the client, or if NULL the operator, may make another queue. Where there is no room the queue
 * that was idle for longest gives way. -EDQUOT: its peer has its share; -ENOSPC. */
int mr_limit_make(struct mr_queues *q, const struct mr_queue_client *client);
/* For one more queue in the store, the same: false if none gives way. */
bool mr_limit_make_room(struct mr_queues *q);
/* Counts a queue for a peer; and for the client that made it. Dead letters are counted with their queue, and for
 * themselves when it is gone. */
void mr_limit_made(struct mr_queues *q, struct mr_queue *queue, uint64_t peer);
void mr_limit_made_by(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_client *client);
void mr_limit_uncount(struct mr_queues *q, struct mr_queue *queue);
void mr_limit_removed(struct mr_queues *q, struct mr_queue *queue);
/* Queues that it made and that nobody used go. False: there are more to look at. */
bool mr_limit_maker_closed(struct mr_queues *q, struct mr_queue_client *client);
/* The queue may have come to be idle: empty and without consumers. */
void mr_limit_idle(struct mr_queues *q, struct mr_queue *queue);
/* Another consumer of the queue: -EDQUOT, -ENOSPC; and one less. */
int mr_limit_consumer(
	struct mr_queues *q, const struct mr_queue *queue, const struct mr_queue_client *client);
void mr_limit_consumer_gone(
	struct mr_queues *q, const struct mr_queue *queue, const struct mr_queue_client *client);
/* Publishers that may be remembered before the last of them gives way to one of that peer. */
uint32_t mr_limit_publishers_max(const struct mr_queues *q, uint64_t peer);
/* One more is remembered: false if the peer has its share; and one less. */
bool mr_limit_publisher(struct mr_queues *q, uint64_t peer);
void mr_limit_publisher_gone(struct mr_queues *q, uint64_t peer);
/* Pushes of a client that the queue has and that are not accepted yet; one more, if it can be counted; and some less. */
uint64_t mr_limit_withheld(
	const struct mr_queues *q, uint64_t session, const struct mr_queue *queue);
bool mr_limit_withhold(struct mr_queues *q, uint64_t session, const struct mr_queue *queue);
void mr_limit_withheld_gone(
	struct mr_queues *q, uint64_t session, const struct mr_queue *queue, uint32_t count);
/* The account of what a peer has of the store, in which one more client counts; 0: none is needed. And one less. */
uint32_t mr_limit_account(struct mr_queues *q, uint64_t peer);
void mr_limit_account_gone(struct mr_queues *q, uint32_t account);
/* Why a client with an account may put no more into the store: 0, or the StatusCode. */
uint32_t mr_limit_memory(
	const struct mr_queues *q, const struct mr_queue_client *client, uint32_t bytes);

#endif
