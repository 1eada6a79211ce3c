/* SPDX-License-Identifier: Apache-2.0 */
/* client: the sessions that use a worker's queues: accepted ranges, heartbeats, and their end. */
#include <errno.h>

#include "dataplane/queue/engine.h"
#include "dataplane/queue/hold.h"
#include "dataplane/queue/work.h"

#define SWEEP_MS      20u
#define SWEEP_CLIENTS 256u

static struct mr_queue_client **client_bucket(const struct mr_queues *q, uint64_t session)
{
	return &q->sessions[(uint32_t)((session * 0x9e3779b97f4a7c15ull) >> 32) & q->sessions_mask];
}

struct mr_queue_client *mr_client_look(struct mr_queues *q, uint64_t session)
{
	struct mr_queue_client *client = *client_bucket(q, session);

	while (client != NULL && client->session != session)
		client = client->hash_next;
	if (client != NULL)
		q->last = client;
	return client;
}

static struct mr_queue_client *client_new(struct mr_queues *q, uint64_t session)
{
	struct mr_queue_client *client = mr_slab_alloc(q->store, (uint32_t)sizeof(*client));

	if (client == NULL)
		return NULL;
	*client = (struct mr_queue_client){
		.session = session,
		.peer = mr_limit_peer(q, session),
		.hash_next = *client_bucket(q, session),
		.all_next = q->clients,
	};
	client->account = mr_limit_account(q, client->peer);
	*client_bucket(q, session) = client;
	if (q->clients != NULL)
		q->clients->all_prev = client;
	q->clients = client;
	q->clients_count++;
	if (q->sweep_ms == UINT64_MAX)
		q->sweep_ms = q->now_ms + SWEEP_MS;
	q->last = client;
	return client;
}

struct mr_queue_client *mr_client_of(struct mr_queues *q, uint64_t session)
{
	struct mr_queue_client *client = mr_client_find(q, session);

	return mr_likely(client != NULL) ? client : client_new(q, session);
}

static void unlink_client(struct mr_queues *q, struct mr_queue_client *client)
{
	struct mr_queue_client **at = client_bucket(q, client->session);

	while (*at != client)
		at = &(*at)->hash_next;
	*at = client->hash_next;
	if (client->all_prev == NULL)
		q->clients = client->all_next;
	else
		client->all_prev->all_next = client->all_next;
	if (client->all_next != NULL)
		client->all_next->all_prev = client->all_prev;
	q->clients_count--;
	if (q->sweep == client)
		q->sweep = client->all_next;
	if (q->last == client)
		q->last = NULL;
}

/* Removes the consumers of a closed session. False: there are more, or some give their deliveries
 * back. */
static bool close_consumers(struct mr_queues *q, struct mr_queue_client *client)
{
	struct mr_queue_consumer *c;

	while ((c = client->consumers) != NULL) {
		if (c->gone || !mr_work_left(q))
			return false;
		mr_count(q->c.stats->consumers_gone, 1);
		mr_consumer_remove(q, c, MR_BACK_LOST, 0, NULL);
	}
	return true;
}

/* Removes the client of a closed session. False: call again. */
static bool close_client(struct mr_queues *q, struct mr_queue_client *client)
{
	if (!mr_fragment_drop_all(q, client) || !close_consumers(q, client) ||
		!mr_limit_maker_closed(q, client))
		return false;
	mr_clients_flush(q); /* removes it from the list of dirty clients */
	unlink_client(q, client);
	mr_limit_account_gone(q, client->account);
	mr_slab_release(q->store, client, (uint32_t)sizeof(*client));
	return true;
}

static void send_ranges(struct mr_queues *q, uint64_t session, uint32_t number,
	const struct mrf_accepted_range *ranges, uint32_t count)
{
	struct mr_message_plan plan = mr_message_plan(MRF_MESSAGE_KIND_ACCEPTED, NULL, NULL, 0,
		ranges, 0, count * (uint32_t)sizeof(*ranges));

	(void)q->c.ops->send(q->c.arg, session, &plan, number, true);
}

/* Sends one message for each run of ranges of one queue. */
static void flush_accepted(struct mr_queues *q, struct mr_queue_client *client)
{
	uint32_t from = 0;

	for (uint32_t i = 1; i <= client->ranges_count; i++) {
		if (i < client->ranges_count && client->range_queue[i] == client->range_queue[from])
			continue;
		send_ranges(q, client->session, client->range_queue[from], &client->ranges[from],
			i - from);
		from = i;
	}
	client->ranges_count = 0;
}

static bool extends_last_range(const struct mr_queue_client *client, uint32_t number,
	const struct mrf_accepted_range *range)
{
	const struct mrf_accepted_range *last = &client->ranges[client->ranges_count - 1];

	return client->range_queue[client->ranges_count - 1] == number &&
	       last->publisher == range->publisher && last->status == range->status &&
	       last->first + last->count == range->first &&
	       last->count <= UINT32_MAX - range->count;
}

void mr_client_accept(struct mr_queues *q, uint64_t session, uint32_t number,
	const struct mrf_accepted_range *range)
{
	struct mr_queue_client *client = mr_client_find(q, session);

	if (mr_unlikely(client == NULL))
		client = mr_client_of(q, session);
	if (mr_unlikely(client == NULL)) {
		send_ranges(q, session, number, range, 1);
		return;
	}
	if (client->ranges_count > 0 && extends_last_range(client, number, range)) {
		client->ranges[client->ranges_count - 1].count += range->count;
		return;
	}
	if (client->ranges_count == MR_QUEUE_RANGES)
		flush_accepted(q, client);
	client->range_queue[client->ranges_count] = number;
	client->ranges[client->ranges_count++] = *range;
	if (!client->dirty) {
		client->dirty = true;
		client->dirty_next = q->dirty;
		q->dirty = client;
	}
}

void mr_clients_flush(struct mr_queues *q)
{
	struct mr_queue_client *client;

	while ((client = q->dirty) != NULL) {
		q->dirty = client->dirty_next;
		client->dirty = false;
		flush_accepted(q, client);
	}
}

/* Returns when the session was last heard, by the queues' clock. A frozen time counts as heard. */
static uint64_t heard_ms(const struct mr_queues *q, const struct mr_queue_client *client)
{
	uint64_t heard = q->c.ops->heard_ms(q->c.arg, client->session);

	heard -= heard < q->lost_ms ? heard : q->lost_ms;
	return heard > q->thawed_ms ? heard : q->thawed_ms;
}

static void remove_silent(struct mr_queues *q, struct mr_queue_client *client)
{
	struct mr_queue_consumer *next;
	uint64_t heard = heard_ms(q, client);

	if (heard + (uint64_t)q->c.heartbeat_ms * q->c.missed_max >= q->now_ms)
		return;
	for (struct mr_queue_consumer *c = client->consumers; c != NULL; c = next) {
		next = c->client_next;
		if (c->queue->kind != MRF_QUEUE_KIND_SERVICE || c->gone)
			continue;
		if (!mr_work_left(q))
			break;
		mr_count(q->c.stats->consumers_silent, 1);
		mr_consumer_remove(q, c, MR_BACK_LOST, -ETIMEDOUT, "no heartbeat");
	}
}

/* Sends a heartbeat, whether or not the client asked: its own request may wait behind messages
 * queued for other sessions. */
static void send_heartbeat(struct mr_queues *q, struct mr_queue_client *client)
{
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_BEAT, NULL, NULL, 0, NULL, 0, 0);

	if (q->now_ms < client->heartbeat_due_ms)
		return;
	client->heartbeat_due_ms = q->now_ms + q->c.heartbeat_ms;
	(void)q->c.ops->send(q->c.arg, client->session, &plan, 0, true);
}

static bool look_at(struct mr_queues *q, struct mr_queue_client *client)
{
	if (!q->c.ops->lives(q->c.arg, client->session))
		return close_client(q, client);
	if (client->services > 0)
		remove_silent(q, client);
	if (client->services > 0)
		send_heartbeat(q, client);
	if (client->assemblies != NULL)
		mr_fragment_expire(q, client);
	return true;
}

void mr_clients_sweep(struct mr_queues *q)
{
	if (q->now_ms < q->sweep_ms)
		return;
	for (unsigned i = 0; i < SWEEP_CLIENTS; i++) {
		struct mr_queue_client *client = q->sweep == NULL ? q->clients : q->sweep;

		if (client == NULL)
			break;
		q->sweep = client->all_next;
		if (!look_at(q, client)) {
			q->sweep = client;
			q->sweep_ms = q->now_ms + 1;
			return;
		}
		if (q->sweep == NULL)
			break;
	}
	q->sweep_ms = q->clients == NULL ? UINT64_MAX : q->now_ms + SWEEP_MS;
}

void mr_client_status(struct mr_queues *q, uint64_t session, uint64_t correlation, uint32_t status)
{
	struct mrf_reply_token token = {.correlation = correlation};
	struct mr_message_plan plan =
		mr_message_plan(MRF_MESSAGE_KIND_STATUS, &token, NULL, 0, NULL, 0, 0);

	(void)q->c.ops->send(q->c.arg, session, &plan, status, true);
}

void mr_client_heard(struct mr_queues *q, uint64_t session)
{
	struct mr_queue_client *client = mr_client_find(q, session);

	if (mr_likely(client == NULL || !client->overdue))
		return;
	client->overdue = false;
	for (struct mr_queue_consumer *c = client->consumers; c != NULL; c = c->client_next) {
		c->overdue = 0;
		c->blamed = false;
		if (mr_unlikely(c->special != 0 || c->holds != 0))
			mr_hold_heard(q, c);
		mr_consumer_update(q, c);
	}
}
