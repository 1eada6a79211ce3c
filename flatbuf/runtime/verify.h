/* SPDX-License-Identifier: Apache-2.0 */
/* verify: checks that everything that accessors can reach in a buffer lies inside it.
 *
 * Generated headers describe their tables with the types below; `mrf_<table>_parse()` calls
 * mr_fb_verify() with them. Fields and union members that the description does not know are
 * accepted and never followed: a newer peer may send them.
 *
 * Owns      Nothing; descriptions are constants.
 * Threads   Any.
 * Errors    -EBADMSG for any fault of a buffer; a peer is not told more.
 * Hot path  No allocation. Time is bounded by the buffer's size: see MR_FB_DEPTH_MAX and
 *           mr_fb_verify().
 */
#ifndef MILLRACE_FLATBUF_RUNTIME_VERIFY_H
#define MILLRACE_FLATBUF_RUNTIME_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flatbuf/runtime/read.h"

/* Maximum depth of nested tables, including the root. */
#define MR_FB_DEPTH_MAX 64

enum mr_fb_kind {
	MR_FB_INLINE,  /* scalar, `bytes` long */
	MR_FB_STRING,  /* offset to a string */
	MR_FB_VECTOR,  /* offset to a vector of scalars or structs, `bytes` each */
	MR_FB_STRINGS, /* offset to a vector of strings */
	MR_FB_TABLE,   /* offset to a table of type `table` */
	MR_FB_TABLES,  /* offset to a vector of tables of type `table` */
	MR_FB_STRUCT,  /* struct, `bytes` long, or shorter from an older peer */
	MR_FB_UNION,   /* offset to a table of a type in `choice`; field id - 1 holds the type */
};

/* Descriptions stand in headers. Each is declared before its definition, because types may refer to
 * each other. */
#define MR_FB_DESCRIPTION static const __attribute__((unused))

struct mr_fb_type;

struct mr_fb_member {
	uint32_t value; /* value of the union's type field */
	const struct mr_fb_type *table;
};

struct mr_fb_choice {
	const struct mr_fb_member *members;
	uint32_t members_count;
};

struct mr_fb_field {
	uint16_t id;
	enum mr_fb_kind kind;
	bool required;
	uint32_t bytes;
	const struct mr_fb_type *table;
	const struct mr_fb_choice *choice;
};

struct mr_fb_type {
	const struct mr_fb_field *fields;
	uint32_t fields_count;
};

/* Verifies `buf` as a buffer whose root is a `type`, with the file identifier `ident` (4
 * characters) unless that is NULL. Returns 0 and the root in `out`, or -EBADMSG and the empty
 * table.
 *
 * Tables and vector elements may be shared, so that a small buffer can describe exponentially many.
 * A buffer is refused when one visit for each of its bytes was made. A buffer in which nothing is
 * shared needs about a quarter of that.
 */
int mr_fb_verify(const void *buf, size_t bytes, const struct mr_fb_type *type, const char *ident,
	struct mrf_table *out);

/* Returns the table of a union of type `choice` with its value in field `id`; the empty table if
 * the type is none or not known here. */
struct mrf_table mr_fb_get_union(
	struct mrf_table t, uint32_t id, const struct mr_fb_choice *choice);

/* Returns the union's table if its type is `value`, which must be one that the schema knows. */
static inline struct mrf_table mr_fb_get_member(struct mrf_table t, uint32_t id, uint32_t value)
{
	if (mr_fb_get_u8(t, id - 1, 0) != value)
		return (struct mrf_table){NULL, 0, 0};
	return mr_fb_get_table(t, id);
}

#endif
