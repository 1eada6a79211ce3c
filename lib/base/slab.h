/* SPDX-License-Identifier: Apache-2.0 */
/* slab: a slab allocator over one large mapping (Bonwick, "The Slab Allocator", USENIX 1994).
 *
 *   mapping  | slab 128 KiB | slab | slab | not touched yet ...
 *   slab     | chunk | chunk | chunk | ...   all of one size
 *
 * An empty slab can serve another size. Chunk sizes grow in steps of 16 bytes up to 2 KiB, and in
 * eighths of a power of two up to 16 KiB. Above that they divide the slab into 7 .. 2 chunks. So
 * rounding wastes little. The records of the slabs are outside of them: a free chunk contains only
 * the position of the next free chunk.
 *
 * A slab with one chunk in use serves no other size. Where several owners share an allocator, each
 * slab counts for the owner that took it, with a limit for each owner: no owner can scatter a few
 * chunks over all slabs. A slab may have chunks of others, and be left to them by its owner. Until
 * the last chunk is released it counts for the owner still, whose number serves nobody else.
 *
 * Owns      The mapping. It is reserved at its full size; pages become resident when they are
 *           touched.
 * Threads   One: each worker has its own allocators.
 * Units     Bytes.
 * Errors    alloc returns NULL when the limit is reached or the size is above
 *           MR_SLAB_CHUNK_BYTES_MAX.
 * Hot path  alloc, release: constant time, no system call but the page faults of memory that is
 *           touched for the first time.
 */
#ifndef MILLRACE_BASE_SLAB_H
#define MILLRACE_BASE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/share.h"

#define MR_SLAB_CHUNK_BYTES_MAX 65536u
/* 32 bits can number each 16 bytes of the mapping. */
#define MR_SLAB_BYTES_MAX (64ull << 30)
/* A smaller limit would be used up by the first chunk of each size. */
#define MR_SLAB_BYTES_MIN (4u << 20)

struct mr_slab;

/* Makes an allocator of at most `bytes_max`, clamped to MR_SLAB_BYTES_MIN .. MR_SLAB_BYTES_MAX and
 * rounded up to whole slabs. -ENOMEM. */
int mr_slab_new(uint64_t bytes_max, struct mr_slab **out);
void mr_slab_free(struct mr_slab *s);

/* Counts slabs for owners: the numbers of counts in *owners, which it holds (mr_share_hold). They
 * must stay until the last release, and have room for mr_slab_count_max counts more than there are
 * owners. Each owner may take slabs for chunks of `bytes_max` in all, an eighth more for the ends
 * of slabs, and eight for sizes of which it has few chunks. Call it before the first allocation. */
void mr_slab_owners(struct mr_slab *s, struct mr_shares *owners, uint64_t bytes_max);

/* Returns a chunk, aligned to 16 bytes. A slab that it takes counts for nobody. */
void *mr_slab_alloc(struct mr_slab *s, uint32_t bytes);
/* The same, for an owner; 0: nobody. NULL also if it would need another slab than the owner may
 * take. */
void *mr_slab_alloc_for(struct mr_slab *s, uint32_t bytes, uint32_t owner);
/* True if alloc_for returns NULL because of the owner's limit. `bytes`: more than a chunk holds
 * count as the largest one. */
bool mr_slab_owner_full(const struct mr_slab *s, uint32_t bytes, uint32_t owner);
/* `bytes`: the size that alloc was asked for. */
void mr_slab_release(struct mr_slab *s, void *chunk, uint32_t bytes);

/* Returns the size of the chunk that serves a request for `bytes`. */
uint32_t mr_slab_chunk_bytes(const struct mr_slab *s, uint32_t bytes);

/* Returns the mapping's start. A chunk's offset from it is a multiple of 16 bytes. */
uint8_t *mr_slab_base(const struct mr_slab *s);
/* Returns the bytes of the slabs in use. */
uint64_t mr_slab_bytes(const struct mr_slab *s);
/* Return the limit, in bytes and in slabs. */
uint64_t mr_slab_bytes_max(const struct mr_slab *s);
uint32_t mr_slab_count_max(const struct mr_slab *s);

#endif
