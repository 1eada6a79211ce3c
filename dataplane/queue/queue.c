/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "lib/base/memory.h"
#include "dataplane/queue/engine.h"
#include "dataplane/queue/bind.h"
#include "dataplane/queue/full.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/schedule.h"
#include "dataplane/queue/ttl.h"
#include "dataplane/queue/work.h"

/* If called later than due by this much, the worker did not run. */
#define FREEZE_MS       500u
#define RESERVE_BYTES   (512u << 10)
#define SESSION_BUCKETS (1u << 16)
/* Bytes of the store for each delivery: the table of deliveries takes about as much again. */
#define STORE_PER_DELIVERY 256u

static unsigned bits_of(uint32_t values)
{
	unsigned bits = 0;

	while ((1u << bits) < values)
		bits++;
	return bits;
}

static uint32_t deliveries_max(const struct mr_slab *store)
{
	uint64_t max = mr_slab_bytes_max(store) / STORE_PER_DELIVERY;

	return max < 1024 ? 1024 : max > (1u << 28) ? 1u << 28 : (uint32_t)max;
}

/* Returns the limit for entries. The rest of the store is reserved for what empties it: consumers,
 * their queues, their sessions. */
static uint64_t entries_max(const struct mr_slab *store)
{
	uint64_t max = mr_slab_bytes_max(store);
	uint64_t reserve = max / 16 < RESERVE_BYTES ? RESERVE_BYTES : max / 16;

	return max - (reserve < max / 2 ? reserve : max / 2);
}

static void unmap_tables(struct mr_queues *q)
{
	mr_memory_unmap(q->slots, mr_queue_slots_max(&q->c) * sizeof(*q->slots));
	mr_memory_unmap(q->names, ((size_t)q->names_mask + 1) * sizeof(*q->names));
	mr_memory_unmap(q->sessions, ((size_t)q->sessions_mask + 1) * sizeof(*q->sessions));
	mr_memory_unmap(q->deliveries, (size_t)q->deliveries_max * sizeof(*q->deliveries));
	mr_memory_unmap(q->assemblies, MR_QUEUE_ASSEMBLY_CHAINS * sizeof(*q->assemblies));
	free(q->scratch);
}

static int map_tables(struct mr_queues *q)
{
	q->index_bits = bits_of(mr_queue_slots_max(&q->c));
	q->names_mask = (1u << q->index_bits) - 1;
	q->sessions_mask = SESSION_BUCKETS - 1;
	q->deliveries_max = deliveries_max(q->store);
	q->slots = mr_memory_map(mr_queue_slots_max(&q->c) * sizeof(*q->slots), false);
	q->names = mr_memory_map(((size_t)q->names_mask + 1) * sizeof(*q->names), false);
	q->sessions = mr_memory_map(((size_t)q->sessions_mask + 1) * sizeof(*q->sessions), false);
	q->deliveries = mr_memory_map((size_t)q->deliveries_max * sizeof(*q->deliveries), false);
	q->assemblies = mr_memory_map(MR_QUEUE_ASSEMBLY_CHAINS * sizeof(*q->assemblies), false);
	q->scratch = malloc(MR_BODY_BYTES_MAX);
	if (q->slots == NULL || q->names == NULL || q->sessions == NULL || q->deliveries == NULL ||
		q->assemblies == NULL || q->scratch == NULL) {
		unmap_tables(q);
		return -ENOMEM;
	}
	return 0;
}

/* Returns the number of timers: deliveries, queues, and as many consumers as fit the store. */
static uint32_t timers_max(const struct mr_queues *q)
{
	uint64_t consumers = mr_slab_bytes_max(q->store) / sizeof(struct mr_queue_consumer);

	return (uint32_t)(q->deliveries_max + mr_queue_slots_max(&q->c) + consumers);
}

int mr_queues_new(const struct mr_queues_config *c, struct mr_slab *store, struct mr_queues **out)
{
	struct mr_queues *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	assert(c->queues_max > 0 && c->queues_max <= 1u << 20);
	q->c = *c;
	q->store = store;
	q->store_entries_max = entries_max(store);
	q->store_share = q->store_entries_max;
	q->slots_free = MR_QUEUE_NONE;
	q->deliveries_free = MR_QUEUE_NONE;
	q->later_head = q->later_tail = MR_QUEUE_NONE;
	q->sweep_ms = UINT64_MAX;
	q->work = MR_WORK_MESSAGES;
	q->serial = (uint32_t)(c->seed >> 32);
	q->random = c->seed | 1;
	if (getrandom(&q->name_key, sizeof(q->name_key), 0) != (ssize_t)sizeof(q->name_key) ||
		map_tables(q) != 0)
		goto free_q;
	if (mr_queue_timers_init(&q->timers, timers_max(q)) != 0)
		goto unmap;
	if (mr_windows_new(q) != 0)
		goto fini_timers;
	if (mr_limits_init(q) != 0)
		goto free_windows;
	if (mr_bind_init(q) != 0)
		goto fini_limits;
	*out = q;
	return 0;
fini_limits:
	mr_limits_fini(q);
free_windows:
	mr_windows_free(q);
fini_timers:
	mr_queue_timers_fini(&q->timers);
unmap:
	unmap_tables(q);
free_q:
	free(q);
	return -ENOMEM;
}

void mr_queues_free(struct mr_queues *q)
{
	if (q == NULL)
		return;
	mr_bind_fini(q);
	mr_key_table_free(q);
	mr_limits_fini(q);
	mr_windows_free(q);
	mr_queue_timers_fini(&q->timers);
	unmap_tables(q);
	free(q);
}

static uint64_t due_ms(const struct mr_queues *q)
{
	uint64_t due = mr_queue_timers_due(&q->timers);

	if (q->sweep_ms < due)
		due = q->sweep_ms;
	if (q->blocked != NULL && q->retry_ms < due)
		due = q->retry_ms;
	return due;
}

/* A worker called long after it was due was frozen, most likely with all programs of its machine,
 * as in a paused container. Silence of others in that time is not held against them. */
void mr_queues_clock(struct mr_queues *q, uint64_t caller_ms)
{
	uint64_t now = caller_ms - q->lost_ms, due;

	if (mr_unlikely(caller_ms - q->caller_ms > FREEZE_MS && q->caller_ms != 0)) {
		due = due_ms(q);
		if (due < now && now - due > FREEZE_MS) {
			due = due > q->now_ms ? due : q->now_ms;
			q->lost_ms += now - due;
			q->thawed_ms = now = due;
			mr_count(q->c.stats->queue_freezes, 1);
		}
	}
	q->caller_ms = caller_ms;
	q->now_ms = now;
}

bool mr_queue_in_use(const struct mr_queue *queue)
{
	return queue->consumers_count > 0 || queue->assemblies > 0 || mr_queue_depth(queue) > 0 ||
	       mr_schedules_any(queue) ||
	       (queue->dead != NULL && !queue->is_dead && mr_queue_depth(queue->dead) > 0);
}

/* Returns when the oldest ready entry reaches its age limit. */
static uint64_t age_due(const struct mr_queues *q, const struct mr_queue *queue)
{
	uint64_t left = UINT64_MAX;

	if (!mr_queue_has_age_limit(queue))
		return UINT64_MAX;
	for (unsigned i = 0; i < mr_queue_ranks(queue); i++) {
		const struct mr_queue_entry *e = mr_queue_oldest(queue, i);
		uint64_t of_this = e == NULL ? UINT64_MAX : mr_queue_age_left(q, queue, e);

		left = of_this < left ? of_this : left;
	}
	return left == UINT64_MAX ? left : q->now_ms + left;
}

/* True for a queue that stays however long it is idle. */
static bool stays(const struct mr_queue *queue)
{
	return queue->paused || queue->is_set;
}

static uint64_t idle_due(const struct mr_queues *q, const struct mr_queue *queue)
{
	if (mr_queue_in_use(queue))
		return q->now_ms + q->c.idle_ms;
	return stays(queue) ? UINT64_MAX : queue->used_ms + q->c.idle_ms;
}

void mr_queue_arm(struct mr_queues *q, struct mr_queue *queue)
{
	uint64_t due = age_due(q, queue), ttl_due = mr_ttl_due_ms(q, queue);
	uint64_t idle = idle_due(q, queue), full_due = mr_full_due_ms(q, queue);

	due = due < idle ? due : idle;
	due = due < ttl_due ? due : ttl_due;
	due = due < full_due ? due : full_due;
	if (queue->keys != NULL && mr_keys_due_ms(queue) < due)
		due = mr_keys_due_ms(queue);
	if (due == UINT64_MAX)
		return;
	/* Due already: more entries than one call handles; the rest has its turn. */
	mr_queue_timer_set(&q->timers, &queue->timer, due > q->now_ms ? due : q->now_ms + 1);
}

void mr_queue_on_timer(struct mr_queues *q, struct mr_queue *queue)
{
	mr_queue_expire(q, queue);
	mr_ttl_expire(q, queue);
	mr_full_trim(q, queue);
	if (queue->keys != NULL)
		mr_keys_on_timer(q, queue);
	mr_queue_has_room(q, queue);
	if (mr_bind_count(q, queue) > 0)
		queue->used_ms = q->now_ms;
	if (!mr_queue_in_use(queue) && !stays(queue) && queue->used_ms + q->c.idle_ms <= q->now_ms)
		mr_queue_remove(q, queue);
	else
		mr_queue_arm(q, queue);
}

static void fire_timer(struct mr_queues *q, struct mr_queue_timer *t)
{
	switch (t->kind) {
	case MR_QUEUE_TIMER_CONSUMER:
		mr_consumer_on_timer(q, mr_container_of(t, struct mr_queue_consumer, timer));
		break;
	case MR_QUEUE_TIMER_DELIVERY:
		mr_delivery_on_timer(q, mr_container_of(t, struct mr_queue_delivery, timer));
		break;
	default: mr_queue_on_timer(q, mr_container_of(t, struct mr_queue, timer)); break;
	}
}

void mr_queues_tick(struct mr_queues *q, uint64_t now_ms)
{
	struct mr_queue_timer *t;

	mr_queues_at(q, now_ms);
	q->work = MR_WORK_TICK;
	while (mr_work_left(q) && (t = mr_queue_timers_pop(&q->timers, q->now_ms)) != NULL) {
		mr_work(q, MR_WORK_TIMER);
		fire_timer(q, t);
	}
	mr_keys_free_spares(q);
	q->work = MR_WORK_SWEEP;
	mr_clients_sweep(q);
	mr_gauge(q->c.stats->queue_keys, mr_key_table_count(q));
	q->work = MR_WORK_MESSAGES;
}

uint64_t mr_queues_due_ms(const struct mr_queues *q)
{
	uint64_t due = due_ms(q);

	return due != UINT64_MAX ? due + q->lost_ms : due;
}

uint64_t mr_queues_lost_ms(const struct mr_queues *q)
{
	return q->lost_ms;
}
