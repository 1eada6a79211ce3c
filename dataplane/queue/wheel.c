/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/wheel.h"

#include <stddef.h>
#include <string.h>

#include "lib/base/compiler.h"

#define UNIT 16u /* chunks of the store begin at multiples of this */

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

static void link_last(struct mr_wheel *w, uint32_t *slot, struct mr_wheel_node *n)
{
	uint32_t number = number_of(w, n);
	struct mr_wheel_node *first;

	if (*slot == 0) {
		*slot = n->next = n->prev = number;
		return;
	}
	first = node_of(w, *slot);
	n->next = *slot;
	n->prev = first->prev;
	node_of(w, first->prev)->next = number;
	first->prev = number;
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

static void unlink_first(struct mr_wheel *w, unsigned level, unsigned digit)
{
	uint32_t *slot = &w->slots[level][digit];
	struct mr_wheel_node *n = node_of(w, *slot);

	if (n->next == *slot) {
		*slot = 0;
		w->used[level] &= ~(1ull << digit);
	} else {
		node_of(w, n->prev)->next = n->next;
		node_of(w, n->next)->prev = n->prev;
		*slot = n->next;
	}
	n->next = n->prev = 0;
}

/* True, with its place, if the node is the first of a slot. */
static bool is_first(
	const struct mr_wheel *w, const struct mr_wheel_node *n, unsigned *level, unsigned *digit)
{
	uint32_t number = number_of(w, n);

	for (*level = 0; *level < MR_WHEEL_LEVELS; ++*level) {
		*digit = digit_of(n->due_ms, *level);
		if (w->slots[*level][*digit] == number)
			return true;
	}
	return false;
}

void mr_wheel_remove(struct mr_wheel *w, struct mr_wheel_node *n)
{
	unsigned level, digit;

	w->count--;
	if (is_first(w, n, &level, &digit)) {
		unlink_first(w, level, digit);
		return;
	}
	node_of(w, n->prev)->next = n->next;
	node_of(w, n->next)->prev = n->prev;
	n->next = n->prev = 0;
}

/* Moves one node of the slot that the wheel has reached to a lower level. False: the slot is
 * empty. */
static bool move_one(struct mr_wheel *w)
{
	unsigned digit = digit_of(w->now_ms, w->moving);
	struct mr_wheel_node *n;

	if ((w->used[w->moving] >> digit & 1) == 0) {
		w->moving = 0;
		return false;
	}
	n = node_of(w, w->slots[w->moving][digit]);
	unlink_first(w, w->moving, digit);
	put(w, n);
	return true;
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

	while (*budget > 0) {
		if (w->moving > 0) {
			*budget -= move_one(w);
			continue;
		}
		if (!advance(w, now_ms))
			return NULL;
		if (w->moving > 0)
			continue;
		n = node_of(w, w->slots[0][digit_of(w->now_ms, 0)]);
		unlink_first(w, 0, digit_of(w->now_ms, 0));
		w->count--;
		--*budget;
		return n;
	}
	return NULL;
}

struct mr_wheel_node *mr_wheel_any(struct mr_wheel *w)
{
	unsigned level = first_level(w), digit;
	struct mr_wheel_node *n;

	if (level == MR_WHEEL_LEVELS)
		return NULL;
	digit = (unsigned)__builtin_ctzll(w->used[level]);
	n = node_of(w, w->slots[level][digit]);
	unlink_first(w, level, digit);
	w->count--;
	return n;
}

uint64_t mr_wheel_due_ms(const struct mr_wheel *w)
{
	unsigned level = first_level(w);

	if (w->moving > 0)
		return w->now_ms;
	return level == MR_WHEEL_LEVELS ? UINT64_MAX : first_ms(w, level);
}
