/* SPDX-License-Identifier: Apache-2.0 */
#include "flatbuf/runtime/build.h"

#include <errno.h>
#include <stdlib.h>

/* Alignment of the widest scalar; the generator refuses structs that need more. */
#define ALIGN_MAX        8
#define GROW_BYTES_FIRST 1024

static const uint8_t zeros[ALIGN_MAX];

static void fail(struct mrf_builder *b, int error)
{
	if (!b->error)
		b->error = error;
}

static uint8_t *head(const struct mrf_builder *b)
{
	return b->memory + b->capacity_bytes - b->used_bytes;
}

void mrf_builder_reset(struct mrf_builder *b)
{
	b->used_bytes = 0;
	b->align_max = 4;
	b->error = 0;
	b->ident_root = 0;
	b->vtables_count = 0;
}

void mrf_builder_init(struct mrf_builder *b, void *memory, size_t capacity_bytes)
{
	if (capacity_bytes > INT32_MAX)
		capacity_bytes = INT32_MAX;
	size_t slack = ((uintptr_t)memory + capacity_bytes) % ALIGN_MAX;
	*b = (struct mrf_builder){
		.memory = memory,
		.capacity_bytes = capacity_bytes > slack ? capacity_bytes - slack : 0,
	};
	mrf_builder_reset(b);
}

int mrf_builder_grow_init(struct mrf_builder *b, size_t bytes_max)
{
	*b = (struct mrf_builder){.bytes_max = bytes_max - bytes_max % ALIGN_MAX};
	if (bytes_max < 64 || bytes_max > INT32_MAX)
		return -EINVAL;
	b->capacity_bytes = b->bytes_max < GROW_BYTES_FIRST ? b->bytes_max : GROW_BYTES_FIRST;
	b->memory = malloc(b->capacity_bytes);
	if (!b->memory)
		return -ENOMEM;
	mrf_builder_reset(b);
	return 0;
}

void mrf_builder_fini(struct mrf_builder *b)
{
	if (b->bytes_max)
		free(b->memory);
	*b = (struct mrf_builder){0};
}

/* Moves the written part to the end of the new memory, so that references stay valid. */
static int grow(struct mrf_builder *b, size_t bytes)
{
	size_t capacity = b->capacity_bytes;
	if (bytes > b->bytes_max)
		return -ENOSPC;
	while (capacity < bytes)
		capacity = capacity > b->bytes_max / 2 ? b->bytes_max : capacity * 2;
	uint8_t *memory = malloc(capacity);
	if (!memory)
		return -ENOMEM;
	memcpy(memory + capacity - b->used_bytes, head(b), b->used_bytes);
	free(b->memory);
	b->memory = memory;
	b->capacity_bytes = capacity;
	return 0;
}

/* Moves the head down by `bytes`; false if there is no room or the builder failed before. */
static bool reserve(struct mrf_builder *b, size_t bytes)
{
	if (b->error)
		return false;
	if (bytes > b->capacity_bytes - b->used_bytes) {
		int rc = bytes > INT32_MAX ? -ENOSPC : grow(b, b->used_bytes + bytes);
		if (rc) {
			fail(b, rc);
			return false;
		}
	}
	b->used_bytes += bytes;
	return true;
}

static bool push(struct mrf_builder *b, const void *value, size_t bytes)
{
	if (!reserve(b, bytes))
		return false;
	if (bytes)
		memcpy(head(b), value, bytes);
	return true;
}

/* Pads so that the head is a multiple of `align` from the end after `bytes` more are pushed. */
static bool pad(struct mrf_builder *b, uint32_t align, size_t bytes)
{
	if (align > b->align_max)
		b->align_max = align;
	return push(b, zeros, (align - (b->used_bytes + bytes) % align) % align);
}

static bool push_u32(struct mrf_builder *b, uint32_t value)
{
	return push(b, &value, sizeof(value));
}

static uint32_t here(const struct mrf_builder *b)
{
	return b->error ? 0 : (uint32_t)b->used_bytes;
}

/* Pushes an offset to `ref` from the position that the head will have; the head is aligned. */
static bool push_offset(struct mrf_builder *b, uint32_t ref)
{
	if (ref == 0 || ref > b->used_bytes)
		fail(b, -EINVAL);
	return push_u32(b, (uint32_t)b->used_bytes + 4 - ref);
}

/* True if there is something to write. A count without data is the caller's fault. */
static bool given(struct mrf_builder *b, const void *data, uint32_t count)
{
	if (!data && count)
		fail(b, -EINVAL);
	return data && !b->error;
}

uint32_t mr_fb_put_string(struct mrf_builder *b, struct mrf_string value)
{
	if (!given(b, value.data, value.bytes))
		return 0;
	pad(b, 4, (size_t)value.bytes + 1);
	push(b, zeros, 1);
	push(b, value.data, value.bytes);
	push_u32(b, value.bytes);
	return here(b);
}

uint32_t mr_fb_put_vector(struct mrf_builder *b, const void *items, uint32_t count,
	uint32_t item_bytes, uint32_t item_align)
{
	size_t bytes = (size_t)count * item_bytes;
	if (!given(b, items, count))
		return 0;
	/* Aligns both the items and the count before them. */
	pad(b, item_align > 4 ? item_align : 4, bytes);
	push(b, items, bytes);
	push_u32(b, count);
	return here(b);
}

static uint32_t string_bytes_padded(struct mrf_string s)
{
	return (4 + s.bytes + 1 + 3) & ~UINT32_C(3);
}

/* The strings lie one after the other, each padded to 4 bytes. So their references can be computed
 * backwards from the last one and need not be kept. */
uint32_t mr_fb_put_strings(struct mrf_builder *b, const struct mrf_string *items, uint32_t count)
{
	if (!given(b, items, count))
		return 0;
	pad(b, 4, 0);
	for (uint32_t i = 0; i < count; i++) {
		bool missing = !items[i].data && !items[i].bytes;
		mr_fb_put_string(b, missing ? mrf_str("") : items[i]);
	}
	uint32_t ref = here(b);
	for (uint32_t i = count; i-- > 0 && !b->error;) {
		push_offset(b, ref);
		ref -= string_bytes_padded(items[i]);
	}
	push_u32(b, count);
	return here(b);
}

uint32_t mr_fb_put_tables(struct mrf_builder *b, const uint32_t *items, uint32_t count)
{
	if (!given(b, items, count))
		return 0;
	pad(b, 4, 0);
	for (uint32_t i = count; i-- > 0 && !b->error;)
		push_offset(b, items[i]);
	push_u32(b, count);
	return here(b);
}

uint32_t mr_fb_table_begin(struct mrf_builder *b)
{
	return (uint32_t)b->used_bytes;
}

void mr_fb_put_inline(
	struct mrf_builder *b, uint32_t *at, const void *value, uint32_t bytes, uint32_t align)
{
	pad(b, align, bytes);
	push(b, value, bytes);
	*at = here(b);
}

void mr_fb_put_ref(struct mrf_builder *b, uint32_t *at, uint32_t ref)
{
	if (!ref)
		return;
	pad(b, 4, 4);
	push_offset(b, ref);
	*at = here(b);
}

/* Replaces the vtable at the head by an earlier one of the same content, if there is one. */
static uint32_t share_vtable(struct mrf_builder *b, uint32_t bytes)
{
	const uint8_t *end = b->memory + b->capacity_bytes;
	uint32_t kept =
		b->vtables_count < MR_FB_VTABLES_KEPT ? b->vtables_count : MR_FB_VTABLES_KEPT;
	for (uint32_t i = 0; i < kept; i++) {
		const uint8_t *old = end - b->vtables[i];
		if (mr_fb_load_u16(old) == bytes && memcmp(old, head(b), bytes) == 0) {
			b->used_bytes -= bytes;
			return b->vtables[i];
		}
	}
	b->vtables[b->vtables_count++ % MR_FB_VTABLES_KEPT] = here(b);
	return here(b);
}

static void store_u16(uint8_t *p, uint32_t index, uint32_t value)
{
	uint16_t v = (uint16_t)value;
	memcpy(p + 2 * index, &v, sizeof(v));
}

uint32_t mr_fb_table_end(
	struct mrf_builder *b, uint32_t begin, const uint32_t *at, uint32_t at_count)
{
	while (at_count && !at[at_count - 1])
		at_count--;
	uint32_t vtable_bytes = 4 + 2 * at_count;
	pad(b, 4, 4);
	push_u32(b, 0);
	uint32_t table = here(b);
	if (table - begin > UINT16_MAX || vtable_bytes > UINT16_MAX)
		fail(b, -E2BIG);
	if (!reserve(b, vtable_bytes))
		return 0;
	store_u16(head(b), 0, vtable_bytes);
	store_u16(head(b), 1, table - begin);
	for (uint32_t i = 0; i < at_count; i++)
		store_u16(head(b), 2 + i, at[i] ? table - at[i] : 0);
	uint32_t offset = share_vtable(b, vtable_bytes) - table;
	memcpy(b->memory + b->capacity_bytes - table, &offset, sizeof(offset));
	return table;
}

void mr_fb_require(struct mrf_builder *b, bool present)
{
	if (!present)
		fail(b, -EINVAL);
}

void mr_fb_identify(struct mrf_builder *b, uint32_t root, const char ident[4])
{
	b->ident_root = root;
	memcpy(b->ident, ident, sizeof(b->ident));
}

int mrf_builder_finish(struct mrf_builder *b, uint32_t root, const void **out, size_t *bytes)
{
	size_t ident_bytes = root && root == b->ident_root ? sizeof(b->ident) : 0;
	pad(b, b->align_max, 4 + ident_bytes);
	push(b, b->ident, ident_bytes);
	push_offset(b, root);
	if (b->error)
		return b->error;
	*out = head(b);
	*bytes = b->used_bytes;
	return 0;
}
