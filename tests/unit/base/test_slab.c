/* SPDX-License-Identifier: Apache-2.0 */
/* The slab allocator: sizes, reuse, limits. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/share.h"
#include "lib/base/slab.h"

#define MIB (1u << 20)

static void chunks_of_all_sizes_are_aligned_and_do_not_overlap(void **state)
{
	struct mr_slab *s;
	uint32_t sizes[512];
	uint8_t *chunks[512];

	(void)state;
	assert_int_equal(mr_slab_new(64 * MIB, &s), 0);
	for (unsigned i = 0; i < 512; i++) {
		sizes[i] = i < 256 ? i * 16
				   : 4096 + (i - 256) * (MR_SLAB_CHUNK_BYTES_MAX - 4096) / 255;
		chunks[i] = mr_slab_alloc(s, sizes[i]);
		assert_non_null(chunks[i]);
		assert_int_equal((uintptr_t)chunks[i] % 16, 0);
		memset(chunks[i], (int)i, sizes[i]);
	}
	for (unsigned i = 0; i < 512; i++) {
		for (uint32_t at = 0; at < sizes[i]; at++)
			assert_int_equal(chunks[i][at], i & 0xff);
		mr_slab_release(s, chunks[i], sizes[i]);
	}
	assert_int_equal(mr_slab_bytes(s), 0);
	mr_slab_free(s);
}

static void rounding_wastes_little(void **state)
{
	const uint32_t sizes[] = {64, 88, 300, 2049, 5000, 17000, 33000, 65536};
	struct mr_slab *s;

	(void)state;
	assert_int_equal(mr_slab_new(256 * MIB, &s), 0);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(sizes); i++) {
		uint64_t before = mr_slab_bytes(s);
		unsigned count = 16 * MIB / sizes[i];

		for (unsigned n = 0; n < count; n++)
			assert_non_null(mr_slab_alloc(s, sizes[i]));
		assert_true(mr_slab_bytes(s) - before <= 16ull * MIB * 137 / 100);
	}
	mr_slab_free(s);
}

static void full_store_refuses_and_serves_again(void **state)
{
	struct mr_slab *s;
	void *chunks[128];
	unsigned count = 0;

	(void)state;
	assert_int_equal(mr_slab_new(4 * MIB, &s), 0);
	assert_int_equal(mr_slab_bytes_max(s), 4 * MIB);
	while (count < 128 && (chunks[count] = mr_slab_alloc(s, 65536)) != NULL)
		count++;
	assert_int_equal(count, 64);
	assert_null(mr_slab_alloc(s, 32));
	mr_slab_release(s, chunks[0], 65536);
	assert_null(mr_slab_alloc(s, 32)); /* The slab still has one chunk in use. */
	mr_slab_release(s, chunks[1], 65536);
	assert_non_null(mr_slab_alloc(s, 32)); /* An empty slab serves another size. */
	mr_slab_free(s);
}

static size_t slab_of(const struct mr_slab *s, const void *chunk)
{
	return (size_t)((const uint8_t *)chunk - mr_slab_base(s)) / (128 * 1024);
}

/* Takes `count` chunks, and gives back all but the first of each slab. */
static void scatter(struct mr_slab *s, uint32_t bytes, unsigned count, uint32_t owner)
{
	static void *chunks[65536];
	unsigned got = 0;

	while (got < count && (chunks[got] = mr_slab_alloc_for(s, bytes, owner)) != NULL)
		got++;
	for (unsigned i = 0; i < got; i++)
		if (i > 0 && slab_of(s, chunks[i]) == slab_of(s, chunks[i - 1]))
			mr_slab_release(s, chunks[i], bytes);
}

static struct mr_shares owners;

static struct mr_slab *shared_slab(uint64_t bytes_max, uint64_t owner_bytes_max)
{
	struct mr_slab *s;

	assert_int_equal(mr_slab_new(bytes_max, &s), 0);
	assert_int_equal(mr_shares_init(&owners, 1, 2 + mr_slab_count_max(s)), 0);
	mr_slab_owners(s, &owners, owner_bytes_max);
	return s;
}

static void free_shared(struct mr_slab *s)
{
	mr_slab_free(s);
	mr_shares_fini(&owners);
}

/* Returns the number of a peer that has something. */
static uint32_t owner_of(uint64_t peer)
{
	assert_int_equal(mr_share_take(&owners, peer, 0, 1, UINT64_MAX), 0);
	return mr_share_number(&owners, peer, 0);
}

static void one_owner_cannot_scatter_chunks_over_all_slabs(void **state)
{
	struct mr_slab *s = shared_slab(16 * MIB, 4 * MIB);
	uint32_t one = owner_of(1);
	uint64_t owned;

	(void)state;
	for (uint32_t bytes = 112; bytes < 1024; bytes += 64)
		scatter(s, bytes, 4 * MIB / bytes, one);
	owned = mr_slab_bytes(s);
	assert_in_range(owned, 4 * MIB, 4 * MIB + 4 * MIB / 8 + MIB);
	assert_true(mr_slab_owner_full(s, 4096, one));
	assert_null(mr_slab_alloc_for(s, 4096, one));
	/* Sizes of whole messages, which come in fragments. */
	assert_true(mr_slab_owner_full(s, MR_SLAB_CHUNK_BYTES_MAX + 1, one));
	assert_true(mr_slab_owner_full(s, 64 * MIB, one));
	assert_false(mr_slab_owner_full(s, 112, one)); /* in the slabs that it has */
	assert_non_null(mr_slab_alloc_for(s, 112, one));
	scatter(s, 4096, 500, owner_of(2));
	assert_true(mr_slab_bytes(s) >= owned + 15 * 128 * 1024);
	assert_false(mr_slab_owner_full(s, 512, 0));
	free_shared(s);
}

static void slab_that_becomes_empty_is_given_back_by_its_owner(void **state)
{
	struct mr_slab *s = shared_slab(16 * MIB, 0);
	uint32_t one = owner_of(1);
	void *chunk;

	(void)state;
	for (unsigned i = 0; i < 7; i++)
		assert_non_null(mr_slab_alloc_for(s, 16 + 16 * i, one));
	chunk = mr_slab_alloc_for(s, 1024, one);
	assert_non_null(chunk);
	assert_null(mr_slab_alloc_for(s, 2048, one));
	mr_slab_release(s, chunk, 1024);
	assert_non_null(mr_slab_alloc_for(s, 2048, one));
	free_shared(s);
}

#define SPARE 8u /* slabs of an owner of no bytes */

/* The owner takes all slabs that it may, each with a chunk of `other` beside its own, and leaves
 * them to it. */
static void take_and_leave(struct mr_slab *s, uint32_t owner, uint32_t other, void *left[SPARE])
{
	for (uint32_t i = 0; i < SPARE; i++) {
		void *own = mr_slab_alloc_for(s, 16 + 16 * i, owner);

		left[i] = mr_slab_alloc_for(s, 16 + 16 * i, other);
		assert_non_null(own);
		assert_non_null(left[i]);
		assert_int_equal(slab_of(s, own), slab_of(s, left[i]));
		mr_slab_release(s, own, 16 + 16 * i);
	}
	assert_true(mr_slab_owner_full(s, 4096, owner));
}

static void owner_is_not_charged_for_slabs_that_another_one_left(void **state)
{
	struct mr_slab *s = shared_slab(16 * MIB, 0);
	uint32_t first = owner_of(1), other = owner_of(2), second;
	void *left[SPARE];

	(void)state;
	take_and_leave(s, first, other, left);
	mr_share_give(&owners, 1, 0, 1);
	second = owner_of(3);
	for (uint32_t i = 0; i < SPARE; i++)
		assert_non_null(mr_slab_alloc_for(s, 1024 + 16 * i, second));
	assert_true(mr_slab_owner_full(s, 4096, second));
	free_shared(s);
}

static void owner_that_returns_is_charged_for_the_slabs_that_it_left(void **state)
{
	struct mr_slab *s = shared_slab(16 * MIB, 0);
	uint32_t first = owner_of(1), other = owner_of(2);
	void *left[SPARE];

	(void)state;
	take_and_leave(s, first, other, left);
	mr_share_give(&owners, 1, 0, 1);
	assert_int_equal(mr_share_count(&owners, 1, 0), 0);
	first = owner_of(1);
	assert_null(mr_slab_alloc_for(s, 4096, first));
	mr_slab_release(s, left[0], 16);
	assert_non_null(mr_slab_alloc_for(s, 4096, first));
	free_shared(s);
}

/* The table's number of owners come and go, and each leaves a slab. */
static void number_is_free_when_the_last_slab_is_given_back(void **state)
{
	struct mr_slab *s = shared_slab(4 * MIB, 4 * MIB);
	uint32_t other = owner_of(1), count = mr_slab_count_max(s);
	void *left[64];

	(void)state;
	assert_true(count <= MR_ARRAY_COUNT(left));
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < count; i++) {
			uint32_t bytes = 16 + 16 * i, peer = 2 + round * count + i;
			void *own = mr_slab_alloc_for(s, bytes, owner_of(peer));

			left[i] = mr_slab_alloc_for(s, bytes, other);
			mr_slab_release(s, own, bytes);
			mr_share_give(&owners, peer, 0, 1);
		}
		for (uint32_t i = 0; i < count; i++)
			mr_slab_release(s, left[i], 16 + 16 * i);
	}
	assert_int_equal(mr_slab_bytes(s), 0);
	assert_int_equal(owners.used, 1);
	free_shared(s);
}

static void too_large_a_chunk_is_refused(void **state)
{
	struct mr_slab *s;

	(void)state;
	assert_int_equal(mr_slab_new(MIB, &s), 0);
	assert_null(mr_slab_alloc(s, MR_SLAB_CHUNK_BYTES_MAX + 1));
	assert_null(mr_slab_alloc(s, UINT32_MAX));
	assert_int_equal(mr_slab_bytes(s), 0);
	mr_slab_free(s);
}

/* Random sizes and order; the content check shows that chunks never overlap. */
static void random_use_keeps_chunks_apart(void **state)
{
	struct mr_slab *s;
	struct {
		uint8_t *chunk;
		uint32_t bytes;
	} held[1024] = {0};
	uint64_t seed = 7;

	(void)state;
	assert_int_equal(mr_slab_new(8 * MIB, &s), 0);
	for (unsigned step = 0; step < 200000; step++) {
		unsigned i;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		i = (unsigned)(seed >> 40) % 1024;
		if (held[i].chunk != NULL) {
			assert_int_equal(held[i].chunk[0], i & 0xff);
			assert_int_equal(held[i].chunk[held[i].bytes - 1], i & 0xff);
			mr_slab_release(s, held[i].chunk, held[i].bytes);
			held[i].chunk = NULL;
			continue;
		}
		held[i].bytes = 1 + (uint32_t)(seed >> 33) % (seed & 16 ? 40000 : 300);
		held[i].chunk = mr_slab_alloc(s, held[i].bytes);
		if (held[i].chunk != NULL)
			memset(held[i].chunk, (int)i, held[i].bytes);
	}
	for (unsigned i = 0; i < 1024; i++)
		if (held[i].chunk != NULL)
			mr_slab_release(s, held[i].chunk, held[i].bytes);
	assert_int_equal(mr_slab_bytes(s), 0);
	mr_slab_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_of_all_sizes_are_aligned_and_do_not_overlap),
		cmocka_unit_test(rounding_wastes_little),
		cmocka_unit_test(full_store_refuses_and_serves_again),
		cmocka_unit_test(one_owner_cannot_scatter_chunks_over_all_slabs),
		cmocka_unit_test(slab_that_becomes_empty_is_given_back_by_its_owner),
		cmocka_unit_test(owner_is_not_charged_for_slabs_that_another_one_left),
		cmocka_unit_test(owner_that_returns_is_charged_for_the_slabs_that_it_left),
		cmocka_unit_test(number_is_free_when_the_last_slab_is_given_back),
		cmocka_unit_test(too_large_a_chunk_is_refused),
		cmocka_unit_test(random_use_keeps_chunks_apart),
	};

	return cmocka_run_group_tests_name("queue-store", tests, NULL, NULL);
}
