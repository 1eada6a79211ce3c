/* SPDX-License-Identifier: Apache-2.0 */
/* store: memory of messages that wait: a slab allocator over one large mapping, of a fixed most.
 *
 *   mapping  | slab 128 KiB | slab | slab | not touched yet ...
 *   slab     | piece | piece | piece | ...   all of one size
 *
 * A slab that is empty can serve another size. Sizes go up in steps of 16 bytes to 2 KiB, in
 * eighths to 16 KiB, and then by how many fit a slab, so that what rounding wastes is little. What
 * is known of a slab stands outside of it: a piece that is not in use holds nothing but the number
 * of the next one.
 *
 * Owns      The mapping, which is reserved whole and taken as it is touched.
 * Threads   One: a worker has its own.
 * Units     Bytes.
 * Errors    NULL: the most is reached, or the piece is larger than MR_STORE_PIECE_MAX.
 * Hot path  alloc, release: constant time, no call into the system but the page faults of memory
 *           that is touched for the first time.
 */
#ifndef MILLRACE_QUEUE_STORE_H
#define MILLRACE_QUEUE_STORE_H

#include <stddef.h>
#include <stdint.h>

#define MR_STORE_PIECE_MAX 65536u
/* So that 32 bits name a piece. */
#define MR_STORE_BYTES_MAX (64ull << 30)
/* Less would be used up by the first piece of each size. */
#define MR_STORE_BYTES_MIN (4u << 20)

struct mr_store;

/* `bytes_max` is rounded up to whole slabs and to MR_STORE_BYTES_MIN, and down to MR_STORE_BYTES_MAX. -ENOMEM. */
int mr_store_new(uint64_t bytes_max, struct mr_store **out);
void mr_store_free(struct mr_store *s);

/* 16-aligned. */
void *mr_store_alloc(struct mr_store *s, uint32_t bytes);
/* `bytes`: as asked for. */
void mr_store_release(struct mr_store *s, void *piece, uint32_t bytes);

/* Bytes of the store that a piece of that size takes. */
uint32_t mr_store_piece_bytes(const struct mr_store *s, uint32_t bytes);

/* Where the mapping begins: pieces are multiples of 16 bytes from it. */
uint8_t *mr_store_base(const struct mr_store *s);
/* In slabs that are in use; the store's most. */
uint64_t mr_store_bytes(const struct mr_store *s);
uint64_t mr_store_bytes_max(const struct mr_store *s);

#endif
