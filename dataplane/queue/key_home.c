/* SPDX-License-Identifier: Apache-2.0 */
/* key_home: the homes of keys. The table of homes is shared out evenly among the consumers that
 * take messages. One that joins takes places from those that have most; the places of one that
 * leaves, or is set aside, go to the others in turn. */
#include "dataplane/queue/key.h"
#include "dataplane/queue/work.h"

/* A consumer whose session had no room is tried again after this time. */
#define AGAIN_MS    5000u
#define SHARE_STEPS 64u

bool mr_key_waits_for(const struct mr_queue_consumer *c)
{
	for (unsigned i = 0; i < MR_LEVELS; i++)
		if (!mr_key_link_empty(&c->keys->lists[i]))
			return true;
	return false;
}

bool mr_key_consumer_new(struct mr_queues *q, struct mr_queue_consumer *c)
{
	c->keys = mr_slab_alloc(q->store, (uint32_t)sizeof(*c->keys));
	if (c->keys == NULL)
		return false;
	memset(c->keys, 0, sizeof(*c->keys));
	for (unsigned i = 0; i < MR_LEVELS; i++)
		mr_key_link_init(&c->keys->lists[i]);
	return true;
}

/* Writes the indexes of the active consumers, and returns how many. */
static uint32_t list_active(const struct mr_queue *queue, uint16_t *out)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < queue->consumers_count; i++)
		if (queue->consumers[i]->keys != NULL && !queue->consumers[i]->keys->aside)
			out[count++] = (uint16_t)i;
	return count;
}

/* Says how many places each active consumer is to have: one that has more than an even part keeps
 * one of those that are left over. False: none has a place yet. */
static bool set_parts(struct mr_queue *queue, const uint16_t *active, uint32_t count)
{
	uint16_t part = (uint16_t)(MR_KEY_HOMES / count);
	uint32_t over = MR_KEY_HOMES % count, all = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct mr_consumer_keys *c = queue->consumers[active[i]]->keys;

		all += c->homes;
		c->part = part;
		if (c->homes > part && over > 0) {
			c->part++;
			over--;
		}
	}
	for (uint32_t i = 0; i < count && over > 0; i++) {
		struct mr_consumer_keys *c = queue->consumers[active[i]]->keys;

		over -= c->part == part;
		c->part = (uint16_t)(part + 1);
	}
	return all > 0;
}

/* True if the place stays with its consumer. */
static bool keeps(struct mr_queue *queue, uint16_t home)
{
	struct mr_consumer_keys *c = queue->consumers[home]->keys;

	if (c->aside || c->homes <= c->part)
		return !c->aside;
	c->homes--;
	return false;
}

/* Shares the places out evenly among the active consumers, and moves as few as it can. */
static void share_out(struct mr_queue *queue)
{
	struct mr_queue_keys *keys = queue->keys;
	uint16_t active[MR_QUEUE_CONSUMERS_MAX];
	uint32_t count = list_active(queue, active), next = 0;
	bool any;

	keys->uneven = false;
	if (count == 0)
		return;
	any = set_parts(queue, active, count);
	for (unsigned i = 0; i < MR_KEY_HOMES; i++) {
		if (any && keeps(queue, keys->home[i]))
			continue;
		while (queue->consumers[active[next]]->keys->homes >=
			queue->consumers[active[next]]->keys->part)
			next++;
		keys->home[i] = active[next];
		queue->consumers[active[next]]->keys->homes++;
	}
}

/* Takes its places from a consumer that counts as active. */
static void give_homes(struct mr_queue *queue, struct mr_queue_consumer *c)
{
	queue->keys->active--;
	c->keys->aside = true;
	c->keys->homes = 0;
}

static void loosen(struct mr_queue *queue, struct mr_queue_consumer *c)
{
	for (unsigned i = 0; i < MR_LEVELS; i++)
		mr_key_link_splice(&queue->keys->loose, &c->keys->lists[i]);
	queue->keys->can[c->index / 64] &= ~(1ull << (c->index % 64));
}

static void start_moving(struct mr_queues *q, struct mr_queue *queue)
{
	if (!mr_key_link_empty(&queue->keys->loose) && queue->keys->active > 0)
		mr_queue_activate(q, queue);
}

/* Homes have changed: all waiting keys are to look for theirs. That is work for each of them, so it
 * is done once in a while; meanwhile they go to the consumers for which they wait. */
static void homes_changed(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_keys *keys = queue->keys;

	keys->stale = q->now_ms - keys->loosened_ms < MR_KEY_PATIENCE_MS && keys->loosened_ms != 0;
	if (keys->stale) {
		mr_key_look_later(q, queue);
		return;
	}
	keys->loosened_ms = q->now_ms;
	for (uint32_t i = 0; i < queue->consumers_count; i++)
		if (queue->consumers[i]->keys != NULL)
			loosen(queue, queue->consumers[i]);
	start_moving(q, queue);
}

void mr_key_share_out(struct mr_queues *q, struct mr_queue *queue)
{
	mr_work(q, SHARE_STEPS + queue->consumers_count / 16);
	share_out(queue);
	for (uint32_t i = 0; i < queue->consumers_count; i++)
		if (queue->consumers[i]->keys != NULL && queue->consumers[i]->keys->aside)
			loosen(queue, queue->consumers[i]);
	if (queue->keys->moves)
		homes_changed(q, queue);
	queue->keys->moves = false;
}

/* Shares the places out now, if there is work left. Else it is done in the queue's next run, once
 * for all consumers that come and go until then; a place may be that of one that was set aside, but
 * never that of one that has left. */
static void share(struct mr_queues *q, struct mr_queue *queue)
{
	if (!queue->keys->uneven && mr_work_left(q)) {
		mr_key_share_out(q, queue);
		return;
	}
	queue->keys->uneven = true;
	mr_queue_activate(q, queue);
}

/* Counts the consumer as active; it gets its part of the places. */
static void take_homes(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer *c)
{
	c->keys->aside = false;
	queue->keys->moves = true;
	if (++queue->keys->active == 1) /* the table names nobody that is there */
		share_out(queue);
	share(q, queue);
}

void mr_key_join(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer *c)
{
	take_homes(q, queue, c);
}

/* The last consumer gets the index of one that leaves. */
static void renumber(struct mr_queue *queue, uint32_t from, uint32_t to)
{
	struct mr_queue_keys *keys = queue->keys;
	uint64_t bit = keys->can[from / 64] >> (from % 64) & 1;

	for (unsigned i = 0; i < MR_KEY_HOMES; i++)
		if (keys->home[i] == from)
			keys->home[i] = (uint16_t)to;
	keys->can[from / 64] &= ~(1ull << (from % 64));
	keys->can[to / 64] &= ~(1ull << (to % 64));
	keys->can[to / 64] |= bit << (to % 64);
}

/* With no active consumer left, those that were set aside serve again. */
static void recall_all(
	struct mr_queues *q, struct mr_queue *queue, const struct mr_queue_consumer *but)
{
	for (uint32_t i = 0; i < queue->consumers_count; i++)
		if (queue->consumers[i] != but && queue->consumers[i]->keys != NULL &&
			queue->consumers[i]->keys->aside)
			take_homes(q, queue, queue->consumers[i]);
}

void mr_key_part(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer *c)
{
	if (!c->keys->aside)
		give_homes(queue, c);
	loosen(queue, c);
	if (queue->keys->active == 0)
		recall_all(q, queue, c);
	mr_work(q, SHARE_STEPS);
	share_out(queue); /* no place may be this one's any more */
	if (queue->keys->active > 0 || queue->consumers_count > 1)
		renumber(queue, queue->consumers_count - 1, c->index);
	mr_slab_release(q->store, c->keys, (uint32_t)sizeof(*c->keys));
	c->keys = NULL;
	start_moving(q, queue);
}

void mr_key_look_later(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue_keys *keys = queue->keys;

	if (keys->look_ms != UINT64_MAX || keys->active < 2)
		return;
	keys->look_ms = q->now_ms + MR_KEY_PATIENCE_MS / 4;
	mr_queue_timer_set(&q->timers, &queue->timer, keys->look_ms);
}

void mr_key_credit(struct mr_queues *q, struct mr_queue_consumer *c)
{
	struct mr_queue *queue = c->queue;
	struct mr_queue_keys *keys = queue->keys;

	if (!c->ready) {
		keys->can[c->index / 64] &= ~(1ull << (c->index % 64));
		if (mr_key_waits_for(c))
			mr_key_look_later(q, queue);
		return;
	}
	if (mr_unlikely(c->keys->aside) &&
		(!c->keys->was_blocked || q->now_ms - c->keys->aside_ms >= AGAIN_MS)) {
		take_homes(q, queue, c);
	}
	if (mr_key_waits_for(c))
		keys->can[c->index / 64] |= 1ull << (c->index % 64);
}

/* Sets a consumer aside: its keys with nothing unsettled go to the others. */
static void set_aside(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_consumer *c)
{
	give_homes(queue, c);
	c->keys->aside_ms = q->now_ms;
	c->keys->was_blocked = c->blocked;
	loosen(queue, c);
	share(q, queue);
	start_moving(q, queue);
}

void mr_key_look(struct mr_queues *q, struct mr_queue *queue)
{
	bool again = false;

	queue->keys->look_ms = UINT64_MAX;
	if (queue->keys->stale) {
		homes_changed(q, queue);
		again = queue->keys->stale;
	}
	for (uint32_t i = 0; i < queue->consumers_count && queue->keys->active > 1; i++) {
		struct mr_queue_consumer *c = queue->consumers[i];

		if (c->keys->aside || !mr_key_waits_for(c))
			continue;
		if (queue->heap_count > 0 && !c->ready &&
			q->now_ms - c->keys->took_ms >= MR_KEY_PATIENCE_MS) {
			set_aside(q, queue, c);
		}
		again = true;
	}
	if (again)
		mr_key_look_later(q, queue);
}

static void forget_consumers(struct mr_queues *q, struct mr_queue *queue)
{
	for (uint32_t i = 0; i < queue->consumers_count; i++) {
		struct mr_queue_consumer *c = queue->consumers[i];

		if (c->keys != NULL)
			mr_slab_release(q->store, c->keys, (uint32_t)sizeof(*c->keys));
		c->keys = NULL;
	}
}

static bool begin_keys(struct mr_queues *q, struct mr_queue *queue)
{
	if (mr_keys_new(q, queue) != 0)
		return false;
	for (uint32_t i = 0; i < queue->consumers_count; i++)
		if (!mr_key_consumer_new(q, queue->consumers[i])) {
			forget_consumers(q, queue);
			mr_keys_free(q, queue);
			return false;
		}
	for (uint32_t i = 0; i < queue->consumers_count; i++)
		mr_key_join(q, queue, queue->consumers[i]);
	return true;
}

bool mr_key_policy(struct mr_queues *q, struct mr_queue *queue, uint8_t policy)
{
	if ((policy == MRF_QUEUE_POLICY_KEY_SHARED) == (queue->keys != NULL))
		return true;
	if (queue->keys == NULL)
		return begin_keys(q, queue);
	forget_consumers(q, queue);
	mr_keys_free(q, queue);
	return true;
}

const char *mr_key_options_check(const struct mrf_queue_options *o, unsigned kind)
{
	bool by_key = o->policy == MRF_QUEUE_POLICY_KEY_SHARED;

	if (by_key && kind != MRF_QUEUE_KIND_QUEUE)
		return "policy: key-shared is for queues, not for services";
	if (!by_key && o->key_from.bytes > 0)
		return "key_from: only with the policy key-shared";
	if (by_key && o->when_full > MRF_QUEUE_FULL_REFUSE)
		return "when_full: a queue with the policy key-shared waits or refuses, because to "
		       "drop a message would break the order of its key; take wait or refuse, or "
		       "a time to live (push --ttl)";
	if (o->in_flight_per_key > MR_QUEUE_IN_FLIGHT_PER_KEY_MAX)
		return "in_flight_per_key: expected 1 to 250";
	return mr_key_from_check(o->key_from);
}

void mr_key_withdraw(struct mr_queues *q, struct mr_queue_consumer *c)
{
	if (!c->keys->aside && c->queue->keys->active > 1)
		set_aside(q, c->queue, c);
}
