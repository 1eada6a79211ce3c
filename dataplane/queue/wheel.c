/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/wheel.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/compiler.h"

#define UNIT  16u /* chunks of the store begin at multiples of this */
#define AHEAD 5u  /* nodes that a walk fetches ahead */

void mr_wheel_init(struct mr_wheel *w, uint8_t *base, uint32_t offset, uint64_t now_ms)
{
	memset(w, 0, sizeof(*w));
	w->base = base;
	w->offset = offset;
	w->now_ms = now_ms;
}

static inline uint32_t number_of(const struct mr_wheel *w, const struct mr_wheel_node *n)
{
	return (uint32_t)(((const uint8_t *)n - w->base - w->offset) / UNIT) + 1;
}

static inline struct mr_wheel_node *node_of(const struct mr_wheel *w, uint32_t number)
{
	return (struct mr_wheel_node *)(w->base + (number - 1) * (uint64_t)UNIT + w->offset);
}

/* Returns the lowest level on which the time has a slot of its own: that of the highest digit in
 * which it differs from now. */
static inline unsigned level_of(const struct mr_wheel *w, uint64_t ms)
{
	return (63u - (unsigned)__builtin_clzll((ms ^ w->now_ms) | 1)) / MR_WHEEL_BITS;
}

static inline unsigned digit_of(uint64_t ms, unsigned level)
{
	return (unsigned)(ms >> (level * MR_WHEEL_BITS)) & (MR_WHEEL_SLOTS - 1);
}

/* Lets a node near the end of the slot name the new last one, so that a walk through the slot can
 * fetch a node while it works on those before it. A node that leaves is not looked for: a number
 * that is no node's any more costs a useless prefetch. */
static inline void name_ahead(
	const struct mr_wheel *w, const struct mr_wheel_node *last, uint32_t number)
{
	uint32_t at = last->prev;

	for (unsigned i = 2; i < AHEAD && at != 0; i++) {
		last = node_of(w, at);
		at = last->prev;
	}
	if (at != 0)
		node_of(w, at)->ahead = number;
}

static void link_last(struct mr_wheel *w, struct mr_wheel_slot *slot, struct mr_wheel_node *n)
{
	uint32_t number = number_of(w, n);

	n->prev = slot->last;
	n->next = number;
	n->ahead = 0;
	if (slot->first == 0) {
		slot->first = number;
	} else {
		node_of(w, slot->last)->next = number;
		name_ahead(w, node_of(w, slot->last), number);
	}
	slot->last = number;
}

static void put(struct mr_wheel *w, struct mr_wheel_node *n)
{
	unsigned level = level_of(w, n->due_ms);
	unsigned digit = digit_of(n->due_ms, level);

	link_last(w, &w->slots[level][digit], n);
	w->used[level] |= 1ull << digit;
}

void mr_wheel_add(struct mr_wheel *w, struct mr_wheel_node *n, uint64_t due_ms)
{
	n->due_ms = due_ms < w->now_ms ? w->now_ms : due_ms;
	if (n->due_ms > MR_WHEEL_LAST_MS)
		n->due_ms = MR_WHEEL_LAST_MS;
	put(w, n);
	w->count++;
}

/* Prefetches a node; `whole`: the beginning of its chunk too, because it will leave the wheel. */
static inline void fetch(const struct mr_wheel *w, uint32_t number, bool whole)
{
	const struct mr_wheel_node *n = node_of(w, number);

	mr_prefetch_write(n);
	if (whole)
		mr_prefetch_write((const uint8_t *)n - w->offset);
}

static void unlink_first(struct mr_wheel *w, unsigned level, unsigned digit)
{
	struct mr_wheel_slot *slot = &w->slots[level][digit];
	struct mr_wheel_node *n = node_of(w, slot->first);

	if (slot->first == slot->last) {
		*slot = (struct mr_wheel_slot){0};
		w->used[level] &= ~(1ull << digit);
	} else {
		slot->first = n->next;
		node_of(w, n->next)->prev = 0;
		fetch(w, n->ahead != 0 ? n->ahead : n->next, level == 0);
	}
	n->next = n->prev = 0;
}

/* Finds the slot of a node that is the first or the last of it. */
static void find_slot(
	const struct mr_wheel *w, const struct mr_wheel_node *n, unsigned *level, unsigned *digit)
{
	uint32_t number = number_of(w, n);

	for (*level = 0; *level < MR_WHEEL_LEVELS; ++*level) {
		const struct mr_wheel_slot *slot;

		*digit = digit_of(n->due_ms, *level);
		slot = &w->slots[*level][*digit];
		if (slot->first == number || slot->last == number)
			return;
	}
	assert(false);
}

/* Returns the first node of the first slot that is not empty, from this one on. */
static struct mr_wheel_node *first_from(const struct mr_wheel *w, unsigned level, unsigned digit)
{
	for (; level < MR_WHEEL_LEVELS; level++, digit = 0) {
		uint64_t used = digit < MR_WHEEL_SLOTS ? w->used[level] >> digit : 0;

		if (used != 0)
			return node_of(
				w, w->slots[level][digit + (unsigned)__builtin_ctzll(used)].first);
	}
	return NULL;
}

struct mr_wheel_node *mr_wheel_next(const struct mr_wheel *w, const struct mr_wheel_node *n)
{
	unsigned level, digit;

	if (n == NULL)
		return first_from(w, 0, 0);
	if (n->next != number_of(w, n))
		return node_of(w, n->next);
	find_slot(w, n, &level, &digit);
	return first_from(w, level, digit + 1);
}

/* Takes out the last node of a slot that has others. */
static void unlink_last(struct mr_wheel *w, struct mr_wheel_node *n)
{
	unsigned level, digit;

	find_slot(w, n, &level, &digit);
	w->slots[level][digit].last = n->prev;
	node_of(w, n->prev)->next = n->prev;
}

void mr_wheel_remove(struct mr_wheel *w, struct mr_wheel_node *n)
{
	unsigned level, digit;

	w->count--;
	if (n->prev == 0) {
		find_slot(w, n, &level, &digit);
		unlink_first(w, level, digit);
		return;
	}
	if (n->next == number_of(w, n)) {
		unlink_last(w, n);
	} else {
		node_of(w, n->prev)->next = n->next;
		node_of(w, n->next)->prev = n->prev;
	}
	n->next = n->prev = 0;
}

/* Ends the walk through a slot at node `at`, which becomes its first. */
static void begin_slot_at(const struct mr_wheel *w, struct mr_wheel_slot *slot, uint32_t at)
{
	slot->first = at;
	node_of(w, at)->prev = 0;
}

/* Moves the nodes of the slot that the wheel has reached to lower levels, as far as *budget
 * reaches. Their links within the slot need no care, as all before them have left. */
static void move_some(struct mr_wheel *w, uint32_t *budget)
{
	unsigned level = w->moving, digit = digit_of(w->now_ms, level);
	struct mr_wheel_slot *slot = &w->slots[level][digit];
	const uint32_t last = slot->last;
	uint32_t at = slot->first;

	for (; at != 0 && *budget > 0; --*budget) {
		struct mr_wheel_node *n = node_of(w, at);
		uint32_t next = n->next;

		if (at != last)
			fetch(w, n->ahead != 0 ? n->ahead : next, level == 1);
		put(w, n);
		at = at == last ? 0 : next;
	}
	if (at != 0) {
		begin_slot_at(w, slot, at);
		return;
	}
	*slot = (struct mr_wheel_slot){0};
	w->used[level] &= ~(1ull << digit);
	w->moving = 0;
}

/* Returns the lowest level that is not empty: its first slot is the first of all. */
static unsigned first_level(const struct mr_wheel *w)
{
	unsigned level = 0;

	while (level < MR_WHEEL_LEVELS && w->used[level] == 0)
		level++;
	return level;
}

/* Returns the time at which the first slot of the level begins. */
static uint64_t first_ms(const struct mr_wheel *w, unsigned level)
{
	unsigned shift = level * MR_WHEEL_BITS;
	uint64_t above = w->now_ms >> (shift + MR_WHEEL_BITS) << (shift + MR_WHEEL_BITS);

	return above | (uint64_t)__builtin_ctzll(w->used[level]) << shift;
}

/* Advances to the first slot if it begins by now_ms. False: none does. */
static bool advance(struct mr_wheel *w, uint64_t now_ms)
{
	unsigned level = first_level(w);
	uint64_t ms = level == MR_WHEEL_LEVELS ? UINT64_MAX : first_ms(w, level);

	if (level == MR_WHEEL_LEVELS || ms > now_ms) {
		w->now_ms = now_ms > w->now_ms ? now_ms : w->now_ms;
		return false;
	}
	w->now_ms = ms;
	w->moving = level;
	return true;
}

struct mr_wheel_node *mr_wheel_pop(struct mr_wheel *w, uint64_t now_ms, uint32_t *budget)
{
	struct mr_wheel_node *n;

	/* What the wheel has passed is due, also if the clock has stepped back since. */
	if (mr_unlikely(now_ms < w->now_ms))
		now_ms = w->now_ms;
	while (*budget > 0) {
		if (w->moving > 0) {
			move_some(w, budget);
			continue;
		}
		if (!advance(w, now_ms))
			return NULL;
		if (w->moving > 0)
			continue;
		n = node_of(w, w->slots[0][digit_of(w->now_ms, 0)].first);
		unlink_first(w, 0, digit_of(w->now_ms, 0));
		w->count--;
		--*budget;
		return n;
	}
	return NULL;
}

uint32_t mr_wheel_take_all(struct mr_wheel *w, uint32_t rest, uint64_t now_ms)
{
	for (unsigned level = 0; level < MR_WHEEL_LEVELS; level++) {
		for (uint64_t used = w->used[level]; used != 0; used &= used - 1) {
			struct mr_wheel_slot *slot = &w->slots[level][__builtin_ctzll(used)];

			if (rest != 0)
				node_of(w, slot->last)->next = rest;
			rest = slot->first;
		}
	}
	mr_wheel_init(w, w->base, w->offset, now_ms);
	return rest;
}

uint64_t mr_wheel_due_ms(const struct mr_wheel *w)
{
	unsigned level = first_level(w);

	if (w->moving > 0)
		return w->now_ms;
	return level == MR_WHEEL_LEVELS ? UINT64_MAX : first_ms(w, level);
}
