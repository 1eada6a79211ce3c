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

static void one_owner_cannot_scatter_chunks_over_all_slabs(void **state)
{
	struct mr_slab *s;
	uint64_t owned;

	(void)state;
	assert_int_equal(mr_slab_new(16 * MIB, &s), 0);
	assert_int_equal(mr_slab_owners(s, 2, 4 * MIB), 0);
	for (uint32_t bytes = 112; bytes < 1024; bytes += 64)
		scatter(s, bytes, 4 * MIB / bytes, 1);
	owned = mr_slab_bytes(s);
	assert_in_range(owned, 4 * MIB, 4 * MIB + 4 * MIB / 8 + MIB);
	assert_true(mr_slab_owner_full(s, 4096, 1));
	assert_null(mr_slab_alloc_for(s, 4096, 1));
	/* Sizes of whole messages, which come in fragments. */
	assert_true(mr_slab_owner_full(s, MR_SLAB_CHUNK_BYTES_MAX + 1, 1));
	assert_true(mr_slab_owner_full(s, 64 * MIB, 1));
	assert_false(mr_slab_owner_full(s, 112, 1)); /* in the slabs that it has */
	assert_non_null(mr_slab_alloc_for(s, 112, 1));
	scatter(s, 4096, 500, 2);
	assert_true(mr_slab_bytes(s) >= owned + 15 * 128 * 1024);
	assert_false(mr_slab_owner_full(s, 512, 0));
	mr_slab_free(s);
}

static void slab_that_becomes_empty_is_given_back_by_its_owner(void **state)
{
	struct mr_slab *s;
	void *chunk;

	(void)state;
	assert_int_equal(mr_slab_new(16 * MIB, &s), 0);
	assert_int_equal(mr_slab_owners(s, 1, 0), 0);
	for (unsigned i = 0; i < 7; i++)
		assert_non_null(mr_slab_alloc_for(s, 16 + 16 * i, 1));
	chunk = mr_slab_alloc_for(s, 1024, 1);
	assert_non_null(chunk);
	assert_null(mr_slab_alloc_for(s, 2048, 1));
	mr_slab_release(s, chunk, 1024);
	assert_non_null(mr_slab_alloc_for(s, 2048, 1));
	mr_slab_free(s);
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
		cmocka_unit_test(too_large_a_chunk_is_refused),
		cmocka_unit_test(random_use_keeps_chunks_apart),
	};

	return cmocka_run_group_tests_name("queue-store", tests, NULL, NULL);
}
