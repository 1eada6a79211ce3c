/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/timer.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "lib/base/memory.h"

static size_t heap_bytes(const struct mr_queue_timers *t)
{
	return ((size_t)t->max + 1) * sizeof(struct mr_queue_timer *);
}

int mr_queue_timers_init(struct mr_queue_timers *t, uint32_t max)
{
	*t = (struct mr_queue_timers){.max = max};
	t->heap = mr_memory_map(heap_bytes(t), false);
	return t->heap == NULL ? -ENOMEM : 0;
}

void mr_queue_timers_fini(struct mr_queue_timers *t)
{
	mr_memory_unmap(t->heap, heap_bytes(t));
}

static void heap_place(struct mr_queue_timers *t, uint32_t at, struct mr_queue_timer *timer)
{
	t->heap[at] = timer;
	timer->at = at;
}

static void heap_up(struct mr_queue_timers *t, uint32_t at, struct mr_queue_timer *timer)
{
	for (; at > 1 && t->heap[at / 2]->due_ms > timer->due_ms; at /= 2)
		heap_place(t, at, t->heap[at / 2]);
	heap_place(t, at, timer);
}

static void heap_down(struct mr_queue_timers *t, uint32_t at, struct mr_queue_timer *timer)
{
	uint64_t child;

	for (; (child = (uint64_t)at * 2) <= t->count; at = (uint32_t)child) {
		if (child < t->count && t->heap[child + 1]->due_ms < t->heap[child]->due_ms)
			child++;
		if (t->heap[child]->due_ms >= timer->due_ms)
			break;
		heap_place(t, at, t->heap[child]);
	}
	heap_place(t, at, timer);
}

void mr_queue_timer_set(struct mr_queue_timers *t, struct mr_queue_timer *timer, uint64_t due_ms)
{
	if (timer->at != 0 && timer->due_ms <= due_ms)
		return;
	timer->due_ms = due_ms;
	if (timer->at == 0) {
		assert(t->count < t->max);
		timer->at = ++t->count;
	}
	heap_up(t, timer->at, timer);
}

void mr_queue_timer_clear(struct mr_queue_timers *t, struct mr_queue_timer *timer)
{
	uint32_t at = timer->at;
	struct mr_queue_timer *last;

	if (at == 0)
		return;
	timer->at = 0;
	last = t->heap[t->count--];
	if (last == timer)
		return;
	if (at > 1 && t->heap[at / 2]->due_ms > last->due_ms)
		heap_up(t, at, last);
	else
		heap_down(t, at, last);
}

struct mr_queue_timer *mr_queue_timers_pop(struct mr_queue_timers *t, uint64_t now_ms)
{
	struct mr_queue_timer *timer;

	if (mr_queue_timers_due(t) > now_ms)
		return NULL;
	timer = t->heap[1];
	mr_queue_timer_clear(t, timer);
	return timer;
}
