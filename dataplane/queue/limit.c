/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/schedule.h"
#include "dataplane/queue/work.h"

#include <errno.h>

/* Kinds of counts for each peer. */
enum { QUEUES, CONSUMERS, CONSUMERS_OF, PUBLISHERS, SCHEDULES };

/* Consumers take at most one part in 16 of the store. */
#define CONSUMERS_STORE_SHARE 16u
#define CONSUMERS_LEAST       64u
#define CONSUMERS_MOST        (1u << 20)

/* A queue used within this time is not removed: its opener is about to use it. */
#define IDLE_LEAST_MS 1000u
/* Nor is a queue that remembers publishers, as long as they may send a message again. */
#define IDLE_WINDOWS_MS 60000u
/* Peers with an account of the store, beside those that only have slabs in it; any others share one
 * account. */
#define ACCOUNTS_MAX 16384u
/* Counts of withheld pushes, one for each session and queue; any further ones are not counted. */
#define WITHHELD_MAX 65536u
/* Idle queues examined to find one to remove. */
#define IDLE_LOOKS 256u

static uint64_t consumers_max(const struct mr_slab *store)
{
	uint64_t max =
		mr_slab_bytes_max(store) / CONSUMERS_STORE_SHARE / sizeof(struct mr_queue_consumer);

	return max < CONSUMERS_LEAST  ? CONSUMERS_LEAST
	       : max > CONSUMERS_MOST ? CONSUMERS_MOST
				      : max;
}

int mr_limits_init(struct mr_queues *q)
{
	uint32_t percent = q->c.peer_percent > 0 ? q->c.peer_percent : 100;
	uint32_t accounts = ACCOUNTS_MAX + mr_slab_count_max(q->store);
	uint64_t entries;

	q->limits.queues = mr_share_bound(q->c.queues_max, percent);
	q->limits.consumers = mr_share_bound(consumers_max(q->store), percent);
	q->limits.consumers_of = mr_share_bound(MR_QUEUE_CONSUMERS_MAX, percent);
	q->limits.publishers = mr_share_bound(q->c.publishers_max, percent);
	q->limits.memory = mr_share_bound(q->store_entries_max, percent);
	q->limits.schedules = mr_share_bound(MR_SCHEDULES_MAX, percent);
	/* Upper bound of the counts: each counted thing makes at most this many. */
	entries = q->limits.queues.max + q->limits.consumers.max * 2 + q->limits.publishers.max +
		  q->limits.schedules.max;
	if (mr_shares_init(&q->limits.shares, (uint32_t)entries, (uint32_t)entries) != 0)
		return -ENOMEM;
	if (mr_shares_init(&q->limits.accounts, accounts, accounts) != 0)
		goto fini_shares;
	if (mr_shares_init(&q->limits.withheld, WITHHELD_MAX, WITHHELD_MAX) != 0)
		goto fini_accounts;
	mr_slab_owners(q->store, &q->limits.accounts, q->limits.memory.share);
	/* The account of the peers that find no other. */
	(void)mr_share_take(&q->limits.accounts, MR_PEER_UNKNOWN, 0, 1, UINT64_MAX);
	return 0;
fini_accounts:
	mr_shares_fini(&q->limits.accounts);
fini_shares:
	mr_shares_fini(&q->limits.shares);
	return -ENOMEM;
}

void mr_limits_fini(struct mr_queues *q)
{
	mr_shares_fini(&q->limits.withheld);
	mr_shares_fini(&q->limits.accounts);
	mr_shares_fini(&q->limits.shares);
}

uint64_t mr_limit_peer(struct mr_queues *q, uint64_t session)
{
	return q->c.ops->peer != NULL ? q->c.ops->peer(q->c.arg, session) : MR_PEER_OWN;
}

/* Idle queues are listed when they become idle, the longest idle first. A queue that is used again
 * stays in the list until it is examined. */

static void idle_unlink(struct mr_queues *q, struct mr_queue *queue)
{
	if (!queue->idle_listed)
		return;
	queue->idle_listed = false;
	if (queue->idle_prev == NULL)
		q->limits.idle_head = queue->idle_next;
	else
		queue->idle_prev->idle_next = queue->idle_next;
	if (queue->idle_next == NULL)
		q->limits.idle_tail = queue->idle_prev;
	else
		queue->idle_next->idle_prev = queue->idle_prev;
}

static void idle_append(struct mr_queues *q, struct mr_queue *queue)
{
	queue->idle_listed = true;
	queue->idle_ms = queue->used_ms;
	queue->idle_next = NULL;
	queue->idle_prev = q->limits.idle_tail;
	if (q->limits.idle_tail == NULL)
		q->limits.idle_head = queue;
	else
		q->limits.idle_tail->idle_next = queue;
	q->limits.idle_tail = queue;
}

/* True for a queue that is removed only at its own idle time: an operator's decision, dead
 * letters, or a queue that others have named for theirs. */
static bool is_kept(const struct mr_queue *queue)
{
	return queue->kept || queue->paused || queue->maker == 0 || queue->is_dead ||
	       queue->dead_from > 0 || queue->purge.removed;
}

void mr_limit_idle(struct mr_queues *q, struct mr_queue *queue)
{
	if (queue->is_dead && queue->dead != NULL)
		queue = queue->dead;
	if (!queue->idle_listed && !is_kept(queue) && !mr_queue_in_use(queue))
		idle_append(q, queue);
}

static bool may_evict(const struct mr_queues *q, const struct mr_queue *queue)
{
	uint64_t idle_ms = q->now_ms - queue->used_ms;

	return idle_ms >= (queue->windows != NULL ? IDLE_WINDOWS_MS : IDLE_LEAST_MS);
}

/* Removes the queue that has been idle longest, of that peer or of any. False: none may be
 * removed. */
static bool evict_idle(struct mr_queues *q, bool any, uint64_t peer)
{
	struct mr_queue *queue = q->limits.idle_head, *next;

	for (unsigned i = 0; i < IDLE_LOOKS && queue != NULL; i++, queue = next) {
		next = queue->idle_next;
		if (is_kept(queue) || mr_queue_in_use(queue)) {
			idle_unlink(q, queue);
		} else if (queue->used_ms != queue->idle_ms) {
			idle_unlink(q, queue);
			idle_append(q, queue);
		} else if ((any || queue->peer == peer) && may_evict(q, queue)) {
			mr_count(q->c.stats->queues_displaced, 1);
			mr_queue_remove(q, queue);
			return true;
		}
	}
	return false;
}

/* Queues. */

static int refuse_with(struct mr_queues *q, int code, const char *why)
{
	q->limits.why = why;
	return code;
}

int mr_limit_make(struct mr_queues *q, const struct mr_queue_client *client)
{
	const struct mr_share_bound *b = &q->limits.queues;
	uint64_t peer = client != NULL ? client->peer : MR_PEER_OWN;

	if (client != NULL && client->made >= q->c.per_client_max)
		return refuse_with(
			q, -ENOSPC, "this client has made too many queues (queues.per_client_max)");
	if (peer != MR_PEER_OWN &&
		mr_share_count(&q->limits.shares, peer, MR_SHARE_OF(QUEUES, 0)) >= b->share &&
		!evict_idle(q, false, peer))
		return refuse_with(q, -EDQUOT,
			"this host or user has its share of the queues (peers.share_percent of "
			"queues.queues_max)");
	if (mr_share_none_left(b, peer, q->limits.queues_count) && !evict_idle(q, true, 0))
		return refuse_with(q, -ENOSPC, "no room for another queue (queues.queues_max)");
	return 0;
}

bool mr_limit_make_room(struct mr_queues *q)
{
	return evict_idle(q, true, 0);
}

void mr_limit_made(struct mr_queues *q, struct mr_queue *queue, uint64_t peer)
{
	/* There is a count for each queue, and mr_limit_make has checked the share. */
	(void)mr_share_take(&q->limits.shares, peer, MR_SHARE_OF(QUEUES, 0), 1, UINT64_MAX);
	q->limits.queues_count++;
	queue->peer = peer;
	queue->counted = true;
}

void mr_limit_uncount(struct mr_queues *q, struct mr_queue *queue)
{
	if (!queue->counted)
		return;
	mr_share_give(&q->limits.shares, queue->peer, MR_SHARE_OF(QUEUES, 0), 1);
	q->limits.queues_count--;
	queue->counted = false;
}

void mr_limit_made_by(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_client *client)
{
	mr_limit_made(q, queue, client->peer);
	queue->maker = client->session;
	queue->made_prev = NULL;
	queue->made_next = client->queues_made;
	if (queue->made_next != NULL)
		queue->made_next->made_prev = queue;
	client->queues_made = queue;
	client->made++;
	mr_limit_idle(q, queue);
}

static void made_unlink(struct mr_queue_client *client, struct mr_queue *queue)
{
	if (queue->made_prev == NULL)
		client->queues_made = queue->made_next;
	else
		queue->made_prev->made_next = queue->made_next;
	if (queue->made_next != NULL)
		queue->made_next->made_prev = queue->made_prev;
	queue->made_prev = queue->made_next = NULL;
	client->made--;
}

void mr_limit_removed(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_client *maker = queue->maker == 0 ? NULL : mr_client_find(q, queue->maker);

	if (maker != NULL)
		made_unlink(maker, queue);
	idle_unlink(q, queue);
	mr_limit_uncount(q, queue);
}

static bool never_used(const struct mr_queue *queue)
{
	return !queue->wanted && !queue->kept && !queue->paused && queue->pushed == 0 &&
	       queue->dead_from == 0 && !mr_queue_in_use(queue);
}

bool mr_limit_maker_closed(struct mr_queues *q, struct mr_queue_client *client)
{
	while (client->queues_made != NULL) {
		struct mr_queue *queue = client->queues_made;

		if (!mr_work_left(q))
			return false;
		mr_work(q, 1);
		if (never_used(queue))
			mr_queue_remove(q, queue);
		else
			made_unlink(client, queue);
	}
	return true;
}

/* Consumers. */

static int consumer_room(
	struct mr_queues *q, const struct mr_queue *queue, const struct mr_queue_client *client)
{
	if (client->consumers_count >= q->c.per_client_max)
		return refuse_with(
			q, -ENOSPC, "this client has too many consumers (queues.per_client_max)");
	if (mr_share_none_left(&q->limits.consumers_of, client->peer, queue->consumers_count))
		return refuse_with(q, -ENOSPC, "this queue has too many consumers (2,048)");
	if (client->peer != MR_PEER_OWN &&
		mr_share_none_left(&q->limits.consumers, client->peer, q->limits.consumers_count))
		return refuse_with(q, -ENOSPC, "no room for another consumer (queues.memory_mib)");
	return 0;
}

int mr_limit_consumer(
	struct mr_queues *q, const struct mr_queue *queue, const struct mr_queue_client *client)
{
	struct mr_shares *s = &q->limits.shares;
	uint64_t peer = client->peer;
	int rc = consumer_room(q, queue, client);

	if (rc != 0)
		return rc;
	if (mr_share_take(s, peer, MR_SHARE_OF(CONSUMERS, 0), 1, q->limits.consumers.share) != 0)
		return refuse_with(q, -EDQUOT,
			"this host or user has its share of the consumers (peers.share_percent)");
	if (mr_share_take(s, peer, MR_SHARE_OF(CONSUMERS_OF, queue->number), 1,
		    q->limits.consumers_of.share) != 0) {
		mr_share_give(s, peer, MR_SHARE_OF(CONSUMERS, 0), 1);
		return refuse_with(q, -EDQUOT,
			"this host or user has its share of this queue's consumers "
			"(peers.share_percent of 2,048)");
	}
	q->limits.consumers_count += peer != MR_PEER_OWN;
	return 0;
}

void mr_limit_consumer_gone(
	struct mr_queues *q, const struct mr_queue *queue, const struct mr_queue_client *client)
{
	struct mr_shares *s = &q->limits.shares;

	q->limits.consumers_count -= client->peer != MR_PEER_OWN;
	mr_share_give(s, client->peer, MR_SHARE_OF(CONSUMERS_OF, queue->number), 1);
	mr_share_give(s, client->peer, MR_SHARE_OF(CONSUMERS, 0), 1);
}

/* Publishers. */

uint32_t mr_limit_publishers_max(const struct mr_queues *q, uint64_t peer)
{
	const struct mr_share_bound *b = &q->limits.publishers;

	return (uint32_t)(b->max - (peer == MR_PEER_OWN ? 0 : b->reserve));
}

bool mr_limit_publisher(struct mr_queues *q, uint64_t peer)
{
	return mr_share_take(&q->limits.shares, peer, MR_SHARE_OF(PUBLISHERS, 0), 1,
		       q->limits.publishers.share) == 0;
}

void mr_limit_publisher_gone(struct mr_queues *q, uint64_t peer)
{
	mr_share_give(&q->limits.shares, peer, MR_SHARE_OF(PUBLISHERS, 0), 1);
}

uint32_t mr_limit_schedule(struct mr_queues *q, uint64_t peer)
{
	const struct mr_share_bound *b = &q->limits.schedules;

	if (mr_share_none_left(b, peer, q->schedules_count))
		return MRF_STATUS_CODE_NO_MEMORY;
	return mr_share_take(&q->limits.shares, peer, MR_SHARE_OF(SCHEDULES, 0), 1, b->share) == 0
		       ? MRF_STATUS_CODE_OK
		       : MRF_STATUS_CODE_SHARE_USED;
}

void mr_limit_schedule_gone(struct mr_queues *q, uint64_t peer)
{
	mr_share_give(&q->limits.shares, peer, MR_SHARE_OF(SCHEDULES, 0), 1);
}

/* Withheld pushes. */

uint64_t mr_limit_withheld(
	const struct mr_queues *q, uint64_t session, const struct mr_queue *queue)
{
	return mr_share_count(&q->limits.withheld, session, queue->number);
}

bool mr_limit_withhold(struct mr_queues *q, uint64_t session, const struct mr_queue *queue)
{
	return mr_share_take(&q->limits.withheld, session, queue->number, 1, UINT64_MAX) == 0;
}

void mr_limit_withheld_gone(
	struct mr_queues *q, uint64_t session, const struct mr_queue *queue, uint32_t count)
{
	mr_share_give(&q->limits.withheld, session, queue->number, count);
}

/* Memory. */

uint32_t mr_limit_account(struct mr_queues *q, uint64_t peer)
{
	struct mr_shares *s = &q->limits.accounts;

	if (peer == MR_PEER_OWN)
		return 0;
	if (mr_share_take(s, peer, 0, 1, UINT64_MAX) != 0) {
		peer = MR_PEER_UNKNOWN;
		(void)mr_share_take(s, peer, 0, 1, UINT64_MAX);
	}
	return mr_share_number(s, peer, 0);
}

void mr_limit_account_gone(struct mr_queues *q, uint32_t account)
{
	if (account != 0)
		mr_share_less(&q->limits.accounts, account, 1);
}

bool mr_limit_account_full(
	const struct mr_queues *q, uint32_t account, uint64_t peer, uint32_t bytes)
{
	const struct mr_share_bound *b = &q->limits.memory;

	return account != 0 && (q->limits.accounts.entries[account].count + bytes > b->share ||
				       mr_share_none_left(b, peer, mr_slab_bytes(q->store)));
}

uint32_t mr_limit_memory(
	const struct mr_queues *q, const struct mr_queue_client *client, uint32_t bytes)
{
	const struct mr_share_bound *b = &q->limits.memory;

	if (q->limits.accounts.entries[client->account].count + bytes > b->share ||
		mr_slab_owner_full(q->store, bytes, client->account))
		return MRF_STATUS_CODE_SHARE_USED;
	return mr_share_none_left(b, client->peer, mr_slab_bytes(q->store))
		       ? MRF_STATUS_CODE_NO_MEMORY
		       : MRF_STATUS_CODE_OK;
}
