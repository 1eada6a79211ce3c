/* SPDX-License-Identifier: Apache-2.0 */
/* verify: payloads that say who sent them, which they are and when, and whose every further byte follows
 * from that; and what a receiver concludes from the numbers that come.
 *
 * Payload: 8 bytes publisher and sequence, 8 bytes time stamp, then words of a series that starts at
 * a hash of both and goes on in steps; a last part of a word where the size is no multiple of 8.
 *
 * Owns      Nothing.
 * Threads   A flow belongs to its receiver's thread.
 * Hot path  All but odd: no call, no branch but the loop's.
 */
#ifndef MILLRACE_CLI_BENCH_VERIFY_H
#define MILLRACE_CLI_BENCH_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* `bytes` >= MR_BENCH_STAMP_BYTES. Without `full` the series is left out. */
static inline void mr_bench_fill(
	void *payload, size_t bytes, struct mr_bench_stamp stamp, bool full)
{
	uint8_t *to = (uint8_t *)payload + MR_BENCH_STAMP_BYTES;
	size_t words = (bytes - MR_BENCH_STAMP_BYTES) / 8;
	uint64_t word = mr_bench_series_start(stamp);

	memcpy(payload, &stamp, sizeof(stamp));
	if (!full)
		return;
	for (size_t i = 0; i < words; i++, word += MR_BENCH_STEP)
		memcpy(to + i * 8, &word, 8);
	for (size_t i = 0; i < bytes % 8; i++)
		to[words * 8 + i] = (uint8_t)(word >> i * 8);
}

static inline bool mr_bench_is_intact(const void *payload, size_t bytes)
{
	const uint8_t *from = (const uint8_t *)payload + MR_BENCH_STAMP_BYTES;
	size_t words = (bytes - MR_BENCH_STAMP_BYTES) / 8;
	struct mr_bench_stamp stamp;
	uint64_t word, found, wrong = 0;

	memcpy(&stamp, payload, sizeof(stamp));
	word = mr_bench_series_start(stamp);
	for (size_t i = 0; i < words; i++, word += MR_BENCH_STEP) {
		memcpy(&found, from + i * 8, 8);
		wrong |= found ^ word;
	}
	for (size_t i = 0; i < bytes % 8; i++)
		wrong |= (uint64_t)(from[words * 8 + i] ^ (uint8_t)(word >> i * 8));
	return wrong == 0;
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

/* Takes a sequence that is not the one expected. */
void mr_bench_flow_odd(struct mr_bench_flow *f, uint64_t sequence);

static inline void mr_bench_flow_take(struct mr_bench_flow *f, uint64_t sequence)
{
	if (__builtin_expect(sequence == f->next, 1))
		f->next++;
	else
		mr_bench_flow_odd(f, sequence);
}

/* Different messages seen. */
static inline uint64_t mr_bench_flow_received(const struct mr_bench_flow *f)
{
	return f->next - f->missing;
}

#endif
