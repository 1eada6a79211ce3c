/* SPDX-License-Identifier: Apache-2.0 */
/* hash: keyed hash of short texts, so that nobody can choose subjects that collide.
 *
 * Threads   Any; pure functions.
 * Hot path  No table look-ups; reads exactly the bytes given.
 */
#ifndef MILLRACE_SUBJECT_HASH_H
#define MILLRACE_SUBJECT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"

/* Random for each table. Only its secrecy keeps a client from making long probes. */
struct mr_hash_key {
	uint64_t word[4];
};

static inline uint64_t mr_load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t mr_load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Combines both halves of the 128-bit product, so that high input bits affect low output bits
 * too. */
static inline uint64_t mr_hash_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Hashes two numbers. */
static inline uint64_t mr_hash_pair(const struct mr_hash_key *key, uint64_t a, uint64_t b)
{
	return mr_hash_fold(
		mr_hash_fold(a ^ key->word[0], b ^ key->word[1]) ^ key->word[2], key->word[3]);
}

/* Packs a text shorter than 8 bytes into a number; together with the length it is unique. */
static inline uint64_t mr_hash_short(const uint8_t *p, size_t bytes)
{
	if (bytes >= 4)
		return mr_load32(p) | mr_load32(p + bytes - 4) << 32;
	if (bytes == 0)
		return 0;
	return (uint64_t)p[0] | (uint64_t)p[bytes / 2] << 8 | (uint64_t)p[bytes - 1] << 16;
}

static inline uint64_t mr_hash_text(const struct mr_hash_key *key, const void *text, size_t bytes)
{
	const uint8_t *p = text;
	uint64_t state = key->word[2] ^ bytes;
	size_t left = bytes;

	if (left < 8)
		return mr_hash_fold(
			mr_hash_fold(mr_hash_short(p, left) ^ key->word[0], state ^ key->word[1]) ^
				bytes,
			key->word[3]);
	for (; mr_unlikely(left > 16); left -= 16, p += 16)
		state = mr_hash_fold(mr_load64(p) ^ key->word[0], mr_load64(p + 8) ^ state);
	/* The last loads may overlap bytes already read: cheaper than a tail byte by byte. */
	const uint8_t *end = p + left;
	uint64_t low = left >= 8 ? mr_load64(p) : mr_load64(end - 16);
	state = mr_hash_fold(low ^ key->word[0], mr_load64(end - 8) ^ state);
	return mr_hash_fold(state ^ bytes, key->word[3]);
}

/* Hashes all prefixes of a text in one pass; each request must be longer than the one before. */
struct mr_prefix_hash {
	const struct mr_hash_key *key;
	const uint8_t *text; /* with MR_PREFIX_SPARE readable bytes behind it */
	uint64_t state;      /* hash of the whole words so far */
	size_t done;
};
#define MR_PREFIX_SPARE 8u

static inline struct mr_prefix_hash mr_prefix_hash_begin(
	const struct mr_hash_key *key, const void *text)
{
	return (struct mr_prefix_hash){key, text, key->word[2], 0};
}

static inline uint64_t mr_prefix_hash_of(struct mr_prefix_hash *p, size_t bytes)
{
	uint64_t rest;

	for (; p->done + 8 <= bytes; p->done += 8)
		p->state = mr_hash_fold(
			mr_load64(p->text + p->done) ^ p->key->word[0], p->state ^ p->key->word[1]);
	rest = mr_load64(p->text + p->done) & ((UINT64_C(1) << (bytes - p->done) * 8) - 1);
	return mr_hash_fold(
		mr_hash_fold(rest ^ p->key->word[0], p->state ^ bytes) ^ bytes, p->key->word[3]);
}

/* Compares without a call of memcmp, which costs more than the comparison at the lengths of
 * subjects. */
static inline bool mr_text_equal(const void *a, const void *b, size_t bytes)
{
	const uint8_t *x = a, *y = b;

	if (bytes < 8)
		return mr_hash_short(x, bytes) == mr_hash_short(y, bytes);
	size_t at = 0;
	for (; at + 8 <= bytes; at += 8)
		if (mr_load64(x + at) != mr_load64(y + at))
			return false;
	return mr_load64(x + bytes - 8) == mr_load64(y + bytes - 8);
}

#endif
