/* SPDX-License-Identifier: Apache-2.0 */
/* build: writes a FlatBuffer, children before parents, from the end of the memory to its start.
 *
 * A reference is a value's distance from the end of the buffer; 0 is none. Generated
 * `mrf_<table>_write()` functions take strings and vectors by value and nested tables by reference,
 * and return the reference of the table that they wrote.
 *
 * Owns      A fixed builder owns nothing; the memory stays the caller's. A growing builder owns its
 *           memory until fini. The result of finish is valid until the next reset, fini or write.
 * Threads   One at a time.
 * Errors    Sticky: after the first failure every write returns 0 and finish returns the error:
 *           -ENOSPC the memory, or the bound, is full; -ENOMEM; -EINVAL a bad reference, a missing
 *           required field, or a count without data; -E2BIG a table of more than 64 KiB.
 * Hot path  A fixed builder never allocates.
 */
#ifndef MILLRACE_FLATBUF_RUNTIME_BUILD_H
#define MILLRACE_FLATBUF_RUNTIME_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flatbuf/runtime/read.h"

/* Tables of one shape share a vtable if it is among the last written ones, as many as this. */
#define MR_FB_VTABLES_KEPT 8

struct mrf_builder {
	uint8_t *memory;
	size_t capacity_bytes;
	size_t used_bytes; /* they lie at the end of memory */
	size_t bytes_max;  /* bound of a growing builder; 0: the memory is fixed */
	uint32_t align_max;
	int error; /* 0 or -errno */
	uint32_t ident_root;
	char ident[4]; /* belongs to the table ident_root */
	uint32_t vtables[MR_FB_VTABLES_KEPT];
	uint32_t vtables_count; /* all that were ever written; new ones replace the oldest */
};

/* Builds in `memory`. Leaves up to 7 bytes at its end unused, so that the buffer is aligned. */
void mrf_builder_init(struct mrf_builder *b, void *memory, size_t capacity_bytes);

/* Builds in own memory that grows up to `bytes_max` (64 to 2^31 - 1). Returns 0, -EINVAL or
 * -ENOMEM. */
int mrf_builder_grow_init(struct mrf_builder *b, size_t bytes_max);

/* Frees the memory of a growing builder; harmless on a fixed one. */
void mrf_builder_fini(struct mrf_builder *b);

/* Forgets the written data and any error; keeps the memory. */
void mrf_builder_reset(struct mrf_builder *b);

/* Completes the buffer with the table `root`, aligned at its start and end for its content. The
 * buffer carries the schema's file identifier if `root` was written as its root type. Returns 0 or
 * the sticky error. Call reset before the next buffer. */
int mrf_builder_finish(struct mrf_builder *b, uint32_t root, const void **out, size_t *bytes);

/* Generated code calls the functions below. */

/* Each returns a reference; 0 if there is nothing to write (data is NULL) or the builder failed. */
uint32_t mr_fb_put_string(struct mrf_builder *b, struct mrf_string value);
uint32_t mr_fb_put_vector(struct mrf_builder *b, const void *items, uint32_t count,
	uint32_t item_bytes, uint32_t item_align);
uint32_t mr_fb_put_strings(struct mrf_builder *b, const struct mrf_string *items, uint32_t count);
uint32_t mr_fb_put_tables(struct mrf_builder *b, const uint32_t *items, uint32_t count);

/* Begin a table, put its fields in any order, end it. `at` has one entry for each field id, all 0
 * at the beginning; each put stores the field's position in its entry. */
uint32_t mr_fb_table_begin(struct mrf_builder *b);
void mr_fb_put_inline(
	struct mrf_builder *b, uint32_t *at, const void *value, uint32_t bytes, uint32_t align);
void mr_fb_put_ref(struct mrf_builder *b, uint32_t *at, uint32_t ref);
uint32_t mr_fb_table_end(
	struct mrf_builder *b, uint32_t begin, const uint32_t *at, uint32_t at_count);

/* Fails the builder with -EINVAL unless `present`. */
void mr_fb_require(struct mrf_builder *b, bool present);

/* Lets a finish with `root` write the file identifier. */
void mr_fb_identify(struct mrf_builder *b, uint32_t root, const char ident[4]);

/* Compares bit for bit, so that -0.0 and NaN are written where the default is 0.0. */
static inline bool mr_fb_same_f32(float a, float b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static inline bool mr_fb_same_f64(double a, double b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

#endif
