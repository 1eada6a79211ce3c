/* SPDX-License-Identifier: Apache-2.0 */
/* verify: payloads that say who sent them, which they are and when, and whose every further byte follows
 * from that; and what a receiver concludes from the numbers that come.
 *
 * Payload: 8 bytes publisher and sequence, 8 bytes time stamp, then words of a series that starts at
 * a hash of both and goes on in steps; a last part of a word where the size is no multiple of 8.
 *
 * Owns      Nothing.
 * Threads   A flow belongs to its receiver's thread.
 * Hot path  All but odd and rest: no call, no branch but the loops'.
 */
#ifndef MILLRACE_CLI_BENCH_VERIFY_H
#define MILLRACE_CLI_BENCH_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"

#define MR_BENCH_STAMP_BYTES   16
#define MR_BENCH_SEQUENCE_BITS 48
#define MR_BENCH_HOLES_MAX     256

struct mr_bench_stamp {
	uint64_t who; /* publisher << 48 | sequence */
	uint64_t when;
};

static inline uint64_t mr_bench_who(uint32_t publisher, uint64_t sequence)
{
	return (uint64_t)publisher << MR_BENCH_SEQUENCE_BITS | sequence;
}

static inline uint32_t mr_bench_publisher_of(struct mr_bench_stamp stamp)
{
	return (uint32_t)(stamp.who >> MR_BENCH_SEQUENCE_BITS);
}

static inline uint64_t mr_bench_sequence_of(struct mr_bench_stamp stamp)
{
	return stamp.who & ((1ull << MR_BENCH_SEQUENCE_BITS) - 1);
}

#define MR_BENCH_STEP 0x9e3779b97f4a7c15ull

static inline uint64_t mr_bench_series_start(struct mr_bench_stamp stamp)
{
	return (stamp.who * 0xd6e8feb86659fd93ull) ^ (stamp.when * 0xa0761d6478bd642full);
}

/* Two words at a time, which is what a vector register of every machine holds. */
typedef uint64_t mr_bench_pair __attribute__((vector_size(16)));

/* The last 1 to 15 bytes of the series, of which `pair` comes next. */
void mr_bench_fill_rest(uint8_t *to, size_t bytes, mr_bench_pair pair);
/* Zero if they are what fill_rest makes. */
uint64_t mr_bench_rest_difference(const uint8_t *from, size_t bytes, mr_bench_pair pair);

/* `bytes` >= MR_BENCH_STAMP_BYTES. Without `full` the series is left out. */
MR_ALWAYS_INLINE void mr_bench_fill(
	void *payload, size_t bytes, struct mr_bench_stamp stamp, bool full)
{
	uint8_t *to = (uint8_t *)payload + MR_BENCH_STAMP_BYTES;
	uint64_t word = mr_bench_series_start(stamp);
	mr_bench_pair pair = {word, word + MR_BENCH_STEP};
	size_t left = bytes - MR_BENCH_STAMP_BYTES;

	memcpy(payload, &stamp, sizeof(stamp));
	if (!full)
		return;
	for (; left >= 16; left -= 16, to += 16, pair += 2 * MR_BENCH_STEP)
		memcpy(to, &pair, 16);
	if (mr_unlikely(left > 0))
		mr_bench_fill_rest(to, left, pair);
}

/* Zero if the payload is what fill makes of this stamp; without `full` the stamp alone is looked at. */
MR_ALWAYS_INLINE uint64_t mr_bench_difference(
	const void *payload, size_t bytes, struct mr_bench_stamp stamp, bool full)
{
	const uint8_t *from = (const uint8_t *)payload + MR_BENCH_STAMP_BYTES;
	uint64_t word = mr_bench_series_start(stamp);
	mr_bench_pair pair = {word, word + MR_BENCH_STEP};
	mr_bench_pair wrong = {stamp.who, stamp.when};
	size_t left = bytes - MR_BENCH_STAMP_BYTES;
	mr_bench_pair found;

	memcpy(&found, payload, 16);
	wrong ^= found;
	if (!full)
		return wrong[0] | wrong[1];
	for (; left >= 16; left -= 16, from += 16, pair += 2 * MR_BENCH_STEP) {
		memcpy(&found, from, 16);
		wrong |= found ^ pair;
	}
	if (mr_unlikely(left > 0))
		wrong[0] |= mr_bench_rest_difference(from, left, pair);
	return wrong[0] | wrong[1];
}

static inline bool mr_bench_is_intact(const void *payload, size_t bytes)
{
	struct mr_bench_stamp stamp;

	memcpy(&stamp, payload, sizeof(stamp));
	return mr_bench_difference(payload, bytes, stamp, true) == 0;
}

/* A row is what one publisher sends at a time: payloads of one size, `stride` bytes apart, each with
 * the sequence after that of the one before, all with one time stamp. */

/* Fills `count`, the first with `stamp`. */
static inline void mr_bench_fill_row(uint8_t *first, size_t stride, uint32_t count, size_t bytes,
	struct mr_bench_stamp stamp, bool full)
{
	uint64_t end = stamp.who + count;

	if (full)
		for (; stamp.who < end; stamp.who++, first += stride)
			mr_bench_fill(first, bytes, stamp, true);
	else
		for (; stamp.who < end; stamp.who++, first += stride)
			mr_bench_fill(first, bytes, stamp, false);
}

/* How many of `count` payloads are a row, and intact. 0: the first is damaged. */
static inline uint32_t mr_bench_row(
	const uint8_t *first, size_t stride, uint32_t count, size_t bytes, bool full)
{
	struct mr_bench_stamp stamp;
	uint64_t start, end;

	memcpy(&stamp, first, sizeof(stamp));
	start = stamp.who;
	end = start + count;
	if (full)
		while (stamp.who < end && mr_bench_difference(first, bytes, stamp, true) == 0)
			stamp.who++, first += stride;
	else
		while (stamp.who < end && mr_bench_difference(first, bytes, stamp, false) == 0)
			stamp.who++, first += stride;
	return (uint32_t)(stamp.who - start);
}

/* Sequences [first, end) that were jumped over. */
struct mr_bench_hole {
	uint64_t first;
	uint64_t end;
};

/* What one receiver has of one publisher. All zero bytes: nothing, sequence 0 expected. */
struct mr_bench_flow {
	uint64_t next;       /* sequence expected */
	uint64_t missing;    /* below next and not seen */
	uint64_t duplicates; /* seen before */
	uint64_t reordered;  /* came after a later one */
	uint32_t holes_count;
	struct mr_bench_hole holes[MR_BENCH_HOLES_MAX];
};

/* Takes any sequence, also one that is not the one expected. */
void mr_bench_flow_odd(struct mr_bench_flow *f, uint64_t sequence);

/* Takes `count` sequences in a row. */
static inline void mr_bench_flow_take(struct mr_bench_flow *f, uint64_t sequence, uint32_t count)
{
	if (mr_likely(sequence == f->next)) {
		f->next += count;
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		mr_bench_flow_odd(f, sequence + i);
}

/* Different messages seen. */
static inline uint64_t mr_bench_flow_received(const struct mr_bench_flow *f)
{
	return f->next - f->missing;
}

#endif
