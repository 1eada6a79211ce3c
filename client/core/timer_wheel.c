/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/timer_wheel.h"

static struct mr_wheel_timer *due_in(const struct mr_wheel *w, uint32_t slot, uint64_t now_ns)
{
	struct mr_wheel_timer *t = w->slots[slot];

	/* The others are due in a later turn of the wheel. */
	while (t != NULL && t->due_ns > now_ns)
		t = t->next;
	return t;
}

static bool is_occupied(const struct mr_wheel *w, uint32_t slot)
{
	return (w->occupied[slot / 64] & 1ull << slot % 64) != 0;
}

static void forget_if_empty(struct mr_wheel *w, uint32_t slot)
{
	if (w->slots[slot] == NULL)
		w->occupied[slot / 64] &= ~(1ull << slot % 64);
}

struct mr_wheel_timer *mr_wheel_expired(struct mr_wheel *w, uint64_t now_ns)
{
	/* A tick has passed when all timers of its slot are due. */
	uint64_t end = now_ns / MR_WHEEL_TICK_NS + 1;

	if (w->count == 0)
		return NULL;
	/* After one turn every slot was looked at. */
	if (end > w->tick + MR_WHEEL_SLOTS)
		w->tick = end - MR_WHEEL_SLOTS;
	for (; w->tick < end; w->tick++) {
		uint32_t slot = w->tick % MR_WHEEL_SLOTS;
		struct mr_wheel_timer *t = is_occupied(w, slot) ? due_in(w, slot, now_ns) : NULL;

		if (t != NULL) {
			mr_wheel_remove(w, t);
			return t;
		}
		forget_if_empty(w, slot);
	}
	return NULL;
}

uint64_t mr_wheel_due_ns(struct mr_wheel *w)
{
	if (w->count == 0)
		return UINT64_MAX;
	for (uint64_t tick = w->tick; tick < w->tick + MR_WHEEL_SLOTS; tick++) {
		uint32_t slot = tick % MR_WHEEL_SLOTS;

		forget_if_empty(w, slot);
		if (is_occupied(w, slot))
			return tick * MR_WHEEL_TICK_NS;
		/* Skips a word of empty slots. */
		if (slot % 64 == 0 && w->occupied[slot / 64] == 0)
			tick += 63;
	}
	return UINT64_MAX;
}
