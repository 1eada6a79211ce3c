/* SPDX-License-Identifier: Apache-2.0 */
/* window: deduplication: ids received from each exactly-once publisher, for each queue. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "dataplane/queue/engine.h"
#include "dataplane/queue/work.h"

/* Publishers heard of within this time are not forgotten for new ones. */
#define KEEP_MS    60000u
#define PEER_LOOKS 256u /* windows examined to find one of the same peer */

/* The deduplication window of one publisher to one queue. */
struct mr_queue_window {
	struct mr_queue_window *hash_next;
	struct mr_queue_window *queue_prev; /* list of the queue's windows */
	struct mr_queue_window *queue_next;
	struct mr_queue_window *older;
	struct mr_queue_window *younger;
	struct mr_queue *queue;
	uint64_t publisher;
	uint64_t session; /* first session that it was heard of from */
	uint64_t peer;    /* peer of that session */
	uint64_t used_ms;
	struct mr_id_window ids;
};
static_assert(sizeof(struct mr_queue_window) <= 16384, "eight of them fill a slab of the store");

struct mr_queue_windows {
	struct mr_queue_window *last; /* last one looked up */
	struct mr_queue_window *oldest;
	struct mr_queue_window *youngest;
	uint64_t seed;
	uint32_t count;
	uint32_t mask;
	struct mr_queue_window *hash[];
};

int mr_windows_new(struct mr_queues *q)
{
	uint32_t buckets = 16;

	while (buckets < q->c.publishers_max)
		buckets *= 2;
	q->windows = calloc(1, sizeof(*q->windows) + buckets * sizeof(q->windows->hash[0]));
	if (q->windows == NULL)
		return -ENOMEM;
	q->windows->mask = buckets - 1;
	q->windows->seed = q->c.seed;
	return 0;
}

void mr_windows_free(struct mr_queues *q)
{
	free(q->windows);
}

static struct mr_queue_window **window_bucket(
	struct mr_queue_windows *ws, const struct mr_queue *queue, uint64_t publisher)
{
	uint64_t hash = publisher ^ (uint64_t)queue->number << 32 ^ ws->seed;

	/* Finalizer of MurmurHash3: clients choose the publisher number, and must not choose the
	 * bucket. */
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull;
	hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ull;
	return &ws->hash[(uint32_t)(hash >> 32) & ws->mask];
}

static struct mr_queue_window *find_window(
	struct mr_queue_windows *ws, const struct mr_queue *queue, uint64_t publisher)
{
	struct mr_queue_window *w = ws->last;

	if (mr_likely(w != NULL && w->publisher == publisher && w->queue == queue))
		return w;
	w = *window_bucket(ws, queue, publisher);
	while (w != NULL && (w->publisher != publisher || w->queue != queue))
		w = w->hash_next;
	if (w != NULL)
		ws->last = w;
	return w;
}

static void unlink_age(struct mr_queue_windows *ws, struct mr_queue_window *w)
{
	if (w->older == NULL)
		ws->oldest = w->younger;
	else
		w->older->younger = w->younger;
	if (w->younger == NULL)
		ws->youngest = w->older;
	else
		w->younger->older = w->older;
}

static void link_youngest(struct mr_queue_windows *ws, struct mr_queue_window *w)
{
	w->younger = NULL;
	w->older = ws->youngest;
	if (w->older == NULL)
		ws->oldest = w;
	else
		w->older->younger = w;
	ws->youngest = w;
}

static void link_queue(struct mr_queue_window *w)
{
	w->queue_prev = NULL;
	w->queue_next = w->queue->windows;
	if (w->queue_next != NULL)
		w->queue_next->queue_prev = w;
	w->queue->windows = w;
}

static void unlink_queue(struct mr_queue_window *w)
{
	if (w->queue_prev == NULL)
		w->queue->windows = w->queue_next;
	else
		w->queue_prev->queue_next = w->queue_next;
	if (w->queue_next != NULL)
		w->queue_next->queue_prev = w->queue_prev;
}

static void forget_window(struct mr_queues *q, struct mr_queue_window *w)
{
	struct mr_queue_windows *ws = q->windows;
	struct mr_queue_window **at = window_bucket(ws, w->queue, w->publisher);
	struct mr_queue_client *client = mr_client_find(q, w->session);

	while (*at != w)
		at = &(*at)->hash_next;
	*at = w->hash_next;
	unlink_age(ws, w);
	unlink_queue(w);
	if (ws->last == w)
		ws->last = NULL;
	ws->count--;
	if (client != NULL)
		client->windows--;
	mr_limit_publisher_gone(q, w->peer);
	mr_slab_release(q->store, w, (uint32_t)sizeof(*w));
}

void mr_window_drop(struct mr_queues *q, struct mr_queue *queue)
{
	mr_work(q, MR_WORK_TIMER);
	forget_window(q, queue->windows);
}

/* True if the client may have another publisher remembered. In a full table it takes the place of
 * one not heard of for long, unless the session has too many. */
static bool may_have_another(const struct mr_queues *q, const struct mr_queue_client *client)
{
	const struct mr_queue_windows *ws = q->windows;
	uint64_t max = mr_limit_publishers_max(q, client->peer);

	if (ws->count < max)
		return !mr_share_used_up(client->windows, max - ws->count);
	return ws->oldest->used_ms + KEEP_MS <= q->now_ms &&
	       (ws->oldest->session == client->session ||
		       !mr_share_used_up(client->windows, max - client->windows));
}

/* Forgets an idle publisher of this peer, among the oldest of all. False: there is none. */
static bool forget_one_of(struct mr_queues *q, uint64_t peer)
{
	struct mr_queue_window *w = q->windows->oldest;

	for (unsigned i = 0; i < PEER_LOOKS && w != NULL; i++, w = w->younger) {
		if (w->used_ms + KEEP_MS > q->now_ms)
			return false;
		if (w->peer == peer) {
			forget_window(q, w);
			return true;
		}
	}
	return false;
}

/* Takes one of the peer's share, if necessary by forgetting another of its publishers. */
static bool take_place(struct mr_queues *q, uint64_t peer)
{
	return mr_limit_publisher(q, peer) ||
	       (forget_one_of(q, peer) && mr_limit_publisher(q, peer));
}

static enum mr_window remember_window(
	struct mr_queues *q, uint64_t session, struct mr_queue *queue, uint64_t publisher)
{
	struct mr_queue_windows *ws = q->windows;
	struct mr_queue_client *client = mr_client_of(q, session);
	struct mr_queue_window **head, *w;

	if (client == NULL || mr_queue_full(q))
		return MR_WINDOW_NO_MEMORY;
	if (!may_have_another(q, client) || !take_place(q, client->peer))
		return MR_WINDOW_FULL;
	if (ws->count >= mr_limit_publishers_max(q, client->peer))
		forget_window(q, ws->oldest);
	w = mr_slab_alloc(q->store, (uint32_t)sizeof(*w));
	if (w == NULL) {
		mr_limit_publisher_gone(q, client->peer);
		return MR_WINDOW_NO_MEMORY;
	}
	memset(w, 0, sizeof(*w));
	w->queue = queue;
	w->publisher = publisher;
	w->session = session;
	w->peer = client->peer;
	w->used_ms = q->now_ms;
	head = window_bucket(ws, queue, publisher);
	w->hash_next = *head;
	*head = w;
	link_queue(w);
	link_youngest(ws, w);
	ws->count++;
	client->windows++;
	ws->last = w;
	return MR_WINDOW_NEW;
}

enum mr_window mr_window_look(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mrf_message_origin *origin)
{
	struct mr_queue_window *w = find_window(q->windows, queue, origin->publisher);

	if (mr_unlikely(w == NULL))
		return remember_window(q, session, queue, origin->publisher);
	if (mr_unlikely(w->used_ms != q->now_ms)) {
		w->used_ms = q->now_ms;
		unlink_age(q->windows, w);
		link_youngest(q->windows, w);
	}
	return (enum mr_window)mr_id_window_look(&w->ids, origin->id);
}

void mr_window_note(
	struct mr_queues *q, struct mr_queue *queue, const struct mrf_message_origin *origin)
{
	struct mr_queue_window *w = find_window(q->windows, queue, origin->publisher);

	if (mr_unlikely(w == NULL)) /* forgotten while its fragments arrived */
		return;
	mr_id_window_note(&w->ids, origin->id);
}
