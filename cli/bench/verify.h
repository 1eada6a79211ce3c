/* SPDX-License-Identifier: Apache-2.0 */
/* verify: payloads that contain publisher, sequence and time; all other bytes follow from these.
 * And the conclusions of a receiver from the sequences that arrive.
 *
 * Payload: 8 bytes publisher and sequence, 8 bytes time stamp, then words of a series that starts
 * at a hash of both and continues in steps. If the size is no multiple of 8, the last word is cut.
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

/* Two words at a time: the vector registers of all machines hold that many. */
typedef uint64_t mr_bench_pair __attribute__((vector_size(16)));

/* Writes the last 1 to 15 bytes of the series; `pair` is its next pair. */
void mr_bench_fill_rest(uint8_t *to, size_t bytes, mr_bench_pair pair);
/* Returns zero if the bytes are those of fill_rest. */
uint64_t mr_bench_rest_difference(const uint8_t *from, size_t bytes, mr_bench_pair pair);

/* Writes a payload; `bytes` >= MR_BENCH_STAMP_BYTES. Without `full` it writes the stamp only. */
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

/* Returns zero if the payload is that of this stamp; without `full` it compares the stamp only. */
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

/* A row is a batch of one publisher: payloads of one size, `stride` bytes apart, with consecutive
 * sequences and one time stamp. */

/* Writes `count` payloads, the first with `stamp`. */
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

/* Returns how many of `count` payloads form an intact row. 0: the first is damaged. */
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

/* Missing sequences [first, end). */
struct mr_bench_hole {
	uint64_t first;
	uint64_t end;
};

/* The sequences that one receiver got from one publisher. All zero bytes: none, 0 expected. */
struct mr_bench_flow {
	uint64_t next;       /* next expected sequence */
	uint64_t missing;    /* below next and not received */
	uint64_t duplicates; /* received twice */
	uint64_t reordered;  /* received after a later one */
	uint32_t holes_count;
	struct mr_bench_hole holes[MR_BENCH_HOLES_MAX];
};

/* Notes a sequence that is not the expected one. */
void mr_bench_flow_odd(struct mr_bench_flow *f, uint64_t sequence);

/* Notes `count` consecutive sequences. */
static inline void mr_bench_flow_take(struct mr_bench_flow *f, uint64_t sequence, uint32_t count)
{
	if (mr_likely(sequence == f->next)) {
		f->next += count;
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		mr_bench_flow_odd(f, sequence + i);
}

/* Returns the number of different messages received. */
static inline uint64_t mr_bench_flow_received(const struct mr_bench_flow *f)
{
	return f->next - f->missing;
}

#endif
