/* SPDX-License-Identifier: Apache-2.0 */
/* read: takes values out of a verified FlatBuffer.
 *
 * A `struct mrf_table` names one table of a buffer. It comes from a generated
 * `mrf_<table>_parse()`, or from an accessor of such a table. The zero value is the empty table:
 * every field reads as its default. Accessors of one table type must not be given a table of
 * another type: the buffer was verified for the type that it was parsed as.
 *
 * Owns      Nothing. Strings, bytes and tables point into the buffer, which must outlive them and
 *           must not change after it was parsed: copy memory that a peer can write first.
 * Threads   Any; readers of one buffer need no lock.
 * Errors    None. An absent field is its default, an index past the end is 0 or empty.
 * Hot path  No allocation, no call, no alignment needed.
 */
#ifndef MILLRACE_FLATBUF_RUNTIME_READ_H
#define MILLRACE_FLATBUF_RUNTIME_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* FlatBuffers are little-endian. All supported hosts are too, so structs are copied unchanged. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian hosts only");
_Static_assert(sizeof(bool) == 1, "a bool is copied to and from one byte");

/* A string in a buffer is also NUL-terminated; one given to a writer need not be. */
struct mrf_string {
	const char *data;
	uint32_t bytes; /* without the NUL */
};

struct mrf_bytes {
	const uint8_t *data;
	uint32_t bytes;
};

struct mrf_table {
	const uint8_t *buf; /* NULL: the empty table */
	uint32_t bytes;     /* length of the whole buffer */
	uint32_t pos;       /* the table's position in it */
};

/* Describes a member of a struct, from the schema, for programs that list counters. */
struct mrf_member {
	const char *name; /* the name in the schema */
	uint32_t offset;
	uint32_t bytes;
	const char *text; /* the schema's comment on one line; "" if there is none */
};

static inline struct mrf_string mrf_str_n(const char *data, uint32_t bytes)
{
	return (struct mrf_string){data, bytes};
}

/* NULL gives the string that writers leave out. */
static inline struct mrf_string mrf_str(const char *text)
{
	return (struct mrf_string){text, text ? (uint32_t)strlen(text) : 0};
}

static inline struct mrf_bytes mrf_bytes_n(const void *data, uint32_t bytes)
{
	return (struct mrf_bytes){data, bytes};
}

/* True for the empty table, which an absent field or an index past the end gives. */
static inline bool mrf_table_is_empty(struct mrf_table t)
{
	return !t.buf;
}

static inline uint16_t mr_fb_load_u16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t mr_fb_load_u32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* Position of field `id` of `t` in the buffer; 0 if absent. */
static inline uint32_t mr_fb_slot(struct mrf_table t, uint32_t id)
{
	if (!t.buf)
		return 0;
	/* The vtable's offset is signed; unsigned wrap-around gives the right difference. */
	uint32_t vtable = t.pos - mr_fb_load_u32(t.buf + t.pos);
	uint32_t entry = 4 + 2 * id;
	if (entry + 2 > mr_fb_load_u16(t.buf + vtable))
		return 0;
	uint16_t offset = mr_fb_load_u16(t.buf + vtable + entry);
	return offset ? t.pos + offset : 0;
}

/* Returns the bytes from field `id` to the next field of `t`, or to its end; 0 if it is absent. A
 * struct from an older peer, which has fewer members, ends there. */
static inline uint32_t mr_fb_room(struct mrf_table t, uint32_t id)
{
	uint32_t at = mr_fb_slot(t, id);
	if (!at)
		return 0;
	const uint8_t *vtable = t.buf + (t.pos - mr_fb_load_u32(t.buf + t.pos));
	uint32_t own = at - t.pos, end = mr_fb_load_u16(vtable + 2);
	for (uint32_t entry = 4; entry + 2 <= mr_fb_load_u16(vtable); entry += 2) {
		uint32_t other = mr_fb_load_u16(vtable + entry);
		end = other > own && other < end ? other : end;
	}
	return end - own;
}

static inline bool mr_fb_has(struct mrf_table t, uint32_t id)
{
	return mr_fb_slot(t, id) != 0;
}

/* Target of the offset stored in field `id`; 0 if the field is absent. */
static inline uint32_t mr_fb_target(struct mrf_table t, uint32_t id)
{
	uint32_t at = mr_fb_slot(t, id);
	return at ? at + mr_fb_load_u32(t.buf + at) : 0;
}

/* Number of elements of the vector in field `id`; 0 if absent. */
static inline uint32_t mr_fb_count(struct mrf_table t, uint32_t id)
{
	uint32_t at = mr_fb_target(t, id);
	return at ? mr_fb_load_u32(t.buf + at) : 0;
}

/* Position of element `index` of the vector in field `id`; 0 if there is none. */
static inline uint32_t mr_fb_element(
	struct mrf_table t, uint32_t id, uint32_t index, uint32_t element_bytes)
{
	uint32_t at = mr_fb_target(t, id);
	if (!at || index >= mr_fb_load_u32(t.buf + at))
		return 0;
	return at + 4 + index * element_bytes;
}

/* Copies the bytes at `at` into `value`; leaves `value` unchanged if `at` is 0. */
static inline void mr_fb_copy(struct mrf_table t, uint32_t at, void *value, uint32_t bytes)
{
	if (at)
		memcpy(value, t.buf + at, bytes);
}

/* Returns how many of `bytes` bytes the struct in field `id` has. */
static inline uint32_t mr_fb_struct_bytes(struct mrf_table t, uint32_t id, uint32_t bytes)
{
	uint32_t room = mr_fb_room(t, id);
	return room < bytes ? room : bytes;
}

/* Copies the members that the struct in field `id` has. */
static inline void mr_fb_get_struct(struct mrf_table t, uint32_t id, void *value, uint32_t bytes)
{
	mr_fb_copy(t, mr_fb_slot(t, id), value, mr_fb_struct_bytes(t, id, bytes));
}

/* mr_fb_get_<type>(t, id, absent): a scalar field.
 * mr_fb_at_<type>(t, id, index): an element of a vector of scalars.
 */
#define MR_FB_SCALAR(name, type)                                                                   \
	static inline type mr_fb_get_##name(struct mrf_table t, uint32_t id, type absent)          \
	{                                                                                          \
		type value = absent;                                                               \
		mr_fb_copy(t, mr_fb_slot(t, id), &value, sizeof(value));                           \
		return value;                                                                      \
	}                                                                                          \
	static inline type mr_fb_at_##name(struct mrf_table t, uint32_t id, uint32_t index)        \
	{                                                                                          \
		type value = 0;                                                                    \
		mr_fb_copy(t, mr_fb_element(t, id, index, sizeof(value)), &value, sizeof(value));  \
		return value;                                                                      \
	}

MR_FB_SCALAR(u8, uint8_t)
MR_FB_SCALAR(i8, int8_t)
MR_FB_SCALAR(u16, uint16_t)
MR_FB_SCALAR(i16, int16_t)
MR_FB_SCALAR(u32, uint32_t)
MR_FB_SCALAR(i32, int32_t)
MR_FB_SCALAR(u64, uint64_t)
MR_FB_SCALAR(i64, int64_t)
MR_FB_SCALAR(f32, float)
MR_FB_SCALAR(f64, double)
#undef MR_FB_SCALAR

/* A peer may send any byte for a bool; this makes it 0 or 1. */
static inline bool mr_fb_get_bool(struct mrf_table t, uint32_t id, bool absent)
{
	return mr_fb_get_u8(t, id, absent) != 0;
}

static inline bool mr_fb_at_bool(struct mrf_table t, uint32_t id, uint32_t index)
{
	return mr_fb_at_u8(t, id, index) != 0;
}

static inline struct mrf_string mr_fb_string_here(struct mrf_table t, uint32_t at)
{
	if (!at)
		return (struct mrf_string){"", 0};
	return (struct mrf_string){(const char *)t.buf + at + 4, mr_fb_load_u32(t.buf + at)};
}

static inline struct mrf_string mr_fb_get_string(struct mrf_table t, uint32_t id)
{
	return mr_fb_string_here(t, mr_fb_target(t, id));
}

static inline struct mrf_bytes mr_fb_get_bytes(struct mrf_table t, uint32_t id)
{
	struct mrf_string s = mr_fb_get_string(t, id);
	return (struct mrf_bytes){(const uint8_t *)s.data, s.bytes};
}

static inline struct mrf_table mr_fb_get_table(struct mrf_table t, uint32_t id)
{
	uint32_t at = mr_fb_target(t, id);
	return at ? (struct mrf_table){t.buf, t.bytes, at} : (struct mrf_table){NULL, 0, 0};
}

static inline struct mrf_string mr_fb_at_string(struct mrf_table t, uint32_t id, uint32_t index)
{
	uint32_t at = mr_fb_element(t, id, index, 4);
	return mr_fb_string_here(t, at ? at + mr_fb_load_u32(t.buf + at) : 0);
}

static inline struct mrf_table mr_fb_at_table(struct mrf_table t, uint32_t id, uint32_t index)
{
	uint32_t at = mr_fb_element(t, id, index, 4);
	if (!at)
		return (struct mrf_table){NULL, 0, 0};
	return (struct mrf_table){t.buf, t.bytes, at + mr_fb_load_u32(t.buf + at)};
}

#endif
