/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/verify.h"

static uint8_t rest_byte(mr_bench_pair pair, size_t index)
{
	return (uint8_t)(pair[index / 8] >> index % 8 * 8);
}

void mr_bench_fill_rest(uint8_t *to, size_t bytes, mr_bench_pair pair)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = rest_byte(pair, i);
}

uint64_t mr_bench_rest_difference(const uint8_t *from, size_t bytes, mr_bench_pair pair)
{
	uint64_t wrong = 0;

	for (size_t i = 0; i < bytes; i++)
		wrong |= (uint64_t)(from[i] ^ rest_byte(pair, i));
	return wrong;
}

/* Notes a gap of missing sequences. If the list is full, the oldest gap is dropped: its messages
 * then count as duplicates when they come, and as missing. Both are reported. */
static void add_hole(struct mr_bench_flow *f, uint64_t first, uint64_t end)
{
	if (f->holes_count == MR_BENCH_HOLES_MAX) {
		memmove(f->holes, f->holes + 1, (MR_BENCH_HOLES_MAX - 1) * sizeof(f->holes[0]));
		f->holes_count--;
	}
	f->holes[f->holes_count++] = (struct mr_bench_hole){first, end};
	f->missing += end - first;
}

static void remove_hole(struct mr_bench_flow *f, uint32_t index)
{
	f->holes_count--;
	memmove(f->holes + index, f->holes + index + 1,
		(f->holes_count - index) * sizeof(f->holes[0]));
}

/* Removes one sequence from its gap. */
static void fill_hole(struct mr_bench_flow *f, uint32_t index, uint64_t sequence)
{
	struct mr_bench_hole *hole = &f->holes[index];
	uint64_t end = hole->end;

	f->missing--;
	if (sequence == hole->first) {
		hole->first++;
	} else {
		hole->end = sequence;
		if (sequence + 1 < end) {
			f->missing -= end - sequence - 1; /* add_hole counts it again */
			add_hole(f, sequence + 1, end);
		}
		return;
	}
	if (hole->first == hole->end)
		remove_hole(f, index);
}

void mr_bench_flow_odd(struct mr_bench_flow *f, uint64_t sequence)
{
	if (sequence >= f->next) {
		if (sequence > f->next)
			add_hole(f, f->next, sequence);
		f->next = sequence + 1;
		return;
	}
	for (uint32_t i = 0; i < f->holes_count; i++) {
		if (sequence >= f->holes[i].first && sequence < f->holes[i].end) {
			f->reordered++;
			fill_hole(f, i, sequence);
			return;
		}
	}
	f->duplicates++;
}
